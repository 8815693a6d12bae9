"""Scrapes of 512 modules x 100 samples: opticd, prometheus_client, client_golang and node_exporter in one run.

    scripts/bench scrape

Each server runs in a process of its own, and is asked over HTTP. "new values": every value is another one once a
second, and a scrape comes every 1.3 s, as a real one comes after new polls: what opticd renders for it, in a
poll or in the scrape, is timed as a scraper sees it. "same values": nothing changes, and scrapes follow each other.
"10 at once": ten scrapers without a pause, while values change. node_exporter serves the same text as a file, which
it parses for every scrape. Peers that are not there are left out, which is said.
"""

import asyncio
import gzip
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, start_http_server
from prometheus_client.exposition import generate_latest

from agent.config.file import Prometheus
from agent.model import Reading
from agent.state import Hub
from agent.version import __version__
from benchmarks import golang
from benchmarks.scraping import Scraper, crowd, free_port, paced
from benchmarks.synthetic import Switch
from exporters.http.server import make_server
from exporters.prometheus.exposition import Exposition
from exporters.prometheus.selfmetrics import Heart, SelfMetrics
from exporters.prometheus.tables import gzip_of

PORTS: Final = 512
DEVICE: Final = "leaf-17"
PACE_S: Final = 1.3
CROWD: Final = 10
_TURNS: Final = 4
"""Values take turns."""


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
    return [list(Switch(ports=PORTS, bare=True, seed=seed).readings(1.0 + seed)) for seed in range(_TURNS)]


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
                for reading in switches[turn % _TURNS][at : at + 4] if changing else ():
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
            set_all(turn % _TURNS)
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
def process(*command: str, says_ready: bool = True) -> Generator[subprocess.Popen[str]]:
    """A server, ended with the block."""
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        if says_ready:
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


def late(port: int) -> float:
    """Seconds that opticd's event loop was late by at worst, by what it says of itself."""
    _, body = Scraper(port).scrape()
    text = gzip.decompress(body).decode()
    lag = next(line for line in text.splitlines() if line.startswith("opticd_event_loop_lag_seconds "))
    return float(lag.split()[1])


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
        refresh += cpu(partial(publish, switches[turn % _TURNS]), 1)
        joined += cpu(lambda: gzip_of(exposition.pieces(DEVICE, openmetrics=False)), 1)
    samples = exposition.series(DEVICE)
    yield row(
        "CPU of a refresh, every value new",
        "opticd",
        refresh,
        f"{samples} samples; rendered here, by prometheus_client in the scrape",
    )
    yield row("CPU of joining and compressing it", "opticd", joined)
    registry, set_all = gauges()
    set_ = cpu(lambda: set_all(1), repeat)
    compressed = cpu(lambda: gzip.compress(generate_latest(registry)), max(3, repeat // 3))
    yield row("CPU of a refresh, every value new", "prometheus_client", set_)
    yield row("CPU of joining and compressing it", "prometheus_client", compressed)
    what = "CPU of both together"
    yield row(what, "opticd", [sum(each) for each in zip(refresh, joined, strict=True)])
    yield row(what, "prometheus_client", [sum(each) for each in zip(set_, compressed, strict=False)])


def scraping(server: str, command: Callable[[int, bool], tuple[str, ...]], scrapes: int) -> Generator[Row]:
    """The three cases for one server; `command` of a port, and whether values change."""
    port = free_port()
    with process(*command(port, True)):
        yield row("scrape, new values", server, paced(port, scrapes, PACE_S))
        yield row(f"scrape, {CROWD} at once", server, crowd(port, CROWD, 5 if server == "opticd" else 1))
        if server == "opticd":
            yield row(f"event loop late, {CROWD} at once", server, [late(port)], "at worst, while values change")
    port = free_port()
    with process(*command(port, False)):
        yield row("scrape, same values", server, paced(port, scrapes, 0.0))


def python_server(name: str, port: int, changing: bool) -> tuple[str, ...]:
    """The command of one of this file's own servers."""
    return (sys.executable, "-m", "benchmarks.exposition", name, str(port), str(int(changing)))


def go_exporter(folder: Path, scrapes: int) -> Generator[Row]:
    """Go's client_golang. Raises NotBuilt."""
    program = str(golang.server())
    files: list[str] = []
    for number, readings in enumerate(versions()):
        file = folder / f"{number}.txt"
        file.write_bytes(text_of(readings))
        files.append(str(file))
    yield from scraping(
        "client_golang", lambda port, changing: (program, str(port), str(int(changing)), *files), scrapes
    )


def node_exporter(folder: Path, scrapes: int) -> Generator[Row]:
    """Its collector of text files."""
    (folder / "all.prom").write_bytes(text_of(versions()[0]))
    port = free_port()
    command = ("prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile",
               f"--collector.textfile.directory={folder}", f"--web.listen-address=127.0.0.1:{port}",
               "--log.level=error")  # fmt: skip
    with process(*command, says_ready=False):
        time.sleep(1.0)
        yield row("scrape, same values", "node_exporter", paced(port, max(5, scrapes // 3), 0.0))


def measure(scrapes: int) -> tuple[list[Row], tuple[str, ...]]:
    """Every row, and which peers are left out and why."""
    rows = list(rendering(max(3, scrapes * 3 // 5)))
    left_out: list[str] = []
    for server in ("opticd", "prometheus_client"):
        rows += scraping(server, partial(python_server, server), scrapes)
    with tempfile.TemporaryDirectory() as name:
        try:
            rows += go_exporter(Path(name), scrapes)
        except golang.NotBuilt as exc:
            left_out.append(str(exc))
    if shutil.which("prometheus-node-exporter"):
        with tempfile.TemporaryDirectory() as name:
            rows += node_exporter(Path(name), scrapes)
    else:
        left_out.append("node_exporter: prometheus-node-exporter is not installed")
    return rows, tuple(left_out)


if __name__ == "__main__":
    which, listen_on, values_change = sys.argv[1:]
    if which == "opticd":
        asyncio.run(serve_opticd(int(listen_on), changing=values_change == "1"))
    serve_prometheus_client(int(listen_on), changing=values_change == "1")
