"""SFF-8472 and SFF-8690: every worked example of the fact sheet, and the rules of its verdicts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import quantities as q
from agent.errors import DecodeError
from agent.maps import Maps, identify
from agent.maps import sff8472_fields as f
from agent.maps.quirks import parse
from agent.maps.sff8472 import Sff8472Map
from agent.memory import I2C_DIAGNOSTICS, Memory, Span
from tests.sff_images import SFP_A0, Patch, decode, lane, read, sfp

# Quantity of the sheet: offset in A2h, where the value stands, and how many of the sheet's units make one of ours.
VALUES = {
    "temperature": (96, "temperature_celsius", 1),
    "vcc": (98, "supply_voltage_volts", 1),
    "tx_bias": (100, "tx_bias_amperes", 1000),
    "tx_power": (102, "tx_power_watts", 1000),
    "rx_power": (104, "rx_power_watts", 1000),
    "laser_temp": (106, "laser_temperature_celsius", 1),
    "tec_current": (108, "tec_current_amperes", 1000),
}
LINES = {"temperature": 84, "vcc": 88, "tx_bias": 76, "tx_power": 80}
EXTERNAL: Patch = {92: "58"}
COOLED: Patch = {40: "3A00 1E00 3700 2100", 48: "2710 D8F0 1F40 E0C0"}
"""Thresholds of laser temperature and cooler, without which these monitors are not there."""


def value_of(memory: Memory, quantity: str) -> tuple[float, float | None]:
    """The value in the sheet's unit, and its dBm."""
    _, key, units = VALUES[quantity]
    document = decode(memory)
    where = document["values"] if key in document["values"] else lane(document)
    return where[key] * units, where.get(key.replace("_watts", "_dbm")) if key.endswith("_watts") else None


# A. Internal calibration


@pytest.mark.parametrize(
    ("name", "quantity", "raw", "want", "dbm"),
    [
        ("A01", "temperature", "7FFF", 127.99609375, None),
        ("A02", "temperature", "7D00", 125, None),
        ("A03", "temperature", "4B00", 75, None),
        ("A04", "temperature", "1F04", 31.015625, None),
        ("A05", "temperature", "1900", 25, None),
        ("A06", "temperature", "0101", 1.00390625, None),
        ("A07", "temperature", "00FF", 0.99609375, None),
        ("A08", "temperature", "0001", 0.00390625, None),
        ("A09", "temperature", "0000", 0, None),
        ("A10", "temperature", "FFFF", -0.00390625, None),
        ("A11", "temperature", "FF00", -1, None),
        ("A12", "temperature", "FB00", -5, None),
        ("A13", "temperature", "E700", -25, None),
        ("A14", "temperature", "D800", -40, None),
        ("A15", "temperature", "8001", -127.99609375, None),
        ("A16", "temperature", "8000", -128, None),
        ("A17", "vcc", "80DD", 3.2989, None),
        ("A18", "vcc", "8CA0", 3.6, None),
        ("A19", "vcc", "7530", 3, None),
        ("A20", "vcc", "0001", 0.0001, None),
        ("A21", "vcc", "0000", 0, None),
        ("A22", "vcc", "FFFF", 6.5535, None),
        ("A23", "tx_bias", "1414", 10.28, None),
        ("A24", "tx_bias", "1111", 8.738, None),
        ("A25", "tx_bias", "0BB8", 6, None),
        ("A26", "tx_bias", "0001", 0.002, None),
        ("A27", "tx_bias", "0000", 0, None),
        ("A28", "tx_bias", "FFFF", 131.07, None),
        ("A29", "rx_power", "2710", 1, 0.000000),
        ("A30", "rx_power", "1223", 0.4643, -3.332013),
        ("A31", "rx_power", "4141", 1.6705, 2.228465),
        ("A32", "rx_power", "0064", 0.01, -20.000000),
        ("A33", "rx_power", "0063", 0.0099, -20.043648),
        ("A34", "rx_power", "0006", 0.0006, -32.218487),
        ("A35", "rx_power", "0004", 0.0004, -33.979400),
        ("A36", "rx_power", "0001", 0.0001, -40.000000),
        ("A37", "rx_power", "0000", 0, -40.0),
        ("A38", "rx_power", "FFFF", 6.5535, 8.164733),
        ("A39", "rx_power", "7FFF", 3.2767, 5.154367),
        ("A40", "rx_power", "8000", 3.2768, 5.154499),
        ("A41", "tx_power", "1388", 0.5, -3.010300),
        ("A42", "tx_power", "0000", 0, -40.0),
        ("A43", "tx_power", "FFFF", 6.5535, 8.164733),
        ("A44", "laser_temp", "2D00", 45, None),
        ("A45", "laser_temp", "FF80", -0.5, None),
        ("A46", "tec_current", "1900", 640, None),
        ("A47", "tec_current", "FFFF", -0.1, None),
        ("A48", "tec_current", "F380", -320, None),
        ("A49", "tec_current", "8000", -3276.8, None),
        ("A50", "tec_current", "7FFF", 3276.7, None),
    ],
)
def test_internal_calibration(name: str, quantity: str, raw: str, want: float, dbm: float | None) -> None:
    offset, _, _ = VALUES[quantity]
    have, power = value_of(sfp(a2={**COOLED, offset: raw}), quantity)
    assert have == pytest.approx(want, rel=1e-12, abs=1e-15), name
    assert power == (None if dbm is None else pytest.approx(dbm, abs=1e-6))


