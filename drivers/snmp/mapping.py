"""From walked columns to readings, all pure: `build` joins the tables once, `PortMap.read` serves every poll.

plan = build(Tables(columns), mibs, system=sys_object_id, description=sys_descr)
values = [walked.get(column) for column in plan.columns]
for port in plan.ports:
    reading = port.reading(values, device="leaf-17", source="snmp:leaf-17", time=unix)
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from agent import quantities as q
from agent.model import Bounds, LaneFlags, Link, Module, Reading, Trouble
from agent.quantities import FLAGS, Flag, Quantity
from drivers.snmp import tables as std
from drivers.snmp.ber import Oid
from drivers.snmp.columns import TableMapper
from drivers.snmp.rules import FlagColumn, Mib
from drivers.snmp.sensors import SensorMapper
from drivers.snmp.slots import Missing, Place, Slot
from drivers.snmp.tables import Column, Entities, Interface, Interfaces, Tables

_BY_LANE: Final = (q.TX_POWER, q.RX_POWER, q.TX_BIAS, q.LASER_TEMPERATURE)
_FLAGS: Final[dict[str, Flag]] = {flag.name: flag for flag in FLAGS}
_TRANSCEIVER: Final = re.compile(
    r"\b(q?sfp(-?dd|\+|\d+)?|osfp|xfp|cfp\d?|cpak|xenpak|gbic)\b|transceiver|\d+g?base-?\w", re.IGNORECASE
)
_MODULE_CLASSES: Final = frozenset((9, 10))
_UP: Final = 1

Key = tuple[Quantity, int]
"""Quantity and lane, 0 for the whole port."""


@dataclass(frozen=True, slots=True)
class FlagSlot:
    """A yes or no of one lane."""

    flag: Flag
    lane: int
    column: int
    row: Oid
    rule: FlagColumn


@dataclass(slots=True)
class Cells:
    """What one poll of one port gave: values, which of them are zero on the wire, and what gave none."""

    values: dict[Key, float] = field(default_factory=dict[Key, float])
    zeros: set[Key] = field(default_factory=set[Key])
    in_dbm: set[Key] = field(default_factory=set[Key])
    unavailable: set[Quantity] = field(default_factory=set[Quantity])
    failed: set[Quantity] = field(default_factory=set[Quantity])

    def drop(self, key: Key, *, unread: bool = False) -> None:
        """Forget a value; `unread`: it is offered, and this was no reading."""
        del self.values[key]
        if unread:
            self.unavailable.add(key[0])

    def lanes(self, quantity: Quantity) -> dict[int, float]:
        """Values of the lanes, lane 0 left out."""
        return {lane: value for (found, lane), value in self.values.items() if found is quantity and lane}


@dataclass(frozen=True, slots=True)
class PortMap:
    """One port of one device: its sensors and everything about it that stays between discoveries."""

    name: str
    if_index: int
    interface: Interface | None
    entity: int
    module: Module
    thresholds: Mapping[Quantity, Bounds]
    slots: tuple[Slot, ...]
    flags: tuple[FlagSlot, ...]
    links: tuple[int, int, int]
    """Numbers of the columns ifAdminStatus, ifOperStatus and ifLastChange."""
    troubles: tuple[Trouble, ...] = ()

    def cells(self, columns: Sequence[Column | None]) -> Cells:
        """The values of this poll, without those that only look like one."""
        cells = Cells()
        sure = True
        for slot in self.slots:
            value, zero = slot.read(columns)
            key = (slot.quantity, slot.lane)
            if isinstance(value, float | int):
                cells.values[key] = value
                if zero:
                    cells.zeros.add(key)
                    sure = sure and slot.zero_is_missing
                if slot.is_power_in_dbm:
                    cells.in_dbm.add(key)
            elif value is Missing.UNAVAILABLE:
                cells.unavailable.add(slot.quantity)
            elif value is Missing.FAILED:
                cells.failed.add(slot.quantity)
        if sure and len(cells.zeros) == len(cells.values):
            cells.values.clear()  # an empty cage, copper, or a module without monitors
        else:
            _drop_pretenders(cells)
        return cells

    def reading(
        self,
        columns: Sequence[Column | None],
        *,
        device: str,
        source: str,
        time: float,
        errors: tuple[Trouble, ...] = (),
    ) -> tuple[Reading, bool]:
        """The reading, and whether a module is there at all."""
        cells = self.cells(columns)
        values, lanes = _arranged(cells)
        present = bool(cells.values or self.module)
        unread = cells.failed | cells.unavailable if present else cells.failed
        return (
            Reading(
                device=device,
                port=self.name,
                source=source,
                time=time,
                module=self.module,
                values=values,
                lanes=lanes,
                lane_flags=self._lane_flags(columns) if present else {},
                thresholds=self.thresholds,
                link=self.link(columns),
                entity_index=self.entity,
                unread=tuple(sorted(quantity.key for quantity in unread - {*values, *lanes})),
                errors=self.troubles + errors,
            ),
            present,
        )

    def is_cage(self, columns: Sequence[Column | None]) -> bool:
        """Whether a module could be here, though none is: its sensors exist, or its cells say "no value".

        A table's row of zeros says nothing: copper ports have it too.
        """
        for slot in self.slots:
            value, zero = slot.read(columns)
            if slot.is_sensor or (value is Missing.ABSENT and not zero):
                return True
        return False

    def link(self, columns: Sequence[Column | None]) -> Link:
        """The network side of the port now."""
        link = Link()
        if self.if_index:
            link["if_index"] = self.if_index
        if self.interface is None:
            return link
        link["if_name"] = self.interface.name
        if self.interface.alias:
            link["alias"] = self.interface.alias
        if self.interface.speed_bits_per_second:
            link["speed_bits_per_second"] = self.interface.speed_bits_per_second
        admin, oper, _ = (_cell(columns, number, self.if_index) for number in self.links)
        if oper is not None:
            link["oper_up"] = oper == _UP
        if admin is not None:
            link["admin_up"] = admin == _UP
        return link

    def last_change(self, columns: Sequence[Column | None]) -> int | None:
        """ifLastChange, in hundredths of a second of sysUpTime."""
        return _cell(columns, self.links[2], self.if_index) if self.interface is not None else None

    def _lane_flags(self, columns: Sequence[Column | None]) -> dict[Flag, LaneFlags]:
        masks: dict[Flag, tuple[int, int]] = {}
        for slot in self.flags:
            column = columns[slot.column]
            raw = None if column is None else column.get(slot.row)
            if raw in (slot.rule.raised, slot.rule.cleared):
                offered, active = masks.get(slot.flag, (0, 0))
                bit = 1 << (slot.lane - 1)
                masks[slot.flag] = (offered | bit, active | bit if raw == slot.rule.raised else active)
        return {flag: LaneFlags(*mask) for flag, mask in masks.items()}


def _cell(columns: Sequence[Column | None], number: int, index: int) -> int | None:
    column = columns[number]
    value = None if column is None else column.get((index,))
    return value if isinstance(value, int) else None


def _drop_pretenders(cells: Cells) -> None:
    """Numbers that are no readings, by what stands beside them."""
    for quantity in (q.TX_POWER, q.RX_POWER, q.TX_BIAS):
        # The port's own number is 0 where the lanes have the truth.
        if (quantity, 0) in cells.zeros and (quantity, 0) in cells.values and cells.lanes(quantity):
            cells.drop((quantity, 0))
    by_lane: dict[int, set[Quantity]] = {}
    for quantity, lane in cells.values:
        by_lane.setdefault(lane, set()).add(quantity)
    for lane, quantities in by_lane.items():
        # A lane that the module does not have: no power, and a bias of 0.
        if lane and quantities == {q.TX_BIAS} and (q.TX_BIAS, lane) in cells.zeros:
            cells.drop((q.TX_BIAS, lane))
    for quantity in (q.TX_POWER, q.RX_POWER):
        for lane in by_lane:
            # A dark laser: 0 dBm with no bias is not 1 mW.
            if (quantity, lane) in cells.values and (quantity, lane) in cells.zeros & cells.in_dbm:
                bias = (q.TX_BIAS, lane) if (q.TX_BIAS, lane) in cells.values else (q.TX_BIAS, 0)
                if bias in cells.values and bias in cells.zeros:
                    cells.drop((quantity, lane), unread=True)


def _arranged(cells: Cells) -> tuple[dict[Quantity, float], dict[Quantity, dict[int, float]]]:
    """Values of the port and of its lanes. What a port of one lane says of itself is lane 1's."""
    values: dict[Quantity, float] = {}
    lanes: dict[Quantity, dict[int, float]] = {}
    for (quantity, lane), value in sorted(cells.values.items(), key=lambda item: item[0][1]):
        if lane:
            lanes.setdefault(quantity, {})[lane] = value
        else:
            values[quantity] = value
    several = any(lane > 1 for column in lanes.values() for lane in column)
    for quantity in _BY_LANE:
        if quantity in values and quantity not in lanes and not several:
            lanes[quantity] = {1: values.pop(quantity)}
    if q.TEMPERATURE in lanes and q.TEMPERATURE not in values:
        values[q.TEMPERATURE] = max(lanes[q.TEMPERATURE].values())
    if q.SUPPLY_VOLTAGE in lanes:  # one supply feeds all lanes
        voltages = lanes.pop(q.SUPPLY_VOLTAGE)
        values.setdefault(q.SUPPLY_VOLTAGE, voltages[min(voltages)])
    return values, lanes


