"""The demo's switch over SNMP: an agent on a free loopback port, in a process of its own.

`python -m fakes.snmp_switch SECONDS` prints its port once it listens and runs until its standard input ends, so
that it never outlives the demo that started it. It answers at once and has no optics until its line card has
booted, after so many seconds. Then eight cages: six SFP+, one QSFP28 of four lanes, one empty; temperatures and
powers drift.
Not simulated: what `fakes.snmp_agent` does not either; limits; links that go down.
"""

import asyncio
import contextlib
import math
import sys
import time
from collections.abc import AsyncGenerator
from typing import Final

from agent import quantities as q
from agent.errors import OpticError
from agent.model import Module, Reading
from fakes import child
from fakes.snmp_agent import Agent, Tables
from fakes.snmp_recording import Row
from fakes.snmp_tables import Port, switch

PORTS: Final = 8
_QSFP: Final = 7
_EMPTY: Final = 8
_DRIFT_S: Final = 90.0
_REFRESH_S: Final = 1.0


@contextlib.asynccontextmanager
async def switch_process(boot_s: float) -> AsyncGenerator[int]:
    """Start the switch and yield its UDP port. Raises OpticError when it does not start."""
    failed = OpticError("the simulated switch did not start", hint="is UDP on the loopback allowed?")
    async with child.listening("fakes.snmp_switch", str(boot_s), failed=failed) as port:
        yield port


def rows(second: float, boot_s: float) -> list[Row]:
    """What it serves so many seconds after its start."""
    if second < boot_s:
        return switch({}, up_time=round(second * 100) + 1)
    cages = {
        index: Port(
            None if index == _EMPTY else _reading(index, second),
            up=index != _EMPTY,
            name=f"swp{index}",
            alias="" if index == _EMPTY else f"uplink {index}",
        )
        for index in range(1, PORTS + 1)
    }
    return switch(cages, up_time=round(second * 100) + 1, changes=round(boot_s * 100))


def _reading(index: int, second: float) -> Reading:
    """An optic that is warmer and weaker the higher its port, and drifts."""
    drift = math.sin(second / _DRIFT_S + index)
    lanes = (1, 2, 3, 4) if index == _QSFP else (1,)
    part = "QSFP28-100G-LR4" if index == _QSFP else "SFP-10G-LR"
    return Reading(
        device="", port="", source="", time=0.0,
        module=Module(vendor_name="Example Optics", part_number=part, serial_number=f"DEMO{index:04}"),
        values={q.TEMPERATURE: 34.0 + index + 1.5 * drift, q.SUPPLY_VOLTAGE: 3.3 + 0.005 * drift},
        lanes={
            q.TX_BIAS: dict.fromkeys(lanes, (30.0 + index + 0.2 * drift) * 0.001),
            q.TX_POWER: {lane: (6.5 + 0.1 * lane + 0.1 * drift) * 1e-4 for lane in lanes},
            q.RX_POWER: {lane: (4.0 - 0.3 * index + 0.1 * lane + 0.05 * drift) * 1e-4 for lane in lanes},
        },
    )  # fmt: skip


async def _serve(boot_s: float) -> None:
    began = time.monotonic()
    tables = Tables(rows(0.0, boot_s))
    agent = await Agent.start(tables)
    print(agent.port, flush=True)  # noqa: T201 - who started it waits for this
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.buffer.read), name="standard input")
    while not ended.done():
        await asyncio.wait((ended,), timeout=_REFRESH_S)
        tables.replace(rows(time.monotonic() - began, boot_s))
    agent.stop()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(float(sys.argv[1])))
