"""What each path of the HTTP interface answers (contract of the interface: docs, HTTP)."""

import asyncio
import gzip
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from aiohttp import web

from agent.errors import OpticError
from agent.state import DeviceState, Hub, PortState
from exporters.api import Api, encode
from exporters.events import Client, EventStream
from exporters.figures import figures_document
from exporters.scrape import Scraper, accepts_gzip, negotiate

_log = logging.getLogger(__name__)

WRITE_S: Final = 30.0
"""Whoever has not read an answer by then is a slow loris (Prometheus itself gives up after 10 s)."""
CHUNK: Final = 65_536
"""So much of an answer is handed to the socket at once: what waits for a slow reader is not copied."""
_KEEPALIVE_S: Final = 15.0
_PORTS_AT_ONCE: Final = 16
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes speak for."""

    hub: Hub
    api: Api
    events: EventStream
    scraper: Scraper
    ready: Callable[[], bool]
    reload: Callable[[], Awaitable[None]] | None
    """None when reloading over HTTP is not enabled. Raises OpticError."""
    monotonic: Callable[[], float] = time.monotonic
    """The clock by which links are up, in seconds."""
    write_s: float = WRITE_S


class Routes:
    """The handlers."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._page = {file.name: file for file in _page_files()}
        """The files of the status page, those alone: a path from outside is never joined to anything."""
        self._packed: dict[str, tuple[bytes, bytes, str]] = {}

    def add_to(self, app: web.Application) -> None:
        """Register every path."""
        app.router.add_get("/", self.page)
        app.router.add_get("/page/{name}", self.page)
        app.router.add_get("/metrics", self.metrics)
        app.router.add_get("/probe", self.probe)
        app.router.add_get("/sd", self.discovery)
        app.router.add_get("/api/v1/ports", self.ports)
        app.router.add_get("/api/v1/ports/{port:.+}", self.port)
        app.router.add_get("/api/v1/summary", self.summary)
        app.router.add_get("/api/v1/alerts", self.alerts)
        app.router.add_get("/api/v1/reliability", self.reliability)
        app.router.add_get("/api/v1/events", self.events, allow_head=False)
        app.router.add_get("/-/healthy", self.healthy)
        app.router.add_get("/-/ready", self.ready)
        app.router.add_post("/-/reload", self.reload)

    async def page(self, request: web.Request) -> web.StreamResponse:
        """The status page and its parts."""
        name = request.match_info.get("name", "index.html")
        if name not in self._page:
            raise web.HTTPNotFound
        content, packed, tag = self._file(name)
        headers = {"Content-Type": _TYPES[Path(name).suffix], "ETag": tag, "Vary": "Accept-Encoding"}
        headers["Cache-Control"] = "no-cache"
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        if accepts_gzip(request.headers.get("Accept-Encoding", "")):
            return web.Response(body=packed, headers=headers | {"Content-Encoding": "gzip"})
        return web.Response(body=content, headers=headers)

    def _file(self, name: str) -> tuple[bytes, bytes, str]:
        """Content, the same compressed, and what tells this version from another."""
        known = self._packed.get(name)
        if known is None:
            content = self._page[name].read_bytes()
            tag = f'"{sha256(content).hexdigest()[:16]}"'
            known = self._packed[name] = (content, gzip.compress(content, 9, mtime=0), tag)
        return known

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """The local device, and opticd itself."""
        return await self._scrape(request, self._services.hub.local.device)

    async def probe(self, request: web.Request) -> web.StreamResponse:
        """One of the devices that are asked over the network, from the readings that are there."""
        target = request.query.get("target", "")
        if not target:
            raise web.HTTPBadRequest(text="give a device: /probe?target=NAME")
        if target not in self._services.hub.devices:
            raise web.HTTPNotFound(text=f"no device {target!r} is configured")
        return await self._scrape(request, target)

    async def _scrape(self, request: web.Request, device: str) -> web.StreamResponse:
        scraper = self._services.scraper
        await scraper.begin(device)
        wanted = negotiate(request.headers.get("Accept", ""))
        headers = {"Content-Type": wanted.content_type, "Vary": "Accept, Accept-Encoding"}
        if accepts_gzip(request.headers.get("Accept-Encoding", "")):
            body = await scraper.compressed(device, openmetrics=wanted.openmetrics)
            return await self._send(request, [body], headers | {"Content-Encoding": "gzip"})
        with scraper.plain(device, openmetrics=wanted.openmetrics) as parts:
            return await self._send(request, parts, headers)

    async def _send(
        self, request: web.Request, parts: Sequence[bytes], headers: dict[str, str]
    ) -> web.StreamResponse:
        """Answer with bytes that exist already, without copying more of them than a slow reader takes."""
        response = web.StreamResponse(headers=headers)
        response.content_length = sum(map(len, parts))
        if request.method == "HEAD":
            return response
        await response.prepare(request)

        async def write() -> None:
            for part in parts:
                for at in range(0, len(part), CHUNK):
                    await response.write(memoryview(part)[at : at + CHUNK] if len(part) > CHUNK else part)
            await response.write_eof()

        return await self._in_time(request, response, write())

    async def _in_time(
        self, request: web.Request, response: web.StreamResponse, writing: Awaitable[None]
    ) -> web.StreamResponse:
        """Let an answer be written, and cut the connection of whoever does not read it."""
        try:
            async with asyncio.timeout(self._services.write_s):
                await writing
        except (ConnectionError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
        return response

    async def discovery(self, request: web.Request) -> web.StreamResponse:
        """Prometheus HTTP service discovery of the other devices."""
        hub = self._services.hub
        labels = [
            {"__metrics_path__": "/probe", "__param_target": name, "instance": name}
            for name in hub.devices
            if name != hub.local.device
        ]
        scheme = {"__scheme__": "https"} if request.secure else {}
        return _json([{"targets": [request.host], "labels": each | scheme} for each in labels])

    async def ports(self, request: web.Request) -> web.StreamResponse:
        """All readings; a list that is sent as it is made, so that nobody waits for 512 of them."""
        api, monotonic = self._services.api, self._services.monotonic()
        found = api.ports(self._device(request))
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        if request.method == "HEAD":
            return response
        if accepts_gzip(request.headers.get("Accept-Encoding", "")):
            response.enable_compression(web.ContentCoding.gzip)
        await response.prepare(request)

        async def write() -> None:
            before = b"["
            for at in range(0, len(found), _PORTS_AT_ONCE):
                part = [encode(api.port(*each, monotonic)) for each in found[at : at + _PORTS_AT_ONCE]]
                await response.write(before + b",".join(part))
                before = b","
                await asyncio.sleep(0)
            await response.write(b"]" if found else b"[]")
            await response.write_eof()

        return await self._in_time(request, response, write())

    async def port(self, request: web.Request) -> web.StreamResponse:
        """One reading with its history and events."""
        name = request.match_info["port"]
        device, port = self._one(name, self._device(request))
        return _json(self._services.api.port_in_full(device, port, self._services.monotonic()))

    def _one(self, name: str, device: str) -> tuple[DeviceState, PortState]:
        found = self._services.api.find(name, device)
        local = [each for each in found if each[0] is self._services.hub.local]
        if not found:
            raise web.HTTPNotFound(text=f"no port {name!r}" + (f" on {device!r}" if device else ""))
        if len(found) > 1 and not local:
            names = ", ".join(state.device for state, _ in found)
            raise web.HTTPBadRequest(text=f"several devices have a port {name!r}: add ?device= one of {names}")
        return (local or found)[0]

    def _device(self, request: web.Request) -> str:
        device = request.query.get("device", "")
        if device and device not in self._services.hub.devices:
            raise web.HTTPNotFound(text=f"no device {device!r} is configured")
        return device

    async def summary(self, request: web.Request) -> web.StreamResponse:
        """A row a port, as the status page shows it."""
        return _json(self._services.api.rows(self._device(request)))

    async def alerts(self, request: web.Request) -> web.StreamResponse:
        """The active alerts."""
        return _json(self._services.api.alert_documents(self._device(request)))

    async def reliability(self, request: web.Request) -> web.StreamResponse:
        """Link-hours, flaps, and what is certain of them."""
        device, now = self._device(request), self._services.monotonic()
        return _json(figures_document(self._services.hub, monotonic=now, device=device))

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events until the client goes, is too slow, or the server stops."""
        view = request.query.get("view", "")
        if view not in ("", "summary"):
            raise web.HTTPBadRequest(text=f"no view {view!r}: it is 'summary', or none")
        client = Client(
            view=view,
            port=request.query.get("port", ""),
            device=self._device(request),
            cut=lambda: request.transport.abort() if request.transport is not None else None,
        )
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        self._services.events.add(client)
        try:
            await _follow(client, response, self._services.write_s)
        except (ConnectionError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._services.events.remove(client)
        return response

    async def healthy(self, _request: web.Request) -> web.StreamResponse:
        """It runs."""
        return web.Response(text="opticd is healthy.\n")

    async def ready(self, _request: web.Request) -> web.StreamResponse:
        """Every port was polled once."""
        if not self._services.ready():
            raise web.HTTPServiceUnavailable(text="not every port was polled yet")
        return web.Response(text="opticd is ready.\n")

    async def reload(self, request: web.Request) -> web.StreamResponse:
        """Read the config again."""
        if self._services.reload is None:
            hint = "reloading over HTTP is not enabled: [exporter.prometheus] enable_reload"
            raise web.HTTPForbidden(text=hint)
        origin = request.headers.get("Origin", "")
        if origin and origin.partition("://")[2] != request.host:
            raise web.HTTPForbidden(text="a page of another site may not do this")
        try:
            await asyncio.shield(self._services.reload())
        except OpticError as exc:
            raise web.HTTPInternalServerError(text=" ".join(str(exc).split())) from exc
        return web.Response(text="the config was read again.\n")


async def _follow(client: Client, response: web.StreamResponse, write_s: float) -> None:
    await response.write(b"retry: 2000\n\n")
    while not client.dropped:
        try:
            async with asyncio.timeout(_KEEPALIVE_S):
                messages = await client.next()
        except TimeoutError:
            messages = b": still here\n\n"
        async with asyncio.timeout(write_s):
            for at in range(0, len(messages), CHUNK):
                await response.write(messages[at : at + CHUNK])


def _page_files() -> list[Traversable]:
    return [file for file in files("exporters").joinpath("page").iterdir() if Path(file.name).suffix in _TYPES]


def _json(document: object) -> web.Response:
    return web.Response(body=encode(document), content_type="application/json")
