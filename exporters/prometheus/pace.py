"""When the next scrape of a device is expected: what nobody reads before the next poll is not rendered."""

from collections import deque
from math import inf
from typing import Final

_FORGOTTEN_S: Final = 600.0
"""Scrapes farther apart are no rhythm (Prometheus itself forgets after 5 minutes)."""
_TOGETHER_S: Final = 0.5
"""Scrapes as near as this come together, and so will the next ones."""
_KEPT: Final = 4
_MISSED: Final = 3
"""A scraper that did not come for so many of its longest gaps is gone."""
_EARLY: Final = 1.1
"""Scrapes and polls come a little early or late."""


class Pace:
    """The rhythm of the scrapers of one device. Times are monotonic seconds."""

    __slots__ = ("_gaps", "_last", "_next", "_until")

    def __init__(self) -> None:
        self._gaps: deque[float] = deque(maxlen=_KEPT)
        self._last = -inf
        self._next = inf
        self._until = -inf

    def scraped(self, now: float) -> None:
        """Somebody scrapes. With several scrapers the smallest of the last gaps says when the next may come."""
        gap = now - self._last
        if gap < _TOGETHER_S:
            return
        self._last = now
        if gap > _FORGOTTEN_S:
            self._gaps.clear()
            self._next = inf
            return
        self._gaps.append(gap)
        self._next = now + min(self._gaps)
        self._until = now + _MISSED * max(self._gaps)

    def expects(self, now: float, *, within_s: float) -> bool:
        """Whether a scrape may come in the next `within_s` seconds."""
        return self._next <= now + _EARLY * within_s and now < self._until
