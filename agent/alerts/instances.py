"""Where one rule stands on one lane: waiting, firing, waiting to resolve. Pure: time is an argument."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Final

from agent.alerts.builtin import DAY_S
from agent.alerts.judging import Facts, Finding, Judge
from agent.alerts.rules import Count, FecCounter, Gate, Happening, LaserFault, ModuleFault, Observable, Rule
from agent.clock import Instant
from agent.model import AlertEvent, AlertModule, LinkEvent, Module, Reading
from agent.quantities import Flag, Quantity

FLAP_MEMORY: Final = 4096
"""Flaps kept a port: more than this in 24 hours are a broken link whatever their number."""
LOST_S: Final = 600.0
"""An alert on a value that is not measured any more, or that nothing confirms after a restart, ends after this."""

Key = tuple[str, int]


@dataclass(slots=True)
class Instance:
    """One rule on one lane of one port while it is not plainly quiet."""

    rule: Rule
    lane: int
    since: float
    """Since when it holds (monotonic)."""
    seen: float
    """When it was last judged (monotonic)."""
    fired: Instant | None = None
    clear_since: float | None = None
    beyond: bool = True
    """The last verdict was that it holds (not: somewhere between its firing and its clear level)."""
    counted: bool = False
    """Its onset was counted for correlation."""
    hidden_at: float = -inf
    """When another one last spoke for it: what a reading says it has to say again after that."""
    held_until: float | None = None
    """Waiting for company until then."""
    expires: float = inf
    """Ends then unless something confirms it: it was taken over from an earlier run."""
    value: float | None = None
    threshold: float | None = None
    by_flag: bool = False
    ended: str | None = None
    """Why it ended ('' when its condition is simply over); it is purged once that was said."""
    cause: str = ""
    evidence: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def firing(self) -> bool:
        return self.fired is not None and self.ended is None

    def wakes(self) -> float:
        """When time alone changes it (monotonic), infinity when only news does."""
        if self.fired is None:
            return inf
        at = self.expires
        if self.clear_since is not None:
            at = min(at, self.clear_since + self.rule.hold_off_s)
        if self.rule.lifetime_s:
            at = min(at, self.fired.monotonic + self.rule.lifetime_s)
        if self.held_until is not None:
            at = min(at, self.held_until)
        return at

    def age(self, now: float) -> None:
        """End what ends by time alone."""
        if not self.firing:
            return
        if self.clear_since is not None and now - self.clear_since >= self.rule.hold_off_s:
            self.ended = ""
        elif self.fired and self.rule.lifetime_s and now - self.fired.monotonic >= self.rule.lifetime_s:
            self.ended = "this is news, not a state"
        elif now >= self.expires:
            self.ended = "nothing confirms it since the restart"


@dataclass(slots=True)
class Port:
    """What the engine remembers of one port."""

    device: str
    name: str
    judge: Judge | None = None
    thresholds: object = None
    """Those that `judge` was made for, to be recognised by identity."""
    facts: Facts = field(default_factory=Facts)
    live: dict[Key, Instance] = field(default_factory=dict[Key, Instance])
    measured: int = 0
    """How many of `live` are judged with every reading."""
    shown: dict[Key, AlertEvent] = field(default_factory=dict[Key, AlertEvent])
    flaps: deque[float] = field(default_factory=lambda: deque[float](maxlen=FLAP_MEMORY))
    waiting: list[LinkEvent] = field(default_factory=list[LinkEvent])
    """Link events whose message waits for the decision on their alert."""
    module: Module = field(default_factory=Module)
    alert_module: AlertModule = field(default_factory=AlertModule)
    serial: str = ""
    vdm: object = ()
    lasers: object = ()
    host: Mapping[Quantity, int] = field(default_factory=dict[Quantity, int])
    """What the host's side of the port counted when it was last asked."""
    fec: Mapping[str, int] = field(default_factory=dict[str, int])
    last: Reading | None = None
    calm: bool = False
    """No rule on flags could hold with those of `last`."""
    had_module: bool = False
    failures: int = 0
    wakes: float = inf
    """When the engine looks at it again without being asked."""

    def step(
        self,
        finding: Finding,
        at: Instant,
        *,
        cause: str = "",
        evidence: Mapping[str, object] | None = None,
        shut_means: str = "",
    ) -> bool:
        """Take one verdict. True when what fires, or when something ends by itself, may have changed."""
        rule = finding.rule
        key = (rule.name, finding.lane)
        instance = self.live.get(key)
        if instance is None:
            if finding.holds is not True:
                return False
            instance = self.live[key] = Instance(rule, finding.lane, since=at.monotonic, seen=at.monotonic)
            self.measured += by_reading(rule)
        instance.seen, instance.expires = at.monotonic, inf
        if finding.value is not None:
            instance.value, instance.threshold = finding.value, finding.threshold
        instance.beyond = finding.holds is True
        if finding.holds is True:
            return _held(instance, finding, at, cause=cause, evidence=evidence)
        if instance.fired is None:
            self.drop(key)
            return False
        if finding.holds is None:
            instance.clear_since = None
            return False
        if finding.shut is not None or not rule.hold_off_s:
            instance.ended = shut_means or SHUT_MEANS.get(finding.shut, "")
            return True
        if instance.clear_since is None:
            instance.clear_since = at.monotonic
            return True
        instance.age(at.monotonic)
        return instance.ended is not None

    def drop(self, key: Key) -> None:
        """Forget an instance."""
        instance = self.live.pop(key, None)
        if instance is not None:
            self.measured -= by_reading(instance.rule)

    def end_measured(self, why: str) -> None:
        """End everything that readings of the module drive: the module is not the same any more."""
        for key, instance in list(self.live.items()):
            if isinstance(instance.rule.watch, Happening):
                continue
            if instance.fired is None:
                self.drop(key)
            else:
                instance.ended = why

    def lose(self, now: float) -> bool:
        """End what readings do not speak of any more. True when there was any."""
        lost = False
        for instance in self.live.values():
            if isinstance(instance.rule.watch, Quantity | Flag) and now - instance.seen > LOST_S:
                instance.ended = "it is not measured any more"
                lost = True
        return lost

    def hides(self) -> bool:
        """True when something that readings drive fires and is not shown: this reading may bring it up."""
        return any(
            instance.firing and key not in self.shown and not isinstance(instance.rule.watch, Happening)
            for key, instance in self.live.items()
        )

    def flap_findings(self, rules: Iterable[Rule], now: float) -> list[Finding]:
        """The ladder of flap counts."""
        while self.flaps and now - self.flaps[0] >= DAY_S:
            self.flaps.popleft()
        findings: list[Finding] = []
        for rule in rules:
            if isinstance(rule.bound, Count):
                windows = rule.bound.windows
                met = [count for count, seconds in windows if self._flapped(count, seconds, now)]
                need = met[0] if met else windows[0][0]
                findings.append(Finding(rule, 0, bool(met), float(len(self.flaps)), float(need)))
        return findings

    def _flapped(self, count: int, seconds: float, now: float) -> bool:
        return len(self.flaps) >= count and now - self.flaps[-count] < seconds

    def flap_wakes(self, rules: Iterable[Rule], now: float) -> float:
        """When the next count falls below its rule."""
        ends = [
            self.flaps[-count] + seconds
            for rule in rules
            if isinstance(rule.bound, Count)
            for count, seconds in rule.bound.windows
            if self._flapped(count, seconds, now)
        ]
        return min(ends, default=inf)


