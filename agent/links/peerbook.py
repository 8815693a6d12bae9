"""Who is at the other end of each link, as long as the daemon runs: the file first, then what devices say by LLDP.

book = PeerBook(hub, path)      # raises ConfigError; path None: only what devices say
end = book.of("leaf-17", "swp1")
await book.run()                # until cancelled: takes over a file that was changed
"""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agent.errors import ConfigError
from agent.links import peers
from agent.links.peers import NOBODY, Peers
from agent.model import End, Neighbour
from agent.state import Hub, NeighboursSeen, PortForgotten

_log = logging.getLogger(__name__)

LOOK_S: Final = 5.0
"""How often it is looked whether the file was changed."""


def load(path: Path | None) -> Peers:
    """The peers of a config. Raises ConfigError."""
    return peers.load(path) if path is not None else NOBODY


class PeerBook:
    """The other end of every port of which it is known."""

    def __init__(self, hub: Hub, path: Path | None = None, *, look_s: float = LOOK_S) -> None:
        self._hub = hub
        self._path = path
        self._look_s = look_s
        self._stamp = _stamp(path)
        self._file = load(path)
        self._heard = dict[tuple[str, str], Mapping[str, Neighbour]]()
        """Device and source to what it said last."""
        self._names: dict[str, str] = {}
        """What a device calls itself, to its name here."""
        hub.subscribe(NeighboursSeen, self._on_seen)
        hub.subscribe(PortForgotten, self._on_forgotten)

    def use(self, path: Path | None, known: Peers) -> None:
        """Another file from now on, and what was read of it (the reload did, before it changed anything)."""
        self._path, self._file = path, known
        self._stamp = None  # looked at once more: it may have changed since it was read

    def of(self, device: str, port: str) -> End | None:
        """The other end of this port, by the names that ports have here; None when nobody said."""
        here = End(device, port)
        found = self._file.of(device, port)
        if found is not None:
            return found
        for (owner, _), neighbours in self._heard.items():
            if owner == device and port in neighbours:
                return self._known_as(neighbours[port])
        for (owner, _), neighbours in self._heard.items():  # the far end may speak where this one does not
            for name, neighbour in neighbours.items():
                if self._known_as(neighbour) == here:
                    return End(owner, name)
        return None

    async def run(self) -> None:
        """Take over the file whenever it was changed, until cancelled; one with mistakes changes nothing."""
        while True:
            await asyncio.sleep(self._look_s)
            stamp = _stamp(self._path)
            if stamp == self._stamp:
                continue
            self._stamp = stamp
            try:
                self._file = load(self._path)
            except ConfigError as exc:
                for line in str(exc).splitlines():
                    _log.error("%s (the peers of before stay)", line)
            else:
                _log.info("%s: %d ports have a peer", self._path, len(self._file))

    def _on_seen(self, event: NeighboursSeen) -> None:
        self._heard[event.device, event.source] = event.ports
        if event.name:
            self._names[event.name.lower()] = event.device

    def _on_forgotten(self, event: PortForgotten) -> None:
        """Nobody asks for this port any more, so nobody will say who is there now."""
        for (device, source), neighbours in list(self._heard.items()):
            if device == event.device and event.port in neighbours:
                rest = {port: there for port, there in neighbours.items() if port != event.port}
                self._heard[device, source] = rest

    def _known_as(self, neighbour: Neighbour) -> End:
        """The end by its name here, where this daemon knows the device; else by its own."""
        device = self._device(neighbour.system.lower())
        if device is None:
            return End(neighbour.system, neighbour.ports[0])
        there = self._hub.devices.get(device)
        known = (port for port in neighbour.ports if there is not None and port in there.ports)
        return End(device, next(known, neighbour.ports[0]))

    def _device(self, system: str) -> str | None:
        known = {name.lower(): name for name in self._hub.devices} | self._names
        if system in known:
            return known[system]
        alike = {device for name, device in known.items() if _short(name) == _short(system)}
        return alike.pop() if len(alike) == 1 else None


def _short(name: str) -> str:
    """A host name without its domain: one end says it with, the other without."""
    return name if name.replace(".", "").isdigit() else name.partition(".")[0]


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    try:
        seen = path.stat() if path is not None else None
    except OSError:
        return None
    return (seen.st_mtime_ns, seen.st_size, seen.st_ino) if seen is not None else None
