"""From an edge of a link in the kernel to the message at a subscriber: the real daemon, a real broker.

    sudo python -m benchmarks.links_mqtt [--flaps 1000] [--rate 50]

A veth pair in a network namespace of its own is flapped; `opticd run`, mosquitto and mosquitto_sub run in it too.
The time of an edge begins before the system call that makes it and ends with the time stamp of mosquitto_sub: what
the kernel holds back (it speaks of lost carriers once a second) is in it. Exits 1 when a counter is not exact, an
edge was not told, or 99 of 100 edges took longer than 100 ms.
"""

import argparse
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drivers.host import netdevs, netlink
from tests.netns import Namespace, namespace

LIMIT_MS: Final = 100.0
OPTICD: Final = Path(sys.executable).parent / "opticd"
CONFIG: Final = """
[agent]
device = "leaf-17"
state_dir = "{folder}/state"

[[source]]
type = "ethtool"
netdev = "va"
port = "swp1"

[exporter.prometheus]
listen = "127.0.0.1:10800"

[exporter.mqtt]
url = "mqtt://127.0.0.1:1883"
"""
SCRAPE: Final = (
    "import urllib.request as u; print(u.urlopen('http://127.0.0.1:10800/metrics', timeout=5).read().decode())"
)


@dataclass(frozen=True)
class Edge:
    """One change of the link that was asked for; `time` Unix seconds before the system call."""

    up: bool
    time: float


@dataclass(frozen=True)
class Told:
    """One message of `event` on this link: the state it tells, and the number of edges up to it."""

    up: bool
    edges: int
    time: float


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    edges: list[Edge]
    told: list[Told]
    metrics: dict[str, float]
    seqs: list[int]

    @property
    def milliseconds(self) -> list[float]:
        """For each edge the time to the first message that tells of it, sorted."""
        took: list[float] = []
        messages = iter(self.told)
        message = next(messages, None)
        for number, edge in enumerate(self.edges, 1):
            while message is not None and message.edges < number:
                message = next(messages, None)
            if message is not None:
                took.append((message.time - edge.time) * 1000.0)
        return sorted(took)

    def mistakes(self) -> list[str]:
        """What is not exact."""
        want, downs = len(self.edges), sum(not edge.up for edge in self.edges)
        found: list[str] = []
        for name, value in (
            ("link_transitions_total", want),
            ("link_down_events_total unintentional", downs),
            ("link_up", 1),
        ):
            if self.metrics.get(name) != value:
                found.append(f"{name} is {self.metrics.get(name)} instead of {value}")
        if not self.told or self.told[-1].edges != want:
            found.append(f"{self.told[-1].edges if self.told else 0} edges told instead of {want}")
        wrong = sum(told.up != self.edges[min(told.edges, want) - 1].up for told in self.told)
        if wrong:
            found.append(f"{wrong} messages tell another state than the link had after so many edges")
        if self.seqs != list(range(1, len(self.seqs) + 1)):
            found.append("seq has holes")
        return found


class Flapper:
    """Switches one interface through rtnetlink; each call lasts until the kernel has done it."""

    def __init__(self, ns: Namespace, name: str) -> None:
        shown = subprocess.run(
            ["ip", "-n", ns.name, "-json", "link", "show", name], check=True, capture_output=True, text=True
        )
        self._index: int = json.loads(shown.stdout)[0]["ifindex"]
        self._socket = netlink.open_socket(socket.NETLINK_ROUTE, netns=ns.name)

    def set(self, *, up: bool) -> None:
        """Up or down."""
        wanted = netdevs.IFINFO.pack(0, 0, self._index, netdevs.IFF_UP if up else 0, netdevs.IFF_UP)
        head = netlink.HEADER.pack(
            netlink.HEADER.size + len(wanted), netdevs.RTM_NEWLINK, netlink.NLM_F_REQUEST | netlink.NLM_F_ACK, 1, 0
        )
        self._socket.send(head + wanted)
        data = self._socket.recv(1 << 16)
        (answer,) = netlink.messages(data)
        code, words = netlink.failure(data, answer)
        if code:
            raise RuntimeError(f"link set: {words or code}")

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()


