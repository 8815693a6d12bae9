"""What SONiC's xcvrd and orchagent write into Redis, as readings. Pure; old and new layouts of the tables.

Values are texts: `36.6`, `36.6C`, `3.3Volts`, `-inf`, `N/A`, `True`. Power is in dBm, bias in mA.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from agent import quantities as q
from agent.links.flaps import Observation
from agent.model import Bounds, LaneFlags, Link, Module, Reading, Stats, Trouble, VdmSample
from agent.quantities import ALARM_FLAGS, Flag, Quantity
from drivers.snmp.units import Scale, from_text, parse_unit

Fields = Mapping[str, str]

STATE_DB: Final = 6
APPL_DB: Final = 0
TABLES: Final = (
    "TRANSCEIVER_INFO", "TRANSCEIVER_FIRMWARE_INFO", "TRANSCEIVER_DOM_SENSOR", "TRANSCEIVER_DOM_THRESHOLD",
    "TRANSCEIVER_STATUS", "TRANSCEIVER_STATUS_SW", "TRANSCEIVER_STATUS_FLAG", "TRANSCEIVER_DOM_FLAG",
    "TRANSCEIVER_DOM_TEMPERATURE", "TRANSCEIVER_VDM_REAL_VALUE", "TRANSCEIVER_PM",
)  # fmt: skip
"""Of STATE_DB, `TABLE|Ethernet0`; older releases have fewer of them and more fields in each."""

_CELSIUS: Final = parse_unit("celsius")
_VOLT: Final = parse_unit("V")
_MILLIAMPERE: Final = parse_unit("mA")
_DBM: Final = parse_unit("dBm")
_NOTHING: Final = frozenset(("", "n/a", "na", "none", "not supported", "unknown", "n.a."))
_SINGLE: Final = {
    "temperature": (q.TEMPERATURE, _CELSIUS),
    "voltage": (q.SUPPLY_VOLTAGE, _VOLT),
    "laser_temperature": (q.LASER_TEMPERATURE, _CELSIUS),
}
_LANE_VALUE: Final = re.compile(r"(rx|tx)(\d+)(power|bias)")
_LANE_QUANTITY: Final = {
    ("rx", "power"): (q.RX_POWER, _DBM),
    ("tx", "power"): (q.TX_POWER, _DBM),
    ("tx", "bias"): (q.TX_BIAS, _MILLIAMPERE),
}
_LIMITS: Final = {
    "temp": (q.TEMPERATURE, _CELSIUS),
    "vcc": (q.SUPPLY_VOLTAGE, _VOLT),
    "rxpower": (q.RX_POWER, _DBM),
    "txpower": (q.TX_POWER, _DBM),
    "txbias": (q.TX_BIAS, _MILLIAMPERE),
    "lasertemp": (q.LASER_TEMPERATURE, _CELSIUS),
}
_BOUNDS: Final = {
    "high_alarm": "highalarm", "high_warning": "highwarning", "low_warning": "lowwarning", "low_alarm": "lowalarm",
}  # fmt: skip

_LANE_FLAGS: Final[tuple[tuple[re.Pattern[str], Flag], ...]] = tuple(
    (re.compile(pattern), flag)
    for pattern, flag in (
        (r"rx(\d+)los|rxlos(\d+)", q.RX_LOS),
        (r"tx(\d+)fault|txfault(\d+)", q.TX_FAULT),
        (r"tx(\d+)los_hostlane|txlos_hostlane(\d+)", q.TX_LOS),
        (r"tx(\d+)cdrlol_hostlane|txcdrlol_hostlane(\d+)", q.TX_CDR_LOL),
        (r"rx(\d+)cdrlol|rxcdrlol(\d+)", q.RX_CDR_LOL),
        (r"tx(\d+)_eq_fault|tx_eq_fault(\d+)", q.TX_ADAPTIVE_EQ_FAULT),
    )
)
_ALARM: Final = re.compile(
    r"(?P<q>temp|vcc|lasertemp|rx(?P<rx>\d+)power|tx(?P<tx>\d+)(?:power|bias)|rxpower|txpower|txbias)"
    r"(?P<side>H|L|high|low)(?P<kind>Alarm|Warn|alarm|warning)(?:_flag(?P<lane>\d*))?"
)
_ALARMED: Final = {
    "temp": "temperature", "vcc": "supply_voltage", "lasertemp": "laser_temperature",
    "rxpower": "rx_power", "txpower": "tx_power", "txbias": "tx_bias",
}  # fmt: skip
_DISABLED: Final = re.compile(r"tx(\d+)disable|txdisable(\d+)")
_DATA_PATH: Final = re.compile(r"DP(\d+)State")
_DATA_PATH_CODES: Final = {
    "DataPathDeactivated": 1, "DataPathInit": 2, "DataPathDeinit": 3, "DataPathActivated": 4,
    "DataPathTxTurnOn": 5, "DataPathTxTurnOff": 6, "DataPathInitialized": 7,
}  # fmt: skip

_VDM: Final = re.compile(
    r"(laser_temperature)_media(\d+)|(esnr|pam4_level_transition)_(media|host)_input(\d+)"
    r"|(prefec_ber|errored_frames)_(min|max|avg|curr|accum)_(media|host)_input(\d+)"
)
_STATISTIC: Final = {"min": "min", "max": "max", "avg": "avg", "curr": "current", "accum": "total"}
_PM: Final = {
    "prefec_ber": ("pre_fec_ber_ratio", 1.0),
    "uncorr_frames": ("uncorrected_frame_ratio", 1.0),
    "cd": ("cd_ps_per_nm", 1.0),
    "dgd": ("dgd_seconds", 1e-12),
    "sopmd": ("sopmd_ps2", 1.0),
    "pdl": ("pdl_db", 1.0),
    "osnr": ("osnr_db", 1.0),
    "esnr": ("esnr_db", 1.0),
    "cfo": ("cfo_hertz", 1e6),
    "evm": ("evm_ratio", 0.01),
    "tx_power": ("tx_power_dbm", 1.0),
    "rx_tot_power": ("rx_total_power_dbm", 1.0),
    "rx_sig_power": ("rx_signal_power_dbm", 1.0),
    "soproc": ("soproc_radians_per_second", 1e3),
}
"""Of TRANSCEIVER_PM, with `_avg`, `_min` and `_max` behind; the units are those of C-CMIS in xcvrd's words."""


