"""Where each fact of the recordings stands in a reading: one table, and functions for what is more than a number.

Facts come from other decoders and from what devices printed. Where those disagree with the specification's fact
sheets, the sheets' verdict is compared instead, and the rule that leads from the fact to it is written here.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from agent.model import Reading

Facts = Mapping[str, Any]

CELSIUS: Final = 0.011
VOLT: Final = 0.00006
MILLIAMPERE: Final = 0.0021
MILLIWATT: Final = 0.00006
DBM: Final = 0.006
ABSENT: Final = object()
NOTHING: Final[Mapping[str, Any]] = {}


class Place(NamedTuple):
    """A path in the document; times `scale` it is the fact, within `tolerance`. `blank`: 0 or "" means absent."""

    path: str
    scale: float = 1.0
    tolerance: float = 0.0
    blank: bool = True


@dataclass
class Check:
    """One recording under comparison."""

    name: str
    reading: Reading
    document: Mapping[str, Any]
    facts: Facts
    compared: int = 0
    excluded: list[str] = field(default_factory=list[str])
    failures: list[str] = field(default_factory=list[str])

    def at(self, path: str) -> Any:
        """What stands at a dotted path of the document, or ABSENT."""
        found: Any = self.document
        for step in path.split("."):
            try:
                found = found[step]
            except (KeyError, TypeError):
                return ABSENT
        return found

    def same(self, fact: str, want: object, have: object) -> None:
        """Count one comparison."""
        self.compared += 1
        if want != have:
            shown = "absent" if have is ABSENT else repr(have)
            self.failures.append(f"{fact}: want {want!r}, have {shown}")

    def near(self, fact: str, want: float, have: object, tolerance: float) -> None:
        """Count one comparison of numbers."""
        self.compared += 1
        if not isinstance(have, int | float) or isinstance(have, bool) or abs(want - have) > tolerance:
            shown = "absent" if have is ABSENT else repr(have)
            self.failures.append(f"{fact}: want {want!r}, have {shown} (tolerance {tolerance})")

    def place(self, fact: str, want: Any, place: Place) -> None:
        """Compare one fact with its place."""
        have = self.at(place.path)
        if place.blank and want in ("", 0, "00:00:00") and have is ABSENT:
            self.compared += 1
        elif isinstance(want, str | bool) or have is ABSENT:
            self.same(fact, want, have)
        else:
            scaled = have * place.scale if isinstance(have, int | float) else have
            self.near(fact, float(want), scaled, place.tolerance or 1e-9 * max(abs(want), 1.0))

    def lane(self, number: int) -> Mapping[str, Any]:
        """What the document has of a lane; {} for one that is not there."""
        found: list[Mapping[str, Any]] = [lane for lane in self.document["lanes"] if lane["lane"] == number]
        return found[0] if found else NOTHING

    def exclude(self, fact: str, reason: str) -> None:
        """A fact that a reading cannot express."""
        self.excluded.append(f"{fact}: {reason}")

    @property
    def copper(self) -> bool:
        """Whether the medium is copper, by the document itself."""
        return self.at("module.media") in ("DAC", "ACC", "AEC", "BASE-T")


PLACES: Final[Mapping[str, Place]] = {
    "identifier": Place("module.identifier"),
    "vendor_name": Place("module.vendor_name"),
    "vendor_pn": Place("module.part_number"),
    "vendor_rev": Place("module.vendor_revision"),
    "vendor_sn": Place("module.serial_number"),
    "connector": Place("module.connector_code", blank=False),
    "connector_name": Place("module.connector"),
    "encoding": Place("module.encoding_code", blank=False),
    "encoding_name": Place("module.encoding"),
    "length_smf_m": Place("module.length_smf_meters"),
    "wavelength_nm": Place("module.wavelength_nm", tolerance=0.006),
    "transmitter_technology": Place("module.media_technology"),
    "media_interface_technology": Place("module.media_technology"),
    "max_power_w": Place("module.max_power_watts"),
    "power_class": Place("module.power_class"),
    "rx_power_type": Place("module.rx_power_type"),
    "temperature_c": Place("values.temperature_celsius", tolerance=CELSIUS, blank=False),
    "supply_voltage_v": Place("values.supply_voltage_volts", tolerance=VOLT, blank=False),
    "dom_laser_temperature": Place("values.laser_temperature_celsius", tolerance=CELSIUS, blank=False),
    "cable_assembly_length_m": Place("module.cable_length_meters"),
    "cmis_revision": Place("module.revision"),
    "module_state": Place("module_state"),
    "active_firmware": Place("module.firmware_revision"),
    "inactive_firmware": Place("module.inactive_firmware_revision"),
    "hardware_rev": Place("module.hardware_revision"),
    "module_host_lanes": Place("module.host_lanes"),
    "module_media_lanes": Place("module.media_lanes"),
    "total_lanes": Place("module.host_lanes"),
    "max_banks": Place("module.banks"),
    "attenuation_5ghz_db": Place("module.attenuation_db.5ghz"),
    "attenuation_7ghz_db": Place("module.attenuation_db.7ghz"),
    "attenuation_12_9ghz_db": Place("module.attenuation_db.12_9ghz"),
    "attenuation_25_8ghz_db": Place("module.attenuation_db.25_8ghz"),
    "dom_laser_config_freq": Place("tunable.configured_frequency_hertz", 1e-9),
    "dom_laser_curr_freq": Place("tunable.current_frequency_hertz", 1e-9),
    "dom_tx_config_power": Place("tunable.configured_power_dbm", blank=False),
    "supported_min_laser_freq": Place("tunable.min_frequency_hertz", 1e-9),
    "supported_max_laser_freq": Place("tunable.max_frequency_hertz", 1e-9),
    "supported_min_tx_power": Place("tunable.min_power_dbm", blank=False),
    "supported_max_tx_power": Place("tunable.max_power_dbm", blank=False),
    "tuning_in_progress": Place("tunable.tuning_in_progress", blank=False),
    **{
        f"vdm_frame_error_{side}_{stat}": Place(f"vdm:ferc_{stat}_{side}_input")
        for side in ("host", "media")
        for stat in ("min", "max", "current")
    },
}  # fmt: skip

THRESHOLDS: Final[Mapping[str, Place]] = {
    "temperature": Place("temperature_celsius", tolerance=CELSIUS),
    "laser_temperature": Place("laser_temperature_celsius", tolerance=CELSIUS),
    "supply_voltage": Place("supply_voltage_volts", tolerance=VOLT),
    "tx_bias": Place("tx_bias_amperes", 1e3, MILLIAMPERE),
    "tx_power": Place("tx_power_watts", 1e3, MILLIWATT),
    "rx_power": Place("rx_power_watts", 1e3, MILLIWATT),
}
LANE_NUMBERS: Final[Mapping[str, Place]] = {
    "tx_bias_ma": Place("tx_bias_amperes", 1e3, MILLIAMPERE),
    "tx_power_mw": Place("tx_power_watts", 1e3, MILLIWATT),
    "rx_power_mw": Place("rx_power_watts", 1e3, MILLIWATT),
    "tx_power_dbm": Place("tx_power_dbm", 1.0, DBM),
    "rx_power_dbm": Place("rx_power_dbm", 1.0, DBM),
}
LANE_FLAGS: Final = {"tx_lol": "tx_cdr_lol", "rx_lol": "rx_cdr_lol"}
"""Names of flags that a reading calls otherwise."""


def threshold(check: Check, fact: str, want: Any) -> None:
    """`thr_<quantity>_<bound>_<unit>`; a power of 0 has no dBm."""
    match = re.fullmatch(r"thr_(.+)_((?:high|low)_(?:alarm|warning))_(c|v|ma|mw|dbm)", fact)
    assert match is not None, fact
    place = THRESHOLDS[match[1]]
    have = check.at(f"thresholds.{place.path}.{match[2]}")
    if match[3] == "dbm":
        power = 10 * math.log10(have) + 30 if isinstance(have, float) and have > 0 else None
        if want is None or power is None:
            check.same(fact, want, power)
        else:
            check.near(fact, want, power, DBM)
    else:
        check.near(fact, want, have * place.scale if isinstance(have, float) else have, place.tolerance)


def module_flag(check: Check, fact: str, want: Any) -> None:
    """`flag_<name>` of the whole module."""
    check.same(fact, want, fact.removeprefix("flag_") in check.document["flags"])


def lanes(check: Check, fact: str, want: Any) -> None:
    """The facts of each lane. Other decoders show lanes that the module does not have, as zeros."""
    for facts in want:
        number = facts["lane"]
        have = check.lane(number)
        for key, value in facts.items():
            name = f"{fact} {number} {key}"
            if key == "lane":
                continue
            if not have and value in (0, None, False):
                check.compared += 1
            elif key in LANE_NUMBERS:
                lane_number(check, name, value, have, LANE_NUMBERS[key])
            elif key.startswith("flag_"):
                flag = key.removeprefix("flag_")
                check.same(name, value, LANE_FLAGS.get(flag, flag) in have.get("flags", ()))
            elif key == "tx_disable":
                check.same(name, value, have.get("tx_disabled", ABSENT))
            elif key == "tx_bias_ma_floor":
                check.same(name, value, math.floor(have["tx_bias_amperes"] * 1e3))
            else:
                check.failures.append(f"{name}: nobody knows what this is")


def lane_number(check: Check, name: str, value: Any, have: Mapping[str, Any], place: Place) -> None:
    """A number of a lane; no light has no dBm elsewhere and -40 here."""
    number = have.get(place.path, ABSENT)
    if value in (0, None) and number is ABSENT and check.at("module.memory_map") == "cmis":
        check.compared += 1  # a host lane without media: other decoders show 0
    elif value is None:
        check.same(name, -40.0, number)
    else:
        check.near(name, value, number * place.scale if isinstance(number, float) else number, place.tolerance)


def form_factor(check: Check, fact: str, want: Any) -> None:
    """Releases of SONiC differ in what they add behind the name."""
    have = check.at("module.form_factor")
    check.same(fact, want, want if isinstance(have, str) and have.startswith(want) else have)


def oui(check: Check, fact: str, want: Any) -> None:
    """All zero means unspecified."""
    check.place(fact, want.upper(), Place("module.vendor_oui"))


def date_code(check: Check, fact: str, want: Any) -> None:
    """YYMMDD and lot."""
    check.same(fact, f"20{want[:2]}-{want[2:4]}-{want[4:6]}", check.at("module.date_code"))
    check.place(f"{fact} lot", want[6:], Place("module.lot_code"))


def bit_rate(check: Check, fact: str, want: Any) -> None:
    """In MBd, or as the byte in 100 MBd. FFh of a QSFP points to byte 222, which ethtool does not read."""
    if fact == "nominal_bit_rate_100mbd":
        if want == 255:
            check.exclude(fact, "FFh in the byte says that another one holds the rate")
            return
        want *= 100
    if check.at("module.memory_map") == "sff8636" and want == 25500.0:
        have = check.at("module.nominal_bit_rate_bits_per_second")
        check.same(fact, 0, have % 250e6)
        check.same(fact, True, 25e9 < have < 29e9)
        return
    check.place(fact, want, Place("module.nominal_bit_rate_bits_per_second", 1e-6))


def length_smf(check: Check, fact: str, want: Any) -> None:
    """Ethtool does not know the multiplier 10, which came with CMIS 5.0."""
    have = check.at("module.length_smf_meters")
    if str(check.at("module.revision")) >= "5" and have == want * 1e4:
        want *= 10
    check.place(fact, want, Place("module.length_smf_meters", 0.001))


def length_copper(check: Check, fact: str, want: Any) -> None:
    """Byte 18 of A0h: metres of copper, or tens of metres of OM4 (which ethtool calls copper too)."""
    if check.copper or check.at("module.memory_map") == "sff8636":
        check.place(fact, want, Place("module.cable_length_meters"))
    else:
        check.place(fact, want, Place("module.length_om4_meters", 0.1))


def cable_length(check: Check, fact: str, want: Any) -> None:
    """SONiC gives the last length byte that is not 0, whatever its unit; of a cable that is its length."""
    if check.at("module.cable_length_meters") is ABSENT and want:
        check.exclude(fact, "the raw byte of a fibre length, not a length of the module")
    else:
        check.place(fact, want, Place("module.cable_length_meters"))


def wavelength_tolerance(check: Check, fact: str, want: Any) -> None:
    """Ethtool takes the unit for ten times what it is, and of CMIS the low byte from the wavelength beside it."""
    if check.at("module.memory_map") == "sff8636":
        check.place(fact, want, Place("module.wavelength_tolerance_nm", 10.0, 0.06))
        return
    tolerance, wavelength = check.at("module.wavelength_tolerance_nm"), check.at("module.wavelength_nm")
    mixed = round(tolerance * 200) & 0xFF00 | round(wavelength * 20) & 0xFF
    check.near(fact, want, mixed / 20, 0.06)


def power_level(check: Check, fact: str, want: Any) -> None:
    check.exclude(fact, f"{want} W: go-ethtool takes the power level from byte 65, SFF-8472 has it in byte 64")


def temperature_floor(check: Check, fact: str, want: Any) -> None:
    check.same(fact, want, math.floor(check.at("values.temperature_celsius")))


def diagnostics(check: Check, fact: str, want: Any) -> None:
    check.same(fact, want, check.at("values.temperature_celsius") is not ABSENT)


def flags_implemented(check: Check, fact: str, want: Any) -> None:
    """SFF-8472 has a bit for them; of QSFP ethtool means that page 03h, the thresholds, is there."""
    if check.at("module.memory_map") == "sff8472":
        check.same(fact, want, any("alarm" in flag.name for flag in check.reading.lane_flags))
    else:
        check.same(fact, want, bool(check.document["thresholds"]))


def extended_identifier(check: Check, fact: str, want: Any) -> None:
    """SONiC's sentence about power (and CLEI and CDR, which a reading does not have)."""
    match = re.match(r"Power Class (\d).*?\((\d+(?:\.\d+)?)W", want)
    if match is None:
        check.exclude(fact, f"{want[:40]!r} names no power class")
        return
    check.same(fact, int(match[1]), check.at("module.power_class"))
    check.place(fact, float(match[2]), Place("module.max_power_watts"))


