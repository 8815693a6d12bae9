"""Clients and load of `benchmarks.snmp`, each run in a process of its own; every one prints one line of JSON.

python -m benchmarks.snmp_clients serve PORTS COUNT    COUNT agents with PORTS ports each
python -m benchmarks.snmp_clients opticd|opticd-v3|pysnmp PORT
python -m benchmarks.snmp_clients fleet INTERVAL ROUNDS PORT...
"""

import asyncio
import contextlib
import json
import resource
import sys
import time
from typing import Any, Final

from agent import quantities as q
from agent.config.sources import SnmpSource as Section
from agent.links.links import Links
from agent.model import Module, PollTiming, Reading
from agent.state import Hub
from drivers.snmp import transport
from drivers.snmp.client import Session
from drivers.snmp.security import Community, Security, User, Usm
from drivers.snmp.source import SnmpSource
from drivers.snmp.watch import Pace
from fakes.snmp_agent import Agent, Tables
from fakes.snmp_recording import INTEGER, Row
from fakes.snmp_tables import Port, switch
from fakes.snmp_usm import AgentUser

SENSOR: Final = (1, 3, 6, 1, 2, 1, 99, 1, 1, 1)
COLUMNS: Final = (1, 2, 3, 4)
PASSWORDS: Final = ("authpass1234", "privpass1234")


def cpu_s() -> float:
    """CPU seconds of this process until now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def sensor_table(ports: int) -> list[Row]:
    """The sensor table of a switch with modules of 8 lanes: 26 sensors a port, 4 columns each."""
    return [
        Row((*SENSOR, column, 1_000_000 + port * 100 + sensor), INTEGER, (port * 7919 + sensor * 131) % 90_000)
        for column in COLUMNS
        for port in range(1, ports + 1)
        for sensor in range(26)
    ]


async def serve(ports: int, count: int) -> None:
    """Agents on free ports of the loopback, all with one table."""
    tables = Tables(sensor_table(ports) if count == 1 else optics(ports))
    user = AgentUser("bench", "sha1", PASSWORDS[0], "aes128", PASSWORDS[1])
    agents = [await Agent.start(tables, users=(user,)) for _ in range(count)]
    print(json.dumps([agent.port for agent in agents]), flush=True)
    await asyncio.Event().wait()


def optics(ports: int) -> list[Row]:

    lanes = (1, 2, 3, 4)
    modules = {
        index: Port(
            Reading(
                device="", port="", source="", time=0.0,
                module=Module(vendor_name="ACME", part_number="QSFP", serial_number=f"SN{index}"),
                values={q.TEMPERATURE: 30.0 + index / 10, q.SUPPLY_VOLTAGE: 3.3},
                lanes={
                    q.RX_POWER: dict.fromkeys(lanes, 5e-4),
                    q.TX_POWER: dict.fromkeys(lanes, 1e-3),
                    q.TX_BIAS: dict.fromkeys(lanes, 0.03),
                },
            )
        )
        for index in range(1, ports + 1)
    }  # fmt: skip
    return switch(modules)


async def opticd(port: int, security: Security) -> None:
    """A first walk of all columns, then a steady poll of the values."""
    endpoint = await transport.Endpoint.open()
    session = Session(endpoint, ("127.0.0.1", port), security)
    await session.hello()
    figures: dict[str, float] = {}
    for name, columns in (("walk", COLUMNS), ("steady", (4,)), ("steady", (4,))):
        began, used, varbinds = time.perf_counter(), cpu_s(), 0
        for column in columns:
            rows = session.rows((*SENSOR, column))
            await session.walk(rows)
            varbinds += len(rows.values)
        figures[f"{name}_cpu_s"] = cpu_s() - used
        figures[f"{name}_wall_s"] = time.perf_counter() - began
        figures[f"{name}_varbinds"] = varbinds
    endpoint.close()
    print(json.dumps(figures))


async def pysnmp(port: int) -> None:
    """The same columns by pysnmp's own bulk walk."""
    from pysnmp.hlapi.v3arch import asyncio as hlapi  # type: ignore[import-untyped]  # noqa: PLC0415 - this role's own

    api: Any = hlapi
    engine = api.SnmpEngine()
    target = await api.UdpTransportTarget.create(("127.0.0.1", port))
    began, used, varbinds = time.perf_counter(), cpu_s(), 0
    for column in COLUMNS:
        name = ".".join(map(str, (*SENSOR, column)))
        walk = api.bulk_walk_cmd(
            engine, api.CommunityData("public", mpModel=1), target, api.ContextData(), 0, 50,
            api.ObjectType(api.ObjectIdentity(name)), lookupMib=False, lexicographicMode=False,
        )  # fmt: skip
        async for error, _, _, found in walk:
            assert not error, error
            varbinds += len(found)
    print(json.dumps({
        "walk_cpu_s": cpu_s() - used, "walk_wall_s": time.perf_counter() - began, "walk_varbinds": varbinds,
    }))  # fmt: skip


