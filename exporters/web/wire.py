"""The bytes of one connection: no more of them in memory, in either direction, than somebody needs next."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Final, cast

_MOST: Final = 65_536
"""Bytes that wait to be read; then the client waits."""


class Wire(asyncio.Protocol):
    """Reads and writes for the one task that it starts, which is cancelled when the client is gone."""

    def __init__(self, serve: Callable[["Wire"], Coroutine[object, object, None]], *, write_s: float) -> None:
        """`serve` is run as a task; whoever has not read what is sent after `write_s` seconds is too slow."""
        self._serve = serve
        self._write_s = write_s
        self._received = bytearray()
        self._full = False
        self._more = asyncio.Event()
        self._taken = asyncio.Event()
        self._taken.set()
        self.transport: asyncio.Transport
        self.task: asyncio.Task[None]

    # ---- for the task -------------------------------------------------------------------------------------

    async def receive(self, most: int) -> bytes:
        """At least one byte, once it is there, and not more than `most`."""
        while not self._received:
            self._more.clear()
            await self._more.wait()
        found = bytes(self._received[:most])
        del self._received[:most]
        if self._full and not self._received:
            self._full = False
            self.transport.resume_reading()
        return found

    async def send(self, parts: Sequence[bytes]) -> None:
        """Returns when the kernel has all of it. Raises TimeoutError when that takes too long."""
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        if data:
            self.transport.write(data)
        if not self._taken.is_set():
            async with asyncio.timeout(self._write_s):
                await self._taken.wait()

    # ---- for asyncio --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        # With 1, TLS says when all is taken; with 0 it would say before anything was written that it is too much.
        self.transport.set_write_buffer_limits(high=1)
        self.task = asyncio.get_running_loop().create_task(self._serve(self), name="http")

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._more.set()
        if len(self._received) >= _MOST and not self._full:
            self._full = True
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # of asyncio
        self.task.cancel()

    def pause_writing(self) -> None:
        self._taken.clear()

    def resume_writing(self) -> None:
        self._taken.set()
