"""The plan compiler: the fields of one described module become the reads and the unpackers of a refresh.

    items = [place(TEMPERATURE), place(RX_POWER, lanes={1, 2, 3, 4}), place(RX_LOS, lanes={1, 2, 3, 4})]
    plan = compile_plan(items, avoid=CLEAR_ON_READ)
    blocks = [module.read(span) for span in plan.spans]
    values = plan.decode(blocks)

Everything that can be known before the bytes arrive is worked out once, at compile time; `decode` only unpacks,
divides and fills dictionaries, a whole block at a time: what runs over its words or flags is a builtin. A family
whose layout the bytes themselves declare (VDM, coherent, lasers) is a `Part`: it says which spans it wants and adds
to the `Draft` of the refresh.
"""

import copy
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import getitem, itemgetter, truediv  # pyright: ignore[reportUnknownVariableType]
from typing import Final, Generic, NamedTuple, Protocol, TypeVar, cast

from agent.memory import Memory, Span, merge
from agent.model import (
    APPLICATIONS_A_BLOCK,
    DATA_PATH_STATES,
    MODULE_STATES,
    LaneFlags,
    Laser,
    Stats,
    Trouble,
    Tunable,
    VdmSample,
)
from agent.quantities import Flag, Quantity
from agent.registers import Item, Kind
from agent.values import Values

T = TypeVar("T")
_divide = cast("Callable[[int, int], float]", truediv)

GAP: Final = 128
"""Bytes worth reading in vain: any hole of a page, since another read costs a page select, a hold-off, a check."""


class Draft:
    """A refresh in the making: the part of `Values` that is open for additions by a `Part`."""

    __slots__ = ("coherent", "errors", "fec", "lanes", "lasers", "tunable", "unread", "values", "vdm")

    def __init__(self) -> None:
        self.values: dict[Quantity, float] = {}
        self.lanes: dict[Quantity, dict[int, float]] = {}
        self.vdm: list[VdmSample] = []
        self.coherent: dict[str, Stats] = {}
        self.lasers: list[Laser] = []
        self.tunable: Tunable = {}
        self.fec: dict[str, int] = {}
        self.unread: list[str] = []
        self.errors: list[Trouble] = []


class Part(Protocol):
    """A family of values that is more than rows of fields."""

    @property
    def spans(self) -> tuple[Span, ...]:
        """The bytes it wants, each within one page."""
        ...

    def decode(self, blocks: Sequence[bytes | None], draft: Draft) -> None:
        """Add what the blocks say (one a span, None: could not be read); name in `draft.unread` what is missing."""
        ...


def compile_plan(
    items: Iterable[Item],
    *,
    parts: Sequence[Part] = (),
    windows: Iterable[Span] = (),
    avoid: Iterable[Span] = (),
    gap: int = GAP,
    unread: Iterable[str] = (),
    module_state: str = "",
) -> "CompiledPlan":
    """The plan that reads `items` and `parts`.

    Spans at most `gap` bytes apart become one read, unless bytes of `avoid` (clear on read) lie between them. A
    span that touches one of `windows` is read as that whole window. `unread` names what is always missing.
    `module_state` is the state of a module that has no register for it.
    """
    items = tuple(items)
    wanted = [item.span for item in items] + [span for part in parts for span in part.spans]
    wanted += [window for window in windows if any(_overlap(window, span) for span in wanted)]
    return CompiledPlan(items, tuple(parts), _reads(wanted, tuple(avoid), gap), tuple(unread), module_state)


_COMPILED_MOST: Final = 64
_compiled: Final[dict[object, "CompiledPlan"]] = {}


def shared_plan(items: Sequence[Item], *, avoid: Iterable[Span] = (), unread: Iterable[str] = ()) -> "CompiledPlan":
    """As `compile_plan`, where another module with the same items was compiled already: what `place` made."""
    avoid, unread = tuple(avoid), tuple(unread)
    if any(item.convert is not None for item in items):  # its own calibration: there is no other like it
        return compile_plan(items, avoid=avoid, unread=unread)
    key = (tuple(map(id, items)), avoid, unread)  # the plan keeps the items alive
    plan = _compiled.get(key)
    if plan is None:
        if len(_compiled) >= _COMPILED_MOST:
            _compiled.clear()
        plan = _compiled[key] = compile_plan(items, avoid=avoid, unread=unread)
    return plan.fresh()


