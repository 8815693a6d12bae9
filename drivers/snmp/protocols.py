"""Which protocols SNMPv3 users may have."""

from typing import Final, Literal, get_args

AuthProtocol = Literal["md5", "sha1", "sha224", "sha256", "sha384", "sha512"]
PrivProtocol = Literal["des", "aes128", "aes192", "aes256", "aes192c", "aes256c"]
"""`aes192c` and `aes256c` extend the key as Cisco and others do (Reeder), the others by Blumenthal's draft."""
AUTH_PROTOCOLS: Final[tuple[AuthProtocol, ...]] = get_args(AuthProtocol)
PRIV_PROTOCOLS: Final[tuple[PrivProtocol, ...]] = get_args(PrivProtocol)
