"""What an errno of a system call means for a module: each way in has a table of its own."""

import errno
from collections.abc import Mapping
from typing import Final, NamedTuple

from agent.errors import BusError, DriverError, ModuleAbsent


class Meaning(NamedTuple):
    """The error to raise, in words, and what to do about it."""

    kind: type[DriverError]
    text: str
    hint: str = ""


Table = Mapping[int, Meaning]
"""An errno that is not in it is a `BusError` in the kernel's words."""

NO_ACKNOWLEDGE: Final = Meaning(ModuleAbsent, "no acknowledge")
TRANSFER_FAILED: Final = Meaning(BusError, "transfer failed")


def meaning(exc: OSError, table: Table) -> Meaning:
    """What `exc` says."""
    return table.get(exc.errno or 0) or Meaning(BusError, exc.strerror or "failed")


def name(code: int | None) -> str:
    """`EIO` for 5; `?` for a number that Linux does not have."""
    return errno.errorcode.get(code or 0, "?")
