"""What the daemon knows now, by device and port, and who is told of changes. One event loop, no locks."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from agent.model import (
    AlertEvent,
    DownCause,
    HostCounters,
    Link,
    LinkEvent,
    ModuleChange,
    ModuleEvent,
    Neighbour,
    PollFailed,
    PollTiming,
    Reading,
)
from agent.stages import Stages


@dataclass(slots=True)
class LinkState:
    """Link and counters of one port; the counters never fall (a restart hands the old ones on)."""

    up: bool = False
    admin_up: bool = True
    last_change: float = 0.0
    """Unix seconds; 0 while no change was ever seen."""
    transitions: int = 0
    down_events: Counter[DownCause] = field(default_factory=Counter[DownCause])
    up_seconds: float = 0.0
    """Up time of the periods that ended; add the running one with `up_seconds_at`."""
    up_since: float | None = None
    """Monotonic seconds since when the link is up."""
    info: Link = field(default_factory=Link)
    """Names and numbers of the interface, for display."""

    def up_seconds_at(self, monotonic: float) -> float:
        """Total up time in seconds, the running period included."""
        return self.up_seconds + (monotonic - self.up_since if self.up_since is not None else 0.0)


@dataclass(slots=True)
class PortState:
    """Everything about one port; `reading` is the last good one, None before it and after a removal."""

    port: str
    present: bool = False
    up: bool = False
    """The last poll worked."""
    last_success: float = 0.0
    reading: Reading | None = None
    link: LinkState | None = None
    swaps: int = 0
    host: HostCounters | None = None
    """What the host's side of the port counts, where something reads it."""


@dataclass(slots=True)
class DeviceState:
    """One device: this host, or a switch that is asked over the network."""

    device: str
    ports: dict[str, PortState] = field(default_factory=dict[str, PortState])

    def port(self, name: str) -> PortState:
        """The state of a port, made when it is new."""
        state = self.ports.get(name)
        if state is None:
            state = self.ports[name] = PortState(name)
        return state


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The link state of a port was updated (also without an edge: admin, counters)."""

    device: str
    port: str


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """Whether a source works as a whole."""

    source: str
    up: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class BusHealth:
    """Whether a bus works; `recovered` when it was closed and opened again just now."""

    bus: str
    up: bool
    recovered: bool = False


@dataclass(frozen=True, slots=True)
class Discarded:
    """A sample that was not believed; `reason` is a metric label."""

    device: str
    port: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class PortForgotten:
    """Nobody asks for this port any more: all its series end."""

    device: str
    port: str


@dataclass(frozen=True, slots=True)
class NeighboursSeen:
    """What a device says by LLDP is at the other ends of its links; all that `source` said before is over."""

    device: str
    source: str
    ports: Mapping[str, Neighbour]
    name: str = ""
    """What the device calls itself, where that is known."""


Event = (
    Reading
    | PollFailed
    | PollTiming
    | LinkEvent
    | LinkChanged
    | ModuleEvent
    | HostCounters
    | AlertEvent
    | SourceHealth
    | BusHealth
    | Discarded
    | PortForgotten
    | NeighboursSeen
)
E_ = TypeVar("E_", bound=Event)


class Hub:
    """Takes events, keeps the state of every device, and calls who subscribed, in order of subscription.

    Subscribers run on the event loop and must be quick; the state is already updated when they are called.
    """

    def __init__(self, device: str) -> None:
        self.local = DeviceState(device)
        self.devices: dict[str, DeviceState] = {device: self.local}
        self.stages = Stages()
        """How long refreshes took, stage by stage."""
        self._subscribers: dict[type, list[Callable[[Event], None]]] = {}

    def device(self, name: str) -> DeviceState:
        """The state of a device, made when it is new."""
        state = self.devices.get(name)
        if state is None:
            state = self.devices[name] = DeviceState(name)
        return state

    def ports(self) -> Iterator[tuple[DeviceState, PortState]]:
        """Every port of every device."""
        for device in self.devices.values():
            for port in device.ports.values():
                yield device, port

    def subscribe(self, kind: type[E_], callback: Callable[[E_], None]) -> None:
        """Call `callback` with every event of exactly this type from now on."""
        self._subscribers.setdefault(kind, []).append(callback)  # type: ignore[arg-type]

    def unsubscribe(self, kind: type[E_], callback: Callable[[E_], None]) -> None:
        """Call `callback` no more."""
        self._subscribers[kind].remove(callback)  # type: ignore[arg-type]  # as in subscribe

    def publish(self, event: Event) -> None:
        """Update the state, then tell the subscribers."""
        if isinstance(event, Reading):
            port = self.device(event.device).port(event.port)
            port.present = port.up = True
            port.last_success = event.time
            port.reading = event
        elif isinstance(event, PollTiming):
            pass  # beside every reading, so asked for second: nothing to remember
        elif isinstance(event, PollFailed):
            port = self.device(event.device).port(event.port)
            port.present = event.present
            port.up = False
            if not event.present:
                port.reading = None
        elif isinstance(event, ModuleEvent):
            port = self.device(event.device).port(event.port)
            if event.change is ModuleChange.SWAPPED:
                port.swaps += 1
            if event.change is not ModuleChange.INSERTED:
                port.reading = None
        elif isinstance(event, HostCounters):
            self.device(event.device).port(event.port).host = event
        elif isinstance(event, PortForgotten):
            self.device(event.device).ports.pop(event.port, None)
        for callback in self._subscribers.get(type(event), ()):
            callback(event)
