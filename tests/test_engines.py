"""Ports that are parts of an engine: a fake one of 32 lanes and two laser sources at the wire, and the division."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from agent import maps
from agent import quantities as q
from agent.alerts import configured as rules_config
from agent.alerts.book import AlertBook
from agent.config import file as config
from agent.documents.reading import to_document
from agent.errors import ConfigError
from agent.memory import Span
from agent.model import (
    AlertEvent,
    Application,
    LaneFlags,
    Laser,
    Module,
    ModuleChange,
    ModuleEvent,
    PollFailed,
    Reading,
    Trouble,
    VdmSample,
)
from agent.modules.engines import Engines
from agent.modules.session import Intervals
from agent.modules.slices import Lasers, Share, data_paths
from agent.polling.poller import Poller, PollerOptions, PortSetup
from agent.state import Hub, PortForgotten
from drivers.i2c.bus import LinuxI2cBus
from drivers.i2c.paged import PagedMemory
from fakes.adapter import Message
from fakes.optics import Ramp
from fakes.scenario import Scenario
from fakes.switch import FakeSwitch

CONFIG = """
[[port]]
name = "swp{path}"
engine = "Ethernet1"
els = ["Ethernet2", "Ethernet3"]
"""
"""Eight ports of four lanes; each of the 16 lasers lights two lanes, so two lasers a port."""


class Bench:
    """The engine is Ethernet1, its laser sources are Ethernet2 and Ethernet3; each on an adapter of its own."""

    def __init__(self, text: str = CONFIG) -> None:
        scenario = Scenario(description="", modules=["cpo-3200g-dr32", "elsfp-8", "elsfp-8"])
        self.switch = FakeSwitch(3, scenario)
        self.hub = Hub("leaf")
        self.alerts: list[AlertEvent] = []
        self.hub.subscribe(AlertEvent, self.alerts.append)
        self.readings: Counter[str] = Counter()
        self.hub.subscribe(Reading, lambda reading: self.readings.update([reading.port]))
        self.book = AlertBook(self.hub, rules_config.all_rules(()))
        self.engines = Engines(port.share() for port in config.parse(text, name="test").port)
        self.book.use_engines(self.engines)
        self.poller = Poller(
            self.hub,
            [self._setup(port.name, port.path) for port in self.switch.ports],
            identify=maps.identify,
            wall=lambda: 1_800_000_000.0,
            options=PollerOptions(bus_share=1.0),
            engines=self.engines,
        )

    def _setup(self, name: str, path: str) -> PortSetup:
        def way() -> PagedMemory:
            return PagedMemory(LinuxI2cBus(path, calls=self.switch.kernel))

        intervals = Intervals(slow_s=3600, identity_s=3600)
        return PortSetup(
            port=name, bus=name, source=f"i2c:{path[-1]}", open=way, interval_s=3600, intervals=intervals
        )

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        tasks = [asyncio.create_task(self.poller.run()), asyncio.create_task(self.book.run())]
        try:
            async with asyncio.timeout(20):
                await self.poller.ready.wait()
                for port in ("Ethernet2", "Ethernet3", "Ethernet1"):
                    await self.poller.read_now(port)
                yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def wear(self, source: int, laser: int) -> None:
        """A laser (from 1) of a source can give no more light."""
        ramp = self.switch.ports[source - 1].module.behaviour.ageing[laser] = Ramp()
        ramp.go(to=3.0, over_s=0.0, now=0.0)

    async def read(self, *ports: str) -> None:
        """Poll these now, and let a sample of the fakes pass."""
        await asyncio.sleep(0.25)
        for port in ports:
            await self.poller.read_now(port)

    async def alert(self, rule: str, port: str = "") -> AlertEvent:
        """The first alert of a rule whose name begins so; it may wait a moment for company."""
        while True:
            for alert in self.alerts:
                if alert.rule.startswith(rule) and port in ("", alert.port):
                    return alert
            await asyncio.sleep(0.02)

    def last(self, port: str) -> Reading:
        reading = self.hub.local.ports[port].reading
        assert reading is not None, port
        return reading


def bytes_read(log: Iterable[Message]) -> Counter[tuple[int, int, int]]:
    """How often each byte was read: bank, page (lower memory: -1), offset. Selects read back are left out."""
    seen: Counter[tuple[int, int, int]] = Counter()
    bank = page = at = 0
    for message in log:
        data = message.data
        if not message.read:
            at = data[0]
            if at == 126 and len(data) == 3:
                bank, page = data[1:]
            elif at == 127 and len(data) == 2:
                page = data[1]
            continue
        for offset in range(at, at + len(data)):
            if offset not in (126, 127):
                seen[(bank if page >= 0x10 else 0, page, offset) if offset >= 128 else (0, -1, offset)] += 1
    return seen


async def test_each_byte_is_read_once_however_many_ports_share_the_engine() -> None:
    bench = Bench()
    async with bench.running():
        adapter = bench.switch.ports[0].adapter
        adapter.log = deque(maxlen=100_000)
        bench.readings.clear()
        await bench.poller.read_now("swp8")
        assert bench.readings == {"Ethernet1": 1, **{f"swp{n}": 1 for n in range(1, 9)}}
        counts = bytes_read(adapter.log)
        assert set(counts.values()) == {1}
        lanes = [(bank, 0x11, offset) for bank in range(4) for offset in range(154, 202)]
        assert all(counts[byte] == 1 for byte in lanes)
        blocks = [len(message.data) for message in adapter.log if message.read and len(message.data) > 2]
        assert blocks == [29, 76, 76, 76, 76]  # lower memory, page 11h of four banks


async def test_a_port_has_its_own_lanes_counted_from_one() -> None:
    bench = Bench()
    async with bench.running():
        module = bench.switch.ports[0].module
        written = module.get(Span(154, 48, 0x11, 1))
        port = bench.last("swp3")  # lanes 9 to 12: the first four of bank 1
        want = {n: int.from_bytes(written[2 * n - 2 : 2 * n], "big") / 1e7 for n in range(1, 5)}
        assert port.lanes[q.TX_POWER] == pytest.approx(want, rel=0.05)  # the fake measures anew for each read
        assert (port.engine, port.engine_lanes) == ("Ethernet1", (9, 10, 11, 12))
        assert port.data_path_states == dict.fromkeys(range(1, 5), 4)
        assert port.lane_applications == dict.fromkeys(range(1, 5), 1)
        assert port.lane_flags[q.RX_LOS] == LaneFlags(0b1111, 0)
        assert {(s.observable, s.lane) for s in port.vdm if s.observable == "snr_media_input"} == {
            ("snr_media_input", n) for n in range(1, 5)
        }
        assert port.module.get("host_lanes") == port.module.get("media_lanes") == 4
        assert port.module.get("part_number") == "LW-OE-32DR"
        assert port.values[q.TEMPERATURE] == bench.last("Ethernet1").values[q.TEMPERATURE]
        assert [(feed.source, feed.laser.laser) for feed in port.fed_by] == [("Ethernet2", 5), ("Ethernet2", 6)]
        engine = bench.last("Ethernet1")
        assert (engine.lanes, engine.lane_flags, engine.vdm) == ({}, {}, ())
        document = to_document(port)
        assert document.get("engine") == {"port": "Ethernet1", "lanes": [9, 10, 11, 12]}
        assert [lane.get("lane") for lane in document["lanes"]] == [1, 2, 3, 4]
        fed = document.get("fed_by", [])
        assert (fed[0]["source"], fed[0]["laser"], fed[0]["state"]) == ("Ethernet2", 5, "on")
        assert fed[0]["feeds"] == ["swp3"]


async def test_a_laser_fault_names_every_port_that_it_darkens() -> None:
    bench = Bench("""
