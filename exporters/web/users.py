"""Who may come in: basic auth against bcrypt hashes, checked on one thread of its own and remembered."""

import asyncio
import base64
import hmac
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

_REMEMBERED: Final = 128
_WAITING: Final = 16
"""A check costs 50 ms of CPU: more of them are not queued but refused, or guessing would starve everything else."""


class Busy(Exception):
    """Too many checks are waiting."""


class Users:
    """Checks the `Authorization` header."""

    def __init__(self, hashes: Callable[[], Mapping[str, str]]) -> None:
        """`hashes` gives the users with their bcrypt hashes as they are now; none means that everybody may."""
        self._hashes = hashes
        self._thread = ThreadPoolExecutor(1, "bcrypt")
        self._key = os.urandom(32)
        self._known: dict[bytes, None] = {}
        """Right answers; wrong ones are forgotten, so that guessing cannot push these out."""
        self._waiting = 0

    async def may(self, authorization: str) -> bool:
        """Whether the sender of this header may come in. Raises Busy."""
        hashes = self._hashes()
        if not hashes:
            return True
        name, password = _credentials(authorization)
        if not name:
            return False
        # For an unknown user somebody else's hash is compared, so that both answers take the same time.
        stored = hashes.get(name) or next(iter(hashes.values()))
        # Passwords are not kept: what is remembered is keyed with a secret that lives as long as the process.
        key = hmac.digest(self._key, f"{name}\0{stored}\0".encode() + password, "sha256")
        if key in self._known and name in hashes:
            return True
        if not await self._check(password, stored) or name not in hashes:
            return False
        while len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[key] = None
        return True

    async def _check(self, password: bytes, stored: str) -> bool:
        if self._waiting >= _WAITING:
            raise Busy
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, _matches, password, stored)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _credentials(authorization: str) -> tuple[str, bytes]:
    """Name and password of a Basic header; no name when it is none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", b""
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (name.decode() if colon else ""), password
    except ValueError:  # not ASCII, not base64, not UTF-8
        return "", b""


def _matches(password: bytes, stored: str) -> bool:
    import bcrypt  # noqa: PLC0415  # only who has users needs it

    try:
        return bcrypt.checkpw(password[:72], stored.encode())
    except ValueError:  # a hash whose salt is none; the pattern of the config lets some of these through
        return False
