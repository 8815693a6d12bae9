"""Slots of tables whose columns are quantities: rows to ports and lanes, units by vote, limits, calibration."""

from collections.abc import Callable, Iterator
from typing import Final, Literal

from agent.model import Bounds, Module
from agent.quantities import Quantity, Unit
from drivers.snmp import schema
from drivers.snmp.ber import Oid, Value
from drivers.snmp.slots import Linear, Place, Polynomial, Slot
from drivers.snmp.tables import Entities, Interfaces, Tables
from drivers.snmp.units import Scale, from_text, numbers, signed

BOUND_NAMES: Final[tuple[Literal["high_alarm", "high_warning", "low_warning", "low_alarm"], ...]] = (
    "high_alarm", "high_warning", "low_warning", "low_alarm",
)  # fmt: skip
MAX_LIST: Final = 16
"""Lanes that a comma list may hold."""
_MAX_LANE: Final = 64
_CERTAIN: Final = 1_000_000

ColumnNumber = Callable[[Oid], int]
"""Registers a column for every poll and gives its number."""


class TableMapper:
    """Makes the slots and identities of one table of one device."""

    def __init__(
        self,
        mib: str,
        table: schema.Table,
        *,
        tables: Tables,
        interfaces: Interfaces,
        entities: Entities,
        number_of: ColumnNumber,
    ) -> None:
        self._mib = mib
        self._table = table
        self._tables = tables
        self._interfaces = interfaces
        self._entities = entities
        self._number_of = number_of
        self._places: dict[Oid, Place] = {}
        self._lane_at = next((at for at, part in enumerate(table.index) if part in {"lane", "lane0"}), -1)

    def column(self, number: int) -> Oid:
        """The OID of a column of the table."""
        return (*self._table.entry, number)

    def slots(self) -> Iterator[Slot]:
        """Every cell that holds or may hold a reading."""
        for value in self._table.value:
            scale = self._voted(value)
            missing = frozenset(self._table.no_value + value.no_value)
            for place_in_list, number in enumerate(value.columns):
                column = self.column(number)
                lane = place_in_list + 1 if value.lanes else 0
                for row in sorted(self._tables[column]):
                    if self._row_lane(row) > _MAX_LANE or len(row) != len(self._table.index):
                        continue
                    yield from self._cell(value, scale, column, row, lane=lane, missing=missing)

    def _cell(
        self, value: schema.Value, scale: Scale, column: Oid, row: Oid, *, lane: int, missing: frozenset[int]
    ) -> Iterator[Slot]:
        items = len(numbers(_octets(self._tables[column].get(row)))) if value.list else 0
        for item in range(min(items, MAX_LIST)) if value.list else (-1,):
            yield Slot(
                place=self.place(row),
                quantity=schema.QUANTITIES[value.quantity],
                lane=item + 1 if item >= 0 else (lane or self._row_lane(row)),
                column=self._number_of(column),
                row=row,
                scale=scale,
                mib=self._mib,
                no_value=missing,
                item=item,
                alone=not value.list and any(v.list and v.column == value.column for v in self._table.value),
                floor=self._table.floor if scale.dimension is Unit.WATT else None,
                calibration=self._calibration(value.quantity, row),
                bounds=self._bounds(value.quantity, value.thresholds, scale, row),
                zero_is_missing=self._table.zero_is_missing,
            )

    def flags(self) -> Iterator[tuple[Place, int, schema.FlagColumn, int, Oid]]:
        """Place, lane, rule, column number and row of every flag cell."""
        for flag in self._table.flag:
            column = self.column(flag.column)
            for row in sorted(self._tables[column]):
                if len(row) == len(self._table.index):
                    yield self.place(row), self._row_lane(row) or 1, flag, self._number_of(column), row

    def identities(self) -> Iterator[tuple[Place, Module]]:
        """Who sits in each port, as far as the tables tell."""
        rows = {row for value in self._table.value for c in value.columns for row in self._tables[self.column(c)]}
        if self._table.identity is not None:
            rows |= {row for _, c in self._table.identity.named_columns for row in self._tables[self.column(c)]}
        for row in sorted(rows):
            module = Module()
            if self._table.identity is not None:
                _identify(module, self._table.identity, self._table.entry, row, self._tables)
            for table in self._table.identity_tables:
                _identify(module, table, table.entry, self._shortened(table, row), self._tables)
            if module and len(row) == len(self._table.index):
                yield self.place(row), module

    def _shortened(self, table: schema.IdentityTable, row: Oid) -> Oid:
        """The beginning of the index that the other table has."""
        for _, number in table.named_columns:
            for other in self._tables[(*table.entry, number)]:
                return row[: len(other)]
        return row

    def _row_lane(self, row: Oid) -> int:
        if self._lane_at < 0 or self._lane_at >= len(row):
            return 0
        return row[self._lane_at] + (1 if self._table.index[self._lane_at] == "lane0" else 0)

    def place(self, row: Oid) -> Place:
        """The port of a row; the rows of its lanes share it."""
        key = tuple(part for at, part in enumerate(row) if at != self._lane_at)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = self._find_place(row)
        return place

    def _find_place(self, row: Oid) -> Place:
        parts = dict(zip(self._table.index, row, strict=False))
        if_index = parts.get("if_index", 0)
        entity = parts.get("entity", 0)
        name = ""
        if entity and not if_index:
            if_index = self._entities.interface(entity) or 0
            name = self._entities.text(entity, "name") or self._entities.text(entity, "descr")
        told = False
        for way in self._table.port:
            if if_index in self._interfaces.by_index or (told and way.part is not None):
                break
            text = self._port_text(way, row)
            if not text:
                continue
            told = told or way.part is None
            if way.pattern:
                found = self._interfaces.matching(way.pattern.replace("{}", text))
            else:
                name = name or text
                found = self._interfaces.named(text)
            if_index = if_index if found is None else found
        rest = ".".join(str(part) for at, part in enumerate(row) if at != self._lane_at)
        return Place(if_index, name or (f"ifIndex {if_index}" if if_index else f"{self._mib} {rest}"), entity)

    def _port_text(self, way: schema.PortName, row: Oid) -> str:
        if way.where is not None and self._cell_text(way, way.where.column, row) != str(way.where.equals):
            return ""
        if way.column is None:
            return str(row[way.part - 1]) if way.part and way.part <= len(row) else ""
        return self._cell_text(way, way.column, row)

    def _cell_text(self, way: schema.PortName, column: int, row: Oid) -> str:
        if way.entry is None:
            return self._tables.text(self.column(column), row)
        for length in range(len(row), 0, -1):
            if text := self._tables.text((*way.entry, column), row[:length]):
                return text
        return ""

    def _calibration(self, quantity: schema.QuantityName, row: Oid) -> Linear | Polynomial | None:
        rule = self._table.calibration
        if rule is None or self._tables.number(self.column(rule.column), row) != rule.equals:
            return None
        if quantity == "rx_power" and rule.rx_polynomial:
            bits = [self._tables.number(self.column(c), row) or 0 for c in rule.rx_polynomial]
            return Polynomial.from_bits(bits) if any(bits) else None
        if quantity in rule.slopes:
            slope, offset = (self._tables.number(self.column(c), row) or 0 for c in rule.slopes[quantity])
            return Linear(slope, offset) if slope else None
        return None

    def limits(self) -> Iterator[tuple[Place, Quantity, Bounds]]:
        """Limits that stand apart from their readings."""
        for rule in self._table.limits:
            columns = (getattr(rule.thresholds, name) for name in BOUND_NAMES)
            column: int = next((number for number in columns if number is not None), 0)
            for row in self._tables[self.column(column)]:
                bounds = self._bounds(rule.quantity, rule.thresholds, rule.unit, row)
                if bounds and len(row) == len(self._table.index):
                    yield self.place(row), schema.QUANTITIES[rule.quantity], bounds

    def _bounds(
        self, quantity: schema.QuantityName, rule: schema.Thresholds | None, scale: Scale, row: Oid
    ) -> Bounds:
        if rule is None:
            return Bounds()
        missing = frozenset((*self._table.no_value, *rule.no_value))
        calibration = self._calibration(quantity, row)
        limits: dict[str, float] = {}
        all_zero = True
        for name in BOUND_NAMES:
            number: int | None = getattr(rule, name)
            found = None if number is None else self._limit(self.column(number), row, rule.unit or scale)
            if found is None:
                continue
            raw, unit = found
            all_zero = all_zero and raw == 0
            if raw in missing or (self._table.floor is not None and raw <= self._table.floor):
                continue
            limit = unit.apply(raw if calibration is None else calibration.apply(raw))
            if limit is not None:
                limits[name] = limit
        return settle(limits, all_zero=all_zero, by_number=self._table.ordered_thresholds)

    def _limit(self, column: Oid, row: Oid, unit: Scale) -> tuple[float, Scale] | None:
        value = self._tables[column].get(row)
        if isinstance(value, bytes):
            read = from_text(value, unit)
            return None if read is None else (read, Scale(unit.dimension, 1, 1))
        return None if value is None else (signed(value), unit)

    def _voted(self, value: schema.Value) -> Scale:
        """The unit that this device means, where devices differ."""
        other = value.other
        if other is None or value.column is None:
            return value.unit
        votes = 0
        missing = {*self._table.no_value, *value.no_value}
        for row, cell in self._tables[self.column(value.column)].items():
            raw = _judged(cell, is_list=value.list)
            if raw in missing or raw == 0:
                continue
            if raw < 0 and other.negative_is:
                votes += _CERTAIN if other.negative_is == "first" else -_CERTAIN
            elif other.witness is not None:
                votes += _witnessed(raw, value.unit, other.unit, self._tables[self.column(other.witness)].get(row))
            if other.plausible is not None:
                votes += _plausible(raw, value.unit, other.plausible) - _plausible(raw, other.unit, other.plausible)
        return other.unit if votes < 0 else value.unit


