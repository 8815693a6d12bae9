"""The daemon put together: sources into the hub, outlets out of it, one task for each, and an end within 5 s.

What reads (poller, link watcher, remote devices) is one group of tasks that a reload replaces; what remembers and
speaks (hub, alert book, outlets) stays for the whole run.
"""

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent import collecting, maps, opening, peerbook, rules_config, sdnotify
from agent import config as config_file
from agent.alertbook import AlertBook
from agent.baselinekeeper import BaselineKeeper
from agent.clock import HOST, Clock
from agent.config import Config, Prometheus
from agent.errors import ConfigError, OpticError
from agent.forensics import Forensics
from agent.history import History
from agent.linkkeeper import LinkKeeper
from agent.links import Links
from agent.model import LinkEvent
from agent.persist import PortKeeper
from agent.poller import Poller, PollerOptions
from agent.reloading import Requests
from agent.state import Hub, NeighboursSeen, PortForgotten, SourceHealth
from agent.version import __version__

if TYPE_CHECKING:
    from exporters.mqtt import MqttExporter
    from exporters.selfmetrics import Heart

_log = logging.getLogger(__name__)

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_SAID_S: Final = 60.0

STALE_S: Final = 15.0
"""A bus whose thread was silent for so long keeps the watchdog from being fed."""
LOOK_S: Final = 5.0
"""How often the kernel's list of I2C devices is looked at."""
RESCAN_S: Final = 1.0
"""Interfaces that come together (a card with its ports, renamed by udev) are looked at together."""
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
        self.config = config
        self._look_again = look_again
        self.hub = Hub(config.agent.device)
        self._path = path
        self._on_started = on_started
        self._clock = clock
        self._state_dir = _state_dir(config)
        self._links = Links(self.hub)
        self.hub.subscribe(LinkEvent, self._on_link)
        self._keeper = LinkKeeper(self.hub, self._links, _in(self._state_dir, "links.json"), clock=clock)
        self.book = AlertBook(
            self.hub,
            rules_config.all_rules(config.rule),
            keep=_in(self._state_dir, "alerts.json"),
            groups=_groups(config),
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
        self.poller: Poller | None = None
        self._quirks = opening.own_quirks(config)
        self._stop = asyncio.Event()
        self._exit_code = 0
        self._requests = Requests()
        self._interfaces_changed = asyncio.Event()
        self._reload_ok: Callable[[bool], None] = lambda _ok: None
        self.addresses: list[tuple[str, int]] = []

    # ---- from outside -------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End the run cleanly."""
        self._stop.set()

    async def reload(self) -> None:
        """Read the config file again and change over to it. Raises ConfigError; a bad file changes nothing."""
        if self._path is None:
            raise ConfigError("there is no config file to reload")
        await self._requests.reload_and_tell()

    async def run(self) -> int:
        """Run until stopped; returns the exit code. Raises OpticError for what keeps it from starting."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_Unhandled())
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
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
                    running.append(group.create_task(self._read(), name="sources"))
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
            from exporters.mqtt import MqttExporter

            mqtt = MqttExporter(
                self.hub, self.config.exporter.mqtt, active=self.book.active, state_dir=self._state_dir
            )
            tasks.append(("mqtt", mqtt.run))
        if self.config.exporter.prometheus is not None:
            from exporters.selfmetrics import Heart

            heart = Heart()
            tasks.append(("heart", heart.beat))
            await self._serve(self.config.exporter.prometheus, stack, heart, mqtt)
        return tasks

    async def _serve(
        self, section: Prometheus, stack: AsyncExitStack, heart: "Heart", mqtt: "MqttExporter | None"
    ) -> None:
        from exporters.http import make_server
        from exporters.selfmetrics import SelfMetrics

        metrics = SelfMetrics(self.hub, version=__version__, heart=heart, mqtt=mqtt)

        def told(ok: bool) -> None:
            metrics.reload_success = ok

        self._reload_ok = told
        server = make_server(
            self.hub,
            section,
            profile=self.config.agent.profile,
            self_metrics=metrics,
            alerts=self.book,
            history=self.history,
            ready=self._is_ready,
            reload=self.reload,
            monotonic=self._clock.monotonic,
        )
        await server.start()
        stack.push_async_callback(server.stop)
        self.addresses = server.addresses

    def _is_ready(self) -> bool:
        return self.poller is not None and self.poller.ready.is_set()

    # ---- sources ------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Read what the config asks for; a reload puts another group of tasks in its place."""
        announced = False
        collecting.settle()  # most of what is ever imported
        wanted = self._opened(self.config).wanted
        while True:
            for name, error in wanted.failed:
                _log.error("%s: %s%s", name, error, f" ({error.hint})" if error.hint else "")
                self.hub.publish(SourceHealth(name, up=False, detail=str(error)))
            for note in wanted.notes:
                _log.warning("%s", note)
            self.poller = Poller(
                self.hub,
                wanted.setups,
                identify=maps.Maps(self._quirks).identify,
                wall=self._clock.wall,
                options=PollerOptions(bus_share=self.config.agent.bus_share),
                expected=self._ports.last_module,
                on_exhausted=self._exhausted,
                engines=wanted.engines,
            )
            self.book.use_engines(wanted.engines)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self.poller.run(), name="poller")]
                for netns, netdevs in (wanted.netdevs or ({"": {}} if wanted.patterns else {})).items():
                    work = self._watch_links(netns, netdevs)
                    tasks.append(group.create_task(work, name="netlink"))
                if wanted.patterns:
                    tasks.append(group.create_task(self._rescan(wanted), name="rescan"))
                if wanted.netdevs.get(""):
                    tasks.append(group.create_task(self._ask_lldpd(wanted.netdevs[""]), name="lldpd"))
                else:  # what lldpd said before is over
                    self.hub.publish(NeighboursSeen(self.config.agent.device, "lldpd", {}))
                if wanted.counted:
                    tasks.append(group.create_task(self._count(wanted.counted), name="host counters"))
                for remote in wanted.others:
                    work = remote(self.hub, self._links)
                    tasks.append(group.create_task(work, name="source"))
                work = collecting.freeze_what_stays(self.poller.ready)
                tasks.append(group.create_task(work, name="collecting"))
                if not announced:
                    announced = True
                    await self._announce()
                fresh = await self._reloaded()
                for task in tasks:
                    task.cancel()
            self._forget(wanted, fresh)
            self.config, wanted = fresh
            del fresh

    async def _announce(self) -> None:
        sdnotify.notify("READY=1", f"STATUS={len(self.poller.ports) if self.poller else 0} ports")
        if self._on_started is not None:
            self._on_started()

    async def _rescan(self, wanted: opening.Wanted) -> None:
        """Open the sources anew when something came or went that a pattern matches, or that nobody configured."""
        from drivers.discovery import eeprom_devices

        root = self.config.agent.sys_root
        before, devices = wanted.sources(), eeprom_devices(root)
        while True:
            with contextlib.suppress(TimeoutError):  # the kernel tells of interfaces, of EEPROM files it does not
                async with asyncio.timeout(LOOK_S):
                    await self._interfaces_changed.wait()
            if eeprom_devices(root) == devices and not self._interfaces_changed.is_set():
                continue
            await asyncio.sleep(RESCAN_S)
            self._interfaces_changed.clear()
            devices = eeprom_devices(root)
            try:
                found = await asyncio.to_thread(self._found)
            except ConfigError as exc:  # two of them would have one name
                _log.error("interfaces or EEPROM files came or went: %s (the sources of before stay)", exc)
                continue
            if found.wanted.sources() != before:
                _log.info("interfaces or EEPROM files came or went: sources are opened anew")
                self._requests.reopen(found)

    def _found(self) -> opening.Opened:
        """What is to be read now. Each card is asked whether it can read modules: not on the event loop."""
        return self._opened(self.config if self._look_again is None else self._look_again())

    def _opened(self, config: Config) -> opening.Opened:
        return opening.Opened(config, opening.open_all(config, clock=self._clock))

    async def _watch_links(self, netns: str, netdevs: dict[str, str]) -> None:
        from drivers.rtnetlink import LinkWatcher

        await LinkWatcher(
            self.hub,
            self._links,
            device=self.config.agent.device,
            ports=netdevs,
            netns=netns,
            on_netdevs=self._interfaces_changed.set,
        ).run()

    async def _ask_lldpd(self, netdevs: dict[str, str]) -> None:
        from drivers.lldpd import Lldpd

        agent = self.config.agent
        await Lldpd(
            self.hub, device=agent.device, ports=netdevs, socket=agent.lldpd_socket, name=socket.gethostname()
        ).run()

    async def _count(self, ports: dict[str, str]) -> None:
        from drivers.hostcounters import HostCounterReader, HostSide

        root = self.config.agent.sys_root
        await HostCounterReader(
            self.hub, device=self.config.agent.device, ports=lambda: ports, side=lambda: HostSide(sys_root=root)
        ).run()

    def _forget(self, before: opening.Wanted, fresh: opening.Opened) -> None:
        """Ports and devices that nobody asks any more."""
        after = {*(setup.port for setup in fresh.wanted.setups), *fresh.wanted.engines.ports}
        if fresh.config.port == self.config.port:
            after |= set(before.engines.ports)
        for port in (*(setup.port for setup in before.setups), *before.engines.ports):
            if port not in after:
                self.hub.publish(PortForgotten(self.config.agent.device, port))
        for name in before.devices() - fresh.wanted.devices():
            for port in list(self.hub.device(name).ports):
                self.hub.publish(PortForgotten(name, port))
            if name != self.hub.local.device:
                del self.hub.devices[name]

    def _on_link(self, event: LinkEvent) -> None:
        pause_s = self.config.agent.pause_after_link_change
        if pause_s and self.poller is not None and event.device == self.hub.local.device:
            self.poller.hold(event.port, pause_s)

    def _exhausted(self, bus: str) -> None:
        _log.critical(
            "bus %s hangs and no spare thread is left: ending, for the service manager to start anew", bus
        )
        self._exit_code = 1
        self.stop()

    # ---- reload and watchdog ------------------------------------------------------------------------------

    def _on_hangup(self) -> None:
        if self._path is None:
            _log.warning("SIGHUP: there is no config file to reload")
            return
        self._requests.reload()

    async def _reloaded(self) -> opening.Opened:
        """Wait until the sources have to change: rules alone are exchanged in place."""
        while True:
            request = await self._requests.next()
            config, wanted = request.reopen or (self.config, None)
            if request.reload:
                try:
                    config, anew = await self._exchange()
                except ConfigError as exc:
                    for line in str(exc).splitlines():
                        _log.error("reload: %s", line)
                    self._reload_ok(False)
                    request.answer(exc)
                else:
                    wanted = anew or wanted
                    self._reload_ok(True)
                    request.answer()
            if wanted is not None:
                return opening.Opened(config, wanted)
            self.config = config

    async def _exchange(self) -> tuple[Config, opening.Wanted | None]:
        """Read the config again and change over to it; its sources, where they have to change too.

        Raises ConfigError before anything was changed.
        """
        fresh = self._load()
        quirks = opening.own_quirks(fresh)
        ends = peerbook.load(fresh.agent.peers)
        wanted = None
        if (_read_by(fresh), quirks) != (_read_by(self.config), self._quirks):
            # Sources that cannot stand together are found out only so.
            wanted = (await asyncio.to_thread(self._opened, fresh)).wanted
        self.book.replace_rules(rules_config.all_rules(fresh.rule))
        self.book.use_groups(_groups(fresh))
        self.peers.use(fresh.agent.peers, ends)
        self._quirks = quirks
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


def _read_by(config: Config) -> tuple[object, ...]:
    """What decides how sources are read; the rest of [agent] is obeyed without that, or after a restart."""
    agent = config.agent.model_dump(exclude={"peers", "quirks", "pause_after_link_change", "profile", "state_dir"})
    return config.source, config.port, agent


def _groups(config: Config) -> dict[str, list[str]]:
    """Ports that share something, by what an incident of theirs is called."""
    return {f"{group.kind} {group.name}": group.ports for group in config.group}


def _until_restart(config: Config) -> tuple[object, ...]:
    """What a reload leaves as it is."""
    return config.exporter, config.agent.profile, config.agent.state_dir


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
