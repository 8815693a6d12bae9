"""Ports that are parts of an engine: one reading of it becomes the readings of its ports. Pure.

    engines = Engines([Share("Ethernet0", "oe0", lanes=(1, 2, 3, 4), els=(Lasers("els0", (1, 2)),)), ...])
    for event in engines.divide(reading_of_the_engine):    # the engine without these lanes, then its ports
        hub.publish(event)

A co-packaged or near-packaged engine is read once, whatever the number of its ports: each gets its lanes, counted
from 1, with their flags, states and observables, and the monitors of the whole. External laser sources are modules
of their own; a port knows which lasers feed it, and `affected` which ports a laser, or an engine, carries.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from agent.model import Feed, Laser, Module, ModuleEvent, PollFailed, Reading
from agent.modules.slices import PortCut, Remainder, Share, Slice, slices
from agent.state import Event, PortForgotten

_OFF: Final = "off"


class _Engine:
    """One engine: its ports as they are now."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.shares: list[Share] = []
        self.cuts: tuple[PortCut, ...] = ()
        self.rest = Remainder(())
        self.basis: tuple[Module, Mapping[int, int], Mapping[str, Sequence[int]]] = ({}, {}, {})
        """What its ports were last worked out from."""

    def use(self, found: Iterable[Slice]) -> frozenset[str]:
        """Other ports from now on; returns the names of those that are gone."""
        wanted = tuple(found)
        if tuple(cut.slice for cut in self.cuts) == wanted:
            return frozenset()
        before = {cut.slice: cut for cut in self.cuts}
        self.cuts = tuple(before.get(one) or PortCut(one) for one in wanted)
        self.rest = Remainder(tuple(one for one in wanted if one.name != self.name))
        return frozenset(one.name for one in before) - {one.name for one in wanted}


