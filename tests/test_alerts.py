"""The alert engine: what fires, when, and what is kept quiet."""

from dataclasses import replace

import pytest

from agent import quantities as q
from agent.alerts.builtin import BUILTIN_RULES
from agent.alerts.engine import Alerts
from agent.alerts.rules import Gate, Limit, Rule
from agent.clock import Instant
from agent.model import (
    AlertEvent,
    Bounds,
    DownCause,
    HostCounters,
    Laser,
    ModuleChange,
    Reading,
    Trouble,
    VdmSample,
)
from tests.alert_helpers import DEVICE, THRESHOLDS, WALL, at, edge, failed, lanes, module_event, reading, said


@pytest.fixture
def engine() -> Alerts:
    return Alerts(BUILTIN_RULES)


def until(engine: Alerts, seconds: float) -> list[AlertEvent]:
    """Everything that time alone brings until then, as the alert book asks for it."""
    out: list[AlertEvent] = []
    end = at(seconds).monotonic
    while (due := engine.next_deadline()) <= end:
        due = max(due, 1000.0)
        out += engine.tick(Instant(due, WALL + due - 1000.0))
    return out + engine.tick(at(seconds))


def test_nothing_is_said_of_a_healthy_module(engine: Alerts) -> None:
    for second in range(5):
        assert engine.judge(reading(second, temperature=45.0 + second), at(second)) == []
    assert list(engine.active()) == []


def test_temperature_beyond_its_warning_and_back_with_hysteresis(engine: Alerts) -> None:
    engine.judge(reading(0), at(0))
    (event,) = engine.judge(reading(1, temperature=70.5), at(1))
    assert (event.rule, event.severity, event.state, event.lane) == (
        "temperature_high_warning",
        "warning",
        "firing",
        0,
    )
    assert (event.value, event.threshold, event.unit) == (70.5, 70.0, "celsius")
    assert event.summary == "Ethernet0: temperature 70.5 degC is above its high warning of 70.0 degC."
    assert event.module == {"vendor_name": "ACME", "part_number": "A-400", "serial_number": "S1"}
    assert event.time == WALL + 1
    # 69.5 is below 70.0 and above the clear level of 69.0: nothing changes however long it lasts.
    for second in range(2, 40):
        assert engine.judge(reading(second, temperature=69.5), at(second)) == []
    assert engine.judge(reading(40, temperature=68.9), at(40)) == []
    assert engine.judge(reading(49, temperature=68.9), at(49)) == []
    assert said(engine.judge(reading(50, temperature=68.9), at(50))) == [
        ("temperature_high_warning", 0, "resolved")
    ]
    assert list(engine.active()) == []


def test_a_relapse_within_the_hold_off_is_the_same_alert(engine: Alerts) -> None:
    engine.judge(reading(0, temperature=71.0), at(0))
    assert engine.judge(reading(1, temperature=50.0), at(1)) == []
    assert engine.judge(reading(2, temperature=71.0), at(2)) == []
    assert engine.judge(reading(11, temperature=50.0), at(11)) == []
    assert said(until(engine, 30)) == [("temperature_high_warning", 0, "resolved")]


def test_the_higher_rung_replaces_the_lower_one(engine: Alerts) -> None:
    engine.judge(reading(0, temperature=72.0), at(0))
    assert said(engine.judge(reading(1, temperature=76.0), at(1))) == [
        ("temperature_high_alarm", 0, "firing"),
        ("temperature_high_warning", 0, "resolved"),
    ]
    assert [event.rule for event in engine.active()] == ["temperature_high_alarm"]


def test_one_lane_alone_is_named_in_dbm(engine: Alerts) -> None:
    engine.judge(reading(0), at(0))
    events = engine.judge(reading(1, rx=lanes(0.0005, lane3=0.00005)), at(1))
    assert said(events) == [("rx_power_low_alarm", 3, "firing")]
    assert events[0].unit == "dbm"
    assert events[0].value == pytest.approx(-13.0103, abs=1e-4)
    assert events[0].threshold == pytest.approx(-10.0)
    assert events[0].evidence["lanes"] == pytest.approx(
        {"1": -3.0103, "2": -3.0103, "3": -13.0103, "4": -3.0103}, abs=1e-4
    )
    assert events[0].summary == "Ethernet0 lane 3: rx power -13.01 dBm is below its low alarm of -10.00 dBm."


