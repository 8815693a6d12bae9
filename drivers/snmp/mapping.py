"""From walked columns to readings, all pure: `build` joins the tables once, `PortMap.read` serves every poll.

plan = build(Tables(columns), mibs, system=sys_object_id, description=sys_descr)
values = [walked.get(column) for column in plan.columns]
for port in plan.ports:
    reading = port.reading(values, device="leaf-17", source="snmp:leaf-17", time=unix)
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from agent.model import Bounds, Module, Trouble
from agent.quantities import FLAGS, Flag, Quantity
from drivers.snmp import tables as std
from drivers.snmp.ber import Oid
from drivers.snmp.columns import TableMapper
from drivers.snmp.ports import FlagSlot, LinkColumns, PortMap
from drivers.snmp.rules import Mib
from drivers.snmp.sensors import SensorMapper
from drivers.snmp.slots import Place, Slot
from drivers.snmp.tables import Entities, Interfaces, Tables

_FLAGS: Final[dict[str, Flag]] = {flag.name: flag for flag in FLAGS}
_MODULE_CLASSES: Final = frozenset((9, 10))


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
    tables: Tables,
    mibs: Iterable[Mib],
    *,
    system: Oid,
    description: str,
    every_interface: bool = False,
    keep: frozenset[str] = frozenset(),
) -> DeviceMap:
    """Join the tables of a device. `mibs` are those that it answers for.

    `every_interface` adds bare ports, `keep` those of them that had an optic before.
    """
    number_of = _Columns()
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
    links = LinkColumns(
        number_of(std.IF_ADMIN),
        number_of(std.IF_OPER),
        number_of(std.IF_LAST_CHANGE),
        _counter(order, tables, number_of),
    )
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
    for interface in interfaces:
        if interface.name in keep or (every_interface and interface.physical):
            port_at(Place(interface.index, interface.name))
    return _finish(
        ports, order=order, interfaces=interfaces, entities=entities,
        links=links, tables=tables, columns=tuple(number_of.numbers),
    )  # fmt: skip


def _counter(order: Iterable[Mib], tables: Tables, number_of: _Columns) -> int:
    """The column that counts changes of the links, -1 for none; one that is 0 everywhere counts nothing."""
    columns = (mib.link_counter for mib in order if mib.link_counter is not None)
    return next((number_of(column) for column in columns if any(tables[column].values())), -1)


def _merge(module: Module, more: Module) -> None:
    for key, value in more.items():
        module.setdefault(key, value)  # type: ignore[misc]  # both are Modules


def _transceivers(entities: Entities) -> Iterable[tuple[Place, Module]]:
    """Modules that ENTITY-MIB lists with an interface, whether or not they have sensors."""
    for entity in entities.indexes:
        if entities.kind(entity) not in _MODULE_CLASSES:
            continue
        module = _entity_module(entities, entity)
        if module and entities.is_transceiver(entity) and (index := entities.interface(entity)):
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
    links: LinkColumns,
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
                thresholds=port.limits | _thresholds(slots),
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
