"""Modules on I2C buses that cost next to nothing: the production driver over prepared images and a sleep.

    [[source]]
    type = "plugin"
    name = "bench:512x32"          # 512 modules on 32 buses; options: product, read_ms

A plug-in for the entry-point group `opticd.drivers` (`benchmarks.daemon` puts it there). Below it is what a kernel
would be: a system call that sleeps as long as its transaction keeps the wire at 400 kHz (or `read_ms` a read and
nothing a page select) and copies bytes. Every read of a monitor finds other values. `python -m benchmarks.bus`
prints what a poll's four system calls cost without the sleep, and with `PORTS BUSES SECONDS` behind it which share
of a core they take with it, at a poll a second: that is the fake's part of a measurement.

Not simulated: anything that goes wrong.
"""

import ctypes
import itertools
import math
import random
import struct
import sys
import threading
import time
import timeit
from collections.abc import Callable
from typing import Final, NamedTuple, cast

from smbus2 import smbus2 as linux

from agent import maps
from agent.errors import ConfigError
from agent.memory import I2C_MODULE
from agent.polling.poller import IN_STEP
from agent.polling.portjob import PortJob, PortSetup
from agent.sources import Cage, Options
from drivers.i2c.bus import LinuxI2cBus, SystemCalls
from drivers.i2c.paged import PagedMemory
from fakes.live import LiveModule
from fakes.products import PRODUCTS

PRODUCT: Final = "osfp-2x400g-dr4"
VARIANTS: Final = 8
"""So many samples of the monitors take turns."""
CLOCK_HZ: Final = 400_000
_PAGES: Final = (0x00, 0x01, 0x02, 0x10, 0x11, 0x20, 0x21, 0x24, 0x25, 0x28, 0x29, 0x2C, 0x2D, 0x2F)
_MOVING: Final = frozenset({0x11, 0x24, 0x25})
_SERIAL: Final = slice(166 - 128, 182 - 128)
_CHECKSUM: Final = 222 - 128
_FUNC_I2C: Final = 0x1
_ARRAY: Final = struct.Struct("@PI")
_MESSAGES: Final = struct.Struct("@HHHxxPHHHxxP")
"""Two of `struct i2c_msg`."""
_MESSAGE_BYTES: Final = 16

Image = dict[int, bytes]
"""Upper pages by number; -1 is lower memory."""


def images(product: str = PRODUCT) -> list[Image]:
    """The same module at some moments, everything readable of it."""
    now = 1000.0
    rng = random.Random(3)
    module = LiveModule(PRODUCTS[product], serial="BENCH", rng=rng, clock=lambda: now)
    found: list[Image] = []
    for _ in range(VARIANTS):
        now += 1.0
        image: Image = {-1: _fetch(module, 0)}
        for page in _PAGES:
            module.write(I2C_MODULE, bytes((127, page)))
            image[page] = _fetch(module, 128)
        module.write(I2C_MODULE, b"\x7f\x00")
        found.append(image)
    return found


def _fetch(module: LiveModule, offset: int) -> bytes:
    module.write(I2C_MODULE, bytes((offset,)))
    data = module.read(I2C_MODULE, 128)
    assert data is not None
    return data


def numbered(page: bytes, number: int) -> bytes:
    """Page 00h with a serial number of its own, and its checksum."""
    own = bytearray(page)
    own[_SERIAL] = b"BENCH%05d" % number + b"      "
    own[_CHECKSUM] = sum(own[:_CHECKSUM]) & 0xFF
    return bytes(own)


class _Module:
    """One cage: which page is selected, and whose turn it is."""

    __slots__ = ("_images", "_number", "_turn", "page")

    def __init__(self, number: int, images: list[Image]) -> None:
        self._number = number
        self._images = images
        self._turn = number
        self.page = 0

    def memory(self, offset: int) -> bytes:
        """The half of the memory that begins with `offset`, from there on."""
        if offset < 128:
            self._turn += 1
            lower = self._images[self._turn % VARIANTS][-1]
            return (
                lower[offset:126] + bytes((0, self.page)) if offset < 126 else bytes((0, self.page))[offset - 126 :]
            )
        if self.page == 0:
            return numbered(self._images[0][0], self._number)[offset - 128 :]
        image = self._images[self._turn % VARIANTS if self.page in _MOVING else 0]
        return image.get(self.page, bytes(128))[offset - 128 :]


class BenchCalls:
    """The system calls of `drivers.i2c.bus`. `seconds(written, read)`: how long a transaction keeps the bus."""

    def __init__(self, images: list[Image], *, seconds: Callable[[int, int], float] | None) -> None:
        self._images = images
        self._seconds = seconds
        self._modules: dict[int, _Module] = {}
        self._next = itertools.count(1_000_000)
        self.transactions = 0

    def open(self, path: str) -> int:
        """A descriptor far from any real one."""
        fd = next(self._next)
        self._modules[fd] = _Module(int(path.rpartition("-")[2]), self._images)
        return fd

    def close(self, fd: int) -> None:
        """Give it back."""
        del self._modules[fd]

    def ioctl(self, fd: int, request: int, arg: "ctypes.Structure | ctypes.c_ulong | int") -> int:
        """I2C_FUNCS and I2C_RDWR."""
        if request == linux.I2C_FUNCS:
            cast("ctypes.c_ulong", arg).value = _FUNC_I2C
            return 0
        module = self._modules[fd]
        self.transactions += 1
        pointer: int
        count: int
        pointer, count = _ARRAY.unpack(bytes(cast("ctypes.Structure", arg))[: _ARRAY.size])
        raw = ctypes.string_at(pointer, _MESSAGE_BYTES * count)
        if count == 1:
            _, _, length, source = _MESSAGES.unpack(raw + bytes(_MESSAGE_BYTES))[:4]
            module.page = ctypes.string_at(source, length)[-1]
            size = 0
        else:
            _, _, length, source, _, _, size, target = _MESSAGES.unpack(raw)
            ctypes.memmove(target, module.memory(ctypes.string_at(source, length)[0]), size)
        if self._seconds is not None:
            time.sleep(self._seconds(length, size))
        return count


