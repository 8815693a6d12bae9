"""Garbage collection in a process that keeps much and throws little away: short pauses, and few.

What a daemon knows of its modules, rules and series lives as long as it does, and a full collection walks through
all of it. So what has come together is frozen once everything was read, and again later, when slow families and
remote devices were read too; and the young generation is large enough for what is on its way in one poll of a
switch, so that none of it grows old by accident. docs/performance.md has the figures.
"""

import asyncio
import contextlib
import gc
from collections.abc import Generator, Sequence
from typing import Final

THRESHOLDS: Final = (20_000, 10, 10)
"""New objects that start a collection, and how many collections of one generation start one of the next."""
SETTLED_S: Final = (0.0, 60.0, 600.0)
"""When what lives is frozen, in seconds after the first poll of everything."""


@contextlib.contextmanager
def tuned() -> Generator[None]:
    """The thresholds of a daemon inside, those of before behind it."""
    before = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def settle() -> None:
    """Freeze what lives now, after a look at what is young: for whoever has just made much that stays."""
    gc.collect(0)
    gc.freeze()


async def freeze_what_stays(ready: asyncio.Event, *, after_s: Sequence[float] = SETTLED_S) -> None:
    """Freeze what lives now and at these times after `ready`, until cancelled; then all may be collected again.

    A reload cancels it and begins the next: what it puts aside has cycles, and a frozen one would never be found.
    """
    begun = 0.0
    try:
        gc.collect()  # what a reload put aside
        gc.freeze()
        await ready.wait()
        for at in after_s:
            await asyncio.sleep(at - begun)
            begun = at
            gc.collect()
            gc.freeze()
        await asyncio.Event().wait()
    finally:
        gc.unfreeze()