[[port]]
name = "swp1"
engine = "Ethernet1"
lanes = "1-2"
els = ["Ethernet2:1"]
[[port]]
name = "swp2"
engine = "Ethernet1"
lanes = [3, 4]
els = ["Ethernet2:1-2"]
[[port]]
name = "swp3"
engine = "Ethernet1"
lanes = "5-32"
els = ["Ethernet2:3-8", "Ethernet3"]
""")
    async with bench.running():
        bench.wear(2, 1)
        await bench.read("Ethernet2", "Ethernet1")
        fault = await bench.alert("laser_fault")
        assert (fault.port, fault.lane, fault.state) == ("Ethernet2", 1, "firing")
        assert fault.evidence["ports"] == ["swp1", "swp2"]
        assert "it lights swp1, swp2" in fault.summary
        assert [laser.feeds for laser in bench.last("Ethernet2").lasers[:3]] == [
            ("swp1", "swp2"), ("swp2",), ("swp3",),
        ]  # fmt: skip
        assert bench.engines.blame("swp1") == "laser 1 of Ethernet2 reports a fault"
        assert bench.engines.blame("swp3") == ""
        # The laser lights lanes 1 and 2 of the engine: the port that lost its light knows why.
        dark = await bench.alert("tx_power_low", "swp1")
        assert dark.cause == "laser 1 of Ethernet2 reports a fault"


async def test_a_source_that_is_pulled_names_its_ports_and_they_know_why_they_are_dark() -> None:
    bench = Bench()
    async with bench.running():
        bench.switch.ports[2].module.remove()
        for _ in range(4):
            await bench.read("Ethernet3")
        await bench.read("Ethernet1")
        gone = await bench.alert("module_absent")
        assert gone.port == "Ethernet3"
        assert gone.evidence["ports"] == ["swp5", "swp6", "swp7", "swp8"]
        assert bench.engines.blame("swp5") == "the laser source Ethernet3 is gone"
        assert bench.last("swp5").fed_by == ()
        assert bench.engines.blame("swp4") == ""


async def test_what_the_engine_says_as_a_whole_is_one_alert_that_names_its_ports() -> None:
    bench = Bench()
    async with bench.running():
        bench.switch.ports[0].module.behaviour.heat.go(to=40.0, over_s=0.0, now=0.0)
        await bench.read("Ethernet1")
        await bench.read("Ethernet1")  # such a jump is believed when the next reading repeats it
        hot = await bench.alert("temperature_high")
        assert hot.port == "Ethernet1"
        assert hot.evidence["ports"] == [f"swp{n}" for n in range(1, 9)]
        assert "it carries swp1, swp2, swp3" in hot.summary
        assert {alert.port for alert in bench.alerts if "temperature" in alert.rule} == {"Ethernet1"}
        assert bench.last("swp1").values[q.TEMPERATURE] > 75


async def test_an_engine_that_cannot_be_read_takes_its_ports_along() -> None:
    bench = Bench()
    async with bench.running():
        bench.switch.ports[0].module.remove()
        for _ in range(4):
            await bench.read("Ethernet1")
        assert [bench.hub.local.ports[f"swp{n}"].present for n in range(1, 9)] == [False] * 8
        assert bench.hub.local.ports["swp1"].reading is None
        answer = await bench.poller.read_now("swp4")
        assert isinstance(answer, PollFailed)
        assert answer.port == "swp4"


async def test_polls_out_of_turn_reach_the_engine_of_a_port() -> None:
    bench = Bench()
    async with bench.running():
        answer = await bench.poller.read_now("swp2")
        assert answer.port == "swp2"
        bench.poller.fast("swp2", period_s=0.05, duration_s=0.5)
        bench.readings.clear()
        await asyncio.sleep(0.4)
        assert bench.readings["swp2"] > 2
        assert {"Ethernet1", "Ethernet2", "Ethernet3", "swp1", "swp8"} <= set(bench.poller.ports)


# -- the division itself -----------------------------------------------------------------------------------------

FR4 = Application(code=1, host_lanes=4, media_lanes=1, host_lane_assignment=0x11, media_lane_assignment=0x03)
WIDE = Application(code=2, host_lanes=8, media_lanes=2, host_lane_assignment=0x01, media_lane_assignment=0x04)


def engine(**changes: object) -> Reading:
    whole = Reading(
        "leaf", "oe", "i2c:1", 1.0, Module(applications=[FR4, WIDE], host_lanes=16, media_lanes=16, banks=2),
        lanes={q.TX_POWER: {1: 0.1, 2: 0.2, 9: 0.9, 10: 1.0}, q.HOST_SNR: {n: 20.0 + n for n in range(1, 17)}},
        lane_flags={q.TX_FAULT: LaneFlags(0b11_0000_0011, 0b10_0000_0010), q.TX_LOS: LaneFlags(0xFFFF, 0x8010)},
        lane_applications=dict.fromkeys(range(1, 9), 1) | dict.fromkeys(range(9, 17), 2),
        vdm=(VdmSample("snr_media_input", 2, 1, 19.0, "dB"), VdmSample("snr_host_input", 5, 1, 25.0, "dB"),
             VdmSample("vcc12_voltage", 0, 1, 12.0, "V")),
        flags={q.MODULE_STATE_CHANGED: True}, errors=(Trouble("x", "y"),),
    )  # fmt: skip
    return replace(whole, **changes)  # type: ignore[arg-type]  # fields of the reading


def test_data_paths_follow_the_active_applications() -> None:
    assert list(data_paths(engine())) == [
        ((1, 2, 3, 4), (1,)),
        ((5, 6, 7, 8), (2,)),
        (tuple(range(9, 17)), (11, 12)),  # two media lanes from the third of bank 1 on
    ]
    assert list(data_paths(engine(lane_applications={}))) == []
    unknown = engine(module=Module(media_lanes=16), lane_applications={3: 7, 4: 7, 12: 7})
    assert list(data_paths(unknown)) == [((3, 4), (3, 4)), ((12,), (12,))]


def test_host_and_media_side_are_cut_apart() -> None:
    parts = Engines([Share("p{lane}", "oe")]).divide(engine())
    readings = {each.port: each for each in parts if isinstance(each, Reading)}
    assert list(readings) == ["oe", "p1", "p5", "p9"]
    second = readings["p5"]
    assert second.lanes == {q.TX_POWER: {1: 0.2}, q.HOST_SNR: {1: 25.0, 2: 26.0, 3: 27.0, 4: 28.0}}
    assert second.lane_flags == {q.TX_FAULT: LaneFlags(1, 1), q.TX_LOS: LaneFlags(0b1111, 0b0001)}
    assert [(s.observable, s.lane, s.value) for s in second.vdm] == [
        ("snr_media_input", 1, 19.0),
        ("snr_host_input", 1, 25.0),
    ]
    assert (second.flags, second.errors) == ({}, ())
    rest = readings["oe"]
    assert rest.lanes == {q.TX_POWER: {9: 0.9, 10: 1.0}}  # media lanes that no data path has
    assert rest.lane_flags == {q.TX_FAULT: LaneFlags(0b11_0000_0000, 0b10_0000_0000)}
    assert [sample.observable for sample in rest.vdm] == ["vcc12_voltage"]
    assert rest.flags == {q.MODULE_STATE_CHANGED: True}


def test_what_stays_is_made_once() -> None:
    engines = Engines([Share("p{lane}", "oe")])
    whole = engine()
    before = engines.divide(whole)[1]
    after = engines.divide(replace(whole, time=2.0))[1]
    assert isinstance(before, Reading)
    assert isinstance(after, Reading)
    for name in ("module", "lane_flags", "vdm", "lane_applications", "thresholds"):
        assert getattr(before, name) is getattr(after, name)


def test_ports_come_and_go_with_the_data_paths() -> None:
    engines = Engines([Share("p{lane}", "oe", els=(Lasers("els"),))])
    engines.divide(engine())
    version = engines.version
    changed = engines.divide(engine(lane_applications=dict.fromkeys(range(1, 9), 2)))
    assert [each for each in changed if isinstance(each, PortForgotten)] == [
        PortForgotten("leaf", "p5"),
        PortForgotten("leaf", "p9"),
    ]
    assert engines.ports == ("p1",)
    assert engines.version > version


def test_lasers_light_an_engine_in_the_order_of_their_fibres() -> None:
    def lit(*fibers: int) -> dict[str, list[int]]:
        engines = Engines([Share("p{lane}", "oe", els=(Lasers("els"),))])
        lasers = tuple(Laser(number, "on", fiber=fiber) for number, fiber in enumerate(fibers, 1))
        engines.divide(Reading("leaf", "els", "i2c:2", 1.0, Module(), lasers=lasers))
        parts = [each for each in engines.divide(engine()) if isinstance(each, Reading)]
        return {each.port: [feed.laser.laser for feed in each.fed_by] for each in parts if each.port != "oe"}

    assert lit(0, 0) == {"p1": [1], "p5": [1], "p9": [2]}  # 16 media lanes, 8 for each laser
    assert lit(2, 1) == {"p1": [2], "p5": [2], "p9": [1]}
    assert lit(2, 0) == {"p1": [1], "p5": [1], "p9": [2]}  # it does not say it of all
    assert lit(1, 1) == {"p1": [1], "p5": [1], "p9": [2]}  # two wavelengths on one fibre


def test_a_whole_engine_is_a_port_that_knows_its_lasers() -> None:
    engines = Engines([Share("oe", "oe", els=(Lasers("els", (2,)),))])
    lasers = (Laser(1, "on"), Laser(2, "off", enabled=True))
    (source,) = engines.divide(Reading("leaf", "els", "i2c:2", 1.0, Module(), lasers=lasers))
    assert isinstance(source, Reading)
    assert [laser.feeds for laser in source.lasers] == [(), ("oe",)]
    whole = engine()
    (same,) = engines.divide(whole)
    assert isinstance(same, Reading)
    assert (same.lanes, same.errors) == (whole.lanes, whole.errors)
    assert [feed.laser.state for feed in same.fed_by] == ["off"]
    assert engines.blame("oe") == "laser 2 of els is off"
    assert engines.ports == ()


def test_events_of_the_engine_reach_its_ports_and_others_pass() -> None:
    engines = Engines([Share("a", "oe", (1, 2)), Share("b", "oe", (3, 4))])
    event = ModuleEvent("leaf", "oe", 1.0, ModuleChange.REMOVED, Module(), Module())
    assert [each.port for each in engines.divide(event) if isinstance(each, ModuleEvent)] == ["oe", "a", "b"]
    other = replace(event, port="swp9")
    assert list(engines.divide(other)) == [other]
    assert list(Engines().divide(other)) == [other]
    assert engines.groups() == {"engine oe": ("oe", "a", "b")}
    assert [engines.engine_of(port) for port in ("a", "oe", "swp9")] == ["oe", "oe", "swp9"]


def test_ports_of_one_laser_fail_together() -> None:
    one, both = Lasers("els", (2,)), Lasers("els", (1, 2))
    engines = Engines([Share("a", "oe", (1, 2), els=(both,)), Share("b", "oe", (3, 4), els=(one,))])
    assert engines.groups()["laser els:2"] == ("a", "b")
    assert "laser els:1" not in engines.groups()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "p"\nengine = "oe"', r"port\[0\]: give its lanes, or a name with"),
        ('name = "p"\nengine = "oe"\nlanes = "4-1"', r"port\[0\]\.lanes: '4-1' are no numbers"),
        ('name = "p"\nengine = "oe"\nlanes = "0-3"', r"port\[0\]\.lanes.*greater than or equal to 1"),
        ('name = "p"\nengine = "oe"\nlanes = [1, 1]', "a lane is there twice"),
        ('name = "p"\nengine = "oe"\nlanes = "1"\nels = ["x:y"]', "'y' are no numbers"),
        ('name = "p"\nengin = "oe"', "unknown key, did you mean 'engine'"),
        (
            'name = "p"\nengine = "oe"\nlanes = "1-4"\n[[port]]\nname = "r"\nengine = "oe"\nlanes = "4-8"',
            "lane 4 of engine 'oe': in ports 'p' and 'r'",
        ),
    ],
)
def test_mistakes_in_the_config_are_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.parse(f"[[port]]\n{text}\n", name="test")
