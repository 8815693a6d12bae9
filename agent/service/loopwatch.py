"""`opticd run --profile-loop`: which callbacks keep the event loop, by name.

asyncio has the like in its debug mode, where every task and future keeps a stack too. Here one function around
`Handle._run` takes the time: 2.5 us a callback while it is on, nothing while it is off.
"""

import asyncio
import contextlib
import logging
import time
from asyncio import events
from collections.abc import Callable, Generator
from typing import Final, cast

SLOW_S: Final = 0.02
"""A callback that keeps the loop longer is named at once."""
SUMMARY_S: Final = 60.0
"""What took most is said so often, and at the end."""
_LISTED: Final = 10

_log = logging.getLogger(__name__)


class Tally:
    """How often a callback ran, and how long."""

    __slots__ = ("calls", "seconds", "worst_s")

    def __init__(self) -> None:
        self.calls = 0
        self.seconds = self.worst_s = 0.0

    def add(self, seconds: float) -> None:
        """One call more."""
        self.calls += 1
        self.seconds += seconds
        self.worst_s = max(self.worst_s, seconds)


class LoopWatch:
    """Times every callback of the loops of this process."""

    def __init__(self, *, slow_s: float = SLOW_S, clock: Callable[[], float] = time.perf_counter) -> None:
        self.tallies: dict[str, Tally] = {}
        self._slow_s = slow_s
        self._clock = clock
        self._told_at = clock()

    @contextlib.contextmanager
    def watching(self) -> Generator[None]:
        """Inside, slow callbacks are logged."""
        plain = events.Handle._run  # noqa: SLF001  # asyncio has no other place to take the time
        clock = self._clock

        def timed(handle: asyncio.Handle) -> None:
            name = named(handle)  # before it runs: one that cancels itself forgets what it was
            begun = clock()
            plain(handle)
            self.took(name, clock() - begun)

        events.Handle._run = timed  # type: ignore[assignment,method-assign]  # noqa: SLF001
        try:
            yield
        finally:
            events.Handle._run = plain  # type: ignore[method-assign]  # noqa: SLF001
            self.tell()

    def took(self, name: str, seconds: float) -> None:
        """Count one callback."""
        tally = self.tallies.get(name)
        if tally is None:
            tally = self.tallies[name] = Tally()
        tally.add(seconds)
        if seconds >= self._slow_s:
            _log.warning("slow callback: %s kept the event loop for %.1f ms", name, seconds * 1000)
        if self._clock() - self._told_at >= SUMMARY_S:
            self.tell()

    def tell(self) -> None:
        """Say what took most since it was last said."""
        now = self._clock()
        over_s, self._told_at = now - self._told_at, now
        most = sorted(self.tallies.items(), key=lambda item: -item[1].seconds)[:_LISTED]
        self.tallies = {}
        for name, tally in most:
            _log.info(
                "event loop in %.0f s: %s, %d times, %.1f ms, at worst %.1f ms",
                over_s, name, tally.calls, tally.seconds * 1000, tally.worst_s * 1000,
            )  # fmt: skip


def named(handle: asyncio.Handle) -> str:
    """The task whose step it is, or the function that it calls."""
    callback = getattr(handle, "_callback", None)
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        name = owner.get_name()
        if name.startswith("Task-"):  # asyncio numbers those that nobody named
            name = str(getattr(cast("object", owner.get_coro()), "__qualname__", name))
        return f"task {name}"
    while (inner := getattr(callback, "func", None)) is not None:  # a partial
        callback = inner
    module, name = getattr(callback, "__module__", None), getattr(callback, "__qualname__", repr(callback))
    return f"{module}.{name}" if module else str(name)
