"""Many ports at once are one incident: which alerts belong together. Pure: time (monotonic) is an argument."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Final

WINDOW_S: Final = 2.0
"""Onsets this close together belong together."""
SHARE: Final = 0.25
"""Of the ports of a device: from here on the device is the story, not the port."""
FEWEST: Final = 3
"""Two ports at once are a coincidence on any device."""
HOLD_S: Final = 0.025
"""How long one alert waits for others to come; short, since most alerts are alone."""
BURST: Final = 3
"""With this many onsets in the window more may be coming: alerts wait until the window ends."""
SETTLE_S: Final = 0.1
"""An incident is announced once nobody joined for this long (or the window is over)."""
REMAINDER: Final = 0.1
"""An incident ends when this share of its ports is left; those speak for themselves again."""
LAST_ONES_S: Final = 0.5
"""So long the last ports of an incident have to come back before they speak for themselves."""
GRACE_S: Final = 30.0
"""What was muted of a port that recovered is shown only when a poll this long afterwards still finds it."""
DEVICE_SCOPE: Final = "device"


@dataclass(slots=True)
class Incident:
    """Alerts of many ports with one cause. `scope` is `device` or the name of a group of ports."""

    device: str
    scope: str
    started: float
    rules: set[str]
    members: dict[str, set[str]]
    """Port to those of its rules that still fire."""
    of: int
    need: int
    last_join: float
    ports: set[str] = field(default_factory=set[str])
    """Every port that was ever part of it."""
    silenced: int = 0
    """How many of its ports were told that it speaks for them (each tells itself when it joins later)."""
    announced: int = 0
    """How many ports the last message listed; 0 before the first."""

    recovered_at: float | None = None
    """Since when nearly every port is back."""

    def announce_at(self) -> float:
        """When its (next) message is due, infinity when everything was said."""
        if len(self.ports) == self.announced:
            return inf
        first = self.started if not self.announced else self.last_join
        return min(self.last_join + SETTLE_S, first + WINDOW_S)

    def over_at(self) -> float:
        """When it ends, if nothing happens before; infinity while too many ports are affected."""
        return inf if self.recovered_at is None else self.recovered_at + LAST_ONES_S


class Correlator:
    """Counts onsets of the same rule over ports of one device and opens incidents."""

    def __init__(self) -> None:
        self.incidents: dict[tuple[str, str], Incident] = {}
        self._windows: dict[tuple[str, str], dict[str, float]] = {}
        self._groups: Mapping[tuple[str, str], frozenset[str]] = {}
        self._left: dict[tuple[str, str], float] = {}

    def set_groups(self, groups: Mapping[tuple[str, str], frozenset[str]]) -> None:
        """Ports that share an engine, a bus or a laser: (device, name of the group) to its ports."""
        self._groups = groups

    def onset(self, device: str, port: str, rule: str, now: float, *, population: int) -> Incident | None:
        """An alert began; `population` is the number of ports in use. Returns the incident it belongs to."""
        for incident in self._joinable(device, port, rule, now):
            self._join(incident, port, rule, now)
            return incident
        window = self._window(device, rule, now)
        window[port] = now
        need = max(FEWEST, ceil(SHARE * population))
        if len(window) >= need:
            return self._open(device, DEVICE_SCOPE, rule, dict(window), of=population, need=need, now=now)
        for (owner, name), ports in self._groups.items():
            if owner == device and port in ports and len(ports) > 1 and ports <= window.keys():
                return self._open(
                    device, name, rule, {p: window[p] for p in ports}, of=len(ports), need=len(ports), now=now
                )
        return None

    def _joinable(self, device: str, port: str, rule: str, now: float) -> list[Incident]:
        return [
            incident
            for (owner, scope), incident in self.incidents.items()
            if owner == device
            and (
                port in incident.members
                or (scope == DEVICE_SCOPE and rule in incident.rules and now - incident.last_join <= WINDOW_S)
            )
        ]

    def _join(self, incident: Incident, port: str, rule: str, now: float) -> None:
        if rule in incident.rules:  # others are muted, but the port recovers without them
            incident.members.setdefault(port, set()).add(rule)
            incident.recovered_at = None
        if port not in incident.ports:
            incident.ports.add(port)
            incident.last_join = now

    def _open(
        self, device: str, scope: str, rule: str, onsets: dict[str, float], *, of: int, need: int, now: float
    ) -> Incident:
        known = self.incidents.get((device, scope))
        if known is None:
            known = Incident(device, scope, min(onsets.values()), {rule}, {}, of, need, now)
            self.incidents[device, scope] = known
        known.rules.add(rule)
        for port in onsets:
            self._join(known, port, rule, now)
        return known

    def _window(self, device: str, rule: str, now: float) -> dict[str, float]:
        window = self._windows.setdefault((device, rule), {})
        for port in [port for port, at in window.items() if now - at > WINDOW_S]:
            del window[port]
        return window

    def hold_until(self, device: str, port: str, rule: str, now: float, *, population: int) -> float:
        """Until when an alert that began just now or a while ago waits for company; <= now: it may speak."""
        if population < FEWEST:
            return now
        window = self._window(device, rule, now)
        began = window.get(port, now - WINDOW_S)
        if len(window) >= BURST:
            return min(began, *window.values()) + WINDOW_S
        return began + HOLD_S

    def speaks_for(self, device: str, port: str) -> Incident | None:
        """The incident that this port is part of, None when it speaks for itself."""
        for (owner, _), incident in self.incidents.items():
            if owner == device and port in incident.members:
                return incident
        return None

    def quiet_until(self, device: str, port: str) -> float:
        """A port that left an incident keeps to itself what no poll after this time has found again."""
        return self._left.get((device, port), 0.0)

    def recovered(self, device: str, port: str, rule: str, now: float) -> None:
        """An alert ended; its port leaves the incident with the last of them."""
        for (owner, _), incident in self.incidents.items():
            rules = incident.members.get(port) if owner == device else None
            if rules is not None:
                rules.discard(rule)
                if not rules:
                    del incident.members[port]
                    self._left[device, port] = now + GRACE_S
                    if incident.recovered_at is None and len(incident.members) <= REMAINDER * len(incident.ports):
                        incident.recovered_at = now

    def close(self, incident: Incident) -> None:
        """Forget an incident that is over."""
        self.incidents.pop((incident.device, incident.scope), None)
