"""Flap bookkeeping: what observations of a link are worth in edges, counters and causes."""

import asyncio
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.alerts import configured as rules_config
from agent.alerts.book import AlertBook
from agent.links.flaps import CORRELATION_PORTS, REMOVAL_S, SETTLE_S, LinkTracker, Observation
from agent.links.links import Links
from agent.model import AlertEvent, DownCause, LinkEvent, ModuleChange, ModuleEvent
from agent.state import Hub, LinkChanged, LinkState, PortForgotten

UP = Observation(up=True, carrier_up_count=1, carrier_down_count=0, if_index=7, epoch="boot-1")
T0 = 1_764_000_000.0


def seen(up: bool, ups: int, downs: int, *, admin_up: bool = True, if_index: int = 7) -> Observation:
    return Observation(
        up, admin_up, carrier_up_count=ups, carrier_down_count=downs, if_index=if_index, epoch="boot-1"
    )


class Clock:
    """Feeds one tracker, a second apart, wall clock and monotonic clock in step."""

    def __init__(self, tracker: LinkTracker) -> None:
        self.tracker = tracker
        self.now = 1000.0
        self.wall = T0

    def see(self, what: Observation, *, after: float = 1.0, settle_s: float = 0.0) -> list[LinkEvent]:
        self.now += after
        self.wall += after
        return self.tracker.observe(what, time=self.wall, monotonic=self.now, settle_s=settle_s)


@pytest.fixture
def clock() -> Clock:
    return Clock(LinkTracker("leaf-17", "swp1"))


def edges(events: list[LinkEvent]) -> list[tuple[bool, int]]:
    return [(event.up, event.unseen) for event in events]


def test_first_observation_is_no_event(clock: Clock) -> None:
    assert clock.see(UP) == []
    assert clock.tracker.state.up
    assert clock.tracker.state.transitions == 0


def test_one_flap(clock: Clock) -> None:
    clock.see(UP)
    down = clock.see(seen(False, 1, 1))
    up = clock.see(seen(True, 2, 1))
    assert edges(down) == [(False, 0)]
    assert edges(up) == [(True, 0)]
    assert down[0].cause is DownCause.UNINTENTIONAL
    state = clock.tracker.state
    assert state.transitions == 2
    assert dict(state.down_events) == {DownCause.UNINTENTIONAL: 1}
    assert state.last_change == T0 + 3


def test_hidden_pair_counts_two_edges_and_one_down(clock: Clock) -> None:
    clock.see(UP)
    events = clock.see(seen(True, 2, 1))
    assert edges(events) == [(False, 0), (True, 0)]
    assert sum(event.downs for event in events) == 1
    assert clock.tracker.state.transitions == 2
    assert clock.tracker.state.down_events[DownCause.UNINTENTIONAL] == 1


@pytest.mark.parametrize(
    ("after", "want", "downs"),
    [
        (seen(True, 4, 3), [(False, 4), (True, 0)], 3),  # three pairs, nobody saw any
        (seen(False, 3, 3), [(False, 4)], 3),  # two pairs, then down for good
    ],
)
def test_many_hidden_edges(clock: Clock, after: Observation, want: list[tuple[bool, int]], downs: int) -> None:
    clock.see(UP)
    events = clock.see(after)
    assert edges(events) == want
    assert sum(event.downs for event in events) == downs
    assert clock.tracker.state.transitions == 6 - (not after.up)


def test_counter_ahead_of_the_state_is_not_counted_twice(clock: Clock) -> None:
    """The kernel may report a new counter before the operational state follows."""
    clock.see(UP)
    assert clock.see(seen(True, 1, 1)) == []
    assert edges(clock.see(seen(False, 1, 1))) == [(False, 0)]
    assert clock.tracker.state.transitions == 1