def test_zero_light_is_the_floor_not_an_error(engine: Alerts) -> None:
    (event,) = engine.judge(reading(1, rx=lanes(0.0005, lane1=0.0)), at(1))
    assert (event.rule, event.lane, event.value) == ("rx_power_low_alarm", 1, -40.0)


def test_margin_of_3_db_and_1_db_to_the_low_alarm(engine: Alerts) -> None:
    thresholds: dict[q.Quantity, Bounds] = {q.RX_POWER: {"low_alarm": 0.0001, "high_alarm": 0.004}}

    def take(second: float, rx: float) -> list[AlertEvent]:
        return engine.judge(reading(second, rx=lanes(0.0005, lane2=rx), thresholds=thresholds), at(second))

    # -7.5 dBm is 2.5 dB above the alarm of -10 dBm; the rule wants it for a minute.
    assert take(0, 0.000178) == []
    assert take(59, 0.000178) == []
    assert said(take(60, 0.000178)) == [("rx_power_margin", 2, "firing")]
    # -9.5 dBm: 0.5 dB of margin.
    assert take(70, 0.000112) == []
    assert said(take(131, 0.000112)) == [
        ("rx_power_margin_critical", 2, "firing"),
        ("rx_power_margin", 2, "resolved"),
    ]


@pytest.mark.parametrize(
    "bounds",
    [
        {},
        {"high_alarm": 0.0, "high_warning": 0.0, "low_warning": 0.0, "low_alarm": 0.0},
        {"high_alarm": 60.0, "high_warning": 65.0, "low_warning": 0.0, "low_alarm": -5.0},
        {"high_alarm": 75.0, "high_warning": 70.0, "low_warning": 71.0, "low_alarm": -5.0},
        {"high_alarm": -5.0, "high_warning": 0.0, "low_warning": 70.0, "low_alarm": 75.0},
    ],
)
def test_absent_or_disordered_thresholds_never_alert(engine: Alerts, bounds: Bounds) -> None:
    flag = q.ALARM_FLAGS["temperature", "high_alarm"]
    thresholds = dict(THRESHOLDS) | {q.TEMPERATURE: bounds}
    for second, celsius in enumerate((45.0, 90.0, -40.0, 127.0)):
        values = reading(second, temperature=celsius, thresholds=thresholds, flags={flag: True})
        assert engine.judge(values, at(second)) == []


def test_equal_alarm_and_warning_are_in_order(engine: Alerts) -> None:
    bounds: Bounds = {"high_alarm": 75.0, "high_warning": 75.0, "low_warning": 10.0, "low_alarm": 10.0}
    hot = reading(0, temperature=76.0, thresholds={q.TEMPERATURE: bounds})
    assert said(engine.judge(hot, at(0))) == [("temperature_high_alarm", 0, "firing")]


def test_a_latched_flag_speaks_for_an_excursion_between_two_polls(engine: Alerts) -> None:
    flag = q.ALARM_FLAGS["temperature", "high_alarm"]
    (event,) = engine.judge(reading(0, temperature=60.0, flags={flag: True}), at(0))
    assert (event.rule, event.value, event.evidence["module_flag"]) == ("temperature_high_alarm", 60.0, True)
    assert event.summary == "Ethernet0: the module's own flag says temperature high alarm (limit 75.0 degC)."
    assert engine.judge(reading(10, temperature=60.0), at(10)) == []
    assert said(engine.judge(reading(20, temperature=60.0), at(20))) == [("temperature_high_alarm", 0, "resolved")]


