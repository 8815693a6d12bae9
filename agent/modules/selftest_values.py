"""The part of the self-test that looks at values: spread, time, range, thresholds, flags, and a reference."""

import itertools
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal, Protocol

from agent import quantities as q
from agent.errors import DeviceRefused, DriverError
from agent.maps.api import Description, Values
from agent.memory import ModuleMemory, Span
from agent.model import Bounds
from agent.modules.plausibility import JUMP_CELSIUS, possible
from agent.quantities import Quantity

Verdict = Literal["passed", "warning", "failed", "skipped"]

ACCURACY_DB: Final = 3.0
"""SFF-8472, SFF-8636 and CMIS ask for this of the optical power monitors."""
ACCURACY_CELSIUS: Final = 3.0
"""And for this of the temperature monitor."""
_SLOW_S: Final = 0.1
"""A read of 128 bytes that takes longer is worth a word: at 100 kHz it takes 12 ms."""
_ORDER: Final = ("low_alarm", "low_warning", "high_warning", "high_alarm")
_MARGIN: Final = 0.05
"""A value this much (of itself) beyond a threshold has to have its flag; closer to it hysteresis decides."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `figures` has its unit in each key."""

    name: str
    verdict: Verdict
    detail: str
    figures: Mapping[str, float] = field(default_factory=dict[str, float])


class Reference(Protocol):
    """A calibrated instrument. None: it does not measure that."""

    def identify(self) -> str: ...
    def power_dbm(self, lane: int) -> float | None: ...
    def temperature_celsius(self) -> float | None: ...


@dataclass(slots=True)
class Samples:
    """Refreshes one behind the other, and how long their reads took (seconds, by length of the span)."""

    values: list[Values] = field(default_factory=list[Values])
    seconds: dict[Span, list[float]] = field(default_factory=dict[Span, list[float]])
    failed: list[str] = field(default_factory=list[str])


def sample(
    memory: ModuleMemory, description: Description, *, flags: bool, repeats: int, clock: Callable[[], float]
) -> Samples:
    samples = Samples()
    plan = description.plan(flags=flags)
    for _ in range(repeats):
        blocks: list[bytes | None] = []
        for span in plan.spans:
            started = clock()
            try:
                blocks.append(memory.read(span))
            except DriverError as exc:
                blocks.append(None)
                samples.failed.append(str(exc))
            else:
                samples.seconds.setdefault(span, []).append(clock() - started)
        samples.values.append(plan.decode(blocks))
    return samples


def _series(samples: Samples) -> dict[tuple[Quantity, int], list[float]]:
    """Each quantity of each lane (0: module wide) over the refreshes."""
    series: dict[tuple[Quantity, int], list[float]] = {}
    for values in samples.values:
        for quantity, value in values.values.items():
            series.setdefault((quantity, 0), []).append(value)
        for quantity, lanes in values.lanes.items():
            for lane, value in lanes.items():
                series.setdefault((quantity, lane), []).append(value)
    return series


def _named(quantity: Quantity, lane: int) -> str:
    return f"{quantity.key} of lane {lane}" if lane else quantity.key


def repeatability(samples: Samples) -> Check:
    if samples.failed:
        return Check("repeatability", "failed", f"{len(samples.failed)} reads failed: {samples.failed[0]}")
    temperature = _series(samples).get((q.TEMPERATURE, 0), [])
    if not temperature:
        return Check("repeatability", "passed", f"{len(samples.values)} refreshes, none failed")
    spread = max(temperature) - min(temperature)
    figures = {"temperature_spread_celsius": spread}
    if spread >= JUMP_CELSIUS:
        return Check("repeatability", "failed", f"the temperature leaps by {spread:.1f} C between reads", figures)
    return Check("repeatability", "passed", f"{len(samples.values)} refreshes, none failed", figures)


def timing(samples: Samples) -> Check:
    if not samples.seconds:
        return Check("timing", "skipped", "the module has nothing to refresh")
    figures: dict[str, float] = {}
    for span, seconds in samples.seconds.items():
        name = f"{span.length}_bytes_of_{f'page_{span.page:02x}' if span.upper else 'lower'}_bank_{span.bank}"
        figures[f"{name}_median_seconds"] = statistics.median(seconds)
        figures[f"{name}_max_seconds"] = max(seconds)
    total = sum(statistics.median(seconds) for seconds in samples.seconds.values())
    worst = max(max(seconds) for seconds in samples.seconds.values())
    detail = f"{total * 1e3:.1f} ms a refresh of {len(samples.seconds)} reads, slowest read {worst * 1e3:.1f} ms"
    return Check("timing", "warning" if worst > _SLOW_S else "passed", detail, figures)


