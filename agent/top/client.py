"""GET over HTTP/1.1 for `agent.top.feed`: a connection for each, its body in pieces as they come."""

import asyncio
import base64
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Final
from urllib.parse import quote, unquote, urlencode, urlsplit

import h11

_PORTS: Final = {"http": 80, "https": 443}
_PIECE: Final = 65_536


@dataclass(frozen=True, slots=True)
class Address:
    """Where a daemon is, and as whom to come. Its text has neither user nor password."""

    scheme: str
    host: str
    port: int
    path: str = ""
    user: str = ""
    password: str = ""

    @property
    def authority(self) -> str:
        """Host and port, this only where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def parse(text: str) -> Address:
    """An address as it is written. Raises ValueError."""
    parts = urlsplit(text)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(text)
    port = _PORTS[parts.scheme] if parts.port is None else parts.port
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Address(parts.scheme, parts.hostname, port, parts.path.rstrip("/"), user, password)


class Answer:
    """What came back, as far as it is there."""

    def __init__(self, reader: asyncio.StreamReader, parser: h11.Connection, silence_s: float) -> None:
        self._reader = reader
        self._parser = parser
        self._silence_s = silence_s
        self.status = 0
        self.content_type = ""

    async def begin(self) -> None:
        """Wait for the head. Raises TimeoutError, OSError, RemoteProtocolError."""
        event = await self._next()
        while isinstance(event, h11.InformationalResponse):
            event = await self._next()
        assert isinstance(event, h11.Response)
        self.status = event.status_code
        content_type = dict(event.headers).get(b"content-type", b"")
        self.content_type = content_type.decode("latin-1").partition(";")[0].strip()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body. Raises as `begin`."""
        while isinstance(event := await self._next(), h11.Data):
            yield bytes(event.data)

    async def body(self) -> bytes:
        """All of it. Raises as `begin`."""
        return b"".join([piece async for piece in self.pieces()])

    async def _next(self) -> object:
        while (event := self._parser.next_event()) is h11.NEED_DATA:
            async with asyncio.timeout(self._silence_s):
                self._parser.receive_data(await self._reader.read(_PIECE))
        return event


@asynccontextmanager
async def get(
    address: Address, path: str, query: Mapping[str, str], *, connect_s: float, silence_s: float
) -> AsyncGenerator[Answer]:
    """Ask. Raises TimeoutError, OSError, RemoteProtocolError."""
    parser = h11.Connection(h11.CLIENT)
    headers = {"Host": address.authority, "User-Agent": "opticd", "Connection": "close"}
    if address.user:
        credentials = base64.b64encode(f"{address.user}:{address.password}".encode()).decode()
        headers["Authorization"] = f"Basic {credentials}"
    target = f"{address.path}/{quote(path)}" + (f"?{urlencode(query)}" if query else "")
    request = parser.send(h11.Request(method="GET", target=target, headers=[*headers.items()])) or b""
    async with asyncio.timeout(connect_s):
        reader, writer = await _connect(address)
    try:
        writer.write(request + (parser.send(h11.EndOfMessage()) or b""))
        answer = Answer(reader, parser, silence_s)
        await answer.begin()
        yield answer
    finally:
        writer.transport.abort()  # an answer without end has nothing to say goodbye to


async def _connect(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """To the first that answers of all the addresses of the host. Raises OSError, of the last one tried."""
    loop = asyncio.get_running_loop()
    tls = _trusting() if address.scheme == "https" else None
    found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    failed: OSError = OSError("no address")
    for _, _, _, _, where in found:
        try:
            name = address.host if tls else None
            return await asyncio.open_connection(str(where[0]), address.port, ssl=tls, server_hostname=name)
        except OSError as exc:
            failed = exc
    raise failed


@cache
def _trusting() -> ssl.SSLContext:
    return ssl.create_default_context()
