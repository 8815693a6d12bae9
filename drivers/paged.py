"""The memory of a module over any `I2cBus`: page and bank select by the rules of SFF-8472, SFF-8636 and CMIS.

Documents: SFF-8472 Rev 12.4 section 10 (byte 127 of A2h), SFF-8636 Rev 2.11 section 6.2 (byte 127),
CMIS 5.2 section 8.2 (bytes 126-127: one write when the bank changes, up to 10 ms without acknowledge).
"""

import time
from collections.abc import Callable
from typing import Final

from agent.errors import DriverError, ModuleAbsent, NotPermitted, PageRefused, Unsupported
from agent.memory import FREEZE_CONTROL, I2C_DIAGNOSTICS, I2C_MODULE, I2cBus, Shape, Span

_BANK_SELECT: Final = 126
_PAGE_SELECT: Final = 127
_FIRST_BANKED_PAGE: Final = 0x10
_POLL_S: Final = 0.001


class PagedMemory:
    """`ModuleMemory` over an `I2cBus`. Nothing is written while the shape is unknown or the module flat.

    `shared`: others may select pages too, so every select is read back; otherwise only the first of each page.
    `settle_s`: wait so long after a select before the first try (0: the acknowledge tells); `busy_limit_s`: keep
    asking so long for an acknowledge after a select. CMIS allows 10 ms; some modules take twice that. What the
    shape says of either comes first. `freeze`: the control byte of VDM may be written, if the bus' guard allows it.
    """

    def __init__(
        self,
        bus: I2cBus,
        *,
        shared: bool = True,
        settle_s: float = 0.0,
        busy_limit_s: float = 0.05,
        freeze: bool = False,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._shared = shared
        self._settle_s = settle_s
        self._busy_limit_s = busy_limit_s
        self._freeze = freeze
        self._sleep = sleep
        self._clock = clock
        self._shape = Shape()
        self._verified: set[tuple[int, int, int]] = set()
        self._away = False

    @property
    def shape(self) -> Shape:
        """How pages are selected; setting it forgets what was known of the module before."""
        return self._shape

    @shape.setter
    def shape(self, shape: Shape) -> None:
        self._shape = shape
        self._verified.clear()
        self._away = False

    def read(self, span: Span) -> bytes:
        """Exactly the bytes of `span`, or a DriverError; PageRefused when the module shows another page."""
        if span.length < 1 or span.end > 256 or span.offset < 128 < span.end:
            raise Unsupported("a read stays within one half of the memory", span=span)
        try:
            selected = span.offset >= 128 and self._select(span)
            if self._shape.single_byte:
                return b"".join(
                    self._fetch(span.i2c, at, 1, selected=selected) for at in range(span.offset, span.end)
                )
            return self._fetch(span.i2c, span.offset, span.length, selected=selected)
        except DriverError as exc:
            self._verified.clear()
            if exc.span is None:
                exc.span = span
            raise

    def write_freeze(self, value: int, *, bank: int = 0) -> None:
        """As `Freezes.write_freeze`. The select is read back just before: the byte does other things elsewhere."""
        span = FREEZE_CONTROL._replace(bank=bank)
        if not self._freeze:
            raise NotPermitted("opticd writes nothing to a module", hint="vdm_freeze lets it freeze VDM", span=span)
        try:
            self._verified.clear()
            if self._shape.family != "cmis" or not self._select(span):
                raise PageRefused("not a module with VDM", span=span)
            self._bus.transfer(span.i2c, bytes((span.offset, value)), 0)
        except DriverError as exc:
            self._verified.clear()
            exc.span = exc.span or span
            raise

    def _fetch(self, address: int, offset: int, n: int, *, selected: bool) -> bytes:
        if selected:
            return self._acknowledged(address, offset, n)
        return self._bus.transfer(address, bytes((offset,)), n)

    def park(self) -> None:
        """Select page 00h again where others expect it: kernel drivers on SFF modules, and readers that know of no
        banks. On a CMIS module with one bank everybody selects for himself, and a select a refresh is saved.
        """
        if self._away and (self._shape.family != "cmis" or self._banked):
            address = I2C_DIAGNOSTICS if self._shape.family == "sff8472" else I2C_MODULE
            self._write_select(address, 0, 0)
            self._away = False

    def close(self) -> None:
        """Give the bus back; the next read opens it again."""
        self._verified.clear()
        self._bus.close()

    def _select(self, span: Span) -> bool:
        """Select the page of `span`; False where there is nothing to select."""
        if span.i2c == I2C_MODULE and self._shape.family == "sff8472":
            return False  # A0h of an SFP is one EEPROM of 256 bytes: byte 127 is a vendor's there
        if self._shape.flat or not self._shape.family:
            if (span.bank, span.page) != (0, 0):
                raise PageRefused("a flat module has page 00h alone", span=span)
            return False
        if span.bank >= max(self._shape.banks, 1):
            raise PageRefused(f"the module has {self._shape.banks} bank(s)", span=span)
        self._write_select(span.i2c, span.bank, span.page)
        self._away = (span.bank, span.page) != (0, 0)
        if self._shared or (span.i2c, span.bank, span.page) not in self._verified:
            self._verify(span)
        return True

    @property
    def _banked(self) -> bool:
        return self._shape.banks > 1

    def _write_select(self, address: int, bank: int, page: int) -> None:
        # With one bank byte 126 need not exist. With more, the two bytes go in one write (the module acts on 127).
        banked = self._banked and (page >= _FIRST_BANKED_PAGE or page == 0)
        select = bytes((_BANK_SELECT, bank, page)) if banked else bytes((_PAGE_SELECT, page))
        self._bus.transfer(address, select, 0)
        settle_s = self._settle_s if self._shape.settle_s is None else self._shape.settle_s
        if settle_s:
            self._sleep(settle_s)

    def _verify(self, span: Span) -> None:
        """Read the select back, asking again while the module is busy with it."""
        one_byte = self._shape.family != "cmis"
        at = _PAGE_SELECT if one_byte else _BANK_SELECT
        echo = self._acknowledged(span.i2c, at, 1 if one_byte else 2)
        banked = self._banked and span.page >= _FIRST_BANKED_PAGE
        if echo[-1] != span.page or (banked and echo[0] != span.bank):
            bank = f"bank {echo[0]} " if banked else ""
            raise PageRefused(f"the module shows {bank}page {echo[-1]:02X}h", span=span)
        self._verified.add((span.i2c, span.bank, span.page))

    def _acknowledged(self, address: int, offset: int, n: int) -> bytes:
        limit_s = self._busy_limit_s if self._shape.busy_limit_s is None else self._shape.busy_limit_s
        until = self._clock() + limit_s
        while True:
            try:
                return self._bus.transfer(address, bytes((offset,)), n)
            except ModuleAbsent:
                if self._clock() >= until:
                    raise
            self._sleep(_POLL_S)
