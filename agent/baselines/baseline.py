"""What is usual for a module in its port, and how it drifts: figures over days for the rules. Pure.

Bias, launched and received power are kept per lane: a sample every few minutes, a median every hour. The first week
is the commissioning: from it come the dependence on temperature (robust slope) and the baseline (median at the
reference temperature). After it every hour gives the change against the baseline, every day a point of the drift,
whose robust slope, when its sign is certain, gives the days to the module's own warning.

Units: bias as natural logarithm of amperes, power in dBm, bit error ratio as decimal logarithm.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import exp, isnan, log, log10
from statistics import median
from types import MappingProxyType
from typing import Final
from zlib import crc32

from agent import quantities as q
from agent.alerts.judging import DATA_PATH_ACTIVATED, READY_STATES
from agent.alerts.levels import usable
from agent.baselines.drift import Slope, slopes, theil_sen, thinned
from agent.maps.vdm import named
from agent.model import Bounds, Reading
from agent.quantities import Quantity, dbm
from agent.rows import NONE, Rows

SAMPLE_S: Final = 300.0
HOUR_S: Final = 3600.0
DAY_S: Final = 86_400.0
LEAST_SAMPLES: Final = 3
"""An hour with fewer samples is no hour."""
LEAST_HOURS: Final = 6
"""A day with fewer hours is no day."""
COMMISSIONING_STEP: Final = 2
"""Every second hour of the first week is enough."""
COMMISSIONING_POINTS: Final = 84
LEAST_COMMISSIONING_POINTS: Final = 30
RECENT_HOURS: Final = 12
DAYS_KEPT: Final = 30
LEAST_DAYS: Final = 10
MAD_TO_SIGMA: Final = 1.4826
UNREST_SIGMAS: Final = 5.0
"""A change within so many standard deviations of the first week counts as none: the port is that restless."""
FIT_POINTS: Final = 56
FIT_SPAN_C: Final = 3.0
"""With less change of temperature its influence cannot be told."""
FIT_STEP_C: Final = 1.0
BETTER_DB: Final = 0.5
BETTER_BIAS: Final = 0.05
"""So much better for a week is a new baseline (bias: logarithm, 5 %); sooner it may be mere unrest."""
FOLLOW_DAYS: Final = 7
DARK_DBM: Final = -30.0
BER_FLOOR: Final = -12.0
BER_MATTERS: Final = -8.0
"""Growth below this bit error ratio (decimal logarithm) is of no consequence."""
EARLIEST: Final = 1_577_836_800.0
"""2020: a clock that shows less has not been set yet."""
BER: Final = "pre_fec_ber"
BER_OBSERVABLES: Final = ("pre_fec_ber_current_media_input", "pre_fec_ber_avg_media_input")

Key = tuple[str, int]
Figures = dict[str, dict[int, float]]


@lru_cache(maxsize=256)
def columns(keys: tuple[Key, ...]) -> Mapping[Key, int]:
    """The column of each series. Ports of the same kind share them."""
    return MappingProxyType({key: index for index, key in enumerate(keys)})


def _none() -> "array[float]":
    return array("f")


@dataclass(slots=True)
class PortBaseline:
    """One module in one port. `keys` are its series (quantity, lane): the columns of all tables."""

    serial: str
    begun: float
    offset: float
    """Seconds by which its hours and days are shifted: not all ports end theirs at once."""
    sampled: float = 0.0
    hour: int = 0
    day: int = 0
    reference: float = 0.0
    """Temperature at which values are compared, degrees Celsius; that of the commissioning."""
    commissioned: bool = False
    keys: Mapping[Key, int] = field(default_factory=lambda: columns(()))
    samples: Rows = field(default_factory=Rows)
    """Of the running hour."""
    hours: Rows = field(default_factory=Rows)
    """Hourly medians: of the commissioning as they were, then the last ones at the reference temperature."""
    today: Rows = field(default_factory=Rows)
    days: Rows = field(default_factory=Rows)
    """Daily medians at the reference temperature."""
    numbers: "array[float]" = field(default_factory=_none)
    """The days they are of, counted from the beginning."""
    temperature_samples: "array[float]" = field(default_factory=_none)
    temperatures: "array[float]" = field(default_factory=_none)
    """Of the hours of the commissioning."""
    baseline: "array[float]" = field(default_factory=_none)
    per_kelvin: "array[float]" = field(default_factory=_none)
    unrest: "array[float]" = field(default_factory=_none)
    """How much each series moved about in the first week: as a standard deviation, from its median deviation."""
    slopes: dict[Key, Slope] = field(default_factory=dict[Key, Slope])
    """Drifts whose sign is certain."""
    dirty: bool = False
    """Changed since it was stored last."""

    def widen(self, new: Sequence[Key]) -> None:
        """Make columns of series that were not there before."""
        self.keys = columns((*self.keys, *new))
        for table in (self.samples, self.hours, self.today, self.days):
            table.widen(len(self.keys))
        self.baseline.extend([NONE] * len(new))
        self.per_kelvin.extend([0.0] * len(new))
        self.unrest.extend([0.0] * len(new))


class Baselines:
    """The baselines of all ports."""

    def __init__(self) -> None:
        self.ports: dict[tuple[str, str], PortBaseline] = {}

    def observe(self, reading: Reading, *, link_up: bool | None = None) -> Figures | None:
        """Take a reading; the figures of its port when an hour ended with it, else None."""
        key = (reading.device, reading.port)
        port = self.ports.get(key)
        now = reading.time
        if port is not None and 0.0 <= now - port.sampled < SAMPLE_S:
            return None
        serial = reading.module.get("serial_number", "")
        if now < EARLIEST or not serial or reading.module_state not in READY_STATES:
            return None
        if port is None or port.serial != serial:
            offset = float(crc32(":".join(key).encode()) % 86_400)
            port = self.ports[key] = PortBaseline(serial, begun=now, offset=offset)
            port.hour, port.day = _hour_and_day(port, now)
        port.sampled = now
        figures: Figures | None = None
        hour, day = _hour_and_day(port, now)
        if hour != port.hour:
            _end_hour(port)
            if day != port.day:
                _end_day(port)
            port.hour, port.day = hour, day
            port.dirty = True
            figures = _figures(port, reading.thresholds) if port.commissioned else None
        _sample(port, reading, link_up=link_up)
        return figures

    def forget(self, device: str, port: str) -> None:
        """Begin anew with whatever is in this port."""
        self.ports.pop((device, port), None)


def _hour_and_day(port: PortBaseline, now: float) -> tuple[int, int]:
    return int((now + port.offset) // HOUR_S), int((now + port.offset) // DAY_S)


# ---- sampling -------------------------------------------------------------------------------------------------


def _sample(port: PortBaseline, reading: Reading, *, link_up: bool | None) -> None:
    temperature = reading.values.get(q.TEMPERATURE)
    if temperature is None:
        return
    port.temperature_samples.append(temperature)
    found = {(name, lane): value for name, lane, value in _values(reading, link_up=link_up)}
    new = [key for key in found if key not in port.keys]
    if new:
        port.widen(new)
    port.samples.add([found.get(key, NONE) for key in port.keys])


def _values(reading: Reading, *, link_up: bool | None) -> Iterator[tuple[str, int, float]]:
    states, disabled = reading.data_path_states, reading.tx_disabled
    if states and DATA_PATH_ACTIVATED not in states.values():
        return
    for lane, amperes in reading.lanes.get(q.TX_BIAS, {}).items():
        if amperes > 0.0 and not disabled.get(lane, False):
            yield q.TX_BIAS.name, lane, log(amperes)
    for lane, watts in reading.lanes.get(q.TX_POWER, {}).items():
        if not disabled.get(lane, False) and dbm(watts) > DARK_DBM:
            yield q.TX_POWER.name, lane, dbm(watts)
    if link_up is False:
        return
    for lane, watts in reading.lanes.get(q.RX_POWER, {}).items():
        if dbm(watts) > DARK_DBM:
            yield q.RX_POWER.name, lane, dbm(watts)
    taken: set[int] = set()
    for name in BER_OBSERVABLES:
        for lane, ratio in named(reading.vdm, name):
            if lane not in taken:
                taken.add(lane)
                yield BER, lane, max(BER_FLOOR, log10(ratio)) if ratio > 0 else BER_FLOOR


# ---- hours and days -------------------------------------------------------------------------------------------


def _end_hour(port: PortBaseline) -> None:
    samples, temperatures = port.samples, port.temperature_samples
    if len(temperatures) >= LEAST_SAMPLES:
        temperature = median(temperatures)
        row = [_middle(samples.column(index), LEAST_SAMPLES) for index in range(len(port.keys))]
        if port.commissioned:
            off = temperature - port.reference
            row = [value - slope * off for value, slope in zip(row, port.per_kelvin, strict=True)]
            port.today.add(row)
            port.hours.add(row)
            port.hours.keep(RECENT_HOURS)
        elif port.hour % COMMISSIONING_STEP == 0:
            port.hours.add(row)
            port.temperatures.append(temperature)
            if len(port.temperatures) >= COMMISSIONING_POINTS:
                _commission(port)
    port.samples.clear()
    port.temperature_samples = _none()


def _middle(values: list[float], least: int) -> float:
    return median(values) if len(values) >= least else NONE


def _commission(port: PortBaseline) -> None:
    """The first week is over: what is usual is known now."""
    port.commissioned = True
    port.reference = median(port.temperatures)
    for (name, _), index in port.keys.items():
        pairs = [(t, v) for t, v in zip(port.temperatures, port.hours.whole(index), strict=True) if not isnan(v)]
        if len(pairs) >= LEAST_COMMISSIONING_POINTS:
            _set_baseline(port, index, pairs, compensated=name != BER)
    port.hours.clear()
    port.temperatures = _none()


def _set_baseline(port: PortBaseline, index: int, pairs: list[tuple[float, float]], *, compensated: bool) -> None:
    temperatures = [temperature for temperature, _ in pairs]
    values = [value for _, value in pairs]
    if compensated and max(temperatures) - min(temperatures) >= FIT_SPAN_C:
        some = slopes(thinned(temperatures, FIT_POINTS), thinned(values, FIT_POINTS), least_dx=FIT_STEP_C)
        port.per_kelvin[index] = median(some) if some else 0.0
    slope = port.per_kelvin[index]
    level = [value - slope * (t - port.reference) for t, value in pairs]
    usual = port.baseline[index] = median(level)
    port.unrest[index] = MAD_TO_SIGMA * median([abs(value - usual) for value in level])


def _end_day(port: PortBaseline) -> None:
    row = [_middle(port.today.column(index), LEAST_HOURS) for index in range(len(port.keys))]
    port.today.clear()
    if all(isnan(value) for value in row):
        return
    port.days.add(row)
    port.days.keep(DAYS_KEPT)
    port.numbers.append(port.day - (port.begun + port.offset) // DAY_S)
    del port.numbers[:-DAYS_KEPT]
    for key, index in port.keys.items():
        days = port.days.whole(index)
        known = [(number, value) for number, value in zip(port.numbers, days, strict=True) if not isnan(value)]
        _follow_up(port, key[0], index, [value for _, value in known[-FOLLOW_DAYS:]])
        slope = theil_sen([n for n, _ in known], [v for _, v in known]) if len(known) >= LEAST_DAYS else None
        if slope is not None and slope.certain:
            port.slopes[key] = slope
        else:
            port.slopes.pop(key, None)


def _follow_up(port: PortBaseline, name: str, index: int, last: list[float]) -> None:
    """A cleaned connector or another patch cord made it better: that is the new baseline."""
    baseline = port.baseline[index]
    if isnan(baseline) or len(last) < FOLLOW_DAYS:
        return
    if name in {q.RX_POWER.name, q.TX_POWER.name} and min(last) > baseline + BETTER_DB:
        port.baseline[index] = min(last)
    elif name == q.TX_BIAS.name and max(last) < baseline - BETTER_BIAS:
        port.baseline[index] = max(last)


# ---- figures --------------------------------------------------------------------------------------------------


def _figures(port: PortBaseline, thresholds: Mapping[Quantity, Bounds]) -> Figures:
    found: Figures = {}
    for (name, lane), index in port.keys.items():
        recent = port.hours.column(index)
        if isnan(port.baseline[index]) or len(recent) < LEAST_SAMPLES:
            continue
        now = median(recent)
        change = now - port.baseline[index]
        if abs(change) < UNREST_SIGMAS * port.unrest[index]:
            change = 0.0
        if name == q.TX_BIAS.name:
            found.setdefault("tx_bias_change_ratio", {})[lane] = exp(change) - 1.0
        elif name == BER:
            found.setdefault("pre_fec_ber_growth_decades", {})[lane] = change if now >= BER_MATTERS else 0.0
        else:
            found.setdefault(f"{name}_change_db", {})[lane] = change
        days = _days_left(port, name, lane, now, thresholds)
        if days is not None:
            found.setdefault(_FORECASTS[name], {})[lane] = days
    return found


_FORECASTS: Final = {
    q.TX_BIAS.name: "tx_bias_high_warning_days",
    q.RX_POWER.name: "rx_power_low_warning_days",
}


def _days_left(
    port: PortBaseline, name: str, lane: int, now: float, thresholds: Mapping[Quantity, Bounds]
) -> float | None:
    """Days until the drift reaches the module's warning, None when it does not, or is not certain."""
    slope = port.slopes.get((name, lane))
    if slope is None or name not in _FORECASTS:
        return None
    quantity = q.TX_BIAS if name == q.TX_BIAS.name else q.RX_POWER
    bounds = thresholds.get(quantity, Bounds())
    if not usable(bounds):
        return None
    warning = bounds.get("high_warning") if quantity is q.TX_BIAS else bounds.get("low_warning")
    if warning is None or warning <= 0.0:
        return None
    limit = log(warning) if quantity is q.TX_BIAS else dbm(warning)
    left = (limit - now) / slope.value
    towards = slope.value > 0.0 if quantity is q.TX_BIAS else slope.value < 0.0
    return max(0.0, left) if towards else None
