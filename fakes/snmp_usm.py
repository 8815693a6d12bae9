"""SNMPv3's user-based security as an agent does it (RFC 3414, 7860, 3826), on `hmac` and `cryptography`.

Not simulated: DES, contexts other than the empty one, persistence of the boots counter.
"""

import hashlib
import hmac
import os
import time
from dataclasses import dataclass, field

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from fakes.snmp_wire import REPORT, BadRequest, Reader, integer, response, tlv, varbind

DIGESTS = {"md5": 12, "sha1": 12, "sha224": 16, "sha256": 24, "sha384": 32, "sha512": 48}
STATISTICS = (1, 3, 6, 1, 6, 3, 15, 1, 1)
UNSUPPORTED_LEVEL, NOT_IN_TIME, UNKNOWN_USER, UNKNOWN_ENGINE, WRONG_DIGEST, DECRYPTION_ERROR = 1, 2, 3, 4, 5, 6


@dataclass(frozen=True, slots=True)
class AgentUser:
    """A user of the fake agent; an empty protocol is none. `priv` is AES-128, or AES-256 by Blumenthal's rule."""

    name: str
    auth: str = ""
    auth_password: str = ""
    priv: str = ""
    priv_password: str = ""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request that came through, and what its answer needs."""

    pdu: bytes
    message_id: int
    user: AgentUser
    flags: int


class Reported(Exception):
    """The request is answered by a report; `message` is that answer."""

    def __init__(self, message: bytes) -> None:
        super().__init__("report")
        self.message = message


@dataclass
class Engine:
    """An authoritative SNMP engine."""

    users: tuple[AgentUser, ...]
    engine_id: bytes = b"\x80\x00\x1f\x88\x04opticd-fake"
    boots: int = 7
    clock_offset_s: float = 0.0
    started: float = field(default_factory=time.monotonic)
    _keys: dict[tuple[str, str], bytes] = field(default_factory=dict[tuple[str, str], bytes])

    def clock(self) -> int:
        """SnmpEngineTime."""
        return int(time.monotonic() - self.started + self.clock_offset_s) + 1000

    def reboot(self) -> None:
        """As after a power cycle."""
        self.boots += 1
        self.started = time.monotonic()

    def open(self, message: bytes) -> Incoming:
        """The request in a message of version 3. Raises `Reported` where an agent sends a report."""
        whole = Reader(Reader(message).element(0x30)[1])
        whole.number()
        header = Reader(whole.element(0x30)[1])
        message_id, _, flags, model = header.number(), header.number(), header.element(4)[1][0], header.number()
        if model != 3:
            raise BadRequest("security model")
        security = Reader(Reader(whole.element(4)[1]).element(0x30)[1])
        engine_id, boots, clock = security.element(4)[1], security.number(), security.number()
        name, digest, salt = (security.element(4)[1] for _ in range(3))
        if engine_id != self.engine_id:
            raise Reported(self._report(UNKNOWN_ENGINE, message_id))
        user = next((user for user in self.users if user.name.encode() == name), None)
        if user is None:
            raise Reported(self._report(UNKNOWN_USER, message_id))
        if flags & 3 != bool(user.auth) + 2 * bool(user.priv):
            raise Reported(self._report(UNSUPPORTED_LEVEL, message_id))
        if user.auth:
            at = message.index(digest)
            blank = message[:at] + bytes(len(digest)) + message[at + len(digest) :]
            if not hmac.compare_digest(self._sign(user, blank), digest):
                raise Reported(self._report(WRONG_DIGEST, message_id))
            if boots != self.boots or abs(clock - self.clock()) > 150:
                raise Reported(self._report(NOT_IN_TIME, message_id, user=user))
        if user.priv:
            scoped = self._cipher(user, boots, clock, salt, whole.element(4)[1], decrypt=True)
        else:
            scoped = tlv(*whole.element(0x30))
        try:
            inner = Reader(Reader(scoped).element(0x30)[1])
            _engine, _context = inner.element(4), inner.element(4)
            return Incoming(tlv(*inner.element()), message_id, user, flags)
        except BadRequest:
            if user.priv:
                raise Reported(self._report(DECRYPTION_ERROR, message_id, user=user)) from None
            raise

    def seal(self, pdu: bytes, incoming: Incoming) -> bytes:
        """The answer to a request, with the request's security."""
        return self._message(pdu, incoming.message_id, incoming.user, incoming.flags & 3)

    def _report(self, statistic: int, message_id: int, *, user: AgentUser | None = None) -> bytes:
        counter = varbind((*STATISTICS, statistic, 0), integer(1, 0x41))
        pdu = response(0, counter, kind=REPORT)
        if user is not None and user.auth:
            return self._message(pdu, message_id, user, 1)
        return self._message(pdu, message_id, AgentUser(""), 0)

    def _message(self, pdu: bytes, message_id: int, user: AgentUser, flags: int) -> bytes:
        scoped = tlv(0x30, tlv(4, self.engine_id) + tlv(4, b"") + pdu)
        boots, clock, salt = self.boots, self.clock(), b""
        if flags & 2:
            salt = os.urandom(8)
            scoped = tlv(4, self._cipher(user, boots, clock, salt, scoped, decrypt=False))
        blank = bytes(DIGESTS[user.auth]) if flags & 1 else b""

        def whole(digest: bytes) -> bytes:
            security = tlv(4, self.engine_id) + integer(boots) + integer(clock) + tlv(4, user.name.encode())
            header = integer(message_id) + integer(65507) + tlv(4, bytes((flags,))) + integer(3)
            parameters = tlv(0x30, security + tlv(4, digest) + tlv(4, salt))
            return tlv(0x30, integer(3) + tlv(0x30, header) + tlv(4, parameters) + scoped)

        return whole(self._sign(user, whole(blank))) if flags & 1 else whole(b"")

    def _sign(self, user: AgentUser, blank: bytes) -> bytes:
        return hmac.new(self._key(user.auth, user.auth_password), blank, user.auth).digest()[: DIGESTS[user.auth]]

    def _cipher(self, user: AgentUser, boots: int, clock: int, salt: bytes, data: bytes, *, decrypt: bool) -> bytes:
        key = self._key(user.auth, user.priv_password)
        size = 32 if user.priv == "aes256" else 16
        while len(key) < size:  # draft-blumenthal-aes-usm-04 section 3.1.2.1
            key += hashlib.new(user.auth, key).digest()
        vector = boots.to_bytes(4, "big") + clock.to_bytes(4, "big") + salt
        cipher = Cipher(algorithms.AES(key[:size]), CFB(vector))
        context = cipher.decryptor() if decrypt else cipher.encryptor()
        return context.update(data) + context.finalize()

    def _key(self, auth: str, password: str) -> bytes:
        """RFC 3414 A.2, localized."""
        known = self._keys.get((auth, password))
        if known is None:
            text = password.encode()
            digest = hashlib.new(auth, (text * (1048576 // len(text) + 1))[:1048576]).digest()
            known = self._keys[auth, password] = hashlib.new(auth, digest + self.engine_id + digest).digest()
        return known
