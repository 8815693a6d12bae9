r"""An optical module on an I2C bus: its memory image behind the two-wire rules of SFF-8472, SFF-8636 and CMIS.

    module = FakeModule.load("saved.json")           # a recording, or any saved memory
    module.put(Span(14, 2), bytes.fromhex("1900"))   # 25 degC
    module.put(Span(147, 1, page=0x11), b"\x01")     # rx_los of lane 1 begins ...
    module.put(Span(147, 1, page=0x11), b"\x00")     # ... and ends: latched until it is read
    module.remove(); module.insert()

Documents: SFF-8472 Rev 12.4 (A0h, A2h, byte 127 of A2h), SFF-8636 Rev 2.11 (byte 127), CMIS 5.2 sections 8.1
and 8.2 (bytes 126 and 127, fall-back to page 00h bank 0, clear on read).

VDM freeze (CMIS 5.2 section 8.17, page 2Fh bytes 144 and 145) is followed bank by bank: statistics stand still, and
are reset when they are let go.

Not simulated: write protection and passwords (every other byte written is stored, and complained of), CDB, the
module state machine, clock stretching, the address change of SFF-8472, timing of non-volatile writes.
"""

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final, Protocol

from agent.documents import images
from agent.errors import ModuleAbsent
from agent.memory import I2C_DIAGNOSTICS, I2C_MODULE, Memory, Span
from fakes.module_rules import (
    CLEAR_ON_READ,
    FAMILIES,
    FREEZE_CONTROL,
    FREEZE_DONE,
    FREEZE_REQUEST,
    FREEZE_STATUS,
    SAMPLES,
    STATISTICS,
    UNFREEZE_DONE,
    VDM_PAGE,
    Family,
    family_of,
)

_BANK_SELECT: Final = 126
_PAGE_SELECT: Final = 127
_LOWER: Final = (0, -1)
"""Key of lower memory; upper pages have (bank, page)."""


class I2cDevice(Protocol):
    """What hangs on a fake bus: asked for every message, whoever is addressed."""

    def write(self, address: int, data: bytes) -> int | None:
        """How many bytes of `data` it acknowledged, None when it did not acknowledge the address."""
        ...

    def read(self, address: int, n: int) -> bytes | None:
        """`n` bytes, None when it did not acknowledge the address."""
        ...


def _key(span: Span, at: int) -> tuple[int, int, int]:
    return (span.i2c, *_LOWER) if at < 128 else (span.i2c, span.bank, span.page)