# B. External calibration


@pytest.mark.parametrize(
    ("name", "quantity", "raw", "slope", "offset", "want", "dbm"),
    [
        ("B01", "temperature", "1900", "0100", "0000", 25, None),
        ("B02", "temperature", "1900", "0108", "0000", 25.78125, None),
        ("B03", "temperature", "1900", "0100", "FF80", 24.5, None),
        ("B04", "temperature", "E700", "0108", "0040", -25.53125, None),
        ("B05", "temperature", "F600", "00F0", "FE00", -11.375, None),
        ("B06", "temperature", "0000", "0100", "8000", -128, None),
        ("B07", "vcc", "80E8", "0100", "0000", 3.3, None),
        ("B08", "vcc", "80E8", "00FF", "0064", 3.297109375, None),
        ("B09", "vcc", "80E8", "0100", "FF9C", 3.29, None),
        ("B10", "tx_bias", "0FA0", "0100", "0000", 8, None),
        ("B11", "tx_bias", "0FA0", "0180", "FF38", 11.6, None),
        ("B12", "tx_bias", "0BB8", "0080", "0064", 3.2, None),
        ("B13", "tx_power", "1388", "0100", "0000", 0.5, -3.010300),
        ("B14", "tx_power", "1388", "0133", "FFCE", 0.594609375, -2.257682),
        ("B15", "tx_power", "0010", "0100", "FFE0", 0, -40.0),
        ("B16", "tx_power", "FFFF", "0200", "0000", 13.107, 11.175033),
    ],
)
def test_linear_external_calibration(
    *, name: str, quantity: str, raw: str, slope: str, offset: str, want: float, dbm: float | None
) -> None:
    a2 = {VALUES[quantity][0]: raw, LINES[quantity]: slope + offset}
    have, power = value_of(sfp(EXTERNAL, a2), quantity)
    assert have == pytest.approx(want, rel=1e-12), name
    assert power == (None if dbm is None else pytest.approx(dbm, abs=1e-6))


@pytest.mark.parametrize(
    ("name", "raw", "constants", "want", "dbm"),
    [
        ("B17", "03E8", "00000000 00000000 00000000 3F800000 00000000", 0.1, -10.000000),
        ("B18", "0000", "00000000 00000000 00000000 3F800000 00000000", 0, -40.0),
        ("B19", "FFFF", "00000000 00000000 00000000 3F800000 00000000", 6.5535, 8.164733),
        ("B20", "03E8", "00000000 00000000 37A7C5AC 3F000000 C1200000", 0.0509999999, -12.924298),
        ("B21", "4E20", "26901D7D ADAFEBFF 3649539C 3E800000 C1480000", 0.618750004, -2.084848),
        ("B22", "0010", "00000000 00000000 00000000 3F000000 C1A00000", 0, -40.0),
        ("B23", "2710", "00000000 00000000 00000000 3F400000 40600000", 0.75035, -1.247361),
        ("B24", "C350", "00000000 2D2FEBFF B50637BD 3FA00000 00000000", 6.25, 7.958800),
    ],
)
def test_receive_power_is_a_polynomial_of_the_count(
    name: str, raw: str, constants: str, want: float, dbm: float
) -> None:
    """Two wrong readings in the field give 492 and 490.02 counts for B20, 4993.5 and 4987.6 for B21."""
    have, power = value_of(sfp(EXTERNAL, {56: constants, 104: raw}), "rx_power")
    assert have == pytest.approx(want, rel=1e-9), name
    assert power == pytest.approx(dbm, abs=1e-6)


