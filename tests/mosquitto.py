"""A real mosquitto broker and its command-line clients, for tests: temporary config, free loopback port."""

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

BROKER = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
needs_mosquitto = pytest.mark.skipif(
    BROKER is None or shutil.which("mosquitto_sub") is None,
    reason="mosquitto and mosquitto_sub are not installed (apt-get install mosquitto mosquitto-clients)",
)


def free_port() -> int:
    """A port of the loopback interface that nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Broker:
    """One broker process; `kill` and `start` again at will."""

    directory: Path
    port: int = field(default_factory=free_port)
    options: tuple[str, ...] = ("allow_anonymous true",)
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    async def start(self) -> None:
        config = self.directory / "mosquitto.conf"
        log = self.directory / "mosquitto.log"
        lines = [
            f"listener {self.port} 127.0.0.1",
            "max_queued_messages 0",
            "log_type all",
            f"log_dest file {log}",
            *self.options,
        ]
        if os.geteuid() == 0:
            lines.append("user root")  # else it gives up its rights, and with them the files of the test
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        assert BROKER is not None
        self.process = await asyncio.create_subprocess_exec(
            BROKER, "-c", str(config), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        for _ in range(200):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                await writer.wait_closed()
                return
        raise AssertionError(log.read_text(encoding="utf-8") if log.exists() else "mosquitto did not start")

    async def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(sign)
            await self.process.wait()
        self.process = None

    async def kill(self) -> None:
        await self.stop(signal.SIGKILL)


@asynccontextmanager
async def running(directory: Path, *options: str) -> AsyncGenerator[Broker]:
    """A broker that runs until the end of the block."""
    broker = Broker(directory, options=options or ("allow_anonymous true",))
    await broker.start()
    try:
        yield broker
    finally:
        await broker.kill()


@dataclass(frozen=True)
class Heard:
    """One message as mosquitto_sub saw it."""

    retained: bool
    topic: str
    payload: str


class Subscriber:
    """`mosquitto_sub` in a process of its own; everything it printed is in `heard`."""

    def __init__(self, broker: Broker, *topics: str, arguments: tuple[str, ...] = ()) -> None:
        self.heard: list[Heard] = []
        self._command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "-F", "%r %t %p", *arguments]
        for topic in topics:
            self._command += ["-t", topic]
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, limit=1 << 22
        )
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._task is not None:
            await self._task

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            flag, topic, payload = line.decode().rstrip("\n").split(" ", 2)
            self.heard.append(Heard(flag == "1", topic, payload))

    async def until(self, count: int, *, topic: str = "", within_s: float = 10.0) -> list[Heard]:
        """The messages (of a topic) once there are `count` of them."""
        for _ in range(int(within_s / 0.01)):
            found = [heard for heard in self.heard if heard.topic.startswith(topic)]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.01)
        raise AssertionError(f"{len(self.heard)} messages instead of {count}: {self.heard[-3:]}")


async def retained(broker: Broker, topic: str, *, arguments: tuple[str, ...] = ()) -> Mapping[str, str]:
    """What the broker retains now, topic to payload."""
    process = await asyncio.create_subprocess_exec(
        "mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "-t", topic, "-F", "%t %p", "--retained-only",
        "-W", "1", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    out, _ = await process.communicate()
    pairs = (line.split(" ", 1) for line in out.decode().splitlines())
    return {pair[0]: pair[1] for pair in pairs}


async def publish(broker: Broker, topic: str, payload: str) -> None:
    """Publish something retained with mosquitto's own client."""
    process = await asyncio.create_subprocess_exec(
        "mosquitto_pub", "-h", "127.0.0.1", "-p", str(broker.port), "-t", topic, "-m", payload, "-r", "-q", "1"
    )
    assert await process.wait() == 0


async def eventually(condition: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Wait until something holds."""
    for _ in range(int(within_s / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")