def test_admin_down_is_no_flap(clock: Clock) -> None:
    clock.see(UP)
    (down,) = clock.see(seen(False, 1, 1, admin_up=False))
    assert down.cause is DownCause.ADMIN
    clock.tracker.settle(clock.now + REMOVAL_S)
    clock.see(seen(True, 2, 1))
    assert dict(clock.tracker.state.down_events) == {DownCause.ADMIN: 1}
    assert clock.tracker.state.transitions == 2


def test_admin_edges_without_carrier_edges(clock: Clock) -> None:
    """Some drivers leave the carrier alone when the interface is closed."""
    clock.see(UP)
    clock.see(seen(False, 1, 0, admin_up=False))
    clock.see(seen(True, 1, 0))
    clock.see(seen(True, 2, 1))
    assert clock.tracker.state.transitions == 4


def test_interface_closed_because_it_goes_away_is_not_admin(clock: Clock) -> None:
    clock.see(UP)
    clock.see(seen(False, 1, 1, admin_up=False))
    clock.tracker.removed(time=clock.wall, monotonic=clock.now + 0.01)
    clock.tracker.settle(clock.now + 10)
    assert dict(clock.tracker.state.down_events) == {DownCause.UNKNOWN: 1}


def test_driver_reload_keeps_counters(clock: Clock) -> None:
    clock.see(UP)
    clock.see(seen(False, 1, 1))
    clock.see(seen(True, 2, 1))
    clock.tracker.removed(time=clock.wall, monotonic=clock.now, settle_s=0)
    assert clock.tracker.state.transitions == 3
    clock.see(seen(False, 0, 0, if_index=9))
    clock.see(seen(True, 1, 0, if_index=9))
    state = clock.tracker.state
    assert state.transitions == 4
    assert dict(state.down_events) == {DownCause.UNINTENTIONAL: 1, DownCause.UNKNOWN: 1}


def test_interface_recreated_between_two_observations(clock: Clock) -> None:
    clock.see(seen(True, 8, 7))
    events = clock.see(seen(True, 1, 0, if_index=9))
    assert edges(events) == [(False, 0), (True, 0)]
    assert events[0].cause is DownCause.UNKNOWN


def test_counters_set_back_are_not_counted(clock: Clock) -> None:
    clock.see(seen(True, 8, 7))
    assert clock.see(seen(True, 1, 0)) == []
    assert edges(clock.see(seen(True, 2, 1))) == [(False, 0), (True, 0)]


def test_snmp_mark_shows_a_hidden_pair() -> None:
    """The mark (ifLastChange) moved between two polls, ifOperStatus did not: it may have been a bounce by hand."""
    clock = Clock(LinkTracker("leaf-17", "Ethernet1"))
    clock.see(Observation(up=True, mark=5000, epoch="boots-3", polled=True))
    events = clock.see(Observation(up=True, mark=9000, epoch="boots-3", polled=True), after=60)
    assert [(event.up, event.cause) for event in events] == [
        (False, DownCause.UNKNOWN), (True, DownCause.UNKNOWN),
    ]  # fmt: skip
    assert clock.see(Observation(up=True, mark=9000, epoch="boots-3", polled=True)) == []
    (down,) = clock.see(Observation(up=False, mark=9500, epoch="boots-3", polled=True, changed=T0 + 30))
    assert down.cause is DownCause.UNINTENTIONAL
    assert clock.tracker.state.last_change == T0 + 30


def test_up_seconds_follow_the_monotonic_clock_alone(clock: Clock) -> None:
    clock.see(UP)
    clock.see(seen(False, 1, 1), after=10)
    clock.wall += 86_400  # somebody sets the wall clock
    clock.see(seen(True, 2, 1), after=5)
    clock.wall -= 172_800
    clock.see(seen(False, 2, 2), after=7)
    state = clock.tracker.state
    assert state.up_seconds == 17.0
    assert state.up_seconds_at(clock.now + 100) == 17.0
    assert state.last_change == clock.wall


