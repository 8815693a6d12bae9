"""Rules against readings: which rule holds on which lane. No state, no clock.

A `Judge` is compiled per module (thresholds never change while a module is in). Its `quiet` is what nearly every
reading meets: a few comparisons against envelopes inside which no rule can hold.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from math import inf, log10
from statistics import median
from typing import Final, NamedTuple

from agent import quantities as q
from agent.alerts.levels import Level, Watched, clear_level, usable, watch
from agent.alerts.rules import (
    BoundName,
    FecCounter,
    Gate,
    LaserFault,
    Limit,
    ModuleFault,
    Observable,
    Outlier,
    Rule,
    Spread,
    Threshold,
)
from agent.maps import vdm
from agent.model import Bounds, Laser, Reading, VdmSample
from agent.quantities import Flag, Quantity, Unit, dbm

DATA_PATH_ACTIVATED: Final = 4
READY_STATES: Final = frozenset({"", "ModuleReady"})
FAULT_STATE: Final = "ModuleFault"
LIT: Final = "on"
OF_LASERS: Final[Mapping[Quantity, Quantity]] = {q.LASER_BIAS: q.TX_BIAS, q.LASER_POWER: q.TX_POWER}
"""What rules watch on each laser of an external source, and the name under which the laser has it."""


class Finding(NamedTuple):
    """What one rule finds on one lane (0: the port). `holds` None: neither beyond the level nor back from it."""

    rule: Rule
    lane: int
    holds: bool | None
    value: float | None = None
    threshold: float | None = None
    by_flag: bool = False
    """True when only the module's own latched flag says so: the value was back when it was read."""
    shut: Gate | None = None
    """The gate that kept the rule from judging."""


class Facts(NamedTuple):
    """What gates ask beside the reading itself; None: not known."""

    admin_up: bool | None = None
    link_up: bool | None = None


class Judge:
    """All rules compiled for the thresholds of one module."""

    __slots__ = (
        "_bounded",
        "_flag_rules",
        "_lasers",
        "_other_rules",
        "_quiet_lanes",
        "_quiet_module",
        "_watched",
        "_watched_flags",
    )

    def __init__(self, rules: Sequence[Rule], thresholds: Mapping[Quantity, Bounds]) -> None:
        watched = tuple(watch(rules, _of_sources(thresholds)))
        self._watched = tuple(each for each in watched if each.quantity not in OF_LASERS)
        self._lasers = tuple(each for each in watched if each.quantity in OF_LASERS)
        self._flag_rules = tuple((rule, rule.watch) for rule in rules if isinstance(rule.watch, Flag))
        self._other_rules = tuple(
            rule
            for rule in rules
            if isinstance(rule.watch, Observable | FecCounter | ModuleFault | LaserFault)
            and not isinstance(rule.bound, Threshold)
        )
        self._bounded = _bounded(rules)
        self._watched_flags = frozenset(
            [flag for _, flag in self._flag_rules] + [flag for watched in self._watched for flag in watched.flags]
        )
        self._quiet_module = tuple((w.quantity, w.low, w.high) for w in self._watched if w.levels)
        self._quiet_lanes = tuple((w.quantity, w.low, w.high, w.ratio) for w in self._watched)

    def quiet(self, reading: Reading) -> bool:
        """True when no rule on values and the module's state can hold. The hot path: once a reading."""
        values, lanes = reading.values, reading.lanes
        for quantity, low, high in self._quiet_module:
            value = values.get(quantity)
            if value is not None and not low <= value <= high:
                return False
        for quantity, low, high, ratio in self._quiet_lanes:
            row = lanes.get(quantity)
            if row:
                column = row.values()
                least, most = min(column), max(column)
                if least < low or most > high or most > least * ratio:
                    return False
        return reading.module_state != FAULT_STATE

    def calm(self, reading: Reading) -> bool:
        """True when no rule on flags can hold, and no flag speaks for a rule on values."""
        if True in reading.flags.values() and any(
            on and f in self._watched_flags for f, on in reading.flags.items()
        ):
            return False
        watched = self._watched_flags
        return not any(state.active and flag in watched for flag, state in reading.lane_flags.items())

    def findings(
        self,
        reading: Reading,
        facts: Facts,
        fec: Mapping[str, int],
        *,
        live: Container[str] = (),
        observables: bool = True,
    ) -> Iterator[Finding]:
        """Every verdict that may matter: of rules that may hold now, and of the `live` ones (names).

        `fec` holds the counters of the reading before. `observables` False: those are the ones of the reading
        before and were judged.
        """
        gate = GateKeeper(reading, facts)
        for watched in self._watched:
            if any(name in live for name in watched.names) or _may_hold(watched, reading):
                yield from _of_values(watched, reading, gate)
        for rule, flag in self._flag_rules:
            state = reading.lane_flags.get(flag)
            if rule.name in live or (state is not None and state.active) or reading.flags.get(flag):
                yield from _of_flag(rule, flag, reading, gate)
        if observables:
            yield from self.slow_findings(reading, facts, fec, live=live)
        else:
            yield from self._fault(reading)

    def slow_findings(
        self, reading: Reading, facts: Facts, fec: Mapping[str, int], *, live: Container[str] = ()
    ) -> Iterator[Finding]:
        """The verdicts on observables, counters, lasers and the module state alone."""
        gate = GateKeeper(reading, facts)
        for rule in self._other_rules:
            if isinstance(rule.watch, Observable):
                yield from _of_observable(rule, rule.watch, reading, gate)
            elif isinstance(rule.watch, FecCounter):
                yield from _of_counter(rule, rule.watch, reading, fec, gate)
            elif isinstance(rule.watch, LaserFault):
                for laser in reading.lasers:
                    yield Finding(rule, laser.laser, any(flag.startswith("fault") for flag in laser.flags))
        if reading.lasers:
            # Thresholds of an engine's own lanes say nothing of the lasers that it shows beside them.
            own = [w for w in self._lasers if w.quantity in reading.thresholds or not reading.lanes]
            for laser in reading.lasers:
                yield from _of_laser(own, laser, gate)
        if self._bounded and reading.vdm:
            yield from _of_bounds(self._bounded, reading, gate, live)
        yield from self._fault(reading)

    def _fault(self, reading: Reading) -> Iterator[Finding]:
        for rule in self._other_rules:
            if isinstance(rule.watch, ModuleFault) and reading.module_state:
                yield Finding(rule, 0, reading.module_state == FAULT_STATE)


