"""Links and their flaps: observations go in; edges, counters and causes come out. Pure: time is an argument.

A source of any kind (kernel netlink, SNMP, simulated) says what it saw; nothing here asks where it came from:

    tracker.observe(Observation(up=True), time=unix, monotonic=clock)

A flap is an unintended transition to down of a port that was up and administratively up. Two edges between two
observations leave a trace in the source's own counters (`carrier_up_count`, `carrier_down_count`) or its mark of
the last change (`ifLastChange`): they are counted as `unseen` edges of the next event.

A down event is counted under its cause once that is settled: for `SETTLE_S` others may still learn that a module
was pulled or that half the device fell at once (`set_cause`), and a counter that was moved later would fall.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from agent.model import DownCause, Link, LinkEvent
from agent.state import LinkState

CORRELATION_PORTS: Final = 3
"""A device with fewer links has nothing that could be called device-wide."""
SETTLE_S: Final = 2.5
"""How long the cause of a down event stays open: the window, and time to decide."""
REMOVAL_S: Final = 0.5
"""The kernel closes an interface right before it removes it: an administrative down this young is then none."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a source saw of one link, at one moment."""

    up: bool
    """Operational: carries frames."""
    admin_up: bool = True
    carrier_up_count: int | None = None
    carrier_down_count: int | None = None
    """The source's own counters of edges, where it has them."""
    mark: int | None = None
    """Anything that differs after every change of `up` (`ifLastChange`), where the source has it."""
    if_index: int = 0
    epoch: str = ""
    """Differs when counters and marks start anew (boot id of a kernel, boots of an SNMP engine)."""
    changed: float | None = None
    """Unix seconds of the last change, where the source knows better than "just now"."""
    polled: bool = False
    """Seen by asking now and then: an administrative bounce in between would not have been noticed."""
    info: Link = field(default_factory=Link)
    """Names, for display."""

    def comparable(self, earlier: "Observation") -> bool:
        """Whether counters and mark of both are of one series."""
        return self.epoch == earlier.epoch and self.if_index == earlier.if_index

    @property
    def counts(self) -> bool:
        """Whether the source would have noticed an edge between two observations."""
        return self.mark is not None or (self.carrier_up_count is not None and self.carrier_down_count is not None)

    def edges_since(self, earlier: "Observation") -> int:
        """How many edges the source counted since `earlier`; 0 where it cannot tell."""
        if (
            self.carrier_up_count is not None
            and self.carrier_down_count is not None
            and earlier.carrier_up_count is not None
            and earlier.carrier_down_count is not None
        ):
            ups = self.carrier_up_count - earlier.carrier_up_count
            downs = self.carrier_down_count - earlier.carrier_down_count
            return ups + downs if ups >= 0 and downs >= 0 else 0  # counters set back: nothing can be told
        if self.mark is not None and earlier.mark is not None and self.mark != earlier.mark:
            return 1 if self.up != earlier.up else 2
        return 0


@dataclass(slots=True)
class _Pending:
    """Down events whose cause may still change until `deadline` (monotonic)."""

    count: int
    cause: DownCause
    since: float
    deadline: float


@dataclass(frozen=True, slots=True)
class SavedLink:
    """What survives a restart of one link. `monotonic` is only good within the same boot of this host."""

    state: LinkState
    seen: Observation
    time: float
    monotonic: float


