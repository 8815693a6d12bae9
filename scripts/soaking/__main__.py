"""Run opticd over simulated modules with faults on a faster clock, with real peers, and judge it: scripts/soak.

    scripts/soak [--minutes 60] [--ports 512] [--speed 168] [--interval 300] [--every 2.5] [--seed 1]
                 [--beside-others] [--report FILE] [--keep FOLDER]

`--speed 168`: rules, hold-offs, counters of links, histories, baselines and messages see a week in an hour.
`--interval`: simulated seconds between two polls of a port; buses, sockets and the disk keep the host's time, and
so do the modules behind them (their reset, their power-up, what a fault lasts). `--every`: seconds of this host
between two faults. `--beside-others`: on a machine that has other work as well times are told and not judged, and
3 faults in 100 may go unseen. It ends by itself; exit 1 when something is wrong.
"""

import argparse
import datetime as dt
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.daemon import of_unit
from scripts.soaking import judge, peers, plan

ROOT = Path(__file__).resolve().parent.parent.parent
KEPT_POLLS = 360
"""What the history holds of a port: memory grows until it is full, and the queues and caches with it."""


def sample(pid: int) -> judge.Sample:
    """What the kernel says of the process."""
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    times = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return judge.Sample(
        time.time(),
        int(status["VmRSS"].split()[0]) / 1024,
        len(list(Path(f"/proc/{pid}/fd").iterdir())),
        int(status["Threads"]),
        (int(times[11]) + int(times[12])) / 100,
        sum(waited(task) for task in Path(f"/proc/{pid}/task").iterdir()),
    )


