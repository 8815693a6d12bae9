"""The decision table: each row by hand, and each cause as a scenario of the fake switch, read by the drivers."""

from dataclasses import replace

import pytest

from agent import quantities as q
from agent.alerts.builtin import BUILTIN_RULES
from agent.alerts.causes import Case, Cause, Peer, Seen, Shot, classify
from agent.alerts.engine import Alerts
from agent.alerts.rules import LINK
from agent.clock import Instant
from agent.links.flaps import LinkTracker
from agent.model import AlertEvent, DownCause, LinkEvent, ModuleChange, ModuleEvent, PollFailed, Reading
from fakes.scenario import Scenario
from tests.alert_helpers import THRESHOLDS, lanes
from tests.test_fake_switch import Simulation

AT = 10_000.0
USUAL = 0.0005


def shot(
    seconds: float,
    *,
    rx: dict[int, float] | None = None,
    tx: dict[int, float] | None = None,
    bias: dict[int, float] | None = None,
    temperature: float = 45.0,
    state: str = "ModuleReady",
) -> Shot:
    """A healthy module `seconds` after the event, unless told otherwise."""
    return Shot(
        AT + seconds,
        temperature,
        lanes(USUAL) if rx is None else rx,
        lanes(0.001) if tx is None else tx,
        lanes(0.060) if bias is None else bias,
        state,
    )


HEALTHY = tuple(shot(float(second)) for second in range(-900, 0, 10))


def case(
    *after: Shot,
    before: tuple[Shot, ...] = HEALTHY,
    flags: tuple[Seen, ...] = (),
    down_cause: DownCause = DownCause.UNINTENTIONAL,
    correlated: str = "",
    removed: bool = False,
    failed_polls: int = 0,
    peer: Peer | None = None,
    host_detail: str = "",
) -> Case:
    return Case(
        AT, down_cause, before, after, flags, THRESHOLDS, correlated, removed, failed_polls, peer, host_detail
    )


def flag(name: str, *on: int, seconds: float = 0.5) -> tuple[Seen, ...]:
    return tuple(Seen(name, lane, AT + seconds) for lane in on)


DARK = shot(0.1, rx=lanes(0.0))
DECLINING = tuple(
    shot(float(second), rx=lanes(USUAL, lane2=USUAL * 10 ** (-(900 + second) / 3000)))
    for second in range(-900, 0, 10)
)
"""Lane 2 loses 3 dB in a quarter of an hour."""


@pytest.mark.parametrize(
    ("what", "cause", "on"),
    [
        (case(DARK, down_cause=DownCause.ADMIN), Cause.ADMIN, ()),
        (case(DARK, correlated="the device"), Cause.CORRELATED, ()),
        (case(DARK, down_cause=DownCause.CORRELATED), Cause.CORRELATED, ()),
        (case(removed=True), Cause.MODULE_REMOVED, ()),
        (case(down_cause=DownCause.MODULE_REMOVED), Cause.MODULE_REMOVED, ()),
        (case(shot(0.1, tx=lanes(0.0), state="ModuleFault")), Cause.MODULE, ()),
        (case(shot(0.1, tx=lanes(0.0), state="ModuleLowPwr")), Cause.MODULE, ()),
        (case(failed_polls=3), Cause.MODULE, ()),
        (case(shot(0.1), flags=flag("module_firmware_error", 0)), Cause.MODULE, ()),
        (case(shot(0.1, temperature=76.0, tx=lanes(0.0))), Cause.THERMAL, ()),
        (case(shot(0.1, temperature=71.0)), Cause.THERMAL, ()),
        (case(shot(0.1), flags=flag("temperature_high_alarm", 0)), Cause.THERMAL, ()),
        (case(shot(0.1, tx=lanes(1e-6)), flags=flag("tx_los", 1, 2, 3, 4)), Cause.HOST, (1, 2, 3, 4)),
        (case(shot(0.1), flags=flag("tx_cdr_lol", 3)), Cause.HOST, (3,)),
        (case(shot(0.1), flags=flag("tx_fault", 2)), Cause.LOCAL_LASER, (2,)),
        (case(shot(0.1, tx=lanes(0.001, lane4=0.0004))), Cause.LOCAL_LASER, (4,)),
        (case(shot(0.1, bias=lanes(0.060, lane1=0.0))), Cause.LOCAL_LASER, (1,)),
        (case(shot(0.1, bias=lanes(0.060, lane1=0.085))), Cause.LOCAL_LASER, (1,)),
        (case(DARK), Cause.REMOTE_ALL, (1, 2, 3, 4)),
        (case(shot(0.1), flags=flag("rx_los", 1, 2, 3, 4)), Cause.REMOTE_ALL, (1, 2, 3, 4)),
        (case(shot(0.1, rx=lanes(USUAL, lane3=0.0))), Cause.REMOTE_ONE, (3,)),
        (case(shot(0.1, rx=lanes(USUAL, lane2=USUAL / 3)), before=DECLINING), Cause.DIRT, (2,)),
        (case(shot(0.1), flags=flag("rx_cdr_lol", 1)), Cause.REMOTE_SIGNAL, (1,)),
        (case(shot(0.1)), Cause.UNKNOWN, ()),
        (case(), Cause.UNKNOWN, ()),
    ],
)  # fmt: skip
def test_each_row(what: Case, cause: Cause, on: tuple[int, ...]) -> None:
    verdict = classify(what)
    assert (verdict.cause, verdict.lanes) == (cause, on)
    assert verdict.reasons
    assert all(verdict.reasons)


