"""How alerts speak: units, numbers for people, the summary sentence. Rounding happens here and nowhere before."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from math import log10
from typing import Final

from agent.alerts.correlation import DEVICE_SCOPE, Incident
from agent.alerts.instances import Instance, Port
from agent.alerts.judging import OF_LASERS
from agent.alerts.rules import KP4_LIMIT, LINK, Figure, Happening, LaserFault, Observable, Rule
from agent.clock import Instant
from agent.model import CORRELATED, AlertEvent, AlertModule, DownCause, LinkEvent, Module
from agent.quantities import Quantity, Unit, dbm

OF_A_LASER: Final = (LaserFault.FLAG.value, *(f"{quantity.name}_" for quantity in OF_LASERS))
"""How the names of rules begin whose lane is the number of a laser of an external source."""
_FIGURE_UNITS: Final = ("ratio", "db", "days", "decades")


def unit_of(rule: Rule) -> str:
    """The unit of a rule's value and threshold in messages."""
    if rule.unit:
        return rule.unit
    if isinstance(rule.watch, Quantity):
        return Unit.DBM.value if rule.watch.unit is Unit.WATT else rule.watch.unit.value
    if isinstance(rule.watch, Figure):
        return next((unit for unit in _FIGURE_UNITS if rule.watch.name.endswith(f"_{unit}")), "")
    if isinstance(rule.watch, Observable):
        return "ratio"
    if rule.watch is Happening.MODULE_UNREADABLE:
        return "polls"
    return ""


def converted(rule: Rule, value: float | None) -> float | None:
    """A value or threshold in the unit of messages (optical power in dBm)."""
    if value is None or rule.unit or not isinstance(rule.watch, Quantity) or rule.watch.unit is not Unit.WATT:
        return value
    return dbm(value)


def shown(value: float | None, unit: str) -> str:
    """A number with its unit for a sentence, rounded for people."""
    if value is None:
        return "(no value)"
    match unit:
        case "celsius":
            return f"{value:.1f} degC"
        case "volts":
            return f"{value:.3f} V"
        case "amperes":
            return f"{value * 1000:.1f} mA"
        case "dbm":
            return f"{value:.2f} dBm"
        case "db":
            return f"{value:+.2f} dB"
        case "ratio":
            return f"{value:.2g}"
        case "days":
            return f"{value:.0f} days"
        case "decades":
            return f"{value:.1f} decades"
        case "":
            return f"{value:g}"
        case _:
            return f"{value:g}"


def _place(port: str, rule: str, lane: int) -> str:
    if not lane:
        return port
    return f"{port} {'laser' if rule.startswith(OF_A_LASER) else 'lane'} {lane}"


def summary(
    rule: Rule, *, port: str, lane: int, value: float | None, threshold: float | None, by_flag: bool
) -> str:
    """One sentence: where, what, how much. Value and threshold in the unit of messages."""
    unit = unit_of(rule)
    where = _place(port, rule.name, lane)
    if by_flag:
        # The excursion lies between two polls: the value read now would contradict the sentence.
        return (
            f"{where}: the module's own flag says {rule.name.replace('_', ' ')} (limit {shown(threshold, unit)})."
        )
    text = rule.text.replace("{value}", shown(value, unit)).replace("{threshold}", shown(threshold, unit))
    return f"{where}: {text}."


def alert_module(module: Module) -> AlertModule:
    """What an alert says of the module."""
    said: AlertModule = {}
    if vendor := module.get("vendor_name"):
        said["vendor_name"] = vendor
    if part := module.get("part_number"):
        said["part_number"] = part
    if serial := module.get("serial_number"):
        said["serial_number"] = serial
    return said


