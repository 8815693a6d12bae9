"""SONiC's own readings, from the Redis of the switch: what xcvrd and orchagent write; the bus is never touched.

    [[source]]
    type = "sonic"

Device document: drivers/sonic/tables.py (tables and fields, old and new layouts).
Every change arrives by a keyspace notification (SONiC switches them on); a full read each poll interval makes
up for what was missed, and for a Redis without notifications.
"""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast

import redis.asyncio as redis
from redis import exceptions as failures
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from agent.config.sources import SonicSource as Section
from agent.documents.device import DeviceRead
from agent.errors import BusGone, BusTimeout, ConfigError, DeviceRefused, DriverError, NotPermitted
from agent.links.links import Links
from agent.model import Module, ModuleChange, ModuleEvent, PollFailed, PollTiming, Trouble
from agent.sources import Options, SourceName
from agent.state import Hub, PortForgotten, SourceHealth
from drivers.sonic import tables
from drivers.sonic.tables import APPL_DB, STATE_DB, TABLES, PortRows

_log = logging.getLogger(__name__)

SOCKET: Final = Path("/var/run/redis/redis.sock")
HOST: Final = "127.0.0.1:6379"
PORT_KEY: Final = "PORT_TABLE:Ethernet"
SETTLE_S: Final = 0.05
"""xcvrd writes the tables of a port one after the other; they are read together."""
AT_ONCE: Final = 16
"""Ports in one round trip: more would hold the event loop too long."""
LIMIT_S: Final = 30.0
MOST_BACK_OFF_S: Final = 60.0
_PATTERNS: Final = (f"__keyspace@{STATE_DB}__:TRANSCEIVER_*", f"__keyspace@{APPL_DB}__:{PORT_KEY}*")
_ABSENT: Final = Trouble("absent", "no module in the cage")

# In the order of the tree: the narrowest first.
_ERRORS: Final[tuple[tuple[type[Exception], type[DriverError]], ...]] = (
    (failures.AuthenticationError, NotPermitted),
    (failures.NoPermissionError, NotPermitted),
    (failures.TimeoutError, BusTimeout),
    (failures.ConnectionError, BusGone),
    (failures.ResponseError, DeviceRefused),
    (OSError, BusGone),
)


class Databases:
    """STATE_DB and APPL_DB of one Redis."""

    def __init__(self, address: str = "", *, timeout_s: float = 5.0) -> None:
        """`address`: HOST:PORT or the path of a socket; empty: where SONiC has it."""
        self.address = address or (str(SOCKET) if SOCKET.exists() else HOST)
        self._timeout_s = timeout_s
        self._state = self._connect(STATE_DB)
        self._appl = self._connect(APPL_DB)

    def _connect(self, number: int) -> Any:
        options: dict[str, Any] = {
            "db": number, "decode_responses": True, "encoding_errors": "replace",
            "socket_timeout": self._timeout_s, "socket_connect_timeout": self._timeout_s,
            "retry": Retry(NoBackoff(), 0),  # the source has its own patience
        }  # fmt: skip
        if "/" in self.address:
            return redis.Redis(unix_socket_path=self.address, **options)
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdecimal():
            raise ConfigError(f"sonic:{self.address}: HOST:PORT or the path of Redis' socket is expected")
        return redis.Redis(host=host.strip("[]"), port=int(port), **options)

    async def close(self) -> None:
        """Give the connections back."""
        for client in (self._state, self._appl):
            await client.aclose()

    async def port_names(self) -> list[str]:
        """Every front-panel port that orchagent or xcvrd knows, in natural order."""
        names: set[str] = set()
        with mapped(self.address):
            async for key in self._appl.scan_iter(match=f"{PORT_KEY}*", count=1000):
                names.add(str(key).partition(":")[2])
            async for key in self._state.scan_iter(match="TRANSCEIVER_INFO|*", count=1000):
                names.add(str(key).partition("|")[2])
        return sorted(names, key=_natural)

    async def rows(self, names: Iterable[str]) -> dict[str, PortRows]:
        """All rows of these ports, a few ports a round trip."""
        found: dict[str, PortRows] = {}
        wanted = list(names)
        for at in range(0, len(wanted), AT_ONCE):
            some = wanted[at : at + AT_ONCE]
            with mapped(self.address):
                state = self._state.pipeline(transaction=False)
                appl = self._appl.pipeline(transaction=False)
                for name in some:
                    for table in TABLES:
                        state.hgetall(f"{table}|{name}")
                    appl.hgetall(f"PORT_TABLE:{name}")
                states = cast("list[dict[str, str]]", await state.execute())
                ports = cast("list[dict[str, str]]", await appl.execute())
            for number, name in enumerate(some):
                cells = states[number * len(TABLES) : (number + 1) * len(TABLES)]
                found[name] = PortRows(dict(zip(TABLES, cells, strict=True)), ports[number])
        return found

    @asynccontextmanager
    async def changes(self) -> AsyncGenerator[Any]:
        """A subscription to the changes of all ports."""
        with mapped(self.address):
            async with self._state.pubsub(ignore_subscribe_messages=True) as subscription:
                await subscription.psubscribe(*_PATTERNS)
                yield subscription


