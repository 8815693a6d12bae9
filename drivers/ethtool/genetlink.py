"""Generic netlink requests of a worker thread, in pyroute2's messages. Not a driver: what ethtool drivers share.

pyroute2 declares and encodes the messages. Its sockets are not used: they run an event loop for each call, wait
without a limit, and look the family up every time (docs/decisions/020).
"""

import importlib
import importlib.util
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Protocol

from agent.errors import BusGone, BusTimeout, DecodeError, Unsupported
from drivers.host import netlink

GENL_ID_CTRL: Final = 0x10
CTRL_CMD_GETFAMILY: Final = 3
_GENL_HEADER: Final = 4

Attributes = Sequence[tuple[str, object]]
"""What a message is made of, in pyroute2's form: names and values, nested ones as {"attrs": Attributes}."""


class Codec(Protocol):
    """One of pyroute2's message classes, with data or empty."""

    data: bytearray

    def __setitem__(self, key: str, value: object) -> None: ...
    def __getitem__(self, key: str) -> dict[str, object]: ...
    def encode(self) -> None: ...
    def decode(self) -> None: ...
    def get_attr(self, attr: str) -> Any: ...
    def get_attrs(self, attr: str) -> list[Any]: ...


class CodecClass(Protocol):
    """Such a class."""

    def __call__(self, data: bytes | None = None) -> Codec: ...


@cache
def _module(name: str) -> Any:
    """A module of pyroute2 without the package's `__init__`, which loads all of its subsystems (11 MiB, 140 ms).

    What was loaded is taken out of `sys.modules` again, so that somebody else's `import pyroute2` finds the package
    as it is meant to be. Where it is loaded already, that one is used.
    """
    with _loading:
        if "pyroute2" in sys.modules:
            return importlib.import_module(name)
        spec = importlib.util.find_spec("pyroute2")
        if spec is None:
            raise Unsupported("netlink messages need the package pyroute2", hint="pip install pyroute2")
        bare = importlib.util.module_from_spec(spec)
        sys.modules["pyroute2"] = bare
        try:
            return importlib.import_module(name)
        finally:
            for key in [key for key in sys.modules if key == "pyroute2" or key.startswith("pyroute2.")]:
                del sys.modules[key]


_loading: Final = threading.Lock()


@cache
def declared(name: str) -> CodecClass:
    """A message class of pyroute2.netlink.generic.ethtool."""
    found: CodecClass = getattr(_module("pyroute2.netlink.generic.ethtool"), name)
    return found


def declare(name: str, attributes: Sequence[tuple[str, str]], **nested: type) -> CodecClass:
    """A message class that pyroute2 does not have: attribute names and types in the order of the kernel's enum."""
    module = _module("pyroute2.netlink.generic.ethtool")
    parts = {"nla_map": tuple(attributes), "ethtoolheader": module.ethtoolheader, **nested}
    made: Any = type(name, (module.genlmsg,), parts)
    declared_class: CodecClass = made
    return declared_class


def declare_nested(name: str, attributes: Sequence[tuple[str, str]], **nested: type) -> type:
    """The same for an attribute with attributes inside."""
    module = _module("pyroute2.netlink.generic.ethtool")
    return type(name, (module.nla,), {"nla_map": tuple(attributes), **nested})


class Refused(OSError):
    """The kernel answered with an error; `strerror` is what it says (extack), or the usual text of `errno`."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(code, words or os.strerror(code))
        self.words = words
        """What the kernel itself said, "" for nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply to a request, and what the kernel warned of."""

    message: Codec | None
    warning: str


class GenericNetlink:
    """Requests to one family, one at a time. `connect` opens the socket: fakes stand in here."""

    def __init__(self, family: str, *, connect: Callable[[], socket.socket], timeout_s: float) -> None:
        self._family = family
        self._connect = connect
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._id = 0
        self._sequence = 0

    def request(self, kind: CodecClass, command: int, attributes: Attributes) -> Answer:
        """Send and wait. Raises Refused, BusTimeout, BusGone, DecodeError; Unsupported without the family."""
        if self._socket is None:
            self._open()
        return self._exchange(kind, self._id, command, attributes)

    def close(self) -> None:
        """Close the socket; the next request opens another, which never sees a late answer of this one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open(self) -> None:
        self._socket = self._connect()
        control: CodecClass = _module("pyroute2.netlink").ctrlmsg
        try:
            answer = self._exchange(
                control, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, [("CTRL_ATTR_FAMILY_NAME", self._family)]
            )
        except Refused as exc:
            self.close()
            raise Unsupported(f"this kernel has no generic netlink family {self._family!r}") from exc
        found = answer.message.get_attr("CTRL_ATTR_FAMILY_ID") if answer.message is not None else None
        if not isinstance(found, int):
            self.close()
            raise DecodeError(f"netlink: family {self._family!r} has no number")
        self._id = found

    def _exchange(self, kind: CodecClass, number: int, command: int, attributes: Attributes) -> Answer:
        assert self._socket is not None
        self._sequence += 1
        try:
            self._socket.settimeout(self._timeout_s)
            self._socket.send(_encode(kind, number, self._sequence, command, attributes))
            return self._receive(kind, number, time.monotonic() + self._timeout_s)
        except TimeoutError as exc:
            self.close()
            raise BusTimeout(f"the kernel does not answer within {self._timeout_s:g} s") from exc
        except Refused:
            raise
        except OSError as exc:
            self.close()
            raise BusGone(f"netlink: {exc.strerror}") from exc
        except (DecodeError, BusGone):
            self.close()
            raise

    def _receive(self, kind: CodecClass, number: int, deadline: float) -> Answer:
        """The reply comes first, the acknowledgement ends it and may carry a warning."""
        assert self._socket is not None
        reply: Codec | None = None
        while True:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            data = self._socket.recv(1 << 16)
            if not data:
                raise BusGone("netlink: the other end is closed")
            for message in netlink.messages(data):
                if message.sequence != self._sequence:
                    continue  # the late answer to a request that was given up
                if message.type == netlink.NLMSG_ERROR:
                    code, words = netlink.failure(data, message)
                    if code:
                        raise Refused(code, words)
                    return Answer(reply, words)
                if message.type == number:
                    reply = _decode(kind, data, message)


def _encode(kind: CodecClass, number: int, sequence: int, command: int, attributes: Attributes) -> bytes:
    message = kind()
    message["cmd"] = command
    message["version"] = 1
    message["attrs"] = list(attributes)
    header: Mapping[str, int] = {
        "type": number,
        "flags": netlink.NLM_F_REQUEST | netlink.NLM_F_ACK,
        "sequence_number": sequence,
        "pid": 0,
    }
    message["header"].update(header)
    message.encode()
    return bytes(message.data)


def _decode(kind: CodecClass, data: bytes, message: netlink.Message) -> Codec:
    """Walk the attributes ourselves first: pyroute2 takes anything for a length."""
    for _ in netlink.attributes(data, message.start + _GENL_HEADER, message.end):
        pass
    decoded = kind(data[message.start - netlink.HEADER.size : message.end])
    decoded.decode()
    return decoded