@dataclass(frozen=True, slots=True)
class DeviceMap:
    """One device as it was when it was discovered."""

    ports: tuple[PortMap, ...]
    columns: tuple[Oid, ...]
    """What to walk at every poll; `PortMap` wants the results in this order, None for one that failed."""
    rows: Mapping[Oid, frozenset[Oid]]
    """The rows that the reading columns had: others call for a new discovery."""


class _Columns:
    """Numbers the columns of a poll."""

    def __init__(self) -> None:
        self.numbers: dict[Oid, int] = {}

    def __call__(self, column: Oid) -> int:
        return self.numbers.setdefault(column, len(self.numbers))


@dataclass(slots=True)
class _Port:
    """A port while it is put together."""

    place: Place
    slots: list[Slot] = field(default_factory=list[Slot])
    flags: list[FlagSlot] = field(default_factory=list[FlagSlot])
    module: Module = field(default_factory=Module)
    limits: dict[Quantity, Bounds] = field(default_factory=dict[Quantity, Bounds])
    troubles: dict[str, Trouble] = field(default_factory=dict[str, Trouble])


def build(
    tables: Tables, mibs: Iterable[Mib], *, system: Oid, description: str, every_interface: bool = False
) -> DeviceMap:
    """Join the tables of a device. `mibs` are those that it answers for; `every_interface` adds bare ports."""
    number_of = _Columns()
    links = (number_of(std.IF_ADMIN), number_of(std.IF_OPER), number_of(std.IF_LAST_CHANGE))
    interfaces = Interfaces(tables)
    entities = Entities(tables, interfaces)
    ports: dict[int | str, _Port] = {}

    def port_at(place: Place) -> _Port:
        key = place.if_index if place.if_index in interfaces.by_index else place.name
        port = ports.get(key)
        if port is None:
            port = ports[key] = _Port(place)
        elif place.entity and not port.place.entity:
            port.place = Place(port.place.if_index, port.place.name, place.entity)
        return port

    order = sorted(mibs, key=lambda mib: (-mib.match(system), mib.name))
    for mib in order:
        for table in mib.table:
            mapper = TableMapper(
                mib.name, table, tables=tables, interfaces=interfaces, entities=entities, number_of=number_of
            )
            for slot in mapper.slots():
                port_at(slot.place).slots.append(slot)
            for place, lane, flag, column, row in mapper.flags():
                port_at(place).flags.append(FlagSlot(_FLAGS[flag.flag], lane, column, row, flag))
            for place, quantity, bounds in mapper.limits():
                port_at(place).limits.setdefault(quantity, bounds)
            for place, module in mapper.identities():
                _merge(port_at(place).module, module)
        if mib.sensors is not None:
            sensors = SensorMapper(
                mib.name, mib.sensors, tables=tables, interfaces=interfaces, entities=entities,
                number_of=number_of, description=description,
            )  # fmt: skip
            for slot in sensors.slots():
                port = port_at(slot.place)
                port.slots.append(slot)
                if sensors.suspicion:
                    port.troubles["suspect_scale"] = Trouble("suspect_scale", sensors.suspicion)
    for place, module in _transceivers(entities):
        if place.if_index in interfaces.by_index:
            _merge(port_at(place).module, module)
    if every_interface:
        for interface in interfaces:
            if interface.physical:
                port_at(Place(interface.index, interface.name))
    return _finish(
        ports, order=order, interfaces=interfaces, entities=entities,
        links=links, tables=tables, columns=tuple(number_of.numbers),
    )  # fmt: skip


