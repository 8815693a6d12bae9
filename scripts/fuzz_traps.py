"""The fuzz target of the trap receiver: datagrams of SNMPv1, v2c and v3, and notifications in good envelopes."""

import time
from contextlib import suppress
from functools import cache
from typing import Final, NamedTuple

from drivers.snmp import ber, traps
from drivers.snmp.credentials import Credentials
from drivers.snmp.security import Community, Resync, User, Usm

ENGINE: Final = b"\x80\x00\x1f\x88\x04fuzzed"
"""Of a device that was polled before."""
HOLD_S: Final = 0.5
"""A datagram that keeps the event loop longer is a find, in CPU time; under atheris all is slower."""
TRAP_V2: Final = 0xA7
INFORM: Final = 0xA6
_LINK_DOWN: Final = (1, 3, 6, 1, 6, 3, 1, 1, 5, 3)
_SENDER: Final = ("192.0.2.1", 162)


class _Bench(NamedTuple):
    receiver: traps.TrapReceiver
    heard: list[traps.Trap]
    traps: Usm
    """Signs as the device."""
    informs: Usm
    """Signs for the receiver, as who sends it an inform does."""


@cache
def _bench() -> _Bench:
    """A receiver without a socket, a device that it knows, and one that knows it."""
    user = User("u", "sha1", "password1")
    heard: list[traps.Trap] = []
    said: list[bytes] = []
    receiver = traps.TrapReceiver(Credentials(community="public", user=user), heard.append)
    receiver._engine = traps._make_engine(receiver._credentials, receiver._receive)  # noqa: SLF001
    receiver._engine.transport_dispatcher = traps._Outgoing(lambda data, _: said.append(data))  # noqa: SLF001
    receiver.know_engine(ENGINE)
    signed = Usm(user)
    signed._adopt(ENGINE)  # noqa: SLF001  # as the report of a device does
    signed._learn(1, 1000)  # noqa: SLF001
    informs = Usm(user)
    for _ in range(3):  # the receiver tells its engine, then its clock
        receiver.datagram_received(informs.wrap(1, _pdu(INFORM, index=7)), _SENDER)
        with suppress(Resync):
            informs.unwrap(said[-1])
    if not heard:
        raise AssertionError("an inform was not taken")
    return _Bench(receiver, heard, signed, informs)


def _pdu(kind: int, *, index: int, request_id: int = 1) -> bytes:
    """A linkDown."""
    if_index = (*traps.IF_ENTRY, 1, index)
    pairs = (
        ber.encode_varbind(traps.UP_TIME, ber.encode_integer(4200, ber.TIMETICKS)),
        ber.encode_varbind(traps.TRAP_OID, ber.encode(ber.OBJECT_IDENTIFIER, ber.encode_oid(_LINK_DOWN))),
        ber.encode_varbind(if_index, ber.encode_integer(index)),
        ber.encode_varbind((*traps.IF_ENTRY, 7, index), ber.encode_integer(2)),
    )
    return ber.encode_pdu(kind, request_id, 0, 0, b"".join(pairs))


def seeds() -> list[bytes]:
    """By the first octet: a whole datagram, a PDU of SNMPv2c, of a signed trap of SNMPv3, of a signed inform."""
    found: list[bytes] = []
    for kind in (TRAP_V2, INFORM):
        pdu = _pdu(kind, index=7)
        found += [bytes((envelope,)) + pdu for envelope in (1, 2, 3)]
        found += [b"\x00" + Community("public").wrap(1, pdu), b"\x00" + _bench().traps.wrap(1, pdu)]
    generic = ber.encode(0x40, bytes((192, 0, 2, 1))) + ber.encode_integer(2) + ber.encode_integer(0)
    old = ber.encode(ber.OBJECT_IDENTIFIER, ber.encode_oid((1, 3, 6, 1, 4, 1, 9))) + generic
    old += ber.encode_integer(4200, ber.TIMETICKS)
    old += ber.encode(ber.SEQUENCE, ber.encode_varbind((*traps.IF_ENTRY, 1, 7), ber.encode_integer(7)))
    found.append(b"\x00" + Community("public", version=0).wrap(1, ber.encode(0xA4, old)))
    return found


def trap(data: bytes) -> None:
    """One datagram at the receiver, which afterwards still hears a good one."""
    receiver, heard, *signed = _bench()
    heard.clear()
    envelope, content = (data[0] % 4, data[1:]) if data else (0, b"")
    if envelope:
        content = (Community("public"), *signed)[envelope - 1].wrap(1, content)
    began = time.thread_time()
    receiver.datagram_received(content, _SENDER)
    if time.thread_time() - began > HOLD_S:
        raise AssertionError(f"a datagram of {len(content)} octets held the event loop")
    for each in heard:
        if each.if_index >> 32 or each.sender != _SENDER[0] or each.up not in (True, False, None):
            raise AssertionError(f"{each} of a datagram")
    heard.clear()
    receiver.datagram_received(Community("public").wrap(1, _pdu(TRAP_V2, index=9)), _SENDER)
    if [(each.up, each.if_index, each.admin_up) for each in heard] != [(False, 9, False)]:
        raise AssertionError(f"a good trap after it was heard as {heard}")
