"""What is known of a port: readings, thresholds, links, events. Absent keys are absent, never None or NaN.

`Reading` is the form in memory: columns by quantity, made once a poll and never changed. `agent.documents.reading`
turns it into the JSON of the contract, lane by lane and with dBm, where somebody looks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, NamedTuple, TypedDict

from agent.quantities import Flag, Quantity

APPLICATIONS_A_BLOCK: Final = 15
"""Beyond so many a CMIS module counts its applications on: 15 * block + AppSel."""


class Application(TypedDict, total=False):
    """One application descriptor of a CMIS module; `code` is its AppSel, behind the 15th 15 * block + AppSel."""

    code: int
    host_interface: str
    host_interface_code: int
    media_interface: str
    media_interface_code: int
    host_lanes: int
    media_lanes: int
    host_lane_assignment: int
    media_lane_assignment: int


class Module(TypedDict, total=False):
    """Who the module is; decoded once an insertion. Strings are stripped, empty ones absent."""

    memory_map: str
    revision: str
    identifier: int
    form_factor: str
    vendor_name: str
    vendor_oui: str
    part_number: str
    vendor_revision: str
    serial_number: str
    date_code: str
    lot_code: str
    connector: str
    connector_code: int
    media_technology: str
    media: str
    wavelength_nm: float
    wavelength_tolerance_nm: float
    max_power_watts: float
    power_class: int
    firmware_revision: str
    inactive_firmware_revision: str
    hardware_revision: str
    applications: list[Application]
    checksums_valid: dict[str, bool]
    host_lanes: int
    media_lanes: int
    banks: int
    cable_length_meters: float
    length_smf_meters: float
    length_om5_meters: float
    length_om4_meters: float
    length_om3_meters: float
    length_om2_meters: float
    length_om1_meters: float
    attenuation_db: dict[str, float]
    rx_power_type: Literal["oma", "average"]
    calibration: Literal["internal", "external"]
    fault_cause: str
    nominal_bit_rate_bits_per_second: float
    encoding: str
    encoding_code: int
    compliance: list[str]


class Bounds(TypedDict, total=False):
    """Thresholds of one quantity, in its unit; one that the module does not give is absent."""

    high_alarm: float
    high_warning: float
    low_warning: float
    low_alarm: float


class Stats(TypedDict, total=False):
    """A quantity with its statistics over the module's own interval."""

    value: float
    min: float
    max: float
    avg: float


class VdmSample(NamedTuple):
    """One versatile diagnostics observable; `lane` 0 is module wide. A tuple: a module may have 256 of them."""

    observable: str
    lane: int
    group: int
    value: float
    unit: str
    bounds: Bounds = Bounds()
    """The module's own thresholds of it, in its unit."""
    flags: tuple[str, ...] = ()
    """Which of the bounds it crossed since the flags were read last."""


@dataclass(frozen=True, slots=True)
class LaneFlags:
    """One flag over the lanes, as bit masks: bit 0 is lane 1."""

    offered: int
    active: int


class Tunable(TypedDict, total=False):
    """Frequency and power of a tunable laser."""

    configured_frequency_hertz: float
    current_frequency_hertz: float
    min_frequency_hertz: float
    max_frequency_hertz: float
    configured_power_dbm: float
    min_power_dbm: float
    max_power_dbm: float
    tuning_in_progress: bool
    wavelength_locked: bool


MODULE_BUSY: Final = "module_busy"
"""Reason of a module that works on somebody's command and is let alone on purpose."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that could not be read or made no sense; `reason` is a metric label."""

    reason: str
    detail: str


class Link(TypedDict, total=False):
    """The network side of a port, as the kernel or the switch has it."""

    oper_up: bool
    admin_up: bool
    if_index: int
    if_name: str
    alias: str
    speed_bits_per_second: float


@dataclass(frozen=True, slots=True)
class Laser:
    """One laser of an external laser source (ELSFP)."""

    laser: int
    state: str = ""
    state_code: int = 0
    enabled: bool | None = None
    """Whether it is to shine; None where the module has no such control."""
    fiber: int = 0
    """Number of the fibre it feeds, 0 where the module does not say."""
    fiber_checked: bool | None = None
    """Whether the output fibre was checked; None where the module has no such check."""
    values: Mapping[Quantity, float] = field(default_factory=dict[Quantity, float])
    flags: tuple[str, ...] = ()
    feeds: tuple[str, ...] = ()
    """The ports that it gives light, where the config says so."""


class Feed(NamedTuple):
    """A laser that gives a port light; `source` is the port that reads its module."""

    source: str
    laser: Laser


