"""Which families a device serves, given profile and units, and how a quantity becomes one or two of them."""

import re
from collections.abc import Callable, Collection, Mapping
from math import log10
from typing import Final, Literal, NamedTuple

from agent.quantities import DBM_FLOOR, HOST_SNR, MEDIA_SNR, Flag, Quantity, Unit
from exporters import families as f
from exporters.families import RANK, Family, Profile
from exporters.tables import Table, Tables

PORT: Final = "\0"
"""Stands for the label of a port in templates: no name and no number holds it."""
PowerUnit = Literal["watts", "dbm"]
Values = tuple[float, ...]
Convert = Callable[[Values], Values]
VdmKeys = tuple[tuple[str, int, str], ...]
"""Observable, lane and unit of each sample of VDM."""

_VDM: Final = re.compile(r"(pre_fec_ber|ferc)_(current|min|max|avg)_(media|host)_input|(snr)_(media|host)_input")
_VDM_FAMILIES: Final = {"pre_fec_ber": f.PRE_FEC_BER, "ferc": f.FRAME_ERRORS, "snr": f.SNR}
_SIDE: Final = {MEDIA_SNR: "media", HOST_SNR: "host"}
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
    """Where values go: a table, what its labels say beside port and lane, and how they are converted."""

    table: Table
    labels: str = ""
    convert: Convert | None = None


class Layout:
    """The families of one device."""

    def __init__(
        self, tables: Tables, *, profile: Profile, power_units: Collection[PowerUnit] = ("watts", "dbm")
    ) -> None:
        self._tables = tables
        self._rank = RANK[profile]
        self._power_units = power_units
        self._quantities: dict[Quantity, tuple[Output, ...]] = {}
        self._flags: dict[Flag, tuple[Output, ...]] = {}
        self._templates: dict[tuple[str, str, tuple[str, ...]], str] = {}
        self._vdm_keys: dict[VdmKeys, VdmKeys] = {}

    def table(self, family: Family) -> Table | None:
        """The table of a family, None when the profile leaves it out."""
        return self._tables.get(family) if RANK[family.profile] <= self._rank else None

    def outputs(self, *families: Family) -> tuple[Output, ...]:
        """Those of the families that the profile serves."""
        return tuple(Output(table) for family in families if (table := self.table(family)) is not None)

    def template(self, out: Output, lanes: tuple[str, ...]) -> str:
        """The text of one output, with `PORT` for the label of the port and `%r` for each value: for all ports."""
        key = (out.table.family.name, out.labels, lanes)
        template = self._templates.get(key)
        if template is None:
            head = f"{out.table.family.name}{{{PORT}"
            rest = out.labels.replace("%", "%%")
            template = self._templates[key] = "".join([f"{head}{lane}{rest}}} %r\n" for lane in lanes])
        return template

    def same(self, keys: VdmKeys) -> VdmKeys:
        """Equal keys of another port, to be kept in their place: ports are alike."""
        return self._vdm_keys.setdefault(keys, keys)

    def of_quantity(self, quantity: Quantity) -> tuple[Output, ...]:
        """Where the values of a quantity go."""
        known = self._quantities.get(quantity)
        if known is None:
            known = self._quantities[quantity] = self._find(quantity)
        return known

    def _find(self, quantity: Quantity) -> tuple[Output, ...]:
        if quantity in _SIDE:
            labels = f',side="{_SIDE[quantity]}",stat="current"'
            return tuple(Output(out.table, labels) for out in self.outputs(f.SNR))
        profile: Profile = "basic" if quantity in f.BASIC else "full"
        if quantity.unit is not Unit.WATT:
            return self.outputs(f.quantity(quantity, profile=profile))
        watts = self.outputs(f.quantity(quantity, profile=profile)) if "watts" in self._power_units else ()
        dbm = self.outputs(f.in_dbm(quantity)) if "dbm" in self._power_units else ()
        return (*watts, *(Output(out.table, convert=in_dbm) for out in dbm))

    def of_flag(self, flag: Flag) -> tuple[Output, ...]:
        """Where the lanes of a flag go."""
        known = self._flags.get(flag)
        if known is None:
            own = self.outputs(f.LANE_FLAGS[flag]) if flag in f.LANE_FLAGS else ()
            every = self.outputs(f.FLAG_ACTIVE) if self._rank == RANK["full"] else ()
            known = (*own, *(Output(out.table, f',flag="{flag.name}"') for out in every))
            self._flags[flag] = known
        return known

    def of_observable(self, observable: str, unit: str) -> tuple[Output, ...]:
        """Where the samples of a VDM observable go."""
        base, factor = _UNITS.get(unit, (word(unit), 1.0))
        name = "_".join(filter(None, ("xcvr_vdm", word(observable), base)))
        own = self.outputs(Family(name, f"VDM observable {observable}.", profile="full"))
        outputs = tuple(Output(out.table, convert=scaled(factor)) for out in own)
        if match := _VDM.fullmatch(observable):
            kind, stat, side = match[1] or match[4], match[2] or "current", match[3] or match[5]
            shared = self.outputs(_VDM_FAMILIES[kind])
            outputs += tuple(Output(out.table, f',side="{side}",stat="{stat}"') for out in shared)
        return outputs