SONIC_FLAGS: Final[Mapping[str, str]] = {
    "los": "rx_los", "los_hostlane": "tx_los", "fault": "tx_fault", "cdrlol": "rx_cdr_lol",
    "cdrlol_hostlane": "tx_cdr_lol",
    **{
        f"{short}{level}{kind}": f"{name}_{bound}_{severity}"
        for short, name in {"power": "power", "bias": "bias"}.items()
        for level, bound in {"H": "high", "L": "low"}.items()
        for kind, severity in {"Alarm": "alarm", "Warn": "warning"}.items()
    },
}  # fmt: skip
SONIC_MODULE_FLAGS: Final[Mapping[str, str]] = {
    f"{short}{level}{kind}": f"{name}_{bound}_{severity}"
    for short, name in {"temp": "temperature", "vcc": "supply_voltage", "lasertemp": "laser_temperature"}.items()
    for level, bound in {"H": "high", "L": "low"}.items()
    for kind, severity in {"Alarm": "alarm", "Warn": "warning"}.items()
}


def sonic_flags(check: Check, fact: str, want: Any) -> None:
    """SONiC's list of all flags that are set; what it knows of must not be set elsewhere."""
    wanted: set[tuple[int, str]] = set()
    for name in want:
        match = re.fullmatch(r"(tx|rx)(\d+)(\D+)", name)
        if match is None:
            wanted.add((0, SONIC_MODULE_FLAGS[name]))
            continue
        flag = SONIC_FLAGS[match[3]]
        wanted.add((int(match[2]), f"{match[1]}_{flag}" if "alarm" in flag or "warning" in flag else flag))
    alarms = fact == "dom_flags_on"
    have = {(0, flag) for flag in check.document["flags"] if alarms}
    for lane in check.document["lanes"]:
        have |= {(lane["lane"], flag) for flag in lane["flags"]}
    known = {flag for flag in {flag for _, flag in have} if alarms == flag.endswith(("_alarm", "_warning"))}
    if not alarms:
        # Of SFF modules SONiC knows these two; of CMIS lanes it shows the eight of bank 0.
        known &= {"rx_los", "tx_fault", "tx_los", "rx_cdr_lol", "tx_cdr_lol"}
        if check.at("module.memory_map") != "cmis":
            known = {"rx_los"}
    check.same(fact, sorted(wanted), sorted(flag for flag in have if flag[1] in known | {f for _, f in wanted}))


