"""SFF-8636 and SFF-8436: every worked example of the fact sheet, and the rules of its verdicts."""

import math
from collections.abc import Collection, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import quantities as q
from agent.maps import Maps, identify, shape
from agent.maps import sff8636_fields as f
from agent.maps.quirks import parse
from agent.maps.sff8636 import Sff8636Map, implemented_lanes
from agent.maps.sff8636_identity import power_class
from agent.maps.sff8636_parameters import KINDS, parameter
from agent.maps.sff8636_parameters import flags as parameter_flags
from agent.memory import Memory, Span
from tests.sff_images import QSFP_00, QSFP_LOWER, Patch, decode, lane, patched, qsfp

# Quantity of the sheet: offset in lower memory, where the value stands, how many of its units make one of ours.
VALUES = {
    "temperature": (22, "temperature_celsius", 1),
    "vcc": (26, "supply_voltage_volts", 1),
    "rx1_power": (34, "rx_power_watts", 1000),
    "tx1_bias": (42, "tx_bias_amperes", 1000),
    "tx1_power": (50, "tx_power_watts", 1000),
}
WARM: Patch = {22: "1900", 26: "80E8"}
ALL_OPTIONS: Patch = {193: "0F FF FA", 220: "3C"}


# D. Monitors


@pytest.mark.parametrize(
    ("name", "quantity", "raw", "want", "dbm"),
    [
        ("D01", "temperature", "1F04", 31.015625, None),
        ("D02", "temperature", "4B00", 75, None),
        ("D03", "temperature", "FB00", -5, None),
        ("D04", "temperature", "F600", -10, None),
        ("D05", "temperature", "FFC0", -0.25, None),
        ("D06", "temperature", "8000", -128, None),
        ("D07", "temperature", "7FFF", 127.99609375, None),
        ("D08", "vcc", "80DD", 3.2989, None),
        ("D09", "vcc", "7918", 3.1, None),
        ("D10", "vcc", "9088", 3.7, None),
        ("D11", "vcc", "FFFF", 6.5535, None),
        ("D12", "tx1_bias", "1414", 10.28, None),
        ("D13", "tx1_bias", "1111", 8.738, None),
        ("D14", "tx1_bias", "0DAC", 7, None),
        ("D15", "tx1_bias", "FFFF", 131.07, None),
        ("D16", "tx1_bias", "0000", 0, None),
        ("D17", "rx1_power", "1223", 0.4643, -3.332013),
        ("D18", "rx1_power", "4141", 1.6705, 2.228465),
        ("D19", "rx1_power", "0000", 0, -40.0),
        ("D20", "rx1_power", "0001", 0.0001, -40.000000),
        ("D21", "rx1_power", "8000", 3.2768, 5.154499),
        ("D22", "rx1_power", "FFFF", 6.5535, 8.164733),
        ("D23", "tx1_power", "4141", 1.6705, 2.228465),
        ("D24", "tx1_power", "0000", 0, -40.0),
        ("D25", "tx1_power", "2710", 1, 0.000000),
    ],
)
def test_monitors(name: str, quantity: str, raw: str, want: float, dbm: float | None) -> None:
    offset, key, units = VALUES[quantity]
    # Revision 2.8, where a bit says that temperature and voltage are there, whatever they are.
    document = decode(qsfp({1: "08", offset: raw}, {220: "3C"}))
    where = document["values"] if key in document["values"] else lane(document)
    assert where[key] * units == pytest.approx(want, rel=1e-12, abs=1e-15), name
    if dbm is not None:
        assert where[key.replace("_watts", "_dbm")] == pytest.approx(dbm, abs=1e-6)


def test_lanes_in_their_order() -> None:
    words = {34: "0001 0002 0003 0004", 42: "0005 0006 0007 0008", 50: "0009 000A 000B 000C"}
    document = decode(qsfp(words))
    for number in (1, 2, 3, 4):
        have = lane(document, number)
        assert have["rx_power_watts"] == number / 1e7
        assert have["tx_bias_amperes"] == (number + 4) * 2 / 1e6
        assert have["tx_power_watts"] == (number + 8) / 1e7


# D. Flags and controls


