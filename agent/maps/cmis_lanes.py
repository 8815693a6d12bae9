"""What a CMIS module can be used for, and which lanes it has for that."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agent.maps import cmis_applications, sff8024
from agent.maps import cmis_fields as f
from agent.memory import Memory, Span
from agent.model import Application

_PER_BANK: Final = f.LANES_PER_BANK
_ALL: Final = (1 << _PER_BANK) - 1
_BASIC: Final = ((1, f.APPLICATIONS_1_8), (9, f.APPLICATIONS_9_15))
"""Where the first 15 descriptors stand, and the AppSel of the first of each."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """Lane numbers over all banks, from 1."""

    host: frozenset[int]
    media: frozenset[int]


def applications(memory: Memory) -> list[Application]:
    """Every application descriptor that is in use; a list ends at host interface FFh."""
    media_type = memory.byte(f.MEDIA_TYPE.offset)
    if media_type is None:
        return []
    lists = [_descriptors(memory, field.span(), first) for first, field in _BASIC]
    lists += [cmis_applications.descriptors(memory, span) for span in cmis_applications.static_spans(memory)]
    found: list[Application] = []
    for descriptors in lists:
        for code, raw, assignment in descriptors:
            if raw[0] == sff8024.END_OF_APPLICATIONS:
                break
            if raw[0]:  # 0, "undefined", is what modules without applications leave there
                found.append(application(code, raw, media_type, assignment))
    return found


def _descriptors(memory: Memory, span: Span, first: int) -> Iterator[tuple[int, bytes, int | None]]:
    where = f.MEDIA_LANE_ASSIGNMENT
    for index in range(span.length // 4):
        raw = memory.get(span._replace(offset=span.offset + 4 * index, length=4))
        if raw is not None:
            code = first + index
            yield code, raw, memory.byte(where.offset + code - 1, where.page)


def application(code: int, raw: bytes, media_type: int, media_lane_assignment: int | None) -> Application:
    """One descriptor: host and media interface, lane counts, where it may start."""
    host = sff8024.host_interface(raw[0])
    media = sff8024.media_interface(media_type, raw[1])
    found = Application(
        code=code,
        host_interface=host.name,
        host_interface_code=raw[0],
        media_interface=media.name,
        media_interface_code=raw[1],
        host_lane_assignment=raw[3],
    )
    host_lanes = raw[2] >> 4 or _only(host.lanes)
    media_lanes = raw[2] & 0x0F or _only(media.lanes)
    if host_lanes:
        found["host_lanes"] = host_lanes
    if media_lanes:
        found["media_lanes"] = media_lanes
    if media_lane_assignment is not None:
        found["media_lane_assignment"] = media_lane_assignment
    return found


def _only(lanes: tuple[int, ...]) -> int:
    """A count of 0 means "as the interface defines": 0 again where that leaves a choice."""
    return lanes[0] if len(lanes) == 1 else 0


def lanes(memory: Memory, used: list[Application], identifier: int, banks: int) -> Lanes:
    """The lanes that an application can reach; where none is described, those of the form factor.

    A media lane that the module says it lacks is left out, unless that would leave none.
    """
    host = media = 0
    for one in used:
        starts = one.get("host_lane_assignment", 0) or 1
        host |= _reach(starts, one.get("host_lanes", 0))
        count = one.get("media_lanes", 0) or one.get("host_lanes", 0)  # cables do not say: a lane for each
        assigned = one.get("media_lane_assignment", 0)
        media |= _reach(assigned, count) if assigned else min(_ALL, (1 << count * starts.bit_count()) - 1)
    if not used:
        nominal = min(sff8024.identifier(identifier).lanes or _PER_BANK, _PER_BANK)
        host = media = (1 << nominal) - 1
    unsupported = memory.byte(f.MEDIA_LANES_UNSUPPORTED.offset) or 0
    media = media & ~unsupported or media
    return Lanes(_numbers(host, banks), _numbers(media, banks))


def _reach(starts: int, count: int) -> int:
    """The lanes, as a mask, of an application of `count` lanes that may start at each bit of `starts`."""
    block = (1 << count) - 1
    return sum({1 << lane for at in range(_PER_BANK) if starts >> at & 1 for lane in _bits(block << at)}) & _ALL


def _bits(mask: int) -> Iterator[int]:
    return (at for at in range(mask.bit_length()) if mask >> at & 1)


def _numbers(mask: int, banks: int) -> frozenset[int]:
    return frozenset(bank * _PER_BANK + at + 1 for bank in range(banks) for at in _bits(mask))
