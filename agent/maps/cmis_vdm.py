"""Versatile diagnostics of CMIS, pages 20h-2Fh: what is measured is declared by the module itself, word by word.

Descriptors (20h-23h) and thresholds (28h-2Bh) are read once; samples (24h-27h) and flags (2Ch) belong to the slow
plan. Statistic observables (min, max, avg, total) are those of an interval that `agent.modules.freezing` ends.
"""

import struct
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import chain, takewhile
from typing import Final, NamedTuple

from agent import quantities as q
from agent.maps.plan import Draft
from agent.maps.registers import Bit, Confidence, Field, Kind, read_bounds, scaler
from agent.maps.vdm import Definitions, VdmSamples
from agent.memory import Memory, Span
from agent.model import Bounds, Trouble
from agent.quantities import BOUNDS, Quantity

ADVERTISED: Final = Bit(0x01, 142, 6)
GROUPS: Final = Field("vdm_groups", page=0x2F, offset=128, bits=(0,), width=2, ref="Page 2Fh, byte 128 bits 1-0",
                      note="number of groups - 1")  # fmt: skip
FINE_INTERVAL: Final = Field(
    "vdm_interval_seconds", page=0x2F, offset=129, kind=Kind.U16, lsb=Fraction(1, 10_000),
    ref="Page 2Fh, bytes 129-130", note="0: not given",
)  # fmt: skip
_DESCRIPTORS: Final = 0x20
_SAMPLES: Final = 0x24
_THRESHOLDS: Final = 0x28
_FLAGS: Final = 0x2C
_INSTANCES: Final = 64
_MOST_GROUPS: Final = 4
_MODULE_WIDE: Final = 15
_LANES: Final = 8
_CUSTOM: Final = range(100, 128)


class Observable(NamedTuple):
    """One kind of measurement; `statistic` ones belong to an interval."""

    name: str
    kind: Kind
    lsb: Fraction = Fraction(1)
    unit: str = ""
    statistic: bool = False
    confidence: Confidence = Confidence.SETTLED


_ONE: Final = Fraction(1)
_SHARE: Final = Fraction(100, 65535)
_SIGNED_SHARE: Final = Fraction(100, 32767)
_TENTH: Final = Fraction(1, 10)
_HUNDREDTH: Final = Fraction(1, 100)
_256TH: Final = Fraction(1, 256)
_RAIL: Final = Fraction(1, 10_000)


def _pairs(first: int, name: str, kind: Kind, unit: str, stats: Sequence[str]) -> dict[int, Observable]:
    """Media and host input, one after the other, for each statistic."""
    sides = [(stat, side) for stat in stats for side in ("media_input", "host_input")]
    return {
        code: Observable(f"{name}_{stat}_{side}", kind, _ONE, unit, statistic=stat != "current")
        for code, (stat, side) in enumerate(sides, first)
    }


_STATS: Final = ("min", "max", "avg", "current")
OBSERVABLES: Final[Mapping[int, Observable]] = {
    1: Observable("laser_age", Kind.U16, _ONE, "%"),
    2: Observable("tec_current", Kind.S16, _SIGNED_SHARE, "%"),
    3: Observable("laser_frequency_error", Kind.S16, Fraction(10), "MHz"),
    4: Observable("laser_temperature", Kind.S16, _256TH, "degC"),
    5: Observable("snr_media_input", Kind.U16, _256TH, "dB"),
    6: Observable("snr_host_input", Kind.U16, _256TH, "dB"),
    7: Observable("pam4_level_transition_parameter_media_input", Kind.U16, _256TH, "dB"),
    8: Observable("pam4_level_transition_parameter_host_input", Kind.U16, _256TH, "dB"),
    **_pairs(9, "pre_fec_ber", Kind.F16, "ratio", _STATS),
    **_pairs(17, "ferc", Kind.F16, "frames per interval", _STATS),
    **_pairs(25, "ferc", Kind.F16, "frames", ("total",)),
    **_pairs(27, "sewmax", Kind.U16, "symbols", _STATS),
    77: Observable("vcc2p6_voltage", Kind.U16, _RAIL, "V"),
    78: Observable("vcc1p8_voltage", Kind.U16, _RAIL, "V"),
    79: Observable("vcc1p2_voltage", Kind.U16, _RAIL, "V"),
    80: Observable("vcc0p9_voltage", Kind.U16, _RAIL, "V"),
    81: Observable("vcc0p7a_voltage", Kind.U16, _RAIL, "V"),
    82: Observable("vcc0p7b_voltage", Kind.U16, _RAIL, "V"),
    83: Observable("vcc12_voltage", Kind.U16, Fraction(1, 4000), "V"),
    84: Observable("els_input_power", Kind.S16, _HUNDREDTH, "dBm"),
    128: Observable("modulator_bias_xi", Kind.U16, _SHARE, "%"),
    129: Observable("modulator_bias_xq", Kind.U16, _SHARE, "%"),
    130: Observable("modulator_bias_yi", Kind.U16, _SHARE, "%"),
    131: Observable("modulator_bias_yq", Kind.U16, _SHARE, "%"),
    132: Observable("modulator_bias_x_phase", Kind.U16, _SHARE, "%"),
    133: Observable("modulator_bias_y_phase", Kind.U16, _SHARE, "%"),
    134: Observable("cd_high_granularity", Kind.S16, _ONE, "ps/nm"),
    135: Observable("cd_low_granularity", Kind.S16, Fraction(20), "ps/nm"),
    136: Observable("dgd", Kind.U16, _HUNDREDTH, "ps"),
    137: Observable("sopmd_high_granularity", Kind.U16, _HUNDREDTH, "ps^2"),
    138: Observable("pdl", Kind.U16, _TENTH, "dB"),
    139: Observable("osnr", Kind.U16, _TENTH, "dB"),
    140: Observable("esnr", Kind.U16, _TENTH, "dB"),
    141: Observable("cfo", Kind.S16, _ONE, "MHz"),
    142: Observable("evm_modem", Kind.U16, _SHARE, "%"),
    143: Observable("tx_power", Kind.S16, _HUNDREDTH, "dBm"),
    144: Observable("rx_total_power", Kind.S16, _HUNDREDTH, "dBm"),
    145: Observable("rx_signal_power", Kind.S16, _HUNDREDTH, "dBm"),
    146: Observable("soproc", Kind.U16, _ONE, "krad/s"),
    147: Observable("mer", Kind.U16, _TENTH, "dB"),
    148: Observable("clock_recovery_loop", Kind.S16, _SIGNED_SHARE, "%"),
    149: Observable("sopmd_low_granularity", Kind.U16, _ONE, "ps^2"),
    150: Observable("snr_margin", Kind.S16, _TENTH, "dB"),
    151: Observable("q_factor", Kind.U16, _TENTH, "dB"),
    152: Observable("q_margin", Kind.S16, _TENTH, "dB"),
}  # fmt: skip
"""By type code of the descriptor: CMIS 5.3 table of observables, C-CMIS from 128. Others are reserved or custom."""
_LANE_QUANTITIES: Final[Mapping[str, Quantity]] = {"snr_media_input": q.MEDIA_SNR, "snr_host_input": q.HOST_SNR}


