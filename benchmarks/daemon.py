"""A real daemon in a process of its own, over the cheap bus of `benchmarks.bus`, watched from outside.

with running(Shape(ports=512, buses=32)) as daemon:
    daemon.wait_ready()
    used = daemon.cpu_s()
"""

import gzip
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from benchmarks import eeproms
from benchmarks.scraping import free_port

ROOT: Final = Path(__file__).resolve().parent.parent
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_ENTRY_POINT: Final = "[opticd.drivers]\nbench = benchmarks.bus:BenchDriver\n"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What runs. `mqtt`: URL of a broker."""

    ports: int = 512
    buses: int = 32
    poll_s: float = 1.0
    slow_s: float = 60.0
    options: str = ""
    """Of the source: `read_ms=3`."""
    mqtt: str = ""
    prometheus: bool = True
    files: bool = False
    """EEPROM files that another process moves (`benchmarks.eeproms`) in place of simulated buses."""
    arguments: tuple[str, ...] = ()
    """More of them for `opticd run`."""
    environment: dict[str, str] = field(default_factory=dict[str, str])

    def modules(self, folder: Path) -> AbstractContextManager[None]:
        """What has to be there beside the daemon."""
        if not self.files:
            return nullcontext()
        return eeproms.served(folder / "modules", ports=self.ports, buses=self.buses)

    def config(self, port: int, folder: Path) -> str:
        """The file."""
        plugin = f'name = "bench:{self.ports}x{self.buses}{"?" + self.options if self.options else ""}"'
        files = f'path = "{folder / "modules" / eeproms.PATTERN}"'
        lines = [
            "[agent]", 'device = "bench"', f"poll_interval = {self.poll_s}", f"slow_interval = {self.slow_s}",
            f'state_dir = "{folder}"', "[[source]]",
            *(('type = "sysfs"', files) if self.files else ('type = "plugin"', plugin)),
        ]  # fmt: skip
        if self.prometheus:
            lines += ["[exporter.prometheus]", f'listen = "127.0.0.1:{port}"']
        if self.mqtt:
            lines += ["[exporter.mqtt]", f'url = "{self.mqtt}"']
        return "\n".join(lines) + "\n"


def of_unit() -> dict[str, str]:
    """The environment that the unit gives."""
    lines = (ROOT / "systemd" / "opticd.service").read_text(encoding="utf-8").splitlines()
    given = " ".join(line.removeprefix("Environment=") for line in lines if line.startswith("Environment="))
    return dict(pair.split("=", 1) for pair in given.split())


def environment(folder: Path) -> dict[str, str]:
    """What a daemon gets that was installed: the unit's variables, compiled modules, the bench driver."""
    info = folder / "path" / "opticd_bench-0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: opticd-bench\nVersion: 0\n")
    (info / "entry_points.txt").write_text(_ENTRY_POINT)
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | of_unit()
    compiled = Path(tempfile.gettempdir()) / f"opticd-bench-pyc-{os.getuid()}"
    own["PYTHONPYCACHEPREFIX"] = str(compiled)
    own["PYTHONPATH"] = os.pathsep.join((str(info.parent), str(ROOT)))
    return own