@pytest.mark.parametrize(
    ("raw", "want"),
    [
        ("3F800000", 1.0),  # B25
        ("00000000", 0.0),
        ("80000000", -0.0),
        ("BF800000", -1.0),
        ("3F000000", 0.5),
        ("C1200000", -10.0),
        ("37A7C5AC", 1.99999995e-05),  # B31
    ],
)
def test_calibration_constants_are_single_precision(raw: str, want: float) -> None:
    assert f.RX_POWER_POLYNOMIAL[4].decode(bytes.fromhex(raw)) == [pytest.approx(want, rel=1e-9)]


@pytest.mark.parametrize("bad", ["7FC00000", "7F800000", "FFFFFFFF"])  # B32-B34: NaN, infinity, erased
def test_unusable_constants_make_the_power_unread_and_nothing_else(bad: str) -> None:
    document = decode(sfp(EXTERNAL, {96: "1900", 104: "2710", 72: bad}))
    assert "rx_power_watts" not in lane(document)
    assert "rx_power_watts" not in document["thresholds"]
    assert document["unread"] == ["rx_power_watts"]
    assert [error["reason"] for error in document["errors"]] == ["checksum", "calibration"]
    assert document["values"]["temperature_celsius"] == 25.0


def test_a_slope_of_zero_was_never_written() -> None:
    document = decode(sfp(EXTERNAL, {96: "1900", 84: "0000"}))
    assert document["unread"] == ["temperature_celsius"]
    assert "temperature_celsius" not in document["values"]


def test_thresholds_are_counts_too() -> None:
    """External calibration: slope 1.5 and offset -0.4 mA turn 4E20h (40 mA) into 59.6 mA."""
    document = decode(sfp(EXTERNAL, {16: "4E20 01F4 4650 03E8", 76: "0180 FF38", 100: "0FA0"}))
    assert document["module"]["calibration"] == "external"
    assert document["thresholds"]["tx_bias_amperes"]["high_alarm"] == pytest.approx(0.0596)
    assert lane(document)["tx_bias_amperes"] == pytest.approx(0.0116)


def test_calibration_bytes_of_an_internally_calibrated_module_mean_nothing() -> None:
    document = decode(sfp(a2={56: "FF" * 36, 96: "1900", 104: "2710"}))
    assert document["module"]["calibration"] == "internal"
    assert document["values"]["temperature_celsius"] == 25.0
    assert lane(document)["rx_power_watts"] == 0.001


def test_laser_temperature_is_never_externally_calibrated() -> None:
    document = decode(sfp(EXTERNAL, {**COOLED, 84: "0200 0000", 96: "1900", 106: "2D00"}))
    assert document["values"]["temperature_celsius"] == 50.0
    assert document["values"]["laser_temperature_celsius"] == 45.0


# C. Status and flags


@pytest.mark.parametrize(
    ("name", "status", "flags", "disabled", "ready"),
    [
        ("C01", "00", [], False, True),
        ("C02", "02", ["rx_los"], False, True),
        ("C03", "04", ["tx_fault"], False, True),
        ("C04", "01", [], False, False),
        ("C05", "C2", ["rx_los"], True, True),
        ("C06", "86", ["tx_fault", "rx_los"], True, True),
        ("C07", "3A", ["rx_los"], False, True),
        ("C08", "FF", ["tx_fault", "rx_los"], True, False),
    ],
)
def test_status_byte(name: str, status: str, flags: list[str], disabled: bool, ready: bool) -> None:
    memory = sfp(a2={96: "1900", 110: status})
    document = decode(memory)
    assert lane(document)["flags"] == flags, name
    assert lane(document)["tx_disabled"] is disabled
    plan = identify(memory).describe(memory).plan()
    assert plan.decode_memory(memory).data_ready is ready


