"""`opticd demo` as a newcomer meets it: a page, metrics that promtool accepts, alerts on its own broker."""

import asyncio
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from agent import quantities as q
from agent.errors import DriverError
from drivers.snmp.client import Limits
from drivers.snmp.credentials import Credentials
from drivers.snmp.oneshot import read_device
from fakes.snmp_switch import switch_process
from tests.conftest import ROOT


@dataclass
class Demo:
    process: "subprocess.Popen[str]"
    page: str
    broker: str

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.page + path, timeout=10) as answer:
            body: bytes = answer.read()
            return body


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    log = tmp_path_factory.mktemp("demo") / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "agent.cli", "demo", "--listen", "127.0.0.1:0", "--duration", "120"],
            stdout=output, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
        )  # fmt: skip
        try:
            said = _wait(lambda: _both(log.read_text()), 30)
            yield Demo(process, *said)
        finally:
            process.kill()
            process.wait(10)
    assert "Traceback" not in log.read_text(), log.read_text()


def _both(text: str) -> tuple[str, str] | None:
    page = re.search(r"page +(http://\S+)", text)
    broker = re.search(r"broker +mqtt://127\.0\.0\.1:(\d+)", text)
    return (page[1], broker[1]) if page and broker else None


def _wait(condition: Any, seconds: float) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s")


def _listen(demo: Demo, topic: str, *, seconds: int, messages: int | None = None) -> list[tuple[str, str]]:
    if not shutil.which("mosquitto_sub"):
        pytest.skip("mosquitto_sub is not installed")
    most = ["-C", str(messages)] if messages else []
    done = subprocess.run(
        ["mosquitto_sub", "-h", "127.0.0.1", "-p", demo.broker, "-v", "-t", topic, "-W", str(seconds), *most],
        check=False, capture_output=True, text=True, timeout=seconds + 20,
    )  # fmt: skip
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in done.stdout.splitlines()]


def test_metrics_are_what_promtool_expects(demo: Demo) -> None:
    _wait(lambda: demo.get("metrics").count(b"\nxcvr_up{") == 32, 30)
    text = demo.get("metrics")
    assert text.count(b"\nxcvr_temperature_celsius{") > 20
    assert text.count(b"\nxcvr_rx_power_dbm{") > 50
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed")
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, check=False, capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_every_port_has_a_reading(demo: Demo) -> None:
    def read() -> list[dict[str, Any]]:
        """Those beside the ports of the switch over SNMP, once each was asked."""
        every: list[dict[str, Any]] = json.loads(demo.get("api/v1/ports"))
        ports = [port for port in every if port["device"] == "demo"]
        return ports if all(port["module"] for port in ports) else []

    ports = _wait(read, 30)
    assert len(ports) == 32
    assert {port["schema"] for port in ports} == {"opticd/reading/1"}
    assert {port["module"]["memory_map"] for port in ports} == {"cmis", "sff8636", "sff8472"}


def test_the_page_is_there(demo: Demo) -> None:
    assert b"<html" in demo.get("").lower()


def test_alerts_reach_a_subscriber(demo: Demo) -> None:
    """The mixed scenario makes something happen all the time; wait for two messages of it."""
    # amqtt also hands out retained messages of topics that nobody asked for.
    everything = _listen(demo, "opticd/demo/event", seconds=60, messages=6)
    events = [json.loads(payload) for topic, payload in everything if topic == "opticd/demo/event"]
    assert len(events) >= 2
    for alert in events:
        assert alert["schema"] == "opticd/alert/1"
        assert alert["device"] == "demo"
        assert alert["state"] in {"firing", "resolved"}
    assert [alert["seq"] for alert in events] == list(range(events[0]["seq"], events[0]["seq"] + len(events)))


def test_a_switch_over_snmp_is_a_device_of_its_own(demo: Demo) -> None:
    (switch,) = json.loads(demo.get("sd"))
    assert switch["labels"]["instance"] == "demo-switch"
    up = b'\nopticd_source_up{source="snmp:demo-switch"} 1.0\n'
    _wait(lambda: up in demo.get("metrics"), 30)
    assert demo.get("metrics").count(b"\nxcvr_up{") == 32
    _wait(lambda: b"\nxcvr_rx_power_dbm{" in demo.get("probe?target=demo-switch"), 10)  # at once, not in a minute


def test_it_ends_cleanly_and_says_so(demo: Demo) -> None:
    assert ("opticd/demo/status", "online") in _listen(demo, "opticd/demo/status", seconds=5, messages=1)
    began = time.monotonic()
    demo.process.send_signal(signal.SIGTERM)
    assert demo.process.wait(10) == 0
    assert time.monotonic() - began < 5


async def test_the_switchs_optics_come_up_and_it_ends_with_who_started_it() -> None:
    async with switch_process(4.0) as port:
        booting = await read_device("127.0.0.1", port, Credentials(), name="switch")
        assert list(booting.readings) == []
        found = booting
        for _ in range(100):
            if found.readings:
                break
            await asyncio.sleep(0.3)
            found = await read_device("127.0.0.1", port, Credentials(), name="switch")
        assert [reading.port for reading in found.readings if reading.values] == [f"swp{n}" for n in range(1, 8)]
        assert len(found.readings[6].lanes[q.RX_POWER]) == 4
    with pytest.raises(DriverError):
        await read_device("127.0.0.1", port, Credentials(), name="switch", limits=Limits(timeout_s=0.2, retries=0))
