"""What the items of a plan come to: where in which block of a refresh each stands, and how it is unpacked.

Made once, when `agent.maps.plan` compiles the plan of a module; while it decodes, these rows are all that it
looks at.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Generic, NamedTuple, TypeVar

from agent.maps.registers import Item, Kind
from agent.memory import Span
from agent.model import LaneFlags
from agent.quantities import Flag, Quantity

T = TypeVar("T")


class Place(NamedTuple):
    """Where bytes begin: in which block, and where in it."""

    block: int
    at: int


class Column(NamedTuple):
    """Words of one quantity, lane by lane; `lanes` () is one word of the module."""

    quantity: Quantity
    place: Place
    order: str
    """`>` or `<`, as in `struct`."""
    layout: str
    """The letters of its words and of the holes between them."""
    divisor: int
    """What a word is divided by, where that is all there is to do; else 0."""
    scale: Callable[[int], float]
    lanes: tuple[int, ...]


class Row(NamedTuple):
    """The words of one quantity among those of a run."""

    quantity: Quantity
    lanes: tuple[int, ...]
    first: int
    end: int


class Run(NamedTuple):
    """Words of one block that are unpacked, and divided, together."""

    block: int
    unpack: Callable[[bytes], tuple[int, ...]]
    divisors: tuple[int, ...]
    """One a word."""
    rows: tuple[Row, ...]


class Scaled(NamedTuple):
    """Words of one quantity that take more than a division."""

    block: int
    unpack: Callable[[bytes], tuple[int, ...]]
    scale: Callable[[int], float]
    row: Row


class FlagByte(NamedTuple, Generic[T]):
    """One byte of a flag, over lanes or of the module, and what each of its 256 values means."""

    flag: Flag
    place: Place
    table: tuple[T, ...]


class FlagRun(NamedTuple, Generic[T]):
    """The flags of one block: the bytes that hold them, one a flag, and the table of each."""

    block: int
    pick: Callable[[bytes], tuple[int, ...]]
    flags: tuple[Flag, ...]
    tables: tuple[tuple[T, ...], ...]


class Small(NamedTuple):
    """One value smaller than a byte, or a byte; `lane` 0 is the module."""

    name: str
    place: Place
    shift: int
    mask: int
    lane: int


def overlap(one: Span, other: Span, *, ignore_offsets: bool = False) -> bool:
    if (one.i2c, one.upper) != (other.i2c, other.upper):
        return False
    if one.upper and (one.page, one.bank) != (other.page, other.bank):
        return False
    return ignore_offsets or (one.offset < other.end and other.offset < one.end)


def locate(spans: Sequence[Span], wanted: Span) -> Place:
    for block, span in enumerate(spans):
        if overlap(span, wanted) and span.offset <= wanted.offset and wanted.end <= span.end:
            return Place(block, wanted.offset - span.offset)
    raise LookupError(f"no read covers {wanted}")


def stretches(places: Iterable[tuple[Place, int]]) -> list[tuple[int, int, int]]:
    """Block, first and end of the bytes that all these places (with their lengths) lie in."""
    ends: dict[int, tuple[int, int]] = {}
    for (block, at), length in places:
        first, end = ends.get(block, (at, at))
        ends[block] = min(first, at), max(end, at + length)
    return [(block, first, end) for block, (first, end) in ends.items()]


def column_of(item: Item, place: Place) -> Column:
    row, subject = item.field, item.field.subject
    if row.bits or not isinstance(subject, Quantity):
        raise TypeError(f"{row.name}: a quantity needs whole words")
    used = [at for at, lane in enumerate(item.lanes) if lane]
    lanes = item.lanes[used[0] : used[-1] + 1] if used else (1,)
    layout = "".join(row.kind.letter if lane else f"{row.kind.size}x" for lane in lanes)
    simple = item.convert is None and row.kind is not Kind.F16 and row.lsb.numerator == 1
    numbers = tuple(lane for lane in item.lanes if lane)
    divisor = row.lsb.denominator if simple else 0
    return Column(subject, place, row.kind.order, layout, divisor, item.scale, numbers)


def scaled(column: Column) -> Scaled:
    unpack = struct.Struct(f"{column.order}{column.place.at}x{column.layout}").unpack_from
    return Scaled(column.place.block, unpack, column.scale, Row(column.quantity, column.lanes, 0, 0))


def word_runs(columns: Iterable[Column]) -> list[Run]:
    """Columns of one block and byte order together; one that overlaps another begins a run of its own."""
    groups: list[list[Column]] = []
    for column in columns:
        for group in groups:
            kind = (group[0].place.block, group[0].order)
            if kind == (column.place.block, column.order) and not any(_meet(column, other) for other in group):
                group.append(column)
                break
        else:
            groups.append([column])
    return [_word_run(group) for group in groups]


def _end(column: Column) -> int:
    return column.place.at + struct.calcsize(column.order + column.layout)


def _meet(one: Column, other: Column) -> bool:
    return one.place.at < _end(other) and other.place.at < _end(one)


def _word_run(columns: Sequence[Column]) -> Run:
    layout, at = columns[0].order, 0
    divisors: list[int] = []
    rows: dict[Column, Row] = {}
    for column in sorted(columns, key=lambda column: column.place.at):
        layout += f"{column.place.at - at}x{column.layout}"
        at = _end(column)
        first = len(divisors)
        divisors += [column.divisor] * (len(column.lanes) or 1)
        rows[column] = Row(column.quantity, column.lanes, first, len(divisors))
    unpack = struct.Struct(layout).unpack_from
    return Run(columns[0].place.block, unpack, tuple(divisors), tuple(rows[column] for column in columns))


def small(item: Item, spans: Sequence[Span]) -> list[Small]:
    row = item.field
    place = locate(spans, item.span)
    first = item.span.offset - row.offset
    mask = (1 << row.width) - 1 if row.bits else 0xFF
    starts = row.bits or tuple(range(0, 8 * row.count, 8))
    return [
        Small(row.name, Place(place.block, place.at + (at >> 3) - first), at & 7, mask, lane)
        for at, lane in zip(starts, item.lanes or (0,) * len(starts), strict=True)
        if lane or not item.lanes
    ]


def module_flags(item: Item, spans: Sequence[Span]) -> Iterator[FlagByte[bool]]:
    flag = item.field.subject
    if isinstance(flag, Flag):
        for row in small(item, spans):
            yield FlagByte(flag, row.place, _set_in(row.mask << row.shift))


def lane_flags(item: Item, spans: Sequence[Span]) -> Iterator[FlagByte[LaneFlags]]:
    flag = item.field.subject
    bits: dict[Place, list[tuple[int, int]]] = {}
    if isinstance(flag, Flag):
        for row in small(item, spans):
            bits.setdefault(row.place, []).append((row.shift, row.lane))
        for place, lanes in bits.items():
            yield FlagByte(flag, place, _table(tuple(lanes)))


def flag_runs(rows: Iterable[FlagByte[T]]) -> list[FlagRun[T]]:
    blocks: dict[int, list[FlagByte[T]]] = {}
    for row in rows:
        blocks.setdefault(row.place.block, []).append(row)
    return [
        FlagRun(
            block,
            itemgetter(*(row.place.at for row in mine), 0),  # one more than there are flags: always a tuple
            tuple(row.flag for row in mine),
            tuple(row.table for row in mine),
        )
        for block, mine in blocks.items()
    ]


@lru_cache(maxsize=256)
def _set_in(mask: int) -> tuple[bool, ...]:
    """For every byte whether a bit of the mask is set in it."""
    return tuple(bool(byte & mask) for byte in range(256))


@lru_cache(maxsize=256)
def _table(lanes: tuple[tuple[int, int], ...]) -> tuple[LaneFlags, ...]:
    """For every byte the lanes whose bit is set in it; shared by all flags of that layout."""
    offered = sum(1 << lane - 1 for _, lane in lanes)
    return tuple(
        LaneFlags(offered, sum((byte >> bit & 1) << lane - 1 for bit, lane in lanes)) for byte in range(256)
    )
