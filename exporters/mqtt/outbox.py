"""Messages that must not be lost: on disk before they are sent, deleted when the broker has them.

One thread owns the database (`exporters.mqtt.store`). Writes that queue up while it syncs share the next
transaction, so the cost of a sync is paid per batch. When the disk fails, what cannot be stored is kept in memory,
in order behind what the disk has, and moved there once that works.

Bounded by messages, bytes on disk and age. When full: transitions of an alert that a later one of the same alert
supersedes go first, then the oldest of the least severe. Everything dropped is counted by reason.
"""

import asyncio
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from exporters.mqtt.store import RETRY_S, Drop, Left, Limits, Message, Store

__all__ = ["Limits", "Message", "Outbox"]

T = TypeVar("T")

BATCH: Final = 512
"""Most changes in one transaction, so that a reader never waits long."""


class _Put(NamedTuple):
    message: Message


class _Ack(NamedTuple):
    ids: tuple[int, ...]


class _Call(NamedTuple):
    call: Callable[[], None]


_Job = _Put | _Ack | _Call | None


class Outbox:
    """The queue. Everything but the database work runs on the event loop that opened it."""

    def __init__(
        self, path: Path | None, *, limits: Limits | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._store = Store(path, limits or Limits())
        self._stored = 0
        self._on_the_way = 0
        self._early: list[Message] | None = []
        """What came before the database was open: its ids are not known yet. None afterwards."""
        self.changed: Final = asyncio.Event()
        """Set when something new is stored, or was dropped; whoever waits for it clears it."""
        self.dropped: Final[Counter[str]] = Counter()
        self.durable = path is not None
        """False while new messages would not survive the end of the process."""
        self.last_id = 0
        self.newest: Final[dict[str, int]] = {}
        """Topic of an alert to the id of its last message that waits."""
        self.orphans: Final[set[str]] = set()
        """Topics whose last message was dropped: what the broker retains of them is out of date."""

    @property
    def messages(self) -> int:
        """How many messages wait for the broker."""
        return self._stored + self._on_the_way

    async def open(self) -> None:
        """Start the thread and take over what an earlier run left."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="opticd-outbox", daemon=True)
        self._thread.start()
        left: Left = await self._ask(self._store.open)
        self.last_id = left.last_id
        self.newest.update(left.newest)
        early, self._early = self._early or [], None
        for message in early:
            self._add(message)
        self._report(0, ())

    async def close(self) -> None:
        """Store what was put, and end the thread."""
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def put(self, base: str, topic: str, severity: int, state: str, payload: bytes) -> None:
        """Add a message; it is sent once the disk has it."""
        self._on_the_way += 1
        message = Message(0, base, topic, severity, state, self._clock(), payload)
        if self._early is None:
            self._add(message)
        else:
            self._early.append(message)

    def _add(self, message: Message) -> None:
        self.last_id += 1
        if message.topic:
            self.newest[message.topic] = self.last_id
        self._jobs.put(_Put(message._replace(id=self.last_id)))

    def ack(self, messages: Iterable[Message]) -> None:
        """The broker has these: forget them."""
        ids: list[int] = []
        for message in messages:
            ids.append(message.id)
            if self.newest.get(message.topic) == message.id:
                del self.newest[message.topic]
        if ids:
            self._jobs.put(_Ack(tuple(ids)))

    async def fetch(self, after: int, limit: int) -> list[Message]:
        """The next messages with an id above `after`, in order; all that was put before the call is stored."""
        return await self._ask(lambda: self._store.fetch(after, limit))

    # ---- between the threads ------------------------------------------------------------------------------

    async def _ask(self, call: Callable[[], T]) -> T:
        """Run `call` on the thread, behind all that was asked before."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def give(result: T) -> None:
            if not future.done():
                future.set_result(result)

        def fail(error: Exception) -> None:
            if not future.done():
                future.set_exception(error)

        def run() -> None:
            try:
                result = call()
            except Exception as exc:  # noqa: BLE001  # carried over to whoever awaits it
                self._post(fail, exc)
            else:
                self._post(give, result)

        self._jobs.put(_Call(run))
        return await future

    def _post(self, callback: Callable[..., None], *args: object) -> None:
        if self._loop is not None and not self._loop.is_closed():
            try:
                self._loop.call_soon_threadsafe(callback, *args)
            except RuntimeError:  # closed between the question and the call: nobody listens any more
                return

    def _report(self, taken: int, drops: Sequence[Drop]) -> None:
        """On the loop: what the thread did; `taken` new messages are stored."""
        self._on_the_way -= taken
        self._stored = self._store.count
        self.durable = self._store.durable
        for drop in drops:
            self.dropped[drop.reason] += 1
            if self.newest.get(drop.topic) == drop.id:
                del self.newest[drop.topic]
                self.orphans.add(drop.topic)
        if self._store.corrupted:
            self.dropped["corrupt"] += self._store.corrupted
            self._store.corrupted = 0
            self.orphans.update(self.newest)
        if taken or drops or self.orphans:
            self.changed.set()

    # ---- the thread ---------------------------------------------------------------------------------------

    def _work(self) -> None:
        going = True
        while going:
            try:
                jobs: list[_Job] = [self._jobs.get(timeout=RETRY_S if self._store.lagging else None)]
            except queue.Empty:
                jobs = []
            while len(jobs) < BATCH and not self._jobs.empty():
                jobs.append(self._jobs.get())
            going = None not in jobs
            self._do(jobs)
        self._store.close()

    def _do(self, jobs: Sequence[_Job]) -> None:
        puts = [job.message for job in jobs if isinstance(job, _Put)]
        acks = [number for job in jobs if isinstance(job, _Ack) for number in job.ids]
        if puts or acks or self._store.lagging:
            self._store.apply(puts, acks)
            self._post(self._report, len(puts), self._store.trim(self._clock()))
        for job in jobs:
            if isinstance(job, _Call):
                job.call()
