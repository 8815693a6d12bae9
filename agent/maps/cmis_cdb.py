"""CDB as far as it is seen without a write: whether a module works on a command, such as a part of a new firmware.

Document: CMIS 5.2, bytes 37-38 (status of both instances), byte 8 bits 7-6 (a command ended, latched), page 01h
byte 163 bits 7-6 (instances).
"""

from collections.abc import Sequence
from typing import Final

from agent.maps import cmis_fields as f
from agent.maps.plan import Draft
from agent.memory import Memory, Span

_STATUS: Final = f.CDB_STATUS[0].offset
STATUS: Final = Span(_STATUS, 2)
_BUSY: Final = 0x80
_FAILED: Final = 0x40
_FLAGS: Final = 8
_ENDED: Final = 0xC0


def instances(memory: Memory) -> int:
    """How many commands the module works on at a time, 0 for a module without CDB."""
    raw = memory.get(f.CDB_INSTANCES.span())
    return 0 if raw is None else min(f.CDB_INSTANCES.raw(raw)[0], 2)


def shows_work(status: bytes) -> bool:
    """Whether a command is at work, of a module of which it is not known yet whether it takes any: without CDB both
    bytes are reserved. One that is at work has not failed.
    """
    return any(each & (_BUSY | _FAILED) == _BUSY for each in status)


class StatusPart:
    """Has the status read with every refresh; its bytes are for `at_work`, not for readings."""

    def __init__(self, count: int) -> None:
        self.spans: tuple[Span, ...] = (Span(_STATUS, count),)

    def decode(self, blocks: Sequence[bytes | None], draft: Draft) -> None:
        """Nothing of it is a value."""


def at_work(span: Span, block: bytes, count: int, *, before: bool) -> bool | None:
    """Whether a block says that a command is at work, or one after the other: `before` there was one, and since
    then another has ended. None for a block that says nothing of it.
    """
    if span.upper or not span.offset <= _STATUS <= span.end - count:
        return None
    first = _STATUS - span.offset
    if any(status & _BUSY for status in block[first : first + count]):
        return True
    return before and span.offset <= _FLAGS and bool(block[_FLAGS - span.offset] & _ENDED)
