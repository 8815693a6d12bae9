"""AES in CFB mode as SNMPv3 uses it (RFC 3826), by the package `cryptography`."""

import secrets
from typing import Final

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from drivers.snmp.errors import Malformed

_WORD: Final = 0xFFFFFFFF
_SALTS: Final = 1 << 64


class AesCfb:
    """One localized key. The salt counts from a random start, so that no two messages share a vector."""

    def __init__(self, key: bytes) -> None:
        self._algorithm = algorithms.AES(key)
        self._salt = secrets.randbits(64)

    def encrypt(self, data: bytes, boots: int, clock: int) -> tuple[bytes, bytes]:
        """The enciphered data and its salt."""
        self._salt = (self._salt + 1) % _SALTS
        salt = self._salt.to_bytes(8, "big")
        context = Cipher(self._algorithm, _vector(boots, clock, salt)).encryptor()
        return context.update(data) + context.finalize(), salt

    def decrypt(self, data: bytes, boots: int, clock: int, salt: bytes) -> bytes:
        """The data in clear; noise when the key is another one."""
        if len(salt) != 8:
            raise Malformed(f"an SNMPv3 reply has a salt of {len(salt)} octets")
        context = Cipher(self._algorithm, _vector(boots, clock, salt)).decryptor()
        return context.update(data) + context.finalize()


def _vector(boots: int, clock: int, salt: bytes) -> CFB:
    """RFC 3826 section 3.1.2.1: boots, time, salt."""
    return CFB((boots & _WORD).to_bytes(4, "big") + (clock & _WORD).to_bytes(4, "big") + salt)
