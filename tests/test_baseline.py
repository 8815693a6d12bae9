"""Baselines: temperature taken out, drift found, forecasts, swaps and restarts."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from agent import quantities as q
from agent.alerts.book import AlertBook
from agent.alerts.builtin import BUILTIN_RULES
from agent.baselines.baseline import Baselines, Figures
from agent.baselines.drift import theil_sen, thinned
from agent.baselines.keeper import BaselineKeeper
from agent.clock import Instant
from agent.model import AlertEvent, Bounds, Module, Reading, VdmSample
from agent.rows import NONE, Rows
from agent.state import Hub
from tests.alert_helpers import DEVICE, WALL

DAY = 86_400.0
BOUNDS: Mapping[q.Quantity, Bounds] = {
    q.TX_BIAS: {"high_alarm": 0.1, "high_warning": 0.09, "low_warning": 0.02, "low_alarm": 0.01},
    q.RX_POWER: {"high_alarm": 0.004, "high_warning": 0.003, "low_warning": 0.000158489, "low_alarm": 0.0001},
}
"""Bias warning 90 mA, received power warning -8 dBm."""


def celsius(day: float) -> float:
    """45 degC, 4 K up and down a day."""
    return 45.0 + 4.0 * math.sin(2 * math.pi * day)


def sample(
    day: float,
    *,
    bias: float = 0.060,
    rx_dbm: float = -3.0,
    serial: str = "S1",
    ber: float = 1e-9,
    per_kelvin: float = 1 / 110,
    tx_disabled: bool = False,
) -> Reading:
    """A one-lane module at `day`: its bias follows temperature, its received power by 0.02 dB/K."""
    off = celsius(day) - 45.0
    module: Module = {"serial_number": serial}
    return Reading(
        DEVICE, "Ethernet0", "fake", WALL + day * DAY, module, "ModuleReady",
        values={q.TEMPERATURE: celsius(day)},
        lanes={
            q.TX_BIAS: {1: bias * math.exp(per_kelvin * off)},
            q.RX_POWER: {1: 10 ** ((rx_dbm + 0.02 * off - 30) / 10)},
        },
        thresholds=BOUNDS, vdm=(VdmSample("pre_fec_ber_current_media_input", 1, 1, ber, "ratio"),),
        tx_disabled={1: tx_disabled},
    )  # fmt: skip


def days(begin: float, end: float) -> Iterator[float]:
    """Every ten minutes."""
    for step in range(int(begin * 144), int(end * 144)):
        yield step / 144


def commissioned(baselines: Baselines) -> None:
    for day in days(0, 8.2):
        baselines.observe(sample(day))


def last(figures: list[Figures]) -> Figures:
    assert figures
    return figures[-1]


def feed(baselines: Baselines, readings: Iterator[Reading]) -> list[Figures]:
    """What it finds, once there is something."""
    return [figures for reading in readings if (figures := baselines.observe(reading))]


def test_the_slope_of_theil_and_sen() -> None:
    xs = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    straight = theil_sen(xs, [2.0 * x + 1.0 for x in xs])
    assert straight is not None
    assert (straight.value, straight.low, straight.high, straight.certain) == (2.0, 2.0, 2.0, True)
    # Three of ten are wild: the median of all pairs does not care.
    wild = [1.0, 3.0, 90.0, 7.0, 9.0, -70.0, 13.0, 15.0, 400.0, 19.0]
    robust = theil_sen(xs, wild)
    assert robust is not None
    assert robust.value == pytest.approx(2.0, abs=0.01)
    # Sen (1968) by hand: 45 slopes, 2.576 * sqrt(10 * 9 * 25 / 18) = 28.8, so the 8th and the 38th count.
    pairs = sorted((wild[b] - wild[a]) / (b - a) for b in range(10) for a in range(b))
    assert (robust.low, robust.high) == (pairs[8], pairs[37])
    up_and_down = theil_sen(xs, [0.0, 1.0] * 5)
    assert up_and_down is not None
    assert not up_and_down.certain
    assert theil_sen(xs[:3], xs[:3]) is None


def test_thinned_keeps_the_spread() -> None:
    assert thinned([1.0, 2.0, 3.0], 5) == [1.0, 2.0, 3.0]
    assert thinned([float(x) for x in range(100)], 4) == [0.0, 25.0, 50.0, 75.0]


def test_rows_grow_in_both_directions() -> None:
    rows = Rows(2)
    rows.add([1.0, 2.0])
    rows.add([3.0, NONE])
    rows.widen(3)
    rows.add([5.0, 6.0, 7.0])
    assert len(rows) == 3
    assert [rows.column(index) for index in range(3)] == [[1.0, 3.0, 5.0], [2.0, 6.0], [7.0]]
    rows.keep(2)
    assert rows.column(0) == [3.0, 5.0]
    assert Rows(3, rows.data.tobytes()).column(2) == [7.0]
    rows.keep(5)
    assert len(rows) == 2


def test_temperature_alone_is_no_change() -> None:
    baselines = Baselines()
    found = feed(baselines, (sample(day) for day in days(0, 20)))
    changes = [abs(figures["tx_bias_change_ratio"][1]) for figures in found]
    light = [abs(figures["rx_power_change_db"][1]) for figures in found]
    # Without compensation 4 K would be 3.6 % of bias and 0.08 dB.
    assert max(changes) < 0.005
    assert max(light) < 0.02
    assert not any("tx_bias_high_warning_days" in figures for figures in found)
    port = baselines.ports[DEVICE, "Ethernet0"]
    assert port.per_kelvin[port.keys["tx_bias", 1]] == pytest.approx(1 / 110, rel=0.02)


def test_nothing_is_said_in_the_first_week() -> None:
    baselines = Baselines()
    assert feed(baselines, (sample(day, bias=0.06 * (1 + day / 20)) for day in days(0, 6.9))) == []


def test_change_against_the_baseline_whatever_the_temperature() -> None:
    baselines = Baselines()
    commissioned(baselines)
    found = feed(baselines, (sample(day, bias=0.060 * 1.12, rx_dbm=-4.5, ber=3e-7) for day in days(8.3, 10)))
    figures = last(found)
    assert figures["tx_bias_change_ratio"][1] == pytest.approx(0.12, abs=0.005)
    assert figures["rx_power_change_db"][1] == pytest.approx(-1.5, abs=0.02)
    assert figures["pre_fec_ber_growth_decades"][1] == pytest.approx(math.log10(3e-7 / 1e-9), abs=0.02)


def test_growth_of_errors_far_from_harm_is_none() -> None:
    baselines = Baselines()
    commissioned(baselines)
    figures = last(feed(baselines, (sample(day, ber=5e-9) for day in days(8.3, 10))))
    assert figures["pre_fec_ber_growth_decades"][1] == 0.0


def test_drift_gives_the_days_to_the_module_s_own_warning() -> None:
    baselines = Baselines()
    commissioned(baselines)

    def fading(day: float) -> Reading:
        return sample(day, rx_dbm=-3.0 - 0.1 * (day - 8), bias=0.060 * 1.01 ** (day - 8))

    figures = last(feed(baselines, (fading(day) for day in days(8.3, 28))))
    # On day 28 -5 dBm are left, 3 dB above -8 dBm at 0.1 dB a day; 73.2 mA, 20.8 % below 90 mA at 1 % a day.
    assert figures["rx_power_low_warning_days"][1] == pytest.approx(30.0, abs=1.5)
    assert figures["tx_bias_high_warning_days"][1] == pytest.approx(math.log(90 / 73.2) / math.log(1.01), abs=1.5)


def test_a_drift_away_from_the_warning_is_no_forecast() -> None:
    baselines = Baselines()
    commissioned(baselines)
    found = feed(
        baselines, (sample(day, rx_dbm=-3.0 + 0.03 * (day - 8), bias=0.06 * 0.998**day) for day in days(8.3, 28))
    )
    assert not any("rx_power_low_warning_days" in f or "tx_bias_high_warning_days" in f for f in found)


def test_disordered_thresholds_make_no_forecast() -> None:
    baselines = Baselines()
    commissioned(baselines)
    found: list[Figures] = []
    for day in days(8.3, 25):
        reading = sample(day, rx_dbm=-3.0 - 0.1 * (day - 8))
        broken = Reading(
            reading.device, reading.port, reading.source, reading.time, reading.module, reading.module_state,
            values=reading.values, lanes=reading.lanes,
            thresholds={q.RX_POWER: {"high_warning": 0.0001, "low_warning": 0.003}},
        )  # fmt: skip
        if (figures := baselines.observe(broken)) is not None:
            found.append(figures)
    assert last(found)["rx_power_change_db"][1] < -1.5
    assert not any("rx_power_low_warning_days" in figures for figures in found)


def test_gaps_and_wild_samples_do_not_move_it() -> None:
    baselines = Baselines()

    def rough(day: float) -> Reading:
        wild = int(day * 144) % 11 == 0
        return sample(day, bias=0.001 if wild else 0.060, rx_dbm=-25.0 if wild else -3.0)

    found = feed(baselines, (rough(day) for day in days(0, 25) if not 12 <= day < 14 and int(day * 24) % 10))
    assert max(abs(figures["tx_bias_change_ratio"][1]) for figures in found) < 0.01
    assert max(abs(figures["rx_power_change_db"][1]) for figures in found) < 0.05


def test_darkness_and_switched_off_lasers_are_no_samples() -> None:
    baselines = Baselines()
    commissioned(baselines)
    for day in days(8.3, 10):
        baselines.observe(sample(day, rx_dbm=-40.0, tx_disabled=True))
    for day in days(10, 11):
        baselines.observe(sample(day, rx_dbm=-5.0), link_up=False)
    port = baselines.ports[DEVICE, "Ethernet0"]
    hours = port.hours.column(port.keys["rx_power", 1])
    assert hours == pytest.approx([-3.0] * len(hours), abs=0.02)


def test_another_module_begins_anew() -> None:
    baselines = Baselines()
    commissioned(baselines)
    assert feed(baselines, (sample(day, serial="S2", bias=0.08) for day in days(8.3, 15))) == []
    found = feed(baselines, (sample(day, serial="S2", bias=0.08) for day in days(15, 18)))
    assert last(found)["tx_bias_change_ratio"][1] == pytest.approx(0.0, abs=0.005)


def test_a_cleaned_connector_is_the_new_baseline() -> None:
    baselines = Baselines()
    commissioned(baselines)
    feed(baselines, (sample(day, rx_dbm=-2.0) for day in days(8.3, 17)))
    figures = last(feed(baselines, (sample(day, rx_dbm=-3.2) for day in days(17, 19))))
    assert figures["rx_power_change_db"][1] == pytest.approx(-1.2, abs=0.03)


def test_a_clock_that_was_never_set_is_not_believed() -> None:
    baselines = Baselines()
    reading = sample(0.0)
    early = Reading(
        reading.device, reading.port, reading.source, 1000.0, reading.module, reading.module_state,
        values=reading.values, lanes=reading.lanes,
    )  # fmt: skip
    assert baselines.observe(early) is None
    assert baselines.ports == {}


class Clock:
    """The clocks of the alert book, set by hand."""

    def __init__(self) -> None:
        self.day = 0.0

    def __call__(self) -> Instant:
        return Instant(self.day * DAY, WALL + self.day * DAY)


class Daemon:
    def __init__(self, path: Path | None) -> None:
        self.hub = Hub(DEVICE)
        self.clock = Clock()
        self.book = AlertBook(self.hub, BUILTIN_RULES, clock=self.clock)
        self.keeper = BaselineKeeper(self.hub, self.book, path)
        self.keeper.restore()
        self.said: list[AlertEvent] = []
        self.hub.subscribe(AlertEvent, self.said.append)

    def play(self, begin: float, end: float, *, bias: float = 0.060) -> None:
        for day in days(begin, end):
            self.clock.day = day
            self.hub.publish(sample(day, bias=bias))


async def test_the_rules_speak_of_ageing_and_again_when_it_gets_worse(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "b.db")
    daemon.play(0, 9)
    assert daemon.said == []
    daemon.play(9, 11, bias=0.060 * 1.13)
    daemon.play(11, 13, bias=0.060 * 1.23)
    assert [(event.rule, event.state, event.lane) for event in daemon.said] == [
        ("tx_bias_change", "firing", 1),
        ("tx_bias_change_critical", "firing", 1),
        ("tx_bias_change", "resolved", 1),
    ]
    assert (daemon.said[0].unit, daemon.said[0].cause) == ("ratio", "the laser ages")


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    for begin, end in ((0.0, 3.3), (3.3, 7.9), (7.9, 12.0)):  # once in the commissioning, once behind it
        daemon = Daemon(path)
        daemon.play(begin, end)
        daemon.keeper.save()
    whole = Daemon(None)
    whole.play(0, 12)
    left = Daemon(path).keeper.baselines.ports[DEVICE, "Ethernet0"]
    right = whole.keeper.baselines.ports[DEVICE, "Ethernet0"]
    assert left.commissioned
    assert (left.serial, left.hour, left.day) == (right.serial, right.hour, right.day)
    assert left.keys == right.keys
    assert list(left.baseline) == pytest.approx(list(right.baseline), abs=0.01)
    assert list(left.numbers) == list(right.numbers)
    assert list(left.days.data) == pytest.approx(list(right.days.data), abs=0.01)
    daemon = Daemon(path)
    daemon.play(12.0, 13.5, bias=0.060 * 1.13)
    assert [event.rule for event in daemon.said] == ["tx_bias_change"]


@pytest.mark.parametrize("text", [b"no database at all, but long enough to be read as one" * 40, b""])
async def test_a_file_that_makes_no_sense_is_put_aside(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "b.db"
    path.write_bytes(text)
    daemon = Daemon(path)
    daemon.play(0, 0.5)
    daemon.keeper.save()
    assert (tmp_path / "b.bad").exists() == bool(text)
    assert Daemon(path).keeper.baselines.ports