def test_causes_can_be_set_late_and_counters_never_fall(clock: Clock) -> None:
    clock.see(UP)
    clock.see(seen(False, 1, 1), settle_s=SETTLE_S)
    tracker = clock.tracker
    assert not tracker.state.down_events
    assert tracker.set_cause(DownCause.CORRELATED, since=clock.now - 2) == 1
    assert not tracker.settle(clock.now + SETTLE_S - 0.1)
    assert tracker.settle(clock.now + SETTLE_S)
    assert dict(tracker.state.down_events) == {DownCause.CORRELATED: 1}
    assert tracker.set_cause(DownCause.MODULE_REMOVED) == 0
    assert dict(tracker.state.down_events) == {DownCause.CORRELATED: 1}


def test_set_cause_leaves_earlier_and_intended_downs(clock: Clock) -> None:
    clock.see(UP)
    clock.see(seen(False, 1, 1), settle_s=60)
    fell_at = clock.now
    clock.see(seen(True, 2, 1), settle_s=60)
    clock.see(seen(False, 2, 2, admin_up=False), settle_s=60)
    assert clock.tracker.set_cause(DownCause.CORRELATED, since=fell_at + 0.5) == 0


def restarted(clock: Clock, *, same_boot: bool, gap: float = 100.0) -> Clock:
    saved = clock.tracker.save(time=clock.wall, monotonic=clock.now)
    after = Clock(LinkTracker("leaf-17", "swp1", saved=saved, same_boot=same_boot))
    after.wall = clock.wall + gap
    after.now = clock.now + gap if same_boot else 5.0
    return after


def test_restart_with_nothing_missed(clock: Clock) -> None:
    clock.see(UP)
    clock.see(seen(False, 1, 1))
    clock.see(seen(True, 2, 1))
    after = restarted(clock, same_boot=True)
    assert after.see(seen(True, 2, 1)) == []
    state = after.tracker.state
    assert state.transitions == 2
    assert dict(state.down_events) == {DownCause.UNINTENTIONAL: 1}
    assert state.up_seconds_at(after.now) == 1 + 101  # the counters vouch for the gap


def test_restart_finds_what_the_counters_saw(clock: Clock) -> None:
    clock.see(UP)
    after = restarted(clock, same_boot=True)
    events = after.see(seen(True, 3, 2))
    assert edges(events) == [(False, 2), (True, 0)]
    assert after.tracker.state.transitions == 4
    assert dict(after.tracker.state.down_events) == {DownCause.UNKNOWN: 2}
    assert after.tracker.state.up_seconds_at(after.now + 3) == 3  # saved at once, and seen again 3 s ago


def test_restart_without_proof_does_not_claim_the_gap() -> None:
    clock = Clock(LinkTracker("leaf-17", "swp1"))
    clock.see(Observation(up=True))
    clock.now += 50
    after = restarted(clock, same_boot=True)
    after.see(Observation(up=True))
    assert after.tracker.state.up_seconds_at(after.now + 1) == 51


def test_reboot_of_this_host_is_no_event(clock: Clock) -> None:
    clock.see(UP)
    clock.see(seen(False, 1, 1))
    clock.see(seen(True, 2, 1))
    clock.now += 20
    after = restarted(clock, same_boot=False)
    booting = replace(UP, up=False, epoch="boot-2", carrier_up_count=0)
    assert after.see(booting) == []
    assert edges(after.see(replace(booting, up=True, carrier_up_count=1))) == [(True, 0)]
    state = after.tracker.state
    assert state.transitions == 3
    assert state.up_seconds_at(after.now + 4) == 1 + 20 + 4