def firing(port: Port, instance: Instance) -> AlertEvent:
    """The message of an alert that begins (or is shown again)."""
    rule = instance.rule
    value, threshold = converted(rule, instance.value), converted(rule, instance.threshold)
    return AlertEvent(
        id="", seq=0, boot_id="",
        time=instance.fired.wall if instance.fired else 0.0,
        device=port.device, port=port.name, rule=rule.name, severity=rule.severity, state="firing",
        summary=summary(
            rule, port=port.name, lane=instance.lane, value=value, threshold=threshold, by_flag=instance.by_flag
        ),
        lane=instance.lane, value=value, unit=unit_of(rule) if value is not None else "",
        threshold=threshold, cause=instance.cause, evidence=_evidence(port, instance), module=port.alert_module,
    )  # fmt: skip


def _evidence(port: Port, instance: Instance) -> Mapping[str, object]:
    """What stood beside it: the same quantity on all lanes, the module's state, the link."""
    if instance.evidence:
        return instance.evidence
    said: dict[str, object] = {}
    reading, watch = port.last, instance.rule.watch
    if instance.by_flag:
        said["module_flag"] = True
    if reading is not None and isinstance(watch, Quantity) and (row := reading.lanes.get(watch)):
        optical = watch.unit is Unit.WATT
        said["lanes"] = {str(lane): dbm(value) if optical else value for lane, value in row.items()}
    if instance.rule.name.startswith("pre_fec_ber_") and isinstance(watch, Observable) and instance.value:
        said["margin_decades"] = round(log10(KP4_LIMIT / instance.value), 2)
    if reading is not None and reading.module_state:
        said["module_state"] = reading.module_state
    if port.facts.link_up is not None:
        said["link_up"] = port.facts.link_up
    return said


def resolved(port: Port, shown_as: AlertEvent, instance: Instance | None, at: Instant) -> AlertEvent:
    """The message of an alert that ends, or that another one speaks for from now on."""
    where = _place(port.name, shown_as.rule, shown_as.lane)
    why = "another alert speaks for it" if instance is None or instance.ended is None else instance.ended
    value = converted(instance.rule, instance.value) if instance is not None else shown_as.value
    tail = f" ({why})" if why else ""
    return replace(
        shown_as,
        time=at.wall,
        state="resolved",
        value=value,
        summary=f"{where}: {shown_as.rule.replace('_', ' ')} is over{tail}.",
        evidence={"fired_at": rfc3339(shown_as.time)},
    )


def link_message(port: Port, event: LinkEvent) -> AlertEvent:
    """The message of a link transition that no alert speaks of."""
    what = "came up" if event.up else "went down"
    cause = "" if event.up or event.cause is DownCause.UNKNOWN else event.cause.value
    return AlertEvent(
        id="", seq=0, boot_id="",
        time=event.time, device=port.device, port=port.name, rule=LINK, severity="info",
        state="resolved" if event.up else "firing",
        summary=f"{port.name}: the link {what}{f' ({cause})' if cause else ''}.",
        cause=cause, evidence={"unseen_transitions": event.unseen}, module=port.alert_module,
    )  # fmt: skip


def announcement(incident: Incident, at: Instant, before: AlertEvent | None, *, over: bool = False) -> AlertEvent:
    """The message of an incident: many ports, one alert. `before` is its first message."""
    count = len(incident.ports)
    where = "the device" if incident.scope == DEVICE_SCOPE else incident.scope
    rules = ", ".join(sorted(incident.rules))
    text = f"{count} of {incident.of} ports of {where} at once: {rules}"
    return AlertEvent(
        id="", seq=0, boot_id="",
        time=at.wall if over or before is None else before.time,
        device=incident.device, port=incident.scope, rule=CORRELATED, severity="critical",
        state="resolved" if over else "firing",
        summary=f"{incident.device}: {text}{' is over' if over else ''}.",
        value=float(count), unit="ports", threshold=float(incident.need), cause="one cause for many ports",
        evidence={"ports": sorted(incident.ports, key=natural), "rules": sorted(incident.rules), "of": incident.of},
    )  # fmt: skip


def natural(name: str) -> list[tuple[int, str]]:
    """Sort key under which Ethernet10 comes behind Ethernet9."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def rfc3339(time: float) -> str:
    """A Unix time as in messages: UTC, milliseconds."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
