"""The registers of SFF-8472 (Rev 9.3 to 12.4) and of page 02h of SFF-8690.

A0h is the identification EEPROM, A2h the diagnostics. Which of them a module has is `agent.maps.sff8472`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from agent import quantities as q
from agent.maps.registers import Bit, Confidence, Field, Kind
from agent.maps.sff_common import CELSIUS, HUNDRED_MICROVOLT, TENTH_MICROWATT, TWO_MICROAMPERE
from agent.memory import I2C_DIAGNOSTICS, Span
from agent.quantities import ALARM_FLAGS, BOUNDS, Flag, Quantity

# A0h: who and how.

IDENTIFIER: Final = Field("identifier", offset=0, ref="A0h, byte 0")
CONNECTOR: Final = Field("connector_code", offset=2, ref="A0h, byte 2")
COMPLIANCE: Final = Field("compliance", offset=3, length=8, kind=Kind.BYTES, ref="A0h, bytes 3-10")
ENCODING: Final = Field("encoding_code", offset=11, ref="A0h, byte 11")
NOMINAL_RATE: Final = Field(
    "nominal_bit_rate", offset=12, ref="A0h, byte 12", note="100 MBd; FFh: byte 66, 250 MBd"
)
LENGTHS: Final = Field("lengths", offset=14, length=6, kind=Kind.BYTES, ref="A0h, bytes 14-19")
VENDOR_NAME: Final = Field("vendor_name", offset=20, length=16, kind=Kind.ASCII, ref="A0h, bytes 20-35")
EXTENDED_COMPLIANCE: Final = Field("extended_compliance", offset=36, ref="A0h, byte 36")
VENDOR_OUI: Final = Field("vendor_oui", offset=37, length=3, kind=Kind.BYTES, ref="A0h, bytes 37-39")
PART_NUMBER: Final = Field("part_number", offset=40, length=16, kind=Kind.ASCII, ref="A0h, bytes 40-55")
VENDOR_REVISION: Final = Field("vendor_revision", offset=56, length=4, kind=Kind.ASCII, ref="A0h, bytes 56-59")
WAVELENGTH: Final = Field(
    "wavelength_nm", offset=60, kind=Kind.U16, ref="A0h, bytes 60-61", note="not of a cable, whose compliance it is"
)
RATE_MAX: Final = Field("rate_max", offset=66, ref="A0h, byte 66", note="the rate in 250 MBd where byte 12 is FFh")
SERIAL_NUMBER: Final = Field("serial_number", offset=68, length=16, kind=Kind.ASCII, ref="A0h, bytes 68-83")
DATE_CODE: Final = Field("date_code", offset=84, length=8, kind=Kind.ASCII, ref="A0h, bytes 84-91")
REVISION: Final = Field("revision", offset=94, ref="A0h, byte 94")

ACTIVE_COPPER_1X: Final = Bit(0, 3, 1)
CABLE_ACTIVE: Final = Bit(0, 8, 3)
CABLE_PASSIVE: Final = Bit(0, 8, 2)
BASE_T_1000: Final = Bit(0, 6, 3)
POWER_LEVEL_2: Final = Bit(0, 64, 1)
POWER_LEVEL_3: Final = Bit(0, 64, 5)
POWER_LEVEL_4: Final = Bit(0, 64, 6)
"""From Rev 12.4 on, as the bytes of A2h 56-94 that have another meaning with external calibration."""
CDR: Final = Bit(0, 64, 3)
PAGING: Final = Bit(0, 64, 4)
TUNABLE: Final = Bit(0, 65, 6)
DIAGNOSTICS: Final = Bit(0, 92, 6)
INTERNAL: Final = Bit(0, 92, 5)
EXTERNAL: Final = Bit(0, 92, 4)
RX_POWER_AVERAGE: Final = Bit(0, 92, 3)
ADDRESS_CHANGE: Final = Bit(0, 92, 2)
ALARMS: Final = Bit(0, 93, 7)
SOFT_TX_DISABLE: Final = Bit(0, 93, 6)
SOFT_TX_FAULT: Final = Bit(0, 93, 5)
SOFT_RX_LOS: Final = Bit(0, 93, 4)
EQ_FAULT: Final = Bit(0, 58, 0, I2C_DIAGNOSTICS)

REVISIONS: Final = ("", "9.3", "9.5", "10.2", "10.4", "11.0", "11.3", "11.4", "12.3", "12.4", "12.5")
REVISION_12_4: Final = 0x09

IDENTIFICATION: Final = Span(0, 96)
DIAGNOSTIC_CONSTANTS: Final = Span(0, 112, i2c=I2C_DIAGNOSTICS)
"""Thresholds and calibration; and the first values, which tell whether the optional monitors are there."""
TUNING_CONSTANTS: Final = Span(128, 14, 0x02, i2c=I2C_DIAGNOSTICS)

CHECKSUMS: Final = (
    ("base", Span(0, 63), 63),
    ("ext", Span(64, 31), 95),
    ("diagnostics", Span(0, 95, i2c=I2C_DIAGNOSTICS), 95),
)
"""Name, bytes that are added up, byte that holds the sum."""

# A2h: calibration.


def _constant(name: str, offset: int, kind: Kind, lsb: Fraction = Fraction(1)) -> Field:
    return Field(
        name, offset=offset, kind=kind, lsb=lsb, i2c=I2C_DIAGNOSTICS, advertised=EXTERNAL,
        ref=f"A2h, bytes {offset}-{offset + kind.size - 1}",
    )  # fmt: skip


RX_POWER_POLYNOMIAL: Final = tuple(
    _constant(f"rx_power_{power}", offset, Kind.F32)
    for power, offset in zip((4, 3, 2, 1, 0), range(56, 76, 4), strict=True)
)
"""Coefficients of the raw count, from its fourth power down; the result is in 0.1 uW."""


@dataclass(frozen=True, slots=True)
class Line:
    """Slope (256ths, unsigned) and offset (signed, in units of the register) of one quantity."""

    slope: Field
    offset: Field


def _line(name: str, offset: int) -> Line:
    return Line(_constant(f"{name}_slope", offset, Kind.U16), _constant(f"{name}_offset", offset + 2, Kind.S16))


# A2h: monitors.


@dataclass(frozen=True, slots=True)
class Monitor:
    """One monitored quantity, its thresholds and four flags; `line` where external calibration is linear."""

    value: Field
    thresholds: Field
    flags: tuple[Field, ...]
    line: Line | None = None

    @property
    def subject(self) -> Quantity:
        """The quantity, of which all its fields speak."""
        if not isinstance(self.value.subject, Quantity):
            raise TypeError(f"{self.value.name} is no quantity")
        return self.value.subject


def _a2h(subject: Quantity, offset: int, kind: Kind, lsb: Fraction, lanes: int) -> Field:
    return Field(
        subject, offset=offset, kind=kind, lsb=lsb, lanes=lanes, i2c=I2C_DIAGNOSTICS, advertised=DIAGNOSTICS,
        ref=f"A2h, bytes {offset}-{offset + 1}",
    )  # fmt: skip


def _flags(name: str, offset: int, bit: int, lanes: int) -> tuple[Field, ...]:
    """High, then low; warnings four bytes behind the alarms. Whether they are latched is the vendor's choice."""
    at = ((offset, bit), (offset, bit - 1), (offset + 4, bit), (offset + 4, bit - 1))
    return tuple(
        Field(
            ALARM_FLAGS[name, bound], offset=byte, bits=(place,), lanes=lanes, i2c=I2C_DIAGNOSTICS, latched=True,
            advertised=ALARMS, ref=f"A2h, byte {byte} bit {place}",
        )
        for bound, (byte, place) in zip(BOUNDS, at, strict=True)
    )  # fmt: skip


