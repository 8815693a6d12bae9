"""Who a switch says is at the other ends of its links: lldpRemTable of LLDP-MIB (IEEE 802.1AB), by port.

The table counts ports in its own way: often as ifTable does, else lldpLocPortTable tells their names. It holds
ports without optics too, as those of the management network.
"""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Final

from agent.model import Neighbour
from drivers.snmp import tables as std
from drivers.snmp.ber import Oid
from drivers.snmp.client import Session
from drivers.snmp.errors import WalkCut
from drivers.snmp.ports import PortMap
from drivers.snmp.tables import Column, Tables

LOCAL_NAME: Final = (1, 0, 8802, 1, 1, 2, 1, 3, 3, 0)
_LOCAL: Final = (1, 0, 8802, 1, 1, 2, 1, 3, 7, 1)
LOCAL_KIND, LOCAL_PORT, LOCAL_DESCR = (*_LOCAL, 2), (*_LOCAL, 3), (*_LOCAL, 4)
_REMOTE: Final = (1, 0, 8802, 1, 1, 2, 1, 4, 1, 1)
CHASSIS_KIND, CHASSIS = (*_REMOTE, 4), (*_REMOTE, 5)
PORT_KIND, PORT, PORT_DESCR, SYSTEM = (*_REMOTE, 6), (*_REMOTE, 7), (*_REMOTE, 8), (*_REMOTE, 9)

_CHASSIS_ADDRESS: Final = 4
_PORT_ADDRESS: Final = 3
"""LldpChassisIdSubtype and LldpPortIdSubtype of a MAC address."""


async def ask(session: Session, ports: Iterable[PortMap]) -> tuple[str, dict[str, Neighbour]]:
    """What the device calls itself, and its neighbours by port; ("", {}) without LLDP. Raises DriverError."""
    columns: dict[Oid, Column] = {PORT: await _column(session, PORT)}
    if not columns[PORT]:
        return "", {}
    for column in (CHASSIS_KIND, CHASSIS, PORT_KIND, PORT_DESCR, SYSTEM, LOCAL_KIND, LOCAL_PORT, LOCAL_DESCR):
        columns[column] = await _column(session, column)
    own = (await session.get((LOCAL_NAME,))).get(LOCAL_NAME)
    return std.clean(own) if isinstance(own, bytes) else "", neighbours(Tables(columns), ports)


async def _column(session: Session, column: Oid) -> Column:
    rows = session.rows(column)
    with contextlib.suppress(WalkCut):  # its first index is a time: some agents go on for ever, later and later
        await session.walk(rows)
    return rows.values


def neighbours(tables: Tables, ports: Iterable[PortMap]) -> dict[str, Neighbour]:
    """Neighbours by the names of `ports`. Of several at one port the one that was heard last."""
    ports = list(ports)
    by_name = _names(ports)
    by_index = {port.if_index: port.name for port in ports if port.if_index}
    own_count = _counts_its_own_way(tables, by_name, by_index)
    found: dict[str, Neighbour] = {}
    for row in sorted(row for row in tables[PORT] if len(row) == 3):  # time mark, local port, number
        neighbour = _neighbour(tables, row)
        port = _local(tables, row[1], by_name)
        if port is None and not (own_count and any(_local_names(tables, row[1]))):
            port = by_index.get(row[1])
        if neighbour is not None and port is not None:
            found[port] = neighbour
    return found


def _names(ports: Iterable[PortMap]) -> Mapping[str, str]:
    """What a port may be called, to its name here; what an administrator wrote comes last."""
    found: dict[str, str] = {}
    for port in ports:
        found[port.name.lower()] = port.name
    for port in ports:
        if port.interface is not None:
            for name in (port.interface.name, port.interface.descr, port.interface.alias):
                found.setdefault(name.lower(), port.name)
    found.pop("", None)
    return found


def _counts_its_own_way(tables: Tables, by_name: Mapping[str, str], by_index: Mapping[int, str]) -> bool:
    """Whether a port has another number than its ifIndex: one that no name tells of is then nobody's here."""
    names = ((row, _local(tables, row[0], by_name)) for row in tables[LOCAL_PORT] if len(row) == 1)
    return any(name is not None and by_index.get(row[0]) != name for row, name in names)


def _local(tables: Tables, number: int, by_name: Mapping[str, str]) -> str | None:
    return next((by_name[name.lower()] for name in _local_names(tables, number) if name.lower() in by_name), None)


def _local_names(tables: Tables, number: int) -> list[str]:
    row = (number,)
    names = [tables.text(LOCAL_DESCR, row)]
    if tables.number(LOCAL_KIND, row) != _PORT_ADDRESS:
        names.insert(0, tables.text(LOCAL_PORT, row))
    return names


def _neighbour(tables: Tables, row: Oid) -> Neighbour | None:
    address = tables.number(PORT_KIND, row) == _PORT_ADDRESS
    named = "" if address else tables.text(PORT, row)
    names = [name for name in (named, tables.text(PORT_DESCR, row)) if name]
    if address:
        names.append(_address(tables[PORT].get(row)))
    system = tables.text(SYSTEM, row)
    if not system:
        of_address = tables.number(CHASSIS_KIND, row) == _CHASSIS_ADDRESS
        system = _address(tables[CHASSIS].get(row)) if of_address else tables.text(CHASSIS, row)
    names = [name for name in names if name]
    return Neighbour(system, tuple(names)) if system and names else None


def _address(value: object) -> str:
    return value.hex(":") if isinstance(value, bytes) else ""
