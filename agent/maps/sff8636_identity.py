"""Who an SFF-8636 module is: the identity part of a reading, from lower memory and page 00h."""

from collections.abc import Mapping
from typing import Final

from agent.maps import sff8024
from agent.maps import sff8636_fields as f
from agent.maps.date_code import date_and_lot
from agent.maps.registers import Field, read
from agent.maps.sff_common import (
    ACC,
    AOC,
    BASE_T,
    CABLES,
    DAC,
    HERTZ_PER_MEGABAUD,
    LONGER_THAN_BYTE,
    MMF,
    SMF,
    module_of,
    oui,
    text,
)
from agent.memory import Memory
from agent.model import Module, Trouble

_OLD_IDENTIFIERS: Final = (0x0C, 0x0D)
_NO_CONNECTOR: Final = 0x23
_VCSEL_850: Final = 0x0
_RJ45: Final = 0x22


def identity(
    memory: Memory, identifier: int, checksums: Mapping[str, bool | None]
) -> tuple[Module, tuple[Trouble, ...]]:
    """The module, and what is wrong with what it says."""
    revision = memory.byte(f.REVISION.offset) or 0
    old = revision < f.REVISION_SFF8636 and identifier in _OLD_IDENTIFIERS
    technology = read(f.TECHNOLOGY, memory)
    code = None if technology is None else int(technology[0])
    copper = code is not None and code >= f.COPPER
    media = _media(memory, code)
    connector, encoding = memory.byte(f.CONNECTOR.offset), memory.byte(f.ENCODING.offset)
    date_code, lot_code = date_and_lot(f.DATE_CODE, memory)
    power, watts = _power(memory, old=old)
    known = code is not None
    facts = {
        "memory_map": sff8024.SFF8636,
        "revision": f.REVISIONS[revision] if revision < len(f.REVISIONS) else None,
        "identifier": identifier,
        "form_factor": sff8024.identifier(identifier).name,
        "vendor_name": text(f.VENDOR_NAME, memory),
        "vendor_oui": oui(f.VENDOR_OUI, memory),
        "part_number": text(f.PART_NUMBER, memory),
        "vendor_revision": text(f.VENDOR_REVISION, memory),
        "serial_number": text(f.SERIAL_NUMBER, memory),
        "date_code": date_code,
        "lot_code": lot_code,
        "connector": None if connector is None else sff8024.connector(connector),
        "connector_code": connector,
        "media_technology": f.TECHNOLOGIES[code] if code is not None else None,
        "media": media,
        "wavelength_nm": _number(memory, f.WAVELENGTH) if known and not copper else None,
        "wavelength_tolerance_nm": _number(memory, f.WAVELENGTH_TOLERANCE) if known and not copper else None,
        "max_power_watts": watts,
        "power_class": power,
        **_lengths(memory, code, cable=media in CABLES),
        "attenuation_db": _attenuation(memory, code) if copper else None,
        "nominal_bit_rate_bits_per_second": _bit_rate(memory),
        "encoding": None if encoding is None else sff8024.label(sff8024.ENCODINGS_SFF8636, encoding),
        "encoding_code": encoding,
        "compliance": _compliance(memory, old=old),
        "checksums_valid": {name: valid for name, valid in checksums.items() if valid is not None},
    }
    return module_of(facts), _troubles(memory, identifier, power, watts)


def _troubles(memory: Memory, identifier: int, power: int | None, watts: float | None) -> tuple[Trouble, ...]:
    found: list[Trouble] = []
    upper = memory.byte(f.UPPER_IDENTIFIER.offset)
    if upper is not None and upper != identifier:
        found.append(
            Trouble(
                "identifier", f"page 00h byte 128 says 0x{upper:02X}, byte 0 says 0x{identifier:02X}, which counts"
            )
        )
    if power == 8 and watts is None:
        found.append(Trouble("power_class", "power class 8 without a power in byte 107"))
    return tuple(found)


