"""External laser sources (OIF-ELSFP-CMIS): pages 1Ah and 1Bh, eight lasers a bank, up to 32.

Everything here rests on one implementation that cites the OIF tables. Flags are read from the bytes of each bank
(186-193) alone: whether reading clears them is not stated, so it is assumed, and the second view of them is left.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Final

from agent import quantities as q
from agent.maps import cmis_fields as f
from agent.maps.plan import Draft
from agent.maps.registers import Confidence, Field, Kind, read_bounds
from agent.memory import Memory, Span
from agent.model import Bounds, Laser
from agent.quantities import BOUNDS, Quantity

ELSFP: Final = 0x22
STATES: Final = ("off", "ramping", "on")
CAUSES: Final = {1: "apc_loop", 2: "acc_loop"}
"""Codes of faults and warnings; 3-8 are reserved, 9-15 the vendor's."""
_PER_BANK: Final = 8
_MOST: Final = 32
_BIAS_LSB: Final = Fraction(1, 10_000)  # of an ampere
_POWER_LSB: Final = Fraction(1, 100_000)  # of a watt
CONTROL_PAGE: Final = 0x1A
MONITOR_PAGE: Final = 0x1B


def _row(subject: Quantity | str, offset: int, kind: Kind, lsb: Fraction, *, page: int = MONITOR_PAGE) -> Field:
    return Field(
        subject, page=page, offset=offset, kind=kind, lsb=lsb, lanes=_PER_BANK, banked=True,
        ref=f"Page {page:02X}h, bytes {offset}-{offset + kind.size * _PER_BANK - 1}",
        confidence=Confidence.ONE_SOURCE,
    )  # fmt: skip


def _thresholds(subject: Quantity, offset: int, lsb: Fraction) -> Field:
    return Field(
        subject, page=CONTROL_PAGE, offset=offset, kind=Kind.U16, lsb=lsb, bounds=True,
        ref=f"Page 1Ah, bytes {offset}-{offset + 7}", confidence=Confidence.ONE_SOURCE,
    )  # fmt: skip


COUNT: Final = Field(
    "lasers", page=CONTROL_PAGE, offset=140, bits=(1,), width=7, ref="Page 1Ah, byte 140 bits 7-1",
    confidence=Confidence.ONE_SOURCE,
)  # fmt: skip
CONTROL_MODE: Final = Field(
    "control_mode", page=CONTROL_PAGE, offset=140, bits=(0,), ref="Page 1Ah, byte 140 bit 0",
    confidence=Confidence.ONE_SOURCE, note="0 constant current, 1 constant power",
)  # fmt: skip
BIAS_THRESHOLDS: Final = _thresholds(q.TX_BIAS, 141, _BIAS_LSB)
POWER_THRESHOLDS: Final = _thresholds(q.TX_POWER, 149, _POWER_LSB)
FLAGS: Final = Field(
    "laser_flags", page=CONTROL_PAGE, offset=186, length=8, kind=Kind.BYTES, banked=True, latched=True,
    ref="Page 1Ah, bytes 186-193", confidence=Confidence.UNSURE,
    note="bias, then power: high alarm, low alarm, high warning, low warning; a bit a laser",
)  # fmt: skip
CAUSE_CODES: Final = _row("laser_causes", 212, Kind.U8, Fraction(1), page=CONTROL_PAGE)
ENABLED: Final = Field(
    "laser_enabled", page=CONTROL_PAGE, offset=220, bits=tuple(range(8)), lanes=_PER_BANK, banked=True,
    ref="Page 1Ah, byte 220", confidence=Confidence.ONE_SOURCE,
)  # fmt: skip
STATE: Final = Field(
    "laser_state", page=CONTROL_PAGE, offset=221, bits=tuple(range(0, 16, 2)), width=2, lanes=_PER_BANK,
    banked=True, ref="Page 1Ah, bytes 221-222", confidence=Confidence.ONE_SOURCE, note="off, ramping, on",
)  # fmt: skip
FIBER_CHECKED: Final = Field(
    "fiber_checked", page=CONTROL_PAGE, offset=223, bits=tuple(range(8)), lanes=_PER_BANK, banked=True,
    ref="Page 1Ah, byte 223", confidence=Confidence.ONE_SOURCE,
)  # fmt: skip
FIBER: Final = _row("fiber", 224, Kind.U8, Fraction(1), page=CONTROL_PAGE)
FREQUENCY: Final = _row(q.LASER_FREQUENCY, 232, Kind.U16, Fraction(5 * 10**9), page=CONTROL_PAGE)
BIAS: Final = _row(q.TX_BIAS, 184, Kind.U16, _BIAS_LSB)
POWER: Final = _row(q.TX_POWER, 200, Kind.U16, _POWER_LSB)
VOLTAGE: Final = _row(q.LASER_VOLTAGE, 232, Kind.U8, Fraction(15, 1000))
SUPPLY_CURRENT: Final = Field(
    q.SUPPLY_CURRENT, page=MONITOR_PAGE, offset=240, kind=Kind.U16, lsb=Fraction(200, 1_000_000),
    ref="Page 1Bh, bytes 240-241", confidence=Confidence.ONE_SOURCE,
)  # fmt: skip
ROWS: Final = (
    COUNT, CONTROL_MODE, BIAS_THRESHOLDS, POWER_THRESHOLDS, FLAGS, CAUSE_CODES, ENABLED, STATE, FIBER_CHECKED,
    FIBER, FREQUENCY, BIAS, POWER, VOLTAGE, SUPPLY_CURRENT,
)  # fmt: skip


