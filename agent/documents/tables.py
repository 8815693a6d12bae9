"""A reading for a person: values beside their thresholds with a verdict, lane by lane, power in dBm, bias in mA."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent import quantities as q
from agent.documents.reading import to_document
from agent.grid import Cell, Line, Tone, painted, safe, table
from agent.model import DATA_PATH_STATES, Bounds, Laser, Reading, Stats, VdmSample
from agent.quantities import Quantity, Unit

_BOUNDS: Final = ("low_alarm", "low_warning", "high_warning", "high_alarm")


@dataclass(frozen=True, slots=True)
class Shown:
    """How a unit is written: scaled, with so many digits behind the point, and its name."""

    unit: str
    digits: int
    convert: Callable[[float], float] = float

    def __call__(self, value: float) -> str:
        return f"{self.convert(value):.{self.digits}f}"


_UNITS: Final[Mapping[Unit, Shown]] = {
    Unit.CELSIUS: Shown("C", 2),
    Unit.VOLT: Shown("V", 4),
    Unit.AMPERE: Shown("mA", 3, lambda ampere: ampere * 1e3),
    Unit.WATT: Shown("dBm", 2, q.dbm),
    Unit.DBM: Shown("dBm", 2),
    Unit.DB: Shown("dB", 2),
    Unit.RATIO: Shown("%", 2, lambda ratio: ratio * 100),
    Unit.HERTZ: Shown("GHz", 3, lambda hertz: hertz / 1e9),
}


def render(reading: Reading, colour: bool) -> str:
    """The reading as text, without a line end at its end; escape codes only with `colour`."""
    blocks = [
        _head(reading),
        _identity(reading),
        _monitors(reading),
        _lanes(reading),
        _lasers(reading.lasers),
        _applications(reading),
        _vdm(reading.vdm),
        _coherent(reading.coherent),
        _facts("Tunable laser", reading.tunable),
        _facts("FEC counters", reading.fec),
        _troubles(reading),
    ]
    return "\n\n".join("\n".join(painted(line, colour) for line in block) for block in blocks if block)


def _title(text: str) -> Line:
    return (Cell(text, "head"),)


def _head(reading: Reading) -> list[Line]:
    module = reading.module
    names = [module.get("vendor_name", ""), module.get("part_number", ""), module.get("serial_number", "")]
    what = " ".join(safe(name) for name in names if name) or "unknown module"
    line = [Cell(f"{safe(reading.device)} {safe(reading.port)}: ", "head"), Cell(what)]
    if reading.module_state:
        good = reading.module_state == "ModuleReady"
        line += [Cell(", "), Cell(reading.module_state, "good" if good else "warning")]
    return [line]


def _metres(value: float) -> str:
    return f"{value / 1000:g} km" if value >= 1000 else f"{value:g} m"


_Write = Callable[[float], str]
_IDENTITY: Final[Mapping[str, tuple[str, _Write | None]]] = {
    "form_factor": ("form factor", None),
    "memory_map": ("memory map", None),
    "revision": ("revision", None),
    "media": ("media", None),
    "media_technology": ("technology", None),
    "connector": ("connector", None),
    "wavelength_nm": ("wavelength", lambda value: f"{value:g} nm"),
    "wavelength_tolerance_nm": ("tolerance", lambda value: f"{value:g} nm"),
    "max_power_watts": ("maximum power", lambda value: f"{value:g} W"),
    "power_class": ("power class", None),
    "cable_length_meters": ("cable length", _metres),
    "length_smf_meters": ("reach SMF", _metres),
    "length_om5_meters": ("reach OM5", _metres),
    "length_om4_meters": ("reach OM4", _metres),
    "length_om3_meters": ("reach OM3", _metres),
    "length_om2_meters": ("reach OM2", _metres),
    "length_om1_meters": ("reach OM1", _metres),
    "nominal_bit_rate_bits_per_second": ("signalling rate", lambda value: f"{value / 1e9:g} Gb/s"),
    "encoding": ("encoding", None),
    "compliance": ("compliance", None),
    "vendor_oui": ("vendor OUI", None),
    "vendor_revision": ("vendor revision", None),
    "date_code": ("date", None),
    "lot_code": ("lot", None),
    "firmware_revision": ("firmware", None),
    "inactive_firmware_revision": ("inactive firmware", None),
    "hardware_revision": ("hardware", None),
    "host_lanes": ("host lanes", None),
    "media_lanes": ("media lanes", None),
    "banks": ("banks", None),
    "rx_power_type": ("receive power", None),
    "calibration": ("calibration", None),
    "attenuation_db": ("attenuation (dB)", None),
    "fault_cause": ("fault cause", None),
    "checksums_valid": ("checksums", None),
}


def _identity(reading: Reading) -> list[Line]:
    facts: Mapping[str, object] = {**reading.module}
    rows: list[tuple[Cell, Cell]] = []
    for key, (label, write) in _IDENTITY.items():
        fact = facts.get(key)
        if fact is not None:
            text = write(fact) if write is not None and isinstance(fact, float | int) else _said(fact)
            rows.append((Cell(label), Cell(text)))
    return [_title("Module"), *table(rows)] if rows else []


def _words(key: str) -> str:
    """`rx_power_watts` for reading."""
    return key.replace("_", " ")


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}" if abs(value) < 1e6 else f"{value:.10g}"
    if isinstance(value, list | tuple):
        items: list[object] = [*value]
        return ", ".join(_said(item) for item in items)
    if isinstance(value, Mapping):
        pairs: list[tuple[object, object]] = [*value.items()]
        return ", ".join(
            f"{key} {'good' if v is True else 'WRONG' if v is False else _said(v)}" for key, v in pairs
        )
    return safe(str(value))


def verdict(value: float, bounds: Bounds) -> tuple[str, Tone]:
    """What the module's own thresholds say of a value; "" where they say nothing, or are in disorder."""
    if not bounds:
        return "", ""
    lows = [bounds.get(bound) for bound in _BOUNDS[:2]]
    highs = [bounds.get(bound) for bound in _BOUNDS[2:]]
    low = [value for value in lows if isinstance(value, float | int)]
    high = [value for value in highs if isinstance(value, float | int)]
    if low and high and max(low) > min(high):
        return "thresholds in disorder", "warning"
    checks: tuple[tuple[str, Tone], ...] = (("alarm", "alarm"), ("warning", "warning"))
    for severity, tone in checks:
        above, below = bounds.get(f"high_{severity}"), bounds.get(f"low_{severity}")
        if isinstance(above, float | int) and value > above:
            return f"high {severity}", tone
        if isinstance(below, float | int) and value < below:
            return f"low {severity}", tone
    return "ok", "good"


