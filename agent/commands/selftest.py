"""`opticd selftest SOURCE`: a conformance report on a real module and its bus."""

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Final

from agent import maps
from agent.errors import ConfigError
from agent.grid import Cell, Tone, painted, safe, table
from agent.modules.selftest import Report, selftest
from agent.progress import Progress
from agent.quantities import RX_POWER, TX_POWER
from agent.sources import SourceName, parse_source
from drivers.registry import Registry

_TONES: Final[Mapping[str, Tone]] = {"passed": "good", "warning": "warning", "failed": "alarm", "skipped": "faint"}
_MEASURES: Final = {"tx_power": TX_POWER, "rx_power": RX_POWER}


def run(arguments: argparse.Namespace) -> int:
    """Test, print, and say by the exit code whether something is wrong."""
    cage = Registry().open(arguments.source)
    reference, measures = None, TX_POWER
    if arguments.reference is not None:
        from drivers.scpi import open_reference

        name = parse_source(arguments.reference)
        wanted = name.options.get("measures", "tx_power")
        if wanted not in _MEASURES:
            raise ConfigError(f"{name}: measures={wanted}: tx_power or rx_power is expected")
        measures = _MEASURES[wanted]
        options = {key: value for key, value in name.options.items() if key != "measures"}
        reference = open_reference(SourceName(name.kind, name.address, options))
    try:
        with Progress(f"testing {cage.source}"):
            report = selftest(
                cage.memory,
                source=cage.source,
                identify=maps.identify,
                flags=not cage.owner,
                reference=reference,
                measures=measures,
            )
    finally:
        cage.memory.close()
        if reference is not None:
            reference.close()
    _show(report, arguments.format)
    return 0 if report.passed else 1


def _show(report: Report, style: str) -> None:
    if style == "json":
        checks = [
            {"name": check.name, "verdict": check.verdict, "detail": check.detail, "figures": dict(check.figures)}
            for check in report.checks
        ]
        document = {
            "schema": "opticd/selftest/1",
            "source": report.source,
            "module": report.module,
            "passed": report.passed,
            "checks": checks,
        }
        print(json.dumps(document, ensure_ascii=False, allow_nan=False))
        return
    colour = sys.stdout.isatty()
    rows = [
        (Cell(check.name), Cell(check.verdict, _TONES[check.verdict]), Cell(safe(check.detail)))
        for check in report.checks
    ]
    for line in table(rows, left=2):
        print(painted(line, colour))