def waited(task: Path) -> float:
    """Seconds that a thread waited for a CPU."""
    try:
        return int((task / "schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def configure(folder: Path, arguments: argparse.Namespace, broker: peers.Broker, port: int) -> Path:
    """The config; intervals in seconds of this host."""
    path = folder / "opticd.toml"
    (folder / "state").mkdir()
    real_s = arguments.interval / arguments.speed
    path.write_text(
        f'[agent]\ndevice = "soak"\npoll_interval = {real_s}\nslow_interval = {6 * real_s}\n'
        f'identity_interval = {real_s}\nstate_dir = "{folder}/state"\n'
        f'[[source]]\ntype = "fake"\nports = {arguments.ports}\nscenario = "{folder}/scenario.toml"\n'
        f'[exporter.prometheus]\nlisten = "127.0.0.1:{port}"\n'
        f'[exporter.mqtt]\nurl = "mqtt://127.0.0.1:{broker.port}"\n',
        encoding="utf-8",
    )
    return path


def watch(process: "subprocess.Popen[bytes]", broker: peers.Broker, seconds: float) -> list[judge.Sample]:
    """Sample the process until the time is over; the broker hangs once and is begun anew once."""
    samples: list[judge.Sample] = []
    end = time.monotonic() + seconds
    hang_at, restart_at = end - seconds * 0.65, end - seconds * 0.35
    while time.monotonic() < end and process.poll() is None:
        samples.append(sample(process.pid))
        if hang_at and time.monotonic() > hang_at:
            hang_at = 0.0
            broker.hang(15.0)
        elif restart_at and time.monotonic() > restart_at:
            restart_at = 0.0
            broker.restart(away_s=10.0)
        time.sleep(min(5.0, max(0.1, end - time.monotonic())))
    return samples


def run(arguments: argparse.Namespace, folder: Path) -> judge.Verdict:
    """The run and its verdict."""
    seconds = arguments.minutes * 60
    fate = plan.make(ports=arguments.ports, seconds=seconds, every_s=arguments.every, seed=arguments.seed)
    plan.write(fate, folder / "scenario.toml")
    port, report, verdict = peers.free_port(), folder / "report.json", judge.Verdict()
    with (
        peers.Broker(folder) as broker,
        peers.Subscriber(folder, broker) as subscriber,
        peers.Prometheus(folder, f"127.0.0.1:{port}") as prometheus,
        (folder / "log").open("w", encoding="utf-8") as log,
    ):
        config = configure(folder, arguments, broker, port)
        command = [sys.executable, "-m", "scripts.soaking.child", str(config), str(arguments.speed), str(report)]
        process = subprocess.Popen(command, cwd=ROOT, stderr=log, env=os.environ | of_unit())
        try:
            samples = watch(process, broker, seconds)
        finally:
            code = end(process)
        time.sleep(2.0)  # the subscriber writes down the last messages
        said = (folder / "log").read_text(encoding="utf-8")
        verdict.say(f"exit code {code}", good=code == 0)
        traced = "Traceback" in said
        verdict.say(
            f"lines of log {len(said.splitlines())}, tracebacks {'some' if traced else 'none'}", good=not traced
        )
        if not report.exists():
            verdict.say(f"no report:\n{said[-3000:]}", good=False)
            return verdict
        if not judge.lasted(samples, verdict):
            return verdict
        told = json.loads(report.read_text(encoding="utf-8"))
        output, events = gather(told, subscriber, prometheus, arguments, verdict)
    beside = arguments.beside_others
    judge.judge_faults(fate, output, (told["born"], told["started"]), verdict, may_miss=0.03 if beside else 0.0)
    judge.judge_cadence(told, fate, samples, verdict, judged=not beside)
    judge.judge_messages(events, fate, verdict)
    settled_s = KEPT_POLLS * arguments.interval / arguments.speed + 60.0
    judge.judge_growth(
        samples, speed=arguments.speed, settled_s=settled_s, verdict=verdict, least_mib=arguments.growth
    )
    return verdict


def gather(
    told: dict[str, float],
    subscriber: peers.Subscriber,
    prometheus: peers.Prometheus,
    arguments: argparse.Namespace,
    verdict: judge.Verdict,
) -> tuple[judge.Output, list[dict[str, object]]]:
    """What the peers know."""
    events = list(subscriber.events())
    output = judge.Output(
        judge.alerts_of(
            events,
            begun_wall=told["begun_wall"],
            speed=arguments.speed,
            parse=lambda text: dt.datetime.fromisoformat(text).timestamp(),
        )
    )
    minutes = arguments.minutes + 3
    output.errors = prometheus.counters("xcvr_poll_errors_total", label="reason", minutes=minutes)
    output.discarded = prometheus.counters("xcvr_discarded_samples_total", label="reason", minutes=minutes)
    scrapes = prometheus.scrapes(minutes=minutes)
    output.scraped = [step.time for step in scrapes if step.value]
    verdict.say(f"scrapes {len(scrapes)}, failed {len(scrapes) - len(output.scraped)}")
    for name in (*plan.SWAPS, *plan.LINKS, "xcvr_poll_overruns_total"):
        output.counters[name] = prometheus.counters(name, label="reason", minutes=minutes)
    return output, events


def end(process: "subprocess.Popen[bytes]") -> int:
    """Stop the agent, and wait for it."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def main() -> int:
    """Parse, run, print, tidy up."""
    parser = argparse.ArgumentParser(
        prog="scripts/soak", description="run opticd under faults on a faster clock and judge it"
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--ports", type=int, default=512)
    parser.add_argument("--speed", type=float, default=168.0)
    parser.add_argument("--interval", type=float, default=300.0)
    parser.add_argument("--every", type=float, default=2.5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--growth", type=float, default=1.0, help="MiB that a run may grow by in any case")
    parser.add_argument("--beside-others", action="store_true", help="the machine has other work: judge no times")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--keep", type=Path, help="an empty folder for everything that the run leaves")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the peers are ended on the way out
    began = dt.datetime.now(dt.UTC)
    if arguments.keep:
        arguments.keep.mkdir(parents=True)
        verdict = run(arguments, arguments.keep)
    else:
        with tempfile.TemporaryDirectory() as folder:
            verdict = run(arguments, Path(folder))
    days = arguments.minutes * 60 * arguments.speed / 86_400
    head = (
        f"{began:%Y-%m-%d %H:%M} UTC, {platform.machine()}, Linux {platform.release()}, Python "
        f"{platform.python_version()}: {arguments.minutes:g} minutes for {days:.2f} simulated days "
        f"({arguments.speed:g} times), {arguments.ports} modules polled every {arguments.interval:g} "
        f"simulated seconds ({arguments.interval / arguments.speed:.2f} s), seed {arguments.seed}\n"
    )
    text = "\n".join([head, *verdict.lines, "", "soak: " + ("PASSED" if not verdict.wrong else "FAILED")])
    print(text)
    if arguments.report:
        arguments.report.write_text(text + "\n", encoding="utf-8")
    return 1 if verdict.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
