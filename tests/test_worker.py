"""Worker threads against calls that block, fail, hang and come back late."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from agent.errors import BusHung, Busy, ModuleAbsent
from agent.polling.worker import LINGER_S, QUEUE_LIMIT, WorkerPool


@asynccontextmanager
async def pool_of(
    *, hang_s: float = 5.0, spares: int = 4, exhausted: list[str] | None = None
) -> AsyncGenerator[WorkerPool]:
    pool = WorkerPool(
        hang_s=hang_s, spares=spares, on_exhausted=exhausted.append if exhausted is not None else None
    )
    try:
        yield pool
    finally:
        await pool.stop(0.2)


async def test_a_job_runs_on_the_thread_of_its_bus_and_its_result_comes_back() -> None:
    async with pool_of() as pool:
        names = [await pool.worker(bus).run(lambda: threading.current_thread().name) for bus in ("3", "4", "3")]
    assert names == ["bus-3", "bus-4", "bus-3"]


async def test_an_exception_comes_back_as_it_is() -> None:
    def fails() -> None:
        raise ModuleAbsent("no acknowledge")

    async with pool_of() as pool:
        with pytest.raises(ModuleAbsent, match="no acknowledge"):
            await pool.worker("3").run(fails)
        assert await pool.worker("3").run(lambda: 7) == 7


async def test_jobs_of_one_bus_never_overlap_and_keep_their_order() -> None:
    inside, seen = 0, list[int]()

    def job(number: int) -> int:
        nonlocal inside
        inside += 1
        assert inside == 1
        time.sleep(0.001)
        seen.append(number)
        inside -= 1
        return number

    async with pool_of() as pool:
        worker = pool.worker("3")
        results = await asyncio.gather(*(worker.run(lambda n=n: job(n)) for n in range(20)))  # type: ignore[misc]
    assert results == seen == list(range(20))


async def test_jobs_that_end_while_the_loop_is_busy_cross_it_once() -> None:
    async with pool_of() as pool:
        jobs = [pool.worker(str(bus)).run(lambda: 1) for bus in range(8)]
        before = pool.crossing.count
        time.sleep(0.1)  # noqa: ASYNC251  # the event loop is busy while all eight end
        assert await asyncio.gather(*jobs) == [1] * 8
        assert pool.crossing.count == before + 1


async def test_one_crossing_a_job_at_most() -> None:
    async with pool_of() as pool:
        for _ in range(50):
            await pool.worker("3").run(lambda: None)
        assert pool.crossing.count <= 50


async def test_what_nobody_waits_for_is_fetched_together_and_rings_when_it_comes_late() -> None:
    landed: list[str] = []
    late = threading.Event()

    def done(result: str, _error: BaseException | None) -> None:
        landed.append(result)

    async with pool_of() as pool:
        before = pool.crossing.count
        for bus in "abcd":
            pool.worker(bus).submit(lambda bus=bus: bus, done, hurry=False)  # type: ignore[misc]
        pool.worker("e").submit(lambda: late.wait(5.0) and "e", done, hurry=False)
        time.sleep(0.1)  # noqa: ASYNC251  # the look is late, so all four end before it
        assert not pool.crossing._rung
        async with asyncio.timeout(5):
            while len(landed) < 4:  # noqa: ASYNC110  # the look is on its way
                await asyncio.sleep(0.001)
        assert pool.crossing.count == before + 1
        await asyncio.sleep(3 * LINGER_S)  # no look is due any more: the last one has to ring
        late.set()
        async with asyncio.timeout(5):
            while landed[4:] != ["e"]:  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.001)


async def test_a_hung_job_gives_its_thread_up_and_a_spare_does_the_rest() -> None:
    release = threading.Event()
    async with pool_of(hang_s=0.1) as pool:
        worker = pool.worker("3")
        hung = worker.run(release.wait, key="Ethernet0")
        waiting = worker.run(lambda: threading.current_thread().name, key="Ethernet1")
        with pytest.raises(BusHung, match="bus 3: no answer for"):
            await hung
        assert await waiting == "bus-3+1"
        assert worker.stuck == {"Ethernet0"}
        left = pool.spares_left
        release.set()
        for _ in range(200):
            if not worker.stuck and pool.spares_left == 4:
                break
            await asyncio.sleep(0.01)
        assert not worker.stuck
        assert (left, pool.spares_left) == (3, 4)  # the thread ended, so another may hang


async def test_another_bus_does_not_notice() -> None:
    release = threading.Event()
    async with pool_of(hang_s=30) as pool:
        hung = pool.worker("3").run(release.wait)
        for n in range(100):
            assert await pool.worker("4").run(lambda n=n: n) == n  # type: ignore[misc]
        release.set()
        assert await hung


async def test_without_a_spare_the_daemon_is_told_and_nobody_waits_for_ever() -> None:
    release, told = threading.Event(), list[str]()
    async with pool_of(hang_s=0.05, spares=1, exhausted=told) as pool:
        worker = pool.worker("3")
        first, second, third = (worker.run(release.wait, key=key) for key in "abc")
        for job in (first, second, third):
            with pytest.raises(BusHung):
                await job
        assert told == ["3"]
        assert worker.stuck == {"a", "b"}
        assert pool.stale(60) == ("3",)
        with pytest.raises(BusHung, match="no spare is left"):
            worker.run(release.wait)
        release.set()


async def test_an_idle_worker_is_fresh_and_a_busy_one_ages() -> None:
    release = threading.Event()
    async with pool_of() as pool:
        await pool.worker("3").run(lambda: None)
        await asyncio.sleep(0.05)
        assert pool.stale(0.04) == ()
        job = pool.worker("3").run(release.wait)
        await asyncio.sleep(0.05)
        assert pool.stale(0.04) == ("3",)
        assert pool.stale(5) == ()
        release.set()
        await job
        assert pool.stale(0.04) == ()


async def test_the_queue_is_bounded() -> None:
    release = threading.Event()
    async with pool_of() as pool:
        jobs = [pool.worker("3").run(release.wait) for _ in range(QUEUE_LIMIT)]
        with pytest.raises(Busy, match="256 requests are waiting"):
            pool.worker("3").run(release.wait)
        release.set()
        await asyncio.gather(*jobs)
        assert await pool.worker("3").run(lambda: "again") == "again"


async def test_a_cancelled_job_is_skipped() -> None:
    release, ran = threading.Event(), list[str]()
    async with pool_of() as pool:
        worker = pool.worker("3")
        first = worker.run(release.wait)
        worker.run(lambda: ran.append("cancelled")).cancel()
        last = worker.run(lambda: ran.append("last"))
        release.set()
        await asyncio.gather(first, last)
        assert ran == ["last"]
        assert pool.stale(0) == ()


async def test_stop_ends_the_threads_but_does_not_wait_for_a_hung_one() -> None:
    release = threading.Event()
    pool = WorkerPool(hang_s=30)
    await pool.worker("good").run(lambda: None)
    hung = pool.worker("bad").run(release.wait)
    await asyncio.sleep(0.01)
    begun = time.monotonic()
    assert await pool.stop(0.1) == ("bad",)
    assert time.monotonic() - begun < 2
    assert "bus-good" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(Busy):
        pool.worker("good").run(lambda: None)
    release.set()
    assert await hung