@dataclass(frozen=True, slots=True)
class Instance:
    """One descriptor: where its sample lies, what it is, of which lane of a bank (0: the module), thresholds."""

    group: int
    index: int
    observable: Observable
    lane: int
    bounds: Bounds


def static_spans(memory: Memory) -> Iterator[Span]:
    """Pages to read once: the number of groups, then their descriptors, then the thresholds that these use."""
    if not ADVERTISED.read(memory):
        return
    yield Span(128, 3, 0x2F)
    for group in range(_groups(memory)):
        page = Span(128, 128, _DESCRIPTORS + group)
        yield page
        raw = memory.get(page) or b""
        sets = [raw[at] >> 4 for at in range(0, len(raw), 2) if raw[at + 1]]
        if sets:
            yield Span(128, 8 * (max(sets) + 1), _THRESHOLDS + group)


def _groups(memory: Memory) -> int:
    """As many as the module says; where that page was not saved, as many as there are descriptors of."""
    raw = memory.get(GROUPS.span())
    if raw is not None:
        return GROUPS.raw(raw)[0] + 1
    saved = (Span(128, 128, _DESCRIPTORS + group) in memory for group in range(_MOST_GROUPS))
    return sum(1 for _ in takewhile(bool, saved))


def instances(
    memory: Memory, custom: Mapping[int, Observable], errors: list[Trouble]
) -> tuple[list[Instance], bool]:
    """Every descriptor in use, and whether all of them could be read. Those without a meaning are an error each."""
    found: list[Instance] = []
    groups = _groups(memory)
    complete = groups > 0
    for group in range(groups):
        for index in range(_INSTANCES):
            raw = memory.get(Span(128 + 2 * index, 2, _DESCRIPTORS + group))
            complete = complete and raw is not None
            if raw is None or not raw[1]:
                continue
            instance = _instance(memory, (group, index), raw, custom)
            if instance is None:
                errors.append(_unexplained(group, index, raw))
            else:
                found.append(instance)
    return found, complete


def _unexplained(group: int, index: int, raw: bytes) -> Trouble:
    return Trouble(
        "vdm_descriptor",
        f"VDM group {group + 1} instance {index + 1}: no observable has type {raw[1]} of resource {raw[0] & 15}",
    )


def _instance(
    memory: Memory, place: tuple[int, int], raw: bytes, custom: Mapping[int, Observable]
) -> Instance | None:
    code, resource = raw[1], raw[0] & 0x0F
    observable = OBSERVABLES.get(code) or custom.get(code)
    if observable is None and code in _CUSTOM:
        observable = Observable(f"custom_{code}", Kind.U16)
    if observable is None or (resource != _MODULE_WIDE and resource >= _LANES):
        return None
    group, index = place
    thresholds = Field(
        observable.name, page=_THRESHOLDS + group, offset=128 + 8 * (raw[0] >> 4), kind=observable.kind,
        lsb=observable.lsb, bounds=True,
    )  # fmt: skip
    bounds = read_bounds(thresholds, memory) or Bounds()
    return Instance(group, index, observable, 0 if resource == _MODULE_WIDE else resource + 1, bounds)