def plausible(samples: Samples) -> Check:
    absurd = sorted(
        {
            f"{_named(quantity, lane)} = {value:g}"
            for (quantity, lane), values in _series(samples).items()
            for value in values
            if not possible(quantity, value)
        }
    )
    if absurd:
        return Check("values", "failed", "; ".join(absurd))
    unread = sorted({key for values in samples.values for key in values.unread})
    if unread:
        return Check("values", "failed", f"offered and not read: {', '.join(unread)}")
    return Check("values", "passed", f"{len(_series(samples))} values, all possible")


def threshold_order(description: Description) -> Check:
    wrong: list[str] = []
    for quantity, bounds in description.thresholds.items():
        known: list[tuple[str, float]] = [
            (name, bound) for name in _ORDER if isinstance(bound := bounds.get(name), float)
        ]
        wrong += [
            f"{quantity.key}: {low} {a:g} above {high} {b:g}"
            for (low, a), (high, b) in itertools.pairwise(known)
            if a > b
        ]
    if wrong:
        return Check("thresholds", "failed", "; ".join(wrong))
    if not description.thresholds:
        return Check("thresholds", "skipped", "the module gives none")
    return Check("thresholds", "passed", f"in order for {', '.join(x.name for x in description.thresholds)}")


def flags_agree(samples: Samples, description: Description) -> Check:
    """A value far beyond its alarm threshold has its flag; flags that were latched go with the first read."""
    first, last = samples.values[0], samples.values[-1]
    silent: list[str] = []
    for (quantity, lane), values in _series(samples).items():
        for bound in _beyond(values[-1], description.thresholds.get(quantity, {})):
            flag = q.ALARM_FLAGS.get((quantity.name, bound))
            if flag is not None and _offered(last, flag, lane) and not _active(last, flag, lane):
                silent.append(f"{_named(quantity, lane)} is beyond its {bound}, and {flag.name} is not set")
    went = sorted(_set(first) - _set(last))
    stay = sorted(_set(last))
    detail = "; ".join(
        part
        for part in (f"set: {', '.join(stay)}" if stay else "", f"had been: {', '.join(went)}" if went else "")
        if part
    )
    if silent:
        return Check("flags", "failed", "; ".join(silent))
    return Check("flags", "passed", detail or "none set", {"set": float(len(stay)), "latched": float(len(went))})


def _beyond(value: float, bounds: Bounds) -> Iterable[str]:
    margin = abs(value) * _MARGIN
    if (high := bounds.get("high_alarm")) is not None and value - margin > high:
        yield "high_alarm"
    if (low := bounds.get("low_alarm")) is not None and value + margin < low:
        yield "low_alarm"


def _offered(values: Values, flag: q.Flag, lane: int) -> bool:
    if not lane:
        return flag in values.flags
    lanes = values.lane_flags.get(flag)
    return lanes is not None and bool(lanes.offered >> (lane - 1) & 1)


def _active(values: Values, flag: q.Flag, lane: int) -> bool:
    if not lane:
        return values.flags.get(flag, False)
    lanes = values.lane_flags.get(flag)
    return lanes is not None and bool(lanes.active >> (lane - 1) & 1)


def _set(values: Values) -> set[str]:
    wide = {flag.name for flag, active in values.flags.items() if active}
    lanes = {
        f"{flag.name} of lane {lane}"
        for flag, mask in values.lane_flags.items()
        for lane in range(1, mask.active.bit_length() + 1)
        if mask.active >> (lane - 1) & 1
    }
    return wide | lanes


# -- the reference ----------------------------------------------------------------------------------------------


def compare(samples: Samples, reference: Reference, measures: Quantity) -> list[Check]:
    try:
        checks = [Check("reference", "passed", reference.identify())]
    except DriverError as exc:
        return [Check("reference", "failed", str(exc))]
    last = samples.values[-1]
    for lane, watts in sorted(last.lanes.get(measures, {}).items()):
        check = _against(f"{measures.name}_lane_{lane}", q.dbm(watts), partial(reference.power_dbm, lane))
        checks += [check] if check else []
    celsius = last.values.get(q.TEMPERATURE)
    if celsius is not None:
        check = _against("temperature", celsius, reference.temperature_celsius)
        checks += [check] if check else []
    return checks


def _against(name: str, ours: float, ask: Callable[[], float | None]) -> Check | None:
    """One monitor beside the instrument; None when the instrument does not measure it."""
    unit, limit = ("dB", ACCURACY_DB) if name != "temperature" else ("C", ACCURACY_CELSIUS)
    try:
        theirs = ask()
    except DeviceRefused as exc:
        return Check(name, "skipped", str(exc))
    except DriverError as exc:
        return Check(name, "failed", str(exc))
    if theirs is None:
        return None
    error = ours - theirs
    key = "db" if unit == "dB" else "celsius"
    figures = {f"module_{'dbm' if key == 'db' else key}": ours, f"error_{key}": error}
    detail = f"module {ours:.2f}, reference {theirs:.2f}: {error:+.2f} {unit} (allowed {limit:g})"
    return Check(name, "passed" if abs(error) <= limit else "failed", detail, figures)
