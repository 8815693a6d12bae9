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
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from agent.errors import OpticError
from agent.model import Module
from agent.modules.engines import Engines
from agent.modules.identification import Identify
from agent.polling.busloop import Answer, BusLoop, PortTurn
from agent.polling.portjob import PortJob, PortSetup
from agent.polling.schedule import Slot
from agent.polling.worker import WorkerPool
from agent.state import Hub

__all__ = ["Poller", "PollerOptions", "PortSetup"]

STOP_S: Final = 1.5
"""How long the end may wait for the threads."""
IN_STEP: Final = 32
"""So many buses begin their polls at the same moment. Hundreds at once wait for each other more often than for
their wires, and each alone wakes the event loop up for itself.
"""


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
        self._buses: dict[str, BusLoop] = {}
        self._ports: dict[str, tuple[BusLoop, PortTurn]] = {}
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

    def hold(self, port: str, seconds: float) -> None:
        """Let a port alone for a while; a poll on its way goes on. Nothing for a port that is not polled."""
        found = self._ports.get(self.engines.engine_of(port))
        if found is not None:
            bus, state = found
            state.slot.hold(asyncio.get_running_loop().time(), seconds)
            if not state.flying:
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
        steps = math.ceil(len(groups) / IN_STEP)
        for number, (name, setups) in enumerate(groups.items()):
            bus = self._buses[name] = BusLoop(name, self, share=self.options.bus_share)
            for place, setup in enumerate(setups):
                phase = (place + number % steps / steps) / len(setups)  # spread over the period
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
                port = PortTurn(job, slot)
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
