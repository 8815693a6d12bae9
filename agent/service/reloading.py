"""Another config, or sources opened anew, in a running daemon: what calls for either, and the change over to it."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.alerts import configured as rules_config
from agent.alerts.book import AlertBook
from agent.clock import Clock
from agent.config import file as config_file
from agent.config.file import Config
from agent.errors import ConfigError
from agent.links import peerbook
from agent.links.peerbook import PeerBook
from agent.service import opening
from agent.service.opening import Opened, Wanted

_log = logging.getLogger(__name__)

Told = Callable[[bool], None]
"""Hears how a reload went."""


@dataclass(frozen=True, slots=True)
class Request:
    """What came in since the last look."""

    reload: bool
    """Somebody asked for the config to be read again."""
    reopen: Opened | None
    """What the sources name came or went: these are to be read from now on."""
    waiting: tuple[asyncio.Future[None], ...]
    """Who waits to hear how the reload went."""

    def answer(self, error: Exception | None = None) -> None:
        """Tell those who wait; some may have gone away."""
        for each in self.waiting:
            if each.done():
                continue
            if error is None:
                each.set_result(None)
            else:
                each.set_exception(error)


class Requests:
    """Gathers what comes in until somebody looks: none hides another. Everything runs on the event loop."""

    def __init__(self) -> None:
        self._news: Final = asyncio.Event()
        self._reload = False
        self._reopen: Opened | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def reload(self) -> None:
        """The config is to be read again (SIGHUP)."""
        self._reload = True
        self._news.set()

    def reload_and_tell(self) -> asyncio.Future[None]:
        """The same; the future tells how it went."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self.reload()
        return done

    def reopen(self, opened: Opened) -> None:
        """The sources were opened anew, and are to be read so."""
        self._reopen = opened
        self._news.set()

    async def next(self) -> Request:
        """Wait for the next, and take all that came in together."""
        await self._news.wait()
        self._news.clear()
        request = Request(self._reload, self._reopen, tuple(self._waiting))
        self._reload, self._reopen = False, None
        self._waiting.clear()
        return request


class Reloader:
    """The config as it is obeyed, and the file behind it. `path` None: there is no file to read again."""

    def __init__(
        self, config: Config, path: Path | None, *, book: AlertBook, peers: PeerBook, clock: Clock
    ) -> None:
        self.config = config
        self.quirks = opening.own_quirks(config)
        self.requests = Requests()
        self.told: Told = lambda _ok: None
        self._path = path
        self._book = book
        self._peers = peers
        self._clock = clock

    def opened(self, config: Config) -> Opened:
        """With its sources. Raises ConfigError for some that cannot stand together."""
        return Opened(config, opening.open_all(config, clock=self._clock))

    def hang_up(self) -> None:
        """SIGHUP: read the file again."""
        if self._path is None:
            _log.warning("SIGHUP: there is no config file to reload")
            return
        self.requests.reload()

    async def reload(self) -> None:
        """Read the file again and change over to it. Raises ConfigError; a bad file changes nothing."""
        if self._path is None:
            raise ConfigError("there is no config file to reload")
        await self.requests.reload_and_tell()

    async def next_sources(self) -> Opened:
        """Wait until the sources have to change: rules alone are exchanged in place."""
        while True:
            request = await self.requests.next()
            config, wanted = request.reopen or (self.config, None)
            if request.reload:
                try:
                    config, anew = await self._exchange()
                except ConfigError as exc:
                    for line in str(exc).splitlines():
                        _log.error("reload: %s", line)
                    self.told(False)
                    request.answer(exc)
                else:
                    wanted = anew or wanted
                    self.told(True)
                    request.answer()
            if wanted is not None:
                return Opened(config, wanted)
            self.config = config

    async def _exchange(self) -> tuple[Config, Wanted | None]:
        """Read the config again and change over to it; its sources, where they have to change too.

        Raises ConfigError before anything was changed.
        """
        fresh = self._load()
        quirks = opening.own_quirks(fresh)
        ends = peerbook.load(fresh.agent.peers)
        wanted = None
        if (_read_by(fresh), quirks) != (_read_by(self.config), self.quirks):
            # Sources that cannot stand together are found out only so.
            wanted = (await asyncio.to_thread(self.opened, fresh)).wanted
        self._book.replace_rules(rules_config.all_rules(fresh.rule))
        self._book.use_groups(groups(fresh))
        self._peers.use(fresh.agent.peers, ends)
        self.quirks = quirks
        if _until_restart(fresh) != _until_restart(self.config):
            _log.warning("reload: changes of [exporter], profile and state_dir take effect after a restart")
        _log.info("reload: %s", "rules exchanged" if wanted is None else "sources are opened anew")
        return fresh, wanted

    def _load(self) -> Config:
        if self._path is None:
            raise ConfigError("there is no config file to reload")
        fresh = config_file.load(self._path)
        if fresh.agent.device != self.config.agent.device:
            raise ConfigError(f"{self._path}: agent.device: another device needs a restart")
        return fresh


def _read_by(config: Config) -> tuple[object, ...]:
    """What decides how sources are read; the rest of [agent] is obeyed without that, or after a restart."""
    agent = config.agent.model_dump(exclude={"peers", "quirks", "pause_after_link_change", "profile", "state_dir"})
    return config.source, config.port, agent


def groups(config: Config) -> dict[str, list[str]]:
    """Ports that share something, by what an incident of theirs is called."""
    return {f"{group.kind} {group.name}": group.ports for group in config.group}


def _until_restart(config: Config) -> tuple[object, ...]:
    """What a reload leaves as it is."""
    return config.exporter, config.agent.profile, config.agent.state_dir
