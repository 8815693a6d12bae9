"""Garbage collection: what lives is frozen, a reload lets it go, and the thresholds come back at the end."""

import asyncio
import gc

from agent.service.collecting import freeze_what_stays, tuned


class Knot:
    """An object that only a collection finds."""

    alive = 0

    def __init__(self) -> None:
        Knot.alive += 1
        self.own = self

    def __del__(self) -> None:
        Knot.alive -= 1


async def test_what_lives_is_frozen_once_everything_was_read() -> None:
    ready = asyncio.Event()
    task = asyncio.create_task(freeze_what_stays(ready, after_s=(0.0, 0.01)))
    await asyncio.sleep(0.02)
    imported = gc.get_freeze_count()
    assert imported > 10_000
    Knot()
    read = [[each] for each in range(10_000)]  # containers, as what is known of modules
    ready.set()
    await asyncio.sleep(0.2)
    assert gc.get_freeze_count() >= imported + len(read)
    assert Knot.alive == 0  # collected before: a frozen knot would stay for ever
    task.cancel()
    await asyncio.wait((task,))
    assert gc.get_freeze_count() == 0


async def test_what_a_reload_puts_aside_is_found_again() -> None:
    ready = asyncio.Event()
    ready.set()
    kept = [Knot()]
    task = asyncio.create_task(freeze_what_stays(ready, after_s=(0.0,)))
    await asyncio.sleep(0.1)
    kept.clear()
    gc.collect()
    assert Knot.alive == 1
    task.cancel()
    await asyncio.wait((task,))
    gc.collect()
    assert Knot.alive == 0


async def test_what_was_put_aside_is_collected_before_the_next_is_frozen() -> None:
    ready = asyncio.Event()
    ready.set()
    kept = [Knot()]
    before = asyncio.create_task(freeze_what_stays(ready, after_s=(0.0,)))
    await asyncio.sleep(0.1)
    kept.clear()
    before.cancel()
    await asyncio.wait((before,))
    after = asyncio.create_task(freeze_what_stays(asyncio.Event()))
    await asyncio.sleep(0.02)
    assert Knot.alive == 0
    after.cancel()
    await asyncio.wait((after,))


def test_the_thresholds_are_those_of_a_daemon_while_it_runs() -> None:
    before = gc.get_threshold()
    with tuned():
        assert gc.get_threshold()[0] == 20_000
    assert gc.get_threshold() == before
