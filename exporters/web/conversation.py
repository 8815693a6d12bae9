"""What is said on one connection: requests and answers in turn, within limits of size and time."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypedDict, cast

import h11

from exporters.web.messages import Answers, Peer, Refused, Response
from exporters.web.parsing import request_of
from exporters.web.wire import Wire

_log = logging.getLogger(__name__)

HEAD_BYTES: Final = 16_384
"""Of a request line with its headers, at most."""
BODY_BYTES: Final = 65_536
"""So much of a body is skipped; then the connection ends."""
CHUNK: Final = 65_536
"""So much of an answer is handed to the socket at once: what waits for a slow reader is not copied."""
_PIECE: Final = 4096
"""The parser gets so much at once, so that nobody makes it look at more than it accepts."""
_LINGER_S: Final = 1.0
"""A client that is still sending reads the answer before it hears that the connection is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of time, in seconds."""

    idle_s: float
    """Between two requests, and before the first."""
    head_s: float
    """For a request, once it has begun."""
    write_s: float
    """For an answer, or for each part of an endless one."""


class _Certificate(TypedDict, total=False):
    """What is used of `ssl.SSLSocket.getpeercert`."""

    subjectAltName: tuple[tuple[str, str], ...]  # the name in the ssl module


class Conversation:
    """One connection, from its first byte to its last."""

    def __init__(self, answers: Answers, limits: Limits, there: "set[Conversation]") -> None:
        """`there` holds it for as long as there is somebody to talk with."""
        self._answers = answers
        self._limits = limits
        self._there = there
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES - _PIECE)
        self._peer = Peer()
        self._last = False
        self._answering = False
        self.wire = Wire(self._run, write_s=limits.write_s)

    def end(self) -> None:
        """After the answer that is being given; at once when there is none."""
        self._last = True
        if not self._answering:
            self.wire.transport.close()

    async def _run(self, wire: Wire) -> None:
        self._there.add(self)
        self._peer = _peer(wire)
        try:
            while await self._exchange():
                pass
            await self._hang_up()
        except TimeoutError:
            wire.transport.abort()
        except Exception:  # noqa: BLE001  # a bug costs one connection; it is reported with its traceback
            _log.exception("a connection was given up")
            wire.transport.abort()
        finally:
            self._there.discard(self)

    async def _exchange(self) -> bool:
        """One request with its answer; whether there may be another."""
        try:
            event = await self._receive()
            self._answering = True
            request = request_of(event, self._peer)
        except h11.RemoteProtocolError as exc:
            await self._refuse(Refused(exc.error_status_hint))
            return False
        except Refused as exc:
            await self._refuse(exc)
            return False
        # Nobody has a use for a body: who asks whether to send one is not told to.
        close = self._last or self._parser.they_are_waiting_for_100_continue
        await self._send(request.method, await self._answers.answer(request), close=close)
        return not close and await self._skip_body() and not self._last

    # ---- in -----------------------------------------------------------------------------------------------

    async def _receive(self) -> h11.Request:
        """The next request. Raises TimeoutError, RemoteProtocolError."""
        self._answering = begun = False
        clock = asyncio.get_running_loop().time
        async with asyncio.timeout(self._limits.idle_s) as limit:
            idle_until = limit.when() or 0.0
            while (event := self._parser.next_event()) is h11.NEED_DATA:
                self._parser.receive_data(await self.wire.receive(_PIECE))
                if not begun:
                    begun = True
                    limit.reschedule(min(idle_until, clock() + self._limits.head_s))
        assert isinstance(event, h11.Request)
        return event

    async def _skip_body(self) -> bool:
        """Pass over what belongs to a request beside its head; whether another may follow. Raises TimeoutError."""
        parser, skipped = self._parser, 0
        try:
            async with asyncio.timeout(self._limits.head_s):
                while parser.their_state is h11.SEND_BODY and skipped <= BODY_BYTES:
                    event = parser.next_event()
                    if event is h11.NEED_DATA:
                        parser.receive_data(await self.wire.receive(_PIECE))
                    elif isinstance(event, h11.Data):
                        skipped += len(event.data)
        except h11.RemoteProtocolError:
            return False
        if parser.our_state is not h11.DONE or parser.their_state is not h11.DONE:
            return False
        parser.start_next_cycle()
        return True

    async def _hang_up(self) -> None:
        """Close; whoever is still sending gets time to read the answer, which a reset would take from it."""
        transport = self.wire.transport
        if self._parser.their_state in (h11.SEND_BODY, h11.ERROR) and transport.can_write_eof():
            transport.write_eof()
            async with asyncio.timeout(_LINGER_S):
                while True:
                    await self.wire.receive(BODY_BYTES)
        transport.close()

    # ---- out ----------------------------------------------------------------------------------------------

    async def _refuse(self, why: Refused) -> None:
        await self._send("", self._answers.refuse(why), close=True)

    async def _send(self, method: str, response: Response, *, close: bool) -> None:
        """Raises TimeoutError."""
        try:
            waiting = [self._head(response, close=close)]
            async with asyncio.timeout(None if response.endless else self._limits.write_s):
                if method != "HEAD":
                    async with aclosing(_chunks(response.body)) as chunks:
                        async for chunk in chunks:
                            waiting.append(self._parser.send(h11.Data(data=chunk)) or b"")
                            await self.wire.send(waiting)
                            waiting = []
                waiting.append(self._parser.send(h11.EndOfMessage()) or b"")
                await self.wire.send(waiting)
        finally:
            response.done()

    def _head(self, response: Response, *, close: bool) -> bytes:
        headers = [*response.headers.items()]
        if response.status != HTTPStatus.NOT_MODIFIED and not isinstance(response.body, AsyncGenerator):
            headers.append(("Content-Length", str(sum(map(len, response.body)))))
        if close:
            headers.append(("Connection", "close"))
        reason = HTTPStatus(response.status).phrase
        return self._parser.send(h11.Response(status_code=response.status, headers=headers, reason=reason)) or b""


def _peer(wire: Wire) -> Peer:
    transport = wire.transport
    certificate = cast("_Certificate", transport.get_extra_info("peercert") or {})
    names = frozenset(name for _, name in certificate.get("subjectAltName", ()))
    return Peer(secure=transport.get_extra_info("sslcontext") is not None, names=names, cut=transport.abort)


async def _chunks(body: Sequence[bytes] | AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Parts of a body, or of each of its parts if it is still being made, as large as the socket gets them."""
    if not isinstance(body, AsyncGenerator):
        for chunk in _cut(body):
            yield chunk
        return
    async with aclosing(body):
        async for part in body:
            for chunk in _cut((part,)):
                yield chunk


def _cut(parts: Sequence[bytes]) -> Iterator[bytes]:
    small: list[bytes] = []
    size = 0
    for part in parts:
        if size + len(part) > CHUNK and small:
            yield b"".join(small)
            small, size = [], 0
        if len(part) > CHUNK:
            yield from (part[at : at + CHUNK] for at in range(0, len(part), CHUNK))
        elif part:
            small.append(part)
            size += len(part)
    if small:
        yield b"".join(small)
