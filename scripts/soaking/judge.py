"""What a soak test has to show: each fault found, cadence kept, nothing that grows, nothing said that is not so."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from scripts.soaking.child import BIN, LATE
from scripts.soaking.peers import Step
from scripts.soaking.plan import Injected, Plan

Counters = Mapping[tuple[str, str], Sequence[Step]]
SLOPE_MIB_A_DAY = 1.0
LATE_SCRAPE_S = 45.0
SHORTLY_S = 20.0
"""A fault can be seen in a scrape that came so long before the end of the time that it has."""
STARVED = 0.5
"""Threads that together wait for a CPU for so much of the time do not run when they should."""
TOO_POOR = 0.5
"""On a machine that is so for most of the time there is nothing to be said of a cadence."""


class Sample(NamedTuple):
    """The process at one moment."""

    time: float
    rss_mib: float
    descriptors: int
    threads: int
    cpu_s: float
    waited_s: float
    """How long its threads were ready to run and did not, all together."""


class Heard(NamedTuple):
    """An alert or event, by the host's clock."""

    time: float
    rule: str
    text: str


@dataclass(slots=True)
class Output:
    """What came out of the agent. Times are Unix seconds of this host."""

    alerts: dict[str, list[Heard]] = field(default_factory=lambda: defaultdict(list))
    """By port; those of many ports at once are with each of them."""
    errors: Counters = field(default_factory=dict[tuple[str, str], Sequence[Step]])
    discarded: Counters = field(default_factory=dict[tuple[str, str], Sequence[Step]])
    counters: dict[str, Counters] = field(default_factory=dict[str, Counters])
    scraped: list[float] | None = None
    """When a scrape succeeded; None: nobody looked."""


@dataclass(slots=True)
class Verdict:
    """Lines for a report, and what is wrong."""

    lines: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])

    def say(self, text: str, *, good: bool = True) -> None:
        """One line; one that is not good fails the test."""
        self.lines.append(text if good else f"{text}  <-- WRONG")
        if not good:
            self.wrong.append(text)


def alerts_of(
    events: Iterable[Mapping[str, Any]], *, begun_wall: float, speed: float, parse: Callable[[str], float]
) -> dict[str, list[Heard]]:
    """By port, with the simulated times turned into the host's."""
    found: dict[str, list[Heard]] = defaultdict(list)
    for event in events:
        at = begun_wall + (parse(event["time"]) - begun_wall) / speed
        heard = Heard(at, event["rule"], f"{event['state']} {event['summary']}")
        together = event.get("evidence", {}).get("ports", [])
        for port in {event["port"], *(each for each in together if isinstance(each, str))}:
            found[port].append(heard)
    return found


def grew(counters: Counters, keys: Iterable[tuple[str, str]], begin: float, end: float) -> float:
    """How much these counters grew between two moments; one that is not there yet, or begins anew, is 0."""
    total = 0.0
    for key in keys:
        before = 0.0
        seen_at = begin
        for step in counters.get(key, ()):
            # What happened between two scrapes is in the second, though that may be late on a busy machine.
            if begin <= step.time <= end + LATE_SCRAPE_S and seen_at < end:
                total += step.value - before if step.value >= before else step.value
                seen_at = step.time
            before = step.value
    return total


def found(one: Injected, output: Output, begin: float, end: float) -> str:
    """How a fault shows in the output; "" when it does not."""
    kind = one.kind
    for heard in output.alerts.get(one.port, ()) if kind.rules else ():
        # What befalls many ports at once is told as one alert, which names them.
        if begin <= heard.time <= end and heard.rule.startswith((*kind.rules, "correlated")):
            return f"alert {heard.rule}"
    for reason in kind.errors:
        if grew(output.errors, [(one.port, reason)], begin, end):
            return f"error {reason}"
    if kind.discarded:
        keys = [key for key in output.discarded if key[0] == one.port]
        if grew(output.discarded, keys, begin, end):
            return "sample discarded"
    for name in kind.counters:
        of = output.counters.get(name, {})
        if grew(of, [(one.bus if "poll" in name else one.port, "")], begin, end):
            return name
    return ""


