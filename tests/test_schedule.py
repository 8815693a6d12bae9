"""When which port is polled, on a clock that the test moves."""

from itertools import pairwise

import pytest

from agent.polling.schedule import Budget, Slot


def run(slot: Slot, *, until: float, takes_s: float = 0.01, start: float = 0.0) -> tuple[list[float], int]:
    """Poll whenever it is due; returns when, and how many regular polls were missed."""
    now, polls, missed = start, list[float](), 0
    while slot.due <= until:
        now = max(now, slot.due)
        polls.append(now)
        missed += slot.advance(now, now + takes_s)
        now += takes_s
    return polls, missed


def test_the_first_poll_is_at_once_and_the_rest_is_anchored() -> None:
    slot = Slot.begin(period_s=10, start=100, phase=0.7)
    polls, missed = run(slot, until=140, start=100)
    assert polls == pytest.approx([100, 107, 117, 127, 137])
    assert missed == 0


def test_a_port_early_in_the_period_is_not_polled_twice_in_a_row() -> None:
    polls, _ = run(Slot.begin(period_s=10, start=0, phase=0.1), until=35)
    assert polls == pytest.approx([0, 11, 21, 31])


def test_late_polls_do_not_drift() -> None:
    slot = Slot.begin(period_s=1, start=0, phase=0.5)
    now, begun = 0.0, list[float]()
    for _ in range(1000):
        now = max(now, slot.due) + 0.003  # a timer is always a bit late
        begun.append(now)
        slot.advance(now, now + 0.1)
    assert begun[-1] == pytest.approx(998.503)
    assert max(later - earlier for earlier, later in pairwise(begun[1:])) == pytest.approx(1.0)


def test_missed_periods_are_counted_not_queued() -> None:
    slot = Slot.begin(period_s=1, start=0, phase=0.5)
    slot.advance(0, 0.01)
    assert slot.due == pytest.approx(0.5)
    assert slot.advance(0.5, 4.2) == 3  # those of 1.5, 2.5, 3.5 are over; that of 4.5 comes
    assert slot.due == pytest.approx(4.5)
    assert slot.advance(4.5, 4.6) == 0


def test_back_off_is_bounded_and_ends_with_success() -> None:
    slot = Slot.begin(period_s=10, start=0, phase=0.5)
    pauses = list[float]()
    for _ in range(6):
        slot.failed(1000.0)
        pauses.append(slot.full_at - 1000.0)
    assert pauses == [10, 20, 40, 60, 60, 60]
    assert slot.looks_only(1054.0)
    assert not slot.looks_only(1056.0)  # the poll that is nearest to the end of the pause
    slot.worked()
    assert not slot.looks_only(1001.0)


def test_a_module_that_fails_is_tried_in_full_when_each_pause_ends() -> None:
    """Polls begin late and take a while; what begins just before the end of a pause is the try that it led to."""
    slot = Slot.begin(period_s=10, start=0, phase=0)
    tried = list[int]()
    for turn in range(21):
        began = slot.due + 0.002
        if not slot.looks_only(began):
            tried.append(turn)
            slot.failed(began)
        slot.advance(began, began + 0.4)
    assert tried == [0, 1, 3, 7, 13, 19]


def test_a_period_longer_than_the_limit_stays() -> None:
    slot = Slot.begin(period_s=300, start=0, phase=0.5)
    for _ in range(50):
        slot.failed(0.0)
    assert slot.full_at == 300


def test_fast_polls_come_beside_the_regular_ones_and_end() -> None:
    slot = Slot.begin(period_s=10, start=0, phase=0.5)
    slot.advance(0, 0.01)
    slot.quicken(6.0, period_s=0.5, duration_s=2)
    polls, missed = run(slot, until=30)
    assert polls == pytest.approx([5, 6.0, 6.5, 7.0, 7.5, 8.0, 15, 25])
    assert missed == 0


def test_an_absence_is_confirmed_soon() -> None:
    slot = Slot.begin(period_s=10, start=0, phase=0.5)
    slot.advance(0, 0.01)
    slot.advance(5, 5.01)
    slot.confirm(5.01)
    slot.due = min(slot.due, slot.soon_at)
    assert slot.due == pytest.approx(5.21)
    slot.advance(5.21, 5.22)
    assert slot.due == 15


@pytest.mark.parametrize("takes_s", [0.003, 0.05, 0.4])
def test_a_bus_is_used_for_its_share_at_most(takes_s: float) -> None:
    budget, now, used = Budget(0.25, burst_s=1.0), 0.0, 0.0
    while now < 100:
        now = max(now, budget.free_at(now))
        now += takes_s
        used += takes_s
        budget.spend(now, takes_s)
    assert 0.2 <= used / now <= 0.27


def test_a_poll_that_took_minutes_is_forgiven() -> None:
    budget = Budget(0.25, burst_s=1.0)
    budget.free_at(0.0)
    budget.spend(300.0, 300.0)
    assert budget.free_at(300.0) <= 304.1


def test_the_whole_bus_may_be_given() -> None:
    budget = Budget(1.0)
    now = 0.0
    for _ in range(1000):
        assert budget.free_at(now) == now
        now += 0.003
        budget.spend(now, 0.003)


def test_a_port_that_is_let_alone_keeps_its_rhythm_behind() -> None:
    slot = Slot.begin(period_s=10, start=0, phase=0.0)
    assert slot.advance(0, 0.01) == 0
    slot.hold(3.0, 10.0)
    assert slot.due == 13
    slot.quicken(5.0, period_s=1.0, duration_s=30.0)  # somebody is curious
    slot.confirm(5.0)
    slot.due = min(slot.due, slot.soon_at)
    assert slot.due == 13
    assert slot.advance(13, 13.01) == 0  # what was left out on purpose is no overrun
    assert slot.due == 14
    slot.hold(16.0, 5.0)
    slot.hold(16.5, 4.0)  # the longer one counts
    assert slot.due == 21


def test_a_link_that_never_rests_is_polled_after_five_pauses() -> None:
    slot = Slot.begin(period_s=10, start=0, phase=0.0)
    slot.advance(0, 0.01)
    for tenth in range(30, 129):  # an edge each 100 ms, from second 3 on; each asks for two seconds
        slot.hold(tenth / 10, 2.0)
        assert slot.due == min(tenth / 10 + 2.0, 13.0)
    slot.hold(13.0, 2.0)  # between the end of the pause and the poll
    assert slot.due == 13
    slot.advance(13.0, 13.01)
    slot.hold(13.1, 2.0)
    assert slot.due == 15.1


def test_a_poll_on_its_way_does_not_shorten_a_pause() -> None:
    slot = Slot.begin(period_s=10, start=0, phase=0.0)
    slot.advance(0, 0.01)
    slot.hold(10.2, 9.8)  # while a poll that began at 10 is on its way
    slot.advance(10, 10.4)
    assert slot.due == 20