@dataclass(slots=True)
class PortRows:
    """All rows of one port: by table of STATE_DB, and that of PORT_TABLE in APPL_DB."""

    tables: dict[str, Fields] = field(default_factory=dict[str, Fields])
    port: Fields = field(default_factory=dict[str, str])

    @property
    def present(self) -> bool:
        """Xcvrd removes the row when the module is pulled."""
        return bool(self.tables.get("TRANSCEIVER_INFO"))

    def merged(self, *tables: str) -> dict[str, str]:
        """The fields of several tables; what is in a later one counts."""
        fields: dict[str, str] = {}
        for table in tables:
            fields |= {name: text for name, text in self.tables.get(table, {}).items() if not _missing(text)}
        return fields


def reading(name: str, rows: PortRows, *, device: str, source: str, time: float) -> Reading:
    """The reading of one port."""
    # Layouts moved fields between tables; no two tables use one name for two things.
    sensor = rows.merged("TRANSCEIVER_DOM_SENSOR", "TRANSCEIVER_DOM_TEMPERATURE")
    limits = rows.merged("TRANSCEIVER_DOM_SENSOR", "TRANSCEIVER_DOM_THRESHOLD")
    status = rows.merged("TRANSCEIVER_DOM_SENSOR", "TRANSCEIVER_STATUS", "TRANSCEIVER_STATUS_FLAG")
    flags = rows.merged("TRANSCEIVER_STATUS", "TRANSCEIVER_DOM_FLAG")
    values, lanes = _values(sensor)
    module_flags, lane_flags = _flags(status | flags)
    offered = {quantity.key for quantity in _offered(sensor)}
    got = {quantity.key for quantity in (*values, *lanes)}
    return Reading(
        device=device,
        port=name,
        source=source,
        time=time,
        module=module(rows),
        module_state=status.get("module_state", ""),
        values=values,
        lanes=lanes,
        flags=module_flags,
        lane_flags=lane_flags,
        data_path_states=_data_path(status),
        tx_disabled=_disabled(status),
        thresholds=_thresholds(limits),
        vdm=tuple(_vdm(rows.merged("TRANSCEIVER_VDM_REAL_VALUE"))),
        coherent=_coherent(rows.merged("TRANSCEIVER_PM")),
        link=link(name, rows.port),
        unread=tuple(sorted(offered - got)),
        errors=_errors(rows),
    )


