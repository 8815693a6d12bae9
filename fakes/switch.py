"""A switch that is not there: live modules on fake I2C adapters, links, and a scenario that happens to them.

    switch = FakeSwitch(32, load("mixed"))
    switch.kernel                       # to the I2C driver in place of open, ioctl and close
    switch.ports[0].path                # "/dev/i2c-1"
    switch.on_link(lambda port, seen: links.observe(device, port, seen, ...))
    await switch.run()

Not simulated: traffic, SerDes and FEC of the switch chip; a link is up when both ends see each other well enough.
"""

import asyncio
import heapq
import random
import time
from collections.abc import Callable
from typing import Final

from agent.links.flaps import Observation
from agent.model import Link
from fakes import troubles
from fakes.adapter import FakeAdapter
from fakes.i2cdev import FakeI2cDev
from fakes.live import LiveModule
from fakes.optics import Ramp
from fakes.products import PRODUCTS, Product
from fakes.scenario import (
    Admin,
    Ageing,
    Dirt,
    Fault,
    Flap,
    Glitch,
    Happening,
    Heat,
    Host,
    Insert,
    Lasting,
    Nack,
    Pull,
    Scenario,
    Signal,
    Trouble,
)

TICK_S: Final = 0.1
"""How often links of ports where something moves are looked at."""
TRAINING_S: Final = (0.4, 1.2)
"""A link comes up so long after the light is back, at least and at most."""
BUSES: Final = 32
PORTS_PER_BUS: Final = 4
"""Ports share buses by fours, and by more only when that would take more than `BUSES`."""


class FakePort:
    """One port: a cage on its own adapter, and a link."""

    def __init__(self, number: int, *, bus: str, module: LiveModule) -> None:
        self.number = number
        self.name = f"Ethernet{number}"
        self.path = f"/dev/i2c-{number}"
        self.bus = bus
        self.module = module
        self.adapter = FakeAdapter(module, log_limit=0, sleep=time.sleep)
        self.link_up = True
        self.ups = 1
        self.downs = 0
        self.dark_until = 0.0
        self.host_until = 0.0
        self.empty_until = 0.0
        """The light that comes carries no signal until then."""
        self.fault_until = 0.0
        self.off_until = 0.0
        self.admin_up = True
        self.up_at: float | None = None

    @property
    def has_link(self) -> bool:
        """A laser source has none."""
        return self.module.product.light != "source"

    def wants_up(self, now: float) -> bool:
        """Whether both ends see each other well enough."""
        behaviour = self.module.behaviour
        return (
            self.module.ready
            and self.admin_up
            and now >= max(self.dark_until, self.host_until, self.empty_until, self.fault_until)
            and behaviour.transmits(now)
            and not behaviour.overheated(now)
            and behaviour.error_ratio(now) < (optics.ber_limit if (optics := behaviour.product.optics) else 1.0)
        )

    def moving(self, now: float) -> bool:
        """Whether its link has to be looked at again."""
        return (
            self.up_at is not None
            or self.module.behaviour.dark
            or now < max(self.host_until, self.empty_until, self.fault_until, self.off_until)
            or not self.module.ready
            or self.module.behaviour.moving(now)
        )

    def observation(self) -> Observation:
        """The link as a kernel would tell of it."""
        return Observation(
            up=self.link_up,
            admin_up=self.admin_up,
            carrier_up_count=self.ups,
            carrier_down_count=self.downs,
            if_index=self.number,
            info=Link(if_name=self.name, if_index=self.number, oper_up=self.link_up, admin_up=self.admin_up),
        )


