"""A fake xcvrd and orchagent: fills a real Redis with what a SONiC switch has in STATE_DB and APPL_DB.

    xcvrd = FakeXcvrd(client_of_db, layout="new")
    await xcvrd.insert("Ethernet0", reading)

`layout` "old" (2020): flags and limits among the sensors, units behind the numbers; "new" (2025): tables of their
own, plain numbers. Not simulated: CONFIG_DB, COUNTERS_DB, RJ45 ports, several ASICs.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from agent import quantities as q
from agent.model import Reading
from agent.quantities import Quantity

Layout = Literal["old", "new"]

_LIMITS: Final[dict[Quantity, str]] = {
    q.TEMPERATURE: "temp",
    q.SUPPLY_VOLTAGE: "vcc",
    q.RX_POWER: "rxpower",
    q.TX_POWER: "txpower",
    q.TX_BIAS: "txbias",
}


class FakeXcvrd:
    """Writes the tables of ports. `client` gives the Redis client of a database by its number."""

    def __init__(self, client: Callable[[int], Any], *, layout: Layout = "new", lanes: int = 8) -> None:
        self._state = client(6)
        self._appl = client(0)
        self._old = layout == "old"
        self._lanes = lanes
        self._flaps: dict[str, int] = {}

    async def link(self, port: str, *, up: bool, admin_up: bool = True, alias: str = "") -> None:
        """What orchagent writes when the oper status changes."""
        self._flaps[port] = self._flaps.get(port, -1) + 1
        await self._appl.hset(
            f"PORT_TABLE:{port}",
            mapping={
                "oper_status": "up" if up else "down",
                "admin_status": "up" if admin_up else "down",
                "alias": alias or port,
                "speed": "400000",
                "flap_count": str(self._flaps[port]),
                "last_up_time": "Thu Nov 22 11:00:00 2026",
            },
        )

    async def insert(self, port: str, reading: Reading) -> None:
        """A module that was plugged in, with all it has."""
        module = reading.module
        info = {
            "type": "QSFP-DD Double Density 8X Pluggable Transceiver",
            "manufacturer": module.get("vendor_name", "N/A"),
            "model": module.get("part_number", "N/A"),
            "serial": module.get("serial_number", "N/A"),
            "vendor_oui": "a8-2b-b5",
            "vendor_date": "2023-05-04   ",
            "vendor_rev": "A1",
            "connector": "LC",
            "cmis_rev": "5.0",
            "host_lane_count": "8",
            "media_lane_count": "4",
            "specification_compliance": "N/A",
        }
        if not self._old:
            info["active_firmware"] = "1.2.3"
        await self._state.hset(f"TRANSCEIVER_INFO|{port}", mapping=info)
        await self.update(port, reading)
        limits = self._limits(reading)
        table = "TRANSCEIVER_DOM_SENSOR" if self._old else "TRANSCEIVER_DOM_THRESHOLD"
        if limits:
            await self._state.hset(f"{table}|{port}", mapping=limits)
        await self._state.hset(f"TRANSCEIVER_STATUS|{port}", mapping=self._status())

    async def update(self, port: str, reading: Reading) -> None:
        """The sensors of one cycle of the DOM thread."""
        fields = {
            "temperature": self._text(reading.values.get(q.TEMPERATURE), "C"),
            "voltage": self._text(reading.values.get(q.SUPPLY_VOLTAGE), "Volts"),
        }
        for lane in range(1, self._lanes + 1):
            fields[f"rx{lane}power"] = self._power(reading.lanes.get(q.RX_POWER, {}).get(lane))
            fields[f"tx{lane}power"] = self._power(reading.lanes.get(q.TX_POWER, {}).get(lane))
            bias = reading.lanes.get(q.TX_BIAS, {}).get(lane)
            fields[f"tx{lane}bias"] = self._text(None if bias is None else bias * 1e3, "mA")
        await self._state.hset(f"TRANSCEIVER_DOM_SENSOR|{port}", mapping=fields)

    async def set(self, table: str, port: str, fields: Mapping[str, str]) -> None:
        """Any fields of any table of STATE_DB."""
        await self._state.hset(f"{table}|{port}", mapping=dict(fields))

    async def remove(self, port: str) -> None:
        """The module was pulled."""
        for table in (
            "INFO",
            "DOM_SENSOR",
            "DOM_THRESHOLD",
            "DOM_FLAG",
            "STATUS",
            "STATUS_FLAG",
            "VDM_REAL_VALUE",
            "PM",
        ):
            await self._state.delete(f"TRANSCEIVER_{table}|{port}")

    def _text(self, value: float | None, unit: str) -> str:
        if value is None:
            return "N/A"
        return f"{value:.4f}{unit if self._old else ''}"

    def _power(self, watts: float | None) -> str:
        if watts is None:
            return "N/A"
        if watts == 0.0:
            return "-inf" + ("dBm" if self._old else "")
        return self._text(10 * math.log10(watts) + 30, "dBm")

    def _limits(self, reading: Reading) -> dict[str, str]:
        fields: dict[str, str] = {}
        for quantity, prefix in _LIMITS.items():
            for bound, limit in reading.thresholds.get(quantity, {}).items():
                name = f"{prefix}{bound.replace('_', '')}"
                number = float(str(limit))
                if quantity in {q.RX_POWER, q.TX_POWER}:
                    fields[name] = self._power(number)
                elif quantity is q.TX_BIAS:
                    fields[name] = self._text(number * 1e3, "mA")
                else:
                    fields[name] = self._text(number, "C" if quantity is q.TEMPERATURE else "Volts")
        return fields

    def _status(self) -> dict[str, str]:
        status = {
            "status": "1",
            "error": "N/A",
            "module_state": "ModuleReady",
            "module_fault_cause": "No Fault detected",
        }
        for lane in range(1, self._lanes + 1):
            status[f"DP{lane}State"] = "DataPathActivated"
            if self._old:
                status |= {
                    f"rxlos{lane}": "False",
                    f"txfault{lane}": "False",
                    f"rxpowerhighalarm_flag{lane}": "False",
                }
        return status
