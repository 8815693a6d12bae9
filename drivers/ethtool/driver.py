r"""Modules of network interfaces, read by the kernel: `ethtool:eth2`, for hosts the main way.

    [[source]]
    type = "ethtool"
    netdev = "eth2"

ETHTOOL_MSG_MODULE_EEPROM_GET over generic netlink (Linux 5.13); where the kernel or the driver of the card does not
have it, the older ioctl. The kernel or the card's firmware selects the page. Needs CAP_NET_ADMIN.

Options: `netns` the network namespace of the interface; `timeout` seconds to wait for the kernel (5).

Document: Documentation/networking/ethtool-netlink.rst, net/ethtool/eeprom.c of Linux.
"""

import errno
import fnmatch
import logging
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from agent.errors import (
    BusGone,
    BusTimeout,
    ConfigError,
    DecodeError,
    DeviceRefused,
    DriverError,
    ModuleAbsent,
    NotPermitted,
    PageRefused,
    ShortRead,
    Unsupported,
)
from agent.memory import I2C_MODULE, ModuleMemory, Shape, Span
from agent.sources import Cage, Options
from drivers import coexistence
from drivers.ethtool.genetlink import GenericNetlink, Refused, declared
from drivers.ethtool.ioctl import LinearEeprom
from drivers.ethtool.kernel import Kernel, kernel
from drivers.host import netdevs

_log = logging.getLogger(__name__)

ETHTOOL_MSG_MODULE_EEPROM_GET: Final = 31
TIMEOUT_S: Final = 5.0
PROBE: Final = Span(0, 1)
PROBE_S: Final = 1.0

_ABSENT_WORDS: Final = re.compile(
    r"not (plugged|inserted|present|connected)|no module|unplugged|absent|status 3\b", re.IGNORECASE
)
"""What drivers say of an empty cage (bnxt, ice, mlx5: MCIA status 3 is `not connected`)."""
_NO_NETDEV_WORDS: Final = re.compile(r"no device matches|no such (network )?(device|interface)", re.IGNORECASE)
VERIFIED: Final = (
    (Span(154, 48), frozenset({0x2C})),
    (Span(129, 5), frozenset({0x14, 0x17, 0x20, 0x2C, 0x33})),
)
"""Bytes of page 00h, and the pages where a read of them would clear flags (CMIS 5.2, SFF-8636)."""


