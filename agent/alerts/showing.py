"""What of the firing alerts is said: one voice for many ports, the top of each ladder, each link edge once."""

from collections.abc import Iterator, Mapping, Sequence
from heapq import heappop, heappush
from math import inf
from typing import Final

from agent.alerts.correlation import WINDOW_S, Correlator, Incident
from agent.alerts.instances import Instance, Key, Port, visible
from agent.alerts.rules import SEVERITY_ORDER, Happening, Rule
from agent.alerts.text import announcement, firing, link_message, resolved
from agent.clock import Instant
from agent.model import AlertEvent


class Showing:
    """Turns what fires on a port into messages, and knows when time alone will change that."""

    def __init__(self) -> None:
        self.correlator: Final = Correlator()
        self.ports: Final[dict[tuple[str, str], Port]] = {}
        self.used: Final[dict[str, int]] = {}
        """Ports in use a device: those with a module or a link."""
        self._wakes: list[tuple[float, str, str]] = []
        self._announced: dict[tuple[str, str], AlertEvent] = {}
        self._rung: Mapping[str, int] = {}
        self._flap_rules: tuple[Rule, ...] = ()
        self._down_rules: frozenset[str] = frozenset()

    def use(self, rules: Sequence[Rule]) -> None:
        """Rules in the order of their ladders."""
        self._rung = {rule.name: rung for rung, rule in enumerate(rules)}
        self._flap_rules = tuple(rule for rule in rules if rule.watch is Happening.LINK_FLAP)
        self._down_rules = frozenset(rule.name for rule in rules if rule.watch is Happening.LINK_DOWN)

    def active(self) -> Iterator[AlertEvent]:
        """The messages of all alerts that fire and are shown."""
        yield from self._announced.values()
        for port in self.ports.values():
            yield from port.shown.values()

    def next_deadline(self) -> float:
        """Monotonic time of the next `tick` that may say something; infinity when none is due."""
        incidents = [min(i.over_at(), i.announce_at()) for i in self.correlator.incidents.values()]
        return min(self._wakes[0][0] if self._wakes else inf, *incidents, inf)

    def due(self, now: float) -> Iterator[Port]:
        """The ports that time alone may have changed."""
        while self._wakes and self._wakes[0][0] <= now:
            when, device, name = heappop(self._wakes)
            port = self.ports.get((device, name))
            if port is not None and port.wakes == when:
                port.wakes = inf
                yield port

    def adopt(self, incident: Incident, event: AlertEvent) -> None:
        """Take over an incident of an earlier run with its last message."""
        self.correlator.incidents[incident.device, incident.scope] = incident
        self._announced[incident.device, incident.scope] = event

    def adopted(self, at: Instant) -> None:
        """Everything was taken over: look at each port when its time comes."""
        for port in self.ports.values():
            self._schedule(port, at.monotonic)

    def tell_incidents(self, at: Instant) -> list[AlertEvent]:
        """What is to be said now of incidents."""
        out: list[AlertEvent] = []
        for incident in list(self.correlator.incidents.values()):
            out += self._tell(incident, at)
        return out

    def settle(self, port: Port, at: Instant, *, hurry: bool = False) -> list[AlertEvent]:
        """Say what changed of what is shown. `hurry`: nothing waits for company any longer."""
        opened = self._correlate(port, at, hurry=hurry)
        out = self._say(port, at)
        for name in opened:
            if name != port.name:
                out += self._say(self.ports[port.device, name], at)
        return out

    def _correlate(self, port: Port, at: Instant, *, hurry: bool) -> set[str]:
        """Count what began, decide what waits. The ports that an incident, opened just now, speaks for."""
        opened: set[str] = set()
        used = self.used.get(port.device, 0)
        worth: Mapping[Key, Instance] = {}
        if any(not i.counted for i in port.live.values() if i.firing):
            worth = visible(port, self._rung, at.monotonic)
        for instance in worth.values():
            name, began = instance.rule.name, instance.fired
            if instance.counted or began is None:
                continue
            instance.counted = True
            if instance.rule.severity == "info":
                continue
            incident = self.correlator.onset(port.device, port.name, name, at.monotonic, population=used)
            if incident is not None:
                instance.held_until = None
                if len(incident.ports) > incident.silenced + 1:
                    opened |= incident.ports
                incident.silenced = len(incident.ports)
            else:
                instance.held_until = at.monotonic
        for instance in port.live.values():
            if instance.held_until is not None:
                until = self.correlator.hold_until(
                    port.device, port.name, instance.rule.name, at.monotonic, population=used
                )
                instance.held_until = None if hurry or until <= at.monotonic else until
        return opened

    def _forgive(self, port: Port, at: Instant) -> None:
        """What the whole device did was no flap of this link."""
        incident = self.correlator.speaks_for(port.device, port.name)
        if incident is None or not incident.rules & self._down_rules:
            return
        # The first fall happened a moment before it was looked at, which is when the incident began.
        while port.flaps and port.flaps[-1] >= incident.started - WINDOW_S:
            port.flaps.pop()
        for finding in port.flap_findings(self._flap_rules, at.monotonic):
            port.step(finding, at)

    def _say(self, port: Port, at: Instant) -> list[AlertEvent]:
        self._forgive(port, at)
        wanted = self._wanted(port, at.monotonic)
        out: list[AlertEvent] = []
        new = [instance for key, instance in wanted.items() if key not in port.shown]
        for instance in sorted(new, key=lambda i: -SEVERITY_ORDER[i.rule.severity]):
            event = firing(port, instance)
            port.shown[instance.rule.name, instance.lane] = event
            out.append(event)
        gone = [key for key in port.shown if key not in wanted]
        out += [resolved(port, port.shown.pop(key), port.live.get(key), at) for key in gone]
        for key, instance in list(port.live.items()):
            if instance.ended is not None:
                port.drop(key)
                self.correlator.recovered(port.device, port.name, instance.rule.name, at.monotonic)
        out += self._flush(port, out)
        self._schedule(port, at.monotonic)
        return out

    def _wanted(self, port: Port, now: float) -> dict[Key, Instance]:
        if self.correlator.speaks_for(port.device, port.name):
            return {}
        quiet = self.correlator.quiet_until(port.device, port.name)
        return {
            key: instance
            for key, instance in visible(port, self._rung, now).items()
            if key in port.shown
            or (
                instance.held_until is None
                and instance.beyond
                # Its last polls may still speak of what is over; what its link says counts at once.
                and (instance.seen > max(quiet, instance.hidden_at) or isinstance(instance.rule.watch, Happening))
            )
        }

    def _flush(self, port: Port, said: list[AlertEvent]) -> list[AlertEvent]:
        """Messages of the link edges that no alert speaks of; none while their alert waits for company."""
        if not port.waiting or any(
            i.held_until is not None for i in port.live.values() if i.rule.watch is Happening.LINK_DOWN
        ):
            return []
        told = {event.state for event in said if event.rule in self._down_rules}
        events, port.waiting = port.waiting, []
        return [link_message(port, e) for e in events if ("resolved" if e.up else "firing") not in told]

    def _schedule(self, port: Port, now: float) -> None:
        wakes = min((instance.wakes() for instance in port.live.values()), default=inf)
        wakes = min(wakes, port.flap_wakes(self._flap_rules, now))
        if wakes < inf and wakes != port.wakes:
            heappush(self._wakes, (wakes, port.device, port.name))
        port.wakes = wakes

    def _tell(self, incident: Incident, at: Instant) -> list[AlertEvent]:
        """What is to be said of an incident now."""
        out: list[AlertEvent] = []
        key = (incident.device, incident.scope)
        over = incident.over_at() <= at.monotonic
        if incident.announce_at() <= at.monotonic or (over and not incident.announced):
            incident.announced = len(incident.ports)
            self._announced[key] = announcement(incident, at, self._announced.get(key))
            out.append(self._announced[key])
        if over:
            left = list(incident.members)
            self.correlator.close(incident)
            out.append(announcement(incident, at, self._announced.pop(key), over=True))
            for name in left:
                out += self._say(self.ports[incident.device, name], at)
        return out
