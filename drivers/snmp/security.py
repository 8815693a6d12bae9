"""Who asks: an SNMPv2c community, or an SNMPv3 user (RFC 3412, 3414, 7860, 3826).

Passwords become keys, and scoped PDUs are enciphered, by pysnmp's security services; the message around them
is written and read here, and its HMAC is the standard library's (docs/decisions/030).
"""

import hmac
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from drivers.snmp import ber
from drivers.snmp.errors import AuthFailed, Malformed, Unsupported
from drivers.snmp.protocols import AuthProtocol, PrivProtocol

if TYPE_CHECKING:
    from drivers.snmp.usm import Cipher

MAX_SIZE: Final = 65507
_V1: Final = 0
_V2C: Final = 1
_V3: Final = 3
_TIME_WINDOW_S: Final = 150
_DIGEST_OCTETS: Final = {"md5": 12, "sha1": 12, "sha224": 16, "sha256": 24, "sha384": 32, "sha512": 48}
_USM_STATS: Final = (1, 3, 6, 1, 6, 3, 15, 1, 1)
_VERSION_3: Final = ber.encode_integer(_V3)
_HEADER_TAILS: Final = {
    flags: ber.encode_integer(MAX_SIZE) + ber.encode(ber.OCTET_STRING, bytes((flags,))) + ber.encode_integer(3)
    for flags in range(8)
}
"""What follows the msgID in the header: the greatest size we take, flags, the user-based security model."""
_REPORTS: Final = {
    1: "the device does not offer this security level to the user",
    3: "the device does not know the user",
    5: "the authentication password or protocol is wrong",
    6: "the privacy password or protocol is wrong",
}
_NOT_IN_TIME: Final = 2
_UNKNOWN_ENGINE: Final = 4


class Opened(NamedTuple):
    """A message without its security: the PDU fills `data` from `start` to `end`."""

    data: bytes
    start: int
    end: int


class Resync(Exception):
    """The device told its engine ID or clock: the same request has to be sent once more."""


class Security(Protocol):
    """Makes messages out of PDUs and back. A reply is told by its id: the request-id, in SNMPv3 also the msgID."""

    def wrap(self, message_id: int, pdu: bytes) -> bytes:
        """The message that carries a PDU."""
        ...

    def unwrap(self, data: bytes) -> Opened:
        """The PDU in a message. Raises `Malformed`, `AuthFailed`, `Unsupported` or `Resync`."""
        ...


def message_id(data: bytes) -> int:
    """What tells a reply: the msgID of SNMPv3, the request-id of the other versions."""
    at, end = ber.expect(ber.SEQUENCE, data, 0, len(data))
    version, at = ber.read_integer(data, at, end)
    if version == _V3:
        at, end = ber.expect(ber.SEQUENCE, data, at, end)
        return ber.read_integer(data, at, end)[0]
    _, at = ber.expect(ber.OCTET_STRING, data, at, end)
    _, at, end = ber.element(data, at, end)
    return ber.read_integer(data, at, end)[0]


class Community:
    """SNMPv2c; `version` 0 makes it SNMPv1, which is only used to find out that a device speaks nothing else."""

    def __init__(self, community: str, *, version: int = _V2C) -> None:
        self._version = version
        self._community = community.encode()
        self._head = ber.encode_integer(version) + ber.encode(ber.OCTET_STRING, self._community)

    def as_v1(self) -> "Community":
        """The same community in SNMPv1."""
        return Community(self._community.decode(), version=_V1)

    def wrap(self, message_id: int, pdu: bytes) -> bytes:  # noqa: ARG002 - the PDU has it
        return ber.encode(ber.SEQUENCE, self._head + pdu)

    def unwrap(self, data: bytes) -> Opened:
        at, end = ber.expect(ber.SEQUENCE, data, 0, len(data))
        if data.startswith(self._head, at):
            return Opened(data, at + len(self._head), end)
        version, at = ber.read_integer(data, at, end)
        if version != self._version:
            raise Unsupported(f"the device answers in SNMP version field {version}, asked with {self._version}")
        community, at = ber.read_octets(data, at, end)
        if community != self._community:
            raise Malformed("a reply carries another community than the request")
        return Opened(data, at, end)


@dataclass(frozen=True, slots=True)
class User:
    """An SNMPv3 user. `priv` needs `auth`; passwords have at least 8 characters (RFC 3414 section 11.2)."""

    name: str
    auth: AuthProtocol | None = None
    auth_password: str = field(default="", repr=False)
    priv: PrivProtocol | None = None
    priv_password: str = field(default="", repr=False)
    context: str = ""


