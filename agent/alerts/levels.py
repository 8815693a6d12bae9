"""A rule's levels for one module: thresholds, margins and hysteresis as numbers in the quantity's unit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from math import pow as power
from typing import Final, NamedTuple

from agent.alerts.rules import BoundName, Limit, Margin, Rule, Spread, Threshold
from agent.model import Bounds
from agent.quantities import ALARM_FLAGS, Flag, Quantity, Unit

NO_BOUNDS: Final[Bounds] = {}
_ORDER: Final[tuple[BoundName, ...]] = ("low_alarm", "low_warning", "high_warning", "high_alarm")


@dataclass(frozen=True, slots=True)
class Level:
    """A rule on a quantity with its levels for this module, in the quantity's unit."""

    rule: Rule
    above: bool
    fire: float
    clear: float
    flag: Flag | None = None

    def holds(self, value: float) -> bool | None:
        """True beyond the firing level, False back behind the clear level, None between them."""
        if value > self.fire if self.above else value < self.fire:
            return True
        if value <= self.clear if self.above else value >= self.clear:
            return False
        return None


class Watched(NamedTuple):
    """All rules on one quantity of this module, and the range (and ratio between lanes) in which none holds."""

    quantity: Quantity
    low: float
    high: float
    ratio: float
    levels: tuple[Level, ...]
    spreads: tuple[Rule, ...]
    names: tuple[str, ...]
    flags: tuple[Flag, ...]


def usable(bounds: Bounds) -> bool:
    """True when the thresholds make sense: some range is left between them, in order."""
    known = {name: level for name in _ORDER if (level := bounds.get(name)) is not None}
    if not known or any(a > b for a, b in pairwise(known.values())):
        return False
    lows = [level for name, level in known.items() if name.startswith("low")]
    highs = [level for name, level in known.items() if name.startswith("high")]
    if lows and highs:
        return max(lows) < min(highs)
    return any(level != 0.0 for level in (*lows, *highs))


def _level(rule: Rule, quantity: Quantity, bounds: Bounds) -> Level | None:
    """The rule with numbers, None where this module gives none."""
    flag: Flag | None = None
    match rule.bound:
        case Threshold(bound):
            if (own := bounds.get(bound)) is None:
                return None
            above, fire = bound.startswith("high"), own
            flag = ALARM_FLAGS.get((quantity.name, bound))
        case Margin(bound, by):
            if (own := bounds.get(bound)) is None:
                return None
            above, fire = bound.startswith("high"), _moved(own, by, quantity, inwards=bound)
        case Limit(value, limit_above):
            above, fire = limit_above, value
        case _:
            return None
    return Level(rule, above, fire, clear_level(rule, fire, above=above, optical=quantity.unit is Unit.WATT), flag)


def _moved(threshold: float, by: float, quantity: Quantity, *, inwards: str) -> float:
    sign = -1.0 if inwards.startswith("high") else 1.0
    if quantity.unit is Unit.WATT:
        return threshold * power(10.0, sign * by / 10.0)
    return threshold + sign * by


def clear_level(rule: Rule, fire: float, *, above: bool, optical: bool = False) -> float:
    """The level at which a value is back: the rule's own, or its hysteresis inside the firing level."""
    sign = -1.0 if above else 1.0
    if rule.clear.level is not None:
        return rule.clear.level
    if rule.clear.relative:
        return fire + sign * abs(fire) * rule.clear.by
    if optical:
        return fire * power(10.0, sign * rule.clear.by / 10.0)
    return fire + sign * rule.clear.by


def watch(rules: Sequence[Rule], thresholds: Mapping[Quantity, Bounds]) -> Iterator[Watched]:
    """The rules on quantities, one entry a quantity, with levels from these thresholds where they make sense."""
    by_quantity: dict[Quantity, list[Rule]] = {}
    for rule in rules:
        if isinstance(rule.watch, Quantity):
            by_quantity.setdefault(rule.watch, []).append(rule)
    for quantity, group in by_quantity.items():
        bounds = thresholds.get(quantity, NO_BOUNDS)
        if not usable(bounds):
            bounds = NO_BOUNDS
        levels = tuple(level for rule in group if (level := _level(rule, quantity, bounds)) is not None)
        spreads = tuple(rule for rule in group if isinstance(rule.bound, Spread))
        if levels or spreads:
            low = max((level.fire for level in levels if not level.above), default=-inf)
            high = min((level.fire for level in levels if level.above), default=inf)
            ratio = min((spread_ratio(rule, quantity) for rule in spreads), default=inf)
            names = (*(level.rule.name for level in levels), *(rule.name for rule in spreads))
            flags = tuple(level.flag for level in levels if level.flag)
            yield Watched(quantity, low, high, ratio, levels, spreads, names, flags)


def spread_ratio(rule: Rule, quantity: Quantity) -> float:
    by = rule.bound.by if isinstance(rule.bound, Spread) else inf
    return power(10.0, by / 10.0) if quantity.unit is Unit.WATT else by
