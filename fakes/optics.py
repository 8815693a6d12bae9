"""How a fake module behaves: temperature drives the bias of its lasers, light drives power, SNR and errors.

    optics = Behaviour(product, random.Random(7), now=0.0)
    optics.heat.go(to=20.0, over_s=60.0, now=0.0)     # the fan in front of it stops
    state = optics.at(12.5)                           # what its monitors show

Times are seconds of any clock; nothing moves unless it is asked.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from fakes.images import watts
from fakes.products import Optics, Product

REFERENCE_C = 45.0
"""Case temperature at which a product's figures hold."""
BIAS_PER_KELVIN = 1 / 110
"""A laser needs e times the current 110 K above (uncooled DFB and EML with its bias trimmed)."""
LOL_MARGIN_DB = 1.5
"""Clock recovery loses lock so far below the sensitivity."""
FAULT_PART = 0.6
"""A laser that gets less than this part of the current it needs is at fault."""
FAULT_DB = -15 * math.log10(FAULT_PART)
"""The same in launched power."""
SQUELCH_DB = 30.0
"""A transmitter without a signal from the host is switched off."""
SHUTDOWN_C = 5.0
"""A module shuts down so far above its high alarm."""

Supply = Callable[[int, float], float]
"""Decibels that a lane (from 0) lacks, at a time, of the light that an external source sends it."""


@dataclass(slots=True)
class Ramp:
    """A figure that moves from where it is to another one in some time."""

    value: float = 0.0
    _from: float = 0.0
    _begin: float = 0.0
    _over_s: float = 0.0
    _hold_s: float = 0.0

    def go(self, *, to: float, over_s: float, now: float, hold_s: float = 0.0) -> None:
        """Begin to move; after `hold_s` at the end (0: for good) as fast back to 0."""
        self._from, self.value = self.at(now), to
        self._begin, self._over_s, self._hold_s = now, over_s, hold_s

    def at(self, now: float) -> float:
        """Where it is."""
        gone = now - self._begin
        if self._hold_s and gone > self._over_s + self._hold_s:
            back = (gone - self._over_s - self._hold_s) / max(self._over_s, 1e-9)
            return self.value * max(0.0, 1 - back)
        if gone >= self._over_s:
            return self.value
        return self._from + (self.value - self._from) * max(gone / self._over_s, 0.0)

    def moving(self, now: float) -> bool:
        """Not there yet."""
        return now - self._begin < (2 * self._over_s + self._hold_s if self._hold_s else self._over_s)


@dataclass(slots=True)
class State:
    """What the monitors of a module show at one moment: degrees Celsius, volts, amperes, watts, dB."""

    temperature: float
    voltage: float
    laser_temperature: float
    bias: list[float] = field(default_factory=list[float])
    tx_power: list[float] = field(default_factory=list[float])
    rx_power: list[float] = field(default_factory=list[float])
    snr_db: list[float] = field(default_factory=list[float])
    ber: list[float] = field(default_factory=list[float])
    rx_los: int = 0
    """Lanes as bits, lane 1 is bit 0."""
    rx_lol: int = 0
    tx_los: int = 0
    tx_lol: int = 0
    tx_fault: int = 0
    age_percent: list[float] = field(default_factory=list[float])


