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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import getitem, truediv  # pyright: ignore[reportUnknownVariableType]
from typing import Final, Protocol, TypeVar, cast

from agent.maps import planrows
from agent.maps.registers import Item
from agent.maps.values import Values
from agent.maps.vdm import joined
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
        self.vdm: list[Sequence[VdmSample]] = []
        """Runs of samples."""
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
    wanted += [window for window in windows if any(planrows.overlap(window, span) for span in wanted)]
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
        if last and hole and 0 <= hole.length <= gap and planrows.overlap(last, span, ignore_offsets=True):
            whole = last._replace(length=span.end - last.offset)
            if not any(planrows.overlap(hole, latched) for latched in avoid):
                joined[-1] = whole
                continue
        joined.append(span)
    # The highest bank first: bank 0 is left selected for whoever reads without knowing of banks.
    return tuple(sorted(joined, key=lambda span: (span.i2c, span.upper, -span.bank, span.page, span.offset)))


class CompiledPlan:
    """The `agent.maps.api.Plan` of one module; while the flags' bytes stay, it hands out the last flags again."""

    __slots__ = (
        "_flag_bytes", "_flag_key", "_flags", "_items", "_keys", "_lane_flags", "_met", "_module_state",
        "_more_lane_flags", "_parts", "_runs", "_scaled", "_setting_bytes", "_settings", "_settings_met", "_shared",
        "_sizes", "_unread", "spans",
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
        self._parts = [(part, [planrows.locate(spans, span) for span in part.spans]) for part in parts]
        quantities = [item for item in items if isinstance(item.field.subject, Quantity)]
        flags = [item for item in items if isinstance(item.field.subject, Flag)]
        columns = [planrows.column_of(item, planrows.locate(spans, item.span)) for item in quantities]
        self._runs = planrows.word_runs([column for column in columns if column.divisor])
        self._scaled = [planrows.scaled(column) for column in columns if not column.divisor]
        rows = [row for item in flags if item.lanes for row in planrows.lane_flags(item, spans)]
        first_rows = list({row.flag: row for row in reversed(rows)}.values())[::-1]
        self._lane_flags = planrows.flag_runs(first_rows)
        # Of another bank, or another byte of the same one.
        self._more_lane_flags = [row for row in rows if row not in first_rows]
        self._flags = planrows.flag_runs(
            [row for item in flags if not item.lanes for row in planrows.module_flags(item, spans)]
        )
        named = [item for item in items if isinstance(item.field.subject, str)]
        self._settings = [row for item in named for row in planrows.small(item, spans)]
        self._setting_bytes = [(*planrows.locate(spans, item.span), item.span.length) for item in named]
        self._settings_met: dict[object, _Settings] = {}
        """As with flags: modules of a kind mostly say the same."""
        self._keys = [
            tuple(dict.fromkeys(_keys(item for item in items if planrows.locate(spans, item.span).block == block)))
            for block in range(len(spans))
        ]
        self._flag_bytes = planrows.stretches(
            [(planrows.locate(spans, item.span), item.span.length) for item in flags]
        )
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
            vdm=joined(draft.vdm),
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

    def _decode_settings(self, blocks: Sequence[bytes | None]) -> "_Settings":
        key = tuple(
            [
                block and block[at : at + size]
                for index, at, size in self._setting_bytes
                for block in (blocks[index],)
            ]
        )
        known = self._settings_met.get(key)
        if known is None:
            if len(self._settings_met) >= _MET_MOST:
                self._settings_met.clear()
            known = self._settings_met[key] = self._new_settings(blocks)
        return known

    def _new_settings(self, blocks: Sequence[bytes | None]) -> "_Settings":
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


def _flags_of(runs: Iterable[planrows.FlagRun[T]], blocks: Sequence[bytes | None]) -> dict[Flag, T]:
    found: dict[Flag, T] = {}
    for index, pick, flags, tables in runs:
        block = blocks[index]
        if block is not None:
            found.update(zip(flags, map(getitem, tables, pick(block)), strict=False))
    return found


_Settings = tuple[str, bool, Mapping[int, int], Mapping[int, int], Mapping[int, bool]]
"""State of the module, whether its data are ready; by lane: data path state, application, transmitter off."""
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


def _cut(blocks: Sequence[bytes | None], place: planrows.Place, span: Span) -> bytes | None:
    block = blocks[place.block]
    return None if block is None else block[place.at : place.at + span.length]
