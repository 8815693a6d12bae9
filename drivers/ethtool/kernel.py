"""The doors into the kernel's ethtool interface: netlink socket and ioctl. Not a driver: what its users share."""

import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from drivers.ethtool import ioctl as ethtool_ioctl
from drivers.host import netlink

NETLINK_GENERIC: Final = 16


@dataclass(frozen=True, slots=True)
class Kernel:
    """Opens a socket, calls SIOCETHTOOL, and knows whether an interface is there; tests put a fake behind them."""

    connect: Callable[[], socket.socket]
    ioctl: ethtool_ioctl.Ioctl
    exists: Callable[[str], bool]


def kernel(netns: str = "") -> Kernel:
    """The real kernel. In another network namespace there is no ioctl: its socket would belong to this one."""

    def connect() -> socket.socket:
        return netlink.open_socket(NETLINK_GENERIC, netns=netns)

    def no_ioctl(netdev: str, _: bytes) -> bytes:
        raise OSError(errno.EOPNOTSUPP, f"{netdev} is in another network namespace")

    return Kernel(connect, no_ioctl if netns else ethtool_ioctl.ioctl, _exists if not netns else lambda _: True)


def _exists(netdev: str) -> bool:
    try:
        socket.if_nametoindex(netdev)
    except OSError:
        return False
    return True
