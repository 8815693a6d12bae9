"""`opticd scan`: everything on this host that modules can be read through, as a table and as a config."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from agent.errors import OpticError
from agent.grid import Cell, Tone, painted, safe, table
from agent.progress import Progress
from drivers import discovery

_TONES: Final[Mapping[discovery.Status, Tone]] = {
    "module": "good", "empty": "", "left alone": "faint", "failed": "warning"
}  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Look, and print what was found; nothing found is exit 1."""
    with Progress("looking for") as progress:
        found = list(_look(progress, everything=arguments.all))
    if arguments.format == "json":
        print(json.dumps([{**_row(each), "detail": each.detail} for each in found], ensure_ascii=False))
        return 0 if found else 1
    if not found:
        raise OpticError(
            "no way to a module was found: no interface with a cage, EEPROM file, I2C bus that answers, or bridge",
            hint=f"{'run as root, ' if os.geteuid() else ''}load i2c-dev (modprobe i2c-dev), or try `opticd demo`",
        )
    show(found, colour=sys.stdout.isatty())
    return 0


def show(found: Sequence[discovery.Found], *, colour: bool) -> None:
    """Print the table, then the config."""
    head = [Cell(text, "head") for text in ("source", "port", "status", "what")]
    rows = [
        [Cell(each.source), Cell(safe(each.port)), Cell(each.status, _TONES[each.status]), Cell(safe(each.detail))]
        for each in found
    ]
    for line in table([head, *rows], left=3):
        print(painted(line[1:], colour))
    print()
    print(discovery.as_config(found), end="")


def _row(found: discovery.Found) -> dict[str, str]:
    return {"source": found.source, "port": found.port, "status": found.status}


def _look(progress: Progress, *, everything: bool) -> Iterator[discovery.Found]:
    """Each kind on its own: one that cannot be looked at does not hide the others."""
    searches: tuple[tuple[str, Callable[[], Iterable[discovery.Found]]], ...] = (
        ("interfaces", discovery.interfaces),
        ("EEPROM files", discovery.eeprom_files),
        ("I2C buses", partial(discovery.i2c_buses, everything=everything)),
        ("serial bridges", discovery.serial_bridges),
    )
    for what, search in searches:
        progress.step(what)
        try:
            yield from search()
        except OpticError as exc:
            print(f"opticd: warning: {what}: {exc}", file=sys.stderr)
