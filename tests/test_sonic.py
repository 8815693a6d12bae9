"""SONiC's STATE_DB in a real Redis, filled as xcvrd of old and new releases fills it."""

import asyncio
import json
import math
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis
from hypothesis import given
from hypothesis import strategies as st

from agent import quantities as q
from agent.config.sources import SonicSource as Section
from agent.errors import BusGone, ConfigError
from agent.links.links import Links
from agent.model import Bounds, DownCause, LinkEvent, Module, ModuleChange, ModuleEvent, PollFailed, Reading
from agent.state import Hub, PortForgotten, SourceHealth
from drivers.sonic import driver as sonic
from drivers.sonic import tables as sonic_tables
from drivers.sonic.tables import PortRows
from fakes.sonic import FakeXcvrd, Layout

pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="the Debian package redis-server is missing"
)


@contextmanager
def redis_server(path: Path) -> Generator[None]:
    server = subprocess.Popen(
        [
            "redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no",
            "--notify-keyspace-events", "AKE", "--dir", str(path.parent), "--loglevel", "warning",
        ],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                break
        time.sleep(0.05)
    try:
        yield
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("redis") / "redis.sock"
    with redis_server(path):
        yield str(path)


Client = Callable[[int], Any]


@pytest.fixture
async def client(address: str) -> AsyncIterator[Client]:
    clients: dict[int, Any] = {}

    def of(number: int) -> Any:
        if number not in clients:
            clients[number] = redis.Redis(unix_socket_path=address, db=number, decode_responses=True)
        return clients[number]

    await of(0).flushall()
    yield of
    for one in clients.values():
        await one.aclose()


def optic(serial: str = "SN1", *, rx: float = 500e-6) -> Reading:
    power = Bounds(high_alarm=2e-3, high_warning=1.5e-3, low_warning=1e-4, low_alarm=5e-5)
    return Reading(
        device="",
        port="",
        source="",
        time=0.0,
        module=Module(vendor_name="ACME", part_number="OSFP-800", serial_number=serial),
        values={q.TEMPERATURE: 41.5, q.SUPPLY_VOLTAGE: 3.3012},
        lanes={
            q.RX_POWER: {1: rx, 2: rx, 3: 0.0, 4: rx},
            q.TX_POWER: dict.fromkeys((1, 2, 3, 4), 1e-3),
            q.TX_BIAS: dict.fromkeys((1, 2, 3, 4), 0.0321),
        },
        thresholds={
            q.TEMPERATURE: Bounds(high_alarm=75.0, high_warning=70.0, low_warning=0.0, low_alarm=-5.0),
            q.RX_POWER: power,
            q.TX_BIAS: Bounds(high_alarm=0.1, low_alarm=0.01),
        },
    )


def near(value: float) -> Any:
    return pytest.approx(value, rel=1e-4)


async def read(address: str) -> dict[str, Reading]:
    databases = sonic.Databases(address)
    try:
        found = await sonic.read_switch(databases, device="leaf", source="sonic:")
    finally:
        await databases.close()
    return {reading.port: reading for reading in found.readings}


@pytest.mark.parametrize("layout", ["old", "new"])
async def test_both_layouts_say_the_same(address: str, client: Client, layout: Layout) -> None:
    xcvrd = FakeXcvrd(client, layout=layout)
    await xcvrd.link("Ethernet0", up=True, alias="etp1")
    await xcvrd.insert("Ethernet0", optic())
    reading = (await read(address))["Ethernet0"]
    assert reading.values == {q.TEMPERATURE: near(41.5), q.SUPPLY_VOLTAGE: near(3.3012)}
    assert reading.lanes[q.RX_POWER] == {1: near(500e-6), 2: near(500e-6), 3: 0.0, 4: near(500e-6)}
    assert reading.lanes[q.TX_POWER] == dict.fromkeys((1, 2, 3, 4), near(1e-3))
    assert reading.lanes[q.TX_BIAS] == dict.fromkeys((1, 2, 3, 4), near(0.0321))
    assert dict(reading.thresholds[q.TEMPERATURE]) == {
        "high_alarm": 75.0, "high_warning": 70.0, "low_warning": 0.0, "low_alarm": -5.0,
    }  # fmt: skip
    assert dict(reading.thresholds[q.RX_POWER])["low_alarm"] == near(5e-5)
    assert dict(reading.thresholds[q.TX_BIAS]) == {"high_alarm": near(0.1), "low_alarm": near(0.01)}
    assert reading.module_state == "ModuleReady"
    assert reading.data_path_states == dict.fromkeys(range(1, 9), 4)
    module = dict(reading.module)
    assert module["vendor_oui"] == "A8:2B:B5"
    assert module["date_code"] == "2023-05-04"
    assert (module["memory_map"], module["revision"], module["media_lanes"]) == ("cmis", "5.0", 4)
    assert dict(reading.link) == {
        "if_name": "Ethernet0", "oper_up": True, "admin_up": True, "alias": "etp1", "speed_bits_per_second": 4e11,
    }  # fmt: skip


async def test_flags_of_old_and_new_tables(address: str, client: Client) -> None:
    xcvrd = FakeXcvrd(client, layout="old")
    await xcvrd.insert("Ethernet0", optic())
    await xcvrd.set("TRANSCEIVER_STATUS", "Ethernet0", {
        "rxlos3": "True", "temphighalarm_flag": "False", "rxpowerlowwarning_flag2": "True",
        "txcdrlol_hostlane8": "True",
    })  # fmt: skip
    await FakeXcvrd(client, layout="new").insert("Ethernet8", optic())
    await xcvrd.set(
        "TRANSCEIVER_STATUS_FLAG", "Ethernet8", {"rx3los": "True", "tx1fault": "False", "rx1los": "N/A"}
    )
    await xcvrd.set("TRANSCEIVER_DOM_FLAG", "Ethernet8", {
        "tempHAlarm": "True", "vccLWarn": "False", "rx2powerLWarn": "True", "tx1biasHAlarm": "False",
    })  # fmt: skip
    found = await read(address)
    low_warning = q.ALARM_FLAGS["rx_power", "low_warning"]
    old, new = found["Ethernet0"], found["Ethernet8"]
    assert old.lane_flags[q.RX_LOS].active == 0b100 == new.lane_flags[q.RX_LOS].active
    assert old.lane_flags[q.RX_LOS].offered == 0xFF
    assert new.lane_flags[q.RX_LOS].offered == 0b100
    assert old.lane_flags[low_warning].active == 0b10 == new.lane_flags[low_warning].active
    assert old.lane_flags[q.TX_CDR_LOL].active == 0x80
    assert old.flags == {q.ALARM_FLAGS["temperature", "high_alarm"]: False}
    assert new.flags[q.ALARM_FLAGS["temperature", "high_alarm"]] is True
    assert new.flags[q.ALARM_FLAGS["supply_voltage", "low_warning"]] is False


async def test_vdm_and_coherent(address: str, client: Client) -> None:
    xcvrd = FakeXcvrd(client)
    await xcvrd.insert("Ethernet0", optic())
    await xcvrd.set("TRANSCEIVER_VDM_REAL_VALUE", "Ethernet0", {
        "prefec_ber_max_media_input1": "1.2E-09", "esnr_media_input2": "19.1", "laser_temperature_media1": "51.0",
        "errored_frames_accum_host_input3": "7", "prefec_ber_curr_media_input9": "N/A", "vendor_thing": "5",
    })  # fmt: skip
    await xcvrd.set("TRANSCEIVER_PM", "Ethernet0", {
        "osnr_avg": "36.2", "osnr_min": "35.9", "osnr_max": "36.4", "cfo_avg": "200", "dgd_avg": "7.0",
        "evm_avg": "15",
    })  # fmt: skip
    reading = (await read(address))["Ethernet0"]
    samples = {(sample.observable, sample.lane): (sample.value, sample.unit) for sample in reading.vdm}
    assert samples == {
        ("pre_fec_ber_max_media_input", 1): (1.2e-9, "ratio"),
        ("snr_media_input", 2): (19.1, "dB"),
        ("laser_temperature", 1): (51.0, "degC"),
        ("ferc_total_host_input", 3): (7.0, "frames"),
    }
    assert dict(reading.coherent["osnr_db"]) == {"avg": 36.2, "min": 35.9, "max": 36.4}
    assert reading.coherent["cfo_hertz"].get("avg") == near(200e6)
    assert reading.coherent["dgd_seconds"].get("avg") == near(7e-12)
    assert reading.coherent["evm_ratio"].get("avg") == near(0.15)


async def test_what_is_not_there_is_absent_and_what_failed_is_unread(address: str, client: Client) -> None:
    xcvrd = FakeXcvrd(client)
    await xcvrd.link("Ethernet0", up=False, admin_up=False)
    await xcvrd.link("Ethernet4", up=False)
    dac = replace(optic(), values={}, lanes={}, thresholds={})
    await xcvrd.insert("Ethernet0", dac)
    some = replace(optic(), lanes={q.RX_POWER: {1: 1e-3, 2: 1e-3}, q.TX_BIAS: {}, q.TX_POWER: {}})
    await FakeXcvrd(client, lanes=4).insert("Ethernet8", some)
    found = await read(address)
    assert (found["Ethernet0"].values, found["Ethernet0"].lanes, found["Ethernet0"].unread) == ({}, {}, ())
    assert found["Ethernet4"].module == {}
    assert found["Ethernet8"].unread == ()  # lanes 3 and 4 say N/A; those that speak are there
    assert list(found) == ["Ethernet0", "Ethernet4", "Ethernet8"]


@pytest.mark.parametrize(
    ("text", "key", "want"),
    [
        ("36.6C", "temperature", 36.6), ("36.6", "temperature", 36.6), ("N/A", "temperature", None),
        ("3.3Volts", "voltage", 3.3), ("", "voltage", None), ("nan", "voltage", None),
    ],
)  # fmt: skip
def test_texts(text: str, key: str, want: float | None) -> None:
    rows = PortRows({"TRANSCEIVER_INFO": {"type": "x"}, "TRANSCEIVER_DOM_SENSOR": {key: text}})
    reading = sonic_tables.reading("Ethernet0", rows, device="d", source="s", time=0.0)
    assert list(reading.values.values()) == ([] if want is None else [want])


FIELDS = st.sampled_from(
    ["temperature", "voltage", "rx1power", "tx99bias", "rxlos1", "tempHAlarm", "rx2powerLWarn", "DP1State",
     "flap_count", "temphighalarm", "rxpowerlowalarm", "osnr_avg", "prefec_ber_max_media_input1", "oper_status",
     "vendor_date",
     "type", "vendor_oui", "host_lane_count", "txdisable1", "rxpowerhighalarm_flag0", "rx0los", "error"]
)  # fmt: skip


@given(
    st.dictionaries(
        FIELDS, st.one_of(st.text(max_size=12), st.sampled_from(["True", "N/A", "-inf", "1e999", "up"]))
    )
)
def test_any_fields_give_a_reading(fields: dict[str, str]) -> None:
    rows = PortRows(dict.fromkeys(sonic_tables.TABLES, fields), fields)
    reading = sonic_tables.reading("Ethernet0", rows, device="d", source="s", time=0.0)
    sonic_tables.observation("Ethernet0", fields)
    for value in (*reading.values.values(), *(v for lane in reading.lanes.values() for v in lane.values())):
        assert math.isfinite(value)


# The source


class Bench:
    """A source over the Redis, and what it told."""

    def __init__(self, address: str) -> None:
        self.hub = Hub("leaf")
        self.told: list[Any] = []
        for kind in (Reading, PollFailed, ModuleEvent, LinkEvent, SourceHealth, PortForgotten):
            self.hub.subscribe(kind, self.told.append)
        self._address = address
        self._task: asyncio.Task[None] | None = None
        self.source = sonic.SonicSource(Section(type="sonic", redis=address), interval_s=60.0)

    async def start(self, *, interval_s: float = 60.0) -> None:
        self.source = sonic.SonicSource(Section(type="sonic", redis=self._address), interval_s=interval_s)
        self._task = asyncio.create_task(self.source.run(self.hub, Links(self.hub)))
        await self.until(lambda: bool(self.of(SourceHealth)))

    async def until(self, seen: Callable[[], bool], *, timeout_s: float = 20.0) -> None:
        end = time.monotonic() + timeout_s
        while not seen():
            assert time.monotonic() < end, "it never came"
            assert self._task is None or not self._task.done(), self._task
            await asyncio.sleep(0.01)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture
async def bench(address: str) -> AsyncIterator[Bench]:
    made = Bench(address)
    yield made
    await made.stop()


async def test_changes_arrive_by_notification(bench: Bench, client: Client) -> None:
    xcvrd = FakeXcvrd(client)
    await xcvrd.link("Ethernet0", up=True)
    await xcvrd.insert("Ethernet0", optic())
    await bench.start()  # the next full read would be in a minute
    assert len(bench.of(Reading)) == 1
    began = time.monotonic()
    await xcvrd.update("Ethernet0", optic(rx=100e-6))
    await bench.until(lambda: len(bench.of(Reading)) == 2)
    assert time.monotonic() - began < 1.0
    assert bench.of(Reading)[-1].lanes[q.RX_POWER][1] == near(100e-6)
    await xcvrd.link("Ethernet0", up=False)
    await bench.until(lambda: bool(bench.of(LinkEvent)))
    assert (bench.of(LinkEvent)[0].up, bench.of(LinkEvent)[0].cause) == (False, DownCause.UNINTENTIONAL)
    await xcvrd.remove("Ethernet0")
    await bench.until(lambda: bool(bench.of(ModuleEvent)))
    await xcvrd.insert("Ethernet0", optic("SN2"))
    await bench.until(lambda: len(bench.of(ModuleEvent)) == 2)
    await xcvrd.insert("Ethernet0", optic("SN3"))
    await bench.until(lambda: len(bench.of(ModuleEvent)) == 3)
    assert [event.change for event in bench.of(ModuleEvent)] == [
        ModuleChange.REMOVED, ModuleChange.INSERTED, ModuleChange.SWAPPED,
    ]  # fmt: skip
    assert bench.source.notified >= 10


async def test_flaps_that_nobody_saw_are_in_the_flap_count(bench: Bench, client: Client) -> None:
    xcvrd = FakeXcvrd(client)
    await xcvrd.link("Ethernet0", up=True)
    await bench.start()
    client_of_ports = client(0)
    await client_of_ports.hset("PORT_TABLE:Ethernet0", "flap_count", "6")
    await bench.until(lambda: len(bench.of(LinkEvent)) >= 2)
    link = bench.hub.local.ports["Ethernet0"].link
    assert link is not None
    assert link.transitions == 6


async def test_without_notifications_the_full_read_finds_it(bench: Bench, client: Client) -> None:
    xcvrd = FakeXcvrd(client)
    await xcvrd.insert("Ethernet0", optic())
    await client(0).config_set("notify-keyspace-events", "")
    try:
        await bench.start(interval_s=0.1)
        await xcvrd.update("Ethernet0", optic(rx=100e-6))
        await bench.until(lambda: bench.of(Reading)[-1].lanes[q.RX_POWER][1] == near(100e-6))
        assert bench.source.notified == 0
        await xcvrd.remove("Ethernet0")
        await bench.until(lambda: bool(bench.of(PortForgotten)))
    finally:
        await client(0).config_set("notify-keyspace-events", "AKE")


async def test_a_redis_that_goes_away_is_told_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    bench = Bench(str(path))

    async def fill() -> None:
        async with (
            redis.Redis(unix_socket_path=str(path), db=6) as state,
            redis.Redis(unix_socket_path=str(path)) as appl,
        ):
            await FakeXcvrd({0: appl, 6: state}.__getitem__).insert("Ethernet0", optic())

    with redis_server(path):
        await fill()
        await bench.start(interval_s=0.1)
        await bench.until(lambda: bool(bench.of(Reading)))
    await bench.until(lambda: any(not health.up for health in bench.of(SourceHealth)))
    assert bench.of(PollFailed)[-1].trouble.reason == "bus_gone"
    assert bench.hub.local.ports["Ethernet0"].present
    readings = len(bench.of(Reading))
    with redis_server(path):
        await fill()
        await bench.until(lambda: len(bench.of(Reading)) > readings)
        await bench.stop()


async def test_a_redis_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(BusGone, match=r"Redis at .*nowhere\.sock") as caught:
        await read(str(tmp_path / "nowhere.sock"))
    assert "SONiC" in caught.value.hint
    with pytest.raises(ConfigError, match="HOST:PORT"):
        sonic.Databases("just-a-name")


async def test_the_command_reads_the_switch(address: str, client: Client) -> None:
    xcvrd = FakeXcvrd(client)
    await xcvrd.link("Ethernet0", up=True)
    await xcvrd.insert("Ethernet0", optic())
    opticd = Path(sys.executable).with_name("opticd")
    process = await asyncio.create_subprocess_exec(
        str(opticd), "read", f"sonic:{address}?device=leaf-9", "--format", "json", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    document = json.loads(out)
    assert (document["schema"], document["device"]) == ("opticd/device/1", "leaf-9")
    assert document["ports"][0]["lanes"][2]["rx_power_dbm"] == -40.0
    assert document["ports"][0]["link"]["oper_up"] is True
