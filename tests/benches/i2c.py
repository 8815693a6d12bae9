"""The I2C driver over fake adapters of every kind, and behind a mux."""

import errno
import time
from collections.abc import Callable

from agent.memory import Memory
from drivers.i2c.bus import LinuxI2cBus
from drivers.i2c.mux import Hop, MuxTree
from drivers.i2c.paged import PagedMemory
from fakes.adapter import FULL_I2C, SMBUS_BLOCK, SMBUS_BYTE, SMBUS_WORD, FakeAdapter
from fakes.i2cdev import FakeI2cDev
from fakes.module import FakeModule
from fakes.mux import FakeMux
from tests.contract_suite import CASES

_SHORTENS = FULL_I2C & ~SMBUS_BLOCK | SMBUS_BLOCK & ~SMBUS_WORD
"""Plain I2C and blocks can end early; an SMBus word or byte comes whole or not at all."""


class I2cBench:
    """One cage on one adapter."""

    limit_s = 2.0

    def __init__(self, funcs: int = FULL_I2C, *, mux: bool = False) -> None:
        self.cases = frozenset(CASES if funcs & _SHORTENS else set(CASES) - {"short"})
        self._module = FakeModule(Memory())
        device = FakeMux(0x70, {3: [self._module]}) if mux else self._module
        self._adapter = FakeAdapter(device, funcs=funcs, sleep=time.sleep)
        calls = FakeI2cDev({"/dev/i2c-7": self._adapter})
        bus = LinuxI2cBus("7", calls=calls, muxes=frozenset({0x70} if mux else ()))
        self._bus = MuxTree(bus).channel((Hop(0x70, 3),)) if mux else bus

    def insert(self, image: Memory) -> PagedMemory:
        self._module.insert(image)
        return PagedMemory(self._bus)

    def remove(self) -> None:
        self._module.remove()

    def short(self) -> None:
        self._adapter.short()

    def slow(self, seconds: float) -> None:
        self._adapter.delay_s = seconds

    def unplug(self) -> None:
        self._adapter.unplug()

    def plug(self) -> None:
        assert self._adapter.plug(), "the driver holds the old adapter open"

    def stall(self) -> None:
        self._adapter.stall(errno.ETIMEDOUT)

    def release(self) -> None:
        self._adapter.release()

    def garble(self) -> None:
        self._module.flip(b"\xa5" * 128)

    def close(self) -> None:
        self._adapter.release()
        self._bus.close()


BENCHES: dict[str, Callable[[], I2cBench]] = {
    "i2c": I2cBench,
    "i2c smbus block": lambda: I2cBench(SMBUS_BLOCK),
    "i2c smbus word": lambda: I2cBench(SMBUS_WORD),
    "i2c smbus byte": lambda: I2cBench(SMBUS_BYTE),
    "i2c mux": lambda: I2cBench(mux=True),
}