def flagged(document: Mapping[str, Any], *, only: str = "") -> list[str]:
    """`rx4_los` for flag rx_los of lane 4, as the sheet writes it."""
    found = list(document["flags"])
    for each in document["lanes"]:
        for flag in each["flags"]:
            side, _, rest = flag.partition("_")
            found.append(f"{side}{each['lane']}_{rest.replace('cdr_lol', 'lol')}")
    return sorted(flag for flag in found if only in flag)


@pytest.mark.parametrize(
    ("name", "at", "raw", "want"),
    [
        ("D26", 3, "00", []),
        ("D27", 3, "0F", ["rx1_los", "rx2_los", "rx3_los", "rx4_los"]),
        ("D28", 3, "F0", ["tx1_los", "tx2_los", "tx3_los", "tx4_los"]),
        ("D29", 3, "11", ["rx1_los", "tx1_los"]),
        ("D30", 3, "84", ["rx3_los", "tx4_los"]),
        ("D31", 3, "FF", [f"{side}{n}_los" for side in ("rx", "tx") for n in (1, 2, 3, 4)]),
        ("D32", 4, "08", ["tx4_fault"]),
        ("D33", 4, "90", ["tx1_adaptive_eq_fault", "tx4_adaptive_eq_fault"]),
        ("D34", 5, "03", ["rx1_lol", "rx2_lol"]),
        ("D35", 5, "F0", ["tx1_lol", "tx2_lol", "tx3_lol", "tx4_lol"]),
        ("D36", 6, "A0", ["temperature_high_alarm", "temperature_high_warning"]),
        ("D37", 6, "50", ["temperature_low_alarm", "temperature_low_warning"]),
        ("D38", 6, "01", []),
        ("D39", 7, "50", ["supply_voltage_low_alarm", "supply_voltage_low_warning"]),
        ("D40", 9, "50", ["rx1_power_low_alarm", "rx1_power_low_warning"]),
        ("D41", 10, "05", ["rx4_power_low_alarm", "rx4_power_low_warning"]),
        ("D42", 9, "5555", [f"rx{n}_power_low_{kind}" for n in (1, 2, 3, 4) for kind in ("alarm", "warning")]),
        ("D43", 11, "A0", ["tx1_bias_high_alarm", "tx1_bias_high_warning"]),
        ("D44", 12, "0A", ["tx4_bias_high_alarm", "tx4_bias_high_warning"]),
        ("D45", 13, "41", ["tx1_power_low_alarm", "tx2_power_low_warning"]),
        ("D46", 14, "28", ["tx3_power_high_warning", "tx4_power_high_alarm"]),
    ],
)
def test_flags(name: str, at: int, raw: str, want: list[str]) -> None:
    assert flagged(decode(qsfp({**WARM, at: raw}, ALL_OPTIONS))) == sorted(want), name


@pytest.mark.parametrize(
    ("options", "want"),
    [
        ("00 00 00", ["rx1_los"]),
        ("08 00 00", ["rx1_los", "tx1_adaptive_eq_fault"]),
        ("00 20 00", ["rx1_los", "tx1_lol"]),
        ("00 10 00", ["rx1_lol", "rx1_los"]),
        ("00 00 08", ["rx1_los", "tx1_fault"]),
        ("00 00 02", ["rx1_los", "tx1_los"]),
    ],
)
def test_lane_flags_are_advertised_one_by_one(options: str, want: list[str]) -> None:
    assert flagged(decode(qsfp({3: "11 11 11"}, {193: options}))) == want


@pytest.mark.parametrize(
    ("options", "byte", "want"),
    [("10", "01", ["module_state_changed"]), ("10", "02", []), ("EF", "01", [])],
)
def test_initialization_complete_is_a_change_of_state(options: str, byte: str, want: list[str]) -> None:
    memory = qsfp(lower={6: byte}, page_00={221: options})
    assert [flag for flag in decode(memory)["flags"] if flag == "module_state_changed"] == want


