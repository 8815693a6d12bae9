"""The SNMP source: many switches polled by one agent, their readings, links and modules on the hub.

    [[source]]
    type = "snmp"
    targets = "/etc/opticd/switches.txt"    # or a list; NAME=HOST[:PORT] a line
    community_file = "/etc/opticd/community"
    shard = "2/8"                           # the second of eight agents with the same list
    traps = "0.0.0.0:162"

Device document: drivers/snmp/vendors/*.toml and docs/snmp.md.
"""

import asyncio
import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agent.config.sources import SnmpSource as Section
from agent.errors import ConfigError, DriverError
from agent.links.links import Links
from agent.state import Hub, SourceHealth
from drivers.snmp import rules, transport
from drivers.snmp.client import Limits
from drivers.snmp.credentials import Credentials, make_user, secret
from drivers.snmp.targets import Target, load_targets, parse_shard, share
from drivers.snmp.traps import Trap, TrapReceiver
from drivers.snmp.watch import Pace, Watch, WatchOptions

_log = logging.getLogger(__name__)


class SnmpSource:
    """All targets of one section. Raises ConfigError at once for what no poll would mend."""

    def __init__(self, section: Section, *, pace: Pace | None = None) -> None:
        self._section = section
        self._credentials = credentials_of(section)
        self._mibs = rules.load(section.vendors)
        self._shard = parse_shard(section.shard) if section.shard else (1, 1)
        self.targets: tuple[Target, ...] = self._load()
        self.watches: dict[str, Watch] = {}
        self.traps: TrapReceiver | None = None
        self._complaint = ""
        self._opening = asyncio.Lock()
        self._endpoints: dict[socket.AddressFamily, transport.Endpoint] = {}
        self._builder = ThreadPoolExecutor(1, "snmp maps")
        self._options = WatchOptions(
            builder=self._builder,
            interval_s=section.poll_interval or 60.0,
            discovery_s=section.discovery_interval,
            pace=pace or Pace(),
            every_interface=section.interfaces == "all",
            limits=Limits(
                timeout_s=section.timeout,
                retries=section.retries,
                repetitions=min(25, section.max_repetitions),
                max_repetitions=section.max_repetitions,
                silence_s=max(30.0, section.timeout * (section.retries + 1) * 2),
            ),
        )

    def _load(self) -> tuple[Target, ...]:
        return share(load_targets(self._section.targets), self._shard)

    async def run(self, hub: Hub, links: Links) -> None:
        """Poll all targets until cancelled."""
        for target in self.targets:
            hub.device(target.name)  # so that /sd lists it and /probe knows it before it has answered
        try:
            async with asyncio.TaskGroup() as group:
                await self._start_traps(hub)
                tasks: dict[str, asyncio.Task[None]] = {}
                self._adjust(hub, links, group, tasks)
                while True:
                    await asyncio.sleep(self._options.pace.look_again_s)
                    if self._reread():
                        self._adjust(hub, links, group, tasks)
        finally:
            if self.traps is not None:
                self.traps.stop()
            for endpoint in self._endpoints.values():
                endpoint.close()
            self._builder.shutdown(wait=False, cancel_futures=True)

    def _reread(self) -> bool:
        """Whether a file of targets has changed; a bad one changes nothing."""
        if not isinstance(self._section.targets, Path):
            return False
        try:
            fresh = self._load()
        except ConfigError as exc:
            if str(exc) != self._complaint:
                self._complaint = str(exc)
                _log.error("%s (the targets of before stay)", exc)
            return False
        self._complaint = ""
        changed, self.targets = fresh != self.targets, fresh
        return changed

    def _adjust(
        self, hub: Hub, links: Links, group: asyncio.TaskGroup, tasks: dict[str, asyncio.Task[None]]
    ) -> None:
        """Watch exactly the targets of now."""
        wanted = {target.name: target for target in self.targets}
        for name in [name for name, watch in self.watches.items() if wanted.get(name) != watch.target]:
            tasks.pop(name).cancel()
            self.watches.pop(name).forget()
        for name, target in wanted.items():
            if name not in self.watches:
                watch = Watch(
                    target,
                    hub=hub,
                    links=links,
                    mibs=self._mibs,
                    credentials=self._credentials,
                    endpoint=self._endpoint,
                    options=self._options,
                    on_engine=self._know_engine,
                    devices=len(wanted),
                )
                self.watches[name] = watch
                tasks[name] = group.create_task(watch.run(), name=f"snmp {name}")

    async def _endpoint(self, family: socket.AddressFamily) -> transport.Endpoint:
        async with self._opening:  # many devices ask for it at once; a second one would never be closed
            endpoint = self._endpoints.get(family)
            if endpoint is None or endpoint.closed:
                endpoint = self._endpoints[family] = await transport.Endpoint.open(family)
            return endpoint

    async def _start_traps(self, hub: Hub) -> None:
        if not self._section.traps:
            return
        host, _, port = self._section.traps.rpartition(":")
        receiver = TrapReceiver(self._credentials, self._on_trap)
        name = f"snmp traps {self._section.traps}"
        try:
            await receiver.start(host.strip("[]"), int(port))
        except DriverError as exc:  # polling works without
            _log.error("%s%s", exc, f" ({exc.hint})" if exc.hint else "")
            hub.publish(SourceHealth(name, up=False, detail=str(exc)))
            return
        self.traps = receiver
        hub.publish(SourceHealth(name, up=True))

    def _know_engine(self, engine_id: bytes) -> None:
        if self.traps is not None:
            self.traps.know_engine(engine_id)

    def _on_trap(self, trap: Trap) -> None:
        for watch in self.watches.values():
            if watch.host == trap.sender:
                watch.on_trap(trap)


def credentials_of(section: Section) -> Credentials:
    """The credentials of a section, read from their files. Raises ConfigError."""
    if section.version == "2c":
        community = secret(section.community_file) if section.community_file else "public"
        return Credentials(community=community)
    user = make_user(
        section.user,
        auth=section.auth,
        auth_password=secret(section.auth_password_file or ""),
        priv=section.priv,
        priv_password=secret(section.priv_password_file or ""),
        context=section.context,
    )
    return Credentials(user=user)
