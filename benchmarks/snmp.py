"""The sensor table of a 512-port switch by SNMP: opticd, pysnmp, snmpbulkwalk and snmp_exporter in one run.

    python -m benchmarks.snmp [--rounds 3] [--ports 512] [--fleet 10 100] [--json FILE] [--save]

CPU seconds of the client alone; the agent is a process of its own. Peers that are not installed are left out.
`--fleet`: one source over so many switches of 64 ports, CPU per poll of one switch; `--save` puts it into
docs/fleet.md.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

from benchmarks.scraping import free_port

PEER_COLUMNS: Final = "1.3.6.1.2.1.99.1.1.1"
EXPORTER: Final = "prometheus-snmp-exporter"
FLEET_COLUMNS: Final = {
    "switches": ("switches", 0),
    "polls": ("polls", 0),
    "CPU ms a poll": ("cpu_ms_per_poll", 2),
    "requests a poll": ("requests_per_poll", 1),
    "longest poll s": ("longest_s", 2),
    "RSS MiB": ("rss_mib", 1),
    "overruns": ("overruns", 0),
    "readings": ("readings", 0),
}
FLEET_DOCUMENT: Final = {
    "cpu_ms_per_poll": ("CPU of a poll of one switch, each {interval_s:g} s", 1, " ms"),
    "requests_per_poll": ("requests of a poll", 0, ""),
    "discovery_cpu_ms": ("CPU of a discovery of one switch", 0, " ms"),
    "rss_mib": ("RSS, at most", 0, " MiB"),
    "longest_s": ("longest poll", 1, " s"),
    "overruns": ("overruns", 0, ""),
}
"""What docs/fleet.md says of each size: words, decimals, unit."""
TICKS: Final = os.sysconf("SC_CLK_TCK")


@contextmanager
def agents(ports: int, count: int) -> Generator[list[int]]:
    """Fake agents in a process of their own; gives their ports."""
    command = [sys.executable, "-m", "benchmarks.snmp_clients", "serve", str(ports), str(count)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield cast("list[int]", json.loads(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait(10)


def client(*arguments: str) -> dict[str, float]:
    """The figures of one client."""
    command = [sys.executable, "-m", "benchmarks.snmp_clients", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=600)
    return cast("dict[str, float]", json.loads(done.stdout))


def snmpbulkwalk(port: int) -> dict[str, float]:
    """net-snmp's client, in C; start of the process included."""
    command = ["snmpbulkwalk", "-v2c", "-c", "public", "-Cr50", "-On", "-m", "", f"127.0.0.1:{port}", PEER_COLUMNS]
    before = os.times()
    began = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=600)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return {
        "walk_cpu_s": used,
        "walk_wall_s": time.perf_counter() - began,
        "walk_varbinds": done.stdout.count(b"\n"),
    }


