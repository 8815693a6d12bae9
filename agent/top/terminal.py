"""The terminal: raw keyboard, alternate screen, and a painter that writes only the lines that changed."""

import os
import sys
import termios
import tty
from collections.abc import Sequence
from io import StringIO
from typing import Final, Self

from rich.console import Console, ConsoleDimensions
from rich.text import Text

_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""Alternate screen, no cursor, no wrap."""
_LEAVE: Final = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_BEGIN: Final = "\x1b[?2026h"
"""Terminals that know it show what follows at once, when it ends."""
_END: Final = "\x1b[?2026l"


class Terminal:
    """The terminal that standard input and output are. A context manager; `leave` and `enter` for a suspension."""

    def __init__(self) -> None:
        self._keyboard = sys.stdin.fileno()
        self._before: list[int | list[bytes | int]] | None = None
        self._shown: list[str] = []
        # Honours NO_COLOR, TERM and COLORTERM.
        self._console = Console(
            file=StringIO(), force_terminal=True, highlight=False, markup=False, emoji=False, legacy_windows=False
        )

    def __enter__(self) -> Self:
        self.enter()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.leave()

    @property
    def keyboard(self) -> int:
        """File descriptor of the keyboard."""
        return self._keyboard

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        try:
            columns, lines = os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            columns, lines = 0, 0
        return (columns or 80, lines or 24)  # a serial console knows no size

    def enter(self) -> None:
        """Take the terminal over; Ctrl-C and Ctrl-Z stay signals."""
        self._before = termios.tcgetattr(self._keyboard)
        tty.setcbreak(self._keyboard, termios.TCSADRAIN)
        self._write(_ENTER)
        self.forget()

    def leave(self) -> None:
        """Give it back as it was."""
        if self._before is not None:
            self._write(_LEAVE)
            termios.tcsetattr(self._keyboard, termios.TCSADRAIN, self._before)
            self._before = None

    def forget(self) -> None:
        """What is on the screen is not known any more: the next picture is written in full."""
        self._shown = []

    def paint(self, lines: Sequence[Text]) -> None:
        """Show these lines."""
        columns, rows = self.size
        self._console.size = ConsoleDimensions(columns, rows)
        codes = [self._coded(line) for line in lines[:rows]]
        parts: list[str] = []
        if not self._shown:
            parts.append("\x1b[2J")
        for at, code in enumerate(codes):
            if at >= len(self._shown) or self._shown[at] != code:
                parts.append(f"\x1b[{at + 1};1H\x1b[2K{code}")
        if len(codes) < len(self._shown):
            parts.append(f"\x1b[{len(codes) + 1};1H\x1b[J")
        if parts:
            self._write(_BEGIN + "".join(parts) + _END)
        self._shown = codes

    def _coded(self, line: Text) -> str:
        with self._console.capture() as captured:
            self._console.print(line, end="", no_wrap=True, overflow="crop", crop=True)
        return captured.get()

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