def _number(memory: Memory, field: Field) -> float | None:
    """The only value of a field; None when it is unread or 0, which says "not given"."""
    values = read(field, memory)
    return (values[0] or None) if values else None


def _power(memory: Memory, *, old: bool) -> tuple[int | None, float | None]:
    declared = memory.byte(f.POWER_CLASS.offset)
    if declared is None:
        return None, None
    # Up to SFF-8436 the bits of classes 5 to 8 are reserved.
    power = power_class(declared & 0xC0 if old else declared)
    return power, f.POWER_CLASS_WATTS.get(power) or _number(memory, f.MAX_POWER)


def power_class(declared: int) -> int:
    """The power class in page 00h byte 129: bit 5 before bits 7-6 before bits 1-0."""
    if declared >> 5 & 1:
        return 8
    if declared >> 6 == 3 and declared & 3:
        return 4 + (declared & 3)
    return (declared >> 6) + 1


def _media(memory: Memory, technology: int | None) -> str | None:
    """What carries the light or the current, in a word; None where the module does not say."""
    connector = memory.byte(f.CONNECTOR.offset)
    extended = memory.byte(f.EXTENDED_COMPLIANCE.offset) or 0
    if technology is not None and technology >= f.COPPER:
        return DAC if technology < f.ACTIVE_COPPER else ACC
    if extended in sff8024.BASE_T_COMPLIANCE or connector == _RJ45:
        return BASE_T
    if connector == _NO_CONNECTOR:
        return AOC
    lengths = memory.get(f.LENGTHS.span())
    if lengths is None or technology is None:
        return None
    if lengths[0]:
        return SMF
    return MMF if technology == _VCSEL_850 or any(lengths) else None


def _lengths(memory: Memory, technology: int | None, *, cable: bool) -> dict[str, float | None]:
    data = memory.get(f.LENGTHS.span())
    if data is None:
        return {}
    smf, om3, om2, om1, om4 = (float(byte) if byte != LONGER_THAN_BYTE else 0.0 for byte in data)
    if cable:
        return {"cable_length_meters": om4 or None}
    return {
        "length_smf_meters": 1000.0 * smf or None,
        "length_om3_meters": 2.0 * om3 or None,
        "length_om2_meters": om2 or None,
        "length_om1_meters": om1 or None,
        "length_om4_meters": (2.0 * om4 or None) if technology == _VCSEL_850 else None,
    }


def _attenuation(memory: Memory, technology: int | None) -> dict[str, float]:
    fields = [field for field in f.ATTENUATION if field.offset != 145 or technology in f.ATTENUATED_AT_25_8]
    values = {field.name: _number(memory, field) for field in fields}
    return {name: value for name, value in values.items() if value is not None and value < LONGER_THAN_BYTE}


def _bit_rate(memory: Memory) -> float | None:
    nominal, fine = memory.byte(f.NOMINAL_RATE.offset), memory.byte(f.FINE_RATE.offset)
    if nominal == LONGER_THAN_BYTE:
        return 250.0 * fine * HERTZ_PER_MEGABAUD if fine else None
    return 100.0 * nominal * HERTZ_PER_MEGABAUD if nominal else None


def _compliance(memory: Memory, *, old: bool) -> list[str]:
    data = memory.get(f.COMPLIANCE.span())
    names: list[str] = []
    if data is not None:
        bits = int.from_bytes(data, "big")
        at = [at for at in range(64) if bits >> (63 - at) & 1 and (old or at != f.OTN)]
        names = [f.COMPLIANCE_NAMES[position] for position in at if f.COMPLIANCE_NAMES[position]]
    for field in (f.EXTENDED_COMPLIANCE, f.SECONDARY_COMPLIANCE):
        code = memory.byte(field.offset)
        if code and not old:
            names.append(sff8024.extended_compliance(code))
    return names
