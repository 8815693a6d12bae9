"""The JSON of a reading, taken back: what rules need of it. Raises ValueError for what is none."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, cast

from agent.documents.reading import SCHEMA
from agent.model import DATA_PATH_STATES, Bounds, LaneFlags, Module, Reading, VdmSample
from agent.quantities import FLAGS, QUANTITIES, Flag, Quantity

_QUANTITIES: Final = {quantity.key: quantity for quantity in QUANTITIES}
_FLAGS: Final = {flag.name: flag for flag in FLAGS}
_STATES: Final = {name: code for code, name in DATA_PATH_STATES.items()}

Json = Mapping[str, object]


def from_document(document: object) -> Reading:
    """A reading as the rules see it; keys that no rule looks at are left out."""
    top = _object(document, "a reading")
    if top.get("schema") != SCHEMA:
        raise ValueError(f"schema is {top.get('schema')!r}, not {SCHEMA!r}")
    lanes, states, disabled, active = _lanes(top.get("lanes", []))
    module = _object(top.get("module", {}), "module")
    raised = set(_names(top.get("flags", [])))
    everywhere = sum({1 << (lane - 1) for row in lanes.values() for lane in row} | {1})
    return Reading(
        _text(top, "device"),
        _text(top, "port"),
        _text(top, "source"),
        _time(_text(top, "time")),
        Module(
            vendor_name=_text(module, "vendor_name"),
            part_number=_text(module, "part_number"),
            serial_number=_text(module, "serial_number"),
        ),
        _text(top, "module_state"),
        values={
            _QUANTITIES[key]: _number(value, key)
            for key, value in _object(top.get("values", {}), "values").items()
            if key in _QUANTITIES
        },
        lanes=lanes,
        # The document names the flags that are set; that the others were clear is all that can be said of them.
        flags={flag: flag.name in raised for flag in FLAGS if not _of_lanes(flag)},
        lane_flags={flag: LaneFlags(everywhere, active.get(flag, 0)) for flag in FLAGS if _of_lanes(flag)},
        data_path_states=states,
        tx_disabled=disabled,
        thresholds=_thresholds(top.get("thresholds", {})),
        vdm=tuple(_sample(each) for each in _array(top.get("vdm", []), "vdm")),
        fec={key: int(_number(value, key)) for key, value in _object(top.get("fec", {}), "fec").items()},
    )


def _lanes(
    raw: object,
) -> tuple[dict[Quantity, dict[int, float]], dict[int, int], dict[int, bool], dict[Flag, int]]:
    values: dict[Quantity, dict[int, float]] = {}
    states: dict[int, int] = {}
    disabled: dict[int, bool] = {}
    active: dict[Flag, int] = {}
    for each in _array(raw, "lanes"):
        row = _object(each, "a lane")
        lane = int(_number(row.get("lane"), "lane"))
        for key, value in row.items():
            if key in _QUANTITIES:
                values.setdefault(_QUANTITIES[key], {})[lane] = _number(value, key)
        if isinstance(state := row.get("datapath_state"), str) and state in _STATES:
            states[lane] = _STATES[state]
        if isinstance(off := row.get("tx_disabled"), bool):
            disabled[lane] = off
        for name in _names(row.get("flags", [])):
            if name in _FLAGS:
                active[_FLAGS[name]] = active.get(_FLAGS[name], 0) | 1 << (lane - 1)
    return values, states, disabled, active


def _of_lanes(flag: Flag) -> bool:
    return flag.name.startswith(("rx_", "tx_"))


def _thresholds(raw: object) -> dict[Quantity, Bounds]:
    found: dict[Quantity, Bounds] = {}
    for key, value in _object(raw, "thresholds").items():
        bounds = Bounds()
        for name, level in _object(value, key).items():
            match name:
                case "high_alarm" | "high_warning" | "low_warning" | "low_alarm":
                    bounds[name] = _number(level, name)
                case _:
                    continue
        if key in _QUANTITIES:
            found[_QUANTITIES[key]] = bounds
    return found


def _sample(raw: object) -> VdmSample:
    row = _object(raw, "an observable")
    lane = int(_number(row.get("lane", 0), "lane"))
    return VdmSample(_text(row, "observable"), lane, 0, _number(row.get("value"), "value"), _text(row, "unit"))


def _object(raw: object, what: str) -> Json:
    if not isinstance(raw, dict):
        raise ValueError(f"{what}: an object is expected")  # noqa: TRY004  # of the data, not of a call
    return cast("Json", raw)


def _array(raw: object, what: str) -> list[object]:
    if not isinstance(raw, list):
        raise ValueError(f"{what}: a list is expected")  # noqa: TRY004  # of the data, not of a call
    return cast("list[object]", raw)


def _names(raw: object) -> list[str]:
    return [name for name in _array(raw, "flags") if isinstance(name, str)]


def _number(raw: object, what: str) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise ValueError(f"{what}: {raw!r} is no number")  # noqa: TRY004  # of the data, not of a call
    return float(raw)


def _text(row: Json, key: str) -> str:
    value = row.get(key, "")
    if not isinstance(value, str):
        raise ValueError(f"{key}: {value!r} is no text")  # noqa: TRY004  # of the data, not of a call
    return value


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
