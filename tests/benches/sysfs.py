"""The EEPROM file driver over fake files, as optoe serves them."""

from collections.abc import Callable
from typing import Final

from agent.memory import Memory
from drivers.sysfs import SysfsMemory
from fakes.eeprom import FakeEepromFiles
from fakes.module import FakeModule
from tests.contract_suite import CASES

_PATH: Final = "/sys/bus/i2c/devices/31-0050/eeprom"


class SysfsBench:
    """One file."""

    cases = frozenset(CASES)
    limit_s = 2.0

    def __init__(self, pages_per_bank: int = 256) -> None:
        self._module = FakeModule(Memory())
        self._files = FakeEepromFiles({_PATH: self._module}, pages_per_bank=pages_per_bank)
        self._memory = SysfsMemory(_PATH, files=self._files, pages_per_bank=pages_per_bank)

    def insert(self, image: Memory) -> SysfsMemory:
        self._module.insert(image)
        return self._memory

    def remove(self) -> None:
        self._module.remove()

    def short(self) -> None:
        self._files.short()

    def slow(self, seconds: float) -> None:
        self._files.delay_s = seconds

    def unplug(self) -> None:
        self._files.unregister(_PATH)

    def plug(self) -> None:
        self._files.register(_PATH)

    def stall(self) -> None:
        self._files.stall()

    def release(self) -> None:
        self._files.release()

    def garble(self) -> None:
        self._module.flip(b"\xa5" * 128)

    def close(self) -> None:
        self._files.release()
        self._memory.close()


BENCHES: dict[str, Callable[[], SysfsBench]] = {
    "sysfs": SysfsBench,
    "sysfs 240 pages": lambda: SysfsBench(240),
}
