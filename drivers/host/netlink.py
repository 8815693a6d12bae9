"""Netlink frames, and sockets in this or a named network namespace. Not a driver: what the netlink drivers share.

Layouts: linux/netlink.h, linux/rtnetlink.h. Numbers are in host byte order.
"""

import contextlib
import ctypes
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from agent.errors import BusError, BusGone, DecodeError, NotPermitted
from agent.service.inherited import inherited

NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3
NLM_F_REQUEST: Final = 0x01
NLM_F_ACK: Final = 0x04
NLM_F_DUMP: Final = 0x300
NLM_F_DUMP_INTR: Final = 0x10
NLM_F_CAPPED: Final = 0x100
NLM_F_ACK_TLVS: Final = 0x200
NLMSGERR_ATTR_MSG: Final = 1

SOL_NETLINK: Final = 270
NETLINK_CAP_ACK: Final = 10
NETLINK_EXT_ACK: Final = 11
SO_RCVBUFFORCE: Final = 33
CLONE_NEWNET: Final = 0x40000000

HEADER: Final = struct.Struct("=IHHII")
"""Length, type, flags, sequence number, port id."""
_ATTRIBUTE: Final = struct.Struct("=HH")
_TYPE_MASK: Final = 0x3FFF

NETNS_DIR: Final = Path("/run/netns")


class Message(NamedTuple):
    """One netlink message; its payload is `data[start:end]`."""

    type: int
    flags: int
    sequence: int
    start: int
    end: int


def messages(data: bytes) -> Iterator[Message]:
    """The messages of one datagram. Raises DecodeError when it ends within one."""
    at = 0
    while at < len(data):
        if len(data) - at < HEADER.size:
            raise DecodeError(f"netlink: {len(data) - at} bytes where a message header of 16 has to be")
        length, kind, flags, sequence, _ = HEADER.unpack_from(data, at)
        if not HEADER.size <= length <= len(data) - at:
            raise DecodeError(f"netlink: message of {length} bytes in a datagram with {len(data) - at} left")
        yield Message(kind, flags, sequence, at + HEADER.size, at + length)
        at += (length + 3) & ~3


def attributes(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Type, start and end of each attribute's payload. Raises DecodeError when one is longer than the rest."""
    while end - start >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if not _ATTRIBUTE.size <= length <= end - start:
            raise DecodeError(f"netlink: attribute of {length} bytes where {end - start} are left")
        yield kind & _TYPE_MASK, start + _ATTRIBUTE.size, start + length
        start += (length + 3) & ~3


def text(data: bytes, start: int, end: int) -> str:
    """A string attribute, with or without its terminating zero."""
    return data[start:end].split(b"\0", 1)[0].decode("utf-8", "replace")


def failure(data: bytes, message: Message) -> tuple[int, str]:
    """Error number (positive, 0 for an acknowledgement) and the kernel's own words of an NLMSG_ERROR."""
    if message.end - message.start < 4:
        raise DecodeError("netlink: error message without an error number")
    (code,) = struct.unpack_from("=i", data, message.start)
    words = ""
    if message.flags & NLM_F_ACK_TLVS:
        at = message.start + 4 + HEADER.size
        if not message.flags & NLM_F_CAPPED and message.end >= at:  # the whole request is quoted
            quoted = HEADER.unpack_from(data, message.start + 4)[0]
            at = message.start + 4 + ((quoted + 3) & ~3)
        for kind, start, end in attributes(data, at, message.end):
            if kind == NLMSGERR_ATTR_MSG:
                words = text(data, start, end)
    return -code, words


def open_socket(protocol: int, *, netns: str = "", groups: int = 0, receive_buffer: int = 0) -> socket.socket:
    """A bound netlink socket, created in the network namespace `netns` ("" is this process's own).

    One for multicast groups is that of a socket unit where there is one: its namespace is the host's.
    Raises BusGone when there is no such namespace, NotPermitted without CAP_SYS_ADMIN for it.
    """
    if groups and not netns and (passed := inherited(socket.AF_NETLINK, protocol=protocol)):
        return passed[0]
    made: list[socket.socket | OSError] = []

    def make() -> None:
        try:
            if netns:
                _enter(NETNS_DIR / netns)
            made.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol))
        except OSError as exc:
            made.append(exc)

    if netns:  # a thread of its own: the namespace belongs to the thread, and nothing else may land in it
        thread = threading.Thread(target=make, name=f"netns {netns}")
        thread.start()
        thread.join()
    else:
        make()
    (result,) = made
    if isinstance(result, OSError):
        raise _explain(result, netns) from result
    if receive_buffer:
        try:  # beyond net.core.rmem_max where the process may
            result.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer)
        except PermissionError:
            result.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    for option in (NETLINK_EXT_ACK, NETLINK_CAP_ACK):
        with contextlib.suppress(OSError):  # before Linux 4.12: errors come without words
            result.setsockopt(SOL_NETLINK, option, 1)
    result.bind((0, groups))
    return result


def namespace_id(netns: str = "") -> int:
    """What tells this network namespace from another of the same name; raises FileNotFoundError when it is gone.

    0 for that of a socket unit: it is the host's, whatever private one this process runs in.
    """
    if not netns and (passed := inherited(socket.AF_NETLINK)):
        for each in passed:
            each.close()
        return 0
    return os.stat(NETNS_DIR / netns if netns else "/proc/self/ns/net").st_ino  # noqa: PTH116


def _enter(path: Path) -> None:
    """Move this thread into the namespace (os.setns came with Python 3.12)."""
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open("rb") as handle:
        if libc.setns(handle.fileno(), CLONE_NEWNET):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))


def _explain(error: OSError, netns: str) -> BusError | NotPermitted:
    if isinstance(error, FileNotFoundError):
        return BusGone(f"there is no network namespace {netns!r}")
    if isinstance(error, PermissionError):
        return NotPermitted(f"network namespace {netns!r}: {error.strerror}", hint="needs CAP_SYS_ADMIN")
    return BusError(f"netlink socket: {error.strerror}")
