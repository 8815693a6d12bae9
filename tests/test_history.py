"""The ring of samples: what comes out is what went in, as far as it is kept, and it stays small."""

import random
import tracemalloc
from dataclasses import replace

import pytest

from agent import quantities as q
from agent.documents.history import History
from agent.model import Module, ModuleChange, ModuleEvent, Reading, VdmSample
from agent.state import Hub, PortForgotten

T0 = 1_795_000_000.0


def reading(
    time: float, *, port: str = "swp1", temperature: float = 40.0, lanes: int = 2, rx: float = 0.0005
) -> Reading:
    return Reading(
        "leaf",
        port,
        "i2c:1",
        time,
        Module(),
        values={q.TEMPERATURE: temperature, q.SUPPLY_VOLTAGE: 3.2971, q.AUX1: 5.0},
        lanes={
            q.RX_POWER: dict.fromkeys(range(1, lanes + 1), rx),
            q.TX_POWER: dict.fromkeys(range(1, lanes + 1), 0.001217),
            q.TX_BIAS: dict.fromkeys(range(1, lanes + 1), 0.063),
        },
    )


@pytest.fixture
def hub() -> Hub:
    return Hub("leaf")


def test_what_goes_in_comes_out(hub: Hub) -> None:
    history = History(hub)
    hub.publish(reading(T0, temperature=71.82421875, rx=1e-7))
    (sample,) = history.window("leaf", "swp1")
    assert sample.time == T0
    assert sample.values[q.TEMPERATURE] == 71.82421875
    assert sample.values[q.SUPPLY_VOLTAGE] == pytest.approx(3.2971, abs=1e-9)
    assert q.AUX1 not in sample.values
    assert sample.lanes[q.RX_POWER][2] == pytest.approx(1e-7, rel=5e-4)
    assert sample.lanes[q.TX_POWER][1] == pytest.approx(0.001217, rel=5e-4)
    assert sample.lanes[q.TX_BIAS][1] == pytest.approx(0.063, rel=5e-4)


@pytest.mark.parametrize("watts", [0.0, 1e-9, 3.16e-6, 1e-4, 0.0012345, 0.0065, 0.15])
def test_power_is_kept_to_two_thousandths_of_a_decibel(hub: Hub, watts: float) -> None:
    history = History(hub)
    hub.publish(reading(T0, rx=watts))
    (sample,) = history.window("leaf", "swp1")
    assert sample.lanes[q.RX_POWER][1] == pytest.approx(watts, rel=5e-4)


@pytest.mark.parametrize("celsius", [-127.9, -40.5, 0.0, 127.98])
def test_temperatures_are_kept_as_registers_have_them(hub: Hub, celsius: float) -> None:
    history = History(hub)
    hub.publish(reading(T0, temperature=celsius))
    assert history.window("leaf", "swp1")[0].values[q.TEMPERATURE] == pytest.approx(celsius, abs=1 / 512)


def test_the_newest_in_full_the_older_ones_spaced(hub: Hub) -> None:
    history = History(hub, spacing_s=10, kept=6, recent=5)
    for second in range(100):
        hub.publish(reading(T0 + second))
    times = [sample.time - T0 for sample in history.window("leaf", "swp1")]
    assert times == [40, 50, 60, 70, 80, 90, 95, 96, 97, 98, 99]


def test_a_time_is_asked_for(hub: Hub) -> None:
    history = History(hub, recent=50)
    for second in range(50):
        hub.publish(reading(T0 + second))
    found = history.window("leaf", "swp1", since=T0 + 10, until=T0 + 12)
    assert [sample.time - T0 for sample in found] == [10, 11, 12]
    assert history.window("leaf", "swp9") == []


def test_a_quantity_that_comes_later_was_absent_before(hub: Hub) -> None:
    history = History(hub)
    hub.publish(reading(T0, lanes=1))
    hub.publish(reading(T0 + 1, lanes=2))
    hub.publish(reading(T0 + 2, lanes=1))
    assert [sorted(sample.lanes[q.RX_POWER]) for sample in history.window("leaf", "swp1")] == [[1], [1, 2], [1]]