def test_open_causes_survive_a_restart(clock: Clock) -> None:
    clock.see(UP)
    clock.see(seen(False, 1, 1), settle_s=60)
    saved = clock.tracker.save(time=clock.wall, monotonic=clock.now)
    assert saved is not None
    assert saved.state.down_events[DownCause.UNINTENTIONAL] == 1
    assert not clock.tracker.state.down_events  # the running counter is untouched


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=40))
def test_counters_agree_with_the_kernel_however_much_is_missed(steps: list[tuple[bool, int]]) -> None:
    """Edges happen; only some are observed. At every observation the total is exact."""
    clock = Clock(LinkTracker("leaf-17", "swp1"))
    up, ups, downs = True, 1, 0
    clock.see(seen(up, ups, downs))
    told = 0
    for observed, toggles in steps:
        for _ in range(toggles):
            up = not up
            ups, downs = ups + up, downs + (not up)
        if observed:
            told += sum(1 + event.unseen for event in clock.see(seen(up, ups, downs)))
            assert clock.tracker.state.transitions == told == ups + downs - 1
            assert clock.tracker.state.down_events.total() == downs
            assert clock.tracker.state.up == up


def link_of(hub: Hub, port: str = "swp1") -> LinkState:
    link = hub.local.ports[port].link
    assert link is not None
    return link


def test_port_forgotten_by_a_reload_comes_back_with_its_counters() -> None:
    hub = Hub("leaf-17")
    links = Links(hub)
    links.observe("leaf-17", "swp1", UP, time=T0, monotonic=100)
    links.observe("leaf-17", "swp1", UP, time=T0, monotonic=110)
    hub.publish(PortForgotten("leaf-17", "swp1"))
    assert "swp1" not in hub.local.ports
    links.observe("leaf-17", "swp1", seen(True, 2, 1), time=T0, monotonic=200)
    link = link_of(hub)
    assert link.transitions == 2
    assert link.down_events == {DownCause.UNKNOWN: 1}
    assert link.up_seconds_at(205) == 10 + 5


class Told:
    """Everything that the hub says about links."""

    def __init__(self, hub: Hub) -> None:
        self.events: list[LinkEvent] = []
        self.changed: list[str] = []
        hub.subscribe(LinkEvent, self.events.append)
        hub.subscribe(LinkChanged, lambda event: self.changed.append(event.port))


def test_links_publish_to_the_hub() -> None:
    hub = Hub("leaf-17")
    told = Told(hub)
    links = Links(hub)
    links.observe("leaf-17", "swp1", UP, time=T0, monotonic=1)
    links.observe("leaf-17", "swp1", UP, time=T0, monotonic=2)
    links.observe("leaf-17", "swp1", seen(False, 1, 1), time=T0, monotonic=3)
    assert [event.up for event in told.events] == [False]
    assert told.changed == ["swp1", "swp1"]
    link = link_of(hub)
    assert not link.up
    assert link.down_events[DownCause.UNINTENTIONAL] == 1  # one port: nothing to wait for


def test_a_pulled_module_explains_the_down() -> None:
    hub = Hub("leaf-17")
    links = Links(hub)
    links.observe("leaf-17", "swp1", UP, time=T0, monotonic=1)
    hub.publish(ModuleEvent("leaf-17", "swp1", T0, ModuleChange.INSERTED, {}, {}))
    links.observe("leaf-17", "swp1", seen(False, 1, 1), time=T0, monotonic=2)
    hub.publish(ModuleEvent("leaf-17", "swp1", T0 + 0.3, ModuleChange.REMOVED, {}, {}))
    links.settle(2 + SETTLE_S)
    link = link_of(hub)
    assert dict(link.down_events) == {DownCause.MODULE_REMOVED: 1}


def test_a_link_that_is_up_again_has_a_module() -> None:
    hub = Hub("leaf-17")
    links = Links(hub)
    links.observe("leaf-17", "swp1", UP, time=T0, monotonic=1)
    hub.publish(ModuleEvent("leaf-17", "swp1", T0, ModuleChange.REMOVED, {}, {}))
    links.observe("leaf-17", "swp1", seen(False, 1, 1), time=T0, monotonic=2)
    links.observe("leaf-17", "swp1", seen(True, 2, 1), time=T0, monotonic=3)
    links.observe("leaf-17", "swp1", seen(False, 2, 2), time=T0, monotonic=4)
    links.settle(4 + SETTLE_S)
    assert link_of(hub).down_events == {DownCause.MODULE_REMOVED: 1, DownCause.UNINTENTIONAL: 1}