def _shown(quantity: Quantity) -> Shown:
    return _UNITS.get(quantity.unit, Shown(quantity.unit.value, 3))


def _bound_cells(bounds: Bounds, show: Shown) -> list[Cell]:
    values: Mapping[str, object] = {**bounds}
    found = (values.get(bound) for bound in _BOUNDS)
    return [Cell(show(v) if isinstance(v, float | int) else "", "faint") for v in found]


def _monitors(reading: Reading) -> list[Line]:
    if not reading.values:
        return _flag_lines(reading)
    rows = [[Cell(""), Cell("value"), *(Cell(_words(bound)) for bound in _BOUNDS), Cell("verdict")]]
    for quantity, value in reading.values.items():
        show = _shown(quantity)
        bounds = reading.thresholds.get(quantity, Bounds())
        text, tone = verdict(value, bounds)
        rows.append(
            [
                Cell(_words(quantity.name)),
                Cell(f"{show(value)} {show.unit}".rstrip(), tone),
                *_bound_cells(bounds, show),
                Cell(text, tone),
            ]
        )
    return [_title("Monitors"), *table(rows), *_flag_lines(reading)]


def _flag_lines(reading: Reading) -> list[Line]:
    raised = [flag.name for flag, active in reading.flags.items() if active]
    return [(Cell("  flags: "), Cell(", ".join(map(_words, raised)), "warning"))] if raised else []


_LANE_ORDER: Final = (q.RX_POWER, q.TX_POWER, q.TX_BIAS)