def test_lane_flags_name_their_lanes_and_loss_of_lock_follows_loss_of_signal(engine: Alerts) -> None:
    events = engine.judge(reading(0, lane_flags={q.RX_LOS: 0b0101, q.RX_CDR_LOL: 0b1101}), at(0))
    assert said(events) == [("rx_los", 1, "firing"), ("rx_los", 3, "firing"), ("rx_cdr_lol", 4, "firing")]


def test_flags_that_no_rule_watches_are_ignored(engine: Alerts) -> None:
    assert engine.judge(reading(0, lane_flags={q.DATA_PATH_STATE_CHANGED: 0b1111}), at(0)) == []


@pytest.mark.parametrize(
    "dark",
    [
        reading(0, tx=0.0, bias=0.0, module_state="ModuleLowPwr"),
        reading(0, tx=0.0, bias=0.0, data_path=1),
        reading(0, tx=0.0, bias=0.0, tx_disabled={1: True, 2: True, 3: True, 4: True}),
    ],
)
def test_a_transmitter_that_should_not_shine_is_not_judged(engine: Alerts, dark: Reading) -> None:
    assert engine.judge(dark, at(0)) == []


def test_one_lane_switched_off_leaves_the_others_judged(engine: Alerts) -> None:
    dark = reading(0, tx=lanes(0.0), bias=0.06, tx_disabled={1: True, 2: False, 3: True, 4: True})
    assert said(engine.judge(dark, at(0))) == [("tx_power_low_alarm", 2, "firing")]


def test_a_gate_that_closes_ends_the_alert_at_once_and_says_why(engine: Alerts) -> None:
    engine.judge(reading(0, rx=lanes(0.0005, lane1=0.00001)), at(0))
    engine.link_state(DEVICE, "Ethernet0", up=False, admin_up=False, at=at(1))
    (event,) = engine.judge(reading(2, rx=lanes(0.0005, lane1=0.00001)), at(2))
    assert (event.rule, event.state) == ("rx_power_low_alarm", "resolved")
    assert "administratively down" in event.summary


def test_a_dark_port_that_nobody_uses_is_no_alarm(engine: Alerts) -> None:
    engine.link_state(DEVICE, "Ethernet0", up=False, admin_up=False, at=at(0))
    assert engine.judge(reading(0, rx=0.0, lane_flags={q.RX_LOS: 0b1111}), at(0)) == []


def test_unreadable_after_three_failures_in_a_row(engine: Alerts) -> None:
    engine.judge(reading(0), at(0))
    assert engine.poll_failed(failed(1), at(1)) == []
    assert engine.poll_failed(failed(2), at(2)) == []
    (event,) = engine.poll_failed(failed(3), at(3))
    assert (event.rule, event.value, event.cause) == ("module_unreadable", 3.0, "no answer in 1 s")
    assert engine.poll_failed(failed(4), at(4)) == []
    assert said(engine.judge(reading(5), at(5))) == [("module_unreadable", 0, "resolved")]


def test_a_failure_now_and_then_is_nothing(engine: Alerts) -> None:
    for second in range(0, 30, 3):
        assert engine.judge(reading(second), at(second)) == []
        assert engine.poll_failed(failed(second + 1), at(second + 1)) == []
        assert engine.poll_failed(failed(second + 2), at(second + 2)) == []


def test_a_module_that_works_on_a_command_is_not_unreadable(engine: Alerts) -> None:
    for second in range(40):
        busy = replace(failed(second), trouble=Trouble("module_busy", "new firmware"))
        assert engine.poll_failed(busy, at(second)) == []


def test_an_unreadable_module_keeps_its_alerts(engine: Alerts) -> None:
    engine.judge(reading(0, temperature=80.0), at(0))
    for second in range(1, 2000, 100):
        engine.poll_failed(failed(second), at(second))
    assert {event.rule for event in engine.active()} == {"temperature_high_alarm", "module_unreadable"}


