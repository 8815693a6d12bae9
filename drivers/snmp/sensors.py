"""Slots of sensor tables by entPhysicalIndex: what a sensor measures is in its type and its entity's text."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from statistics import median
from typing import Final, NamedTuple

from agent import quantities as q
from agent.model import Bounds
from agent.quantities import Quantity, Unit
from drivers.snmp import schema
from drivers.snmp.ber import Oid
from drivers.snmp.columns import BOUND_NAMES, ColumnNumber, settle
from drivers.snmp.sensor_texts import OPTIC, measured
from drivers.snmp.slots import Place, Slot
from drivers.snmp.tables import PORT, WHOLE_DEVICE, Entities, Interfaces, Tables
from drivers.snmp.units import Scale, scale_of

_TYPES: Final = {3: Unit.VOLT, 4: Unit.VOLT, 5: Unit.AMPERE, 6: Unit.WATT, 8: Unit.CELSIUS, 14: Unit.DBM}
"""EntitySensorDataType; 14 is dBm in CISCO-ENTITY-SENSOR-MIB, and used by others though RFC 3433 lacks it."""
_BY_TEXT: Final = frozenset((1, 2))
"""other, unknown: the units column tells."""
_UNIT_TEXTS: Final = {"dbm": Unit.DBM, "db": Unit.DBM, "watts": Unit.WATT, "w": Unit.WATT, "volts": Unit.VOLT}

_LANE: Final = re.compile(r"\b(?:lane|channel)[ #:-]*(\d+)\b")
_VALID_PRECISION: Final = range(-8, 10)


class _Sensor(NamedTuple):
    """A row that measures something an optic may have."""

    entity: int
    unit: Unit
    text: str
    quantity: Quantity
    certain: bool
    """Nothing but an optic has it (received power, laser bias)."""


class SensorMapper:
    """Makes the slots of one sensor table of one device."""

    def __init__(
        self,
        mib: str,
        rule: schema.Sensors,
        *,
        tables: Tables,
        interfaces: Interfaces,
        entities: Entities,
        number_of: ColumnNumber,
        description: str,
    ) -> None:
        self._mib = mib
        self._rule = rule
        self._tables = tables
        self._interfaces = interfaces
        self._entities = entities
        self._number_of = number_of
        self._arithmetic = next((a for a in rule.arithmetic if re.search(a.description, description)), None)
        self._in_text: dict[int, tuple[int, int] | None] = {}
        self.suspicion: str = ""
        """Set when a scale was not believed: one line for people."""

    def _column(self, number: int) -> Oid:
        return (*self._rule.entry, number)

    def slots(self) -> Iterator[Slot]:
        """Every sensor of an optic."""
        sensors = self._optical(list(self._candidates()))
        places = self._places(sensors)
        lanes = self._lanes(sensors)
        factor = self._factor(sensors)
        value, status = (
            self._number_of(self._column(self._rule.value)),
            self._number_of(self._column(self._rule.status)),
        )
        limits = self._limit_rows()
        missing = frozenset(self._rule.no_value)
        for sensor in sensors:
            row = (sensor.entity,)
            scale = self._scale(sensor)
            if factor != 1 and sensor.quantity in (q.TX_POWER, q.RX_POWER):
                scale = scale_of(scale.unit, scale.numerator, scale.denominator * factor)
            yield Slot(
                place=places[sensor.entity],
                quantity=sensor.quantity,
                lane=lanes[sensor.entity],
                column=value,
                row=row,
                scale=scale,
                mib=self._mib,
                no_value=missing,
                status=status,
                bounds=self._bounds(row, scale, limits),
                is_sensor=True,
            )

    def _candidates(self) -> Iterator[_Sensor]:
        for row in sorted(self._tables[self._column(self._rule.value)]):
            if len(row) != 1:
                continue
            entity = row[0]
            unit = self._unit(row)
            text = f"{self._entities.text(entity, 'descr')} {self._entities.text(entity, 'name')}".lower()
            text = text.replace("_", " ") if OPTIC.search(text) else text
            if unit is not None and (found := measured(unit, text)):
                yield _Sensor(entity, unit, text, *found)

    def _unit(self, row: Oid) -> Unit | None:
        kind = self._tables.number(self._column(self._rule.type), row) or 0
        if kind in _BY_TEXT and self._rule.units is not None:
            return _UNIT_TEXTS.get(self._tables.text(self._column(self._rule.units), row).lower())
        return _TYPES.get(kind)

    def _optical(self, candidates: list[_Sensor]) -> list[_Sensor]:
        """Temperatures and voltages of boards and power supplies have no place here."""
        modules = self._modules(candidates)
        named = {found[0] for s in candidates if s.certain and (found := self._named(s.entity))}
        kept: list[_Sensor] = []
        for sensor in candidates:
            found = self._named(sensor.entity)
            if (
                sensor.certain
                or OPTIC.search(sensor.text)
                or self._entities.parent(sensor.entity) in modules
                or (found is not None and found[0] in named)
            ):
                kept.append(sensor)
        return kept

    def _modules(self, candidates: list[_Sensor]) -> set[int]:
        """Entities that hold the sensors of one optic: their other sensors are of the optic too."""
        ports: dict[int, set[int]] = {}
        others: dict[int, Counter[Quantity]] = {}
        for sensor in candidates:
            if not sensor.certain:
                others.setdefault(self._entities.parent(sensor.entity), Counter())[sensor.quantity] += 1
                continue
            found = self._named(sensor.entity)
            for holder in self._holders(sensor.entity):
                ports.setdefault(holder, set()).add(found[0] if found else 0)
        return {
            holder
            for holder, named in ports.items()
            if len(named - {0}) <= 1 and self._is_module(holder, others.get(holder, Counter()))
        }

    def _is_module(self, holder: int, others: Counter[Quantity]) -> bool:
        """Not a line card with a single optic: a card has several temperatures, and does not call itself SFP."""
        kind = self._entities.kind(holder)
        if kind in WHOLE_DEVICE:
            return False
        return kind == PORT or self._entities.is_transceiver(holder) or max(others.values(), default=0) <= 1

    def _holders(self, entity: int) -> Iterator[int]:
        """The module of a sensor; where its holder is a lane, also what holds that."""
        parent = self._entities.parent(entity)
        if parent:
            yield parent
            text = self._entities.text(parent, "descr") or self._entities.text(parent, "name")
            if _LANE.search(text.lower()) and (above := self._entities.parent(parent)):
                yield above

    def _named(self, entity: int) -> tuple[int, int] | None:
        """ifIndex, and lane or 0, of the port name in the sensor's own text."""
        if entity not in self._in_text:
            text = f"{self._entities.text(entity, 'descr')} | {self._entities.text(entity, 'name')}"
            self._in_text[entity] = self._interfaces.in_text(text)
        return self._in_text[entity]

    def _places(self, sensors: list[_Sensor]) -> dict[int, Place]:
        found = {sensor.entity: self._interface(sensor.entity) for sensor in sensors}
        by_module: dict[int, Counter[int]] = {}
        for entity, index in found.items():
            for holder in self._holders(entity):
                if index:
                    by_module.setdefault(holder, Counter())[index] += 1
        places: dict[int, Place] = {}
        for entity, index in found.items():
            holders = list(self._holders(entity))
            known = next((min(by_module[holder]) for holder in holders if holder in by_module), 0)
            module = holders[-1] if holders else entity
            name = self._entities.text(module, "name") or self._entities.text(module, "descr")
            places[entity] = Place(index or known, name or f"entity {module}", module)
        return _told_apart(places)

    def _interface(self, entity: int) -> int:
        """IfIndex by arithmetic, alias, ancestor's name, or the text's port name; 0 when none of them tells."""
        rule = self._arithmetic
        if rule is not None and entity >= rule.base:
            return (entity - rule.base) // rule.per_port
        if (index := self._entities.interface(entity)) is not None:
            return index
        found = self._named(entity)
        return found[0] if found else 0

    def _lanes(self, sensors: list[_Sensor]) -> dict[int, int]:
        """Lane of each sensor from 1, 0 for the whole port. Devices count from 0 or from 1."""
        texts = {s.entity: int(m[1]) for s in sensors if (m := _LANE.search(s.text))}
        shift = 1 if 0 in texts.values() else 0
        lanes: dict[int, int] = {}
        for sensor in sensors:
            entity = sensor.entity
            lane = texts[entity] + shift if entity in texts else 0
            rule = self._arithmetic
            if rule is not None and entity >= rule.base:
                first, last = next((o for name, o in rule.offsets.items() if name == sensor.quantity.name), (0, 0))
                offset = (entity - rule.base) % rule.per_port
                lane = offset - first + 1 if first < last and first <= offset <= last else 0
            elif not lane:
                lane = self._lane_of_holder(entity)
            if not lane and (found := self._named(entity)):
                lane = found[1]
            lanes[entity] = lane
        return lanes

    def _lane_of_holder(self, entity: int) -> int:
        """Arista: `Lane 0 for Xcvr for Ethernet50`, always from 0."""
        parent = self._entities.parent(entity)
        found = _LANE.search(self._entities.text(parent, "descr").lower()) if parent else None
        return int(found[1]) + 1 if found else 0

    def _scale(self, sensor: _Sensor) -> Scale:
        row = (sensor.entity,)
        scale = self._tables.number(self._column(self._rule.scale), row)
        precision = self._tables.number(self._column(self._rule.precision), row) or 0
        power = 3 * ((scale if scale is not None and 1 <= scale <= 14 else 9) - 9)
        power -= precision if precision in _VALID_PRECISION else 0
        return scale_of(sensor.unit, 10**power if power > 0 else 1, 10**-power if power < 0 else 1)

    def _factor(self, sensors: list[_Sensor]) -> int:
        """10 where the device's scale makes ten times the power that an optic can have; else 1."""
        for suspect in self._rule.suspect:
            watts: list[float] = []
            for sensor in sensors:
                row = (sensor.entity,)
                scale = self._tables.number(self._column(self._rule.scale), row)
                precision = self._tables.number(self._column(self._rule.precision), row)
                raw = self._tables.number(self._column(self._rule.value), row)
                if (
                    sensor.quantity is q.TX_POWER
                    and (scale, precision) == (suspect.scale, suspect.precision)
                    and raw
                ):
                    watts.append(self._scale(sensor).apply(raw) or 0.0)
            if watts and median(watts) > suspect.above_watts:
                self.suspicion = (
                    f"by the device's scale its optics send {median(watts) * 1e3:.1f} mW: "
                    f"read as one {round(1 / suspect.factor)}th of it"
                )
                return round(1 / suspect.factor)
        return 1

    def _limit_rows(self) -> dict[int, list[Oid]]:
        rows: dict[int, list[Oid]] = {}
        if isinstance(self._rule.limits, schema.ThresholdRows):
            for row in self._tables[(*self._rule.limits.entry, self._rule.limits.value)]:
                rows.setdefault(row[0], []).append(row)
        return rows

    def _bounds(self, row: Oid, scale: Scale, rows: dict[int, list[Oid]]) -> Bounds:
        rule = self._rule.limits
        numbers: dict[str, int] = {}
        if isinstance(rule, schema.ThresholdColumns):
            for name in BOUND_NAMES:
                column = getattr(rule, name)
                number = self._tables.number((*rule.entry, column), row) if column is not None else None
                if number is not None and number not in rule.no_value:
                    numbers[name] = number
        elif rule is not None:
            numbers = _from_rows(rule, self._tables, rows.get(row[0], []), frozenset(self._rule.no_value))
        limits = {name: limit for name, number in numbers.items() if (limit := scale.apply(number)) is not None}
        return settle(limits, all_zero=not any(numbers.values()))


