r"""I2C adapters: the buses behind the device nodes of `fakes.i2cdev`, with what hangs on them.

    adapter = FakeAdapter(FakeModule.load("saved.json"))
    calls = FakeI2cDev({"/dev/i2c-12": adapter})      # give it to the driver in place of open, ioctl and close
    ...
    assert adapter.traffic.transactions == 4
    assert adapter.log[-1] == Message(0x50, True, b"\x19\x00", True)

Documents: Linux include/uapi/linux/i2c.h (functionality), Documentation/i2c/fault-codes.rst.

Not simulated: 10-bit addresses, PEC, alerts, arbitration between hosts (`fail(errno.EAGAIN)` stands for a loss).
"""

import errno
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from fakes.module import I2cDevice

# include/uapi/linux/i2c.h: functionality
FUNC_I2C: Final = 0x00000001
FUNC_QUICK: Final = 0x00010000
FUNC_BYTE: Final = 0x00060000
FUNC_BYTE_DATA: Final = 0x00180000
FUNC_WORD_DATA: Final = 0x00600000
FUNC_I2C_BLOCK: Final = 0x0C000000
FULL_I2C: Final = FUNC_I2C | FUNC_QUICK | FUNC_BYTE | FUNC_BYTE_DATA | FUNC_WORD_DATA | FUNC_I2C_BLOCK
"""An adapter of a SoC or FPGA: plain I2C messages, SMBus emulated by the kernel."""
SMBUS_BLOCK: Final = FULL_I2C & ~FUNC_I2C
"""As Intel's I801: SMBus with I2C block transfers of 32 bytes."""
SMBUS_WORD: Final = SMBUS_BLOCK & ~FUNC_I2C_BLOCK
"""As PIIX4: SMBus bytes and words."""
SMBUS_BYTE: Final = SMBUS_WORD & ~FUNC_WORD_DATA
"""SMBus bytes alone."""

_STALL_LIMIT_S: Final = 60.0
"""So that a test that forgets to release still ends."""


class Message(NamedTuple):
    """One I2C message of the log; `data` is what was written (offset first) or read."""

    address: int
    read: bool
    data: bytes
    acknowledged: bool


@dataclass(slots=True)
class Traffic:
    """What went over the wire. A transaction is everything from START to STOP."""

    transactions: int = 0
    messages: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    bits: int = 0
    """Clock periods on the wire: 9 a byte (address bytes too), and START, repeated START and STOP one each."""

    def seconds(self, clock_hz: float = 400_000) -> float:
        """Wire time at a clock, without stretching and idle time."""
        return self.bits / clock_hz


