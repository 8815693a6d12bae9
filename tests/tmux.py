"""A real terminal to type into and to read from: tmux with a server of its own for each test."""

import asyncio
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

_NUMBERS = count()


class Screen:
    """One window. Ended by `close`."""

    def __init__(
        self, folder: Path, command: Sequence[str], *, size: tuple[int, int], env: Mapping[str, str]
    ) -> None:
        self._socket = folder / f"tmux{next(_NUMBERS)}"
        columns, lines = size
        settings = [part for key, value in env.items() for part in ("-e", f"{key}={value}")]
        # What the command leaves behind, and how it ended, stays to be read.
        told = f"{shlex.join(command)}; echo ended with $?; exec sleep 600"
        self._tmux(
            "-u", "-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(lines), *settings, told
        )

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), *arguments], check=True, capture_output=True, timeout=20
        )
        return done.stdout.decode()

    def press(self, *keys: str) -> None:
        """Keys by tmux's names: `Enter`, `Escape`, `Down`, `q`."""
        self._tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        """Text, letter by letter."""
        self._tmux("send-keys", "-l", text)

    def resize(self, columns: int, lines: int) -> None:
        """Another size of the terminal."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def lines(self, *, escapes: bool = False) -> list[str]:
        """What is on the screen."""
        return self._tmux("capture-pane", "-p", *(["-e"] if escapes else [])).splitlines()

    async def until(self, *words: str, gone: Sequence[str] = ()) -> list[str]:
        """The screen as soon as all words are on it, and those in `gone` are not."""
        lines: list[str] = []
        try:
            async with asyncio.timeout(20):
                while True:
                    lines = await asyncio.to_thread(self.lines)
                    text = "\n".join(lines)
                    if all(word in text for word in words) and not any(word in text for word in gone):
                        return lines
                    await asyncio.sleep(0.1)
        except TimeoutError:
            shown = "\n".join(lines)
            raise AssertionError(f"waited for {words} without {gone}:\n{shown}") from None

    def close(self) -> None:
        """End tmux, and what runs in it."""
        self._tmux("kill-server")
