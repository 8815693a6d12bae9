"""The serial bridges over their fakes on a pty."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from agent.memory import Memory, ModuleMemory, Span
from agent.sources import Options
from drivers.serial.bridge import SerialDriver
from fakes.module import FakeModule
from fakes.serial_bridges import Program, bus_pirate, i2c_driver, sc18im700
from fakes.serial_pty import SerialLine
from tests.contract_suite import CASES


class SerialBench:
    """One bridge."""

    cases = frozenset(CASES)
    limit_s = 6.0

    def __init__(self, program: Callable[[list[FakeModule]], Program], *, baud: int, adapter: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._module = FakeModule(Memory())
        self._line = SerialLine(Path(self._folder.name) / "ttyUSB0", program([self._module]), baud=baud)
        options = Options({"adapter": adapter, "timeout": "0.4", "shared": "yes"}, of="serial")
        self._memory = SerialDriver(ports=list).open(str(self._line.path), options).memory

    def insert(self, image: Memory) -> ModuleMemory:
        self._module.insert(image)
        return self._memory

    def remove(self) -> None:
        self._module.remove()

    def short(self) -> None:
        # The first read finds the bridge: its answers are not meant. Noise would stand in for the missing byte.
        self._memory.read(Span(0, 1))
        self._line.noise_every = 0
        self._line.short()

    def slow(self, seconds: float) -> None:
        self._line.late_s = seconds

    def unplug(self) -> None:
        self._line.unplug()

    def plug(self) -> None:
        self._line.plug()

    def stall(self) -> None:
        self._line.stall()

    def release(self) -> None:
        self._line.release()

    def garble(self) -> None:
        self._line.garble()

    def close(self) -> None:
        self._memory.close()
        self._line.close()
        self._folder.cleanup()


BENCHES: dict[str, Callable[[], SerialBench]] = {
    "serial i2cdriver": lambda: SerialBench(i2c_driver, baud=1_000_000, adapter="i2cdriver"),
    "serial buspirate": lambda: SerialBench(bus_pirate, baud=115_200, adapter="buspirate"),
    "serial sc18im700": lambda: SerialBench(sc18im700, baud=9600, adapter="sc18im700"),
}