def test_an_empty_cage_is_no_news_but_a_module_that_left_is(engine: Alerts) -> None:
    assert engine.poll_failed(failed(0, present=False), at(0)) == []
    engine.judge(reading(1, temperature=80.0), at(1))
    events = engine.module_event(module_event(2, ModuleChange.REMOVED, previous="S1"), at(2))
    assert said(events) == [("module_absent", 0, "firing"), ("temperature_high_alarm", 0, "resolved")]
    assert engine.poll_failed(failed(3, present=False), at(3)) == []
    events = engine.module_event(module_event(9, ModuleChange.INSERTED, serial="S1"), at(9))
    assert said(events) == [("module_absent", 0, "resolved")]


def test_a_module_that_stays_away_is_news_for_a_day(engine: Alerts) -> None:
    engine.judge(reading(0), at(0))
    engine.poll_failed(failed(1, present=False), at(1))
    assert said(until(engine, 86_000)) == []
    assert said(until(engine, 86_402)) == [("module_absent", 0, "resolved")]


def test_a_swap_ends_the_alerts_of_the_old_module(engine: Alerts) -> None:
    engine.judge(reading(0, temperature=80.0), at(0))
    events = engine.module_event(module_event(1, ModuleChange.SWAPPED, serial="S2", previous="S1"), at(1))
    assert said(events) == [("temperature_high_alarm", 0, "resolved"), ("module_swapped", 0, "firing")]
    assert events[1].severity == "info"
    assert events[1].evidence == {
        "previous": {"vendor_name": "ACME", "serial_number": "S1"},
        "present": {"vendor_name": "ACME", "serial_number": "S2"},
    }
    assert said(until(engine, 3700)) == [("module_swapped", 0, "resolved")]


def test_another_module_after_a_removal_is_a_swap_too(engine: Alerts) -> None:
    engine.judge(reading(0), at(0))
    engine.module_event(module_event(1, ModuleChange.REMOVED, previous="S1"), at(1))
    events = engine.module_event(module_event(60, ModuleChange.INSERTED, serial="S2"), at(60))
    assert said(events) == [("module_absent", 0, "resolved"), ("module_swapped", 0, "firing")]


def test_link_down_and_the_flap_ladder(engine: Alerts) -> None:
    engine.link_state(DEVICE, "Ethernet0", up=True, admin_up=True, at=at(0))
    (down,) = engine.link_event(edge(10, up=False), at(10))
    assert (down.rule, down.severity, down.state, down.time) == ("link_down", "critical", "firing", WALL + 10)
    assert down.evidence["down_cause"] == "unintentional"
    assert said(engine.link_event(edge(12, up=True), at(12))) == [
        ("link_flap", 0, "firing"),
        ("link_down", 0, "resolved"),
    ]
    assert said(engine.link_event(edge(1000, up=False), at(1000))) == [
        ("link_down", 0, "firing"),
        ("link_flap", 0, "resolved"),
    ]
    events = engine.link_event(edge(1001, up=True), at(1001))
    assert said(events) == [("link_flapping", 0, "firing"), ("link_down", 0, "resolved")]
    assert (events[0].value, events[0].severity) == (2.0, "critical")
    # An hour after the first flap only one of the two is left in the window of an hour, a day later none.
    assert said(until(engine, 3700)) == [("link_flap", 0, "firing"), ("link_flapping", 0, "resolved")]
    assert said(until(engine, 1000 + 86_400)) == [("link_flap", 0, "resolved")]


def test_three_flaps_in_a_day_are_critical(engine: Alerts) -> None:
    told: list[list[tuple[str, int, str]]] = []
    for hour in (0, 5, 10):
        engine.link_event(edge(hour * 3600, up=False), at(hour * 3600))
        told.append(said(engine.link_event(edge(hour * 3600 + 1, up=True), at(hour * 3600 + 1))))
    assert told == [
        [("link_flap", 0, "firing"), ("link_down", 0, "resolved")],
        [("link_down", 0, "resolved")],
        [("link_flapping", 0, "firing"), ("link_down", 0, "resolved")],
    ]


