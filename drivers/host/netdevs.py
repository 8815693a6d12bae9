"""Network interfaces as the kernel lists them, and which of them may have a module. Not a driver.

Documents: linux/rtnetlink.h, linux/if_link.h, RFC 2863 (operational states).
"""

import os
import re
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.errors import BusGone, BusTimeout, DecodeError
from drivers.host import netlink

RTM_NEWLINK: Final = 16
RTM_DELLINK: Final = 17
RTM_GETLINK: Final = 18
RTMGRP_LINK: Final = 1

IFLA_IFNAME: Final = 3
IFLA_OPERSTATE: Final = 16
IFLA_LINKINFO: Final = 18
IFLA_IFALIAS: Final = 20
IFLA_EXT_MASK: Final = 29
IFLA_CARRIER: Final = 33
IFLA_CARRIER_UP_COUNT: Final = 47
IFLA_CARRIER_DOWN_COUNT: Final = 48
IFLA_PROP_LIST: Final = 52
IFLA_ALT_IFNAME: Final = 53
IFLA_INFO_KIND: Final = 1
RTEXT_FILTER_SKIP_STATS: Final = 8

IFF_UP: Final = 0x1
IFF_LOOPBACK: Final = 0x8
IFF_LOWER_UP: Final = 0x10000
ARPHRD_PHYSICAL: Final = (1, 32)
"""Ethernet, InfiniBand."""
KINDS_PHYSICAL: Final = ("", "dsa")
"""Software interfaces name their kind (veth, bridge, bond, vlan); hardware has none, or is a DSA switch's port."""
OPER_NOT_CARRYING: Final = (1, 4, 5)
"""IF_OPER_NOTPRESENT, _TESTING, _DORMANT: no frames, whatever the carrier says."""

IFINFO: Final = struct.Struct("=BxHiII")
"""ifinfomsg: family, type, index, flags, change mask."""


@dataclass(frozen=True, slots=True)
class Netdev:
    """One network interface as the kernel describes it."""

    index: int
    name: str
    flags: int
    hardware: int
    operstate: int = 0
    carrier: bool | None = None
    up_count: int | None = None
    down_count: int | None = None
    alias: str = ""
    kind: str = ""
    other_names: tuple[str, ...] = ()

    @property
    def admin_up(self) -> bool:
        return bool(self.flags & IFF_UP)

    @property
    def up(self) -> bool:
        """Administratively up, with carrier, and allowed to carry frames.

        The carrier and not `operstate == UP` decides, since the kernel updates the latter later.
        """
        carrier = bool(self.flags & IFF_LOWER_UP) if self.carrier is None else self.carrier
        return self.admin_up and carrier and self.operstate not in OPER_NOT_CARRYING

    @property
    def physical(self) -> bool:
        """A port of hardware: what may have a module."""
        ours = self.hardware in ARPHRD_PHYSICAL and self.kind in KINDS_PHYSICAL
        return ours and not self.flags & IFF_LOOPBACK


def decode_link(data: bytes, start: int, end: int) -> Netdev | None:
    """The interface in an RTM_NEWLINK or RTM_DELLINK; None when it speaks of something else (bridge, wireless).

    Raises DecodeError for bytes that are no such message.
    """
    if end - start < IFINFO.size:
        raise DecodeError(f"netlink: link message of {end - start} bytes")
    family, hardware, index, flags, _ = IFINFO.unpack_from(data, start)
    if family != socket.AF_UNSPEC:  # AF_BRIDGE: a port left a bridge, the interface lives on
        return None
    found: dict[int, tuple[int, int]] = {}
    for kind, at, to in netlink.attributes(data, start + IFINFO.size, end):
        found[kind] = (at, to)
    if IFLA_IFNAME not in found:
        return None
    number = {kind: _number(data, *found[kind]) for kind in _NUMBERS if kind in found}
    return Netdev(
        index,
        netlink.text(data, *found[IFLA_IFNAME]),
        flags,
        hardware,
        number.get(IFLA_OPERSTATE, 0),
        bool(number[IFLA_CARRIER]) if IFLA_CARRIER in number else None,
        number.get(IFLA_CARRIER_UP_COUNT),
        number.get(IFLA_CARRIER_DOWN_COUNT),
        netlink.text(data, *found[IFLA_IFALIAS]) if IFLA_IFALIAS in found else "",
        _first(_nested(data, found.get(IFLA_LINKINFO), IFLA_INFO_KIND)),
        _nested(data, found.get(IFLA_PROP_LIST), IFLA_ALT_IFNAME),
    )


