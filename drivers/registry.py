"""Drivers by name: built-in ones and those of other packages, all from the entry-point group `opticd.drivers`."""

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from typing import Final, Protocol, runtime_checkable

from agent.errors import ConfigError
from agent.near import nearest
from agent.sources import Cage, Driver, Options, SourceName, parse_source

GROUP: Final = "opticd.drivers"


class Section(Protocol):
    """A section of the config, as far as a registry needs to know it."""

    @property
    def port(self) -> str: ...
    def source(self) -> SourceName: ...


@runtime_checkable
class NamesPorts(Protocol):
    """A section that stands for several cages and gives them names."""

    @property
    def ports(self) -> Mapping[str, str]: ...


@runtime_checkable
class Expands(Protocol):
    """A driver whose address may stand for several."""

    def expand(self, address: str) -> list[str]:
        """The addresses that are there now; an address that stands for one is itself, there or not."""
        ...


class Registry:
    """Opens cages. Drivers are imported when their first source is opened, and live as long as the registry."""

    def __init__(self) -> None:
        self._entries: dict[str, EntryPoint] = {entry.name: entry for entry in entry_points(group=GROUP)}
        self._drivers: dict[str, Driver] = {}

    @property
    def kinds(self) -> tuple[str, ...]:
        """The words a source may begin with."""
        return tuple(sorted({*self._entries, *self._drivers}))

    def add(self, kind: str, driver: Driver) -> None:
        """A driver that is no entry point (the simulated switch, tests)."""
        self._drivers[kind] = driver

    def open(self, source: str | SourceName) -> Cage:
        """The cage that `source` names. Raises ConfigError; hardware is touched by the first read only."""
        name = parse_source(source) if isinstance(source, str) else source
        options = Options(name.options, of=str(name))
        cage = self._driver(name.kind).open(name.address, options)
        options.finish()
        return cage

    def open_section(self, section: Section) -> list[Cage]:
        """Every cage of one section of the config, under the names that it gives them.

        One, but for a driver that finds several at one address (`*` in the path of EEPROM files).
        """
        name = section.source()
        driver = self._driver(name.kind)
        found = driver.expand(name.address) if isinstance(driver, Expands) else [name.address]
        cages = [self.open(SourceName(name.kind, address, name.options)) for address in found]
        if section.port and len(cages) == 1:
            return [replace(cages[0], port=section.port)]
        names: Mapping[str, str] = section.ports if isinstance(section, NamesPorts) else {}
        return [replace(cage, port=_named(cage, names)) for cage in cages]

    def _driver(self, kind: str) -> Driver:
        driver = self._drivers.get(kind)
        if driver is None:
            entry = self._entries.get(kind)
            if entry is None:
                near = nearest(kind, self.kinds)
                hint = f"did you mean {near}:?" if near else f"one of {', '.join(self.kinds)}"
                raise ConfigError(f"no driver for sources of kind {kind!r}", hint=hint)
            driver = self._drivers[kind] = _load(entry)
        return driver


def _named(cage: Cage, names: Mapping[str, str]) -> str:
    """By the whole path, a part of it (the device), or what the driver calls it."""
    path = cage.source.partition(":")[2]
    return next((names[part] for part in (path, *path.split("/")) if part in names), cage.port)


def _load(entry: EntryPoint) -> Driver:
    try:
        driver: Driver = entry.load()()
    except Exception as exc:  # it may be anybody's package: its failure is reported as a line, under its name
        package = entry.dist.name if entry.dist else "?"
        raise ConfigError(f"driver {entry.name!r} of package {package} does not load: {exc}") from exc
    return driver
