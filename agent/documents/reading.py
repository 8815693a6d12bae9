"""One reading as the JSON of the contract: lane by lane, in base units, optical power in dBm beside watts."""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, NotRequired, TypedDict, cast

from agent.maps.api import MemoryMap, overlay
from agent.memory import Memory
from agent.model import (
    DATA_PATH_STATES,
    Bounds,
    Laser,
    Link,
    Module,
    Reading,
    Stats,
    Trouble,
    Tunable,
    VdmSample,
)
from agent.quantities import Quantity, Unit, dbm

SCHEMA: Final = "opticd/reading/1"
_NOT_READY: Final = Trouble("data_not_ready", "the module says that its values were not valid yet")
_ORDER: Final = ("high_alarm", "high_warning", "low_warning", "low_alarm")


class LaneDocument(TypedDict, total=False):
    """What one lane has; quantities stand under their keys (`rx_power_watts`, ...)."""

    lane: int
    rx_power_watts: float
    rx_power_dbm: float
    tx_power_watts: float
    tx_power_dbm: float
    tx_bias_amperes: float
    temperature_celsius: float
    media_snr_db: float
    host_snr_db: float
    datapath_state: str
    application: int
    tx_disabled: bool
    flags: list[str]


class VdmDocument(TypedDict):
    """One observable; module wide without `lane`."""

    observable: str
    lane: NotRequired[int]
    value: float
    unit: str
    thresholds: NotRequired[Bounds]
    flags: NotRequired[list[str]]


class TroubleDocument(TypedDict):
    """Something that could not be read or made no sense."""

    reason: str
    detail: str


class EngineDocument(TypedDict):
    """The engine of which a port is a part: the port that reads it, and which of its host lanes are this port's."""

    port: str
    lanes: list[int]


class ReadingDocument(TypedDict):
    """`opticd/reading/1`. What a module does not have is absent; only the containers are always there."""

    schema: str
    device: str
    port: str
    source: str
    time: str
    module: Module
    module_state: NotRequired[str]
    link: NotRequired[Link]
    entity_index: NotRequired[int]
    values: dict[str, float]
    lanes: list[LaneDocument]
    thresholds: dict[str, Bounds]
    flags: list[str]
    vdm: NotRequired[list[VdmDocument]]
    coherent: NotRequired[dict[str, Stats]]
    lasers: NotRequired[list[dict[str, object]]]
    engine: NotRequired[EngineDocument]
    fed_by: NotRequired[list[dict[str, object]]]
    tunable: NotRequired[Tunable]
    fec: NotRequired[dict[str, int]]
    unread: list[str]
    errors: list[TroubleDocument]


def to_document(reading: Reading) -> ReadingDocument:
    """The JSON of contract section 3; no key is ever null, no number NaN or infinite."""
    document = ReadingDocument(
        schema=SCHEMA,
        device=reading.device,
        port=reading.port,
        source=reading.source,
        time=timestamp(reading.time),
        module=reading.module,
        values=_values(reading.values),
        lanes=_lanes(reading),
        thresholds={
            quantity.key: ordered for quantity, bounds in reading.thresholds.items() if (ordered := _bounds(bounds))
        },
        flags=[flag.name for flag, active in reading.flags.items() if active],
        unread=list(reading.unread),
        errors=[_trouble(trouble) for trouble in reading.errors],
    )
    if reading.module_state:
        document["module_state"] = reading.module_state
    if reading.link:
        document["link"] = reading.link
    if reading.entity_index:
        document["entity_index"] = reading.entity_index
    if reading.vdm:
        document["vdm"] = [_sample(sample) for sample in reading.vdm if math.isfinite(sample.value)]
    if reading.coherent:
        found = {name: _finite(stats, ("value", "min", "max", "avg")) for name, stats in reading.coherent.items()}
        document["coherent"] = {name: cast("Stats", stats) for name, stats in found.items() if stats}
    if reading.lasers:
        document["lasers"] = [_laser(laser) for laser in reading.lasers]
    if reading.engine:
        document["engine"] = {"port": reading.engine, "lanes": list(reading.engine_lanes)}
    if reading.fed_by:
        document["fed_by"] = [{"source": feed.source, **_laser(feed.laser)} for feed in reading.fed_by]
    if reading.tunable:
        document["tunable"] = reading.tunable
    if reading.fec:
        document["fec"] = dict(reading.fec)
    return document


