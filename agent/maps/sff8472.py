"""SFF-8472: SFP, SFP+, SFP28 and later, one lane; with the tunable lasers of SFF-8690."""

from collections.abc import Iterable, Mapping
from typing import Final

from agent.errors import DecodeError
from agent.maps import sff8024
from agent.maps import sff8472_fields as f
from agent.maps.date_code import date_and_lot
from agent.maps.quirks import Effects, Quirk
from agent.maps.registers import checksum, read
from agent.maps.sff8472_diagnostics import Diagnostics, readable, since_12_4
from agent.maps.sff8690 import Tuning
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
    SffDescription,
    bit_set,
    filled,
    module_of,
    oui,
    quirks_of,
    same_thresholds,
    text,
    wrong_checksums,
)
from agent.memory import Memory, Span
from agent.model import Module

_DWDM_SFP: Final = 0x0B
_COPPER_PIGTAIL: Final = 0x21
_RJ45: Final = 0x22
_CABLE_CONNECTORS: Final = (0x0B, 0x21, 0x23)
"""Pigtails of fibre and copper, and no separable connector."""


class Sff8472Map:
    """The `agent.maps.api.MemoryMap` of SFF-8472."""

    name = sff8024.SFF8472

    def __init__(self, own: Iterable[Quirk] = ()) -> None:
        self._own_quirks = tuple(own)

    def missing(self, memory: Memory) -> tuple[Span, ...]:
        """Identification, then thresholds and calibration, then the limits of a tunable laser."""
        if f.IDENTIFICATION not in memory:
            return (f.IDENTIFICATION,)
        if not readable(memory, self._effects(_module(memory, memory.byte(0) or 0, {}))):
            return ()
        wanted = [f.DIAGNOSTIC_CONSTANTS]
        if _tunable(memory):
            wanted.append(f.TUNING_CONSTANTS)
        return tuple(span for span in wanted if span not in memory)

    def _effects(self, module: Module) -> Effects:
        return quirks_of(self._own_quirks, module)

    def describe(self, memory: Memory) -> SffDescription:
        """Works on any bytes; raises `DecodeError` without an identifier, and for a DWDM-SFP laid out otherwise."""
        identifier = memory.byte(0)
        if identifier is None:
            raise DecodeError("byte 0 of A0h is missing: nothing says what module this is")
        checksums = {name: checksum(memory, covered, at) for name, covered, at in f.CHECKSUMS}
        if identifier == _DWDM_SFP and checksums["base"] is False:
            raise DecodeError("unsupported memory map 0x0B (DWDM-SFP): its bytes are not laid out as in SFF-8472")
        module = _module(memory, identifier, checksums)
        effects = self._effects(module)
        diagnostics = Diagnostics(memory, effects)
        if diagnostics.rx_power_type is not None:
            module["rx_power_type"] = diagnostics.rx_power_type
        if diagnostics.calibration is not None:
            module["calibration"] = diagnostics.calibration
        tuning = (Tuning(memory),) if diagnostics.usable and _tunable(memory) else ()
        serial = memory.get(f.SERIAL_NUMBER.span())
        return SffDescription(
            module=module,
            thresholds=same_thresholds(diagnostics.thresholds),
            flat=not bit_set(f.PAGING, memory),
            identity_span=Span(20, 72) if filled(serial) or serial == b" " * 16 else f.SERIAL_NUMBER.span(),
            items=tuple(diagnostics.items),
            parts=tuning,
            quiet_parts=tuning,
            unread=tuple(diagnostics.unread),
            clear_on_read=f.CLEAR_ON_READ,
            errors=(
                *wrong_checksums(checksums, {"base": "A0h byte 63", "ext": "A0h byte 95"}),
                *diagnostics.errors,
            ),
            effects=effects,
        )


def _tunable(memory: Memory) -> bool:
    return bit_set(f.TUNABLE, memory) and bit_set(f.PAGING, memory)


# Identity.


def _module(memory: Memory, identifier: int, checksums: Mapping[str, bool | None]) -> Module:
    date_code, lot_code = date_and_lot(f.DATE_CODE, memory)
    connector = memory.byte(f.CONNECTOR.offset)
    encoding = memory.byte(f.ENCODING.offset)
    revision = memory.byte(f.REVISION.offset) or 0
    compliance = _compliance(memory)
    media = _media(memory)
    cable = media in CABLES
    wavelength = read(f.WAVELENGTH, memory)
    power_class, watts = _power(memory)
    return module_of(
        {
            "memory_map": sff8024.SFF8472,
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
            "media": media,
            "wavelength_nm": wavelength[0] if wavelength and wavelength[0] and not cable else None,
            "max_power_watts": watts,
            "power_class": power_class,
            **_lengths(memory, media),
            "attenuation_db": _attenuation(memory) if cable else None,
            "nominal_bit_rate_bits_per_second": _bit_rate(memory),
            "encoding": None if encoding is None else sff8024.label(sff8024.ENCODINGS_SFF8472, encoding),
            "encoding_code": encoding,
            "compliance": compliance,
            "checksums_valid": {name: valid for name, valid in checksums.items() if valid is not None},
        }
    )


