"""The alert engine: readings and events in, transitions out. Pure: no clock, no I/O; time is an argument.

Each rule on each lane of each port is one `Instance`: it waits (`for`), fires, waits (`hold_off`), resolves.
What fires is not always shown (`agent.alerts.showing`): a higher rung of its ladder, a rule that implies it or
an incident of many ports may speak for it. Only what is shown makes transitions. They come out without `id`,
`seq` and `boot_id`, which `agent.alerts.book` gives.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Final

from agent.alerts.causes import Shot, evidence_of
from agent.alerts.instances import Port
from agent.alerts.judging import Facts, Finding, GateKeeper, Judge, growth
from agent.alerts.levels import clear_level
from agent.alerts.rules import Count, FecCounter, Figure, Gate, Happening, Limit, Rule
from agent.alerts.showing import Showing
from agent.alerts.text import alert_module
from agent.clock import Instant
from agent.model import (
    MODULE_BUSY,
    AlertEvent,
    DownCause,
    HostCounters,
    LinkEvent,
    Module,
    ModuleChange,
    ModuleEvent,
    PollFailed,
    Reading,
)

NO_LANES: Final[Mapping[int, float]] = {}
QUIET: Final[list[AlertEvent]] = []
PULLED_S: Final = 10.0
"""A link falls at once when its module is pulled; that it is gone is known some polls later."""
MOST_KINDS: Final = 1024
"""Sets of thresholds that are kept compiled."""
INTENDED: Final = frozenset({DownCause.ADMIN, DownCause.MODULE_REMOVED, DownCause.CORRELATED})


class Alerts:
    """All rules over all ports of all devices."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._showing: Final = Showing()
        self._judges: dict[object, Judge] = {}
        self._use(rules)

    def _use(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._judges.clear()
        self._showing.use(rules)
        self._on = {event: tuple(rule for rule in self._rules if rule.watch is event) for event in Happening}
        self._figures = tuple(rule for rule in self._rules if isinstance(rule.watch, Figure))

    # ---- what happens -------------------------------------------------------------------------------------

    def judge(self, reading: Reading, at: Instant) -> list[AlertEvent]:
        """A good reading of a port. `QUIET` is nearly always the answer: nothing to say, and no deadline moved."""
        port = self._port(reading.device, reading.port)
        judge = port.judge
        if judge is None or port.thresholds is not reading.thresholds:
            judge = self._compiled(port, reading)
        if reading.module is not port.module:
            _meet(port, reading.module)
        if reading.engine:  # of the whole engine: judged once, at its own port
            reading = replace(reading, values={}, flags={})
        before, port.last = port.last, reading
        # A plan hands the same flags out again until one changes.
        if not (before and reading.flags is before.flags and reading.lane_flags is before.lane_flags):
            port.calm = judge.calm(reading)
        news = reading.vdm is not port.vdm or reading.lasers is not port.lasers or bool(reading.fec)
        if port.had_module and not port.failures and not port.measured and port.calm and judge.quiet(reading):
            if not news:
                return QUIET
            findings = judge.slow_findings(reading, port.facts, port.fec)
        else:
            live = {name for name, _ in port.live}
            findings = judge.findings(reading, port.facts, port.fec, live=live, observables=news)
        at = Instant(at.monotonic, reading.time)
        changed = self._readable(port, at)
        for finding in findings:
            changed |= port.step(finding, at)
        port.vdm, port.lasers, port.fec = reading.vdm, reading.lasers, reading.fec
        changed |= bool(port.measured) and (port.lose(at.monotonic) or port.hides())
        return self._showing.settle(port, at) if changed else []

    def poll_failed(self, event: PollFailed, at: Instant) -> list[AlertEvent]:
        """A poll gave no reading."""
        port = self._port(event.device, event.port)
        if not event.present:
            return self._gone(port, at)
        if event.trouble.reason == MODULE_BUSY:
            return []
        port.failures += 1
        why = event.trouble.detail or event.trouble.reason
        changed = False
        for rule in self._on[Happening.MODULE_UNREADABLE]:
            need = rule.bound.windows[0][0] if isinstance(rule.bound, Count) else 1
            finding = Finding(rule, 0, port.failures >= need, float(port.failures), float(need))
            changed |= port.step(finding, at, cause=why)
        return self._showing.settle(port, at) if changed else []

    def module_event(self, event: ModuleEvent, at: Instant) -> list[AlertEvent]:
        """A module came, went or was exchanged."""
        port = self._port(event.device, event.port)
        if event.change is ModuleChange.REMOVED:
            return self._gone(port, at)
        serial = event.module.get("serial_number", "")
        swapped = event.change is ModuleChange.SWAPPED or (bool(port.serial) and serial != port.serial)
        if swapped:  # one that comes alone is the same as before a restart or a reload, or had all ended as it went
            port.end_measured("the module was exchanged")
        self._readable(port, at)
        for rule in self._on[Happening.MODULE_SWAPPED] if swapped else ():
            port.step(Finding(rule, 0, holds=False), at)
        out = self._showing.settle(port, at)
        if swapped:
            previous = alert_module(event.previous) or {"serial_number": port.serial}
            evidence: dict[str, object] = {"previous": previous, "present": alert_module(event.module)}
            for rule in self._on[Happening.MODULE_SWAPPED]:
                port.step(Finding(rule, 0, holds=True), at, evidence=evidence)
        _meet(port, event.module)
        port.serial = serial
        return out + self._showing.settle(port, at)

    def link_state(self, device: str, name: str, *, up: bool, admin_up: bool, at: Instant) -> list[AlertEvent]:
        """The link as it is, without an edge (start, resync, administrative change)."""
        port = self._port(device, name)
        self._note_link(port, up=up, admin_up=admin_up)
        changed = False
        shut = None if admin_up else Gate.ADMIN_UP
        for rule in self._on[Happening.LINK_DOWN]:
            if up or not admin_up:
                changed |= port.step(Finding(rule, 0, holds=False, shut=shut), at)
            elif known := port.live.get((rule.name, 0)):
                known.expires = inf
        if not admin_up:
            for rule in self._on[Happening.MODULE_ABSENT]:
                changed |= port.step(Finding(rule, 0, holds=False, shut=shut), at)
        return self._showing.settle(port, at) if changed else []

    def link_event(self, event: LinkEvent, at: Instant) -> list[AlertEvent]:
        """One edge of a link. Each makes at least one message: of an alert, or of the rule `link`."""
        port = self._port(event.device, event.port)
        intended = event.cause in INTENDED or port.facts.admin_up is False
        self._note_link(port, up=event.up, admin_up=port.facts.admin_up)
        out = self._showing.settle(port, at, hurry=True) if port.waiting else []
        edge = Instant(event.monotonic, event.time)
        if event.cause is DownCause.UNINTENTIONAL and not intended:
            port.flaps.extend([event.monotonic] * _downs(event))
        evidence: dict[str, object] = {"down_cause": event.cause.value, "unseen_transitions": event.unseen}
        if port.last is not None:
            evidence["before"] = evidence_of([Shot.of(port.last)])
        port.fec, port.host = {}, {}  # what a link counts while it is down and trains is no error of its own
        for rule in self._on[Happening.LINK_DOWN]:
            port.step(Finding(rule, 0, not event.up and not intended), edge, evidence=evidence)
        for finding in port.flap_findings(self._on[Happening.LINK_FLAP], event.monotonic):
            port.step(finding, edge)
        port.waiting.append(event)
        return out + self._showing.settle(port, Instant(at.monotonic, event.time))

    def host_counters(self, event: HostCounters, at: Instant) -> list[AlertEvent]:
        """What the host's side of a port counts."""
        port = self._port(event.device, event.port)
        before, port.host = port.host, event.counters
        changed = False
        for rule in self._rules:
            if isinstance(rule.watch, FecCounter) and before:
                part = rule.watch.part
                names = [name for name in event.counters if part in name.name and name in before]
                grown = sum(growth(before[name], event.counters[name]) for name in names)
                holds = grown > 0 and port.facts.link_up is not False and port.facts.admin_up is not False
                changed |= port.step(Finding(rule, 0, holds, float(grown), 0.0), at)
        return self._showing.settle(port, at) if changed else []

    def forget(self, device: str, name: str, at: Instant) -> list[AlertEvent]:
        """Nobody asks for this port any more: its alerts end."""
        port = self._port(device, name)
        for instance in port.live.values():
            instance.ended = "nobody asks for this port any more"
        port.flaps.clear()
        out = self._showing.settle(port, at)
        if port.had_module or port.facts.link_up is not None:
            self._showing.used[device] -= 1
        del self._showing.ports[device, name]
        return out

    def figures(
        self, device: str, name: str, figures: Mapping[str, Mapping[int, float]], at: Instant
    ) -> list[AlertEvent]:
        """Figures of the baseline: name to lane to value. One that is left out is not known any more."""
        port = self._port(device, name)
        changed = False
        gate = GateKeeper(port.last, port.facts) if port.last is not None else None
        for rule in self._figures:
            lanes = figures.get(rule.watch.name, NO_LANES) if isinstance(rule.watch, Figure) else NO_LANES
            for finding in _of_figure(rule, lanes):
                shut = gate.closed(rule.gates, finding.lane) if gate is not None else None
                changed |= port.step(finding if shut is None else finding._replace(holds=False, shut=shut), at)
            for known, lane in list(port.live):
                if known == rule.name and lane not in lanes:
                    changed |= port.step(Finding(rule, lane, holds=False), at)
        return self._showing.settle(port, at) if changed else []

    def tick(self, at: Instant) -> list[AlertEvent]:
        """Time passed: call it when `next_deadline` is reached (a late or extra call does no harm)."""
        out: list[AlertEvent] = []
        for port in self._showing.due(at.monotonic):
            for instance in port.live.values():
                instance.age(at.monotonic)
            for finding in port.flap_findings(self._on[Happening.LINK_FLAP], at.monotonic):
                port.step(finding, at)
            out += self._showing.settle(port, at)
        return out + self._showing.tell_incidents(at)

    def next_deadline(self) -> float:
        """Monotonic time of the next `tick` that may say something; infinity when none is due."""
        return self._showing.next_deadline()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force."""
        return self._rules

    def replace_rules(self, rules: Sequence[Rule], at: Instant) -> list[AlertEvent]:
        """Other rules from now on; what fires under a rule that stays goes on firing."""
        self._use(rules)
        out: list[AlertEvent] = []
        kept = {(rule.name, rule.watch): rule for rule in self._rules}
        for port in self._showing.ports.values():
            port.judge = None
            for instance in port.live.values():
                rule = kept.get((instance.rule.name, instance.rule.watch))
                if rule is not None:
                    instance.rule = rule
                else:
                    instance.ended = "its rule was removed"
            out += self._showing.settle(port, at)
        return out

    # ---- what is known ------------------------------------------------------------------------------------

    def active(self) -> Iterator[AlertEvent]:
        """The messages of all alerts that fire and are shown."""
        return self._showing.active()

    def set_groups(self, groups: Mapping[tuple[str, str], frozenset[str]]) -> None:
        """Ports that share an engine, a bus or a laser: (device, name of the group) to its ports."""
        self._showing.correlator.set_groups(groups)

    @property
    def showing(self) -> Showing:
        """What is shown, for those that keep it over a restart."""
        return self._showing

    def ports(self) -> Iterator[Port]:
        """What is remembered of each port (to be kept over a restart)."""
        return iter(self._showing.ports.values())

    def port(self, device: str, name: str) -> Port:
        """What is remembered of one port, made when it is new."""
        return self._port(device, name)

    def _port(self, device: str, name: str) -> Port:
        port = self._showing.ports.get((device, name))
        if port is None:
            port = self._showing.ports[device, name] = Port(device, name)
        return port

    def _compiled(self, port: Port, reading: Reading) -> Judge:
        """The rules for these thresholds; modules of one kind share them."""
        port.thresholds = reading.thresholds
        port.last = None
        kind = tuple((quantity, tuple(sorted(bounds.items()))) for quantity, bounds in reading.thresholds.items())
        judge = port.judge = self._judges.get(kind) or Judge(self._rules, reading.thresholds)
        if len(self._judges) >= MOST_KINDS:
            self._judges.clear()
        self._judges[kind] = judge
        return judge

    def _readable(self, port: Port, at: Instant) -> bool:
        """A module is in the cage and answers."""
        if port.had_module and not port.failures:
            return False
        if not port.had_module:
            self._count(port, module=True)
        port.failures = 0
        changed = False
        for event in (Happening.MODULE_ABSENT, Happening.MODULE_UNREADABLE):
            for rule in self._on[event]:
                changed |= port.step(Finding(rule, 0, holds=False), at)
        return changed

    def _gone(self, port: Port, at: Instant) -> list[AlertEvent]:
        if not port.had_module:
            return []  # an empty cage is no news
        self._count(port, module=False)
        port.end_measured("the module is gone")
        while port.flaps and at.monotonic - port.flaps[-1] <= PULLED_S:
            port.flaps.pop()  # the link fell with its module: that is no flap
        for finding in port.flap_findings(self._on[Happening.LINK_FLAP], at.monotonic):
            port.step(finding, at)
        port.failures, port.last, port.judge, port.vdm, port.lasers, port.fec = 0, None, None, (), (), {}
        for rule in self._on[Happening.MODULE_UNREADABLE]:
            port.step(Finding(rule, 0, holds=False), at)
        if port.facts.admin_up is not False:
            for rule in self._on[Happening.MODULE_ABSENT]:
                port.step(Finding(rule, 0, holds=True), at)
        return self._showing.settle(port, at)

    def _note_link(self, port: Port, *, up: bool, admin_up: bool | None) -> None:
        if port.facts.link_up is None and not port.had_module:
            self._showing.used[port.device] = self._showing.used.get(port.device, 0) + 1
        port.facts = Facts(admin_up, up)

    def _count(self, port: Port, *, module: bool) -> None:
        port.had_module = module
        if port.facts.link_up is None:
            self._showing.used[port.device] = self._showing.used.get(port.device, 0) + (1 if module else -1)


def _meet(port: Port, module: Module) -> None:
    port.module = module
    port.alert_module = alert_module(module)
    port.serial = module.get("serial_number", "")


def _downs(event: LinkEvent) -> int:
    """How often the link went down in this edge and the transitions before it that nobody saw."""
    return (event.unseen + (1 if event.up else 2)) // 2


def _of_figure(rule: Rule, lanes: Mapping[int, float]) -> Iterator[Finding]:
    if not isinstance(rule.bound, Limit):
        return
    limit, above = rule.bound.value, rule.bound.above
    clear = clear_level(rule, limit, above=above)
    for lane, value in lanes.items():
        beyond = value > limit if above else value < limit
        back = value <= clear if above else value >= clear
        yield Finding(rule, lane, True if beyond else False if back else None, value, limit)