def _monitor(
    subject: Quantity,
    offset: int,
    kind: Kind,
    lsb: Fraction,
    *,
    thresholds: int,
    flags: tuple[int, int],
    lanes: int = 0,
    line: Line | None = None,
) -> Monitor:
    bounds = Field(
        subject, offset=thresholds, kind=kind, lsb=lsb, bounds=True, i2c=I2C_DIAGNOSTICS, advertised=DIAGNOSTICS,
        ref=f"A2h, bytes {thresholds}-{thresholds + 7}",
    )  # fmt: skip
    value = _a2h(subject, offset, kind, lsb, lanes)
    return Monitor(value, bounds, _flags(subject.name, *flags, lanes), line)


TEMPERATURE: Final = _monitor(
    q.TEMPERATURE, 96, Kind.S16, CELSIUS, thresholds=0, flags=(112, 7), line=_line("temperature", 84)
)
SUPPLY_VOLTAGE: Final = _monitor(
    q.SUPPLY_VOLTAGE, 98, Kind.U16, HUNDRED_MICROVOLT, thresholds=8, flags=(112, 5), line=_line("voltage", 88)
)
TX_BIAS: Final = _monitor(
    q.TX_BIAS, 100, Kind.U16, TWO_MICROAMPERE, thresholds=16, flags=(112, 3), lanes=1, line=_line("tx_bias", 76)
)
TX_POWER: Final = _monitor(
    q.TX_POWER, 102, Kind.U16, TENTH_MICROWATT, thresholds=24, flags=(112, 1), lanes=1, line=_line("tx_power", 80)
)
RX_POWER: Final = _monitor(q.RX_POWER, 104, Kind.U16, TENTH_MICROWATT, thresholds=32, flags=(113, 7), lanes=1)
LASER_TEMPERATURE: Final = _monitor(q.LASER_TEMPERATURE, 106, Kind.S16, CELSIUS, thresholds=40, flags=(113, 5))
TEC_CURRENT: Final = _monitor(
    q.TEC_CURRENT_AMPERES, 108, Kind.S16, Fraction(1, 10_000), thresholds=48, flags=(113, 3)
)
MONITORS: Final = (TEMPERATURE, SUPPLY_VOLTAGE, TX_BIAS, TX_POWER, RX_POWER)
"""All of them are there where the diagnostics are."""
LASER_MONITORS: Final = (LASER_TEMPERATURE, TEC_CURRENT)
"""Of cooled lasers, without a bit that says so; never externally calibrated."""

