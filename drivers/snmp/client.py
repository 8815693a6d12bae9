"""Asking one device: GET, and walks of single columns by GETBULK that adapt to what the agent can do."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from drivers.snmp import ber, transport
from drivers.snmp.ber import Oid, Value
from drivers.snmp.errors import ErrorStatus, Malformed, NoAnswer, Unsupported, WalkCut
from drivers.snmp.rows import Rows
from drivers.snmp.security import Community, Opened, Resync, Security

SYS_DESCR: Final = (1, 3, 6, 1, 2, 1, 1, 1, 0)
SYS_OBJECT_ID: Final = (1, 3, 6, 1, 2, 1, 1, 2, 0)
SYS_UP_TIME: Final = (1, 3, 6, 1, 2, 1, 1, 3, 0)

TOO_BIG: Final = 1
NO_SUCH_NAME: Final = 2
ERROR_STATUS: Final = {
    1: "tooBig", 2: "noSuchName", 3: "badValue", 4: "readOnly", 5: "genErr", 6: "noAccess",
    13: "resourceUnavailable", 16: "authorizationError",
}  # fmt: skip

_MAX_KEYS: Final = 400_000
_RESYNCS: Final = 3
_GROW_AFTER: Final = 16


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient and how greedy: `timeout_s` per try, rows per reply, rows per column."""

    timeout_s: float = 2.0
    retries: int = 2
    repetitions: int = 25
    """At first; the device's answers make it more or less."""
    max_repetitions: int = 50
    """Some agents skip rows above 55 without a word (spec: agents that misbehave)."""
    max_rows: int = 100_000
    silence_s: float = 120.0
    """Longest time from one answer to the next, retries and fall-backs included."""


_Question = tuple[bytes, int]
"""Encoded variables, and of how many columns they are."""
_Follow = Callable[[Opened, ber.Pdu], _Question | None]
"""Takes an answer; what it gives is asked next."""


@dataclass(slots=True)
class _Exchange:
    """One request, and with `follow` those that come out of the answers."""

    tag: int
    question: _Question
    follow: _Follow | None
    reply: transport.Reply
    ids: list[int] = field(default_factory=list[int])
    """Of all tries of the present request: an answer to an earlier one is as good."""
    tries: int = 0
    resyncs: int = 0
    answer: tuple[Opened, ber.Pdu] | None = None


