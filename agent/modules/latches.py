"""Flags that a read clears, remembered: since when, until when and how often. Pure: time is an argument.

A module tells of a latched flag once, to whoever reads it. opticd is that one reader, so what it saw is kept here
for everybody who asks later, by flag and lane.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from agent.maps.api import Values
from agent.model import LaneFlags
from agent.quantities import Flag


@dataclass(slots=True)
class Latch:
    """One flag of one lane. Times are Unix seconds."""

    first: float
    """When it was seen for the first time."""
    last: float
    """When it was last seen set."""
    count: int
    """How often it came up: seen set after a read that saw it clear."""
    active: bool
    """Set in the last read."""


class Where(NamedTuple):
    """Name of a flag and its lane; lane 0 is the module."""

    flag: str
    lane: int


@dataclass(slots=True)
class Latches:
    """All flags that one module ever raised."""

    entries: dict[Where, Latch] = field(default_factory=dict[Where, Latch])
    _active: set[Where] = field(default_factory=set[Where])
    _last: tuple[object, object] = (None, None)
    """The flags of the last read."""

    def update(
        self, time: float, flags: Mapping[Flag, bool], lane_flags: Mapping[Flag, LaneFlags]
    ) -> tuple[Where, ...]:
        """Take the flags of one read; returns those that came up. `time` is Unix seconds.

        A flag that the read does not mention (its block failed) stays as it was.
        """
        if not self._active and self._last[0] is flags and self._last[1] is lane_flags:
            return ()  # a plan hands the same ones out again until one changes
        self._last = flags, lane_flags
        came: list[Where] = []
        for flag, active in flags.items():
            if active or self._active:
                self._set(Where(flag.name, 0), time, came, active=active)
        for flag, lanes in lane_flags.items():
            if not (lanes.active or self._active):
                continue
            mask, lane = lanes.offered, 0
            while mask:
                lane += 1
                if mask & 1:
                    self._set(Where(flag.name, lane), time, came, active=bool(lanes.active >> (lane - 1) & 1))
                mask >>= 1
        return tuple(came)

    def clear(self) -> None:
        """Forget everything: another module is in the cage."""
        self.entries.clear()
        self._active.clear()
        self._last = (None, None)

    def restore(self, entries: Mapping[Where, Latch]) -> None:
        """Take over what was saved before a restart."""
        self.entries = dict(entries)
        self._active = {where for where, latch in entries.items() if latch.active}

    def __iter__(self) -> Iterator[tuple[Where, Latch]]:
        return iter(self.entries.items())

    def _set(self, where: Where, time: float, came: list[Where], *, active: bool) -> None:
        if not active:
            if where in self._active:
                self._active.discard(where)
                self.entries[where].active = False
            return
        latch = self.entries.get(where)
        if latch is None:
            self.entries[where] = Latch(time, time, 1, active=True)
        else:
            latch.last = time
            if latch.active:
                return
            latch.count += 1
            latch.active = True
        self._active.add(where)
        came.append(where)


def with_flags(values: Values, owed: Sequence[Values]) -> Values:
    """A refresh with the flags of earlier ones that nobody was told of: their reads have cleared them."""
    flags: dict[Flag, bool] = dict(values.flags)
    lanes: dict[Flag, LaneFlags] = dict(values.lane_flags)
    for earlier in owed:
        flags |= {flag: active or flags.get(flag, False) for flag, active in earlier.flags.items()}
        lanes |= {flag: _either(found, lanes.get(flag)) for flag, found in earlier.lane_flags.items()}
    return values._replace(flags=flags, lane_flags=lanes)


def _either(one: LaneFlags, other: LaneFlags | None) -> LaneFlags:
    return one if other is None else LaneFlags(one.offered | other.offered, one.active | other.active)