@pytest.mark.parametrize(
    ("name", "status", "flat", "idle", "ready"),
    [
        ("D47", "00", False, False, True),
        ("D48", "02", False, True, True),
        ("D49", "04", True, False, True),
        ("D50", "06", True, True, True),
        ("D51", "01", False, False, False),
        ("D52", "07", True, True, False),
    ],
)
def test_status(name: str, status: str, flat: bool, idle: bool, ready: bool) -> None:
    memory = qsfp({**WARM, 2: status})
    description = identify(memory).describe(memory)
    assert description.flat is flat, name
    assert description.plan().decode_memory(memory).data_ready is ready
    assert f.INTERRUPT_IDLE.raw(bytes.fromhex(status)) == [int(idle)]
    assert ("temperature_celsius" in decode(memory)["thresholds"]) is not flat


@pytest.mark.parametrize(("raw", "off"), [("05", (1, 3)), ("0F", (1, 2, 3, 4)), ("00", ())])  # D53, D54
def test_disabled_transmitters(raw: str, off: Collection[int]) -> None:
    document = decode(qsfp({86: raw}, {195: "10"}))
    assert tuple(each["lane"] for each in document["lanes"] if each["tx_disabled"]) == off
    assert not any("tx_disabled" in each for each in decode(qsfp({86: raw}, {195: "00"}))["lanes"])


@pytest.mark.parametrize(
    ("name", "raw", "override", "low_power", "classes_5_to_7", "class_8"),
    [
        ("D55", "00", 0, 0, 0, 0),
        ("D56", "04", 0, 0, 1, 0),
        ("D57", "05", 1, 0, 1, 0),
        ("D58", "07", 1, 1, 1, 0),
        ("D59", "03", 1, 1, 0, 0),
        ("D60", "0D", 1, 0, 1, 1),
    ],
)
def test_power_control(
    *, name: str, raw: str, override: int, low_power: int, classes_5_to_7: int, class_8: int
) -> None:
    have = f.POWER_CONTROL.raw(bytes.fromhex(raw))
    assert have == [override, low_power, classes_5_to_7, class_8], name


@pytest.mark.parametrize(("raw", "rx", "tx"), [("FF", 15, 15), ("F0", 0, 15), ("00", 0, 0)])  # D61-D63
def test_cdr_control(raw: str, rx: int, tx: int) -> None:
    assert f.CDR_CONTROL.raw(bytes.fromhex(raw)) == [rx, tx]


@pytest.mark.parametrize(("byte", "lanes"), [(0x00, (1, 2, 3, 4)), (0x0F, ()), (0x0E, (1,))])  # D64-D66
def test_implemented_lanes(byte: int, lanes: tuple[int, ...]) -> None:
    assert implemented_lanes(byte) == lanes
    document = decode(qsfp({113: f"{byte:02x}", 34: "0001 0002 0003 0004"}))
    # A module that claims to have none of its lanes never wrote that byte.
    assert [each["lane"] for each in document["lanes"]] == list(lanes or (1, 2, 3, 4))


@pytest.mark.parametrize(("raw", "microseconds"), [("D9", 1600), ("00", 0), ("25", 10), ("FF", 3968)])  # D67-D70
def test_module_select_wait_time(raw: str, microseconds: int) -> None:
    mantissa, exponent = f.MODSELL_WAIT.raw(bytes.fromhex(raw))
    assert mantissa << exponent == microseconds


def test_propagation_delay_and_power() -> None:
    assert f.PROPAGATION_DELAY.decode(bytes.fromhex("000F")) == [150e-9]  # D71
    assert f.MAX_POWER.decode(bytes.fromhex("37")) == [5.5]  # D72


# E. Identification


@pytest.mark.parametrize(
    ("name", "byte", "power", "watts"),
    [
        ("E01", "00", 1, 1.5),
        ("E02", "40", 2, 2.0),
        ("E03", "80", 3, 2.5),
        ("E04", "C0", 4, 3.5),
        ("E05", "C1", 5, 4.0),
        ("E06", "C2", 6, 4.5),
        ("E07", "C3", 7, 5.0),
        ("E08", "CC", 4, 3.5),
        ("E09", "CE", 6, 4.5),
        ("E10", "DD", 5, 4.0),
    ],
)
def test_power_class(name: str, byte: str, power: int, watts: float) -> None:
    module = decode(qsfp(page_00={129: byte}))["module"]
    assert (module["power_class"], module["max_power_watts"]) == (power, watts), name


