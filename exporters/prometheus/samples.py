"""What a port has beside its lanes, sample by sample: identity, thresholds, flags, coherent, lasers, link."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Final, NamedTuple, cast

from agent.model import AlertEvent, Bounds, DownCause, HostCounters, Laser, Module, Reading, Stats
from agent.quantities import BOUNDS, FEC_CODEWORDS_BY_ERRORS, TX_BIAS, TX_POWER, Quantity, Unit, dbm
from agent.state import LinkState
from exporters.prometheus import families as f
from exporters.prometheus.families import Family, Type, escape
from exporters.prometheus.layout import Layout, clear, word, write
from exporters.prometheus.tables import PORT, Column, Row

_DESCENDING: Final = ("high_alarm", "high_warning", "low_warning", "low_alarm")
_LASER_FAMILIES: Final = {TX_BIAS: f.ELSFP_BIAS, TX_POWER: f.ELSFP_POWER}


class Sample(NamedTuple):
    """One sample; `labels` are those behind `port`, such as `,lane="1"`."""

    family: Family
    value: float
    labels: str = ""


class Group:
    """Samples of a port that are written together: a column a family, for all ports of a device."""

    def __init__(self, layout: Layout, name: str, *, shared: bool = True) -> None:
        """`shared`: many ports have the same."""
        self._layout = layout
        self._name = name
        self._shared = shared
        self._columns: dict[str, Column | None] = {}

    def write(self, row: Row, samples: Iterable[Sample]) -> None:
        """Replace what the port had by these samples."""
        texts: dict[str, str] = {}
        for family, value, more in samples:
            if family.name not in self._columns:
                self._columns[family.name] = self._layout.column(family, self._name, shared=self._shared)
            line = f"{family.name}{{{PORT}{more}}} {value!r}\n"
            texts[family.name] = texts.get(family.name, "") + line
        for name, column in self._columns.items():
            if column is None:
                continue
            if text := texts.get(name):
                column.write(row, text)
            else:
                column.clear(row)

    def clear(self, row: Row) -> None:
        """Take all of them out."""
        self.write(row, ())


class Line:
    """One sample a port that changes often."""

    def __init__(self, layout: Layout, family: Family) -> None:
        self._forms = layout.line(family)

    def write(self, row: Row, value: float) -> None:
        """Set its value."""
        write(self._forms, row, (value,))

    def clear(self, row: Row) -> None:
        """Take it out."""
        clear(self._forms, row)


class Groups:
    """What the ports of a device have beside their lanes."""

    def __init__(self, layout: Layout) -> None:
        self.identity = Group(layout, "identity", shared=False)
        self.thresholds = Group(layout, "thresholds")
        self.rest = Group(layout, "rest")
        self.status = Group(layout, "status")
        self.link = Group(layout, "link")
        self.host = Group(layout, "host", shared=False)
        self.errors = Group(layout, "errors")
        self.discarded = Group(layout, "discarded")
        self.alerts = Group(layout, "alerts", shared=False)
        self.last_success = Line(layout, f.LAST_SUCCESS)
        self.up_seconds = Line(layout, f.LINK_UP_SECONDS)


def label(name: str, value: str) -> str:
    """A label behind another one."""
    return f',{name}="{escape(value)}"'


def identity(module: Module) -> Iterator[Sample]:
    """The info sample. A label whose key the module does not have is empty, which Prometheus takes as absent."""
    keys = {
        "form_factor": "form_factor",
        "memory_map": "memory_map",
        "vendor": "vendor_name",
        "part_number": "part_number",
        "serial_number": "serial_number",
        "revision": "vendor_revision",
        "firmware": "firmware_revision",
        "media": "media",
    }
    known = cast("Mapping[str, object]", module)
    yield Sample(f.MODULE_INFO, 1, "".join(label(name, str(known.get(key, ""))) for name, key in keys.items()))


def thresholds(all_bounds: Mapping[Quantity, Bounds]) -> Iterator[Sample]:
    """The thresholds, and whether they stand in order."""
    offered: dict[str, bool] = {}
    for quantity, typed in all_bounds.items():
        bounds = cast("Mapping[str, float]", typed)
        family = f.THRESHOLDS.get(quantity) or f.threshold(quantity)
        for name in BOUNDS:
            if name in bounds:
                value = dbm(bounds[name]) if quantity.unit is Unit.WATT else bounds[name]
                yield Sample(family, value, _bound_labels(name))
                offered.setdefault(name, True)
        for upper, lower in pairwise(name for name in _DESCENDING if name in bounds):
            apart = upper == "high_warning" or (upper == "high_alarm" and lower != "high_warning")
            if bounds[upper] < bounds[lower] or (apart and bounds[upper] == bounds[lower]):
                offered[upper] = offered[lower] = False
    for name, valid in offered.items():
        yield Sample(f.THRESHOLDS_VALID, int(valid), _bound_labels(name))


def _bound_labels(name: str) -> str:
    bound, severity = name.split("_")
    return f',bound="{bound}",severity="{severity}"'


Rest = tuple[object, ...]


def rest_of(reading: Reading) -> Rest:
    """What `rest` reads, for comparing two readings."""
    return (
        reading.flags,
        reading.module_state,
        reading.coherent,
        reading.lasers,
        reading.fec,
        reading.tunable,
    )


def rest(reading: Reading) -> Iterator[Sample]:
    """What has no lanes and seldom changes or is seldom read."""
    if reading.module_state:
        yield Sample(f.MODULE_STATE, 1, label("state", reading.module_state))
    for flag, active in reading.flags.items():
        yield Sample(f.FLAG_ACTIVE, int(active), label("flag", flag.name))
    for key, stats in reading.coherent.items():
        yield from _coherent(key, stats)
    for laser in reading.lasers:
        yield from _laser(laser)
    for key, count in reading.fec.items():
        name = f"xcvr_module_fec_{word(key.removesuffix('_total'))}_total"  # `xcvr_fec_…` is the host's
        yield Sample(Family(name, f"Counter {key} of the module's FEC.", Type.COUNTER, "full"), count)
    for key, value in cast("Mapping[str, float]", reading.tunable).items():
        family = Family(f"xcvr_tunable_{word(key)}", f"Tunable laser: {key.replace('_', ' ')}.", profile="full")
        yield Sample(family, float(value))


def _coherent(key: str, stats: Stats) -> Iterator[Sample]:
    text = f"Coherent receiver: {key.rpartition('_')[0].replace('_', ' ')}."
    family = Family(f"xcvr_coherent_{word(key)}", text, profile="standard")
    for stat, value in cast("Mapping[str, float]", stats).items():
        yield Sample(family, value, label("stat", "current" if stat == "value" else stat))


def _laser(laser: Laser) -> Iterator[Sample]:
    own = label("laser", str(laser.laser))
    for quantity, value in laser.values.items():
        known = _LASER_FAMILIES.get(quantity)
        text = f"Laser of an external source: {quantity.help}"
        yield Sample(known or Family(f"xcvr_elsfp_{quantity.key}", text, profile="full"), value, own)
    if laser.state:
        yield Sample(f.ELSFP_STATE, laser.state_code, own)
    if laser.enabled is not None:
        family = Family("xcvr_elsfp_enabled", "Whether a laser of an external source is to shine.", profile="full")
        yield Sample(family, int(laser.enabled), own)
    for flag in laser.flags:
        family = Family("xcvr_elsfp_flag_active", "1 for a flag of a laser that is set.", profile="full")
        yield Sample(family, 1, own + label("flag", flag))


def link(state: LinkState) -> Iterator[Sample]:
    """The link of a port; how long it was up depends on the clock and stands apart."""
    yield Sample(f.LINK_UP, int(state.up))
    if state.last_change:
        yield Sample(f.LINK_CHANGE, state.last_change)
    yield Sample(f.LINK_TRANSITIONS, state.transitions)
    for cause in DownCause:
        yield Sample(f.LINK_DOWN, state.down_events[cause], label("cause", cause.value))


def host(counters: HostCounters) -> Iterator[Sample]:
    """What the host's side of a port counts."""
    for quantity, count in counters.counters.items():
        yield Sample(f.host_counter(quantity), count)
    for quantity, lanes in counters.lanes.items():
        for lane, count in lanes.items():
            yield Sample(f.host_counter(quantity, by="lane"), count, label("lane", str(lane)))
    for low, high, count in counters.fec_bins:
        errors = label("errors", str(low) if low == high else f"{low}-{high}")
        yield Sample(f.host_counter(FEC_CODEWORDS_BY_ERRORS, profile="full"), count, errors)


def alert(event: AlertEvent) -> Iterator[Sample]:
    """An alert that is active."""
    lane = label("lane", str(event.lane)) if event.lane else ""
    yield Sample(f.ALERT_ACTIVE, 1, lane + label("rule", event.rule) + label("severity", event.severity))


def counts(family: Family, reasons: Mapping[str, int]) -> Iterator[Sample]:
    """A counter by reason."""
    for reason, count in reasons.items():
        yield Sample(family, count, label("reason", reason))
