"""A fleet of 50,000 modules: the part that fits on this machine run, the rest reckoned from what it needed.

Two agents over the cheap bus of `benchmarks.bus`, scraped by a real Prometheus for some
minutes. What Prometheus needed is what it says of itself in its own /metrics.

All modules are of one kind with few values, which compress better than real ones do. Not measured: a block of two
hours being written, queries and rules, remote write, a network.
"""

import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Final

from benchmarks.daemon import Daemon, Shape, running, total
from benchmarks.record import Effort, Found, Row
from benchmarks.scraping import Scraper, free_port
from exporters.prometheus.series import series

MODULES: Final = 50_000
AGENTS: Final = 2
SHARD_GIB: Final = 32.0
"""Memory of a host of Prometheus; half of it is left to queries and to blocks that are written."""
SHARD_SERIES: Final = 0.5
_MODULES_A_BUS: Final = 16
_SETTLE_S: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Of the part that ran."""

    agents: int
    modules: int
    """Of each agent."""
    every_s: float
    """Between scrapes."""
    seconds: float
    agent_cpu: float
    """Share of a core of one agent, the fake bus included."""
    agent_mib: float
    overruns: float
    samples: int
    """Of one scrape of one agent."""
    text_bytes: int
    gzip_bytes: int
    prometheus_cpu: float
    idle_mib: float
    """Prometheus before it knew an agent."""
    prometheus_mib: float
    series: float
    """In its head."""
    samples_s: float
    """That it took in."""


@contextmanager
def prometheus(folder: Path, targets: list[int], every_s: float) -> Generator[Daemon]:
    """One that scrapes these ports and itself is not scraped; without targets it idles."""
    listed = ", ".join(f"'127.0.0.1:{port}'" for port in targets)
    config = folder / "prometheus.yml"
    config.write_text(
        f"global: {{scrape_interval: {every_s:g}s, scrape_timeout: {every_s:g}s}}\n"
        f"scrape_configs:\n- job_name: opticd\n  static_configs:\n  - targets: [{listed}]\n"
    )
    port = free_port()
    command = ("prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
               f"--web.listen-address=127.0.0.1:{port}", "--log.level=error")  # fmt: skip
    began = time.monotonic()
    process = subprocess.Popen(command)
    try:
        yield Daemon(process, port, began)
    finally:
        process.terminate()
        process.wait(30)


def wait_for(server: Daemon) -> None:
    """Until it answers."""
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{server.port}/-/ready", timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("Prometheus does not get ready")


def idle_mib() -> float:
    """What Prometheus holds with nothing to do."""
    with tempfile.TemporaryDirectory(prefix="opticd-bench-") as name, prometheus(Path(name), [], 15.0) as server:
        wait_for(server)
        time.sleep(_SETTLE_S)
        return server.metrics()["process_resident_memory_bytes"] / 2**20


def run(modules: int, every_s: float, seconds: float) -> Measured:
    """The agents and the Prometheus."""
    idle = idle_mib()
    with ExitStack() as stack:
        shape = Shape(ports=modules, buses=max(1, modules // _MODULES_A_BUS))
        agents = [stack.enter_context(running(shape)) for _ in range(AGENTS)]
        for agent in agents:
            agent.wait_ready(120.0)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="opticd-bench-")))
        server = stack.enter_context(prometheus(folder, [agent.port for agent in agents], every_s))
        wait_for(server)
        time.sleep(every_s + _SETTLE_S)  # every agent was scraped once: its series are made
        overruns = sum(total(agent.metrics(), "xcvr_poll_overruns_total") for agent in agents)
        used = sum(agent.cpu_s() for agent in agents)
        before, began = server.metrics(), time.monotonic()
        time.sleep(seconds)
        after, took = server.metrics(), time.monotonic() - began
        used = sum(agent.cpu_s() for agent in agents) - used
        text = agents[0].get("/metrics")[1]
        _, packed = Scraper(agents[0].port).scrape()
        appended = "prometheus_tsdb_head_samples_appended_total"
        return Measured(
            agents=AGENTS,
            modules=modules,
            every_s=every_s,
            seconds=took,
            agent_cpu=used / took / AGENTS,
            agent_mib=sum(agent.rss_mib() for agent in agents) / AGENTS,
            overruns=sum(total(agent.metrics(), "xcvr_poll_overruns_total") for agent in agents) - overruns,
            samples=sum(not line.startswith(b"#") for line in text.splitlines()),
            text_bytes=len(text),
            gzip_bytes=len(packed),
            prometheus_cpu=(after["process_cpu_seconds_total"] - before["process_cpu_seconds_total"]) / took,
            idle_mib=idle,
            prometheus_mib=after["process_resident_memory_bytes"] / 2**20,
            series=after["prometheus_tsdb_head_series"],
            samples_s=(total(after, appended) - total(before, appended)) / took,
        )


def ran(found: Measured) -> str:
    """What the part needed, as Markdown."""
    buses = max(1, found.modules // _MODULES_A_BUS)
    lines = [
        f"{found.agents} agents of {found.modules:,} simulated modules on {buses} buses each, a poll a second, and",
        f"a Prometheus that scrapes them every {found.every_s:g} s, all on this machine for {found.seconds:.0f} s:",
        "",
        "| | measured |",
        "|---|---|",
        f"| samples of a scrape of one agent | {found.samples:,} ({found.samples / found.modules:.0f} a module) |",
        f"| bytes of it | {found.text_bytes / 1e6:.2f} MB of text, {found.gzip_bytes / 1e6:.2f} MB on the wire |",
        f"| CPU of an agent, its simulated buses included | {found.agent_cpu:.3f} of a core |",
        f"| RSS of an agent, its simulated modules included | {found.agent_mib:.0f} MiB |",
        f"| polls that came late | {found.overruns:.0f} |",
        f"| series in Prometheus | {found.series:,.0f} |",
        f"| samples that Prometheus took in | {found.samples_s:,.0f}/s |",
        f"| CPU of Prometheus | {found.prometheus_cpu:.3f} of a core |",
        f"| RSS of Prometheus, idle and with them | {found.idle_mib:.0f} and {found.prometheus_mib:.0f} MiB |",
    ]
    return "\n".join(lines)


def paper(found: Measured) -> str:
    """The whole fleet, reckoned from the part: of the modules that ran, and of other kinds."""
    a_series = max(0.0, found.prometheus_mib - found.idle_mib) * 2**20 / found.series
    a_sample_s = found.prometheus_cpu / found.samples_s
    agents = ceil(MODULES / found.modules)
    wire = found.gzip_bytes * 8 / found.samples
    columns = ("modules", "series a module", "series", "memory", "shards", "agents a shard",
               "every 15 s: samples, wire, CPU of Prometheus", "every 60 s")  # fmt: skip
    lines = [
        f"Reckoned from it for {MODULES:,} modules, {agents} agents of {found.modules:,}: a series is",
        f"{a_series / 1024:.2f} KiB of Prometheus' memory, a sample {a_sample_s * 1e6:.2f} us of its CPU and",
        f"{wire:.1f} bits on the wire. A shard is a Prometheus with {SHARD_GIB:.0f} GiB, half of it for series.",
        "Series a module of other kinds are those of `opticd check --series`, profile `standard`.",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
    ]
    kinds = {"as measured": found.samples / found.modules}
    kinds |= {kind.name: float(count) for kind, count in series("standard")}
    for name, a_module in kinds.items():
        every = MODULES * a_module
        memory_gib = every * a_series / 2**30
        shards = max(1, ceil(memory_gib / (SHARD_GIB * SHARD_SERIES)))
        load = [
            f"{every / period_s / 1e3:,.0f} thousand/s, {every / period_s * wire / 1e6:.0f} Mbit/s, "
            f"{every / period_s * a_sample_s:.1f} cores"
            for period_s in (15, 60)
        ]
        cells = (name, f"{a_module:.0f}", f"{every / 1e6:.1f} million", f"{memory_gib:.0f} GiB", str(shards),
                 str(ceil(agents / shards)), *load)  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def measure(effort: Effort) -> Found:
    """The part and the whole; without Prometheus neither."""
    if shutil.which("prometheus") is None:
        return Found([], notes=("fleet: prometheus is not installed",))
    found = run(*effort.fleet)
    rows = [
        Row(section="fleet", work=f"{AGENTS} agents of {found.modules:,} modules and a Prometheus: CPU of an agent",
            value=found.agent_cpu, unit="of a core", note=f"{found.overruns:.0f} overruns"),
        Row(section="fleet", work="samples that Prometheus took in", value=found.samples_s, unit="/s",
            note=f"{found.prometheus_cpu:.3f} core, {found.prometheus_mib:.0f} MiB, {found.series:.0f} series"),
    ]  # fmt: skip
    return Found(rows, table=f"{ran(found)}\n\n{paper(found)}")
