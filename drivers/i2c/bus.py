"""An I2C bus of this host: `/dev/i2c-N` through the structures of smbus2, a transfer a system call where it can be.

    [[source]]
    type = "i2c"
    bus = "12"

Documents: Linux Documentation/i2c/{dev-interface,fault-codes,functionality}.rst and include/uapi/linux/i2c.h.
What the adapter can do decides the way: I2C_RDWR (offset and data in one transaction), SMBus I2C block reads of 32
bytes, SMBus words (so that no 16-bit value is torn), SMBus bytes.

Nothing but page selects is ever written to a module, see `drivers/i2c/guard.py`.
"""

import ctypes
import errno
import fcntl
import os
import re
from collections.abc import Callable
from typing import Any, Final, Protocol

from smbus2 import smbus2 as linux

from agent.errors import (
    BusError,
    BusGone,
    BusTimeout,
    ConfigError,
    DriverError,
    ModuleAbsent,
    NotPermitted,
    ShortRead,
    Unsupported,
)
from drivers import errnos
from drivers.i2c.guard import WriteGuard

_BLOCK_MAX: Final = linux.I2C_SMBUS_BLOCK_MAX
_OUT_MAX: Final = 8
"""Longer than anything that is written: an offset, a page select, a mux's control byte."""
_ANSWER_MAX: Final = 256


class SystemCalls(Protocol):
    """The three system calls under this driver; tests put a fake kernel here."""

    def open(self, path: str) -> int: ...
    def ioctl(self, fd: int, request: int, arg: "ctypes.Structure | ctypes.c_ulong | int") -> int: ...
    def close(self, fd: int) -> None: ...


class LinuxCalls:
    """The real ones."""

    def open(self, path: str) -> int:
        """A file descriptor, for reading and writing."""
        return os.open(path, os.O_RDWR)

    def ioctl(self, fd: int, request: int, arg: "ctypes.Structure | ctypes.c_ulong | int") -> int:
        """One request; a structure is changed in place."""
        return fcntl.ioctl(fd, request, arg) if isinstance(arg, int) else fcntl.ioctl(fd, request, arg, True)

    def close(self, fd: int) -> None:
        """Give it back."""
        os.close(fd)


_ERRORS: Final[errnos.Table] = {
    # Nobody acknowledged: the address (ENXIO), or with some adapters any byte (EREMOTEIO).
    errno.ENXIO: errnos.NO_ACKNOWLEDGE,
    errno.EREMOTEIO: errnos.NO_ACKNOWLEDGE,
    errno.EIO: errnos.TRANSFER_FAILED,
    errno.EPROTO: errnos.Meaning(BusError, "the device broke the protocol"),
    errno.ETIMEDOUT: errnos.Meaning(BusTimeout, "no answer in time", "a device holds the clock, or the bus hangs"),
    errno.EAGAIN: errnos.Meaning(BusTimeout, "arbitration lost", "another master uses the bus"),
    errno.EBUSY: errnos.Meaning(BusTimeout, "the bus stays busy", "another master or a hung device holds the bus"),
    errno.ENODEV: errnos.Meaning(BusGone, "the adapter is gone"),
    errno.ENOENT: errnos.Meaning(
        BusGone, "no such bus", "load the module i2c-dev; `ls /dev/i2c-*` shows the buses"
    ),
    errno.EACCES: errnos.Meaning(NotPermitted, "permission denied", "be root or in the group that owns /dev/i2c-*"),
    errno.EPERM: errnos.Meaning(NotPermitted, "not permitted", "be root or in the group that owns /dev/i2c-*"),
    errno.ENOTTY: errnos.Meaning(Unsupported, "not an I2C bus"),
    errno.EOPNOTSUPP: errnos.Meaning(
        Unsupported, "the adapter cannot do this", "give a smaller `chunk` for this bus"
    ),
    errno.EINVAL: errnos.Meaning(Unsupported, "the adapter cannot do this", "give a smaller `chunk` for this bus"),
}
"""Every errno of a transfer or of opening the bus."""


def bus_path(name: str) -> str:
    """The device node of `12`, `i2c-12` or a path. Raises ConfigError."""
    if re.fullmatch(r"(i2c-)?\d+", name):
        return f"/dev/i2c-{name.removeprefix('i2c-')}"
    if name.startswith("/"):
        return name
    raise ConfigError(
        f"{name!r} is no I2C bus", hint="give a number, as in i2c:12, or a path, as in i2c:/dev/i2c-12"
    )