class Engines:
    """Every engine of this host, and the laser sources in front of them."""

    def __init__(self, shares: Iterable[Share] = ()) -> None:
        self._engines: dict[str, _Engine] = {}
        self._sources: set[str] = set()
        self._lasers: dict[str, tuple[Laser, ...]] = {}
        self._lit: dict[str, Mapping[int, Laser]] = {}
        self.version = 0
        """Grows when ports come, go, or get other lanes or lasers."""
        self._order: dict[str, tuple[int, ...]] = {}
        """Lasers of each source as they light an engine; kept when it is gone, since its ports are dark then."""
        for share in shares:
            engine = self._engines.setdefault(share.engine, _Engine(share.engine))
            engine.shares.append(share)
            self._sources |= {each.source for each in share.els}
        for engine in self._engines.values():
            engine.use(slices(engine.shares, None, {}))

    def __contains__(self, port: str) -> bool:
        """Whether a port reads an engine."""
        return port in self._engines

    def divided(self, events: Sequence[Event]) -> Sequence[Event]:
        """What the events of a polled module mean for the ports: themselves, where the module is no engine."""
        return [each for event in events for each in self.divide(event)] if self._engines else events

    def divide(self, event: Event) -> Sequence[Event]:
        """The same for one of them."""
        if not self._engines or not isinstance(event, Reading | PollFailed | ModuleEvent):
            return (event,)
        if event.port in self._sources:
            event = self._of_source(event)
        engine = self._engines.get(event.port)
        if engine is None:
            return (event,)
        if isinstance(event, Reading):
            return self._of_engine(engine, event)
        return (event, *(replace(event, port=cut.name) for cut in engine.cuts if cut.name != engine.name))

    def engine_of(self, port: str) -> str:
        """The port that reads the engine of this one; itself where it is no part of an engine."""
        return next((e.name for e in self._engines.values() if any(c.name == port for c in e.cuts)), port)

    @property
    def ports(self) -> tuple[str, ...]:
        """The ports that are known to be parts of engines."""
        every = self._engines.values()
        return tuple(cut.name for engine in every for cut in engine.cuts if cut.name != engine.name)

    def groups(self) -> Mapping[str, Sequence[str]]:
        """Ports that fail together: those of an engine with itself, those of a laser."""
        groups = {
            f"engine {engine.name}": tuple(dict.fromkeys((engine.name, *(cut.name for cut in engine.cuts))))
            for engine in self._engines.values()
        }
        fed: dict[tuple[str, int], list[str]] = {}
        for cut in self._cuts():
            for laser in cut.slice.lasers:
                fed.setdefault(laser, []).append(cut.name)
        groups |= {f"laser {source}:{number}": tuple(ports) for (source, number), ports in fed.items()}
        return {name: ports for name, ports in groups.items() if len(ports) > 1}

    def affected(self, port: str, *, laser: int = 0) -> tuple[str, ...]:
        """The ports that a laser of this source (0: any of them), or this engine, carries."""
        own = self._engines[port].cuts if port in self._engines and not laser else ()
        fed = (
            cut
            for cut in self._cuts()
            if any(source == port and laser in (0, number) for source, number in cut.slice.lasers)
        )
        return tuple(name for name in dict.fromkeys(cut.name for cut in (*own, *fed)) if name != port)

    def blame(self, port: str) -> str:
        """The laser that keeps light from a port, in words; "" while all that feed it shine, or nobody knows."""
        mine = [cut.slice for cut in self._cuts() if cut.name == port]
        gone = [source for one in mine for source, _ in one.lasers if self._lasers.get(source) == ()]
        failed = [feed for one in mine for feed in self._feeds(one) if _fails(feed.laser)]
        return f"the laser source {gone[0]} is gone" if gone else _words(failed[0]) if failed else ""

    def _cuts(self) -> Iterator[PortCut]:
        return (cut for engine in self._engines.values() for cut in engine.cuts)

    def _of_source(self, event: Reading | PollFailed | ModuleEvent) -> Reading | PollFailed | ModuleEvent:
        if not isinstance(event, Reading):
            if isinstance(event, PollFailed) and not event.present:
                self._lasers[event.port] = ()
                self._lit.pop(event.port, None)
            return event
        self._order[event.port] = _in_order(event.lasers)
        self._lasers[event.port] = event.lasers
        self._lit.pop(event.port, None)
        return replace(event, lasers=tuple(self._lighting(event.port).values()))

    def _lighting(self, source: str) -> Mapping[int, Laser]:
        """The lasers of a source by number, with the ports that they light; worked out once a reading of it."""
        known = self._lit.get(source)
        if known is None:
            lasers = self._lasers.get(source, ())
            known = {one.laser: replace(one, feeds=self.affected(source, laser=one.laser)) for one in lasers}
            self._lit[source] = known
        return known

    def _of_engine(self, engine: _Engine, whole: Reading) -> Sequence[Event]:
        gone = self._share_out(engine, whole)
        own = next((self._feeds(cut.slice) for cut in engine.cuts if cut.name == engine.name), ())
        return (
            *(PortForgotten(whole.device, name) for name in sorted(gone)),
            replace(engine.rest.reading(whole), fed_by=own),
            *(cut.reading(whole, self._feeds(cut.slice)) for cut in engine.cuts if cut.name != engine.name),
        )

    def _share_out(self, engine: _Engine, whole: Reading) -> frozenset[str]:
        """Look at the ports of an engine again where something that they follow changed; returns those gone."""
        module, applications, order = engine.basis
        if module is whole.module and applications is whole.lane_applications and order == self._order:
            return frozenset()
        engine.basis = (whole.module, whole.lane_applications, dict(self._order))
        before = engine.cuts
        gone = engine.use(slices(engine.shares, whole, self._order))
        if engine.cuts is not before:
            self.version += 1
            self._lit.clear()
        return gone

    def _feeds(self, one: Slice) -> tuple[Feed, ...]:
        wanted = ((source, self._lighting(source).get(number)) for source, number in one.lasers)
        return tuple(Feed(source, laser) for source, laser in wanted if laser is not None)


def _in_order(lasers: Sequence[Laser]) -> tuple[int, ...]:
    """By the fibres that they feed, where the source says it of all; else by their own numbers."""
    if not all(one.fiber for one in lasers):
        return tuple(one.laser for one in lasers)
    return tuple(one.laser for one in sorted(lasers, key=lambda one: (one.fiber, one.laser)))


def _words(feed: Feed) -> str:
    what = "reports a fault" if any(flag.startswith("fault") for flag in feed.laser.flags) else "is off"
    return f"laser {feed.laser.laser} of {feed.source} {what}"


def _fails(laser: Laser) -> bool:
    return (laser.enabled is not False and laser.state == _OFF) or any(f.startswith("fault") for f in laser.flags)
