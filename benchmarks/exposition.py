"""Scrapes of 512 modules x 100 samples: opticd, prometheus_client and (when installed) node_exporter in one run.

    python -m benchmarks.exposition [--scrapes 15] [--json FILE]

Each server runs in a process of its own. "new values": opticd and prometheus_client get every value anew once a
second, and a scrape comes every 1.3 s, as a real one comes after new polls. "same values": nothing changes, and
scrapes follow each other. node_exporter serves the same text as a file, which it parses for every scrape.
"""

import argparse
import asyncio
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, start_http_server
from prometheus_client.exposition import generate_latest

from agent.config import Prometheus
from agent.model import Reading
from agent.state import Hub
from agent.version import __version__
from benchmarks.scraping import Scraper, crowd, free_port, paced
from benchmarks.synthetic import Switch
from exporters.exposition import Exposition
from exporters.http import make_server
from exporters.selfmetrics import Heart, SelfMetrics
from exporters.tables import gzip_of

PORTS: Final = 512
DEVICE: Final = "leaf-17"
PACE_S: Final = 1.3


@dataclass
class Row:
    """One line of the result, in milliseconds."""

    what: str
    server: str
    p50: float
    p99: float
    note: str = ""


# ---- servers --------------------------------------------------------------------------------------------------


def versions() -> list[list[Reading]]:
    """Some refreshes of the whole switch, each with other values."""
    return [list(Switch(ports=PORTS, bare=True, seed=seed).readings(1.0 + seed)) for seed in range(4)]


async def serve_opticd(port: int, *, changing: bool) -> None:
    """Opticd's exporter. With `changing` all ports get a new reading within each second, one after the other."""
    hub, heart = Hub(DEVICE), Heart()
    metrics = SelfMetrics(hub, version=__version__, heart=heart)
    config = Prometheus(listen=f"127.0.0.1:{port}")
    server = make_server(hub, config, profile="standard", self_metrics=metrics)
    switches = versions()
    for reading in switches[0]:
        hub.publish(reading)
    async with asyncio.TaskGroup() as group:
        group.create_task(heart.beat())
        await server.start()
        print("ready", flush=True)
        turn = 0
        while True:
            turn += 1
            for at in range(0, PORTS, 4):
                for reading in switches[turn % 4][at : at + 4] if changing else ():
                    hub.publish(replace(reading, time=time.time()))
                await asyncio.sleep(4 / PORTS)


def serve_prometheus_client(port: int, *, changing: bool) -> None:
    """The same samples as gauges of prometheus_client, by its own server."""
    registry, set_all = gauges()
    start_http_server(port, "127.0.0.1", registry)
    print("ready", flush=True)
    turn = 0
    while True:
        turn += 1
        began = time.monotonic()
        if changing:
            set_all(turn % 4)
        time.sleep(max(0.1, 1.0 - (time.monotonic() - began)))


def gauges() -> tuple[CollectorRegistry, Callable[[int], None]]:
    """A registry with every sample that opticd has, and what sets them all to another version."""
    registry = CollectorRegistry()
    families: dict[str, Gauge] = {}
    children: list[tuple[Gauge, list[float]]] = []
    columns = [samples_of(readings) for readings in versions()]
    for key, *values in zip(columns[0], *(column.values() for column in columns), strict=True):
        name, labels = key
        if name not in families:
            families[name] = Gauge(name, name.replace("_", " "), [label for label, _ in labels], registry=registry)
        children.append((families[name].labels(*(value for _, value in labels)), values))

    def set_all(version: int) -> None:
        for child, values in children:
            child.set(values[version])

    set_all(0)
    return registry, set_all


def samples_of(readings: Iterable[Reading]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The samples as opticd renders them, read back."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for line in text_of(readings).decode().splitlines():
        if not line.startswith("#"):
            head, _, value = line.rpartition(" ")
            name, _, labels = head.partition("{")
            pairs = [each.split('="') for each in labels[:-2].split('",')]
            found[name, tuple((label, text) for label, text in pairs)] = float(value)
    return found


def text_of(readings: Iterable[Reading]) -> bytes:
    """What opticd serves of them."""
    hub = Hub(DEVICE)
    exposition = Exposition(hub, profile="standard")
    for reading in readings:
        hub.publish(reading)
    return b"".join(piece.text for piece in exposition.pieces(DEVICE, openmetrics=False))


@contextmanager
def process(*command: str) -> Generator[subprocess.Popen[str]]:
    """A server that says `ready`, ended with the block."""
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        if command[0] == sys.executable:
            server.stdout.readline()
        yield server
    finally:
        server.terminate()
        server.wait()


# ---- scrapers -------------------------------------------------------------------------------------------------


def row(what: str, server: str, times: list[float], note: str = "") -> Row:
    """Median and 99th percentile."""
    ordered = sorted(time * 1e3 for time in times)
    return Row(
        what, server, statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], note
    )


