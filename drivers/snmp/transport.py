"""One UDP socket for all devices of an address family; replies find their request by sender and id."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Final, cast

from agent.errors import BusGone
from drivers.snmp import security
from drivers.snmp.errors import Malformed, NoAnswer

Address = tuple[str, int] | tuple[str, int, int, int]

_MAX_DATAGRAM: Final = 1 << 16
_BUFFER_OCTETS: Final = 4 << 20
"""A hundred devices may answer at once."""


@dataclass(slots=True)
class Strays:
    """Datagrams that nobody waited for: late and doubled replies, wrong ids, wrong senders, noise."""

    unexpected: int = 0
    wrong_sender: int = 0
    malformed: int = 0


class Endpoint(asyncio.DatagramProtocol):
    """The socket. Not thread-safe; belongs to the event loop that opened it."""

    def __init__(self) -> None:
        self.strays = Strays()
        self._waiting: dict[int, tuple[Address, Reply]] = {}
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls, family: socket.AddressFamily = socket.AF_INET) -> "Endpoint":
        """Open the socket on any free port. Raises `BusGone` when the system has none."""
        loop = asyncio.get_running_loop()
        try:
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.setblocking(False)
            with contextlib.suppress(OSError):  # the system's limit holds, which is no reason to fail
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_OCTETS)
            sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", 0))
            _, endpoint = await loop.create_datagram_endpoint(cls, sock=sock)
        except OSError as exc:
            raise BusGone(f"no UDP socket for SNMP: {exc.strerror}") from exc
        return endpoint

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        # asyncio has 256 KiB of fresh memory mapped for each datagram, which costs more than to read it.
        cast("Any", transport).max_size = _MAX_DATAGRAM

    def connection_lost(self, exc: Exception | None) -> None:
        for _, reply in self._waiting.values():
            reply.fail(BusGone(f"the UDP socket for SNMP was closed: {exc or 'on request'}"))

    def error_received(self, exc: Exception) -> None:
        """ICMP errors reach an unconnected socket without a name: the timeout tells who does not answer."""

    @property
    def closed(self) -> bool:
        """Whether it can send no more."""
        return self._transport is None or self._transport.is_closing()

    def close(self) -> None:
        """Give the socket back; requests under way fail."""
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        try:
            message_id = security.message_id(data)
        except Malformed:
            self.strays.malformed += 1
            self._fail_malformed(addr)
            return
        address, reply = self._waiting.get(message_id, (None, None))
        if address is None or reply is None or reply.done:
            self.strays.unexpected += 1
        elif address[:2] != addr[:2]:
            self.strays.wrong_sender += 1
        else:
            reply.take(data)

    def _fail_malformed(self, addr: Address) -> None:
        """Noise from a device that owes an answer is its answer: there is no use in waiting for a better one."""
        for address, reply in self._waiting.values():
            if address[:2] == addr[:2] and not reply.done:
                reply.fail(Malformed("the device answers with bytes that are no SNMP message"))
                return

    def expect(self, message_id: int, address: Address, reply: "Reply") -> None:
        """Let `reply` have what comes with this id from this address."""
        self._waiting[message_id] = (address, reply)

    def forget(self, message_id: int) -> None:
        """Nobody waits for this id any more."""
        self._waiting.pop(message_id, None)

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram. Raises `BusGone` when the socket is closed or the system has no way there."""
        if self._transport is None or self._transport.is_closing():
            raise BusGone("the UDP socket for SNMP is closed")
        self._transport.sendto(data, address)


class Reply:
    """The answer to one question, whichever of its tries it answers.

    `hear` is given each answer where it arrives; while it returns true there is another question under way.
    """

    __slots__ = ("_asked", "_data", "_error", "_hear", "_waiter")

    def __init__(self, hear: Callable[[bytes], bool] | None = None) -> None:
        self._hear = hear
        self._asked = 0.0
        self._data: bytes | None = None
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def done(self) -> bool:
        """Whether there is an answer or an error."""
        return self._data is not None or self._error is not None

    def take(self, data: bytes) -> None:
        """An answer is here."""
        if self._hear is not None:
            try:
                if self._hear(data):
                    self._asked = asyncio.get_running_loop().time()
                    return
            except Exception as exc:  # noqa: BLE001  # raised in the task that waits
                self.fail(exc)
                return
        self._data = data
        self._wake()

    def fail(self, error: Exception) -> None:
        """There will be none; the first word counts."""
        if not self.done:
            self._error = error
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self, timeout_s: float, *, until: float = inf) -> bytes:
        """The last answer, or `NoAnswer` when none came for `timeout_s`, or at `until` of the loop's clock.

        May be called again for a later try.
        """
        loop = asyncio.get_running_loop()
        self._asked = loop.time()
        while not self.done and (end := min(self._asked + timeout_s, until)) > loop.time():
            self._waiter = loop.create_future()
            handle = loop.call_at(end, self._wake)
            try:
                await self._waiter
            finally:
                handle.cancel()
                self._waiter = None
        if self._error is not None:
            raise self._error
        if self._data is None:
            raise NoAnswer(f"no answer within {timeout_s:.3g} s")
        return self._data


async def resolve(host: str, port: int) -> tuple[socket.AddressFamily, Address]:
    """The address of a host by name or number. Raises `NoAnswer` when the name is not known."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as exc:
        raise NoAnswer(f"{host}: {exc.strerror or exc}", hint="check the name or give an address") from exc
    family, _, _, _, address = found[0]
    return socket.AddressFamily(family), address  # type: ignore[return-value]  # typeshed: any family's address
