"""What happened around a link event: the module is read at once and then often, and the table names a cause.

forensics = Forensics(hub, book, reader=lambda: poller, window=history.window, latches=keeper.latches, peers=peers)
await forensics.run()        # until cancelled

The alert of the link speaks at once; when the watch is over it speaks again with the samples before and after, the
latched flags with their times, the cause and its reasons (`AlertBook.explain`).
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from agent import quantities as q
from agent.alerts.book import AlertBook
from agent.alerts.causes import FLAG_S, Case, Cause, Peer, Seen, Shot, Verdict, classify, evidence_of
from agent.alerts.text import rfc3339
from agent.links.peers import NOBODY
from agent.model import DownCause, End, LinkEvent, ModuleChange, ModuleEvent, PollFailed, Reading
from agent.modules.latches import Latch, Where
from agent.state import Hub

_log = logging.getLogger(__name__)

MOST_CASES: Final = 8
"""Ports watched at a time: the bus has other work, and what is more than that is one incident."""
AGAIN_S: Final = 60.0
"""A port that flaps on and on is explained this often."""
BEFORE_S: Final = 3600.0
ANSWER_S: Final = 5.0
LOOKS: Final = 30
"""How often in a watch it is asked whether the port is part of an incident (those last seconds)."""
SHOWN_BEFORE: Final = 5
SHOWN_AFTER: Final = 8
NO_LANES: Final[Mapping[int, float]] = {}


class Reader(Protocol):
    """Who can read a module out of turn: the poller."""

    def read_now(self, port: str) -> "asyncio.Future[Reading | PollFailed]":
        """The next answer, as soon as its bus is free; KeyError for a port that is not polled."""
        ...

    def fast(self, port: str, *, period_s: float, duration_s: float) -> None:
        """Poll more often for a while."""
        ...


class Moment(Protocol):
    """A sample of the history."""

    @property
    def time(self) -> float: ...
    @property
    def values(self) -> Mapping[q.Quantity, float]: ...
    @property
    def lanes(self) -> Mapping[q.Quantity, Mapping[int, float]]: ...


class Window(Protocol):
    """The history of a port."""

    def __call__(self, device: str, port: str, *, since: float) -> Iterable[Moment]: ...


class OtherEnds(Protocol):
    """Who knows the other ends of links."""

    def of(self, device: str, port: str) -> End | None:
        """The other end of this port, None when nobody knows."""
        ...


Latched = Callable[[str, str], Iterable[tuple[Where, Latch]]]


@dataclass(frozen=True, slots=True)
class Watch:
    """How long and how often a module is read after an event, in seconds."""

    duration_s: float = 30.0
    period_s: float = 0.5


@dataclass(slots=True)
class _Open:
    """A case that is still watched."""

    event: LinkEvent
    before: tuple[Shot, ...]
    end: End | None
    """The other end, as it was known at the event: by LLDP a link that is down has none soon."""
    peer_before: Mapping[int, float]
    after: list[Shot] = field(default_factory=list[Shot])
    """While the link was down."""
    seen: list[Shot] = field(default_factory=list[Shot])
    """All of them."""
    flags: dict[tuple[str, int], float] = field(default_factory=dict[tuple[str, int], float])
    failed: int = 0
    removed: bool = False
    edges: int = 1
    up: bool = False
    shared: bool = False
    """It fell with many others: the incident's own alert speaks for them, also when it is over by now."""

    def note(self, reading: Reading) -> None:
        """One reading after the event. What it shows while the link is up again is no evidence of the fall."""
        shot = Shot.of(reading)
        self.seen.append(shot)
        if not self.up or not self.after:
            self.after.append(shot)
        for flag, state in reading.lane_flags.items():
            if state.active:
                for lane in range(state.active.bit_length()):
                    if state.active >> lane & 1:
                        self.flags.setdefault((flag.name, lane + 1), reading.time)
        for flag, on in reading.flags.items():
            if on:
                self.flags.setdefault((flag.name, 0), reading.time)


