"""The memory map of CMIS 3.0 to 5.3: what to read of a module, and who it is.

What a module has is chosen here, once, from its advertisement and the quirk data; the registers themselves stand in
`cmis_fields` and in the file of each family (`cmis_vdm`, `cmis_coherent`, `cmis_tunable`, `cmis_diagnostics`,
`cmis_lasers`, `cmis_linear`, `cmis_bailly`).
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final

from agent import quantities as q
from agent.errors import DecodeError
from agent.maps import (
    cmis_applications,
    cmis_bailly,
    cmis_cdb,
    cmis_coherent,
    cmis_diagnostics,
    cmis_lasers,
    cmis_linear,
    cmis_tunable,
    cmis_vdm,
)
from agent.maps import cmis_fields as f
from agent.maps.cmis_lanes import Lanes, applications, lanes
from agent.maps.cmis_module import add_identity, add_lanes, add_names, facts
from agent.maps.plan import CompiledPlan, Part, compile_plan
from agent.maps.quirks import CustomObservable, Effects, Quirk, Replacement, builtin, effects
from agent.maps.registers import Field, Item, Kind, checksum, offered, place, read_bounds
from agent.memory import Memory, Span
from agent.model import Bounds, Module, Trouble
from agent.quantities import Quantity

_LOWER: Final = (Span(0, 8), Span(26, 92))
"""Lower memory without its flags and monitors."""
_CPO: Final = 0x80
_BANKS: Final = {0: 1, 1: 2, 2: 4}
_VENDOR_BANKS: Final = 8
"""Code 3, which is reserved, on co-packaged engines (64 lanes)."""
_BIAS_FACTORS: Final = (1, 2, 4, 1)
_READY: Final = "ModuleReady"
_KNOWN_MOST: Final = 64
"""Kinds of modules, each with what is known at the steps of its identification, whose registers are kept chosen."""
_ASKED_MOST: Final = 256
_NATURE: Final = ((0, 3), (42, 118), (128, 129), (200, 222))
"""Bytes of lower memory and page 00h that say what a module is, and not which one or how it does."""
_SERIAL_NUMBER: Final = f.SERIAL_NUMBER.span()
_QUIRKS_GO_BY: Final = (f.VENDOR_NAME.span(), f.PART_NUMBER.span(), f.ACTIVE_FIRMWARE.span())
"""Beside the identifier and the media technology."""
_MIRRORS: Final = {0xB0: (0xB4, 0xB5), 0xAF: (0xB3, 0xB4)}
"""Where an engine shows lower memory of its laser source, and where then pages 1Ah and 1Bh are."""


class CmisMap:
    """`MemoryMap` of every module that manages itself by CMIS. `quirks` come after the built-in rows, and win."""

    name = "cmis"

    def __init__(self, quirks: Iterable[Quirk] = ()) -> None:
        self._own_quirks = tuple(quirks)
        self._known: dict[object, _Chosen] = {}
        self._lock = threading.Lock()
        self._asked: dict[object, Effects] = {}

    def missing(self, memory: Memory) -> tuple[Span, ...]:
        """Lower memory first; it says whether there are pages, page 01h which, and these how much of them."""
        return tuple(dict.fromkeys(span for span in self._static(memory) if span not in memory))

    def _static(self, memory: Memory) -> Iterator[Span]:
        yield from _LOWER
        model, identifier = memory.byte(f.FLAT.offset), memory.byte(f.IDENTIFIER.offset)
        if model is None or identifier is None:
            return
        yield Span(128, 128, 0x00)
        if model >> 7:
            return
        yield Span(128, 128, 0x01)
        yield Span(128, 128, 0x02)
        if Span(128, 128, 0x00) not in memory or Span(128, 128, 0x01) not in memory:
            return
        yield from cmis_applications.static_spans(memory)
        yield from cmis_vdm.static_spans(memory)
        yield from cmis_diagnostics.static_spans(memory)
        yield from cmis_coherent.static_spans(memory)
        yield from cmis_tunable.static_spans(memory)
        if cmis_lasers.external(memory, identifier):
            yield cmis_lasers.static_span()
        pages = self._effects(memory, identifier).pages
        if "linear" in pages:
            yield cmis_linear.CAPABILITY
        if "lasers" in pages:
            yield from _laser_pages(memory)

    def _effects(self, memory: Memory, identifier: int) -> Effects:
        """What the quirk data says: each step of an identification asks, once a kind it is worked out."""
        technology = memory.byte(f.MEDIA_TECHNOLOGY.offset)
        key = (identifier, technology, *map(memory.get, _QUIRKS_GO_BY))
        found = self._asked.get(key)
        if found is None:
            if len(self._asked) >= _ASKED_MOST:
                self._asked.clear()
            module = Module(identifier=identifier)
            add_names(module, memory)
            found = self._asked[key] = effects((*builtin(), *self._own_quirks), module, technology)
        return found

    def work_status(self, memory: Memory) -> Span | None:
        """See `agent.maps.api.TellsWork`."""
        model = memory.byte(f.FLAT.offset)
        return None if model is None or model >> 7 else cmis_cdb.STATUS

    def shows_work(self, status: bytes) -> bool:
        """See `agent.maps.api.TellsWork`."""
        return cmis_cdb.shows_work(status)

    def describe(self, memory: Memory) -> "CmisDescription":
        """Raises DecodeError only when not even the identifier is there."""
        identifier = memory.byte(f.IDENTIFIER.offset)
        if identifier is None:
            raise DecodeError("byte 0, the identifier of the module, was not read")
        model = memory.byte(f.FLAT.offset)
        flat = model is None or bool(model >> 7)
        chosen = self._choose(memory, identifier, self._effects(memory, identifier), flat=flat)
        module = chosen.facts.copy()
        add_identity(module, memory)
        wrong = _checksums(memory, module, flat=flat)
        banks = max(chosen.banks, (chosen.laser_count + 7) // 8, cmis_applications.blocks(memory))
        return CmisDescription(module=module, flat=flat, banks=banks, chosen=chosen, wrong=wrong)

    def _choose(self, memory: Memory, identifier: int, found: Effects, *, flat: bool) -> "_Chosen":
        """What the module has; modules that differ in their identity alone share it, and its compiled plans."""
        key = (identifier, found.names, _signature(memory))
        with self._lock:
            chosen = self._known.pop(key, None)
            if chosen is not None:
                self._known[key] = chosen  # the latest used are kept
                return chosen
        chosen = _Chosen(memory, found)
        external = cmis_lasers.external(memory, identifier)
        chosen.banks = 1 if flat else _banks(memory, identifier, chosen)
        used = applications(memory)
        reached = lanes(memory, used, identifier, chosen.banks)
        chosen.facts = facts(memory, identifier, used)
        if not external:
            add_lanes(chosen.facts, reached, chosen.banks)
        if not flat:
            chosen.monitors()
            if not external:
                chosen.lanes(reached, chosen.banks)
                chosen.families(reached, chosen.banks)
            chosen.lasers(external=external)
        with self._lock:
            if len(self._known) >= _KNOWN_MOST:
                del self._known[next(iter(self._known))]
            self._known[key] = chosen
        return chosen


def _signature(memory: Memory) -> tuple[object, ...]:
    """All that is known of a module but its identity, state and firmware: who it is does not say what it has."""
    return tuple([(key, known, data if any(key[1:]) else _unnamed(data)) for key, known, data in memory.pages()])


def _unnamed(data: bytes) -> bytes:
    return b"".join([data[first:end] for first, end in _NATURE])


def _checksums(memory: Memory, module: Module, *, flat: bool) -> tuple[Trouble, ...]:
    """Add that of page 04h to the module where it was read, and complain of the wrong ones."""
    name, covered, at = cmis_tunable.CHECKSUM
    good = None if flat else checksum(memory, covered, at)
    if good is not None:
        module["checksums_valid"] = {**module.get("checksums_valid", {}), name: good}
    return tuple(
        Trouble("checksum", f"the checksum of page {name[-2:]}h does not match its bytes")
        for name, valid in module.get("checksums_valid", {}).items()
        if not valid
    )


def _laser_pages(memory: Memory) -> Iterator[Span]:
    """The pages on which an engine shows its lasers: the first byte of either says which they are."""
    yield from (Span(128, 1, page) for page in _MIRRORS)
    if cmis_bailly.present(memory):
        yield from cmis_bailly.static_spans()
    elif mirror := _mirror(memory):
        yield cmis_lasers.static_span(mirror[0])


def _mirror(memory: Memory) -> tuple[int, int] | None:
    for page, shown in _MIRRORS.items():
        if memory.byte(128, page) == cmis_lasers.ELSFP:
            return shown
    return None


def _banks(memory: Memory, identifier: int, chosen: "_Chosen") -> int:
    if chosen.effects.banks is not None:
        return chosen.effects.banks
    said = memory.byte(f.CPO_BANKS.offset) if identifier == _CPO else None
    if said is not None and 1 <= said <= _VENDOR_BANKS:
        return said
    raw = memory.get(f.BANKS.span())
    code = 0 if raw is None else f.BANKS.raw(raw)[0]
    if code in _BANKS:
        return _BANKS[code]
    if identifier == _CPO:
        return _VENDOR_BANKS
    chosen.trouble("advertisement", "page 01h byte 142 advertises a reserved number of banks, taken as one")
    return 1


@dataclass(slots=True)
class _Chosen:
    """The registers and families that one module has."""

    memory: Memory
    effects: Effects
    errors: list[Trouble] = field(default_factory=list[Trouble])
    items: list[Item] = field(default_factory=list[Item])
    flags: list[Item] = field(default_factory=list[Item])
    slow: list[Item] = field(default_factory=list[Item])
    slow_flags: list[Item] = field(default_factory=list[Item])
    parts: dict[bool, list[Part]] = field(default_factory=lambda: {True: [], False: []})
    """Families of the refresh, by whether clear-on-read bytes may be read."""
    slow_parts: dict[bool, list[Part]] = field(default_factory=lambda: {True: [], False: []})
    thresholds: dict[Quantity, Bounds] = field(default_factory=dict[Quantity, Bounds])
    unread: list[str] = field(default_factory=list[str])
    slow_unread: list[str] = field(default_factory=list[str])
    laser_count: int = 0
    banks: int = 1
    facts: Module = field(default_factory=Module)
    """What the module is, but for what is its own."""
    plans: dict[tuple[bool, bool], CompiledPlan] = field(default_factory=dict[tuple[bool, bool], CompiledPlan])
    """By flags and slow; each module gets a copy of its own."""
    freeze_banks: tuple[int, ...] = ()
    commands: int = 0
    """Commands (CDB) that the module works on at a time."""

    def trouble(self, reason: str, detail: str) -> None:
        """Something about the static pages that is not as it should be."""
        self.errors.append(Trouble(reason, detail))

    def offered(self, row: Field) -> bool | None:
        """What the quirk data says, else the module itself; None when that page is unread."""
        if row.name in self.effects.not_offered:
            return False
        return True if row.name in self.effects.offered else offered(row, self.memory)

    def monitors(self) -> None:
        """Monitors of the module, by what page 01h says that the auxiliary ones are; and whether it is at work."""
        self.commands = cmis_cdb.instances(self.memory)
        if self.commands:
            for parts in self.parts.values():
                parts.append(cmis_cdb.StatusPart(self.commands))
        self.items.append(place(f.MODULE_STATE))
        self.flags += [place(flag) for flag in f.MODULE_FLAGS]
        taken: set[Quantity] = set()
        for monitor in f.MODULE_MONITORS:
            subject = monitor.value.subject
            if not isinstance(subject, Quantity) or not self._has(monitor):
                continue
            own = self._replaced(monitor.renamed(f.SECOND[subject]) if subject in taken else monitor)
            taken.add(subject)
            self._monitor(own, [place(own.value)], [place(flag) for flag in own.flags])

    def _has(self, monitor: f.Monitor) -> bool:
        if monitor.chosen is not None and monitor.chosen[0].read(self.memory) is not monitor.chosen[1]:
            return False
        said = self.offered(monitor.value)
        if monitor.optional and said and monitor.value.name not in self.effects.offered:
            return monitor.value.advertised is not None and bool(monitor.value.advertised.read(self.memory))
        return bool(said)

    def lanes(self, lanes: Lanes, banks: int) -> None:
        """Monitors and flags of the media lanes, flags and states of the host lanes."""
        for monitor in (f.TX_POWER_MONITOR, self._scaled(f.TX_BIAS_MONITOR), f.RX_POWER_MONITOR):
            said = self.offered(monitor.value)
            if said is None:
                self.unread.append(monitor.value.name)
            if said:
                own = self._replaced(monitor)
                flags = [item for flag in own.flags for item in _over_banks(flag, lanes.media, banks)]
                self._monitor(own, _over_banks(own.value, lanes.media, banks), flags)
        for rows, there in ((f.HOST_LANE_FLAGS, lanes.host), (f.MEDIA_LANE_FLAGS, lanes.media)):
            for row in rows:
                if self.offered(row):
                    self.flags += _over_banks(row, there, banks)
        applied = f.STAGED_APPLICATIONS if self.effects.staged_applications else f.LANE_APPLICATIONS
        self.slow += _over_banks(f.DATA_PATH_STATES, lanes.host, banks)
        self.slow += _over_banks(applied, lanes.host, banks)
        if cmis_applications.blocks(self.memory) > 1:
            self.slow += _over_banks(cmis_applications.LANE_BLOCKS, lanes.host, banks)
        if self.offered(f.TX_DISABLED):
            self.slow += _over_banks(f.TX_DISABLED, lanes.media, banks)

    def families(self, lanes: Lanes, banks: int) -> None:
        """What has pages of its own: diagnostics, VDM, coherent, tunable, linear."""
        memory = self.memory
        self._slow_part(cmis_diagnostics.DiagnosticsPart(memory, lanes, banks))
        self.slow += cmis_diagnostics.latency_items(memory, lanes, banks)
        if cmis_vdm.ADVERTISED.read(memory):
            custom = {code: _observable(code, one) for code, one in self.effects.vdm.items()}
            found, complete = cmis_vdm.instances(memory, custom, self.errors)
            self.freeze_banks = _frozen(found, banks, coherent=cmis_coherent.coherent(memory))
            if not complete:
                self.slow_unread.append("vdm")
            for latched, parts in self.slow_parts.items():
                parts.append(cmis_vdm.VdmPart(found, banks, flags=latched))
        self._slow_part(cmis_coherent.CoherentPart(memory))
        if cmis_coherent.coherent(memory):
            self.slow_flags += cmis_coherent.flag_items(memory)
        if cmis_tunable.ADVERTISED.read(memory):
            self._slow_part(cmis_tunable.TunablePart(memory))
        if "linear" in self.effects.pages:
            for monitor in cmis_linear.advertised(memory):
                flags = [place(flag, lanes=lanes.media) for flag in monitor.flags]
                self._monitor(monitor, [place(monitor.value, lanes=lanes.media)], flags)

    def lasers(self, *, external: bool) -> None:
        """An external source of light, or the lasers that an engine shows."""
        memory, pages = self.memory, (cmis_lasers.CONTROL_PAGE, cmis_lasers.MONITOR_PAGE)
        engine = "lasers" in self.effects.pages
        if engine and cmis_bailly.present(memory):
            lasers = cmis_bailly.count(memory)
            self.thresholds |= _of_engine(cmis_bailly.thresholds(memory))
            for flags, parts in self.parts.items():
                parts.append(cmis_bailly.BaillyPart(lasers, flags=flags))
            return
        mirror = _mirror(memory) if engine and not external else None
        if not external and mirror is None:
            return
        shown = mirror or pages
        self.laser_count = cmis_lasers.count(memory, shown[0])
        if not self.laser_count:
            self.unread.append("lasers")
            return
        bounds = cmis_lasers.thresholds(memory, shown[0])
        self.thresholds |= bounds if external else _of_engine(bounds)
        for flags, parts in self.parts.items():
            parts.append(cmis_lasers.LasersPart(self.laser_count, flags=flags, pages=shown))

    def _slow_part(self, part: Part) -> None:
        for parts in self.slow_parts.values():
            parts.append(part)

    def _scaled(self, monitor: f.Monitor) -> f.Monitor:
        raw = self.memory.get(f.TX_BIAS_SCALE.span())
        code = 0 if raw is None else f.TX_BIAS_SCALE.raw(raw)[0]
        if code == len(_BIAS_FACTORS) - 1:
            self.trouble("advertisement", "page 01h byte 160 has a reserved bias scale, taken as 1")
        return _rescaled(monitor, monitor.value.lsb * _BIAS_FACTORS[code])

    def _replaced(self, monitor: f.Monitor) -> f.Monitor:
        change = self.effects.replace.get(monitor.value.name)
        return monitor if change is None else _changed(monitor, change)

    def _monitor(self, monitor: f.Monitor, values: list[Item], flags: list[Item]) -> None:
        self.items += values
        self.flags += flags
        bounds = read_bounds(monitor.thresholds, self.memory)
        subject = monitor.thresholds.subject
        if bounds and isinstance(subject, Quantity):
            self.thresholds[subject] = bounds


def _of_engine(bounds: Iterable[tuple[Quantity, Bounds]]) -> Iterator[tuple[Quantity, Bounds]]:
    """Thresholds of lasers beside an engine's own: its lanes have a bias and a power themselves."""
    names = {q.TX_BIAS: q.LASER_BIAS, q.TX_POWER: q.LASER_POWER}
    return ((names.get(quantity, quantity), limits) for quantity, limits in bounds)


