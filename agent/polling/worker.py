"""One thread a bus: blocking reads run there, and a thread that never comes back is given up for a spare."""

import asyncio
import contextlib
import logging
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from agent.errors import BusHung, Busy

T = TypeVar("T")

_log = logging.getLogger(__name__)

QUEUE_LIMIT: Final = 256
"""Jobs that may wait for one bus; the poller keeps one in flight, the rest are requests of people."""
LINGER_S: Final = 0.02
"""What nobody waits for is fetched from the threads so often: waking the event loop costs more than most polls."""


Done = Callable[[Any, BaseException | None], None]
"""Called on the event loop with the result of a job, or with what it raised."""


class _Job:
    """A call on its way to a thread and back."""

    __slots__ = ("call", "cancelled", "done", "error", "given_up", "key", "result", "rings")

    def __init__(
        self, call: Callable[[], object], done: Done, key: str, cancelled: Callable[[], bool], *, rings: bool
    ) -> None:
        self.call = call
        self.done = done
        self.key = key
        self.cancelled = cancelled
        self.rings = rings
        self.result: object = None
        self.error: BaseException | None = None
        self.given_up = False


class _Crossing:
    """The way back to the event loop: jobs that end while it is busy, or while a look is due, cross it together."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ended: deque[Callable[[], None]] = deque()
        self._rung = False
        self._look_due = False
        self.count = 0

    def post(self, callback: Callable[[], None], *, rings: bool = True) -> None:
        """Run `callback` on the event loop soon; called from worker threads. One that does not ring may wait for
        the next look, and rings where none is due any more.
        """
        self._ended.append(callback)
        if (rings or not self._look_due) and not self._rung:
            self._rung = True
            with contextlib.suppress(RuntimeError):  # the loop was closed while this thread was stuck
                self._loop.call_soon_threadsafe(self._answer)

    def look_soon(self) -> None:
        """Fetch what ended without ringing; called on the event loop."""
        if not self._look_due:
            self._look_due = True
            self._loop.call_later(LINGER_S, self._look)

    def _look(self) -> None:
        self._look_due = False  # first: what ends from here on rings
        if self._ended:
            self._drain()

    def _answer(self) -> None:
        self._rung = False  # first: what is posted from here on rings again
        self._drain()

    def _drain(self) -> None:
        self.count += 1
        while self._ended:
            self._ended.popleft()()


class _Thread:
    """One operating system thread that takes jobs of one bus. A daemon thread: a hung ioctl cannot stop exit."""

    def __init__(self, name: str, jobs: "queue.SimpleQueue[_Job | None]", worker: "BusWorker") -> None:
        self._jobs = jobs
        self._worker = worker
        self._lock = threading.Lock()  # taking a job, ending it and being given up exclude each other
        self._job: _Job | None = None
        self.alive_at = time.monotonic()
        self.lost = False
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def give_up(self) -> _Job | None:
        """Mark the thread lost; returns the job that holds it, or None when none does and it lives on."""
        with self._lock:
            if self._job is not None:
                self.lost = self._job.given_up = True
            return self._job

    def _work(self) -> None:
        crossing, worker = self._worker.crossing, self._worker
        while (job := self._jobs.get()) is not None:
            if job.cancelled():
                crossing.post(worker.skipped)
                continue
            with self._lock:
                self._job = job
                self.alive_at = time.monotonic()
            try:
                job.result = job.call()
            except BaseException as exc:  # noqa: BLE001  # handed over to who awaits the job, bugs too
                job.error = exc
            with self._lock:
                self._job = None
                self.alive_at = time.monotonic()
            crossing.post(partial(worker.ended, job), rings=job.rings)
            if self.lost:
                break
        crossing.post(partial(worker.exited, self))


class BusWorker:
    """Runs the jobs of one bus one after the other on a thread of its own.

    A job that is not back after `hang_s` seconds is given up with its thread: who awaits it gets `BusHung`, its key
    stays in `stuck` until the thread returns, and a spare goes on with the other jobs.
    """

    def __init__(self, name: str, pool: "WorkerPool") -> None:
        self.name = name
        self.crossing = pool.crossing
        self.stuck: set[str] = set()
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._pending = 0
        self._started = 0
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = False
        self._stopped = asyncio.Event()
        self._thread: _Thread | None = self._start()

    def submit(
        self,
        call: Callable[[], object],
        done: Done,
        *,
        key: str = "",
        cancelled: Callable[[], bool] = bool,
        hurry: bool = True,
    ) -> None:
        """Call `call` on the thread, then `done` on the event loop: with its result, its exception, or `BusHung`.
        Without `hurry` the result may come up to `LINGER_S` later, together with others.

        Raises `Busy` at once when too many jobs wait, `BusHung` when no thread is left.
        """
        if self._thread is None:
            raise BusHung(f"bus {self.name}: its thread hangs and no spare is left")
        if self._pending >= QUEUE_LIMIT or self._stopping:
            raise Busy(f"bus {self.name}: {self._pending} requests are waiting")
        if not self._pending:
            self._thread.alive_at = time.monotonic()
        self._pending += 1
        if not hurry:
            self._pool.crossing.look_soon()
        self._jobs.put(_Job(call, done, key, cancelled, rings=hurry))
        if self._timer is None:
            self._timer = self._loop.call_later(self._pool.hang_s, self._watch)

    def run(self, call: Callable[[], T], *, key: str = "") -> asyncio.Future[T]:
        """The same as a future; one that is cancelled before its turn is not called."""
        future: asyncio.Future[T] = self._loop.create_future()

        def done(result: T, error: BaseException | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        self.submit(call, done, key=key, cancelled=future.cancelled)
        return future

    def silent_s(self, now: float) -> float:
        """Seconds since the last sign of life; an idle worker is fresh, one without a thread never is."""
        if self._thread is None:
            return math.inf
        return max(0.0, now - self._thread.alive_at) if self._pending else 0.0

    async def stop(self, timeout_s: float) -> bool:
        """Let the job in hand end, take no more; False when the thread did not end in time."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is None:
            return not self.stuck
        self._jobs.put(None)
        try:
            async with asyncio.timeout(timeout_s):
                await self._stopped.wait()
        except TimeoutError:
            return False
        return True

    # Called on the event loop by the threads, through the crossing.

    def ended(self, job: _Job) -> None:
        """A job came back, perhaps long after it was given up."""
        if job.given_up:
            self.stuck.discard(job.key)
        else:
            self._pending -= 1
            job.done(job.result, job.error)

    def skipped(self) -> None:
        """A job was cancelled before its turn."""
        self._pending -= 1

    def exited(self, thread: _Thread) -> None:
        """A thread is gone: at the end, or because its spare had taken over."""
        if thread.lost:
            _log.warning("bus %s: the thread that hung came back", self.name)
            self._pool.give_back()
            if self._thread is None and not self._stopping and self._pool.take():
                self._thread = self._start()
        elif thread is self._thread:
            self._stopped.set()

    def _start(self) -> _Thread:
        self._started += 1
        suffix = f"+{self._started - 1}" if self._started > 1 else ""
        return _Thread(f"bus-{self.name}{suffix}", self._jobs, self)

    def _watch(self) -> None:
        """Runs once per `hang_s` while there is work, not once per job."""
        self._timer = None
        if self._stopping or not self._pending or self._thread is None:
            return
        left = self._thread.alive_at + self._pool.hang_s - time.monotonic()
        if left <= 0:
            left = self._pool.hang_s
            if (job := self._thread.give_up()) is not None:
                self._replace(job)
        self._timer = self._loop.call_later(left, self._watch)

    def _replace(self, job: _Job) -> None:
        self.stuck.add(job.key)
        self._pending -= 1
        message = f"bus {self.name}: no answer for {self._pool.hang_s:g} s, its thread was given up"
        _log.error("%s (%s)", message, job.key or "no key")
        lost = [job]
        if self._pool.take():
            self._thread = self._start()
        else:
            self._thread = None
            lost += self._drain()
            self._pool.exhausted(self.name)
        for each in lost:
            each.done(None, BusHung(message, hint="a hung I2C controller or mux needs a reset"))

    def _drain(self) -> list[_Job]:
        """The jobs that no thread will take any more."""
        left: list[_Job] = []
        with contextlib.suppress(queue.Empty):
            while (job := self._jobs.get_nowait()) is not None:
                left.append(job)
        self._pending -= len(left)
        return left