class mapped:  # noqa: N801 - reads as a statement
    """Turns what redis-py raises into the errors of the project."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, exc: BaseException | None, _trace: object) -> None:
        for theirs, ours in _ERRORS:
            if isinstance(exc, theirs):
                hint = "is this a SONiC switch, and may this user read Redis' socket?"
                raise ours(f"Redis at {self._address}: {str(exc) or theirs.__name__}", hint=hint) from exc


async def read_switch(databases: Databases, *, device: str, source: str) -> DeviceRead:
    """All ports now."""
    async with asyncio.timeout(LIMIT_S):
        names = await databases.port_names()
        rows = await databases.rows(names)
    now = time.time()
    return DeviceRead(
        device, tuple(tables.reading(name, rows[name], device=device, source=source, time=now) for name in names)
    )


def read(source: SourceName) -> DeviceRead:
    """What `sonic:[ADDRESS]` says now. Blocks. Raises ConfigError and DriverError."""
    options = Options(source.options, of=str(source))
    device = options.text("device") or socket.gethostname()
    options.finish()

    async def once() -> DeviceRead:
        databases = Databases(source.address)
        try:
            return await read_switch(databases, device=device, source=f"sonic:{databases.address}")
        except TimeoutError:
            raise BusTimeout(f"Redis at {databases.address}: no answer within {LIMIT_S:g} s") from None
        finally:
            await databases.close()

    return asyncio.run(once())


class SonicSource:
    """The switch that opticd runs on (or whose Redis it reaches), as the local device."""

    def __init__(self, section: Section, *, interval_s: float) -> None:
        self.name = f"sonic:{section.redis or 'local'}"
        self._address = section.redis
        self._interval_s = interval_s
        self._modules: dict[str, Module | None] = {}
        self._failed = 0
        self.notified = 0
        """Changes that came by notification."""

    async def run(self, hub: Hub, links: Links) -> None:
        """Follow the switch until cancelled; a Redis that is away is tried again, less and less often."""
        name = self.name
        while True:
            databases = Databases(self._address)
            try:
                await self._follow(databases, hub, links, name)
            except (DriverError, TimeoutError) as exc:
                self._tell_failure(hub, name, exc)
            finally:
                await databases.close()
            await asyncio.sleep(min(self._interval_s * 2 ** (self._failed - 1), MOST_BACK_OFF_S))

    def _tell_failure(self, hub: Hub, name: str, exc: Exception) -> None:
        self._failed += 1
        if self._failed == 1:
            hint = getattr(exc, "hint", "")
            _log.warning("%s: %s%s", name, exc, f" ({hint})" if hint else "")
        hub.publish(SourceHealth(name, up=False, detail=str(exc)))
        trouble = Trouble(getattr(exc, "reason", "bus_timeout"), str(exc))
        for port, module in self._modules.items():
            if module is not None:
                hub.publish(PollFailed(hub.local.device, port, time.time(), present=True, trouble=trouble))

    async def _follow(self, databases: Databases, hub: Hub, links: Links, name: str) -> None:
        loop = asyncio.get_running_loop()
        async with databases.changes() as subscription:
            due = flush = loop.time()
            dirty: set[str] = set()
            while True:
                now = loop.time()
                if now >= due:
                    dirty.clear()
                    await self._read(databases, hub, links, name, None)
                    hub.publish(SourceHealth(name, up=True))
                    self._failed = 0
                    hub.publish(PollTiming(name, loop.time() - now, int((loop.time() - due) / self._interval_s)))
                    due = max(due + self._interval_s, loop.time())
                elif dirty and now >= flush:
                    ports, dirty = sorted(dirty), set[str]()
                    await self._read(databases, hub, links, name, ports)
                wait = min(due, flush if dirty else due) - loop.time()
                message = await subscription.get_message(timeout=max(wait, 0.001))
                if message is not None and (port := _port_of(str(message["channel"]))):
                    self.notified += 1
                    if not dirty:
                        flush = loop.time() + SETTLE_S
                    dirty.add(port)

    async def _read(
        self, databases: Databases, hub: Hub, links: Links, source: str, ports: list[str] | None
    ) -> None:
        """Read these ports, all of them when None is given, and publish them."""
        names = await databases.port_names() if ports is None else ports
        for at in range(0, len(names), AT_ONCE):
            for port, rows in (await databases.rows(names[at : at + AT_ONCE])).items():
                if rows.present or rows.port:
                    self._publish(hub, links, source, port, rows)
            await asyncio.sleep(0)
        if ports is None:
            for port in [port for port in self._modules if port not in set(names)]:
                del self._modules[port]
                hub.publish(PortForgotten(hub.local.device, port))

    def _publish(self, hub: Hub, links: Links, source: str, port: str, rows: PortRows) -> None:
        device, now = hub.local.device, time.time()
        reading = tables.reading(port, rows, device=device, source=source, time=now)
        known = port in self._modules
        before = self._modules.get(port)
        after = reading.module if rows.present else None
        self._modules[port] = after
        if known and (change := _change(before, after)) is not None:
            hub.publish(ModuleEvent(device, port, now, change, after or Module(), before or Module()))
        if after is not None:
            hub.publish(reading)
        elif not known or before is not None:
            hub.publish(PollFailed(device, port, now, present=False, trouble=_ABSENT))
        if (seen := tables.observation(port, rows.port)) is not None:
            links.observe(device, port, seen, time=now, monotonic=time.monotonic())


def _change(before: Module | None, after: Module | None) -> ModuleChange | None:
    if before is None or after is None:
        if before is after:
            return None
        return ModuleChange.INSERTED if before is None else ModuleChange.REMOVED
    keys = ("serial_number", "part_number", "vendor_name")
    return ModuleChange.SWAPPED if any(before.get(key) != after.get(key) for key in keys) else None


def _port_of(channel: str) -> str:
    """The port in `__keyspace@6__:TRANSCEIVER_INFO|Ethernet0` or `__keyspace@0__:PORT_TABLE:Ethernet0`."""
    key = channel.partition("__:")[2]
    name = key.partition("|")[2] or key.partition(":")[2]
    return name if name.startswith("Ethernet") else ""


def _natural(name: str) -> tuple[str, int]:
    head = name.rstrip("0123456789")
    return head, int(name[len(head) :] or 0)