@contextmanager
def snmp_exporter() -> Generator[tuple[int, int]]:
    """A running exporter with the same four columns; gives its process and its port."""
    metrics = "".join(
        f"  - name: column{number}\n    oid: {PEER_COLUMNS}.{number}\n    type: gauge\n"
        f"    indexes: [{{labelname: entPhysicalIndex, type: gauge}}]\n"
        for number in (1, 2, 3, 4)
    )
    config = (
        f"bench:\n  walk: [{PEER_COLUMNS}]\n  metrics:\n{metrics}"
        "  version: 2\n  max_repetitions: 50\n  timeout: 20s\n  auth:\n    community: public\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "snmp.yml")
        file.write_text(config)
        port = free_port()
        command = [EXPORTER, f"--config.file={file}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
        process = subprocess.Popen(command)
        try:
            for _ in range(100):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield process.pid, port
        finally:
            process.terminate()
            process.wait(10)


def process_cpu_s(pid: int) -> float:
    """CPU seconds of a process until now."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def scrape(pid: int, exporter_port: int, port: int) -> dict[str, float]:
    """One scrape through snmp_exporter."""
    used, began = process_cpu_s(pid), time.perf_counter()
    url = f"http://127.0.0.1:{exporter_port}/snmp?module=bench&target=127.0.0.1:{port}"
    with urllib.request.urlopen(url, timeout=120) as answer:
        text: bytes = answer.read()
    return {
        "walk_cpu_s": process_cpu_s(pid) - used,
        "walk_wall_s": time.perf_counter() - began,
        "walk_varbinds": text.count(b"\ncolumn"),
    }


def walks(ports: int, rounds: int) -> dict[str, list[dict[str, float]]]:
    """All clients, one after the other, `rounds` times."""
    found: dict[str, list[dict[str, float]]] = {}
    with agents(ports, 1) as (port,):
        for _ in range(rounds):
            for name in ("opticd", "opticd-v3", "pysnmp"):
                found.setdefault(name, []).append(client(name, str(port)))
            if shutil.which("snmpbulkwalk"):
                found.setdefault("snmpbulkwalk", []).append(snmpbulkwalk(port))
        if shutil.which(EXPORTER):
            with snmp_exporter() as (pid, exporter_port):
                found["snmp_exporter"] = [scrape(pid, exporter_port, port) for _ in range(rounds)]
    return found


def fleets(sizes: list[int], *, interval_s: float, rounds: int) -> list[dict[str, float]]:
    """The cost of a poll with so many switches."""
    figures: list[dict[str, float]] = []
    for size in sizes:
        with agents(64, size) as ports:
            figures.append(client("fleet", str(interval_s), str(rounds), *map(str, ports)))
    return figures


def fleet_document(figures: list[dict[str, float]], *, interval_s: float, rounds: int) -> str:
    """The table of docs/fleet.md."""
    sizes = [f"{figure['switches']:.0f}" for figure in figures]
    lines = [f"| | {' | '.join(f'{size} switches' for size in sizes)} |", "| --- " * (len(sizes) + 1) + "|"]
    for key, (words, digits, unit) in FLEET_DOCUMENT.items():
        cells = " | ".join(f"{figure[key]:.{digits}f}{unit}" for figure in figures)
        lines.append(f"| {words.format(interval_s=interval_s)} | {cells} |")
    least, most = figures[0]["cpu_ms_per_poll"], figures[-1]["cpu_ms_per_poll"]
    ratio = f"{most / least:.2f}x that of one of {sizes[0]}"
    lines += ["", f"{rounds} rounds each; a poll of one switch of {sizes[-1]} costs {ratio}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ports", type=int, default=512)
    parser.add_argument("--fleet", type=int, nargs="*", default=[10, 100])
    parser.add_argument("--interval", type=float, default=60.0)
    parser.add_argument("--fleet-rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--save", action="store_true", help="put the fleet's table into docs/fleet.md")
    options = parser.parse_args()
    measured: dict[str, Any] = {"walks": walks(options.ports, options.rounds)}
    medians = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for name, runs in measured["walks"].items()
    }
    ours = medians["opticd"]["walk_cpu_s"]
    print("| client | varbinds | CPU s | wall s | CPU against opticd |\n|---|---|---|---|---|")
    for name, run in sorted(medians.items(), key=lambda item: item[1]["walk_cpu_s"]):
        print(
            f"| {name} | {run['walk_varbinds']:.0f} | {run['walk_cpu_s']:.3f} | {run['walk_wall_s']:.3f} "
            f"| {run['walk_cpu_s'] / ours:.2f}x |"
        )
    steady = medians["opticd"]
    print(f"\nsteady poll: {steady['steady_varbinds']:.0f} varbinds, {steady['steady_cpu_s']:.3f} CPU s")
    if options.fleet:
        measured["fleet"] = fleets(options.fleet, interval_s=options.interval, rounds=options.fleet_rounds)
        print("\n| " + " | ".join(FLEET_COLUMNS) + " |\n" + "|---" * len(FLEET_COLUMNS) + "|")
        for row in measured["fleet"]:
            print("| " + " | ".join(f"{row[key]:.{digits}f}" for key, digits in FLEET_COLUMNS.values()) + " |")
    if options.save and options.fleet:
        from benchmarks import suite  # noqa: PLC0415 - which measures this too

        text = fleet_document(measured["fleet"], interval_s=options.interval, rounds=options.fleet_rounds)
        suite.save(suite.FLEET, "switches", text)
    if options.json:
        options.json.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