def active_applications(check: Check, fact: str, want: Any) -> None:
    for lane, application in enumerate(want, start=1):
        check.same(f"{fact} lane {lane}", application, check.lane(lane).get("application", 0))


def data_path_states(check: Check, fact: str, want: Any) -> None:
    for lane, state in enumerate(want, start=1):
        have = check.lane(lane).get("datapath_state", "Unknown")
        check.same(f"{fact} lane {lane}", state.replace("DataPath", "DP"), have)


def application(check: Check, code: int) -> Mapping[str, Any]:
    listed: Any = check.at("module.applications")
    found: list[Mapping[str, Any]] = [] if listed is ABSENT else [each for each in listed if each["code"] == code]
    return found[0] if found else NOTHING


def plain(text: str) -> str:
    """An interface name without clause, spelling and punctuation, in which tables differ."""
    text = re.sub(r"\((?!.*placeholder)[^)]*\)", "", text.lower())
    return re.sub(r"[^a-z0-9]", "", text.replace(" msa spec", "").replace(" msa", "").replace("(etc)", ""))


def advertised(check: Check, fact: str, want: Any) -> None:
    """SONiC's application descriptors by AppSel."""
    for code, facts in want.items():
        have = application(check, int(code))
        for key, name in (
            ("host_electrical_interface_id", "host_interface"),
            ("module_media_interface_id", "media_interface"),
        ):
            if key in facts:
                check.same(f"{fact} {code} {key}", plain(facts[key]), plain(str(have.get(name, ""))))
        for key, name in (
            ("host_lane_count", "host_lanes"), ("media_lane_count", "media_lanes"),
            ("host_lane_assignment_options", "host_lane_assignment"),
            ("media_lane_assignment_options", "media_lane_assignment"),
        ):  # fmt: skip
            if key in facts:
                check.same(f"{fact} {code} {key}", facts[key] or 0, have.get(name, 0))


