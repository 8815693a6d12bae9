"""Progress on standard error: only on a terminal, only when it takes long, and gone when it is over."""

import contextlib
import os
import pty
import time
from io import StringIO

from agent.progress import Progress


def on_terminal(seconds: float) -> str:
    """What a terminal is sent while something takes so long."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream, Progress("reading", stream=stream) as progress:
        progress.step("i2c-3\x1b[2J")
        time.sleep(seconds)
    said = b""
    with contextlib.suppress(OSError), os.fdopen(ours, "rb", buffering=0) as terminal:
        while more := terminal.read(65_536):  # until EIO: all of it came, and nobody is at the other end
            said += more
    return said.decode()


def test_what_is_quick_says_nothing() -> None:
    assert on_terminal(0.05) == ""


def test_what_takes_long_says_what_it_is_at_and_clears_the_line() -> None:
    said = on_terminal(1.4)
    assert "opticd: reading: i2c-3?[2J (1 s)" in said
    assert said.endswith("\r\x1b[K")


def test_not_in_a_file() -> None:
    stream = StringIO()
    with Progress("reading", stream=stream):
        time.sleep(1.2)
    assert stream.getvalue() == ""