class _Combined:
    """The messages of a combined transfer and the memory they point to: made once, filled in for each."""

    __slots__ = ("_array", "_both", "_only", "_out_at", "_read", "_write", "answer", "out")

    def __init__(self) -> None:
        self.out = ctypes.create_string_buffer(_OUT_MAX)
        self.answer = ctypes.create_string_buffer(_ANSWER_MAX)
        self._out_at = ctypes.addressof(self.out)
        self._array = (linux.i2c_msg * 2)()
        self._write, self._read = self._array
        self._write.buf = ctypes.cast(self.out, ctypes.POINTER(ctypes.c_char))
        self._read.buf = ctypes.cast(self.answer, ctypes.POINTER(ctypes.c_char))
        self._read.flags = linux.I2C_M_RD
        self._both = linux.i2c_rdwr_ioctl_data(self._array, 2)
        self._only = linux.i2c_rdwr_ioctl_data(ctypes.pointer(self._read), 1)

    def filled(self, address: int, out: bytes, n: int) -> linux.i2c_rdwr_ioctl_data:
        """The structure for the system call, which writes its answer into `answer`."""
        write, read = self._write, self._read
        if n:
            read.addr = address
            read.len = n
            if not out:
                return self._only
        write.addr = address
        write.len = len(out)
        ctypes.memmove(self._out_at, out, len(out))
        self._both.nmsgs = 2 if n else 1
        return self._both

    def answered(self, n: int) -> bytes:
        """The bytes that were read."""
        return self.answer.raw[:n]


