"""Pictures of the status page and the terminal view over `opticd demo`, small enough for the documents.

Run by scripts/screenshots.
"""

import asyncio
import io
import re
import shutil
import signal
import socket
import struct
import sys
import tempfile
import zlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import aiohttp
from rich.console import Console
from rich.text import Text

from tests import chromium
from tests.tmux import Screen

SETTLE_S: Final = 75.0
"""By then the scenario of the demo has its sick ports."""


@dataclass(frozen=True)
class Shot:
    """One picture."""

    name: str
    ports: int
    width: int = 1366
    height: int = 768
    dark: bool = False
    phone: bool = False
    hash: str = ""
    prepare: str = ""
    """JavaScript before the picture is taken."""


SHOTS: Final = (
    Shot("page-32", 32),
    Shot("page-512", 512),
    Shot("page-port", 32, width=1440, height=1000, hash="#port=Ethernet4"),
    Shot("page-dark", 32, width=1440, height=1000, dark=True, hash="#port=Ethernet2"),
    Shot("page-phone", 32, width=390, height=844, phone=True),
    Shot("page-engine", 32, width=1440, height=1000, hash="#port=Ethernet13"),
)  # fmt: skip


@asynccontextmanager
async def demo(ports: int) -> AsyncGenerator[str]:
    """A demo that has run for a while; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = cast("int", found.getsockname()[1])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent.cli", "demo", "--ports", str(ports), "--listen", f"127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await _healthy(f"http://127.0.0.1:{port}")
        await asyncio.sleep(SETTLE_S)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)
        await process.wait()


async def _healthy(address: str) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(30):
        while True:
            try:
                async with session.get(f"{address}/-/ready") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.2)


async def take(shot: Shot, browser: str, address: str, folder: Path) -> None:
    """Take one picture."""
    size = {"width": shot.width, "height": shot.height}
    async with chromium.page(browser, **size, dark=shot.dark, phone=shot.phone) as page:
        shown = f"document.querySelectorAll('#groups .cell').length >= {shot.ports}"
        await page.goto(f"{address}/{shot.hash}", until=shown)
        if shot.hash:
            await page.until("document.querySelector('#port .sparks')")
        if shot.prepare:
            await page.run(shot.prepare)
        await asyncio.sleep(1.5)
        picture = smaller(await page.screenshot())
        (folder / f"{shot.name}.png").write_bytes(picture)
        print(f"{shot.name}.png {len(picture) // 1024} KiB")


async def take_top(address: str, folder: Path) -> None:
    """The terminal view as a real terminal of 100 x 30 shows it."""
    size = (100, 30)
    with tempfile.TemporaryDirectory() as place:
        env = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        command = (sys.executable, "-m", "agent.cli", "top", address)
        screen = Screen(Path(place), command, size=size, env=env)
        try:
            await screen.until("Ethernet1")
            await asyncio.sleep(3.0)
            lines = await asyncio.to_thread(lambda: screen.lines(escapes=True))
        finally:
            screen.close()
    console = Console(width=size[0], record=True, file=io.StringIO())
    for line in lines:
        console.print(Text.from_ansi(line), no_wrap=True, overflow="crop")
    # The fonts would come from another host: those of the reader will do.
    picture = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="opticd top"), flags=re.DOTALL)
    (folder / "top.svg").write_text(re.sub(r"\n\s*\n", "\n", picture), encoding="utf-8")
    print(f"top.svg {len(picture) // 1024} KiB")


def smaller(png: bytes) -> bytes:
    """The same picture with its rows compressed as far as zlib goes."""
    head, rows, at = png[:8], b"", 8
    before: list[bytes] = []
    after: list[bytes] = []
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        if kind == b"IDAT":
            rows += body
        elif kind in (b"IHDR", b"IEND"):
            (after if rows else before).append(_chunk(kind, body))
        at += 12 + length
    return b"".join((head, *before, _chunk(b"IDAT", zlib.compress(zlib.decompress(rows), 9)), *after))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


async def main(folder: Path) -> None:
    """Take all of them."""
    with chromium.browser() as browser:
        for ports in sorted({shot.ports for shot in SHOTS}):
            async with demo(ports) as address:
                for shot in SHOTS:
                    if shot.ports == ports:
                        await take(shot, browser, address, folder)
                if ports == min(shot.ports for shot in SHOTS) and shutil.which("tmux"):
                    await take_top(address, folder)


if __name__ == "__main__":
    images = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/images")
    images.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(images))
