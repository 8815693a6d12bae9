"""`opticd check FILE`: validate a config, and on demand say how much it exports."""

import argparse
from typing import get_args

from agent import config, opening, peers
from agent.config import Config, Profile


def run(arguments: argparse.Namespace) -> int:
    """Print what is wrong (as a ConfigError), or that nothing is."""
    loaded = config.load(arguments.file)
    _files(loaded)
    print(f"{arguments.file}: valid, {len(loaded.source)} source(s), {len(loaded.rule)} rule(s) of its own")
    if arguments.series:
        _series(loaded)
    return 0


def _files(loaded: Config) -> None:
    """The files that it names are checked like itself."""
    opening.own_quirks(loaded)
    if loaded.agent.peers is not None:
        peers.load(loaded.agent.peers)
    prometheus = loaded.exporter.prometheus
    if prometheus is not None and prometheus.web_config is not None:
        from exporters import webconfig

        webconfig.load(prometheus.web_config)


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