def settle(limits: dict[str, float], *, all_zero: bool, by_number: bool = False) -> Bounds:
    """Limits as bounds: none when all are zero or all are the same, which devices give for "not set"."""
    if all_zero or (len(limits) > 2 and len(set(limits.values())) == 1):
        return Bounds()
    bounds = Bounds()
    for name in BOUND_NAMES:
        if name in limits:
            bounds[name] = limits[name]
    if by_number and "low_alarm" in bounds and "low_warning" in bounds:
        bounds["low_alarm"], bounds["low_warning"] = sorted((bounds["low_alarm"], bounds["low_warning"]))
    if by_number and "high_alarm" in bounds and "high_warning" in bounds:
        bounds["high_warning"], bounds["high_alarm"] = sorted((bounds["high_alarm"], bounds["high_warning"]))
    return bounds


def _octets(value: Value | None) -> bytes:
    return value if isinstance(value, bytes) else b""


def _judged(cell: Value, *, is_list: bool) -> float:
    """The number of a cell that tells its unit, 0 when there is none: of a list its first."""
    if not isinstance(cell, bytes):
        return signed(cell)
    items = numbers(cell) if is_list else []
    return items[0] if len(items) > 1 else 0


def _plausible(raw: float, unit: Scale, limits: tuple[float, float]) -> int:
    value = unit.apply(raw)
    return 1 if value is not None and limits[0] <= value <= limits[1] else 0


