"""Polls every port of this host in its period and publishes what it finds: one task and one thread a bus.

    poller = Poller(hub, setups, identify=identify, options=PollerOptions())
    async with asyncio.TaskGroup() as group:
        group.create_task(poller.run())

Ports of one bus wait for each other, ports of two buses never do. Expected failures are published; anything else is
a bug and leaves `run` as the exception that it is.
"""

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Final

from agent.engines import Engines
from agent.errors import BusHung, OpticError
from agent.identification import Identify
from agent.model import Module, PollFailed, PollTiming, Reading, Trouble
from agent.portjob import Outcome, Polled, PortJob, PortSetup
from agent.schedule import Budget, Slot
from agent.state import BusHealth, Event, Hub
from agent.worker import BusWorker, WorkerPool

__all__ = ["Poller", "PollerOptions", "PortSetup"]

STOP_S: Final = 1.5
"""How long the end may wait for the threads."""

DEPTH: Final = 2
"""Polls of one bus on their way: one in its thread, and when the bus is late the next one behind it."""
_BY_DUE: Final = attrgetter("due")

Answer = Reading | PollFailed


@dataclass(frozen=True, slots=True)
class PollerOptions:
    """What holds for all buses."""

    deadline_s: float = 2.0
    """After that no read of a module begins in the same poll."""
    hang_s: float = 10.0
    """A poll that is not back by then never will be: its thread is given up."""
    spares: int = 4
    """Threads that may be given up before the daemon is told to start anew."""
    bus_share: float = 0.25
    """Share of the time of a bus that polls may use."""


class _Port:
    """A port on the event loop: when it is due, and who waits for its next reading."""

    __slots__ = ("due", "flying", "job", "name", "polled", "served", "slot", "waiters")

    def __init__(self, job: PortJob, slot: Slot) -> None:
        self.name = job.setup.port
        self.job = job
        self.slot = slot
        self.due = slot.due
        self.polled = False
        self.flying = False
        """Its job is with the thread."""
        self.waiters: list[tuple[str, asyncio.Future[Answer]]] = []
        """Who waits for the next answer, and of which port: an engine answers for all of its ports."""
        self.served: list[tuple[str, asyncio.Future[Answer]]] = []
        """Those of them whom the poll on its way will answer."""


