"""What the scripts that run in the test VM share: commands, the daemon's metrics, the fake module, its config.

Needs only the guest's Python. `/project` holds the packages and the module images.
"""

import re
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

Fake = subprocess.Popen[bytes]
RUN = Path("/run/fake")
CONFIG = Path("/etc/opticd/opticd.toml")
DROP_INS = Path("/etc/systemd/system/opticd.service.d")
PORT = "Ethernet0"
BASIC = """[agent]
device = "rig"
poll_interval = 1.0

[[source]]
type = "i2c"
bus = "{bus}"
port = "Ethernet0"
netdev = "port0"
"""
DUMMY = """
[[source]]
type = "sysfs"
path = "/sys/bus/i2c/devices/99-0050/eeprom"
port = "Ethernet1"
netdev = "dummy0"
"""


def sh(*command: str) -> str:
    """Output of a command that has to work."""
    done = subprocess.run(command, check=False, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def metrics(*, tls: bool = False) -> str:
    """The whole of `/metrics`; OSError while nobody answers."""
    context = ssl.create_default_context(cafile="/project/web.crt") if tls else None
    url = f"http{'s' * tls}://127.0.0.1:10800/metrics"
    with urllib.request.urlopen(url, timeout=20, context=context) as answer:
        return str(answer.read().decode())


def sample(name: str, *, tls: bool = False, **labels: str) -> float | None:
    """Value of the first sample of that name whose labels include these; None when there is none."""
    try:
        text = metrics(tls=tls)
    except OSError:
        return None
    for line in text.splitlines():
        if (match := re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)) and all(
            f'{key}="{value}"' in (match[1] or "") for key, value in labels.items()
        ):
            return float(match[2])
    return None


def wait(what: str, condition: Callable[[], bool], seconds: float = 240) -> float:
    """Seconds until `condition()` is true; the guest's CPU may be emulated, so limits are wide."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > seconds:
            raise RuntimeError(f"not in {seconds} s: {what}")
        time.sleep(0.2)
    return round(time.monotonic() - start, 1)


def timed(*command: str) -> float:
    """Seconds that a command took."""
    start = time.monotonic()
    sh(*command)
    return round(time.monotonic() - start, 1)


def plug() -> Fake:
    """Start the fake module behind a new adapter and wait for its device node."""
    ready = RUN / "ready"
    ready.unlink(missing_ok=True)
    fake = subprocess.Popen(
        ["/rig/guest/fake-module", "--control", str(RUN / "control"), "--log", str(RUN / "log.jsonl"),
         "--ready", str(ready), "/project/module.json"]
    )  # fmt: skip
    wait("adapter", ready.exists)
    return fake


def order(text: str) -> None:
    """A line to the fake module."""
    (RUN / "control").write_text(text + "\n")
    time.sleep(0.5)


def bus() -> str:
    """The device node of the fake module's adapter."""
    return (RUN / "ready").read_text().strip()


def links() -> None:
    """A cable (veth) and a dummy interface, both up."""
    RUN.mkdir(exist_ok=True)
    sh("modprobe", "-a", "veth")
    sh("modprobe", "dummy", "numdummies=0")
    sh("ip", "link", "add", "port0", "type", "veth", "peer", "name", "peer0")
    sh("ip", "link", "add", "dummy0", "type", "dummy")
    for name in ("port0", "peer0", "dummy0"):
        sh("ip", "link", "set", name, "up")


def service(value: str) -> str:
    """A property of the unit."""
    return sh("systemctl", "show", "-P", value, "opticd")


def drop_in(name: str, text: str) -> None:
    """More lines for the unit."""
    DROP_INS.mkdir(parents=True, exist_ok=True)
    (DROP_INS / name).write_text(text)
    sh("systemctl", "daemon-reload")


def temperature() -> float | None:
    """Of the module."""
    return sample("xcvr_temperature_celsius", port=PORT)


def downs(port: str = PORT) -> float | None:
    """How often the link went down by itself."""
    return sample("xcvr_link_down_events_total", port=port, cause="unintentional")


def journal(*arguments: str) -> str:
    """The end of the log."""
    return sh("journalctl", "-o", "cat", "--no-pager", *arguments)[-20000:]
