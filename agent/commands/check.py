"""`opticd check FILE`: validate a config, and on demand say how much it exports."""

import argparse
import contextlib
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from agent.commands import check_files
from agent.config import file as config
from agent.config.file import Config, Profile
from agent.config.sources import FakeSource, SnmpSource, SonicSource, Source
from agent.errors import ConfigError, DriverError

if TYPE_CHECKING:
    from drivers.registry import Registry


def run(arguments: argparse.Namespace) -> int:
    """Print what is wrong (as a ConfigError), or that nothing is."""
    loaded = config.load(arguments.file)
    _addresses(loaded, arguments.file)
    for note in check_files.check(loaded):
        print(f"opticd: note: {note}", file=sys.stderr)
    print(f"{arguments.file}: valid, {len(loaded.source)} source(s), {len(loaded.rule)} rule(s) of its own")
    if arguments.series:
        _series(loaded)
    return 0


def _addresses(loaded: Config, file: Path) -> None:
    """What no hardware mends: an address that is none, a list of targets that is not there."""
    from drivers.registry import Registry
    from exporters.web import listen

    registry = Registry()
    for at, section in enumerate(loaded.source):
        with _in(f"{file}: source[{at}]"):
            _source(section, registry)
    if loaded.exporter.prometheus is not None:
        with _in(f"{file}: exporter.prometheus"):
            listen.parse(loaded.exporter.prometheus.listen)


def _source(section: Source, registry: "Registry") -> None:
    from drivers.snmp.targets import load_targets

    if isinstance(section, SnmpSource):
        load_targets(section.targets)
    elif not isinstance(section, FakeSource | SonicSource):
        with contextlib.suppress(DriverError):  # that something is not there now is no mistake of the file
            registry.open_section(section)


@contextlib.contextmanager
def _in(place: str) -> Generator[None]:
    """Says where in the file a mistake is that a driver found in an address."""
    try:
        yield
    except ConfigError as exc:
        raise ConfigError(f"{place}: {exc}", hint=exc.hint) from exc


def _series(loaded: Config) -> None:
    from exporters.prometheus.series import series

    prometheus = loaded.exporter.prometheus or config.Prometheus()
    print(f"series a module (power in {' and '.join(prometheus.power_units)}; * is the profile of this file):")
    counts = {profile: dict(series(profile, power_units=prometheus.power_units)) for profile in get_args(Profile)}
    kinds = list(next(iter(counts.values())))
    width = max(len(kind.name) for kind in kinds)
    heads = [f"{profile}{'*' if profile == loaded.agent.profile else ''}" for profile in counts]
    print("  " + " " * width + "".join(head.rjust(11) for head in heads))
    for kind in kinds:
        print("  " + kind.name.ljust(width) + "".join(str(of[kind]).rjust(11) for of in counts.values()))