def _changed(monitor: f.Monitor, change: Replacement) -> f.Monitor:
    scaled = monitor if change.lsb is None else _rescaled(monitor, change.lsb)
    value = scaled.value
    offset = value.offset if change.offset is None else change.offset
    page = value.page if change.page is None else change.page
    return replace(scaled, value=replace(value, offset=offset, page=page))


def _rescaled(monitor: f.Monitor, lsb: Fraction) -> f.Monitor:
    return replace(monitor, value=replace(monitor.value, lsb=lsb), thresholds=replace(monitor.thresholds, lsb=lsb))


def _observable(code: int, one: CustomObservable) -> cmis_vdm.Observable:
    return cmis_vdm.Observable(one.name or f"custom_{code}", Kind[one.kind], one.lsb, one.unit)


def _frozen(found: Sequence[cmis_vdm.Instance], banks: int, *, coherent: bool) -> tuple[int, ...]:
    """Statistics of lanes are in every bank, those of the module and of coherent performance in the first."""
    statistics = [one for one in found if one.observable.statistic]
    if any(one.lane for one in statistics):
        return tuple(range(banks))
    return (0,) if statistics or (found and coherent) else ()


def _over_banks(row: Field, there: frozenset[int], banks: int) -> list[Item]:
    items = (place(row, bank=bank, lanes=there) for bank in range(banks))
    return [item for item in items if any(item.lanes)]


