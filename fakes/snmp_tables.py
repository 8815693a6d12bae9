"""Modules as the tables of a switch: IF-MIB, ENTITY-MIB, ENTITY-SENSOR-MIB (as Arista has it), JUNIPER-DOM-MIB.

What goes in is `agent.model.Reading`, so any scenario of fake modules, and any decoded recording, can be a switch:

    agent.tables.replace(switch({1: reading, 2: None}, up_time=4200))

Not simulated: limits in JUNIPER-DOM-MIB, counters, anything that is no optic.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from agent import quantities as q
from agent.model import Module, Reading
from agent.quantities import Quantity
from fakes.snmp_recording import GAUGE32, INTEGER, OCTET_STRING, TIMETICKS, Row
from fakes.snmp_recording import OID as OBJECT_ID

SYSTEM: Final = (1, 3, 6, 1, 2, 1, 1)
IF: Final = (1, 3, 6, 1, 2, 1, 2, 2, 1)
IFX: Final = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)
ENTITY: Final = (1, 3, 6, 1, 2, 1, 47, 1, 1, 1, 1)
SENSOR: Final = (1, 3, 6, 1, 2, 1, 99, 1, 1, 1)
DOM: Final = (1, 3, 6, 1, 4, 1, 2636, 3, 60, 1, 1, 1, 1)
DOM_LANES: Final = (1, 3, 6, 1, 4, 1, 2636, 3, 60, 1, 2, 1, 1)
NO_VALUE: Final = -1_000_000_000
_TICKS: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class Port:
    """One port of the switch. `reading` None: an empty cage."""

    reading: Reading | None = None
    up: bool = True
    admin_up: bool = True
    last_change: int = 0
    name: str = ""
    alias: str = ""


def switch(
    ports: Mapping[int, Port],
    *,
    up_time: int = 100_000,
    changes: int = 0,
    description: str = "Fake Networks EOS",
    entities: bool = True,
    juniper: bool = False,
    shift: int = 0,
) -> list[Row]:
    """The rows of a switch with these ports by ifIndex. `shift` moves all entities, as a reboot may do."""
    rows = [
        Row((*SYSTEM, 1, 0), OCTET_STRING, description.encode()),
        Row((*SYSTEM, 2, 0), OBJECT_ID, (1, 3, 6, 1, 4, 1, 30065, 1, 1)),
        Row((*SYSTEM, 3, 0), TIMETICKS, up_time % _TICKS),
        Row((1, 3, 6, 1, 2, 1, 31, 1, 5, 0), TIMETICKS, 0),
        Row((1, 3, 6, 1, 2, 1, 47, 1, 4, 1, 0), TIMETICKS, changes),
    ]
    for index, port in ports.items():
        rows += _interface(index, port)
        if entities:
            rows += _entities(index, port, shift)
        if juniper and port.reading is not None:
            rows += _juniper(index, port.reading)
    return rows


def name_of(index: int, port: Port) -> str:
    """Its ifName."""
    return port.name or f"Ethernet{index}"


def _interface(index: int, port: Port) -> Iterator[Row]:
    name = name_of(index, port).encode()
    yield Row((*IF, 2, index), OCTET_STRING, name)
    yield Row((*IF, 3, index), INTEGER, 6)
    yield Row((*IF, 7, index), INTEGER, 1 if port.admin_up else 2)
    yield Row((*IF, 8, index), INTEGER, 1 if port.up else 2)
    yield Row((*IF, 9, index), TIMETICKS, port.last_change)
    yield Row((*IFX, 1, index), OCTET_STRING, name)
    yield Row((*IFX, 15, index), GAUGE32, 400_000)
    yield Row((*IFX, 17, index), INTEGER, 1)
    yield Row((*IFX, 18, index), OCTET_STRING, port.alias.encode())


def _entities(index: int, port: Port, shift: int) -> Iterator[Row]:
    cage = 100_300_000 + index * 10_000 + shift
    name, reading = name_of(index, port), port.reading
    module = reading.module if reading is not None else Module()
    yield from _entity(cage, f"Xcvr for {name}", 1, kind=9)
    texts = {11: module.get("serial_number"), 12: module.get("vendor_name"), 13: module.get("part_number")}
    for column, text in texts.items():
        yield Row((*ENTITY, column, cage), OCTET_STRING, (text or "").encode())
    for offset, what, quantity, kind, scale, precision in (
        (1, "Temperature", q.TEMPERATURE, 8, 9, 3), (2, "Voltage", q.SUPPLY_VOLTAGE, 4, 9, 4),
    ):  # fmt: skip
        value = None if reading is None else reading.values.get(quantity)
        if value is not None or reading is None:
            yield from _entity(cage + offset, f"DOM {what} Sensor for {name}", cage, kind=8)
            yield from _sensor(cage + offset, kind, scale, precision, value)
    lanes = _lanes(reading) if reading is not None else (1,)
    for lane in lanes:
        holder = cage + lane * 10
        yield from _entity(holder, f"Lane {lane - 1} for Xcvr for {name}", cage, kind=9)
        for offset, what, quantity, kind, precision in (
            (1, "TX Bias", q.TX_BIAS, 5, 3), (2, "TX Power", q.TX_POWER, 6, 4), (3, "RX Power", q.RX_POWER, 6, 4),
        ):  # fmt: skip
            value = None if reading is None else reading.lanes.get(quantity, {}).get(lane)
            if value is not None or reading is None:
                yield from _entity(holder + offset, f"DOM {what} Sensor for {name}", holder, kind=8)
                yield from _sensor(holder + offset, kind, 8, precision, value)


def _entity(index: int, text: str, parent: int, *, kind: int) -> Iterator[Row]:
    yield Row((*ENTITY, 2, index), OCTET_STRING, text.encode())
    yield Row((*ENTITY, 4, index), INTEGER, parent)
    yield Row((*ENTITY, 5, index), INTEGER, kind)


def _sensor(index: int, kind: int, scale: int, precision: int, value: float | None) -> Iterator[Row]:
    """`value` in the base unit; None: the sensor is there and unavailable."""
    steps = 0 if value is None else round(value / 10.0 ** (3 * (scale - 9)) * 10**precision)
    for column, number in ((1, kind), (2, scale), (3, precision), (4, steps), (5, 2 if value is None else 1)):
        yield Row((*SENSOR, column, index), INTEGER, number)


def _lanes(reading: Reading) -> tuple[int, ...]:
    return tuple(sorted({lane for column in reading.lanes.values() for lane in column}))


def _juniper(index: int, reading: Reading) -> Iterator[Row]:
    lanes = _lanes(reading)
    single = len(lanes) == 1
    port = {
        8: round(reading.values.get(q.TEMPERATURE, 0.0)),
        25: round(reading.values.get(q.SUPPLY_VOLTAGE, 0.0) * 1e3),
    }
    for column, quantity in ((5, q.RX_POWER), (6, q.TX_BIAS), (7, q.TX_POWER)):
        port[column] = _dom(quantity, reading.lanes.get(quantity, {}).get(lanes[0])) if single else 0
    for column, number in port.items():
        yield Row((*DOM, column, index), INTEGER, number)
    for lane in () if single else lanes:
        for column, quantity in ((6, q.RX_POWER), (7, q.TX_BIAS), (8, q.TX_POWER)):
            value = reading.lanes.get(quantity, {}).get(lane)
            yield Row((*DOM_LANES, column, index, lane - 1), INTEGER, _dom(quantity, value))


def _dom(quantity: Quantity, value: float | None) -> int:
    """Hundredths of dBm, microamperes."""
    if quantity is q.TX_BIAS:
        return round((value or 0.0) * 1e6)
    return round(100 * (10 * math.log10(value) + 30)) if value else -4000