@pytest.mark.parametrize(
    ("name", "byte", "limit", "watts"),
    [("E11", "E3", "50", 8.0), ("E12", "20", "78", 12.0), ("E13", "20", "00", None)],
)
def test_power_class_8(name: str, byte: str, limit: str, watts: float | None) -> None:
    document = decode(qsfp({107: limit}, {129: byte}))
    assert document["module"]["power_class"] == 8, name
    assert document["module"].get("max_power_watts") == watts
    assert ("power_class" in [error["reason"] for error in document["errors"]]) is (watts is None)
    # SFF-8436 ended at class 4: these bits were reserved.
    old = decode(qsfp({0: "0D", 1: "02", 107: limit}, {128: "0D", 129: "C3"}))["module"]
    assert (old["power_class"], power_class(0xC3)) == (4, 7)


@pytest.mark.parametrize(
    ("name", "page_00", "key", "want"),
    [
        ("E14", {186: "4268"}, "wavelength_nm", 850.0),
        ("E15", {186: "6626"}, "wavelength_nm", 1307.5),
        ("E16", {186: "77DD"}, "wavelength_nm", 1534.25),
        ("E17", {186: "65A4"}, "wavelength_nm", 1301.0),
        ("unspecified", {186: "0000"}, "wavelength_nm", None),
        ("E18", {188: "251C"}, "wavelength_tolerance_nm", 47.5),
        ("E19", {188: "002F"}, "wavelength_tolerance_nm", 0.235),
        ("E20", {188: "07D0"}, "wavelength_tolerance_nm", 10.0),
        ("copper has none", {147: "A0"}, "wavelength_nm", None),
        ("E24", {140: "67"}, "nominal_bit_rate_bits_per_second", 10.3e9),
        ("E25", {140: "FF", 222: "67"}, "nominal_bit_rate_bits_per_second", 25.75e9),
        ("E26", {140: "FF", 222: "6A"}, "nominal_bit_rate_bits_per_second", 26.5e9),
        ("E27", {142: "0A"}, "length_smf_meters", 10000.0),
        ("E28", {143: "32"}, "length_om3_meters", 100.0),
        ("OM4 of a VCSEL", {142: "00", 146: "32", 147: "00"}, "length_om4_meters", 100.0),
        ("a cable", {130: "23", 146: "05", 147: "A0"}, "cable_length_meters", 5.0),
        ("longer than a byte can say", {130: "23", 146: "FF", 147: "A0"}, "cable_length_meters", None),
        (
            "E29",
            {145: "00", 147: "A0", 186: "05 08 0B 0F"},
            "attenuation_db",
            {"2_5ghz": 5.0, "5ghz": 8.0, "7ghz": 11.0, "12_9ghz": 15.0},
        ),
        ("far end limiting", {145: "17", 147: "D0", 186: "00 00 00 00"}, "attenuation_db", {"25_8ghz": 23.0}),
        ("near end limiting: a length", {145: "17", 147: "E0", 186: "00 00 00 00"}, "attenuation_db", None),
        ("technology", {147: "70"}, "media_technology", "1550 nm EML"),
        ("blank serial number", {196: "00" * 16}, "serial_number", None),
        ("unspecified OUI", {165: "000000"}, "vendor_oui", None),
        ("extended compliance", {131: "00"}, "compliance", ["100G CWDM4"]),
        ("all bits", {131: "0C 00", 192: "00"}, "compliance", ["40GBASE-CR4", "40GBASE-SR4"]),
        ("took back", {131: "00 08", 192: "00"}, "compliance", None),
    ],
)
def test_identification(name: str, page_00: Patch, key: str, want: object) -> None:
    assert decode(qsfp(page_00=page_00))["module"].get(key) == want, name


@pytest.mark.parametrize(("raw", "celsius"), [("00", 0), ("46", 70), ("55", 85)])  # E21-E23: 0 means 70
def test_case_temperature(raw: str, celsius: int) -> None:
    assert f.MAX_CASE_TEMPERATURE.decode(bytes.fromhex(raw)) == [celsius]


