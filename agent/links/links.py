"""The links of all devices: one tracker a port, their state and events on the hub. Pure: time is an argument.

    links = Links(hub)  # one a daemon
    links.observe("leaf-17", "swp1", Observation(up=True), time=unix, monotonic=clock)

Every source of link state (kernel netlink, SNMP, simulated) reports here and here alone.
"""

from collections.abc import Callable, Iterator
from typing import Final, cast

from agent.links.flaps import CORRELATION_PORTS, SETTLE_S, LinkTracker, Observation, SavedLink
from agent.model import CORRELATED, AlertEvent, DownCause, LinkEvent, ModuleChange, ModuleEvent
from agent.state import Hub, LinkChanged, PortForgotten

__all__ = ["CORRELATION_PORTS", "SETTLE_S", "LinkTracker", "Links", "Observation", "SavedLink"]


LINK_DOWN: Final = "link_down"
"""The built-in rule of a link that fell."""


class Links:
    """The links of all devices of the daemon: trackers by port, their state and events on the hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._trackers: dict[tuple[str, str], LinkTracker] = {}
        self._parked: dict[tuple[str, str], LinkTracker] = {}
        """Trackers of links that nobody watches any more."""
        self._saved: dict[tuple[str, str], SavedLink] = {}
        self._same_boot = False
        self._open: set[tuple[str, str]] = set()
        self._ports: dict[str, int] = {}
        hub.subscribe(ModuleEvent, self._on_module)
        hub.subscribe(PortForgotten, self._on_forgotten)
        hub.subscribe(AlertEvent, self._on_alert)

    def restore(self, saved: dict[tuple[str, str], SavedLink], *, same_boot: bool) -> None:
        """What an earlier run saved, by device and port; used when the port is observed for the first time."""
        self._saved = dict(saved)
        self._same_boot = same_boot

    def save(self, *, time: float, monotonic: float) -> dict[tuple[str, str], SavedLink]:
        """Everything a later run needs, ports that were not seen in this run included."""
        return dict(self.saving(lambda: (time, monotonic)))

    def saving(self, now: Callable[[], tuple[float, float]]) -> Iterator[tuple[tuple[str, str], SavedLink]]:
        """As `save`, link by link, which may change meanwhile; `now` gives time and monotonic time of each."""
        yield from list(self._saved.items())
        for key, tracker in (self._trackers | self._parked).items():
            time, monotonic = now()
            if (link := tracker.save(time=time, monotonic=monotonic)) is not None:
                yield key, link

    def tracker(self, device: str, port: str) -> LinkTracker:
        """The tracker of a port, made when it is new; its state is the port's `link` on the hub."""
        key = (device, port)
        tracker = self._trackers.get(key)
        if tracker is None:
            tracker = self._parked.pop(key, None) or LinkTracker(
                device, port, saved=self._saved.pop(key, None), same_boot=self._same_boot
            )
            state = self._hub.device(device).port(port)
            state.link = tracker.state
            if state.present:
                tracker.module_present = True
            self._trackers[key] = tracker
            self._ports[device] = self._ports.get(device, 0) + 1
        return tracker

    def observe(
        self, device: str, port: str, seen: Observation, *, time: float, monotonic: float
    ) -> list[LinkEvent]:
        """Take an observation, publish its edges and, if anything changed, `LinkChanged`."""
        new = (device, port) not in self._trackers
        tracker = self.tracker(device, port)
        before = (tracker.state.admin_up, tracker.state.info)
        events = tracker.observe(seen, time=time, monotonic=monotonic, settle_s=self._settle_s(device))
        self._publish(tracker, events, changed=new or before != (seen.admin_up, seen.info))
        return events

    def removed(self, device: str, port: str, *, time: float, monotonic: float) -> list[LinkEvent]:
        """The interface of a port is gone; its counters stay and go on when it comes back."""
        tracker = self.tracker(device, port)
        events = tracker.removed(time=time, monotonic=monotonic, settle_s=self._settle_s(device))
        self._publish(tracker, events, changed=True)
        return events

    def forget(self, device: str, port: str) -> None:
        """The link is no longer watched: its series end, its counters are kept for a later return."""
        if self._park(device, port):
            self._hub.device(device).port(port).link = None
            self._hub.publish(LinkChanged(device, port))

    def set_cause(self, device: str, port: str, cause: DownCause, *, since: float = 0.0) -> int:
        """Give the open downs of a port since `since` (monotonic) another cause; returns how many that were."""
        tracker = self._trackers.get((device, port))
        return tracker.set_cause(cause, since=since) if tracker is not None else 0

    @property
    def pending(self) -> bool:
        """True while the cause of some down event is open: `settle` has something to do soon."""
        return bool(self._open)

    def settle(self, monotonic: float) -> None:
        """Count the down events whose cause is final now, and publish which ports changed."""
        for key in list(self._open):
            tracker = self._trackers[key]
            settled = tracker.settle(monotonic)
            if not tracker.pending:
                self._open.discard(key)
            if settled:
                self._hub.publish(LinkChanged(*key))

    def __iter__(self) -> Iterator[LinkTracker]:
        return iter(self._trackers.values())

    def _park(self, device: str, port: str) -> bool:
        tracker = self._trackers.pop((device, port), None)
        if tracker is None:
            return False
        tracker.park()
        self._parked[device, port] = tracker
        self._open.discard((device, port))
        self._ports[device] -= 1
        return True

    def _on_forgotten(self, event: PortForgotten) -> None:
        self._park(event.device, event.port)

    def _on_alert(self, event: AlertEvent) -> None:
        """Many ports at once, says the alert book: then their links fell for one cause."""
        if (event.rule, event.state) == (CORRELATED, "firing") and LINK_DOWN in _strings(
            event.evidence.get("rules")
        ):
            for port in _strings(event.evidence.get("ports")):
                self.set_cause(event.device, port, DownCause.CORRELATED)

    def _settle_s(self, device: str) -> float:
        return SETTLE_S if self._ports.get(device, 0) >= CORRELATION_PORTS else 0.0

    def _publish(self, tracker: LinkTracker, events: list[LinkEvent], *, changed: bool) -> None:
        if tracker.pending:
            self._open.add((tracker.device, tracker.port))
        for event in events:
            self._hub.publish(event)
        if events or changed:
            self._hub.publish(LinkChanged(tracker.device, tracker.port))

    def _on_module(self, event: ModuleEvent) -> None:
        tracker = self._trackers.get((event.device, event.port))
        if tracker is None:
            return
        if event.change is ModuleChange.SWAPPED:  # it was out in between
            tracker.module(present=False)
        tracker.module(present=event.change is not ModuleChange.REMOVED)


def _strings(value: object) -> list[str]:
    return [str(each) for each in cast("list[object]", value)] if isinstance(value, list) else []
