"""The plan and the verdict of the soak test, which scripts/test runs: nothing that is wrong is passed."""

import tomllib
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from fakes.scenario import Scenario
from scripts.soaking import judge, plan
from scripts.soaking.judge import Heard, Output, Sample, Verdict
from scripts.soaking.peers import Step
from scripts.soaking.plan import KINDS, Injected, Kind, Plan

NAMES = {kind.name: kind for kind in KINDS}


def one(name: str) -> Injected:
    return Injected(NAMES[name], "Ethernet1", "i2c-0", 100.0)


def fate(*injected: Injected) -> Plan:
    return Plan("", injected, frozenset({"Ethernet9"}))


def test_a_plan_holds_every_kind_and_only_real_events() -> None:
    made = plan.make(ports=512, seconds=3600, every_s=2.0, seed=1)
    assert {each.kind.name for each in made.injected} == set(NAMES)
    assert len(made.injected) > 1000
    scenario = Scenario.model_validate(tomllib.loads(made.scenario))
    assert len(scenario.event) == sum(len(each.kind.events) for each in made.injected)
    touched = {each.port for each in made.injected}
    assert not touched & made.healthy
    assert len(touched | made.healthy) <= 512


def test_the_same_seed_is_the_same_plan_and_faults_of_a_port_do_not_overlap() -> None:
    made = plan.make(ports=512, seconds=1800, every_s=1.0, seed=5)
    assert made == plan.make(ports=512, seconds=1800, every_s=1.0, seed=5)
    ends: dict[str, float] = {}
    for each in made.injected:
        assert each.at_s >= ends.get(each.port, 0.0)
        ends[each.port] = each.until_s


def test_hangs_come_one_at_a_time() -> None:
    made = plan.make(ports=512, seconds=3600, every_s=1.0, seed=2)
    hangs = [each for each in made.injected if each.kind.alone]
    assert len(hangs) > 10
    assert all(a.at_s + 20.0 < b.at_s for a, b in pairwise(hangs))


def outcome(injected: Injected, output: Output) -> Verdict:
    verdict = Verdict()
    judge.judge_faults(fate(injected), output, (1000.0, 1002.0), verdict)
    return verdict


def alerts(*heard: Heard) -> Output:
    return Output({"Ethernet1": list(heard)})


@pytest.mark.parametrize(
    ("at", "rule", "good"),
    [
        (1101.0, "module_fault", True),
        (1101.0, "correlated", True),
        (1101.0, "temperature_high_alarm", False),  # of something else
        (1090.0, "module_fault", False),  # before it happened
        (1190.0, "module_fault", False),  # long after
    ],
)
def test_a_fault_is_found_by_its_alert_in_time(at: float, rule: str, good: bool) -> None:
    verdict = outcome(one("firmware fault"), alerts(Heard(at, rule, "firing")))
    assert (not verdict.wrong) is good


@pytest.mark.parametrize(
    ("steps", "good"),
    [
        ([Step(1095, 3.0), Step(1105, 4.0)], True),
        ([Step(1105, 1.0)], True),  # its first sample ever
        ([Step(1095, 3.0), Step(1105, 3.0)], False),
        ([Step(1095, 3.0), Step(1105, 1.0)], True),  # it began anew, and counted
        ([Step(1095, 3.0), Step(1160, 4.0)], True),  # the scrape was late
        ([Step(1095, 3.0), Step(1100, 3.0), Step(1140, 3.0), Step(1145, 4.0)], False),  # something later
        ([Step(1095, 3.0), Step(1200, 4.0)], False),
        ([], False),
    ],
)
def test_a_fault_is_found_by_a_counter_that_grew_in_time(steps: Sequence[Step], good: bool) -> None:
    verdict = outcome(one("EIO"), Output(errors={("Ethernet1", "bus_error"): steps}))
    assert (not verdict.wrong) is good