def test_a_storm_is_one_alert_and_every_edge_is_still_told(engine: Alerts) -> None:
    told: list[AlertEvent] = []
    for index in range(50):  # 50 edges a second for 1 s
        second = index / 50
        told += engine.link_event(edge(second, up=index % 2 == 1), at(second))
    assert [event.rule for event in told].count("link_flap_storm") == 1
    edges = [(e.rule, e.state, e.time) for e in told if e.rule in {"link_down", "link"}]
    # The fifth flap in ten seconds is the ninth edge: from there on the storm speaks for the link.
    assert edges == [
        ("link_down" if index < 8 else "link", "resolved" if index % 2 else "firing", WALL + index / 50)
        for index in range(50)
    ]
    assert said(until(engine, 30)) == []
    assert said(until(engine, 80)) == [("link_flapping", 0, "firing"), ("link_flap_storm", 0, "resolved")]


@pytest.mark.parametrize("cause", [DownCause.ADMIN, DownCause.MODULE_REMOVED])
def test_an_intended_down_is_told_but_no_alert_and_no_flap(engine: Alerts, cause: DownCause) -> None:
    (event,) = engine.link_event(edge(1, up=False, cause=cause), at(1))
    assert (event.rule, event.severity, event.state) == ("link", "info", "firing")
    (event,) = engine.link_event(edge(2, up=True), at(2))
    assert (event.rule, event.state) == ("link", "resolved")
    assert list(engine.active()) == []


def test_edges_that_nobody_saw_count_as_flaps(engine: Alerts) -> None:
    engine.link_state(DEVICE, "Ethernet0", up=True, admin_up=True, at=at(0))
    engine.link_event(edge(1, up=False, unseen=4), at(1))
    (event,) = [e for e in engine.link_event(edge(2, up=True), at(2)) if e.rule != "link_down"]
    assert (event.rule, event.value) == ("link_flapping", 3.0)


def test_switching_a_port_off_ends_its_link_alert(engine: Alerts) -> None:
    engine.link_event(edge(1, up=False), at(1))
    events = engine.link_state(DEVICE, "Ethernet0", up=False, admin_up=False, at=at(2))
    assert ("link_down", 0, "resolved") in said(events)


def test_bit_errors_within_a_decade_of_the_limit_and_beyond(engine: Alerts) -> None:
    def take(second: float, ber: float) -> list[tuple[str, int, str]]:
        sample = VdmSample("pre_fec_ber_current_media_input", 2, 1, ber, "ratio")
        return said(engine.judge(reading(second, vdm=(sample,)), at(second)))

    assert take(0, 3e-5) == []
    assert take(60, 3e-5) == [("pre_fec_ber_media_margin", 2, "firing")]
    assert take(120, 3e-4) == []
    assert take(180, 3e-4) == [("pre_fec_ber_media", 2, "firing"), ("pre_fec_ber_media_margin", 2, "resolved")]
    assert take(240, 1e-8) == [("pre_fec_ber_media", 2, "resolved")]


def test_a_coherent_module_is_not_held_to_the_kp4_limit(engine: Alerts) -> None:
    sample = VdmSample("pre_fec_ber_current_media_input", 1, 1, 1e-2, "ratio")
    for second in (0, 60, 120):
        values = replace(reading(second, vdm=(sample,)), coherent={"osnr_db": {"value": 30.0}})
        assert engine.judge(values, at(second)) == []


def test_uncorrected_codewords_are_growth_not_a_count(engine: Alerts) -> None:
    assert engine.judge(reading(0, fec={"uncorrected_codewords": 7}), at(0)) == []
    assert engine.judge(reading(1, fec={"uncorrected_codewords": 7}), at(1)) == []
    (event,) = engine.judge(reading(2, fec={"uncorrected_codewords": 9}), at(2))
    assert (event.rule, event.value, event.unit) == ("uncorrected_codewords", 2.0, "codewords")