def _held(
    instance: Instance, finding: Finding, at: Instant, *, cause: str, evidence: Mapping[str, object] | None
) -> bool:
    instance.clear_since = None
    instance.by_flag = finding.by_flag
    if instance.fired is not None or at.monotonic - instance.since < instance.rule.for_s:
        return False
    instance.fired = at
    instance.cause = cause or instance.rule.cause
    if evidence is not None:
        instance.evidence = evidence
    return True


def by_reading(rule: Rule) -> bool:
    """True when every reading judges the rule."""
    return isinstance(rule.watch, Quantity | Flag | Observable | FecCounter | ModuleFault | LaserFault)


SHUT_MEANS: Final[Mapping[Gate | None, str]] = {
    Gate.MODULE_READY: "the module is not ready",
    Gate.DATA_PATH_ACTIVATED: "the data path is not activated",
    Gate.TX_ENABLED: "the transmitter is switched off",
    Gate.ADMIN_UP: "the port is administratively down",
    Gate.LINK_UP: "the link is down",
    Gate.DIRECT_DETECT: "the module is coherent",
}


def visible(port: Port, rung: Mapping[str, int], now: float) -> dict[Key, Instance]:
    """What of the firing instances is worth showing: the top of each ladder, nothing new that another implies."""
    firing = {key: instance for key, instance in port.live.items() if instance.firing}
    if len(firing) < 2:
        return firing
    top: dict[tuple[str, int], Instance] = {}
    for instance in firing.values():
        if ladder := instance.rule.ladder:
            best = top.get((ladder, instance.lane))
            if best is None or rung[best.rule.name] < rung[instance.rule.name]:
                top[ladder, instance.lane] = instance
    lanes: dict[str, set[int]] = {}
    for name, lane in firing:
        lanes.setdefault(name, set()).add(lane)
    shown: dict[Key, Instance] = {}
    for key, instance in firing.items():
        if instance.rule.ladder and top[instance.rule.ladder, instance.lane] is not instance:
            continue
        implied = any(_implies(lanes.get(name, set()), instance.lane) for name in instance.rule.implied_by)
        # What was said before what implies it stays: taking it back would be one more message.
        if implied and key not in port.shown:
            instance.hidden_at = now
        else:
            shown[key] = instance
    return shown


def _implies(lanes: set[int], lane: int) -> bool:
    return bool(lanes) and (lane == 0 or 0 in lanes or lane in lanes)