class _Bus:
    """The task of one bus: chooses the port, crosses to the thread, publishes."""

    def __init__(self, name: str, poller: "Poller") -> None:
        self.name = name
        self.ports: list[_Port] = []
        self.worker: BusWorker | None = None
        self._poller = poller
        self._hub = poller.hub
        self._budget = Budget(poller.options.bus_share)
        self._urgent: deque[_Port] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._wake_at = math.inf
        self._up = True
        self._flying = 0
        self._running = False
        self._bug: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop

    def close_all(self) -> None:
        """Give every way in of this bus back. Runs in its thread."""
        for port in self.ports:
            with contextlib.suppress(OpticError):
                port.job.close()

    def ask(self, port: _Port, name: str) -> asyncio.Future[Answer]:
        """The next answer of a port, or of the port `name` that is a part of it, out of turn."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if not port.waiters:
            self._urgent.append(port)
        port.waiters.append((name, future))
        self.wake()
        return future

    def wake(self) -> None:
        """Look at the schedule again: it changed."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def run(self, worker: BusWorker) -> None:
        """Poll until cancelled; raises what is a bug in a job or in a subscriber of the hub."""
        self.worker = worker
        self._loop = loop = asyncio.get_running_loop()
        self._running = True
        try:
            while self._bug is None:
                now = loop.time()
                free_at = self._budget.free_at(now)
                port = self._urgent_port() or min(self.ports, key=_BY_DUE)
                ready_at = max(free_at, -math.inf if port.waiters else port.due)
                if self._flying >= DEPTH or port.flying:
                    ready_at = math.inf
                if ready_at > now:
                    await self._sleep_until(ready_at)
                else:
                    self._begin(port, worker, now)
            raise self._bug
        finally:
            self._running = False

    def _urgent_port(self) -> "_Port | None":
        """The first that somebody waits for and that is not being polled."""
        return next((port for port in self._urgent if not port.flying), None) if self._urgent else None

    async def _sleep_until(self, when: float) -> None:
        self._wake = asyncio.get_running_loop().create_future()
        self._wake_at = when
        timer = self._loop.call_at(when, self.wake) if when < math.inf else None
        try:
            await self._wake
        finally:
            if timer is not None:
                timer.cancel()
            self._wake = None

    def _begin(self, port: _Port, worker: BusWorker, began: float) -> None:
        """Send a port's job to the thread. A second one may wait there already, so that the bus never does."""
        slot, job = port.slot, port.job
        looks = slot.looks_only(began) and not port.waiters
        if port.waiters:
            self._urgent.remove(port)
        port.served, port.waiters = port.waiters, []
        if port.name in worker.stuck:
            self._end(port, began, self._hung(port, "a call of an earlier poll still hangs", bus_failed=False))
            return
        try:
            worker.submit(job.look if looks else job.poll, partial(self._landed, port, began), key=port.name)
        except OpticError as exc:
            self._end(port, began, self._hung(port, str(exc)))
            return
        self._flying += 1
        port.flying = True
        port.due = math.inf

    def _landed(self, port: _Port, began: float, polled: Polled, error: BaseException | None) -> None:
        """A job is back; called on the event loop."""
        self._flying -= 1
        port.flying = False
        try:
            if isinstance(error, BusHung):
                port.job.abandon()
                polled = self._hung(port, str(error), bus_s=self._loop.time() - began)
            elif error is not None:
                raise error  # noqa: TRY301  # caught below, with those of subscribers
            if self._running:
                self._end(port, began, polled)
        except Exception as exc:  # noqa: BLE001  # a bug: `run` raises it in its task
            self._bug = exc
        if self._bug is not None or self._urgent or self._flying == DEPTH - 1 or port.due < self._wake_at:
            self.wake()

    def _end(self, port: _Port, began: float, polled: Polled) -> None:
        """Publish what a poll found, and say when the next is due."""
        slot = port.slot
        ended = self._loop.time()
        self._budget.spend(ended, polled.bus_s)
        match polled.outcome:
            case Outcome.FAILED if ended >= slot.full_at:
                slot.failed(ended)
            case Outcome.GOOD | Outcome.ABSENT:
                slot.worked()
            case _:
                pass
        overruns = slot.advance(began, ended)
        if polled.outcome is Outcome.UNCONFIRMED:
            slot.confirm(ended)
            slot.due = min(slot.due, slot.soon_at)
        port.due = slot.due
        self._health(polled)
        events = [each for event in polled.events for each in self._poller.engines.divide(event)]
        for event in events:
            self._hub.publish(event)
        self._hub.publish(PollTiming(self.name, polled.bus_s, overruns if port.polled else 0, polled.work_s))
        self._answer(port, events)
        if not port.polled:
            port.polled = True
            self._poller.first_poll()

    def _hung(self, port: _Port, why: str, *, bus_s: float = 0.0, bus_failed: bool = True) -> Polled:
        device = self._hub.local.device
        present = self._hub.local.port(port.name).present
        trouble = Trouble(BusHung.reason, why)
        failed = PollFailed(device, port.name, self._poller.wall(), present, trouble)
        return Polled(Outcome.FAILED, (failed,), bus_s, bus_failed=bus_failed)

    def _health(self, polled: Polled) -> None:
        """A bus is down from a failure of its own to the next poll that reached it."""
        if polled.bus_failed:
            if self._up:
                self._hub.publish(BusHealth(self.name, up=False))
            self._up = False
        elif not self._up and polled.bus_s > 0:
            self._up = True
            self._hub.publish(BusHealth(self.name, up=True, recovered=True))

    def _answer(self, port: _Port, events: Sequence[Event]) -> None:
        if not port.served:
            return
        answers = {event.port: event for event in events if isinstance(event, Reading | PollFailed)}
        if not answers:
            return
        for name, waiter in port.served:
            if not waiter.done():
                waiter.set_result(answers.get(name) or answers[port.name])
        port.served = []