def _missing(text: str) -> bool:
    return text.strip().lower() in _NOTHING


def _number(text: str, scale: Scale) -> float | None:
    return from_text(text.encode(), scale)


def _offered(sensor: Fields) -> set[Quantity]:
    """Quantities of which some field says something. xcvrd writes every field, `N/A` where the module has none."""
    found: set[Quantity] = set()
    for name in sensor:
        if single := _SINGLE.get(name):
            found.add(single[0])
        elif (lane := _LANE_VALUE.fullmatch(name)) and (which := _LANE_QUANTITY.get((lane[1], lane[3]))):
            found.add(which[0])
    return found


def _values(sensor: Fields) -> tuple[dict[Quantity, float], dict[Quantity, dict[int, float]]]:
    values: dict[Quantity, float] = {}
    lanes: dict[Quantity, dict[int, float]] = {}
    for name, text in sensor.items():
        if single := _SINGLE.get(name):
            number = _number(text, single[1])
            if number is not None:
                values[single[0]] = number
        elif found := _LANE_VALUE.fullmatch(name):
            which = _LANE_QUANTITY.get((found[1], found[3]))
            number = _number(text, which[1]) if which else None
            if which and number is not None:
                lanes.setdefault(which[0], {})[int(found[2])] = number
    return values, {quantity: dict(sorted(column.items())) for quantity, column in lanes.items()}


def _thresholds(fields: Fields) -> dict[Quantity, Bounds]:
    thresholds: dict[Quantity, Bounds] = {}
    for prefix, (quantity, scale) in _LIMITS.items():
        bounds = Bounds()
        texts = {ours: fields.get(f"{prefix}{theirs}") for ours, theirs in _BOUNDS.items()}
        for name, text in texts.items():
            if text is not None and (limit := _number(text, scale)) is not None:
                bounds[name] = limit  # type: ignore[literal-required]  # the keys of Bounds
        if bounds and (len(set(bounds.values())) > 1 or len(bounds) < 4):
            thresholds[quantity] = bounds
    return thresholds


def _true(text: str) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower())


def _flags(fields: Fields) -> tuple[dict[Flag, bool], dict[Flag, LaneFlags]]:
    single: dict[Flag, bool] = {}
    masks: dict[Flag, tuple[int, int]] = {}

    def on_lane(flag: Flag, lane: int, active: bool) -> None:
        if 1 <= lane <= 64:
            offered, raised = masks.get(flag, (0, 0))
            bit = 1 << (lane - 1)
            masks[flag] = (offered | bit, raised | bit if active else raised)

    for name, text in fields.items():
        active = _true(text)
        if active is None:
            continue
        for pattern, flag in _LANE_FLAGS:
            if found := pattern.fullmatch(name):
                on_lane(flag, int(found[1] or found[2]), active)
        if found := _ALARM.fullmatch(name):
            quantity = re.sub(r"\d", "", found["q"])
            side = "high" if found["side"] in {"H", "high"} else "low"
            severity = "alarm" if found["kind"].lower() == "alarm" else "warning"
            alarm = ALARM_FLAGS[_ALARMED[quantity], f"{side}_{severity}"]
            lane = found["rx"] or found["tx"] or found["lane"]
            if lane:
                on_lane(alarm, int(lane), active)
            elif quantity in {"temp", "vcc", "lasertemp"}:
                single[alarm] = active
            else:  # an SFP has no lane in the name
                on_lane(alarm, 1, active)
    return single, {flag: LaneFlags(*mask) for flag, mask in masks.items()}


def _data_path(status: Fields) -> dict[int, int]:
    states: dict[int, int] = {}
    for name, text in status.items():
        if (found := _DATA_PATH.fullmatch(name)) and (code := _DATA_PATH_CODES.get(text.strip())):
            states[int(found[1])] = code
    return states


def _disabled(status: Fields) -> dict[int, bool]:
    disabled: dict[int, bool] = {}
    for name, text in status.items():
        if (found := _DISABLED.fullmatch(name)) and (off := _true(text)) is not None:
            disabled[int(found[1] or found[2])] = off
    return disabled


