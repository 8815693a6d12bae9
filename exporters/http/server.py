"""The HTTP server: where it listens, how many may come in, how long they may take.

server = make_server(hub, config.exporter.prometheus, profile="standard", self_metrics=SelfMetrics(...))
await server.start()        # ConfigError when the address is taken
await server.stop()
"""

import asyncio
import logging
import resource
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, cast

from agent.config.file import Prometheus
from agent.state import Hub
from exporters.http.api import AlertBook, Api, History, NoAlerts
from exporters.http.events import EventStream
from exporters.http.routes import Routes, Services
from exporters.prometheus.exposition import Exposition
from exporters.prometheus.families import Profile
from exporters.prometheus.scrape import Scraper
from exporters.prometheus.selfmetrics import SelfMetrics
from exporters.web.conversation import Conversation, Limits
from exporters.web.guard import Guard
from exporters.web.listen import bind
from exporters.web.webconfig import Watched

_log = logging.getLogger(__name__)

CONNECTIONS: Final = 400
"""More are turned away: each costs a file descriptor, and the poller needs some too."""
OWN_DESCRIPTORS: Final = 224
"""Of 1024 that a process usually may have, so many are left alone, or half of fewer."""
IDLE_S: Final = 75.0
"""A connection that asks nothing for so long is closed; scrapes come every 60 s at the slowest."""
HEAD_S: Final = 10.0
"""From the first byte of a request to the end of its headers."""
HANDSHAKE_S: Final = 10.0
STOP_S: Final = 2.0


class HttpServer:
    """Serves until it is stopped."""

    def __init__(
        self, services: Services, *, listen: str, web_config: Path | None = None, idle_s: float = IDLE_S
    ) -> None:
        """`listen` is `HOST:PORT`, `[::1]:PORT` or `:PORT`. Raises ConfigError for a web config that is wrong."""
        self.services = services
        self.router = Routes(services).router()
        self._listen = listen
        self._web = Watched(web_config, report=_log.error, clock=time.monotonic) if web_config else None
        self.guard = Guard(self.router, self._web)
        self._limits = Limits(idle_s=idle_s, head_s=HEAD_S, write_s=services.write_s)
        self._most = _most_connections()
        self._open: set[Conversation] = set()
        self._servers: list[asyncio.Server] = []
        self.addresses: list[tuple[str, int]] = []
        """Where it listens, once it does."""

    async def start(self) -> None:
        """Listen. Raises ConfigError when that is not possible here."""
        sockets = bind(self._listen)
        tls = self._web.server_context() if self._web and self._web.tls else None
        for each in sockets:
            await self._serve(each, tls)
        self.addresses = [cast("tuple[str, int]", each.getsockname()[:2]) for each in sockets]

    async def _serve(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        handshake = HANDSHAKE_S if tls else None
        server = await loop.create_server(
            self._connection, sock=listener, ssl=tls, ssl_handshake_timeout=handshake, backlog=self._most
        )
        self._servers.append(server)

    @property
    def connections(self) -> list[asyncio.Transport]:
        """Everybody who is connected."""
        return [each.wire.transport for each in self._open]

    def _connection(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        if len(self._open) >= self._most:
            return _TurnedAway()
        return Conversation(self.guard, self._limits, self._open).wire

    async def stop(self) -> None:
        """Let go of the address, end the streams, wait for answers that are being written."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        self.services.events.close()
        tasks = [each.wire.task for each in self._open]
        for each in list(self._open):
            each.end()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOP_S)
            for transport in self.connections:
                transport.abort()
            if late:
                await asyncio.wait(late)
        self.guard.close()
        self.services.scraper.close()


def _most_connections() -> int:
    """So many that neither they nor as many that are about to be turned away use the descriptors up: asyncio
    accepts a whole backlog at once, and complains with a traceback for each that fails.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(CONNECTIONS, (limit - min(OWN_DESCRIPTORS, limit // 2)) // 2))


def make_server(
    hub: Hub,
    config: Prometheus,
    *,
    profile: Profile,
    self_metrics: SelfMetrics,
    alerts: AlertBook | None = None,
    history: History | None = None,
    ready: Callable[[], bool] = lambda: True,
    reload: Callable[[], Awaitable[None]] | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> HttpServer:
    """The exporter with everything it serves, before the first event of the hub. Raises ConfigError.

    `reload` is offered only when the config enables it; `monotonic` is the clock by which links are up.
    """
    book = alerts or NoAlerts()
    exposition = Exposition(
        hub, profile=profile, power_units=config.power_units, active=book.active(), monotonic=monotonic
    )
    api = Api(hub, alerts=book, history=history)
    services = Services(
        hub=hub,
        api=api,
        events=EventStream(hub, api),
        scraper=Scraper(exposition, self_metrics, local=hub.local.device),
        ready=ready,
        reload=reload if config.enable_reload else None,
        monotonic=monotonic,
    )
    return HttpServer(services, listen=config.listen, web_config=config.web_config)


class _TurnedAway(asyncio.Protocol):
    """The answer to one connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        body = b"too many connections\n"
        head = f"HTTP/1.1 503 Service Unavailable\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        sender = cast("asyncio.Transport", transport)
        sender.write(head.encode() + body)
        sender.close()