def samples(*, minutes: int, grows_mib: float = 0.0, threads: int = 0, waits: float = 0.0) -> list[Sample]:
    """One every five seconds; what grows does so evenly."""
    return [
        Sample(
            5.0 * n, 100.0 + grows_mib * n / (12 * minutes), 20, 30 + threads * n // (12 * minutes), n, waits * n
        )
        for n in range(12 * minutes)
    ]


@pytest.mark.parametrize(
    ("grows_mib", "threads", "good"), [(0.0, 0, True), (4.0, 0, True), (12.0, 0, False), (0.0, 20, False)]
)
def test_growth_beyond_a_mib_a_simulated_day_fails(grows_mib: float, threads: int, good: bool) -> None:
    verdict = Verdict()
    grown = samples(minutes=60, grows_mib=grows_mib, threads=threads)  # 7 simulated days
    judge.judge_growth(grown, speed=168.0, settled_s=600.0, verdict=verdict)
    assert (not verdict.wrong) is good


def cadence(gaps: dict[str, Counter[int]], late: list[tuple[float, str]], taken: list[Sample]) -> Verdict:
    verdict = Verdict()
    told: dict[str, Any] = {"gaps": gaps, "late": late}
    judge.judge_cadence(told, fate(), taken, verdict)
    return verdict


def test_a_lost_cadence_fails_unless_the_machine_had_no_time() -> None:
    taken = samples(minutes=10)
    busy = samples(minutes=10, waits=3.0)
    late = [(300.0, "Ethernet9")] * 5
    others = [(300.0, "Ethernet1")] * 50
    assert not cadence({"Ethernet9": Counter({20: 100})}, others, taken).wrong
    assert cadence({"Ethernet9": Counter({20: 95, 40: 5})}, late, taken).wrong
    assert not cadence({"Ethernet9": Counter({20: 95, 40: 5})}, late, busy).wrong
    assert cadence({"Ethernet9": Counter({30: 100})}, [], taken).wrong
    assert cadence({}, [], taken).wrong  # it was never read


@pytest.mark.parametrize("taken", [[], samples(minutes=10)[:1], [samples(minutes=10)[0]] * 2])
def test_a_daemon_that_ends_at_once_is_a_verdict_of_its_own(taken: list[Sample]) -> None:
    verdict = Verdict()
    assert not judge.lasted(taken, verdict)
    assert verdict.wrong == ["the daemon ended before it could be looked at twice: nothing of it is judged"]
    assert judge.lasted(samples(minutes=10), Verdict())


def message(seq: int, *, port: str = "Ethernet1", state: str = "firing") -> dict[str, Any]:
    return {"seq": seq, "port": port, "state": state, "rule": "link_down", "severity": "critical"}


@pytest.mark.parametrize(
    ("events", "good"),
    [
        ([message(1), message(2), message(3)], True),
        ([message(1), message(3)], False),
        ([message(2), message(1)], False),
        ([], False),
        ([message(1, port="Ethernet9")], False),  # nothing ever happened to it
        ([message(1, port="Ethernet9", state="resolved")], True),
    ],
)
def test_messages_that_miss_or_that_nobody_caused_fail(events: list[dict[str, Any]], good: bool) -> None:
    verdict = Verdict()
    judge.judge_messages(events, fate(), verdict)
    assert (not verdict.wrong) is good


def test_times_of_messages_are_turned_back_into_the_host_s() -> None:
    def parse(text: str) -> float:
        return float(text)

    event: dict[str, Any] = {"port": "bus i2c-1", "rule": "correlated", "state": "firing", "summary": "of two"}
    event |= {"time": str(1000.0 + 168.0 * 50), "evidence": {"ports": ["Ethernet1"]}}
    found = judge.alerts_of([event], begun_wall=1000.0, speed=168.0, parse=parse)
    assert found["Ethernet1"] == [Heard(1050.0, "correlated", "firing of two")]


def test_a_kind_that_nothing_could_show_is_no_kind() -> None:
    def shows(kind: Kind) -> bool:
        return bool(kind.rules or kind.errors or kind.discarded or kind.counters)

    assert all(shows(kind) for kind in KINDS)
