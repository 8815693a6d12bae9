"""Which families a device serves, given profile and units, and how a quantity becomes one or two of them."""

import re
from collections.abc import Callable, Collection, Mapping
from math import log10
from typing import Final, Literal, NamedTuple

from agent.quantities import DBM_FLOOR, HOST_SNR, MEDIA_SNR, Flag, Quantity, Unit
from exporters.prometheus import families as f
from exporters.prometheus.families import RANK, Family, Profile
from exporters.prometheus.tables import PORT, Column, Row, Tables

PowerUnit = Literal["watts", "dbm"]
Values = tuple[float, ...]
Convert = Callable[[Values], Values]
VdmKeys = tuple[tuple[str, int, str], ...]
"""Observable, lane and unit of each sample of VDM."""

_WHOLE: Final = (0,)
"""The lanes of what speaks of the module."""
_VDM: Final = re.compile(r"(pre_fec_ber|ferc)_(current|min|max|avg)_(media|host)_input|(snr)_(media|host)_input")
_VDM_FAMILIES: Final = {"pre_fec_ber": f.PRE_FEC_BER, "ferc": f.FRAME_ERRORS, "snr": f.SNR}
_SIDE: Final = {MEDIA_SNR: "media", HOST_SNR: "host"}
_SNR_BY_VDM: Final = {"snr_media_input": MEDIA_SNR, "snr_host_input": HOST_SNR}
_UNITS: Final[Mapping[str, tuple[str, float]]] = {
    "%": ("ratio", 0.01),
    "degC": ("celsius", 1.0),
    "V": ("volts", 1.0),
    "MHz": ("hertz", 1e6),
    "ps": ("seconds", 1e-12),
    "ps^2": ("ps2", 1.0),
    "ps/nm": ("ps_per_nm", 1.0),
    "krad/s": ("radians_per_second", 1e3),
}
"""Units of VDM observables that are not those of Prometheus: the word in the name, and the factor."""


def in_dbm(watts: Values) -> Values:
    """`agent.quantities.dbm` of each; spelled out, since this is much of the work of a refresh."""
    return tuple([10.0 * log10(w) + 30.0 if w > 0.0 else DBM_FLOOR for w in watts])


