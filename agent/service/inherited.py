"""Sockets that the service manager opened and passed on (sd_listen_fds(3)): they are in the host's network."""

import os
import socket
from typing import Final

_FIRST: Final = 3


def inherited(*families: int, protocol: int | None = None) -> list[socket.socket]:
    """Duplicates of those of these address families; the originals stay open, so that they can be had again."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    found: list[socket.socket] = []
    for number in range(_FIRST, _FIRST + int(os.environ.get("LISTEN_FDS", "0"))):
        each = socket.socket(fileno=os.dup(number))
        if each.family in families and protocol in {None, each.proto}:
            found.append(each)
        else:
            each.close()
    return found