def _reads(wanted: Iterable[Span], avoid: Sequence[Span], gap: int) -> tuple[Span, ...]:
    joined: list[Span] = []
    for span in merge(wanted):
        last = joined[-1] if joined else None
        hole = last and last._replace(offset=last.end, length=span.offset - last.end)
        if last and hole and 0 <= hole.length <= gap and _overlap(last, span, ignore_offsets=True):
            whole = last._replace(length=span.end - last.offset)
            if not any(_overlap(hole, latched) for latched in avoid):
                joined[-1] = whole
                continue
        joined.append(span)
    # The highest bank first: bank 0 is left selected for whoever reads without knowing of banks.
    return tuple(sorted(joined, key=lambda span: (span.i2c, span.upper, -span.bank, span.page, span.offset)))


def _overlap(one: Span, other: Span, *, ignore_offsets: bool = False) -> bool:
    if (one.i2c, one.upper) != (other.i2c, other.upper):
        return False
    if one.upper and (one.page, one.bank) != (other.page, other.bank):
        return False
    return ignore_offsets or (one.offset < other.end and other.offset < one.end)


class _Place(NamedTuple):
    """Where bytes begin: in which block, and where in it."""

    block: int
    at: int


class _Column(NamedTuple):
    """Words of one quantity, lane by lane; `lanes` () is one word of the module."""

    quantity: Quantity
    place: _Place
    order: str
    """`>` or `<`, as in `struct`."""
    layout: str
    """The letters of its words and of the holes between them."""
    divisor: int
    """What a word is divided by, where that is all there is to do; else 0."""
    scale: Callable[[int], float]
    lanes: tuple[int, ...]


class _Row(NamedTuple):
    """The words of one quantity among those of a run."""

    quantity: Quantity
    lanes: tuple[int, ...]
    first: int
    end: int


class _Run(NamedTuple):
    """Words of one block that are unpacked, and divided, together."""

    block: int
    unpack: Callable[[bytes], tuple[int, ...]]
    divisors: tuple[int, ...]
    """One a word."""
    rows: tuple[_Row, ...]


class _Scaled(NamedTuple):
    """Words of one quantity that take more than a division."""

    block: int
    unpack: Callable[[bytes], tuple[int, ...]]
    scale: Callable[[int], float]
    row: _Row


class _FlagByte(NamedTuple, Generic[T]):
    """One byte of a flag, over lanes or of the module, and what each of its 256 values means."""

    flag: Flag
    place: _Place
    table: tuple[T, ...]


class _FlagRun(NamedTuple, Generic[T]):
    """The flags of one block: the bytes that hold them, one a flag, and the table of each."""

    block: int
    pick: Callable[[bytes], tuple[int, ...]]
    flags: tuple[Flag, ...]
    tables: tuple[tuple[T, ...], ...]


class _Small(NamedTuple):
    """One value smaller than a byte, or a byte; `lane` 0 is the module."""

    name: str
    place: _Place
    shift: int
    mask: int
    lane: int


