"""More than 15 applications: normalized application descriptors, page 1Ch of CMIS 5.3, in blocks of 15.

The banks of page 1Ch are blocks of descriptors, not of lanes. Block 0 repeats the applications of lower memory and
page 01h and is not read; application 15 * block + AppSel is the AppSel-th of its block. Page 19h says from which
block a lane takes its AppSel. Documents: OIF CMIS 5.3 sections 8.4.13, 8.18.2 and 8.20.
"""

from collections.abc import Iterator
from typing import Final

from agent.maps import cmis_fields as f
from agent.maps.registers import Field, Kind
from agent.memory import Memory, Span
from agent.model import APPLICATIONS_A_BLOCK

_DESCRIPTOR: Final = 8
_FIRST_REVISION: Final = 0x53
_WHOLE_BYTE: Final = 0x54
"""From 5.4 on the number of blocks has all eight bits; up to 15 blocks are read."""
_MOST_BLOCKS: Final = 15

BLOCKS: Final = Field(
    "application_blocks", page=0x01, offset=175, ref="Page 01h, byte 175 (5.3)", note="bits 3-0 up to 5.3"
)
DESCRIPTORS: Final = Field(
    "applications", page=0x1C, offset=128, length=APPLICATIONS_A_BLOCK * _DESCRIPTOR, kind=Kind.BYTES, banked=True,
    ref="Page 1Ch, bytes 128-247 (5.3)",
    note="8 bytes each: host and media interface, lane counts, host and media lane assignment; a bank is a block",
)  # fmt: skip
LANE_BLOCKS: Final = Field(
    "lane_application_blocks", page=0x19, offset=144, bits=tuple(range(0, 8 * f.LANES_PER_BANK, 8)), width=4,
    lanes=f.LANES_PER_BANK, banked=True, ref="Page 19h, bytes 144-151 bits 3-0 (5.3)",
    note="block of the AppSel in the active set, host lanes",
)  # fmt: skip


def blocks(memory: Memory) -> int:
    """How many blocks of applications the module has beside those of lower memory and page 01h: 0 for most."""
    said, revision = memory.byte(BLOCKS.offset, BLOCKS.page), memory.byte(f.REVISION.offset)
    if said is None or revision is None or revision < _FIRST_REVISION:
        return 0
    return min(said if revision >= _WHOLE_BYTE else said & 0x0F, _MOST_BLOCKS)


def static_spans(memory: Memory) -> Iterator[Span]:
    """The descriptors of every block but the first."""
    return (DESCRIPTORS.span(bank=block) for block in range(1, blocks(memory)))


def descriptors(memory: Memory, span: Span) -> Iterator[tuple[int, bytes, int | None]]:
    """Number, four bytes as in lower memory, and media lane assignment of each descriptor of one block."""
    raw = memory.get(span) or b""
    for index in range(len(raw) // _DESCRIPTOR):
        one = raw[_DESCRIPTOR * index :][:_DESCRIPTOR]
        yield APPLICATIONS_A_BLOCK * span.bank + index + 1, one[:4], one[4]
