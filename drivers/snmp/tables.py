"""The standard tables of a device: interfaces (IF-MIB) and physical entities (ENTITY-MIB), joined and searched."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from drivers.snmp import ber
from drivers.snmp.ber import Oid, Value
from drivers.snmp.errors import Malformed
from drivers.snmp.units import signed

Column = Mapping[Oid, Value]
"""Values by index."""

IF_ENTRY: Final = (1, 3, 6, 1, 2, 1, 2, 2, 1)
IFX_ENTRY: Final = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)
ENTITY_ENTRY: Final = (1, 3, 6, 1, 2, 1, 47, 1, 1, 1, 1)
ALIAS_MAPPING: Final = (1, 3, 6, 1, 2, 1, 47, 1, 3, 2, 1, 2)

IF_DESCR: Final = (*IF_ENTRY, 2)
IF_TYPE: Final = (*IF_ENTRY, 3)
IF_ADMIN: Final = (*IF_ENTRY, 7)
IF_OPER: Final = (*IF_ENTRY, 8)
IF_LAST_CHANGE: Final = (*IF_ENTRY, 9)
IF_NAME: Final = (*IFX_ENTRY, 1)
IF_HIGH_SPEED: Final = (*IFX_ENTRY, 15)
IF_CONNECTOR: Final = (*IFX_ENTRY, 17)
IF_ALIAS: Final = (*IFX_ENTRY, 18)
ENTITY_TEXTS: Final = {"descr": 2, "name": 7, "serial": 11, "vendor": 12, "model": 13}
CONTAINED_IN: Final = (*ENTITY_ENTRY, 4)
ENTITY_CLASS: Final = (*ENTITY_ENTRY, 5)

WHOLE_DEVICE: Final = frozenset((3, 11))
"""entPhysicalClass of a chassis and of a stack: what stands there belongs to no single port."""
PORT: Final = 10
"""entPhysicalClass of a port."""
_TRANSCEIVER: Final = re.compile(
    r"\b(q?sfp(-?dd|\+|\d+)?|osfp|xfp|cfp\d?|cpak|xenpak|gbic)\b|transceiver|\d+g?base-?\w", re.IGNORECASE
)
_ETHERNET: Final = frozenset((6, 62, 69, 117))
_MAX_DEPTH: Final = 12
_SPLIT: Final = re.compile(r"([A-Za-z]{2,})[ -]?(\d+(?:[/:.]\d+)+)")
_LONG: Final = re.compile(r"ethernet|gig", re.IGNORECASE)
_TOKEN: Final = re.compile(r"(?:[A-Za-z][A-Za-z_-]*[ -]?\d+(?:[/:.s]\d+)*|\d+(?:[/:]\d+)+)(?![A-Za-z0-9])")


class Tables:
    """The columns that were walked; one that was not, or that the device does not have, is empty."""

    def __init__(self, columns: Mapping[Oid, Column]) -> None:
        self._columns = columns

    def __getitem__(self, column: Oid) -> Column:
        return self._columns.get(column, {})

    def number(self, column: Oid, row: Oid) -> int | None:
        """An Integer32, also one that the agent writes as text or as unsigned."""
        value = self._columns.get(column, {}).get(row)
        if isinstance(value, bytes):
            text = clean(value)
            return int(text) if re.fullmatch(r"[+-]?\d+", text) else None
        return None if value is None else signed(value)

    def text(self, column: Oid, row: Oid) -> str:
        """A text without padding; empty when there is none."""
        value = self._columns.get(column, {}).get(row)
        return clean(value) if isinstance(value, bytes) else ("" if value is None else str(value))


def clean(value: bytes) -> str:
    """Printable text of an octet string: agents pad with blanks and NULs, quote, and mix character sets."""
    text = value.partition(b"\0")[0].decode("utf-8", "replace")
    text = "".join(char for char in text if char.isprintable()).strip().strip('"').strip()
    return "" if text.lower() in {"n/a", "na", "none", "unknown", "not available", "-"} else text


@dataclass(frozen=True, slots=True)
class Interface:
    """One row of ifTable and ifXTable, what does not change every minute."""

    index: int
    name: str
    descr: str
    alias: str
    kind: int
    speed_bits_per_second: float
    connector: bool | None

    @property
    def physical(self) -> bool:
        """An Ethernet port that one can plug something in."""
        return self.kind in _ETHERNET and self.connector is not False


class Interfaces:
    """The interfaces of a device by index and by any of their names."""

    def __init__(self, tables: Tables) -> None:
        rows = {*tables[IF_DESCR], *tables[IF_NAME], *tables[IF_TYPE]}
        self.by_index = {row[0]: _interface(tables, row) for row in sorted(rows) if len(row) == 1}
        self._by_name: dict[str, int] = {}
        for interface in self.by_index.values():
            for name in (interface.name, interface.descr):
                self._by_name.setdefault(_key(name), interface.index)
        self._by_name.pop("", None)
        self._by_place: dict[str, list[tuple[str, int]]] = {}
        for name, index in self._by_name.items():
            if split := _SPLIT.fullmatch(name):
                self._by_place.setdefault(split[2], []).append((split[1].lower(), index))

    def __iter__(self) -> Iterator[Interface]:
        return iter(self.by_index.values())

    def named(self, name: str) -> int | None:
        """IfIndex of the interface with this ifName or ifDescr."""
        return self._by_name.get(_key(name))

    def abbreviated(self, name: str) -> int | None:
        """IfIndex of the one Ethernet interface that this name shortens or spells out: Te1/1/1, Eth1/1."""
        split = _SPLIT.fullmatch(_key(name))
        if split is None:
            return None
        word = split[1].lower()
        found = {
            index
            for other, index in self._by_place.get(split[2], ())
            if (other.startswith(word) or word.startswith(other)) and _LONG.search(max(other, word, key=len))
        }
        return found.pop() if len(found) == 1 else None

    def matching(self, pattern: str) -> int | None:
        """IfIndex of the first interface whose whole name matches."""
        compiled = re.compile(pattern)
        return next((i.index for i in self if compiled.fullmatch(i.name) or compiled.fullmatch(i.descr)), None)

    def in_text(self, text: str) -> tuple[int, int] | None:
        """IfIndex of the interface that a text names, and the lane when a lane number hangs on the name.

        The longest name counts, delimited on both sides: `Ethernet1` is not in `Ethernet10`.
        """
        for token in _TOKEN.findall(text):
            candidate: str = token
            if (index := self.named(candidate)) is not None:
                return index, 0
            head, _, lane = candidate.rpartition("/")
            if lane.isdigit() and re.search("[A-Za-z/:]", head) and (index := self.named(head)) is not None:
                return index, int(lane)
            if (index := self.abbreviated(candidate)) is not None:
                return index, 0
        return None


def _key(name: str) -> str:
    return name.strip()


def _interface(tables: Tables, row: Oid) -> Interface:
    descr = tables.text(IF_DESCR, row)
    connector = tables.number(IF_CONNECTOR, row)
    return Interface(
        index=row[0],
        name=tables.text(IF_NAME, row) or descr or f"ifIndex {row[0]}",
        descr=descr,
        alias=tables.text(IF_ALIAS, row),
        kind=tables.number(IF_TYPE, row) or 0,
        speed_bits_per_second=(tables.number(IF_HIGH_SPEED, row) or 0) * 1e6,
        connector=None if connector is None else connector == 1,
    )


class Entities:
    """entPhysicalTable as a tree, with the interfaces that entAliasMappingTable gives its nodes."""

    def __init__(self, tables: Tables, interfaces: Interfaces) -> None:
        self._tables = tables
        self._interfaces = interfaces
        self._parent = {
            row[0]: value for row, value in tables[CONTAINED_IN].items() if len(row) == 1 and isinstance(value, int)
        }
        self._alias: dict[int, int] = {}
        for row, value in tables[ALIAS_MAPPING].items():
            if isinstance(value, bytes) and row and (index := _if_index(value)):
                self._alias.setdefault(row[0], index)

    @property
    def indexes(self) -> list[int]:
        """Every entity, in order."""
        rows = {*self._tables[(*ENTITY_ENTRY, 2)], *self._tables[(*ENTITY_ENTRY, 7)], *self._tables[CONTAINED_IN]}
        return sorted(row[0] for row in rows if len(row) == 1)

    def text(self, entity: int, column: str) -> str:
        """`descr`, `name`, `serial`, `vendor` or `model` of an entity."""
        return self._tables.text((*ENTITY_ENTRY, ENTITY_TEXTS[column]), (entity,))

    def kind(self, entity: int) -> int:
        """entPhysicalClass, 0 when unknown."""
        return self._tables.number(ENTITY_CLASS, (entity,)) or 0

    def is_transceiver(self, entity: int) -> bool:
        """Whether its texts say that it is pluggable."""
        return any(_TRANSCEIVER.search(self.text(entity, column)) for column in ("descr", "name", "model"))

    def parent(self, entity: int) -> int:
        """The entity that holds this one, 0 when none is known."""
        return self._parent.get(entity, 0)

    def path(self, entity: int) -> Iterator[int]:
        """The entity and those that hold it; ends at a hole, a loop, or after a bounded climb."""
        seen: set[int] = set()
        while entity and entity not in seen and len(seen) < _MAX_DEPTH:
            seen.add(entity)
            yield entity
            entity = self._parent.get(entity, 0)

    def interface(self, entity: int) -> int | None:
        """IfIndex by alias mapping or by a name on the way up."""
        path = [step for step in self.path(entity) if self.kind(step) not in WHOLE_DEVICE]
        for step in path:
            if (index := self._alias.get(step)) is not None:
                return index
        for step in path:
            for column in ("name", "descr"):
                if (text := self.text(step, column)) and (index := self._interfaces.named(text)) is not None:
                    return index
        return None

    def own_interface(self, entity: int) -> int | None:
        """IfIndex of the alias mapping of this very entity."""
        return self._alias.get(entity)


def _if_index(content: bytes) -> int:
    """The ifIndex in an alias mapping's value (`ifIndex.N` as an OID), 0 when it is something else."""
    try:
        oid = ber.decode_oid(content)
    except Malformed:
        return 0
    return oid[10] if oid[:10] == (*IF_ENTRY, 1) and len(oid) == 11 else 0
