"""What a start and a port cost, counted: imports and sharing. Nothing here is timed."""

import json
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest

from agent.baselines.baseline import Baselines
from agent.maps import identify
from agent.modules.session import ModuleSession
from agent.sources import Options
from agent.state import Hub
from benchmarks.synthetic import Switch
from drivers.i2c.bus import LinuxI2cBus
from drivers.i2c.paged import PagedMemory
from drivers.sysfs import SysfsDriver
from exporters.prometheus.exposition import Exposition
from fakes.adapter import FakeAdapter
from fakes.i2cdev import FakeI2cDev
from fakes.live import LiveModule
from fakes.products import PRODUCTS

ROOT = Path(__file__).resolve().parent.parent

# ---- imports and sharing --------------------------------------------------------------------------------------

NEVER = {
    "aiohttp", "amqtt", "bcrypt", "cryptography", "drivers.snmp",
    "fakes", "multiprocessing", "pyroute2", "pysnmp", "redis", "rich", "serial", "unittest", "yaml",
}  # fmt: skip
"""Packages that a daemon with one EEPROM file and both exporters has no use for."""


def imported(program: str, *arguments: str) -> set[str]:
    """The modules that a program has when it ends, which it prints as its last line."""
    code = f"{program}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    command = (sys.executable, "-c", code, *arguments)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def with_parents(names: Iterable[str]) -> set[str]:
    return {name[:at] for name in names for at in (*(i for i, c in enumerate(name) if c == "."), len(name))}


def test_the_version_is_said_without_the_daemon() -> None:
    program = "import contextlib\nfrom agent.cli import main\nwith contextlib.suppress(SystemExit):\n    main()"
    names = imported(program, "--version")
    assert not names & {
        "asyncio",
        "pydantic",
        "h11",
        "ssl",
        "agent.service.app",
        "agent.model",
        "tomllib",
        "logging",
    }
    assert {name for name in names if name.split(".")[0] in {"agent", "drivers", "exporters", "fakes"}} <= {
        "agent",
        "agent.cli",
        "agent.errors",
        "agent.helptexts",
        "agent.version",
    }


IDLE = """
import asyncio, sys
from pathlib import Path
from agent.service import app
from agent.config import file as config

async def main():
    daemon = app.Daemon(config.load(Path(sys.argv[1])), path=Path(sys.argv[1]))
    running = asyncio.create_task(daemon.run())
    while not daemon.poller or not daemon.poller.ready.is_set():
        await asyncio.sleep(0.02)
        assert not running.done(), running
    reader, writer = await asyncio.open_connection(*daemon.addresses[0])
    writer.write(b"GET /metrics HTTP/1.0\\r\\nAccept-Encoding: gzip\\r\\n\\r\\n")
    assert b" 200 " in await reader.readline()
    await reader.read()
    writer.close()
    daemon.stop()
    await running

asyncio.run(main())
"""


def test_an_idle_daemon_imports_what_it_uses(tmp_path: Path) -> None:
    """One EEPROM file, Prometheus and MQTT; a scrape was answered."""
    device = tmp_path / "i2c-1" / "1-0050"
    device.mkdir(parents=True)
    (device / "eeprom").write_bytes(bytes((0x03, 0x04)) + bytes(254))
    file = tmp_path / "opticd.toml"
    file.write_text(
        f'[agent]\ndevice = "x"\nstate_dir = "{tmp_path}"\n[[source]]\ntype = "sysfs"\npath = "{device}/eeprom"\n'
        '[exporter.prometheus]\nlisten = "127.0.0.1:0"\n[exporter.mqtt]\nurl = "mqtt://127.0.0.1:9"\n'
    )
    names = imported(IDLE, str(file))
    assert {"exporters.http.server", "exporters.mqtt.exporter", "h11", "drivers.sysfs"} <= names
    assert not with_parents(names) & NEVER