class CompiledPlan:
    """The `agent.maps.api.Plan` of one module; while the flags' bytes stay, it hands out the last flags again."""

    __slots__ = (
        "_flag_bytes", "_flag_key", "_flags", "_items", "_keys", "_lane_flags", "_met", "_module_state",
        "_more_lane_flags", "_parts", "_runs", "_scaled", "_settings", "_shared", "_sizes", "_unread", "spans",
    )  # fmt: skip

    def __init__(
        self,
        items: tuple[Item, ...],
        parts: tuple[Part, ...],
        spans: tuple[Span, ...],
        unread: tuple[str, ...],
        module_state: str,
    ) -> None:
        self.spans = spans
        self._sizes = [span.length for span in spans]
        self._items = items
        self._unread = unread
        self._module_state = module_state
        self._parts = [(part, [_locate(spans, span) for span in part.spans]) for part in parts]
        quantities = [item for item in items if isinstance(item.field.subject, Quantity)]
        flags = [item for item in items if isinstance(item.field.subject, Flag)]
        columns = [_column(item, _locate(spans, item.span)) for item in quantities]
        self._runs = _word_runs([column for column in columns if column.divisor])
        self._scaled = [_scaled(column) for column in columns if not column.divisor]
        rows = [row for item in flags if item.lanes for row in _lane_flags(item, spans)]
        first_rows = list({row.flag: row for row in reversed(rows)}.values())[::-1]
        self._lane_flags = _flag_runs(first_rows)
        # Of another bank, or another byte of the same one.
        self._more_lane_flags = [row for row in rows if row not in first_rows]
        self._flags = _flag_runs([row for item in flags if not item.lanes for row in _module_flags(item, spans)])
        named = (item for item in items if isinstance(item.field.subject, str))
        self._settings = [row for item in named for row in _small(item, spans)]
        self._keys = [
            tuple(dict.fromkeys(_keys(item for item in items if _locate(spans, item.span).block == block)))
            for block in range(len(spans))
        ]
        self._flag_bytes = _stretches([(_locate(spans, item.span), item.span.length) for item in flags])
        self._flag_key: list[bytes | None] | None = None
        self._met: dict[object, tuple[Mapping[Flag, bool], Mapping[Flag, LaneFlags]]] = {}
        """What flags of the kind's modules were last: mostly none is set, and one answer serves all."""
        self._shared: tuple[Mapping[Flag, bool], Mapping[Flag, LaneFlags]] = ({}, {})

    def fresh(self) -> "CompiledPlan":
        """The same plan for another module of the kind: it remembers no flags, and shares everything else."""
        other = copy.copy(self)
        other._flag_key = None  # noqa: SLF001  # the same class
        other._shared = ({}, {})  # noqa: SLF001
        return other

    def decode(self, blocks: Sequence[bytes | None]) -> Values:
        """`blocks[i]` holds the bytes of `spans[i]`, None where the read failed (its quantities are `unread`)."""
        if len(blocks) != len(self._sizes):
            raise ValueError(f"{len(blocks)} blocks for {len(self._sizes)} spans")
        if any(map(_shorter, blocks, self._sizes)):
            blocks = [None if _shorter(*pair) else pair[0] for pair in zip(blocks, self._sizes, strict=True)]
        draft = Draft()
        for part, places in self._parts:
            part.decode([_cut(blocks, place, span) for place, span in zip(places, part.spans, strict=True)], draft)
        return self._decode(blocks, draft)

    def decode_memory(self, memory: Memory) -> Values:
        """The same from saved memory, where pages may be missing or short: each field counts for itself."""
        blocks = [memory.get(span) for span in self.spans]
        if None not in blocks:
            return self.decode(blocks)
        known = [item for item in self._items if item.span in memory]
        lost = [item for item in self._items if item.span not in memory]
        draft = Draft()
        draft.unread += _keys(lost)
        for part, _ in self._parts:
            part.decode([memory.get(span) for span in part.spans], draft)
        rest = CompiledPlan(tuple(known), (), merge(i.span for i in known), self._unread, self._module_state)
        return rest._decode([memory.get(span) for span in rest.spans], draft)

    def _decode(self, blocks: Sequence[bytes | None], draft: Draft) -> Values:
        values, lanes = draft.values, draft.lanes
        for index, unpack, divisors, rows in self._runs:
            block = blocks[index]
            if block is not None:
                numbers = list(map(_divide, unpack(block), divisors))
                for quantity, places, first, end in rows:
                    if not places:
                        values[quantity] = numbers[first]
                    elif quantity not in lanes:
                        lanes[quantity] = dict(zip(places, numbers[first:end], strict=False))
                    else:  # the lanes of another bank
                        lanes[quantity].update(zip(places, numbers[first:end], strict=False))
        for index, unpack, scale, (quantity, places, _, _) in self._scaled:
            block = blocks[index]
            if block is not None:
                numbers = list(map(scale, unpack(block)))
                if places:
                    lanes.setdefault(quantity, {}).update(zip(places, numbers, strict=False))
                else:
                    values[quantity] = numbers[0]
        flags, lane_flags = self._decode_flags(blocks)
        state, ready, paths, applications, disabled = self._decode_settings(blocks)
        if None in blocks:
            draft.unread += [
                key for keys, block in zip(self._keys, blocks, strict=True) if block is None for key in keys
            ]
        unread = (*dict.fromkeys(draft.unread), *self._unread) if draft.unread else self._unread
        return Values(
            module_state=state,
            values=values,
            lanes=lanes,
            flags=flags,
            lane_flags=lane_flags,
            data_path_states=paths,
            lane_applications=applications,
            tx_disabled=disabled,
            vdm=tuple(draft.vdm),
            coherent=draft.coherent,
            lasers=tuple(draft.lasers),
            tunable=draft.tunable,
            fec=draft.fec,
            unread=unread,
            errors=tuple(draft.errors),
            data_ready=ready,
        )

    def _decode_flags(self, blocks: Sequence[bytes | None]) -> tuple[Mapping[Flag, bool], Mapping[Flag, LaneFlags]]:
        key = [block[a:b] if (block := blocks[index]) is not None else None for index, a, b in self._flag_bytes]
        if key == self._flag_key:
            return self._shared
        whole = tuple(key)
        known = self._met.get(whole)
        if known is None:
            if len(self._met) >= _MET_MOST:
                self._met.clear()
            known = self._met[whole] = self._new_flags(blocks)
        self._flag_key, self._shared = key, known
        return known

    def _new_flags(self, blocks: Sequence[bytes | None]) -> tuple[Mapping[Flag, bool], Mapping[Flag, LaneFlags]]:
        flags = _flags_of(self._flags, blocks)
        lane_flags = _flags_of(self._lane_flags, blocks)
        for flag, (index, at), table in self._more_lane_flags:
            if (block := blocks[index]) is not None:
                now, before = table[block[at]], lane_flags.get(flag, _NO_LANES)
                lane_flags[flag] = LaneFlags(before.offered | now.offered, before.active | now.active)
        return flags, lane_flags

    def _decode_settings(
        self, blocks: Sequence[bytes | None]
    ) -> tuple[str, bool, dict[int, int], dict[int, int], dict[int, bool]]:
        state, ready = self._module_state, True
        paths: dict[int, int] = {}
        applications: dict[int, int] = {}
        disabled: dict[int, bool] = {}
        for name, (index, at), shift, mask, lane in self._settings:
            block = blocks[index]
            if block is None:
                continue
            value = block[at] >> shift & mask
            if name == "module_state":
                state = MODULE_STATES.get(value, "")
            elif name == "data_path_states":
                if value in DATA_PATH_STATES:
                    paths[lane] = value
            elif name == "lane_applications":
                if value:
                    applications[lane] = value
            elif name == "tx_disabled":
                disabled[lane] = bool(value)
            elif name == "lane_application_blocks":
                if lane in applications:  # whose items come first
                    applications[lane] += value * APPLICATIONS_A_BLOCK
            elif name == "data_not_ready":
                ready = not value
        return state, ready, paths, applications, disabled


