"""Recordings of SNMP agents in the format of snmpsim: one `OID|tag|value` a line, sorted by OID.

The tag is the ASN.1 type's number; `4x` is an OCTET STRING in hex. Nothing here knows how opticd reads SNMP.
"""

from pathlib import Path
from typing import Final, NamedTuple

INTEGER, OCTET_STRING, NULL, OID = 2, 4, 5, 6
IP_ADDRESS, COUNTER32, GAUGE32, TIMETICKS, OPAQUE, COUNTER64 = 64, 65, 66, 67, 68, 70
_NUMBERS: Final = frozenset((INTEGER, COUNTER32, GAUGE32, TIMETICKS, COUNTER64))


class Row(NamedTuple):
    """One variable: `value` is an int for the number types, a tuple for an OID, else bytes."""

    oid: tuple[int, ...]
    tag: int
    value: int | bytes | tuple[int, ...]


def parse_oid(text: str) -> tuple[int, ...]:
    """A dotted OID."""
    return tuple(int(part) for part in text.strip(".").split("."))


def _row(line: str) -> Row:
    oid, kind, text = line.split("|", 2)
    hexadecimal = kind.endswith("x")
    tag = int(kind.rstrip("x"))
    if tag in _NUMBERS:
        return Row(parse_oid(oid), tag, int(text))
    if tag == OID:
        return Row(parse_oid(oid), tag, parse_oid(text))
    if tag == IP_ADDRESS and not hexadecimal:
        return Row(parse_oid(oid), tag, bytes(parse_oid(text)))
    return Row(parse_oid(oid), tag, bytes.fromhex(text) if hexadecimal else text.encode("latin-1"))


def load(path: Path) -> list[Row]:
    """All rows of a recording, by OID. Raises ValueError with the line that is wrong."""
    rows: list[Row] = []
    for number, line in enumerate(path.read_text(encoding="latin-1").split("\n"), 1):
        if line.strip():
            try:
                rows.append(_row(line.rstrip("\r")))
            except ValueError as exc:
                raise ValueError(f"{path.name}:{number}: {exc}") from exc
    rows.sort(key=lambda row: row.oid)
    return rows
