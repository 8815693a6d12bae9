r"""I2C adapters below the driver's production code: the three system calls of Linux' i2c-dev and what is behind.

    adapter = FakeAdapter(FakeModule.load("saved.json"))
    calls = FakeI2cDev({"/dev/i2c-12": adapter})      # give it to the driver in place of open, ioctl and close
    ...
    assert adapter.traffic.transactions == 4
    assert adapter.log[-1] == Message(0x50, True, b"\x19\x00", True)

Documents: Linux include/uapi/linux/i2c.h and i2c-dev.h, Documentation/i2c/dev-interface.rst and fault-codes.rst;
NXP PCA9548A and PCA9547 data sheets (control register).

Not simulated: 10-bit addresses, SMBus block reads with a length byte, process calls, PEC, alerts, arbitration
between hosts (`fail(errno.EAGAIN)` stands for a loss), I2C_TIMEOUT and I2C_RETRIES (accepted, without effect).
"""

import ctypes
import errno
import os
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from fakes.module import I2cDevice


class _Request(IntEnum):
    """include/uapi/linux/i2c-dev.h."""

    RETRIES = 0x0701
    TIMEOUT = 0x0702
    SLAVE = 0x0703
    FUNCS = 0x0705
    SLAVE_FORCE = 0x0706
    RDWR = 0x0707
    SMBUS = 0x0720


_RDWR_MESSAGES_MAX: Final = 42
_MESSAGE_LENGTH_MAX: Final = 8192
_M_RD: Final = 0x0001

# include/uapi/linux/i2c.h: functionality
_FUNC_I2C: Final = 0x00000001
_FUNC_QUICK: Final = 0x00010000
_FUNC_BYTE: Final = 0x00060000
_FUNC_BYTE_DATA: Final = 0x00180000
_FUNC_WORD_DATA: Final = 0x00600000
_FUNC_I2C_BLOCK: Final = 0x0C000000
FULL_I2C: Final = _FUNC_I2C | _FUNC_QUICK | _FUNC_BYTE | _FUNC_BYTE_DATA | _FUNC_WORD_DATA | _FUNC_I2C_BLOCK
"""An adapter of a SoC or FPGA: plain I2C messages, SMBus emulated by the kernel."""
SMBUS_BLOCK: Final = FULL_I2C & ~_FUNC_I2C
"""As Intel's I801: SMBus with I2C block transfers of 32 bytes."""
SMBUS_WORD: Final = SMBUS_BLOCK & ~_FUNC_I2C_BLOCK
"""As PIIX4: SMBus bytes and words."""
SMBUS_BYTE: Final = SMBUS_WORD & ~_FUNC_WORD_DATA
"""SMBus bytes alone."""

# Transaction type of I2C_SMBUS: (needed functionality, bytes of data; -1: as many as the block says)
_SMBUS_SIZES: Final = {
    0: (_FUNC_QUICK, 0),
    1: (_FUNC_BYTE, 0),
    2: (_FUNC_BYTE_DATA, 1),
    3: (_FUNC_WORD_DATA, 2),
    8: (_FUNC_I2C_BLOCK, -1),
}
_BLOCK_MAX: Final = 32
_STALL_LIMIT_S: Final = 60.0
"""So that a test that forgets to release still ends."""


class _Msg(ctypes.Structure):
    """`struct i2c_msg`."""

    _fields_ = [
        ("addr", ctypes.c_uint16),
        ("flags", ctypes.c_uint16),
        ("len", ctypes.c_uint16),
        ("buf", ctypes.c_void_p),
    ]
    addr: int
    flags: int
    len: int
    buf: int


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
                raise _os_error(self._stalled_errno)
        with self._lock:
            self.traffic.transactions += 1
            if self._faults:
                raise _os_error(self._faults.popleft())
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
                        raise _os_error(self.nack_errno)
                    return None
        read = isinstance(body, int)
        self.log.append(
            Message(address, read=read, data=b"" if isinstance(body, int) else body, acknowledged=False)
        )
        raise _os_error(self.nack_errno)

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


@dataclass(slots=True)
class _File:
    adapter: FakeAdapter
    generation: int
    address: int = 0


