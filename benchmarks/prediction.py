"""How early the baseline speaks of ageing and dirt, and how often for nothing: 90 simulated days.

    python benchmarks/prediction.py [PORTS_A_SCENARIO]

A sample every ten minutes of four lanes, with noise of the converters, wander of received power, days, weeks and a
season of temperature (which drives bias exponentially, and not quite as a straight line), outages of an hour and of
two days, and wild samples. Prints a Markdown table.
"""

import math
import random
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

from agent import quantities as q
from agent.alerts.builtin import BUILTIN_RULES
from agent.alerts.engine import Alerts
from agent.baselines.baseline import Baselines
from agent.clock import Instant
from agent.model import Bounds, Module, Reading, VdmSample
from agent.quantities import Quantity

DAYS = 90
STEP_S = 600.0
START = 1_790_000_000.0
LANES = (1, 2, 3, 4)
THRESHOLDS: dict[Quantity, Bounds] = {
    q.TX_BIAS: {"high_alarm": 0.105, "high_warning": 0.095, "low_warning": 0.020, "low_alarm": 0.010},
    q.RX_POWER: {"high_alarm": 0.004, "high_warning": 0.003, "low_warning": 0.000158, "low_alarm": 0.0001},
}
"""Bias warning 95 mA; received power warning -8 dBm, alarm -10 dBm. Usual: 60 mA and -3 dBm."""


@dataclass(frozen=True)
class Scenario:
    """What happens to lane 2, as functions of the day: bias factor and dB in front of the receiver."""

    name: str
    bias: Callable[[float], float] = lambda _day: 1.0
    loss_db: Callable[[float], float] = lambda _day: 0.0
    drifts: bool = True
    unrest: float = 1.0
    """Factor on the wander of received power and the bend of bias over temperature."""


def _from(day: float, begin: float) -> float:
    return max(0.0, day - begin)


SCENARIOS = (
    Scenario("healthy", drifts=False),
    Scenario("healthy, three times as restless", drifts=False, unrest=3.0),
    Scenario("laser ages, +0.3 % a day from day 20", bias=lambda d: 1.0 + 0.003 * _from(d, 20)),
    Scenario("laser ages, +1 % a day from day 20", bias=lambda d: 1.0 + 0.01 * _from(d, 20)),
    Scenario("laser ages ever faster from day 20", bias=lambda d: math.exp((_from(d, 20) / 45) ** 2 * 0.5)),
    Scenario("dirt, 0.05 dB a day from day 20", loss_db=lambda d: 0.05 * _from(d, 20)),
    Scenario("dirt, 0.15 dB a day from day 20", loss_db=lambda d: 0.15 * _from(d, 20)),
    Scenario("connector touched on day 40, 1.5 dB", loss_db=lambda d: 1.5 if d >= 40 else 0.0),
    Scenario("far laser fades ever faster from day 20", loss_db=lambda d: 6.0 * (_from(d, 20) / 60) ** 2),
)


