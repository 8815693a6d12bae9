"""Module memory through a kernel EEPROM file: optoe and at24 (`sysfs:PATH`), one pread a span.

    [[source]]
    type = "sysfs"
    path = "/sys/bus/i2c/devices/31-0050/eeprom"

The kernel selects pages, so other readers of the file do no harm. It does not read its selects back: the first read
of each page is compared with page 00h, which is what a module shows for a page it does not have.

Documents: optoe.c of SONiC's sonic-linux-kernel (linear layout), Documentation/misc-devices/eeprom.rst (at24).
Options: `banks` pages a bank takes in the file (256, or 240 with the first optoe that knew banks).
"""

import errno
import glob
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from agent.errors import (
    BusError,
    BusGone,
    BusTimeout,
    DriverError,
    ModuleAbsent,
    NotPermitted,
    PageRefused,
    ShortRead,
    Unsupported,
)
from agent.memory import I2C_DIAGNOSTICS, Shape, Span
from agent.sources import Cage, Options
from drivers import coexistence, errnos

SPD_NAMES: Final = ("spd", "ee1004", "spd5118")
"""What the kernel calls the EEPROMs of memory modules."""
_FIRST_BANKED_PAGE: Final = 0x10
_SAMPLE: Final = range(200, 224)
"""Bytes compared with page 00h, where they hold serial number, power and check sums. No page has clear-on-read
bytes here (CMIS 5.2, OIF-ELSFP-CMIS, SFF-8636) but for those of `_FLAG_PAGES`."""
_FEW: Final = 8
_FLAG_PAGES: Final = frozenset({0x2C, 0x33})


class FileCalls(Protocol):
    """The three system calls under this driver; tests put a fake kernel here."""

    def open(self, path: str) -> int: ...
    def pread(self, fd: int, n: int, offset: int) -> bytes: ...
    def close(self, fd: int) -> None: ...


class LinuxFiles:
    """The real ones."""

    def open(self, path: str) -> int:
        """A file descriptor, for reading."""
        return os.open(path, os.O_RDONLY)

    def pread(self, fd: int, n: int, offset: int) -> bytes:
        """At most `n` bytes from `offset`."""
        return os.pread(fd, n, offset)

    def close(self, fd: int) -> None:
        """Give it back."""
        os.close(fd)


_ERRORS: Final[errnos.Table] = {
    errno.ENXIO: errnos.NO_ACKNOWLEDGE,
    errno.EREMOTEIO: errnos.NO_ACKNOWLEDGE,
    # at24 and optoe ask again for 25 ms when nobody acknowledges, and then say this.
    errno.ETIMEDOUT: errnos.NO_ACKNOWLEDGE,
    errno.EIO: errnos.TRANSFER_FAILED,
    errno.EAGAIN: errnos.Meaning(BusTimeout, "arbitration lost"),
    errno.EBUSY: errnos.Meaning(BusTimeout, "the bus stays busy"),
    errno.ENODEV: errnos.Meaning(BusGone, "the device is gone"),
    errno.ENOENT: errnos.Meaning(BusGone, "no such file", "`opticd scan` shows the files of this host"),
    errno.EACCES: errnos.Meaning(NotPermitted, "permission denied", "be root or in the group that owns the file"),
    errno.EPERM: errnos.Meaning(NotPermitted, "not permitted", "be root or in the group that owns the file"),
    errno.EISDIR: errnos.Meaning(Unsupported, "a folder, not an EEPROM file"),
    errno.ENOTDIR: errnos.Meaning(BusGone, "no such file"),
    errno.EINVAL: errnos.Meaning(Unsupported, "not an EEPROM file"),
    errno.ESPIPE: errnos.Meaning(Unsupported, "not an EEPROM file"),
}
"""Every errno of a read or of opening the file."""


def linear_offset(span: Span, *, pages_per_bank: int = 256) -> int:
    """Where a span begins in the file.

    One address: lower memory, then 128 bytes a page. Two (SFP): A0h, lower A2h, then the pages of A2h.
    """
    if span.i2c == I2C_DIAGNOSTICS:
        return 256 + span.offset + 128 * (span.page if span.upper else 0)
    bank = span.bank if span.page >= _FIRST_BANKED_PAGE else 0
    return span.offset + 128 * (bank * pages_per_bank + span.page if span.upper else 0)


