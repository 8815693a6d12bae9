"""One bus on the event loop: chooses whose turn it is, crosses to the thread of the bus, publishes its finds."""

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import Final, Protocol

from agent.errors import BusHung, OpticError
from agent.model import PollFailed, PollTiming, Reading, Trouble
from agent.modules.engines import Engines
from agent.polling.portjob import Outcome, Polled, PortJob
from agent.polling.schedule import Budget, Slot
from agent.polling.worker import LINGER_S, BusWorker
from agent.state import BusHealth, Event, Hub

DEPTH: Final = 2
"""Polls of one bus on their way: one in its thread, and when the bus is late the next one behind it."""
LEISURE_S: Final = 10 * LINGER_S
"""Polls that are farther apart may land late: together with others, by which the event loop wakes up less often."""
_BY_DUE: Final = attrgetter("due")

Answer = Reading | PollFailed


class Owner(Protocol):
    """What a bus asks of the poller."""

    @property
    def hub(self) -> Hub: ...
    @property
    def engines(self) -> Engines: ...
    @property
    def wall(self) -> Callable[[], float]: ...
    def first_poll(self) -> None:
        """A port was polled for the first time."""
        ...


class PortTurn:
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


class BusLoop:
    """One bus: chooses the port, crosses to the thread, publishes. No task does it but callbacks of the event loop:
    a task that sleeps and wakes up for each poll costs twice as much.
    """

    def __init__(self, name: str, owner: Owner, *, share: float) -> None:
        self.name = name
        self.ports: list[PortTurn] = []
        self.worker: BusWorker | None = None
        self._owner = owner
        self._hub = owner.hub
        self._budget = Budget(share)
        self._urgent: deque[PortTurn] = deque()
        self._timer: asyncio.Handle | None = None
        self._turn_at = math.inf
        self._up = True
        self._flying = 0
        self._settled = False
        """Every port was polled once: while modules are identified, nobody else is late."""
        self._over: asyncio.Future[None] | None = None
        """Of `run`, which is waiting for it: done once a bug was found or the task was cancelled."""
        self._loop: asyncio.AbstractEventLoop

    def close_all(self) -> None:
        """Give every way in of this bus back. Runs in its thread."""
        for port in self.ports:
            with contextlib.suppress(OpticError):
                port.job.close()

    def ask(self, port: PortTurn, name: str) -> asyncio.Future[Answer]:
        """The next answer of a port, or of the port `name` that is a part of it, out of turn."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if not port.waiters:
            self._urgent.append(port)
        port.waiters.append((name, future))
        self.wake()
        return future

    def wake(self) -> None:
        """Look at the schedule again: it changed."""
        if self._running and self._turn_at > -math.inf:
            self._come_back(-math.inf)

    async def run(self, worker: BusWorker) -> None:
        """Poll until cancelled; raises what is a bug in a job or in a subscriber of the hub."""
        self.worker = worker
        self._loop = asyncio.get_running_loop()
        self._over = self._loop.create_future()
        self.wake()
        try:
            await self._over
        finally:
            self._come_back(math.inf)

    @property
    def _running(self) -> bool:
        return self._over is not None and not self._over.done()

    def _come_back(self, when: float) -> None:
        """Take the next turn then; infinity: when something happens."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._turn_at = when
        if when == -math.inf:
            self._timer = self._loop.call_soon(self._turn)
        elif when < math.inf:
            self._timer = self._loop.call_at(when, self._turn)

    def _turn(self) -> None:
        """Send what is due to the thread."""
        self._timer, self._turn_at = None, -math.inf
        worker = self.worker
        try:
            while worker is not None:
                now = self._loop.time()
                urgent = self._urgent_port(now)
                port = urgent or min(self.ports, key=_BY_DUE)
                ready_at = max(self._budget.free_at(now), -math.inf if urgent else port.due)
                if self._flying >= DEPTH or port.flying:
                    ready_at = math.inf
                if ready_at > now:
                    self._come_back(ready_at)
                    return
                self._begin(port, worker, now)
        except Exception as exc:  # noqa: BLE001  # a bug: `run` raises it in its task
            self._found(exc)

    def _found(self, bug: Exception) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_exception(bug)

    def _urgent_port(self, now: float) -> PortTurn | None:
        """The first that somebody waits for and that is neither being polled nor let alone."""
        if not self._urgent:
            return None
        return next((port for port in self._urgent if not port.flying and port.slot.held_until <= now), None)

    def _begin(self, port: PortTurn, worker: BusWorker, began: float) -> None:
        """Send a port's job to the thread. A second one may wait there already, so that the bus never does."""
        slot, job = port.slot, port.job
        looks = slot.looks_only(began) and not port.waiters
        if port.waiters:
            self._urgent.remove(port)
        port.served, port.waiters = port.waiters, []
        if port.name in worker.stuck:
            self._end(port, began, self._hung(port, "a call of an earlier poll still hangs", bus_failed=False))
            return
        port.due = math.inf
        hurry = bool(port.served) or slot.step_s < LEISURE_S or min(map(_BY_DUE, self.ports)) <= began + LINGER_S
        try:
            landed = partial(self._landed, port, began)
            worker.submit(job.look if looks else job.poll, landed, key=port.name, hurry=hurry)
        except OpticError as exc:
            self._end(port, began, self._hung(port, str(exc)))
            return
        self._flying += 1
        port.flying = True

    def _landed(self, port: PortTurn, began: float, polled: Polled, error: BaseException | None) -> None:
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
            self._found(exc)
        if self._urgent or self._flying == DEPTH - 1 or port.due < self._turn_at:
            self.wake()

    def _end(self, port: PortTurn, began: float, polled: Polled) -> None:
        """Publish what a poll found, and say when the next is due."""
        slot = port.slot
        ended = self._loop.time()
        self._budget.spend(ended, polled.bus_s)
        match polled.outcome:
            case Outcome.FAILED if not slot.looks_only(began):
                slot.failed(began)
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
        if polled.bus_s:
            self._hub.stages.read.add(polled.bus_s)
            self._hub.stages.decode.add(polled.work_s)
        events = self._owner.engines.divided(polled.events)
        for event in events:
            self._hub.publish(event)
        self._hub.publish(PollTiming(self.name, polled.bus_s, overruns if self._settled else 0, polled.work_s))
        self._answer(port, events)
        if not port.polled:
            port.polled = True
            self._settled = all(each.polled for each in self.ports)
            self._owner.first_poll()

    def _hung(self, port: PortTurn, why: str, *, bus_s: float = 0.0, bus_failed: bool = True) -> Polled:
        device = self._hub.local.device
        present = self._hub.local.port(port.name).present
        trouble = Trouble(BusHung.reason, why)
        failed = PollFailed(device, port.name, self._owner.wall(), present, trouble)
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

    def _answer(self, port: PortTurn, events: Sequence[Event]) -> None:
        if not port.served:
            return
        answers = {event.port: event for event in events if isinstance(event, Reading | PollFailed)}
        if not answers:
            return
        for name, waiter in port.served:
            if not waiter.done():
                waiter.set_result(answers.get(name) or answers[port.name])
        port.served = []