def test_a_flag_from_long_before_is_no_evidence() -> None:
    assert classify(case(shot(0.1), flags=flag("tx_fault", 1, seconds=-60.0))).cause is Cause.UNKNOWN


def test_noise_and_a_warm_day_are_no_cause() -> None:
    before = tuple(
        shot(float(s), rx=lanes(USUAL * (1.05 if s % 20 else 0.95)), temperature=40.0 + (900 + s) / 100)
        for s in range(-900, 0, 10)
    )
    assert classify(case(shot(0.1, temperature=49.0), before=before)).cause is Cause.UNKNOWN


def test_a_sudden_loss_is_not_dirt_even_when_it_came_a_sample_early() -> None:
    before = (*HEALTHY[:-1], shot(-1.0, rx=lanes(USUAL, lane2=USUAL / 5)))
    assert classify(case(shot(0.1, rx=lanes(USUAL, lane2=USUAL / 5)), before=before)).cause is Cause.REMOTE_ONE


@pytest.mark.parametrize(
    ("after", "faults", "cause"),
    [
        (lanes(0.001), (), Cause.FIBRE),
        (lanes(0.0002), (), Cause.REMOTE_LASER),
        (lanes(0.001), flag("tx_fault", 0), Cause.REMOTE_LASER),
        ({}, (), Cause.REMOTE_ALL),
    ],
)
def test_the_other_end_says_which_end(after: dict[int, float], faults: tuple[Seen, ...], cause: Cause) -> None:
    verdict = classify(case(DARK, peer=Peer("spine-3 Ethernet12", lanes(0.001), after, faults)))
    assert verdict.cause is cause


def test_the_driver_s_own_reason_is_passed_on() -> None:
    assert "the driver says: Auto negotiation" in " ".join(
        classify(case(shot(0.1), host_detail="Auto negotiation")).reasons
    )


# ---- scenarios of the fake switch -----------------------------------------------------------------------------


def play(seconds: int, *events: dict[str, object], module: str = "qsfpdd-400g-dr4", ports: int = 2) -> list[Case]:
    """The cases of Ethernet1's falls while a scenario is polled once a second through the production drivers."""
    scenario = Scenario.model_validate(
        {"description": "One row.", "modules": [module], "event": [{"ports": [1], **event} for event in events]}
    )
    simulation = Simulation(scenario, ports=ports)
    begin = simulation.clock.now
    simulation.run(seconds)
    falls = [at for at, port, up in simulation.links if port == "Ethernet1" and not up]
    return [_case_of(simulation, begin + fall) for fall in falls]


def _case_of(simulation: Simulation, fall: float) -> Case:
    readings = list(simulation.readings("Ethernet1"))
    before = tuple(Shot.of(reading) for reading in readings if reading.time < fall)
    after = [reading for reading in readings if fall <= reading.time <= fall + 5]
    events = [event for _, event in simulation.events if getattr(event, "port", "") == "Ethernet1"]
    return Case(
        time=fall,
        down_cause=DownCause.UNINTENTIONAL,
        before=before,
        after=tuple(Shot.of(reading) for reading in after),
        flags=tuple(_flags(after)),
        thresholds=readings[0].thresholds,
        removed=any(
            isinstance(event, ModuleEvent) and event.change is ModuleChange.REMOVED and abs(event.time - fall) < 10
            for event in events
        ),
        failed_polls=sum(isinstance(event, PollFailed) and 0 <= event.time - fall <= 5 for event in events),
    )


def _flags(readings: list[Reading]) -> list[Seen]:
    found: list[Seen] = []
    for reading in readings:
        for name, state in reading.lane_flags.items():
            found += [
                Seen(name.name, lane, reading.time) for lane in range(1, 65) if state.active >> (lane - 1) & 1
            ]
        found += [Seen(name.name, 0, reading.time) for name, on in reading.flags.items() if on]
    return found


