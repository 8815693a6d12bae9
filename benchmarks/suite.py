"""Every row of docs/performance.md in one run, each beside its peers: `scripts/bench` runs this.

    scripts/bench [SECTION ...] [--out FOLDER] [--save]

Prints a Markdown table; writes bench.md and bench.json to the folder (build/bench); `--save` puts the table into
docs/performance.md. Medians; peers that are not installed are left out; those that can not be run here are quoted
and marked. A section that fails ends the run.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks import record
from benchmarks import rows_of_daemon as daemon
from benchmarks import rows_of_parts as parts
from benchmarks.daemon import ROOT
from benchmarks.record import Row

_MARKS: Final = ("<!-- bench -->\n", "<!-- /bench -->")
SECTIONS: Final[dict[str, Callable[[], list[Row]]]] = {
    "traffic": parts.traffic,
    "share": parts.share,
    "decode": parts.decode,
    "polling": daemon.polling,
    "scrape": parts.scrape,
    "snmp": parts.switches,
    "mqtt": parts.messages,
    "memory": daemon.memory,
    "start": daemon.start,
    "growth": daemon.growth,
}


def main() -> int:
    """Run them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", nargs="*", choices=[*SECTIONS, []], help=", ".join(SECTIONS))
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument("--save", action="store_true", help="put the table into docs/performance.md")
    arguments = parser.parse_args()
    where = record.machine()
    rows: list[Row] = []
    for name in arguments.section or SECTIONS:
        print(f"bench: {name}", file=sys.stderr, flush=True)
        rows += SECTIONS[name]()
    where.load.append(os.getloadavg()[0])
    table = record.markdown(rows, where)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "bench.md").write_text(table, encoding="utf-8")
    (arguments.out / "bench.json").write_text(record.document(rows, where), encoding="utf-8")
    print(table)
    if arguments.save:
        save(ROOT / "docs" / "performance.md", table)
    return 0


def save(file: Path, table: str) -> None:
    """Between the marks."""
    head, _, rest = file.read_text(encoding="utf-8").partition(_MARKS[0])
    _, _, tail = rest.partition(_MARKS[1])
    file.write_text(f"{head}{_MARKS[0]}{table}{_MARKS[1]}{tail}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
