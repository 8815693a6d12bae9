"""Alert rules against a series: when they fire. The file of `opticd rules test FILE`.

    [[rule]]                              # as in the config; the built-in rules hold too
    name = "hot"
    quantity = "temperature_celsius"
    above = 68.0
    for = 60

    [series]                              # simulated: a reading every 10 s for half an hour
    every = 10
    for = 1800
    [series.thresholds.temperature_celsius]
    high_warning = 70.0
    high_alarm = 75.0
    [[series.value]]
    key = "temperature_celsius"
    points = [[0, 45.0], [600, 72.0], [1200, 72.0], [1300, 45.0]]    # seconds, value; straight lines between
    [[series.flag]]
    name = "rx_los"
    lane = 3
    from = 100
    to = 130
    [[series.link]]
    at = 300
    up = false

    # or recorded: recording = "readings.jsonl", one reading (JSON, contract section 3) a line, in place of [series]

    [[expect]]                            # optional: exit 1 when it is not so
    rule = "hot"
    at = 630

Pure but for reading the files.
"""

import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.alerts.configured import RuleSection, all_rules
from agent.alerts.engine import Alerts
from agent.clock import Instant
from agent.documents.readback import from_document
from agent.errors import ConfigError
from agent.model import AlertEvent, Bounds, DownCause, LaneFlags, LinkEvent, Reading, VdmSample
from agent.quantities import FLAGS, QUANTITIES, Flag, Quantity, Unit

START: Final = 1_800_000_000.0
"""Unix seconds at which a simulated series begins."""
PORT: Final = "Ethernet0"
_QUANTITIES: Final[dict[str, Quantity]] = {quantity.key: quantity for quantity in QUANTITIES} | {
    f"{quantity.name}_dbm": quantity for quantity in QUANTITIES if quantity.unit is Unit.WATT
}
_FLAGS: Final = {flag.name: flag for flag in FLAGS}


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class _Value(_Table):
    """One curve: a quantity as in a reading, or a VDM observable."""

    key: str
    lane: int = Field(default=0, ge=0, le=64)
    points: Annotated[list[tuple[float, float]], Field(min_length=1)]

    def at(self, second: float) -> float:
        """The value on the straight line between two points; the first and the last hold outside."""
        before = self.points[0]
        for after in self.points:
            if after[0] >= second:
                if after[0] == before[0]:
                    return after[1]
                return before[1] + (after[1] - before[1]) * (second - before[0]) / (after[0] - before[0])
            before = after
        return before[1]


class _FlagSet(_Table):
    name: str
    lane: int = Field(default=0, ge=0, le=64)
    from_s: float = Field(default=0.0, alias="from")
    to_s: float = Field(default=1e12, alias="to")


class _Edge(_Table):
    at: float
    up: bool
    cause: DownCause = DownCause.UNINTENTIONAL


class _Bounds(_Table):
    high_alarm: float | None = None
    high_warning: float | None = None
    low_warning: float | None = None
    low_alarm: float | None = None

    def known(self) -> Bounds:
        """Those that are given."""
        found = Bounds()
        if self.high_alarm is not None:
            found["high_alarm"] = self.high_alarm
        if self.high_warning is not None:
            found["high_warning"] = self.high_warning
        if self.low_warning is not None:
            found["low_warning"] = self.low_warning
        if self.low_alarm is not None:
            found["low_alarm"] = self.low_alarm
        return found


class _Series(_Table):
    every: Annotated[float, Field(gt=0)] = 10.0
    for_s: Annotated[float, Field(gt=0, le=31_536_000, alias="for")] = 3600.0
    thresholds: dict[str, _Bounds] = {}
    value: list[_Value] = []
    flag: list[_FlagSet] = []
    link: list[_Edge] = []
    module_state: str = "ModuleReady"


class _Expect(_Table):
    rule: str
    at: float
    """Seconds from the beginning; the transition may come up to `within` later."""
    within: float = 10.0
    lane: int = 0
    state: Literal["firing", "resolved"] = "firing"


class _File(_Table):
    rule: list[RuleSection] = []
    series: _Series | None = None
    recording: Path | None = None
    expect: list[_Expect] = []


@dataclass(frozen=True, slots=True)
class Happened:
    """A transition, `at` seconds after the beginning of the series."""

    at: float
    event: AlertEvent

    def __str__(self) -> str:
        event = self.event
        return f"{self.at:10.1f} s  {event.state:8}  {event.severity:8}  {event.rule}: {event.summary}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that a series made the rules say, and what of the expected did not come (one line each)."""

    happened: tuple[Happened, ...]
    missed: tuple[str, ...]
    readings: int


def run(path: Path) -> Outcome:
    """Run a file. Raises ConfigError for one that makes no sense."""
    file = _load(path)
    rules = all_rules(file.rule)
    if (file.series is None) == (file.recording is None):
        raise ConfigError(f"{path}: give either [series] or recording")
    series = list(_simulated(file.series, path) if file.series is not None else _recorded(file.recording, path))
    happened = tuple(_play(Alerts(rules), series))
    missed = [_line(expect) for expect in file.expect if not any(_is(each, expect) for each in happened)]
    return Outcome(happened, tuple(missed), sum(isinstance(event, Reading) for _, event in series))


_Moment = tuple[float, Reading | LinkEvent]