@pytest.mark.parametrize(
    ("name", "a2", "module", "of_lane"),
    [
        ("C09", {112: "8000"}, ["temperature_high_alarm"], []),
        ("C10", {112: "0140"}, [], ["tx_power_low_alarm", "rx_power_low_alarm"]),
        ("C11", {112: "0540"}, [], ["tx_bias_low_alarm", "tx_power_low_alarm", "rx_power_low_alarm"]),
        ("C12", {112: "2080"}, ["supply_voltage_high_alarm"], ["rx_power_high_alarm"]),
        (
            "C13",
            {112: "003C", **COOLED, 106: "2D00"},
            [
                "laser_temperature_high_alarm",
                "laser_temperature_low_alarm",
                "tec_current_high_alarm",
                "tec_current_low_alarm",
            ],
            [],
        ),
        ("C13 without these monitors", {112: "003C"}, [], []),
        ("C14", {112: "0003"}, [], []),
        ("C15", {116: "0440"}, [], ["tx_bias_low_warning", "rx_power_low_warning"]),
    ],
)
def test_alarm_and_warning_flags(name: str, a2: Patch, module: list[str], of_lane: list[str]) -> None:
    document = decode(sfp(a2={96: "1900", **a2}))
    assert sorted(document["flags"]) == sorted(module), name
    assert sorted(lane(document)["flags"]) == sorted(of_lane)


@pytest.mark.parametrize(
    ("name", "byte", "calibration", "power", "values", "reason"),
    [
        ("C16", "68", "internal", "average", True, None),
        ("C17", "60", "internal", "oma", True, None),
        ("C18", "58", "external", "average", True, None),
        ("C19", "50", "external", "oma", True, None),
        ("C20", "6C", None, "average", False, "address_change"),
        ("C21", "00", None, None, False, None),
        ("C22", "78", "internal", "average", True, "calibration"),
        ("C23", "48", "internal", "average", True, "calibration"),
    ],
)
def test_diagnostic_monitoring_type(
    *, name: str, byte: str, calibration: str | None, power: str | None, values: bool, reason: str | None
) -> None:
    document = decode(sfp({92: byte}, {96: "1900"}))
    module = document["module"]
    assert (module.get("calibration"), module.get("rx_power_type")) == (calibration, power), name
    assert ("temperature_celsius" in document["values"]) is values
    reasons = [error["reason"] for error in document["errors"] if error["reason"] != "checksum"]
    assert reasons == ([] if reason is None else [reason])
    assert ("temperature_celsius" in document["unread"]) is (reason == "address_change")


@pytest.mark.parametrize(
    ("name", "byte", "alarms", "status", "disable"),
    [
        ("C24", "F0", True, True, True),
        ("C25", "FA", True, True, True),
        ("C26", "80", True, False, False),
        ("C27", "00", False, False, False),
    ],
)
def test_enhanced_options(name: str, byte: str, alarms: bool, status: bool, disable: bool) -> None:
    document = decode(sfp({93: byte}, {96: "1900", 110: "46", 112: "0500"}))
    flags = lane(document)["flags"]
    assert ("tx_bias_low_alarm" in flags) is alarms, name
    assert ("rx_los" in flags, "tx_fault" in flags) == (status, status)
    assert ("tx_disabled" in lane(document)) is disable


def test_loss_of_lock_is_advertised_by_the_cdr_bit() -> None:
    assert lane(decode(sfp({64: "08"}, {119: "03"})))["flags"] == ["tx_cdr_lol", "rx_cdr_lol"]
    assert lane(decode(sfp({64: "00"}, {119: "03"})))["flags"] == []


def test_equalizer_fault_came_with_revision_12_4() -> None:
    a2: Patch = {58: "01", 118: "10"}
    assert lane(decode(sfp({94: "09"}, a2)))["flags"] == ["tx_adaptive_eq_fault"]
    assert lane(decode(sfp({94: "08"}, a2)))["flags"] == []


# C. Identification