def _clear_on_read(banks: Sequence[int]) -> list[Span]:
    """Every byte that reading clears, on all pages that are read here."""
    latched = [*f.clear_on_read(banks), Span(137, 5, 0xB0), Span(141, 4, 0xC2), Span(157, 4, 0xC2)]
    for bank in banks:
        latched += [Span(230, 9, 0x12, bank), Span(132, 8, 0x14, bank), Span(128, 128, 0x2C, bank)]
        latched += [Span(128, 5, 0x33, bank), Span(192, 5, 0x3B, bank)]
        latched += [Span(166, 28, page, bank) for page in (cmis_lasers.CONTROL_PAGE, 0xB3, 0xB4)]
    return latched


@dataclass(frozen=True, slots=True)
class CmisDescription:
    """`Description` of one CMIS module."""

    module: Module
    flat: bool
    banks: int
    chosen: _Chosen
    wrong: tuple[Trouble, ...] = ()

    @property
    def thresholds(self) -> Mapping[Quantity, Bounds]:
        """The module's own, by quantity."""
        return self.chosen.thresholds

    @property
    def errors(self) -> tuple[Trouble, ...]:
        """Wrong checksums, advertisements and descriptors that make no sense."""
        return (*self.wrong, *self.chosen.errors)

    @property
    def effects(self) -> Effects:
        """The quirks of the module: delays and sizes of reads are for who reads it."""
        return self.chosen.effects

    @property
    def freeze_banks(self) -> tuple[int, ...]:
        """The banks with statistics (VDM, coherent performance) that `agent.modules.freezing` makes stand still."""
        return self.chosen.freeze_banks

    def at_work(self, span: Span, block: bytes, *, before: bool) -> bool | None:
        """See `agent.maps.api.Works`."""
        count = self.chosen.commands
        return cmis_cdb.at_work(span, block, count, before=before) if count else None

    @property
    def identity_span(self) -> Span:
        """The serial number."""
        return _SERIAL_NUMBER

    def plan(self, *, flags: bool = True, slow: bool = False) -> CompiledPlan:
        """See `agent.maps.api`; a flat module has nothing to refresh."""
        known = self.chosen.plans.get((flags, slow))
        if known is None:
            known = self.chosen.plans[flags, slow] = self._compile(flags=flags, slow=slow)
        return known.fresh()

    def _compile(self, *, flags: bool, slow: bool) -> CompiledPlan:
        chosen, banks = self.chosen, range(self.banks)
        if slow:
            return compile_plan(
                chosen.slow + chosen.slow_flags if flags else chosen.slow,
                parts=chosen.slow_parts[flags],
                avoid=_clear_on_read(banks),
                unread=chosen.slow_unread,
            )
        return compile_plan(
            chosen.items + chosen.flags if flags else chosen.items,
            parts=chosen.parts[flags],
            windows=f.refresh_windows(banks) if flags else (),
            avoid=() if flags else _clear_on_read(banks),
            unread=chosen.unread,
            module_state=_READY if self.flat else "",
        )
