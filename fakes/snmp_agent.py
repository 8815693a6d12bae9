"""An SNMP agent (v2c, v3) over recorded or made-up tables, that can misbehave in the ways agents do.

    agent = await Agent.start(Tables(load(path)))          # within a test
    python -m fakes.snmp_agent 127.0.0.1:1161 RECORDING    # as a process: fakes/snmp_process.py

Not simulated: SET, views and access control, other communities than the one given, messages over TCP.
"""

import asyncio
import bisect
import random
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from fakes import snmp_wire
from fakes.snmp_recording import Row
from fakes.snmp_usm import AgentUser, Engine, Reported
from fakes.snmp_wire import BadRequest, Reader, Request

MAX_REPLY = 65000
TOO_BIG, NO_SUCH_NAME, GEN_ERR = 1, 2, 5

Oid = tuple[int, ...]


class Tables:
    """What an agent serves: rows by OID, with their encodings ready."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._encoded: dict[Oid, bytes] = {}
        self._names: list[Oid] = []
        self.replace(rows)

    def replace(self, rows: Iterable[Row]) -> None:
        """Serve these rows from now on."""
        self._encoded = {row.oid: snmp_wire.varbind(row.oid, snmp_wire.value(row)) for row in rows}
        self._names = sorted(self._encoded)

    def set(self, *rows: Row) -> None:
        """Change some values."""
        fresh = [row.oid for row in rows if row.oid not in self._encoded]
        self._encoded.update((row.oid, snmp_wire.varbind(row.oid, snmp_wire.value(row))) for row in rows)
        if fresh:
            self._names = sorted(self._encoded)

    def get(self, name: Oid) -> bytes:
        """The variable, or noSuchObject."""
        return self._encoded.get(name) or snmp_wire.varbind(name, snmp_wire.NO_SUCH_OBJECT)

    def after(self, name: Oid, count: int = 1) -> tuple[list[bytes], Oid]:
        """The variables that follow a name, and the name of the last one; endOfMibView as the last at the end."""
        at = bisect.bisect_right(self._names, name)
        names = self._names[at : at + count]
        found = [self._encoded[found] for found in names]
        last = names[-1] if names else name
        if len(found) < count:
            found.append(snmp_wire.varbind(last, snmp_wire.END_OF_MIB_VIEW))
        return found, last


@dataclass
class Behaviour:
    """How the agent misbehaves; may be changed while it runs."""

    silent: bool = False
    v1_only: bool = False
    delay_s: float = 0.0
    loss: float = 0.0
    """Share of the requests that are lost."""
    wrong_id: bool = False
    loop_under: Oid | None = None
    """Walks under this OID never leave it: after its last row comes its first."""
    endless_under: Oid | None = None
    """Walks under this OID never end: rows that no file has, in order."""
    cut_at: int = 0
    """Replies lose what is behind this many octets."""
    no_bulk: bool = False
    """GETBULK is answered by genErr."""
    bulk_silent: bool = False
    bulk_silent_above: int = 0
    too_big_above: int = 0
    gen_err_under: Oid | None = None
    max_rows: int = 0
    """No reply holds more rows."""
    empty: bool = False
    """Replies without any variable."""
    die_after: int = 0
    """Silent after so many answers."""


@dataclass
class Seen:
    """What was asked of the agent."""

    requests: int = 0
    gets: int = 0
    nexts: int = 0
    bulks: int = 0
    repetitions: list[int] = field(default_factory=list[int])


class Agent(asyncio.DatagramProtocol):
    """One agent on one UDP port of the loopback."""

    def __init__(
        self, tables: Tables, *, community: str = "public", users: tuple[AgentUser, ...] = (), seed: int = 1
    ) -> None:
        self.tables = tables
        self.behaviour = Behaviour()
        self.seen = Seen()
        self.engine = Engine(users)
        self.port = 0
        self._community = community.encode()
        self._random = random.Random(seed)
        self._transport: asyncio.DatagramTransport | None = None
        self._answers = 0

    @classmethod
    async def start(
        cls,
        tables: Tables,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        community: str = "public",
        users: tuple[AgentUser, ...] = (),
    ) -> "Agent":
        """Listen; `port` 0 takes any free one and tells it in `agent.port`."""
        agent = cls(tables, community=community, users=users)
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.bind((host, port))
        agent.port = sock.getsockname()[1]
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: agent, sock=sock)
        return agent

    def stop(self) -> None:
        """As when the power is cut."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.seen.requests += 1
        how = self.behaviour
        if how.silent or self._random.random() < how.loss or (how.die_after and self._answers >= how.die_after):
            return
        try:
            answer = self._answer(data)
        except BadRequest:
            return
        if answer is None:
            return
        self._answers += 1
        answer = answer[: how.cut_at] if how.cut_at else answer
        if how.delay_s:
            asyncio.get_running_loop().call_later(how.delay_s, self._send, answer, addr)
        else:
            self._send(answer, addr)

    def _send(self, answer: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(answer, addr)

    def _answer(self, data: bytes) -> bytes | None:
        message = Reader(Reader(data).element(0x30)[1])
        version = message.number()
        if version == 3 and self.engine.users:
            try:
                incoming = self.engine.open(data)
            except Reported as report:
                return report.message
            answer = self._serve(snmp_wire.read_pdu(incoming.pdu))
            return None if answer is None else self.engine.seal(answer, incoming)
        if version != (0 if self.behaviour.v1_only else 1):
            return None
        community = message.element(4)[1]
        if community != self._community:
            return None
        answer = self._serve(snmp_wire.read_pdu(snmp_wire.tlv(*message.element())))
        if answer is None:
            return None
        return snmp_wire.tlv(0x30, snmp_wire.integer(version) + snmp_wire.tlv(4, community) + answer)

    def _serve(self, request: Request) -> bytes | None:
        how = self.behaviour
        request_id = request.request_id + 1 if how.wrong_id else request.request_id
        if how.gen_err_under and any(name[: len(how.gen_err_under)] == how.gen_err_under for name in request.names):
            return snmp_wire.response(request_id, b"", status=GEN_ERR, index=1)
        if how.empty:
            return snmp_wire.response(request_id, b"")
        if request.kind == snmp_wire.GET:
            self.seen.gets += 1
            return snmp_wire.response(request_id, b"".join(map(self.tables.get, request.names)))
        if request.kind == snmp_wire.GETNEXT:
            self.seen.nexts += 1
            return snmp_wire.response(request_id, b"".join(self._after(name, 1)[0] for name in request.names))
        if request.kind != snmp_wire.GETBULK:
            return None
        return self._bulk(request, request_id)

    def _bulk(self, request: Request, request_id: int) -> bytes | None:
        how = self.behaviour
        self.seen.bulks += 1
        self.seen.repetitions.append(request.repetitions)
        if how.no_bulk:
            return snmp_wire.response(request_id, b"", status=GEN_ERR, index=1)
        if how.too_big_above and request.repetitions > how.too_big_above:
            return snmp_wire.response(request_id, b"", status=TOO_BIG)
        if how.bulk_silent or (how.bulk_silent_above and request.repetitions > how.bulk_silent_above):
            return None
        first, repeated = request.names[: request.non_repeaters], request.names[request.non_repeaters :]
        found = [self._after(name, 1)[0] for name in first]
        rows = min(request.repetitions, how.max_rows or request.repetitions)
        if len(repeated) == 1:
            found += self._after_many(repeated[0], rows)
        else:
            for _ in range(rows):
                pairs = [self._after(name, 1) for name in repeated]
                found += [encoded for encoded, _ in pairs]
                repeated = tuple(last for _, last in pairs)
        size = 0
        for count, encoded in enumerate(found):
            size += len(encoded)
            if size > MAX_REPLY:  # RFC 3416 section 4.2.3: as many as fit
                found = found[:count]
                break
        return snmp_wire.response(request_id, b"".join(found))

    def _after_many(self, name: Oid, count: int) -> list[bytes]:
        if self.behaviour.loop_under is None and self.behaviour.endless_under is None:
            return self.tables.after(name, count)[0]
        found: list[bytes] = []
        for _ in range(count):
            encoded, name = self._after(name, 1)
            found.append(encoded)
        return found

    def _after(self, name: Oid, count: int) -> tuple[bytes, Oid]:
        how = self.behaviour
        endless = how.endless_under
        if endless is not None and name[: len(endless)] == endless:
            name = (*endless, name[len(endless)] + 1) if len(name) > len(endless) else (*endless, 1)
            return snmp_wire.varbind(name, snmp_wire.integer(1)), name
        found, last = self.tables.after(name, count)
        loop = how.loop_under
        if loop is not None and name[: len(loop)] == loop and last[: len(loop)] != loop:
            found, last = self.tables.after(loop, 1)
        return found[0], last


if __name__ == "__main__":
    from fakes.snmp_process import main

    main()