class Daemon:
    """One that runs."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", port: int, began: float, notices: socket.socket | None = None
    ) -> None:
        self.pid = process.pid
        self.port = port
        self._notices = notices
        self._process = process
        self._began = began

    def wait_started(self, limit_s: float = 60.0) -> float:
        """Seconds from the start of the process to READY=1 for systemd. Raises RuntimeError."""
        if self._notices is None:
            raise RuntimeError("nobody listens")
        self._notices.settimeout(limit_s)
        while b"READY=1" not in self._notices.recv(4096):
            pass
        return time.monotonic() - self._began

    def wait_ready(self, limit_s: float = 60.0) -> float:
        """Seconds from the start of the process to `ready`. Raises RuntimeError."""
        while time.monotonic() - self._began < limit_s:
            if self._process.poll() is not None:
                raise RuntimeError(f"the daemon ended with {self._process.returncode}")
            try:
                if self.get("/-/ready")[0] == 200:
                    return time.monotonic() - self._began
            except OSError:
                pass
            time.sleep(0.03)
        raise RuntimeError("the daemon does not get ready")

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of one GET."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
            answer = connection.getresponse()
            body = answer.read()
            return answer.status, gzip.decompress(body) if answer.getheader("Content-Encoding") == "gzip" else body
        finally:
            connection.close()

    def metrics(self) -> dict[str, float]:
        """Every sample by its name and labels."""
        found: dict[str, float] = {}
        for line in self.get("/metrics")[1].decode().splitlines():
            if not line.startswith("#"):
                key, _, value = line.rpartition(" ")
                found[key] = float(value)
        return found

    def cpu_s(self) -> float:
        """CPU seconds of all its threads so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_mib(self) -> float:
        """What it holds in memory now."""
        return self._status("VmRSS")

    def peak_mib(self) -> float:
        """What it held at most."""
        return self._status("VmHWM")

    def _status(self, name: str) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
        raise LookupError(name)


@contextmanager
def running(shape: Shape) -> Generator[Daemon]:
    """A daemon, ended with the block."""
    with tempfile.TemporaryDirectory(prefix="opticd-bench-") as name:
        folder = Path(name)
        port = free_port()
        config = folder / "opticd.toml"
        config.write_text(shape.config(port, folder))
        command = [sys.executable, "-c", "import sys; from agent.cli import main; sys.exit(main())"]
        own = environment(folder) | shape.environment
        notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notices.bind(str(folder / "notify"))
        own["NOTIFY_SOCKET"] = str(folder / "notify")
        with notices, shape.modules(folder), (folder / "log").open("wb") as log:
            began = time.monotonic()
            process = subprocess.Popen(
                [*command, "run", "--config", str(config), *shape.arguments],
                env=own,
                cwd=folder,
                stderr=log,
                stdout=log,
            )
            try:
                yield Daemon(process, port, began, notices)
            except RuntimeError:
                print((folder / "log").read_text()[-2000:], file=sys.stderr)
                raise
            finally:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def total(metrics: dict[str, float], name: str) -> float:
    """The sum over the labels of one metric."""
    return sum(value for key, value in metrics.items() if key.partition("{")[0] == name)


@dataclass
class Steady:
    """What a daemon needed while it did its work."""

    seconds: float
    cpu_share: float
    """Of one core."""
    rss_mib: float
    peak_mib: float
    ready_s: float
    ready_cpu_s: float
    polls: float
    overruns: float
    errors: float
    samples: int


def steady(shape: Shape, *, seconds: float, settle_s: float = 4.0) -> Steady:
    """Start one, let it settle, watch it."""
    with running(shape) as daemon:
        ready_s, ready_cpu_s = daemon.wait_ready(), daemon.cpu_s()
        time.sleep(settle_s)
        before = daemon.metrics()
        used, began = daemon.cpu_s(), time.monotonic()
        time.sleep(seconds)
        used, took = daemon.cpu_s() - used, time.monotonic() - began
        after = daemon.metrics()

        def grown(name: str) -> float:
            return total(after, name) - total(before, name)

        return Steady(
            seconds=took,
            cpu_share=used / took,
            rss_mib=daemon.rss_mib(),
            peak_mib=daemon.peak_mib(),
            ready_s=ready_s,
            ready_cpu_s=ready_cpu_s,
            polls=grown("xcvr_poll_duration_seconds_count"),
            overruns=grown("xcvr_poll_overruns_total"),
            errors=grown("xcvr_poll_errors_total") + grown("xcvr_discarded_samples_total"),
            samples=len(after),
        )


if __name__ == "__main__":
    numbers = [int(each) for each in sys.argv[1:]]
    ports, buses, duration = (*numbers, *(512, 32, 15)[len(numbers) :])
    found = steady(Shape(ports=ports, buses=buses), seconds=duration)
    print(json.dumps(cast("dict[str, float]", found.__dict__), indent=1))
