"""The daemon in a network namespace of its own: a veth pair flaps, /metrics counts, also over a restart."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.netns import Namespace, namespace, needs_root

OPTICD = Path(sys.executable).parent / "opticd"
PORT = 10_800
CONFIG = """
[agent]
device = "leaf-17"
state_dir = "{state}"

[[source]]
type = "ethtool"
netdev = "va"
port = "swp1"
poll_interval = 1
"""
SCRAPE = (
    f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{PORT}/metrics', timeout=5).read().decode())"
)


class Daemon:
    """One `opticd run`, scraped from inside its namespace."""

    def __init__(self, ns: Namespace, config: Path) -> None:
        self._ns = ns
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", ns.name, str(OPTICD), "run", "--config", str(config)],
            stderr=subprocess.PIPE,
            text=True,
        )

    def samples(self) -> dict[str, float]:
        """Series of swp1 by name, with the cause where there is one; {} while nothing answers."""
        done = subprocess.run(
            ["ip", "netns", "exec", self._ns.name, sys.executable, "-c", SCRAPE],
            check=False,
            capture_output=True,
            text=True,
        )
        pattern = re.compile(r'^xcvr_(\w+)\{port="swp1"(?:,cause="(\w+)")?\} (\S+)$', re.MULTILINE)
        return {
            " ".join(filter(None, (name, cause))): float(value)
            for name, cause, value in pattern.findall(done.stdout)
        }

    def until(self, name: str, value: float, timeout_s: float = 20.0) -> dict[str, float]:
        deadline = time.monotonic() + timeout_s
        while (samples := self.samples()).get(name) != value:
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < deadline, samples
            time.sleep(0.1)
        return samples


@contextmanager
def running(ns: Namespace, config: Path) -> Generator[Daemon]:
    daemon = Daemon(ns, config)
    try:
        yield daemon
    finally:
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(10) in {0, -signal.SIGKILL}, daemon.process.communicate()[1]
        assert daemon.process.stderr is not None
        daemon.process.stderr.close()


@needs_root
def test_flaps_reach_the_metrics_and_survive_a_restart(tmp_path: Path) -> None:
    config = tmp_path / "opticd.toml"
    config.write_text(CONFIG.format(state=tmp_path))
    with namespace() as ns:
        ns.ip("link set lo up")
        ns.pair("va", "vb")
        with running(ns, config) as daemon:
            daemon.until("link_up", 1)
            for _ in range(100):
                ns.stream("link set vb down")
                ns.stream("link set vb up")
            ns.finish()
            ns.ip("link set va down")
            ns.ip("link set va up")
            samples = daemon.until("link_down_events_total admin", 1)
            assert samples["link_transitions_total"] == 202
            assert samples["link_down_events_total unintentional"] == 100
            assert samples["link_up"] == 1
            assert samples["module_present"] == 0  # a veth has no cage, so nobody knows of a module
        ns.ip("link set vb down")  # while nobody watches
        ns.ip("link set vb up")
        with running(ns, config) as daemon:
            samples = daemon.until("link_transitions_total", 204)
            assert samples["link_down_events_total unknown"] == 1
            assert samples["link_down_events_total unintentional"] == 100
            for _ in range(20):
                ns.stream("link set vb down")
                ns.stream("link set vb up")
            ns.finish()
            daemon.process.kill()  # nothing was saved
        with running(ns, config) as daemon:
            samples = daemon.until("link_transitions_total", 244)
            assert sum(value for name, value in samples.items() if "down_events" in name) == 122
