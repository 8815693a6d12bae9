"""Many ports at once are one alert: device-wide, by group, spread over the window, and back again."""

import pytest

from agent.alerts.builtin import BUILTIN_RULES
from agent.alerts.engine import Alerts
from agent.clock import Instant
from agent.model import AlertEvent, Module
from tests.alert_helpers import DEVICE, WALL, at, edge, reading, said

PORTS = 512


@pytest.fixture
def engine() -> Alerts:
    return _switch(PORTS)


def _switch(ports: int) -> Alerts:
    engine = Alerts(BUILTIN_RULES)
    for index in range(ports):
        engine.link_state(DEVICE, f"Ethernet{index}", up=True, admin_up=True, at=at(0))
    return engine


class Play:
    """Plays edges into an engine and asks it when it wants to be asked, as the alert book does."""

    def __init__(self, engine: Alerts) -> None:
        self.engine = engine
        self.told: list[AlertEvent] = []

    def edge(self, second: float, port: int, *, up: bool = False) -> None:
        self.until(second)
        self.told += self.engine.link_event(edge(second, up=up, port=f"Ethernet{port}"), at(second))

    def until(self, second: float) -> None:
        end = at(second).monotonic
        while (due := self.engine.next_deadline()) <= end:
            due = max(due, 1000.0)
            self.told += self.engine.tick(Instant(due, WALL + due - 1000.0))

    def alerts(self) -> list[AlertEvent]:
        """Everything but the link events that no alert speaks of."""
        return [event for event in self.told if event.rule != "link"]


def test_512_ports_down_at_once_are_one_alert(engine: Alerts) -> None:
    play = Play(engine)
    for index in range(PORTS):
        play.edge(10 + index * 1e-5, index)
    play.until(30)
    (alert,) = play.alerts()
    assert (alert.rule, alert.severity, alert.state) == ("correlated", "critical", "firing")
    assert (alert.value, alert.threshold, alert.unit) == (512.0, 128.0, "ports")
    assert alert.evidence["ports"] == [f"Ethernet{index}" for index in range(PORTS)]
    assert alert.evidence["rules"] == ["link_down"]
    assert alert.time < WALL + 10.5
    # Every edge is on the event stream, without severity.
    edges = [event for event in play.told if event.rule == "link"]
    assert len(edges) == PORTS
    assert {event.severity for event in edges} == {"info"}
    assert [event.rule for event in engine.active()] == ["correlated"]


def test_spread_over_two_seconds_it_is_still_one_alert(engine: Alerts) -> None:
    play = Play(engine)
    for index in range(PORTS):
        play.edge(10 + index * 2 / PORTS, index)
    play.until(30)
    firing = [event for event in play.alerts() if event.state == "firing"]
    # The list grew behind its first message: the last one is complete.
    assert {event.rule for event in firing} == {"correlated"}
    assert len(firing) <= 3
    assert firing[-1].value == 512.0


def test_a_quarter_is_an_incident_and_one_less_is_not() -> None:
    for count, incident in ((16, True), (15, False)):
        play = Play(_switch(64))
        for index in range(count):
            play.edge(10 + index * 1e-3, index)
        play.until(30)
        rules = [event.rule for event in play.alerts()]
        assert rules == (["correlated"] if incident else ["link_down"] * 15)


def test_slower_than_the_window_each_port_speaks_for_itself() -> None:
    play = Play(_switch(64))
    for index in range(32):
        play.edge(10 + index * 0.2, index)  # 10 within any two seconds; a quarter would be 16
    play.until(60)
    assert {event.rule for event in play.alerts()} == {"link_down"}
    assert len(play.alerts()) == 32


def test_one_link_alone_is_told_within_the_hold_of_25_ms(engine: Alerts) -> None:
    play = Play(engine)
    play.edge(10, 7)
    assert play.told == []
    play.until(10.024)
    assert play.told == []
    play.until(10.026)
    assert said(play.told) == [("link_down", 0, "firing")]
    assert play.told[0].time == WALL + 10


