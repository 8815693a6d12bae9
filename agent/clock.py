"""What time it is for rules, counters, histories and messages. A soak test makes it pass faster than it does.

Buses, sockets and the disk never know of this clock: their limits are seconds of this host.
"""

import time
from dataclasses import dataclass, field
from typing import Final, NamedTuple

CLOCK_SET: Final = 1_577_836_800.0
"""2020: a wall clock before it was set by nobody (a host without a clock of its own boots in 1970)."""


class Instant(NamedTuple):
    """Now: `monotonic` for intervals, `wall` (Unix seconds) for messages."""

    monotonic: float
    wall: float


@dataclass(frozen=True, slots=True)
class Clock:
    """The clocks of this host, from now on `speed` times as fast."""

    speed: float = 1.0
    begun: Instant = field(default_factory=lambda: Instant(time.monotonic(), time.time()))

    def monotonic(self) -> float:
        """Seconds for intervals."""
        now = time.monotonic()
        return now if self.speed == 1 else self.begun.monotonic + (now - self.begun.monotonic) * self.speed

    def wall(self) -> float:
        """Unix seconds. A faster clock does not follow the host's when somebody sets it."""
        return time.time() if self.speed == 1 else self.begun.wall + self.monotonic() - self.begun.monotonic

    def now(self) -> Instant:
        """Both."""
        return Instant(self.monotonic(), self.wall())


HOST: Final = Clock()
"""The clocks as they are."""
