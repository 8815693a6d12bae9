"""Runs in the test VM as root: installs the packaged daemon, plays with its bus, writes down what it did.

Needs only the guest's Python. `/project` holds opticd.tar (the tree of /opt/opticd), the unit files and the module
images; the observations go to /out/observations.json, where tests/test_rig.py judges them.
"""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

OBSERVED: dict[str, object] = {}
RUN = Path("/run/fake")
URL = "http://127.0.0.1:10800"


def sh(*command: str) -> str:
    """Output of a command that has to work."""
    done = subprocess.run(command, check=False, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def metrics() -> str:
    with urllib.request.urlopen(f"{URL}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def sample(name: str, **labels: str) -> float | None:
    """Value of the first sample of that name whose labels include these; None when there is none."""
    try:
        text = metrics()
    except OSError:
        return None
    for line in text.splitlines():
        if (match := re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)) and all(
            f'{key}="{value}"' in (match[1] or "") for key, value in labels.items()
        ):
            return float(match[2])
    return None


def wait(what: str, condition: object, seconds: float = 60) -> float:
    """Seconds until `condition()` is true; the guest's CPU may be emulated, so limits are wide."""
    assert callable(condition)
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > seconds:
            raise RuntimeError(f"not in {seconds} s: {what}")
        time.sleep(0.2)
    return round(time.monotonic() - start, 1)


def order(text: str) -> None:
    (RUN / "control").write_text(text + "\n")
    time.sleep(0.5)


def plug() -> "subprocess.Popen[bytes]":
    """Start the fake module behind a new adapter and wait for its device node."""
    ready = RUN / "ready"
    ready.unlink(missing_ok=True)
    fake = subprocess.Popen(
        ["/rig/guest/fake-module", "--control", str(RUN / "control"), "--log", str(RUN / "log.jsonl"),
         "--ready", str(ready), "/project/module.json"]
    )  # fmt: skip
    wait("adapter", ready.exists)
    return fake


def service(value: str) -> str:
    return sh("systemctl", "show", "-P", value, "opticd")


def install(bus: str) -> None:
    sh("tar", "-xf", "/project/opticd.tar", "-C", "/")
    for source, target in {
        "opticd.service": "/etc/systemd/system/opticd.service",
        "60-opticd.rules": "/etc/udev/rules.d/60-opticd.rules",
        "opticd.sysusers": "/usr/lib/sysusers.d/opticd.conf",
    }.items():
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).write_text(Path("/project/systemd", source).read_text())
    sh("systemd-sysusers")
    sh("udevadm", "control", "--reload")
    sh("udevadm", "trigger", "--settle", "--subsystem-match=i2c-dev")
    Path("/etc/opticd").mkdir(exist_ok=True)
    Path("/etc/opticd/opticd.toml").write_text(
        f"""[agent]
device = "rig"
poll_interval = 1.0

[[source]]
type = "i2c"
bus = "{bus}"
port = "Ethernet0"
netdev = "port0"
"""
    )
    sh("systemctl", "daemon-reload")


def main() -> None:
    RUN.mkdir(exist_ok=True)
    sh("modprobe", "-a", "veth")
    sh("ip", "link", "add", "port0", "type", "veth", "peer", "name", "peer0")
    sh("ip", "link", "set", "port0", "up")
    sh("ip", "link", "set", "peer0", "up")
    fake = plug()
    bus = (RUN / "ready").read_text().strip()
    install(bus)
    started = time.monotonic()
    sh("systemctl", "start", "opticd")
    OBSERVED["start_seconds"] = round(time.monotonic() - started, 1)
    OBSERVED["active"] = service("ActiveState")
    wait("first temperature", lambda: sample("xcvr_temperature_celsius", port="Ethernet0") is not None)
    OBSERVED["temperature"] = sample("xcvr_temperature_celsius", port="Ethernet0")
    OBSERVED["rx_power_lane1"] = sample("xcvr_rx_power_watts", port="Ethernet0", lane="1")
    OBSERVED["user"] = sh("stat", "-c", "%U", f"/proc/{service('MainPID')}")
    OBSERVED["group"] = sh("stat", "-c", "%G %a", bus)

    order("set 0x50 - 14 1900")
    wait("25 degrees", lambda: sample("xcvr_temperature_celsius") == 25.0)
    OBSERVED["temperature_after_set"] = sample("xcvr_temperature_celsius")

    order("nak 0x50 60")
    wait("errors counted", lambda: (sample("xcvr_poll_errors_total", port="Ethernet0") or 0) > 0)
    wait("up after the burst", lambda: sample("xcvr_up") == 1.0)
    OBSERVED["temperature_after_nak"] = sample("xcvr_temperature_celsius")

    order("stall 2")
    wait("bus recovered", lambda: (sample("xcvr_bus_recoveries_total") or 0) > 0 and sample("xcvr_up") == 1.0)
    OBSERVED["temperature_after_stall"] = sample("xcvr_temperature_celsius")

    order("load /project/other.json")
    wait("swap seen", lambda: sample("xcvr_module_swaps_total") == 1.0)
    wait("new serial", lambda: sample("xcvr_module_info", serial_number="SWAPPED0002") == 1.0)
    OBSERVED["temperature_after_swap"] = sample("xcvr_temperature_celsius")

    order("unplug")
    fake.wait(20)
    wait("seen as gone", lambda: sample("xcvr_up") == 0.0)
    OBSERVED["series_after_unplug"] = sample("xcvr_temperature_celsius")
    fake = plug()
    OBSERVED["bus_after_replug"] = (RUN / "ready").read_text().strip() == bus
    OBSERVED["replug_seconds"] = wait(
        "temperature after replug", lambda: sample("xcvr_temperature_celsius") is not None
    )

    for _ in range(3):
        sh("ip", "link", "set", "peer0", "down")
        sh("ip", "link", "set", "peer0", "up")
    wait(
        "three flaps",
        lambda: sample("xcvr_link_down_events_total", port="Ethernet0", cause="unintentional") == 3.0,
    )
    OBSERVED["link_transitions"] = sample("xcvr_link_transitions_total", port="Ethernet0")

    os.kill(int(service("MainPID")), 9)
    wait("restarted", lambda: service("NRestarts") == "1" and service("ActiveState") == "active")
    wait("temperature after kill", lambda: sample("xcvr_temperature_celsius") is not None)
    OBSERVED["temperature_after_kill"] = sample("xcvr_temperature_celsius")

    os.kill(int(service("MainPID")), 19)  # SIGSTOP: alive and silent, as a hung process is
    OBSERVED["watchdog_seconds"] = wait("watchdog", lambda: service("NRestarts") == "2", 120)
    wait("active after watchdog", lambda: service("ActiveState") == "active")
    wait("temperature after watchdog", lambda: sample("xcvr_temperature_celsius") is not None)

    started = time.monotonic()
    sh("systemctl", "stop", "opticd")
    OBSERVED["stop_seconds"] = round(time.monotonic() - started, 1)
    OBSERVED["result"] = service("Result")
    OBSERVED["messages"] = [json.loads(line) for line in (RUN / "log.jsonl").read_text().splitlines()][-4000:]
    fake.terminate()
    fake.wait(10)


if __name__ == "__main__":
    try:
        main()
    except Exception as exc:  # noqa: BLE001 - whatever went wrong is what the host wants to read
        OBSERVED["failed"] = repr(exc)
    OBSERVED["journal"] = sh("journalctl", "-u", "opticd", "-o", "cat", "--no-pager")[-20000:]
    Path("/out/observations.json").write_text(json.dumps(OBSERVED, indent=1))
    sys.exit("failed" in OBSERVED)