def _flags_of(runs: Iterable[_FlagRun[T]], blocks: Sequence[bytes | None]) -> dict[Flag, T]:
    found: dict[Flag, T] = {}
    for index, pick, flags, tables in runs:
        block = blocks[index]
        if block is not None:
            found.update(zip(flags, map(getitem, tables, pick(block)), strict=False))
    return found


_NO_LANES: Final = LaneFlags(0, 0)
_MET_MOST: Final = 64
_SETTING_KEYS: Final = {
    "data_path_states": "datapath_state",
    "lane_applications": "application",
    "tx_disabled": "tx_disabled",
}


def _keys(items: Iterable[Item]) -> Iterator[str]:
    """What the items are called in a reading; flags have no key of their own."""
    for item in items:
        if isinstance(item.field.subject, Quantity):
            yield item.field.name
        elif item.field.name in _SETTING_KEYS and not isinstance(item.field.subject, Flag):
            yield _SETTING_KEYS[item.field.name]


def _shorter(block: bytes | None, size: int) -> bool:
    return block is not None and len(block) < size


def _locate(spans: Sequence[Span], wanted: Span) -> _Place:
    for block, span in enumerate(spans):
        if _overlap(span, wanted) and span.offset <= wanted.offset and wanted.end <= span.end:
            return _Place(block, wanted.offset - span.offset)
    raise LookupError(f"no read covers {wanted}")


def _stretches(places: Iterable[tuple[_Place, int]]) -> list[tuple[int, int, int]]:
    """Block, first and end of the bytes that all these places (with their lengths) lie in."""
    ends: dict[int, tuple[int, int]] = {}
    for (block, at), length in places:
        first, end = ends.get(block, (at, at))
        ends[block] = min(first, at), max(end, at + length)
    return [(block, first, end) for block, (first, end) in ends.items()]


