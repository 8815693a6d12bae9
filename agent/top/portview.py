"""One port in full: who the module is, monitors and lanes as bars between their thresholds, alerts, events."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, cast

from rich.text import Text

from agent import quantities as q
from agent.documents.tables import verdict
from agent.grid import Tone as GridTone
from agent.top.documents import Alert, Lane, Limits, Port, Row
from agent.top.portmore import coherent_lines, diagnostic_lines, laser_lines
from agent.top.store import worst_ber
from agent.top.text import (
    LEVEL_TONES,
    LEVEL_WORDS,
    SEVERITY_TONES,
    Part,
    Signs,
    Tone,
    ago,
    clock,
    exponent,
    fit,
    line,
    sparkline,
    without,
    wrapped,
)

if TYPE_CHECKING:
    from agent.model import Bounds

_EVENTS: Final = 12
_LABEL: Final = 18
_BOUNDS: Final = ("low_alarm", "low_warning", "high_warning", "high_alarm")
_TONES: Final[dict[GridTone, Tone]] = {"good": "good", "warning": "warning", "alarm": "alarm"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A monitored quantity: its name, the key of its thresholds, and how it is written."""

    title: str
    unit: str
    thresholds: str
    digits: int
    scale: Callable[[float], float] = float
    """From the unit of the thresholds to the unit shown."""

    def bounds(self, port: Port) -> Limits:
        """The thresholds in the unit shown."""
        given = port.thresholds.get(self.thresholds, {})
        return {name: self.scale(value) for name, value in given.items() if name in _BOUNDS}

    def text(self, value: float) -> str:
        """The value shown."""
        return "dark" if self.unit == "dBm" and value <= q.DBM_FLOOR else f"{value:.{self.digits}f}"


def _milli(amperes: float) -> float:
    return amperes * 1e3


_LANE_COLUMNS: Final[tuple[tuple[Shown, Callable[[Lane], float | None]], ...]] = (
    (Shown("RX", "dBm", "rx_power_watts", 2, q.dbm), lambda lane: lane.rx_power_dbm),
    (Shown("TX", "dBm", "tx_power_watts", 2, q.dbm), lambda lane: lane.tx_power_dbm),
    (
        Shown("BIAS", "mA", "tx_bias_amperes", 1, _milli),
        lambda lane: None if lane.tx_bias_amperes is None else _milli(lane.tx_bias_amperes),
    ),
)


def _monitors(signs: Signs) -> tuple[tuple[str, Shown], ...]:
    return (
        ("temperature_celsius", Shown("temperature", signs.celsius, "temperature_celsius", 1)),
        ("supply_voltage_volts", Shown("supply voltage", "V", "supply_voltage_volts", 3)),
        ("laser_temperature_celsius", Shown("laser temperature", signs.celsius, "laser_temperature_celsius", 1)),
    )


def port_lines(
    row: Row, port: Port | None, alerts: Sequence[Alert], *, width: int, now: datetime, signs: Signs
) -> list[Text]:
    """The whole view; the caller shows as much of it as fits."""
    lines = [_title(row)]
    if port is None:
        return [*lines, line(), line(Part("  asking the daemon ...", "faint"))]
    lines += [line(Part(f"  {text}", "faint")) for text in _identity(row, port, width)]
    lines += [
        line(Part(f"  {text}", LEVEL_TONES[row.level]))
        for why in row.why[:3]
        for text in wrapped(without(row.port, why), width - 2, most=2)
    ]
    for title, block in (
        ("Monitors", _monitor_lines(port, width, signs)),
        ("Lanes", _lane_lines(port, width, signs)),
        ("Lasers", laser_lines(port)),
        ("Last hour", _curves(port, width, signs)),
        ("Alerts", [_alert(each, width, now, signs) for each in alerts]),
        ("Events", [_alert(each, width, now, signs) for each in reversed(port.events[-_EVENTS:])]),
        ("Not readable", _troubles(port, width)),
        ("Coherent", coherent_lines(port)),
        ("Diagnostics", diagnostic_lines(port)),
    ):
        if block:
            lines += [line(Part(title, "head")), *block]
    return lines


def _title(row: Row) -> Text:
    module = (row.module.get(key, "") for key in ("vendor_name", "part_number", "serial_number"))
    return line(
        Part(row.port, "head"),
        Part(" "),
        Part(LEVEL_WORDS[row.level], LEVEL_TONES[row.level]),
        Part("  " + " ".join(text for text in module if text)),
    )