def applications(check: Check, fact: str, want: Any) -> None:
    """FBOSS's application descriptors, in their order."""
    for code, facts in enumerate(want, start=1):
        have = application(check, code)
        check.same(f"{fact} {code}", facts["media_code"], have.get("media_interface_code", ABSENT))
        check.same(f"{fact} {code}", facts["host_code"], have.get("host_interface_code", ABSENT))
        check.same(f"{fact} {code}", facts["host_lanes"], have.get("host_lanes", ABSENT))
        check.same(f"{fact} {code}", facts["media_lanes"], have.get("media_lanes", ABSENT))
        check.same(f"{fact} {code}", facts["start_lanes"], starts(have))


def starts(have: Mapping[str, Any]) -> list[int]:
    """Where an application may begin, counted from 0."""
    options = have.get("host_lane_assignment", 0)
    return [lane for lane in range(8) if options >> lane & 1]


def start_lanes(check: Check, fact: str, want: Any) -> None:
    """By FBOSS's name of the media."""
    for name, wanted in want.items():
        found = check.at("module.applications")
        medium = name.replace("G-", "GBASE-")
        have = [each for each in found if str(each.get("media_interface", "")).startswith(medium)]
        check.same(f"{fact} {name}", wanted, starts(have[0]) if have else ABSENT)


