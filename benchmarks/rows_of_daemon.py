"""Rows of docs/performance.md that watch a whole daemon in a process of its own."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks import record
from benchmarks.daemon import Daemon, Shape, environment, running, total
from benchmarks.record import Effort, Peer, Row
from benchmarks.scraping import free_port

SCRAPE_S: Final = 15.0
"""As Prometheus is mostly told to."""
ALONE_S: Final = 4.0


def median(values: list[float]) -> float:
    """The one in the middle."""
    return statistics.median(values)


@contextmanager
def broker() -> Generator[str]:
    """A mosquitto of its own; gives its URL."""
    port = free_port()
    process = subprocess.Popen(("mosquitto", "-p", str(port)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        yield f"mqtt://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def windows(daemon: Daemon, count: int, seconds: float) -> float:
    """Share of a core, median of some windows; each begins with a scrape, so that rendering is in it."""
    found: list[float] = []
    for _ in range(count):
        used, began = daemon.cpu_s(), time.monotonic()
        daemon.get("/metrics")
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        found.append((daemon.cpu_s() - used) / (time.monotonic() - began))
    return median(found)


def alone(ports: int, buses: int, count: int) -> float:
    """The share of a core that the cheap bus itself takes at a poll a second, in a process of its own."""
    command = (sys.executable, "-m", "benchmarks.bus", str(ports), str(buses), str(ALONE_S))
    runs = [float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(count)]
    return median(runs)


def polling(effort: Effort) -> list[Row]:
    """512 modules once a second, all of the daemon, both exporters, a scrape every 15 s."""
    with broker() as url, running(Shape(ports=512, mqtt=url)) as daemon:
        daemon.wait_ready()
        time.sleep(4.0)
        before = daemon.metrics()
        whole = windows(daemon, effort.windows, SCRAPE_S)
        after = daemon.metrics()
    wire = alone(512, 32, effort.windows)
    missed = total(after, "xcvr_poll_overruns_total") - total(before, "xcvr_poll_overruns_total")
    polls = total(after, "xcvr_poll_duration_seconds_count") - total(before, "xcvr_poll_duration_seconds_count")
    note = f"{whole:.3f} with the fake bus, {wire:.3f} the fake bus alone; {polls:.0f} polls, {missed:.0f} overruns"
    return [
        Row(
            section="polling",
            work="512 modules on 32 buses at 1 Hz",
            value=whole - wire,
            unit="of a core",
            target=0.15,
            note=f"{note}; xcvrd refreshes a port once a minute",
        ),
    ]


def memory() -> list[Row]:
    """Resident memory of a daemon with both exporters, and how it starts."""
    rows: list[Row] = []
    with broker() as url:
        with running(Shape(ports=1, poll_s=10.0, mqtt=url, files=True)) as daemon:
            daemon.wait_ready()
            daemon.metrics()
            time.sleep(5.0)
            idle = daemon.rss_mib()
        rows.append(
            Row(
                section="memory",
                work="one module, both exporters",
                value=idle,
                unit="MiB",
                target=45,
                peers=(*libraries(), *node_exporter_mib()),
            )
        )
        found = hour(url)
    note = f"{found['first_mib']:.1f} at the start; history itself {found['history_mib']:.1f}"
    rows.append(
        Row(
            section="memory",
            work="512 modules, an hour of history, both exporters",
            value=found["hour_mib"],
            unit="MiB",
            target=80,
            note=note,
        )
    )
    return rows


def hour(url: str) -> dict[str, float]:
    """`benchmarks.hour` in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="opticd-bench-") as name:
        folder = Path(name)
        file = folder / "opticd.toml"
        shape = Shape(ports=512, poll_s=10.0, mqtt=url, files=True)
        file.write_text(shape.config(free_port(), folder))
        command = (sys.executable, "-m", "benchmarks.hour", str(file))
        own = environment(folder)
        with shape.modules(folder):
            done = subprocess.run(command, env=own, cwd=folder, capture_output=True, text=True, check=True)
        return record.figures(done.stdout)


def libraries() -> tuple[Peer, ...]:
    """What the libraries take that both exporters and the config need, imported in an ordinary way and not used."""
    code = (
        "import asyncio, sqlite3, aiomqtt, h11, prometheus_client, pydantic\n"
        "class Section(pydantic.BaseModel):\n    key: int = 0\nSection()\n"
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmRSS:')).split()[1])"
    )
    with tempfile.TemporaryDirectory(prefix="opticd-bench-") as name:
        own = environment(Path(name))
        command = (sys.executable, "-c", code)
        subprocess.run(command, env=own, capture_output=True, check=True)  # compiles
        done = subprocess.run(command, env=own, capture_output=True, text=True, check=True)
    return (Peer(name="its libraries alone, imported", value=int(done.stdout) / 1024),)


def node_exporter_mib() -> tuple[Peer, ...]:
    """node_exporter with its defaults, where there is one."""
    port = free_port()
    command = ("prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error")
    try:
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    except OSError:
        return ()
    try:
        time.sleep(2.0)
        return (Peer(name="node_exporter, idle", value=Daemon(process, port, 0.0).rss_mib()),)
    finally:
        process.terminate()
        process.wait(10)


def start(effort: Effort) -> list[Row]:
    """From the command to the first word, and to the last module."""
    with tempfile.TemporaryDirectory(prefix="opticd-bench-") as name:
        own = environment(Path(name))
        command = (sys.executable, "-c", "import sys; from agent.cli import main; sys.exit(main())", "--version")
        said: list[float] = []
        for _ in range(9):
            began = time.monotonic()
            subprocess.run(command, env=own, check=True, stdout=subprocess.DEVNULL)
            said.append((time.monotonic() - began) * 1000)
    return [
        Row(section="start", work="opticd --version", value=median(said), unit="ms", target=100),
        ready("512 modules on 32 simulated buses", Shape(ports=512, poll_s=10.0), effort.windows, target=1.0),
        ready("512 modules in EEPROM files, no wire", Shape(ports=512, poll_s=10.0, files=True), effort.windows),
    ]


def ready(what: str, shape: Shape, count: int, *, target: float | None = None) -> Row:
    """Until every module was read once."""
    started: list[float] = []
    walls: list[float] = []
    used: list[float] = []
    for _ in range(count):
        with running(shape) as daemon:
            started.append(daemon.wait_started())
            walls.append(daemon.wait_ready())
            used.append(daemon.cpu_s())
    wire = "" if shape.files else "; the wire alone takes 0.42 s on each bus"
    note = f"{median(used):.2f} s of CPU until then; READY=1 after {median(started):.2f} s{wire}"
    return Row(
        section="start", work=f"all of {what} read once", value=median(walls), unit="s", target=target, note=note
    )
