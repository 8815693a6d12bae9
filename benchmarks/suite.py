"""Every row of docs/performance.md in one run, each beside its peers: `scripts/bench` runs this.

    scripts/bench [SECTION ...] [--quick] [--out FOLDER] [--save]

Prints a Markdown table; writes bench.md and bench.json to the folder (build/bench); `--save` puts the table into
docs/performance.md when every section ran, and that of the fleet into docs/fleet.md. Medians; peers that are not
installed are left out, which is said under the table; those that can not be run here are quoted and marked. A
section that fails or takes longer than its limit is left out with its reason, the others still run, and the exit
status is 1.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks import fleet, growth, record
from benchmarks import rows_of_daemon as daemon
from benchmarks import rows_of_parts as parts
from benchmarks.daemon import ROOT
from benchmarks.record import Effort, Found

PERFORMANCE: Final = ROOT / "docs" / "performance.md"
FLEET: Final = ROOT / "docs" / "fleet.md"
SECTIONS: Final[dict[str, tuple[Callable[[Effort], Found], float]]] = {
    # what measures it, and the seconds after which it is given up
    "traffic": (lambda _: Found(parts.traffic()), 60),
    "share": (lambda effort: Found(parts.share(effort)), 90),
    "decode": (lambda _: Found(parts.decode()), 90),
    "polling": (lambda effort: Found(daemon.polling(effort)), 180),
    "scrape": (parts.scrape, 480),
    "snmp": (lambda effort: Found(parts.switches(effort)), 300),
    "mqtt": (lambda _: Found(parts.messages()), 180),
    "memory": (lambda _: Found(daemon.memory()), 180),
    "start": (lambda effort: Found(daemon.start(effort)), 180),
    "growth": (growth.measure, 900),
    "fleet": (fleet.measure, 300),
}


class Overrun(Exception):
    """A section took longer than its limit."""


@contextmanager
def limited(seconds: float) -> Generator[None]:
    """Raise Overrun in the block when it takes longer."""

    def raise_(*_: object) -> None:
        raise Overrun(f"took longer than {seconds:g} s")

    signal.signal(signal.SIGALRM, raise_)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def run(name: str, work: Callable[[Effort], Found], limit_s: float, effort: Effort) -> Found:
    """One section; when it fails a note says why."""
    began = time.monotonic()
    print(f"bench: {name}", file=sys.stderr, flush=True)
    try:
        with limited(limit_s):
            return work(effort)
    except Exception as exc:  # noqa: BLE001  # it is reported, and the figures of the others are not lost
        return Found([], failed=f"{name}: {type(exc).__name__}: {exc}")
    finally:
        print(f"bench: {name} took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def main() -> int:
    """Run them."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "section", nargs="*", choices=[*SECTIONS, []], metavar="SECTION", help=", ".join(SECTIONS) + " (all)"
    )
    parser.add_argument("--quick", action="store_true", help="once instead of a median, small sizes of growth")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument("--save", action="store_true", help="put the tables into the documents")
    arguments = parser.parse_args()
    if arguments.save and arguments.quick:
        parser.error("figures of --quick are not kept: leave out --quick or --save")
    where = record.machine()
    effort = record.QUICK if arguments.quick else record.WHOLE
    found = {name: run(name, *SECTIONS[name], effort) for name in arguments.section or SECTIONS}
    where.load.append(os.getloadavg()[0])
    rows = [row for each in found.values() for row in each.rows]
    notes = [note for each in found.values() for note in (*each.notes, each.failed) if note]
    tables = [each.table for name, each in found.items() if each.table and name != "fleet"]
    table = record.markdown(rows, where, tables=tables, notes=notes)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "bench.json").write_text(record.document(rows, where, notes=notes), encoding="utf-8")
    reckoned = found["fleet"].table if "fleet" in found else ""
    warning = f" {where.busy.capitalize()}." if where.busy else ""
    paper = f"{record.about(where)}{warning}\n\n{reckoned}\n" if reckoned else ""
    (arguments.out / "bench.md").write_text(f"{table}\n{paper}", encoding="utf-8")
    print(table, paper, sep="\n")
    if arguments.save and found.keys() >= SECTIONS.keys() - {"fleet"}:
        save(PERFORMANCE, "bench", table)
    if arguments.save and paper:
        save(FLEET, "fleet", paper)
    return 1 if any(each.failed for each in found.values()) else 0


def save(file: Path, mark: str, text: str) -> None:
    """Between the marks."""
    opening, closing = f"<!-- {mark} -->\n", f"<!-- /{mark} -->\n"
    head, found, rest = file.read_text(encoding="utf-8").partition(opening)
    _, ended, tail = rest.partition(closing)
    if not (found and ended):
        raise ValueError(f"{file} has no {opening.strip()} with {closing.strip()} behind it")
    file.write_text(f"{head}{opening}{text}{closing}{tail}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