def _cut(blocks: Sequence[bytes | None], place: _Place, span: Span) -> bytes | None:
    block = blocks[place.block]
    return None if block is None else block[place.at : place.at + span.length]


def _column(item: Item, place: _Place) -> _Column:
    row, subject = item.field, item.field.subject
    if row.bits or not isinstance(subject, Quantity):
        raise TypeError(f"{row.name}: a quantity needs whole words")
    used = [at for at, lane in enumerate(item.lanes) if lane]
    lanes = item.lanes[used[0] : used[-1] + 1] if used else (1,)
    layout = "".join(row.kind.letter if lane else f"{row.kind.size}x" for lane in lanes)
    simple = item.convert is None and row.kind is not Kind.F16 and row.lsb.numerator == 1
    numbers = tuple(lane for lane in item.lanes if lane)
    divisor = row.lsb.denominator if simple else 0
    return _Column(subject, place, row.kind.order, layout, divisor, item.scale, numbers)


def _scaled(column: _Column) -> _Scaled:
    unpack = struct.Struct(f"{column.order}{column.place.at}x{column.layout}").unpack_from
    return _Scaled(column.place.block, unpack, column.scale, _Row(column.quantity, column.lanes, 0, 0))


def _word_runs(columns: Iterable[_Column]) -> list[_Run]:
    """Columns of one block and byte order together; one that overlaps another begins a run of its own."""
    groups: list[list[_Column]] = []
    for column in columns:
        for group in groups:
            kind = (group[0].place.block, group[0].order)
            if kind == (column.place.block, column.order) and not any(_meet(column, other) for other in group):
                group.append(column)
                break
        else:
            groups.append([column])
    return [_word_run(group) for group in groups]


def _end(column: _Column) -> int:
    return column.place.at + struct.calcsize(column.order + column.layout)


def _meet(one: _Column, other: _Column) -> bool:
    return one.place.at < _end(other) and other.place.at < _end(one)


def _word_run(columns: Sequence[_Column]) -> _Run:
    layout, at = columns[0].order, 0
    divisors: list[int] = []
    rows: dict[_Column, _Row] = {}
    for column in sorted(columns, key=lambda column: column.place.at):
        layout += f"{column.place.at - at}x{column.layout}"
        at = _end(column)
        first = len(divisors)
        divisors += [column.divisor] * (len(column.lanes) or 1)
        rows[column] = _Row(column.quantity, column.lanes, first, len(divisors))
    unpack = struct.Struct(layout).unpack_from
    return _Run(columns[0].place.block, unpack, tuple(divisors), tuple(rows[column] for column in columns))


def _small(item: Item, spans: Sequence[Span]) -> list[_Small]:
    row = item.field
    place = _locate(spans, item.span)
    first = item.span.offset - row.offset
    mask = (1 << row.width) - 1 if row.bits else 0xFF
    starts = row.bits or tuple(range(0, 8 * row.count, 8))
    return [
        _Small(row.name, _Place(place.block, place.at + (at >> 3) - first), at & 7, mask, lane)
        for at, lane in zip(starts, item.lanes or (0,) * len(starts), strict=True)
        if lane or not item.lanes
    ]


def _module_flags(item: Item, spans: Sequence[Span]) -> Iterator[_FlagByte[bool]]:
    flag = item.field.subject
    if isinstance(flag, Flag):
        for row in _small(item, spans):
            yield _FlagByte(flag, row.place, _set_in(row.mask << row.shift))


def _lane_flags(item: Item, spans: Sequence[Span]) -> Iterator[_FlagByte[LaneFlags]]:
    flag = item.field.subject
    bits: dict[_Place, list[tuple[int, int]]] = {}
    if isinstance(flag, Flag):
        for row in _small(item, spans):
            bits.setdefault(row.place, []).append((row.shift, row.lane))
        for place, lanes in bits.items():
            yield _FlagByte(flag, place, _table(tuple(lanes)))


def _flag_runs(rows: Iterable[_FlagByte[T]]) -> list[_FlagRun[T]]:
    blocks: dict[int, list[_FlagByte[T]]] = {}
    for row in rows:
        blocks.setdefault(row.place.block, []).append(row)
    return [
        _FlagRun(
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
