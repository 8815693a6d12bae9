"""Who a CMIS module is: the identity part of a reading, from lower memory and pages 00h and 01h."""

from collections.abc import Mapping
from typing import Final

from agent.maps import cmis_fields as f
from agent.maps import sff8024
from agent.maps.cmis_lanes import Lanes
from agent.maps.date_code import date_and_lot
from agent.maps.registers import Field, checksum, read, read_text
from agent.memory import Memory
from agent.model import Application, Module

MEDIA_TECHNOLOGIES: Final[Mapping[int, str]] = {
    0x00: "850 nm VCSEL",
    0x01: "1310 nm VCSEL",
    0x02: "1550 nm VCSEL",
    0x03: "1310 nm FP",
    0x04: "1310 nm DFB",
    0x05: "1550 nm DFB",
    0x06: "1310 nm EML",
    0x07: "1550 nm EML",
    0x08: "Others",
    0x09: "1490 nm DFB",
    0x0A: "Copper cable unequalized",
    0x0B: "Copper cable passive equalized",
    0x0C: "Copper cable, near and far end limiting active equalizers",
    0x0D: "Copper cable, far end limiting active equalizers",
    0x0E: "Copper cable, near end limiting active equalizers",
    0x0F: "Copper cable, linear active equalizers",
    0x10: "C-band tunable laser",
    0x11: "L-band tunable laser",
    0x12: "Copper cable, near and far end linear active equalizers",
    0x13: "Copper cable, far end linear active equalizers",
    0x14: "Copper cable, near end linear active equalizers",
}  # fmt: skip
"""Page 00h byte 212; 12h-14h came with 5.3 and rest on one source."""
FAULT_CAUSES: Final[Mapping[int, str]] = {
    1: "TEC runaway",
    2: "Data memory corrupted",
    3: "Program memory corrupted",
    4: "Transmitter fault",
    5: "Receiver fault",
    6: "Temperature fault",
}  # fmt: skip
"""Byte 41; 4-6 rest on one source and are reserved up to 5.2."""

_PASSIVE_COPPER: Final = frozenset({0x0A, 0x0B})
_LINEAR_COPPER: Final = frozenset({0x0F, 0x12, 0x13, 0x14})
_ACTIVE_COPPER: Final = frozenset({0x0C, 0x0D, 0x0E}) | _LINEAR_COPPER
_ELSFP: Final = 0x22
_CPO: Final = 0x80
_LINEAR_HOST: Final = frozenset({0x20, 0x21, 0x22, 0x23, 0x74})
_LINEAR_MEDIA_SMF: Final = frozenset(range(0x8F, 0x94))
_HALF_RETIMED_HOST: Final = frozenset(range(0x90, 0x98))
_LENGTH_FACTORS: Final = (0.1, 1.0, 10.0, 100.0)
_METERS: Final = (100.0, 1000.0, 10_000.0)
"""Length of SMF: 0.1, 1 and 10 km."""


def facts(memory: Memory, identifier: int, used: list[Application]) -> Module:
    """What all modules of a kind say alike; what is unread or empty is absent."""
    module = Module(
        memory_map="cmis",
        identifier=identifier,
        form_factor=sff8024.identifier(identifier).name,
    )
    revision = memory.byte(f.REVISION.offset)
    if revision is not None:
        module["revision"] = f"{revision >> 4}.{revision & 15}"
    if used:
        module["applications"] = used
    _numbers(module, memory)
    _lengths(module, memory, revision or 0)
    _codes(module, memory)
    media = _media(memory, identifier, used)
    if media:
        module["media"] = media
    return module


def add_identity(module: Module, memory: Memory) -> None:
    """What each module says for itself: names and numbers, firmware, fault and checksums."""
    add_names(module, memory)
    date, lot = date_and_lot(f.DATE_CODE, memory)
    if date:
        module["date_code"] = date
    if lot:
        module["lot_code"] = lot
    if inactive := _pair(memory, f.INACTIVE_FIRMWARE):
        module["inactive_firmware_revision"] = inactive
    if hardware := _pair(memory, f.HARDWARE_REVISION):
        module["hardware_revision"] = hardware
    cause = memory.byte(f.FAULT_CAUSE.offset)
    if cause:
        custom = f"vendor ({cause})" if cause in range(32, 64) else f"reserved ({cause})"
        module["fault_cause"] = FAULT_CAUSES.get(cause) or custom
    sums = {name: checksum(memory, covered, at) for name, covered, at in f.CHECKSUMS}
    known = {name: good for name, good in sums.items() if good is not None}
    if known:
        module["checksums_valid"] = known


def add_lanes(module: Module, lanes: Lanes, banks: int) -> None:
    """How many lanes there are on both sides."""
    if lanes.host:
        module["host_lanes"] = len(lanes.host)
    if lanes.media:
        module["media_lanes"] = len(lanes.media)
    if banks > 1:
        module["banks"] = banks


