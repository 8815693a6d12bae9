"""What the worker thread of a bus does for one port: a session's finds become the events of the hub."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from agent.errors import ModuleAbsent, OpticError
from agent.memory import ModuleMemory
from agent.model import Module, ModuleEvent, PollFailed, Trouble
from agent.modules.identification import Identify
from agent.modules.known import WORKING
from agent.modules.session import Intervals, ModuleSession, Refresh
from agent.state import Discarded, Event


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSetup:
    """One port to be polled. Ports with the same `bus` share its thread, and its time.

    `open` makes the way to the module. It is called in the thread, and again when a call through an earlier one
    never came back: each must be usable while another still hangs.
    """

    port: str
    bus: str
    source: str
    open: Callable[[], ModuleMemory]
    interval_s: float = 10.0
    flags: bool = True
    """Read the clear-on-read flags."""
    freeze: bool = False
    """Freeze the statistics of VDM while they are read."""
    intervals: Intervals = field(default_factory=Intervals)


class Outcome(Enum):
    """How a poll ended, as far as the next one depends on it."""

    GOOD = "good"
    ABSENT = "absent"
    UNCONFIRMED = "unconfirmed"
    """Perhaps gone: look again soon."""
    FAILED = "failed"


class Polled(NamedTuple):
    """Everything one job brings across to the event loop."""

    outcome: Outcome
    events: tuple[Event, ...]
    bus_s: float
    """How long it kept the bus."""
    work_s: float = 0.0
    """The rest: decoding and judging."""
    bus_failed: bool = False


_UNREACHABLE: Final = frozenset({Outcome.ABSENT, Outcome.UNCONFIRMED})


class PortJob:
    """One port in the thread of its bus. `bus_failed` closes all ways into the bus: only then it opens anew."""

    def __init__(
        self,
        setup: PortSetup,
        *,
        device: str,
        identify: Identify,
        bus_failed: Callable[[], None],
        deadline_s: float,
        expected: Module | None = None,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.setup = setup
        self._device = device
        self._identify = identify
        self._bus_failed = bus_failed
        self._deadline_s = deadline_s
        self._wall = wall
        self._clock = clock
        self._sleep = sleep
        self._session: ModuleSession | None = None
        self._expected: Module = expected or {}
        self._last = Outcome.FAILED
        self._reachable = False

    def poll(self) -> Polled:
        """Refresh the module; never raises an OpticError."""
        begun = time.perf_counter()
        session: ModuleSession | None = None
        try:
            session = self._ready()
            refresh = session.refresh(deadline_s=self._deadline_s)
        except OpticError as exc:  # the way in cannot even be made
            refresh = Refresh(present=False, failure=Trouble(exc.reason, str(exc)), bus_failed=True)
        return self._told(session, refresh, begun)

    def look(self) -> Polled:
        """One byte instead of a refresh, while the port is let alone: all of it once that brings something new."""
        begun = time.perf_counter()
        session = self._session
        if session is None:
            return self.poll()
        found = session.probe()
        if found.failure is not None:
            return self._told(session, found, begun)
        if not self._reachable:
            return self.poll()
        return Polled(self._last, (), *self._took(begun))

    def close(self) -> None:
        """Give the way in back; the next poll opens it again."""
        if self._session is not None:
            self._session.close()

    def abandon(self) -> None:
        """A call never came back: leave the session to it. Called on the event loop; the next poll makes one."""
        if self._session is not None:
            self._expected = self._session.last_module
            self._session = None

    def _ready(self) -> ModuleSession:
        if self._session is None:
            setup = self.setup
            self._session = ModuleSession(
                setup.open(),
                identify=self._identify,
                intervals=setup.intervals,
                flags=setup.flags,
                freeze=setup.freeze,
                clock=self._clock,
                sleep=self._sleep,
            )
            self._session.expect(self._expected)
        return self._session

    def _told(self, session: ModuleSession | None, refresh: Refresh, begun: float) -> Polled:
        if session is not self._session and session is not None:  # given up, and back after all
            session.close()
            return Polled(Outcome.FAILED, (), 0.0)
        outcome = _outcome(refresh)
        if refresh.bus_failed:
            self._bus_failed()
        self._last = outcome
        self._reachable = not (refresh.bus_failed or outcome in _UNREACHABLE)
        events = self._events(refresh, self._wall())
        return Polled(outcome, events, *self._took(begun), bus_failed=refresh.bus_failed)

    def _took(self, begun: float) -> tuple[float, float]:
        """Seconds that the bus was in use since then, and the rest of them."""
        took = time.perf_counter() - begun
        if self._session is None:
            return 0.0, 0.0
        bus_s = self._session.meter.take()
        return bus_s, max(0.0, took - bus_s)

    def _events(self, refresh: Refresh, now: float) -> tuple[Event, ...]:
        device, port = self._device, self.setup.port
        events: list[Event] = []
        if refresh.change is not None:
            module = refresh.description.module if refresh.description else Module()
            events.append(ModuleEvent(device, port, now, refresh.change, module, refresh.previous))
        events += [Discarded(device, port, each.reason, each.detail) for each in refresh.discarded]
        if refresh.failure is not None:
            events.append(PollFailed(device, port, now, refresh.present, refresh.failure))
        elif refresh.values is not None and refresh.description is not None:
            values, description = refresh.values, refresh.description
            events.append(
                values.reading(
                    device=device,
                    port=port,
                    source=self.setup.source,
                    time=now,
                    module=description.module,
                    thresholds=description.thresholds,
                    errors=(*values.errors, *refresh.troubles),
                )
            )
        return tuple(events)


def _outcome(refresh: Refresh) -> Outcome:
    if refresh.unconfirmed:
        return Outcome.UNCONFIRMED
    if refresh.failure is None or refresh.failure == WORKING:  # let alone on purpose: no reason to come back later
        return Outcome.GOOD
    empty = not refresh.present and refresh.failure.reason == ModuleAbsent.reason
    return Outcome.ABSENT if empty else Outcome.FAILED