@dataclass(frozen=True, slots=True)
class Reading:
    """One refresh of one port. `time` is Unix seconds; lanes count from 1 over all banks.

    `module` and `thresholds` are shared by all readings of one insertion. `unread` holds the JSON keys of what
    the module offers and could not be read.
    """

    device: str
    port: str
    source: str
    time: float
    module: Module
    module_state: str = ""
    values: Mapping[Quantity, float] = field(default_factory=dict[Quantity, float])
    lanes: Mapping[Quantity, Mapping[int, float]] = field(default_factory=dict[Quantity, Mapping[int, float]])
    flags: Mapping[Flag, bool] = field(default_factory=dict[Flag, bool])
    """Module-wide flags that the module offers."""
    lane_flags: Mapping[Flag, LaneFlags] = field(default_factory=dict[Flag, LaneFlags])
    data_path_states: Mapping[int, int] = field(default_factory=dict[int, int])
    """Host lane to CMIS data path state code (`DATA_PATH_STATES`)."""
    lane_applications: Mapping[int, int] = field(default_factory=dict[int, int])
    """Host lane to its active AppSel; lanes with none are absent."""
    tx_disabled: Mapping[int, bool] = field(default_factory=dict[int, bool])
    thresholds: Mapping[Quantity, Bounds] = field(default_factory=dict[Quantity, Bounds])
    vdm: Sequence[VdmSample] = ()
    coherent: Mapping[str, Stats] = field(default_factory=dict[str, Stats])
    lasers: tuple[Laser, ...] = ()
    tunable: Tunable = field(default_factory=Tunable)
    fec: Mapping[str, int] = field(default_factory=dict[str, int])
    link: Link = field(default_factory=Link)
    entity_index: int = 0
    unread: tuple[str, ...] = ()
    errors: tuple[Trouble, ...] = ()
    engine: str = ""
    """The port that reads the engine of which this one is a part; "" where it is none. What holds for the whole
    engine is judged there."""
    engine_lanes: tuple[int, ...] = ()
    """Its host lanes, as the engine counts them."""
    fed_by: tuple[Feed, ...] = ()
    """Lasers of external sources that give it light."""


DATA_PATH_STATES = {
    1: "DPDeactivated", 2: "DPInit", 3: "DPDeinit", 4: "DPActivated",
    5: "DPTxTurnOn", 6: "DPTxTurnOff", 7: "DPInitialized",
}  # fmt: skip
MODULE_STATES = {
    1: "ModuleLowPwr", 2: "ModulePwrUp", 3: "ModuleReady", 4: "ModulePwrDn", 5: "ModuleFault",
}  # fmt: skip


class DownCause(Enum):
    """Why a link went down: the label `cause` of `xcvr_link_down_events_total`."""

    UNINTENTIONAL = "unintentional"
    ADMIN = "admin"
    MODULE_REMOVED = "module_removed"
    CORRELATED = "correlated"
    UNKNOWN = "unknown"


class End(NamedTuple):
    """A port of a device."""

    device: str
    port: str

    def __str__(self) -> str:
        return f"{self.device} {self.port}"


class Neighbour(NamedTuple):
    """The other end of a link as LLDP tells it: who it calls itself, and names of its port, the likeliest first."""

    system: str
    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """One edge of a link. `unseen` transitions happened before it without an event of their own.

    `time` is Unix seconds, `monotonic` seconds of the monotonic clock (for intervals).
    """

    device: str
    port: str
    time: float
    monotonic: float
    up: bool
    cause: DownCause = DownCause.UNKNOWN
    unseen: int = 0

    @property
    def downs(self) -> int:
        """How many transitions to down it stands for, the unseen ones included."""
        return 0 if self.up else 1 + self.unseen // 2


class ModuleChange(Enum):
    """What happened to the module of a cage."""

    INSERTED = "inserted"
    REMOVED = "removed"
    SWAPPED = "swapped"


@dataclass(frozen=True, slots=True)
class ModuleEvent:
    """A module came, went or was exchanged; `module` is the new one, `previous` the old ({} when none)."""

    device: str
    port: str
    time: float
    change: ModuleChange
    module: Module
    previous: Module


@dataclass(frozen=True, slots=True)
class PollFailed:
    """A poll of one port gave no reading. `present` False: nothing is in the cage (not an error)."""

    device: str
    port: str
    time: float
    present: bool
    trouble: Trouble


class FecBin(NamedTuple):
    """Codewords with `low` to `high` symbol errors each."""

    low: int
    high: int
    codewords: int


@dataclass(frozen=True, slots=True)
class HostCounters:
    """What the host's side of a port counts: error correction, InfiniBand, carrier. It begins anew with the driver.

    `link_detail` is the driver's reason for a link that is down ("" where it gives none).
    """

    device: str
    port: str
    time: float
    counters: Mapping[Quantity, int]
    lanes: Mapping[Quantity, Mapping[int, int]] = field(default_factory=dict[Quantity, Mapping[int, int]])
    fec_bins: tuple[FecBin, ...] = ()
    link_detail: str = ""


@dataclass(frozen=True, slots=True)
class PollTiming:
    """One poll of one module: how long it took on its bus (seconds), and how many periods were missed.

    `work_s` is what the thread needed beside the bus: decoding and judging.
    """

    bus: str
    duration_s: float
    overruns: int = 0
    work_s: float = 0.0


Severity = Literal["info", "warning", "critical"]


class AlertModule(TypedDict, total=False):
    """Which module an alert speaks of."""

    vendor_name: str
    part_number: str
    serial_number: str


CORRELATED: Final = "correlated"
"""Rule name of an alert that stands for many ports."""


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """A transition of an alert, or a link event: what the outlets publish (contract section 5).

    `lane` 0 means the whole port. `seq`, `boot_id` and `id` are given by the alert book when it is raised.
    """

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
    lane: int = 0
    value: float | None = None
    unit: str = ""
    threshold: float | None = None
    cause: str = ""
    evidence: Mapping[str, object] = field(default_factory=dict[str, object])
    module: AlertModule = field(default_factory=AlertModule)
