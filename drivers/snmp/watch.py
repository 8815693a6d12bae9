"""Watching one device: when to poll it, when to discover it anew, what its answers mean to hub and links."""

import asyncio
import logging
import random
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final

from agent.errors import DriverError
from agent.links.flaps import Observation
from agent.links.links import Links
from agent.model import Link, Module, ModuleChange, ModuleEvent, PollFailed, PollTiming, Reading, Trouble
from agent.service import collecting
from agent.state import Hub, NeighboursSeen, PortForgotten, SourceHealth
from drivers.snmp import lldp, transport
from drivers.snmp.client import Limits, Session
from drivers.snmp.credentials import Credentials
from drivers.snmp.device import Answer, Device
from drivers.snmp.errors import NoAnswer
from drivers.snmp.ports import PortMap
from drivers.snmp.rules import Mib
from drivers.snmp.security import Security, Usm
from drivers.snmp.targets import Target
from drivers.snmp.traps import Trap

_log = logging.getLogger(__name__)

SLICE: Final = 6
"""Ports that are published at once, 4 ms the first time: a big switch takes longer than the event loop may wait."""
_ABSENT: Final = Trouble("absent", "no module in the cage")

Opener = Callable[[socket.AddressFamily], Awaitable[transport.Endpoint]]


@dataclass(frozen=True, slots=True)
class Pace:
    """The times that no config asks for."""

    start_within_s: float = 60.0
    """The first poll of each device comes at a random time within this, or within its interval ..."""
    start_each_s: float = 0.6
    """... or so much for each device that there is: with a single one nobody waits."""
    most_back_off_s: float = 300.0
    after_trap_s: float = 1.0
    """A link that flaps sends several traps; one poll follows them."""
    between_discoveries_s: float = 30.0
    neighbours_s: float = 300.0
    """How often a device is asked who is at the other ends of its links."""
    look_again_s: float = 30.0
    """How often a file of targets is looked at."""


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What holds for all targets of a section."""

    interval_s: float = 60.0
    discovery_s: float = 3600.0
    pace: Pace = field(default_factory=Pace)
    every_interface: bool = False
    limits: Limits = field(default_factory=Limits)
    builder: Executor | None = None
    """Makes the maps of all devices, one after the other: threads that compete keep the event loop waiting."""


@dataclass(slots=True)
class _Seen:
    """What was last told of a port."""

    present: bool
    module: Module
    link: bool = False


class Watch:
    """One target. `run` never ends by an error of the device."""

    def __init__(
        self,
        target: Target,
        *,
        hub: Hub,
        links: Links,
        mibs: Sequence[Mib],
        credentials: Credentials,
        endpoint: Opener,
        options: WatchOptions,
        on_engine: Callable[[bytes], None] = lambda _engine: None,
        devices: int = 1,
    ) -> None:
        """`devices`: how many begin together with it."""
        self.target = target
        self.host = target.host
        """The address that answers, once it is resolved."""
        self.source = f"snmp:{target.name}"
        self._hub = hub
        self._links = links
        self._mibs = mibs
        self._credentials = credentials
        self._endpoint = endpoint
        self._options = options
        self._pace = options.pace
        self._start_within_s = min(self._pace.start_within_s, devices * self._pace.start_each_s)
        self._on_engine = on_engine
        self._device: Device | None = None
        self._security: Security | None = None
        self._stale = False
        """The session has to be made anew: another address by now, a closed socket, or another engine."""
        self._failures = 0
        self._changed = False
        self._wake = asyncio.Event()
        self._seen: dict[str, _Seen] = {}
        self._neighbours_due = 0.0
        self._up_time: int | None = None
        self._epoch = ""

    @property
    def requests(self) -> int:
        """Datagrams sent to the device in the present session."""
        return self._device.session.requests if self._device is not None else 0

    async def run(self) -> None:
        """Poll on a fixed beat from a random start; a device that fails is asked less and less often."""
        loop = asyncio.get_running_loop()
        interval = self._options.interval_s
        due = loop.time() + random.uniform(0.0, min(interval, self._start_within_s))
        while True:
            await self._pause(due - loop.time())
            began = loop.time()
            await self._round()
            overruns = 0
            if self._failures:
                due = began + min(interval * 2 ** (self._failures - 1), max(interval, self._pace.most_back_off_s))
                due += random.uniform(0.0, 0.1) * interval
            elif began >= due:
                overruns = max(0, int((loop.time() - due) / interval))
                due += interval * (overruns + 1)
            self._hub.publish(PollTiming(self.source, loop.time() - began, overruns))

    async def _pause(self, seconds: float) -> None:
        """Sleep, or until a trap asks for a poll."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(seconds):  # wait_for of Python 3.11 may lose a cancellation
                await self._wake.wait()
        except TimeoutError:
            return
        await asyncio.sleep(self._pace.after_trap_s)
        self._wake.clear()

    async def _round(self) -> None:
        """One poll, or a discovery where it is time for one."""
        try:
            answer = await self._ask()
            if answer.died:
                raise NoAnswer(answer.troubles[-1].detail if answer.troubles else "no answer")
        except DriverError as exc:
            self._failed(exc)
            return
        if self._failures:
            _log.info("%s answers again", self.source)
        self._failures = 0
        detail = "; ".join(f"{trouble.reason}: {trouble.detail}" for trouble in answer.troubles[:3])
        self._hub.publish(SourceHealth(self.source, up=True, detail=detail))
        await self._publish(answer)
        await self._hear_neighbours()

    async def _ask(self) -> Answer:
        device = self._device
        if device is None or self._stale:
            device = self._device = await self._connect()
            self._stale = False
        age = time.monotonic() - device.discovered_at
        if device.map is not None and age < self._options.discovery_s:
            if not (self._changed and age > self._pace.between_discoveries_s):
                answer, changed = await device.poll()
                self._tell_engine()
                self._changed = self._changed or changed
                if not self._changed or answer.died or age <= self._pace.between_discoveries_s:
                    return answer
            _log.info("%s: something changed, it is discovered anew", self.source)
        first = device.map is None
        answer = await device.discover(keep=frozenset(self._seen))
        if first:  # a hundred maps are a million objects, which no collection has to walk through
            collecting.settle()
        self._tell_engine()
        self._changed = False
        return answer

    def _tell_engine(self) -> None:
        if isinstance(self._security, Usm):
            self._on_engine(self._security.engine_id)

    async def _connect(self) -> Device:
        family, address = await transport.resolve(self.target.host, self.target.port)
        self.host = str(address[0])
        self._security = self._credentials.security()
        endpoint = await self._endpoint(family)
        session = Session(endpoint, address, self._security, limits=self._options.limits)
        if self._device is None:
            options = self._options
            return Device(session, self._mibs, every_interface=options.every_interface, builder=options.builder)
        self._device.session = session
        return self._device

    def _failed(self, error: DriverError) -> None:
        self._failures += 1
        if self._failures == 1:
            _log.warning("%s: %s%s", self.source, error, f" ({error.hint})" if error.hint else "")
        self._hub.publish(SourceHealth(self.source, up=False, detail=str(error)))
        now = time.time()
        for port, seen in self._seen.items():
            if seen.present:
                trouble = Trouble(error.reason, str(error))
                self._hub.publish(PollFailed(self.target.name, port, now, present=True, trouble=trouble))
        self._stale = self._failures >= 3

    async def _publish(self, answer: Answer) -> None:
        device = self._device
        assert device is not None
        assert device.map is not None
        self._up_time, self._epoch = answer.up_time, answer.epoch
        for number, port in enumerate(device.map.ports, 1):
            self._publish_port(port, answer)
            if number % SLICE == 0:
                await asyncio.sleep(0)
        known = {port.name for port in device.map.ports}
        for name in [name for name in self._seen if name not in known]:
            del self._seen[name]
            self._hub.publish(PortForgotten(self.target.name, name))

    async def _hear_neighbours(self) -> None:
        """Ask for LLDP now and then. What goes wrong there is not worth a word: it was a poll that worked."""
        now, device = time.monotonic(), self._device
        if now < self._neighbours_due or device is None or device.map is None:
            return
        self._neighbours_due = now + self._pace.neighbours_s
        device.session.begin()
        try:
            name, heard = await lldp.ask(device.session, device.map.ports)
        except DriverError as exc:
            _log.debug("%s: LLDP: %s", self.source, exc)
            return
        self._hub.publish(NeighboursSeen(self.target.name, self.source, heard, name=name))

    def _publish_port(self, port: PortMap, answer: Answer) -> None:
        now = time.time()
        reading, present = port.reading(
            answer.columns, device=self.target.name, source=self.source, time=now, errors=answer.troubles
        )
        seen = self._seen.get(port.name)
        cage = port.is_cage(answer.columns)
        if seen is None and not present and not cage and not self._options.every_interface:
            return
        if seen is None:
            seen = self._seen[port.name] = _Seen(present, port.module)
            if cage and not present:
                self._hub.publish(PollFailed(self.target.name, port.name, now, present=False, trouble=_ABSENT))
        else:
            self._tell_change(port.name, seen, reading, present=present)
        if present:
            self._hub.publish(reading)
        self._observe(port, seen, answer, reading.link, now)

    def _tell_change(self, name: str, seen: _Seen, reading: Reading, *, present: bool) -> None:
        change = None
        if present and not seen.present:
            change = ModuleChange.INSERTED
        elif seen.present and not present:
            change = ModuleChange.REMOVED
        elif present and _differ(seen.module, reading.module):
            change = ModuleChange.SWAPPED
        previous = seen.module
        seen.present = present
        seen.module = reading.module if present else Module()
        if change is not None:
            self._changed = self._changed or change is not ModuleChange.SWAPPED
            self._hub.publish(ModuleEvent(self.target.name, name, reading.time, change, seen.module, previous))
        if change is ModuleChange.REMOVED:
            self._hub.publish(PollFailed(self.target.name, name, reading.time, present=False, trouble=_ABSENT))

    def _observe(self, port: PortMap, seen: _Seen, answer: Answer, link: Link, now: float) -> None:
        if "oper_up" not in link:
            if seen.link:
                seen.link = False
                self._links.removed(self.target.name, port.name, time=now, monotonic=time.monotonic())
            return
        seen.link = True
        mark = port.last_change(answer.columns) if answer.has_last_change else None
        changed = None
        if mark and answer.up_time is not None and mark <= answer.up_time:
            changed = now - (answer.up_time - mark) / 100
        changes = port.changes(answer.columns)
        observation = Observation(
            up=link["oper_up"],
            admin_up=link.get("admin_up", True),
            carrier_up_count=changes,
            carrier_down_count=None if changes is None else 0,  # the counter has both edges
            mark=mark,
            if_index=port.if_index,
            epoch=answer.epoch,
            changed=changed,
            polled=True,
            info=link,
        )
        self._links.observe(self.target.name, port.name, observation, time=now, monotonic=time.monotonic())

    def on_trap(self, trap: Trap) -> None:
        """A link trap of this device: the edge counts now, a poll follows."""
        self._wake.set()
        device = self._device
        if trap.up is None or device is None or device.map is None:
            return
        if trap.up_time is not None and self._up_time is not None and trap.up_time <= self._up_time:
            return  # doubled or late: the last poll has seen more than this trap knows
        port = next((port for port in device.map.ports if port.if_index == trap.if_index), None)
        if port is None or port.interface is None or port.name not in self._seen:
            return
        link = port.static_link()
        observation = Observation(
            up=trap.up,
            admin_up=True if trap.up or trap.admin_up is None else trap.admin_up,
            if_index=port.if_index,
            epoch=self._epoch,
            info=link,
        )
        self._links.observe(self.target.name, port.name, observation, time=time.time(), monotonic=time.monotonic())

    def forget(self) -> None:
        """The target is no longer asked: all its series end."""
        for name in self._seen:
            self._hub.publish(PortForgotten(self.target.name, name))
        self._seen.clear()


def _differ(one: Module, other: Module) -> bool:
    """Whether these are two modules; what only one of them tells does not count."""
    for key in ("serial_number", "part_number", "vendor_name"):
        mine, theirs = one.get(key), other.get(key)
        if mine and theirs:
            return mine != theirs
    return False