class FakeSwitch:
    """`ports` cages filled after the scenario's list; the same seed makes the same switch."""

    def __init__(
        self,
        ports: int,
        scenario: Scenario,
        *,
        clock: Callable[[], float] = time.monotonic,
        seed: int | None = None,
    ) -> None:
        self.scenario = scenario
        self._clock = clock
        self._rng = random.Random(scenario.seed if seed is None else seed)
        self._begin = clock()
        self._listener: Callable[[str, Observation], None] = _nobody
        self._due: list[tuple[float, int, int]] = []
        self._ends: list[tuple[float, int, Callable[[], None]]] = []
        """What lasts, by when it ends."""
        self._watched: set[FakePort] = set()
        self._serials = self._troubles = 0
        per_bus = max(PORTS_PER_BUS, -(-ports // BUSES))
        self.ports = tuple(
            FakePort(number, bus=f"i2c-{(number - 1) // per_bus}", module=self._module(number))
            for number in range(1, ports + 1)
        )
        self._light_engines()
        self.kernel = FakeI2cDev({port.path: port.adapter for port in self.ports})
        for index, event in enumerate(scenario.event):
            heapq.heappush(self._due, (self._begin + event.at_s, 0, index))

    def port(self, number: int) -> FakePort:
        """A port by its number from 1; numbers beyond the last one begin again."""
        return self.ports[(number - 1) % len(self.ports)]

    def on_link(self, listener: Callable[[str, Observation], None]) -> None:
        """Call `listener` with every change of a link from now on, and with all links as they are now."""
        self._listener = listener
        for port in self.ports:
            if port.has_link:
                listener(port.name, port.observation())

    async def run(self) -> None:
        """Let things happen until cancelled."""
        while True:
            now = self._clock()
            self.step(now)
            next_s = min((each[0][0] - now for each in (self._due, self._ends) if each), default=3600.0)
            await asyncio.sleep(max(0.0, min(next_s, TICK_S if self._watched else 3600.0)))

    def step(self, now: float) -> None:
        """Everything that is due, and the links that may change."""
        while self._ends and self._ends[0][0] <= now:
            heapq.heappop(self._ends)[2]()
        while self._due and self._due[0][0] <= now:
            at, turn, index = heapq.heappop(self._due)
            event = self.scenario.event[index]
            if event.every_s:
                pause_s = event.every_s * (1 + self._rng.uniform(-event.jitter, event.jitter))
                heapq.heappush(self._due, (at + pause_s, turn + 1, index))
            chosen = self.ports if event.ports == "all" else {self.port(number) for number in event.ports}
            for port in sorted(chosen, key=lambda port: port.number):
                self._happen(event, port, now)
                self._watched.add(port)
        for port in sorted(self._watched, key=lambda port: port.number):
            self._follow(port, now)

    def _feed(self, source: FakePort) -> None:
        """Something happened to a laser source: so it does to the engine in front of it."""
        engines = [each for each in self.ports[: source.number] if each.module.product.light == "external"]
        if engines:
            self._follow(engines[-1], self._clock())

    def _module(self, number: int) -> LiveModule:
        product = PRODUCTS[self.scenario.modules[(number - 1) % len(self.scenario.modules)]]
        rng = random.Random(self._rng.random())
        return LiveModule(product, serial=self._serial(product), rng=rng, clock=self._clock)

    def _light_engines(self) -> None:
        """The laser sources in the ports behind an engine light it: each laser feeds as many lanes as any other."""
        for index, port in enumerate(self.ports):
            if port.module.product.light != "external":
                continue
            sources: list[FakePort] = []
            for other in self.ports[index + 1 :]:
                if other.module.product.light != "source":
                    break
                sources.append(other)
            if sources:
                port.module.behaviour.supply = _Supply(port, sources)

    def _serial(self, product: Product) -> str:
        self._serials += 1
        return f"{product.part_number[:2]}26{self._rng.randrange(10**4):04d}{self._serials:04d}"

    def _happen(self, event: Happening, port: FakePort, now: float) -> None:
        behaviour, module = port.module.behaviour, port.module
        match event:
            case Ageing():
                lanes = module.product.optics.lanes if module.product.optics else 1
                ramp = behaviour.ageing.setdefault((event.lane - 1) % lanes + 1, Ramp())
                ramp.go(to=event.factor, over_s=event.over_s, now=now)
            case Dirt():
                ramp = behaviour.loss.setdefault(event.lane, Ramp())
                ramp.go(to=event.loss_db, over_s=event.over_s, now=now)
            case Heat():
                behaviour.heat.go(to=event.kelvin, over_s=event.over_s, now=now, hold_s=event.hold_s)
            case Flap():
                port.dark_until = now + event.down_s
                behaviour.dark = True
            case Host():
                port.host_until = now + event.down_s
                behaviour.host_dark = True
            case Signal():
                port.empty_until = now + event.down_s
                behaviour.empty = True
            case Fault():
                port.fault_until = now + event.down_s
                behaviour.fault = True
            case Admin():
                port.off_until = now + event.down_s
                port.admin_up = False
            case Pull():
                module.remove()
            case Insert():
                product = PRODUCTS[event.product] if event.product else module.product
                serial = self._serial(product) if event.product else module.serial
                module.plug(product, serial=serial)
            case Nack():
                module.nack(event.messages)
            case Glitch():
                module.flood()
            case _:
                self._trouble(event, port, now)

    def _trouble(self, event: Trouble, port: FakePort, now: float) -> None:
        end = troubles.begin(event, module=port.module, adapter=port.adapter)
        self._troubles += 1
        heapq.heappush(
            self._ends, (now + (event.down_s if isinstance(event, Lasting) else 0.0), self._troubles, end)
        )

    def _follow(self, port: FakePort, now: float) -> None:
        if now >= port.dark_until:
            port.module.behaviour.dark = False
        port.module.behaviour.host_dark &= now < port.host_until
        port.module.behaviour.empty &= now < port.empty_until
        port.module.behaviour.fault &= now < port.fault_until
        port.admin_up |= now >= port.off_until
        wants_up = port.wants_up(now)
        if not port.has_link:
            self._feed(port)
        elif port.link_up and not wants_up:
            port.link_up, port.up_at = False, None
            port.downs += 1
            self._listener(port.name, port.observation())
        elif not port.link_up and wants_up:
            if port.up_at is None:
                port.up_at = now + self._rng.uniform(*TRAINING_S)
            elif now >= port.up_at:
                port.link_up, port.up_at = True, None
                port.ups += 1
                self._listener(port.name, port.observation())
        elif not wants_up:
            port.up_at = None
        if not port.moving(now):
            self._watched.discard(port)


class _Supply:
    """What the lanes of an engine lack of the light of their lasers, in decibels."""

    def __init__(self, engine: FakePort, sources: list[FakePort]) -> None:
        optics = engine.module.product.optics
        self._sources = sources
        self._lanes = optics.lanes if optics else 0

    def __call__(self, lane: int, now: float) -> float:
        lasers = 8 * len(self._sources)
        laser = lane * lasers // self._lanes
        source = self._sources[laser // 8].module
        return source.behaviour.lacks_db(laser % 8, now) if source.ready else 30.0


def _nobody(port: str, seen: Observation) -> None:
    """No one listens yet."""
