"""`opticd scan`: everything on this host that modules can be read through, as a table and as a config."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from agent.errors import OpticError
from drivers import discovery


def run(arguments: argparse.Namespace) -> int:
    """Look, and print what was found; nothing found is exit 1."""
    found = list(_look(everything=arguments.all))
    if arguments.format == "json":
        print(json.dumps([{**_row(each), "detail": each.detail} for each in found], ensure_ascii=False))
        return 0 if found else 1
    if not found:
        raise OpticError(
            "no way to a module was found: no interface with a cage, EEPROM file, I2C bus that answers, or bridge",
            hint="run as root, load i2c-dev (modprobe i2c-dev), or try `opticd demo`",
        )
    widths = [max(len(_row(each)[key]) for each in found) for key in ("source", "port", "status")]
    for each in found:
        row = _row(each)
        cells = (row["source"], row["port"], row["status"])
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)), each.detail, sep="  "
        )
    print()
    print(discovery.as_config(found), end="")
    return 0


def _row(found: discovery.Found) -> dict[str, str]:
    return {"source": found.source, "port": found.port, "status": found.status}


def _look(*, everything: bool) -> Iterator[discovery.Found]:
    """Each kind on its own: one that cannot be looked at does not hide the others."""
    searches: tuple[tuple[str, Callable[[], Iterable[discovery.Found]]], ...] = (
        ("interfaces", discovery.interfaces),
        ("EEPROM files", discovery.eeprom_files),
        ("I2C buses", partial(discovery.i2c_buses, everything=everything)),
        ("serial bridges", discovery.serial_bridges),
    )
    for what, search in searches:
        try:
            yield from search()
        except OpticError as exc:
            print(f"opticd: warning: {what}: {exc}", file=sys.stderr)