def _vdm(fields: Fields) -> list[VdmSample]:
    samples: list[VdmSample] = []
    for name, text in sorted(fields.items()):
        found = _VDM.fullmatch(name)
        try:
            value = float(text)
        except ValueError:
            continue
        if found is None:
            continue
        if found[1]:
            samples.append(VdmSample("laser_temperature", int(found[2]), 0, value, "degC"))
        elif found[3]:
            word = "snr" if found[3] == "esnr" else "pam4_level_transition_parameter"
            samples.append(VdmSample(f"{word}_{found[4]}_input", int(found[5]), 0, value, "dB"))
        else:
            ber = found[6] == "prefec_ber"
            word = "pre_fec_ber" if ber else "ferc"
            total = found[7] == "accum"
            unit = "ratio" if ber else "frames" if total else "frames per interval"
            observable = f"{word}_{_STATISTIC[found[7]]}_{found[8]}_input"
            samples.append(VdmSample(observable, int(found[9]), 0, value, unit))
    return samples


def _coherent(fields: Fields) -> dict[str, Stats]:
    coherent: dict[str, Stats] = {}
    for name, text in fields.items():
        prefix, _, statistic = name.rpartition("_")
        if prefix not in _PM or statistic not in {"avg", "min", "max"}:
            continue
        key, factor = _PM[prefix]
        try:
            coherent.setdefault(key, Stats())[statistic] = float(text) * factor  # type: ignore[literal-required]
        except ValueError:
            continue
    return coherent


def module(rows: PortRows) -> Module:
    """Who the module is."""
    info = rows.merged("TRANSCEIVER_INFO", "TRANSCEIVER_FIRMWARE_INFO")
    found = Module()
    texts = {
        "vendor_name": "manufacturer", "part_number": "model", "serial_number": "serial", "form_factor": "type",
        "connector": "connector", "firmware_revision": "active_firmware",
        "inactive_firmware_revision": "inactive_firmware", "media_technology": "media_interface_technology",
    }  # fmt: skip
    for key, name in texts.items():
        if text := info.get(name, "").strip():
            found[key] = text  # type: ignore[literal-required]  # the keys of Module
    for name in ("vendor_rev", "hardware_rev"):
        if text := info.get(name, "").strip():
            found.setdefault("vendor_revision", text)
    if re.fullmatch(r"([0-9a-fA-F]{2}[-:]){2}[0-9a-fA-F]{2}", info.get("vendor_oui", "").strip()):
        found["vendor_oui"] = info["vendor_oui"].strip().upper().replace("-", ":")
    if date := re.match(r"\d{4}-\d{2}-\d{2}", info.get("vendor_date", "").strip()):
        found["date_code"] = date[0]
    if revision := info.get("cmis_rev", "").strip():
        found["memory_map"], found["revision"] = "cmis", revision
    for count, key in (("host_lane_count", "host_lanes"), ("media_lane_count", "media_lanes")):
        if info.get(count, "").strip().isdecimal():
            found[key] = int(info[count])  # type: ignore[literal-required]  # the keys of Module
    fault = rows.merged("TRANSCEIVER_STATUS", "TRANSCEIVER_STATUS_FLAG").get("module_fault_cause", "")
    if fault and "no fault" not in fault.lower():
        found["fault_cause"] = fault
    return found


def link(name: str, port: Fields) -> Link:
    """The port's row in PORT_TABLE."""
    found = Link(if_name=name)
    if (oper := port.get("oper_status", "")) in {"up", "down"}:
        found["oper_up"] = oper == "up"
    if (admin := port.get("admin_status", "")) in {"up", "down"}:
        found["admin_up"] = admin == "up"
    if alias := port.get("alias") or port.get("description"):
        found["alias"] = alias
    if (speed := port.get("speed", "")).isdecimal():
        found["speed_bits_per_second"] = int(speed) * 1e6
    return found


def observation(name: str, port: Fields) -> Observation | None:
    """The link as the tracker takes it; None while orchagent has not written it.

    `flap_count` counts every change of oper_status, so both edges of a flap that nobody saw are told.
    """
    info = link(name, port)
    if "oper_up" not in info:
        return None
    edges = port.get("flap_count", "")
    counted = edges.isdecimal()
    return Observation(
        up=info["oper_up"],
        admin_up=info.get("admin_up", True),
        carrier_up_count=int(edges) if counted else None,
        carrier_down_count=0 if counted else None,
        polled=True,
        info=info,
    )


def _errors(rows: PortRows) -> tuple[Trouble, ...]:
    status = rows.merged("TRANSCEIVER_STATUS", "TRANSCEIVER_STATUS_SW")
    error = status.get("error", "")
    return (Trouble("module_error", error),) if error and error.lower() not in {"ok", "inserted"} else ()
