"""The registers of CMIS 3.0 to 5.3: lower memory and pages 00h, 01h, 02h, 10h, 11h.

Offsets, scales and advertisements stand here and nowhere else; which of them a module has is `agent.maps.cmis`.
Sources: OIF CMIS 5.2 and 5.3 as restated in the fact sheet; `confidence` marks what rests on less than two sources.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from agent import quantities as q
from agent.maps.registers import LANE_BITS, LANE_NIBBLES, Bit, Confidence, Field, Kind
from agent.memory import Span
from agent.quantities import ALARM_FLAGS, ALARMED, BOUNDS, Flag, Quantity

CELSIUS: Final = Fraction(1, 256)
HUNDRED_MICROVOLT: Final = Fraction(1, 10_000)  # of a volt
TWO_MICROAMPERE: Final = Fraction(2, 1_000_000)  # of an ampere; page 01h byte 160 multiplies it
TENTH_MICROWATT: Final = Fraction(1, 10_000_000)  # of a watt
TEC_SHARE: Final = Fraction(1, 32767)
LANES_PER_BANK: Final = 8
APPSEL: Final = tuple(range(4, 8 * LANES_PER_BANK + 4, 8))
"""Upper half of a byte a lane."""

PAGED: Final = Bit(0x00, 2, 7)
"""Inverted: 1 means flat memory."""

# Lower memory: who and how.

IDENTIFIER: Final = Field("identifier", offset=0, ref="byte 0")
REVISION: Final = Field("revision", offset=1, ref="byte 1, major and minor half")
FLAT: Final = Field("flat", offset=2, bits=(7,), ref="byte 2 bit 7")
MODULE_STATE: Final = Field("module_state", offset=3, bits=(1,), width=3, ref="byte 3 bits 3-1")
ACTIVE_FIRMWARE: Final = Field("firmware_revision", offset=39, length=2, kind=Kind.BYTES, ref="bytes 39-40")
CDB_STATUS: Final = (
    Field("cdb_busy", offset=37, bits=(7, 15), ref="bytes 37-38 bit 7", note="CDB instances 1 and 2"),
    Field("cdb_failed", offset=37, bits=(6, 14), ref="bytes 37-38 bit 6", note="CDB instances 1 and 2"),
    Field("cdb_result", offset=37, bits=(0, 8), width=6, ref="bytes 37-38 bits 5-0", note="CDB instances 1 and 2"),
)
CDB_INSTANCES: Final = Field(
    "cdb_instances", page=0x01, offset=163, bits=(6,), width=2, ref="Page 01h, byte 163 bits 7-6"
)
FLAGS_SUMMARY: Final = (
    Field("flags_on_page_11", offset=4, bits=(0, 8, 16, 24), ref="bytes 4-7 bit 0", note="banks 0-3; not latched"),
    Field("flags_on_page_12", offset=4, bits=(1, 9, 17, 25), ref="bytes 4-7 bit 1", note="banks 0-3; not latched"),
    Field("flags_on_page_14", offset=4, bits=(2, 10, 18, 26), ref="bytes 4-7 bit 2", note="banks 0-3; not latched"),
    Field("flags_on_page_2c", offset=4, bits=(3, 11, 19, 27), ref="bytes 4-7 bit 3", note="banks 0-3; not latched"),
)
INTERRUPT_DEASSERTED: Final = Field("interrupt_deasserted", offset=3, bits=(0,), ref="byte 3 bit 0")
FAULT_CAUSE: Final = Field("fault_cause", offset=41, ref="byte 41")
FUNCTION_TYPE: Final = Field(
    "function_type", offset=57, ref="byte 57 (5.3)", note="1: resource module, such as an external laser source"
)
CPO_BANKS: Final = Field(
    "banks", offset=70, ref="byte 70, identifier 80h only", confidence=Confidence.ONE_SOURCE,
    note="vendor use; other modules carry unrelated data here",
)  # fmt: skip
MEDIA_TYPE: Final = Field("media_type", offset=85, ref="byte 85")
APPLICATIONS_1_8: Final = Field("applications", offset=86, length=32, kind=Kind.BYTES, ref="bytes 86-117")

# Page 00h: who.

VENDOR_NAME: Final = Field("vendor_name", offset=129, length=16, kind=Kind.ASCII, ref="Page 00h, bytes 129-144")
VENDOR_OUI: Final = Field("vendor_oui", offset=145, length=3, kind=Kind.BYTES, ref="Page 00h, bytes 145-147")
PART_NUMBER: Final = Field("part_number", offset=148, length=16, kind=Kind.ASCII, ref="Page 00h, bytes 148-163")
VENDOR_REVISION: Final = Field(
    "vendor_revision", offset=164, length=2, kind=Kind.ASCII, ref="Page 00h, bytes 164-165"
)
SERIAL_NUMBER: Final = Field("serial_number", offset=166, length=16, kind=Kind.ASCII, ref="Page 00h, bytes 166-181")
DATE_CODE: Final = Field("date_code", offset=182, length=8, kind=Kind.ASCII, ref="Page 00h, bytes 182-189")
POWER_CLASS: Final = Field("power_class", offset=200, bits=(5,), width=3, ref="Page 00h, byte 200 bits 7-5")
MAX_POWER: Final = Field("max_power_watts", offset=201, lsb=Fraction(1, 4), ref="Page 00h, byte 201")
CABLE_LENGTH: Final = Field("cable_length_meters", offset=202, ref="Page 00h, byte 202")
CONNECTOR: Final = Field("connector_code", offset=203, ref="Page 00h, byte 203")
ATTENUATION: Final = (
    Field("5ghz", offset=204, ref="Page 00h, byte 204", note="copper attenuation, dB"),
    Field("7ghz", offset=205, ref="Page 00h, byte 205", note="copper attenuation, dB"),
    Field("12_9ghz", offset=206, ref="Page 00h, byte 206", note="copper attenuation, dB"),
    Field("25_8ghz", offset=207, ref="Page 00h, byte 207", note="copper attenuation, dB"),
    Field("53_1ghz", offset=208, ref="Page 00h, byte 208 (5.3)", note="copper attenuation, dB"),
)  # fmt: skip
MEDIA_LANES_UNSUPPORTED: Final = Field(
    "media_lanes_unsupported", offset=210, bits=LANE_BITS, lanes=LANES_PER_BANK, ref="Page 00h, byte 210"
)
MEDIA_TECHNOLOGY: Final = Field("media_technology", offset=212, ref="Page 00h, byte 212")

# Page 01h: what it can.

INACTIVE_FIRMWARE: Final = Field(
    "inactive_firmware_revision", page=0x01, offset=128, length=2, kind=Kind.BYTES, ref="Page 01h, bytes 128-129"
)
HARDWARE_REVISION: Final = Field(
    "hardware_revision", page=0x01, offset=130, length=2, kind=Kind.BYTES, ref="Page 01h, bytes 130-131"
)
LENGTH_SMF: Final = Field("length_smf_meters", page=0x01, offset=132, ref="Page 01h, byte 132")
LENGTHS: Final = (
    Field("length_om5_meters", page=0x01, offset=133, lsb=Fraction(2), ref="Page 01h, byte 133"),
    Field("length_om4_meters", page=0x01, offset=134, lsb=Fraction(2), ref="Page 01h, byte 134"),
    Field("length_om3_meters", page=0x01, offset=135, lsb=Fraction(2), ref="Page 01h, byte 135"),
    Field("length_om2_meters", page=0x01, offset=136, ref="Page 01h, byte 136"),
)
WAVELENGTH: Final = Field(
    "wavelength_nm", page=0x01, offset=138, kind=Kind.U16, lsb=Fraction(1, 20), ref="Page 01h, bytes 138-139"
)
WAVELENGTH_TOLERANCE: Final = Field(
    "wavelength_tolerance_nm", page=0x01, offset=140, kind=Kind.U16, lsb=Fraction(1, 200),
    ref="Page 01h, bytes 140-141",
)  # fmt: skip
BANKS: Final = Field("banks_code", page=0x01, offset=142, bits=(0,), width=2, ref="Page 01h, byte 142 bits 1-0")
SELECT_WAIT_MANTISSA: Final = Field(
    "select_wait_mantissa", page=0x01, offset=143, bits=(0,), width=5, ref="Page 01h, byte 143 bits 4-0"
)
SELECT_WAIT_EXPONENT: Final = Field(
    "select_wait_exponent", page=0x01, offset=143, bits=(5,), width=3, ref="Page 01h, byte 143 bits 7-5",
    note="ModSelWaitTime = mantissa * 2^exponent microseconds",
)  # fmt: skip
DURATIONS: Final = (
    Field("max_duration_dp_init", page=0x01, offset=144, bits=(0,), width=4, ref="Page 01h, byte 144 bits 3-0"),
    Field("max_duration_dp_deinit", page=0x01, offset=144, bits=(4,), width=4, ref="Page 01h, byte 144 bits 7-4"),
    Field("max_duration_power_up", page=0x01, offset=167, bits=(0,), width=4, ref="Page 01h, byte 167 bits 3-0"),
    Field("max_duration_power_down", page=0x01, offset=167, bits=(4,), width=4, ref="Page 01h, byte 167 bits 7-4"),
    Field("max_duration_tx_turn_on", page=0x01, offset=168, bits=(0,), width=4, ref="Page 01h, byte 168 bits 3-0"),
    Field("max_duration_tx_turn_off", page=0x01, offset=168, bits=(4,), width=4, ref="Page 01h, byte 168 bits 7-4"),
)
DURATION_LIMITS_S: Final = (
    0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 600.0, 3000.0
)  # fmt: skip
"""Upper limit in seconds of the duration codes 0-12; 13 is longer, 14 and 15 are reserved."""
RX_POWER_AVERAGE: Final = Bit(0x01, 151, 4)
TX_BIAS_SCALE: Final = Field(
    "tx_bias_scale", page=0x01, offset=160, bits=(3,), width=2, ref="Page 01h, byte 160 bits 4-3"
)
TX_CDR: Final = Bit(0x01, 161, 0)
RX_CDR: Final = Bit(0x01, 162, 0)
MEDIA_LANE_ASSIGNMENT: Final = Field(
    "media_lane_assignment", page=0x01, offset=176, length=15, kind=Kind.BYTES, ref="Page 01h, bytes 176-190"
)
APPLICATIONS_9_15: Final = Field(
    "applications", page=0x01, offset=223, length=28, kind=Kind.BYTES, ref="Page 01h, bytes 223-250"
)

CHECKSUMS: Final = (
    ("page00", Span(128, 94, 0x00), 222),
    ("page01", Span(130, 125, 0x01), 255),  # without the firmware revision in bytes 128-129
    ("page02", Span(128, 127, 0x02), 255),
)
"""Name, bytes that are added up, byte that holds the sum."""


# Monitors: a value, its thresholds on page 02h, its four flags.


@dataclass(frozen=True, slots=True)
class Monitor:
    """One monitored quantity. `chosen` is the bit, and its value, that gives the register this meaning."""

    value: Field
    thresholds: Field
    flags: tuple[Field, ...]
    chosen: tuple[Bit, bool] | None = None
    optional: bool = False
    """Page 01h says what it measures: without that page it means nothing."""

    def renamed(self, subject: Quantity) -> "Monitor":
        """The same registers under another name, for a second monitor of the same quantity."""
        flags = zip(self.flags, BOUNDS, strict=True)
        return Monitor(
            replace(self.value, subject=subject),
            replace(self.thresholds, subject=subject),
            tuple(replace(flag, subject=ALARM_FLAGS[subject.name, bound]) for flag, bound in flags),
            self.chosen,
            self.optional,
        )


def _module_monitor(
    value: Field, *, thresholds: int, flags: tuple[int, int], register: str, chosen: tuple[Bit, bool] | None = None
) -> Monitor:
    """`flags`: byte of the flags and bit of the first; `register` names them where the quantity cannot."""
    name = value.subject.name if isinstance(value.subject, Quantity) else register
    name = name if name in ALARMED else register
    byte, bit = flags
    return Monitor(
        value,
        _thresholds(value, thresholds),
        tuple(
            Field(
                ALARM_FLAGS[name, bound], offset=byte, bits=(bit + at,), latched=True, advertised=value.advertised,
                ref=f"byte {byte} bit {bit + at}",
            )
            for at, bound in enumerate(BOUNDS)
        ),
        chosen,
        optional=register.startswith("aux") or register == "custom",
    )  # fmt: skip


def _lane_monitor(value: Field, *, thresholds: int, flags: int) -> Monitor:
    """`flags` is the byte of the first of its four flags, a bit a lane each."""
    rows = enumerate(BOUNDS, flags)
    return Monitor(
        value,
        _thresholds(value, thresholds),
        tuple(_lane_flag(ALARM_FLAGS[_name(value), bound], byte, value.advertised) for byte, bound in rows),
    )


def _name(value: Field) -> str:
    return value.subject.name if isinstance(value.subject, Quantity) else value.name


def _thresholds(value: Field, offset: int) -> Field:
    return replace(
        value, page=0x02, offset=offset, bounds=True, lanes=0, banked=False, latched=False,
        ref=f"Page 02h, bytes {offset}-{offset + 7}",
    )  # fmt: skip


def _lane_flag(flag: Flag, offset: int, advertised: Bit | None) -> Field:
    return Field(
        flag, page=0x11, offset=offset, bits=LANE_BITS, lanes=LANES_PER_BANK, banked=True, latched=True,
        advertised=advertised, ref=f"Page 11h, byte {offset}",
    )  # fmt: skip


def _word(subject: Quantity, offset: int, kind: Kind, lsb: Fraction, bit: int) -> Field:
    """A monitor in lower memory; page 01h byte 159 advertises it."""
    return Field(
        subject, offset=offset, kind=kind, lsb=lsb, advertised=Bit(0x01, 159, bit),
        ref=f"bytes {offset}-{offset + 1}",
    )  # fmt: skip


def _lane_words(subject: Quantity, offset: int, lsb: Fraction, bit: int) -> Field:
    """A monitor of each lane; page 01h byte 160 advertises it."""
    return Field(
        subject, page=0x11, offset=offset, kind=Kind.U16, lsb=lsb, lanes=LANES_PER_BANK, banked=True,
        advertised=Bit(0x01, 160, bit), ref=f"Page 11h, bytes {offset}-{offset + 15}",
    )  # fmt: skip


TEMPERATURE: Final = _word(q.TEMPERATURE, 14, Kind.S16, CELSIUS, 0)
SUPPLY_VOLTAGE: Final = _word(q.SUPPLY_VOLTAGE, 16, Kind.U16, HUNDRED_MICROVOLT, 1)
AUX1_TEC: Final = _word(q.TEC_CURRENT, 18, Kind.S16, TEC_SHARE, 2)
AUX1: Final = _word(q.AUX1, 18, Kind.S16, Fraction(1), 2)
AUX2_LASER: Final = _word(q.LASER_TEMPERATURE, 20, Kind.S16, CELSIUS, 3)
AUX2_TEC: Final = _word(q.TEC_CURRENT, 20, Kind.S16, TEC_SHARE, 3)
AUX3_LASER: Final = _word(q.LASER_TEMPERATURE, 22, Kind.S16, CELSIUS, 4)
AUX3_SUPPLY: Final = _word(q.AUX_SUPPLY_VOLTAGE, 22, Kind.U16, HUNDRED_MICROVOLT, 4)
CUSTOM: Final = _word(q.CUSTOM, 24, Kind.S16, Fraction(1), 5)
TX_POWER: Final = _lane_words(q.TX_POWER, 154, TENTH_MICROWATT, 1)
TX_BIAS: Final = _lane_words(q.TX_BIAS, 170, TWO_MICROAMPERE, 0)
RX_POWER: Final = _lane_words(q.RX_POWER, 186, TENTH_MICROWATT, 2)

_AUX1_IS_TEC: Final = Bit(0x01, 145, 0)
_AUX2_IS_TEC: Final = Bit(0x01, 145, 1)
_AUX3_IS_SUPPLY: Final = Bit(0x01, 145, 2)

MODULE_MONITORS: Final = (
    _module_monitor(TEMPERATURE, thresholds=128, flags=(9, 0), register="temperature"),
    _module_monitor(SUPPLY_VOLTAGE, thresholds=136, flags=(9, 4), register="supply_voltage"),
    _module_monitor(AUX1_TEC, thresholds=144, flags=(10, 0), register="aux1", chosen=(_AUX1_IS_TEC, True)),
    _module_monitor(AUX1, thresholds=144, flags=(10, 0), register="aux1", chosen=(_AUX1_IS_TEC, False)),
    _module_monitor(AUX2_LASER, thresholds=152, flags=(10, 4), register="aux2", chosen=(_AUX2_IS_TEC, False)),
    _module_monitor(AUX2_TEC, thresholds=152, flags=(10, 4), register="aux2", chosen=(_AUX2_IS_TEC, True)),
    _module_monitor(AUX3_LASER, thresholds=160, flags=(11, 0), register="aux3", chosen=(_AUX3_IS_SUPPLY, False)),
    _module_monitor(AUX3_SUPPLY, thresholds=160, flags=(11, 0), register="aux3", chosen=(_AUX3_IS_SUPPLY, True)),
    _module_monitor(CUSTOM, thresholds=168, flags=(11, 4), register="custom"),
)
TX_POWER_MONITOR: Final = _lane_monitor(TX_POWER, thresholds=176, flags=139)
TX_BIAS_MONITOR: Final = _lane_monitor(TX_BIAS, thresholds=184, flags=143)
RX_POWER_MONITOR: Final = _lane_monitor(RX_POWER, thresholds=192, flags=149)

SECOND: Final = {q.TEC_CURRENT: q.SECOND_TEC_CURRENT, q.LASER_TEMPERATURE: q.SECOND_LASER_TEMPERATURE}
"""What a second monitor of a quantity is called (aux1 and aux2 both the TEC, aux2 and aux3 both the laser)."""

MODULE_FLAGS: Final = (
    Field(q.MODULE_STATE_CHANGED, offset=8, bits=(0,), latched=True, ref="byte 8 bit 0"),
    Field(q.MODULE_FIRMWARE_ERROR, offset=8, bits=(1,), latched=True, ref="byte 8 bit 1"),
    Field(q.DATA_PATH_FIRMWARE_ERROR, offset=8, bits=(2,), latched=True, ref="byte 8 bit 2"),
)
HOST_LANE_FLAGS: Final = (
    _lane_flag(q.DATA_PATH_STATE_CHANGED, 134, None),
    _lane_flag(q.TX_LOS, 136, Bit(0x01, 157, 1)),
    _lane_flag(q.TX_CDR_LOL, 137, Bit(0x01, 157, 2)),
    _lane_flag(q.TX_ADAPTIVE_EQ_FAULT, 138, Bit(0x01, 157, 3)),
)
MEDIA_LANE_FLAGS: Final = (
    _lane_flag(q.TX_FAULT, 135, Bit(0x01, 157, 0)),
    _lane_flag(q.RX_LOS, 147, Bit(0x01, 158, 1)),
    _lane_flag(q.RX_CDR_LOL, 148, Bit(0x01, 158, 2)),
)

# What is set, and what state the lanes are in.

TX_DISABLED: Final = Field(
    "tx_disabled", page=0x10, offset=130, bits=LANE_BITS, lanes=LANES_PER_BANK, banked=True,
    advertised=Bit(0x01, 155, 1), ref="Page 10h, byte 130", note="media lanes",
)  # fmt: skip
DATA_PATH_STATES: Final = Field(
    "data_path_states", page=0x11, offset=128, bits=LANE_NIBBLES, width=4, lanes=LANES_PER_BANK, banked=True,
    ref="Page 11h, bytes 128-131", note="host lanes",
)  # fmt: skip
LANE_APPLICATIONS: Final = Field(
    "lane_applications", page=0x11, offset=206, bits=APPSEL, width=4, lanes=LANES_PER_BANK, banked=True,
    ref="Page 11h, bytes 206-213 bits 7-4", note="AppSel of the active set, host lanes",
)  # fmt: skip
DATA_PATH_IDS: Final = Field(
    "data_path_ids", page=0x11, offset=206, bits=tuple(at - 3 for at in APPSEL), width=3, lanes=LANES_PER_BANK,
    banked=True, ref="Page 11h, bytes 206-213 bits 3-1", note="first lane of the data path, from 0",
)  # fmt: skip
EXPLICIT_CONTROLS: Final = Field(
    "explicit_controls", page=0x11, offset=206, bits=tuple(at - 4 for at in APPSEL), lanes=LANES_PER_BANK,
    banked=True, ref="Page 11h, bytes 206-213 bit 0",
)  # fmt: skip
CONFIG_STATUS: Final = Field(
    "config_status", page=0x11, offset=202, bits=LANE_NIBBLES, width=4, lanes=LANES_PER_BANK, banked=True,
    ref="Page 11h, bytes 202-205", note="1 success, 12 in progress",
)  # fmt: skip
STAGED_APPLICATIONS: Final = Field(
    "lane_applications", page=0x10, offset=145, bits=APPSEL, width=4, lanes=LANES_PER_BANK, banked=True,
    ref="Page 10h, bytes 145-152 bits 7-4", note="staged set 0; used where a module does not report its active set",
)  # fmt: skip


def clear_on_read(banks: Sequence[int]) -> list[Span]:
    """Every byte of these pages that reading clears."""
    return [Span(8, 6), *(Span(134, 20, 0x11, bank) for bank in banks)]


def refresh_windows(banks: Sequence[int]) -> list[Span]:
    """What a refresh reads of lower memory and of page 11h: one read each."""
    return [Span(3, 29), *(Span(134, 76, 0x11, bank) for bank in banks)]


def fields() -> tuple[Field, ...]:
    """Every register declared here, in order of page and offset."""
    rows = [value for value in globals().values() if isinstance(value, Field)]
    rows += [*ATTENUATION, *LENGTHS, *DURATIONS, *CDB_STATUS, *FLAGS_SUMMARY]
    rows += [*MODULE_FLAGS, *HOST_LANE_FLAGS, *MEDIA_LANE_FLAGS]
    for monitor in (*MODULE_MONITORS, TX_POWER_MONITOR, TX_BIAS_MONITOR, RX_POWER_MONITOR):
        rows += [monitor.thresholds, *monitor.flags]
    return tuple(sorted(rows, key=lambda row: (row.page, row.offset, row.bits[:1])))
