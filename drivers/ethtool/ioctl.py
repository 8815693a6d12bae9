"""Module EEPROM by ioctl (SIOCETHTOOL), for kernels before 5.13: one linear file a module. Not a driver by itself.

Document: linux/ethtool.h (ethtool_modinfo, ethtool_eeprom).
"""

import ctypes
import errno
import fcntl
import socket
import struct
from collections.abc import Callable
from typing import Final

from agent.errors import PageRefused, ShortRead
from agent.memory import I2C_DIAGNOSTICS, Span

SIOCETHTOOL: Final = 0x8946
ETHTOOL_GMODULEINFO: Final = 0x42
ETHTOOL_GMODULEEEPROM: Final = 0x43
ETH_MODULE_SFF_8472: Final = 2
MODINFO: Final = struct.Struct("=III32x")
"""ethtool_modinfo: command, type, length of the EEPROM."""
EEPROM: Final = struct.Struct("=IIII")
"""ethtool_eeprom: command, magic, offset, length; the data follow."""
_IFREQ: Final = struct.Struct("@16sP16x")

Ioctl = Callable[[str, bytes], bytes]
"""SIOCETHTOOL on an interface: the structure in, the structure that the kernel left behind out. Raises OSError."""


def ioctl(netdev: str, structure: bytes) -> bytes:
    """The real one."""
    name = netdev.encode()
    if len(name) > 15:
        raise OSError(errno.EOPNOTSUPP, "name too long for an ioctl")
    buffer = ctypes.create_string_buffer(structure, len(structure))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as handle:
        fcntl.ioctl(handle, SIOCETHTOOL, _IFREQ.pack(name, ctypes.addressof(buffer)))
    return buffer.raw


class LinearEeprom:
    """The module of one interface as the ioctl shows it."""

    def __init__(self, netdev: str, call: Ioctl) -> None:
        self._netdev = netdev
        self._call = call
        self._kind = 0
        self._length = 0

    def forget(self) -> None:
        """Another module may be in the cage: ask for its kind again."""
        self._length = 0

    def read(self, span: Span) -> bytes:
        """The bytes of `span`. Raises OSError as the kernel has it, PageRefused behind the end, ShortRead."""
        if not self._length:
            _, self._kind, self._length = MODINFO.unpack(
                self._call(self._netdev, MODINFO.pack(ETHTOOL_GMODULEINFO, 0, 0))
            )
        offset = _offset(span, self._kind)
        if span.bank or offset + span.length > self._length:
            raise PageRefused(f"the driver of {self._netdev} shows {self._length} bytes only", span=span)
        asked = EEPROM.pack(ETHTOOL_GMODULEEEPROM, 0, offset, span.length) + bytes(span.length)
        answer = self._call(self._netdev, asked)
        length = EEPROM.unpack_from(answer)[3]
        data = answer[EEPROM.size : EEPROM.size + length]
        if len(data) < span.length:
            raise ShortRead(f"{len(data)} of {span.length} bytes", span=span)
        return data[: span.length]


def _offset(span: Span, kind: int) -> int:
    """Where a byte is in the file: A2h behind A0h for an SFP, else upper pages one behind the other."""
    if span.i2c == I2C_DIAGNOSTICS:
        if kind != ETH_MODULE_SFF_8472:
            raise PageRefused("the module has no second address", span=span)
        return 256 + span.page * 128 + span.offset
    return span.page * 128 + span.offset
