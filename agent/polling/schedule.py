"""When which port is polled: periods anchored to the start, bounded back-off, and a share of the bus. Pure.

All times are seconds of one monotonic clock, which is an argument.
"""

import math
from dataclasses import dataclass
from typing import Final

BACKOFF_LIMIT_S: Final = 60.0
"""A failing module is tried in full at least so often, and looked at with one byte each period."""
CONFIRM_S: Final = 0.2
"""Pause before a module that did not acknowledge is asked again."""
HELD_MOST: Final = 5
"""A port that is to be let alone again and again (its link flaps) is polled once after so many times the pause."""
_SLACK: Final = 1e-3
"""A poll that begins so early counts as on time: timers are not exact."""


class Budget:
    """The share of its time that a bus gives to polls; the rest is others'. Saves up for `burst_s` at most."""

    def __init__(self, share: float, *, burst_s: float = 1.0) -> None:
        self._share = share
        self._burst_s = burst_s
        self._credit_s = burst_s
        self._at: float | None = None

    def free_at(self, now: float) -> float:
        """When the next poll may begin; now or earlier when it may begin now."""
        self._fill(now)
        return now if self._credit_s > 0 else now - self._credit_s / self._share + _SLACK

    def spend(self, now: float, seconds: float) -> None:
        """The bus was in use for `seconds`. Debt is bounded, so that one hung poll is forgiven some day."""
        self._fill(now)
        self._credit_s = max(self._credit_s - seconds, -self._burst_s)

    def _fill(self, now: float) -> None:
        if self._at is not None:
            self._credit_s = min(self._burst_s, self._credit_s + (now - self._at) * self._share)
        self._at = now


@dataclass(slots=True)
class Slot:
    """The times of one port. Regular polls are due at `anchor + n * period_s`; others come beside them."""

    period_s: float
    anchor: float
    due: float
    """When the next poll of any kind is due."""
    turn: int = 0
    """n of the next regular poll."""
    failures: int = 0
    full_at: float = 0.0
    """Until then a failing module is only looked at."""
    soon_at: float = math.inf
    """A poll out of turn: the first one, or to confirm an absence."""
    fast_s: float = 0.0
    fast_at: float = math.inf
    fast_until: float = 0.0
    held_until: float = -math.inf
    """Until then it is let alone."""
    held_since: float | None = None
    """Since when it is let alone without a poll."""

    @classmethod
    def begin(cls, *, period_s: float, start: float, phase: float) -> "Slot":
        """Poll at `start`, then each period from `start + phase * period_s` on (`phase` 0 to 1)."""
        slot = cls(period_s, start + phase * period_s, start, turn=0 if phase >= 0.5 else 1)
        slot.soon_at = start
        return slot

    def quicken(self, now: float, *, period_s: float, duration_s: float) -> None:
        """Poll each `period_s` for `duration_s`, beginning now."""
        at = max(now, self.held_until)
        self.fast_s, self.fast_at, self.fast_until = period_s, at, at + duration_s
        self.due = min(self.due, at)

    def hold(self, now: float, pause_s: float) -> None:
        """No poll of any kind for `pause_s`; then one at once, and the regular ones in their rhythm."""
        if self.held_since is None:
            self.held_since = now
        self.held_until = max(self.held_until, min(now, self.held_since + (HELD_MOST - 1) * pause_s) + pause_s)
        self.turn = max(self.turn, math.ceil((self.held_until - self.anchor) / self.period_s - _SLACK))
        self.soon_at = self.held_until
        self.fast_at = max(self.fast_at, self.held_until)
        self.due = self.held_until

    @property
    def step_s(self) -> float:
        """Seconds between two polls as things are."""
        return self.period_s if self.fast_at == math.inf else min(self.fast_s, self.period_s)

    def looks_only(self, now: float) -> bool:
        """True while a failing module is let alone: up to the poll that is nearest to the end of its pause."""
        return now < self.full_at - self.step_s / 2

    def failed(self, began: float) -> None:
        """A poll in full failed, back off: one period, two, four, ... up to `BACKOFF_LIMIT_S`."""
        pause_s = min(self.period_s * 2.0 ** min(self.failures, 16), max(BACKOFF_LIMIT_S, self.period_s))
        self.failures += 1
        self.full_at = began + pause_s

    def worked(self) -> None:
        """The module answered, or there is none: normal periods."""
        self.failures = 0
        self.full_at = 0.0

    def confirm(self, now: float) -> None:
        """Ask again soon."""
        self.soon_at = max(now + min(CONFIRM_S, self.period_s / 2), self.held_until)

    def advance(self, began: float, ended: float) -> int:
        """A poll is over: set when the next is due. Returns the regular polls that could not be made in time."""
        missed = 0
        if began + _SLACK >= self.held_until:
            self.held_since = None
        if self.soon_at <= began + _SLACK:
            self.soon_at = math.inf
        if self.anchor + self.turn * self.period_s <= began + _SLACK:
            turn = max(self.turn + 1, math.ceil((ended - self.anchor) / self.period_s - _SLACK))
            missed = turn - self.turn - 1
            self.turn = turn
        if self.fast_at <= began + _SLACK:
            steps = math.floor((ended - self.fast_at) / self.fast_s) + 1
            self.fast_at += steps * self.fast_s
            if self.fast_at > self.fast_until:
                self.fast_at = math.inf
        self.due = min(self.anchor + self.turn * self.period_s, self.soon_at, self.fast_at)
        return missed
