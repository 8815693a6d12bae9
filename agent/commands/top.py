"""`opticd top [URL]`: a live view of a running daemon in the terminal."""

import argparse
import asyncio
import os
import shutil
import sys
from importlib import import_module

from agent.errors import ConfigError, OpticError


def run(arguments: argparse.Namespace) -> int:
    """Until q or Ctrl-C; with --once one table on standard output."""
    try:
        import_module("rich")
    except ModuleNotFoundError as exc:
        raise OpticError("opticd top needs the package rich", hint="pip install 'opticd[top]'") from exc
    from agent.top import app
    from agent.top.feed import parse_url
    from agent.top.terminal import Terminal

    url = parse_url(arguments.url)
    signs = app.signs_of(sys.stdout.encoding)
    if arguments.once:
        width = shutil.get_terminal_size((160, 24)).columns
        app.print_lines(asyncio.run(app.snapshot(url, width=width, signs=signs)), width)
        return 0
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError("opticd top needs a terminal", hint="--once prints one table")
    if os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        raise ConfigError(
            "opticd top needs a terminal that can move its cursor (TERM)", hint="--once prints one table"
        )
    asyncio.run(app.Top(url, Terminal(), signs=signs).run())
    return 0