def test_another_module_begins_anew(hub: Hub) -> None:
    history = History(hub)
    hub.publish(reading(T0))
    hub.publish(ModuleEvent("leaf", "swp1", T0 + 1, ModuleChange.REMOVED, Module(), Module()))
    assert len(history.window("leaf", "swp1")) == 1
    hub.publish(ModuleEvent("leaf", "swp1", T0 + 2, ModuleChange.SWAPPED, Module(), Module()))
    assert history.window("leaf", "swp1") == []
    hub.publish(reading(T0 + 3))
    hub.publish(PortForgotten("leaf", "swp1"))
    assert history.window("leaf", "swp1") == []


def test_a_clock_that_is_set_back_does_not_stop_it(hub: Hub) -> None:
    history = History(hub, recent=2)
    for second in (0, 10, 20, -86_400, -86_390, -86_380):
        hub.publish(reading(T0 + second))
    assert [sample.time - T0 for sample in history.window("leaf", "swp1")][-2:] == [-86_390, -86_380]


def test_documents_have_the_keys_of_a_reading(hub: Hub) -> None:
    history = History(hub)
    hub.publish(reading(1_795_352_400.123, rx=0.0, lanes=1))
    assert history.samples("leaf", "swp1") == [
        {
            "time": "2026-11-22T13:00:00.123Z",
            "temperature_celsius": 40.0,
            "supply_voltage_volts": 3.2971,
            "lanes": [
                {
                    "lane": 1,
                    "rx_power_watts": 0.0,
                    "rx_power_dbm": -40.0,
                    "tx_power_watts": pytest.approx(0.001217, rel=5e-4),
                    "tx_power_dbm": pytest.approx(-9.147 + 10, abs=0.002),
                    "tx_bias_amperes": pytest.approx(0.063, rel=5e-4),
                }
            ],
        }
    ]


def test_an_hour_of_512_modules_is_small(hub: Hub) -> None:
    """Measured on 8 of them: 512 modules of eight lanes, an hour at 10 s and a minute at 1 s, within 14 MiB.

    Powers move by a percent and the temperature by a degree from poll to poll, which is more than modules do.
    """
    history, rng = History(hub), random.Random(5)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(8):
        for step in range(560):
            one = reading(T0 + (10 * step if step < 500 else 5000 + step), port=f"swp{number}", lanes=8)
            lanes = {
                quantity: {lane: value * rng.gauss(1.0, 0.01) for lane, value in by_lane.items()}
                for quantity, by_lane in one.lanes.items()
            }
            values = {**one.values, q.TEMPERATURE: rng.gauss(40.0, 1.0)}
            hub.publish(replace(one, lanes=lanes, values=values))
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    plain = 4 + 2 * 26
    assert 54 * plain < history.size_bytes / 8 < 0.75 * (360 + 60) * plain
    assert grown * 64 < 14 * 2**20


def test_bit_errors_are_kept_over_all_decades(hub: Hub) -> None:
    history = History(hub)
    for second, ratio in enumerate((0.0, 1.2e-9, 2.4e-4)):
        samples = (
            VdmSample("pre_fec_ber_current_media_input", 1, 1, ratio, "ratio"),
            VdmSample("pre_fec_ber_max_media_input", 1, 1, 0.5, "ratio"),
        )
        hub.publish(replace(reading(T0 + 10 * second), vdm=samples))
    found = [sample["pre_fec_ber_ratio"] for sample in history.samples("leaf", "swp1")]
    assert found == [pytest.approx(ratio, rel=0.006) for ratio in (1e-15, 1.2e-9, 2.4e-4)]


def test_temperatures_of_lanes_as_switches_tell_them(hub: Hub) -> None:
    history = History(hub)
    for second, lanes in enumerate(({1: 41.5, 2: 43.25}, {1: 41.5, 2: 43.25}, {2: 44.0}, {})):
        both = {q.TEMPERATURE: lanes, q.LASER_TEMPERATURE: lanes} if lanes else {}
        hub.publish(replace(reading(T0 + second), lanes=both))
    found = history.window("leaf", "swp1")
    assert [sample.values[q.TEMPERATURE] for sample in found] == [40.0] * 4  # of the module, where it has both
    kept = [sample.lanes.get(q.LASER_TEMPERATURE) for sample in found]
    assert kept == [{1: 41.5, 2: 43.25}, {1: 41.5, 2: 43.25}, {2: 44.0}, None]
    hub.publish(replace(reading(T0, port="swp2"), values={}, lanes={q.TEMPERATURE: {1: 41.5}}))
    assert history.window("leaf", "swp2")[0].lanes == {q.TEMPERATURE: {1: 41.5}}