@contextmanager
def _process(ns: Namespace, *command: str, output: Path) -> Generator[subprocess.Popen[bytes]]:
    with output.open("wb") as file:
        process = subprocess.Popen(["ip", "netns", "exec", ns.name, *command], stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def scraped(ns: Namespace) -> str:
    """/metrics; "" while nothing answers."""
    command = ["ip", "netns", "exec", ns.name, sys.executable, "-c", SCRAPE]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def _of_port(text: str) -> dict[str, float]:
    """The series of the port by name, with the cause where there is one."""
    found = re.findall(r'^xcvr_(\w+)\{port="swp1"(?:,cause="(\w+)")?\} (\S+)$', text, re.MULTILINE)
    return {" ".join(filter(None, (name, cause))): float(value) for name, cause, value in found}


def _messages(file: Path) -> tuple[list[Told], list[int]]:
    """What mosquitto_sub wrote, a time stamp and a document a line: the messages of edges, and every `seq`."""
    told: list[Told] = []
    seqs: list[int] = []
    edges = 0
    for line in file.read_text(encoding="utf-8").splitlines():
        stamp, _, text = line.partition(" ")
        document = json.loads(text)
        seqs.append(document["seq"])
        evidence = document["evidence"]
        if document["rule"] not in {"link", "link_down"} or "reasons" in evidence:  # counts, and causes found later
            continue
        edges += 1 + int(evidence.get("unseen_transitions", 0))
        told.append(Told(document["state"] == "resolved", edges, float(stamp)))
    return told, seqs


def _until(condition: Callable[[], bool], *, within_s: float = 30.0) -> None:
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("it did not come to that")
        time.sleep(0.1)


def flap(ns: Namespace, flaps: int, rate: float) -> list[Edge]:
    """So many flaps, at a random pace of up to `rate` a second."""
    edges: list[Edge] = []
    far = Flapper(ns, "vb")
    try:
        due = time.monotonic()
        for _ in range(flaps):
            for up in (False, True):
                due = max(due + 0.5 / rate, time.monotonic())
                time.sleep(max(0.0, due - time.monotonic()))
                edges.append(Edge(up, time.time()))
                far.set(up=up)
    finally:
        far.close()
    return edges


def measure(folder: Path, *, flaps: int, rate: float) -> Outcome:
    """Start everything, flap, and wait until all of it was told."""
    config = folder / "opticd.toml"
    config.write_text(CONFIG.format(folder=folder), encoding="utf-8")
    (folder / "mosquitto.conf").write_text(
        "listener 1883 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n", encoding="utf-8"
    )
    heard = folder / "heard"
    subscribe = ("mosquitto_sub", "-t", "opticd/leaf-17/event", "-q", "1", "-F", "%U %p")
    with contextlib.ExitStack() as stack:
        ns = stack.enter_context(namespace())
        ns.ip("link set lo up")
        ns.pair("va", "vb")
        broker = ("mosquitto", "-c", str(folder / "mosquitto.conf"))
        stack.enter_context(_process(ns, *broker, output=folder / "mosquitto.log"))
        stack.enter_context(_process(ns, str(OPTICD), "run", "--config", str(config), output=folder / "opticd.log"))
        _until(lambda: "opticd_mqtt_connected 1" in scraped(ns))
        stack.enter_context(_process(ns, *subscribe, output=heard))
        time.sleep(1.0)
        edges = flap(ns, flaps, rate)
        with contextlib.suppress(TimeoutError):
            _until(lambda: bool(_messages(heard)[0]) and _messages(heard)[0][-1].edges >= len(edges), within_s=10.0)
        time.sleep(3.0)  # causes are counted 2.5 s after the fall
        told, seqs = _messages(heard)
        return Outcome(edges, told, _of_port(scraped(ns)), seqs)


def _disk_ms(folder: Path, times: int = 300) -> list[float]:
    """How long the disk takes to have 4 KiB for sure, sorted."""
    took: list[float] = []
    with (folder / "probe").open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - began) * 1000.0)
            time.sleep(0.005)
    return sorted(took)


def _share(took: list[float], share: float) -> float:
    return took[min(len(took) - 1, int(share * len(took)))]


def _shares(took: list[float]) -> str:
    p50, p90, p99 = (_share(took, share) for share in (0.5, 0.9, 0.99))
    return f"p50 {p50:.1f} ms, p90 {p90:.1f} ms, p99 {p99:.1f} ms, max {took[-1]:.1f} ms"


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flaps", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=50.0, help="flaps a second, at most")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="opticd-links-") as folder:
        outcome = measure(Path(folder), flaps=arguments.flaps, rate=arguments.rate)
        disk = _disk_ms(Path(folder))
    took, edges = outcome.milliseconds, outcome.edges
    pace = len(edges) / 2 / (edges[-1].time - edges[0].time)
    print(f"{len(edges) // 2} flaps at {pace:.0f} a second: {len(edges)} edges in {len(outcome.told)} messages")
    if took:
        print(f"kernel edge to subscriber: {_shares(took)}")
    print(f"fdatasync of this disk, as each message waits for one: {_shares(disk)}")
    for mistake in outcome.mistakes():
        print(f"not exact: {mistake}")
    return int(bool(outcome.mistakes()) or not took or _share(took, 0.99) > LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