@pytest.mark.parametrize(
    ("name", "byte", "temperature", "voltage", "rx", "tx_power"),
    [
        ("E30", "0C", False, False, "average", True),
        ("E31", "3C", True, True, "average", True),
        ("E32", "08", False, False, "average", False),
        ("E33", "34", True, True, "oma", True),
        ("E34", "30", True, True, "oma", False),
        ("E35", "00", False, False, "oma", False),
    ],
)
def test_diagnostic_monitoring_type(
    *, name: str, byte: str, temperature: bool, voltage: bool, rx: str, tx_power: bool
) -> None:
    memory = qsfp({1: "08", **WARM, 34: "0001", 50: "0001"}, {220: byte})
    document = decode(memory)
    assert ("temperature_celsius" in document["values"]) is temperature, name
    assert ("supply_voltage_volts" in document["values"]) is voltage
    assert ("tx_power_watts" in lane(document)) is tx_power
    assert ("tx_power_watts" in document["thresholds"]) is tx_power
    assert document["module"]["rx_power_type"] == rx


@pytest.mark.parametrize(("raw", "there"), [("1900", True), ("0000", False), ("FFFF", False), ("FFFE", True)])
def test_before_2_8_no_bit_speaks_of_temperature(raw: str, there: bool) -> None:
    document = decode(qsfp({1: "07", 22: raw, 26: "80E8"}, {220: "0C"}))
    assert ("temperature_celsius" in document["values"]) is there
    assert document["values"]["supply_voltage_volts"] == 3.3


def test_a_module_that_still_starts_is_given_its_monitors() -> None:
    memory = qsfp({1: "07", 2: "03"}, page_03=bytes(128))
    values = identify(memory).describe(memory).plan().decode_memory(memory)
    assert not values.data_ready
    assert len(values.values) == 2
    assert len(values.lanes) == 3


def test_copper_has_no_light_and_no_flags() -> None:
    document = decode(qsfp({1: "07", **WARM, 3: "FF FF FF", 34: "FF" * 24}, {147: "A0", 220: "0C"}))
    assert document["values"] == {"temperature_celsius": 25.0, "supply_voltage_volts": 3.3}
    assert document["lanes"] == []
    assert document["module"]["media"] == "DAC"
    assert document["thresholds"].keys() == {"temperature_celsius", "supply_voltage_volts"}
    assert "rx_power_type" not in document["module"]
    active = decode(qsfp({3: "FF 00 FF"}, {147: "C0", 195: "02", 194: "10"}))
    assert active["module"]["media"] == "ACC"
    assert flagged(active, only="1_") == ["rx1_lol", "rx1_los", "tx1_los"]


def test_nothing_but_zeros_and_no_thresholds_is_not_monitored() -> None:
    assert "rx_power_watts" not in lane(decode(qsfp(page_03=bytes(128))))
    assert lane(decode(qsfp()))["rx_power_watts"] == 0.0  # dark: the thresholds tell that it is measured
    assert lane(decode(qsfp({34: "0001"}, page_03=bytes(128))))["rx_power_watts"] == 1e-7
    assert "rx_power_watts" not in lane(decode(qsfp({2: "06"})))  # flat memory has no thresholds to tell


def test_warning_thresholds_are_optional() -> None:
    page_03 = bytes.fromhex("4B00 FB00 0000 0000").ljust(128, b"\0")
    document = decode(qsfp(WARM, page_03=page_03))
    assert document["thresholds"] == {"temperature_celsius": {"high_alarm": 75.0, "low_alarm": -5.0}}


@pytest.mark.parametrize("identifier", ["0C", "0D", "11", "91"])
def test_identifiers_of_this_map(identifier: str) -> None:
    document = decode(qsfp({0: identifier, **WARM}, {128: identifier}))
    assert document["module"]["memory_map"] == "sff8636"
    assert document["values"]["temperature_celsius"] == 25.0


def test_an_old_module_without_a_revision_says_nothing_by_its_option_bits() -> None:
    """SFF-8436 left them reserved: what such a module shows is what it has."""
    old = {**WARM, 0: "0D", 1: "00", 3: "11 11 11", 50: "2710 2710 2710 2710"}
    document = decode(qsfp(old, {128: "0D", 193: "00 00 00", 220: "08"}))
    assert lane(document)["tx_power_watts"] == 0.001
    assert lane(document)["flags"] == [
        "rx_los", "tx_los", "tx_adaptive_eq_fault", "tx_fault", "tx_cdr_lol", "rx_cdr_lol",
    ]  # fmt: skip
    assert "tx_power_watts" not in lane(
        decode(qsfp({**old, 50: "00" * 8}, {128: "0D", 193: "00 00 00", 220: "08"}))
    )
    said = decode(qsfp({**old, 1: "03"}, {128: "0D", 193: "00 00 00", 220: "08"}))
    assert lane(said)["flags"] == ["rx_los"]
    assert "tx_power_watts" not in lane(said)