def word(text: str) -> str:
    """`text` as a part of a metric name."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def scaled(factor: float) -> Convert | None:
    """Multiplies all values; None where that changes nothing."""
    return None if factor == 1.0 else lambda values: tuple([value * factor for value in values])


class Output(NamedTuple):
    """Where values go: a column, what its labels say beside port and lane, and how they are converted."""

    column: Column
    family: Family
    labels: str = ""
    convert: Convert | None = None


class Form(NamedTuple):
    """How values become the lines of one column: the same for all ports that have them of the same lanes."""

    column: Column
    template: str
    """With `PORT` for the label of the port and `%r` for each value."""
    convert: Convert | None


Forms = tuple[Form, ...]


def write(forms: Forms, row: Row, values: Values) -> None:
    """Write the lines of a port."""
    for column, template, convert in forms:
        column.write(row, template % (values if convert is None else convert(values)))


def clear(forms: Forms, row: Row) -> None:
    """Take the lines of a port out."""
    for form in forms:
        form.column.clear(row)


class VdmForms(NamedTuple):
    """How a list of VDM samples becomes lines: the forms of each observable, and which of the samples are its."""

    keys: VdmKeys = ()
    observables: tuple[tuple[Forms, tuple[int, ...]], ...] = ()
    snr: frozenset[Quantity] = frozenset()
    """Where VDM has the SNR of a side, that of the diagnostics page would be the same series once more."""


class Layout:
    """The families of one device, and how what its ports report becomes lines of them."""

    def __init__(
        self, tables: Tables, *, profile: Profile, power_units: Collection[PowerUnit] = ("watts", "dbm")
    ) -> None:
        self._tables = tables
        self._rank = RANK[profile]
        self._power_units = power_units
        self._columns: dict[tuple[str, str], Column] = {}
        self._outputs: dict[object, tuple[Output, ...]] = {}
        self._forms: dict[tuple[object, tuple[int, ...]], Forms] = {}
        self._values: dict[Quantity, Forms] = {}
        self._flags: dict[tuple[Flag, int], Forms] = {}
        self._vdm: dict[VdmKeys, VdmForms] = {}

    def column(self, family: Family, use: str = "", *, shared: bool = False) -> Column | None:
        """The column of a family for one use, None when the profile leaves the family out."""
        if RANK[family.profile] > self._rank:
            return None
        column = self._columns.get((family.name, use))
        if column is None:
            column = self._columns[family.name, use] = self._tables.column(family, shared=shared)
        return column

    def line(self, family: Family) -> Forms:
        """One sample a port, of a family that is nothing else."""
        return tuple([_form(each, _WHOLE) for each in self._outputs_of(family)])

    def value(self, quantity: Quantity) -> Forms:
        """A value of the module."""
        forms = self._values.get(quantity)
        if forms is None:
            outputs = self._of_quantity(quantity, "module")
            forms = self._values[quantity] = self._made(quantity.key, outputs, _WHOLE)
        return forms

    def lanes(self, quantity: Quantity, lanes: tuple[int, ...]) -> Forms:
        """Values of lanes."""
        forms = self._forms.get((quantity, lanes))
        return self._made(quantity, self._of_quantity(quantity), lanes) if forms is None else forms

    def flag(self, flag: Flag, offered: int) -> Forms:
        """A flag of the lanes whose bit is set in `offered`."""
        forms = self._flags.get((flag, offered))
        if forms is None:
            lanes = tuple([at + 1 for at in range(offered.bit_length()) if offered >> at & 1])
            forms = self._flags[flag, offered] = self._made(flag, self._of_flag(flag), lanes)
        return forms

    def data_path(self, lanes: tuple[int, ...]) -> Forms:
        """States of the data paths of host lanes."""
        return self._made(f.DATA_PATH_STATE.name, self._outputs_of(f.DATA_PATH_STATE, shared=True), lanes)

    def vdm(self, keys: VdmKeys) -> VdmForms:
        """Group samples by observable. Of two with equal name and lane (in two groups) the first counts."""
        known = self._vdm.get(keys)
        if known is not None:
            return known
        found: dict[tuple[str, str], dict[int, int]] = {}
        for at, (name, lane, unit) in enumerate(keys):
            found.setdefault((name, unit), {}).setdefault(lane, at)
        observables = tuple(
            (self._made(key, self._of_observable(*key), tuple(lanes)), tuple(lanes.values()))
            for key, lanes in found.items()
        )
        snr = frozenset(_SNR_BY_VDM[name] for name, _ in found if name in _SNR_BY_VDM)
        known = self._vdm[keys] = VdmForms(keys, observables, snr)
        return known

    def clear(self, subject: object, row: Row) -> None:
        """Take out what a port has of a quantity (of the module: of its key) or a flag."""
        for output in self._outputs.get(subject, ()):
            output.column.clear(row)

    def clear_all(self, row: Row) -> None:
        """Take out all values of a port."""
        for subject in self._outputs:
            self.clear(subject, row)

    def _made(self, subject: object, outputs: tuple[Output, ...], lanes: tuple[int, ...]) -> Forms:
        """The forms of a subject for some lanes, made when they are new."""
        forms = self._forms.get((subject, lanes))
        if forms is None:
            self._outputs[subject] = outputs
            forms = self._forms[subject, lanes] = tuple([_form(each, lanes) for each in outputs])
        return forms

    def _outputs_of(
        self,
        family: Family,
        *,
        labels: str = "",
        use: str = "",
        convert: Convert | None = None,
        shared: bool = False,
    ) -> tuple[Output, ...]:
        """That of the family, if the profile serves it."""
        column = self.column(family, use + labels, shared=shared)
        return () if column is None else (Output(column, family, labels, convert),)

    def _of_quantity(self, quantity: Quantity, use: str = "") -> tuple[Output, ...]:
        if quantity in _SIDE:
            return self._outputs_of(f.SNR, labels=f',side="{_SIDE[quantity]}",stat="current"', use=use)
        profile: Profile = "basic" if quantity in f.BASIC else "full"
        outputs: tuple[Output, ...] = ()
        if quantity.unit is not Unit.WATT or "watts" in self._power_units:
            outputs = self._outputs_of(f.quantity(quantity, profile=profile), use=use)
        if quantity.unit is Unit.WATT and "dbm" in self._power_units:
            outputs += self._outputs_of(f.in_dbm(quantity), use=use, convert=in_dbm)
        return outputs

    def _of_flag(self, flag: Flag) -> tuple[Output, ...]:
        outputs: tuple[Output, ...] = ()
        if flag in f.LANE_FLAGS:
            outputs = self._outputs_of(f.LANE_FLAGS[flag], shared=True)
        if self._rank == RANK["full"]:
            outputs += self._outputs_of(f.FLAG_ACTIVE, labels=f',flag="{flag.name}"', shared=True)
        return outputs

    def _of_observable(self, observable: str, unit: str) -> tuple[Output, ...]:
        base, factor = _UNITS.get(unit, (word(unit), 1.0))
        name = "_".join(filter(None, ("xcvr_vdm", word(observable), base)))
        outputs = self._outputs_of(
            Family(name, f"VDM observable {observable}.", profile="full"), convert=scaled(factor)
        )
        if match := _VDM.fullmatch(observable):
            kind, stat, side = match[1] or match[4], match[2] or "current", match[3] or match[5]
            outputs += self._outputs_of(_VDM_FAMILIES[kind], labels=f',side="{side}",stat="{stat}"')
        return outputs


def _form(output: Output, lanes: tuple[int, ...]) -> Form:
    head = f"{output.family.name}{{{PORT}"
    rest = output.labels.replace("%", "%%")
    said = (f',lane="{lane}"' if lane else "" for lane in lanes)
    return Form(output.column, "".join([f"{head}{lane}{rest}}} %r\n" for lane in said]), output.convert)