def _play(engine: Alerts, series: Sequence[_Moment]) -> Iterator[Happened]:
    for device, port in {(event.device, event.port) for _, event in series if isinstance(event, LinkEvent)}:
        engine.link_state(device, port, up=True, admin_up=True, at=Instant(0.0, START))
    for at, event in series:
        yield from _until(engine, at)
        now = Instant(at, event.time)
        told = engine.judge(event, now) if isinstance(event, Reading) else engine.link_event(event, now)
        yield from (Happened(at, each) for each in told)
    if series:
        yield from _until(engine, series[-1][0] + 1.0)


def _until(engine: Alerts, end: float) -> Iterator[Happened]:
    while (due := engine.next_deadline()) <= end:
        at = max(due, 0.0)
        told = engine.tick(Instant(at, START + at))
        yield from (Happened(at, each) for each in told)


# ---- the series -----------------------------------------------------------------------------------------------


def _simulated(series: _Series, path: Path) -> Iterator[_Moment]:
    for value in series.value:
        if value.key not in _QUANTITIES and not value.key.islower():
            raise ConfigError(f"{path}: series.value: {value.key!r} is neither a quantity nor an observable")
    thresholds = {_quantity(key, path): bounds.known() for key, bounds in series.thresholds.items()}
    flags = [(_flag(each.name, path), each) for each in series.flag]
    moments: list[_Moment] = []
    for step in range(int(series.for_s / series.every) + 1):
        at = step * series.every
        moments.append((at, _reading(series, thresholds, flags, at)))
    for edge in series.link:
        cause = DownCause.UNKNOWN if edge.up else edge.cause
        moments.append((edge.at, LinkEvent("rules-test", PORT, START + edge.at, edge.at, edge.up, cause)))
    moments.sort(key=lambda moment: moment[0])
    return iter(moments)


def _reading(
    series: _Series, thresholds: dict[Quantity, Bounds], flags: list[tuple[Flag, _FlagSet]], at: float
) -> Reading:
    values: dict[Quantity, float] = {}
    lanes: dict[Quantity, dict[int, float]] = {}
    vdm: list[VdmSample] = []
    for each in series.value:
        quantity, number = _QUANTITIES.get(each.key), each.at(at)
        if quantity is None:
            vdm.append(VdmSample(each.key, each.lane, 1, number, ""))
            continue
        if each.key.endswith("_dbm"):
            number = float(10.0 ** ((number - 30.0) / 10.0))
        if each.lane:
            lanes.setdefault(quantity, {})[each.lane] = number
        else:
            values[quantity] = number
    masks: dict[Flag, int] = {}
    module_flags: dict[Flag, bool] = {}
    for flag, during in flags:
        on = during.from_s <= at < during.to_s
        if during.lane:
            masks[flag] = masks.get(flag, 0) | on << (during.lane - 1)
        else:
            module_flags[flag] = module_flags.get(flag, False) or on
    offered = {
        flag: sum({1 << (one.lane - 1) for other, one in flags if other is flag and one.lane}) for flag in masks
    }
    return Reading(
        "rules-test", PORT, "series", START + at, {}, series.module_state,
        values=values, lanes=lanes, flags=module_flags,
        lane_flags={flag: LaneFlags(offered[flag], mask) for flag, mask in masks.items()},
        thresholds=thresholds, vdm=tuple(vdm),
    )  # fmt: skip


def _recorded(recording: Path | None, path: Path) -> Iterator[_Moment]:
    if recording is None:
        return
    place = recording if recording.is_absolute() else path.parent / recording
    try:
        lines = place.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{place}: {exc}") from exc
    begin: float | None = None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            reading = from_document(json.loads(line))
        except ValueError as exc:
            raise ConfigError(f"{place}:{number}: {exc}", hint="one reading, JSON, a line") from exc
        begin = reading.time if begin is None else begin
        yield reading.time - begin, reading


# ---- the file -------------------------------------------------------------------------------------------------


def _load(path: Path) -> _File:
    try:
        return _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as exc:
        hint = "a TOML file with a rule and a series is expected, as docs/alerts.md shows"
        raise ConfigError(f"{path}: {exc.strerror}", hint=hint) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: {exc}") from exc
    except ValidationError as exc:
        lines = [
            f"{path}: {'.'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')}"
            for item in exc.errors(include_url=False)
        ]
        raise ConfigError("\n".join(lines)) from exc


def _quantity(key: str, path: Path) -> Quantity:
    if key not in _QUANTITIES:
        raise ConfigError(f"{path}: series.thresholds: {key!r} is no quantity")
    return _QUANTITIES[key]


def _flag(name: str, path: Path) -> Flag:
    if name not in _FLAGS:
        raise ConfigError(f"{path}: series.flag: {name!r} is no flag")
    return _FLAGS[name]


def _is(happened: Happened, expect: _Expect) -> bool:
    event = happened.event
    return (event.rule, event.lane, event.state) == (
        expect.rule,
        expect.lane,
        expect.state,
    ) and expect.at <= happened.at <= expect.at + expect.within


def _line(expect: _Expect) -> str:
    lane = f" lane {expect.lane}" if expect.lane else ""
    return f"{expect.rule}{lane}: not {expect.state} between {expect.at:g} and {expect.at + expect.within:g} s"