def late(port: int) -> str:
    """How late opticd's event loop was at worst."""
    _, body = Scraper(port).scrape()
    text = gzip.decompress(body).decode()
    lag = next(line for line in text.splitlines() if line.startswith("opticd_event_loop_lag_seconds "))
    return f"event loop late by {float(lag.split()[1]) * 1e3:.0f} ms at worst"


# ---- the run --------------------------------------------------------------------------------------------------


def cpu(work: Callable[[], object], repeat: int) -> list[float]:
    """CPU seconds of each run."""
    times: list[float] = []
    for _ in range(repeat):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return times


def rendering(repeat: int) -> Generator[Row]:
    """CPU alone, in this process."""
    switches = versions()
    hub = Hub(DEVICE)
    exposition = Exposition(hub, profile="standard")
    for reading in switches[0]:
        hub.publish(reading)
    refresh: list[float] = []
    joined: list[float] = []

    def publish(readings: list[Reading]) -> None:
        for reading in readings:
            hub.publish(reading)
        exposition.render(DEVICE, most=PORTS)  # all of it, whether a scrape is expected or not

    for turn in range(1, repeat + 1):
        refresh += cpu(partial(publish, switches[turn % 4]), 1)
        joined += cpu(lambda: gzip_of(exposition.pieces(DEVICE, openmetrics=False)), 1)
    samples = exposition.series(DEVICE)
    yield row("CPU of a refresh, every value new", "opticd", refresh, f"{samples} samples, rendering included")
    yield row("CPU of joining and compressing it", "opticd", joined)
    registry, set_all = gauges()
    yield row("CPU of a refresh, every value new", "prometheus_client", cpu(lambda: set_all(1), repeat))
    yield row(
        "CPU of joining and compressing it",
        "prometheus_client",
        cpu(lambda: gzip.compress(generate_latest(registry)), max(3, repeat // 3)),
        "rendering included",
    )


def scraping(scrapes: int) -> Generator[Row]:
    """Over loopback."""
    for server in ("opticd", "prometheus_client"):
        for what, changing, pace_s in (("new values", "1", PACE_S), ("same values", "0", 0.0)):
            port = free_port()
            with process(sys.executable, "-m", "benchmarks.exposition", "serve", server, str(port), changing):
                yield row(f"scrape, {what}", server, paced(port, scrapes, pace_s))
                if changing == "1":
                    times = crowd(port, 10, 5 if server == "opticd" else 1)
                    yield row("scrape, 10 at once", server, times, late(port) if server == "opticd" else "")
    if shutil.which("prometheus-node-exporter"):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "all.prom").write_bytes(text_of(versions()[0]))
            port = free_port()
            command = ("prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile",
                       f"--collector.textfile.directory={folder}", f"--web.listen-address=127.0.0.1:{port}",
                       "--log.level=error")  # fmt: skip
            with process(*command):
                time.sleep(1.0)
                yield row("scrape, same values", "node_exporter", paced(port, max(5, scrapes // 3), 0.0))


def table(rows: list[Row]) -> str:
    """Markdown."""
    ours = {row.what: row.p50 for row in rows if row.server == "opticd"}
    lines = ["| what | server | p50 ms | p99 ms | opticd is faster by | |", "|---|---|---|---|---|---|"]
    for each in rows:
        ratio = f"{each.p50 / ours[each.what]:.1f}x" if each.server != "opticd" else ""
        lines.append(f"| {each.what} | {each.server} | {each.p50:.1f} | {each.p99:.1f} | {ratio} | {each.note} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scrapes", type=int, default=15)
    parser.add_argument("--json", type=Path)
    parser.add_argument("serve", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        _, server, port, changing = arguments.serve
        if server == "opticd":
            asyncio.run(serve_opticd(int(port), changing=changing == "1"))
        serve_prometheus_client(int(port), changing=changing == "1")
    rows = [*rendering(arguments.scrapes), *scraping(arguments.scrapes)]
    rows.sort(key=lambda each: each.what)
    print(table(rows))
    if arguments.json:
        machine = {"cores": os.cpu_count(), "python": sys.version.split()[0]}
        document = {"machine": machine, "rows": [asdict(each) for each in rows]}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