def test_a_link_that_is_back_within_the_hold_is_told_both_ways(engine: Alerts) -> None:
    play = Play(engine)
    play.edge(10, 7)
    play.edge(10.010, 7, up=True)
    assert said(play.told) == [("link_down", 0, "firing"), ("link_down", 0, "resolved")]
    play.until(11)
    assert said(play.told[2:]) == [("link_flap", 0, "firing")]


def test_what_the_ports_say_during_the_incident_is_muted_and_what_lasts_is_told_after_it() -> None:
    engine = _switch(8)
    modules: list[Module] = [{"serial_number": f"S{index}"} for index in range(8)]
    play = Play(engine)

    def poll(second: float, dark: set[int]) -> None:
        play.until(second)
        for index in range(8):
            values = reading(
                second, port=f"Ethernet{index}", rx=0.0 if index in dark else 0.0005, module=modules[index]
            )
            play.told += engine.judge(values, at(second))

    poll(5, set())
    for index in range(8):
        play.edge(10, index)
    poll(11, set(range(8)))
    poll(12, set(range(8)))
    assert [event.rule for event in play.alerts()] == ["correlated"]
    for index in range(7):
        play.edge(20, index, up=True)
    poll(21, {7})
    play.until(22)
    assert [event.state for event in play.alerts()] == ["firing"]  # one of eight is more than a tenth
    play.edge(23, 7, up=True)
    for second in range(24, 80):
        poll(second, {7})
    # The link of port 7 is back, but it is still dark half a minute later: that is its own story.
    assert said(play.alerts()[1:2]) == [("correlated", 0, "resolved")]
    rest = {(event.port, event.rule) for event in play.alerts()[2:]}
    assert rest == {("Ethernet7", "rx_power_low_alarm")}


def test_nine_of_ten_back_ends_the_incident_and_the_rest_speaks() -> None:
    engine = _switch(40)
    play = Play(engine)
    for index in range(40):
        play.edge(10, index)
    play.until(15)
    for index in range(36):
        play.edge(20 + index * 1e-3, index, up=True)
    play.until(25)
    assert [event.rule for event in engine.active()] == ["link_down"] * 4
    assert said(play.alerts()) == [
        ("correlated", 0, "firing"),
        ("correlated", 0, "resolved"),
        *[("link_down", 0, "firing")] * 4,
    ]


def test_ports_of_an_incident_did_not_flap() -> None:
    engine = _switch(40)
    play = Play(engine)
    for second in (10, 100, 200):
        for index in range(40):
            play.edge(second, index)
        for index in range(40):
            play.edge(second + 5, index, up=True)
    play.until(300)
    assert {event.rule for event in play.alerts()} == {"correlated"}


def test_the_first_port_of_an_incident_did_not_flap_either() -> None:
    engine = _switch(40)
    play = Play(engine)
    for index in range(40):  # the kernel's time of an event is a little before it is looked at
        play.told += engine.link_event(edge(10.0, up=False, port=f"Ethernet{index}"), at(10.004 + index * 1e-4))
    play.until(12)
    for index in range(40):
        play.edge(18, index, up=True)
    play.until(60)
    assert {event.rule for event in play.alerts()} == {"correlated"}


def test_all_ports_of_a_laser_are_one_alert() -> None:
    engine = _switch(64)
    engine.set_groups({(DEVICE, "laser els-3"): frozenset({"Ethernet8", "Ethernet9"})})
    play = Play(engine)
    play.edge(10, 8)
    play.edge(10.01, 9)
    play.until(15)
    (alert,) = play.alerts()
    assert (alert.rule, alert.port, alert.value) == ("correlated", "laser els-3", 2.0)
    assert alert.summary == f"{DEVICE}: 2 of 2 ports of laser els-3 at once: link_down."


def test_two_ports_of_a_device_are_a_coincidence() -> None:
    play = Play(_switch(2))
    play.edge(10, 0)
    play.edge(10.001, 1)
    assert said(play.told) == [("link_down", 0, "firing")] * 2