def test_wide_device_waits_for_a_correlation() -> None:
    hub = Hub("leaf-17")
    told = Told(hub)
    links = Links(hub)
    ports = [f"swp{n}" for n in range(CORRELATION_PORTS)]
    for port in ports:
        links.observe("leaf-17", port, UP, time=T0, monotonic=1)
    for port in ports:
        links.observe("leaf-17", port, seen(False, 1, 1), time=T0, monotonic=2)
    assert [tracker.port for tracker in links if tracker.pending] == ports
    assert all(not tracker.state.down_events for tracker in links)
    for port in ports:
        assert links.set_cause("leaf-17", port, DownCause.CORRELATED, since=0) == 1
    told.changed.clear()
    links.settle(2 + SETTLE_S)
    assert not links.pending
    assert sorted(told.changed) == ports
    assert all(tracker.state.down_events == {DownCause.CORRELATED: 1} for tracker in links)


def test_saved_links_come_back_on_first_sight() -> None:
    links = Links(Hub("leaf-17"))
    links.observe("leaf-17", "swp1", UP, time=T0, monotonic=1)
    links.observe("leaf-17", "swp1", seen(False, 1, 1), time=T0, monotonic=2)
    saved = links.save(time=T0, monotonic=3)
    hub = Hub("leaf-17")
    later = Links(hub)
    later.restore(saved, same_boot=True)
    assert "swp1" not in hub.local.ports
    later.observe("leaf-17", "swp1", seen(True, 2, 1), time=T0 + 9, monotonic=12)
    link = link_of(hub)
    assert link.transitions == 2
    assert later.save(time=T0, monotonic=13)["leaf-17", "swp1"].state.transitions == 2


def test_forgotten_port_keeps_its_counters_for_later() -> None:
    hub = Hub("leaf-17")
    links = Links(hub)
    links.observe("leaf-17", "swp1", UP, time=T0, monotonic=1)
    links.observe("leaf-17", "swp1", seen(False, 1, 1), time=T0, monotonic=2)
    links.forget("leaf-17", "swp1")
    assert "swp1" not in [port.port for _, port in hub.ports() if port.link]
    assert links.save(time=T0, monotonic=3)["leaf-17", "swp1"].state.transitions == 1
    links.observe("leaf-17", "swp1", seen(False, 1, 1), time=T0, monotonic=4)
    link = link_of(hub)
    assert link.transitions == 1


async def test_one_incident_of_many_ports_is_one_cause() -> None:
    """The alert book decides what belongs together; the causes that are still open follow it."""
    hub = Hub("leaf-17")
    links = Links(hub)
    book = asyncio.create_task(AlertBook(hub, rules_config.all_rules([])).run(), name="alerts")
    incident = asyncio.Event()
    hub.subscribe(AlertEvent, lambda event: incident.set() if event.rule == "correlated" else None)
    ports = [f"swp{n}" for n in range(8)]
    for port in ports:
        links.observe("leaf-17", port, UP, time=time.time(), monotonic=time.monotonic())
    for port in ports[:6]:
        links.observe("leaf-17", port, seen(False, 1, 1), time=time.time(), monotonic=time.monotonic())
    async with asyncio.timeout(SETTLE_S):
        await incident.wait()
    links.observe(
        "leaf-17", "swp7", seen(False, 1, 1, admin_up=False), time=time.time(), monotonic=time.monotonic()
    )
    book.cancel()
    await asyncio.gather(book, return_exceptions=True)
    links.settle(time.monotonic() + SETTLE_S)
    for port in ports[:6]:
        assert link_of(hub, port).down_events == {DownCause.CORRELATED: 1}
    assert link_of(hub, "swp7").down_events == {DownCause.ADMIN: 1}
