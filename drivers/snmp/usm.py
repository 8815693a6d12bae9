"""Keys and ciphers of SNMPv3, by pysnmp's security services (which use the package `cryptography`)."""

from functools import lru_cache
from typing import Any, Final, Protocol, cast

import pysnmp.proto.secmod.rfc3414.service  # type: ignore[import-untyped]  # noqa: F401 - its parts import each other
from pyasn1.type.univ import OctetString  # type: ignore[import-untyped]
from pysnmp.proto.error import StatusInformation  # type: ignore[import-untyped]
from pysnmp.proto.secmod.eso.priv import aes192, aes256  # type: ignore[import-untyped]
from pysnmp.proto.secmod.rfc3414.auth import hmacmd5, hmacsha  # type: ignore[import-untyped]
from pysnmp.proto.secmod.rfc3414.priv import des  # type: ignore[import-untyped]
from pysnmp.proto.secmod.rfc3826.priv import aes  # type: ignore[import-untyped]
from pysnmp.proto.secmod.rfc7860.auth import hmacsha2  # type: ignore[import-untyped]

from drivers.snmp.errors import Malformed, Unsupported
from drivers.snmp.protocols import AuthProtocol, PrivProtocol


class _Auth(Protocol):
    def hash_passphrase(self, password: str, /) -> object: ...
    def localize_key(self, key: object, engine_id: object, /) -> Any: ...


class _Priv(Protocol):
    @property
    def SERVICE_ID(self) -> tuple[int, ...]: ...  # noqa: N802 - pysnmp's name
    def hash_passphrase(self, auth: tuple[int, ...], password: str, /) -> object: ...
    def localize_key(self, auth: tuple[int, ...], key: object, engine_id: object, /) -> object: ...
    def encrypt_data(self, key: object, parameters: object, data: bytes, /) -> tuple[Any, Any]: ...
    def decrypt_data(self, key: object, parameters: object, data: object, /) -> Any: ...


_SHA2 = hmacsha2.HmacSha2
_AUTH: Final[dict[AuthProtocol, tuple[tuple[int, ...], _Auth]]] = {
    "md5": (hmacmd5.HmacMd5.SERVICE_ID, hmacmd5.HmacMd5()),
    "sha1": (hmacsha.HmacSha.SERVICE_ID, hmacsha.HmacSha()),
    "sha224": (_SHA2.SHA224_SERVICE_ID, _SHA2(_SHA2.SHA224_SERVICE_ID)),
    "sha256": (_SHA2.SHA256_SERVICE_ID, _SHA2(_SHA2.SHA256_SERVICE_ID)),
    "sha384": (_SHA2.SAH384_SERVICE_ID, _SHA2(_SHA2.SAH384_SERVICE_ID)),
    "sha512": (_SHA2.SHA512_SERVICE_ID, _SHA2(_SHA2.SHA512_SERVICE_ID)),
}
_PRIV: Final[dict[PrivProtocol, _Priv]] = {
    "des": des.Des(),
    "aes128": aes.Aes(),
    "aes192": aes192.AesBlumenthal192(),
    "aes256": aes256.AesBlumenthal256(),
    "aes192c": aes192.Aes192(),
    "aes256c": aes256.Aes256(),
}
"""The long keys are made by Blumenthal's rule, or (`…c`) by Reeder's, which Cisco and others follow."""


_KEY_OCTETS: Final = {"aes128": 16, "aes192": 24, "aes256": 32, "aes192c": 24, "aes256c": 32}


@lru_cache(maxsize=64)
def hashed(protocol: AuthProtocol, password: str) -> object:
    """RFC 3414 A.2: a megabyte of password through the hash, 12 ms; the same for every device."""
    return _AUTH[protocol][1].hash_passphrase(password)


def auth_service(protocol: AuthProtocol) -> tuple[int, ...]:
    """The OID of an authentication protocol."""
    return _AUTH[protocol][0]


def priv_service(protocol: PrivProtocol) -> tuple[int, ...]:
    """The OID of a privacy protocol."""
    return _PRIV[protocol].SERVICE_ID


def auth_key(protocol: AuthProtocol, password: str, engine_id: bytes) -> bytes:
    """The key that signs messages to and from this engine."""
    return bytes(_AUTH[protocol][1].localize_key(hashed(protocol, password), OctetString(engine_id)))


class Cipher:
    """Enciphers scoped PDUs to one engine. AES runs in `cryptography` itself, DES in pysnmp."""

    def __init__(self, protocol: PrivProtocol, auth: AuthProtocol, password: str, engine_id: bytes) -> None:
        if getattr(aes, "PysnmpCryptoError", False):
            raise Unsupported("SNMPv3 privacy needs the package cryptography", hint="pip install 'opticd[snmpv3]'")
        from drivers.snmp.aes import AesCfb  # noqa: PLC0415 - the package is there

        self._service = _PRIV[protocol]
        self._key = self._service.localize_key(_AUTH[auth][0], hashed(auth, password), OctetString(engine_id))
        self._aes = None if protocol == "des" else AesCfb(bytes(cast("Any", self._key))[: _KEY_OCTETS[protocol]])

    def encrypt(self, data: bytes, boots: int, clock: int) -> tuple[bytes, bytes]:
        """The enciphered data, and the salt that goes with it."""
        if self._aes is not None:
            return self._aes.encrypt(data, boots, clock)
        sealed, salt = self._service.encrypt_data(self._key, (boots, clock, None), data)
        return bytes(sealed), bytes(salt)

    def decrypt(self, data: bytes, boots: int, clock: int, salt: bytes) -> bytes:
        """The data in clear; noise when the key is wrong."""
        if self._aes is not None:
            return self._aes.decrypt(data, boots, clock, salt)
        try:
            plain = self._service.decrypt_data(self._key, (boots, clock, OctetString(salt)), OctetString(data))
        except (StatusInformation, ValueError) as exc:
            raise Malformed("an SNMPv3 reply cannot be deciphered") from exc
        return bytes(plain)