# A2h: status. Byte 110 is not latched.


def _status(
    subject: Flag | str, offset: int, bit: int, advertised: Bit, *, width: int = 1, note: str = ""
) -> Field:
    return Field(
        subject, offset=offset, bits=(bit,), width=width, lanes=1, i2c=I2C_DIAGNOSTICS, advertised=advertised,
        ref=f"A2h, byte {offset} bit {bit}", note=note,
    )  # fmt: skip


DATA_NOT_READY: Final = Field(
    "data_not_ready", offset=110, bits=(0,), i2c=I2C_DIAGNOSTICS, advertised=DIAGNOSTICS, ref="A2h, byte 110 bit 0"
)
TX_DISABLED: Final = _status(
    "tx_disabled", 110, 6, SOFT_TX_DISABLE, width=2, note="bit 7 the pin, bit 6 the soft control"
)
STATUS: Final = (
    TX_DISABLED,
    _status(q.TX_FAULT, 110, 2, SOFT_TX_FAULT),
    _status(q.RX_LOS, 110, 1, SOFT_RX_LOS),
    _status(q.TX_CDR_LOL, 119, 1, CDR),
    _status(q.RX_CDR_LOL, 119, 0, CDR),
)
TX_ADAPTIVE_EQ_FAULT: Final = _status(q.TX_ADAPTIVE_EQ_FAULT, 118, 4, EQ_FAULT, note="Rev 12.4")
MAX_POWER: Final = Field(
    "max_power_watts", offset=66, lsb=Fraction(1, 10), i2c=I2C_DIAGNOSTICS, ref="A2h, byte 66 (12.4)",
    note="of power level 4",
)  # fmt: skip
CLEAR_ON_READ: Final = (
    Span(112, 2, i2c=I2C_DIAGNOSTICS),
    Span(116, 2, i2c=I2C_DIAGNOSTICS),
    Span(172, 1, 0x02, i2c=I2C_DIAGNOSTICS),
)

# A2h page 02h: tunable laser (SFF-8690).


def _tuning(name: str, offset: int, kind: Kind, lsb: Fraction = Fraction(1)) -> Field:
    return Field(
        name, page=0x02, offset=offset, kind=kind, lsb=lsb, i2c=I2C_DIAGNOSTICS, advertised=TUNABLE,
        confidence=Confidence.ONE_SOURCE, ref=f"A2h page 02h, byte {offset} (SFF-8690)",
    )  # fmt: skip


