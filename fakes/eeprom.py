"""EEPROM files of the kernel over fake modules: optoe's rules, at the system calls `open`, `pread` and `close`.

    files = FakeEepromFiles({"/sys/bus/i2c/devices/31-0050/eeprom": FakeModule.load("saved.json")})
    SysfsMemory("/sys/bus/i2c/devices/31-0050/eeprom", files=files)

Document: optoe.c (linear layout; page and bank selected, read, page 00h selected again; no select is read back).

Not simulated: writes, max_bank_size, the ends of file by device class (a file here has every page), retries.
"""

import errno
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fakes.module import FakeModule

_STALL_LIMIT_S: Final = 60.0


@dataclass(slots=True)
class _File:
    module: FakeModule
    registered: bool = True
    generation: int = 0
    faults: list[int] = field(default_factory=list[int])


class FakeEepromFiles:
    """The files of some cages. `delay_s`: each read takes so much longer; `reads` counts them."""

    def __init__(self, modules: Mapping[str, FakeModule], *, pages_per_bank: int = 256) -> None:
        self.delay_s = 0.0
        self.reads = 0
        self._pages_per_bank = pages_per_bank
        self._files = {path: _File(module) for path, module in modules.items()}
        self._open: dict[int, tuple[_File, int]] = {}
        self._next = 2_000_000
        self._short = False
        self._running = threading.Event()
        self._running.set()

    def fail(self, path: str, code: int, *, times: int = 1) -> None:
        """The next reads of a file fail with this errno."""
        self._files[path].faults += [code] * times

    def short(self) -> None:
        """The next read ends a byte early."""
        self._short = True

    def stall(self) -> None:
        """From now on reads hang until `release`."""
        self._running.clear()

    def release(self) -> None:
        """End a stall."""
        self._running.set()

    def unregister(self, path: str) -> None:
        """The kernel driver lets go: the file goes, open descriptors answer ENODEV."""
        self._files[path].registered = False
        self._files[path].generation += 1

    def register(self, path: str) -> None:
        """The file is back."""
        self._files[path].registered = True

    def open(self, path: str) -> int:
        """A descriptor; ENOENT."""
        file = self._files.get(path)
        if file is None or not file.registered:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        self._next += 1
        self._open[self._next] = (file, file.generation)
        return self._next

    def close(self, fd: int) -> None:
        """Give it back."""
        self._open.pop(fd)

    def pread(self, fd: int, n: int, offset: int) -> bytes:
        """Bytes of the linear layout; ENODEV, ENXIO without a module."""
        file, generation = self._open[fd]
        self._running.wait(_STALL_LIMIT_S)
        if self.delay_s:
            time.sleep(self.delay_s)
        if generation != file.generation:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        if file.faults:
            code = file.faults.pop(0)
            raise OSError(code, os.strerror(code))
        self.reads += 1
        if self._short:
            self._short = False
            n -= 1
        return self._read(file.module, n, offset)

    def _read(self, module: FakeModule, n: int, offset: int) -> bytes:
        sfp = module.family == "sff8472"
        address = 0x51 if sfp and offset >= 256 else 0x50
        at = offset - 256 if address == 0x51 else offset
        page, inside = (0, at) if at < 256 else divmod(at - 128, 128)
        inside = inside if at < 256 else inside + 128
        bank, page = divmod(page, self._pages_per_bank)
        if page or bank:
            select = bytes((126, bank, page)) if bank else bytes((127, page))
            self._message(module, address, select)
        self._message(module, address, bytes((inside,)))
        data = module.read(address, n)
        if page or bank:
            self._message(module, address, b"\x7e\x00\x00" if bank else b"\x7f\x00")
        if data is None:
            raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
        return data

    def _message(self, module: FakeModule, address: int, data: bytes) -> None:
        if module.write(address, data) != len(data):
            raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
