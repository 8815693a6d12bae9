"""SFF-8636: QSFP+ and QSFP28, four lanes; and SFF-8436, from which it grew."""

from collections.abc import Iterable, Mapping
from typing import Final

from agent.errors import DecodeError
from agent.maps import sff8024, sff8636_parameters
from agent.maps import sff8636_fields as f
from agent.maps.quirks import Effects, Quirk
from agent.maps.registers import Field, Item, checksum, offered, place, read_bounds
from agent.maps.sff8636_identity import identity
from agent.maps.sff_common import (
    SffDescription,
    as_said,
    bit_set,
    filled,
    quirks_of,
    said_by,
    same_thresholds,
    wrong_checksums,
)
from agent.memory import Memory, Span
from agent.model import Bounds
from agent.quantities import Quantity

_ALL_LANES: Final = (1, 2, 3, 4)
_TEMPERATURE_AND_VOLTAGE: Final = (f.TEMPERATURE, f.SUPPLY_VOLTAGE)


class Sff8636Map:
    """The `agent.maps.api.MemoryMap` of SFF-8636 and SFF-8436."""

    name = sff8024.SFF8636

    def __init__(self, own: Iterable[Quirk] = ()) -> None:
        self._own_quirks = tuple(own)

    def missing(self, memory: Memory) -> tuple[Span, ...]:
        """Lower memory without its flags and page 00h, then thresholds, then the list of parameters."""
        lower = tuple(span for span in (f.STATUS, f.PROPERTIES) if span not in memory)
        if f.STATUS not in memory:
            return lower  # it says whether there are pages to select
        wanted = [*lower, f.IDENTIFICATION]
        if not bit_set(f.FLAT, memory):
            wanted.append(f.THRESHOLDS)
            if bit_set(f.PARAMETERS, memory):
                wanted += [f.PARAMETER_CONFIG.span(), f.PARAMETER_THRESHOLDS]
        return tuple(span for span in wanted if span not in memory)

    def describe(self, memory: Memory) -> SffDescription:
        """Works on any bytes; raises `DecodeError` only when not even the identifier is there."""
        identifier = memory.byte(0)
        if identifier is None:
            raise DecodeError("byte 0, the identifier of the module, was not read")
        checksums = {name: checksum(memory, covered, at) for name, covered, at in f.CHECKSUMS}
        module, errors = identity(memory, identifier, checksums)
        technology = memory.byte(f.TECHNOLOGY.offset)
        code = None if technology is None else technology >> 4
        effects = quirks_of(self._own_quirks, module, code)
        chosen = _Chosen(memory, code, effects)
        average = f.RX_POWER_AVERAGE.read(memory)
        if f.RX_POWER in chosen.monitors and average is not None:
            # A bit that is clear may also mean that receive power is not measured, but here it is.
            module["rx_power_type"] = "average" if average else "oma"
        serial = memory.get(f.SERIAL_NUMBER.span())
        blank = filled(serial) or serial == b" " * f.SERIAL_NUMBER.length
        places = {"base": "page 00h byte 191", "ext": "page 00h byte 223"}
        return SffDescription(
            module=module,
            thresholds=same_thresholds(chosen.thresholds()),
            flat=chosen.flat,
            identity_span=Span(148, 72) if blank else f.SERIAL_NUMBER.span(),
            items=tuple(chosen.items()),
            slow_items=tuple(chosen.settings()),
            parts=() if chosen.flat else sff8636_parameters.part(memory, latched=True),
            quiet_parts=() if chosen.flat else sff8636_parameters.part(memory, latched=False),
            unread=() if chosen.flat else sff8636_parameters.unread(memory),
            clear_on_read=f.CLEAR_ON_READ,
            errors=(*wrong_checksums(checksums, places), *errors),
            effects=effects,
        )


def implemented_lanes(not_implemented: int) -> tuple[int, ...]:
    """Lanes by byte 113: a bit that is set takes one away."""
    return tuple(lane for lane in _ALL_LANES if not not_implemented >> (lane - 1) & 1)