def test_a_lane_with_more_errors_and_less_light_is_dirty(engine: Alerts) -> None:
    def take(second: float, rx: float, ber: float) -> list[AlertEvent]:
        vdm = tuple(
            VdmSample("pre_fec_ber_current_media_input", lane, 1, ber if lane == 2 else 1e-9, "ratio")
            for lane in range(1, 5)
        )
        return engine.judge(reading(second, rx=lanes(0.0005, lane2=rx), vdm=vdm), at(second))

    assert take(0, 0.0003, 1e-7) == []  # 2.2 dB less light and 100 times the errors
    assert take(59, 0.0003, 1e-7) == []
    (event,) = take(60, 0.0003, 1e-7)
    assert (event.rule, event.lane) == ("lane_outlier", 2)
    assert event.value == pytest.approx(100.0)
    assert event.cause == "dirt or connector: clean the connector of this lane"
    assert said(take(120, 0.00045, 1e-7)) == [("lane_outlier", 2, "resolved")]  # as bright as its sisters: no dirt
    assert take(180, 0.0003, 1e-9) == []
    assert take(240, 0.0003, 1e-9) == []  # dimmer, but without errors


def test_rules_are_replaced_without_losing_what_fires(engine: Alerts) -> None:
    engine.judge(reading(0, temperature=80.0, rx=lanes(0.0005, lane1=0.0)), at(0))
    rules = [rule for rule in BUILTIN_RULES if rule.name != "rx_power_low_alarm"]
    rules.append(Rule("warm", q.TEMPERATURE, Limit(40.0), "info", "temperature {value} is above {threshold}"))
    events = engine.replace_rules(rules, at(1))
    assert ("rx_power_low_alarm", 1, "resolved") in said(events)
    assert said(engine.judge(reading(2, temperature=80.0), at(2))) == [("warm", 0, "firing")]
    assert {event.rule for event in engine.active()} >= {"temperature_high_alarm", "warm"}


def test_a_value_that_is_measured_no_more_does_not_alert_for_ever(engine: Alerts) -> None:
    engine.judge(reading(0, temperature=80.0), at(0))
    assert engine.judge(reading(300, temperature=None), at(300)) == []
    assert said(engine.judge(reading(700, temperature=None), at(700))) == [
        ("temperature_high_alarm", 0, "resolved")
    ]


def test_rules_of_a_lane_leave_the_others_alone() -> None:
    rule = Rule(
        "dim", q.RX_POWER, Limit(0.0002, above=False), "warning", "rx {value}",
        lanes=frozenset({2}), gates=frozenset({Gate.MODULE_READY}),
    )  # fmt: skip
    engine = Alerts([rule])
    assert said(engine.judge(reading(0, rx=0.0001), at(0))) == [("dim", 2, "firing")]


def test_codewords_that_the_host_could_not_repair() -> None:
    engine = Alerts(BUILTIN_RULES)
    engine.link_state(DEVICE, "Ethernet0", up=True, admin_up=True, at=at(0))

    def take(second: float, count: int) -> list[AlertEvent]:
        counters = {q.FEC_UNCORRECTABLE: count, q.FEC_CORRECTED: 1000 * count}
        return engine.host_counters(HostCounters(DEVICE, "Ethernet0", WALL + second, counters), at(second))

    assert take(0, 5) == []
    assert take(1, 5) == []
    (event,) = take(2, 8)
    assert (event.rule, event.value) == ("uncorrected_codewords", 3.0)
    assert take(3, 8) == []
    assert said(until(engine, 304)) == [("uncorrected_codewords", 0, "resolved")]
    # What a link counts while it falls and trains is part of its fall.
    engine.link_event(edge(400, up=False), at(400))
    until(engine, 401)
    engine.link_event(edge(402, up=True), at(402))
    assert take(403, 900) == []
    assert take(404, 900) == []
    assert [event.rule for event in engine.active()].count("uncorrected_codewords") == 0
    # A driver that was loaded anew counts from 0: 4 came since.
    (event,) = take(405, 4)
    assert (event.rule, event.value) == ("uncorrected_codewords", 4.0)


