"""A server over a hub that the test feeds, on a free port of loopback."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agent.config.file import Prometheus
from agent.model import AlertEvent, Severity
from agent.state import Hub
from exporters.http.api import Document, History
from exporters.http.server import HttpServer, make_server
from exporters.prometheus.selfmetrics import SelfMetrics


@dataclass
class Book:
    """Alerts as the test wants them."""

    alerts: list[AlertEvent] = field(default_factory=list[AlertEvent])

    def active(self) -> Sequence[AlertEvent]:
        return self.alerts


class Ring:
    """Two samples of every port."""

    def samples(self, device: str, port: str) -> Sequence[Document]:
        return [{"time": "2026-11-22T13:00:00.000Z", "port": f"{device}/{port}"}] * 2


@dataclass
class Served:
    """A running server."""

    hub: Hub
    server: HttpServer
    book: Book
    scheme: str = "http"

    def url(self, path: str) -> str:
        host, port = self.server.addresses[0]
        return f"{self.scheme}://{host}:{port}{path}"


@asynccontextmanager
async def serving(
    *,
    listen: str = "127.0.0.1:0",
    web_config: Path | None = None,
    scheme: str = "http",
    reload: Callable[[], Awaitable[None]] | None = None,
    ready: Callable[[], bool] = lambda: True,
    history: History | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncGenerator[Served]:
    """A server for the length of a `with` block."""
    hub, book = Hub("leaf-17"), Book()
    server = make_server(
        hub,
        Prometheus(listen=listen, web_config=web_config, enable_reload=reload is not None),
        profile="standard",
        self_metrics=SelfMetrics(hub, version="1.2.3"),
        alerts=book,
        history=history or Ring(),
        ready=ready,
        reload=reload,
        monotonic=monotonic,
    )
    await server.start()
    try:
        yield Served(hub, server, book, scheme)
    finally:
        await server.stop()


def alert(
    rule: str = "rx_margin",
    *,
    port: str = "Ethernet0",
    state: Literal["firing", "resolved"] = "firing",
    lane: int = 0,
    severity: Severity = "warning",
    device: str = "leaf-17",
) -> AlertEvent:
    """An alert of which only these things matter."""
    return AlertEvent(
        id="0", seq=1, boot_id="b", time=1.0, device=device, port=port, rule=rule, lane=lane,
        severity=severity, state=state, summary="It is so.",
    )  # fmt: skip