def test_byte_0_counts_where_the_identifiers_differ() -> None:
    document = decode(qsfp(page_00={128: "0D", 191: "DC"}))
    assert document["module"]["identifier"] == 0x11
    assert [error["reason"] for error in document["errors"]] == ["identifier"]


# F. Pages 20h and 21h


@pytest.mark.parametrize(
    ("name", "code", "raw", "want"),
    [
        ("F01", 1, "1380", 19.5),
        ("F02", 1, "15CD", 21.80078125),
        ("F03", 2, "FFEC", -2.0),
        ("F04", 3, "3080", 48.5),
        ("F05", 3, "FFFF", math.inf),
        ("F06", 3, "FFFE", 255.9921875),
        ("F07", 4, "88FA", 2.5e-05),
        ("F08", 4, "A3E8", 0.1),
        ("F09", 4, "0001", 1e-24),
        ("F10", 4, "0000", 0.0),
        ("F11", 5, "FFFF", 2.047e10),
        ("F12", 4, "5C65", 1.125e-10),
        ("F13", 4, "C001", 1.0),
        ("F14", 6, "FE0C", -50.0),
        ("F15", 7, "FF9C", -1000.0),
        ("F16", 8, "FFC0", -0.25),
    ],
)
def test_parameter_values(name: str, code: int, raw: str, want: float) -> None:
    assert KINDS[code].convert(int(raw, 16)) == pytest.approx(want, rel=1e-12), name


@pytest.mark.parametrize(
    ("name", "number", "config", "observable", "of_lane", "value", "thresholds"),
    [
        ("F17", 1, 0x0401, "snr_media_input", 1, 152, 128),
        ("F18", 5, 0x1704, "pre_fec_ber_avg_media_input", 4, 160, 136),
        ("F19", 2, 0x2006, "tec_current", 0, 154, 144),
    ],
)
def test_parameter_configuration(
    *, name: str, number: int, config: int, observable: str, of_lane: int, value: int, thresholds: int
) -> None:
    found = parameter(number, config)
    assert found is not None, name
    assert (found.kind.observable, found.lane) == (observable, of_lane)
    assert (found.value, found.thresholds) == (Span(value, 2, 0x20), Span(thresholds, 8, 0x21))


def test_parameter_flags() -> None:  # F20
    data = bytes.fromhex("84").ljust(12, b"\0")
    assert parameter_flags(1, data) == ("high_alarm",)
    assert parameter_flags(2, data) == ("low_alarm",)
    assert parameter_flags(3, data) == ()


def test_parameters_are_samples() -> None:
    page_20 = {128: "84", 152: "1380 FE0C FFFF 1234 88FA", 200: "0401 2006 0503 06C8 1704 0011 04BF"}
    page_21 = {128: "1900 0F00 1800 1000", 136: "A3E8 0000 88FA 0000", 144: "03E8 FC18 0320 FCE0"}
    memory = qsfp(
        page_00={195: "01"},
        more={0x20: patched(bytes(128), page_20, base=128), 0x21: patched(bytes(128), page_21, base=128)},
    )
    assert decode(memory)["vdm"] == [
        {
            "observable": "snr_media_input",
            "lane": 1,
            "value": 19.5,
            "unit": "dB",
            "thresholds": {"high_alarm": 25.0, "high_warning": 24.0, "low_warning": 16.0, "low_alarm": 15.0},
            "flags": ["high_alarm"],
        },
        {
            "observable": "tec_current",
            "value": -50.0,
            "unit": "mA",
            "thresholds": {"high_alarm": 100.0, "high_warning": 80.0, "low_warning": -80.0, "low_alarm": -100.0},
            "flags": ["low_alarm"],
        },
        {"observable": "custom_200", "lane": 3, "value": 4660.0, "unit": "", "thresholds": {}}
        | {
            "thresholds": {"high_alarm": 6400.0, "high_warning": 6144.0, "low_warning": 4096.0, "low_alarm": 3840.0}
        },
        {
            "observable": "pre_fec_ber_avg_media_input",
            "lane": 4,
            "value": 2.5e-05,
            "unit": "ratio",
            "thresholds": {"high_alarm": 0.1, "high_warning": 2.5e-05, "low_warning": 0.0, "low_alarm": 0.0},
        },
    ]
    description = identify(memory).describe(memory)
    assert description.plan(slow=True).spans == (Span(128, 72, 0x20),)
    assert description.plan(slow=True, flags=False).spans == (Span(152, 48, 0x20),)
    assert decode(qsfp(page_00={195: "01"}))["unread"] == ["vdm"]