def timestamp(seconds: float) -> str:
    """Unix seconds as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _values(values: Mapping[Quantity, float]) -> dict[str, float]:
    document: dict[str, float] = {}
    for quantity, value in values.items():
        _put(document, quantity, value)
    return document


def _put(document: dict[str, float], quantity: Quantity, value: float) -> None:
    if not math.isfinite(value):
        return  # JSON has no such number; what it stands for is "out of the register's range"
    document[quantity.key] = value
    if quantity.unit is Unit.WATT:
        document[f"{quantity.name}_{Unit.DBM.value}"] = dbm(value)


def _lanes(reading: Reading) -> list[LaneDocument]:
    quantities: dict[int, dict[str, float]] = {}
    for quantity, column in reading.lanes.items():
        for lane, value in column.items():
            _put(quantities.setdefault(lane, {}), quantity, value)
    offered: set[int] = set()
    flags: dict[int, list[str]] = {}
    for flag, mask in reading.lane_flags.items():
        offered.update(_bits(mask.offered))
        for lane in _bits(mask.active & mask.offered):
            flags.setdefault(lane, []).append(flag.name)
    lanes = {
        *(lane for lane, values in quantities.items() if values), *offered,
        *reading.data_path_states, *reading.lane_applications, *reading.tx_disabled,
    }  # fmt: skip
    return [_lane(lane, reading, quantities.get(lane, {}), flags.get(lane, [])) for lane in sorted(lanes)]


def _lane(lane: int, reading: Reading, values: Mapping[str, float], flags: list[str]) -> LaneDocument:
    document = LaneDocument(lane=lane)
    document.update(values)  # type: ignore[typeddict-item]  # keys are those of quantities, all of them floats
    if (state := reading.data_path_states.get(lane)) is not None:
        document["datapath_state"] = DATA_PATH_STATES.get(state, f"state {state}")
    if (application := reading.lane_applications.get(lane)) is not None:
        document["application"] = application
    if (disabled := reading.tx_disabled.get(lane)) is not None:
        document["tx_disabled"] = disabled
    document["flags"] = flags
    return document


def _bits(mask: int) -> Iterable[int]:
    """Lanes of a mask, bit 0 is lane 1."""
    return (lane for lane in range(1, mask.bit_length() + 1) if mask >> (lane - 1) & 1)


def _bounds(bounds: Bounds) -> Bounds:
    return cast("Bounds", _finite(bounds, _ORDER))


def _finite(numbers: Mapping[str, object], order: Iterable[str]) -> dict[str, float]:
    """Those that JSON can hold, in this order."""
    found = {name: numbers.get(name) for name in order}
    return {name: value for name, value in found.items() if isinstance(value, float | int) and math.isfinite(value)}


def _trouble(trouble: Trouble) -> TroubleDocument:
    return {"reason": trouble.reason, "detail": trouble.detail}


def _sample(sample: VdmSample) -> VdmDocument:
    document = VdmDocument(observable=sample.observable, value=sample.value, unit=sample.unit)
    if sample.lane:
        document["lane"] = sample.lane
    if limits := _bounds(sample.bounds):
        document["thresholds"] = limits
    if sample.flags:
        document["flags"] = list(sample.flags)
    return document


def _laser(laser: Laser) -> dict[str, object]:
    state: dict[str, object] = {"state": laser.state} if laser.state else {}
    if laser.enabled is not None:
        state["enabled"] = laser.enabled
    if laser.fiber:
        state["fiber"] = laser.fiber
    if laser.fiber_checked is not None:
        state["fiber_checked"] = laser.fiber_checked
    feeds: dict[str, object] = {"feeds": list(laser.feeds)} if laser.feeds else {}
    return {"laser": laser.laser, **state, **_values(laser.values), "flags": list(laser.flags), **feeds}


def decode_memory(
    memory: Memory, memory_map: MemoryMap, *, device: str, port: str, source: str, time: float
) -> Reading:
    """The reading that saved memory holds, by the same plans as a live module; `time` is Unix seconds.

    Raises `DecodeError` when not even the identifier is there.
    """
    description = memory_map.describe(memory)
    values = overlay(
        description.plan().decode_memory(memory),
        description.plan(slow=True).decode_memory(memory),
    )
    return values.reading(
        device=device,
        port=port,
        source=source,
        time=time,
        module=description.module,
        thresholds=description.thresholds,
        errors=(*description.errors, *values.errors, *(() if values.data_ready else (_NOT_READY,))),
    )
