"""The samples of one module as text: rendered after its poll, and only what differs from the poll before."""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from math import isfinite
from typing import Final, TypeVar

from agent.model import Bounds, LaneFlags, Module, Reading, VdmSample
from agent.quantities import HOST_SNR, MEDIA_SNR, Flag, Quantity
from exporters import families as f
from exporters import samples
from exporters.families import escape
from exporters.layout import PORT, Convert, Layout, Output, Values, VdmKeys
from exporters.samples import Group
from exporters.tables import Slot

K = TypeVar("K")

_SNR_BY_VDM: Final = {"snr_media_input": MEDIA_SNR, "snr_host_input": HOST_SNR}
_NO_LANE: Final = ("",)


@lru_cache(maxsize=4096)
def _bits(offered: int, active: int) -> Values:
    """The bits of `active` where `offered` has one, from bit 0 up."""
    return tuple(active >> at & 1 for at in range(offered.bit_length()) if offered >> at & 1)


@lru_cache(maxsize=256)
def _lane(lane: int) -> str:
    return f',lane="{lane}"' if lane else ""


class Block:
    """One thing of one port, such as a quantity over its lanes: the last values, and where their text stands."""

    __slots__ = ("keys", "label", "outputs", "values")

    def __init__(self, keys: object, label: str, outputs: Iterable[tuple[Slot, str, Convert | None]]) -> None:
        self.keys = keys
        """Which lanes there are: another set of them needs other templates."""
        self.label = label
        self.outputs = tuple(outputs)
        """Slot, template of its text, conversion of the values."""
        self.values: object = None

    def write(self, values: Values) -> None:
        for slot, template, convert in self.outputs:
            text = template % (values if convert is None else convert(values))
            slot.write(text.replace(PORT, self.label))

    def clear(self) -> None:
        for slot, _, _ in self.outputs:
            slot.write("")

    def drop(self) -> None:
        for slot, _, _ in self.outputs:
            slot.drop()


class Observable:
    """One VDM observable of one port: the block of its lanes, and which of the samples they are."""

    __slots__ = ("block", "indices")

    def __init__(self, block: Block, indices: tuple[int, ...]) -> None:
        self.block = block
        self.indices = indices


