"""Enhanced monitors of linear optics on vendor pages C1h and C2h: amplitudes at both inputs, bank 0.

Only where the quirk data says that a module has these pages; one source describes them.
"""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Final

from agent import quantities as q
from agent.maps.cmis_fields import LANES_PER_BANK, TENTH_MICROWATT, Monitor
from agent.maps.registers import LANE_BITS, Bit, Confidence, Field, Kind
from agent.memory import Memory, Span
from agent.quantities import BOUNDS, LINEAR_FLAGS, Quantity

CAPABILITY: Final = Span(128, 21, 0xC1)
_FIVE_MILLIVOLT: Final = Fraction(5, 1000)


def _monitor(  # noqa: PLR0917  # the columns of one row
    subject: Quantity, offset: int, kind: Kind, lsb: Fraction, advertised: Bit, thresholds: int, flags: int
) -> Monitor:
    value = Field(
        subject, page=0xC2, offset=offset, kind=kind, lsb=lsb, lanes=LANES_PER_BANK, advertised=advertised,
        ref=f"Page C2h, bytes {offset}-{offset + LANES_PER_BANK * kind.size - 1}",
        confidence=Confidence.ONE_SOURCE, note="LPO-800G-2DR4",
    )  # fmt: skip
    last = thresholds + 4 * kind.size - 1
    return Monitor(
        value,
        replace(value, page=0xC1, offset=thresholds, bounds=True, lanes=0,
                ref=f"Page C1h, bytes {thresholds}-{last}"),
        tuple(
            Field(
                LINEAR_FLAGS[subject.name, bound], page=0xC2, offset=byte, bits=LANE_BITS, lanes=LANES_PER_BANK,
                latched=True, advertised=advertised, ref=f"Page C2h, byte {byte}",
                confidence=Confidence.ONE_SOURCE,
            )
            for byte, bound in enumerate(BOUNDS, flags)
        ),
    )  # fmt: skip


HOST_INPUT_VMA: Final = _monitor(q.HOST_INPUT_VMA, 145, Kind.U8, _FIVE_MILLIVOLT, Bit(0xC1, 128, 3), 136, 141)
RX_OMA: Final = _monitor(q.RX_OMA, 161, Kind.U16, TENTH_MICROWATT, Bit(0xC1, 128, 4), 141, 157)
MONITORS: Final = (HOST_INPUT_VMA, RX_OMA)


def advertised(memory: Memory) -> Iterator[Monitor]:
    """The amplitudes that the module says it measures."""
    return (one for one in MONITORS if one.value.advertised and one.value.advertised.read(memory))
