"""The daemon put together: sources into the hub, outlets out of it, one task for each, and an end within 5 s.

What reads (`agent.service.readers`) is one group of tasks that a reload (`agent.service.reloading`) replaces;
what remembers and speaks (hub, alert book, outlets) stays for the whole run.
"""

import asyncio
import contextlib
import errno
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.alerts import configured as rules_config
from agent.alerts.book import AlertBook
from agent.alerts.forensics import Forensics
from agent.baselines.keeper import BaselineKeeper
from agent.clock import HOST, Clock
from agent.config.file import Config, Prometheus
from agent.documents.history import History
from agent.errors import OpticError
from agent.links import peerbook
from agent.links.keeper import LinkKeeper
from agent.links.links import Links
from agent.modules.keeper import PortKeeper
from agent.polling.poller import Poller
from agent.service import collecting, sdnotify
from agent.service.readers import Readers
from agent.service.reloading import Reloader, groups
from agent.state import Hub
from agent.version import __version__

if TYPE_CHECKING:
    from exporters.mqtt.exporter import MqttExporter
    from exporters.prometheus.selfmetrics import Heart

_log = logging.getLogger(__name__)

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_SAID_S: Final = 60.0

STALE_S: Final = 15.0
"""A bus whose thread was silent for so long keeps the watchdog from being fed."""
STOP_S: Final = 4.0
"""All outlets together have so long to say goodbye."""


Work = Callable[[], Coroutine[object, object, None]]


class Daemon:
    """One run. `path` is the config file that a reload reads again; None: there is none to read.

    `look_again` says what this host has now, where no file says what to read.
    """

    def __init__(
        self,
        config: Config,
        *,
        path: Path | None = None,
        on_started: Callable[[], None] | None = None,
        clock: Clock = HOST,
        look_again: Callable[[], Config] | None = None,
    ) -> None:
        self.hub = Hub(config.agent.device)
        self._clock = clock
        self._state_dir = _state_dir(config)
        self._links = Links(self.hub)
        self._keeper = LinkKeeper(self.hub, self._links, _in(self._state_dir, "links.json"), clock=clock)
        self.book = AlertBook(
            self.hub,
            rules_config.all_rules(config.rule),
            keep=_in(self._state_dir, "alerts.json"),
            groups=groups(config),
            clock=clock.now,
            speed=clock.speed,
        )
        self._ports = PortKeeper(self.hub, _in(self._state_dir, "ports.json"))
        self.history = History(self.hub)
        self._baselines = BaselineKeeper(self.hub, self.book, _in(self._state_dir, "baselines.db"))
        self.peers = peerbook.PeerBook(self.hub, config.agent.peers)
        self._forensics = Forensics(
            self.hub,
            self.book,
            reader=lambda: self.poller,
            window=self.history.window,
            latches=self._ports.latches,
            peers=self.peers,
        )
        self._reloader = Reloader(config, path, book=self.book, peers=self.peers, clock=clock)
        self._readers = Readers(
            self.hub,
            self._links,
            self._reloader,
            book=self.book,
            last_module=self._ports.last_module,
            clock=clock,
            look_again=look_again,
            on_started=on_started,
            on_exhausted=self._exhausted,
        )
        self._stop = asyncio.Event()
        self._exit_code = 0
        self.addresses: list[tuple[str, int]] = []

    # ---- from outside -------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End the run cleanly."""
        self._stop.set()

    async def reload(self) -> None:
        """Read the config file again and change over to it. Raises ConfigError; a bad file changes nothing."""
        await self._reloader.reload()

    @property
    def config(self) -> Config:
        """The config of now."""
        return self._reloader.config

    @property
    def poller(self) -> Poller | None:
        """What reads modules now; None before it begins."""
        return self._readers.poller

    async def run(self) -> int:
        """Run until stopped; returns the exit code. Raises OpticError for what keeps it from starting."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_Unhandled())
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._reloader.hang_up)
        self._keeper.restore()
        self._ports.restore()
        self._baselines.restore()
        self.book.restore()
        async with AsyncExitStack() as outlets:
            try:
                tasks = await self._open_outlets(outlets)
                async with asyncio.TaskGroup() as group:
                    running = [group.create_task(work(), name=name) for name, work in tasks]
                    running.append(group.create_task(self._keeper.run(), name="links"))
                    running.append(group.create_task(self._ports.run(), name="ports"))
                    running.append(group.create_task(self.book.run(), name="alerts"))
                    running.append(group.create_task(self._baselines.run(), name="baselines"))
                    running.append(group.create_task(self._forensics.run(), name="forensics"))
                    running.append(group.create_task(self.peers.run(), name="peers"))
                    running.append(group.create_task(self._watchdog(), name="watchdog"))
                    running.append(group.create_task(self._readers.run(), name="sources"))
                    await self._stop.wait()
                    sdnotify.notify("STOPPING=1")
                    for task in running:
                        task.cancel()
            finally:
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    loop.remove_signal_handler(number)
        return self._exit_code

    # ---- outlets ------------------------------------------------------------------------------------------

    async def _open_outlets(self, stack: AsyncExitStack) -> list[tuple[str, Work]]:
        tasks: list[tuple[str, Work]] = []
        mqtt = None
        if self.config.exporter.mqtt is not None:
            from exporters.mqtt.exporter import MqttExporter

            mqtt = MqttExporter(
                self.hub, self.config.exporter.mqtt, active=self.book.active, state_dir=self._state_dir
            )
            tasks.append(("mqtt", mqtt.run))
        if self.config.exporter.prometheus is not None:
            from exporters.prometheus.selfmetrics import Heart

            heart = Heart()
            tasks.append(("heart", heart.beat))
            await self._serve(self.config.exporter.prometheus, stack, heart, mqtt)
        return tasks

    async def _serve(
        self, section: Prometheus, stack: AsyncExitStack, heart: "Heart", mqtt: "MqttExporter | None"
    ) -> None:
        from exporters.http.server import make_server
        from exporters.prometheus.selfmetrics import SelfMetrics

        metrics = SelfMetrics(self.hub, version=__version__, heart=heart, mqtt=mqtt)

        def told(ok: bool) -> None:
            metrics.reload_success = ok

        self._reloader.told = told
        server = make_server(
            self.hub,
            section,
            profile=self.config.agent.profile,
            self_metrics=metrics,
            alerts=self.book,
            history=self.history,
            ready=lambda: self._readers.ready,
            reload=self.reload,
            monotonic=self._clock.monotonic,
        )
        await server.start()
        stack.push_async_callback(server.stop)
        self.addresses = server.addresses

    def _exhausted(self, bus: str) -> None:
        _log.critical(
            "bus %s hangs and no spare thread is left: ending, for the service manager to start anew", bus
        )
        self._exit_code = 1
        self.stop()

    async def _watchdog(self) -> None:
        """Feed systemd's watchdog while the loop runs and every bus shows signs of life."""
        interval = sdnotify.watchdog_interval_s()
        while True:
            await asyncio.sleep(interval or 3600.0)
            stale = self.poller.stale(STALE_S) if self.poller else ()
            if stale:
                _log.error("no sign of life from %s", ", ".join(stale))
            elif interval:
                sdnotify.notify("WATCHDOG=1")