class Counted:
    """Polls of a fleet, by device."""

    def __init__(self, switches: int) -> None:
        self.by_device: dict[str, int] = {}
        self.overruns = 0
        self.longest_s = 0.0
        self._switches = switches
        self._wanted = 1
        self._reached = asyncio.Event()

    def take(self, timing: PollTiming) -> None:
        """One poll is done."""
        self.by_device[timing.bus] = self.by_device.get(timing.bus, 0) + 1
        self.overruns += timing.overruns
        self.longest_s = max(self.longest_s, timing.duration_s)
        if len(self.by_device) == self._switches and min(self.by_device.values()) >= self._wanted:
            self._reached.set()

    async def every_device(self, polls: int) -> None:
        """Until each device was polled so often."""
        self._wanted = polls
        self._reached.clear()
        await self._reached.wait()

    @property
    def polls(self) -> int:
        """All of them."""
        return sum(self.by_device.values())


async def fleet(interval_s: float, rounds: int, ports: list[int]) -> None:
    """One source over many switches: CPU a poll and switch, once every one of them is discovered."""
    hub = Hub("bench")
    counted = Counted(len(ports))
    hub.subscribe(PollTiming, counted.take)
    section = Section(
        type="snmp", targets=[f"s{port}=127.0.0.1:{port}" for port in ports], poll_interval=interval_s, timeout=5.0
    )
    source = SnmpSource(section, pace=Pace(start_within_s=interval_s))
    task = asyncio.create_task(source.run(hub, Links(hub)))
    await counted.every_device(1)
    discovery = cpu_s()
    await counted.every_device(2)  # the first poll after a discovery still meets what that left behind
    before_polls, before_cpu, before_overruns = counted.polls, cpu_s(), counted.overruns
    before_requests = sum(watch.requests for watch in source.watches.values())
    counted.longest_s = 0.0
    await counted.every_device(2 + rounds)
    done = counted.polls - before_polls
    requests = sum(watch.requests for watch in source.watches.values()) - before_requests
    figures = {
        "switches": len(ports),
        "polls": done,
        "cpu_ms_per_poll": (cpu_s() - before_cpu) / done * 1e3,
        "requests_per_poll": requests / done,
        "discovery_cpu_ms": discovery / len(ports) * 1e3,
        "longest_s": counted.longest_s,
        "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "overruns": counted.overruns - before_overruns,
        "readings": sum(1 for _, port in hub.ports() if port.reading is not None),
    }
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    print(json.dumps(figures))


def main() -> None:
    """One of the roles above."""
    role, *rest = sys.argv[1:]
    numbers = [float(text) for text in rest]
    match role:
        case "serve":
            asyncio.run(serve(int(numbers[0]), int(numbers[1])))
        case "opticd":
            asyncio.run(opticd(int(numbers[0]), Community("public")))
        case "opticd-v3":
            user = User("bench", "sha1", PASSWORDS[0], "aes128", PASSWORDS[1])
            asyncio.run(opticd(int(numbers[0]), Usm(user)))
        case "pysnmp":
            asyncio.run(pysnmp(int(numbers[0])))
        case "fleet":
            asyncio.run(fleet(numbers[0], int(numbers[1]), [int(number) for number in numbers[2:]]))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
