"""Numbers of SNMP tables and texts in base units: watts, amperes, volts, degrees Celsius."""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

from agent.quantities import Unit

_POSSIBLE: Final = {
    Unit.DBM: (-100.0, 40.0),
    Unit.WATT: (0.0, 10.0),
    Unit.CELSIUS: (-150.0, 200.0),
    Unit.VOLT: (0.0, 100.0),
    Unit.AMPERE: (0.0, 10.0),
}
"""What a module can have at all; a number outside is no reading, whatever sentinel the agent means by it."""

_UNITS: Final[dict[str, tuple[Unit, Fraction]]] = {
    "celsius": (Unit.CELSIUS, Fraction(1)),
    "V": (Unit.VOLT, Fraction(1)),
    "mV": (Unit.VOLT, Fraction(1, 1000)),
    "A": (Unit.AMPERE, Fraction(1)),
    "mA": (Unit.AMPERE, Fraction(1, 1000)),
    "uA": (Unit.AMPERE, Fraction(1, 1_000_000)),
    "W": (Unit.WATT, Fraction(1)),
    "mW": (Unit.WATT, Fraction(1, 1000)),
    "uW": (Unit.WATT, Fraction(1, 1_000_000)),
    "dBm": (Unit.DBM, Fraction(1)),
}
_WORDS: Final = {
    "c": "celsius", "degc": "celsius", "deg": "celsius", "degree": "celsius", "degrees": "celsius",
    "celsius": "celsius",
    "v": "V", "volt": "V", "volts": "V", "mv": "mV", "mvolts": "mV",
    "a": "A", "amp": "A", "amps": "A", "ma": "mA", "mamp": "mA", "mamps": "mA", "ua": "uA", "uamps": "uA",
    "w": "W", "watt": "W", "watts": "W", "mw": "mW", "mwatt": "mW", "mwatts": "mW",
    "uw": "uW", "uwatt": "uW", "uwatts": "uW", "dbm": "dBm",
}  # fmt: skip
"""Units as agents write them behind a number."""

_NUMBER: Final = re.compile(rb"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+))\s*([A-Za-z]*)")
_LEAST_LOGARITHM_DBM: Final = -1000.0
"""Of a power that is nothing but noise of the arithmetic; below it stand sentinels."""
_INTEGER32: Final = 0x7FFF_FFFF
_NO_LIGHT: Final = re.compile(rb"\s*-\s*inf", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Scale:
    """From a number as the device has it to the base unit; dBm become watts."""

    unit: Unit
    numerator: int
    denominator: int

    def apply(self, number: float) -> float | None:
        """The value in the base unit; None for one that no module can have."""
        value = number * self.numerator / self.denominator
        lowest, highest = _POSSIBLE[self.unit]
        if not lowest <= value <= highest:
            return None
        return float(10.0 ** (value / 10.0 - 3.0)) if self.unit is Unit.DBM else value

    @property
    def dimension(self) -> Unit:
        """What it measures: both ways to write power are the same."""
        return Unit.WATT if self.unit is Unit.DBM else self.unit


@lru_cache(maxsize=1024)
def scale_of(unit: Unit, numerator: int, denominator: int) -> Scale:
    """A scale, one object for all sensors that have it: a fleet has a million sensors and a dozen scales."""
    return Scale(unit, numerator, denominator)


def parse_unit(text: str) -> Scale:
    """`0.01 dBm`, `1/256 celsius`, `mA`: what one step of the number is worth. Raises ValueError."""
    step, _, name = text.strip().rpartition(" ")
    if name not in _UNITS:
        raise ValueError(f"unknown unit {name!r}: one of {', '.join(_UNITS)}, with a step before it")
    unit, factor = _UNITS[name]
    factor *= Fraction(step.strip() or "1")
    if factor <= 0:
        raise ValueError(f"the step of {text!r} is not positive")
    return Scale(unit, factor.numerator, factor.denominator)


def from_text(text: bytes, scale: Scale) -> float | None:
    """The leading number of a text in the base unit; the unit that stands behind it goes before `scale`.

    None when there is no number, or when its unit measures something else.
    """
    found = _NUMBER.match(text)
    if found is None:
        no_light = scale.dimension is Unit.WATT and _NO_LIGHT.match(text)
        return 0.0 if no_light else None
    word = _WORDS.get(found[2].decode().lower())
    if word is not None:
        unit, factor = _UNITS[word]
        written = Scale(unit, factor.numerator, factor.denominator)
        if written.dimension is not scale.dimension:
            return None
        scale = written
        if unit is Unit.DBM and _LEAST_LOGARITHM_DBM < float(found[1]) < _POSSIBLE[unit][0]:
            return 0.0  # `-214.3647 dBm` of a dark lane: the logarithm of nothing
    return scale.apply(float(found[1]))


def is_zero(text: bytes) -> bool:
    """Whether the number that a text begins with is 0 (which in dBm is no zero)."""
    found = _NUMBER.match(text)
    return found is not None and float(found[1]) == 0.0


def signed(number: int) -> int:
    """An Integer32 that the agent sent as unsigned, as it was meant."""
    return number - (1 << 32) if number > _INTEGER32 else number


def numbers(text: bytes) -> list[float]:
    """The numbers of a comma list; items without one are left out."""
    found = (_NUMBER.match(item) for item in text.split(b","))
    return [float(match[1]) for match in found if match]
