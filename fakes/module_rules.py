"""What the specifications say of every module of a family, for `fakes.module`: a second time, from the documents.

Documents: SFF-8024 (identifiers), SFF-8472, SFF-8636, CMIS 5.2 (which bytes a read clears), CMIS 5.3 (observables).
"""

from collections.abc import Mapping
from typing import Final, Literal

from agent.memory import Memory

Family = Literal["sff8472", "sff8636", "cmis"]

FAMILIES: Final[Mapping[str, Family]] = {"sff8472": "sff8472", "sff8636": "sff8636", "cmis": "cmis"}

# Bytes that a read clears: {family: {(address, page, -1 for lower memory): ranges}}.
CLEAR_ON_READ: Final[Mapping[str, Mapping[tuple[int, int], tuple[range, ...]]]] = {
    "sff8472": {(0x51, 0x02): (range(172, 173),)},  # bytes 112-117 are latched at the vendor's choice: not here
    "sff8636": {(0x50, -1): (range(3, 15), range(19, 22)), (0x50, 0x20): (range(128, 140),)},
    "cmis": {
        (0x50, -1): (range(8, 14),),
        (0x50, 0x11): (range(134, 154),),
        (0x50, 0x12): (range(231, 239),),
        (0x50, 0x14): (range(132, 133), range(134, 140)),
        (0x50, 0x17): (range(128, 129),),
        (0x50, 0x2C): (range(128, 256),),
        (0x50, 0x33): (range(128, 133),),
        (0x50, 0x3B): (range(192, 197),),
    },
}


VDM_PAGE: Final = 0x2F
FREEZE_CONTROL: Final = 144
FREEZE_STATUS: Final = 145
FREEZE_REQUEST: Final = 0x80
FREEZE_DONE: Final = 0x80
UNFREEZE_DONE: Final = 0x40
SAMPLES: Final = range(0x24, 0x28)
STATISTICS: Final = frozenset({*range(9, 15), *range(17, 23), *range(25, 33)})
"""Type codes of VDM observables that belong to an interval (CMIS 5.3 table of observables)."""


def family_of(memory: Memory) -> Family:
    """By the identifier, byte 0 (SFF-8024 table 4-1)."""
    identifier = memory.byte(0)
    if identifier in {0x0C, 0x0D, 0x11}:
        return "sff8636"
    return "cmis" if identifier is not None and identifier >= 0x18 else "sff8472"
