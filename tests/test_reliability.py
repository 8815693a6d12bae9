"""Faults that no other test has, and that docs/reliability.md names tests that exist."""

import ast
import asyncio
import datetime as dt
import json
import random
import re
import resource
import signal
import socket
import sqlite3
import time
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent import maps
from agent import quantities as q
from agent.memory import Span
from agent.modules.session import ModuleSession
from agent.sources import Options
from drivers.i2c.cages import I2cDriver
from exporters.mqtt.outbox import Limits, Outbox
from fakes.module import FakeModule
from fakes.scenario import load
from fakes.switch import FakePort, FakeSwitch
from tests import mosquitto
from tests.conftest import ROOT
from tests.daemon_process import DaemonProcess, running, write_config
from tests.test_mqtt import daemon as mqtt_daemon

DOCUMENT = ROOT / "docs" / "reliability.md"


# -- the document -----------------------------------------------------------------------------------------------


def test_every_test_of_the_table_exists() -> None:
    named = re.findall(r"`(tests/\w+\.py)::(test_\w+)`", DOCUMENT.read_text(encoding="utf-8"))
    assert len(named) > 40
    missing = [f"{file}::{name}" for file, name in named if name not in _tests_of(file)]
    assert missing == []


def _tests_of(file: str) -> set[str]:
    path = ROOT / file
    if not path.exists():
        return set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


# -- modules ----------------------------------------------------------------------------------------------------


