"""Alerts over a restart: what fires, the flap history and the incidents, as JSON."""

from collections.abc import Iterable
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from agent.alerts.builtin import DAY_S
from agent.alerts.correlation import Incident
from agent.alerts.engine import Alerts
from agent.alerts.instances import LOST_S, Instance, Port, by_reading
from agent.alerts.rules import Figure, Rule
from agent.clock import Instant
from agent.model import CORRELATED, AlertEvent, AlertModule, Severity

SCHEMA: Final = "opticd/alerts/1"


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class _Event(_Model):
    """An `AlertEvent`."""

    id: str
    seq: int
    boot_id: str
    time: float
    device: str
    port: str
    rule: str
    severity: Severity
    state: Literal["firing", "resolved"]
    summary: str
    lane: int
    value: float | None
    unit: str
    threshold: float | None
    cause: str
    evidence: dict[str, object]
    module: dict[str, str]


class _Instance(_Model):
    rule: str
    lane: int
    fired: float
    value: float | None
    threshold: float | None
    by_flag: bool
    cause: str
    evidence: dict[str, object]


class _Port(_Model):
    device: str
    port: str
    serial: str
    flaps: list[float]
    firing: list[_Instance]


class _Incident(_Model):
    device: str
    scope: str
    started: float
    rules: list[str]
    members: dict[str, list[str]]
    ports: list[str]
    of: int
    need: int


class _File(_Model):
    """Times are Unix seconds."""

    schema_name: Literal["opticd/alerts/1"]
    active: list[_Event]
    ports: list[_Port]
    incidents: list[_Incident]


def dump(engine: Alerts, active: Iterable[AlertEvent], at: Instant) -> str:
    """Everything a later run needs."""
    offset = at.wall - at.monotonic
    ports = [
        _Port(
            device=port.device,
            port=port.name,
            serial=port.serial,
            flaps=[flap + offset for flap in port.flaps],
            firing=[_to_saved(i, i.fired) for i in port.live.values() if i.fired is not None and i.ended is None],
        )
        for port in engine.ports()
        if port.live or port.flaps
    ]
    incidents = [
        _Incident(
            device=incident.device,
            scope=incident.scope,
            started=incident.started + offset,
            rules=sorted(incident.rules),
            members={port: sorted(rules) for port, rules in incident.members.items()},
            ports=sorted(incident.ports),
            of=incident.of,
            need=incident.need,
        )
        for incident in engine.showing.correlator.incidents.values()
        if incident.announced
    ]
    events = [_event(event) for event in active]
    return _File(schema_name=SCHEMA, active=events, ports=ports, incidents=incidents).model_dump_json()


def _event(event: AlertEvent) -> _Event:
    return _Event(
        id=event.id, seq=event.seq, boot_id=event.boot_id, time=event.time, device=event.device, port=event.port,
        rule=event.rule, severity=event.severity, state=event.state, summary=event.summary, lane=event.lane,
        value=event.value, unit=event.unit, threshold=event.threshold, cause=event.cause,
        evidence=dict(event.evidence), module={key: str(value) for key, value in event.module.items()},
    )  # fmt: skip


def _to_saved(instance: Instance, fired: Instant) -> _Instance:
    return _Instance(
        rule=instance.rule.name, lane=instance.lane, fired=fired.wall, value=instance.value,
        threshold=instance.threshold, by_flag=instance.by_flag, cause=instance.cause,
        evidence=dict(instance.evidence),
    )  # fmt: skip


def restore(engine: Alerts, text: str, at: Instant) -> list[AlertEvent]:
    """Put what was dumped into a new engine. Returns what was active. Raises ValueError."""
    file = _File.model_validate_json(text)
    rules = {rule.name: rule for rule in reversed(engine.rules)}
    active = {(e.device, e.port, e.rule, e.lane): _to_event(e) for e in file.active}
    kept: list[AlertEvent] = []
    for row in file.ports:
        port = engine.port(row.device, row.port)
        port.serial = row.serial
        port.flaps.extend(sorted(_monotonic(flap, at) for flap in row.flaps))
        for saved in row.firing:
            rule = rules.get(saved.rule)
            if rule is not None:
                event = active.get((row.device, row.port, saved.rule, saved.lane))
                kept += _put(port, rule, saved, event, at)
    for incident in file.incidents:
        event = active.get((incident.device, incident.scope, CORRELATED, 0))
        if event is not None:
            engine.showing.adopt(_to_incident(incident, at), event)
            kept.append(event)
    engine.showing.adopted(at)
    return kept


def _put(port: Port, rule: Rule, saved: _Instance, event: AlertEvent | None, at: Instant) -> list[AlertEvent]:
    began = _monotonic(saved.fired, at)
    instance = Instance(
        rule, saved.lane, since=began, seen=at.monotonic, fired=Instant(began, saved.fired), counted=True,
        expires=at.monotonic + (DAY_S if isinstance(rule.watch, Figure) else LOST_S),
        value=saved.value, threshold=saved.threshold, by_flag=saved.by_flag, cause=saved.cause,
        evidence=saved.evidence,
    )  # fmt: skip
    port.live[rule.name, saved.lane] = instance
    port.measured += by_reading(rule)
    if event is None:
        return []
    port.shown[rule.name, saved.lane] = event
    return [event]


def _monotonic(wall: float, at: Instant) -> float:
    """When that was on the clock of this run; a wall clock that was set back makes it now."""
    return at.monotonic - max(0.0, at.wall - wall)


def _to_incident(row: _Incident, at: Instant) -> Incident:
    return Incident(
        row.device, row.scope, _monotonic(row.started, at), set(row.rules),
        {port: set(rules) for port, rules in row.members.items()}, row.of, row.need,
        last_join=at.monotonic - DAY_S, ports=set(row.ports), silenced=len(row.ports), announced=len(row.ports),
    )  # fmt: skip


def _to_event(saved: _Event) -> AlertEvent:
    module: AlertModule = {}
    if vendor := saved.module.get("vendor_name"):
        module["vendor_name"] = vendor
    if part := saved.module.get("part_number"):
        module["part_number"] = part
    if serial := saved.module.get("serial_number"):
        module["serial_number"] = serial
    return AlertEvent(
        id=saved.id, seq=saved.seq, boot_id=saved.boot_id, time=saved.time, device=saved.device, port=saved.port,
        rule=saved.rule, severity=saved.severity, state=saved.state, summary=saved.summary, lane=saved.lane,
        value=saved.value, unit=saved.unit, threshold=saved.threshold, cause=saved.cause, evidence=saved.evidence,
        module=module,
    )  # fmt: skip
