"""What can go wrong, as one tree.

OpticError
|-- ConfigError             a file or an option is not what it should be (exit 2)
|-- DecodeError             bytes that no memory map explains
|-- Busy                    more was asked for than can be done now
`-- DriverError             one transaction failed
    |-- BusError            the bus itself: it is closed and opened again
    |   |-- BusGone         adapter, device node or interface removed
    |   |-- BusHung         a call that never came back; its thread was given up
    |   `-- BusTimeout      no answer in time, arbitration lost for good
    |-- ModuleAbsent        nothing acknowledges the address
    |-- PageRefused         the module mapped another page than asked for
    |-- PageMoved           somebody else selected another page meanwhile
    |-- ShortRead           fewer bytes than asked for
    |-- NotPermitted        the kernel or the device says no
    |-- Unsupported         this way in cannot do what was asked
    `-- DeviceRefused       the device answered with an error of its protocol
"""

from typing import ClassVar


class OpticError(Exception):
    """Anything opticd expects to go wrong; `str()` is one line for a person, `hint` a likely cause."""

    reason: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(OpticError):
    """A file or an option is wrong; the message names file and line or key path."""

    reason = "config"


class DecodeError(OpticError):
    """Bytes that no memory map explains."""

    reason = "decode"


class Busy(OpticError):
    """More was asked for than can be done now; nothing is wrong with what was asked."""

    reason = "busy"


class DriverError(OpticError):
    """One transaction failed. `reason` is a metric label, so it never changes."""

    reason = "driver"

    def __init__(self, message: str, *, span: object | None = None, hint: str = "") -> None:
        super().__init__(f"{message} (reading {span})" if span else message, hint=hint)
        self.span = span


class BusError(DriverError):
    """The bus failed, not the module: it has to be closed and opened again."""

    reason = "bus_error"


class BusGone(BusError):
    reason = "bus_gone"


class BusHung(BusError):
    reason = "bus_hung"


class BusTimeout(BusError):
    reason = "bus_timeout"


class ModuleAbsent(DriverError):
    reason = "absent"


class PageRefused(DriverError):
    reason = "page_refused"


class PageMoved(DriverError):
    reason = "page_moved"


class ShortRead(DriverError):
    reason = "short_read"


class NotPermitted(DriverError):
    reason = "not_permitted"


class Unsupported(DriverError):
    reason = "unsupported"


class DeviceRefused(DriverError):
    reason = "device_refused"
