"""Nothing but page selects is ever written: every write is tried through every driver that could make it."""

import asyncio
import itertools
import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import maps
from agent.errors import NotPermitted
from agent.memory import I2cBus, Memory, Span
from agent.modules.session import Intervals
from agent.polling.poller import Poller
from agent.service.simulation import Simulation
from agent.sources import Options
from agent.state import Hub
from drivers.i2c.bus import LinuxI2cBus
from drivers.serial.bridge import SerialBus
from drivers.serial.protocols import BusPirate, I2cDriver, Sc18im700
from drivers.serial.wire import Wire
from drivers.sysfs import SysfsDriver
from fakes.adapter import FULL_I2C, SMBUS_BLOCK, SMBUS_BYTE, SMBUS_WORD, FakeAdapter
from fakes.i2cdev import FakeI2cDev
from fakes.module import FakeModule

DATA = (b"", b"\x00", b"\x11", b"\xff", b"\x00\x00", b"\x01\x11", b"\x00\x00\x00", b"\x00" * 8, b"\x00" * 32)
"""What follows the offset."""


def writes(*, addresses: range = range(128)) -> Iterator[tuple[int, bytes, int]]:
    """(address, bytes written, bytes read after them): every address and offset, lengths 0 to 33."""
    for address, offset, data, n in itertools.product(addresses, range(256), DATA, (0, 1)):
        yield address, bytes((offset,)) + data, n
    yield from ((address, b"", 0) for address in addresses)


def may_pass(address: int, out: bytes, n: int, *, mux: int = -1, frozen_page: bool = False) -> bool:
    """What CMIS 5.2 8.2.13, SFF-8636 6.2.11 and SFF-8472 10.3 call a select, or no change at all. By hand."""
    if address == mux:
        return len(out) + n == 1
    if address not in {0x50, 0x51} or not out:
        return False
    if len(out) == 1:
        return True  # where to read: nothing changes
    if n:
        return False
    if len(out) == 2 and out[0] == 0x7F:
        return True
    if address == 0x50 and len(out) == 3 and out[0] == 0x7E:
        return True
    return frozen_page and address == 0x50 and len(out) == 2 and out[0] == 0x90


def refused(bus: I2cBus, tried: Iterator[tuple[int, bytes, int]], *, mux: int = -1) -> int:
    """How many writes were tried, all of which were refused."""
    count = 0
    for address, out, n in tried:
        if may_pass(address, out, n, mux=mux):
            continue
        count += 1
        try:
            bus.transfer(address, out, n)
        except NotPermitted:
            continue
        pytest.fail(f"{out.hex()} to {address:02X}h reached the wire")
    return count


def module() -> FakeModule:
    memory = Memory()
    memory.put(Span(0, 128), b"\x18\x50\x00\x06" + bytes(124))
    memory.put(Span(128, 128, page=0x11), bytes(128))
    return FakeModule(memory)


@pytest.mark.parametrize("funcs", [FULL_I2C, SMBUS_BLOCK, SMBUS_WORD, SMBUS_BYTE])
@pytest.mark.parametrize("mux", [-1, 0x70])
def test_every_write_through_an_adapter(funcs: int, mux: int) -> None:
    adapter = FakeAdapter(module(), funcs=funcs)
    muxes = frozenset({mux} - {-1})
    bus = LinuxI2cBus("7", calls=FakeI2cDev({"/dev/i2c-7": adapter}), muxes=muxes)
    whole = range(128) if funcs == FULL_I2C else range(0x4F, 0x72)
    count = refused(bus, writes(addresses=whole), mux=mux)
    assert count > len(whole) * 256 * 15
    assert adapter.opens == 0
    assert not adapter.log


def test_what_may_pass_does() -> None:
    """The other half: a guard that refuses everything would pass the test above."""
    cage = module()
    bus = LinuxI2cBus("7", calls=FakeI2cDev({"/dev/i2c-7": FakeAdapter(cage)}))
    for page in range(256):
        bus.transfer(0x50, bytes((0x7F, page)), 0)
        bus.transfer(0x50, bytes((0x7E, 0, page)), 0)
    for offset in range(256):
        bus.transfer(0x50, bytes((offset,)), 1)
    assert cage.complaints == []


@pytest.mark.parametrize("bridge", [I2cDriver(), BusPirate(), Sc18im700()], ids=lambda bridge: bridge.name)
def test_every_write_through_a_serial_bridge(bridge: I2cDriver | BusPirate | Sc18im700, tmp_path: Path) -> None:
    """There is no port behind it: whatever is not refused fails for another reason."""
    wire = Wire(str(tmp_path / "ttyUSB0"), timeout_s=0.1, ports=list)
    assert refused(SerialBus(wire, (bridge,)), writes(addresses=range(0x4F, 0x53))) > 10_000
    assert not wire.is_open


def test_an_eeprom_file_is_open_for_reading_alone(tmp_path: Path) -> None:
    path = tmp_path / "eeprom"
    path.write_bytes(b"\x18\x50\x04\x06" + bytes(252))
    cage = SysfsDriver().open(str(path), Options({}, of="test"))
    cage.memory.read(Span(0, 8))
    (fd,) = [fd for fd in Path("/proc/self/fd").iterdir() if _target(fd) == path]
    flags = next(line for line in Path(f"/proc/self/fdinfo/{fd.name}").read_text().splitlines() if "flags" in line)
    assert int(flags.split()[1], 8) & os.O_ACCMODE == os.O_RDONLY
    cage.memory.close()


def _target(fd: Path) -> Path:
    try:
        return fd.readlink()
    except OSError:  # the one that listed the folder
        return fd


async def test_a_switch_with_everything_happening_is_written_selects_alone() -> None:
    """All families, faults, pulled and exchanged modules: the logs of the adapters."""
    simulation = Simulation(ports=16, scenario="quiet")
    ports = simulation.switch.ports
    for port in ports:
        port.adapter.log = deque(maxlen=200_000)
    hub = Hub("leaf-17")
    setups = simulation.setups(interval_s=0.1, intervals=Intervals(slow_s=0.5, identity_s=0.3), flags=True)
    poller = Poller(hub, setups, identify=maps.Maps(()).identify, wall=time.time)
    running = asyncio.create_task(poller.run())
    await asyncio.wait_for(poller.ready.wait(), 10)
    for number, port in enumerate(ports):
        match number % 4:
            case 0:
                port.module.nack(40)
            case 1:
                port.module.remove()
            case 2:
                port.module.plug(port.module.product, serial="ANOTHER1")
            case _:
                port.module.flip(b"\x40" * 64)
    await asyncio.sleep(0.5)
    for port in ports:
        if not port.module.present:
            port.module.insert()
    await asyncio.sleep(3.0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    written = [
        message.data for port in ports for message in port.adapter.log if not message.read and len(message.data) > 1
    ]
    assert len(written) > 100
    assert {(data[0], len(data)) for data in written} <= {(0x7F, 2), (0x7E, 3)}
    assert [complaint for port in ports for complaint in port.module.complaints if "written" in complaint] == []