def _state_dir(config: Config) -> Path | None:
    if config.agent.state_dir is not None:
        with contextlib.suppress(OSError):  # whoever writes there says what is wrong with it
            config.agent.state_dir.mkdir(parents=True, exist_ok=True)
        return config.agent.state_dir
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(given) if given else None


def _in(folder: Path | None, name: str) -> Path | None:
    return folder / name if folder is not None else None


def run(config: Config, *, path: Path | None = None, look_again: Callable[[], Config] | None = None) -> int:
    """Run a daemon to its end; returns the exit code. Raises OpticError for what keeps it from running."""

    async def main() -> int:
        return await Daemon(config, path=path, look_again=look_again).run()

    return run_to_end(main())


class _Unhandled:
    """What no task is there to hear. No descriptor for a caller is the host's state and no bug: a line a minute."""

    def __init__(self) -> None:
        self._said_at = -_SAID_S

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _EXHAUSTED:
            loop.default_exception_handler(context)
        elif loop.time() - self._said_at >= _SAID_S:
            self._said_at = loop.time()
            _log.error("%s: %s", context.get("message"), error.strerror)


def run_to_end(work: Coroutine[object, object, int]) -> int:
    """`asyncio.run` that raises an OpticError as itself, out of whatever group of tasks it ended."""
    try:
        with collecting.tuned():
            return asyncio.run(work)
    except BaseExceptionGroup as group:
        expected, bugs = group.split(OpticError)
        if expected is None or bugs is not None:
            raise
        first: BaseException = expected
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