class Behaviour:
    """One module and the fibre in front of it. Scenarios move `heat`, `ageing` and `loss`, and switch `dark`."""

    def __init__(self, product: Product, rng: random.Random, *, now: float) -> None:
        self.product = product
        self.heat = Ramp()
        """Kelvin above the usual."""
        self.ageing: dict[int, Ramp] = {}
        """Lane to how much more current its laser needs (0: none, 1: twice)."""
        self.loss: dict[int, Ramp] = {}
        """Lane (0: all) to additional decibels in front of the receiver."""
        self.dark = False
        """The far end sends nothing."""
        self.supply: Supply | None = None
        self.host_dark = False
        """The host sends nothing: the module squelches its transmitters."""
        self.empty = False
        """The light that comes carries no signal."""
        self.fault = False
        """The firmware gave up."""
        self._rng = rng
        self._begin = now
        self._phase = rng.uniform(0, 2 * math.pi)
        self._ambient = rng.gauss(24.0, 1.5)
        self._volts = rng.gauss(3.295, 0.012)
        lanes = product.optics.lanes if product.optics else 0
        self._lane_tx_db = [rng.gauss(0, 0.25) for _ in range(lanes)]
        self._lane_rx_db = [rng.gauss(0, 0.35) for _ in range(lanes)]
        self._lane_bias = [rng.gauss(1.0, 0.03) for _ in range(lanes)]
        self._lane_snr = [rng.gauss(0, 0.25) for _ in range(lanes)]

    def at(self, now: float) -> State:
        """Everything at this moment, with the noise of a real converter."""
        gauss = self._rng.gauss
        product, optics = self.product, self.product.optics
        warm = 1 - math.exp(-(now - self._begin) / 90)  # it was cold when it was put in
        breath = 0.8 * math.sin(self._phase + now / 60)
        case = self._ambient + product.self_heating_c * (0.7 + 0.3 * warm) + breath + self.heat.at(now)
        temperature = case + gauss(0, 0.04)
        laser = 45.0 + gauss(0, 0.02) if optics and optics.cooled else temperature + 6.0
        state = State(temperature, self._volts + gauss(0, 0.001), laser)
        if optics is None:
            return state
        drift = math.exp((case - REFERENCE_C) * BIAS_PER_KELVIN)
        fibre = self._loss_db(0, now)
        for lane in range(optics.lanes):
            aged = self.ageing[lane + 1].at(now) if self.ageing and lane + 1 in self.ageing else 0.0
            needed = optics.bias_ma * self._lane_bias[lane] * drift * (1 + aged)
            given = min(needed, optics.bias_limit_ma)
            state.bias.append(given * gauss(1, 0.002) / 1000)
            # Power is held by more current until there is no more; then it falls faster than the current it lacks.
            tx_dbm = optics.tx_dbm + self._lane_tx_db[lane] + 15 * math.log10(given / needed)
            if self.supply is not None:
                tx_dbm -= self.supply(lane, now)
            if self.host_dark:
                state.tx_los |= 1 << lane
                state.tx_lol |= product.retimed << lane
                tx_dbm -= SQUELCH_DB
            state.tx_power.append(watts(tx_dbm + gauss(0, 0.015)))
            state.age_percent.append(min(100.0, 100 * aged))
            self._receive(state, lane, now, fibre)
            if given < needed * FAULT_PART:
                state.tx_fault |= 1 << lane
        return state

    def error_ratio(self, now: float) -> float:
        """Worst bit error ratio before correction of all lanes; 0.5 without light. No noise: for link state."""
        optics = self.product.optics
        if optics is None or self.product.light == "source":
            return 0.0
        if self.dark:
            return 0.5
        worst = 0.0
        fibre = self._loss_db(0, now)
        for lane in range(optics.lanes):
            loss = fibre + (self._loss_db(lane + 1, now) if lane + 1 in self.loss else 0.0)
            rx_dbm = optics.rx_dbm + self._lane_rx_db[lane] - loss
            if rx_dbm < optics.sensitivity_dbm:
                return 0.5
            worst = max(worst, _ber(optics, _snr(optics, rx_dbm, self._lane_snr[lane])))
        return worst

    def transmits(self, now: float) -> bool:
        """Every laser still has most of its power. No noise: for link state."""
        return all(self.lacks_db(lane - 1, now) < FAULT_DB for lane in self.ageing)

    def lacks_db(self, lane: int, now: float) -> float:
        """Decibels that a worn laser (from 0) is below what it should send. No noise."""
        optics, ramp = self.product.optics, self.ageing.get(lane + 1)
        if optics is None or ramp is None:
            return 0.0
        needed = optics.bias_ma * self._lane_bias[lane] * (1 + ramp.at(now))
        return max(0.0, 15 * math.log10(needed / optics.bias_limit_ma))

    def overheated(self, now: float) -> bool:
        """So hot that the module shuts itself down. No noise: for link state."""
        usual = self._ambient + self.product.self_heating_c
        return (
            self.heat.at(now) > 0 and usual + self.heat.at(now) > self.product.temperature.high_alarm + SHUTDOWN_C
        )

    def moving(self, now: float) -> bool:
        """Something still changes on purpose."""
        return any(ramp.moving(now) for ramp in (self.heat, *self.ageing.values(), *self.loss.values()))

    def _loss_db(self, lane: int, now: float) -> float:
        ramp = self.loss.get(lane)
        return ramp.at(now) if ramp is not None else 0.0

    def _receive(self, state: State, lane: int, now: float, fibre: float) -> None:
        optics = self.product.optics
        if optics is None:
            return
        loss = fibre + (self._loss_db(lane + 1, now) if lane + 1 in self.loss else 0.0)
        rx_dbm = optics.rx_dbm + self._lane_rx_db[lane] - loss + self._rng.gauss(0, 0.025)
        lost = self.dark or rx_dbm < optics.sensitivity_dbm
        state.rx_power.append(0.0 if self.dark else watts(rx_dbm))
        if lost:
            state.rx_los |= 1 << lane
        if self.product.retimed and (self.dark or self.empty or rx_dbm < optics.sensitivity_dbm - LOL_MARGIN_DB):
            state.rx_lol |= 1 << lane
        if optics.snr_db:
            lost |= self.empty
            snr = _snr(optics, rx_dbm, self._lane_snr[lane] + self._rng.gauss(0, 0.05))
            state.snr_db.append(0.0 if lost else snr)
            state.ber.append(0.5 if lost else _ber(optics, snr))


def _usual_snr(optics: Optics) -> float:
    return optics.snr_db or 20.5


def _snr(optics: Optics, rx_dbm: float, offset_db: float) -> float:
    """Falls with the light, rises little above the usual: the transmitter's own noise is the limit there."""
    gain = rx_dbm - optics.rx_dbm
    return max(0.0, _usual_snr(optics) + offset_db + (0.3 * gain if gain > 0 else 0.95 * gain))


def _ber(optics: Optics, snr_db: float) -> float:
    """Bit error ratio before correction, a straight line over the SNR on a logarithmic scale."""
    decades = optics.ber_decades_per_db * (_usual_snr(optics) - snr_db)
    return min(0.5, optics.ber * 10**decades)
