"""A simulated switch as a source: fake adapters below the production I2C driver, and links."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.clock import HOST, Clock
from agent.modules.session import Intervals
from agent.modules.slices import Lasers, Share
from agent.polling.portjob import PortSetup
from agent.sources import Options
from drivers.i2c.cages import I2cDriver
from fakes.scenario import load
from fakes.switch import FakeSwitch

if TYPE_CHECKING:
    from agent.links.flaps import Observation
    from agent.links.links import Links
    from agent.memory import ModuleMemory
    from agent.state import Hub

_NO_SYS: Final = Path("/nonexistent")
"""The fake adapters are not in the kernel's tree."""


class Simulation:
    """The switch of one scenario. Raises ConfigError for a scenario that is not there or makes no sense."""

    def __init__(self, *, ports: int, scenario: str, clock: Clock = HOST) -> None:
        self._clock = clock
        self.switch = FakeSwitch(ports, load(scenario))
        self._driver = I2cDriver(calls=self.switch.kernel, sys=_NO_SYS, owner=lambda: "")

    def setups(self, *, interval_s: float, intervals: Intervals, flags: bool) -> list[PortSetup]:
        """Its cages, to be polled like any other."""
        return [
            PortSetup(
                port=port.name,
                bus=port.bus,
                source=f"fake:{port.number}",
                open=partial(self._open, port.path),
                interval_s=interval_s,
                flags=flags,
                intervals=intervals,
            )
            for port in self.switch.ports
        ]

    def shares(self) -> list[Share]:
        """Its engines, each a port that knows which laser sources light it: those in the cages behind it."""
        found: dict[str, list[Lasers]] = {}
        engine = ""
        for port in self.switch.ports:
            light = port.module.product.light
            if light == "external":
                engine = port.name
                found[engine] = []
            elif light == "source" and engine:
                found[engine].append(Lasers(port.name))
            else:
                engine = ""
        return [Share(name, name, els=tuple(sources)) for name, sources in found.items()]

    async def run(self, hub: "Hub", links: "Links") -> None:
        """Let the scenario happen until cancelled."""
        device = hub.local.device

        def observe(port: str, seen: "Observation") -> None:
            links.observe(device, port, seen, time=self._clock.wall(), monotonic=self._clock.monotonic())

        self.switch.on_link(observe)
        await self.switch.run()

    def _open(self, path: str) -> "ModuleMemory":
        return self._driver.open(path, Options({}, of=path)).memory