def add_names(module: Module, memory: Memory) -> None:
    """Who made it and which one it is, with the firmware that runs: what quirks go by is among it."""
    if name := read_text(f.VENDOR_NAME, memory):
        module["vendor_name"] = name
    if part := read_text(f.PART_NUMBER, memory):
        module["part_number"] = part
    if revision := read_text(f.VENDOR_REVISION, memory):
        module["vendor_revision"] = revision
    if serial := read_text(f.SERIAL_NUMBER, memory):
        module["serial_number"] = serial
    oui = memory.get(f.VENDOR_OUI.span())
    if oui and any(oui):
        module["vendor_oui"] = oui.hex(":").upper()
    if active := _pair(memory, f.ACTIVE_FIRMWARE):
        module["firmware_revision"] = active


def _pair(memory: Memory, field: Field) -> str:
    """`major.minor`; "" for 0.0 (there is none), "Invalid" for FF.FF (an image that does not run)."""
    raw = memory.get(field.span())
    if raw is None or not any(raw):
        return ""
    return "Invalid" if raw == b"\xff\xff" else f"{raw[0]}.{raw[1]}"


def _numbers(module: Module, memory: Memory) -> None:
    raw = memory.get(f.POWER_CLASS.span())
    if raw is not None:
        module["power_class"] = f.POWER_CLASS.raw(raw)[0] + 1
    if watts := _number(memory, f.MAX_POWER):
        module["max_power_watts"] = watts
    copper = memory.byte(f.MEDIA_TECHNOLOGY.offset) in _PASSIVE_COPPER | _ACTIVE_COPPER
    if not copper and (wavelength := _number(memory, f.WAVELENGTH)):
        module["wavelength_nm"] = wavelength
        if tolerance := _number(memory, f.WAVELENGTH_TOLERANCE):
            module["wavelength_tolerance_nm"] = tolerance
    average = f.RX_POWER_AVERAGE.read(memory)
    if average is not None:
        module["rx_power_type"] = "average" if average else "oma"


def _number(memory: Memory, field: Field) -> float:
    """The only value of a field; 0 when it is unread, which is also how these say "not given"."""
    values = read(field, memory)
    return values[0] if values else 0.0


def _lengths(module: Module, memory: Memory, revision: int) -> None:
    cable = memory.byte(f.CABLE_LENGTH.offset)
    if cable:
        module["cable_length_meters"] = (cable & 0x3F) * 10 ** (cable >> 6) / 10
    smf = memory.byte(f.LENGTH_SMF.offset, f.LENGTH_SMF.page) or 0
    factors = _METERS if revision >= 0x50 else _METERS[:2]  # the code for 10 km came with 5.0
    if smf & 0x3F and smf >> 6 < len(factors):
        module["length_smf_meters"] = (smf & 0x3F) * factors[smf >> 6]
    om5, om4, om3, om2 = (_number(memory, field) for field in f.LENGTHS)
    if om5:
        module["length_om5_meters"] = om5
    if om4:
        module["length_om4_meters"] = om4
    if om3:
        module["length_om3_meters"] = om3
    if om2:
        module["length_om2_meters"] = om2


def _codes(module: Module, memory: Memory) -> None:
    connector = memory.byte(f.CONNECTOR.offset)
    if connector is not None:
        module["connector_code"] = connector
        module["connector"] = sff8024.connector(connector)
    technology = memory.byte(f.MEDIA_TECHNOLOGY.offset)
    if technology is not None:
        module["media_technology"] = MEDIA_TECHNOLOGIES.get(technology) or f"reserved (0x{technology:02X})"
        if technology in _PASSIVE_COPPER | _ACTIVE_COPPER:
            loss = {field.name: _number(memory, field) for field in f.ATTENUATION}
            if given := {name: value for name, value in loss.items() if value}:
                module["attenuation_db"] = given


def _media(memory: Memory, identifier: int, used: list[Application]) -> str:
    """What kind of medium, in one word; "" where the module does not say.

    Linear ones are known by their interface codes, never by a product name.
    """
    kind = memory.byte(f.MEDIA_TYPE.offset) or 0
    technology = memory.byte(f.MEDIA_TECHNOLOGY.offset)
    hosts = {one.get("host_interface_code", 0) for one in used}
    medias = {one.get("media_interface_code", 0) for one in used}
    if identifier == _ELSFP or memory.byte(f.FUNCTION_TYPE.offset) == 1:
        return "ELSFP"
    if identifier == _CPO:
        return "CPO"
    if kind in (3, 4) and technology in _PASSIVE_COPPER:
        return "DAC"
    if kind in (3, 4) and technology in _ACTIVE_COPPER:
        retimed = f.TX_CDR.read(memory) or f.RX_CDR.read(memory)
        return "AEC" if retimed and technology not in _LINEAR_COPPER else "ACC"
    if kind == 4:
        return "AOC"
    if hosts & _LINEAR_HOST or (kind == 2 and medias & _LINEAR_MEDIA_SMF):
        return "LPO"
    if hosts & _HALF_RETIMED_HOST:
        return "LRO"
    return {1: "MMF", 2: "SMF", 3: "DAC", 5: "BASE-T"}.get(kind, "")
