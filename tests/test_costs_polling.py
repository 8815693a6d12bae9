"""What a steady poll and a scrape cost, as counts that no machine's load changes.

Bus transactions of a refresh are in test_poll_traffic.py, crossings of the event loop in test_poller.py (one a poll
at most). Here: memory of steady polls, and system calls of a scrape.
"""

import gc
import http.client
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.alerts.book import AlertBook
from agent.alerts.configured import all_rules
from agent.baselines.keeper import BaselineKeeper
from agent.documents.history import RECENT, History
from agent.maps import identify
from agent.modules.keeper import PortKeeper
from agent.modules.session import Intervals
from agent.polling.portjob import Polled, PortJob, PortSetup
from agent.state import Hub
from drivers.i2c.bus import LinuxI2cBus
from drivers.i2c.paged import PagedMemory
from exporters.prometheus.exposition import Exposition
from fakes.adapter import FakeAdapter
from fakes.i2cdev import FakeI2cDev
from fakes.live import LiveModule
from fakes.products import PRODUCTS

ROOT = Path(__file__).resolve().parent.parent
SCRAPES = 40
PORTS = 32


class Rig:
    """One live 8-lane CMIS module, and everything of the daemon that hears of its readings."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        module = LiveModule(PRODUCTS["osfp-2x400g-dr4"], serial="XY1", rng=random.Random(1), clock=self.clock)
        self.adapter = FakeAdapter(module)
        bus = LinuxI2cBus("7", calls=FakeI2cDev({"/dev/i2c-7": self.adapter}))
        memory = PagedMemory(bus, sleep=self.sleep, clock=self.clock)
        self.hub = Hub("leaf-17")
        self.book = AlertBook(self.hub, all_rules(()))
        self.subscribers = (
            PortKeeper(self.hub, None), History(self.hub), BaselineKeeper(self.hub, self.book, None),
            Exposition(self.hub),
        )  # fmt: skip
        self.job = PortJob(
            PortSetup(
                port="Ethernet0", bus="7", source="i2c:7", open=lambda: memory,
                intervals=Intervals(slow_s=1e9, identity_s=1e9),
            ),
            device="leaf-17", identify=identify, bus_failed=lambda: None, deadline_s=60.0,
            wall=self.clock, clock=self.clock, sleep=self.sleep,
        )  # fmt: skip

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def poll(self) -> Polled:
        self.now += 1.0
        self.adapter.clear()
        polled = self.job.poll()
        for event in polled.events:
            self.hub.publish(event)
        return polled


@pytest.fixture
def rig() -> Generator[Rig]:
    """After enough polls for every ring and cache to be full, with no collection in the way."""
    one = Rig()
    for _ in range(2 * RECENT):
        one.poll()
    gc.collect()
    gc.disable()
    yield one
    gc.enable()


def test_a_steady_poll_keeps_nothing(rig: Rig) -> None:
    def blocks_after(polls: int) -> int:
        for _ in range(polls):
            rig.poll()
        return sys.getallocatedblocks()

    before = blocks_after(20)
    after = blocks_after(400)
    # A poll that kept one object would show 400. Samples of the baseline come once in five minutes, history's rows
    # are bytes of one buffer: what is left is how full free lists happen to be.
    assert after - before < 100


def test_a_steady_poll_leaves_no_garbage_for_the_collector(rig: Rig) -> None:
    for _ in range(100):
        rig.poll()
    assert gc.collect() < 50  # a cycle in each poll would be a hundred; an alert that comes or goes may make one


def test_what_a_reading_holds(rig: Rig) -> None:
    """30 numbers of this module, the dictionaries that hold them, the reading: not what stays the same."""
    rig.poll()
    before = sys.getallocatedblocks()
    kept = [rig.poll() for _ in range(100)]
    held = (sys.getallocatedblocks() - before) / len(kept)
    assert 30 < held < 60


def test_flags_and_identity_are_shared_by_readings_until_they_change(rig: Rig) -> None:
    (one,), (other,) = rig.poll().events, rig.poll().events
    for name in ("module", "thresholds", "flags", "lane_flags", "vdm", "data_path_states"):
        assert getattr(one, name) is getattr(other, name), name
    assert getattr(one, "values", None) is not getattr(other, "values", None)


# ---- system calls of a scrape ---------------------------------------------------------------------------------


@dataclass
class Traced:
    """A server under strace."""

    port: int
    log: Path

    def calls(self) -> Counter[str]:
        """System calls so far, by name."""
        lines = self.log.read_text(errors="replace").splitlines()
        return Counter(line.split("(")[0].split()[-1] for line in lines if "(" in line and "resumed" not in line)


@contextmanager
def traced(tmp_path: Path) -> Generator[Traced]:
    """A process that serves `PORTS` ports."""
    if shutil.which("strace") is None:
        pytest.skip("system calls are counted by strace, which is not installed (Debian package strace)")
    log = tmp_path / "strace"
    traced_calls = "trace=%network,?epoll_wait,epoll_pwait,futex,openat,write"  # aarch64 has the second alone
    tracer = ("strace", "-f", "-qq", "--seccomp-bpf", "-e", traced_calls, "-o", str(log))
    command = (*tracer, sys.executable, "-m", "tests.exposition_process", str(PORTS))
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        if not first:
            why = process.stderr.read().strip()
            if "ptrace" in why.lower() or "permitted" in why.lower():
                pytest.skip(f"strace may not trace here: {why.splitlines()[0]}")
            pytest.fail(why)
        try:
            yield Traced(int(first), log)
        finally:
            process.stdin.close()
            process.wait(20)


def test_system_calls_of_a_scrape(tmp_path: Path) -> None:
    with traced(tmp_path) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)

        def scrape() -> int:
            connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
            answer = connection.getresponse()
            assert answer.status == 200
            return len(answer.read())

        for _ in range(3):
            assert scrape() > 1000
        time.sleep(0.3)  # what the first ones started
        before = server.calls()
        for _ in range(SCRAPES):
            scrape()
        time.sleep(0.3)
        calls = server.calls() - before
        connection.close()
    each = {name: count / SCRAPES for name, count in calls.items()}
    # The answer in one piece, and the wake-up by the thread that compresses; the request, and that wake-up, after
    # which asyncio asks for another.
    assert 1 <= each["recvfrom"] <= 3.1, each
    assert 1 <= each["sendto"] + each.get("sendmsg", 0) <= 2.1, each
    assert each["openat"] <= 3.1, each  # what prometheus_client tells of the process, from /proc
    assert each.get("write", 0) <= 0.1, each
    waits = sum(each.get(name, 0) for name in ("epoll_wait", "epoll_pwait", "futex"))
    assert 1 <= waits <= 40, each  # 18 where nothing else runs: threads that meet wait twice