class EthtoolMemory:
    """`ModuleMemory` of one network interface."""

    def __init__(
        self, netdev: str, doors: Kernel, *, timeout_s: float = TIMEOUT_S, complaint: "Complaint | None" = None
    ) -> None:
        self._netdev = netdev
        self._complaint = complaint or Complaint()
        self._doors = doors
        self._netlink = GenericNetlink("ethtool", connect=doors.connect, timeout_s=timeout_s)
        self._linear = LinearEeprom(netdev, doors.ioctl)
        self._by_ioctl = False
        self._verified: set[tuple[int, int]] = set()
        self._shape = Shape()

    @property
    def shape(self) -> Shape:
        return self._shape

    @shape.setter
    def shape(self, shape: Shape) -> None:
        """The kernel selects pages: it only says that there may be another module."""
        self._shape = shape
        self._forget()

    def read(self, span: Span) -> bytes:
        """As `ModuleMemory.read`."""
        if span.offset < 128 < span.end:
            lower = span._replace(length=128 - span.offset)
            return self.read(lower) + self.read(span._replace(offset=128, length=span.end - 128))
        self._verify_page(span)
        return self._fetch(span)

    def close(self) -> None:
        self._netlink.close()
        self._by_ioctl = False
        self._forget()

    def _forget(self) -> None:
        self._verified.clear()
        self._linear.forget()

    def _fetch(self, span: Span) -> bytes:
        try:
            if self._by_ioctl:
                return self._linear.read(span)
            return self._fetch_netlink(span)
        except DecodeError as exc:
            raise DeviceRefused(f"{self._netdev}: {exc}", span=span) from exc
        except OSError as exc:
            raise self._explain(exc, span) from exc

    def _fetch_netlink(self, span: Span) -> bytes:
        try:
            return self._request(span)
        except (Unsupported, Refused) as exc:
            if isinstance(exc, Refused) and exc.errno != errno.EOPNOTSUPP:
                raise
            data = self._try_ioctl(span)
            if data is None:
                raise
            return data

    def _try_ioctl(self, span: Span) -> bytes | None:
        """The kernel is older than the message; None when the ioctl cannot do it either."""
        try:
            data = self._linear.read(span)
        except OSError as exc:
            if exc.errno == errno.EOPNOTSUPP:
                return None
            self._by_ioctl = True
            raise
        self._by_ioctl = True
        return data

    def _request(self, span: Span) -> bytes:
        attributes = [
            ("ETHTOOL_A_MODULE_EEPROM_HEADER", {"attrs": [("ETHTOOL_A_HEADER_DEV_NAME", self._netdev)]}),
            ("ETHTOOL_A_MODULE_EEPROM_LENGTH", span.length),
            ("ETHTOOL_A_MODULE_EEPROM_OFFSET", span.offset),
            ("ETHTOOL_A_MODULE_EEPROM_PAGE", span.page),
            ("ETHTOOL_A_MODULE_EEPROM_BANK", span.bank),
            ("ETHTOOL_A_MODULE_EEPROM_I2C_ADDRESS", span.i2c),
        ]
        answer = self._netlink.request(
            declared("ethtool_module_eeprom_msg"), ETHTOOL_MSG_MODULE_EEPROM_GET, attributes
        )
        found = answer.message.get_attr("ETHTOOL_A_MODULE_EEPROM_DATA") if answer.message is not None else None
        data = bytes(found or ())
        if len(data) < span.length:
            if not data and answer.warning:  # mlx5 before Linux 6.14: a warning, and success with nothing
                raise Refused(errno.EIO, answer.warning)
            raise ShortRead(f"{self._netdev}: {len(data)} of {span.length} bytes", span=span)
        if len(data) > span.length:
            raise DeviceRefused(f"{self._netdev}: {len(data)} bytes for {span.length}", span=span)
        return data

    def _explain(self, error: OSError, span: Span) -> DriverError:
        """The kernel's refusal as one of ours. Which module is in an empty cage, each driver says its own way."""
        words = error.words if isinstance(error, Refused) else ""
        line = f"{self._netdev}: {error.strerror}"
        if error.errno == errno.ENODEV:
            gone = bool(_NO_NETDEV_WORDS.search(words)) or not (words or self._doors.exists(self._netdev))
            there = "`ip link` shows the interfaces of this host"
            return BusGone(line, span=span, hint=there) if gone else ModuleAbsent(line, span=span)
        if _ABSENT_WORDS.search(words):
            return ModuleAbsent(line, span=span)
        if error.errno in _ANYTHING:
            return self._explain_by_probe(error.errno, line, span)
        kind, hint = _TABLE.get(error.errno or 0, (DeviceRefused, ""))
        if kind is NotPermitted:
            self._complaint.say(self._netdev)
        return kind(line, span=span, hint=hint)

    def _explain_by_probe(self, code: int | None, line: str, span: Span) -> DriverError:
        """These errors mean an empty cage, or a page that is not there: the first byte of the module decides."""
        first = span.page == 0 and span.i2c == I2C_MODULE
        if first and code == errno.EOPNOTSUPP:
            return Unsupported(line, span=span, hint="the driver of this card cannot read its module")
        if first or not self._answers():
            return ModuleAbsent(line, span=span)
        return DeviceRefused(line, span=span) if code == errno.EIO else PageRefused(line, span=span)

    def _answers(self) -> bool:
        try:
            data = self._linear.read(PROBE) if self._by_ioctl else self._request(PROBE)
        except (OSError, DriverError, DecodeError):
            return False
        return len(data) == 1

    def _verify_page(self, span: Span) -> None:
        """A module maps page 00h instead of a page that it does not have, and the kernel hands that on as success.

        Once an insertion some bytes are compared that on page 00h hold the serial number, or else the begin of the
        vendor's name, and that no page clears when they are read.
        """
        key = (span.page, span.bank)
        if not span.upper or span.i2c != I2C_MODULE or span.page == 0 or key in self._verified:
            return
        for there, not_on in VERIFIED:
            on_page_00 = self._fetch(there) if span.page not in not_on else b""
            if len(set(on_page_00)) > 1:  # blank bytes would tell nothing
                if self._fetch(there._replace(page=span.page, bank=span.bank)) == on_page_00:
                    raise PageRefused(f"{self._netdev}: the module fell back to page 00h", span=span)
                break
        self._verified.add(key)


