"""What the sources of a config come to: cages to poll, interfaces to watch, devices to ask."""

import contextlib
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from agent.clock import HOST, Clock
from agent.config.file import Config
from agent.config.sources import (
    EthtoolSource,
    FakeSource,
    I2cSource,
    PluginSource,
    SerialSource,
    SnmpSource,
    SonicSource,
    SysfsSource,
)
from agent.errors import ConfigError, OpticError
from agent.links.links import Links
from agent.maps import load_quirks
from agent.maps.quirks import Quirk
from agent.memory import ModuleMemory
from agent.modules.engines import Engines
from agent.modules.session import Intervals
from agent.modules.slices import Share
from agent.polling.portjob import PortSetup
from agent.sources import Cage, SourceName
from agent.state import Hub
from drivers.registry import Registry

if TYPE_CHECKING:
    from drivers.snmp.source import SnmpSource as Switches

Work = Callable[[Hub, Links], Coroutine[object, object, None]]
"""What else a source does until it is cancelled: it asks other devices, or simulates some."""


ModuleSection = I2cSource | SysfsSource | EthtoolSource | SerialSource | PluginSource


@dataclass(slots=True)
class Wanted:
    """What one config asks to be read. `netdevs`: network namespace, then interface to port."""

    setups: list[PortSetup] = field(default_factory=list[PortSetup])
    netdevs: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    counted: dict[str, str] = field(default_factory=dict[str, str])
    """Port to interface, where the counters of the host's side are wanted."""
    others: list[Work] = field(default_factory=list["Work"])
    failed: list[tuple[str, OpticError]] = field(default_factory=list[tuple[str, OpticError]])
    patterns: bool = False
    """Some section names what may still come: look again when interfaces come and go."""
    shares: list[Share] = field(default_factory=list[Share])
    engines: Engines = field(default_factory=Engines)
    """How ports share what is read of their engine."""
    notes: list[str] = field(default_factory=list[str])
    """What is not done as the config says, for the log."""
    asked: list[Callable[[], set[str]]] = field(default_factory=list[Callable[[], set[str]]])
    """For each source that asks other devices: their names, as they are now."""
    remote: list[Callable[[], set[str]]] = field(default_factory=list[Callable[[], set[str]]])
    """For each source that polls by itself: the names by which it tells its health, as they are now."""

    def sources(self) -> set[str]:
        """What is polled here, by the names of sources."""
        return {setup.source for setup in self.setups}

    def devices(self) -> set[str]:
        """The names of the other devices that are asked."""
        return {name for asked in self.asked for name in asked()}


class Opened(NamedTuple):
    """A config, and its sources."""

    config: Config
    wanted: Wanted


def open_all(config: Config, *, clock: Clock = HOST) -> Wanted:
    """Open what the config names. A source that cannot be opened does not keep the others from it."""
    wanted = Wanted()
    registry = Registry()
    for section in config.source:
        if isinstance(section, FakeSource):
            from agent.service.simulation import Simulation

            simulation = Simulation(ports=section.ports, scenario=section.scenario, clock=clock)
            wanted.others.append(simulation.run)
            wanted.shares += simulation.shares()
            wanted.setups += simulation.setups(
                interval_s=section.poll_interval or config.agent.poll_interval,
                intervals=_intervals(config),
                flags=_flags(config, section.read_flags),
            )
        elif isinstance(section, SnmpSource):
            from drivers.snmp.source import SnmpSource as Switches

            switches = Switches(section)
            wanted.others.append(switches.run)
            wanted.asked.append(partial(_names, switches))
            wanted.remote.append(partial(_healths, switches))
        elif isinstance(section, SonicSource):
            from drivers.sonic.driver import SonicSource as Switch

            interval_s = section.poll_interval or config.agent.poll_interval
            switch = Switch(section, interval_s=interval_s)
            wanted.others.append(switch.run)
            wanted.remote.append(partial(set[str], (switch.name,)))
        else:
            _open_cages(wanted, registry, config, section)
    _share_engines(wanted, config)
    _refuse_twice((*(setup.port for setup in wanted.setups), *wanted.engines.ports))
    return wanted


def _names(switches: "Switches") -> set[str]:
    return {target.name for target in switches.targets}


def _healths(switches: "Switches") -> set[str]:
    return {f"snmp:{name}" for name in _names(switches)}


def unmatched(config: Config) -> list[str]:
    """Sources of the config whose pattern fits nothing that is there now."""
    registry = Registry()
    found: list[str] = []
    for section in config.source:
        if isinstance(section, ModuleSection) and _is_pattern(section.source()):
            with contextlib.suppress(OpticError):  # what fails is told when it is opened to be read
                if not registry.open_section(section):
                    found.append(str(section.source()))
    return found


def _is_pattern(name: SourceName) -> bool:
    return any(sign in name.address for sign in "*?[")


def _open_cages(wanted: Wanted, registry: Registry, config: Config, section: ModuleSection) -> None:
    name = section.source()
    wanted.patterns |= _is_pattern(name)
    try:
        cages = registry.open_section(section)
    except ConfigError:
        raise
    except OpticError as exc:
        wanted.failed.append((str(name), exc))
        return
    for cage in cages:
        wanted.setups.append(
            PortSetup(
                port=cage.port,
                bus=cage.bus,
                source=cage.source,
                open=partial(_memory, cage),
                interval_s=section.poll_interval or config.agent.poll_interval,
                # What another daemon latches belongs to it, unless the config says otherwise.
                flags=_flags(config, section.read_flags) and (not cage.owner or section.own_flags),
                freeze=freezes(wanted, section, cage),
                intervals=_intervals(config),
            )
        )
        if isinstance(section, EthtoolSource):
            netdev = cage.source.partition(":")[2]
            wanted.netdevs.setdefault(section.netns, {})[netdev] = cage.port
            if section.host_counters and not section.netns:
                wanted.counted[cage.port] = netdev
        elif section.netdev:
            wanted.netdevs.setdefault("", {})[section.netdev] = cage.port


def _share_engines(wanted: Wanted, config: Config) -> None:
    """Ports that are parts of an engine, and their links."""
    known = {setup.port for setup in wanted.setups}
    for section in config.port:
        share = section.share()
        wanted.shares.append(share)
        for name in {share.engine, *(each.source for each in share.els)} - known:
            wanted.notes.append(f"port {section.name}: no source has the port name {name!r}")
        if section.netdev:
            wanted.netdevs.setdefault("", {})[section.netdev] = section.name
    wanted.engines = Engines(wanted.shares)


def freezes(wanted: Wanted, section: ModuleSection, cage: Cage) -> bool:
    """Whether VDM is frozen: its statistics begin anew for everybody, so never where another daemon reads them."""
    if section.vdm_freeze and cage.owner:
        wanted.notes.append(f"{cage.source}: vdm_freeze is not done, {cage.owner} reads these statistics")
    return section.vdm_freeze and not cage.owner


def _memory(cage: Cage) -> ModuleMemory:
    return cage.memory


def _intervals(config: Config) -> Intervals:
    return Intervals(slow_s=config.agent.slow_interval, identity_s=config.agent.identity_interval)


def _flags(config: Config, section: bool | None) -> bool:
    return config.agent.read_flags if section is None else section


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
