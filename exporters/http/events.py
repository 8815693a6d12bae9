"""Server-sent events: every client has a queue that ends it when it is full, so a slow one costs others nothing."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from agent.alerts.document import to_alert_document
from agent.documents.reading import to_document
from agent.model import AlertEvent, LinkEvent, ModuleEvent, PollFailed, Reading
from agent.state import Hub, LinkChanged, PortForgotten
from exporters.http.api import Api
from exporters.http.summary import Row
from exporters.web.messages import encode

QUEUE_BYTES: Final = 1_000_000
"""As much may wait for a client."""
SUMMARY_S: Final = 1.0
"""The rows that changed are sent together in this period."""


class Client:
    """One listener. `view` is `summary` for rows instead of readings; `port` adds the readings of this one."""

    def __init__(
        self, *, view: str = "", port: str = "", device: str = "", cut: Callable[[], None] = lambda: None
    ) -> None:
        """`cut` ends its connection although it does not read."""
        self.view = view
        self.port = port
        self.device = device
        self._cut = cut
        self.dropped = False
        self._queue = deque[bytes]()
        self._waiting = 0
        self._news = asyncio.Event()

    def wants(self, reading: Reading) -> bool:
        """Whether this reading is sent to it."""
        if self.device not in ("", reading.device):
            return False
        return reading.port == self.port if self.port else not self.view

    def put(self, message: bytes) -> None:
        """Queue a message, or give the client up."""
        if self.dropped:
            return
        if self._waiting + len(message) > QUEUE_BYTES:
            self.dropped = True
            self._queue.clear()
            self._cut()
        else:
            self._queue.append(message)
            self._waiting += len(message)
        self._news.set()

    def end(self) -> None:
        """The server stops."""
        self.dropped = True
        self._news.set()

    async def next(self) -> bytes:
        """Everything that waits, once there is something."""
        await self._news.wait()
        self._news.clear()
        messages = b"".join(self._queue)
        self._queue.clear()
        self._waiting = 0
        return messages


class EventStream:
    """Tells the clients what the hub tells it. Costs nothing while there is none."""

    def __init__(self, hub: Hub, api: Api) -> None:
        self._hub = hub
        self._api = api
        self._clients: set[Client] = set()
        self._changed: dict[tuple[str, str], None] = {}
        self._ticker: asyncio.Task[None] | None = None
        hub.subscribe(AlertEvent, self._alert)
        hub.subscribe(Reading, self._reading)
        hub.subscribe(PollFailed, self._mark)
        hub.subscribe(ModuleEvent, self._mark)
        hub.subscribe(LinkEvent, self._mark)
        hub.subscribe(LinkChanged, self._mark)
        hub.subscribe(PortForgotten, self._forgotten)

    def __len__(self) -> int:
        """How many clients there are."""
        return len(self._clients)

    def add(self, client: Client) -> None:
        """A client came; one with the summary first gets all rows."""
        self._clients.add(client)
        if client.view == "summary":
            client.put(_summary(self._api.rows(client.device)))
            if self._ticker is None:
                self._ticker = asyncio.create_task(self._tick(), name="summary of ports")

    def remove(self, client: Client) -> None:
        """A client went."""
        self._clients.discard(client)
        if self._ticker is not None and not any(each.view == "summary" for each in self._clients):
            self._ticker.cancel()
            self._ticker = None
            self._changed.clear()

    def close(self) -> None:
        """End all of them."""
        for client in list(self._clients):
            client.end()
            self.remove(client)

    def _alert(self, event: AlertEvent) -> None:
        if not self._clients:
            return
        self._mark(event)
        message = _message("alert", to_alert_document(event))
        for client in self._clients:
            if client.device in ("", event.device):
                client.put(message)

    def _reading(self, event: Reading) -> None:
        if not self._clients:
            return
        self._mark(event)
        listeners = [client for client in self._clients if client.wants(event)]
        if listeners:
            message = _message("reading", to_document(event))
            for client in listeners:
                client.put(message)

    def _forgotten(self, event: PortForgotten) -> None:
        message = _message("forgotten", {"device": event.device, "port": event.port})
        for client in self._clients:
            if client.view == "summary" and client.device in ("", event.device):
                client.put(message)

    def _mark(self, event: Reading | PollFailed | ModuleEvent | LinkEvent | LinkChanged | AlertEvent) -> None:
        if self._ticker is not None:
            self._changed[event.device, event.port] = None

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(SUMMARY_S)
            changed, self._changed = self._changed, {}
            if not changed:
                continue
            rows = self._api.rows_of(changed)
            for client in self._clients:
                if client.view == "summary":
                    mine = [row for row in rows if client.device in ("", row["device"])]
                    if mine:
                        client.put(_summary(mine))


def _message(kind: str, document: object) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + encode(document) + b"\n\n"


def _summary(rows: list[Row]) -> bytes:
    return _message("summary", rows)
