"""`opticd run`: the daemon, in the foreground."""

import argparse
import logging
import sys

from agent import app
from agent.config import DEFAULT_CONFIG, Config, load, parse


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or Ctrl-C."""
    log_to_stderr(debug=arguments.debug)
    path = arguments.config
    if path is None and DEFAULT_CONFIG.exists():
        path = DEFAULT_CONFIG
    return app.run(load(path) if path is not None else _discovered(), path=path)


def _discovered() -> Config:
    """Nobody said what to read: what this host has, and interfaces that it gets later."""
    from drivers.discovery import default_config

    return parse(default_config(), name="discovery")


def log_to_stderr(*, debug: bool, quiet: bool = False) -> None:
    """Log to standard error, a line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO, handlers=[handler]
    )
    for noisy in ("asyncio", "aiohttp.access", "aiomqtt", "mqtt"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