def application_texts(check: Check, fact: str, want: Any) -> None:
    for code, text in want.items():
        have = application(check, int(code))
        both = f"{have.get('host_interface', '')} / {have.get('media_interface', '')}"
        check.same(f"{fact} {code}", plain(text), plain(both))


def active_counts(check: Check, fact: str, want: Any) -> None:
    """Lanes of the first application."""
    side = "host_lanes" if "host" in fact else "media_lanes"
    if not want:
        check.exclude(fact, "0 in the descriptor says that the interface has the number of lanes")
        return
    check.same(fact, want, application(check, 1).get(side, 0))


def fault_cause(check: Check, fact: str, want: Any) -> None:
    check.same(fact, ABSENT if want == "No Fault detected" else want, check.at("module.fault_cause"))


def checksum_good(check: Check, fact: str, want: Any) -> None:
    check.same(fact, want, all(check.at("module.checksums_valid").values()))


VDM_NAMES: Final[Mapping[str, str]] = {
    "eSNR {side} Input [dB]": "snr_{key}_input",
    "PAM4 Level Transition Parameter {side} Input [dB]": "pam4_level_transition_parameter_{key}_input",
    "Pre-FEC BER Minimum {side} Input": "pre_fec_ber_min_{key}_input",
    "Pre-FEC BER Maximum {side} Input": "pre_fec_ber_max_{key}_input",
    "Pre-FEC BER Average {side} Input": "pre_fec_ber_avg_{key}_input",
    "Pre-FEC BER Current Value {side} Input": "pre_fec_ber_current_{key}_input",
    "Errored Frames Minimum {side} Input": "ferc_min_{key}_input",
    "Errored Frames Maximum {side} Input": "ferc_max_{key}_input",
    "Errored Frames Average {side} Input": "ferc_avg_{key}_input",
    "Errored Frames Current Value {side} Input": "ferc_current_{key}_input",
}
OBSERVABLES: Final = {
    sonic.format(side=side.title()): ours.format(key=side)
    for side in ("host", "media")
    for sonic, ours in VDM_NAMES.items()
} | {
    "Laser Age [%]": "laser_age",
    "TEC Current [%]": "tec_current",
    "Laser Frequency Error [MHz]": "laser_frequency_error",
    "Laser Temperature [C]": "laser_temperature",
    "Modulator Bias X/I [%]": "modulator_bias_xi",
    "Modulator Bias X/Q [%]": "modulator_bias_xq",
    "Modulator Bias Y/I [%]": "modulator_bias_yi",
    "Modulator Bias Y/Q [%]": "modulator_bias_yq",
    "Modulator Bias X_Phase [%]": "modulator_bias_x_phase",
    "Modulator Bias Y_Phase [%]": "modulator_bias_y_phase",
    "CD high granularity, short link [ps/nm]": "cd_high_granularity",
    "CD low granularity, long link [ps/nm]": "cd_low_granularity",
    "DGD [ps]": "dgd",
    "SOPMD [ps^2]": "sopmd_high_granularity",
    "PDL [dB]": "pdl",
    "OSNR [dB]": "osnr",
    "eSNR [dB]": "esnr",
    "CFO [MHz]": "cfo",
    "EVM_modem [%]": "evm_modem",
    "Tx Power [dBm]": "tx_power",
    "Rx Total Power [dBm]": "rx_total_power",
    "Rx Signal Power [dBm]": "rx_signal_power",
    "SOP ROC [krad/s]": "soproc",
    "MER [dB]": "mer",
}


