"""Where to listen: `HOST:PORT`, `[::1]:PORT`, `:PORT` (all addresses of this host)."""

import errno
import re
import socket
from typing import Final, NamedTuple

from agent.errors import ConfigError
from agent.service.inherited import inherited

_BACKLOG: Final = 128


class Address(NamedTuple):
    """A host, empty for all, and a TCP port; 0 is any free one."""

    host: str
    port: int


def parse(listen: str) -> Address:
    """`listen` taken apart. Raises ConfigError."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|([^\[\]:\s/]*)):(\d{1,5})", listen)
    if match is None or int(match[3]) > 65_535:
        hint = "HOST:PORT, [IPV6]:PORT or :PORT, such as 127.0.0.1:10800"
        raise ConfigError(f"listen: {listen!r} is no address to listen on", hint=hint)
    return Address(match[1] or match[2] or "", int(match[3]))


def bind(listen: str) -> list[socket.socket]:
    """Sockets that listen there, or those that a socket unit opened instead. Raises ConfigError with what to do."""
    address = parse(listen)
    if passed := inherited(socket.AF_INET, socket.AF_INET6):
        return passed
    try:
        return _bind(address)
    except socket.gaierror as exc:
        raise ConfigError(f"listen: {listen}: {exc.strerror}", hint="is the host name right?") from exc
    except OSError as exc:
        raise ConfigError(f"listen: {listen}: {_reason(exc)}", hint=_hint(exc, address)) from exc


def _bind(address: Address) -> list[socket.socket]:
    if not address.host:
        return [_bind_all(address.port)]
    # As bytes a name goes to the resolver as it is; for a text, IP addresses too, Python loads 0.8 MiB of tables.
    host = address.host.encode() if address.host.isascii() else address.host
    found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, where in dict.fromkeys(found):
            sockets.append(socket.create_server(where, family=family, backlog=_BACKLOG))
    except OSError:
        for each in sockets:
            each.close()
        raise
    return sockets


def _bind_all(port: int) -> socket.socket:
    """One socket for IPv6 and IPv4; IPv4 alone where the kernel has no IPv6."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG)
        except OSError as exc:
            if exc.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise
    return socket.create_server(("", port), backlog=_BACKLOG)


def _reason(exc: OSError) -> str:
    """The text of the error alone: `create_server` adds the address once more."""
    return (exc.strerror or str(exc)).partition(" (while")[0]


def _hint(exc: OSError, address: Address) -> str:
    if exc.errno == errno.EADDRINUSE:
        return f"something listens there already: `ss -ltnp 'sport = :{address.port}'` shows what"
    if exc.errno == errno.EACCES:
        return "ports below 1024 need CAP_NET_BIND_SERVICE"
    if exc.errno == errno.EADDRNOTAVAIL:
        return "this host does not have that address"
    return ""
