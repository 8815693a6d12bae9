"""What can go wrong between opticd and an SNMP agent; every one is a `DriverError` with its own reason label."""

from agent.errors import DeviceRefused, DriverError, NotPermitted, Unsupported


class Malformed(DriverError):
    """Bytes that are not the SNMP message they should be."""

    reason = "malformed"


class NoAnswer(DriverError):
    """Nothing came back in time, after all retries."""

    reason = "no_answer"


class WalkCut(DriverError):
    """A walk ended without its end marker: OIDs that do not increase, too many rows, an empty reply."""

    reason = "walk_cut"


class ErrorStatus(DeviceRefused):
    """The agent answered with an error-status; `status` is its number (RFC 3416 section 3)."""

    def __init__(self, message: str, *, status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class AuthFailed(NotPermitted):
    """SNMPv3: user, password or security level is not what the device wants."""

    reason = "auth_failed"


__all__ = ["AuthFailed", "ErrorStatus", "Malformed", "NoAnswer", "Unsupported", "WalkCut"]