class Session:
    """The talk with one device, one request at a time."""

    def __init__(
        self,
        endpoint: transport.Endpoint,
        address: transport.Address,
        security: Security,
        *,
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.deadline = float("inf")
        """Of the event loop's clock; no request waits past it."""
        self.requests = 0
        self._heard = asyncio.get_running_loop().time()
        self.repetitions = min(self.limits.repetitions, self.limits.max_repetitions)
        """0: the device cannot GETBULK."""
        self._ceiling = self.limits.max_repetitions
        self._streak = 0
        self._strikes = 0
        self._answered = False
        self._endpoint = endpoint
        self._address = address
        self._security = security
        self._keys: dict[bytes, Oid] = {}
        self._lock = asyncio.Lock()

    def begin(self) -> None:
        """A round of questions begins: silence counts from now."""
        self._heard = asyncio.get_running_loop().time()

    async def hello(self) -> dict[Oid, Value]:
        """sysDescr, sysObjectID and sysUpTime. A silent device that speaks SNMPv1 is told from a dead one."""
        try:
            return await self.get((SYS_DESCR, SYS_OBJECT_ID, SYS_UP_TIME))
        except NoAnswer as exc:
            if isinstance(self._security, Community) and await self._speaks_v1():
                raise Unsupported("the device answers SNMPv1 only; opticd needs v2c or v3") from exc
            raise

    async def get(self, oids: Sequence[Oid]) -> dict[Oid, Value]:
        """The values of these instances; those that the device does not have are absent."""
        varbinds = b"".join(ber.encode_varbind(oid) for oid in oids)
        opened, pdu = await self._ask(ber.GET, (varbinds, len(oids)))
        found = ber.varbinds(opened.data, pdu.start, pdu.end)
        return {varbind.oid: varbind.value for varbind in found if varbind.value is not None}

    async def next(self, oids: Sequence[Oid]) -> list[ber.Varbind]:
        """What follows each of these OIDs."""
        varbinds = b"".join(ber.encode_varbind(oid) for oid in oids)
        opened, pdu = await self._ask(ber.GETNEXT, (varbinds, len(oids)))
        return list(ber.varbinds(opened.data, pdu.start, pdu.end))

    def rows(self, column: Oid) -> Rows:
        """An empty result for `walk`."""
        if len(self._keys) > _MAX_KEYS:
            self._keys = {}
        return Rows(ber.encode_oid(column), self._keys, cap=self.limits.max_rows)

    async def walk(self, rows: Rows) -> None:
        """Fill `rows` up to the end of its column; on an error it holds what came, and `ended` is false."""
        before = self.repetitions
        while not rows.ended:
            bulk = self.repetitions > 0

            def follow(opened: Opened, pdu: ber.Pdu, *, bulk: bool = bulk) -> _Question | None:
                if not rows.take(opened.data, pdu.start, pdu.end) and not rows.ended:
                    raise WalkCut("the agent answered without any variable")
                if bulk:
                    self._grow()
                return None if rows.ended else (rows.next(), 1)

            try:
                await self._ask(ber.GETBULK if bulk else ber.GETNEXT, (rows.next(), 1), follow)
            except ErrorStatus as exc:
                if not bulk and exc.status == NO_SUCH_NAME:  # an SNMPv1 way to say that nothing follows
                    rows.ended = True
                    return
                if not bulk:
                    raise
                self._lower(exc.status)
            except NoAnswer:
                if not bulk:  # it is not GETBULK that the device fails at
                    self.repetitions = before
                if not bulk or not self._answered:
                    raise
                before, self.repetitions = self.repetitions, 0

    async def walk_together(self, rows: Sequence[Rows]) -> None:
        """Fill the rows of several short columns in few requests. On an error walk them one by one instead."""
        open_ = list(rows)

        def follow(opened: Opened, pdu: ber.Pdu) -> _Question | None:
            at, end, number, taken = pdu.start, pdu.end, 0, 0
            while at < end:
                _, stop = ber.expect(ber.SEQUENCE, opened.data, at, end)
                found = open_[number % len(open_)]
                if not found.ended:
                    taken += found.take(opened.data, at, stop) or found.ended
                at, number = stop, number + 1
            if not taken:
                raise WalkCut("the agent answered without any variable")
            open_[:] = [found for found in open_ if not found.ended]
            return question() if open_ else None

        def question() -> _Question:
            return b"".join(found.next() for found in open_), len(open_)

        if open_:
            await self._ask(ber.GETBULK, question(), follow)

    def _wanted(self, tries: int, share: int) -> int:
        """Repetitions of this try, of so many columns: every repeated one asks for less, it may be too big."""
        if tries:
            self._streak = 0
            self.repetitions = max(1, self.repetitions // 2)
            self._strikes += 1
            if self._strikes > 3:
                self._ceiling = max(1, min(self._ceiling, self.repetitions * 2))
        return max(1, self.repetitions // share)

    def _lower(self, status: int) -> None:
        """After an error-status to a GETBULK: fewer repetitions, at last GETNEXT."""
        self._streak = 0
        if status == TOO_BIG and self.repetitions > 1:
            self._ceiling = self.repetitions - 1
            self.repetitions //= 2
        else:
            self.repetitions = self._ceiling = 0

    def _grow(self) -> None:
        self._streak += 1
        if self._streak >= _GROW_AFTER and self.repetitions < self._ceiling:
            self._streak = 0
            self._strikes = 0
            self.repetitions = min(self._ceiling, self.repetitions + max(1, self.repetitions // 2))

    def forgive(self) -> None:
        """Try GETBULK and its default size again: the device was restarted, or an hour went by."""
        self.repetitions = min(self.limits.repetitions, self.limits.max_repetitions)
        self._ceiling = self.limits.max_repetitions
        self._streak = self._strikes = 0

    async def _speaks_v1(self) -> bool:
        assert isinstance(self._security, Community)
        old = Session(
            self._endpoint,
            self._address,
            self._security.as_v1(),
            limits=Limits(timeout_s=self.limits.timeout_s, retries=0),
        )
        old.deadline = self.deadline
        try:
            await old.get((SYS_UP_TIME,))
        except (NoAnswer, Malformed, ErrorStatus, Unsupported):
            return False
        return True

    async def _ask(self, tag: int, question: _Question, follow: _Follow | None = None) -> tuple[Opened, ber.Pdu]:
        """The answer to a request, or the last one of those that `follow` made of it; each is repeated if need be.

        An answer is worked on, and followed, where it arrives: to wake this task for each costs as much again.
        """
        loop = asyncio.get_running_loop()
        async with self._lock:
            exchange = _Exchange(tag, question, follow, transport.Reply(lambda data: self._hear(exchange, data)))
            try:
                while True:
                    self._send(exchange)
                    silence_ends = self._heard + self.limits.silence_s
                    try:
                        await exchange.reply.wait(
                            min(self.limits.timeout_s, silence_ends - loop.time()), until=self.deadline
                        )
                    except NoAnswer:
                        if exchange.reply.done:
                            raise
                        self._note_silence(exchange)
                        continue
                    assert exchange.answer is not None
                    return exchange.answer
            finally:
                self._forget(exchange)

    def _send(self, exchange: _Exchange) -> None:
        varbinds, share = exchange.question
        message_id = random.getrandbits(31) or 1
        exchange.ids.append(message_id)
        wanted = self._wanted(exchange.tries, share) if exchange.tag == ber.GETBULK else 0
        pdu = ber.encode_pdu(exchange.tag, message_id, 0, wanted, varbinds)
        self._endpoint.expect(message_id, self._address, exchange.reply)
        self._endpoint.send(self._security.wrap(message_id, pdu), self._address)
        self.requests += 1

    def _hear(self, exchange: _Exchange, data: bytes) -> bool:
        """Take an answer; true when another one is waited for."""
        try:
            exchange.answer = opened, pdu = self._open(data, exchange.ids)
        except Resync:
            exchange.resyncs += 1
            if exchange.resyncs > _RESYNCS:
                raise NoAnswer("the device keeps changing its SNMPv3 engine or clock") from None
        else:
            question = exchange.follow(opened, pdu) if exchange.follow is not None else None
            if question is None:
                return False
            exchange.question, exchange.resyncs = question, 0
        self._forget(exchange)
        exchange.tries = 0
        self._send(exchange)
        return True

    def _forget(self, exchange: _Exchange) -> None:
        for message_id in exchange.ids:
            self._endpoint.forget(message_id)
        exchange.ids.clear()

    def _note_silence(self, exchange: _Exchange) -> None:
        """Count a try in vain. Raises `NoAnswer` when it was the last one."""
        if asyncio.get_running_loop().time() >= min(self.deadline, self._heard + self.limits.silence_s):
            raise NoAnswer("the time for this device is used up")
        exchange.tries += 1
        if exchange.tries > self.limits.retries:
            seconds = self.limits.timeout_s * exchange.tries
            raise NoAnswer(
                f"no answer within {seconds:g} s ({exchange.tries} tries)",
                hint="wrong address or community, a filter on the way, or an agent that is off",
            )

    def _open(self, data: bytes, ids: list[int]) -> tuple[Opened, ber.Pdu]:
        opened = self._security.unwrap(data)
        pdu = ber.read_pdu(opened.data, opened.start, opened.end)
        if pdu.tag != ber.RESPONSE:
            raise Malformed(f"a reply is a PDU of type {pdu.tag:#04x}")
        if pdu.request_id not in ids:
            raise Malformed("a reply carries the id of another request")
        self._answered = True
        self._heard = asyncio.get_running_loop().time()
        if pdu.error_status:
            name = ERROR_STATUS.get(pdu.error_status, f"error-status {pdu.error_status}")
            raise ErrorStatus(f"the agent answered {name}", status=pdu.error_status)
        return opened, pdu
