"""What stands for the surroundings of a quick start, at the places that it names: `standins.py PAGE`, until killed.

Run by the interpreter of an installed opticd, whose fakes these are (`scripts/try-documents`).
"""

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

from agent import quantities as q
from agent.model import Module, Reading
from fakes.live import LiveModule
from fakes.products import PRODUCTS
from fakes.serial_bridges import i2c_driver
from fakes.serial_pty import SerialLine
from fakes.snmp_agent import Agent, Tables
from fakes.snmp_tables import Port, switch
from fakes.sonic import FakeXcvrd

REDIS = Path("/var/run/redis/redis.sock")


def optic() -> Reading:
    """A module as switches report it."""
    return Reading(
        device="",
        port="",
        source="",
        time=0.0,
        module=Module(vendor_name="ACME", part_number="QSFP", serial_number="SN1"),
        values={q.TEMPERATURE: 41.0},
        lanes={q.RX_POWER: {1: 5e-4}, q.TX_POWER: {1: 1e-3}, q.TX_BIAS: {1: 0.03}},
    )


async def bench() -> None:
    """A bridge at /dev/ttyUSB0 with a module."""
    module = LiveModule(PRODUCTS["qsfpdd-400g-dr4"], serial="BENCH1", rng=random.Random(1))
    line = SerialLine(Path("/dev/ttyUSB0"), i2c_driver([module]), baud=1_000_000)
    try:
        await asyncio.Event().wait()
    finally:
        line.close()


async def snmp() -> None:
    """A switch at 10.0.0.17."""
    await Agent.start(Tables(switch({1: Port(optic()), 2: Port()})), host="10.0.0.17", port=161)
    await asyncio.Event().wait()


def start_redis() -> "subprocess.Popen[bytes]":
    """A Redis where SONiC has it, with SONiC's notifications."""
    REDIS.parent.mkdir(parents=True, exist_ok=True)
    command = ["redis-server", "--port", "0", "--unixsocket", str(REDIS), "--save", "", "--dir", str(REDIS.parent)]
    server = subprocess.Popen([*command, "--notify-keyspace-events", "AKE"], stdout=subprocess.DEVNULL)
    while not REDIS.exists():
        time.sleep(0.05)
    return server


async def sonic() -> None:
    """A SONiC switch's database, with one module."""
    import redis.asyncio as redis  # noqa: PLC0415  # one of three needs it

    server = start_redis()
    try:
        clients = [
            redis.Redis(unix_socket_path=str(REDIS), db=number, decode_responses=True) for number in range(7)
        ]
        xcvrd = FakeXcvrd(clients.__getitem__)
        await xcvrd.link("Ethernet0", up=True)
        await xcvrd.insert("Ethernet0", optic())
        await asyncio.Event().wait()
    finally:
        server.terminate()


if __name__ == "__main__":
    asyncio.run({"bench": bench, "snmp": snmp, "sonic": sonic}[sys.argv[1]]())
