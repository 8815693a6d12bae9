"""Why a link fell: what the module said before and after, against a table of causes. Pure.

The table is documented in docs/alerts.md; the first row that holds names the cause, with its reasons.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from statistics import median
from typing import Final, NamedTuple

from agent import quantities as q
from agent.alerts.text import rfc3339
from agent.model import Bounds, DownCause, Reading
from agent.quantities import Quantity, dbm

FELL_DB: Final = 3.0
"""Half of the light: more than any drift within minutes."""
DECLINE_DB: Final = 1.0
"""Lost slowly before the event: more than noise and temperature move it within the hour."""
BIAS_UP: Final = 0.3
BIAS_DOWN: Final = 0.5
HEATED_C: Final = 10.0
FLAG_S: Final = 10.0
"""Flags seen this long before the event may belong to it: a poll may be that late."""


class Cause(Enum):
    """The rows of the table; the value is the `cause` of messages."""

    ADMIN = "admin"
    CORRELATED = "correlated"
    MODULE_REMOVED = "module removed"
    MODULE = "module"
    THERMAL = "thermal"
    HOST = "host side"
    LOCAL_LASER = "local laser"
    DIRT = "dirt or connector"
    REMOTE_ALL = "remote laser or fibre, all lanes"
    REMOTE_ONE = "remote laser or fibre, one lane"
    REMOTE_LASER = "remote laser"
    FIBRE = "fibre"
    REMOTE_SIGNAL = "signal of the far end"
    UNKNOWN = ""


class Seen(NamedTuple):
    """A flag that was seen set. `lane` 0 is the module; `time` Unix seconds."""

    flag: str
    lane: int
    time: float


@dataclass(frozen=True, slots=True)
class Shot:
    """A module at one moment: what the table looks at. Watts, amperes, degrees Celsius, Unix seconds."""

    time: float
    temperature: float | None = None
    rx: Mapping[int, float] = field(default_factory=dict[int, float])
    tx: Mapping[int, float] = field(default_factory=dict[int, float])
    bias: Mapping[int, float] = field(default_factory=dict[int, float])
    module_state: str = ""

    @classmethod
    def of(cls, reading: Reading) -> "Shot":
        """What a reading shows."""
        lanes = reading.lanes
        return cls(
            reading.time,
            reading.values.get(q.TEMPERATURE),
            lanes.get(q.RX_POWER, {}),
            lanes.get(q.TX_POWER, {}),
            lanes.get(q.TX_BIAS, {}),
            reading.module_state,
        )


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end, when it is known and read: its transmitters before and after."""

    name: str
    before: Mapping[int, float]
    after: Mapping[int, float]
    faults: tuple[Seen, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """Everything known of one link event; `time` Unix seconds, shots oldest first."""

    time: float
    down_cause: DownCause = DownCause.UNKNOWN
    before: tuple[Shot, ...] = ()
    after: tuple[Shot, ...] = ()
    flags: tuple[Seen, ...] = ()
    thresholds: Mapping[Quantity, Bounds] = field(default_factory=dict[Quantity, Bounds])
    correlated: str = ""
    """Name of the incident that the port is part of."""
    removed: bool = False
    failed_polls: int = 0
    peer: Peer | None = None
    host_detail: str = ""
    """The driver's own reason, where it gives one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A cause, the lanes it is about ([] means all or none), and why."""

    cause: Cause
    reasons: tuple[str, ...]
    lanes: tuple[int, ...] = ()


class Lanes(NamedTuple):
    """One lane quantity over the case."""

    usual: dict[int, float]
    """Median of the oldest quarter of the samples before it."""
    last: dict[int, float]
    """Right before the event."""
    worst: dict[int, float]
    """The value furthest down after it."""


class Findings:
    """The case worked out: what fell, what rose, which flags came. Rows of the table ask it."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.rx = _lanes(case, lambda shot: shot.rx)
        self.tx = _lanes(case, lambda shot: shot.tx)
        self.bias = _lanes(case, lambda shot: shot.bias)
        since = case.time - FLAG_S
        self.flags: dict[str, set[int]] = {}
        for seen in case.flags:
            if seen.time >= since:
                self.flags.setdefault(seen.flag, set()).add(seen.lane)
        self.rx_fell = self._fell(self.rx) | self.flags.get("rx_los", set())
        self.tx_fell = self._fell(self.tx)
        self.temperatures = [s.temperature for s in (*case.before, *case.after) if s.temperature is not None]

    @staticmethod
    def _fell(lanes: Lanes) -> set[int]:
        return {lane for lane, worst in lanes.worst.items() if _down_db(lanes.usual.get(lane), worst) >= FELL_DB}

    def set_lanes(self, *names: str) -> set[int]:
        """The lanes (0: the module) of these flags."""
        return {lane for name in names for lane in self.flags.get(name, ())}

    def declined(self, lane: int) -> float:
        """DB that a lane had lost slowly before the event, when that is most of what it lost."""
        usual, last, worst = self.rx.usual.get(lane), self.rx.last.get(lane), self.rx.worst.get(lane)
        if usual is None or last is None:
            return 0.0
        slowly = _down_db(usual, last)
        total = max(slowly, _down_db(usual, worst) if worst is not None else slowly)
        return slowly if slowly >= DECLINE_DB and slowly >= 0.5 * total and self._steady(lane) else 0.0

    def _steady(self, lane: int) -> bool:
        """The loss is spread over several samples, not the step of one."""
        series = [dbm(shot.rx[lane]) for shot in self.case.before if lane in shot.rx]
        if len(series) < 4:
            return False
        steps = [a - b for a, b in pairwise(series)]
        return max(steps) < 0.6 * max(max(series) - series[-1], 1e-9)


def _lanes(case: Case, of: Callable[[Shot], Mapping[int, float]]) -> Lanes:
    rows = [(shot.time, of(shot)) for shot in case.before if of(shot)]
    old = [row for _, row in rows[: len(rows) // 4 + 1]]
    usual = {lane: median([row[lane] for row in old if lane in row]) for lane in (old[0] if old else ())}
    last = dict(rows[-1][1]) if rows else {}
    worst: dict[int, float] = {}
    for shot in case.after:
        for lane, value in of(shot).items():
            worst[lane] = min(value, worst.get(lane, value))
    return Lanes(usual, last, worst)


def _down_db(usual: float | None, now: float) -> float:
    """How many dB `now` is below; 0 when the usual is not known or dark itself."""
    return max(0.0, dbm(usual) - dbm(now)) if usual is not None and usual > 0.0 else 0.0


# ---- the rows -------------------------------------------------------------------------------------------------


def _admin(found: Findings) -> Verdict | None:
    if found.case.down_cause is DownCause.ADMIN:
        return Verdict(Cause.ADMIN, ("the port was switched off",))
    return None


def _correlated(found: Findings) -> Verdict | None:
    case = found.case
    if case.correlated or case.down_cause is DownCause.CORRELATED:
        return Verdict(Cause.CORRELATED, (f"many ports of {case.correlated or 'the device'} fell at once",))
    return None


def _removed(found: Findings) -> Verdict | None:
    if found.case.removed or found.case.down_cause is DownCause.MODULE_REMOVED:
        return Verdict(Cause.MODULE_REMOVED, ("the module left its cage",))
    return None


def _module(found: Findings) -> Verdict | None:
    case = found.case
    reasons: list[str] = []
    states = [shot.module_state for shot in case.after if shot.module_state]
    before = next((shot.module_state for shot in reversed(case.before) if shot.module_state), "")
    if "ModuleFault" in states:
        reasons.append("the module is in the state ModuleFault")
    elif before == "ModuleReady" and states and states[0] != "ModuleReady":
        reasons.append(f"the module left ModuleReady for {states[0]}")
    if case.failed_polls >= 2 and not case.after:
        reasons.append(f"the module did not answer ({case.failed_polls} polls)")
    named = ("module_firmware_error", "data_path_firmware_error", "supply_voltage_low_alarm")
    reasons += [f"flag {name}" for name in named if name in found.flags]
    return Verdict(Cause.MODULE, tuple(reasons)) if reasons else None


def _thermal(found: Findings) -> Verdict | None:
    temperatures = found.temperatures
    if not temperatures:
        return None
    bounds = found.case.thresholds.get(q.TEMPERATURE, {})
    alarm, warning = bounds.get("high_alarm"), bounds.get("high_warning")
    hottest = max(temperatures)
    if (alarm is not None and alarm > 0 and hottest >= alarm) or "temperature_high_alarm" in found.flags:
        limit = f" (high alarm {alarm:.0f} degC)" if alarm is not None else ""
        return Verdict(Cause.THERMAL, (f"the module reached {hottest:.1f} degC{limit}",))
    rise = hottest - min(temperatures)
    if warning is not None and warning > 0 and hottest >= warning and rise >= HEATED_C:
        return Verdict(Cause.THERMAL, (f"the module heated by {rise:.0f} K to {hottest:.1f} degC",))
    return None


def _host(found: Findings) -> Verdict | None:
    lost = found.set_lanes("tx_los")
    unlocked = found.set_lanes("tx_cdr_lol")
    if not (lost or unlocked) or found.rx_fell:
        return None
    reasons = [f"no signal from the host on {_named(lost)}"] if lost else []
    if unlocked:
        reasons.append(f"no lock on the host's signal on {_named(unlocked)}")
    reasons.append("the light received did not change")
    return Verdict(Cause.HOST, tuple(reasons), tuple(sorted((lost | unlocked) - {0})))


def _local_laser(found: Findings) -> Verdict | None:
    faults = found.set_lanes("tx_fault")
    reasons = [f"the transmitter reports a fault on {_named(faults)}"] if faults else []
    lanes = set(faults)
    if found.tx_fell:
        lanes |= found.tx_fell
        drops = [_down_db(found.tx.usual[lane], found.tx.worst[lane]) for lane in found.tx_fell]
        reasons.append(f"launched power fell by up to {max(drops):.1f} dB on {_named(found.tx_fell)}")
    for lane, usual in found.bias.usual.items():
        worst = found.bias.worst.get(lane, found.bias.last.get(lane, usual))
        last = max(worst, found.bias.last.get(lane, worst))
        if usual > 0 and (worst < usual * (1 - BIAS_DOWN) or last > usual * (1 + BIAS_UP)):
            lanes.add(lane)
            reasons.append(f"bias of lane {lane} went from {usual * 1e3:.1f} to {worst * 1e3:.1f} mA")
    if not reasons:
        return None
    return Verdict(Cause.LOCAL_LASER, tuple(reasons), tuple(sorted(lanes - {0})))


def _received(found: Findings) -> Verdict | None:
    fell = found.rx_fell
    declined = {lane: loss for lane in found.rx.usual if (loss := found.declined(lane)) > 0}
    if not fell and not declined:
        return None
    if declined and (not fell or set(declined) >= fell - {0}):
        worst = max(declined.values())
        reasons = (f"received power had declined by {worst:.1f} dB on {_named(declined)} before the link fell",)
        return Verdict(Cause.DIRT, reasons, tuple(sorted(declined)))
    measured = set(found.rx.usual) | set(found.rx.worst)
    everywhere = 0 in fell or not measured or fell >= measured
    drops = [_down_db(found.rx.usual.get(lane), found.rx.worst[lane]) for lane in fell if lane in found.rx.worst]
    depth = f" by up to {max(drops):.1f} dB" if drops and max(drops) > 0 else ""
    where = "all lanes" if everywhere else _named(fell)
    reasons = (f"received power fell at once{depth} on {where}",)
    if everywhere and found.case.peer is not None:
        return _other_end(found.case.peer, reasons)
    return Verdict(Cause.REMOTE_ALL if everywhere else Cause.REMOTE_ONE, reasons, tuple(sorted(fell - {0})))


def _other_end(peer: Peer, reasons: tuple[str, ...]) -> Verdict:
    drops = {lane: _down_db(watts, peer.after[lane]) for lane, watts in peer.before.items() if lane in peer.after}
    fell = {lane for lane, drop in drops.items() if drop >= FELL_DB}
    if peer.faults or fell:
        why = f"{peer.name} launches {max(drops.values()):.1f} dB less" if fell else f"{peer.name} reports a fault"
        return Verdict(Cause.REMOTE_LASER, (*reasons, why))
    if drops:
        return Verdict(Cause.FIBRE, (*reasons, f"{peer.name} launches what it did before"))
    return Verdict(Cause.REMOTE_ALL, reasons)


def _signal(found: Findings) -> Verdict | None:
    unlocked = found.set_lanes("rx_cdr_lol")
    if not unlocked:
        return None
    reasons = (f"light is there, but no lock on the signal of {_named(unlocked)}",)
    return Verdict(Cause.REMOTE_SIGNAL, reasons, tuple(sorted(unlocked - {0})))


ROWS: Final[tuple[Callable[[Findings], Verdict | None], ...]] = (
    _admin, _correlated, _removed, _module, _thermal, _host, _local_laser, _received, _signal,
)  # fmt: skip


def classify(case: Case) -> Verdict:
    """The first row of the table that holds."""
    found = Findings(case)
    for row in ROWS:
        verdict = row(found)
        if verdict is not None:
            return verdict
    if not case.after:
        return Verdict(Cause.UNKNOWN, ("the module was not read after the event",))
    reasons = ["nothing changed in the light of this end"]
    if case.host_detail:
        reasons.append(f"the driver says: {case.host_detail}")
    return Verdict(Cause.UNKNOWN, tuple(reasons))


def _named(lanes: Iterable[int]) -> str:
    known = sorted(set(lanes) - {0})
    if not known:
        return "the module"
    return f"lane{'s' if len(known) > 1 else ''} {', '.join(map(str, known))}"


def evidence_of(shots: Sequence[Shot]) -> list[dict[str, object]]:
    """Shots for a message: optical power in dBm, lanes in order."""
    rows: list[dict[str, object]] = []
    for shot in shots:
        row: dict[str, object] = {"time": rfc3339(shot.time)}
        if shot.temperature is not None:
            row["temperature_celsius"] = round(shot.temperature, 2)
        for key, values in (("rx_power_dbm", shot.rx), ("tx_power_dbm", shot.tx)):
            if values:
                row[key] = [round(dbm(values[lane]), 2) for lane in sorted(values)]
        if shot.bias:
            row["tx_bias_amperes"] = [round(shot.bias[lane], 6) for lane in sorted(shot.bias)]
        if shot.module_state:
            row["module_state"] = shot.module_state
        rows.append(row)
    return rows