# G. Checksums, and the whole example


def test_the_example_of_the_sheet() -> None:
    document = decode(qsfp(WARM))
    assert document["module"] == {
        "memory_map": "sff8636",
        "revision": "2.5-2.7",
        "identifier": 0x11,
        "form_factor": "QSFP28",
        "vendor_name": "ACME OPTICS",
        "vendor_oui": "00:11:22",
        "part_number": "AO-100G-CWDM4",
        "vendor_revision": "1A",
        "serial_number": "AO9876543210",
        "date_code": "2024-03-01",
        "connector": "LC",
        "connector_code": 7,
        "media_technology": "1310 nm DFB",
        "media": "SMF",
        "wavelength_nm": 1301.0,
        "wavelength_tolerance_nm": 6.5,
        "max_power_watts": 3.5,
        "power_class": 4,
        "length_smf_meters": 2000.0,
        "rx_power_type": "average",
        "nominal_bit_rate_bits_per_second": 25.75e9,
        "encoding": "64B/66B",
        "encoding_code": 5,
        "compliance": ["100G CWDM4"],
        "checksums_valid": {"base": True, "ext": True},
    }
    assert document["thresholds"]["temperature_celsius"] == {
        "high_alarm": 75.0,
        "high_warning": 70.0,
        "low_warning": 0.0,
        "low_alarm": -5.0,
    }
    assert document["thresholds"]["rx_power_watts"]["low_alarm"] == 1e-5
    assert "module_state" not in document


@pytest.mark.parametrize(("at", "name"), [(191, "base"), (223, "ext")])
def test_a_wrong_checksum_is_told_and_the_rest_decoded(at: int, name: str) -> None:
    document = decode(qsfp(WARM, {at: "55"}))
    assert document["module"]["checksums_valid"][name] is False
    assert document["values"]["temperature_celsius"] == 25.0
    assert [error["reason"] for error in document["errors"]] == ["checksum"]


# What is read, and what is not there


def test_one_read_a_refresh() -> None:
    memory = qsfp(WARM, ALL_OPTIONS)
    description = identify(memory).describe(memory)
    assert description.plan().spans == (Span(2, 56),)
    quiet = description.plan(flags=False).spans
    assert quiet == (Span(2, 1), Span(22, 36))
    assert description.plan(slow=True).spans == (Span(86, 1),)
    assert description.identity_span == Span(196, 16)


def test_what_is_read_at_insertion() -> None:
    chosen, everything = Sff8636Map(), qsfp(page_00={195: "01"}, more={0x20: bytes(128), 0x21: bytes(128)})
    memory = Memory()
    asked: list[Span] = []
    while wanted := chosen.missing(memory):
        for span in wanted:
            asked.append(span)
            memory.put(span, everything.get(span) or b"")
    assert asked[:3] == [Span(0, 3), Span(22, 96), Span(128, 96)]
    assert not any(span.upper for span in chosen.missing(Memory()))  # the first bytes say whether there are pages
    assert asked[3:] == [Span(128, 72, 0x03), Span(200, 48, 0x20), Span(128, 128, 0x21)]
    assert not any(span.offset < 22 and span.end > 3 for span in asked)  # flags that reading clears
    flat = Memory()
    flat.put(Span(0, 3), bytes.fromhex("110706"))
    assert Span(128, 72, 0x03) not in chosen.missing(flat)


