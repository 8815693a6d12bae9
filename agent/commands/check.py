"""`opticd check FILE`: validate a config."""

import argparse

from agent import config


def run(arguments: argparse.Namespace) -> int:
    """Print what is wrong (as a ConfigError), or that nothing is."""
    loaded = config.load(arguments.file)
    print(f"{arguments.file}: valid, {len(loaded.source)} source(s)")
    return 0