class Weather:
    """Case temperature of one port, and when it cannot be read."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._mean = rng.uniform(38, 52)
        self._day = rng.uniform(0.5, 4.0)
        self._week = rng.uniform(0.0, 1.5)
        self._season = rng.uniform(-6.0, 8.0)
        self._phase = rng.uniform(0, 2 * math.pi)
        self._wander = 0.0
        gap = rng.uniform(15, 80)
        self._gaps = [(gap, gap + 2.0)] + [(at, at + 1 / 24) for at in (rng.uniform(0, DAYS) for _ in range(20))]

    def celsius(self, day: float) -> float:
        self._wander += self._rng.gauss(0, 0.05) - 0.01 * self._wander
        daily = self._day * math.sin(2 * math.pi * day + self._phase)
        weekly = self._week * math.sin(2 * math.pi * day / 7)
        return self._mean + daily + weekly + self._season * day / DAYS + self._wander

    def away(self, day: float) -> bool:
        return any(begin <= day < end for begin, end in self._gaps)


def play(scenario: Scenario, rng: random.Random, port: str) -> tuple[dict[str, float], float | None]:
    """First day of each rule of the baseline on this port, and the day on which the module's warning is crossed."""
    engine, baselines, weather = Alerts(BUILTIN_RULES), Baselines(), Weather(rng)
    module: Module = {"serial_number": port}
    per_kelvin = rng.gauss(1 / 110, 0.002)
    bent = rng.uniform(-2e-5, 6e-5) * scenario.unrest
    usual = {lane: (rng.gauss(0.060, 0.002), rng.gauss(-3.0, 0.4)) for lane in LANES}
    rx_per_kelvin = {lane: rng.gauss(0.0, 0.012) for lane in LANES}
    drift = dict.fromkeys(LANES, 0.0)
    said: dict[str, float] = {}
    crossed: float | None = None
    at = 0.0
    while at < DAYS * 86_400:
        at += STEP_S
        day = at / 86_400
        if weather.away(day):
            continue
        celsius = weather.celsius(day)
        off = celsius - 45.0
        bias: dict[int, float] = {}
        rx: dict[int, float] = {}
        for lane in LANES:
            drift[lane] += (
                rng.gauss(0, 0.008) * scenario.unrest - 0.004 * drift[lane]
            )  # polarisation, fibre, mating: wanders 0.1 dB
            mean_bias, mean_rx = usual[lane]
            aged = scenario.bias(day) if lane == 2 else 1.0
            bias[lane] = mean_bias * aged * math.exp(per_kelvin * off + bent * off * off) * rng.gauss(1, 0.003)
            dbm = mean_rx + rx_per_kelvin[lane] * off + drift[lane] + rng.gauss(0, 0.04)
            dbm -= scenario.loss_db(day) if lane == 2 else 0.0
            if rng.random() < 0.002:
                dbm -= rng.uniform(0, 20)  # a wild sample
            rx[lane] = 10 ** ((dbm - 30) / 10)
        slow = (usual[2][0] * scenario.bias(day), usual[2][1] - scenario.loss_db(day))
        if crossed is None and (slow[0] > 0.095 or slow[1] < -8.0):
            crossed = day
        ber = tuple(
            VdmSample("pre_fec_ber_current_media_input", lane, 1, 10 ** rng.gauss(-9.0, 0.15), "ratio")
            for lane in LANES
        )
        reading = Reading(
            "sim", port, "fake", START + at, module, "ModuleReady", values={q.TEMPERATURE: celsius},
            lanes={q.TX_BIAS: bias, q.RX_POWER: rx}, thresholds=THRESHOLDS, vdm=ber,
        )  # fmt: skip
        figures = baselines.observe(reading)
        if figures is not None:
            for event in engine.figures("sim", port, figures, Instant(at, START + at)):
                if event.state == "firing":
                    said.setdefault(event.rule, day)
    return said, crossed


def main() -> None:
    """Run every scenario and print the table."""
    ports = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    rng = random.Random(2611)
    print(f"{ports} ports a scenario (three times as many healthy ones), {DAYS} days, seed 2611\n")
    print("| scenario | spoke | first rule | on day | own warning | days before it | forecast before it |")
    print("|---|---|---|---|---|---|---|")
    notes: list[str] = []
    for scenario in SCENARIOS:
        count = ports if scenario.drifts else 3 * ports
        runs = [play(scenario, rng, f"port-{index}") for index in range(count)]
        print(f"| {scenario.name} | {_row(runs)} |", flush=True)
        if not scenario.drifts:
            alarms, days = sum(len(said) for said, _ in runs), count * DAYS
            note = f"false alarms per 1,000 port-days: {1000 * alarms / days:.2f} ({alarms} in {days})"
            notes.append(f"{scenario.name}: {note}")
    print("\n" + "\n".join(notes))


def _row(runs: list[tuple[dict[str, float], float | None]]) -> str:
    spoke = [min(said.values()) for said, _ in runs if said]
    rules = sorted({min((day, rule) for rule, day in said.items())[1] for said, _ in runs if said})
    early = [end - min(said.values()) for said, end in runs if said and end is not None]
    forecast = [
        end - day
        for said, end in runs
        if end is not None
        for rule, day in said.items()
        if rule.endswith("_forecast")
    ]
    ends = [end for _, end in runs if end is not None]
    cells = [
        f"{len(spoke)} of {len(runs)}",
        ", ".join(rules) or "-",
        _range(spoke),
        f"day {statistics.median(ends):.0f}" if ends else "never crossed",
        _range(early),
        _range(forecast),
    ]
    return " | ".join(cells)


def _range(days: list[float]) -> str:
    return f"{statistics.median(days):.0f} ({min(days):.0f} to {max(days):.0f})" if days else "-"


if __name__ == "__main__":
    main()
