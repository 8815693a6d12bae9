"""A device on a serial port: a pty behind a path that stays, with a program that reads and answers byte by byte.

The answers come late, one byte at a time; noise lies on the line when the port is opened and, now and then, when
it is idle. The program is a function that is given the line: it blocks in `key` and answers with `emit`.

    line = SerialLine(tmp_path / "ttyUSB0", program, baud=115_200)
    Wire(str(line.path)).open(115_200)

Not simulated: break and framing errors, modem lines, flow control. The speed of the port is checked, not kept.
"""

import contextlib
import errno
import os
import select
import termios
import threading
import time
import tty
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SPEEDS: Final = {
    9600: termios.B9600,
    19_200: termios.B19200,
    115_200: termios.B115200,
    230_400: termios.B230400,
    1_000_000: termios.B1000000,
}
_NOISE: Final = b"\xfe\x00U\x81\n"
_IDLE_S: Final = 0.02
_STALL_LIMIT_S: Final = 60.0


class _Unplugged(Exception):
    """The pty is gone; ends the program."""


@dataclass(frozen=True, slots=True)
class FakePort:
    """What a list of the host's serial ports would say of it."""

    device: str
    serial_number: str | None


class SerialLine:
    """`path` is a symbolic link to the pty of the moment. `late_s` before an answer, `byte_s` between its bytes.

    `noise_every`: a byte of noise on the idle line after so many answers, 0 for none; `baud`: at another speed it
    hears and says nothing that makes sense.
    """

    def __init__(
        self,
        path: Path,
        program: Callable[["SerialLine"], None],
        *,
        baud: int,
        late_s: float = 0.0005,
        byte_s: float = 0.00002,
        noise_every: int = 7,
        serial_number: str | None = None,
    ) -> None:
        self.path = path
        self.late_s = late_s
        self.byte_s = byte_s
        self.noise_every = noise_every
        self.serial_number = serial_number
        self.heard = bytearray()
        """Every byte that arrived at the right speed."""
        self._program = program
        self._baud = baud
        self._answers = 0
        self._cut = 0
        self._garble: Callable[[bytes], bytes] | None = None
        self._running = threading.Event()
        self._running.set()
        self._master = -1
        self._wake = (-1, -1)
        self._thread: threading.Thread | None = None
        self.plug()

    # -- what a test does to it ---------------------------------------------------------------------------

    @property
    def port(self) -> FakePort:
        """Its entry in a list of ports."""
        return FakePort(str(self.path), self.serial_number)

    def plug(self, path: Path | None = None) -> None:
        """Plug it in, perhaps under another path."""
        self.path = path or self.path
        self._master, slave = os.openpty()
        self._wake = os.pipe()
        tty.setraw(slave)
        # Noise of the contacts lies in the buffer of the port before anybody opens it.
        if self.noise_every:
            os.write(self._master, _NOISE)
        self.path.symlink_to(os.ttyname(slave))
        self._thread = threading.Thread(target=self._run, args=(self._master, slave), daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Pull it out: the path goes, whoever has it open sees a hang-up."""
        self.path.unlink()
        self._hang_up()

    def short(self) -> None:
        """The next answer that is longer than a byte loses its last one."""
        self._cut = 1

    def garble(self, change: Callable[[bytes], bytes] = lambda answer: b"\xa5" + answer) -> None:
        """Change the next answer; a byte more in front by default."""
        self._garble = change

    def stall(self) -> None:
        """From now on it answers nothing, until `release`."""
        self._running.clear()

    def release(self) -> None:
        """End a stall: what was asked meanwhile is answered now."""
        self._running.set()

    def close(self) -> None:
        """End the program and take the path away."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self._hang_up()

    # -- what its program uses ----------------------------------------------------------------------------

    def key(self, timeout_s: float | None = None) -> int | None:
        """The next byte that the host sends; None when none came in time."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left = 0.5 if end is None else max(0.0, min(0.5, end - time.monotonic()))
            if self.noise_every and self._answers >= self.noise_every:
                ready, _, _ = select.select([self._master], [], [], _IDLE_S)
                if not ready:
                    self._answers = 0
                    self._write(_NOISE[:1])
            ready, _, _ = select.select([self._master, self._wake[0]], [], [], left)
            if self._wake[0] in ready:
                raise _Unplugged
            if ready:
                byte = self._read_byte()
                if byte is not None:
                    return byte
            elif end is not None and time.monotonic() >= end:
                return None

    def keys(self, n: int) -> bytes:
        """The next `n` bytes."""
        return bytes(byte for _ in range(n) if (byte := self.key()) is not None)

    def emit(self, answer: bytes) -> None:
        """Say something, late and byte by byte."""
        self._running.wait(_STALL_LIMIT_S)
        if self._garble is not None:
            answer, self._garble = self._garble(answer), None
        if self._cut and len(answer) > self._cut:
            answer, self._cut = answer[: -self._cut], 0
        self._answers += 1
        time.sleep(self.late_s)
        for at in range(len(answer)):
            self._write(answer[at : at + 1])
            time.sleep(self.byte_s)

    # -- inside -------------------------------------------------------------------------------------------

    def _run(self, master: int, slave: int) -> None:
        try:
            self._program(self)
        except _Unplugged:
            pass
        finally:
            for fd in (master, slave, *self._wake):
                os.close(fd)

    def _read_byte(self) -> int | None:
        try:
            data = os.read(self._master, 1)
        except OSError as exc:
            if exc.errno == errno.EIO:
                raise _Unplugged from exc
            raise
        if termios.tcgetattr(self._master)[4] != _SPEEDS[self._baud]:
            return None
        self.heard += data
        return data[0]

    def _write(self, data: bytes) -> None:
        if termios.tcgetattr(self._master)[4] != _SPEEDS[self._baud]:
            data = b"\xf8"
        os.write(self._master, data)

    def _hang_up(self) -> None:
        self._running.set()
        thread = self._thread
        if thread is not None and thread.is_alive():
            os.write(self._wake[1], b"x")
            thread.join(5)