def _compliance(memory: Memory) -> list[str]:
    data = memory.get(f.COMPLIANCE.span())
    names: list[str] = []
    if data is not None:
        bits = int.from_bytes(data, "big")
        names = [name for at, name in enumerate(f.COMPLIANCE_NAMES) if name and bits >> (63 - at) & 1]
    extended = memory.byte(f.EXTENDED_COMPLIANCE.offset)
    return [*names, sff8024.extended_compliance(extended)] if extended else names


def _media(memory: Memory) -> str | None:
    """What carries the light or the current, in a word; None where the module does not say."""
    extended = memory.byte(f.EXTENDED_COMPLIANCE.offset) or 0
    connector = memory.byte(f.CONNECTOR.offset)
    if bit_set(f.CABLE_PASSIVE, memory):
        return DAC
    if bit_set(f.CABLE_ACTIVE, memory) or connector in _CABLE_CONNECTORS:
        if extended in sff8024.COPPER_COMPLIANCE - sff8024.ACTIVE_COPPER_COMPLIANCE:
            return DAC
        copper = extended in sff8024.ACTIVE_COPPER_COMPLIANCE or bit_set(f.ACTIVE_COPPER_1X, memory)
        if connector == _COPPER_PIGTAIL and not bit_set(f.CABLE_ACTIVE, memory):
            return DAC
        return ACC if copper or connector == _COPPER_PIGTAIL else AOC
    if bit_set(f.BASE_T_1000, memory) or extended in sff8024.BASE_T_COMPLIANCE or connector == _RJ45:
        return BASE_T
    if extended in sff8024.COPPER_COMPLIANCE:
        return DAC
    lengths = memory.get(f.LENGTHS.span()) or b""
    if any(lengths[:2]):
        return SMF
    return MMF if any(lengths) else None


def _lengths(memory: Memory, media: str | None) -> dict[str, float | None]:
    data = memory.get(f.LENGTHS.span())
    if data is None:
        return {}
    kilometres, hectometres, om2, om1, om4, om3 = (float(b) if b != LONGER_THAN_BYTE else 0.0 for b in data)
    if media in CABLES:
        # Byte 19 adds tenths to hundreds of metres where byte 18 does not suffice (Rev 12.4).
        more = (0.1, 1.0, 10.0, 100.0)[data[5] >> 6] * (data[5] & 0x3F)
        return {"cable_length_meters": om4 or (more if data[5] != LONGER_THAN_BYTE else 0.0) or None}
    if media == BASE_T:
        return {"cable_length_meters": om4 or None}
    return {
        "length_smf_meters": 100.0 * hectometres or 1000.0 * kilometres or None,
        "length_om2_meters": 10.0 * om2 or None,
        "length_om1_meters": 10.0 * om1 or None,
        "length_om4_meters": 10.0 * om4 or None,
        "length_om3_meters": 10.0 * om3 or None,
    }


def _attenuation(memory: Memory) -> dict[str, float]:
    """Of a cable, in dB: the bytes of the single-mode lengths."""
    data = memory.get(f.LENGTHS.span())
    if data is None:
        return {}
    names = ("12_9ghz", "25_8ghz")
    return {name: float(byte) for name, byte in zip(names, data, strict=False) if 0 < byte < LONGER_THAN_BYTE}


def _bit_rate(memory: Memory) -> float | None:
    nominal, fine = memory.byte(f.NOMINAL_RATE.offset), memory.byte(f.RATE_MAX.offset)
    if nominal == LONGER_THAN_BYTE:
        return 250.0 * fine * HERTZ_PER_MEGABAUD if fine else None
    return 100.0 * nominal * HERTZ_PER_MEGABAUD if nominal else None


def _power(memory: Memory) -> tuple[int | None, float | None]:
    """Power level and what it allows, in watts."""
    if f.POWER_LEVEL_2.read(memory) is None:
        return None, None
    if bit_set(f.POWER_LEVEL_4, memory) and since_12_4(memory):
        watts = read(f.MAX_POWER, memory)
        return 4, watts[0] if watts and watts[0] else None
    if bit_set(f.POWER_LEVEL_3, memory):
        return 3, 2.0
    return (2, 1.5) if bit_set(f.POWER_LEVEL_2, memory) else (1, 1.0)
