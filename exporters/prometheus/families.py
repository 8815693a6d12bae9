"""The metric families: name, type, help, and the profile from which on they are served (docs: metrics)."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal

from agent import quantities as q
from agent.model import DATA_PATH_STATES
from agent.quantities import Quantity, Unit

Profile = Literal["basic", "standard", "full"]
RANK: Final[dict[Profile, int]] = {"basic": 0, "standard": 1, "full": 2}

_UNITS: Final = frozenset(unit.value for unit in Unit if unit not in (Unit.NONE, Unit.COUNT))


class Type(Enum):
    """What a family is; the value is its name in OpenMetrics."""

    GAUGE = "gauge"
    COUNTER = "counter"
    INFO = "info"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family; `name` is that of its samples (`…_total`, `…_info`; a histogram without suffix)."""

    name: str
    help: str
    type: Type = Type.GAUGE
    profile: Profile = "basic"
    base: str = field(init=False)
    """The name of the family in OpenMetrics: without the suffix of its samples."""

    def __post_init__(self) -> None:
        suffix = {Type.COUNTER: "_total", Type.INFO: "_info"}.get(self.type, "")
        object.__setattr__(self, "base", self.name.removesuffix(suffix))

    def head(self, *, openmetrics: bool) -> bytes:
        """The lines above its samples."""
        if not openmetrics:
            # The older format knows no info type and calls a counter by the name of its samples.
            kind = "gauge" if self.type is Type.INFO else self.type.value
            text = self.help.replace("\\", r"\\").replace("\n", r"\n")
            return f"# HELP {self.name} {text}\n# TYPE {self.name} {kind}\n".encode()
        text = escape(self.help)
        lines = f"# HELP {self.base} {text}\n# TYPE {self.base} {self.type.value}\n"
        unit = self.base.rpartition("_")[2]
        if unit in _UNITS and self.type is not Type.INFO:
            lines += f"# UNIT {self.base} {unit}\n"
        return lines.encode()


def escape(text: str) -> str:
    """`text` as it stands between the quotes of a label."""
    text = text.encode("utf-8", "replace").decode()
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def labels(**values: str) -> str:
    """The labels in braces, in the order given."""
    return "{" + ",".join(f'{name}="{escape(value)}"' for name, value in values.items()) + "}"


def quantity(source: Quantity, *, profile: Profile = "basic") -> Family:
    """The family of a quantity in its own unit."""
    return Family(f"xcvr_{source.key}", source.help, profile=profile)


def in_dbm(source: Quantity) -> Family:
    """The family of an optical power in dBm."""
    return Family(f"xcvr_{source.name}_dbm", f"{source.help} 0 W is shown as -40.")


def threshold(source: Quantity, *, profile: Profile = "full") -> Family:
    """The family of the module's thresholds of a quantity; those of optical power are in dBm."""
    unit = Unit.DBM if source.unit is Unit.WATT else source.unit
    name = f"xcvr_{source.name}_threshold" + (f"_{unit.value}" if unit.value else "")
    return Family(name, f"The module's own thresholds: {source.help}", profile=profile)


def host_counter(source: Quantity, *, by: str = "", profile: Profile = "standard") -> Family:
    """The family of something that the host's side of a port counts; `by` tells it from that of the whole port."""
    if by:
        return Family(f"xcvr_{by}_{source.key}", f"{source.help} By {by}.", Type.COUNTER, "full")
    return Family(f"xcvr_{source.key}", source.help, Type.COUNTER, profile)


_DATA_PATH: Final = ", ".join(f"{code} {name}" for code, name in DATA_PATH_STATES.items())