def _lanes(reading: Reading) -> list[Line]:
    document = to_document(reading)["lanes"]
    if not document:
        return []
    columns = [each for each in _LANE_ORDER if each in reading.lanes]
    columns += [each for each in reading.lanes if each not in _LANE_ORDER]
    disabled, applications = reading.tx_disabled, reading.lane_applications
    head = [Cell("lane"), *(Cell(f"{_words(c.name)} {_shown(c).unit}".rstrip()) for c in columns)]
    head += [Cell("tx")] * bool(disabled) + [Cell("app")] * bool(applications) + [Cell("data path, verdict, flags")]
    rows: list[list[Cell]] = [head]
    for each in document:
        number = each.get("lane", 0)
        cells, remarks = _lane_values(reading, number, columns)
        if disabled:
            cells.append(Cell({True: "off", False: "on", None: ""}[disabled.get(number)]))
        if applications:
            cells.append(Cell(str(applications.get(number, ""))))
        state = DATA_PATH_STATES.get(reading.data_path_states.get(number, 0), "")
        # What the module flags need not be said a second time.
        raised = [_words(flag) for flag in each.get("flags", ())]
        words = [word for word in (state, *(r for r in remarks if r not in raised), *raised) if word]
        rows.append(
            [Cell(str(number)), *cells, Cell(", ".join(words), "warning" if len(words) > bool(state) else "")]
        )
    for bound in reversed(_BOUNDS):
        limits = [_limit(reading.thresholds.get(column, Bounds()), bound, _shown(column)) for column in columns]
        if any(limit.text for limit in limits):
            rows.append([Cell(_words(bound), "faint"), *limits])
    return [_title("Lanes"), *table(rows)]


def _lane_values(reading: Reading, number: int, columns: Sequence[Quantity]) -> tuple[list[Cell], list[str]]:
    cells: list[Cell] = []
    remarks: list[str] = []
    for column in columns:
        value = reading.lanes[column].get(number)
        if value is None or not math.isfinite(value):
            cells.append(Cell(""))
            continue
        text, tone = verdict(value, reading.thresholds.get(column, Bounds()))
        cells.append(Cell(_shown(column)(value), "" if tone == "good" else tone))
        if tone in ("alarm", "warning"):
            remarks.append(f"{_words(column.name)} {text}")
    return cells, remarks


def _limit(bounds: Bounds, bound: str, show: Shown) -> Cell:
    values: Mapping[str, object] = {**bounds}
    value = values.get(bound)
    return Cell(show(value) if isinstance(value, float | int) else "", "faint")


def _lasers(lasers: Iterable[Laser]) -> list[Line]:
    rows: list[list[Cell]] = []
    for laser in lasers:
        values = (f"{_words(k.name)} {_shown(k)(v)} {_shown(k).unit}" for k, v in laser.values.items())
        rows.append([Cell(str(laser.laser)), Cell(laser.state), Cell(", ".join((*values, *laser.flags)))])
    return [_title("Lasers"), *table(rows, left=2)] if rows else []


def _applications(reading: Reading) -> list[Line]:
    listed = reading.module.get("applications", [])
    active = set(reading.lane_applications.values())
    rows = [
        [
            Cell(str(each.get("code", ""))),
            Cell("active" if each.get("code") in active else "", "good"),
            Cell(f"{each.get('host_lanes', '?')} x"),
            Cell(each.get("host_interface", "")),
            Cell(f"{each.get('media_lanes', '?')} x"),
            Cell(each.get("media_interface", "")),
        ]
        for each in listed
    ]
    return [_title("Applications"), *table(rows, left=4)] if rows else []


def _vdm(samples: Iterable[VdmSample]) -> list[Line]:
    rows = [
        [
            Cell(_words(sample.observable)),
            Cell(f"lane {sample.lane}" if sample.lane else ""),
            Cell(f"{sample.value:.6g}", verdict(sample.value, sample.bounds)[1]),
            Cell(" ".join((sample.unit, *sample.flags))),
        ]
        for sample in samples
    ]
    return [_title("Diagnostics"), *table(rows, left=2)] if rows else []


def _coherent(coherent: Mapping[str, Stats]) -> list[Line]:
    rows = [
        [
            Cell(_words(name)),
            *(Cell(_said(value)) for value in ({**stats}.get(key, "") for key in ("value", "min", "avg", "max"))),
        ]
        for name, stats in coherent.items()
    ]
    head = [Cell(""), *map(Cell, ("value", "min", "avg", "max"))]
    return [_title("Coherent"), *table([head, *rows])] if rows else []


def _facts(title: str, facts: Mapping[str, object]) -> list[Line]:
    rows = [(Cell(_words(key)), Cell(_said(value))) for key, value in facts.items()]
    return [_title(title), *table(rows)] if rows else []


def _troubles(reading: Reading) -> list[Line]:
    lines: list[Line] = []
    if reading.unread:
        lines.append((Cell("  not readable: "), Cell(", ".join(map(_words, reading.unread)), "warning")))
    lines += [(Cell(f"  {trouble.reason}: ", "warning"), Cell(safe(trouble.detail))) for trouble in reading.errors]
    return [_title("Troubles"), *lines] if lines else []
