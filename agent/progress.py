"""What a command is busy with, once it takes more than a second: one line on standard error, on a terminal only."""

import sys
import threading
import time
from types import TracebackType
from typing import Final, Self, TextIO

from agent.grid import safe

PATIENCE_S: Final = 1.0
_PERIOD_S: Final = 0.25
_CLEAR: Final = "\r\x1b[K"


class Progress:
    """`with Progress("looking for modules") as progress: progress.step("i2c-3")`."""

    def __init__(self, what: str, *, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._what = what
        self._step = ""
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def step(self, what: str) -> None:
        """What it is at now."""
        self._step = what

    def __enter__(self) -> Self:
        if self._stream.isatty():
            self._thread = threading.Thread(target=self._show, name="progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _show(self) -> None:
        began = time.monotonic()
        if self._done.wait(PATIENCE_S):
            return
        while True:
            step = f": {self._step}" if self._step else ""
            text = f"opticd: {self._what}{step} ({time.monotonic() - began:.0f} s)"
            self._stream.write(_CLEAR + safe(text))
            self._stream.flush()
            if self._done.wait(_PERIOD_S):
                self._stream.write(_CLEAR)
                self._stream.flush()
                return
