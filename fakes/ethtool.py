"""Linux' ethtool interface to network cards with fake modules in their cages, down to the netlink socket.

    kernel = FakeKernel({"eth2": FakeCard(FakeModule.load("saved.json"))})
    client = kernel.connect()          # stands for socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC)
    kernel.ioctl("eth2", structure)    # stands for ioctl(SIOCETHTOOL)

Documents: Documentation/networking/ethtool-netlink.rst, net/ethtool/{netlink,eeprom,linkstate,fec}.c and
include/uapi/linux/{ethtool,ethtool_netlink_generated,genetlink,netlink}.h of Linux; traffic of ethtool 6.1.

Not simulated: dumps, multicast groups, notifications, every other ethtool message, bitsets of link modes.
"""

import contextlib
import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fakes.module import FakeModule

FAMILY: Final = 21
"""Number of the family `ethtool`; a kernel gives them out as modules load, from 16 up."""
_CONTROLLER: Final = 16
_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_NESTED: Final = 0x8000
_CAPPED: Final = 0x100
_TLVS: Final = 0x200
_ACK: Final = 0x4
_NOT_SET: Final = 0xFFFFFFFF


_Where = tuple[int, int, int, int, int]
"""I2C address, bank, page, offset, length."""


class _Error(Exception):
    """An errno, and what extack says."""

    def __init__(self, code: int, words: str = "") -> None:
        super().__init__(code, words)
        self.code = code
        self.words = words


_Handler = Callable[["FakeCard", Mapping[int, bytes], bool], tuple[bytes, str]]


@dataclass(slots=True)
class FakeCard:
    """One port of a network card and the module in its cage. A test changes the fields while it is read."""

    module: FakeModule
    by_page: bool = True
    """The driver reads by page and bank; else it knows `modinfo` and one linear file only."""
    modinfo: tuple[int, int] | None = None
    """Type and length for ETHTOOL_GMODULEINFO (linux/ethtool.h); None where the driver does not have it."""
    empty: tuple[int, str] = (errno.EIO, "")
    """What the driver answers when the cage is empty."""
    no_page: tuple[int, str] | None = None
    """What it answers when the module does not map the page; None: it does not look, as most."""
    warns: bool = False
    """Failures become a warning, and success with no bytes (mlx5 before Linux 6.14)."""
    link_up: bool = True
    ext_state: int | None = None
    ext_substate: int = 0
    down_count: int | None = None
    fec: Mapping[int, Sequence[int]] | None = None
    """Statistics by attribute number (2 corrected, 3 uncorrectable blocks, 4 corrected bits): total, then lanes."""
    histogram: Sequence[tuple[int, int, int]] = ()
    """Bins of symbol errors: lowest, highest, count."""
    fec_active: int = 74
    reads: list[_Where] = field(default_factory=list[_Where])
    """I2C address, bank, page, offset and length of every read that reached the driver."""