TENTH_GIGAHERTZ: Final = Fraction(100_000_000)  # hertz
TERAHERTZ: Final = Fraction(1_000_000_000_000)  # hertz
TUNING_FEATURES: Final = _tuning("tuning_features", 128, Kind.U8)
FIRST_FREQUENCY: Final = (
    _tuning("first_frequency", 132, Kind.U16, TERAHERTZ),
    _tuning("first_frequency_fraction", 134, Kind.U16, TENTH_GIGAHERTZ),
)
LAST_FREQUENCY: Final = (
    _tuning("last_frequency", 136, Kind.U16, TERAHERTZ),
    _tuning("last_frequency_fraction", 138, Kind.U16, TENTH_GIGAHERTZ),
)
GRID: Final = _tuning("grid", 140, Kind.S16, TENTH_GIGAHERTZ)
CHANNEL: Final = _tuning("channel", 144, Kind.U16)
WAVELENGTH_SET: Final = _tuning("wavelength_set_nm", 146, Kind.U16, Fraction(1, 20))
FREQUENCY_ERROR: Final = _tuning("frequency_error", 152, Kind.S16, TENTH_GIGAHERTZ)
WAVELENGTH_ERROR: Final = _tuning("wavelength_error_nm", 154, Kind.S16, Fraction(1, 200))
TUNING_STATUS: Final = _tuning("tuning_status", 168, Kind.U8)
DECISION_THRESHOLD: Final = Field(
    "rx_decision_threshold", page=0x02, offset=131, kind=Kind.S8, lsb=Fraction(100, 256), i2c=I2C_DIAGNOSTICS,
    confidence=Confidence.ONE_SOURCE, ref="A2h page 02h, byte 131", note="percent around 50 %; not read",
)  # fmt: skip
TUNING_VALUES: Final = Span(144, 25, 0x02, i2c=I2C_DIAGNOSTICS)
"""Channel to status; the latched byte 172 is left to whoever wants it."""
BY_WAVELENGTH: Final = 0x01
BY_CHANNEL: Final = 0x02
"""Bits of TUNING_FEATURES: how the laser is tuned."""

# Compliance bits of A0h bytes 3-10, from bit 7 of byte 3 on; "" where reserved.
COMPLIANCE_NAMES: Final[Sequence[str]] = (
    "10GBASE-ER", "10GBASE-LRM", "10GBASE-LR", "10GBASE-SR",
    "InfiniBand 1X SX", "InfiniBand 1X LX", "InfiniBand 1X copper active", "InfiniBand 1X copper passive",
    "ESCON MMF 1310 nm LED", "ESCON SMF 1310 nm laser", "OC-192 short reach", "",
    "", "OC-48 long reach", "OC-48 intermediate reach", "OC-48 short reach",
    "", "OC-12 single mode long reach", "OC-12 single mode intermediate reach", "OC-12 short reach",
    "", "OC-3 single mode long reach", "OC-3 single mode intermediate reach", "OC-3 short reach",
    "BASE-PX", "BASE-BX10", "100BASE-FX", "100BASE-LX/LX10",
    "1000BASE-T", "1000BASE-CX", "1000BASE-LX", "1000BASE-SX",
    "FC very long distance", "FC short distance", "FC intermediate distance", "FC long distance",
    "FC medium distance", "FC shortwave linear Rx", "FC longwave laser LC", "FC electrical inter-enclosure",
    "FC electrical intra-enclosure", "FC shortwave laser without OFC", "FC shortwave laser with OFC",
    "FC longwave laser LL", "Active cable", "Passive cable", "", "",
    "FC twin axial pair", "FC twisted pair", "FC miniature coax", "FC video coax",
    "FC multimode 62.5 um", "FC multimode 50 um", "", "FC single mode",
    "1200 MB/s", "800 MB/s", "1600 MB/s", "400 MB/s", "3200 MB/s", "200 MB/s", "", "100 MB/s",
)  # fmt: skip


def fields() -> tuple[Field, ...]:
    """Every register of this map, in the order of the specification."""
    monitors = (*MONITORS, *LASER_MONITORS)
    lines = [field for m in monitors if m.line is not None for field in (m.line.slope, m.line.offset)]
    return (
        IDENTIFIER, CONNECTOR, COMPLIANCE, ENCODING, NOMINAL_RATE, LENGTHS, VENDOR_NAME, EXTENDED_COMPLIANCE,
        VENDOR_OUI, PART_NUMBER, VENDOR_REVISION, WAVELENGTH, RATE_MAX, SERIAL_NUMBER, DATE_CODE, REVISION,
        *(m.thresholds for m in monitors), *RX_POWER_POLYNOMIAL, *lines, MAX_POWER,
        *(m.value for m in monitors), DATA_NOT_READY, *STATUS, *(flag for m in monitors for flag in m.flags),
        TX_ADAPTIVE_EQ_FAULT, TUNING_FEATURES, *FIRST_FREQUENCY, *LAST_FREQUENCY, GRID, CHANNEL, WAVELENGTH_SET,
        FREQUENCY_ERROR, WAVELENGTH_ERROR, TUNING_STATUS, DECISION_THRESHOLD,
    )  # fmt: skip
