"""What a benchmark found: rows with the peer beside them, as a Markdown table and as JSON with the machine."""

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal, cast

from agent.version import __version__

PACKAGES: Final = ("h11", "aiomqtt", "prometheus-client", "pysnmp", "smbus2")
TOOLS: Final = ("prometheus-node-exporter", "prometheus-snmp-exporter", "snmp", "mosquitto",
                "prometheus", "golang-go", "golang-github-prometheus-client-golang-dev")  # fmt: skip

Verdict = Literal["met", "missed", ""]
QUIET: Final = 1.0
"""A one-minute load above this says that others had the cores too."""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is measured."""

    windows: int = 3
    """Whose median is taken: of a daemon that is watched, of starts, of clients."""
    window_s: float = 6.0
    scrapes: int = 15
    sizes: tuple[int, ...] = (8, 64, 512, 4096)
    """Of growth, in modules."""
    fleet: tuple[int, float, float] = (512, 15.0, 150.0)
    """Modules of an agent, seconds between scrapes, seconds that it is watched."""


WHOLE: Final = Effort()
QUICK: Final = Effort(windows=1, window_s=4.0, scrapes=5, sizes=(8, 32, 128), fleet=(64, 3.0, 15.0))


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Another one's figure for the same work, in the same unit. `quoted`: not measured in this run."""

    name: str
    value: float
    quoted: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line."""

    section: str
    work: str
    value: float
    unit: str
    peers: tuple[Peer, ...] = ()
    target: float | None = None
    more_is_better: bool = False
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Against the target."""
        if self.target is None:
            return ""
        return (
            "met" if (self.value >= self.target if self.more_is_better else self.value <= self.target) else "missed"
        )


@dataclass
class Found:
    """What one section gives: rows, a table of its own under them, what could not be measured and why."""

    rows: list[Row]
    table: str = ""
    notes: tuple[str, ...] = ()
    failed: str = ""


@dataclass
class Machine:
    """Where it was measured, and how busy that was."""

    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    opticd: str
    versions: dict[str, str]
    began: str
    load: list[float] = field(default_factory=list[float])
    """One-minute load at the beginning and the end: what others did at the same time."""

    @property
    def busy(self) -> str:
        """A warning, when others had the cores too."""
        if not self.load or self.load[0] <= QUIET:
            return ""
        return f"warning: a load of {self.load[0]:.1f} at the start; ratios hold better than times"


def machine() -> Machine:
    """The one that this runs on."""
    info = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    cpu = next(
        (line.partition(":")[2].strip() for line in info if line.startswith("model name")), platform.machine()
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Machine(
        cpu=cpu,
        cores=os.cpu_count() or 0,
        memory_gib=round(memory, 1),
        kernel=platform.release(),
        python=platform.python_version(),
        opticd=__version__,
        versions={name: found for name in PACKAGES if (found := _package(name))} | _tools(),
        began=datetime.now(UTC).isoformat(timespec="seconds"),
        load=[os.getloadavg()[0]],
    )


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _tools() -> dict[str, str]:
    try:
        done = subprocess.run(
            ("dpkg-query", "-W", "-f", "${Package} ${Version}\n", *TOOLS),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return {}
    return {name: found for name, _, found in (line.partition(" ") for line in done.stdout.splitlines()) if found}


def figures(text: str) -> dict[str, float]:
    """The last line that a benchmark printed, one JSON object of numbers."""
    return cast("dict[str, float]", json.loads(text.splitlines()[-1]))


def figure(value: float) -> str:
    """Three digits of a number, however large."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.3g}"


def _ratio(row: Row, peer: Peer) -> str:
    if not peer.value or not row.value:
        return ""
    ratio = row.value / peer.value if row.more_is_better else peer.value / row.value
    return f" ({figure(ratio)}x)"


def about(where: Machine) -> str:
    """One line on the machine, and what ran on it."""
    versions = ", ".join(f"{name} {found}" for name, found in where.versions.items())
    load = " to ".join(f"{each:.1f}" for each in where.load)
    return (
        f"{where.began}, opticd {where.opticd}, Python {where.python}, {where.cores} cores ({where.cpu}), "
        f"{where.memory_gib:g} GiB, Linux {where.kernel}; load {load}. {versions}."
    )


def markdown(rows: list[Row], where: Machine, *, tables: list[str], notes: list[str]) -> str:
    """The table of all rows, those of sections under it, and what is missing."""
    lines = [
        about(where),
        "",
        "| | work | opticd | target | | peers (how many times opticd's figure is better) | |",
        "|---|---|---|---|---|---|---|",
    ]
    if where.busy:
        lines.append(f"| | {where.busy} | | | | | |")
    section = ""
    for row in rows:
        head = row.section if row.section != section else ""
        section = row.section
        sign = ">=" if row.more_is_better else "<="
        target = f"{sign} {figure(row.target)}" if row.target is not None else ""
        peers = "; ".join(
            f"{peer.name} {figure(peer.value)}{_ratio(row, peer)}{' [1]' if peer.quoted else ''}"
            for peer in row.peers
        )
        cells = (head, row.work, f"{figure(row.value)} {row.unit}", target, row.verdict, peers, row.note)
        lines.append("| " + " | ".join(cells) + " |")
    if any(peer.quoted for row in rows for peer in row.peers):
        lines += ["", "[1] quoted from an earlier measurement of that peer, on 2 cores; not run here."]
    for table in tables:
        lines += ["", table]
    if notes:
        lines += ["", "Left out:", "", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def document(rows: list[Row], where: Machine, *, notes: list[str]) -> str:
    """JSON."""
    listed = [asdict(row) | {"verdict": row.verdict} for row in rows]
    return (
        json.dumps(
            {"machine": asdict(where) | {"warning": where.busy}, "rows": listed, "left_out": notes}, indent=1
        )
        + "\n"
    )
