"""What each path of the HTTP interface answers (contract of the interface: docs, HTTP)."""

import asyncio
import gzip
import time
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from agent.errors import OpticError
from agent.state import DeviceState, Hub, PortState
from exporters.http.api import Api
from exporters.http.events import Client, EventStream
from exporters.http.figures import figures_document
from exporters.prometheus.scrape import Scraper, accepts_gzip, negotiate
from exporters.web.messages import Refused, Request, Response, encode, json, text
from exporters.web.router import Router

WRITE_S: Final = 30.0
"""Whoever has not read an answer by then is a slow loris (Prometheus itself gives up after 10 s)."""
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

    def router(self) -> Router:
        """Every path."""
        router = Router()
        router.get("/", self.page)
        router.get("/page/{name}", self.page)
        router.get("/metrics", self.metrics)
        router.get("/probe", self.probe)
        router.get("/sd", self.discovery)
        router.get("/api/v1/ports", self.ports)
        router.get("/api/v1/ports/{name}", self.port)
        router.get("/api/v1/summary", self.summary)
        router.get("/api/v1/alerts", self.alerts)
        router.get("/api/v1/reliability", self.reliability)
        router.get("/api/v1/events", self.events, head=False)
        router.get("/-/healthy", self.healthy)
        router.get("/-/ready", self.ready)
        router.post("/-/reload", self.reload)
        return router

    async def page(self, request: Request) -> Response:
        """The status page and its parts."""
        name = request.name or "index.html"
        if name not in self._page:
            raise Refused(404)
        content, packed, tag = self._file(name)
        headers = {"Content-Type": _TYPES[Path(name).suffix], "ETag": tag, "Vary": "Accept-Encoding"}
        headers["Cache-Control"] = "no-cache"
        if request.headers.get("if-none-match") == tag:
            return Response(status=304, headers=headers)
        if accepts_gzip(request.headers.get("accept-encoding", "")):
            return Response(body=(packed,), headers=headers | {"Content-Encoding": "gzip"})
        return Response(body=(content,), headers=headers)

    def _file(self, name: str) -> tuple[bytes, bytes, str]:
        """Content, the same compressed, and what tells this version from another."""
        known = self._packed.get(name)
        if known is None:
            content = self._page[name].read_bytes()
            tag = f'"{sha256(content).hexdigest()[:16]}"'
            known = self._packed[name] = (content, gzip.compress(content, 9, mtime=0), tag)
        return known

    async def metrics(self, request: Request) -> Response:
        """The local device, and opticd itself."""
        return await self._scrape(request, self._services.hub.local.device)

    async def probe(self, request: Request) -> Response:
        """One of the devices that are asked over the network, from the readings that are there."""
        target = request.query.get("target", "")
        if not target:
            raise Refused(400, "give a device: /probe?target=NAME")
        if target not in self._services.hub.devices:
            raise Refused(404, f"no device {target!r} is configured")
        return await self._scrape(request, target)

    async def _scrape(self, request: Request, device: str) -> Response:
        scraper = self._services.scraper
        await scraper.begin(device)
        wanted = negotiate(request.headers.get("accept", ""))
        headers = {"Content-Type": wanted.content_type, "Vary": "Accept, Accept-Encoding"}
        if accepts_gzip(request.headers.get("accept-encoding", "")):
            body = await scraper.compressed(device, openmetrics=wanted.openmetrics)
            return Response(headers=headers | {"Content-Encoding": "gzip"}, body=(body,))
        held = ExitStack()
        parts = held.enter_context(scraper.plain(device, openmetrics=wanted.openmetrics))
        return Response(headers=headers, body=parts, done=held.close)

    async def discovery(self, request: Request) -> Response:
        """Prometheus HTTP service discovery of the other devices."""
        hub = self._services.hub
        labels = [
            {"__metrics_path__": "/probe", "__param_target": name, "instance": name}
            for name in hub.devices
            if name != hub.local.device
        ]
        scheme = {"__scheme__": "https"} if request.peer.secure else {}
        return json([{"targets": [request.host], "labels": each | scheme} for each in labels])

    async def ports(self, request: Request) -> Response:
        """All readings; a list that is sent as it is made, so that nobody waits for 512 of them."""
        api, monotonic = self._services.api, self._services.monotonic()
        found = api.ports(self._device(request))

        async def parts() -> AsyncGenerator[bytes]:
            before = b"["
            for at in range(0, len(found), _PORTS_AT_ONCE):
                part = [encode(api.port(*each, monotonic)) for each in found[at : at + _PORTS_AT_ONCE]]
                yield before + b",".join(part)
                before = b","
                await asyncio.sleep(0)
            yield b"]" if found else b"[]"

        headers = {"Content-Type": "application/json", "Vary": "Accept-Encoding"}
        if accepts_gzip(request.headers.get("accept-encoding", "")):
            return Response(headers=headers | {"Content-Encoding": "gzip"}, body=_packed(parts()))
        return Response(headers=headers, body=parts())

    async def port(self, request: Request) -> Response:
        """One reading with its history and events."""
        name = request.name
        device, port = self._one(name, self._device(request))
        return json(self._services.api.port_in_full(device, port, self._services.monotonic()))

    def _one(self, name: str, device: str) -> tuple[DeviceState, PortState]:
        found = self._services.api.find(name, device)
        local = [each for each in found if each[0] is self._services.hub.local]
        if not found:
            raise Refused(404, f"no port {name!r}" + (f" on {device!r}" if device else ""))
        if len(found) > 1 and not local:
            names = ", ".join(state.device for state, _ in found)
            raise Refused(400, f"several devices have a port {name!r}: add ?device= one of {names}")
        return (local or found)[0]

    def _device(self, request: Request) -> str:
        device = request.query.get("device", "")
        if device and device not in self._services.hub.devices:
            raise Refused(404, f"no device {device!r} is configured")
        return device

    async def summary(self, request: Request) -> Response:
        """A row a port, as the status page shows it."""
        return json(self._services.api.rows(self._device(request)))

    async def alerts(self, request: Request) -> Response:
        """The active alerts."""
        return json(self._services.api.alert_documents(self._device(request)))

    async def reliability(self, request: Request) -> Response:
        """Link-hours, flaps, and what is certain of them."""
        device, now = self._device(request), self._services.monotonic()
        return json(figures_document(self._services.hub, monotonic=now, device=device))

    async def events(self, request: Request) -> Response:
        """Server-sent events until the client goes, is too slow, or the server stops."""
        view = request.query.get("view", "")
        if view not in ("", "summary"):
            raise Refused(400, f"no view {view!r}: it is 'summary', or none")
        client = Client(
            view=view,
            port=request.query.get("port", ""),
            device=self._device(request),
            cut=request.peer.cut,
        )
        headers = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        return Response(headers=headers, body=self._follow(client), endless=True)

    async def _follow(self, client: Client) -> AsyncGenerator[bytes]:
        self._services.events.add(client)
        try:
            yield b"retry: 2000\n\n"
            while not client.dropped:
                try:
                    async with asyncio.timeout(_KEEPALIVE_S):
                        messages = await client.next()
                except TimeoutError:
                    messages = b": still here\n\n"
                yield messages
        finally:
            self._services.events.remove(client)

    async def healthy(self, _request: Request) -> Response:
        """It runs."""
        return text("opticd is healthy.")

    async def ready(self, _request: Request) -> Response:
        """Every port was polled once."""
        if not self._services.ready():
            raise Refused(503, "not every port was polled yet")
        return text("opticd is ready.")

    async def reload(self, request: Request) -> Response:
        """Read the config again."""
        if self._services.reload is None:
            hint = "reloading over HTTP is not enabled: [exporter.prometheus] enable_reload"
            raise Refused(403, hint)
        origin = request.headers.get("origin", "")
        if origin and origin.partition("://")[2] != request.host:
            raise Refused(403, "a page of another site may not do this")
        try:
            await asyncio.shield(self._services.reload())
        except OpticError as exc:
            raise Refused(500, " ".join(str(exc).split())) from exc
        return text("the config was read again.")


async def _packed(parts: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The same as gzip."""
    packer = zlib.compressobj(1, wbits=31)
    async with aclosing(parts):
        async for part in parts:
            yield packer.compress(part)
    yield packer.flush()


def _page_files() -> list[Path]:
    return [file for file in Path(__file__).with_name("page").iterdir() if file.suffix in _TYPES]
