"""A serial port as bridges and instruments need it: bounded reads, and an adapter found again by its USB number.

pyserial opens and sets up the port; it is imported here alone, and only when a serial source is used.
"""

import contextlib
import errno
import termios
import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import serial
from serial.tools import list_ports

from agent.errors import BusGone, BusTimeout, ConfigError, DriverError, NotPermitted, ShortRead, Unsupported
from drivers import errnos

_SLICE_S: Final = 0.02
"""Longest single wait of pyserial: what bounds how late a deadline is noticed."""
_DRAIN_LIMIT_S: Final = 1.0


class UsbPort(Protocol):
    """What is known of a serial port of this host; pyserial's `ListPortInfo` is one."""

    @property
    def device(self) -> str: ...
    @property
    def serial_number(self) -> str | None: ...


def usb_ports() -> Iterable[UsbPort]:
    """The serial ports of this host."""
    return list_ports.comports()


_ERRORS: Final[errnos.Table] = {
    errno.ENOENT: errnos.Meaning(BusGone, "no such port", "`opticd scan` shows the serial ports of this host"),
    errno.ENODEV: errnos.Meaning(BusGone, "the adapter is gone"),
    errno.ENXIO: errnos.Meaning(BusGone, "the adapter is gone"),
    errno.EIO: errnos.Meaning(BusGone, "the adapter is gone"),
    errno.EACCES: errnos.Meaning(
        NotPermitted, "permission denied", "be root or in the group that owns the port (dialout)"
    ),
    errno.EPERM: errnos.Meaning(
        NotPermitted, "not permitted", "be root or in the group that owns the port (dialout)"
    ),
    errno.EBUSY: errnos.Meaning(NotPermitted, "another program has it open"),
    errno.EAGAIN: errnos.Meaning(NotPermitted, "another program has it open"),
    errno.ENOTTY: errnos.Meaning(Unsupported, "not a serial port"),
    errno.EINVAL: errnos.Meaning(Unsupported, "not a serial port, or it cannot do this speed"),
}


class Wire:
    """One port. `name` is a path, or `serial=NUMBER` for the USB adapter with this serial number.

    Whatever the name, the number of the adapter is remembered when it is opened: under whichever path it comes
    back, it is found again. `timeout_s` bounds the wait for each answer.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout_s: float = 1.0,
        ports: Callable[[], Iterable[UsbPort]] = usb_ports,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not name.startswith(("/", "serial=")):
            raise ConfigError(f"{name!r} is no serial port", hint="as in /dev/ttyUSB0 or serial=DO01JXYZ")
        self.name = name
        self.timeout_s = timeout_s
        self._path = "" if name.startswith("serial=") else name
        self._number = name.removeprefix("serial=") if name.startswith("serial=") else ""
        self._ports = ports
        self._clock = clock
        self._port: serial.Serial | None = None

    @property
    def is_open(self) -> bool:
        """Whether the port is held."""
        return self._port is not None

    def open(self, baud: int) -> None:
        """Open the port, or change its speed. Raises BusGone, NotPermitted, Unsupported."""
        try:
            if self._port is None:
                self._port = serial.Serial(
                    self._find(), baud, timeout=_SLICE_S, write_timeout=self.timeout_s, exclusive=True
                )
                # One USB frame instead of 16 ms an answer; not every port has it.
                with contextlib.suppress(OSError, ValueError, NotImplementedError):
                    self._port.set_low_latency_mode(True)
            elif self._port.baudrate != baud:
                self._port.baudrate = baud
        except (OSError, ValueError, termios.error) as exc:
            raise self._failed(exc) from exc

    def close(self) -> None:
        """Give the port back."""
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(OSError):  # it may be gone already
                port.close()

    def write(self, data: bytes) -> None:
        """Send bytes. Raises BusTimeout, BusGone."""
        try:
            self._opened().write(data)
        except serial.SerialTimeoutException as exc:
            raise BusTimeout(f"{self.name}: the port takes no more bytes") from exc
        except OSError as exc:
            raise self._failed(exc) from exc

    def ask(self, data: bytes, n: int) -> bytes:
        """Drop what came unasked, send bytes, and read exactly `n`. Raises BusTimeout, ShortRead, BusGone."""
        self.flush()
        self.write(data)
        answer = self.read(n)
        if len(answer) == n:
            return answer
        if not answer:
            raise BusTimeout(f"{self.name}: no answer in {self.timeout_s:g} s")
        raise ShortRead(f"{self.name}: {len(answer)} bytes of {n} in {self.timeout_s:g} s")

    def read(self, n: int, *, timeout_s: float | None = None) -> bytes:
        """At most `n` bytes: fewer when the time is over. Raises BusGone."""
        port = self._opened()
        end = self._clock() + (self.timeout_s if timeout_s is None else timeout_s)
        data = b""
        try:
            while True:
                data += port.read(n - len(data))
                if len(data) >= n or self._clock() >= end:
                    return data
        except OSError as exc:
            raise self._failed(exc) from exc

    def flush(self) -> None:
        """Drop what has arrived. Raises BusGone."""
        try:
            self._opened().reset_input_buffer()
        except (OSError, termios.error) as exc:
            raise self._failed(exc) from exc

    def drain(self, quiet_s: float) -> None:
        """Drop what arrives until nothing did for `quiet_s`. Raises BusTimeout for one that never stops."""
        end = self._clock() + _DRAIN_LIMIT_S
        while self.read(4096, timeout_s=quiet_s):
            if self._clock() >= end:
                raise BusTimeout(f"{self.name}: it does not stop sending")

    def _opened(self) -> serial.Serial:
        if self._port is None:
            raise BusGone(f"{self.name}: not open")
        return self._port

    def _find(self) -> str:
        """The path of the adapter now: by its number when that is known, else as it was given."""
        known = {port.device: port.serial_number or "" for port in self._ports()}
        if self._number and known.get(self._path) != self._number:
            found = next((device for device, number in known.items() if number == self._number), "")
            if found:
                self._path = found
            elif not self._path or self._path in known:
                # The path now belongs to another adapter, with another module behind it.
                raise BusGone(f"{self.name}: no USB adapter with serial number {self._number}")
        self._number = self._number or known.get(self._path, "")
        return self._path

    def _failed(self, exc: OSError | ValueError | termios.error) -> DriverError:
        self.close()
        code = exc.errno if isinstance(exc, OSError) else errno.EINVAL
        said = exc.__context__ if code is None else exc
        if isinstance(said, termios.error):
            code = int(said.args[0])  # pyserial puts what termios said into its text, or does not catch it
        code = code or errno.EIO
        unknown = errnos.Meaning(BusGone, str(exc.args[-1]) if exc.args else "failed")
        kind, text, hint = _ERRORS.get(code, unknown)
        return kind(f"{self.name}: {text} ({errnos.name(code)})", hint=hint)