def _from_rows(
    rule: schema.ThresholdRows, tables: Tables, rows: list[Oid], missing: frozenset[int]
) -> dict[str, int]:
    """Limits from rows of severity (10 minor, 20 major, 30 critical), relation (1, 2 less; 3, 4 more) and value."""
    sides: dict[str, dict[int, int]] = {"low": {}, "high": {}}
    for row in rows:
        severity = tables.number((*rule.entry, rule.severity), row) or 0
        relation = tables.number((*rule.entry, rule.relation), row) or 0
        number = tables.number((*rule.entry, rule.value), row)
        if severity >= 10 and relation in {1, 2, 3, 4} and number is not None and number not in missing:
            sides["high" if relation > 2 else "low"][severity] = number
    limits: dict[str, int] = {}
    for side, found in sides.items():
        if sum(1 for number in found.values() if number) >= 2:  # a 0 beside two set limits is not set
            found = {severity: number for severity, number in found.items() if number}  # noqa: PLW2901
        by_severity = sorted(found)
        if not by_severity:
            continue
        if len(by_severity) > 1 or by_severity[0] >= 20:
            limits[f"{side}_alarm"] = found[by_severity[-1]]
        if len(by_severity) > 1 or by_severity[0] < 20:
            limits[f"{side}_warning"] = found[by_severity[0]]
    return limits


def _told_apart(places: dict[int, Place]) -> dict[int, Place]:
    """Modules without an interface that share a name get their entity's number behind it."""
    holders: dict[str, set[int]] = {}
    for place in places.values():
        if not place.if_index:
            holders.setdefault(place.name, set()).add(place.entity)
    shared: dict[Place, Place] = {}
    for entity, place in places.items():
        alike = not place.if_index and len(holders[place.name]) > 1
        if alike and not place.name.endswith(f"({place.entity})"):
            place = replace(place, name=f"{place.name} ({place.entity})")  # noqa: PLW2901
        places[entity] = shared.setdefault(place, place)  # one object for all sensors of a module
    return places