class WorkerPool:
    """The workers of all buses, and the spares that they share."""

    def __init__(
        self, *, hang_s: float = 10.0, spares: int = 4, on_exhausted: Callable[[str], None] | None = None
    ) -> None:
        self.hang_s = hang_s
        self.crossing = _Crossing(asyncio.get_running_loop())
        self.spares_left = spares
        self._on_exhausted = on_exhausted
        self._workers: dict[str, BusWorker] = {}

    def worker(self, bus: str) -> BusWorker:
        """The worker of a bus, started when it is new."""
        worker = self._workers.get(bus)
        if worker is None:
            worker = self._workers[bus] = BusWorker(bus, self)
        return worker

    def stale(self, limit_s: float) -> tuple[str, ...]:
        """Buses whose worker gave no sign of life for `limit_s`: feed the watchdog only when there are none."""
        now = time.monotonic()
        return tuple(name for name, worker in self._workers.items() if worker.silent_s(now) > limit_s)

    def take(self) -> bool:
        """Use one spare thread up."""
        if not self.spares_left:
            return False
        self.spares_left -= 1
        return True

    def give_back(self) -> None:
        """A thread that hung has ended, so another may be started in its place."""
        self.spares_left += 1

    def exhausted(self, bus: str) -> None:
        """No spare is left: the daemon had better start anew."""
        _log.critical("bus %s: no spare thread is left", bus)
        if self._on_exhausted is not None:
            self._on_exhausted(bus)

    async def stop(self, timeout_s: float = 2.0) -> tuple[str, ...]:
        """End all threads; returns the buses whose thread did not end in time (they are daemon threads)."""
        workers = list(self._workers.values())
        ended = await asyncio.gather(*(worker.stop(timeout_s) for worker in workers))
        return tuple(worker.name for worker, ok in zip(workers, ended, strict=True) if not ok)