class _Run(NamedTuple):
    """The samples of one group in one bank, and what is known of them beforehand."""

    unpack: Callable[[bytes], tuple[int, ...]]
    scales: tuple[Callable[[int], float], ...]
    definitions: Definitions
    flags: tuple[int, ...]
    """Where each one's flags lie on page 2Ch, in nibbles from byte 128."""
    snr: tuple[tuple[int, Quantity, int], ...]
    """Position, quantity and lane of what is also a value of a lane."""


class VdmPart:
    """Samples of every bank, and their flags where these may be read."""

    def __init__(self, found: Sequence[Instance], banks: int, *, flags: bool) -> None:
        spans: list[Span] = []
        self._runs: list[_Run] = []
        self._flags: list[int] = []
        """For each run the block with its flags; their first byte counts from byte 128."""
        self._first = 0
        self._known: dict[tuple[int, ...], Definitions] = {}
        for bank in range(banks):
            mine = [one for one in found if one.lane or not bank]
            for group in sorted({one.group for one in mine}):
                span, run = _run([one for one in mine if one.group == group], bank)
                spans.append(span)
                self._runs.append(run)
                self._flags.append(bank)
        if flags and self._runs:
            nibbles = [at for run in self._runs for at in run.flags]
            self._first = min(nibbles) >> 1
            size = (max(nibbles) >> 1) + 1 - self._first
            first = len(spans)
            spans += [Span(128 + self._first, size, _FLAGS, bank) for bank in range(banks)]
            self._flags = [first + bank for bank in self._flags]
        else:
            self._flags = []
        self.spans: tuple[Span, ...] = tuple(spans)

    def decode(self, blocks: Sequence[bytes | None], draft: Draft) -> None:
        """Every sample with its thresholds and flags; a page that is missing takes nothing else with it."""
        values = array("d")
        flags: list[Sequence[tuple[str, ...]]] = []
        present: list[int] = []
        for at, run in enumerate(self._runs):
            block = blocks[at]
            if block is None:
                draft.unread.append("vdm")
                continue
            first = len(values)
            values.extend([scale(word) for scale, word in zip(run.scales, run.unpack(block), strict=True)])
            flags.append(_flags(blocks[self._flags[at]] if self._flags else None, run.flags, 2 * self._first))
            present.append(at)
            for position, quantity, lane in run.snr:
                draft.lanes.setdefault(quantity, {})[lane] = values[first + position]
        if present:
            raised = tuple(chain.from_iterable(flags)) if any(map(any, flags)) else _unflagged(len(values))
            draft.vdm.append(VdmSamples(self._together(tuple(present)), values, raised))

    def _together(self, present: tuple[int, ...]) -> Definitions:
        """What the samples of these runs are: the same object for all modules of the kind."""
        known = self._known.get(present)
        if known is None:
            columns = zip(*(self._runs[at].definitions for at in present), strict=True)
            known = self._known[present] = Definitions(*(tuple(chain.from_iterable(each)) for each in columns))
        return known


_FLAG_NAMES: Final = tuple(
    tuple(bound for at, bound in enumerate(BOUNDS) if nibble >> at & 1) for nibble in range(16)
)


@lru_cache(maxsize=256)
def _unflagged(count: int) -> tuple[tuple[str, ...], ...]:
    return ((),) * count


def _flags(block: bytes | None, nibbles: tuple[int, ...], first: int) -> Sequence[tuple[str, ...]]:
    if block is None or not any(block):
        return _unflagged(len(nibbles))
    return [_FLAG_NAMES[block[at - first >> 1] >> 4 * (at & 1) & 15] for at in nibbles]


def _run(found: Sequence[Instance], bank: int) -> tuple[Span, _Run]:
    first, last = found[0].index, found[-1].index
    used = {one.index: one.observable.kind.letter for one in found}
    layout = "".join(used.get(index, "xx") for index in range(first, last + 1))
    lanes = tuple(one.lane and one.lane + _LANES * bank for one in found)
    scales = tuple(
        scaler(Field(one.observable.name, 0, kind=one.observable.kind, lsb=one.observable.lsb)) for one in found
    )
    run = _Run(
        unpack=struct.Struct(">" + layout).unpack,
        scales=scales,
        definitions=Definitions(
            observables=tuple(one.observable.name for one in found),
            lanes=lanes,
            groups=tuple(one.group + 1 for one in found),
            units=tuple(one.observable.unit for one in found),
            bounds=tuple(one.bounds for one in found),
        ),
        flags=tuple(_INSTANCES * one.group + one.index for one in found),
        snr=tuple(
            (at, _LANE_QUANTITIES[one.observable.name], lane)
            for at, (one, lane) in enumerate(zip(found, lanes, strict=True))
            if lane and one.observable.name in _LANE_QUANTITIES
        ),
    )
    return Span(128 + 2 * first, 2 * (last - first + 1), _SAMPLES + found[0].group, bank), run
