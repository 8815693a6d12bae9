"""The registers of SFF-8636 (Rev 1.3 to 2.11) and of its elder SFF-8436: lower memory, pages 00h, 03h, 20h and 21h.

Which of them a module has is `agent.maps.sff8636`.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from agent import quantities as q
from agent.maps.registers import Bit, Confidence, Field, Kind
from agent.maps.sff_common import CELSIUS, HUNDRED_MICROVOLT, TENTH_MICROWATT, TWO_MICROAMPERE
from agent.memory import Span
from agent.quantities import ALARM_FLAGS, BOUNDS, Flag, Quantity

LANES: Final = 4

# Lower memory: status and properties.

IDENTIFIER: Final = Field("identifier", offset=0, ref="byte 0")
REVISION: Final = Field("revision", offset=1, ref="byte 1")
FLAT: Final = Bit(0, 2, 2)
DATA_NOT_READY: Final = Field("data_not_ready", offset=2, bits=(0,), ref="byte 2 bit 0")
INTERRUPT_IDLE: Final = Field("interrupt_idle", offset=2, bits=(1,), ref="byte 2 bit 1", note="not read")
POWER_CONTROL: Final = Field(
    "power_control", offset=93, bits=(0, 1, 2, 3), ref="byte 93 bits 3-0",
    note="override, low power, classes 5-7 enabled, class 8 enabled; not part of a reading",
)  # fmt: skip
CDR_CONTROL: Final = Field(
    "cdr_control", offset=98, bits=(0, 4), width=4, ref="byte 98",
    note="Rx, Tx; a bit a lane; not part of a reading",
)  # fmt: skip
PROPAGATION_DELAY: Final = Field(
    "propagation_delay_seconds", offset=108, kind=Kind.U16, lsb=Fraction(1, 100_000_000), ref="bytes 108-109",
    note="not part of a reading",
)  # fmt: skip
MODSELL_WAIT: Final = Field(
    "modsell_wait_time", offset=115, bits=(0, 5), width=5, ref="byte 115",
    note="microseconds: bits 4-0 shifted left by bits 7-5; not part of a reading",
)  # fmt: skip
MAX_POWER: Final = Field(
    "max_power_watts", offset=107, lsb=Fraction(1, 10), ref="byte 107", note="of power class 8"
)
LANES_MISSING: Final = Field(
    "lanes_not_implemented", offset=113, bits=(0, 1, 2, 3), lanes=LANES, ref="byte 113 bits 3-0", note="near end"
)
SECONDARY_COMPLIANCE: Final = Field("secondary_compliance", offset=116, ref="byte 116")

# Page 00h: who and how.

UPPER_IDENTIFIER: Final = Field("upper_identifier", offset=128, ref="Page 00h, byte 128")
POWER_CLASS: Final = Field("power_class", offset=129, ref="Page 00h, byte 129")
CONNECTOR: Final = Field("connector_code", offset=130, ref="Page 00h, byte 130")
COMPLIANCE: Final = Field("compliance", offset=131, length=8, kind=Kind.BYTES, ref="Page 00h, bytes 131-138")
ENCODING: Final = Field("encoding_code", offset=139, ref="Page 00h, byte 139")
NOMINAL_RATE: Final = Field("nominal_bit_rate", offset=140, ref="Page 00h, byte 140", note="100 MBd; FFh: byte 222")
LENGTHS: Final = Field("lengths", offset=142, length=5, kind=Kind.BYTES, ref="Page 00h, bytes 142-146")
TECHNOLOGY: Final = Field("media_technology", offset=147, bits=(4,), width=4, ref="Page 00h, byte 147 bits 7-4")
VENDOR_NAME: Final = Field("vendor_name", offset=148, length=16, kind=Kind.ASCII, ref="Page 00h, bytes 148-163")
VENDOR_OUI: Final = Field("vendor_oui", offset=165, length=3, kind=Kind.BYTES, ref="Page 00h, bytes 165-167")
PART_NUMBER: Final = Field("part_number", offset=168, length=16, kind=Kind.ASCII, ref="Page 00h, bytes 168-183")
VENDOR_REVISION: Final = Field(
    "vendor_revision", offset=184, length=2, kind=Kind.ASCII, ref="Page 00h, bytes 184-185"
)
WAVELENGTH: Final = Field(
    "wavelength_nm", offset=186, kind=Kind.U16, lsb=Fraction(1, 20), ref="Page 00h, bytes 186-187"
)
WAVELENGTH_TOLERANCE: Final = Field(
    "wavelength_tolerance_nm", offset=188, kind=Kind.U16, lsb=Fraction(1, 200), ref="Page 00h, bytes 188-189"
)
ATTENUATION: Final = (
    Field("2_5ghz", offset=186, ref="Page 00h, byte 186", note="copper attenuation, dB"),
    Field("5ghz", offset=187, ref="Page 00h, byte 187", note="copper attenuation, dB"),
    Field("7ghz", offset=188, ref="Page 00h, byte 188", note="copper attenuation, dB"),
    Field("12_9ghz", offset=189, ref="Page 00h, byte 189", note="copper attenuation, dB"),
    Field("25_8ghz", offset=145, ref="Page 00h, byte 145", note="copper attenuation, dB"),
)
MAX_CASE_TEMPERATURE: Final = Field(
    "max_case_temperature_celsius", offset=190, ref="Page 00h, byte 190", note="0: 70; not part of a reading"
)
EXTENDED_COMPLIANCE: Final = Field("extended_compliance", offset=192, ref="Page 00h, byte 192")
SERIAL_NUMBER: Final = Field("serial_number", offset=196, length=16, kind=Kind.ASCII, ref="Page 00h, bytes 196-211")
DATE_CODE: Final = Field("date_code", offset=212, length=8, kind=Kind.ASCII, ref="Page 00h, bytes 212-219")
FINE_RATE: Final = Field("fine_bit_rate", offset=222, ref="Page 00h, byte 222", note="250 MBd")

EQ_FAULT: Final = Bit(0, 193, 3)
TX_LOL: Final = Bit(0, 194, 5)
RX_LOL: Final = Bit(0, 194, 4)
TX_DISABLE: Final = Bit(0, 195, 4)
TX_FAULT: Final = Bit(0, 195, 3)
TX_LOS: Final = Bit(0, 195, 1)
PARAMETERS: Final = Bit(0, 195, 0)
INITIALIZED: Final = Bit(0, 221, 4)
HAS_TEMPERATURE: Final = Bit(0, 220, 5)
HAS_SUPPLY_VOLTAGE: Final = Bit(0, 220, 4)
RX_POWER_AVERAGE: Final = Bit(0, 220, 3)
HAS_TX_POWER: Final = Bit(0, 220, 2)
CDR_TX: Final = Bit(0, 129, 3)
CDR_RX: Final = Bit(0, 129, 2)

CHECKSUMS: Final = (("base", Span(128, 63), 191), ("ext", Span(192, 31), 223))
"""Name, bytes that are added up, byte that holds the sum."""
STATUS: Final = Span(0, 3)
PROPERTIES: Final = Span(22, 96)
"""Lower memory behind the flags: what describes the module, and the first values."""
IDENTIFICATION: Final = Span(128, 96)
THRESHOLDS: Final = Span(128, 72, 0x03)
CLEAR_ON_READ: Final = (Span(3, 19), Span(128, 12, 0x20))

# Monitors.


@dataclass(frozen=True, slots=True)
class Monitor:
    """One monitored quantity, its thresholds on page 03h and its four flags."""

    value: Field
    thresholds: Field
    flags: tuple[Field, ...]

    @property
    def subject(self) -> Quantity:
        """The quantity, of which all its fields speak."""
        if not isinstance(self.value.subject, Quantity):
            raise TypeError(f"{self.value.name} is no quantity")
        return self.value.subject


_FIRST_BITS: Final = (7, 6, 5, 4)
"""Of the four flags of a quantity, in the order of `BOUNDS`; of two lanes in a byte the odd one is above."""


def _monitor(
    subject: Quantity, offset: int, kind: Kind, lsb: Fraction, *, thresholds: int, flags: int, lanes: int,
    advertised: Bit | None = None,
) -> Monitor:  # fmt: skip
    size = max(lanes, 1) * 2
    value = Field(
        subject, offset=offset, kind=kind, lsb=lsb, lanes=lanes, advertised=advertised,
        ref=f"bytes {offset}-{offset + size - 1}",
    )  # fmt: skip
    bounds = Field(
        subject, page=0x03, offset=thresholds, kind=kind, lsb=lsb, bounds=True, advertised=advertised,
        ref=f"Page 03h, bytes {thresholds}-{thresholds + 7}",
    )  # fmt: skip
    rows = tuple(
        Field(
            ALARM_FLAGS[subject.name, bound], offset=flags, bits=(at, at - 4, at + 8, at + 4) if lanes else (at,),
            lanes=lanes, latched=True, advertised=advertised, ref=f"byte {flags} bit {at}",
        )
        for bound, at in zip(BOUNDS, _FIRST_BITS, strict=True)
    )  # fmt: skip
    return Monitor(value, bounds, rows)


TEMPERATURE: Final = _monitor(
    q.TEMPERATURE, 22, Kind.S16, CELSIUS, thresholds=128, flags=6, lanes=0, advertised=HAS_TEMPERATURE
)
SUPPLY_VOLTAGE: Final = _monitor(
    q.SUPPLY_VOLTAGE, 26, Kind.U16, HUNDRED_MICROVOLT, thresholds=144, flags=7, lanes=0,
    advertised=HAS_SUPPLY_VOLTAGE,
)  # fmt: skip
RX_POWER: Final = _monitor(q.RX_POWER, 34, Kind.U16, TENTH_MICROWATT, thresholds=176, flags=9, lanes=LANES)
TX_BIAS: Final = _monitor(q.TX_BIAS, 42, Kind.U16, TWO_MICROAMPERE, thresholds=184, flags=11, lanes=LANES)
TX_POWER: Final = _monitor(
    q.TX_POWER, 50, Kind.U16, TENTH_MICROWATT, thresholds=192, flags=13, lanes=LANES, advertised=HAS_TX_POWER
)
MONITORS: Final = (TEMPERATURE, SUPPLY_VOLTAGE, RX_POWER, TX_BIAS, TX_POWER)

# Lane flags, and what is set.


def _lane_flag(flag: Flag, offset: int, first: int, advertised: Bit | None, note: str = "") -> Field:
    return Field(
        flag, offset=offset, bits=tuple(range(first, first + LANES)), lanes=LANES, latched=True,
        advertised=advertised, ref=f"byte {offset} bits {first + LANES - 1}-{first}", note=note,
    )  # fmt: skip


RX_LOS_FLAG: Final = _lane_flag(q.RX_LOS, 3, 0, None, "no bit advertises it")
LANE_FLAGS: Final = (
    _lane_flag(q.TX_LOS, 3, 4, TX_LOS),
    _lane_flag(q.TX_ADAPTIVE_EQ_FAULT, 4, 4, EQ_FAULT),
    _lane_flag(q.TX_FAULT, 4, 0, TX_FAULT),
    _lane_flag(q.TX_CDR_LOL, 5, 4, TX_LOL),
    _lane_flag(q.RX_CDR_LOL, 5, 0, RX_LOL),
)
INITIALIZED_FLAG: Final = Field(
    q.MODULE_STATE_CHANGED, offset=6, bits=(0,), latched=True, advertised=INITIALIZED, ref="byte 6 bit 0",
    note="initialization complete: set once after a reset or a power-up",
)  # fmt: skip
TX_DISABLED: Final = Field(
    "tx_disabled", offset=86, bits=(0, 1, 2, 3), lanes=LANES, advertised=TX_DISABLE, ref="byte 86 bits 3-0"
)

# Pages 20h and 21h: PAM4 and DWDM parameters.

PARAMETER_COUNT: Final = 24
PARAMETER_CONFIG: Final = Field(
    "parameter_config", page=0x20, offset=200, kind=Kind.U16, lanes=PARAMETER_COUNT, advertised=PARAMETERS,
    confidence=Confidence.ONE_SOURCE, ref="Page 20h, bytes 200-247",
)  # fmt: skip
PARAMETER_FLAGS: Final = Field(
    "parameter_flags", page=0x20, offset=128, length=12, kind=Kind.BYTES, advertised=PARAMETERS, latched=True,
    confidence=Confidence.ONE_SOURCE, ref="Page 20h, bytes 128-139",
)  # fmt: skip
PARAMETER_THRESHOLDS: Final = Span(128, 128, 0x21)
PARAMETER_VALUES: Final = Field(
    "parameter_values", page=0x20, offset=152, length=48, kind=Kind.BYTES, advertised=PARAMETERS,
    confidence=Confidence.ONE_SOURCE, ref="Page 20h, bytes 152-199",
)  # fmt: skip

REVISIONS: Final = (
    "", "SFF-8436 4.8", "SFF-8436 4.9", "1.3", "1.4", "1.5", "2.0", "2.5-2.7", "2.8-2.10",
)  # fmt: skip
"""By the code in byte 1; without a name of the specification it is SFF-8636."""
REVISION_SFF8636: Final = 3
REVISION_2_8: Final = 8
"""From here on bits advertise temperature and supply voltage."""

TECHNOLOGIES: Final = (
    "850 nm VCSEL", "1310 nm VCSEL", "1550 nm VCSEL", "1310 nm FP", "1310 nm DFB", "1550 nm DFB", "1310 nm EML",
    "1550 nm EML", "Other or undefined", "1490 nm DFB", "Copper cable, unequalized",
    "Copper cable, passive equalized", "Copper cable, near and far end limiting active equalizers",
    "Copper cable, far end limiting active equalizers", "Copper cable, near end limiting active equalizers",
    "Copper cable, linear active equalizers",
)  # fmt: skip
"""By byte 147 bits 7-4; from Ah on copper, Ch on active copper."""
COPPER: Final = 0xA
ACTIVE_COPPER: Final = 0xC
ATTENUATED_AT_25_8: Final = frozenset({0xA, 0xB, 0xD, 0xF})
"""Technologies for which byte 145 is an attenuation, not a length."""

POWER_CLASS_WATTS: Final = {1: 1.5, 2: 2.0, 3: 2.5, 4: 3.5, 5: 4.0, 6: 4.5, 7: 5.0}

# Compliance bits of page 00h bytes 131-138, from bit 7 of byte 131 on; "" where reserved.
COMPLIANCE_NAMES: Final = (
    "", "10GBASE-LRM", "10GBASE-LR", "10GBASE-SR",
    "40GBASE-CR4", "40GBASE-SR4", "40GBASE-LR4", "40G Active Cable (XLPPI)",
    "", "", "", "", "40G OTN (OTU3B/OTU3C)", "OC-48 long reach", "OC-48 intermediate reach", "OC-48 short reach",
    "SAS 24.0 Gb/s", "SAS 12.0 Gb/s", "SAS 6.0 Gb/s", "SAS 3.0 Gb/s", "", "", "", "",
    "", "", "", "", "1000BASE-T", "1000BASE-CX", "1000BASE-LX", "1000BASE-SX",
    "FC very long distance", "FC short distance", "FC intermediate distance", "FC long distance",
    "FC medium distance", "", "FC longwave laser LC", "FC electrical inter-enclosure",
    "FC electrical intra-enclosure", "FC shortwave laser without OFC", "FC shortwave laser with OFC",
    "FC longwave laser LL", "", "", "", "",
    "FC twin axial pair", "FC twisted pair", "FC miniature coax", "FC video coax",
    "FC multimode 62.5 um", "FC multimode 50 um", "FC multimode 50 um OM3", "FC single mode",
    "1200 MB/s", "800 MB/s", "1600 MB/s", "400 MB/s", "3200 MB/s", "200 MB/s", "", "100 MB/s",
)  # fmt: skip
OTN: Final = 12
"""Position of the only name that SFF-8636 took back."""


def fields() -> tuple[Field, ...]:
    """Every register of this map, in the order of the specification."""
    return (
        IDENTIFIER, REVISION, INTERRUPT_IDLE, DATA_NOT_READY, RX_LOS_FLAG, *LANE_FLAGS, INITIALIZED_FLAG,
        *(flag for m in MONITORS for flag in m.flags), *(m.value for m in MONITORS),
        TX_DISABLED, POWER_CONTROL, CDR_CONTROL, MAX_POWER, PROPAGATION_DELAY, LANES_MISSING, MODSELL_WAIT,
        SECONDARY_COMPLIANCE,
        UPPER_IDENTIFIER, POWER_CLASS, CONNECTOR, COMPLIANCE, ENCODING, NOMINAL_RATE, LENGTHS, TECHNOLOGY,
        VENDOR_NAME, VENDOR_OUI, PART_NUMBER, VENDOR_REVISION, WAVELENGTH, WAVELENGTH_TOLERANCE, *ATTENUATION,
        MAX_CASE_TEMPERATURE, EXTENDED_COMPLIANCE, SERIAL_NUMBER, DATE_CODE, FINE_RATE,
        *(m.thresholds for m in MONITORS),
        PARAMETER_FLAGS, PARAMETER_VALUES, PARAMETER_CONFIG,
    )  # fmt: skip
