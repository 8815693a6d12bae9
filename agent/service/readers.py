"""What reads: poller, link watcher and remote devices are one group of tasks, which a reload replaces."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import Final

from agent import maps
from agent.alerts.book import AlertBook
from agent.clock import Clock
from agent.config.file import Config
from agent.errors import ConfigError
from agent.links.links import Links
from agent.model import LinkEvent, Module
from agent.polling.poller import Poller, PollerOptions
from agent.service import collecting, opening, sdnotify
from agent.service.reloading import Reloader
from agent.state import Hub, NeighboursSeen, PortForgotten, SourceHealth

_log = logging.getLogger(__name__)

LOOK_S: Final = 5.0
"""How often the kernel's list of I2C devices is looked at."""
RESCAN_S: Final = 1.0
"""Interfaces that come together (a card with its ports, renamed by udev) are looked at together."""


class Readers:
    """Reads what the config of now asks for, into the hub."""

    def __init__(
        self,
        hub: Hub,
        links: Links,
        reloader: Reloader,
        *,
        book: AlertBook,
        last_module: Callable[[str], Module],
        clock: Clock,
        look_again: Callable[[], Config] | None,
        on_started: Callable[[], None] | None,
        on_exhausted: Callable[[str], None],
    ) -> None:
        self.poller: Poller | None = None
        self._hub = hub
        self._links = links
        self._reloader = reloader
        self._book = book
        self._last_module = last_module
        self._clock = clock
        self._look_again = look_again
        self._on_started = on_started
        self._on_exhausted = on_exhausted
        self._interfaces_changed = asyncio.Event()
        self._remote: list[Callable[[], set[str]]] = []
        self._tried: set[str] = set()
        """Sources that told of their health."""
        hub.subscribe(LinkEvent, self._on_link)
        hub.subscribe(SourceHealth, self._on_health)

    @property
    def config(self) -> Config:
        """The config of now."""
        return self._reloader.config

    @property
    def ready(self) -> bool:
        """Whether each port was polled once, and each device over a network answered or failed once."""
        if self.poller is None or not self.poller.ready.is_set():
            return False
        return all(names() <= self._tried for names in self._remote)

    async def run(self) -> None:
        """Read what the config asks for; a reload puts another group of tasks in its place."""
        announced = False
        collecting.settle()  # most of what is ever imported
        # Imports drivers, and reads files of theirs: not on the event loop.
        wanted = (await asyncio.to_thread(self._reloader.opened, self.config)).wanted
        while True:
            for name, error in wanted.failed:
                _log.error("%s: %s%s", name, error, f" ({error.hint})" if error.hint else "")
                self._hub.publish(SourceHealth(name, up=False, detail=str(error)))
            for note in wanted.notes:
                _log.warning("%s", note)
            self.poller = Poller(
                self._hub,
                wanted.setups,
                identify=maps.Maps(self._reloader.quirks).identify,
                wall=self._clock.wall,
                options=PollerOptions(bus_share=self.config.agent.bus_share),
                expected=self._last_module,
                on_exhausted=self._on_exhausted,
                engines=wanted.engines,
            )
            self._remote = wanted.remote
            self._book.use_engines(wanted.engines)
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
                    self._hub.publish(NeighboursSeen(self.config.agent.device, "lldpd", {}))
                if wanted.counted:
                    tasks.append(group.create_task(self._count(wanted.counted), name="host counters"))
                for remote in wanted.others:
                    work = remote(self._hub, self._links)
                    tasks.append(group.create_task(work, name="source"))
                work = collecting.freeze_what_stays(self.poller.ready)
                tasks.append(group.create_task(work, name="collecting"))
                if not announced:
                    announced = True
                    await self._announce()
                fresh = await self._reloader.next_sources()
                for task in tasks:
                    task.cancel()
            self._forget(wanted, fresh)
            self._reloader.config, wanted = fresh
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
                self._reloader.requests.reopen(found)

    def _found(self) -> opening.Opened:
        """What is to be read now. Each card is asked whether it can read modules: not on the event loop."""
        return self._reloader.opened(self.config if self._look_again is None else self._look_again())

    async def _watch_links(self, netns: str, netdevs: dict[str, str]) -> None:
        from drivers.host.rtnetlink import LinkWatcher

        await LinkWatcher(
            self._hub,
            self._links,
            device=self.config.agent.device,
            ports=netdevs,
            netns=netns,
            on_netdevs=self._interfaces_changed.set,
        ).run()

    async def _ask_lldpd(self, netdevs: dict[str, str]) -> None:
        from drivers.host.lldpd import Lldpd

        agent = self.config.agent
        await Lldpd(
            self._hub, device=agent.device, ports=netdevs, socket=agent.lldpd_socket, name=socket.gethostname()
        ).run()

    async def _count(self, ports: dict[str, str]) -> None:
        from drivers.hostcounters import HostCounterReader, HostSide

        root = self.config.agent.sys_root
        await HostCounterReader(
            self._hub, device=self.config.agent.device, ports=lambda: ports, side=lambda: HostSide(sys_root=root)
        ).run()

    def _forget(self, before: opening.Wanted, fresh: opening.Opened) -> None:
        """Ports and devices that nobody asks any more."""
        after = {*(setup.port for setup in fresh.wanted.setups), *fresh.wanted.engines.ports}
        if fresh.config.port == self.config.port:
            after |= set(before.engines.ports)
        for port in (*(setup.port for setup in before.setups), *before.engines.ports):
            if port not in after:
                self._hub.publish(PortForgotten(self.config.agent.device, port))
        for name in before.devices() - fresh.wanted.devices():
            for port in list(self._hub.device(name).ports):
                self._hub.publish(PortForgotten(name, port))
            if name != self._hub.local.device:
                del self._hub.devices[name]

    def _on_link(self, event: LinkEvent) -> None:
        pause_s = self.config.agent.pause_after_link_change
        if pause_s and self.poller is not None and event.device == self._hub.local.device:
            self.poller.hold(event.port, pause_s)

    def _on_health(self, health: SourceHealth) -> None:
        self._tried.add(health.source)
