"""Memory maps: one file of declarations for each specification, and which of them a module answers by."""

from collections.abc import Mapping
from typing import Final

from agent.errors import DecodeError
from agent.maps import sff8024
from agent.maps.api import MemoryMap
from agent.maps.cmis import CmisMap
from agent.maps.sff8472 import Sff8472Map
from agent.maps.sff8636 import Sff8636Map
from agent.memory import Memory

MAPS: Final[Mapping[str, MemoryMap]] = {
    one.name: one for one in (Sff8472Map(), Sff8636Map(), CmisMap())
}  # fmt: skip
"""By name; each holds no state, so one serves every module."""


def identify(memory: Memory, *, family: str = "") -> MemoryMap:
    """The map of the module whose byte 0 is known; `family` names it where a file says so.

    Raises DecodeError when the identifier is unread, or belongs to a module that no map explains.
    """
    code = memory.byte(0)
    if code is None:
        raise DecodeError("byte 0, the identifier of the module, was not read")
    known = sff8024.identifier(code)
    found = MAPS.get(family or known.memory_map)
    if found is None:
        raise DecodeError(f"unsupported memory map 0x{code:02X}: {known.name}")
    return found
