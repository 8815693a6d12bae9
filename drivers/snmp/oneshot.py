"""`opticd read snmp:HOST`: one device, asked once, as one document (contract section 3)."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.documents.device import DeviceRead
from agent.sources import Options, SourceName
from drivers.snmp import rules, transport
from drivers.snmp.addresses import split_address
from drivers.snmp.client import Limits, Session
from drivers.snmp.credentials import Credentials
from drivers.snmp.device import Device
from drivers.snmp.rules import Mib

if TYPE_CHECKING:
    from agent.model import Reading

SILENCE_S: Final = 30.0
LIMITS: Final = Limits(timeout_s=5.0, retries=3, silence_s=SILENCE_S)


async def read_device(
    host: str,
    port: int,
    credentials: Credentials,
    *,
    name: str,
    mibs: Sequence[Mib] | None = None,
    limits: Limits = LIMITS,
) -> DeviceRead:
    """Discover and read. Raises a `DriverError` when not even the first question is answered."""
    family, address = await transport.resolve(host, port)
    endpoint = await transport.Endpoint.open(family)
    try:
        session = Session(endpoint, address, credentials.security(), limits=limits)
        device = Device(session, rules.load() if mibs is None else mibs)
        answer = await device.discover()
    finally:
        endpoint.close()
    assert device.map is not None
    readings: list[Reading] = []
    for port_map in device.map.ports:
        reading, present = port_map.reading(
            answer.columns, device=name, source=f"snmp:{host}:{port}", time=time.time()
        )
        if present or port_map.is_cage(answer.columns):
            readings.append(reading)
    return DeviceRead(name, tuple(readings), answer.troubles)


def read(source: SourceName) -> DeviceRead:
    """What `snmp:HOST[:PORT][?community=…]` says now. Blocks; raises ConfigError and what `read_device` raises."""
    options = Options(source.options, of=str(source))
    credentials = Credentials.from_options(options)
    name = options.text("device") or source.address
    vendors = options.text("vendors")
    options.finish()
    host, port = split_address(source.address)
    mibs = rules.load(Path(vendors)) if vendors else None
    return asyncio.run(read_device(host, port, credentials, name=name, mibs=mibs))