def _merge(module: Module, more: Module) -> None:
    for key, value in more.items():
        module.setdefault(key, value)  # type: ignore[misc]  # both are Modules


def _transceivers(entities: Entities) -> Iterable[tuple[Place, Module]]:
    """Modules that ENTITY-MIB lists with an interface, whether or not they have sensors."""
    for entity in entities.indexes:
        if entities.kind(entity) not in _MODULE_CLASSES:
            continue
        texts = " ".join(entities.text(entity, column) for column in ("descr", "name", "model"))
        module = _entity_module(entities, entity)
        if module and _TRANSCEIVER.search(texts) and (index := entities.interface(entity)):
            yield Place(index, entity=entity), module


def _entity_module(entities: Entities, entity: int) -> Module:
    module = Module()
    if text := entities.text(entity, "vendor"):
        module["vendor_name"] = text
    if text := entities.text(entity, "model"):
        module["part_number"] = text
    if text := entities.text(entity, "serial"):
        module["serial_number"] = text
    return module if "part_number" in module or "serial_number" in module else Module()


def _finish(
    ports: Mapping[int | str, _Port],
    *,
    order: Sequence[Mib],
    interfaces: Interfaces,
    entities: Entities,
    links: tuple[int, int, int],
    tables: Tables,
    columns: tuple[Oid, ...],
) -> DeviceMap:
    finished: list[PortMap] = []
    names: set[str] = set()
    for port in ports.values():
        interface = interfaces.by_index.get(port.place.if_index)
        slots = _chosen(port.slots, [mib.name for mib in order])
        if any(slot.is_sensor for slot in slots):
            _merge(port.module, _entity_module(entities, port.place.entity))
        name = interface.name if interface else port.place.name
        if name in names:
            name = f"{name} ({port.place.if_index or port.place.entity})"
        names.add(name)
        finished.append(
            PortMap(
                name=name,
                if_index=port.place.if_index,
                interface=interface,
                entity=port.place.entity,
                module=port.module,
                thresholds=_thresholds(slots) | port.limits,
                slots=slots,
                flags=tuple(port.flags),
                links=links,
                troubles=tuple(port.troubles.values()),
            )
        )
    finished.sort(key=lambda port: (port.if_index, port.name))
    used = {slot.column for port in finished for slot in port.slots}
    rows = {column: frozenset(tables[column]) for number, column in enumerate(columns) if number in used}
    return DeviceMap(tuple(finished), columns, rows)


def _chosen(slots: list[Slot], order: list[str]) -> tuple[Slot, ...]:
    """One MIB for each quantity of a port: the one with limits, else the one that fits the device best."""
    by_mib: dict[tuple[Quantity, str], list[Slot]] = {}
    for slot in slots:
        by_mib.setdefault((slot.quantity, slot.mib), []).append(slot)
    kept: list[Slot] = []
    for quantity in dict.fromkeys(slot.quantity for slot in slots):
        candidates = [by_mib[quantity, mib] for mib in order if (quantity, mib) in by_mib]
        best = max(candidates, key=lambda found: any(slot.bounds for slot in found))
        seen: set[int] = set()
        for slot in best:
            if slot.lane not in seen:  # the same module under two index schemes
                seen.add(slot.lane)
                kept.append(slot)
    return tuple(kept)


def _thresholds(slots: Iterable[Slot]) -> dict[Quantity, Bounds]:
    """Limits by quantity: the port's own, else those of its first lane that has some."""
    thresholds: dict[Quantity, Bounds] = {}
    for slot in sorted(slots, key=lambda slot: slot.lane):
        if slot.bounds and slot.quantity not in thresholds:
            thresholds[slot.quantity] = slot.bounds
    return thresholds
