"""One file under `vendors/`: a MIB and the devices that have it.

A user's own file is read by the same schema (`drivers.snmp.schema`), with the same errors.
"""

import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from agent.errors import ConfigError
from drivers.snmp.ber import Oid
from drivers.snmp.schema import MODEL, DottedOid, Rule, Sensors, Table


class Mib(Rule):
    """One file: a MIB, the devices it is asked of first, and its tables."""

    name: str
    reference: str
    system: tuple[DottedOid, ...] = ()
    """Prefixes of sysObjectID. Where two MIBs hold the same reading, the one with the longest match goes first."""
    model_numbers: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """How many numbers behind the prefix name the model: its tables (`entry = "*.…"`) lie below them."""
    table: tuple[Table, ...] = ()
    sensors: Sensors | None = None
    link_counter: DottedOid | None = None
    """A column by ifIndex that counts every change of ifOperStatus, up and down."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.table and self.sensors is None and self.link_counter is None:
            raise ValueError("a MIB needs a [[table]], [sensors] or 'link_counter'")
        if bool(self.model_numbers) != any(table.entry[0] == MODEL for table in self.table):
            raise ValueError("'model_numbers' and tables whose entry begins with '*.' belong together")
        return self

    def on(self, system: Oid) -> "Mib":
        """The MIB as the device with this sysObjectID has it: `*` becomes the tree of its model."""
        if not self.model_numbers:
            return self
        length = self.match(system)
        roots = [system[: length + more] for more in self.model_numbers if length and len(system) >= length + more]
        tables: list[Table] = []
        for table in self.table:
            if table.entry[0] != MODEL:
                tables.append(table)
                continue
            tables += (table.model_copy(update={"entry": (*root, *table.entry[1:])}) for root in roots)
        return self.model_copy(update={"table": tuple(tables)})

    @property
    def entries(self) -> tuple[Oid, ...]:
        """The tables that show, by answering, that a device has this MIB."""
        sensors = (self.sensors.entry,) if self.sensors else ()
        counter = (self.link_counter,) if self.link_counter else ()
        return sensors + counter + tuple(table.entry for table in self.table)

    @property
    def needs_entities(self) -> bool:
        """Whether its rows mean nothing without ENTITY-MIB."""
        return self.sensors is not None or any("entity" in table.index for table in self.table)

    @property
    def columns(self) -> Iterator[Oid]:
        """Every column that a discovery reads."""
        for table in self.table:
            yield from table.columns
        if self.sensors is not None:
            yield from self.sensors.columns
        if self.link_counter is not None:
            yield self.link_counter

    def match(self, system: Oid) -> int:
        """Length of the longest prefix that fits this sysObjectID, 0 when none does."""
        return max((len(prefix) for prefix in self.system if system[: len(prefix)] == prefix), default=0)


def parse(text: str, *, name: str) -> Mib:
    """The MIB in a file. Raises ConfigError with a line for every mistake."""
    try:
        return Mib.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{name}: {exc}") from exc
    except ValidationError as exc:
        lines = (
            f"{name}: {'.'.join(str(part) for part in error['loc'])}: {error['msg']}"
            for error in exc.errors(include_url=False)
        )
        raise ConfigError("\n".join(lines)) from exc


def _load(files: Iterable[Path | Traversable]) -> list[Mib]:
    mibs: list[Mib] = []
    for file in sorted(files, key=lambda file: file.name):
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(f"{file}: {exc}") from exc
        mibs.append(parse(text, name=str(file)))
    return mibs


@cache
def _shipped() -> tuple[Mib, ...]:
    """Those that come with opticd, read once: sections and reloads share them."""
    folder = resources.files("drivers.snmp") / "vendors"
    return tuple(_load(file for file in folder.iterdir() if file.name.endswith(".toml")))


def load(folder: Path | None = None) -> tuple[Mib, ...]:
    """The MIBs that come with opticd, and those of a user's folder, which replace others of their name."""
    mibs = {mib.name: mib for mib in _shipped()}
    if folder is not None:
        if not folder.is_dir():
            raise ConfigError(f"{folder}: not a folder", hint="vendors names a folder with .toml files")
        mibs |= {mib.name: mib for mib in _load(folder.glob("*.toml"))}
    return tuple(mibs.values())
