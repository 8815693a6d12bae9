"""`docs/registers.md`, written from the declarations: `python -m agent.maps.document > docs/registers.md`."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from types import ModuleType
from typing import Final, cast

from agent.maps import (
    cmis_applications,
    cmis_bailly,
    cmis_coherent,
    cmis_diagnostics,
    cmis_fields,
    cmis_lasers,
    cmis_linear,
    cmis_tunable,
    cmis_vdm,
    quirks,
    sff8472_fields,
    sff8636_fields,
)
from agent.maps.registers import Bit, Confidence, Field, Kind
from agent.memory import FREEZE_CONTROL, I2C_DIAGNOSTICS, I2C_MODULE
from agent.quantities import Quantity

_HEAD: Final = """\
# Registers

Written by `python -m agent.maps.document` from the declarations in `agent/maps`; a test keeps it fresh.
Do not edit.

Numbers are decimal but pages. "Clears" means that reading the byte clears it. A mark at the end of a row says how
sure it is: no mark, two sources or more agree; **[1]**, one source only; **[?]**, sources disagree or nothing
settles it. A value with a mark is reported like any other.
"""
_COLUMNS: Final = (
    "| register | where | form | scale | advertised by | clears | sure |\n|---|---|---|---|---|---|---|"
)
_SECTIONS: Final[tuple[tuple[str, str, ModuleType], ...]] = (
    ("SFF-8472", "SFP to SFP56, Rev 12.4; A2h is the second address. Page 02h: SFF-8690.", sff8472_fields),
    ("SFF-8636", "QSFP+, QSFP28, Rev 2.11, with pages 20h and 21h.", sff8636_fields),
    ("CMIS", "OIF CMIS 3.0 to 5.3, lower memory and pages 00h, 01h, 02h, 10h, 11h.", cmis_fields),
    ("CMIS applications beyond 15", "Pages 19h and 1Ch of CMIS 5.3, by OIF CMIS 5.3 itself.", cmis_applications),
    ("CMIS diagnostics", "Pages 14h and 15h. The selector is never moved.", cmis_diagnostics),
    ("CMIS VDM", "Pages 20h-2Fh.", cmis_vdm),
    ("CMIS tunable lasers", "Pages 04h and 12h.", cmis_tunable),
    ("C-CMIS", "Coherent modules, pages 33h-35h, 3Ah, 3Bh.", cmis_coherent),
    ("ELSFP", "External laser sources, OIF-ELSFP-CMIS-01.0, pages 1Ah and 1Bh, or behind an engine.", cmis_lasers),
    ("Bailly", "The remote laser module of an engine, vendor pages B0h and B2h.", cmis_bailly),
    ("Linear optics", "Vendor pages C1h and C2h.", cmis_linear),
)  # fmt: skip
_UNITS: Final = ("celsius", "volts", "amperes", "watts", "dbm", "db", "ratio", "hertz", "meters", "seconds", "nm")


def document() -> str:
    """The whole text."""
    parts = [_HEAD]
    for title, text, module in _SECTIONS:
        rows = sorted(_declared(module), key=lambda row: (row.i2c, row.page, row.offset, row.bits[:1], row.name))
        parts.append(f"## {title}\n\n{text}\n\n{_COLUMNS}\n" + "\n".join(map(_row, rows)) + "\n")
    parts += [_observables(), _writes(), _unread(), _quirks()]
    return "\n".join(parts)


def _declared(module: ModuleType) -> list[Field]:
    found: dict[Field, None] = {}
    for name, value in vars(module).items():
        if not name.startswith("__"):
            found |= dict.fromkeys(_fields(value, 4))
    return list(found)


def _fields(value: object, depth: int) -> Iterator[Field]:
    """Every field in a value, however it is wrapped: in tuples, tables, monitors."""
    if isinstance(value, Field):
        if value.ref:
            yield value
    elif depth and isinstance(value, tuple | list):
        for one in cast("Iterable[object]", value):
            yield from _fields(one, depth - 1)
    elif depth and isinstance(value, Mapping):
        for one in cast("Mapping[object, object]", value).values():
            yield from _fields(one, depth - 1)
    elif depth and is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            yield from _fields(getattr(value, one.name), depth - 1)


def _row(row: Field) -> str:
    name = f"{row.name} thresholds" if row.bounds else row.name
    mark = "" if row.confidence is Confidence.SETTLED else f"**{row.confidence.value}**"
    note = "; ".join(filter(None, (row.note, mark)))
    cells = (
        name,
        row.ref,
        _form(row),
        _scale(row),
        _advertised(row.advertised),
        "yes" if row.latched else "",
        note,
    )
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _form(row: Field) -> str:
    many = f" x {row.lanes} lanes" if row.lanes else ""
    if row.bits:
        return f"{row.width} bit{'s' if row.width > 1 else ''}{many}"
    if row.kind in (Kind.ASCII, Kind.BYTES):
        return f"{row.length} {'characters' if row.kind is Kind.ASCII else 'bytes'}"
    return row.kind.name + (" x 4" if row.bounds else many)


def _scale(row: Field) -> str:
    if isinstance(row.subject, Quantity):
        unit = row.subject.unit.value
    else:
        unit = next((unit for unit in _UNITS if row.name.endswith(f"_{unit}")), "")
    if row.bits or row.length:
        return ""
    return f"{_number(row.lsb)} {unit}".strip() if unit or row.lsb != 1 else ""


def _number(value: Fraction) -> str:
    return (
        f"{float(value):g}" if Fraction(f"{float(value):g}") == value else f"{value.numerator}/{value.denominator}"
    )


def _advertised(bit: Bit | None) -> str:
    if bit is None:
        return ""
    device = "A2h " if bit.i2c == I2C_DIAGNOSTICS else ""
    page = f"{bit.page:02X}h " if bit.offset >= 128 and bit.i2c == I2C_MODULE else ""
    return f"{device}{page}byte {bit.offset} bit {bit.bit}"


def _observables() -> str:
    rows = [
        f"| {code} | {one.name} | {one.kind.name} | {_number(one.lsb)} {one.unit} | {'yes' * one.statistic} |"
        for code, one in sorted(cmis_vdm.OBSERVABLES.items())
    ]
    return (
        "## VDM observables\n\nBy the type code in their descriptor. Codes 100-127 are the vendor's: "
        "`custom_<code>` with the raw value, unless the quirk data names them. All others are reserved.\n\n"
        "| code | observable | form | scale | statistic |\n|---|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def _writes() -> str:
    return (
        "## What is written\n\nPage and bank select (bytes 126 and 127). With `vdm_freeze = true`, and only then, "
        f"{FREEZE_CONTROL} bit 7 as well. Nothing else, ever.\n"
    )


def _unread() -> str:
    return (
        "## Not read\n\n"
        "- CMIS pages 03h (user memory), 05h, 16h-18h, 1Dh, the rest of 19h: nothing there that this is about.\n"
        "- CMIS page 1Ch bank 0 (5.3): the 15 applications of lower memory and page 01h once more.\n"
        "- C-CMIS pages 30h-32h, 38h, 41h, 43h, 45h: what is configured, not what is measured.\n"
        "- CDB (page 9Fh and on): a command is a write.\n"
    )


def _quirks() -> str:
    rows = [f"| {row.name} | {row.text} | {row.reference} |" for row in quirks.builtin()]
    return (
        "## Quirks\n\nRows of `agent/maps/quirks.toml`; a file of the same form is read from the config.\n\n"
        "| quirk | what is odd, and how it is met | seen in |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )


if __name__ == "__main__":
    sys.stdout.write(document())