def judge_faults(
    plan: Plan, output: Output, start: tuple[float, float], verdict: Verdict, *, may_miss: float = 0.0
) -> None:
    """A table of kinds; every fault has to be found, but for the part `may_miss`. `start`: when the switch began,
    earliest and latest.
    """
    shown: dict[str, Counter[str]] = defaultdict(Counter)
    missing: list[str] = []
    unseen = 0
    for one in plan.injected:
        begin, end = start[0] + one.at_s - 1.0, start[1] + one.until_s
        how = found(one, output, begin, end)
        if not how and output.scraped is not None and not one.kind.rules:
            last = [at for at in output.scraped if end - SHORTLY_S <= at <= end + LATE_SCRAPE_S]
            how = "" if last else "not scraped"
            unseen += not last
        shown[one.kind.name][how or "NOT FOUND"] += 1
        if not how:
            missing.append(f"{one.kind.name} at {one.port} after {one.at_s:.0f} s")
    verdict.say("| fault | injected | found as |\n|---|---|---|")
    for name, ways in sorted(shown.items()):
        said = ", ".join(f"{way} {count}" for way, count in ways.most_common())
        verdict.say(f"| {name} | {ways.total()} | {said} |")
    verdict.say("")
    seen = len(plan.injected) - unseen
    verdict.say(
        f"faults injected {len(plan.injected)}, of which {unseen} could not be seen since no scrape came "
        f"through at the time; of the others found {seen - len(missing)} of {seen}",
        good=len(missing) <= may_miss * seen,
    )
    for each in missing[:20]:
        verdict.say(f"  not found: {each}")


def lasted(samples: Sequence[Sample], verdict: Verdict) -> bool:
    """Whether the daemon ran for long enough that anything can be said of it."""
    if len(samples) > 1 and samples[-1].time > samples[0].time:
        return True
    verdict.say("the daemon ended before it could be looked at twice: nothing of it is judged", good=False)
    return False