def test_a_fault_of_an_external_laser_names_the_laser() -> None:
    engine = Alerts(BUILTIN_RULES)
    lasers = (Laser(1, state="on"), Laser(2, state="fault", flags=("fault_over_temperature",)), Laser(3))
    (event,) = engine.judge(replace(reading(0), lasers=lasers), at(0))
    assert (event.rule, event.lane, event.severity) == ("laser_fault", 2, "critical")
    fine = (Laser(1), Laser(2, flags=("warning_power",)), Laser(3))
    engine.judge(replace(reading(10), lasers=fine), at(10))
    assert said(engine.judge(replace(reading(20), lasers=(*fine,)), at(20)) + until(engine, 30)) == [
        ("laser_fault", 2, "resolved")
    ]


def test_a_laser_of_an_external_source_that_ages_is_told_by_its_number() -> None:
    """Thresholds as ELSFP modules have them: once for all lasers, on page 1Ah."""
    engine = Alerts(BUILTIN_RULES)
    bounds: Bounds = {"high_alarm": 0.4, "high_warning": 0.35, "low_warning": 0.09, "low_alarm": 0.065}
    source = replace(reading(0), lanes={}, lane_flags={}, thresholds={q.TX_BIAS: bounds})

    def take(
        second: float, *bias: float, enabled: bool = True, flags: tuple[str, ...] = ()
    ) -> list[tuple[str, int, str]]:
        lasers = tuple(
            Laser(number, state="on", enabled=enabled, values={q.TX_BIAS: amperes}, flags=flags)
            for number, amperes in enumerate(bias, 1)
        )
        return said(engine.judge(replace(source, time=WALL + second, lasers=lasers), at(second)))

    assert take(0, 0.24, 0.25) == []
    assert take(10, 0.24, 0.36) == [("laser_bias_high_warning", 2, "firing")]
    assert ("laser_bias_high_alarm", 2, "firing") in take(20, 0.24, 0.42)
    (alert,) = engine.active()
    assert alert.summary.endswith("laser 2: laser bias 420.0 mA is above its high alarm of 400.0 mA.")
    # One that is switched off has no bias, and that is no alarm.
    assert take(30, 0.0, 0.42, enabled=False) == []
    assert ("laser_bias_high_alarm", 2, "resolved") in take(40, 0.24, 0.25) + said(until(engine, 60))
    # The module's own flag tells of what was over before the value was read.
    assert take(70, 0.24, 0.25, flags=("tx_bias_low_alarm",)) == [
        ("laser_bias_low_alarm", 1, "firing"), ("laser_bias_low_alarm", 2, "firing"),
    ]  # fmt: skip


def test_thresholds_of_an_engines_lanes_are_not_those_of_its_lasers() -> None:
    engine = Alerts(BUILTIN_RULES)
    lasers = (Laser(1, state="on", values={q.TX_BIAS: 0.9}),)
    bounds: Bounds = {"high_alarm": 0.1, "low_alarm": 0.01}
    shown = replace(reading(0), lasers=lasers, lanes={q.TX_BIAS: {1: 0.05}}, thresholds={q.TX_BIAS: bounds})
    assert engine.judge(shown, at(0)) == []
    of_lasers: Bounds = {"high_alarm": 0.5, "low_alarm": 0.01}
    own = {q.TX_BIAS: bounds, q.LASER_BIAS: of_lasers}
    (event,) = engine.judge(replace(shown, thresholds=own, lasers=(*lasers,)), at(10))
    assert (event.rule, event.lane) == ("laser_bias_high_alarm", 1)


def test_a_port_that_nobody_asks_for_has_no_alerts() -> None:
    engine = Alerts(BUILTIN_RULES)
    engine.judge(reading(0, temperature=80.0), at(0))
    (event,) = engine.forget(DEVICE, "Ethernet0", at(1))
    assert (event.rule, event.state) == ("temperature_high_alarm", "resolved")
    assert list(engine.active()) == []
    until(engine, 100)


