"""`opticd run` in a process of its own: a config over simulated modules, its log, its metrics."""

import re
import resource
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.conftest import ROOT
from tests.mosquitto import free_port

CONFIG: Final = """
[agent]
device = "leaf-17"
poll_interval = 0.5
state_dir = "{folder}/state"

[[source]]
type = "fake"
ports = {ports}
scenario = "{scenario}"

[exporter.prometheus]
listen = "127.0.0.1:{port}"
"""


class DaemonProcess:
    """One run; what it says is in the file `log`. `limits`: resource to its value, set while it starts."""

    def __init__(self, config: Path, port: int, *, limits: dict[int, int] | None = None) -> None:
        self.port = port
        self.log = config.with_suffix(".log")
        self._output = self.log.open("a", encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent.cli", "run", "--config", str(config)],
            stdout=subprocess.DEVNULL, stderr=self._output, cwd=ROOT,
        )  # fmt: skip
        for what, most in (limits or {}).items():
            resource.prlimit(self.process.pid, what, (most, most))

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def get(self, path: str, *, timeout_s: float = 5.0) -> str:
        """An answer; "" while there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=timeout_s) as answer:
                text: str = answer.read().decode()
                return text
        except (OSError, urllib.error.HTTPError):
            return ""

    def metric(self, name: str) -> list[float]:
        """The values of all series of a name."""
        found = re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", self.get("/metrics"), re.MULTILINE)
        return [float(value) for value in found]

    def until(self, condition: Callable[[], object], *, within_s: float = 30.0) -> None:
        end = time.monotonic() + within_s
        while not condition():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < end, self.said
            time.sleep(0.1)

    def until_ready(self) -> None:
        self.until(lambda: self.get("/-/ready"))

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and wait; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise
        finally:
            self._output.close()
        return code


def write_config(folder: Path, *, more: str = "", ports: int = 4, scenario: str = "flapping") -> tuple[Path, int]:
    """A config file and the port that it listens on."""
    port = free_port()
    (folder / "state").mkdir(exist_ok=True)
    path = folder / "opticd.toml"
    path.write_text(CONFIG.format(folder=folder, port=port, ports=ports, scenario=scenario) + more)
    return path, port


@contextmanager
def running(
    folder: Path, *, more: str = "", limits: dict[int, int] | None = None, scenario: str = "flapping"
) -> Generator[DaemonProcess]:
    """A daemon that is ready; at the end of the block it ends cleanly."""
    daemon = DaemonProcess(*write_config(folder, more=more, scenario=scenario), limits=limits)
    try:
        daemon.until_ready()
        yield daemon
    except BaseException:
        daemon.end(signal.SIGKILL)
        raise
    assert daemon.end() == 0, daemon.said
    assert "Traceback" not in daemon.said, daemon.said