def _identity(row: Row, port: Port, width: int) -> Iterable[str]:
    def fact(key: str, text: str = "{}") -> str:
        value = port.module.get(key)
        return text.format(value) if value not in (None, "") else ""

    facts = [
        fact("form_factor"), fact("media"), fact("connector"), fact("firmware_revision", "firmware {}"),
        fact("wavelength_nm", "{:g} nm"), port.module_state, _link(port),
        f"swapped {row.swaps} times" if row.swaps else "",
    ]  # fmt: skip
    return wrapped(", ".join(text for text in facts if text), width - 2, most=2)


def _link(port: Port) -> str:
    link = port.link
    if link is None or link.oper_up is None:
        return ""
    downs = sum(link.down_events.values())
    flaps = f", went down {downs} times" if downs else ""
    state = "up" if link.oper_up else "down" if link.admin_up else "shut down"
    return f"link {state}{flaps}, up {ago(link.up_seconds)} in all"


# ---- bars -------------------------------------------------------------------------------------------------


def bar(value: float, bounds: Limits, width: int, signs: Signs) -> str:
    """Where a value is between its low and its high alarm; "" where the module gives no such two."""
    low, high = bounds.get("low_alarm"), bounds.get("high_alarm")
    if low is None or high is None or not low < high or width < 5:
        return ""
    inner = width - 2
    warnings = (bounds.get("low_warning", low), bounds.get("high_warning", high))
    at = (value - low) / (high - low)
    step = (high - low) / inner
    cells = [
        signs.inside if warnings[0] <= low + (place + 0.5) * step <= warnings[1] else signs.near
        for place in range(inner)
    ]
    if at < 0.0:
        cells[0] = signs.below
    elif at > 1.0:
        cells[-1] = signs.above
    else:
        cells[min(inner - 1, int(at * inner))] = signs.mark
    return f"[{''.join(cells)}]"


def _verdict(value: float, bounds: Limits) -> tuple[str, Tone]:
    word, tone = verdict(value, cast("Bounds", bounds))
    return word, _TONES.get(tone, "")


def _monitor_lines(port: Port, width: int, signs: Signs) -> list[Text]:
    lines: list[Text] = []
    room = min(40, width - _LABEL - 13 - 30)
    for key, shown in _monitors(signs):
        if key not in port.values:
            continue
        value, bounds = port.values[key], shown.bounds(port)
        word, tone = _verdict(value, bounds)
        limits = _limits(shown, bounds)
        lines.append(
            line(
                Part(f"  {shown.title:<{_LABEL}}"),
                Part(f"{shown.text(value):>7} {shown.unit:<3}", tone),
                Part(f" {bar(value, bounds, room, signs):<{room}}", tone),
                Part(f" {limits}", "faint"),
                Part(f"  {word}" if word not in ("", "ok") else "", tone),
            )
        )
    if port.flags:
        lines.append(line(Part("  flags: " + ", ".join(_words(flag) for flag in port.flags), "warning")))
    return lines


def _limits(shown: Shown, bounds: Limits) -> str:
    """The four thresholds, lowest first."""
    return " ".join(shown.text(bounds[name]) if name in bounds else "-" for name in _BOUNDS) if bounds else ""


