"""Follows a daemon over HTTP: the server-sent events of its ports and alerts, again and again until cancelled."""

import asyncio
import contextlib
import netrc
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, NamedTuple, TypeVar

import h11
from pydantic import TypeAdapter, ValidationError

from agent.errors import ConfigError, OpticError
from agent.top import client
from agent.top.client import Address, Answer
from agent.top.documents import ALERTS, PORT, ROWS, Alert, Forgotten, Key, Port, Row
from agent.top.store import Store

SILENCE_S: Final = 40.0
"""The daemon says something every 15 s at least."""
ANSWER_S: Final = 20.0
RETRY_S: Final = (0.5, 1.0, 2.0, 5.0)
_LONGEST: Final = 64_000_000
"""Bytes of one event; 4,096 ports are 3 MB."""

T_ = TypeVar("T_")


class Event(NamedTuple):
    """One server-sent event."""

    kind: str
    data: bytes


class Lost(OpticError):
    """The daemon cannot be followed; its text says why."""

    reason = "lost"


class EventParser:
    """Bytes of a stream of events, as they come, into events."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that are complete now. Raises Lost when one has no end."""
        searched = max(0, len(self._buffer) - 1)
        self._buffer += data
        while (end := self._buffer.find(b"\n\n", searched)) >= 0:
            block = bytes(self._buffer[:end])
            del self._buffer[: end + 2]
            searched = 0
            kind, lines = "message", list[bytes]()
            for line in block.split(b"\n"):
                name, _, value = line.partition(b":")
                value = value.removeprefix(b" ")
                if name == b"event":
                    kind = value.decode(errors="replace")
                elif name == b"data":
                    lines.append(value)
            if lines:
                yield Event(kind, b"\n".join(lines))
        if len(self._buffer) > _LONGEST:
            raise Lost("its events have no end: is this opticd?")


def parse_url(text: str) -> Address:
    """The address of a daemon; `HOST:PORT` is `http://HOST:PORT`. Raises ConfigError."""
    try:
        return client.parse(text if "://" in text else f"http://{text}")
    except ValueError as exc:
        hint = "HOST:PORT, http://HOST:PORT or https://HOST:PORT"
        raise ConfigError(f"{text!r} is no address of a daemon", hint=hint) from exc