class FakeKernel:
    """All cards of a host. One thread serves each socket."""

    def __init__(self, cards: Mapping[str, FakeCard]) -> None:
        self.cards: dict[str, FakeCard] = dict(cards)
        self.privileged = True
        self.has_family = True
        self.knows_eeprom = True
        """False: Linux before 5.13."""
        self.delay_s = 0.0
        self.requests: list[bytes] = []
        self._answering = threading.Event()
        self._answering.set()
        self._short = 0
        self._garbage: list[bytes] = []
        self._servers: list[socket.socket] = []

    def connect(self) -> socket.socket:
        """A socket on which this kernel answers."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._servers.append(ours)
        threading.Thread(target=self._serve, args=(ours,), name="fake kernel", daemon=True).start()
        return theirs

    def exists(self, name: str) -> bool:
        return name in self.cards

    def short(self, missing: int = 1) -> None:
        """The next read of a module brings so many bytes less."""
        self._short = missing

    def garble(self, data: bytes) -> None:
        """The next answer is this datagram."""
        self._garbage.append(data)

    def stall(self) -> None:
        """Do not answer from now on."""
        self._answering.clear()

    def release(self) -> None:
        """Answer again, also what was asked meanwhile."""
        self._answering.set()

    def close(self) -> None:
        """End all threads."""
        self._answering.set()
        for server in self._servers:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)

    # -- the netlink door ---------------------------------------------------------------------------------

    def _serve(self, server: socket.socket) -> None:
        with server, contextlib.suppress(OSError):  # the client closes when it likes
            while request := server.recv(1 << 16):
                self.requests.append(request)
                self._answering.wait()
                if self.delay_s:
                    time.sleep(self.delay_s)
                if self._garbage:
                    server.send(self._garbage.pop(0))
                    continue
                for answer in self._answer(request):
                    server.send(answer)

    def _answer(self, request: bytes) -> Iterator[bytes]:
        length, kind, flags, sequence, _ = _HEADER.unpack_from(request)
        words = ""
        try:
            reply, words = self._reply(kind, request[_HEADER.size : length])
        except _Error as exc:
            yield _acknowledgement(request, sequence, exc.code, exc.words)
            return
        yield _message(kind, 0, sequence, reply)
        if flags & _ACK:
            yield _acknowledgement(request, sequence, 0, words)

    def _reply(self, kind: int, body: bytes) -> tuple[bytes, str]:
        command = body[0]
        attributes = dict(_attributes(body[4:]))
        if kind == _CONTROLLER:
            if not self.has_family or attributes.get(2) != b"ethtool\0":
                raise _Error(errno.ENOENT)
            return bytes((1, 2, 0, 0)) + _attribute(2, b"ethtool\0") + _attribute(1, struct.pack("=H", FAMILY)), ""
        known: dict[int, _Handler] = {6: self._link_state, 29: self._fec}
        if self.knows_eeprom:
            known[31] = self._eeprom
        if kind != FAMILY or command not in known:
            raise _Error(errno.EOPNOTSUPP)
        header = dict(_attributes(attributes.get(1, b"")))
        name = header.get(2, b"").split(b"\0")[0].decode()
        card = self.cards.get(name)
        if command == 31 and not self.privileged:
            raise _Error(errno.EPERM)
        if card is None:
            raise _Error(errno.ENODEV, "no device matches name")
        stats = bool(struct.unpack("=I", header.get(3, bytes(4)))[0] & 4)
        index = list(self.cards).index(name) + 2
        nest = _attribute(1, struct.pack("=I", index)) + _attribute(2, name.encode() + b"\0")
        data, words = known[command](card, attributes, stats)
        return bytes((command, 1, 0, 0)) + _attribute(1 | _NESTED, nest) + data, words

    def _eeprom(self, card: FakeCard, given: Mapping[int, bytes], _: bool) -> tuple[bytes, str]:
        """net/ethtool/eeprom.c: eeprom_parse_request and eeprom_prepare_data."""
        try:
            offset, length = (int.from_bytes(given[number], "little") for number in (2, 3))
            page, address = given[4][0], given[6][0]
        except KeyError:
            raise _Error(errno.EINVAL) from None
        if not 1 <= length <= 128 or offset > 255 or address > 0x7F:
            raise _Error(errno.ERANGE, "integer out of range")
        if page and offset < 128:
            raise _Error(errno.EINVAL, "reading from lower half page is allowed for page 0 only")
        if offset < 128 < offset + length:
            raise _Error(errno.EINVAL, "reading cross half page boundary is illegal")
        if offset + length > 256:
            raise _Error(errno.EINVAL, "reading cross page boundary is illegal")
        bank = given[5][0] if 5 in given else 0
        try:
            if card.by_page:
                data = self._by_page(card, (address, bank, page, offset, length))
            else:
                data = self._fall_back(card, address, page, offset, length)
        except _Error as exc:
            if not card.warns:
                raise
            return _attribute(7, b""), exc.words
        data, self._short = data[: len(data) - self._short], 0
        return _attribute(7, data), ""

    def _by_page(self, card: FakeCard, where: _Where) -> bytes:
        """What a driver with `get_module_eeprom_by_page` does on the cage's two wires."""
        address, bank, page, offset, length = where
        card.reads.append(where)
        module = card.module
        if offset >= 128 and address == 0x50:
            banked = bank or module.selected[0]
            select = bytes((126, bank, page)) if banked else bytes((127, page))
            if module.selected != (bank, page) and module.write(address, select) is None:
                raise _Error(*card.empty)
            if card.no_page is not None and module.selected != (bank, page):
                raise _Error(*card.no_page)
        if module.write(address, bytes((offset,))) is None:
            raise _Error(*card.empty)
        data = module.read(address, length)
        if data is None:
            raise _Error(*card.empty)
        return data

    def _fall_back(self, card: FakeCard, address: int, page: int, offset: int, length: int) -> bytes:
        if card.modinfo is None:
            raise _Error(errno.EOPNOTSUPP)
        if card.module.write(0x50, b"\0") is None:
            raise _Error(*card.empty)
        at = page * 128 + offset + (256 if card.modinfo[0] == 2 and address == 0x51 else 0)
        if at >= card.modinfo[1]:
            raise _Error(errno.EINVAL)
        return self._linear(card, at, length)

    def _linear(self, card: FakeCard, at: int, length: int) -> bytes:
        """The linear file of a driver: A0h and A2h, or lower memory and pages 00h to 03h."""
        data = b""
        while len(data) < length:
            here = at + len(data)
            if card.modinfo is not None and card.modinfo[0] == 2:
                address, page, offset = (0x51 if here >= 256 else 0x50), 0, here % 256
                left = 256 - offset
            else:
                address, page = 0x50, max(0, here // 128 - 1)
                offset = here - page * 128
                left = 128 - offset % 128
            data += self._by_page(card, (address, 0, page, offset, min(left, length - len(data))))
        return data

    def _link_state(self, card: FakeCard, _: Mapping[int, bytes], stats: bool) -> tuple[bytes, str]:
        body = _attribute(2, bytes((card.link_up,)))
        if card.ext_state is not None:
            body += _attribute(5, bytes((card.ext_state,)))
            if card.ext_substate:
                body += _attribute(6, bytes((card.ext_substate,)))
        if stats and card.down_count is not None:
            body += _attribute(7, struct.pack("=I", card.down_count))
        return body, ""

    def _fec(self, card: FakeCard, _: Mapping[int, bytes], stats: bool) -> tuple[bytes, str]:
        if card.fec is None:
            raise _Error(errno.EOPNOTSUPP)
        body = (
            _attribute(2 | _NESTED, b"") + _attribute(3, b"\0") + _attribute(4, struct.pack("=I", card.fec_active))
        )
        if stats:
            nest = b"".join(
                _attribute(number, struct.pack(f"={len(values)}Q", *values)) for number, values in card.fec.items()
            )
            for low, high, count in card.histogram:
                bin_ = _attribute(2, struct.pack("=I", low)) + _attribute(3, struct.pack("=I", high))
                wide = "=Q" if count > _NOT_SET else "=I"
                nest += _attribute(5 | _NESTED, bin_ + _attribute(4, struct.pack(wide, count)))
            body += _attribute(5 | _NESTED, nest)
        return body, ""

    # -- the ioctl door -----------------------------------------------------------------------------------

    def ioctl(self, name: str, structure: bytes) -> bytes:
        """SIOCETHTOOL with ETHTOOL_GMODULEINFO or ETHTOOL_GMODULEEEPROM. Raises OSError."""
        self._answering.wait()
        if self.delay_s:
            time.sleep(self.delay_s)
        try:
            return self._ioctl(name, structure)
        except _Error as exc:
            raise OSError(exc.code, os.strerror(exc.code)) from None

    def _ioctl(self, name: str, structure: bytes) -> bytes:
        card = self.cards.get(name)
        if card is None:
            raise _Error(errno.ENODEV)
        if not self.privileged:
            raise _Error(errno.EPERM)
        command = struct.unpack_from("=I", structure)[0]
        if card.modinfo is None or command not in {0x42, 0x43}:
            raise _Error(errno.EOPNOTSUPP)
        if card.module.write(0x50, b"\0") is None:
            raise _Error(*card.empty)
        if command == 0x42:
            return struct.pack("=III32x", 0x42, *card.modinfo)
        _, magic, offset, length = struct.unpack_from("=IIII", structure)
        if offset + length > card.modinfo[1] or not length:
            raise _Error(errno.EINVAL)
        data = self._linear(card, offset, length)
        data, self._short = data[: length - self._short], 0
        return struct.pack("=IIII", 0x43, magic, offset, len(data)) + data + bytes(length - len(data))


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += (length + 3) & ~3


def _message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, sequence, 4711) + body


def _acknowledgement(request: bytes, sequence: int, code: int, words: str) -> bytes:
    """NLMSG_ERROR with NETLINK_EXT_ACK and NETLINK_CAP_ACK set, as netlink_ack() builds it."""
    body = struct.pack("=i", -code) + request[: _HEADER.size]
    flags = _CAPPED
    if words:
        flags |= _TLVS
        body += _attribute(1, words.encode() + b"\0")
    return _message(2, flags, sequence, body)