class LinkTracker:
    """The link of one port: its state, counters and the causes of its downs."""

    def __init__(self, device: str, port: str, *, saved: SavedLink | None = None, same_boot: bool = False) -> None:
        self.device = device
        self.port = port
        self.state = LinkState()
        self.module_present: bool | None = None
        """None until somebody says whether there is a module."""
        self._last: Observation | None = None
        self._restored = saved is not None
        self._seen_monotonic = saved.monotonic if saved is not None else 0.0
        self._lead = 0
        """An edge that the counters show already and the state not yet."""
        self._pending: deque[_Pending] = deque()
        if saved is not None:
            self.state = saved.state
            self._last = saved.seen
            if self.state.up_since is not None and not same_boot:  # the clock began anew
                self.state.up_seconds = self.state.up_seconds_at(saved.monotonic)
                self.state.up_since = None

    @property
    def pending(self) -> bool:
        """True while the cause of some down event is open."""
        return bool(self._pending)

    def observe(
        self, seen: Observation, *, time: float, monotonic: float, settle_s: float = SETTLE_S
    ) -> list[LinkEvent]:
        """Take an observation; returns the edges, in order. `time` Unix seconds, `monotonic` for intervals."""
        last, restored = self._last, self._restored
        self._last, self._restored = seen, False
        gap_since, self._seen_monotonic = self._seen_monotonic, monotonic
        state = self.state
        state.admin_up = seen.admin_up
        state.info = seen.info
        if last is None:
            self._adopt(seen, monotonic)
            return []
        if restored:
            vouched = seen.comparable(last) and seen.counts and not seen.edges_since(last)
            if not vouched or state.up_since is None:
                self._resume(gap_since, monotonic)
            if seen.epoch != last.epoch:  # this host or the device was started anew: no event of the link
                self._adopt(seen, monotonic)
                return []
        edges = self._edges(last, seen)
        if not edges:
            return []
        return self._take(last, seen, edges, time=time, monotonic=monotonic, settle_s=settle_s, restored=restored)

    def removed(self, *, time: float, monotonic: float, settle_s: float = SETTLE_S) -> list[LinkEvent]:
        """The interface is gone (driver unloaded, card lost): down, and nobody can say who wanted it."""
        for pending in self._pending:
            if pending.cause is DownCause.ADMIN and monotonic - pending.since <= REMOVAL_S:
                pending.cause = DownCause.UNKNOWN
        last = self._last
        if last is None:
            return []
        gone = Observation(up=False, admin_up=last.admin_up, epoch=last.epoch, info=self.state.info)
        self._lead = 0
        events: list[LinkEvent] = []
        if last.up:
            events = self._take(
                last, gone, 1, time=time, monotonic=monotonic, settle_s=settle_s, cause=DownCause.UNKNOWN
            )
        self._last = gone
        return events

    def set_cause(self, cause: DownCause, *, since: float = 0.0) -> int:
        """Give the open, unintended downs from `since` (monotonic) on another cause; returns how many that were."""
        changed = 0
        for pending in self._pending:
            if pending.since >= since and pending.cause in _REVISABLE and pending.cause is not cause:
                pending.cause = cause
                changed += pending.count
        return changed

    def module(self, *, present: bool) -> None:
        """Whether there is a module in the cage: a link that falls without one, or shortly before, is explained."""
        if not present and self.module_present is not False:
            self.set_cause(DownCause.MODULE_REMOVED)
        self.module_present = present

    def settle(self, monotonic: float) -> bool:
        """Count the down events whose cause is final now; True when there were any."""
        settled = [pending for pending in self._pending if pending.deadline <= monotonic]
        if settled:
            self._pending = deque(pending for pending in self._pending if pending.deadline > monotonic)
        for pending in settled:
            self.state.down_events[pending.cause] += pending.count
        return bool(settled)

    def park(self) -> None:
        """Nobody watches from here on; what happens until the next observation counts as after a restart."""
        for pending in self._pending:
            self.state.down_events[pending.cause] += pending.count
        self._pending.clear()
        self._restored = self._last is not None

    def save(self, *, time: float, monotonic: float) -> SavedLink | None:
        """What a later run needs; None before the first observation. Open causes are saved as they stand."""
        if self._last is None:
            return None
        state = LinkState(
            up=self.state.up,
            admin_up=self.state.admin_up,
            last_change=self.state.last_change,
            transitions=self.state.transitions,
            down_events=self.state.down_events.copy(),
            up_seconds=self.state.up_seconds,
            up_since=self.state.up_since,
            info=self.state.info,
        )
        for pending in self._pending:
            state.down_events[pending.cause] += pending.count
        return SavedLink(state, self._last, time, self._seen_monotonic if self._restored else monotonic)

    def _adopt(self, seen: Observation, monotonic: float) -> None:
        """Take over a state that has no history."""
        self.state.up = seen.up
        if not seen.up:
            self.state.up_since = None
        elif self.state.up_since is None:
            self.state.up_since = monotonic
        if seen.changed is not None:
            self.state.last_change = seen.changed

    def _edges(self, last: Observation, seen: Observation) -> int:
        """How many edges lie between the two; the parity always fits their states."""
        visible = int(seen.up != last.up)
        if not seen.comparable(last):
            self._lead = 0
            if last.if_index == 0 and last.epoch == seen.epoch:
                return visible  # its removal was seen
            return visible or 2 * seen.up  # another interface under the same name: it was down in between
        extra = seen.edges_since(last) + self._lead - visible
        self._lead = 0
        if extra <= 0:
            return visible
        if extra % 2 and seen.admin_up:
            self._lead = 1
        return visible + extra - extra % 2

    def _take(
        self,
        last: Observation,
        seen: Observation,
        edges: int,
        *,
        time: float,
        monotonic: float,
        settle_s: float,
        restored: bool = False,
        cause: DownCause | None = None,
    ) -> list[LinkEvent]:
        """Count `edges` edges that end in the state of `seen`, and make their events."""
        state = self.state
        downs = (edges + 1) // 2 if last.up else edges // 2
        hidden, final = self._causes(last, seen, restored=restored)
        final = cause or final
        state.transitions += edges
        state.last_change = time if seen.changed is None else seen.changed
        if downs:
            if seen.up:
                self._count(downs, hidden, monotonic, settle_s)
            else:
                self._count(downs - 1, hidden, monotonic, settle_s)
                self._count(1, final, monotonic, settle_s)
        if not seen.up and state.up_since is not None:
            state.up_seconds = state.up_seconds_at(monotonic)
            state.up_since = None
        elif seen.up and state.up_since is None:
            state.up_since = monotonic
        state.up = seen.up
        if seen.up and self.module_present is False:
            self.module_present = None  # the link says otherwise
        if not seen.up:
            return [LinkEvent(self.device, self.port, time, monotonic, up=False, cause=final, unseen=edges - 1)]
        events = [LinkEvent(self.device, self.port, time, monotonic, up=True)]
        if edges > 1:  # say that it was down, also when nobody saw it
            fell = LinkEvent(self.device, self.port, time, monotonic, up=False, cause=hidden, unseen=edges - 2)
            events.insert(0, fell)
        return events

    def _causes(self, last: Observation, seen: Observation, *, restored: bool) -> tuple[DownCause, DownCause]:
        """The causes of unseen downs and of the last one."""
        if self.module_present is False and seen.admin_up:
            return DownCause.MODULE_REMOVED, DownCause.MODULE_REMOVED
        certain = last.admin_up and seen.admin_up and seen.comparable(last) and not restored and not seen.polled
        hidden = DownCause.UNINTENTIONAL if certain else DownCause.UNKNOWN
        if not seen.admin_up:
            return hidden, DownCause.ADMIN
        return hidden, DownCause.UNKNOWN if restored else DownCause.UNINTENTIONAL

    def _count(self, downs: int, cause: DownCause, monotonic: float, settle_s: float) -> None:
        if not downs:
            return
        wait = settle_s
        if cause is DownCause.ADMIN:
            wait = REMOVAL_S
        elif self.module_present:
            wait = SETTLE_S
        if wait <= 0:
            self.state.down_events[cause] += downs
        else:
            self._pending.append(_Pending(downs, cause, monotonic, monotonic + wait))

    def _resume(self, since: float, monotonic: float) -> None:
        """After a gap that nothing vouches for: up time counts until it began, and again from now on."""
        if self.state.up_since is not None:
            self.state.up_seconds = self.state.up_seconds_at(since)
        self.state.up_since = monotonic if self.state.up else None


_REVISABLE: Final = (DownCause.UNINTENTIONAL, DownCause.UNKNOWN)
