"""One port of a device between two discoveries: its sensors, and the reading that a poll's columns make of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from agent import quantities as q
from agent.model import Bounds, LaneFlags, Link, Module, Reading, Trouble
from agent.quantities import Flag, Quantity
from drivers.snmp.ber import Oid
from drivers.snmp.schema import FlagColumn
from drivers.snmp.slots import Missing, Slot
from drivers.snmp.tables import Column, Interface

_BY_LANE: Final = (q.TX_POWER, q.RX_POWER, q.TX_BIAS, q.LASER_TEMPERATURE)
_UP: Final = 1

Key = tuple[Quantity, int]
"""Quantity and lane, 0 for the whole port."""


class LinkColumns(NamedTuple):
    """Numbers of the columns that tell of a link; `changes` -1: nobody counts them."""

    admin: int
    oper: int
    last_change: int
    changes: int


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
    links: LinkColumns
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
        link = self.static_link()
        if self.interface is None:
            return link
        admin = _cell(columns, self.links.admin, self.if_index)
        oper = _cell(columns, self.links.oper, self.if_index)
        if oper is not None:
            link["oper_up"] = oper == _UP
        if admin is not None:
            link["admin_up"] = admin == _UP
        return link

    def static_link(self) -> Link:
        """Names and speed."""
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
        return link

    def last_change(self, columns: Sequence[Column | None]) -> int | None:
        """ifLastChange, in hundredths of a second of sysUpTime."""
        return _cell(columns, self.links.last_change, self.if_index) if self.interface is not None else None

    def changes(self, columns: Sequence[Column | None]) -> int | None:
        """How often the link changed, by the vendor's own counter; one of 0 does not count this kind of port."""
        if self.links.changes < 0 or self.interface is None:
            return None
        return _cell(columns, self.links.changes, self.if_index) or None

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
