"""`opticd run`: the daemon, in the foreground."""

import argparse
import logging
import sys
from typing import Final

from agent.config.file import DEFAULT_CONFIG, Config, load, parse
from agent.service import app, opening
from agent.service.firstlook import FirstLook

_log = logging.getLogger(__name__)
_NOTHING: Final = (
    (
        "no module was found: looked for interfaces whose card can read modules, and for EEPROM files of "
        "transceivers (/sys/bus/i2c/devices/*-0050/eeprom)"
    ),
    (
        "what to do: run as root or with CAP_NET_ADMIN; name I2C buses, serial bridges and switches in "
        f"{DEFAULT_CONFIG} (`opticd scan` prints what this host has); or try `opticd demo`, which needs no hardware"
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or Ctrl-C."""
    log_to_stderr(debug=arguments.debug)
    if not arguments.profile_loop:
        return _run(arguments)
    from agent.service.loopwatch import LoopWatch

    with LoopWatch().watching():
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    path = arguments.config
    if path is None and DEFAULT_CONFIG.exists():
        path = DEFAULT_CONFIG
    if path is None:
        return app.run(_discovered(), look_again=_look)
    loaded = load(path)
    if not loaded.source:
        _log.warning("%s names no [[source]], so nothing is read: `opticd scan` prints those of this host", path)
    for name in opening.unmatched(loaded):
        _log.warning("%s: nothing matches now, what comes later is read; `opticd scan` shows what is here", name)
    daemon = app.Daemon(loaded, path=path)
    FirstLook(daemon.hub)
    return app.run_to_end(daemon.run())


def _discovered() -> Config:
    """Nobody said what to read: what this host has, and gets later."""
    found = _look()
    if not opening.open_all(found).setups:
        for line in _NOTHING:
            _log.warning("%s", line)
        listen = found.exporter.prometheus.listen if found.exporter.prometheus is not None else ""
        _log.warning("what comes later is read; until then there is nothing to see on %s", listen)
    return found


def _look() -> Config:
    from drivers.discovery import default_config

    return parse(default_config(), name="discovery")


def log_to_stderr(*, debug: bool, quiet: bool = False) -> None:
    """Log to standard error, a line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO, handlers=[handler]
    )
    for noisy in ("asyncio", "aiomqtt", "mqtt"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