def vdm_value(check: Check, observable: str, lane: int) -> Any:
    """A sample; lane 0 is the whole module."""
    samples: Any = check.at("vdm")
    found: list[Mapping[str, Any]] = [] if samples is ABSENT else samples
    have = [s["value"] for s in found if s["observable"] == observable and s.get("lane", 0) == lane]
    return have[0] if have else ABSENT


def vdm(check: Check, fact: str, want: Any) -> None:
    """SONiC's samples by observable and lane; lane 16 is all lanes."""
    for name, by_lane in want.items():
        for lane, value in by_lane.items():
            have = vdm_value(check, OBSERVABLES[name], 0 if lane == "16" else int(lane))
            check.near(f"{fact} {name} {lane}", value, have, max(abs(value) * 1e-6, 1e-15))


def vdm_frame_error(check: Check, fact: str, want: Any) -> None:
    """FBOSS's frame error counts; its test cuts some averages to a digit."""
    match = re.fullmatch(r"vdm_frame_error_(host|media)_(min|max|avg|current)(_floor)?", fact)
    assert match is not None, fact
    have = vdm_value(check, f"ferc_{match[2]}_{match[1]}_input", 0)
    check.near(fact, want, have, abs(want) * (0.2 if match[3] else 0.01))


def vdm_supported(check: Check, fact: str, want: Any) -> None:
    """A module that has it and of which the pages were saved has samples."""
    if not want:
        check.same(fact, ABSENT, check.at("vdm"))
    elif "vdm" in check.facts:
        check.same(fact, want, check.at("vdm") is not ABSENT)
    else:
        check.exclude(fact, "advertised; the pages were not saved")


