"""Which samples are believed, with literals."""

import pytest

from agent import quantities as q
from agent.maps.api import Values
from agent.modules.plausibility import Plausibility, blank, floating, possible
from agent.quantities import Quantity


def judged(temperatures: list[float], *, period_s: float = 1.0) -> list[float | None]:
    """Which of the temperatures, one a period, are let through."""
    state = Plausibility()
    return [
        state.judge(Values(values={q.TEMPERATURE: value}), number * period_s)[0].values.get(q.TEMPERATURE)
        for number, value in enumerate(temperatures)
    ]


@pytest.mark.parametrize(
    ("given", "believed"),
    [
        ([40, 44.9, 40, 35.1], [40, 44.9, 40, 35.1]),
        ([40, 45, 40], [40, None, 40]),  # exactly 5 degC is a jump, and it was not repeated
        ([40, 45, 45.5, 46], [40, None, 45.5, 46]),  # repeated: believed
        ([40, 30, 29], [40, None, 29]),  # downwards as well
        ([40, 90, 60, 40.5], [40, None, None, 40.5]),  # two different leaps confirm nothing
        ([40, 90, 40, 90, 40], [40, None, 40, None, 40]),
        ([40, 127, 41], [40, None, 41]),  # beyond what any module survives
        ([-128.0, 40], [None, 40]),  # 8000h
    ],
)
def test_a_leap_of_temperature(given: list[float], believed: list[float | None]) -> None:
    assert judged(given) == believed


def test_an_impossible_value_confirms_no_leap() -> None:
    assert judged([40, 130, 48, 49]) == [40, None, None, 49]


def test_after_a_minute_without_a_sample_any_temperature_is_taken() -> None:
    assert judged([40, 60], period_s=61) == [40, 60]


def test_what_is_left_out_is_named_and_counted() -> None:
    state = Plausibility()
    values, wrong = state.judge(
        Values(
            values={q.TEMPERATURE: 200.0, q.SUPPLY_VOLTAGE: 3.3, q.AUX1: 99_999.0},
            lanes={q.RX_POWER: {1: 0.0005, 2: 0.0065535}, q.TX_POWER: {1: 0.001}},
            unread=("laser_temperature_celsius",),
        ),
        0.0,
    )
    assert values.values == {q.SUPPLY_VOLTAGE: 3.3, q.AUX1: 99_999.0}
    assert values.lanes == {q.RX_POWER: {1: 0.0005}, q.TX_POWER: {1: 0.001}}
    assert values.unread == ("laser_temperature_celsius", "temperature_celsius", "rx_power_watts")
    assert [(each.reason, each.detail) for each in wrong] == [
        ("out_of_range", "temperature_celsius 200"),
        ("out_of_range", "rx_power_watts lane 2 0.0065535"),
    ]


def test_believable_values_pass_as_they_are() -> None:
    values = Values(values={q.TEMPERATURE: 40.0}, lanes={q.TX_BIAS: {1: 0.1}})
    assert Plausibility().judge(values, 0.0) == (values, ())


@pytest.mark.parametrize(
    ("quantity", "value", "answer"),
    [
        (q.SUPPLY_VOLTAGE, 0.0, False),
        (q.SUPPLY_VOLTAGE, 3.3, True),
        (q.SUPPLY_VOLTAGE, 6.5535, False),
        (q.RX_POWER, 0.0, True),  # no light is a value
        (q.RX_POWER, 6.5535e-3, False),
        (q.TX_BIAS, 0.13107, False),  # FFFFh x 2 uA
        (q.TX_BIAS, 0.26214, False),  # x 4 uA
        (q.TX_BIAS, 0.52428, False),  # x 8 uA
        (q.TX_BIAS, 0.3, True),
        (q.LASER_TEMPERATURE, 55.0, True),
        (q.CUSTOM, -1e9, True),  # what it means is the vendor's secret
    ],
)
def test_what_is_possible(quantity: Quantity, value: float, answer: bool) -> None:
    assert possible(quantity, value) is answer


def test_blocks_that_nobody_wrote() -> None:
    assert floating(b"\xff" * 29)
    assert not floating(b"\xff" * 28 + b"\xfe")
    assert not floating(b"\xff\xff")  # two bytes may well be FFFFh
    assert blank(bytes(76))
    assert not blank(bytes(75) + b"\x01")
    assert not blank(b"")


@pytest.mark.parametrize(
    ("watts", "want"),
    [(0.0065534, True), (0.0065535, False), (0.013107, True), (1.5, False), (-1e-7, False)],
)
def test_power_beyond_the_register_is_possible_its_full_scale_is_not(watts: float, *, want: bool) -> None:
    """An externally calibrated SFP may report 13.107 mW; FFFFh (6.5535 mW) is what nobody drives."""
    assert possible(q.RX_POWER, watts) is want