class FakeModule:
    """One cage with, usually, a module in it. A test may script it while another thread reads.

    `ready_after_s`: no acknowledge for so long after an insertion; `select_busy_s`: and after a page select;
    `flags_last`: the flags of the image stay as conditions, instead of being read once; `freeze_s`: how long it
    takes to freeze VDM and to let it go (infinity: it never says that it did).
    `complaints` holds everything a careful host never does, `freezes` what was written to its VDM control, by bank.
    """

    witness: ClassVar[Callable[[int, bytes, int], None] | None] = None
    """Told of every byte that any module or mux takes: address, what was written (for a module offset first), and
    the page that was selected then. For who has to know that nothing else was ever written."""

    def __init__(
        self,
        memory: Memory,
        *,
        family: Family | None = None,
        clock: Callable[[], float] = time.monotonic,
        ready_after_s: float = 0.0,
        select_busy_s: float = 0.0,
        flags_last: bool = True,
        freeze_s: float = 0.02,
    ) -> None:
        self.ready_after_s = ready_after_s
        self.select_busy_s = select_busy_s
        self.flags_last = flags_last
        self.freeze_s = freeze_s
        self.complaints: list[str] = []
        self.freezes: list[tuple[int, int]] = []
        self._clock = clock
        self._lock = threading.RLock()
        self._nacks = 0
        self._nack_at: list[int] = []
        self._during: list[tuple[int, Callable[[], None]]] = []
        self._after_select: list[Callable[[], None]] = []
        self._corrupt: list[tuple[int, bytes]] = []
        self._sticks = False
        self._stuck: int | None = None
        self.insert(memory, family=family)

    @classmethod
    def load(cls, path: Path | str) -> "FakeModule":
        """A module that holds saved memory: a recording, what `opticd read --dump` wrote, or any dump known."""
        image = images.load(Path(path).read_bytes())[0]
        return cls(image.memory, family=FAMILIES.get(image.family))

    # -- what a test or a scenario does to it -------------------------------------------------------------

    def insert(self, memory: Memory | None = None, *, family: Family | None = None) -> None:
        """Put a module into the cage: another one, or the one that was pulled. It powers up on page 00h."""
        with self._lock:
            if memory is not None:
                self._take(memory, family)
            self._select: dict[int, tuple[int, int]] = {I2C_MODULE: (0, 0), I2C_DIAGNOSTICS: (0, 0)}
            self._mapped = dict(self._select)
            self._pointer: dict[int, int] = {I2C_MODULE: 0, I2C_DIAGNOSTICS: 0}
            self._asked: dict[int, tuple[bool, float]] = {}
            self._busy_until = self._clock() + self.ready_after_s if self.ready_after_s else 0.0
            self.present = True

    def remove(self) -> None:
        """Pull the module: nothing acknowledges any more."""
        self.present = False

    def put(self, span: Span, data: bytes) -> None:
        """Change what the module says. In clear-on-read bytes this is the condition: bits stay until read."""
        with self._lock:
            if self._asked and span.page in SAMPLES and span.bank in self.frozen:
                data = self._standing(span, data)
            whole = _key(span, span.offset)
            if whole == _key(span, span.end - 1) and not self._clears_any(whole, span):
                first, data = span.offset % 128, data[: span.length]
                self._pages.setdefault(whole, bytearray(128))[first : first + len(data)] = data
                return
            for at, value in enumerate(data[: span.length], span.offset):
                key = _key(span, at)
                page = self._pages.setdefault(key, bytearray(128))
                if self._clears(key, at):
                    self._conditions.setdefault(key, bytearray(128))[at % 128] = value
                    page[at % 128] |= value
                else:
                    page[at % 128] = value

    def get(self, span: Span) -> bytes:
        """What the module would say, without reading it: nothing is cleared. 0 where it has no memory."""
        with self._lock:
            lower = self._pages.get((span.i2c, *_LOWER), bytes(128))
            upper = self._pages.get((span.i2c, span.bank, span.page), bytes(128))
            return bytes(lower + upper)[span.offset : span.end]

    def nack(self, messages: int) -> None:
        """Do not acknowledge the address of the next messages."""
        self._nacks = messages

    def nack_at(self, byte: int, *, times: int = 1) -> None:
        """Do not acknowledge data byte `byte` (from 0: the offset) of the next writes that are so long."""
        self._nack_at += [byte] * times

    def all_bytes(self, value: int | None) -> None:
        """Answer every read with this byte (FFh: bus floats high; 00h: data line held), None ends it."""
        self._stuck = value

    def flip(self, mask: bytes, *, least: int = 1) -> None:
        """XOR the first bytes of the next read of at least so many with `mask`."""
        self._corrupt.append((least, mask))

    def stick(self, *, on: bool) -> None:
        """Page selects are taken, and do nothing."""
        self._sticks = on

    def during_read(self, byte: int, action: Callable[[], None]) -> None:
        """Do something once `byte` bytes of the next longer read were sent: pull it, tear a value, ..."""
        self._during.append((byte, action))

    def after_select(self, action: Callable[[], None]) -> None:
        """Do something right behind the next page select, as another master would."""
        self._after_select.append(action)

    def select(self, page: int, *, bank: int = 0, address: int = I2C_MODULE) -> None:
        """Another master selects a page."""
        with self._lock:
            self._map(address, bank, page)

    @property
    def frozen(self) -> frozenset[int]:
        """Banks whose VDM is asked to stand still."""
        return frozenset(bank for bank, (asked, _) in self._asked.items() if asked)

    @property
    def selected(self) -> tuple[int, int]:
        """Bank and page selected now on 50h."""
        return self._select[I2C_MODULE]

    # -- the bus side -------------------------------------------------------------------------------------

    def write(self, address: int, data: bytes) -> int | None:
        """A write message, as `I2cDevice`."""
        with self._lock:
            if not self._acknowledges(address):
                return None
            for index, byte in enumerate(self._nack_at):
                if byte < len(data):
                    del self._nack_at[index]
                    return byte
            if data:
                self._pointer[address] = data[0]
            if len(data) > 1:
                if FakeModule.witness is not None:
                    FakeModule.witness(address, data, self._mapped.get(address, (0, 0))[1])
                self._store(address, data[0], data[1:])
            return len(data)

    def read(self, address: int, n: int) -> bytes | None:
        """A read message, as `I2cDevice`; after a removal in the middle the bus floats to FFh."""
        with self._lock:
            if not self._acknowledges(address):
                return None
            at = self._pointer[address]
            if at < 128 < at + n or at + n > 256:
                self.complaints.append(f"read of {n} bytes from {at} of {address:02X}h crosses a boundary")
            data = b""
            due = sorted((job for job in self._during if job[0] < n), key=lambda job: job[0])
            for job in due:
                data += self._take_bytes(address, at + len(data), job[0] - len(data))
                self._during.remove(job)
                job[1]()
            data += self._take_bytes(address, at + len(data), n - len(data))
            self._pointer[address] = (at + n) % 256
            if self._corrupt:
                data = self._flipped(data)
            return data if self._stuck is None else bytes((self._stuck,)) * n

    def transfer(self, address: int, out: bytes, n: int) -> bytes:
        """The same as an `I2cBus` of its own, for tests that need no adapter. Raises ModuleAbsent."""
        if out and self.write(address, out) != len(out):
            raise ModuleAbsent("no acknowledge")
        data = self.read(address, n) if n else b""
        if data is None:
            raise ModuleAbsent("no acknowledge")
        return data

    def close(self) -> None:
        """Nothing to give back."""

    # -- inside -------------------------------------------------------------------------------------------

    def _take(self, memory: Memory, family: Family | None) -> None:
        self.family: Family = family or family_of(memory)
        self._pages: dict[tuple[int, int, int], bytearray] = {}
        self._conditions: dict[tuple[int, int, int], bytearray] = {}
        for span in memory.spans():
            data = memory.get(span) or b""
            for first, end in ((span.offset, min(span.end, 128)), (max(span.offset, 128), span.end)):
                if first < end:
                    key = _key(span, first)
                    # What a recording does not hold reads as erased memory.
                    erased = b"\xff" if key[1:] == (0, 0) else b"\0"
                    page = self._pages.setdefault(key, bytearray(erased * 128))
                    page[first % 128 : first % 128 + end - first] = data[first - span.offset : end - span.offset]
        self._pages.setdefault((I2C_MODULE, *_LOWER), bytearray(128))
        for address in {key[0] for key in self._pages}:
            self._pages.setdefault((address, 0, 0), bytearray(b"\xff" * 128))
        if self.flags_last:
            self._conditions = {key: bytearray(page) for key, page in self._pages.items()}

    def _paged(self, address: int) -> bool:
        lower = self._pages[I2C_MODULE, *_LOWER]
        match self.family:
            case "cmis":
                return address == I2C_MODULE and not lower[2] & 0x80
            case "sff8636":
                return address == I2C_MODULE and not lower[2] & 0x04
            case "sff8472":
                return address == I2C_DIAGNOSTICS and bool(lower[64] & 0x10)

    def _acknowledges(self, address: int) -> bool:
        if not self.present or (address, *_LOWER) not in self._pages:
            return False
        if self._nacks:
            self._nacks -= 1
            return False
        return not self._busy_until or self._clock() >= self._busy_until

    def _store(self, address: int, at: int, data: bytes) -> None:
        selects = self._paged(address) and at + len(data) == _PAGE_SELECT + 1
        banked = selects and self.family == "cmis" and len(data) == 2
        if banked or (selects and len(data) == 1):
            if self._sticks:
                return
            self._map(address, data[0] if banked else self._select[address][0], data[-1])
            if self.select_busy_s:
                self._busy_until = self._clock() + self.select_busy_s
            if self._after_select:
                self._after_select.pop(0)()
        elif self._paged(address) and self.family == "cmis" and (at, len(data)) == (_BANK_SELECT, 1):
            self._select[address] = (data[0], self._select[address][1])  # acted on with the next write of 127
        elif self._is_freeze(address, at, data):
            self._ask(self._mapped[address][0], data[0])
        else:
            self.complaints.append(f"{len(data)} bytes written from {at} of {address:02X}h: {data.hex()}")
            bank, page = self._mapped[address]
            self.put(Span(at, len(data), page, bank, address), data)

    def _flipped(self, data: bytes) -> bytes:
        """With the bits wrong that the next read of this length has wrong."""
        for least, mask in [each for each in self._corrupt if each[0] <= len(data)]:
            data = bytes(a ^ b for a, b in zip(data, mask, strict=False)) + data[len(mask) :]
            self._corrupt.remove((least, mask))
        return data

    def _is_freeze(self, address: int, at: int, data: bytes) -> bool:
        advertising = self._pages.get((I2C_MODULE, 0, 0x01), bytes(128))
        return (
            self.family == "cmis"
            and (address, self._mapped[address][1]) == (I2C_MODULE, VDM_PAGE)
            and (at, len(data)) == (FREEZE_CONTROL, 1)
            and bool(advertising[142 - 128] & 0x40)
        )

    def _ask(self, bank: int, control: int) -> None:
        """VDM control was written: what was done before is not true any more, what is asked takes its time."""
        self.freezes.append((bank, control))
        page = self._pages[I2C_MODULE, bank, VDM_PAGE]
        page[FREEZE_CONTROL - 128] = control
        asked = bool(control & FREEZE_REQUEST)
        if asked != self._asked.get(bank, (False, 0.0))[0] or not page[FREEZE_STATUS - 128]:
            page[FREEZE_STATUS - 128] = 0
            self._asked[bank] = (asked, self._clock())
            if not asked:
                self._reset_statistics(bank)

    def _statistics(self, bank: int, page: int) -> list[int]:
        """Where on a page of samples the statistics begin, as the descriptors of its group say."""
        own = self._pages.get((I2C_MODULE, bank, page - 4))
        descriptors = own or self._pages.get((I2C_MODULE, 0, page - 4)) or bytearray(128)
        return [at for at in range(0, 128, 2) if descriptors[at + 1] in STATISTICS]

    def _reset_statistics(self, bank: int) -> None:
        for page in SAMPLES:
            samples = self._pages.get((I2C_MODULE, bank, page), bytearray(128))
            for at in self._statistics(bank, page):
                samples[at : at + 2] = b"\0\0"

    def _standing(self, span: Span, data: bytes) -> bytes:
        """What a change of samples comes to while their bank is frozen."""
        page = bytearray(128)
        page[span.offset - 128 : span.end - 128] = data[: span.length]
        before = self.get(span._replace(offset=128, length=128))
        for at in self._statistics(span.bank, span.page):
            page[at : at + 2] = before[at : at + 2]
        return bytes(page[span.offset - 128 : span.end - 128])

    def _follow_freeze(self, bank: int) -> None:
        asked, since = self._asked.get(bank, (False, math.inf))
        if self._clock() - since >= self.freeze_s:
            status = FREEZE_DONE if asked else UNFREEZE_DONE
            self._pages[I2C_MODULE, bank, VDM_PAGE][FREEZE_STATUS - 128] = status

    def _map(self, address: int, bank: int, page: int) -> None:
        mapped = (bank if page >= 0x10 else 0, page)  # BankSelect is ignored for pages 00h-0Fh
        if (address, *mapped) not in self._pages:
            bank, page, mapped = 0, 0, (0, 0)  # a real module falls back, it does not complain
        self._select[address] = (bank, page)
        self._mapped[address] = mapped

    def _clears(self, key: tuple[int, int, int], at: int) -> bool:
        return any(at in run for run in CLEAR_ON_READ[self.family].get((key[0], key[2]), ()))

    def _clears_any(self, key: tuple[int, int, int], span: Span) -> bool:
        runs = CLEAR_ON_READ[self.family].get((key[0], key[2]), ())
        return any(run.start < span.end and span.offset < run.stop for run in runs)

    def _take_bytes(self, address: int, at: int, n: int) -> bytes:
        """`n` bytes from `at`, clearing what a read clears; behind 255 it begins again."""
        if not self.present or (address, *_LOWER) not in self._pages:
            return b"\xff" * n
        upper = (address, *self._mapped[address])
        if upper[2] == VDM_PAGE and self._asked:
            self._follow_freeze(upper[1])
        window = bytearray(self._pages[address, *_LOWER] + self._pages[upper])
        if self._paged(address):
            if self.family == "cmis":
                window[_BANK_SELECT] = self._select[address][0]
            window[_PAGE_SELECT] = self._select[address][1]
        data = bytes(window[i % 256] for i in range(at, at + n)) if at + n > 256 else bytes(window[at : at + n])
        for key in ((address, *_LOWER), upper):
            for run in CLEAR_ON_READ[self.family].get((key[0], key[2]), ()):
                first, last = max(run.start, at), min(run.stop, at + n)
                if first < last:
                    lasting = self._conditions.get(key, bytes(128))
                    self._pages[key][first % 128 : (last - 1) % 128 + 1] = lasting[
                        first % 128 : (last - 1) % 128 + 1
                    ]
        return data