class SysfsMemory:
    """`ModuleMemory` over an EEPROM file."""

    def __init__(self, path: str, *, pages_per_bank: int = 256, files: FileCalls | None = None) -> None:
        self.path = path
        self._pages_per_bank = pages_per_bank
        self._files: FileCalls = files or LinuxFiles()
        self._fds: dict[str, int] = {}
        self._shape = Shape()
        self._verified: set[tuple[int, int, int]] = set()

    @property
    def shape(self) -> Shape:
        """How the module is paged; setting it forgets which pages were seen."""
        return self._shape

    @shape.setter
    def shape(self, shape: Shape) -> None:
        self._shape = shape
        self._verified.clear()

    def read(self, span: Span) -> bytes:
        """Exactly the bytes of `span`; PageRefused for a page that the file or the module does not have."""
        if span.length < 1 or span.end > 256 or span.offset < 128 < span.end:
            raise Unsupported("a read stays within one half of the memory", span=span)
        if not span.page or not span.upper or (span.i2c, span.bank, span.page) in self._verified:
            return self._read(span)
        if span.bank >= max(self._shape.banks, 1):
            raise PageRefused(f"the module has {self._shape.banks} bank(s)", span=span)
        if span.page not in _FLAG_PAGES:  # there a read that nobody asked for would clear flags
            self._verify(span, span._replace(offset=_SAMPLE.start, length=len(_SAMPLE)))
        data = self._read(span)
        if (span.i2c, span.bank, span.page) not in self._verified:
            self._verify(span, span, data)
        return data

    def _verify(self, span: Span, sample: Span, data: bytes | None = None) -> None:
        """What looks like page 00h is page 00h; bytes that are all alike, or very few, prove nothing."""
        here = self._read(sample) if data is None else data
        if here != self._read(sample._replace(page=0, bank=0)):
            self._verified.add((span.i2c, span.bank, span.page))
        elif len(here) >= _FEW and len(set(here)) > 1:
            raise PageRefused("the module shows page 00h", span=span)

    def close(self) -> None:
        """Give the files back; the next read opens them again."""
        fds, self._fds = self._fds, {}
        self._verified.clear()
        for fd in fds.values():
            self._files.close(fd)

    def _read(self, span: Span) -> bytes:
        path, offset = self.path, linear_offset(span, pages_per_bank=self._pages_per_bank)
        other = self.path.replace("-0050/", "-0051/")
        if span.i2c == I2C_DIAGNOSTICS and other != self.path and Path(other).exists():
            path, offset = other, offset - 256  # at24 has a file an address
        try:
            fd = self._fds.get(path)
            if fd is None:
                fd = self._fds[path] = self._files.open(path)
            data = self._files.pread(fd, span.length, offset)
        except OSError as exc:
            raise self._failed(exc, span) from exc
        if len(data) == span.length:
            return data
        if not data and span.page:
            hint = (
                "with optoe, write how many banks there are to max_bank_size beside the file" if span.bank else ""
            )
            raise PageRefused(f"{path} ends before this page", span=span, hint=hint)
        if not data and span.i2c == I2C_DIAGNOSTICS:
            raise ModuleAbsent(f"{path} has no second address", span=span)
        raise ShortRead(f"{path}: {len(data)} bytes of {span.length}", span=span)

    def _failed(self, exc: OSError, span: Span) -> DriverError:
        kind, text, hint = errnos.meaning(exc, _ERRORS)
        if issubclass(kind, BusError):
            self.close()
        return kind(f"{self.path}: {text} ({errnos.name(exc.errno)})", span=span, hint=hint)


class SysfsDriver:
    """`agent.sources.Driver` for EEPROM files. `files` and `owner` are for tests."""

    def __init__(
        self, *, files: FileCalls | None = None, owner: Callable[[], str] = coexistence.module_owner
    ) -> None:
        self._files = files
        self._owner = coexistence.remembered(owner)

    def open(self, address: str, options: Options) -> Cage:
        """The cage behind a file, or behind the folder it is in."""
        pages_per_bank = int(options.number("banks", 256, least=1, most=256))
        path = Path(address)
        file = path / "eeprom" if path.is_dir() else path
        return Cage(
            source=f"sysfs:{file}",
            port=_port_name(file),
            bus=_bus(file),
            memory=SysfsMemory(str(file), pages_per_bank=pages_per_bank, files=self._files),
            owner=self._owner(),
        )

    def expand(self, address: str) -> list[str]:
        """The files that a pattern matches now, in the order of their numbers."""
        if not any(sign in address for sign in "*?["):
            return [address]
        paths = (path for path in glob.glob(address) if not _is_spd(Path(path)))  # noqa: PTH207 - any absolute pattern
        return sorted(paths, key=lambda path: [int(n) for n in re.findall(r"\d+", path)])


def _is_spd(file: Path) -> bool:
    """Whether it is the EEPROM of a memory module: a pattern may match it, and it is not for us."""
    try:
        return (file.parent / "name").read_text(encoding="utf-8").strip() in SPD_NAMES
    except (OSError, UnicodeDecodeError):
        return False


def _port_name(file: Path) -> str:
    """What the platform calls the port (optoe's `port_name`), else the name of the device."""
    try:
        named = (file.parent / "port_name").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        named = ""
    if named and named not in {"unitialized", "uninitialized"}:  # optoe's own default, as it spells it
        return named
    return file.parent.name if file.name == "eeprom" else file.name


def _bus(file: Path) -> str:
    """The adapter at the root: files of one wire are read by one thread."""
    return next((part for part in file.resolve().parts if re.fullmatch(r"i2c-\d+", part)), f"sysfs:{file.parent}")
