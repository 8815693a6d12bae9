"""Tells systemd how the daemon is: READY, WATCHDOG, STOPPING, RELOADING (sd_notify(3)); silent outside a unit."""

import os
import socket


def notify(*lines: str) -> None:
    """Send `NAME=value` lines to the socket that systemd named; does nothing when there is none."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    target = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.sendto("\n".join(lines).encode(), target)


def watchdog_interval_s() -> float | None:
    """Seconds between two signs of life: half of what the unit allows, None when it has no watchdog."""
    pid = os.environ.get("WATCHDOG_PID", "")
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit() or (pid and pid != str(os.getpid())):
        return None
    return int(microseconds) / 2_000_000
