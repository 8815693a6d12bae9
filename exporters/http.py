"""The HTTP server: where it listens, who may come in, how many, and what a broken or hostile client costs.

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
from typing import Final, TypedDict, cast

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_protocol import RequestHandler

from agent.config import Prometheus
from agent.state import Hub
from exporters.api import AlertBook, Api, History, NoAlerts
from exporters.events import EventStream
from exporters.exposition import Exposition
from exporters.families import Profile
from exporters.listen import bind
from exporters.routes import Routes, Services
from exporters.scrape import Scraper
from exporters.selfmetrics import SelfMetrics
from exporters.users import Busy, Users
from exporters.webconfig import Watched, WebConfig

_log = logging.getLogger(__name__)
_protocol_log = logging.getLogger(f"{__name__}.protocol")
"""Where aiohttp reports requests that are no HTTP, with a traceback each: off, or anybody could fill the disk."""
_protocol_log.setLevel(logging.CRITICAL)

CONNECTIONS: Final = 400
"""More are turned away: each costs a file descriptor, and the poller needs some too."""
OWN_DESCRIPTORS: Final = 224
"""Of 1024 that a process usually may have, so many are left alone, or half of fewer."""
REQUEST_BYTES: Final = 65_536
IDLE_S: Final = 75.0
"""A connection without a whole request by then is closed; scrapes come every 60 s at the slowest."""
HANDSHAKE_S: Final = 10.0
STOP_S: Final = 2.0

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "opticd",
}


class _Certificate(TypedDict, total=False):
    """What is used of `ssl.SSLSocket.getpeercert`."""

    subjectAltName: tuple[tuple[str, str], ...]  # the name in the ssl module


class HttpServer:
    """Serves until it is stopped."""

    def __init__(
        self, services: Services, *, listen: str, web_config: Path | None = None, idle_s: float = IDLE_S
    ) -> None:
        """`listen` is `HOST:PORT`, `[::1]:PORT` or `:PORT`. Raises ConfigError for a web config that is wrong."""
        self._idle_s = idle_s
        self.services = services
        self._listen = listen
        self._web = Watched(web_config, report=_log.error, clock=time.monotonic) if web_config else None
        self._users = Users(lambda: self._config.basic_auth_users)
        self._runner: web.AppRunner | None = None
        self._servers: list[asyncio.Server] = []
        self._most = _most_connections()
        self.addresses: list[tuple[str, int]] = []
        """Where it listens, once it does."""

    @property
    def _config(self) -> WebConfig:
        return self._web.config if self._web else WebConfig()

    async def start(self) -> None:
        """Listen. Raises ConfigError when that is not possible here."""
        sockets = bind(self._listen)
        app = web.Application(middlewares=[self._guard], client_max_size=REQUEST_BYTES)
        app.on_response_prepare.append(self._add_headers)
        Routes(self.services).add_to(app)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_protocol_log,
            keepalive_timeout=self._idle_s,
            handler_cancellation=True,
            shutdown_timeout=STOP_S,
        )
        await self._runner.setup()
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

    def connections(self) -> list[RequestHandler]:
        """Everybody who is connected."""
        server = self._runner.server if self._runner else None
        return list(server.connections) if server else []

    def _connection(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        server = self._runner.server if self._runner else None
        if server is None or len(server.connections) >= self._most:
            return _TurnedAway()
        return server()

    async def stop(self) -> None:
        """Let go of the address, end the streams, wait for answers that are being written."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        self.services.events.close()
        if self._runner is not None:
            await self._runner.cleanup()
        self._users.close()
        self.services.scraper.close()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Ask who it is; turn every failure into one line."""
        if self._web is not None:
            self._web.look()
        try:
            if not self._known_by_certificate(request):
                return _line(403, "this certificate may not come in")
            if not await self._users.may(request.headers.get("Authorization", "")):
                return _line(401, "unauthorized", {"WWW-Authenticate": 'Basic realm="opticd", charset="UTF-8"'})
            return await handler(request)
        except Busy:
            return _line(503, "too many logins are being checked", {"Retry-After": "1"})
        except web.HTTPException as exc:
            allow = {"Allow": exc.headers["Allow"]} if "Allow" in exc.headers else {}
            generic = exc.text is None or exc.text == f"{exc.status}: {exc.reason}"
            return _line(exc.status, exc.reason.lower() if generic else str(exc.text), allow)
        except ConnectionError:
            raise  # it hung up before it was answered: aiohttp knows, and says nothing
        except Exception:  # noqa: BLE001  # a bug in a handler costs one request; it is reported with its traceback
            _log.exception("cannot answer %s %s", request.method, request.path)
            return _line(500, "internal error, see the log")

    def _known_by_certificate(self, request: web.Request) -> bool:
        tls = self._config.tls_server_config
        if tls is None or not tls.client_allowed_sans:
            return True
        certificate = cast("_Certificate", request.get_extra_info("peercert") or {})
        names = {name for _, name in certificate.get("subjectAltName", ())}
        return not names.isdisjoint(tls.client_allowed_sans)

    async def _add_headers(self, _request: web.Request, response: web.StreamResponse) -> None:
        for name, value in (SECURITY_HEADERS | self._config.http_server_config.headers).items():
            response.headers[name] = value
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"


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


def _line(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers=headers)
