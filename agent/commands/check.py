"""`opticd check FILE`: validate a config, and on demand say how much it exports."""

import argparse
import contextlib
import sys
from typing import get_args

from agent import config
from agent.commands import check_files
from agent.config import Config, Profile
from agent.config_sources import FakeSource, SnmpSource, SonicSource
from agent.errors import DriverError


def run(arguments: argparse.Namespace) -> int:
    """Print what is wrong (as a ConfigError), or that nothing is."""
    loaded = config.load(arguments.file)
    _sources(loaded)
    if loaded.exporter.prometheus is not None:
        from exporters import listen

        listen.parse(loaded.exporter.prometheus.listen)
    for note in check_files.check(loaded):
        print(f"opticd: note: {note}", file=sys.stderr)
    print(f"{arguments.file}: valid, {len(loaded.source)} source(s), {len(loaded.rule)} rule(s) of its own")
    if arguments.series:
        _series(loaded)
    return 0


def _sources(loaded: Config) -> None:
    """What no hardware mends: an address that is none, a list of targets that is not there."""
    from drivers.registry import Registry
    from drivers.snmp.targets import load_targets

    registry = Registry()
    for section in loaded.source:
        if isinstance(section, SnmpSource):
            load_targets(section.targets)
        elif not isinstance(section, FakeSource | SonicSource):
            with contextlib.suppress(DriverError):  # that something is not there now is no mistake of the file
                registry.open_section(section)


def _series(loaded: Config) -> None:
    from exporters.series import series

    prometheus = loaded.exporter.prometheus or config.Prometheus()
    print(f"series a module (power in {' and '.join(prometheus.power_units)}; * is the profile of this file):")
    counts = {profile: dict(series(profile, power_units=prometheus.power_units)) for profile in get_args(Profile)}
    kinds = list(next(iter(counts.values())))
    width = max(len(kind.name) for kind in kinds)
    heads = [f"{profile}{'*' if profile == loaded.agent.profile else ''}" for profile in counts]
    print("  " + " " * width + "".join(head.rjust(11) for head in heads))
    for kind in kinds:
        print("  " + kind.name.ljust(width) + "".join(str(of[kind]).rjust(11) for of in counts.values()))