def external(memory: Memory, identifier: int) -> bool:
    """Whether the module is a laser source: it has no data path, pages 10h and 11h do not exist."""
    return identifier == ELSFP or memory.byte(f.FUNCTION_TYPE.offset) == 1


def static_span(page: int = CONTROL_PAGE) -> Span:
    """The part of page 1Ah that stays: how many lasers, and their thresholds."""
    return Span(128, 29, page)


def count(memory: Memory, page: int = CONTROL_PAGE) -> int:
    """How many lasers the module has; 0 when that is unread."""
    span = COUNT.span()._replace(page=page)
    raw = memory.get(span)
    return 0 if raw is None else min(COUNT.raw(raw)[0], _MOST)


def thresholds(memory: Memory, page: int = CONTROL_PAGE) -> Iterator[tuple[Quantity, Bounds]]:
    """Bias and power of all lasers."""
    own = Memory()
    raw = memory.get(static_span(page))
    if raw is not None:
        own.put(static_span(), raw)
    for row in (BIAS_THRESHOLDS, POWER_THRESHOLDS):
        bounds = read_bounds(row, own)
        if bounds and isinstance(row.subject, Quantity):
            yield row.subject, bounds


class LasersPart:
    """The lasers of every bank. `pages` are those that hold 1Ah and 1Bh (an engine may show them elsewhere)."""

    def __init__(self, lasers: int, *, flags: bool, pages: tuple[int, int] = (CONTROL_PAGE, MONITOR_PAGE)) -> None:
        self._count = lasers
        self._first = FLAGS.offset if flags else CAUSE_CODES.offset
        control, monitor = pages
        self.spans: tuple[Span, ...] = tuple(
            span
            for bank in range((lasers + _PER_BANK - 1) // _PER_BANK)
            for span in (
                Span(self._first, FREQUENCY.offset + FREQUENCY.size - self._first, control, bank),
                Span(BIAS.offset, SUPPLY_CURRENT.offset + SUPPLY_CURRENT.size - BIAS.offset, monitor, bank),
            )
        )

    def decode(self, blocks: Sequence[bytes | None], draft: Draft) -> None:
        """One `Laser` each, with what could be read of it."""
        for bank, at in enumerate(range(0, len(blocks), 2)):
            control, monitor = blocks[at], blocks[at + 1]
            if control is None or monitor is None:
                draft.unread.append("lasers")
            if control is None and monitor is None:
                continue
            for lane in range(min(_PER_BANK, self._count - bank * _PER_BANK)):
                draft.lasers.append(self._laser(bank * _PER_BANK + lane + 1, lane, control, monitor))
            if monitor is not None and not bank:
                (current,) = SUPPLY_CURRENT.decode(monitor[SUPPLY_CURRENT.offset - BIAS.offset :])
                draft.values[q.SUPPLY_CURRENT] = current

    def _laser(self, number: int, lane: int, control: bytes | None, monitor: bytes | None) -> Laser:
        values: dict[Quantity, float] = {}
        if monitor is not None:
            for row in (BIAS, POWER, VOLTAGE):
                if isinstance(row.subject, Quantity):
                    values[row.subject] = _value(row, monitor, BIAS.offset, lane)
        if control is None:
            return Laser(number, values=values)
        if frequency := _value(FREQUENCY, control, self._first, lane):
            values[q.LASER_FREQUENCY] = frequency
        state = int(_value(STATE, control, self._first, lane))
        return Laser(
            number,
            state=STATES[state] if state < len(STATES) else "",
            state_code=state,
            enabled=bool(_value(ENABLED, control, self._first, lane)),
            fiber=int(_value(FIBER, control, self._first, lane)),
            fiber_checked=bool(_value(FIBER_CHECKED, control, self._first, lane)),
            values=values,
            flags=tuple(self._flags(control, lane)),
        )

    def _flags(self, control: bytes, lane: int) -> Iterator[str]:
        if self._first == FLAGS.offset:
            names = (f"{quantity}_{bound}" for quantity in ("tx_bias", "tx_power") for bound in BOUNDS)
            yield from (name for at, name in enumerate(names) if control[at] >> lane & 1)
        code = int(_value(CAUSE_CODES, control, self._first, lane))
        if fault := code & 0x0F:
            yield f"fault_{CAUSES.get(fault, fault)}"
        if warning := code >> 4:
            yield f"warning_{CAUSES.get(warning, warning)}"


def _value(row: Field, block: bytes, first: int, lane: int) -> float:
    return row.decode(block[row.offset - first :])[lane]
