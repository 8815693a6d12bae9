"""Versatile diagnostics of a fake CMIS module: descriptors, thresholds and samples of one group, in every bank.

Documents: CMIS 5.2 chapter 8.17 and table 8-158 (pages 20h, 24h, 28h, 2Ch, 2Fh), the F16 format of section 8.17.

Not simulated: freezing (statistics are those of the last second), groups 2 to 4.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.memory import Memory, Span
from fakes.images import Page, celsius
from fakes.optics import State
from fakes.products import Product

DESCRIPTORS: Final = 0x20
SAMPLES: Final = 0x24
THRESHOLDS: Final = 0x28
FLAGS: Final = 0x2C
CONTROL: Final = 0x2F


def f16(value: float) -> int:
    """A positive number as five bits of exponent and eleven of mantissa: m times ten to the (s - 24)."""
    if value <= 0:
        return 0
    exponent = max(0, min(31, math.floor(math.log10(value)) + 24 - 2))
    mantissa = round(value / 10.0 ** (exponent - 24))
    if mantissa > 2047 and exponent < 31:
        exponent += 1
        mantissa = round(value / 10.0 ** (exponent - 24))
    return exponent << 11 | min(mantissa, 2047)


def _u256(value: float) -> int:
    return min(max(round(value * 256), 0), 0xFFFF)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One observable: type code, threshold set and its four words, and the sample of a lane (from 0)."""

    code: int
    limits: tuple[int, int, int, int]
    """High alarm, low alarm, high warning, low warning."""
    sample: Callable[[State, int], int]


_BER_LIMITS: Final = (f16(2.4e-4), 0, f16(1e-5), 0)
_KINDS: Final = (
    _Kind(1, (90, 0, 75, 0), lambda state, lane: round(state.age_percent[lane])),
    _Kind(4, (celsius(80), celsius(0), celsius(75), celsius(5)), lambda state, _: celsius(state.laser_temperature)),
    _Kind(5, (0xFFFF, _u256(15), 0xFFFF, _u256(16.5)), lambda state, lane: _u256(state.snr_db[lane])),
    _Kind(15, _BER_LIMITS, lambda state, lane: f16(state.ber[lane])),
    _Kind(9, _BER_LIMITS, lambda state, lane: f16(state.ber[lane] * 0.8)),
    _Kind(11, _BER_LIMITS, lambda state, lane: f16(state.ber[lane] * 1.3)),
    _Kind(13, _BER_LIMITS, lambda state, lane: f16(state.ber[lane])),
    _Kind(23, (f16(100), 0, f16(1), 0), lambda state, lane: f16(_errored_frames(state.ber[lane]))),
)  # fmt: skip


def _errored_frames(ber: float) -> float:
    """Frames per second that the correction gives up: none, until the errors come near its limit."""
    return 0.0 if ber < 1e-5 else min(1e6, (ber / 2.4e-4) ** 6 * 1e3)


class Vdm:
    """The pages of one product; `samples` are worked out when somebody selects their page."""

    def __init__(self, product: Product) -> None:
        lanes = product.optics.lanes if product.optics else 0
        self._banks = [
            [(kind, lane) for kind in _KINDS for lane in range(8 * bank, min(lanes, 8 * bank + 8))]
            for bank in range(product.banks)
        ]

    def describe(self, memory: Memory) -> None:
        """The static pages, and samples of nothing."""
        for bank, instances in enumerate(self._banks):
            descriptors, limits, control = Page(), Page(), Page()
            for index, (kind, lane) in enumerate(instances):
                descriptors.put(128 + 2 * index, _KINDS.index(kind) << 4 | lane % 8, kind.code)
            for number, kind in enumerate(_KINDS):
                limits.words(128 + 8 * number, *kind.limits)
            control.put(128, 0x00, 0x27, 0x10)  # one group, fine intervals of 1 s
            for page, content in ((DESCRIPTORS, descriptors), (THRESHOLDS, limits), (CONTROL, control)):
                memory.put(Span(128, 128, page, bank), bytes(content.data))
            memory.put(Span(128, 128, SAMPLES, bank), bytes(128))
            memory.put(Span(128, 128, FLAGS, bank), bytes(128))

    def samples(self, state: State, bank: int) -> bytes:
        """Page 24h of a bank."""
        page = Page()
        page.words(128, *(kind.sample(state, lane) for kind, lane in self._banks[bank]))
        return bytes(page.data)

    def flags(self, samples: bytes, bank: int) -> bytes:
        """The first half of page 2Ch: a nibble for each instance of group 1, for the thresholds of its set."""
        found = bytearray(32)
        for index, (kind, _) in enumerate(self._banks[bank]):
            value = int.from_bytes(samples[2 * index : 2 * index + 2], "big")
            if kind.code == 4 or value == 0 == kind.limits[1]:
                continue
            number = _value(kind, value)
            high, low, high_warning, low_warning = (_value(kind, limit) for limit in kind.limits)
            nibble = (
                (number > high) | (number < low) << 1 | (number > high_warning) << 2 | (number < low_warning) << 3
            )
            found[index // 2] |= nibble << 4 * (index % 2)
        return bytes(found)


def _value(kind: _Kind, raw: int) -> float:
    """What a word means, for comparing: words of the F16 format do not sort."""
    return (raw & 0x7FF) * 10.0 ** ((raw >> 11) - 24) if kind.code in {9, 11, 13, 15, 23} else raw