class Forensics:
    """Opens a case for each unintended fall of a link, and explains it."""

    def __init__(
        self,
        hub: Hub,
        book: AlertBook,
        *,
        reader: Callable[[], Reader | None] = lambda: None,
        window: Window | None = None,
        latches: Latched | None = None,
        peers: OtherEnds = NOBODY,
        watch: Watch | None = None,
    ) -> None:
        self._hub = hub
        self._book = book
        self._reader = reader
        self._window = window
        self._latches = latches
        self.peers = peers
        self._watch = watch or Watch()
        self._open: dict[tuple[str, str], _Open] = {}
        self._done: dict[tuple[str, str], float] = {}
        self._group: asyncio.TaskGroup | None = None
        self.skipped = 0
        """Events that were not looked into, since enough ports were watched already."""
        hub.subscribe(LinkEvent, self._on_link)
        hub.subscribe(Reading, self._on_reading)
        hub.subscribe(PollFailed, self._on_failure)
        hub.subscribe(ModuleEvent, self._on_module)

    async def run(self) -> None:
        """Look into events until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                await asyncio.Event().wait()
        finally:
            self._group = None

    # ---- from the hub -------------------------------------------------------------------------------------

    def _on_link(self, event: LinkEvent) -> None:
        key = (event.device, event.port)
        case = self._open.get(key)
        if case is not None:
            case.edges += 1 + event.unseen
            case.up = event.up
            return
        if event.up or event.cause is DownCause.ADMIN or self._group is None:
            return
        if event.monotonic - self._done.get(key, -AGAIN_S) < AGAIN_S:
            return
        if len(self._open) >= MOST_CASES:
            self.skipped += 1
            return
        self._open[key] = self._begin(event)
        self._group.create_task(self._follow(key), name=f"forensics-{event.port}")

    def _on_reading(self, reading: Reading) -> None:
        case = self._open.get((reading.device, reading.port)) if self._open else None
        if case is not None:
            case.note(reading)

    def _on_failure(self, event: PollFailed) -> None:
        case = self._open.get((event.device, event.port)) if self._open else None
        if case is not None:
            case.failed += 1
            case.removed |= not event.present

    def _on_module(self, event: ModuleEvent) -> None:
        case = self._open.get((event.device, event.port)) if self._open else None
        if case is not None and event.change is not ModuleChange.INSERTED:
            case.removed = True

    # ---- a case -------------------------------------------------------------------------------------------

    def _begin(self, event: LinkEvent) -> _Open:
        before: list[Shot] = []
        if self._window is not None:
            moments = self._window(event.device, event.port, since=event.time - BEFORE_S)
            before = [_shot(moment) for moment in moments if moment.time < event.time]
        last = self._hub.device(event.device).port(event.port).reading
        if last is not None and last.time < event.time:
            if before and before[-1].time >= last.time:
                before.pop()
            before.append(Shot.of(last))  # the same sample, with what the history does not keep
        end = self.peers.of(event.device, event.port)
        peer = self._reading_of(end)
        case = _Open(event, tuple(before), end, peer.lanes.get(q.TX_POWER, {}) if peer is not None else {})
        if last is not None and last.time == event.time:
            case.note(last)  # one poll told of the link and, a moment before, of its light
        elif last is not None and event.time - last.time <= FLAG_S:
            known = _Open(event, (), None, {})
            known.note(last)
            case.flags.update(known.flags)
        return case

    async def _follow(self, key: tuple[str, str]) -> None:
        case = self._open[key]
        event = case.event
        try:
            reader = self._reader()
            if reader is not None and event.device == self._hub.local.device:
                await self._read(reader, event.port)
            for _ in range(LOOKS):
                await asyncio.sleep(self._watch.duration_s / LOOKS)
                case.shared |= self._in_incident(event)
        finally:
            del self._open[key]
            self._done[key] = event.monotonic
        self._conclude(case)

    async def _read(self, reader: Reader, port: str) -> None:
        """One reading at once, then many. They come through the hub like all others."""
        try:
            answer = reader.read_now(port)
            reader.fast(port, period_s=self._watch.period_s, duration_s=self._watch.duration_s)
        except KeyError:
            return
        await asyncio.wait([answer], timeout=ANSWER_S)

    def _conclude(self, case: _Open) -> None:
        event = case.event
        if case.shared:
            return
        built = self._case(case)
        verdict = classify(built)
        self._book.explain(
            event.device,
            event.port,
            cause=verdict.cause.value,
            evidence=self._evidence(case, built, verdict),
            summary=_sentence(verdict),
        )

    def _in_incident(self, event: LinkEvent) -> bool:
        return self._book.engine.showing.correlator.speaks_for(event.device, event.port) is not None

    def _case(self, case: _Open) -> Case:
        event = case.event
        state = self._hub.device(event.device).port(event.port)
        flags = [Seen(name, lane, at) for (name, lane), at in case.flags.items()]
        if self._latches is not None:
            known = set(case.flags)
            flags += [
                Seen(where.flag, where.lane, latch.last)
                for where, latch in self._latches(event.device, event.port)
                if latch.last >= event.time - FLAG_S and (where.flag, where.lane) not in known
            ]
        return Case(
            time=event.time,
            down_cause=event.cause,
            before=case.before,
            after=tuple(case.after),
            flags=tuple(sorted(flags, key=lambda seen: seen.time)),
            thresholds=state.reading.thresholds if state.reading is not None else {},
            removed=case.removed,
            failed_polls=case.failed,
            peer=self._peer(case),
            host_detail=state.host.link_detail if state.host is not None else "",
        )

    def _evidence(self, case: _Open, built: Case, verdict: Verdict) -> dict[str, object]:
        said: dict[str, object] = {
            "reasons": list(verdict.reasons),
            "before": evidence_of(built.before[-SHOWN_BEFORE:]),
            "after": evidence_of(_spread(case.seen, SHOWN_AFTER)),
            "flags": [_flag(seen) for seen in built.flags],
            "edges": case.edges,
        }
        if verdict.lanes:
            said["lanes_affected"] = list(verdict.lanes)
        if case.end is not None:
            said["peer"] = str(case.end)
        if (loss := _span_loss(built)) is not None:
            said["span_loss_db"] = loss
        return said

    # ---- the other end ------------------------------------------------------------------------------------

    def _peer(self, case: _Open) -> Peer | None:
        reading = self._reading_of(case.end)
        if reading is None:
            return None
        faults = reading.lane_flags.get(q.TX_FAULT)
        seen = (Seen(q.TX_FAULT.name, 0, reading.time),) if faults is not None and faults.active else ()
        return Peer(str(case.end), case.peer_before, reading.lanes.get(q.TX_POWER, {}), seen)

    def _reading_of(self, end: End | None) -> Reading | None:
        if end is None or end.device not in self._hub.devices:
            return None
        state = self._hub.devices[end.device].ports.get(end.port)
        return state.reading if state is not None else None


def _shot(moment: Moment) -> Shot:
    lanes = moment.lanes
    return Shot(
        moment.time,
        moment.values.get(q.TEMPERATURE),
        lanes.get(q.RX_POWER, {}),
        lanes.get(q.TX_POWER, {}),
        lanes.get(q.TX_BIAS, {}),
    )


def _spread(shots: Sequence[Shot], count: int) -> list[Shot]:
    """The first ones close together, the later ones further apart: most happens at the beginning."""
    if len(shots) <= count:
        return list(shots)
    picked = {round((len(shots) - 1) * (index / (count - 1)) ** 2) for index in range(count)}
    return [shots[index] for index in sorted(picked)]


def _flag(seen: Seen) -> dict[str, object]:
    lane: dict[str, object] = {"lane": seen.lane} if seen.lane else {}
    return {"flag": seen.flag, **lane, "time": rfc3339(seen.time)}


def _span_loss(case: Case) -> dict[str, float] | None:
    """What the fibre takes, from the other end's transmitters to our receivers: worst lane, before and after."""
    peer = case.peer
    if peer is None:
        return None
    found: dict[str, float] = {}
    for name, tx, shots in (("before", peer.before, case.before), ("after", peer.after, case.after)):
        rx = next((shot.rx for shot in reversed(shots) if shot.rx), NO_LANES)
        losses = [q.dbm(tx[lane]) - q.dbm(rx[lane]) for lane in tx if rx.get(lane, 0.0) > 0 and tx[lane] > 0]
        if losses:
            found[name] = round(max(losses), 2)
    return found or None


def _sentence(verdict: Verdict) -> str:
    reasons = "; ".join(verdict.reasons)
    return (
        f"{verdict.cause.value}: {reasons}."
        if verdict.cause is not Cause.UNKNOWN
        else f"no cause found: {reasons}."
    )
