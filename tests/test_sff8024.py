"""The code tables of SFF-8024: literals, and the whole sheet where it is at hand."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.maps import sff8024


@pytest.mark.parametrize(
    ("code", "memory_map", "lanes"),
    [
        (0x03, "sff8472", 1),
        (0x0C, "sff8636", 4),
        (0x0D, "sff8636", 4),
        (0x11, "sff8636", 4),
        (0x18, "cmis", 8),
        (0x19, "cmis", 8),
        (0x1B, "cmis", 2),
        (0x1E, "cmis", 4),
        (0x1F, "cmis", 2),
        (0x20, "cmis", 1),
        (0x21, "cmis", 16),
        (0x22, "cmis", 0),
        (0x80, "cmis", 0),
        (0x91, "sff8636", 4),
        (0x06, "", 1),  # XFP
        (0x1A, "", 2),  # SFP-DD MIS looks like CMIS and is not
        (0x7B, "", 0),  # nobody's
    ],
)
def test_identifier_names_the_memory_map(code: int, memory_map: str, lanes: int) -> None:
    found = sff8024.identifier(code)
    assert (found.memory_map, found.lanes) == (memory_map, lanes)
    assert found.name


def test_codes_without_a_name_are_called_what_they_are() -> None:
    assert sff8024.identifier(0x7B).name == "reserved (0x7B)"
    assert sff8024.identifier(0xE0).name == "vendor (0xE0)"
    assert sff8024.connector(0x0E) == "reserved (0x0E)"
    assert sff8024.connector(0x80) == "vendor (0x80)"
    assert sff8024.extended_compliance(0xFE) == "reserved (0xFE)"
    assert sff8024.host_interface(0xC5).name == "vendor (0xC5)"
    assert sff8024.media_interface(2, 0x25).name == "reserved (0x25)"
    assert sff8024.media_interface(0x40, 7).name == "reserved (0x07)"


def test_encodings_differ_between_the_families() -> None:
    assert sff8024.ENCODINGS_SFF8472[6] == "64B/66B"
    assert sff8024.ENCODINGS_SFF8636[5] == "64B/66B"
    assert sff8024.ENCODINGS_SFF8636[6] == "Manchester"


def test_interfaces() -> None:
    host = sff8024.host_interface(0x4F)
    assert (host.name, host.lanes, host.modulation) == ("400GAUI-4-S C2M (Annex 120G)", (4,), "PAM4")
    assert sff8024.media_interface(1, 0x0E).name == "200GBASE-SR4 (Cl 138)"
    assert sff8024.media_interface(2, 0x1C).lanes == (4,)
    assert sff8024.media_interface(3, 1).name == "Copper cable"
    assert sff8024.media_interface(4, 3).name == "Active cable, BER < 2.6e-4"
    assert sff8024.media_interface(5, 4).name == "10GBASE-T (Cl 55)"


def _names(table: Mapping[int, sff8024.Interface]) -> Mapping[int, str]:
    return {code: interface.name for code, interface in table.items()}


TABLES: Mapping[int, Mapping[int, str]] = {
    1: {code: known.name for code, known in sff8024.IDENTIFIERS.items()},
    2: sff8024.CONNECTORS,
    3: sff8024.ENCODINGS_SFF8472,
    4: sff8024.EXTENDED_COMPLIANCE,
    6: _names(sff8024.HOST_INTERFACES),
    7: _names(sff8024.MMF_INTERFACES),
    8: _names(sff8024.SMF_INTERFACES),
    9: _names(sff8024.PASSIVE_COPPER_INTERFACES),
    10: _names(sff8024.ACTIVE_CABLE_INTERFACES),
    11: _names(sff8024.BASE_T_INTERFACES),
}
NOT_INTERFACES = {(6, 0xBF), (6, 0xFF)}
"""Codes of the host table that escape from or end the list."""


@pytest.mark.parametrize("number", TABLES)
def test_every_code_of_the_sheet_is_here(number: int, shared_data: Path) -> None:
    sheet = (shared_data.parent / "spec" / "sff8024.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", sheet, flags=re.MULTILINE)[number]
    rows = re.findall(r"^\| (\d+) \| (0x[0-9A-F]{2}) \| (.+?) \|", section, flags=re.MULTILINE)
    assert len(rows) > 3
    for code, as_hex, name in rows:
        assert int(code) == int(as_hex, 16)
        if (number, int(code)) in NOT_INTERFACES:
            continue
        ours = TABLES[number][int(code)]
        if number > 2:  # identifiers and connectors are named as other tools name them
            assert _plain(ours) == _plain(name)
    extra = TABLES[number].keys() - {int(code) for code, _, _ in rows}
    assert not extra


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9.<=+]", "", name.lower().replace(" (non-standard)", ""))
