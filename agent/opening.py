"""What the sources of a config come to: cages to poll, interfaces to watch, devices to ask."""

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from functools import partial

from agent.config import Config
from agent.errors import ConfigError, OpticError
from agent.links import Links
from agent.maps import load_quirks
from agent.maps.quirks import Quirk
from agent.memory import ModuleMemory
from agent.portjob import PortSetup
from agent.session import Intervals
from agent.sources import Cage
from agent.state import Hub

Work = Callable[[Hub, Links], Coroutine[object, object, None]]
"""What else a source does until it is cancelled: it asks other devices, or simulates some."""


@dataclass(slots=True)
class Wanted:
    """What one config asks to be read; `netdevs` maps interface to port."""

    setups: list[PortSetup] = field(default_factory=list[PortSetup])
    netdevs: dict[str, str] = field(default_factory=dict[str, str])
    others: list[Work] = field(default_factory=list["Work"])
    failed: list[tuple[str, OpticError]] = field(default_factory=list[tuple[str, OpticError]])


def open_all(config: Config) -> Wanted:
    """Open what the config names. A source that cannot be opened does not keep the others from it."""
    from drivers.registry import Registry

    wanted = Wanted()
    registry = Registry()
    agent = config.agent
    intervals = Intervals(slow_s=agent.slow_interval, identity_s=agent.identity_interval)
    for section in config.source:
        interval_s = section.poll_interval or agent.poll_interval
        flags = agent.read_flags if section.read_flags is None else section.read_flags
        if section.type == "fake":
            from agent.simulation import Simulation

            simulation = Simulation(ports=section.ports, scenario=section.scenario)
            wanted.others.append(simulation.run)
            wanted.setups += simulation.setups(interval_s=interval_s, intervals=intervals, flags=flags)
            continue
        try:
            cages = registry.open_section(section)
        except ConfigError:
            raise
        except OpticError as exc:
            wanted.failed.append((str(section.source()), exc))
            continue
        for cage in cages:
            wanted.setups.append(
                PortSetup(
                    port=cage.port,
                    bus=cage.bus,
                    source=cage.source,
                    open=partial(_memory, cage),
                    interval_s=interval_s,
                    # What another daemon latches belongs to it, unless the config says otherwise.
                    flags=flags and (not cage.owner or section.own_flags),
                    intervals=intervals,
                )
            )
        if section.netdev and len(cages) == 1:
            wanted.netdevs[section.netdev] = cages[0].port
    _refuse_twice(setup.port for setup in wanted.setups)
    return wanted


def own_quirks(config: Config) -> tuple[Quirk, ...]:
    """The user's own quirk rows. Raises ConfigError."""
    return load_quirks(config.agent.quirks) if config.agent.quirks is not None else ()


def _refuse_twice(ports: Iterable[str]) -> None:
    seen: set[str] = set()
    for port in ports:
        if port in seen:
            raise ConfigError(
                f"two sources have the port name {port!r}", hint="give each source a `port` of its own"
            )
        seen.add(port)


def _memory(cage: Cage) -> ModuleMemory:
    return cage.memory