@pytest.mark.parametrize("module", ["qsfpdd-400g-dr4", "osfp-2x400g-dr4", "qsfp28-100g-cwdm4"])
@pytest.mark.parametrize(
    ("events", "cause"),
    [
        ([{"kind": "flap", "at_s": 60, "down_s": 4}], Cause.REMOTE_ALL),
        ([{"kind": "dirt", "at_s": 60, "lane": 2, "loss_db": 30, "over_s": 0}], Cause.REMOTE_ONE),
        ([{"kind": "dirt", "at_s": 20, "lane": 2, "loss_db": 14, "over_s": 200}], Cause.DIRT),
        ([{"kind": "dirt", "at_s": 20, "loss_db": 14, "over_s": 200}], Cause.DIRT),
        ([{"kind": "ageing", "at_s": 60, "lane": 3, "factor": 8, "over_s": 0}], Cause.LOCAL_LASER),
        ([{"kind": "ageing", "at_s": 20, "lane": 3, "factor": 4, "over_s": 200}], Cause.LOCAL_LASER),
        ([{"kind": "heat", "at_s": 20, "kelvin": 60, "over_s": 200}], Cause.THERMAL),
        ([{"kind": "pull", "at_s": 60}], Cause.MODULE_REMOVED),
        ([{"kind": "host", "at_s": 60, "down_s": 4}], Cause.HOST),
        ([{"kind": "signal", "at_s": 60, "down_s": 4}], Cause.REMOTE_SIGNAL),
    ],
)  # fmt: skip
def test_each_cause_is_named_in_its_scenario(module: str, events: list[dict[str, object]], cause: Cause) -> None:
    cases = play(230, *events, module=module)
    assert cases
    assert [classify(each).cause for each in cases[:1]] == [cause]


def test_a_fault_of_the_firmware_is_named() -> None:
    (fall,) = play(90, {"kind": "fault", "at_s": 60, "down_s": 10})
    verdict = classify(fall)
    assert verdict.cause is Cause.MODULE
    assert verdict.reasons[0] == "the module is in the state ModuleFault"


@pytest.mark.parametrize(
    ("far", "cause"),
    [
        (None, Cause.FIBRE),
        ({"kind": "host", "down_s": 4}, Cause.REMOTE_LASER),  # its transmitters are squelched
        ({"kind": "ageing", "lane": 1, "factor": 8, "over_s": 0}, Cause.REMOTE_LASER),
    ],
)  # fmt: skip
def test_with_both_ends_read_the_scenario_tells_which_it_was(far: dict[str, object] | None, cause: Cause) -> None:
    """Ethernet2 is the other end of Ethernet1, which receives nothing any more."""
    events: list[dict[str, object]] = [{"kind": "flap", "ports": [1], "at_s": 60, "down_s": 6}]
    if far is not None:
        events.append({"ports": [2], "at_s": 60, **far})
    document = {"description": "A link.", "modules": ["qsfpdd-400g-dr4"], "event": events}
    simulation = Simulation(Scenario.model_validate(document), ports=2)
    begin = simulation.clock.now
    simulation.run(80)
    fall = next(begin + at for at, port, up in simulation.links if port == "Ethernet1" and not up)
    *before, last = (r.lanes[q.TX_POWER] for r in simulation.readings("Ethernet2") if r.time < fall)
    after = next(r.lanes[q.TX_POWER] for r in simulation.readings("Ethernet2") if r.time > fall + 1)
    assert before
    verdict = classify(replace(_case_of(simulation, fall), peer=Peer("spine-3 Ethernet2", last, after)))
    assert verdict.cause is cause


def test_switching_a_port_off_is_seen_as_that() -> None:
    document = {
        "description": "Off and on.",
        "modules": ["qsfpdd-400g-dr4"],
        "event": [{"kind": "admin", "ports": [1], "at_s": 5, "down_s": 3}],
    }
    simulation = Simulation(Scenario.model_validate(document), ports=1)
    port, clock = simulation.switch.ports[0], simulation.clock
    tracker = LinkTracker("leaf", port.name)
    tracker.observe(port.observation(), time=clock.now, monotonic=clock.now)
    simulation.run(6)
    (fall,) = tracker.observe(port.observation(), time=clock.now, monotonic=clock.now)
    assert (fall.up, port.observation().admin_up) == (False, False)
    assert classify(replace(_case_of(simulation, clock.now), down_cause=fall.cause)).cause is Cause.ADMIN
    simulation.run(6)
    assert (port.observation().up, port.observation().admin_up) == (True, True)


def test_all_ports_at_once_are_one_incident_and_named_so() -> None:
    document = {
        "description": "Everything falls.",
        "modules": ["qsfpdd-400g-dr4"],
        "event": [{"kind": "flap", "ports": "all", "at_s": 20, "down_s": 4}],
    }
    simulation = Simulation(Scenario.model_validate(document), ports=8)
    engine = Alerts(BUILTIN_RULES)
    for port in simulation.switch.ports:
        engine.link_state("leaf", port.name, up=True, admin_up=True, at=Instant(0.0, 0.0))
    simulation.run(23)
    said: list[AlertEvent] = []
    for at, name, up in simulation.links:
        said += engine.link_event(LinkEvent("leaf", name, at, at, up, DownCause.UNINTENTIONAL), Instant(at, at))
    fall = simulation.links[-1][0]
    incident = engine.showing.correlator.speaks_for("leaf", "Ethernet1")
    assert incident is not None
    for tenth in range(30):
        at = fall + tenth / 10
        said += engine.tick(Instant(at, at))
    (alert,) = [event for event in said if event.rule != LINK]
    assert (alert.rule, alert.state) == ("correlated", "firing")
    assert alert.evidence["ports"] == [f"Ethernet{number}" for number in range(1, 9)]
    case_of_one = replace(_case_of(simulation, AT), correlated=incident.scope)
    assert classify(case_of_one).cause is Cause.CORRELATED
