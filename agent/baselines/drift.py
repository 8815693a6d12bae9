"""Robust statistics for slow changes: median, Theil-Sen slope with its confidence. Pure, no dependencies."""

from collections.abc import Sequence
from math import sqrt
from statistics import median
from typing import NamedTuple


class Slope(NamedTuple):
    """A slope with the bounds between which it lies with the asked confidence (per unit of x)."""

    value: float
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """The sign is not in doubt."""
        return self.low > 0.0 or self.high < 0.0


Z_99 = 2.576
"""Two-sided 99 % of the normal distribution."""


def slopes(xs: Sequence[float], ys: Sequence[float], *, least_dx: float = 0.0) -> list[float]:
    """The slopes between all pairs whose x differ by more than `least_dx`, sorted."""
    found: list[float] = []
    for index, x in enumerate(xs):
        y = ys[index]
        for other in range(index):
            dx = x - xs[other]
            if abs(dx) > least_dx:
                found.append((y - ys[other]) / dx)
    found.sort()
    return found


def theil_sen(xs: Sequence[float], ys: Sequence[float], *, z: float = Z_99) -> Slope | None:
    """Median slope and the interval of Sen (1968), None with too few points. A third of outliers do not move it."""
    n = len(xs)
    found = slopes(xs, ys)
    if n < 4 or not found:
        return None
    spread = z * sqrt(n * (n - 1) * (2 * n + 5) / 18.0)
    low = int((len(found) - spread) / 2)
    high = int((len(found) + spread) / 2) + 1
    return Slope(
        median(found),
        found[low] if low >= 0 else float("-inf"),
        found[high] if high < len(found) else float("inf"),
    )


def thinned(values: Sequence[float], most: int) -> list[float]:
    """At most `most` of the values, evenly spread."""
    if len(values) <= most:
        return list(values)
    step = len(values) / most
    return [values[int(index * step)] for index in range(most)]
