"""How long the stages of a refresh take: one histogram each, filled where the work is done (`Hub.stages`)."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

BUCKETS: Final = (1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 0.5, 2.5)
"""Upper bounds in seconds: from the rules of a quiet port to a module that runs into its deadline."""


class Histogram:
    """Counts of durations by upper bound, and their sum. Cheap enough for every refresh: 0.4 us."""

    __slots__ = ("_bounds", "_counts", "seconds")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.seconds += seconds

    def buckets(self) -> Iterator[tuple[str, int]]:
        """Upper bound as its label and how many took so long at most; the last one is all of them."""
        return zip((*map(repr, self._bounds), "+Inf"), accumulate(self._counts), strict=True)


class Stages:
    """What a refresh goes through."""

    __slots__ = ("decode", "read", "render", "rules")

    def __init__(self) -> None:
        self.read = Histogram(BUCKETS)
        """The bus: page selects, reads, waiting for acknowledges."""
        self.decode = Histogram(BUCKETS)
        """The rest of the work of the bus' thread: unpacking, plausibility, the reading."""
        self.rules = Histogram(BUCKETS)
        """Alert rules over one reading."""
        self.render = Histogram(BUCKETS)
        """The text of one port for a scrape, made only when one is expected."""

    def __iter__(self) -> Iterator[tuple[str, Histogram]]:
        """Each with its name."""
        return ((name, getattr(self, name)) for name in ("read", "decode", "rules", "render"))