MODULE_INFO: Final = Family("xcvr_module_info", "Who the module is.", Type.INFO)
PRESENT: Final = Family("xcvr_module_present", "Whether a module is in the cage.")
UP: Final = Family("xcvr_up", "Whether the last poll of the port worked.")
LAST_SUCCESS: Final = Family("xcvr_last_success_timestamp_seconds", "When a poll worked last, Unix time.")
MODULE_STATE: Final = Family("xcvr_module_state", "1 for the state that the module is in.")
SWAPS: Final = Family("xcvr_module_swaps_total", "How often another module was found in the cage.", Type.COUNTER)
DATA_PATH_STATE: Final = Family("xcvr_datapath_state", f"State of the data path of a host lane: {_DATA_PATH}.")
FLAG_ACTIVE: Final = Family(
    "xcvr_flag_active",
    "Whether a flag of the module is set, latched flags since they were read last.",
    profile="standard",
)
THRESHOLDS_VALID: Final = Family(
    "xcvr_thresholds_valid",
    "0 when the thresholds of this bound and severity stand in the wrong order for some quantity.",
    profile="standard",
)
PRE_FEC_BER: Final = Family(
    "xcvr_pre_fec_ber_ratio", "Bit error ratio before forward error correction.", profile="standard"
)
SNR: Final = Family("xcvr_snr_db", "Signal-to-noise ratio at the input of a side.", profile="standard")
FRAME_ERRORS: Final = Family(
    "xcvr_frame_error_ratio", "Errored frames, as the module counts them, over all frames.", profile="standard"
)
ELSFP_BIAS: Final = Family(
    "xcvr_elsfp_bias_amperes", "Bias current of a laser of an external source.", profile="standard"
)
ELSFP_POWER: Final = Family(
    "xcvr_elsfp_power_watts", "Optical power of a laser of an external source.", profile="standard"
)
ELSFP_STATE: Final = Family(
    "xcvr_elsfp_state",
    "State of a laser of an external source: 0 off, 1 ramping, 2 on.",
    profile="standard",
)
LINK_UP: Final = Family("xcvr_link_up", "Whether the link of the port is up.")
LINK_CHANGE: Final = Family("xcvr_link_last_change_timestamp_seconds", "When the link changed last, Unix time.")
LINK_TRANSITIONS: Final = Family(
    "xcvr_link_transitions_total", "Transitions of the link, both edges.", Type.COUNTER
)
LINK_DOWN: Final = Family("xcvr_link_down_events_total", "Transitions of the link to down, by cause.", Type.COUNTER)
LINK_UP_SECONDS: Final = Family("xcvr_link_up_seconds_total", "How long the link was up.", Type.COUNTER)
ALERT_ACTIVE: Final = Family("xcvr_alert_active", "1 for every alert that is active.")
POLL_DURATION: Final = Family(
    "xcvr_poll_duration_seconds", "How long the poll of one module took on its bus.", Type.HISTOGRAM
)
OVERRUNS: Final = Family(
    "xcvr_poll_overruns_total", "Poll periods that were missed because the bus was still busy.", Type.COUNTER
)
BUS_UP: Final = Family("xcvr_bus_up", "Whether a bus works.")
BUS_RECOVERIES: Final = Family(
    "xcvr_bus_recoveries_total", "How often a bus was closed and opened again.", Type.COUNTER
)
POLL_ERRORS: Final = Family("xcvr_poll_errors_total", "Reads that failed, by reason.", Type.COUNTER)
DISCARDED: Final = Family(
    "xcvr_discarded_samples_total", "Samples that were not believed, by reason.", Type.COUNTER
)

_CDR: Final = (q.RX_CDR_LOL, q.TX_CDR_LOL)
LANE_FLAGS: Final = {
    flag: Family(f"xcvr_{flag.name}", flag.help, profile="standard" if flag in _CDR else "basic")
    for flag in (q.RX_LOS, q.TX_LOS, q.TX_FAULT, *_CDR)
}
"""Flags with a family of their own; the others are in `xcvr_flag_active`."""

BASIC: Final = (
    q.TEMPERATURE,
    q.SUPPLY_VOLTAGE,
    q.LASER_TEMPERATURE,
    q.TEC_CURRENT,
    q.TX_BIAS,
    q.TX_POWER,
    q.RX_POWER,
)
"""Quantities that every profile serves; any other is in the full one."""

THRESHOLDS: Final = {
    source: threshold(source, profile="standard")
    for source in (q.TEMPERATURE, q.SUPPLY_VOLTAGE, q.TX_BIAS, q.RX_POWER, q.TX_POWER)
}
"""Quantities whose thresholds the standard profile serves; any other is in the full one."""
