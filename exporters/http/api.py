"""What the HTTP interface says of ports and alerts, as JSON documents."""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from agent.alerts.document import encode_alert, to_alert_document
from agent.documents.reading import SCHEMA, timestamp, to_document
from agent.errors import ModuleAbsent
from agent.model import AlertEvent, PollFailed, Reading, Trouble
from agent.state import DeviceState, Hub, LinkState, PortForgotten, PortState
from exporters.http.figures import port_figure
from exporters.http.summary import Row, row

_EVENTS: Final = 2000
"""Alert transitions kept for the timelines of all ports."""

Document = Mapping[str, object]


class AlertBook(Protocol):
    """Who knows what is active."""

    def active(self) -> Sequence[AlertEvent]: ...


class History(Protocol):
    """Who keeps the last samples."""

    def samples(self, device: str, port: str) -> Sequence[Document]:
        """Oldest first, each with its `time`; empty for a port it does not know."""
        ...


class NoAlerts:
    """Stands in where no rules run."""

    def active(self) -> Sequence[AlertEvent]:
        return ()


class Api:
    """Documents of what the hub knows. `monotonic` arguments are seconds of the monotonic clock."""

    def __init__(self, hub: Hub, *, alerts: AlertBook, history: History | None) -> None:
        self._hub = hub
        self._alerts = alerts
        self._history = history
        self._troubles: dict[tuple[str, str], Trouble] = {}
        self._engines: dict[tuple[str, str], str] = {}
        """Of engines and their parts, which engine; of laser sources, a port that they light. Kept in the dark."""
        self._events = deque[tuple[str, str, bytes]](maxlen=_EVENTS)
        """Device, port and the alert as JSON: a fifth of the memory that its objects take."""
        hub.subscribe(Reading, self._worked)
        hub.subscribe(PollFailed, self._failed)
        hub.subscribe(PortForgotten, self._forgotten)
        hub.subscribe(AlertEvent, self._told)

    def _worked(self, event: Reading) -> None:
        if self._troubles:
            self._troubles.pop((event.device, event.port), None)
        if event.engine or event.fed_by or event.lasers:
            self._note_engine(event)

    def _told(self, event: AlertEvent) -> None:
        self._events.append((event.device, event.port, encode_alert(event)))

    def _note_engine(self, event: Reading) -> None:
        """What a port belongs to: a laser source to the engine of the first port that it lights."""
        device, known = event.device, self._engines
        lit = next((port for laser in event.lasers for port in laser.feeds), "")
        if event.engine:
            known[device, event.port] = known[device, event.engine] = event.engine
        elif event.fed_by:
            known[device, event.port] = event.port
        elif lit:
            known[device, event.port] = lit

    def _engine_of(self, device: str, port: str) -> str:
        engine = self._engines.get((device, port), "")
        return self._engines.get((device, engine), engine)

    def _forgotten(self, event: PortForgotten) -> None:
        self._engines.pop((event.device, event.port), None)
        self._troubles.pop((event.device, event.port), None)

    def _failed(self, event: PollFailed) -> None:
        self._troubles[event.device, event.port] = event.trouble

    def find(self, port: str, device: str) -> list[tuple[DeviceState, PortState]]:
        """The ports of this name, on one device or (when `device` is empty) on all."""
        devices = [self._hub.devices[device]] if device in self._hub.devices else []
        if not device:
            devices = list(self._hub.devices.values())
        return [(each, each.ports[port]) for each in devices if port in each.ports]

    def ports(self, device: str) -> list[tuple[DeviceState, PortState]]:
        """All ports of one device, or of all."""
        return [pair for pair in self._hub.ports() if device in ("", pair[0].device)]

    def port(self, device: DeviceState, port: PortState, monotonic: float) -> dict[str, object]:
        """One port: its reading if there is one, and what is known beside it."""
        document: dict[str, object] = {}
        if port.reading is not None:
            document |= to_document(port.reading)
        else:
            document |= {"schema": SCHEMA, "device": device.device, "port": port.port, "module": {}}
            document |= {"values": {}, "lanes": [], "thresholds": {}, "flags": [], "unread": [], "errors": []}
        document |= {"present": port.present, "up": port.up, "module_swaps": port.swaps}
        if port.last_success:
            document["last_success"] = timestamp(port.last_success)
        if port.link is not None:
            document["link"] = link(port.link, monotonic)
        trouble = self._troubles.get((device.device, port.port))
        if trouble is not None:
            document["trouble"] = {"reason": trouble.reason, "detail": trouble.detail}
        return document

    def port_in_full(self, device: DeviceState, port: PortState, monotonic: float) -> dict[str, object]:
        """The same with the last samples and the events of the port."""
        document = self.port(device, port, monotonic)
        samples = self._history.samples(device.device, port.port) if self._history else ()
        figure = port_figure(self._hub, device.device, port.port, monotonic=monotonic)
        if figure is not None:
            document["reliability"] = figure
        document["history"] = list(samples)
        document["events"] = list(self._events_of(device.device, port.port))
        return document

    def _events_of(self, device: str, port: str) -> Iterator[Document]:
        return (json.loads(text) for owner, name, text in self._events if name == port and owner == device)

    def rows(self, device: str = "") -> list[Row]:
        """The rows of all ports of one device, or of all."""
        return self.rows_of((state.device, port.port) for state, port in self.ports(device))

    def rows_of(self, ports: Iterable[tuple[str, str]]) -> list[Row]:
        """The rows of some ports, given by device and name."""
        alerts: dict[tuple[str, str], list[AlertEvent]] = {}
        for event in self._alerts.active():
            alerts.setdefault((event.device, event.port), []).append(event)
        rows: list[Row] = []
        for device, name in ports:
            port = self._hub.devices[device].ports.get(name) if device in self._hub.devices else None
            if port is not None:
                trouble = self._troubles.get((device, name))
                why = trouble.detail if trouble and trouble.reason != ModuleAbsent.reason else ""
                mine = alerts.get((device, name), ())
                engine = self._engine_of(device, name)
                rows.append(row(device, port, mine, trouble=why, engine=engine))
        return rows

    def alert_documents(self, device: str = "") -> list[Document]:
        """The active alerts of one device, or of all."""
        return [to_alert_document(event) for event in self._alerts.active() if device in ("", event.device)]


def link(state: LinkState, monotonic: float) -> dict[str, object]:
    """The link of a port with its counters."""
    document: dict[str, object] = {"oper_up": state.up, "admin_up": state.admin_up, **state.info}
    if state.last_change:
        document["last_change"] = timestamp(state.last_change)
    document["transitions"] = state.transitions
    document["down_events"] = {cause.value: count for cause, count in state.down_events.items()}
    document["up_seconds"] = state.up_seconds_at(monotonic)
    return document
