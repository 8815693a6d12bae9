"""The samples of one module as text: rendered after its poll, and only what differs from the poll before."""

from collections.abc import Mapping
from functools import lru_cache
from math import isfinite, nan
from typing import Final

from agent.model import Bounds, LaneFlags, Module, Reading
from agent.quantities import HOST_SNR, MEDIA_SNR, Flag, Quantity
from exporters.prometheus import samples
from exporters.prometheus.layout import Layout, Values, VdmForms, clear, write
from exporters.prometheus.samples import Groups
from exporters.prometheus.tables import Row

Lanes = Mapping[Quantity, Mapping[int, float]]

_NOTHING: Final = Reading("", "", "", 0.0, Module())
_NO_VDM: Final = VdmForms()
_SNR: Final = (MEDIA_SNR, HOST_SNR)


@lru_cache(maxsize=4096)
def _bits(offered: int, active: int) -> Values:
    """The bits of `active` where `offered` has one, from bit 0 up."""
    return tuple(active >> at & 1 for at in range(offered.bit_length()) if offered >> at & 1)


class PortText:
    """The module of one port in the tables of its device. What stands there is known by the last reading."""

    __slots__ = ("_groups", "_last", "_layout", "_module", "_row", "_thresholds", "_vdm")

    def __init__(self, row: Row, layout: Layout, groups: Groups) -> None:
        self._row = row
        self._layout = layout
        self._groups = groups
        self._module: Module | None = None
        self._thresholds: Mapping[Quantity, Bounds] | None = None
        self._last = _NOTHING
        self._vdm = _NO_VDM

    def reading(self, reading: Reading) -> None:
        """Bring the text up to date."""
        last, row = self._last, self._row
        if reading.module is not self._module:
            if reading.module != self._module:
                self._groups.identity.write(row, samples.identity(reading.module))
            self._module = reading.module
        if reading.thresholds is not self._thresholds:
            if reading.thresholds != self._thresholds:
                self._groups.thresholds.write(row, samples.thresholds(reading.thresholds))
            self._thresholds = reading.thresholds
        before = last.lanes
        if reading.vdm is not last.vdm and reading.vdm != last.vdm and self._show_vdm(reading, last):
            before = {quantity: column for quantity, column in before.items() if quantity not in _SNR}
        self._show_values(reading.values, last.values)
        self._show_lanes(reading.lanes, before)
        if reading.lane_flags is not last.lane_flags:
            self._show_flags(reading.lane_flags, last.lane_flags)
        if reading.data_path_states != last.data_path_states:
            self._show_data_path(reading.data_path_states)
        if samples.rest_of(reading) != samples.rest_of(last):
            self._groups.rest.write(row, samples.rest(reading))
        self._last = reading

    def stale(self) -> None:
        """The last poll failed: what it would have brought goes, who the module is and its thresholds stay."""
        self._layout.clear_all(self._row)
        self._groups.rest.clear(self._row)
        self._last, self._vdm = _NOTHING, _NO_VDM

    def gone(self) -> None:
        """Nothing is in the cage."""
        self.stale()
        self._groups.identity.clear(self._row)
        self._groups.thresholds.clear(self._row)
        self._module = self._thresholds = None

    def _show_values(self, values: Mapping[Quantity, float], before: Mapping[Quantity, float]) -> None:
        for quantity, value in values.items():
            if before.get(quantity) != value:
                if isfinite(value):
                    write(self._layout.value(quantity), self._row, (value,))
                else:
                    self._layout.clear(quantity.key, self._row)
        if not before.keys() <= values.keys():
            for quantity in before.keys() - values.keys():
                self._layout.clear(quantity.key, self._row)

    def _show_lanes(self, lanes: Lanes, before: Lanes) -> None:
        for quantity, given in lanes.items():
            if before.get(quantity) == given or quantity in self._vdm.snr:
                continue
            column = given
            if not isfinite(sum(column.values())):  # beyond the register's range: a number that says nothing
                column = {lane: value for lane, value in column.items() if isfinite(value)}
            values = tuple(column.values())
            write(self._layout.lanes(quantity, tuple(column)), self._row, values)
        if not before.keys() <= lanes.keys():
            for quantity in before.keys() - lanes.keys() - self._vdm.snr:
                self._layout.clear(quantity, self._row)

    def _show_flags(self, flags: Mapping[Flag, LaneFlags], before: Mapping[Flag, LaneFlags]) -> None:
        for flag, state in flags.items():
            old = before.get(flag)
            if old is state:
                continue
            if old is None or old.active != state.active or old.offered != state.offered:
                forms = self._layout.flag(flag, state.offered)
                write(forms, self._row, _bits(state.offered, state.active))
        if not before.keys() <= flags.keys():
            for flag in before.keys() - flags.keys():
                self._layout.clear(flag, self._row)

    def _show_data_path(self, states: Mapping[int, int]) -> None:
        write(self._layout.data_path(tuple(states)), self._row, tuple(states.values()))

    def _show_vdm(self, reading: Reading, last: Reading) -> bool:
        """Whether the samples are of other observables than before."""
        forms = self._vdm
        keys = tuple([(sample.observable, sample.lane, sample.unit) for sample in reading.vdm])
        values = [sample.value for sample in reading.vdm]
        before = [sample.value for sample in last.vdm]
        changed = keys != forms.keys
        if changed:
            before = [nan] * len(values)
            for quantity in _SNR:
                self._layout.clear(quantity, self._row)
            for each, _ in self._vdm.observables:
                clear(each, self._row)
            forms = self._vdm = self._layout.vdm(keys)
        for each, indices in forms.observables:
            mine = tuple([values[at] for at in indices])
            if mine != tuple([before[at] for at in indices]):
                write(each, self._row, mine)
        return changed
