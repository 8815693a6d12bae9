"""Readings and events for the tests of alerts, written out in literals."""

from collections.abc import Mapping

from agent import quantities as q
from agent.clock import Instant
from agent.model import (
    AlertEvent,
    Bounds,
    DownCause,
    LaneFlags,
    LinkEvent,
    Module,
    ModuleChange,
    ModuleEvent,
    PollFailed,
    Reading,
    Trouble,
    VdmSample,
)
from agent.quantities import Flag, Quantity

DEVICE = "leaf-17"
WALL = 1_800_000_000.0
"""What the wall clock shows when the monotonic clock of a test is 0."""

THRESHOLDS: Mapping[Quantity, Bounds] = {
    q.TEMPERATURE: {"high_alarm": 75.0, "high_warning": 70.0, "low_warning": 0.0, "low_alarm": -5.0},
    q.SUPPLY_VOLTAGE: {"high_alarm": 3.6, "high_warning": 3.5, "low_warning": 3.1, "low_alarm": 3.0},
    q.TX_BIAS: {"high_alarm": 0.100, "high_warning": 0.090, "low_warning": 0.020, "low_alarm": 0.010},
    q.TX_POWER: {"high_alarm": 0.004, "high_warning": 0.003, "low_warning": 0.0002, "low_alarm": 0.0001},
    q.RX_POWER: {"high_alarm": 0.004, "high_warning": 0.003, "low_warning": 0.000158, "low_alarm": 0.0001},
}
"""Received power: low alarm -10 dBm, low warning -8 dBm."""
MODULE: Module = {"vendor_name": "ACME", "part_number": "A-400", "serial_number": "S1", "memory_map": "cmis"}


def at(seconds: float) -> Instant:
    """`seconds` after the test began."""
    return Instant(1000.0 + seconds, WALL + seconds)


def lanes(value: float, count: int = 4, **other: float) -> dict[int, float]:
    """The same value on every lane, but for lanes named as in `lane2=…`."""
    return {lane: other.get(f"lane{lane}", value) for lane in range(1, count + 1)}


def reading(
    seconds: float = 0.0,
    *,
    port: str = "Ethernet0",
    device: str = DEVICE,
    temperature: float | None = 45.0,
    rx: float | Mapping[int, float] = 0.0005,
    tx: float | Mapping[int, float] = 0.001,
    bias: float | Mapping[int, float] = 0.060,
    thresholds: Mapping[Quantity, Bounds] = THRESHOLDS,
    flags: Mapping[Flag, bool] | None = None,
    lane_flags: Mapping[Flag, int] | None = None,
    module: Module = MODULE,
    module_state: str = "ModuleReady",
    data_path: int = 4,
    tx_disabled: Mapping[int, bool] | None = None,
    vdm: tuple[VdmSample, ...] = (),
    fec: Mapping[str, int] | None = None,
    source: str = "fake:1",
) -> Reading:
    """A healthy four-lane module unless told otherwise. `lane_flags` are masks, bit 0 is lane 1."""
    offered = {flag: LaneFlags(0b1111, 0) for flag in (q.RX_LOS, q.TX_FAULT, q.RX_CDR_LOL, q.TX_LOS, q.TX_CDR_LOL)}
    offered |= {flag: LaneFlags(0b1111, mask) for flag, mask in (lane_flags or {}).items()}
    return Reading(
        device,
        port,
        source,
        WALL + seconds,
        module,
        module_state,
        values={} if temperature is None else {q.TEMPERATURE: temperature, q.SUPPLY_VOLTAGE: 3.3},
        lanes={
            q.RX_POWER: rx if isinstance(rx, Mapping) else lanes(rx),
            q.TX_POWER: tx if isinstance(tx, Mapping) else lanes(tx),
            q.TX_BIAS: bias if isinstance(bias, Mapping) else lanes(bias),
        },
        flags={q.ALARM_FLAGS["temperature", "high_alarm"]: False} | dict(flags or {}),
        lane_flags=offered,
        data_path_states=dict.fromkeys(range(1, 5), data_path),
        tx_disabled=tx_disabled or {},
        thresholds=thresholds,
        vdm=vdm,
        fec=fec or {},
    )


def edge(
    seconds: float,
    *,
    up: bool,
    port: str = "Ethernet0",
    cause: DownCause = DownCause.UNINTENTIONAL,
    unseen: int = 0,
) -> LinkEvent:
    """One edge of a link."""
    now = at(seconds)
    return LinkEvent(DEVICE, port, now.wall, now.monotonic, up, DownCause.UNKNOWN if up else cause, unseen)


def failed(seconds: float, *, present: bool = True, port: str = "Ethernet0") -> PollFailed:
    """A poll without a reading."""
    trouble = Trouble("bus_timeout", "no answer in 1 s") if present else Trouble("absent", "no acknowledge")
    return PollFailed(DEVICE, port, WALL + seconds, present, trouble)


def module_event(
    seconds: float,
    change: ModuleChange,
    *,
    serial: str = "",
    previous: str = "",
    port: str = "Ethernet0",
) -> ModuleEvent:
    """A module came, went or was exchanged."""
    new: Module = {"vendor_name": "ACME", "serial_number": serial} if serial else {}
    old: Module = {"vendor_name": "ACME", "serial_number": previous} if previous else {}
    return ModuleEvent(DEVICE, port, WALL + seconds, change, new, old)


def said(events: list[AlertEvent]) -> list[tuple[str, int, str]]:
    """Rule, lane and state of each message."""
    return [(event.rule, event.lane, event.state) for event in events]
