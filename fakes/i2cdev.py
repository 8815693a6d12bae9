"""The character devices `/dev/i2c-N` as a fake kernel: `open`, `ioctl` and `close` of Linux' i2c-dev.

    calls = FakeI2cDev({"/dev/i2c-12": FakeAdapter(module)})
    LinuxI2cBus("12", calls=calls)

Documents: Linux include/uapi/linux/i2c.h and i2c-dev.h, Documentation/i2c/dev-interface.rst.

Not simulated: SMBus block reads with a length byte, process calls, I2C_TIMEOUT and I2C_RETRIES (accepted, without
effect).
"""

import ctypes
import errno
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from fakes.adapter import (
    FUNC_BYTE,
    FUNC_BYTE_DATA,
    FUNC_I2C,
    FUNC_I2C_BLOCK,
    FUNC_QUICK,
    FUNC_WORD_DATA,
    FakeAdapter,
    os_error,
)

_RDWR_MESSAGES_MAX: Final = 42
_MESSAGE_LENGTH_MAX: Final = 8192
_M_RD: Final = 0x0001

# Transaction type of I2C_SMBUS: (needed functionality, bytes of data; -1: as many as the block says)
_SMBUS_SIZES: Final = {
    0: (FUNC_QUICK, 0),
    1: (FUNC_BYTE, 0),
    2: (FUNC_BYTE_DATA, 1),
    3: (FUNC_WORD_DATA, 2),
    8: (FUNC_I2C_BLOCK, -1),
}
_BLOCK_MAX: Final = 32


class _Request(IntEnum):
    """include/uapi/linux/i2c-dev.h."""

    RETRIES = 0x0701
    TIMEOUT = 0x0702
    SLAVE = 0x0703
    FUNCS = 0x0705
    SLAVE_FORCE = 0x0706
    RDWR = 0x0707
    SMBUS = 0x0720


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
            raise os_error(errno.ENOENT, path)
        if adapter.denied:
            raise os_error(errno.EACCES, path)
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
            raise os_error(errno.EBADF)
        file.adapter.closed()

    def ioctl(self, fd: int, request: int, arg: object) -> int:
        """One request; `arg` is an int or the buffer of the C structure, changed in place."""
        file = self._files.get(fd)
        if file is None:
            raise os_error(errno.EBADF)
        if file.generation != file.adapter.generation:
            raise os_error(errno.ENODEV)
        match request:
            case _Request.RDWR:
                return _rdwr(file.adapter, memoryview(arg))  # type: ignore[arg-type] # a C structure
            case _Request.SMBUS:
                return _smbus(file.adapter, file.address, memoryview(arg))  # type: ignore[arg-type] # the same
            case _Request.FUNCS:
                struct.pack_into("@L", memoryview(arg).cast("B"), 0, file.adapter.funcs)  # type: ignore[arg-type]
            case _Request.SLAVE | _Request.SLAVE_FORCE:
                if not isinstance(arg, int) or arg > 0x7F:
                    raise os_error(errno.EINVAL)
                if request == _Request.SLAVE and arg in file.adapter.bound:
                    raise os_error(errno.EBUSY)
                file.address = arg
            case _Request.RETRIES | _Request.TIMEOUT:
                pass
            case _:
                raise os_error(errno.ENOTTY)
        return 0


def _rdwr(adapter: FakeAdapter, arg: memoryview) -> int:
    """`struct i2c_rdwr_ioctl_data`: a pointer to messages and their number."""
    if not adapter.funcs & FUNC_I2C:
        raise os_error(errno.EOPNOTSUPP)
    pointer: int
    count: int
    pointer, count = struct.unpack_from("@PI", arg.cast("B"))
    if not 0 < count <= _RDWR_MESSAGES_MAX:
        raise os_error(errno.EINVAL)
    messages = (_Msg * count).from_address(pointer)
    wanted: list[tuple[int, bytes | int]] = []
    for message in messages:
        if message.len > _MESSAGE_LENGTH_MAX:
            raise os_error(errno.EINVAL)
        if not message.flags & _M_RD:
            wanted.append((message.addr, ctypes.string_at(message.buf, message.len)))
        elif adapter.max_read and message.len > adapter.max_read:
            raise os_error(errno.EOPNOTSUPP)
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
        raise os_error(errno.EINVAL)
    needed, length = _SMBUS_SIZES[size]
    if adapter.funcs & needed != needed:
        raise os_error(errno.EOPNOTSUPP)
    at = 0
    if length < 0:
        at, length = 1, ctypes.string_at(pointer, 1)[0]
        if not 0 < length <= _BLOCK_MAX:
            raise os_error(errno.EINVAL)
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