class Poller:
    """All buses of this host. `ready` is set once every port was polled.

    `expected` tells who was last in a port's cage, before this run; another module now is a swap. `engines` divides
    what is read of an engine among its ports.
    """

    def __init__(
        self,
        hub: Hub,
        setups: Iterable[PortSetup],
        *,
        identify: Identify,
        wall: Callable[[], float],
        options: PollerOptions | None = None,
        expected: Callable[[str], Module] | None = None,
        on_exhausted: Callable[[str], None] | None = None,
        engines: Engines | None = None,
    ) -> None:
        self.hub = hub
        self.engines = engines or Engines()
        self.options = options or PollerOptions()
        self.wall = wall
        self.ready = asyncio.Event()
        self._setups = tuple(setups)
        self._identify = identify
        self._expected = expected
        self._on_exhausted = on_exhausted
        self._buses: dict[str, _Bus] = {}
        self._ports: dict[str, tuple[_Bus, _Port]] = {}
        self._unpolled = len(self._setups)
        self._pool: WorkerPool | None = None

    async def run(self) -> None:
        """Poll until cancelled; the end takes `STOP_S` twice at most, whatever hangs."""
        pool = self._pool = WorkerPool(
            hang_s=self.options.hang_s, spares=self.options.spares, on_exhausted=self._on_exhausted
        )
        self._begin(asyncio.get_running_loop().time())
        if not self._unpolled:
            self.ready.set()
        try:
            async with asyncio.TaskGroup() as group:
                for bus in self._buses.values():
                    group.create_task(bus.run(pool.worker(bus.name)), name=f"bus-{bus.name}")
        finally:
            await self._end(pool)

    def read_now(self, port: str) -> asyncio.Future[Answer]:
        """A poll of one port out of turn, as soon as its bus is free; raises KeyError for an unknown port."""
        bus, state = self._ports[self.engines.engine_of(port)]
        return bus.ask(state, port)

    def fast(self, port: str, *, period_s: float, duration_s: float) -> None:
        """Poll one port more often for a while, as far as the bus' share allows; KeyError for an unknown port."""
        bus, state = self._ports[self.engines.engine_of(port)]
        state.slot.quicken(asyncio.get_running_loop().time(), period_s=period_s, duration_s=duration_s)
        state.due = state.slot.due
        bus.wake()

    def stale(self, limit_s: float) -> tuple[str, ...]:
        """Buses whose thread gave no sign of life for `limit_s`; () while all is well."""
        return self._pool.stale(limit_s) if self._pool else ()

    @property
    def ports(self) -> tuple[str, ...]:
        """The names of the polled ports, and of those that are parts of an engine."""
        return (*(setup.port for setup in self._setups), *self.engines.ports)

    @property
    def crossings(self) -> int:
        """How often threads called the event loop so far."""
        return self._pool.crossing.count if self._pool else 0

    # Called by the buses.

    def first_poll(self) -> None:
        """One port more was polled for the first time."""
        self._unpolled -= 1
        if not self._unpolled:
            self.ready.set()

    def _begin(self, start: float) -> None:
        groups: dict[str, list[PortSetup]] = {}
        for setup in self._setups:
            groups.setdefault(setup.bus, []).append(setup)
        for name, setups in groups.items():
            bus = self._buses[name] = _Bus(name, self)
            for place, setup in enumerate(setups):
                # Spread over the period on each bus, at the same moments on all: 32 polls cost one waking up.
                phase = place / len(setups)
                slot = Slot.begin(period_s=setup.interval_s, start=start, phase=phase)
                job = PortJob(
                    setup,
                    device=self.hub.local.device,
                    identify=self._identify,
                    bus_failed=bus.close_all,
                    deadline_s=self.options.deadline_s,
                    expected=self._known_module(setup.port),
                    wall=self.wall,
                )
                port = _Port(job, slot)
                bus.ports.append(port)
                self._ports[setup.port] = (bus, port)

    def _known_module(self, port: str) -> Module | None:
        reading = self.hub.local.port(port).reading
        if reading is not None:
            return reading.module
        return self._expected(port) if self._expected is not None else None

    async def _end(self, pool: WorkerPool) -> None:
        closing: list[asyncio.Future[None]] = []
        for bus in self._buses.values():
            with contextlib.suppress(OpticError):
                closing.append(pool.worker(bus.name).run(bus.close_all))
        if closing:
            await asyncio.wait(closing, timeout=STOP_S)
        await pool.stop(STOP_S)