def _lane_lines(port: Port, width: int, signs: Signs) -> list[Text]:
    columns = [(shown, get) for shown, get in _LANE_COLUMNS if any(get(lane) is not None for lane in port.lanes)]
    if not port.lanes:
        return []
    states = {lane.lane: _lane_state(lane) for lane in port.lanes}
    wanted = (sum(len(part.text) for part in parts) for parts in states.values())
    said = min(24 if width < 100 else 48, max(17, *wanted))
    room = min(24, (width - 7 - said) // max(1, len(columns)) - 11)
    size = 8 + (room + 2 if room >= 5 else 0)
    head = "".join(fit(f"{shown.title:>5} {shown.unit}", size + 1, signs=signs) for shown, _ in columns)
    lines = [line(Part(f"  LANE {head}STATE, FLAGS", "faint"))]
    limits = {shown: shown.bounds(port) for shown, _ in columns}
    for lane in port.lanes:
        parts = [Part(f"  {lane.lane:>3}  ")]
        for shown, get in columns:
            value = get(lane)
            text = ""
            if value is not None:
                mark = _MARKS[_lane_tone(value, limits[shown])]
                text = f"{shown.text(value):>7}{mark} {bar(value, limits[shown], room, signs)}"
            parts.append(
                Part(fit(text, size, signs=signs), "" if value is None else _lane_tone(value, limits[shown]))
            )
            parts.append(Part(" "))
        parts += states[lane.lane]
        lines.append(line(*parts))
    for name in reversed(_BOUNDS):
        texts = [(shown, limits[shown].get(name)) for shown, _ in columns]
        if any(value is not None for _, value in texts):
            cells = (fit(f"{s.text(v):>7}" if v is not None else "", size + 1, signs=signs) for s, v in texts)
            lines.append(line(Part(f"       {''.join(cells)}{_words(name)}", "faint")))
    return lines


_MARKS: Final[dict[Tone, str]] = {"": " ", "warning": "w", "alarm": "!"}
"""Beside a value that is beyond a threshold, for terminals without colour."""


def _lane_tone(value: float, bounds: Limits) -> Tone:
    tone = _verdict(value, bounds)[1]
    return "" if tone == "good" else tone


def _lane_state(lane: Lane) -> list[Part]:
    state = lane.datapath_state.removeprefix("DP")
    usual = state in ("", "Activated")
    parts = [Part(state, "faint" if usual else "warning")]
    # The alarm says it all where the warning is raised too.
    flags = [
        flag for flag in lane.flags if flag.replace("_warning", "_alarm") not in lane.flags or "_alarm" in flag
    ]
    said = [_words(flag).replace(" power", "") for flag in flags] + ["tx disabled"] * lane.tx_disabled
    if said:
        parts.append(Part(f"{' ' if state else ''}{', '.join(said)}", "warning"))
    return parts


# ---- beside the values ------------------------------------------------------------------------------------


def _curves(port: Port, width: int, signs: Signs) -> list[Text]:
    room = max(10, min(120, width - _LABEL - 26))
    temperatures = [each.temperature_celsius for each in port.history if each.temperature_celsius is not None]
    powers = [_least(lane.rx_power_dbm for lane in each.lanes) for each in port.history]
    biases = [_most(lane.tx_bias_amperes for lane in each.lanes) for each in port.history]
    lines = [
        _curve("temperature", temperatures, f".1f {signs.celsius}", room, signs),
        _curve("weakest rx", [value for value in powers if value is not None], ".2f dBm", room, signs),
        _curve("strongest bias", [value * 1e3 for value in biases if value is not None], ".1f mA", room, signs),
    ]
    ber = worst_ber(port.vdm)
    if ber is not None:
        lines.append(line(f"  {'pre-FEC BER, worst':<{_LABEL}} {exponent(ber)}"))
    return [each for each in lines if each is not None]


def _least(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _curve(name: str, values: Sequence[float], style: str, room: int, signs: Signs) -> Text | None:
    if len(values) < 2:
        return None
    form, _, unit = style.partition(" ")
    span = f"{min(values):{form}} .. {max(values):{form}} {unit}"
    return line(f"  {name:<{_LABEL}} ", Part(sparkline(values, room, signs), "notice"), f"  {span}")


def _alert(alert: Alert, width: int, now: datetime, signs: Signs) -> Text:
    text = without(alert.port, alert.summary, alert.lane)
    lane = f"lane {alert.lane}: " if alert.lane else ""
    return line(
        Part(f"  {clock(alert.time, now)} ", "faint"),
        Part(f"{alert.severity if alert.state == 'firing' else 'resolved':<9}", _alert_tone(alert)),
        Part(fit(lane + text, width - 21, signs=signs)),
    )


def _alert_tone(alert: Alert) -> Tone:
    return SEVERITY_TONES[alert.severity] if alert.state == "firing" else "faint"


def _troubles(port: Port, width: int) -> list[Text]:
    said = [f"{each.reason}: {each.detail}" for each in (port.trouble, *port.errors) if each is not None]
    if port.unread:
        said.append("not readable: " + ", ".join(map(_words, port.unread)))
    return [line(Part(f"  {text}", "warning")) for each in said for text in wrapped(each, width - 2, most=2)]


def _words(name: str) -> str:
    return name.replace("_", " ")
