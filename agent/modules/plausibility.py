"""Which samples are believed. Pure: time is an argument. What is not believed is named, counted and left out.

A real value can be strange, a value that no module can have is a transfer gone wrong; a temperature does not leap
between two reads. Limits here are those of physics and of the registers, never of good operation: judging operation
is the rules' business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Final

from agent import quantities as q
from agent.maps.api import Values
from agent.model import Trouble
from agent.quantities import Quantity

JUMP_CELSIUS: Final = 5.0
"""A step of temperature that is believed only when the next read repeats it."""
JUMP_FORGOTTEN_S: Final = 60.0
"""After so long without a sample any temperature is taken: modules warm up in minutes."""

POSSIBLE: Final[Mapping[Quantity, tuple[float, float]]] = {
    q.TEMPERATURE: (-60.0, 125.0),
    q.LASER_TEMPERATURE: (-60.0, 125.0),
    q.SUPPLY_VOLTAGE: (1.0, 6.5),
    # An externally calibrated module may well be above the 6.5535 mW of the register itself.
    q.TX_POWER: (0.0, 1.0),
    q.RX_POWER: (0.0, 1.0),
    q.TX_BIAS: (0.0, 1.0),
}
"""Least and greatest value that can be true, in the quantity's unit; a quantity not named here is not judged."""

_POWER_LSB: Final = 1e-7  # of a watt
_POWER_FULL_SCALE: Final = 0xFFFF
"""The top of the register: the bus floated, or the sensor has nothing to say."""
_BIAS_LSB: Final = 2e-6  # of an ampere; times 1, 2 or 4 as CMIS page 01h byte 160 says
_BIAS_FULL_SCALE: Final = frozenset({0xFFFF, 2 * 0xFFFF, 4 * 0xFFFF})

_BY_LANE: Final[Mapping[Quantity, tuple[float, float]]] = {
    q.TX_POWER: (0.0, 0.0065534),
    q.RX_POWER: (0.0, 0.0065534),
    q.TX_BIAS: (0.0, 0.13),  # full scale of x1
}
"""Within these all is well; beyond them each value is looked at."""
_PLAIN: Final[Mapping[Quantity, tuple[float, float]]] = {**POSSIBLE, **_BY_LANE}
"""The same for a value of the module."""
_ANY: Final = (-inf, inf)

_LEAST_BLOCK: Final = 8
"""Shorter blocks may hold any bytes."""


def floating(block: bytes) -> bool:
    """True when a block holds nothing but FFh: what a bus says when nobody drives it."""
    return len(block) >= _LEAST_BLOCK and not block.strip(b"\xff")


def blank(block: bytes) -> bool:
    """True when a block holds nothing but 00h: a module that just starts, or a data line held low."""
    return len(block) >= _LEAST_BLOCK and not block.strip(b"\x00")


def possible(quantity: Quantity, value: float) -> bool:
    """Whether a value of this quantity can be true at all."""
    limits = POSSIBLE.get(quantity)
    if limits is None:
        return True
    if quantity in (q.TX_POWER, q.RX_POWER) and round(value / _POWER_LSB) == _POWER_FULL_SCALE:
        return False
    if quantity is q.TX_BIAS and round(value / _BIAS_LSB) in _BIAS_FULL_SCALE:
        return False
    return limits[0] <= value <= limits[1]


@dataclass(slots=True)
class Plausibility:
    """What was believed of one module so far; a new module needs a new one."""

    believed: float | None = None
    """Last temperature that was believed, degrees Celsius."""
    doubted: float | None = None
    """The one before this that leapt."""
    time: float = 0.0
    """Monotonic seconds of the last believed one."""

    def judge(self, values: Values, time: float) -> tuple[Values, tuple[Trouble, ...]]:
        """The values without those that are absurd (their keys are `unread`), and what was wrong with each.

        `time` is in monotonic seconds.
        """
        wrong: dict[Quantity, str] = {}
        for quantity, value in values.values.items():
            low, high = _PLAIN.get(quantity, _ANY)
            if not low <= value <= high and not possible(quantity, value):
                wrong[quantity] = f"{quantity.key} {value:g}"
        bad = [Trouble("out_of_range", detail) for detail in wrong.values()]
        temperature = values.values.get(q.TEMPERATURE)
        if temperature is not None and q.TEMPERATURE not in wrong and not self._steady(temperature, time):
            wrong[q.TEMPERATURE] = f"{q.TEMPERATURE.key} {self.believed:g} to {temperature:g}"
            bad.append(Trouble("temperature_jump", wrong[q.TEMPERATURE]))
        lanes = _impossible_lanes(values, bad)
        if not bad:
            return values, ()
        return values._replace(
            values={quantity: value for quantity, value in values.values.items() if quantity not in wrong},
            lanes={**values.lanes, **lanes},
            unread=tuple(dict.fromkeys((*values.unread, *(each.key for each in (*wrong, *lanes))))),
        ), tuple(bad)

    def _steady(self, temperature: float, time: float) -> bool:
        leapt = (
            self.believed is not None
            and abs(temperature - self.believed) >= JUMP_CELSIUS
            and time - self.time <= JUMP_FORGOTTEN_S
            and (self.doubted is None or abs(temperature - self.doubted) >= JUMP_CELSIUS)
        )
        if leapt:
            self.doubted = temperature
            return False
        self.believed, self.doubted, self.time = temperature, None, time
        return True


def _impossible_lanes(values: Values, bad: list[Trouble]) -> dict[Quantity, Mapping[int, float]]:
    """The quantities by lane of which some cannot be true, with the lanes that can."""
    changed: dict[Quantity, Mapping[int, float]] = {}
    for quantity, (low, high) in _BY_LANE.items():
        by_lane = values.lanes.get(quantity)
        if not by_lane or (min(by_lane.values()) >= low and max(by_lane.values()) <= high):
            continue  # the usual case, at the price of two calls
        good = {lane: value for lane, value in by_lane.items() if possible(quantity, value)}
        if len(good) == len(by_lane):
            continue
        detail = ", ".join(f"lane {lane} {value:g}" for lane, value in by_lane.items() if lane not in good)
        bad.append(Trouble("out_of_range", f"{quantity.key} {detail}"))
        changed[quantity] = good
    return changed
