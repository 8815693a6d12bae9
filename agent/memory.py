"""Addresses inside a module, the bytes known of it, and the ways to fetch more."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, runtime_checkable

I2C_MODULE: Final = 0x50
"""7-bit address of every module (A0h/A1h on the wire)."""
I2C_DIAGNOSTICS: Final = 0x51
"""7-bit address of the diagnostics of an SFF-8472 module (A2h/A3h on the wire)."""

PAGE_SIZE: Final = 256


class Span(NamedTuple):
    """A run of bytes that one read fetches: `offset` 0-127 is lower memory, 128-255 the upper page `page`.

    Lower memory is the same on every page and bank: it is always written as page 0, bank 0.
    """

    offset: int
    length: int
    page: int = 0
    bank: int = 0
    i2c: int = I2C_MODULE

    @property
    def end(self) -> int:
        """First offset behind the span."""
        return self.offset + self.length

    @property
    def upper(self) -> bool:
        """True when a page has to be selected before the read (on a module that has pages)."""
        return self.offset >= 128

    def __str__(self) -> str:
        where = f"page {self.page:02X}h" if self.upper else "lower memory"
        bank = f" bank {self.bank}" if self.bank else ""
        device = "" if self.i2c == I2C_MODULE else f" of {self.i2c * 2:02X}h"
        return f"bytes {self.offset}-{self.end - 1} of {where}{bank}{device}"


class Memory:
    """The bytes known of one module; what was never put is unread, not zero."""

    __slots__ = ("_known", "_pages")

    def __init__(self) -> None:
        self._pages: dict[tuple[int, int, int], bytearray] = {}
        self._known: dict[tuple[int, int, int], int] = {}

    def put(self, span: Span, data: bytes) -> None:
        """Store what a read of `span` returned (`len(data)` bytes, which may be fewer than asked for)."""
        key = (span.i2c, span.bank, span.page)
        page = self._pages.get(key)
        if page is None:
            page = self._pages[key] = bytearray(PAGE_SIZE)
            self._known[key] = 0
        data = data[: PAGE_SIZE - span.offset]
        page[span.offset : span.offset + len(data)] = data
        self._known[key] |= ((1 << len(data)) - 1) << span.offset

    def get(self, span: Span) -> bytes | None:
        """The bytes of `span`, or None when any of them is unread."""
        offset, length, page, bank, i2c = span
        key = (i2c, bank, page)
        mask = (1 << length) - 1
        if offset + length > PAGE_SIZE or self._known.get(key, 0) >> offset & mask != mask:
            return None
        return bytes(self._pages[key][offset : offset + length])

    def byte(self, offset: int, page: int = 0, *, bank: int = 0, i2c: int = I2C_MODULE) -> int | None:
        """One byte, or None when it is unread."""
        key = (i2c, bank, page)
        known = offset < PAGE_SIZE and self._known.get(key, 0) >> offset & 1
        return self._pages[key][offset] if known else None

    def __contains__(self, span: Span) -> bool:
        offset, length, page, bank, i2c = span
        mask = (1 << length) - 1
        return offset + length <= PAGE_SIZE and self._known.get((i2c, bank, page), 0) >> offset & mask == mask

    def drop(self, span: Span) -> None:
        """Forget what is known of `span`."""
        key = (span.i2c, span.bank, span.page)
        if key in self._known:
            self._known[key] &= ~(((1 << span.length) - 1) << span.offset)

    def pages(self) -> Iterator[tuple[tuple[int, int, int], int, bytes]]:
        """Address, bank and number of each page, a bit for each byte that is known, and its 256 bytes."""
        for key in sorted(self._known):
            yield key, self._known[key], bytes(self._pages[key])

    def spans(self) -> Iterator[Span]:
        """Everything that is known, as maximal runs, in address order."""
        for key in sorted(self._known):
            i2c, bank, page = key
            known = self._known[key]
            offset = 0
            while known >> offset:
                offset += ((known >> offset) & -(known >> offset)).bit_length() - 1
                run = known >> offset
                length = ((~run) & (run + 1)).bit_length() - 1
                yield Span(offset, length, page, bank, i2c)
                offset += length


@dataclass(frozen=True, slots=True)
class Shape:
    """How the pages of a module are reached; a module of unknown shape is never written to.

    `family` is the name of the memory map, `flat` True when PageSelect must not be written, and with more than
    one of `banks` BankSelect is written too. What a module needs beyond its specification comes from the quirk
    data: seconds to wait after a select, seconds to ask for an acknowledge after it (None: the driver's own), and
    whether it has to be read byte by byte.
    """

    family: str = ""
    flat: bool = True
    banks: int = 1
    settle_s: float | None = None
    busy_limit_s: float | None = None
    single_byte: bool = False


class I2cBus(Protocol):
    """One I2C bus, used from one thread at a time. Calls block and are bounded by the driver's own limits."""

    def transfer(self, address: int, out: bytes, n: int) -> bytes:
        """Write `out` (may be empty) to the 7-bit `address`, then read `n` bytes (0: no read), as one step.

        Raises a `DriverError`; returns exactly `n` bytes.
        """
        ...

    def close(self) -> None:
        """Give the device node back; the next transfer opens it again."""
        ...


class ModuleMemory(Protocol):
    """The memory of the module in one cage. Blocks; called from one worker thread at a time.

    Whoever identified the module sets `shape`; until then, and after a removal, it is `Shape()`: lower memory and
    upper page 00h can be read. A way in that needs no page select ignores it.
    """

    @property
    def shape(self) -> Shape: ...
    @shape.setter
    def shape(self, shape: Shape) -> None: ...

    def read(self, span: Span) -> bytes:
        """Exactly `span.length` bytes, or a `DriverError`."""
        ...

    def close(self) -> None:
        """Release what the way in holds; the next read opens it again."""
        ...


FREEZE_CONTROL: Final = Span(144, 1, 0x2F)
"""The only register of a module that opticd ever writes, and only where `vdm_freeze` allows it: VDM control."""
FREEZE_STATUS: Final = Span(145, 1, 0x2F)


@runtime_checkable
class Freezes(Protocol):
    """A `ModuleMemory` that can write `FREEZE_CONTROL`, and nothing else."""

    def write_freeze(self, value: int, *, bank: int = 0) -> None:
        """Write it. Raises a DriverError: NotPermitted unless the source allows it, PageRefused."""
        ...


@runtime_checkable
class Parks(Protocol):
    """A `ModuleMemory` that leaves a page selected behind it, which other readers of the module may not expect."""

    def park(self) -> None:
        """Called behind a series of reads. Raises a DriverError."""
        ...


@runtime_checkable
class Remembers(Protocol):
    """A `ModuleMemory` that notices when the page select of a module is not as it was left."""

    def disturbed(self) -> bool:
        """Whether that happened since this was last asked: another master, a reset, or another module."""
        ...

    def leave(self, span: Span) -> None:
        """Leave the page of `span` selected, which no module shows that just powered up. Raises a DriverError."""
        ...


def merge(spans: Iterable[Span], *, gap: int = 0) -> tuple[Span, ...]:
    """The same bytes in as few reads as possible: joins spans at most `gap` bytes apart, never across 127/128."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.i2c, s.bank, s.page, s.offset)):
        last = merged[-1] if merged else None
        if (
            last is not None
            and (last.i2c, last.bank, last.page, last.upper) == (span.i2c, span.bank, span.page, span.upper)
            and span.offset <= last.end + gap
        ):
            merged[-1] = last._replace(length=max(last.end, span.end) - last.offset)
        else:
            merged.append(span)
    return tuple(merged)