def _witnessed(raw: float, first: Scale, other: Scale, beside: Value | None) -> int:
    """1 when the cell beside it agrees with the first unit, -1 with the other, 0 when it does not help.

    What stands beside is dBm, or hundredths of it (HUAWEI-ENTITY-EXTENT-MIB on some devices): in a lone number,
    or in one that cannot be dBm. An integer may be microwatts as well (the same MIB on others).
    """
    told: list[float] = [signed(beside)] if isinstance(beside, int) else numbers(_octets(beside))
    if not told:
        return 0
    dbm = Scale(Unit.DBM, 1, 1)
    candidates = [dbm.apply(told[0])]
    if len(told) == 1 or candidates == [None]:
        candidates.append(dbm.apply(told[0] / 100))
    if isinstance(beside, int):
        candidates.append(Scale(Unit.WATT, 1, 1_000_000).apply(told[0]))
    distances: list[float] = []
    for unit in (first, other):
        value = unit.apply(raw)
        ratios = [max(value, candidate) / min(value, candidate) for candidate in candidates if candidate and value]
        distances.append(min(ratios, default=float("inf")))
    if distances[0] == distances[1]:
        return 0
    return 1 if distances[0] < distances[1] else -1


def _identify(module: Module, identity: schema.Identity, entry: Oid, row: Oid, tables: Tables) -> None:
    for key, number in identity.named_columns:
        column = (*entry, number)
        if key == "wavelength":
            value = tables.number(column, row)
            if value and value not in identity.no_value and value > 0:
                module["wavelength_nm"] = value * identity.wavelength_nm_per_unit
        elif text := tables.text(column, row):
            module.setdefault(key, text)  # type: ignore[misc]  # the key is one of Module's texts