def test_the_first_message_of_a_fall_shows_the_last_sample_before_it() -> None:
    engine = Alerts(BUILTIN_RULES)
    engine.judge(reading(0), at(0))
    (event,) = engine.link_event(edge(1, up=False), at(1))
    assert event.evidence["before"] == [
        {
            "time": "2027-01-15T08:00:00.000Z",
            "temperature_celsius": 45.0,
            "rx_power_dbm": [-3.01] * 4,
            "tx_power_dbm": [0.0] * 4,
            "tx_bias_amperes": [0.06] * 4,
            "module_state": "ModuleReady",
        }
    ]


def test_a_dark_lane_is_one_alert_and_a_dark_port_with_its_link_down_too() -> None:
    engine = Alerts(BUILTIN_RULES)
    engine.judge(reading(0), at(0))
    dark = {q.RX_LOS: 0b0010, q.RX_CDR_LOL: 0b0010}
    assert said(engine.judge(reading(1, rx=lanes(0.0005, lane2=0.0), lane_flags=dark), at(1))) == [
        ("rx_los", 2, "firing")
    ]
    other = Alerts(BUILTIN_RULES)
    other.judge(reading(0), at(0))
    other.link_event(edge(1, up=False), at(1))
    flags = {q.RX_LOS: 0b1111, q.RX_CDR_LOL: 0b1111}
    assert other.judge(reading(2, rx=0.0, lane_flags=flags), at(2)) == []
    # The link is back before the next poll: what the last one said is not brought up again.
    assert said(other.link_event(edge(3, up=True), at(3))) == [
        ("link_flap", 0, "firing"),
        ("link_down", 0, "resolved"),
    ]
    assert other.judge(reading(4), at(4)) == []
    assert said(until(other, 60)) == []


def test_what_lasts_when_the_link_is_back_is_said() -> None:
    engine = Alerts(BUILTIN_RULES)
    engine.judge(reading(0), at(0))
    engine.link_event(edge(1, up=False), at(1))
    engine.judge(reading(2, lane_flags={q.RX_LOS: 0b0001}), at(2))
    engine.link_event(edge(3, up=True), at(3))
    assert said(engine.judge(reading(4, lane_flags={q.RX_LOS: 0b0001}), at(4))) == [("rx_los", 1, "firing")]


def test_a_link_that_fell_with_its_module_did_not_flap() -> None:
    engine = Alerts(BUILTIN_RULES)
    engine.judge(reading(0), at(0))
    engine.link_event(edge(10, up=False), at(10))
    engine.module_event(module_event(13, ModuleChange.REMOVED, previous="S1"), at(13))
    engine.module_event(module_event(60, ModuleChange.INSERTED, serial="S1"), at(60))
    told = engine.link_event(edge(62, up=True), at(62))
    assert said(told) == [("link_down", 0, "resolved")]
    assert list(engine.active()) == []


def test_bit_errors_tell_their_decades_of_margin() -> None:
    engine = Alerts(BUILTIN_RULES)
    sample = VdmSample("pre_fec_ber_current_host_input", 1, 1, 4.8e-5, "ratio")
    engine.judge(reading(0, vdm=(sample,)), at(0))
    (event,) = engine.judge(reading(60, vdm=(sample, sample)), at(60))
    # 2.4e-4 is 5 times 4.8e-5: 0.7 decades.
    assert (event.rule, event.evidence["margin_decades"]) == ("pre_fec_ber_host_margin", 0.7)


def test_figures_of_days_are_gated_like_values() -> None:
    engine = Alerts(BUILTIN_RULES)
    engine.judge(reading(0), at(0))
    figures = {"tx_bias_change_ratio": {1: 0.15, 2: 0.05}, "rx_power_low_warning_days": {3: 9.0, 4: 30.0}}
    assert said(engine.figures(DEVICE, "Ethernet0", figures, at(1))) == [
        ("tx_bias_change", 1, "firing"),
        ("rx_power_forecast", 3, "firing"),
    ]
    engine.judge(reading(2, data_path=1), at(2))
    assert said(engine.figures(DEVICE, "Ethernet0", figures, at(3))) == [
        ("tx_bias_change", 1, "resolved"),
        ("rx_power_forecast", 3, "resolved"),
    ]
