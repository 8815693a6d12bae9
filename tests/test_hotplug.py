"""Nobody configures it and nobody restarts it: what is plugged in while the daemon runs is read, and goes again."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fakes.images import image
from fakes.products import PRODUCTS
from tests.conftest import ROOT
from tests.daemon_process import DaemonProcess
from tests.mosquitto import free_port
from tests.netns import Namespace, namespace, needs_root

RUN = "import sys; sys.path.append({site!r}); from agent.cli import main; sys.exit(main(['run']))"
SCRAPE = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:10800/metrics', timeout=5).read().decode())"


class Unconfigured:
    """`opticd run` without a config in a namespace, where `tests/hotplug_card.py` stands for the cards."""

    def __init__(self, ns: Namespace, site: Path, log: Path) -> None:
        self._ns = ns
        self.log = log
        with log.open("w", encoding="utf-8") as output:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", ns.name, sys.executable, "-c", RUN.format(site=str(site))],
                stderr=output, cwd=ROOT,
            )  # fmt: skip

    def metrics(self) -> str:
        done = subprocess.run(
            ["ip", "netns", "exec", self._ns.name, sys.executable, "-c", SCRAPE],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout

    def until(self, condition: Callable[[str], bool], *, within_s: float = 20.0) -> None:
        end = time.monotonic() + within_s
        while not condition(text := self.metrics()):
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            assert time.monotonic() < end, (text[-2000:], self.log.read_text(encoding="utf-8"))
            time.sleep(0.1)


@contextmanager
def unconfigured(ns: Namespace, folder: Path) -> Generator[Unconfigured]:
    site = folder / "site"
    described = site / "hotplug_card-1.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: hotplug-card\nVersion: 1.0\n", encoding="utf-8"
    )
    (described / "entry_points.txt").write_text(
        "[opticd.drivers]\nethtool = tests.hotplug_card:driver\n", encoding="utf-8"
    )
    daemon = Unconfigured(ns, site, folder / "log")
    try:
        yield daemon
    finally:
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(10) == 0, daemon.log.read_text(encoding="utf-8")


@needs_root
@pytest.mark.skipif(Path("/etc/opticd/opticd.toml").exists(), reason="this host has a config of its own")
def test_a_network_card_that_comes_and_goes(tmp_path: Path) -> None:
    with namespace() as ns:
        ns.ip("link set lo up")
        with unconfigured(ns, tmp_path) as daemon:
            daemon.until(lambda text: "opticd_build_info" in text)
            ns.pair("swp1", "far1")
            daemon.until(lambda text: 'xcvr_module_present{port="swp1"} 1' in text)
            text = daemon.metrics()
            assert 'serial_number="SWP1"' in text or 'serial="SWP1"' in text
            assert 'xcvr_link_up{port="swp1"} 1' in text
            ns.pair("swp2", "far2")
            daemon.until(lambda text: 'xcvr_module_present{port="swp2"} 1' in text)
            ns.ip("link del swp1")
            daemon.until(lambda text: 'port="swp1"' not in text and 'port="swp2"' in text)


HEAD = """
[agent]
sys_root = "{sys}"

[exporter.prometheus]
listen = "127.0.0.1:{port}"

"""
PATTERN = """
[[source]]
type = "sysfs"
path = "{sys}/bus/i2c/devices/*-0050/eeprom"
"""
LOOK = """
import sys
from pathlib import Path
from agent.service import app
from agent.commands.run import log_to_stderr
from agent.config.file import parse
from drivers.discovery import default_config

def look():
    return parse(Path({head!r}).read_text() + default_config(sys=Path({sys!r})), name="discovery")

log_to_stderr(debug=False)
sys.exit(app.run(look(), look_again=look))
"""


class Looking(DaemonProcess):
    """What `opticd run` without a config does, on a tree of the test's own."""

    def __init__(self, config: Path, port: int, root: Path) -> None:
        self.port = port
        self.log = config.with_suffix(".log")
        self._output = self.log.open("a", encoding="utf-8")
        script = LOOK.format(head=str(config), sys=str(root))
        self.process = subprocess.Popen([sys.executable, "-c", script], stderr=self._output, cwd=ROOT)


def linear(serial: str) -> bytes:
    """A module as optoe's file shows it."""
    memory = image(PRODUCTS["qsfpdd-400g-fr4"], serial=serial)
    data = bytearray(128 * 0x30)
    for span in memory.spans():
        at = span.offset + 128 * span.page if span.upper else span.offset
        data[at : at + span.length] = memory.get(span) or b""
    return bytes(data)


@pytest.mark.parametrize("configured", [True, False])
def test_an_eeprom_file_that_comes_and_goes(configured: bool, tmp_path: Path) -> None:
    root, port, config = tmp_path / "sys", free_port(), tmp_path / "opticd.toml"
    devices = root / "bus/i2c/devices"
    devices.mkdir(parents=True)
    config.write_text((HEAD + PATTERN * configured).format(sys=root, port=port), encoding="utf-8")
    daemon = DaemonProcess(config, port) if configured else Looking(config, port, root)
    try:
        daemon.until_ready()
        assert "xcvr_module_present" not in daemon.get("/metrics")
        device = devices / "30-0050"
        device.mkdir()
        for name, data in (("name", b"optoe3"), ("port_name", b"Ethernet0"), ("eeprom", linear("CAGE30"))):
            (device / name).write_bytes(data)
        daemon.until(lambda: 'xcvr_module_present{port="Ethernet0"} 1' in daemon.get("/metrics"))
        assert "CAGE30" in daemon.get("/metrics")
        shutil.rmtree(device)
        daemon.until(lambda: 'port="Ethernet0"' not in daemon.get("/metrics"))
    finally:
        assert daemon.end() == 0, daemon.said