class FakeI2cDev:
    """The character devices `/dev/i2c-N`: `open`, `ioctl` and `close` as the kernel answers them."""

    def __init__(self, adapters: Mapping[str, FakeAdapter]) -> None:
        self.adapters = dict(adapters)
        self._files: dict[int, _File] = {}
        self._next = 1_000_000  # far from any real descriptor
        self._lock = threading.Lock()

    def open(self, path: str) -> int:
        """A file descriptor of `path`; ENOENT, EACCES."""
        adapter = self.adapters.get(path)
        if adapter is None or not adapter.plugged:
            raise _os_error(errno.ENOENT, path)
        if adapter.denied:
            raise _os_error(errno.EACCES, path)
        with self._lock:
            self._next += 1
            self._files[self._next] = _File(adapter, adapter.generation)
            adapter.opens += 1
            return self._next

    def close(self, fd: int) -> None:
        """Give it back; EBADF."""
        with self._lock:
            file = self._files.pop(fd, None)
        if file is None:
            raise _os_error(errno.EBADF)
        file.adapter.closed()

    def ioctl(self, fd: int, request: int, arg: object) -> int:
        """One request; `arg` is an int or the buffer of the C structure, changed in place."""
        file = self._files.get(fd)
        if file is None:
            raise _os_error(errno.EBADF)
        if file.generation != file.adapter.generation:
            raise _os_error(errno.ENODEV)
        match request:
            case _Request.RDWR:
                return _rdwr(file.adapter, memoryview(arg))  # type: ignore[arg-type] # a C structure
            case _Request.SMBUS:
                return _smbus(file.adapter, file.address, memoryview(arg))  # type: ignore[arg-type] # the same
            case _Request.FUNCS:
                struct.pack_into("@L", memoryview(arg).cast("B"), 0, file.adapter.funcs)  # type: ignore[arg-type]
            case _Request.SLAVE | _Request.SLAVE_FORCE:
                if not isinstance(arg, int) or arg > 0x7F:
                    raise _os_error(errno.EINVAL)
                if request == _Request.SLAVE and arg in file.adapter.bound:
                    raise _os_error(errno.EBUSY)
                file.address = arg
            case _Request.RETRIES | _Request.TIMEOUT:
                pass
            case _:
                raise _os_error(errno.ENOTTY)
        return 0


def _os_error(code: int, path: str | None = None) -> OSError:
    return OSError(code, os.strerror(code), path) if path else OSError(code, os.strerror(code))


def _rdwr(adapter: FakeAdapter, arg: memoryview) -> int:
    """`struct i2c_rdwr_ioctl_data`: a pointer to messages and their number."""
    if not adapter.funcs & _FUNC_I2C:
        raise _os_error(errno.EOPNOTSUPP)
    pointer: int
    count: int
    pointer, count = struct.unpack_from("@PI", arg.cast("B"))
    if not 0 < count <= _RDWR_MESSAGES_MAX:
        raise _os_error(errno.EINVAL)
    messages = (_Msg * count).from_address(pointer)
    wanted: list[tuple[int, bytes | int]] = []
    for message in messages:
        if message.len > _MESSAGE_LENGTH_MAX:
            raise _os_error(errno.EINVAL)
        if not message.flags & _M_RD:
            wanted.append((message.addr, ctypes.string_at(message.buf, message.len)))
        elif adapter.max_read and message.len > adapter.max_read:
            raise _os_error(errno.EOPNOTSUPP)
        else:
            wanted.append((message.addr, message.len))
    if adapter.take_short():
        return count - 1
    results = iter(adapter.transact(wanted))
    for message in messages:
        if message.flags & _M_RD:
            ctypes.memmove(message.buf, next(results), message.len)
    return count


def _smbus(adapter: FakeAdapter, address: int, arg: memoryview) -> int:
    """`struct i2c_smbus_ioctl_data`: direction, command, type, and a pointer to `union i2c_smbus_data`."""
    reads, command, size, pointer = struct.unpack_from("@BBIP", arg.cast("B"))
    if size not in _SMBUS_SIZES:
        raise _os_error(errno.EINVAL)
    needed, length = _SMBUS_SIZES[size]
    if adapter.funcs & needed != needed:
        raise _os_error(errno.EOPNOTSUPP)
    at = 0
    if length < 0:
        at, length = 1, ctypes.string_at(pointer, 1)[0]
        if not 0 < length <= _BLOCK_MAX:
            raise _os_error(errno.EINVAL)
    if size == 0:
        adapter.transact([(address, 0 if reads else b"")])
    elif size == 1 and reads:
        ctypes.memmove(pointer, adapter.transact([(address, 1)])[0], 1)
    elif reads:
        if at and adapter.take_short():
            length -= 1
            ctypes.memmove(pointer, bytes((length,)), 1)
        (data,) = adapter.transact([(address, bytes((command,))), (address, length)])
        ctypes.memmove(pointer + at, data, length)  # words are little endian, as the host is
    else:
        adapter.transact([(address, bytes((command,)) + ctypes.string_at(pointer + at, length))])
    return 0


class FakeMux:
    """A PCA954x: devices on channels, reached through the control register at `address`.

    `enable` 0: a switch (PCA9546, 9548), one bit a channel; 4 or 8: a multiplexer (PCA9544, 9547), the channel's
    number with this enable bit.
    """

    def __init__(self, address: int, channels: Mapping[int, Sequence[I2cDevice]], *, enable: int = 0) -> None:
        self.address = address
        self.channels = {number: tuple(devices) for number, devices in channels.items()}
        self.enable = enable
        self.control = 0
        """Channels off, as after power-up."""

    def write(self, address: int, data: bytes) -> int | None:
        """A write message, as `I2cDevice`."""
        if address == self.address:
            if data:
                self.control = data[-1]
            return len(data)
        return next((n for d in self._reached() if (n := d.write(address, data)) is not None), None)

    def read(self, address: int, n: int) -> bytes | None:
        """A read message, as `I2cDevice`."""
        if address == self.address:
            return bytes((self.control,)) * n
        return next((b for d in self._reached() if (b := d.read(address, n)) is not None), None)

    def _reached(self) -> list[I2cDevice]:
        if self.enable:
            on = [self.control & (self.enable - 1)] if self.control & self.enable else []
        else:
            on = [number for number in range(8) if self.control >> number & 1]
        return [device for number in on for device in self.channels.get(number, ())]