_ANYTHING: Final = (errno.EIO, errno.EINVAL, errno.EOPNOTSUPP)
_TABLE: Final[dict[int, tuple[type[DriverError], str]]] = {
    errno.EPERM: (NotPermitted, "give the process CAP_NET_ADMIN"),
    errno.EACCES: (NotPermitted, "give the process CAP_NET_ADMIN"),
    errno.ENXIO: (ModuleAbsent, ""),
    errno.EREMOTEIO: (ModuleAbsent, ""),
    errno.ETIMEDOUT: (BusTimeout, ""),
    errno.ENETDOWN: (DeviceRefused, "this card reads its module only while the interface is up"),
    errno.EBUSY: (DeviceRefused, "the firmware of the module may be being updated"),
}


class Complaint:
    """Says loudly that the process may not read modules: once, not at every poll of every port."""

    def __init__(self) -> None:
        self._said = False

    def say(self, netdev: str) -> None:
        """Say it, the first time."""
        if not self._said:
            _log.error("%s: reading modules through the kernel needs CAP_NET_ADMIN; no port can be read", netdev)
        self._said = True


class EthtoolDriver:
    """`agent.sources.Driver` for interfaces. `doors`, `sys`, `owner` and `candidates` are for tests."""

    def __init__(
        self,
        *,
        doors: Callable[[str], Kernel] = kernel,
        sys: Path = Path("/sys"),
        owner: Callable[[], str] = coexistence.module_owner,
        candidates: Callable[[], tuple[netdevs.Candidate, ...]] | None = None,
    ) -> None:
        self._candidates = candidates or partial(netdevs.candidates, sys_root=sys)
        self._doors = doors
        self._sys = sys
        self._owner = coexistence.remembered(owner)
        self._complaint = Complaint()

    def open(self, address: str, options: Options) -> Cage:
        """As `Driver.open`."""
        if not re.fullmatch(r"[^\s/:?]{1,127}", address):
            raise ConfigError(f"ethtool:{address}: no name of a network interface", hint="as in ethtool:eth2")
        netns = options.text("netns")
        timeout_s = options.number("timeout", TIMEOUT_S, least=0.05, most=60.0)
        memory: ModuleMemory = EthtoolMemory(
            address, self._doors(netns), timeout_s=timeout_s, complaint=self._complaint
        )
        return Cage(
            source=f"ethtool:{address}",
            port=address,
            bus=card(address, self._sys) if not netns else f"{netns}/{address}",
            memory=memory,
            owner=self._owner(),
            netdev=address if not netns else "",
        )

    def expand(self, address: str) -> list[str]:
        """The interfaces that a pattern matches now, without those whose card cannot read a module.

        Asks each card once: some milliseconds, up to 100 with a slow driver.
        """
        if not any(sign in address for sign in "*?["):
            return [address]
        names = [each.netdev for each in self._candidates() if fnmatch.fnmatchcase(each.netdev, address)]
        return [name for name in names if self._can_read(name)]

    def _can_read(self, netdev: str) -> bool:
        memory = EthtoolMemory(netdev, self._doors(""), timeout_s=PROBE_S, complaint=self._complaint)
        try:
            memory.read(PROBE)
        except (Unsupported, BusGone):
            return False
        except DriverError:
            return True  # an empty cage, no permission: its port says so
        finally:
            memory.close()
        return True


def card(netdev: str, sys: Path) -> str:
    """The card that an interface is a port of: its ports share firmware and locks, so one thread reads them."""
    device = (sys / "class/net" / netdev / "device").resolve().name
    return (
        device.rsplit(".", 1)[0] if re.fullmatch(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", device) else netdev
    )