def starved(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """When the machine had no CPU for the process: from, to. What was late then says nothing of the process."""
    return [(a.time, b.time) for a, b in pairwise(samples) if b.waited_s - a.waited_s > STARVED * (b.time - a.time)]


def judge_cadence(
    told: Mapping[str, Any], plan: Plan, samples: Sequence[Sample], verdict: Verdict, *, judged: bool = True
) -> None:
    """Time between two readings of ports that nothing happens to, as a part of the interval."""
    classes = {port: Counter({int(n): count for n, count in by.items()}) for port, by in told["gaps"].items()}
    healthy = {port: by for port, by in classes.items() if port in plan.healthy}
    readings = sum(by.total() for by in healthy.values())
    medians = [statistics.median(n * BIN for n in by.elements()) for by in healthy.values()]
    worst, longest = max(medians, default=9.9), max((n * BIN for by in healthy.values() for n in by), default=9.9)
    poor = starved(samples)
    late = [at for at, port in told["late"] if port in plan.healthy]
    own = [at for at in late if not any(begin <= at <= end + 2.0 for begin, end in poor)]
    short = sum(end - begin for begin, end in poor) / (samples[-1].time - samples[0].time)
    judged = judged and short <= TOO_POOR
    verdict.say(
        f"healthy ports {len(plan.healthy)}, readings {readings}; time between two, as a part of the interval: "
        f"median of the worst port {worst:.2f}, longest {longest:.2f}",
        good=(worst <= LATE or not judged) and len(healthy) == len(plan.healthy),
    )
    verdict.say(
        f"beyond {LATE}: {len(late) / max(1, readings):.3%}; without the {short:.0%} of the time in which the "
        f"process waited for a CPU: {len(own) / max(1, readings):.3%}",
        good=len(own) <= 0.01 * readings or not judged,
    )
    if not judged:
        verdict.say("the machine had other work, or no CPU for most of the time: the cadence is not judged")
    others = [n * BIN for port, by in classes.items() if port not in plan.healthy for n in by.elements()]
    if others:
        verdict.say(f"ports with trouble: readings {len(others)}, median {statistics.median(others):.2f}")


def judge_growth(
    samples: Sequence[Sample], *, speed: float, settled_s: float, verdict: Verdict, least_mib: float = 1.0
) -> None:
    """Memory, descriptors and threads, once histories are full. Growth of `least_mib` in all says nothing."""
    start = samples[0].time
    rest = [each for each in samples if each.time - start >= settled_s]
    settled = len(rest) >= 12
    if not settled:
        verdict.say("too short for histories to fill: what memory does is not judged")
        rest = list(samples[len(samples) // 2 :])
    days = (rest[-1].time - rest[0].time) * speed / 86_400
    slope = _slope([(each.time * speed / 86_400, each.rss_mib) for each in rest])
    verdict.say(
        f"memory {samples[len(samples) // 20].rss_mib:.1f} MiB early, {rest[0].rss_mib:.1f} when histories are "
        f"full, {rest[-1].rss_mib:.1f} at the end, {max(each.rss_mib for each in samples):.1f} at most; slope "
        f"{slope:+.2f} MiB a simulated day over {days:.2f} days",
        good=not settled or slope * days <= max(SLOPE_MIB_A_DAY * days, least_mib),
    )
    tenths = [samples[len(samples) * n // 10].rss_mib for n in range(10)]
    verdict.say(f"memory in MiB, at each tenth: {', '.join(f'{each:.1f}' for each in tenths)}")
    for name, values in (
        ("descriptors", [each.descriptors for each in rest]), ("threads", [each.threads for each in rest]),
    ):  # fmt: skip
        quarter = max(1, len(values) // 4)
        first, last = statistics.median(values[:quarter]), statistics.median(values[-quarter:])
        verdict.say(
            f"{name}: median {first:.0f} in its first quarter, {last:.0f} in its last, {max(values)} at most",
            good=last <= first + 4,
        )
    cpu = (rest[-1].cpu_s - rest[0].cpu_s) / max(1e-9, rest[-1].time - rest[0].time)
    verdict.say(f"share of a core, simulated hardware included: {cpu:.2f}")


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Theil-Sen: the median of the slopes of all pairs that are not neighbours."""
    step = max(1, len(points) // 60)
    few = points[::step]
    slopes = [
        (b[1] - a[1]) / (b[0] - a[0])
        for at, a in enumerate(few)
        for b in few[at + 1 :]
        if b[0] - a[0] > (few[-1][0] - few[0][0]) / 4
    ]
    return statistics.median(slopes) if slopes else 0.0


def judge_messages(events: Sequence[Mapping[str, Any]], plan: Plan, verdict: Verdict) -> None:
    """No gap in `seq`, nothing out of order, and nothing about ports that nothing happened to."""
    seqs = [int(event["seq"]) for event in events]
    missing = set(range(1, max(seqs, default=0) + 1)) - set(seqs)
    ordered = all(a < b for a, b in pairwise(seqs))
    verdict.say(
        f"messages at the subscriber {len(seqs)}, sequence numbers missing {len(missing)}, "
        f"order {'kept' if ordered else 'lost'}, replayed {sum(bool(event.get('replayed')) for event in events)}",
        good=bool(seqs) and not missing and ordered,
    )
    wrong = Counter(
        f"{event['rule']} ({event['severity']})"
        for event in events
        if event["port"] in plan.healthy and event["state"] == "firing"
    )
    said = ", ".join(f"{rule} {count}" for rule, count in wrong.most_common(8)) or "none"
    verdict.say(f"alerts about healthy ports: {said}", good=not wrong)