class GateKeeper:
    """Answers gates for one reading; what is not known is open."""

    __slots__ = ("_by_lane", "_facts", "_reading")

    def __init__(self, reading: Reading, facts: Facts) -> None:
        self._reading = reading
        self._facts = facts
        measured = max(map(len, reading.lanes.values()), default=0)
        # States belong to host lanes; only where media lanes are as many does each have its own.
        self._by_lane = len(reading.data_path_states) == measured

    def closed(self, gates: Iterable[Gate], lane: int) -> Gate | None:
        """The first gate that is shut for this lane (0: the port), None when the rule may judge."""
        return next((gate for gate in gates if self._shut(gate, lane)), None)

    def _shut(self, gate: Gate, lane: int) -> bool:
        reading = self._reading
        match gate:
            case Gate.MODULE_READY:
                return reading.module_state not in READY_STATES
            case Gate.DATA_PATH_ACTIVATED:
                states = reading.data_path_states
                if self._by_lane and lane in states:
                    return states[lane] != DATA_PATH_ACTIVATED
                return bool(states) and DATA_PATH_ACTIVATED not in states.values()
            case Gate.TX_ENABLED:
                disabled = reading.tx_disabled
                return disabled.get(lane, False) if lane else bool(disabled) and all(disabled.values())
            case Gate.ADMIN_UP:
                return self._facts.admin_up is False
            case Gate.LINK_UP:
                return self._facts.link_up is False
            case Gate.DIRECT_DETECT:
                return bool(reading.coherent)


def _of_sources(thresholds: Mapping[Quantity, Bounds]) -> Mapping[Quantity, Bounds]:
    """With those of the lasers under their names: a module that is nothing but lasers has them as its own."""
    own = {name: thresholds[under] for name, under in OF_LASERS.items() if under in thresholds}
    return {**own, **thresholds}


