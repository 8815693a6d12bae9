"""The real programs beside the agent: mosquitto with a subscriber that writes down everything, and Prometheus."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

BASE = "opticd/soak"


def program(name: str) -> str:
    """The path of a program; ends the script without it."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise SystemExit(f"soak: {name} is not installed (Debian: mosquitto mosquitto-clients prometheus)")
    return found


def free_port() -> int:
    """A port of loopback that nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Program:
    """A child that is ended with the block."""

    def __init__(self, command: list[str], *, output: Path) -> None:
        self._output = output.open("ab")
        self._command = command
        self.process = self._begin()

    def _begin(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self._command, stdout=self._output, stderr=subprocess.STDOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._output.close()

    def stop(self) -> None:
        """End it, gently first."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Broker(_Program):
    """mosquitto, which keeps its queues over a restart of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", "max_queued_messages 0"]
        lines += ["persistence true", f"persistence_location {folder}/"]
        lines += ["user root"] if os.geteuid() == 0 else []
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        super().__init__([program("mosquitto"), "-c", str(config)], output=folder / "mosquitto.log")
        self._wait()

    def restart(self, *, away_s: float) -> None:
        """End it, and begin it anew after so long."""
        self.stop()
        time.sleep(away_s)
        self.process = self._begin()
        self._wait()

    def hang(self, seconds: float) -> None:
        """It neither reads nor writes for so long."""
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)

    def _wait(self) -> None:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.1)
        raise SystemExit("soak: mosquitto does not start")


class Subscriber(_Program):
    """mosquitto_sub with a session that outlives the connection; a message a line."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.file = folder / "heard"
        command = [program("mosquitto_sub"), "-h", "127.0.0.1", "-p", str(broker.port), "-t", f"{BASE}/event"]
        command += ["-q", "1", "-c", "-i", "soak-subscriber", "-F", "%U %p"]
        super().__init__(command, output=self.file)

    def events(self) -> Iterator[dict[str, Any]]:
        """Everything that was heard, each message once, in the order of its arrival."""
        known: set[str] = set()
        for line in self.file.read_text(encoding="utf-8").splitlines():
            _, _, payload = line.partition(" ")
            with contextlib.suppress(ValueError):  # a line cut short by the end of the subscriber
                event: dict[str, Any] = json.loads(payload)
                if event["id"] not in known:
                    known.add(event["id"])
                    yield event


class Step(NamedTuple):
    """A counter as it was scraped: when, and what it said."""

    time: float
    value: float


class Prometheus(_Program):
    """A real one that scrapes the agent every `every_s`."""

    def __init__(self, folder: Path, target: str, *, every_s: int = 10) -> None:
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        config = folder / "prometheus.yml"
        config.write_text(
            f"global: {{scrape_interval: {every_s}s, scrape_timeout: {every_s}s}}\n"
            f"scrape_configs: [{{job_name: soak, static_configs: [{{targets: ['{target}']}}]}}]\n",
            encoding="utf-8",
        )
        command = [program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
        command += [
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
            "--storage.tsdb.retention.time=2h",
        ]
        super().__init__(command, output=folder / "prometheus.log")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self.address}/api/v1/query?{query}", timeout=120) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return found

    def scrapes(self, *, minutes: float) -> list[Step]:
        """All of them: 1 for those that succeeded."""
        rows = self.query(f"up[{round(minutes)}m]")
        return [Step(float(at), float(value)) for row in rows for at, value in row["values"]]

    def counters(self, name: str, *, label: str, minutes: float) -> dict[tuple[str, str], list[Step]]:
        """All samples of a counter, by port (or bus) and its other label ("" for none)."""
        return {
            (row["metric"].get("port", row["metric"].get("bus", "")), row["metric"].get(label, "")): [
                Step(float(at), float(value)) for at, value in row["values"]
            ]
            for row in self.query(f"{name}[{max(1, round(minutes))}m]")
        }
