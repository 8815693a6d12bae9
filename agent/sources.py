"""Sources by name: what `i2c:12:0x70.3?chunk=16` says, and what a driver makes of it.

A driver is a class registered in the entry-point group `opticd.drivers` under the word before the first colon:

    [project.entry-points."opticd.drivers"]
    acme = "acme_optics:AcmeDriver"
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import parse_qsl

from agent.errors import ConfigError
from agent.memory import ModuleMemory
from agent.near import nearest

_YES: Final = {"1", "true", "yes", "on", ""}
_NO: Final = {"0", "false", "no", "off"}


@dataclass(frozen=True, slots=True)
class SourceName:
    """`KIND:ADDRESS?KEY=VALUE&…`, taken apart."""

    kind: str
    address: str
    options: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.kind}:{self.address}"


@dataclass(frozen=True, slots=True)
class Cage:
    """One place for a module, and the way to it.

    `bus`: reads of cages on the same bus run one after the other, on one thread; `port`: its name until the config
    gives a better one; `source`: its name in readings, without options; `owner`: the daemon that also reads these
    modules ("" for none): clear-on-read flags belong to it unless the config says otherwise; `netdev`: the network
    interface of the port, where the way in is one.
    """

    source: str
    port: str
    bus: str
    memory: ModuleMemory
    owner: str = ""
    netdev: str = ""


class Driver(Protocol):
    """What an entry point is, once called without arguments. Kept as long as its cages: they may share a bus."""

    def open(self, address: str, options: "Options") -> Cage:
        """The cage at `address`. Touches no hardware yet. Raises ConfigError for what it does not understand."""
        ...


class Options:
    """The options of one source: each is asked for once, what nobody asked for is an error."""

    def __init__(self, values: Mapping[str, str], *, of: str) -> None:
        self._values = dict(values)
        self._of = of
        self._known: list[str] = []

    def text(self, key: str, default: str = "") -> str:
        """A text option."""
        self._known.append(key)
        return self._values.pop(key, default)

    def flag(self, key: str, *, default: bool) -> bool:
        """A yes or no; `?key` alone is yes."""
        value = self.text(key, "yes" if default else "no").lower()
        if value not in _YES | _NO:
            raise ConfigError(f"{self._of}: {key}={value}: yes or no is expected")
        return value in _YES

    def number(self, key: str, default: float = 0.0, *, least: float = 0.0, most: float = 1e9) -> float:
        """A number within bounds."""
        value = self.text(key, str(default))
        try:
            number = float(value)
        except ValueError:
            raise ConfigError(f"{self._of}: {key}={value}: a number is expected") from None
        if not least <= number <= most:
            raise ConfigError(f"{self._of}: {key}={value}: {least:g} to {most:g} is expected")
        return number

    def finish(self) -> None:
        """Raise ConfigError when something was given that no one asked for."""
        for key in self._values:
            near = nearest(key, self._known)
            hint = f"did you mean {near!r}?" if near else f"it takes {', '.join(sorted(self._known))}"
            raise ConfigError(f"{self._of}: unknown option {key!r}", hint=hint)


def parse_source(text: str) -> SourceName:
    """Take a source apart. Raises ConfigError."""
    kind, colon, rest = text.partition(":")
    if not colon or not kind.isidentifier():
        raise ConfigError(
            f"{text!r} is no source", hint="as in i2c:12, sysfs:PATH, ethtool:eth0, serial:/dev/ttyUSB0, snmp:HOST"
        )
    address, _, query = rest.partition("?")
    return SourceName(kind, address, dict(parse_qsl(query, keep_blank_values=True)))