def session_of(product: str, serial: str) -> ModuleSession:
    """A module that was refreshed once."""
    module = LiveModule(PRODUCTS[product], serial=serial, rng=random.Random(serial), clock=lambda: 1000.0)
    calls = FakeI2cDev({"/dev/i2c-7": FakeAdapter(module, log_limit=0)})
    memory = PagedMemory(LinuxI2cBus("7", calls=calls), sleep=lambda _: None)
    session = ModuleSession(memory, identify=identify)
    assert session.refresh().values is not None
    return session


@pytest.mark.parametrize("product", ["sfp-10g-lr", "qsfp28-100g-cwdm4", "osfp-2x400g-dr4"])
def test_modules_of_a_kind_share_their_plans_and_thresholds(product: str) -> None:
    """They differ in their serial number and in every value."""
    one, other = session_of(product, "AA1").description, session_of(product, "BB2").description
    assert one is not None
    assert other is not None
    assert one.module.get("serial_number") != other.module.get("serial_number")
    assert one.thresholds
    assert one.thresholds is other.thresholds
    for slow in (False, True):
        plans = one.plan(slow=slow), other.plan(slow=slow)
        assert plans[0] is not plans[1]  # each remembers the flags of its own module
        assert plans[0].spans is plans[1].spans


def test_modules_whose_flags_and_settings_are_equal_share_them() -> None:
    readings = [session_of("osfp-2x400g-dr4", serial).refresh().values for serial in ("AA1", "BB2")]
    one, other = (values for values in readings if values is not None)
    assert one.lane_flags
    assert one.lane_flags is other.lane_flags
    assert one.flags is other.flags
    assert one.lane_applications
    assert one.lane_applications is other.lane_applications
    assert one.tx_disabled is other.tx_disabled
    assert one.lanes != other.lanes


def test_modules_of_a_kind_share_their_applications() -> None:
    one, other = (session_of("osfp-2x400g-dr4", serial).last_module for serial in ("AA1", "BB2"))
    assert one.get("applications")
    assert one.get("applications") is other.get("applications")
    assert one.get("serial_number") != other.get("serial_number")


def test_ports_of_a_kind_share_the_columns_of_their_baselines() -> None:
    baselines = Baselines()
    for reading in Switch(ports=2).readings(1.8e9):
        baselines.observe(reading)
    one, other = baselines.ports.values()
    assert ("tx_bias", 8) in one.keys
    assert one.keys is other.keys
    assert list(one.samples.data) != list(other.samples.data)


def test_what_the_text_of_a_port_holds() -> None:
    """One block a column that differs among ports; what all of them say stands there once."""
    hub = Hub("leaf-17")
    exposition = Exposition(hub)
    held: list[tuple[int, int]] = []
    tracemalloc.start()
    try:
        for ports in (20, 40, 60):
            for reading in list(Switch(ports=ports, bare=True).readings(1.8e9)):
                hub.publish(reading)
            exposition.pieces("leaf-17", openmetrics=False)
            mine = tracemalloc.Filter(True, "*/exporters/*.py")
            kept = tracemalloc.take_snapshot().filter_traces((mine,)).statistics("filename")
            held.append((sum(each.count for each in kept), sum(each.size for each in kept)))
    finally:
        tracemalloc.stop()
    samples = exposition.series("leaf-17") / 60
    text = sum(piece.size for piece in exposition.pieces("leaf-17", openmetrics=False)) / 60
    assert samples > 100
    (_, _), (blocks, size), (more_blocks, more_size) = held
    assert (more_blocks - blocks) / 20 < 25
    # The joined text is still there, since nobody has compressed it; beside it less than as much again.
    assert (more_size - size) / 20 - text < text


def test_who_owns_modules_is_looked_up_once_for_all_cages(tmp_path: Path) -> None:
    asked: list[str] = []

    def owner() -> str:
        asked.append("once")
        return "xcvrd"

    driver = SysfsDriver(owner=owner)
    owners = [driver.open(str(tmp_path / name), Options({}, of=name)).owner for name in ("a", "b", "c")]
    assert owners == ["xcvrd"] * 3
    assert asked == ["once"]