@pytest.mark.parametrize(
    ("name", "a0", "key", "want"),
    [
        ("C28", {60: "0352"}, "wavelength_nm", 850.0),
        ("C29", {60: "051E"}, "wavelength_nm", 1310.0),
        ("C30", {60: "060E"}, "wavelength_nm", 1550.0),
        ("C31", {60: "0000"}, "wavelength_nm", None),
        ("of a cable these bytes are its compliance", {8: "04", 60: "0100"}, "wavelength_nm", None),
        ("C32", {12: "0D"}, "nominal_bit_rate_bits_per_second", 1.3e9),
        ("C33", {12: "67"}, "nominal_bit_rate_bits_per_second", 10.3e9),
        ("C34", {12: "64"}, "nominal_bit_rate_bits_per_second", 10e9),
        ("C35", {12: "00"}, "nominal_bit_rate_bits_per_second", None),
        ("C36", {12: "FF", 66: "67"}, "nominal_bit_rate_bits_per_second", 25.75e9),
        ("C37", {12: "FF", 66: "E1"}, "nominal_bit_rate_bits_per_second", 56.25e9),
        ("C38", {14: "0A64"}, "length_smf_meters", 10000.0),
        ("C39", {14: "50FF"}, "length_smf_meters", 80000.0),
        ("C40", {14: "0014"}, "length_smf_meters", 2000.0),
        ("C41", {14: "0000", 19: "1E"}, "length_om3_meters", 300.0),
        ("C42", {8: "04", 14: "0000", 18: "03"}, "cable_length_meters", 3.0),
        ("half a metre, Rev 12.4", {8: "04", 14: "0000", 18: "0005"}, "cable_length_meters", 0.5),
        ("C43", {84: "32303038 31312020"}, "date_code", "2020-08-11"),
        ("C43 lot", {84: "32303038 31312020"}, "lot_code", None),
        ("C44", {84: "39393132 33314131"}, "date_code", "2099-12-31"),
        ("C44 lot", {84: "39393132 33314131"}, "lot_code", "A1"),
        ("no such day", {84: "32303133 33312020"}, "date_code", None),
        ("C45", {20: "41434D45 204F5054 49435320 20202020"}, "vendor_name", "ACME OPTICS"),
        ("padded with 00h", {20: "41434D45 204F5054 49435300 00000000"}, "vendor_name", "ACME OPTICS"),
        ("C46", {68: "00" * 16}, "serial_number", None),
        ("C47", {37: "001C73"}, "vendor_oui", "00:1C:73"),
        ("unspecified", {37: "000000"}, "vendor_oui", None),
        ("power level 1", {64: "00"}, "max_power_watts", 1.0),
        ("power level 2", {64: "02"}, "max_power_watts", 1.5),
        ("power level 3", {64: "20"}, "max_power_watts", 2.0),
        ("power level 4 before 12.4 is reserved", {64: "40", 94: "08"}, "max_power_watts", 1.0),
        ("attenuation of a cable", {8: "04", 14: "0810"}, "attenuation_db", {"12_9ghz": 8.0, "25_8ghz": 16.0}),
        ("reserved revision", {94: "0B"}, "revision", None),
    ],
)
def test_identification(name: str, a0: Patch, key: str, want: object) -> None:
    assert decode(sfp(a0))["module"].get(key) == want, name


def test_power_level_4_has_its_own_byte() -> None:
    module = decode(sfp({64: "60", 94: "09"}, {66: "1E"}))["module"]
    assert (module["power_class"], module["max_power_watts"]) == (4, 3.0)


@pytest.mark.parametrize(
    ("a0", "media"),
    [
        ({}, "SMF"),
        ({14: "0000", 16: "3232"}, "MMF"),
        ({8: "04", 14: "0000"}, "DAC"),
        ({2: "21", 8: "08", 14: "0000"}, "ACC"),
        ({2: "23", 8: "08", 14: "0000"}, "AOC"),
        ({2: "23", 8: "08", 36: "08", 14: "0000"}, "ACC"),
        ({2: "22", 3: "00", 6: "08", 14: "0000"}, "BASE-T"),
        ({2: "22", 36: "1C", 14: "0000"}, "BASE-T"),
    ],
)
def test_media(a0: Patch, media: str) -> None:
    assert decode(sfp({3: "00", **a0}))["module"]["media"] == media


# C. Tunable lasers

TUNABLE: Patch = {64: "10", 65: "5A"}


def page_02(patch: Patch) -> bytes:
    page = bytearray(128)
    for offset, text in patch.items():
        data = bytes.fromhex(text)
        page[offset - 128 : offset - 128 + len(data)] = data
    return bytes(page)


