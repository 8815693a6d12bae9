"""Runs in the test VM as root: the I2C and EEPROM file drivers against real adapters; writes down what they said.

`/project` holds the packages of opticd, and in `site` what they import; the observations go to /out/ways.json,
where tests/test_rig_ways.py judges them.
"""

import json
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from agent.errors import OpticError
from agent.memory import Shape, Span
from drivers import discovery
from drivers.i2c.bus import LinuxCalls, LinuxI2cBus
from drivers.i2c.paged import PagedMemory
from drivers.sysfs import SysfsMemory

RUN = Path("/run/fake")
SEEN: dict[str, object] = {}
FUNC_I2C = 0x00000001
FUNC_BLOCK = 0x0C000000
FUNC_WORD = 0x00600000


class Less(LinuxCalls):
    """The kernel of an adapter that can do less: it still does, and checks, each transfer."""

    def __init__(self, without: int) -> None:
        self._without = without

    def ioctl(self, fd: int, request: int, arg: Any) -> int:
        result = super().ioctl(fd, request, arg)
        if request == 0x0705:
            arg.value &= ~self._without
        return result


def say(name: str, call: Callable[[], object]) -> None:
    """What a call returns, or the name of its error."""
    try:
        result = call()
        SEEN[name] = result.hex() if isinstance(result, bytes) else result
    except OpticError as exc:
        SEEN[name] = type(exc).__name__


def order(text: str) -> None:
    (RUN / "control").write_text(f"{text}\n")
    time.sleep(1.0)


def found(ways: Any) -> dict[str, str]:
    return {way.source: way.status for way in ways}


def start_module() -> str:
    """The number of the bus of a fake module, once it is there."""
    ready = RUN / "ready"
    subprocess.Popen(
        [
            "fake-module", "--control", RUN / "control", "--log", RUN / "log", "--ready", ready,
            "/project/module.json",
        ]
    )  # fmt: skip
    for _ in range(300):
        if ready.exists() and ready.read_text().strip():
            return ready.read_text().strip().rsplit("-", 1)[-1]
        time.sleep(0.1)
    raise RuntimeError("the fake module did not start")


def paged(number: str, without: int = 0) -> PagedMemory:
    memory = PagedMemory(LinuxI2cBus(number, calls=Less(without)), busy_limit_s=0.5)
    memory.shape = Shape("cmis", flat=False)
    return memory


def observe() -> None:
    subprocess.run(["modprobe", "i2c-dev"], check=True)
    RUN.mkdir()
    number = start_module()
    adapters = {
        "rdwr": 0,
        "block": FUNC_I2C,
        "word": FUNC_I2C | FUNC_BLOCK,
        "byte": FUNC_I2C | FUNC_BLOCK | FUNC_WORD,
    }
    for name, without in adapters.items():
        memory = paged(number, without)
        say(f"{name} lower", partial(memory.read, Span(0, 4)))
        say(f"{name} page 11h", partial(memory.read, Span(134, 40, page=0x11)))
        say(f"{name} page 0Fh", partial(memory.read, Span(134, 8, page=0x0F)))
        memory.close()
    memory = paged(number)
    say("51h", lambda: memory.read(Span(0, 8, i2c=0x51)))
    say("scan", lambda: found(discovery.i2c_buses(owner=lambda: "")))
    say("scan all", lambda: found(discovery.i2c_buses(everything=True, owner=lambda: "")))
    say("mainboard", lambda: Path("/sys/bus/i2c/devices/i2c-0/name").read_text().split()[1])
    mainboard = LinuxI2cBus("0")
    say("spd", lambda: mainboard.transfer(0x50, b"\x00", 16))
    say("spd by i2cget", spd_by_i2cget)
    order("nak 0x50 2")
    for name in ("nak 1", "nak 2", "nak over"):
        say(name, lambda: memory.read(Span(0, 4)))
    order("stall 1")
    for name in ("stall", "stall over"):
        say(name, lambda: memory.read(Span(0, 4)))
    eeprom(number)
    order("unplug")
    memory.close()
    for name in ("unplugged", "unplugged again"):
        say(name, lambda: memory.read(Span(0, 4)))


def spd_by_i2cget() -> str:
    """The same bytes by the tool of the distribution."""
    command = ["i2cget", "-y", "0", "0x50"]
    said = [subprocess.run([*command, str(at)], check=True, text=True, capture_output=True) for at in range(16)]
    return "".join(one.stdout.strip().removeprefix("0x") for one in said)


def eeprom(number: str) -> None:
    """The kernel's at24 on the same module: its file, and what scan makes of it."""
    subprocess.run(["modprobe", "at24"], check=True)
    Path(f"/sys/bus/i2c/devices/i2c-{number}/new_device").write_text("24c02 0x50\n")
    file = f"/sys/bus/i2c/devices/{number}-0050/eeprom"
    for _ in range(50):
        if Path(file).exists():
            break
        time.sleep(0.1)
    memory = SysfsMemory(file)
    say("file lower", lambda: memory.read(Span(0, 4)))
    say("file page 11h", lambda: memory.read(Span(134, 8, page=0x11)))
    say("file A2h", lambda: memory.read(Span(96, 8, i2c=0x51)))
    say("scan beside at24", lambda: found(discovery.i2c_buses(owner=lambda: "")))
    order("nak 0x50 60")
    say("file nak", lambda: memory.read(Span(0, 4)))
    order("nak 0x50 0")
    say("file nak over", lambda: memory.read(Span(0, 4)))
    Path(f"/sys/bus/i2c/devices/i2c-{number}/delete_device").write_text("0x50\n")
    time.sleep(0.5)
    say("file gone", lambda: memory.read(Span(0, 4)))
    say("file gone again", lambda: memory.read(Span(0, 4)))


try:
    observe()
except Exception as exc:  # noqa: BLE001 - the report says what happened; without it there would be none
    SEEN["failed"] = repr(exc)
Path("/out/ways.json").write_text(json.dumps(SEEN))