def _of_laser(group: Iterable[Watched], laser: Laser, gate: GateKeeper) -> Iterator[Finding]:
    """Its number stands where others have a lane. One that does not shine is another rule's business."""
    lit = laser.state in {"", LIT} and laser.enabled is not False
    for watched in group:
        under = OF_LASERS[watched.quantity]
        value = laser.values.get(under)
        if value is None:
            continue
        for level in watched.levels:
            rule, bound = level.rule, level.rule.bound
            if rule.lanes and laser.laser not in rule.lanes:
                continue
            holds = level.holds(value) if lit else False
            flagged = isinstance(bound, Threshold) and f"{under.name}_{bound.bound}" in laser.flags
            by_flag = lit and flagged and holds is not True
            shut = gate.closed(rule.gates, 0) if by_flag or holds is not False else None
            yield Finding(
                rule,
                laser.laser,
                (True if by_flag else holds) if shut is None else False,
                value,
                level.fire,
                by_flag,
                shut,
            )


def _may_hold(watched: Watched, reading: Reading) -> bool:
    """False when every value lies where no rule holds, and no flag says otherwise."""
    row = reading.lanes.get(watched.quantity)
    if row:
        least, most = min(row.values()), max(row.values())
        beyond = least < watched.low or most > watched.high or most > least * watched.ratio
        flags = reading.lane_flags
        flagged = any((state := flags.get(flag)) is not None and state.active for flag in watched.flags)
    else:
        value = reading.values.get(watched.quantity)
        beyond = value is not None and not watched.low <= value <= watched.high
        flagged = any(reading.flags.get(flag, False) for flag in watched.flags)
    return beyond or flagged


def _of_values(watched: Watched, reading: Reading, gate: GateKeeper) -> Iterator[Finding]:
    row = reading.lanes.get(watched.quantity)
    if row is not None:
        cells: Iterable[tuple[int, float]] = row.items()
        for rule in watched.spreads:
            yield from _of_spread(rule, watched, row, gate)
    else:
        value = reading.values.get(watched.quantity)
        cells = () if value is None else ((0, value),)
    for lane, value in cells:
        for level in watched.levels:
            rule = level.rule
            if rule.lanes and lane not in rule.lanes:
                continue
            holds = level.holds(value)
            by_flag = holds is not True and level.flag is not None and _set(level.flag, lane, reading)
            if by_flag:
                holds = True
            shut = gate.closed(rule.gates, lane) if holds is not False else None
            yield Finding(rule, lane, holds if shut is None else False, value, level.fire, by_flag, shut)


def _set(flag: Flag, lane: int, reading: Reading) -> bool:
    if lane:
        state = reading.lane_flags.get(flag)
        return state is not None and bool(state.active >> (lane - 1) & 1)
    return reading.flags.get(flag, False)


def _of_spread(rule: Rule, watched: Watched, row: Mapping[int, float], gate: GateKeeper) -> Iterator[Finding]:
    if len(row) < 2:
        return
    least, most = min(row.values()), max(row.values())
    by = rule.bound.by if isinstance(rule.bound, Spread) else inf
    if watched.quantity.unit is Unit.WATT:
        # Below the floor nothing can be compared: a dark lane is another rule's business.
        if least <= 0.0:
            yield Finding(rule, 0, None)
            return
        spread = 10.0 * log10(most / least)
    else:
        spread = most / least if least > 0.0 else inf
    holds = True if spread > by else False if spread <= clear_level(rule, by, above=True) else None
    shut = gate.closed(rule.gates, 0) if holds is not False else None
    yield Finding(rule, 0, holds if shut is None else False, spread, by, shut=shut)


def _of_flag(rule: Rule, flag: Flag, reading: Reading, gate: GateKeeper) -> Iterator[Finding]:
    state = reading.lane_flags.get(flag)
    if state is not None:
        for index in range(state.offered.bit_length()):
            lane = index + 1
            if state.offered >> index & 1 and (not rule.lanes or lane in rule.lanes):
                active = bool(state.active >> index & 1)
                shut = gate.closed(rule.gates, lane) if active else None
                yield Finding(rule, lane, active and shut is None, shut=shut)
    elif flag in reading.flags:
        active = reading.flags[flag]
        shut = gate.closed(rule.gates, 0) if active else None
        yield Finding(rule, 0, active and shut is None, shut=shut)