class FakeAdapter:
    """One adapter with the devices on its bus. Scripted from one thread, used from another.

    `funcs`: what it can do; `nack_errno`: what its kernel driver says when nobody acknowledges (ENXIO, EREMOTEIO,
    EIO with some); `max_read`: longest read message it takes (0: no limit; more is EOPNOTSUPP, as the kernel's
    adapter quirks); `bound`: addresses that a kernel driver owns; `delay_s`: each transaction takes so much longer;
    `sleep`: how time passes (None: it does not), for `delay_s` and, with `clock_hz`, the wire time.
    """

    def __init__(
        self,
        *devices: I2cDevice,
        funcs: int = FULL_I2C,
        nack_errno: int = errno.ENXIO,
        max_read: int = 0,
        bound: Sequence[int] = (),
        delay_s: float = 0.0,
        clock_hz: float = 0.0,
        sleep: Callable[[float], None] | None = None,
        log_limit: int = 10_000,
    ) -> None:
        self.devices: list[I2cDevice] = list(devices)
        self.funcs = funcs
        self.nack_errno = nack_errno
        self.max_read = max_read
        self.bound = frozenset(bound)
        self.delay_s = delay_s
        self.clock_hz = clock_hz
        self.log: deque[Message] = deque(maxlen=log_limit)
        self.traffic = Traffic()
        self.denied = False
        """Opening its device node is not permitted."""
        self.plugged = True
        self.opens = 0
        """How many open file descriptors hold it."""
        self.generation = 0
        self._sleep = sleep
        self._faults: deque[int] = deque()
        self._running = threading.Event()
        self._running.set()
        self._stalled_errno = 0
        self._short = False
        self._waiting_to_plug = False
        self._lock = threading.RLock()

    # -- what a test or a scenario does to it -------------------------------------------------------------

    def fail(self, code: int, *, times: int = 1) -> None:
        """The next transactions fail with this errno, and reach no device."""
        self._faults.extend([code] * times)

    def short(self) -> None:
        """The next combined transfer or block read ends early: one message, or one byte, less than asked for."""
        self._short = True

    def take_short(self) -> bool:
        """Whether this is the transfer that ends early."""
        short, self._short = self._short, False
        return short

    def stall(self, code: int = 0) -> None:
        """From now on transactions hang until `release`; then they fail with `code`, or go on when it is 0."""
        self._stalled_errno = code
        self._running.clear()

    def release(self) -> None:
        """End a stall."""
        self._running.set()

    def unplug(self) -> None:
        """Take the adapter away: its device node goes, open file descriptors answer ENODEV."""
        with self._lock:
            self.plugged = False
            self.generation += 1
            self._waiting_to_plug = False

    def plug(self) -> bool:
        """Put it back. False while the old one is held open: the kernel makes the new one only afterwards."""
        with self._lock:
            self.plugged = self.opens == 0
            self._waiting_to_plug = not self.plugged
            return self.plugged

    def clear(self) -> None:
        """Forget log and counters."""
        self.log.clear()
        self.traffic = Traffic()

    # -- the bus ------------------------------------------------------------------------------------------

    def transact(self, messages: Sequence[tuple[int, bytes | int]]) -> list[bytes]:
        """Messages as (address, bytes to write or number to read) up to one STOP; what the reads returned.

        Raises OSError as the kernel would.
        """
        before = self.traffic.bits
        if not self._running.is_set():
            self._running.wait(_STALL_LIMIT_S)
            if self._stalled_errno:
                raise os_error(self._stalled_errno)
        with self._lock:
            self.traffic.transactions += 1
            if self._faults:
                raise os_error(self._faults.popleft())
            try:
                result = [data for address, body in messages if (data := self._message(address, body)) is not None]
            finally:
                self.traffic.bits += 1  # STOP
        if self._sleep is not None and (self.delay_s or self.clock_hz):
            wire_s = (self.traffic.bits - before) / self.clock_hz if self.clock_hz else 0.0
            self._sleep(self.delay_s + wire_s)
        return result

    def _message(self, address: int, body: bytes | int) -> bytes | None:
        self.traffic.messages += 1
        self.traffic.bits += 1 + 9  # START and address
        if isinstance(body, int):
            for device in self.devices:
                data = device.read(address, body)
                if data is not None:
                    self._count(Message(address, read=True, data=data, acknowledged=True))
                    return data
        else:
            for device in self.devices:
                taken = device.write(address, body)
                if taken is not None:
                    self._count(Message(address, read=False, data=body[:taken], acknowledged=taken == len(body)))
                    if taken != len(body):
                        raise os_error(self.nack_errno)
                    return None
        read = isinstance(body, int)
        self.log.append(
            Message(address, read=read, data=b"" if isinstance(body, int) else body, acknowledged=False)
        )
        raise os_error(self.nack_errno)

    def _count(self, message: Message) -> None:
        self.log.append(message)
        self.traffic.bits += 9 * len(message.data)
        if message.read:
            self.traffic.bytes_read += len(message.data)
        else:
            self.traffic.bytes_written += len(message.data)

    def closed(self) -> None:
        """One file descriptor less; a plug that had to wait for it happens now."""
        with self._lock:
            self.opens -= 1
            if self._waiting_to_plug and self.opens == 0:
                self.plugged, self._waiting_to_plug = True, False


def os_error(code: int, path: str | None = None) -> OSError:
    """What the kernel says with this errno."""
    return OSError(code, os.strerror(code), path) if path else OSError(code, os.strerror(code))