class _Chosen:
    """Which registers one module has."""

    def __init__(self, memory: Memory, technology: int | None, found: Effects) -> None:
        self._memory = memory
        self._effects = found
        self._revision = memory.byte(f.REVISION.offset) or 0
        self._technology = technology
        self.flat = memory.byte(2) is None or bit_set(f.FLAT, memory)
        self._starting = bool((memory.byte(f.DATA_NOT_READY.offset) or 0) & 1)
        missing = memory.byte(f.LANES_MISSING.offset) if self._revision >= f.REVISION_SFF8636 else 0
        # A module that says it has none of its lanes has all of them: the byte was never written.
        self._lanes = implemented_lanes((missing or 0) & 0xF) or _ALL_LANES
        self.monitors = tuple(monitor for monitor in f.MONITORS if self._has(monitor))

    @property
    def _copper(self) -> bool:
        return self._technology is not None and self._technology >= f.COPPER

    @property
    def _unspecified(self) -> bool:
        """Revision byte 0: nothing says that the option bits are SFF-8636's; SFF-8436 left them reserved."""
        return self._revision == 0 and not self._copper

    def _has(self, monitor: f.Monitor) -> bool:
        said = said_by(self._effects, monitor.value.name)
        return self._measures(monitor) if said is None else said

    def _measures(self, monitor: f.Monitor) -> bool:
        if monitor in _TEMPERATURE_AND_VOLTAGE:
            if self._revision >= f.REVISION_2_8:
                return offered(monitor.value, self._memory) is True
            return self._plausible(monitor) is not False
        if self._copper:
            return False
        if monitor is f.TX_POWER:
            said = offered(monitor.value, self._memory) is True
            return said or (self._unspecified and self._plausible(monitor) is True)
        # No bit speaks of receive power and bias. Nothing but zeros, and no thresholds either: not monitored.
        return self._plausible(monitor) is not False or self._may_have_thresholds(monitor)

    def _plausible(self, monitor: f.Monitor) -> bool | None:
        """Whether the register holds something; None when it is unread, or the module has not measured yet."""
        data = self._memory.get(monitor.value.span())
        if data is None or (self._starting and not self._copper):
            return None
        return not filled(data)

    def _may_have_thresholds(self, monitor: f.Monitor) -> bool:
        if self.flat:
            return False
        data = self._memory.get(monitor.thresholds.span())
        return data is None or not filled(data)

    def thresholds(self) -> Mapping[Quantity, Bounds]:
        """Of every monitor that has some; the warnings are optional, and absent when all their bytes are 0."""
        found: dict[Quantity, Bounds] = {}
        if self.flat:
            return found
        for monitor in self.monitors:
            data = self._memory.get(monitor.thresholds.span())
            bounds = read_bounds(monitor.thresholds, self._memory)
            if not bounds or filled(data):
                continue
            if data is not None and not any(data[4:]):
                bounds = Bounds(high_alarm=bounds.get("high_alarm", 0.0), low_alarm=bounds.get("low_alarm", 0.0))
            found[monitor.subject] = bounds
        return found

    def items(self) -> list[Item]:
        """Monitors, their flags, and the flags of the lanes."""
        items = [self._place(as_said(monitor.value, self._effects)) for monitor in self.monitors]
        flags = [flag for monitor in self.monitors for flag in monitor.flags]
        items += [self._place(flag) for flag in flags if said_by(self._effects, flag.name) is not False]
        items += [self._place(flag) for flag in (f.RX_LOS_FLAG, *f.LANE_FLAGS) if self._flagged(flag)]
        if bit_set(f.INITIALIZED, self._memory) and not self._unspecified:
            items.append(place(f.INITIALIZED_FLAG))
        return [*items, place(f.DATA_NOT_READY)]

    @property
    def _passive(self) -> bool:
        return self._copper and (self._technology or 0) < f.ACTIVE_COPPER

    def _flagged(self, flag: Field) -> bool:
        said = said_by(self._effects, flag.name)
        if said is not None:
            return said
        if self._passive:
            return False
        if flag is f.RX_LOS_FLAG:
            # One bit (of Tx LOS) has to do for both directions on active copper; optics always see their light.
            return not self._copper or bit_set(f.TX_LOS, self._memory)
        return self._unspecified or offered(flag, self._memory) is True

    def settings(self) -> list[Item]:
        """What is set, and seldom changes."""
        said = said_by(self._effects, f.TX_DISABLED.name)
        own = not self._passive and offered(f.TX_DISABLED, self._memory) is True
        return [self._place(f.TX_DISABLED)] if (own if said is None else said) else []

    def _place(self, field: Field) -> Item:
        return place(field, lanes=self._lanes)
