"""The memory of a module over any `I2cBus`: page and bank select by the rules of SFF-8472, SFF-8636 and CMIS.

Documents: SFF-8472 Rev 12.4 section 10 (byte 127 of A2h), SFF-8636 Rev 2.11 section 6.2 (byte 127),
CMIS 5.2 section 8.2 (bytes 126-127: one write when the bank changes, up to 10 ms without acknowledge).
"""

import time
from collections.abc import Callable
from typing import Final

from agent.errors import DriverError, ModuleAbsent, NotPermitted, PageMoved, PageRefused, Unsupported
from agent.memory import FREEZE_CONTROL, I2C_DIAGNOSTICS, I2C_MODULE, I2cBus, Shape, Span

_BANK_SELECT: Final = 126
_PAGE_SELECT: Final = 127
_FIRST_BANKED_PAGE: Final = 0x10
_POLL_S: Final = 0.001


class PagedMemory:
    """`ModuleMemory` over an `I2cBus`. Nothing is written while the shape is unknown or the module flat.

    `shared`: others may select pages too, so the select is read back behind every block, and a block is dropped
    when it was moved; alone on the bus it is read back once, before the first block of each page. Where the page is
    wanted that was left selected, that is looked at in place of a select: it shows as well that no exchange of the
    module moved it.
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
        self._left: tuple[int, int, int] | None = None
        """The page that was selected last, as `_verified` names them."""
        self._moved = False
        self._away = False

    @property
    def shape(self) -> Shape:
        """How pages are selected; setting it forgets what was known of the module before."""
        return self._shape

    @shape.setter
    def shape(self, shape: Shape) -> None:
        self._shape = shape
        self._forget()
        self._away = False

    def read(self, span: Span) -> bytes:
        """Exactly the bytes of `span`, or a DriverError; PageRefused when the module shows another page."""
        if span.length < 1 or span.end > 256 or span.offset < 128 < span.end:
            raise Unsupported("a read stays within one half of the memory", span=span)
        try:
            selected = span.offset >= 128 and self._select(span)
            if self._shape.single_byte:
                data = b"".join(
                    self._fetch(span.i2c, at, 1, selected=selected) for at in range(span.offset, span.end)
                )
            else:
                data = self._fetch(span.i2c, span.offset, span.length, selected=selected)
            if self._shared and span.offset >= 128 and self._left == (span.i2c, span.bank, span.page):
                self._confirm(span, looked=not selected)
        except DriverError as exc:
            self._forget()
            if exc.span is None:
                exc.span = span
            raise
        return data

    def disturbed(self) -> bool:
        """As `Remembers.disturbed`: the page that was left selected was found to be another."""
        moved, self._moved = self._moved, False
        return moved

    def leave(self, span: Span) -> None:
        """As `Remembers.leave`; nothing where the page is parked, or was left already."""
        where = (span.i2c, span.bank, span.page)
        if self._shape.family != "cmis" or self._banked or not span.upper or not span.page or self._left == where:
            return
        try:
            self._select(span)
        except DriverError:
            self._forget()
            raise

    def write_freeze(self, value: int, *, bank: int = 0) -> None:
        """As `Freezes.write_freeze`. The select is read back just before: the byte does other things elsewhere."""
        span = FREEZE_CONTROL._replace(bank=bank)
        if not self._freeze:
            raise NotPermitted("opticd writes nothing to a module", hint="vdm_freeze lets it freeze VDM", span=span)
        try:
            self._forget()
            if self._shape.family != "cmis" or not self._select(span):
                raise PageRefused("not a module with VDM", span=span)
            if self._shared:
                self._verify(span)
            self._bus.transfer(span.i2c, bytes((span.offset, value)), 0)
        except DriverError as exc:
            self._forget()
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
            self._left = None

    def close(self) -> None:
        """Give the bus back; the next read opens it again."""
        self._forget()
        self._bus.close()

    def _forget(self) -> None:
        self._verified.clear()
        self._left = None

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
        where = (span.i2c, span.bank, span.page)
        if self._left == where and self._is_still(span):
            return False
        self._write_select(span.i2c, span.bank, span.page)
        self._away = (span.bank, span.page) != (0, 0)
        if not self._shared and where not in self._verified:
            self._verify(span)
        self._left = where
        return True

    def _is_still(self, span: Span) -> bool:
        """Whether the page is selected that was left selected, asked in place of a select.

        What moved it may be another master, a reset, or another module: a module powers up on page 00h.
        """
        still = self._shows(span, self._bus.transfer(span.i2c, bytes((self._echo_at,)), self._echo_size))
        if not still:
            self._forget()
            self._moved = True
        return still

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

    @property
    def _echo_at(self) -> int:
        """Bank and page are looked at where there are banks, else the page alone."""
        return _BANK_SELECT if self._banked else _PAGE_SELECT

    @property
    def _echo_size(self) -> int:
        return 2 if self._banked else 1

    def _shows(self, span: Span, echo: bytes) -> bool:
        return echo[-1] == span.page and (echo[0] == span.bank or not self._is_banked(span))

    def _is_banked(self, span: Span) -> bool:
        return self._banked and span.page >= _FIRST_BANKED_PAGE

    def _verify(self, span: Span) -> None:
        """Read the select back, asking again while the module is busy with it."""
        echo = self._acknowledged(span.i2c, self._echo_at, self._echo_size)
        where = (span.i2c, span.bank, span.page)
        if self._shows(span, echo):
            self._verified.add(where)
            return
        bank = f"bank {echo[0]} " if self._is_banked(span) else ""
        shown = f"{bank}page {echo[-1]:02X}h"
        if where in self._verified:  # it has the page
            self._moved = True
            raise PageMoved(f"somebody selected {shown} meanwhile", span=span)
        raise PageRefused(f"the module shows {shown}", span=span)

    def _confirm(self, span: Span, *, looked: bool) -> None:
        """Read the select back behind a block. That this fails says nothing of the block, if the page was `looked`
        at before it: reading it has cleared flags, which are told now or never.
        """
        try:
            self._verify(span)
        except (PageMoved, PageRefused):
            raise
        except DriverError:
            if not looked:
                raise
            self._forget()

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