def vdm_groups(check: Check, fact: str, want: Any) -> None:
    check.same(fact, want, len({sample.group for sample in check.reading.vdm}))


def wavelength_unlocked(check: Check, fact: str, want: Any) -> None:
    check.same(fact, not want, check.at("tunable.wavelength_locked"))


RULES: Final[Mapping[str, Callable[[Check, str, Any], None]]] = {
    "lanes": lanes,
    "identifier_name": form_factor,
    "vendor_oui": oui,
    "date_code": date_code,
    "nominal_bit_rate_mbd": bit_rate,
    "nominal_bit_rate_100mbd": bit_rate,
    "length_smf_km": length_smf,
    "length_copper_m": length_copper,
    "cable_length_m": cable_length,
    "wavelength_tolerance_nm": wavelength_tolerance,
    "power_level_max_w": power_level,
    "temperature_c_floor": temperature_floor,
    "diagnostics_supported": diagnostics,
    "alarm_warning_flags_implemented": flags_implemented,
    "ext_identifier": extended_identifier,
    "status_flags_on": sonic_flags,
    "dom_flags_on": sonic_flags,
    "active_apsel": active_applications,
    "data_path_state": data_path_states,
    "data_path_state_lanes_1_4": data_path_states,
    "application_advertisement": advertised,
    "applications": applications,
    "app_start_lanes": start_lanes,
    "applications_text": application_texts,
    "app_host_lane_count": active_counts,
    "app_media_lane_count": active_counts,
    "module_fault_cause": fault_cause,
    "checksum_good": checksum_good,
    "vdm": vdm,
    "vdm_supported": vdm_supported,
    "vdm_groups": vdm_groups,
    "wavelength_unlock_status": wavelength_unlocked,
}
CHECKSUMS: Final[Mapping[str, str]] = {
    "a0_cc_base": "base",
    "a0_cc_ext": "ext",
    "a2_cc_dmi": "diagnostics",
    "page00_cc_base": "base",
    "page00_cc_ext": "ext",
}
"""Names of `checksums_match` that a reading calls otherwise."""


def compare(check: Check) -> None:
    """Every fact of one recording."""
    for fact, want in check.facts.items():
        if fact in RULES:
            RULES[fact](check, fact, want)
        elif fact.startswith("thr_"):
            threshold(check, fact, want)
        elif fact.startswith("flag_"):
            module_flag(check, fact, want)
        elif fact.startswith("vdm_frame_error_"):
            vdm_frame_error(check, fact, want)
        elif fact in PLACES:
            check.place(fact, want, PLACES[fact])
        else:
            check.failures.append(f"{fact}: nobody knows where this stands")


def compare_checksums(check: Check, matches: Mapping[str, bool]) -> None:
    """Which checksums are right."""
    for name, want in matches.items():
        have = check.at(f"module.checksums_valid.{CHECKSUMS.get(name, name)}")
        check.same(f"checksum {name}", want, have)
