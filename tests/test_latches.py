"""Latched flags: kept with first time, last time and count, by flag and lane."""

from agent import quantities as q
from agent.maps.api import Values
from agent.model import LaneFlags
from agent.modules.latches import Latch, Latches, Where, with_flags

LOS1, LOS3 = Where("rx_los", 1), Where("rx_los", 3)
HOT = Where("temperature_high_alarm", 0)
TEMPERATURE_HIGH = q.ALARM_FLAGS["temperature", "high_alarm"]


def test_a_flag_that_stays_came_up_once() -> None:
    latches = Latches()
    assert latches.update(10.0, {TEMPERATURE_HIGH: True}, {}) == (HOT,)
    assert latches.update(11.0, {TEMPERATURE_HIGH: True}, {}) == ()
    assert latches.update(12.0, {TEMPERATURE_HIGH: False}, {}) == ()
    assert dict(latches) == {HOT: Latch(first=10.0, last=11.0, count=1, active=False)}
    assert latches.update(20.0, {TEMPERATURE_HIGH: True}, {}) == (HOT,)
    assert dict(latches) == {HOT: Latch(first=10.0, last=20.0, count=2, active=True)}


def test_each_lane_has_its_own() -> None:
    latches = Latches()
    latches.update(1.0, {}, {q.RX_LOS: LaneFlags(0xFF, 0b101)})
    latches.update(2.0, {}, {q.RX_LOS: LaneFlags(0xFF, 0b100)})
    latches.update(3.0, {}, {q.RX_LOS: LaneFlags(0xFF, 0b101)})
    assert dict(latches) == {LOS1: Latch(1.0, 3.0, 2, active=True), LOS3: Latch(1.0, 3.0, 1, active=True)}


def test_a_read_that_does_not_tell_changes_nothing() -> None:
    latches = Latches()
    latches.update(1.0, {}, {q.RX_LOS: LaneFlags(0x0F, 1)})
    latches.update(2.0, {}, {})
    latches.update(3.0, {}, {q.RX_LOS: LaneFlags(0x0F, 1)})
    assert dict(latches) == {LOS1: Latch(1.0, 3.0, 1, active=True)}


def test_restored_after_a_restart_it_goes_on_counting() -> None:
    latches = Latches()
    latches.restore({LOS1: Latch(1.0, 3.0, 4, active=True)})
    assert latches.update(5.0, {}, {q.RX_LOS: LaneFlags(0x0F, 1)}) == ()
    latches.clear()
    assert dict(latches) == {}
    assert latches.update(6.0, {}, {q.RX_LOS: LaneFlags(0x0F, 1)}) == (LOS1,)


def test_flags_that_nobody_was_told_of_are_added() -> None:
    owed = Values(
        flags={TEMPERATURE_HIGH: True, q.MODULE_STATE_CHANGED: False},
        lane_flags={q.RX_LOS: LaneFlags(0x0F, 0b0001), q.TX_FAULT: LaneFlags(0x0F, 0b0010)},
    )
    now = Values(
        flags={TEMPERATURE_HIGH: False, q.MODULE_STATE_CHANGED: True},
        lane_flags={q.RX_LOS: LaneFlags(0x0F, 0b0100)},
    )
    both = with_flags(now, [owed])
    assert both.flags == {TEMPERATURE_HIGH: True, q.MODULE_STATE_CHANGED: True}
    assert both.lane_flags == {q.RX_LOS: LaneFlags(0x0F, 0b0101), q.TX_FAULT: LaneFlags(0x0F, 0b0010)}