def wire_s(written: int, read: int) -> float:
    """START, address and bytes, repeated START, address and bytes, STOP: nine clocks a byte."""
    clocks = 1 + 9 * (1 + written) + 1 + ((1 + 9 * (1 + read)) if read else 0)
    return clocks / CLOCK_HZ


class BenchDriver:
    """`agent.sources.Driver` of `bench:PORTSxBUSES`."""

    def __init__(self) -> None:
        self._calls: SystemCalls | None = None

    def expand(self, address: str) -> list[str]:
        """One address a module: `number/buses`."""
        ports, _, buses = address.partition("x")
        return [f"{number}/{buses}" for number in range(int(ports))]

    def open(self, address: str, options: Options) -> Cage:
        """One module. Raises ConfigError."""
        number, _, buses = address.partition("/")
        if not (number.isdigit() and buses.isdigit()):
            raise ConfigError(f"bench:{address}: PORTSxBUSES is expected")
        product = options.text("product", PRODUCT)
        read_s = options.number("read_ms", 0.0, most=1000) / 1000
        if self._calls is None:

            def even(_written: int, read: int) -> float:
                return read_s if read > 2 else 0.0

            self._calls = BenchCalls(images(product), seconds=even if read_s else wire_s)
        bus = LinuxI2cBus(f"/dev/i2c-{number}", calls=self._calls)
        name = f"bench-{int(number) % int(buses)}"
        return Cage(
            source=f"bench:{number}",
            port=f"Ethernet{8 * int(number)}",
            bus=name,
            memory=PagedMemory(bus, shared=True),
        )


class Refresh(NamedTuple):
    """The traffic of one steady refresh."""

    transactions: int
    reads: int
    """Of data: without page selects and their checks."""
    wire_ms: float


def refresh() -> Refresh:
    """Counted below the production driver."""
    log: list[tuple[int, int]] = []

    def seconds(written: int, read: int) -> float:
        log.append((written, read))
        return 0.0

    memory = PagedMemory(LinuxI2cBus("/dev/i2c-0", calls=BenchCalls(images(), seconds=seconds)), shared=True)
    setup = PortSetup(port="Ethernet0", bus="0", source="bench:0", open=lambda: memory)
    job = PortJob(setup, device="bench", identify=maps.identify, bus_failed=lambda: None, deadline_s=60.0)
    for _ in range(2):
        log.clear()
        job.poll()
    return Refresh(len(log), sum(read > 2 for _, read in log), sum(wire_s(*each) for each in log) * 1000)


class _Transfers:
    """The four system calls of a poll, made without opticd's driver."""

    def __init__(self, calls: BenchCalls, number: int) -> None:
        self._calls = calls
        self._fd = calls.open(f"/dev/i2c-{number}")
        self._kept: list[linux.i2c_msg] = []
        self._poll = [
            self._one(out, n) for out, n in ((b"\x03", 29), (b"\x7f\x11", 0), (b"\x7e", 2), (b"\x86", 76))
        ]

    def _one(self, out: bytes, n: int) -> "linux.i2c_rdwr_ioctl_data":
        messages = [linux.i2c_msg.write(I2C_MODULE, out)] + ([linux.i2c_msg.read(I2C_MODULE, n)] if n else [])
        self._kept += messages
        return linux.i2c_rdwr_ioctl_data.create(*messages)  # type: ignore[arg-type] # smbus2's stub says Sequence

    def poll(self) -> None:
        """All four."""
        for each in self._poll:
            self._calls.ioctl(self._fd, linux.I2C_RDWR, each)


def fake_us() -> float:
    """CPU microseconds that the fake takes for the system calls of one poll, without sleeping."""
    one = _Transfers(BenchCalls(images(), seconds=None), 0)
    return min(timeit.repeat(one.poll, number=2000, repeat=7, timer=time.process_time)) / 2000 * 1e6


def alone(ports: int, buses: int, seconds: float) -> float:
    """Share of a core that the system calls of so many polls a second take when nobody does anything with them.

    A thread a bus, at the same moments as in the daemon: the sleeps, the switches between threads and the copying
    of bytes.
    """
    calls = BenchCalls(images(), seconds=wire_s)
    modules = [_Transfers(calls, number) for number in range(ports)]
    begin = time.monotonic() + 0.2
    steps = math.ceil(buses / IN_STEP)

    def bus(number: int) -> None:
        mine = modules[number::buses]
        for turn in range(round(seconds * len(mine))):
            at = begin + (turn + number % steps / steps) / len(mine)
            time.sleep(max(0.0, at - time.monotonic()))
            mine[turn % len(mine)].poll()

    threads = [threading.Thread(target=bus, args=(number,)) for number in range(min(buses, ports))]
    used, began = time.process_time(), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.process_time() - used) / (time.monotonic() - began)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(alone(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
    else:
        print(f"the fake's share of a poll: {fake_us():.1f} us of CPU")