@pytest.mark.parametrize(
    ("name", "page", "want"),
    [
        (
            "C49",
            {128: "02", 132: "00BF 1388 00C3 2328", 140: "01F4", 144: "0001"},
            {"configured_frequency_hertz": 191.5e12, "current_frequency_hertz": 191.5e12},
        ),
        (
            "C50",
            {128: "02", 132: "00BF 1388 00C3 2328", 140: "01F4", 144: "002C"},
            {"configured_frequency_hertz": 193.65e12, "min_frequency_hertz": 191.5e12},
        ),
        (
            "C51: the grid may be negative",
            {128: "02", 132: "00C4 07D0 00BF 1388", 140: "FC18", 144: "0003"},
            {
                "configured_frequency_hertz": 196.0e12,
                "min_frequency_hertz": 191.5e12,
                "max_frequency_hertz": 196.2e12,
            },
        ),
        (
            "C52: 1 GHz below the target",
            {128: "02", 132: "00BF 1388 00C3 2328", 140: "01F4", 144: "0001", 152: "FFF6"},
            {"current_frequency_hertz": 191.499e12},
        ),
        (
            "C48, C53: by wavelength, 1556.55 nm, 0.02 nm above the target",
            {128: "01", 132: "00BF 1388 00C3 2328", 140: "01F4", 146: "799B", 154: "0004"},
            {
                "configured_frequency_hertz": 299792458.0 / 1556.55e-9,
                "current_frequency_hertz": 299792458.0 / 1556.57e-9,
            },
        ),
        (
            "tuning, and not locked",
            {128: "02", 132: "00BF 1388 00C3 2328", 140: "01F4", 144: "0001", 168: "30"},
            {"tuning_in_progress": True, "wavelength_locked": False},
        ),
        (
            "there",
            {128: "02", 132: "00BF 1388 00C3 2328", 140: "01F4", 144: "0001", 168: "00"},
            {"tuning_in_progress": False, "wavelength_locked": True},
        ),
    ],
)
def test_tunable_laser(name: str, page: Patch, want: dict[str, float]) -> None:
    tunable = decode(sfp(TUNABLE, page_02=page_02(page)))["tunable"]
    assert {key: tunable[key] for key in want} == pytest.approx(want, rel=1e-12), name


def test_tunable_laser_without_its_page_is_unread() -> None:
    document = decode(sfp(TUNABLE))
    assert document["unread"] == ["tunable"]
    assert "tunable" not in document
    assert "tunable" not in decode(sfp({65: "5A"}, page_02=page_02({128: "02"})))  # no paging, no page


@pytest.mark.parametrize(("raw", "percent"), [("80", 0.0), ("7F", 99.609375)])  # C54, C55
def test_decision_threshold(raw: str, percent: float) -> None:
    assert 50.0 + f.DECISION_THRESHOLD.decode(bytes.fromhex(raw))[0] == percent


# G. Checksums, and the whole example


def test_the_example_of_the_sheet() -> None:
    document = decode(sfp(a2={96: "1900 80DD 1414 1388 1223"}))
    assert document["module"] == {
        "memory_map": "sff8472",
        "revision": "12.3",
        "identifier": 3,
        "form_factor": "SFP",
        "vendor_name": "ACME OPTICS",
        "vendor_oui": "00:11:22",
        "part_number": "AO-10GLR-31",
        "vendor_revision": "01",
        "serial_number": "AO1234567890",
        "date_code": "2024-02-29",
        "connector": "LC",
        "connector_code": 7,
        "media": "SMF",
        "wavelength_nm": 1310.0,
        "max_power_watts": 1.0,
        "power_class": 1,
        "length_smf_meters": 10000.0,
        "rx_power_type": "average",
        "calibration": "internal",
        "nominal_bit_rate_bits_per_second": 10.3e9,
        "encoding": "64B/66B",
        "encoding_code": 6,
        "compliance": ["10GBASE-LR"],
        "checksums_valid": {"base": True, "ext": True, "diagnostics": True},
    }
    assert document["thresholds"] == {
        "temperature_celsius": {"high_alarm": 75.0, "low_alarm": -5.0, "high_warning": 70.0, "low_warning": 0.0},
        "supply_voltage_volts": {"high_alarm": 3.6, "low_alarm": 3.0, "high_warning": 3.5, "low_warning": 3.1},
        "tx_bias_amperes": {"high_alarm": 0.08, "low_alarm": 0.001, "high_warning": 0.07, "low_warning": 0.002},
        "tx_power_watts": pytest.approx(
            {"high_alarm": 0.0015849, "low_alarm": 0.0001259, "high_warning": 0.0012589, "low_warning": 0.0001584}
        ),
        "rx_power_watts": pytest.approx(
            {"high_alarm": 0.0019953, "low_alarm": 0.00001, "high_warning": 0.0015849, "low_warning": 0.0000158}
        ),
    }
    assert document["values"] == {"temperature_celsius": 25.0, "supply_voltage_volts": 3.2989}
    assert document["time"] == "2023-11-14T22:13:20.000Z"
    assert (document["flags"], document["unread"], document["errors"]) == ([], [], [])
    assert "module_state" not in document


