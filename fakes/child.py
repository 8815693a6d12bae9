"""A fake in a process of its own: it prints its port once it listens, and runs until its standard input ends."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncGenerator
from typing import Final

from agent.errors import OpticError

_START_S: Final = 20.0
_END_S: Final = 2.0


@contextlib.asynccontextmanager
async def listening(module: str, *arguments: str, failed: OpticError) -> AsyncGenerator[int]:
    """Start `python -m module` and yield its port. Raises `failed` when it does not start."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        try:
            line = await asyncio.wait_for(process.stdout.readline(), _START_S)
        except TimeoutError:
            line = b""
        if not line.strip().isdigit():
            raise failed
        yield int(line)
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _END_S)
        except TimeoutError:
            process.kill()
            await process.wait()