def test_lower_memory_alone_is_decoded() -> None:
    memory = Memory()
    memory.put(Span(0, 128), patched(QSFP_LOWER, {**WARM, 34: "2710"}))
    document = decode(memory)
    assert document["values"] == {"temperature_celsius": 25.0, "supply_voltage_volts": 3.3}
    assert lane(document)["rx_power_watts"] == 0.001
    assert document["module"] == {
        "memory_map": "sff8636", "revision": "2.5-2.7", "identifier": 0x11, "form_factor": "QSFP28",
    }  # fmt: skip


@given(st.binary(max_size=128), st.binary(max_size=128), st.binary(max_size=128), st.binary(max_size=128))
def test_any_bytes_are_a_reading(lower: bytes, page_00: bytes, page_03: bytes, page_20: bytes) -> None:
    memory = Memory()
    memory.put(Span(0, 128), b"\x11" + lower[1:])
    for page, data in ((0x00, page_00), (0x03, page_03), (0x20, page_20), (0x21, page_03)):
        memory.put(Span(128, 128, page), data)
    _complete(memory)


@given(
    st.dictionaries(st.integers(1, 127), st.integers(0, 255)),
    st.dictionaries(st.integers(129, 255), st.integers(0, 255)),
    st.binary(min_size=128, max_size=128),
)
def test_any_bits_of_a_real_module_are_a_reading(
    lower: dict[int, int], page_00: dict[int, int], page: bytes
) -> None:
    memory = Memory()
    memory.put(Span(0, 128), patched(QSFP_LOWER, {at: f"{byte:02x}" for at, byte in lower.items()}))
    memory.put(Span(128, 128), patched(QSFP_00, {at: f"{byte:02x}" for at, byte in page_00.items()}, base=128))
    for number in (0x03, 0x20, 0x21):
        memory.put(Span(128, 128, number), page)
    _complete(memory)


@pytest.mark.parametrize("filler", [0x00, 0xFF])
@pytest.mark.parametrize("size", [1, 60, 128])
def test_blank_memory_is_a_reading(filler: int, size: int) -> None:
    memory = Memory()
    memory.put(Span(0, 128), b"\x11" + bytes([filler]) * (size - 1))
    for page in (0x00, 0x03, 0x20, 0x21):
        memory.put(Span(128, 128, page), bytes([filler]) * size)
    _complete(memory)


def _complete(memory: Memory) -> None:
    assert decode(memory)["schema"] == "opticd/reading/1"
    description = Sff8636Map().describe(memory)
    for flags in (True, False):
        for slow in (True, False):
            plan = description.plan(flags=flags, slow=slow)
            plan.decode([memory.get(span) for span in plan.spans])
            plan.decode([None for _ in plan.spans])
            assert all(span.end <= 128 or span.offset >= 128 for span in plan.spans)


# Quirk data

OWN = """
[[quirk]]
name = "own"
vendor = "acme*"
part_number = "AO-100G*"
media_technology = [4]
offered = ["tx_los", "tx_power_watts"]
not_offered = ["supply_voltage_volts", "rx_los", "temperature_high_alarm"]
replace = { rx_power_watts = { offset = 74, lsb = "1/1000000" } }
"""


def test_quirk_data_overrules_the_module() -> None:
    memory = qsfp({1: "08", **WARM, 3: "11", 6: "A0", 50: "2710", 74: "0064"}, {195: "00", 220: "38"})
    description = Maps(parse(OWN, name="own.toml")).identify(memory).describe(memory)
    values = description.plan().decode_memory(memory)
    assert q.SUPPLY_VOLTAGE not in values.values
    assert values.lanes[q.TX_POWER][1] == 0.001
    assert values.lanes[q.RX_POWER][1] == 0.0001
    assert q.RX_LOS not in values.lane_flags
    assert values.lane_flags[q.TX_LOS].active == 1
    assert [flag.name for flag, active in values.flags.items() if active] == ["temperature_high_warning"]
    assert (
        shape("sff8636", description).settle_s == 0.02
    )  # a built-in row: these modules are given time to change pages
    plain = decode(memory)
    assert "supply_voltage_volts" in plain["values"]
    assert "tx_power_watts" not in lane(plain)
