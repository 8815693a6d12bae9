"""One UDP socket for all devices of an address family; replies find their request by sender and id."""

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from typing import Final, cast

from agent.errors import BusGone
from drivers.snmp import security
from drivers.snmp.errors import Malformed, NoAnswer

Address = tuple[str, int] | tuple[str, int, int, int]

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
        self._waiting: dict[int, tuple[Address, asyncio.Future[bytes]]] = {}
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

    def connection_lost(self, exc: Exception | None) -> None:
        for _, future in self._waiting.values():
            if not future.done():
                future.set_exception(BusGone(f"the UDP socket for SNMP was closed: {exc or 'on request'}"))

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
        address, future = self._waiting.get(message_id, (None, None))
        if address is None or future is None or future.done():
            self.strays.unexpected += 1
        elif address[:2] != addr[:2]:
            self.strays.wrong_sender += 1
        else:
            future.set_result(data)

    def _fail_malformed(self, addr: Address) -> None:
        """Noise from a device that owes an answer is its answer: there is no use in waiting for a better one."""
        for address, future in self._waiting.values():
            if address[:2] == addr[:2] and not future.done():
                future.set_exception(Malformed("the device answers with bytes that are no SNMP message"))
                return

    def expect(self, message_id: int, address: Address, future: asyncio.Future[bytes]) -> None:
        """Let `future` have the reply with this id from this address."""
        self._waiting[message_id] = (address, future)

    def forget(self, message_id: int) -> None:
        """Nobody waits for this id any more."""
        self._waiting.pop(message_id, None)

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram. Raises `BusGone` when the socket is closed or the system has no way there."""
        if self._transport is None or self._transport.is_closing():
            raise BusGone("the UDP socket for SNMP is closed")
        self._transport.sendto(data, address)


async def wait(future: asyncio.Future[bytes], timeout_s: float) -> bytes:
    """The reply, or `NoAnswer` after `timeout_s`; the future stays usable for a later try."""
    loop = asyncio.get_running_loop()
    if timeout_s <= 0:
        raise NoAnswer("no time left for an answer")
    waiter: asyncio.Future[None] = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    future.add_done_callback(wake)
    handle = loop.call_later(timeout_s, wake)
    try:
        await waiter
    finally:
        handle.cancel()
        future.remove_done_callback(wake)
    if not future.done():
        raise NoAnswer(f"no answer within {timeout_s:.3g} s")
    return future.result()


async def resolve(host: str, port: int) -> tuple[socket.AddressFamily, Address]:
    """The address of a host by name or number. Raises `NoAnswer` when the name is not known."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as exc:
        raise NoAnswer(f"{host}: {exc.strerror or exc}", hint="check the name or give an address") from exc
    family, _, _, _, address = found[0]
    return socket.AddressFamily(family), address  # type: ignore[return-value]  # typeshed: any family's address