class Usm:
    """SNMPv3's user-based security towards one device: knows its engine, its clock and the keys for it."""

    def __init__(self, user: User) -> None:
        if user.priv and not user.auth:
            raise Unsupported("SNMPv3 privacy needs authentication too")
        for kind, protocol, password in (
            ("authentication", user.auth, user.auth_password),
            ("privacy", user.priv, user.priv_password),
        ):
            if protocol and len(password) < 8:
                raise AuthFailed(f"an SNMPv3 {kind} password has at least 8 characters")
        self._user = user
        self._flags = (1 if user.auth else 0) | (2 if user.priv else 0)
        self._engine_id = b""
        self._engine_octets = ber.encode(ber.OCTET_STRING, b"")
        self._boots = 0
        self._time = 0
        self._learned_at = 0.0
        self._auth_key = b""
        self._cipher: Cipher | None = None

    @property
    def engine_id(self) -> bytes:
        """The device's engine, empty until it is known."""
        return self._engine_id

    def wrap(self, message_id: int, pdu: bytes) -> bytes:
        """The message; while the engine is unknown it is an empty one that asks for it."""
        if not self._engine_id:
            empty = ber.encode_pdu(ber.GET, message_id, 0, 0, b"")
            return self._message(message_id, 4, scoped=_scoped(b"", "", empty))[0]
        scoped = _scoped(self._engine_id, self._user.context, pdu)
        clock, salt = (self._boots, self._now()), b""
        if self._cipher is not None:
            sealed, salt = self._cipher.encrypt(scoped, *clock)
            scoped = ber.encode(ber.OCTET_STRING, sealed)
        digest = bytes(_DIGEST_OCTETS[self._user.auth]) if self._user.auth else b""
        name = self._user.name.encode()
        message, digest_at = self._message(
            message_id, self._flags | 4, clock=clock, name=name, digest=digest, salt=salt, scoped=scoped
        )
        return self._sign(message, digest_at) if self._user.auth else message

    def unwrap(self, data: bytes) -> Opened:
        at, end = ber.expect(ber.SEQUENCE, data, 0, len(data))
        version, at = ber.read_integer(data, at, end)
        if version != _V3:
            raise Unsupported(f"the device answers in SNMP version field {version}, asked with {_V3}")
        flags, at = self._read_header(data, at, end)
        outer, at = ber.expect(ber.OCTET_STRING, data, at, end)
        parameters, after = ber.expect(ber.SEQUENCE, data, outer, at)
        if after != at:
            raise Malformed("an SNMPv3 message has bytes behind its security parameters")
        engine_id, cursor = ber.read_octets(data, parameters, after)
        boots, cursor = ber.read_integer(data, cursor, after)
        clock, cursor = ber.read_integer(data, cursor, after)
        _, cursor = ber.read_octets(data, cursor, after)
        digest_at, cursor = ber.expect(ber.OCTET_STRING, data, cursor, after)
        digest_end = cursor
        salt, _ = ber.read_octets(data, cursor, after)
        authentic = False
        if flags & 1 and self._user.auth and engine_id == self._engine_id:
            self._verify(data, digest_at, digest_end)
            authentic = True
        if flags & 2:
            opened = self._decipher(data, at, end, boots=boots, clock=clock, salt=salt)
        else:
            opened = Opened(data, at, end)
        return self._judge(opened, engine_id=engine_id, boots=boots, clock=clock, authentic=authentic, flags=flags)

    def _judge(
        self, opened: Opened, *, engine_id: bytes, boots: int, clock: int, authentic: bool, flags: int
    ) -> Opened:
        data, at, end = opened
        at, stop = ber.expect(ber.SEQUENCE, data, at, end)
        _, at = ber.read_octets(data, at, stop)
        _, at = ber.read_octets(data, at, stop)
        if at < stop and data[at] == ber.REPORT:
            pdu = ber.read_pdu(data, at, stop)
            self._report(data, pdu, engine_id=engine_id, boots=boots, clock=clock, authentic=authentic)
        if engine_id != self._engine_id:
            raise Malformed("a reply comes from another SNMP engine")
        if flags & 3 != self._flags or (self._user.auth and not authentic):
            raise Malformed("a reply has a lower security level than the request")
        if authentic:
            if boots < self._boots or (boots == self._boots and clock < self._now() - _TIME_WINDOW_S):
                raise Malformed("a reply is older than the time window allows")
            if boots > self._boots:
                self._learn(boots, clock)
        return Opened(data, at, stop)

    def _report(
        self, data: bytes, pdu: ber.Pdu, *, engine_id: bytes, boots: int, clock: int, authentic: bool
    ) -> None:
        first = next(ber.varbinds(data, pdu.start, pdu.end), None)
        statistic = first.oid[9] if first and first.oid[:9] == _USM_STATS and len(first.oid) > 9 else 0
        if statistic == _UNKNOWN_ENGINE and engine_id and engine_id != self._engine_id:
            self._adopt(engine_id)
            self._learn(boots, clock)
            raise Resync
        if statistic == _NOT_IN_TIME and authentic:
            self._learn(boots, clock)
            raise Resync
        if statistic in _REPORTS:
            raise AuthFailed(
                f"SNMPv3: {_REPORTS[statistic]} ({self._user.name!r})",
                hint="check user, protocols and passwords against the device's configuration",
            )
        raise Malformed(f"an SNMPv3 report that is not understood: {first.oid if first else 'empty'}")

    def _adopt(self, engine_id: bytes) -> None:
        self._engine_id = engine_id
        self._engine_octets = ber.encode(ber.OCTET_STRING, engine_id)
        user = self._user
        if user.auth:
            from drivers.snmp import usm  # noqa: PLC0415 - pysnmp is loaded where SNMPv3 is used

            self._auth_key = usm.auth_key(user.auth, user.auth_password, engine_id)
            if user.priv:
                self._cipher = usm.Cipher(user.priv, user.auth, user.priv_password, engine_id)

    def _learn(self, boots: int, clock: int) -> None:
        self._boots, self._time, self._learned_at = boots, clock, time.monotonic()

    def _now(self) -> int:
        return self._time + int(time.monotonic() - self._learned_at)

    def _message(
        self,
        message_id: int,
        flags: int,
        *,
        clock: tuple[int, int] = (0, 0),
        name: bytes = b"",
        digest: bytes = b"",
        salt: bytes = b"",
        scoped: bytes,
    ) -> tuple[bytes, int]:
        """The whole message, and where its digest stands."""
        header = ber.encode(ber.SEQUENCE, ber.encode_integer(message_id) + _HEADER_TAILS[flags])
        tail = ber.encode(ber.OCTET_STRING, digest) + ber.encode(ber.OCTET_STRING, salt)
        parameters = ber.encode(
            ber.SEQUENCE,
            self._engine_octets
            + ber.encode_integer(clock[0])
            + ber.encode_integer(clock[1])
            + ber.encode(ber.OCTET_STRING, name)
            + tail,
        )
        body = _VERSION_3 + header + ber.encode(ber.OCTET_STRING, parameters) + scoped
        message = ber.encode(ber.SEQUENCE, body)
        return message, len(message) - len(scoped) - len(tail) + 2

    def _sign(self, message: bytes, at: int) -> bytes:
        octets = _DIGEST_OCTETS[self._user.auth or "sha1"]
        digest = hmac.digest(self._auth_key, message, self._user.auth or "sha1")[:octets]
        return message[:at] + digest + message[at + octets :]

    def _verify(self, data: bytes, at: int, end: int) -> None:
        octets = _DIGEST_OCTETS[self._user.auth or "sha1"]
        whole = data[:at] + bytes(end - at) + data[end:]
        expected = hmac.digest(self._auth_key, whole, self._user.auth or "sha1")[:octets]
        if not hmac.compare_digest(expected, data[at:end]):
            raise AuthFailed("an SNMPv3 reply is not signed with the user's key")

    def _decipher(self, data: bytes, at: int, end: int, *, boots: int, clock: int, salt: bytes) -> Opened:
        start, stop = ber.expect(ber.OCTET_STRING, data, at, end)
        if self._cipher is None:
            raise Malformed("an enciphered reply to a request that was not")
        plain = self._cipher.decrypt(data[start:stop], boots, clock, salt)
        # DES pads to a multiple of eight (RFC 3414 section 8.1.1.2): the PDU says itself where it ends.
        return Opened(plain, 0, len(plain))

    @staticmethod
    def _read_header(data: bytes, at: int, end: int) -> tuple[int, int]:
        """The flags of the message, and where its security parameters begin."""
        cursor, stop = ber.expect(ber.SEQUENCE, data, at, end)
        _, cursor = ber.read_integer(data, cursor, stop)
        _, cursor = ber.read_integer(data, cursor, stop)
        flags, cursor = ber.read_octets(data, cursor, stop)
        model, _ = ber.read_integer(data, cursor, stop)
        if len(flags) != 1 or model != 3:
            raise Malformed("an SNMPv3 message with another security model than USM")
        return flags[0], stop


def _scoped(engine_id: bytes, context: str, pdu: bytes) -> bytes:
    return ber.encode(
        ber.SEQUENCE,
        ber.encode(ber.OCTET_STRING, engine_id) + ber.encode(ber.OCTET_STRING, context.encode()) + pdu,
    )