class Feed:
    """One daemon. `run` follows it, `watch` chooses the port whose readings are wanted in full."""

    def __init__(self, url: Address, store: Store) -> None:
        self._url = _with_credentials(url)
        self._store = store
        self._watching: asyncio.Task[None] | None = None
        self._refetch = asyncio.Event()
        self._was_there = False

    async def run(self) -> None:
        """Follow until cancelled. Raises Lost when the daemon is not there at the beginning."""
        try:
            for wait_s in self._waits():
                try:
                    await self._follow()
                except OpticError as exc:
                    if not self._was_there:
                        raise
                    self._store.away(str(exc))
                await asyncio.sleep(wait_s)
        finally:
            self.watch(None)

    async def snapshot(self) -> None:
        """Ask once. Raises Lost."""
        rows = await self._get(ROWS, "api/v1/summary")
        self._store.take_rows(rows, everything=True)
        alerts = await self._get(ALERTS, "api/v1/alerts")
        self._store.take_alerts(alerts)

    def watch(self, key: Key | None) -> None:
        """Fetch and follow this port from now on; None: no port."""
        if key == self._store.watched:
            return
        self._store.watch(key)
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        if key is not None:
            self._watching = asyncio.create_task(self._keep_watching(*key), name="port")

    # ---- all ports ----------------------------------------------------------------------------------------

    def _waits(self) -> Iterator[float]:
        """Seconds before each new attempt: short ones again once the daemon was there."""
        at = 0
        while True:
            yield RETRY_S[min(at, len(RETRY_S) - 1)]
            at = 0 if self._store.state == "live" else at + 1

    async def _follow(self) -> None:
        fresh = True
        async with self._stream(view="summary") as events:
            async for event in events:
                if event.kind == "summary":
                    rows = ROWS.validate_json(event.data)
                    self._notice(rows)
                    self._store.take_rows(rows, everything=fresh)
                    if fresh:
                        alerts = await self._get(ALERTS, "api/v1/alerts")
                        self._store.take_alerts(alerts)
                    fresh, self._was_there = False, True
                elif event.kind == "alert":
                    self._store.take_alert(Alert.model_validate_json(event.data))
                elif event.kind == "forgotten":
                    gone = Forgotten.model_validate_json(event.data)
                    self._store.forget((gone.device, gone.port))
        raise Lost("it closed the connection")

    def _notice(self, rows: tuple[Row, ...]) -> None:
        """Ask anew for the port that is looked at when more of it changed than its values."""
        for row in rows:
            if row.key == self._store.watched:
                before = self._store.rows.get(row.key)
                if before is None or _standing(row) != _standing(before):
                    self._refetch.set()

    # ---- one port -----------------------------------------------------------------------------------------

    async def _keep_watching(self, device: str, port: str) -> None:
        while True:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._fetch(device, port), name="whole port")
                    group.create_task(self._read(device, port), name="readings")
            except* OpticError:
                pass  # `run` tells that the daemon is away
            await asyncio.sleep(RETRY_S[1])

    async def _fetch(self, device: str, port: str) -> None:
        while True:
            self._refetch.clear()
            self._store.take_port(await self._get(PORT, "api/v1/ports/" + port, device=device))
            await asyncio.sleep(RETRY_S[0])  # a flapping link is no reason to ask all the time
            await self._refetch.wait()

    async def _read(self, device: str, port: str) -> None:
        async with self._stream(device=device, port=port) as events:
            async for event in events:
                if event.kind == "reading":
                    self._store.take_reading(Port.model_validate_json(event.data))
        raise Lost("it closed the connection")

    # ---- HTTP ---------------------------------------------------------------------------------------------

    async def _get(self, kind: TypeAdapter[T_], path: str, **query: str) -> T_:
        with _told(self._url):
            async with asyncio.timeout(ANSWER_S), self._open(path, query) as answer:
                return kind.validate_json(await answer.body())

    @asynccontextmanager
    async def _stream(self, **query: str) -> AsyncGenerator[AsyncIterator[Event]]:
        with _told(self._url):
            async with self._open("api/v1/events", query) as answer:
                if answer.content_type != "text/event-stream":
                    raise Lost("it sends no events", hint="is this the address of opticd?")
                yield _events(answer)

    @asynccontextmanager
    async def _open(self, path: str, query: dict[str, str]) -> AsyncGenerator[Answer]:
        async with client.get(self._url, path, query, connect_s=ANSWER_S, silence_s=SILENCE_S) as answer:
            if answer.status == 401:
                raise Lost(
                    "it wants a user and password", hint="http://USER:PASSWORD@HOST:PORT, or a line in ~/.netrc"
                )
            if answer.status != 200:
                raise Lost(f"HTTP status {answer.status}", hint="is this the address of opticd?")
            yield answer


def _standing(row: Row) -> tuple[object, ...]:
    return row.level, row.link, row.flaps, row.alerts, row.swaps, row.why


async def _events(answer: Answer) -> AsyncIterator[Event]:
    parser = EventParser()
    async for piece in answer.pieces():
        for event in parser.feed(piece):
            yield event


@contextlib.contextmanager
def _told(url: Address) -> Generator[None]:
    """Whatever goes wrong between here and the daemon, as Lost."""
    try:
        yield
    except Lost as exc:
        if str(exc).startswith(str(url)):
            raise
        raise Lost(f"{url}: {exc}", hint=exc.hint) from exc
    except ssl.SSLCertVerificationError as exc:
        raise Lost(f"{url}: {exc}", hint="SSL_CERT_FILE names the certificates to be trusted") from exc
    except TimeoutError as exc:
        raise Lost(f"{url}: no answer") from exc
    except (h11.RemoteProtocolError, ssl.SSLError) as exc:
        raise Lost(f"{url}: {str(exc) or type(exc).__name__}", hint="is this the address of opticd?") from exc
    except OSError as exc:
        number = exc.errno or 0  # of names that do not resolve it is negative, with a text of its own
        why = os.strerror(number) if number > 0 else exc.strerror or "cannot be reached"
        raise Lost(f"{url}: {why}", hint="does opticd run there? `opticd demo` needs no hardware") from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Lost(f"{url}: not what opticd says ({place}: {first['msg']})") from exc


def _with_credentials(url: Address) -> Address:
    """With user and password of ~/.netrc, unless it has them; a file that cannot be read counts as none."""
    if not url.user:
        with contextlib.suppress(OSError, netrc.NetrcParseError):
            if found := netrc.netrc().authenticators(url.host):
                return replace(url, user=found[0], password=found[2])
    return url
