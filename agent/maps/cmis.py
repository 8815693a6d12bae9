"""The memory map of CMIS 3.0 to 5.3: what to read of a module, and who it is (lower memory, 00h-02h, 10h, 11h)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from agent.errors import DecodeError
from agent.maps import cmis_fields as f
from agent.maps.cmis_lanes import Lanes, applications, lanes
from agent.maps.cmis_module import add_lanes, identity
from agent.memory import Memory, Span
from agent.model import Bounds, Module, Trouble
from agent.plan import CompiledPlan, compile_plan
from agent.quantities import Quantity
from agent.registers import Field, Item, offered, place, read_bounds

_LOWER: Final = (Span(0, 8), Span(26, 92))
"""Lower memory without its flags and monitors."""
_CPO: Final = 0x80
_ELSFP: Final = 0x22
_BANKS: Final = {0: 1, 1: 2, 2: 4}
_VENDOR_BANKS: Final = 8
"""Code 3, which is reserved, on co-packaged engines (64 lanes)."""
_BIAS_FACTORS: Final = (1, 2, 4, 1)
_SERIAL_NUMBER: Final = f.SERIAL_NUMBER.span()
_READY: Final = "ModuleReady"


class CmisMap:
    """`MemoryMap` of every module that manages itself by CMIS."""

    name = "cmis"

    def missing(self, memory: Memory) -> tuple[Span, ...]:
        """Lower memory first; it says whether there are pages, and page 01h which."""
        return tuple(span for span in self._static(memory) if span not in memory)

    def _static(self, memory: Memory) -> Iterable[Span]:
        yield from _LOWER
        model = memory.byte(f.FLAT.offset)
        if model is None:
            return
        yield Span(128, 128, 0x00)
        if not model >> 7:
            yield Span(128, 128, 0x01)
            yield Span(128, 128, 0x02)

    def describe(self, memory: Memory) -> "CmisDescription":
        """Raises DecodeError only when not even the identifier is there."""
        identifier = memory.byte(f.IDENTIFIER.offset)
        if identifier is None:
            raise DecodeError("byte 0, the identifier of the module, was not read")
        model = memory.byte(f.FLAT.offset)
        flat = model is None or bool(model >> 7)
        used = applications(memory)
        module = identity(memory, identifier, used)
        errors = [
            Trouble("checksum", f"the checksum of page {name[-2:]}h does not match its bytes")
            for name, good in module.get("checksums_valid", {}).items()
            if not good
        ]
        banks = 1 if flat else _banks(memory, identifier, errors)
        reached = lanes(memory, used, identifier, banks)
        if not _lasers_only(memory, identifier):
            add_lanes(module, reached, banks)
        chosen = _Chosen(errors)
        if not flat:
            chosen.monitors(memory)
            if not _lasers_only(memory, identifier):
                chosen.lanes(memory, reached, banks)
        return CmisDescription(
            module=module,
            thresholds=chosen.thresholds,
            flat=flat,
            banks=banks,
            errors=tuple(errors),
            monitors=tuple(chosen.items),
            flags=tuple(chosen.flags),
            slow=tuple(chosen.slow),
            unread=tuple(chosen.unread),
        )


def _lasers_only(memory: Memory, identifier: int) -> bool:
    """An external laser source has no data path: pages 10h and 11h do not exist."""
    return identifier == _ELSFP or memory.byte(f.FUNCTION_TYPE.offset) == 1


def _banks(memory: Memory, identifier: int, errors: list[Trouble]) -> int:
    said = memory.byte(f.CPO_BANKS.offset) if identifier == _CPO else None
    if said is not None and 1 <= said <= _VENDOR_BANKS:
        return said
    raw = memory.get(f.BANKS.span())
    code = 0 if raw is None else f.BANKS.raw(raw)[0]
    if code in _BANKS:
        return _BANKS[code]
    if identifier == _CPO:
        return _VENDOR_BANKS
    errors.append(Trouble("advertisement", "page 01h byte 142 advertises a reserved number of banks, taken as one"))
    return 1


@dataclass(slots=True)
class _Chosen:
    """The registers that one module has."""

    errors: list[Trouble]
    items: list[Item] = field(default_factory=list[Item])
    flags: list[Item] = field(default_factory=list[Item])
    slow: list[Item] = field(default_factory=list[Item])
    thresholds: dict[Quantity, Bounds] = field(default_factory=dict[Quantity, Bounds])
    unread: list[str] = field(default_factory=list[str])

    def monitors(self, memory: Memory) -> None:
        """Monitors of the module, by what page 01h says that the auxiliary ones are."""
        self.items.append(place(f.MODULE_STATE))
        self.flags += [place(flag) for flag in f.MODULE_FLAGS]
        taken: set[Quantity] = set()
        for monitor in f.MODULE_MONITORS:
            if monitor.chosen is not None and monitor.chosen[0].read(memory) is not monitor.chosen[1]:
                continue
            subject = monitor.value.subject
            advertised = monitor.value.advertised
            if not offered(monitor.value, memory) or (
                monitor.optional and advertised and not advertised.read(memory)
            ):
                continue
            if isinstance(subject, Quantity):
                own = monitor.renamed(f.SECOND[subject]) if subject in taken else monitor
                taken.add(subject)
                self._monitor(own, memory, [place(own.value)], [place(flag) for flag in own.flags])

    def lanes(self, memory: Memory, lanes: Lanes, banks: int) -> None:
        """Monitors and flags of the media lanes, flags and states of the host lanes."""
        for monitor in (f.TX_POWER_MONITOR, self._scaled(f.TX_BIAS_MONITOR, memory), f.RX_POWER_MONITOR):
            said = offered(monitor.value, memory)
            if said is None:
                self.unread.append(monitor.value.name)
            if said:
                values = _over_banks(monitor.value, lanes.media, banks)
                flags = [item for flag in monitor.flags for item in _over_banks(flag, lanes.media, banks)]
                self._monitor(monitor, memory, values, flags)
        for rows, there in ((f.HOST_LANE_FLAGS, lanes.host), (f.MEDIA_LANE_FLAGS, lanes.media)):
            for row in rows:
                if offered(row, memory):
                    self.flags += _over_banks(row, there, banks)
        self.slow += _over_banks(f.DATA_PATH_STATES, lanes.host, banks)
        self.slow += _over_banks(f.LANE_APPLICATIONS, lanes.host, banks)
        if offered(f.TX_DISABLED, memory):
            self.slow += _over_banks(f.TX_DISABLED, lanes.media, banks)

    def _scaled(self, monitor: f.Monitor, memory: Memory) -> f.Monitor:
        raw = memory.get(f.TX_BIAS_SCALE.span())
        code = 0 if raw is None else f.TX_BIAS_SCALE.raw(raw)[0]
        if code == len(_BIAS_FACTORS) - 1:
            self.errors.append(Trouble("advertisement", "page 01h byte 160 has a reserved bias scale, taken as 1"))
        lsb = monitor.value.lsb * _BIAS_FACTORS[code]
        return replace(
            monitor, value=replace(monitor.value, lsb=lsb), thresholds=replace(monitor.thresholds, lsb=lsb)
        )

    def _monitor(self, monitor: f.Monitor, memory: Memory, values: list[Item], flags: list[Item]) -> None:
        self.items += values
        self.flags += flags
        bounds = read_bounds(monitor.thresholds, memory)
        subject = monitor.thresholds.subject
        if bounds and isinstance(subject, Quantity):
            self.thresholds[subject] = bounds


def _over_banks(row: Field, there: frozenset[int], banks: int) -> list[Item]:
    items = (place(row, bank=bank, lanes=there) for bank in range(banks))
    return [item for item in items if any(item.lanes)]


@dataclass(frozen=True, slots=True)
class CmisDescription:
    """`Description` of one CMIS module."""

    module: Module
    thresholds: Mapping[Quantity, Bounds]
    flat: bool
    banks: int
    errors: tuple[Trouble, ...]
    monitors: tuple[Item, ...]
    flags: tuple[Item, ...]
    slow: tuple[Item, ...]
    unread: tuple[str, ...]
    """JSON keys of what the module may have, where the page that would say so was not read."""

    @property
    def identity_span(self) -> Span:
        """The serial number."""
        return _SERIAL_NUMBER

    def plan(self, *, flags: bool = True, slow: bool = False) -> CompiledPlan:
        """See `agent.maps.api`; a flat module has nothing to refresh."""
        banks = range(self.banks)
        if slow:
            return compile_plan(self.slow, avoid=f.clear_on_read(banks))
        items = self.monitors + self.flags if flags else self.monitors
        return compile_plan(
            items,
            windows=f.refresh_windows(banks) if flags else (),
            avoid=() if flags else f.clear_on_read(banks),
            unread=self.unread,
            module_state=_READY if self.flat else "",
        )
