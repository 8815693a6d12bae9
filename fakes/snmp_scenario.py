"""The modules of a scenario as the tables of a switch: what `python -m fakes.snmp_agent --scenario` serves.

    tables = ScenarioTables(load("mixed"), ports=32, juniper=False)
    agent.tables.replace(tables.rows())          # as it is now

Not simulated: limits, flags and counters; values of copper; VDM; what `fakes.snmp_tables` does not either.
"""

import time
from collections.abc import Callable
from typing import Final

from agent import quantities as q
from agent.links.flaps import Observation
from agent.model import Module, Reading
from fakes.scenario import Scenario
from fakes.snmp_recording import Row
from fakes.snmp_tables import Port, switch
from fakes.switch import FakePort, FakeSwitch

_ENTITY_SHIFT: Final = 100
"""Entities move by so much when the switch numbers them anew; ifIndexes move by one more than there are ports."""
_MARGIN_TICKS: Final = 100


class ScenarioTables:
    """A switch whose modules and links do what the scenario says, from now on."""

    def __init__(
        self, scenario: Scenario, *, ports: int, juniper: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.renumbered = 0
        """How often the switch was started anew with other numbers."""
        self._juniper = juniper
        self._clock = clock
        self._begun = clock()
        self._changed: dict[str, float] = {}
        self._switch = FakeSwitch(ports, scenario, clock=clock)
        self._switch.on_link(self._on_link)
        self._changed.clear()

    def renumber(self) -> None:
        """Start anew: other indexes for all entities and interfaces."""
        self.renumbered += 1
        self._begun = self._clock()
        self._changed.clear()

    def rows(self) -> list[Row]:
        """Everything as it is now."""
        now = self._clock()
        self._switch.step(now)
        ports = self._switch.ports
        offset = self.renumbered * (len(ports) + 1)
        served = {
            offset + port.number: Port(
                _reading(port, now) if port.module.ready else None,
                up=port.link_up,
                admin_up=port.admin_up,
                last_change=self._ticks(self._changed[port.name]) if port.name in self._changed else 0,
                name=port.name,
            )
            for port in ports
        }
        return switch(
            served,
            up_time=self._ticks(now),
            entities=not self._juniper,
            juniper=self._juniper,
            shift=self.renumbered * _ENTITY_SHIFT,
        )

    def _ticks(self, moment: float) -> int:
        return round((moment - self._begun) * 100) + _MARGIN_TICKS

    def _on_link(self, port: str, _: Observation) -> None:
        self._changed[port] = self._clock()


def _reading(port: FakePort, now: float) -> Reading:
    product, state = port.module.product, port.module.behaviour.at(now)
    optical = product.optics is not None
    columns = ((q.TX_BIAS, state.bias), (q.TX_POWER, state.tx_power), (q.RX_POWER, state.rx_power))
    return Reading(
        device="", port="", source="", time=0.0,
        module=Module(
            vendor_name=product.vendor, part_number=product.part_number, serial_number=port.module.serial
        ),
        values={q.TEMPERATURE: state.temperature, q.SUPPLY_VOLTAGE: state.voltage} if optical else {},
        lanes={quantity: dict(enumerate(values, 1)) for quantity, values in columns if values},
    )  # fmt: skip
