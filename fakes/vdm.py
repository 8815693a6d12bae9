"""Versatile diagnostics of a fake CMIS module: descriptors, thresholds and samples of one group, in every bank.

Documents: CMIS 5.2 chapter 8.17 and table 8-158 (pages 20h, 24h, 28h, 2Ch, 2Fh), the F16 format of section 8.17.

Not simulated: intervals (statistics are those of the last second), groups 2 to 4.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

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


def _dbm(watts: float) -> float:
    return 10 * math.log10(watts * 1000) if watts > 0 else -40.0


def _s16(value: float) -> int:
    return round(value) & 0xFFFF


_BER_LIMITS: Final = (f16(2.4e-4), 0, f16(1e-5), 0)
_PAM4: Final = (
    _Kind(1, (90, 0, 75, 0), lambda state, lane: round(state.age_percent[lane])),
    _Kind(4, (celsius(80), celsius(0), celsius(75), celsius(5)), lambda state, _: celsius(state.laser_temperature)),
    _Kind(5, (0xFFFF, _u256(15), 0xFFFF, _u256(16.5)), lambda state, lane: _u256(state.snr_db[lane])),
    _Kind(15, _BER_LIMITS, lambda state, lane: f16(state.ber[lane])),
    _Kind(9, _BER_LIMITS, lambda state, lane: f16(state.ber[lane] * 0.8)),
    _Kind(11, _BER_LIMITS, lambda state, lane: f16(state.ber[lane] * 1.3)),
    _Kind(13, _BER_LIMITS, lambda state, lane: f16(state.ber[lane])),
    _Kind(23, (f16(100), 0, f16(1), 0), lambda state, lane: f16(_errored_frames(state.ber[lane]))),
)  # fmt: skip


def _osnr(state: State, lane: int) -> int:
    return 0 if state.rx_los else round(10 * min(38.0, 35 + 0.5 * (_dbm(state.rx_power[lane]) + 8)))


_LASER_TEMPERATURE: Final = (celsius(80), celsius(0), celsius(75), celsius(5))
_COHERENT: Final = (
    _Kind(1, (90, 0, 75, 0), lambda state, lane: round(state.age_percent[lane])),
    _Kind(4, _LASER_TEMPERATURE, lambda state, _: celsius(state.laser_temperature)),
    _Kind(15, (f16(1.25e-2), 0, f16(1e-2), 0), lambda state, lane: f16(state.ber[lane])),
    _Kind(139, (0xFFFF, 240, 0xFFFF, 260), _osnr),
    _Kind(140, (0xFFFF, 120, 0xFFFF, 135), lambda state, lane: round(10 * state.snr_db[lane])),
    _Kind(141, (5000, _s16(-5000), 3600, _s16(-3600)), lambda state, _: _s16(-120 + 2 * state.temperature)),
    _Kind(
        144,
        (_s16(0), _s16(-2000), _s16(-200), _s16(-1800)),
        lambda state, lane: _s16(100 * _dbm(state.rx_power[lane])),
    ),
)
_COPPER: Final = (
    _Kind(
        6,
        (0xFFFF, _u256(15), 0xFFFF, _u256(16.5)),
        lambda state, lane: _u256(22.5 - state.temperature / 40 - lane / 99),
    ),
    _Kind(16, _BER_LIMITS, lambda state, lane: f16(1e-9 * (1 + lane + state.temperature / 40))),
)
_SIGNED: Final = frozenset({4, 141, 144})


def _kinds(product: Product) -> tuple[_Kind, ...]:
    if product.coherent:
        return _COHERENT
    if product.optics is None:
        return _COPPER
    return _PAM4 if product.light == "own" else _PAM4[1:]  # the age of lasers is known to who has them


def _errored_frames(ber: float) -> float:
    """Frames per second that the correction gives up: none, until the errors come near its limit."""
    return 0.0 if ber < 1e-5 else min(1e6, (ber / 2.4e-4) ** 6 * 1e3)


class Register(Protocol):
    """What can be written: a `FakeModule`."""

    def put(self, span: Span, data: bytes) -> None: ...


class Vdm:
    """The pages of one product."""

    pages: ClassVar = frozenset({SAMPLES, FLAGS})
    """Pages whose content is worked out when somebody selects them."""

    def __init__(self, product: Product) -> None:
        lanes = product.optics.lanes if product.optics else product.host_lanes
        self._kinds = _kinds(product)
        self._banks = [
            [(kind, lane) for kind in self._kinds for lane in range(8 * bank, min(lanes, 8 * bank + 8))]
            for bank in range(product.banks)
        ]

    def describe(self, memory: Memory) -> None:
        """The static pages, and samples of nothing."""
        for bank, instances in enumerate(self._banks):
            descriptors, limits, control = Page(), Page(), Page()
            for index, (kind, lane) in enumerate(instances):
                descriptors.put(128 + 2 * index, self._kinds.index(kind) << 4 | lane % 8, kind.code)
            for number, kind in enumerate(self._kinds):
                limits.words(128 + 8 * number, *kind.limits)
            control.put(128, 0x00, 0x27, 0x10)  # one group, fine intervals of 1 s
            for page, content in ((DESCRIPTORS, descriptors), (THRESHOLDS, limits), (CONTROL, control)):
                memory.put(Span(128, 128, page, bank), bytes(content.data))
            memory.put(Span(128, 128, SAMPLES, bank), bytes(128))
            memory.put(Span(128, 128, FLAGS, bank), bytes(128))

    def write(self, module: Register, state: State) -> None:
        """Samples and flags of this moment, in every bank."""
        for bank in range(len(self._banks)):
            samples = self.samples(state, bank)
            module.put(Span(128, 128, SAMPLES, bank), samples)
            module.put(Span(128, 32, FLAGS, bank), self.flags(samples, bank))

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
            if kind.code in _SIGNED or value == 0 == kind.limits[1]:
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