@pytest.mark.parametrize(("at", "name"), [(63, "base"), (95, "ext")])
def test_a_wrong_checksum_is_told_and_the_rest_decoded(at: int, name: str) -> None:
    document = decode(sfp({at: "55"}, {96: "1900"}))
    assert document["module"]["checksums_valid"][name] is False
    assert document["module"]["vendor_name"] == "ACME OPTICS"
    assert document["values"]["temperature_celsius"] == 25.0
    assert [error["reason"] for error in document["errors"]] == ["checksum"]


# What is not there


def test_no_second_device_saved_is_unread_not_zero() -> None:
    document = decode(sfp(diagnostics=False))
    assert document["values"] == {}
    assert document["lanes"] == []
    assert document["unread"] == [
        "temperature_celsius",
        "supply_voltage_volts",
        "tx_bias_amperes",
        "tx_power_watts",
        "rx_power_watts",
        "tx_disabled",
    ]


def test_a_module_without_diagnostics_offers_nothing() -> None:
    document = decode(sfp({92: "00", 93: "00", 94: "00"}, diagnostics=False))
    assert (document["values"], document["lanes"], document["unread"], document["thresholds"]) == ({}, [], [], {})
    # The bit alone, without a revision and without a device that answers, is a lie.
    assert decode(sfp({94: "00"}, diagnostics=False))["unread"] == []
    assert decode(sfp({94: "00"}, {96: "1900"}))["values"]["temperature_celsius"] == 25.0


@pytest.mark.parametrize("filler", ["FF", "00"])
def test_a_second_device_that_holds_nothing_is_no_reading(filler: str) -> None:
    document = decode(sfp(a2={0: filler * 256}))
    assert document["values"] == {}
    assert "temperature_celsius" in document["unread"]
    assert [error["reason"] for error in document["errors"]] == ["diagnostics_blank"]


def test_cheap_modules_have_values_and_no_thresholds() -> None:
    document = decode(sfp(a2={0: "00" * 96, 96: "1900 80DD"}))
    assert document["values"] == {"temperature_celsius": 25.0, "supply_voltage_volts": 3.2989}
    assert document["thresholds"] == {}


def test_optional_monitors_show_themselves_by_their_thresholds() -> None:
    assert "laser_temperature_celsius" not in decode(sfp(a2={106: "2D00 1900"}))["values"]
    values = decode(sfp(a2={**COOLED, 106: "2D00 1900"}))["values"]
    assert (values["laser_temperature_celsius"], values["tec_current_amperes"]) == (45.0, 0.64)
    # A laser at exactly 0 is one that is not measured; a cooler may rest.
    values = decode(sfp(a2=COOLED))["values"]
    assert "laser_temperature_celsius" not in values
    assert values["tec_current_amperes"] == 0.0
    assert "tec_current_amperes" not in decode(sfp(a2={40: "FF" * 16, 108: "1900"}))["values"]


def test_the_alarm_bytes_are_left_alone_where_another_daemon_owns_them() -> None:
    memory = sfp()
    description = identify(memory).describe(memory)
    (whole,) = description.plan().spans
    assert whole == Span(96, 22, i2c=I2C_DIAGNOSTICS)
    spans = description.plan(flags=False).spans
    assert not any(span.offset <= byte < span.end for span in spans for byte in (112, 113, 116, 117))


