"""`--profile-loop`: what keeps the event loop is named, and nothing is left behind."""

import asyncio
import logging
import time
from asyncio import events
from functools import partial

import pytest

from agent.service import loopwatch
from agent.service.loopwatch import LoopWatch


def busy(seconds: float) -> None:
    """Keep the loop, as a callback should not."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]


def test_a_slow_task_and_a_slow_function_are_named(caplog: pytest.LogCaptureFixture) -> None:
    async def lazy() -> None:
        await asyncio.sleep(0)
        busy(0.06)

    async def main() -> None:
        await asyncio.create_task(lazy(), name="lazybones")
        await asyncio.create_task(lazy())
        asyncio.get_running_loop().call_soon(partial(busy, 0.06))
        await asyncio.sleep(0.01)

    with caplog.at_level(logging.INFO), LoopWatch(slow_s=0.05).watching():
        asyncio.run(main())
    slow = "\n".join(warnings(caplog))
    assert "slow callback: task lazybones kept the event loop for" in slow
    assert "<locals>.lazy kept the event loop for" in slow  # the one that nobody named
    assert f"{__name__}.busy kept the event loop" in slow
    said = [each.getMessage() for each in caplog.records if each.levelno == logging.INFO]
    assert any("task lazybones, 2 times" in line for line in said)


def test_quick_callbacks_are_counted_and_not_complained_of(caplog: pytest.LogCaptureFixture) -> None:
    watch = LoopWatch(slow_s=10.0)

    async def main() -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        assert watch.tallies["task quick"].calls >= 5

    async def named() -> None:
        await asyncio.create_task(main(), name="quick")

    with watch.watching():
        asyncio.run(named())
    assert warnings(caplog) == []


def test_the_summary_comes_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    watch = LoopWatch(clock=lambda: now)
    with caplog.at_level(logging.INFO, logger=loopwatch.__name__):
        watch.took("poll", 0.001)
        now = 59.0
        watch.took("poll", 0.003)
        assert caplog.messages == []
        now = 60.0
        watch.took("poll", 0.002)
    assert caplog.messages == ["event loop in 60 s: poll, 3 times, 6.0 ms, at worst 3.0 ms"]


def test_without_it_the_loop_is_as_it_was() -> None:
    before = events.Handle._run
    with LoopWatch().watching():
        assert events.Handle._run is not before
    assert events.Handle._run is before