class Cage:
    """The first port of a quiet simulated switch through driver and maps, on a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        scenario = load("quiet")
        kinds = [index for index, name in enumerate(scenario.modules, 1) if "dr4" in name]
        switch = FakeSwitch(max(kinds), scenario, clock=lambda: self.now)
        self.port: FakePort = switch.port(kinds[0])
        driver = I2cDriver(calls=switch.kernel, sys=Path("/nonexistent"), owner=lambda: "")
        self.session = ModuleSession(
            driver.open(self.port.path, Options({}, of="test")).memory,
            identify=maps.Maps(()).identify,
            clock=lambda: self.now,
            sleep=self._sleep,
        )

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


def _advertise(module: FakeModule, *, set_bits: int, clear_bits: int = 0) -> None:
    """Change the pages that a module says it has (page 01h byte 142, CMIS 5.2 8.4.4), and the checksum with it."""
    pages = module.get(Span(142, 1, page=0x01))[0]
    module.put(Span(142, 1, page=0x01), bytes((pages & ~clear_bits | set_bits,)))
    checked = module.get(Span(130, 125, page=0x01))
    module.put(Span(255, 1, page=0x01), bytes((sum(checked) % 256,)))


def test_a_module_that_claims_banks_it_does_not_have() -> None:
    cage = Cage()
    _advertise(cage.port.module, set_bits=0x02, clear_bits=0x03)  # 4 banks
    refresh = cage.session.refresh()
    assert refresh.values is not None, refresh.failure
    assert sorted(refresh.values.lanes[q.TX_POWER])[:4] == [1, 2, 3, 4]
    assert max(refresh.values.lanes[q.TX_POWER]) <= 8
    assert q.TEMPERATURE in refresh.values.values
    assert {trouble.reason for trouble in (*refresh.troubles, *refresh.values.errors)} == {"page_refused"}


def test_a_module_that_advertises_pages_it_does_not_have() -> None:
    cage = Cage()
    _advertise(cage.port.module, set_bits=0x40)  # VDM
    refresh = cage.session.refresh()
    assert refresh.values is not None, refresh.failure
    assert sorted(refresh.values.lanes[q.RX_POWER]) == [1, 2, 3, 4]
    assert refresh.values.vdm == ()


# -- the process ------------------------------------------------------------------------------------------------


def test_sigterm_at_any_moment(tmp_path: Path) -> None:
    """At any moment of the start and of the run: a clean end, or, before there is anything to end, a plain one."""
    moments = random.Random(7)
    for delay_s in [0.0, *(moments.uniform(0.1, 3.0) for _ in range(6))]:
        config, port = write_config(tmp_path)
        daemon = DaemonProcess(config, port)
        time.sleep(delay_s)
        began = time.monotonic()
        code = daemon.end(signal.SIGTERM)
        assert time.monotonic() - began < 6
        assert code == 0 or (code == -signal.SIGTERM and not list((tmp_path / "state").iterdir())), delay_s
        assert "Traceback" not in daemon.said
        for file in (tmp_path / "state").iterdir():
            file.unlink()


def test_sigkill_at_any_moment(tmp_path: Path) -> None:
    """Whatever was being written: the next run takes up what it finds, and no file is broken."""
    moments = random.Random(8)
    broker = '[exporter.mqtt]\nurl = "mqtt://127.0.0.1:1"\n'  # nobody there: everything waits
    for delay_s in [moments.uniform(1.5, 5.0) for _ in range(5)]:
        daemon = DaemonProcess(*write_config(tmp_path, more=broker, scenario="storm"))
        time.sleep(delay_s)
        assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
        for file in (tmp_path / "state").glob("*.json"):
            json.loads(file.read_text())
    with running(tmp_path, more=broker, scenario="storm") as daemon:
        assert "start anew" not in daemon.said
    assert list((tmp_path / "state").glob("*.bad")) == []
    store = sqlite3.connect(tmp_path / "state" / "mqtt-outbox.db")
    try:
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        store.close()


def test_a_config_broken_on_reload_changes_nothing(tmp_path: Path) -> None:
    with running(tmp_path, scenario="quiet") as daemon:
        config = tmp_path / "opticd.toml"
        good = config.read_text()
        config.write_text(good.replace("poll_interval", "pol_interval"))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until(lambda: daemon.metric("opticd_config_reload_success") == [0.0])
        assert "did you mean 'poll_interval'?" in daemon.said
        assert daemon.metric("xcvr_up") == [1.0] * 4
        before = daemon.metric("xcvr_last_success_timestamp_seconds")
        daemon.until(lambda: min(daemon.metric("xcvr_last_success_timestamp_seconds")) > max(before))
        config.write_text(good)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until(lambda: daemon.metric("opticd_config_reload_success") == [1.0])


def test_out_of_file_descriptors(tmp_path: Path) -> None:
    """Callers eat every descriptor: polling goes on, and so does serving once they are gone."""
    with running(tmp_path, limits={resource.RLIMIT_NOFILE: 64}, scenario="quiet") as daemon:
        before = max(daemon.metric("xcvr_last_success_timestamp_seconds"))
        with ExitStack() as crowd:
            for _ in range(100):
                crowd.enter_context(socket.create_connection(("127.0.0.1", daemon.port), timeout=5))
            time.sleep(3.0)
            assert daemon.process.poll() is None
        daemon.until(lambda: daemon.metric("xcvr_last_success_timestamp_seconds"))
        assert min(daemon.metric("xcvr_last_success_timestamp_seconds")) > before
        assert daemon.metric("xcvr_up") == [1.0] * 4
        assert len(daemon.said.splitlines()) < 50


def test_no_descriptor_is_left_for_a_caller(tmp_path: Path) -> None:
    """Fewer than at the start are allowed from now on: said once, in a line."""
    with running(tmp_path, scenario="quiet") as daemon:
        most = len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir())) + 5
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (most, most))
        with ExitStack() as crowd:
            for _ in range(40):
                crowd.enter_context(socket.create_connection(("127.0.0.1", daemon.port), timeout=5))
            time.sleep(3.0)
        daemon.until(lambda: daemon.metric("xcvr_last_success_timestamp_seconds"))
        assert daemon.metric("xcvr_up") == [1.0] * 4
        assert daemon.said.count("socket.accept()") == 1


def test_a_full_disk_under_the_state_files(tmp_path: Path) -> None:
    """Said once for each file, not once for each try; everything else works."""
    write_config(tmp_path)
    for name in ("links", "alerts", "ports"):
        (tmp_path / "state" / f"{name}.new").symlink_to("/dev/full")
    with running(tmp_path, scenario="flapping") as daemon:
        daemon.until(lambda: sum(daemon.metric("xcvr_link_transitions_total")) >= 4)
        assert daemon.metric("xcvr_module_present") == [1.0] * 4
    for name in ("links", "alerts", "ports"):
        assert len(re.findall(rf"{name}\.json: .*will not survive a restart: No space left", daemon.said)) == 1


def test_broken_state_files_are_put_aside_together(tmp_path: Path) -> None:
    broker = '[exporter.mqtt]\nurl = "mqtt://127.0.0.1:1"\n'
    state = tmp_path / "state"
    state.mkdir()
    noise = random.Random(9)
    for name in ("links.json", "alerts.json", "ports.json", "mqtt-outbox.db"):
        (state / name).write_bytes(noise.randbytes(5000))
    with running(tmp_path, more=broker) as daemon:
        daemon.until(lambda: daemon.metric("xcvr_up") == [1.0] * 4)
    assert {file.name for file in state.glob("*.bad")} == {
        "links.bad", "alerts.bad", "ports.bad", "mqtt-outbox.db.bad"
    }  # fmt: skip


# -- broker -----------------------------------------------------------------------------------------------------


@mosquitto.needs_mosquitto
async def test_a_broker_whose_certificate_expired(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _expired(tmp_path)
    options = ("allow_anonymous true", f"certfile {tmp_path}/server.crt", f"keyfile {tmp_path}/server.key")
    async with mosquitto.running(tmp_path, *options) as broker:
        url = f"mqtts://127.0.0.1:{broker.port}"
        async with mqtt_daemon(url, tmp_path, ca_file=tmp_path / "server.crt") as agent:
            agent.heat(80.0)
            await mosquitto.eventually(lambda: "certificate has expired" in caplog.text)
            await asyncio.sleep(1.0)
            assert not agent.exporter.connected
            assert agent.exporter.outbox_messages == 1
            said = [record for record in caplog.records if record.name == "exporters.mqtt.exporter"]
            assert len(said) == 1


def _expired(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=30))
        .not_valid_after(now - dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    kind = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())
    (folder / "server.key").write_bytes(secret)


# -- clock ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (0.0, 1_800_000_000.0),  # no battery behind the clock: 1970 until the network answers
        (1_800_000_000.0, 1_800_086_400.0),
        (1_800_000_000.0, 1_799_913_600.0),
    ],
)
async def test_a_leap_of_the_wall_clock_drops_no_message(tmp_path: Path, first: float, then: float) -> None:
    now = first
    outbox = Outbox(tmp_path / "outbox.db", limits=Limits(), clock=lambda: now)
    await outbox.open()
    outbox.put("opticd/leaf-17", "", 0, "firing", b"before")
    assert len(await outbox.fetch(0, 10)) == 1
    now = then
    outbox.put("opticd/leaf-17", "", 0, "firing", b"after")
    assert [message.payload for message in await outbox.fetch(0, 10)] == [b"before", b"after"]
    assert outbox.messages == 2
    assert not outbox.dropped
    await outbox.close()