_Bounded = Mapping[str, Sequence[tuple[BoundName, Rule]]]
"""Rules on the module's own thresholds of an observable, by its name."""


def _bounded(rules: Iterable[Rule]) -> _Bounded:
    found: dict[str, list[tuple[BoundName, Rule]]] = {}
    for rule in rules:
        if isinstance(rule.watch, Observable) and isinstance(rule.bound, Threshold):
            for name in rule.watch.names:
                found.setdefault(name, []).append((rule.bound.bound, rule))
    return found


def _of_bounds(rules: _Bounded, reading: Reading, gate: GateKeeper, live: Container[str]) -> Iterator[Finding]:
    for sample in reading.vdm:
        bounds, value, lane = sample.bounds, sample.value, sample.lane
        for bound, rule in rules.get(sample.observable, ()) if bounds else ():
            fire = bounds.get(bound)
            if fire is None or (rule.lanes and lane not in rule.lanes):
                continue
            above = bound.startswith("high")
            beyond = value > fire if above else value < fire
            by_flag = not beyond and bound in sample.flags
            if not (beyond or by_flag or rule.name in live) or not usable(bounds):
                continue
            holds = beyond or by_flag or Level(rule, above, fire, clear_level(rule, fire, above=above)).holds(value)
            shut = gate.closed(rule.gates, lane) if holds is not False else None
            yield Finding(rule, lane, holds if shut is None else False, value, fire, by_flag, shut)


def _samples(watch: Observable, samples: Sequence[VdmSample]) -> dict[int, float]:
    """Lane to the value of the first of the names that it has."""
    found: dict[int, float] = {}
    for name in watch.names:
        for lane, value in vdm.named(samples, name):
            found.setdefault(lane, value)
    return found


def _of_observable(rule: Rule, watch: Observable, reading: Reading, gate: GateKeeper) -> Iterator[Finding]:
    samples = _samples(watch, reading.vdm)
    if isinstance(rule.bound, Outlier):
        yield from _of_outlier(rule, rule.bound, samples, reading, gate)
    elif isinstance(rule.bound, Limit):
        above, fire = rule.bound.above, rule.bound.value
        level = Level(rule, above, fire, clear_level(rule, fire, above=above))
        for lane, value in samples.items():
            if rule.lanes and lane not in rule.lanes:
                continue
            holds = level.holds(value)
            shut = gate.closed(rule.gates, lane) if holds is not False else None
            yield Finding(rule, lane, holds if shut is None else False, value, fire, shut=shut)


NO_LANES: Final[Mapping[int, float]] = {}
NOISE_BER: Final = 1e-12
"""Below this a lane is free of errors whatever its sisters have: ratios of tiny counts mean nothing."""
OUTLIER_BER: Final = 1e-8
"""An outlier below this is harmless: four decades of margin are left."""


def _of_outlier(
    rule: Rule, bound: Outlier, errors: Mapping[int, float], reading: Reading, gate: GateKeeper
) -> Iterator[Finding]:
    power = reading.lanes.get(q.RX_POWER, NO_LANES)
    for lane, value in errors.items():
        sisters = [other for at, other in errors.items() if at != lane]
        lights = [watts for at, watts in power.items() if at != lane]
        if not sisters or not lights or lane not in power:
            continue
        ratio = value / max(median(sisters), NOISE_BER)
        deficit = dbm(median(lights)) - dbm(power[lane])
        holds = value > OUTLIER_BER and ratio > bound.ratio and deficit >= bound.db
        shut = gate.closed(rule.gates, lane) if holds else None
        yield Finding(rule, lane, holds and shut is None, ratio, bound.ratio, shut=shut)


def _of_counter(
    rule: Rule, watch: FecCounter, reading: Reading, before: Mapping[str, int], gate: GateKeeper
) -> Iterator[Finding]:
    names = [name for name in reading.fec if watch.part in name and name in before]
    if not names:
        return
    grown = sum(growth(before[name], reading.fec[name]) for name in names)
    shut = gate.closed(rule.gates, 0) if grown else None
    yield Finding(rule, 0, grown > 0 and shut is None, float(grown), 0.0, shut=shut)


def growth(before: int, now: int) -> int:
    """How far a counter grew; one that fell began anew and shows what came since."""
    return now - before if now >= before else now
