"""Rows of docs/performance.md that measure one part of opticd beside who else does that work."""

import re
import statistics
import subprocess
import sys
from typing import Final

from benchmarks import bus, exposition, limit, snmp
from benchmarks import decode as decoding
from benchmarks.daemon import ROOT
from benchmarks.record import Effort, Found, Peer, Row


def median(values: list[float]) -> float:
    """The one in the middle."""
    return statistics.median(values)


def traffic() -> list[Row]:
    """Counted, not timed."""
    counted = bus.refresh()
    vendor = "SONiC's library"
    peers = (Peer(name=vendor, value=81, quoted=True),)
    where = (
        f"{counted.reads} reads of data, {counted.wire_ms:.2f} ms of wire at 400 kHz (2.70 allowed; {vendor} 9.29)"
    )
    return [
        Row(
            section="bus",
            work="transactions of a refresh, 8-lane CMIS",
            value=counted.transactions,
            unit="",
            target=4,
            peers=peers,
            note=where,
        ),
    ]


def decode() -> list[Row]:
    """The decoder of one refresh."""
    times = decoding.times()
    peers = (
        Peer(name="plain struct, no names", value=times.plain_us),
        Peer(name="SONiC's library", value=610, quoted=True),
    )
    note = f"{times.changing_us:.1f} us when every flag changes too"
    return [
        Row(
            section="decode",
            work="values, flags and thresholds of a refresh",
            value=times.steady_us,
            unit="us CPU",
            target=25,
            peers=peers,
            note=note,
        ),
    ]


def share(effort: Effort) -> list[Row]:
    """32 buses without a pause."""
    found = limit.measure(seconds=effort.window_s / 2)
    return [
        Row(
            section="bus",
            work="share of the limit, 32 buses at 3 ms a read, 3 reads a job",
            value=found.jobs,
            unit="",
            target=0.85,
            more_is_better=True,
            peers=(
                Peer(name="plain threads", value=found.threads),
                Peer(name="asyncio.to_thread", value=found.to_thread),
            ),
            note=f"behind the poller's schedule {found.polls:.2f}; "
            f"whole refreshes, decoded, judged and published: {found.refreshes:.2f}",
        ),
    ]


_SCRAPED: Final = {
    # what benchmarks.exposition calls it: target in ms, whether the tail counts
    "scrape, new values": (30.0, False),
    "scrape, same values": (10.0, False),
    "scrape, 10 at once": (150.0, True),
    "event loop late, 10 at once": (50.0, True),
    "CPU of a refresh, every value new": (51.0, False),
}
_LATE: Final = Peer(name="prometheus_client in an event loop", value=636, quoted=True)


def scrape(effort: Effort) -> Found:
    """51,200 samples and more, over loopback, with gzip."""
    timed, left_out = exposition.measure(effort.scrapes)
    by_work: dict[str, list[exposition.Row]] = {}
    for row in timed:
        by_work.setdefault(row.what, []).append(row)
    found: list[Row] = []
    for work, servers in by_work.items():
        target, tail = _SCRAPED.get(work, (None, False))
        ours = next(each for each in servers if each.server == "opticd")
        peers = [
            Peer(name=each.server, value=each.p99 if tail else each.p50) for each in servers if each is not ours
        ]
        if work.startswith("event loop"):
            peers.append(_LATE)
        found.append(
            Row(
                section="scrape",
                work=f"{work}{', p99' if work.startswith('scrape') and tail else ''}",
                value=ours.p99 if tail else ours.p50,
                unit="ms",
                target=target,
                note=ours.note,
                peers=tuple(peers),
            )
        )
    return Found(found, notes=left_out)


def switches(effort: Effort) -> list[Row]:
    """The sensor table of a 512-port switch."""
    runs = snmp.walks(512, effort.windows)
    cpu = {name: median([run["walk_cpu_s"] for run in each]) for name, each in runs.items()}
    steady = median([run["steady_cpu_s"] for run in runs["opticd"]])
    peers = tuple(Peer(name=name, value=each) for name, each in cpu.items() if not name.startswith("opticd"))
    return [
        Row(
            section="SNMP",
            work="first walk, 53,248 varbinds, v2c",
            value=cpu["opticd"],
            unit="s CPU",
            target=0.30,
            peers=peers,
        ),
        Row(section="SNMP", work="a steady poll of the same", value=steady, unit="s CPU", target=0.08),
        Row(
            section="SNMP",
            work="v3 authPriv against v2c",
            value=cpu["opticd-v3"] / cpu["opticd"],
            unit="x",
            target=2.0,
        ),
    ]


def messages() -> list[Row]:
    """A backlog drained to mosquitto."""
    command = (sys.executable, "-m", "benchmarks.mqtt_delivery", "rate")
    text = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout

    def number(pattern: str) -> float:
        match = re.search(pattern, text)
        if match is None:
            raise RuntimeError(f"benchmarks.mqtt_delivery said: {text}")
        return float(match[1])

    peers = (
        Peer(name="aiomqtt, one by one", value=number(r"one by one ([\d.]+)/s")),
        Peer(name="aiomqtt, ten in flight", value=number(r"ten in flight ([\d.]+)/s")),
    )
    return [
        Row(
            section="MQTT",
            work="transitions to mosquitto, QoS 1, from the outbox on disk",
            unit="/s",
            target=4000,
            value=number(r"outbox: ([\d.]+) transitions/s"),
            more_is_better=True,
            peers=peers,
        ),
    ]