class LinuxI2cBus:
    """`I2cBus` over one adapter. One thread at a time; a thread that hangs in it may be replaced by another.

    `chunk`: bytes a read at most, 0 for what the adapter can (some take only 16 or 63); `muxes`: addresses of
    PCA954x muxes whose control byte may be written; `freeze`: see `WriteGuard`; `find`: gives the device node each
    time that it is opened; `name` is then what the bus is called.
    """

    def __init__(
        self,
        name: str,
        *,
        calls: SystemCalls | None = None,
        chunk: int = 0,
        muxes: frozenset[int] = frozenset(),
        freeze: bool = False,
        find: Callable[[], str] | None = None,
    ) -> None:
        self.path = name if find else bus_path(name)
        self._find = find
        self.guard = WriteGuard(muxes=muxes, freeze=freeze)
        self._calls: SystemCalls = calls or LinuxCalls()
        self._chunk = chunk
        self._fd: int | None = None
        self._funcs = 0
        self._plain = False
        """It takes I2C messages as they are."""
        self._slave = -1
        self._combined: _Combined | None = None
        self._generation = 0
        self._inside = False

    def transfer(self, address: int, out: bytes, n: int) -> bytes:
        """As `I2cBus.transfer`. Raises what `_ERRORS` says; NotPermitted for any write that is no page select."""
        self.guard.check(address, out, n)
        if self._inside:
            self.close()  # another thread hangs in here: leave it its descriptor, its buffers and its answer
        generation = self._generation
        self._inside = True
        try:
            data = self._transfer(address, out, n)
        except OSError as exc:
            raise self._failed(exc, address, generation) from exc
        finally:
            if generation == self._generation:
                self._inside = False
        if generation != self._generation:
            raise BusTimeout(f"{self.path}: given up while it hung")
        if len(data) != n:
            raise ShortRead(f"{self.path}: {len(data)} bytes of {n} from {address:02X}h")
        return data

    def close(self) -> None:
        """Give the device node back (the kernel cannot remove an adapter that is held open)."""
        fd, self._fd = self._fd, None
        self._generation += 1
        self._inside = False
        self._slave = -1
        self._combined = None  # a call that hangs may still write its answer there
        if fd is not None:
            self._calls.close(fd)

    def _failed(self, exc: OSError, address: int, generation: int) -> DriverError:
        kind, text, hint = errnos.meaning(exc, _ERRORS)
        if issubclass(kind, BusError) and generation == self._generation:
            self.close()
        where = f" at {address:02X}h" if kind in {ModuleAbsent, BusError, BusTimeout} else ""
        return kind(f"{self.path}: {text}{where} ({errnos.name(exc.errno)})", hint=hint)

    def _transfer(self, address: int, out: bytes, n: int) -> bytes:
        fd = self._fd
        if fd is None:
            fd = self._open()
        if not self._plain:
            return self._smbus_transfer(fd, address, out, n)
        chunk = self._chunk or n
        if n <= chunk:
            return self._rdwr(fd, address, out, n)
        if len(out) != 1:
            raise Unsupported(f"{self.path}: {n} bytes without an offset in chunks of {chunk}")
        ends = range(0, n, chunk)
        return b"".join(self._rdwr(fd, address, bytes((out[0] + at,)), min(chunk, n - at)) for at in ends)

    def _open(self) -> int:
        fd = self._calls.open(self._find() if self._find else self.path)
        funcs = ctypes.c_ulong()
        try:
            self._calls.ioctl(fd, linux.I2C_FUNCS, funcs)
        except OSError:
            self._calls.close(fd)
            raise
        self._fd, self._funcs = fd, funcs.value
        self._plain = bool(self._funcs & linux.I2cFunc.I2C)
        return fd

    # -- plain I2C ----------------------------------------------------------------------------------------

    def _rdwr(self, fd: int, address: int, out: bytes, n: int) -> bytes:
        if len(out) > _OUT_MAX or n > _ANSWER_MAX:
            raise Unsupported(f"{self.path}: {len(out)} bytes written and {n} read in one transfer")
        combined = self._combined
        if combined is None:
            combined = self._combined = _Combined()
        done = self._calls.ioctl(fd, linux.I2C_RDWR, combined.filled(address, out, n))
        messages = (len(out) > 0) + (n > 0)
        if done != messages:
            raise ShortRead(f"{self.path}: {done} messages of {messages} done at {address:02X}h")
        return combined.answered(n) if n else b""

    # -- SMBus --------------------------------------------------------------------------------------------

    def _smbus_transfer(self, fd: int, address: int, out: bytes, n: int) -> bytes:
        if self._slave != address:
            try:
                self._calls.ioctl(fd, linux.I2C_SLAVE, address)
            except OSError as exc:
                if exc.errno != errno.EBUSY:
                    raise
                # Here EBUSY does not speak of the wire: a kernel driver is bound to the address.
                raise NotPermitted(f"{self.path}: a kernel driver owns address {address:02X}h") from exc
            self._slave = address
        if n and len(out) == 1:
            return self._smbus_read(fd, out[0], n)
        if n == 1 and not out:
            return self._smbus(fd, linux.I2C_SMBUS_BYTE, read=True)
        if not n and len(out) == 1:
            return self._smbus(fd, linux.I2C_SMBUS_BYTE, out[0])
        if not n and len(out) == 2:
            return self._smbus(fd, linux.I2C_SMBUS_BYTE_DATA, out[0], out[1:])
        if not n and len(out) == 3:
            return self._smbus_write_two(fd, out)
        raise Unsupported(f"{self.path}: an SMBus adapter cannot do this", hint="use an adapter with plain I2C")

    def _smbus_read(self, fd: int, offset: int, n: int) -> bytes:
        """Blocks where the adapter has them; else words, which no 16-bit value is torn by; else bytes."""
        if self._funcs & linux.I2cFunc.SMBUS_READ_I2C_BLOCK:
            kind, step = linux.I2C_SMBUS_I2C_BLOCK_DATA, min(self._chunk or _BLOCK_MAX, _BLOCK_MAX)
        elif self._funcs & linux.I2cFunc.SMBUS_READ_WORD_DATA and self._chunk != 1:
            kind, step = linux.I2C_SMBUS_WORD_DATA, 2
        else:
            kind, step = linux.I2C_SMBUS_BYTE_DATA, 1
        parts: list[bytes] = []
        for at in range(0, n, step):
            size = min(step, n - at)
            one = linux.I2C_SMBUS_BYTE_DATA if kind == linux.I2C_SMBUS_WORD_DATA and size == 1 else kind
            parts.append(self._smbus(fd, one, offset + at, read=True, n=size))
        return b"".join(parts)

    def _smbus_write_two(self, fd: int, out: bytes) -> bytes:
        """Bank and page in one write: a block or a word (low byte first) are the same bytes on the wire."""
        if self._funcs & linux.I2cFunc.SMBUS_WRITE_I2C_BLOCK:
            return self._smbus(fd, linux.I2C_SMBUS_I2C_BLOCK_DATA, out[0], out[1:])
        if self._funcs & linux.I2cFunc.SMBUS_WRITE_WORD_DATA:
            return self._smbus(fd, linux.I2C_SMBUS_WORD_DATA, out[0], out[1:])
        # Byte by byte: the module acts on the second one, the page; deployed daemons do the same.
        self._smbus(fd, linux.I2C_SMBUS_BYTE_DATA, out[0], out[1:2])
        return self._smbus(fd, linux.I2C_SMBUS_BYTE_DATA, out[0] + 1, out[2:3])

    def _smbus(
        self, fd: int, kind: int, command: int = 0, data: bytes = b"", *, read: bool = False, n: int = 1
    ) -> bytes:
        """One I2C_SMBUS call: `data` is written, or `n` bytes are read."""
        direction = linux.I2C_SMBUS_READ if read else linux.I2C_SMBUS_WRITE
        call: Any = linux.i2c_smbus_ioctl_data.create(read_write=direction, command=command, size=kind)
        union = call.data.contents
        block = kind == linux.I2C_SMBUS_I2C_BLOCK_DATA
        if block:
            union.block[0] = n if read else len(data)
        for at, value in enumerate(data, 1 if block else 0):
            union.block[at] = value
        self._calls.ioctl(fd, linux.I2C_SMBUS, call)
        if not read:
            return b""
        return bytes(union.block[1 : 1 + union.block[0]]) if block else bytes(union.block[:n])
