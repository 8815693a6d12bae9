"""What more modules cost: CPU, memory and a scrape from 8 to 4,096 of them, in one table.

A daemon of each size over the cheap bus of `benchmarks.bus`, 16 modules on a bus, with Prometheus' exporter. CPU is
that of the daemon less that of the bus alone. A daemon costs something without any module, so sizes are compared by
what a module more costs: the step from one size to the next against the step before it. All sizes have the same
period, one that the largest can keep: what grows between them is the number of modules and nothing else.
"""

import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from benchmarks import rows_of_daemon as daemon
from benchmarks.daemon import Shape, running, total
from benchmarks.record import Effort, Found, Row, figure
from benchmarks.scraping import paced

A_BUS: Final = 16
"""Modules of one."""
MOST_A_SECOND: Final = 512
"""Polls of the largest. With 1,024 the daemon and the fake bus in it wanted a whole core, which is all that one
interpreter has: what was measured was the waiting for it.
"""
TARGET: Final = 1.1
_WINDOW: Final = 3
"""Periods in one."""
_SLOW_POLLS: Final = 60
_PACE: Final = 1.3
"""Of the period between scrapes: every value is another one."""
_RHYTHM: Final = 3
"""Scrapes by which the daemon learns when the next comes; they are not counted."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a daemon of so many modules needed."""

    modules: int
    period_s: float
    cpu: float
    """Share of a core, without the fake bus."""
    wire: float
    """That of the fake bus."""
    rss_mib: float
    samples: int
    """Of a scrape."""
    scrape_ms: float
    overruns: float

    @property
    def cpu_us(self) -> float:
        """Of a poll, all included."""
        return self.cpu * self.period_s / self.modules * 1e6


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a module more costs, between two sizes."""

    to: int
    cpu_us: float
    """A poll of it."""
    memory_kib: float
    scrape_us: float


def size(modules: int, effort: Effort, period_s: float) -> Size:
    """One of them."""
    buses = max(1, modules // A_BUS)
    shape = Shape(ports=modules, buses=buses, poll_s=period_s, slow_s=_SLOW_POLLS * period_s)
    with running(shape) as watched:
        watched.wait_ready(180.0)
        time.sleep(2 * period_s + 2.0)
        before = watched.metrics()
        cpu = daemon.windows(watched, effort.windows, _WINDOW * period_s)
        times = paced(watched.port, _RHYTHM + max(3, effort.scrapes // 3), period_s * _PACE)[_RHYTHM:]
        after = watched.metrics()
        rss_mib = watched.rss_mib()
    # The bus at a poll a second of as many modules as are polled in one.
    wire = daemon.alone(round(modules / period_s), max(1, round(buses / period_s)), effort.windows)
    return Size(
        modules=modules,
        period_s=period_s,
        cpu=cpu - wire,
        wire=wire,
        rss_mib=rss_mib,
        samples=len(after),
        scrape_ms=daemon.median(times) * 1000,
        overruns=total(after, "xcvr_poll_overruns_total") - total(before, "xcvr_poll_overruns_total"),
    )


def step(small: Size, large: Size) -> Step:
    """From one to the other."""
    more = large.modules - small.modules
    polls = large.modules / large.period_s - small.modules / small.period_s
    return Step(
        to=large.modules,
        cpu_us=(large.cpu - small.cpu) / polls * 1e6,
        memory_kib=(large.rss_mib - small.rss_mib) * 1024 / more,
        scrape_us=(large.scrape_ms - small.scrape_ms) * 1000 / more,
    )


def measure(effort: Effort) -> Found:
    """All sizes, and the largest step against the one before."""
    period_s = max(1.0, max(effort.sizes) / MOST_A_SECOND)
    sizes = [size(modules, effort, period_s) for modules in effort.sizes]
    steps = [step(small, large) for small, large in pairwise(sizes)]
    rows = [
        row
        for (before, after), small in zip(pairwise(steps), sizes[1:], strict=False)
        for row in compared(before, after, small.modules)
    ]
    return Found(rows, table=table(sizes, steps))


def compared(before: Step, after: Step, between: int) -> list[Row]:
    """How much more a module costs beyond a size than below it."""
    figures = (
        ("CPU of a poll", before.cpu_us, after.cpu_us, "us"),
        ("memory", before.memory_kib, after.memory_kib, "KiB"),
        ("a scrape with new values", before.scrape_us, after.scrape_us, "us"),
    )
    return [
        Row(
            section="growth",
            work=f"{what}, a module more beyond {between:,} against below",
            value=larger / smaller,
            unit="x",
            target=TARGET,
            note=f"{figure(smaller)} {unit} a module up to {between:,}, {figure(larger)} {unit} up to {after.to:,}",
        )
        for what, smaller, larger, unit in figures
        if smaller > 0 and larger > 0  # less than nothing: lost in the noise of a busy machine
    ]


def table(sizes: list[Size], steps: list[Step]) -> str:
    """Markdown."""
    columns = (
        "modules", "period s", "of a core", "fake bus", "us a poll", "a module more", "RSS MiB", "a module more",
        "samples", "scrape ms", "a module more", "overruns",
    )  # fmt: skip
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for each, taken in zip(sizes, [None, *steps], strict=True):
        more = (
            (f"{figure(taken.cpu_us)} us", f"{figure(taken.memory_kib)} KiB", f"{figure(taken.scrape_us)} us")
            if taken
            else ("", "", "")
        )
        cells = (
            f"{each.modules:,}", f"{each.period_s:g}", f"{each.cpu:.3f}", f"{each.wire:.3f}", figure(each.cpu_us),
            more[0], f"{each.rss_mib:.1f}", more[1], f"{each.samples:,}", f"{each.scrape_ms:.1f}", more[2],
            f"{each.overruns:.0f}",
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