def test_what_is_read_at_insertion() -> None:
    chosen, memory, everything = Sff8472Map(), Memory(), sfp(TUNABLE, page_02=page_02({128: "02"}))
    asked: list[Span] = []
    while wanted := chosen.missing(memory):
        for span in wanted:
            asked.append(span)
            memory.put(span, everything.get(span) or b"")
    assert asked == [
        Span(0, 96),
        Span(0, 112, i2c=I2C_DIAGNOSTICS),
        Span(128, 14, 0x02, i2c=I2C_DIAGNOSTICS),
    ]
    description = chosen.describe(memory)
    assert description.identity_span == Span(68, 16)
    assert not description.flat
    blank = sfp({68: "20" * 16, 64: "00"})
    assert chosen.describe(blank).identity_span == Span(20, 72)  # a blank serial number tells modules apart badly
    assert chosen.describe(blank).flat
    address_change = Memory()
    address_change.put(Span(0, 96), sfp({92: "6C"}).get(Span(0, 96)) or b"")
    assert chosen.missing(address_change) == ()


def test_a_dwdm_sfp_is_believed_by_its_checksum() -> None:
    changed = bytearray(SFP_A0)
    changed[0] = 0x0B
    changed[63] = (changed[63] + 8) & 0xFF
    memory = Memory()
    memory.put(Span(0, 256), bytes(changed))
    assert decode(memory)["module"]["form_factor"] == "DWDM-SFP"
    memory.put(Span(63, 1), b"\0")
    with pytest.raises(DecodeError, match="unsupported memory map 0x0B"):
        read(memory)


@given(st.binary(max_size=256), st.binary(max_size=256), st.binary(max_size=128))
def test_any_bytes_are_a_reading(a0: bytes, a2: bytes, tuning: bytes) -> None:
    memory = Memory()
    memory.put(Span(0, 256), b"\x03" + a0[1:])
    memory.put(Span(0, 256, i2c=I2C_DIAGNOSTICS), a2)
    memory.put(Span(128, 128, 0x02, i2c=I2C_DIAGNOSTICS), tuning)
    _complete(memory)


@given(
    st.dictionaries(st.integers(1, 95), st.binary(min_size=1, max_size=1)), st.binary(min_size=128, max_size=128)
)
def test_any_bits_of_a_real_module_are_a_reading(a0: dict[int, bytes], a2: bytes) -> None:
    memory = sfp({at: byte.hex() for at, byte in a0.items()}, page_02=a2)
    memory.put(Span(0, 128, i2c=I2C_DIAGNOSTICS), a2)
    _complete(memory)


@pytest.mark.parametrize("filler", [0x00, 0xFF])
@pytest.mark.parametrize("size", [1, 64, 96, 128, 256])
def test_blank_memory_is_a_reading(filler: int, size: int) -> None:
    memory = Memory()
    memory.put(Span(0, 256), b"\x03" + bytes([filler]) * (size - 1))
    memory.put(Span(0, 256, i2c=I2C_DIAGNOSTICS), bytes([filler]) * size)
    _complete(memory)


def _complete(memory: Memory) -> None:
    document = decode(memory)
    assert document["schema"] == "opticd/reading/1"
    chosen = Sff8472Map()
    description = chosen.describe(memory)
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
not_offered = ["tx_bias_amperes", "rx_los"]
offered = ["temperature_celsius", "tx_fault"]
replace = { temperature_celsius = { offset = 120 } }
"""


def test_quirk_data_overrules_the_module() -> None:
    own = Maps(parse(OWN, name="own.toml"))
    memory = sfp({92: "20", 93: "10"}, {96: "1900", 110: "06", 120: "2800"})  # it says that it has no diagnostics
    assert own.identify(memory).missing(sfp({92: "20"}, diagnostics=False)) == (Span(0, 112, i2c=I2C_DIAGNOSTICS),)
    values = own.identify(memory).describe(memory).plan().decode_memory(memory)
    assert values.values[q.TEMPERATURE] == 40.0
    assert q.TX_BIAS not in values.lanes
    assert set(values.lane_flags) == {q.TX_FAULT}
    assert values.lane_flags[q.TX_FAULT].active == 1
    assert decode(memory)["values"] == {}


def test_a_stick_whose_fault_output_means_nothing() -> None:
    part = "4D413536 37314120 20202020 20202020"  # MA5671A
    document = decode(sfp({40: part}, {110: "06"}))
    assert document["module"]["part_number"] == "MA5671A"
    assert lane(document)["flags"] == ["rx_los"]