_NUMBERS: Final = (IFLA_OPERSTATE, IFLA_CARRIER, IFLA_CARRIER_UP_COUNT, IFLA_CARRIER_DOWN_COUNT)


def _number(data: bytes, start: int, end: int) -> int:
    return int.from_bytes(data[start:end], sys.byteorder)


def _nested(data: bytes, where: tuple[int, int] | None, kind: int) -> tuple[str, ...]:
    if where is None:
        return ()
    return tuple(netlink.text(data, at, to) for found, at, to in netlink.attributes(data, *where) if found == kind)


def _first(values: tuple[str, ...]) -> str:
    return values[0] if values else ""


def dump_request(sequence: int) -> bytes:
    """RTM_GETLINK for all interfaces, without their statistics."""
    body = IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + struct.pack(
        "=HHI", 8, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS
    )
    flags = netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP
    return netlink.HEADER.pack(netlink.HEADER.size + len(body), RTM_GETLINK, flags, sequence, 0) + body


LIST_S: Final = 5.0


def interfaces(netns: str = "") -> tuple[Netdev, ...]:
    """All interfaces there are now. Blocks for as long as the kernel takes, milliseconds. Raises a DriverError."""
    found: dict[int, Netdev] = {}
    with netlink.open_socket(socket.NETLINK_ROUTE, netns=netns) as client:
        client.settimeout(LIST_S)
        try:
            client.send(dump_request(1))
            while True:
                data = client.recv(1 << 16)
                for message in netlink.messages(data):
                    if message.type == RTM_NEWLINK:
                        netdev = decode_link(data, message.start, message.end)
                        if netdev is not None:
                            found[netdev.index] = netdev
                    elif message.type == netlink.NLMSG_DONE:
                        return tuple(found.values())
                    elif message.type == netlink.NLMSG_ERROR:
                        code, words = netlink.failure(data, message)
                        raise BusGone(f"netlink: {words or os.strerror(code)}")
        except TimeoutError as exc:
            raise BusTimeout(f"the kernel does not list its interfaces within {LIST_S:g} s") from exc
        except (OSError, DecodeError) as exc:
            raise BusGone(f"netlink: {exc}") from exc


@dataclass(frozen=True, slots=True)
class Candidate:
    """An interface of hardware: `ethtool:NAME` may find a module behind it."""

    netdev: str
    driver: str
    """Name of the kernel driver, "" where sysfs does not say."""
    card: str
    """PCI address, or another name of the device; "" where sysfs does not say."""
    alias: str = ""

    @property
    def source(self) -> str:
        return f"ethtool:{self.netdev}"


def candidates(netns: str = "", *, sys_root: Path = Path("/sys")) -> tuple[Candidate, ...]:
    """The interfaces that may have modules, in the order of their names. Raises a DriverError.

    Virtual functions and paravirtual cards are left out: their driver has no cage to read.
    """
    found: list[Candidate] = []
    for netdev in interfaces(netns):
        device = sys_root / "class/net" / netdev.name / "device"
        driver = (device / "driver").resolve().name if (device / "driver").exists() else ""
        if netdev.physical and driver not in PARAVIRTUAL and not (device / "physfn").exists():
            card = device.resolve().name if device.exists() else ""
            found.append(Candidate(netdev.name, driver, card, netdev.alias))
    return tuple(sorted(found, key=lambda each: natural(each.netdev)))


PARAVIRTUAL: Final = ("virtio_net", "vmxnet3", "xen_netfront", "hv_netvsc", "gve", "ena", "tun")


def natural(name: str) -> list[tuple[int, str]]:
    """A sort key that puts eth10 behind eth9."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
