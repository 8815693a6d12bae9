"""One port in a row: what the grid and the table of the status page need, and how bad it is."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, NotRequired, TypedDict, cast

from agent import quantities as q
from agent.model import AlertEvent, Module, Reading
from agent.quantities import Quantity, Unit, dbm
from agent.state import PortState

Level = Literal["absent", "disabled", "ok", "down", "notice", "warning", "unreadable", "critical"]
LEVELS: Final[tuple[Level, ...]] = (
    "absent", "disabled", "ok", "down", "notice", "warning", "unreadable", "critical",
)  # fmt: skip
"""From what needs no look to what needs one first."""
_OF_SEVERITY: Final[Mapping[str, Level]] = {"info": "notice", "warning": "warning", "critical": "critical"}
_REASONS: Final = 5


class Row(TypedDict):
    """What is not known is absent. Ranges are the smallest and largest over the lanes."""

    device: str
    port: str
    group: str
    engine: NotRequired[str]
    """The engine that it is, is a part of, or gives light to."""
    level: Level
    why: list[str]
    alerts: int
    swaps: int
    module: dict[str, str]
    time: NotRequired[float]
    link: NotRequired[Literal["up", "down", "disabled"]]
    flaps: NotRequired[int]
    lanes: NotRequired[int]
    rx_margin_db: NotRequired[float]
    """Received power of the worst lane above the module's low alarm."""
    values: dict[str, list[float]]


def row(device: str, port: PortState, alerts: Sequence[AlertEvent], *, trouble: str = "", engine: str = "") -> Row:
    """`alerts` are the active ones of this port; `engine` its engine.

    `trouble` is why its last poll failed, "" where that is only an empty cage.
    """
    level, why = _judge(port, alerts, trouble)
    document = Row(
        device=device, port=port.port, group=engine or group_of(port.port), level=level, why=why[:_REASONS],
        alerts=len(alerts), swaps=port.swaps, module={}, values={},
    )  # fmt: skip
    if engine:
        document["engine"] = engine
    if port.link is not None:
        document["link"] = "up" if port.link.up else "down" if port.link.admin_up else "disabled"
        document["flaps"] = sum(port.link.down_events.values())
    reading = port.reading
    if reading is not None:
        document["module"] = _module(reading.module)
        document["time"] = reading.time
        if port.up:
            document["values"] = _values(reading)
            document["lanes"] = max((len(column) for column in reading.lanes.values()), default=0)
            alarm = reading.thresholds.get(q.RX_POWER, {}).get("low_alarm")
            powers = document["values"].get("rx_power_dbm")
            if alarm is not None and powers:
                document["rx_margin_db"] = powers[0] - dbm(alarm)
    return document


def group_of(port: str) -> str:
    """The engine or line card that a name speaks of: all but its last number (`Ethernet3/12` is in `Ethernet3`)."""
    head = re.sub(r"[-_./:]*\d+$", "", port)
    # A breakout (`Ethernet1/31/1`) stays with its line card.
    return re.sub(r"(\d+)[/:]\d+$", r"\1", head) or port


def _module(module: Module) -> dict[str, str]:
    names = ("vendor_name", "part_number", "serial_number", "form_factor", "media")
    known = cast("Mapping[str, str]", module)
    return {name: known[name] for name in names if name in known}


def _judge(port: PortState, alerts: Sequence[AlertEvent], trouble: str) -> tuple[Level, list[str]]:
    found = list(_alerted(alerts))
    if port.present and not port.up:
        found.append(("unreadable", trouble or "its last poll failed"))
    if port.link is not None and not port.link.up and not any(event.rule.startswith("link") for event in alerts):
        found.append(("down", "link down") if port.link.admin_up else ("disabled", "shut down by configuration"))
    dark = port.link is not None and not port.link.up
    if port.reading is not None and port.up:
        found += _beyond(port.reading, dark=dark)
        if port.reading.module_state == "ModuleFault":
            found.append(("critical", "the module reports a fault"))
    if not port.present:
        found = [each for each in found if each[0] not in ("down", "disabled")]
    found.sort(key=lambda each: -LEVELS.index(each[0]))
    if found:
        return found[0][0], [reason for _, reason in found]
    return ("ok", []) if port.present else ("absent", [trouble or "no module"])


def _alerted(alerts: Sequence[AlertEvent]) -> Iterator[tuple[Level, str]]:
    """The active alerts; lanes with the same one share a line."""
    by_rule: dict[str, list[AlertEvent]] = {}
    for event in alerts:
        by_rule.setdefault(event.rule, []).append(event)
    for events in by_rule.values():
        worst = max(events, key=lambda event: LEVELS.index(_OF_SEVERITY[event.severity]))
        more = len(events) - 1
        suffix = f" (and {more} more lane{'s' if more > 1 else ''})" if more else ""
        yield _OF_SEVERITY[worst.severity], worst.summary + suffix


def _beyond(reading: Reading, *, dark: bool) -> Iterable[tuple[Level, str]]:
    """What is beyond the module's own thresholds. A link that is down explains received light that is missing."""
    for quantity, bounds in reading.thresholds.items():
        if dark and quantity is q.RX_POWER:
            continue
        column = reading.lanes.get(quantity) or (
            {0: reading.values[quantity]} if quantity in reading.values else {}
        )
        low_alarm, low = bounds.get("low_alarm"), bounds.get("low_warning")
        high_alarm, high = bounds.get("high_alarm"), bounds.get("high_warning")
        if high_alarm is not None and low_alarm is not None and low_alarm >= high_alarm:
            continue  # nobody means this
        for lane, value in column.items():
            where = f"lane {lane} " if lane else ""
            name = quantity.name.replace("_", " ")
            if high_alarm is not None and value > high_alarm:
                yield "warning", f"{where}{name} above its high alarm"
            elif low_alarm is not None and value < low_alarm:
                yield "warning", f"{where}{name} below its low alarm"
            elif high is not None and value > high:
                yield "notice", f"{where}{name} above its high warning"
            elif low is not None and value < low:
                yield "notice", f"{where}{name} below its low warning"


def _values(reading: Reading) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    for quantity, value in reading.values.items():
        _put(values, quantity, (value,))
    for quantity, column in reading.lanes.items():
        _put(values, quantity, column.values())
    ber = [sample.value for sample in reading.vdm if sample.observable.startswith("pre_fec_ber_current")]
    if ber:
        values["pre_fec_ber_ratio"] = [min(ber), max(ber)]
    snr = [sample.value for sample in reading.vdm if sample.observable.startswith("snr_")]
    if snr:
        values["snr_db"] = [min(snr), max(snr)]
    return values


def _put(values: dict[str, list[float]], quantity: Quantity, numbers: Iterable[float]) -> None:
    numbers = list(numbers)
    if not numbers or not all(abs(number) < float("inf") for number in numbers):
        return
    key = quantity.key
    if quantity.unit is Unit.WATT:
        key, numbers = f"{quantity.name}_dbm", [dbm(number) for number in numbers]
    values[key] = [min(numbers), max(numbers)]
