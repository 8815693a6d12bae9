"""The remote laser module of a Broadcom Bailly engine, vendor pages B0h and B2h: up to 16 lasers.

Everything here rests on one source. Current, voltage and power are hundredths there, without a unit: milliampere,
volt and milliwatt are presumed.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Final

from agent import quantities as q
from agent.maps.plan import Draft
from agent.maps.registers import Confidence, Field, Kind, read, read_bounds
from agent.memory import Memory, Span
from agent.model import Bounds, Laser
from agent.quantities import Quantity

IDENTIFIER: Final = Field(
    "laser_module_identifier", page=0xB0, offset=128, ref="Page B0h, byte 128", confidence=Confidence.ONE_SOURCE,
    note="80h",
)  # fmt: skip
LASERS: Final = 16
_HUNDREDTH_MILLI: Final = Fraction(1, 100_000)


def _row(subject: Quantity | str, offset: int, kind: Kind, lsb: Fraction, *, note: str = "") -> Field:
    return Field(
        subject, page=0xB0, offset=offset, kind=kind, lsb=lsb, lanes=LASERS,
        ref=f"Page B0h, bytes {offset}-{offset + kind.size * LASERS - 1}", confidence=Confidence.UNSURE, note=note,
    )  # fmt: skip


def _bits(name: str, offset: int, *, latched: bool = False) -> Field:
    return Field(
        name, page=0xB0, offset=offset, bits=tuple(range(LASERS)), lanes=LASERS, latched=latched,
        ref=f"Page B0h, bytes {offset}-{offset + 1}", confidence=Confidence.ONE_SOURCE,
    )  # fmt: skip


COUNT: Final = Field(
    "lasers", page=0xB0, offset=130, bits=(0,), width=4, ref="Page B0h, byte 130 bits 3-0", note="lasers - 1",
    confidence=Confidence.ONE_SOURCE,
)  # fmt: skip
DISABLED: Final = _bits("laser_disabled", 133)
ACTIVE: Final = _bits("laser_active", 135)
BIAS_WARNING: Final = _bits("laser_bias_warning", 138, latched=True)
BIAS_ALARM: Final = _bits("laser_bias_alarm", 140, latched=True)
CURRENT: Final = _row(q.TX_BIAS, 154, Kind.U16, _HUNDREDTH_MILLI, note="unit presumed")
VOLTAGE: Final = _row(q.LASER_VOLTAGE, 186, Kind.U8, Fraction(1, 100), note="unit presumed")
POWER: Final = _row(q.TX_POWER, 203, Kind.U16, _HUNDREDTH_MILLI, note="unit presumed")
POWER_THRESHOLDS: Final = Field(
    q.TX_POWER, page=0xB2, offset=178, kind=Kind.U16, lsb=_HUNDREDTH_MILLI, bounds=True,
    ref="Page B2h, bytes 178-185", confidence=Confidence.UNSURE,
)  # fmt: skip
BIAS_THRESHOLDS: Final = Field(
    "laser_bias_thresholds", page=0xB2, offset=186, kind=Kind.U16, lsb=_HUNDREDTH_MILLI, lanes=2,
    ref="Page B2h, bytes 186-189", confidence=Confidence.UNSURE, note="high alarm, high warning",
)  # fmt: skip
ROWS: Final = (
    IDENTIFIER, COUNT, DISABLED, ACTIVE, BIAS_WARNING, BIAS_ALARM, CURRENT, VOLTAGE, POWER, POWER_THRESHOLDS,
    BIAS_THRESHOLDS,
)  # fmt: skip
_FLAGS: Final = {"tx_bias_high_alarm": BIAS_ALARM, "tx_bias_high_warning": BIAS_WARNING}
"""By the names that ELSFP modules have for them: the thresholds of the bias are high ones alone."""
_MOVING: Final = (DISABLED, ACTIVE, BIAS_WARNING, BIAS_ALARM, CURRENT, VOLTAGE, POWER)
_FIRST: Final = 133
_FIRST_WITHOUT_FLAGS: Final = 142
_END: Final = POWER.offset + POWER.size


def static_spans() -> tuple[Span, ...]:
    """How many lasers, and their thresholds."""
    first, last = POWER_THRESHOLDS.span(), BIAS_THRESHOLDS.span()
    return (Span(128, 3, 0xB0), first._replace(length=last.end - first.offset))


def present(memory: Memory) -> bool:
    """Whether page B0h is that of such a laser module."""
    return memory.byte(IDENTIFIER.offset, IDENTIFIER.page) == 0x80


def count(memory: Memory) -> int:
    """How many lasers feed the engine."""
    raw = memory.get(COUNT.span())
    return 0 if raw is None else COUNT.raw(raw)[0] + 1


def thresholds(memory: Memory) -> Iterator[tuple[Quantity, Bounds]]:
    """Optical power and bias; of the bias only the upper ones."""
    bounds = read_bounds(POWER_THRESHOLDS, memory)
    if bounds:
        yield q.TX_POWER, bounds
    bias = read(BIAS_THRESHOLDS, memory)
    if bias and any(bias):
        yield q.TX_BIAS, Bounds(high_alarm=bias[0], high_warning=bias[1])


class BaillyPart:
    """Page B0h in one read, or in two around its flags."""

    def __init__(self, lasers: int, *, flags: bool) -> None:
        self._count = lasers
        whole = Span(_FIRST, _END - _FIRST, 0xB0)
        around = (Span(_FIRST, 4, 0xB0), Span(_FIRST_WITHOUT_FLAGS, _END - _FIRST_WITHOUT_FLAGS, 0xB0))
        self.spans: tuple[Span, ...] = (whole,) if flags else around

    def decode(self, blocks: Sequence[bytes | None], draft: Draft) -> None:
        """The lasers, numbered from 1."""
        if any(block is None for block in blocks):
            draft.unread.append("lasers")
            return
        image = bytearray(256)
        for span, block in zip(self.spans, blocks, strict=True):
            image[span.offset : span.end] = block or b""
        columns = {row: row.decode(bytes(image[row.offset : row.offset + row.size])) for row in _MOVING}
        for at in range(self._count):
            on = bool(columns[ACTIVE][at])
            draft.lasers.append(
                Laser(
                    at + 1,
                    state="on" if on else "off",
                    state_code=2 if on else 0,
                    enabled=not columns[DISABLED][at],
                    values={
                        q.TX_BIAS: columns[CURRENT][at],
                        q.TX_POWER: columns[POWER][at],
                        q.LASER_VOLTAGE: columns[VOLTAGE][at],
                    },
                    flags=tuple(name for name, row in _FLAGS.items() if columns[row][at]),
                )
            )