class PortText:
    """The module of one port in the tables of its device."""

    def __init__(self, port: str, layout: Layout) -> None:
        self._layout = layout
        self._label = f'port="{escape(port)}"'
        self._module: Module | None = None
        self._thresholds: Mapping[Quantity, Bounds] | None = None
        self._identity = Group(layout, port)
        self._bounds = Group(layout, port)
        self._rest = Group(layout, port)
        self._forget()

    def _forget(self) -> None:
        self._last: Reading | None = None
        self._scalars: dict[Quantity, Block] = {}
        self._lanes: dict[Quantity, Block] = {}
        self._lane_flags: dict[Flag, Block] = {}
        self._data_path: dict[str, Block] = {}
        self._observables: list[Observable] = []
        self._vdm_keys: VdmKeys = ()
        self._snr_of_vdm: frozenset[Quantity] = frozenset()

    def reading(self, reading: Reading) -> None:
        """Bring the text up to date."""
        last = self._last
        if reading.module is not self._module:
            self._module = reading.module
            self._identity.write(samples.identity(reading.module))
        if reading.thresholds is not self._thresholds:
            self._thresholds = reading.thresholds
            self._bounds.write(samples.thresholds(reading.thresholds))
        if last is None or (reading.vdm is not last.vdm and reading.vdm != last.vdm):
            self._show_vdm(reading.vdm)
        self._show_scalars(reading.values)
        self._show_lanes(reading.lanes)
        self._show_flags(reading.lane_flags)
        self._show_data_path(reading.data_path_states)
        if last is None or samples.rest_of(reading) != samples.rest_of(last):
            self._rest.write(samples.rest(reading))
        self._last = reading

    def stale(self) -> None:
        """The last poll failed: what it would have brought goes, who the module is and its thresholds stay."""
        for blocks in (self._scalars, self._lanes, self._lane_flags, self._data_path):
            for block in blocks.values():
                block.drop()
        for observable in self._observables:
            observable.block.drop()
        self._rest.drop()
        self._forget()

    def gone(self) -> None:
        """Nothing is in the cage."""
        self.stale()
        self._identity.drop()
        self._bounds.drop()
        self._module = self._thresholds = None

    def _show_scalars(self, values: Mapping[Quantity, float]) -> None:
        blocks = self._scalars
        for quantity, value in values.items():
            block = blocks.get(quantity)
            if block is None:
                block = blocks[quantity] = self._block(None, self._layout.of_quantity(quantity), _NO_LANE)
            if block.values != value:
                block.values = value
                if isfinite(value):
                    block.write((value,))
                else:
                    block.clear()
        if len(blocks) > len(values):
            _lose(blocks, values)

    def _show_lanes(self, lanes: Mapping[Quantity, Mapping[int, float]]) -> None:
        blocks = self._lanes
        for quantity, given in lanes.items():
            column = given
            block = blocks.get(quantity)
            if not isfinite(sum(column.values())):  # beyond the register's range: a number that says nothing
                column = {lane: value for lane, value in column.items() if isfinite(value)}
            keys = tuple(column)
            if block is None or block.keys != keys:
                outputs = () if quantity in self._snr_of_vdm else self._layout.of_quantity(quantity)
                block = self._replace(blocks, quantity, keys, outputs)
            values = tuple(column.values())
            if block.values != values:
                block.values = values
                block.write(values)
        if len(blocks) > len(lanes):
            _lose(blocks, lanes)

    def _show_flags(self, flags: Mapping[Flag, LaneFlags]) -> None:
        blocks = self._lane_flags
        for flag, state in flags.items():
            block = blocks.get(flag)
            if block is None or block.keys != state.offered:
                lanes = [at + 1 for at in range(state.offered.bit_length()) if state.offered >> at & 1]
                block = self._replace(blocks, flag, lanes, self._layout.of_flag(flag))
                block.keys = state.offered
            if block.values != state.active:
                block.values = state.active
                block.write(_bits(state.offered, state.active))
        if len(blocks) > len(flags):
            _lose(blocks, flags)

    def _show_data_path(self, states: Mapping[int, int]) -> None:
        if not states:
            _lose(self._data_path, ())
            return
        block = self._data_path.get("")
        keys = tuple(states)
        if block is None or block.keys != keys:
            block = self._replace(self._data_path, "", keys, self._layout.outputs(f.DATA_PATH_STATE))
        values = tuple(states.values())
        if block.values != values:
            block.values = values
            block.write(values)

    def _show_vdm(self, vdm: tuple[VdmSample, ...]) -> None:
        keys = tuple([(sample.observable, sample.lane, sample.unit) for sample in vdm])
        if keys != self._vdm_keys:
            self._lay_out_vdm(self._layout.same(keys))
        values = [sample.value for sample in vdm]
        for observable in self._observables:
            mine = tuple([values[at] for at in observable.indices])
            if observable.block.values != mine:
                observable.block.values = mine
                observable.block.write(mine)

    def _lay_out_vdm(self, keys: VdmKeys) -> None:
        """Group the samples by observable. Of two with equal name and lane (in two groups) the first counts."""
        for observable in self._observables:
            observable.block.drop()
        found: dict[tuple[str, str], dict[int, int]] = {}
        for at, (name, lane, unit) in enumerate(keys):
            found.setdefault((name, unit), {}).setdefault(lane, at)
        self._vdm_keys = keys
        self._observables = [
            Observable(
                self._block(None, self._layout.of_observable(name, unit), [_lane(lane) for lane in lanes]),
                tuple(lanes.values()),
            )
            for (name, unit), lanes in found.items()
        ]
        # Where VDM has the SNR of a side, the SNR of the diagnostics page would be the same series once more.
        self._snr_of_vdm = frozenset(_SNR_BY_VDM[name] for name, _ in found if name in _SNR_BY_VDM)
        _lose(self._lanes, self._lanes.keys() - {MEDIA_SNR, HOST_SNR})

    def _replace(self, blocks: dict[K, Block], key: K, lanes: Collection[int], outputs: Iterable[Output]) -> Block:
        if key in blocks:
            blocks[key].drop()
        block = blocks[key] = self._block(lanes, outputs, [_lane(lane) for lane in lanes])
        return block

    def _block(self, keys: object, outputs: Iterable[Output], lanes: Iterable[str]) -> Block:
        lanes, template = tuple(lanes), self._layout.template
        return Block(keys, self._label, [(Slot(out.table), template(out, lanes), out.convert) for out in outputs])


def _lose(blocks: dict[K, Block], kept: Collection[K]) -> None:
    """Drop the blocks of what the last reading no longer has."""
    for key in [key for key in blocks if key not in kept]:
        blocks.pop(key).drop()
