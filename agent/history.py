"""The last samples of every port: the newest ones in full, an hour at ten seconds, two bytes a value.

    history = History(hub)                              # subscribes to readings
    history.window("leaf-17", "Ethernet0", since=t)     # for forensics
    history.samples("leaf-17", "Ethernet0")             # for the API: documents, oldest first

What is stored is rounded (1/256 degC, 0.1 mV, eleven significant bits of the rest): it is for curves, the values
themselves are in the readings. Times are Unix seconds.
"""

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import Final, NamedTuple

from agent import quantities as q
from agent.document import timestamp
from agent.model import ModuleChange, ModuleEvent, Reading, VdmSample
from agent.quantities import Quantity, Unit, dbm
from agent.state import Hub, PortForgotten

SPACING_S: Final = 10.0
"""Least time between two samples that are kept for long."""
KEPT: Final = 360
"""Samples kept for long: an hour."""
RECENT: Final = 60
"""Samples kept in full, however fast they come."""

_INTEGERS: Final = {"h": (-0x7FFF, 0x7FFF, -0x8000), "H": (0, 0xFFFE, 0xFFFF)}
"""Least and greatest of a code of `struct`, and what stands for no value."""


class _Codec(NamedTuple):
    """How a value is stored: a code of `struct` of two bytes, and what the value is multiplied with before."""

    code: str
    scale: float


_POWER: Final = _Codec("e", 1e5)
"""Half precision: 0.05 %, or 0.002 dB, from 1 nW to 0.65 W."""
_ERRORS: Final = Quantity(
    "pre_fec_ber_decades", Unit.NONE, "Decades of the worst bit error ratio before correction."
)
"""Of all lanes, as its logarithm: no code of two bytes reaches from 1e-15 to 1."""
_ERRORLESS: Final = 1e-15
_CODECS: Final = {
    _ERRORS: _Codec("h", 1e3),
    q.TEMPERATURE: _Codec("h", 256.0),
    q.LASER_TEMPERATURE: _Codec("h", 256.0),
    q.SUPPLY_VOLTAGE: _Codec("H", 1e4),
    q.TX_POWER: _POWER,
    q.RX_POWER: _POWER,
    q.TX_BIAS: _Codec("e", 1e3),
    q.MEDIA_SNR: _Codec("e", 1.0),
}
"""What is kept, of the module or by lane."""
_HALF_LIMIT: Final = 65504.0

Lanes = Mapping[Quantity, Mapping[int, float]]
Shape = tuple[tuple[Quantity, tuple[int, ...]], ...]
"""Which quantities a row holds, and of which lanes; () is the module."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment of one port."""

    time: float
    values: dict[Quantity, float] = field(default_factory=dict[Quantity, float])
    lanes: dict[Quantity, dict[int, float]] = field(default_factory=dict[Quantity, dict[int, float]])


class _Column(NamedTuple):
    """One quantity of a row, over its lanes; `integer` is its row of `_INTEGERS`."""

    quantity: Quantity
    lanes: tuple[int, ...]
    scale: float
    integer: tuple[int, int, int] | None


class _Row:
    """The layout of one sample in bytes."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.known = frozenset(quantity for quantity, _ in shape)
        codes = (_CODECS[quantity].code * (len(lanes) or 1) for quantity, lanes in shape)
        self.format = struct.Struct("<d" + "".join(codes))
        self._columns = tuple(
            _Column(quantity, lanes, _CODECS[quantity].scale, _INTEGERS.get(_CODECS[quantity].code))
            for quantity, lanes in shape
        )

    def pack(self, time: float, values: Mapping[Quantity, float], lanes: Lanes) -> bytes | None:
        """One row; None when it would need another layout. Once a reading."""
        flat: list[float] = []
        for quantity, numbers, scale, integer in self._columns:
            if numbers:
                by_lane = lanes.get(quantity)
                if by_lane is None:
                    flat += [math.nan] * len(numbers)
                    continue
                if tuple(by_lane) != numbers:
                    return None
                scaled = [value * scale for value in by_lane.values()]
                flat += scaled if max(scaled) < _HALF_LIMIT else [min(each, _HALF_LIMIT) for each in scaled]
            elif integer is not None:
                least, most, none = integer
                value = values.get(quantity)
                flat.append(none if value is None else min(max(round(value * scale), least), most))
            else:
                flat.append(values.get(quantity, math.nan) * scale)
        return self.format.pack(time, *flat)

    def unpack(self, data: bytes) -> Sample:
        """The sample of a row."""
        sample_time, *flat = self.format.unpack(data)
        sample = Sample(sample_time)
        at = 0
        for quantity, numbers in self.shape:
            code, scale = _CODECS[quantity]
            none = _INTEGERS[code][2] if code in _INTEGERS else math.inf
            for lane in numbers or (0,):
                value = flat[at]
                at += 1
                if math.isnan(value) or value == none:
                    continue
                if lane:
                    sample.lanes.setdefault(quantity, {})[lane] = value / scale
                else:
                    sample.values[quantity] = value / scale
        return sample


class _Ring:
    """The last `capacity` rows; grows up to there and then overwrites the oldest."""

    __slots__ = ("_capacity", "_count", "_data", "_next", "_row")

    def __init__(self, capacity: int, row: _Row) -> None:
        self._capacity = capacity
        self._row = row
        self._data = bytearray()
        self._count = 0
        self._next = 0

    def add(self, data: bytes) -> None:
        """One row more."""
        if self._count < self._capacity:
            self._data += data
            self._count += 1
            return
        size = len(data)
        self._data[self._next * size : (self._next + 1) * size] = data
        self._next = (self._next + 1) % self._capacity

    def __iter__(self) -> Iterator[Sample]:
        """Oldest first."""
        size = self._row.format.size
        for at in (*range(self._next, self._count), *range(self._next)):
            yield self._row.unpack(bytes(self._data[at * size : (at + 1) * size]))

    @property
    def size_bytes(self) -> int:
        """Bytes of the stored rows."""
        return len(self._data)


class _Port:
    """Both rings of one port, in the layout of what its module offers."""

    __slots__ = ("errors", "kept", "kept_at", "recent", "row", "seen", "sizes", "vdm")

    def __init__(self, sizes: tuple[int, int], shape: Shape) -> None:
        self.sizes = sizes
        self.row = row = _row(shape)
        self.seen = set(row.known)
        """Quantities that need no other layout: it has them, or they are not kept."""
        self.vdm: tuple[VdmSample, ...] = ()
        self.errors: float | None = None
        """What `vdm` says of bit errors."""
        self.recent = _Ring(sizes[0], row)
        self.kept = _Ring(sizes[1], row)
        self.kept_at = -math.inf

    def widened(self, shape: Shape) -> "_Port":
        """The same samples in a layout that has room for more; lanes and quantities are never given up."""
        lanes = {quantity: set(numbers) for quantity, numbers in self.row.shape}
        for quantity, numbers in shape:
            lanes.setdefault(quantity, set()).update(numbers)
        wider = _Port(self.sizes, tuple((each, tuple(sorted(lanes[each]))) for each in lanes))
        wider.kept_at, wider.vdm, wider.errors = self.kept_at, self.vdm, self.errors
        wider.seen |= self.seen
        for old, new in ((self.recent, wider.recent), (self.kept, wider.kept)):
            for sample in old:
                new.add(wider.padded(sample.time, sample.values, sample.lanes))
        return wider

    def padded(self, time: float, values: Mapping[Quantity, float], lanes: Lanes) -> bytes:
        """One row, with NaN for the lanes that it lacks."""
        full = {
            quantity: {lane: lanes.get(quantity, {}).get(lane, math.nan) for lane in numbers}
            for quantity, numbers in self.row.shape
            if numbers
        }
        return self.row.pack(time, values, full) or b""


class History:
    """The samples of all ports of all devices, as they were published."""

    def __init__(self, hub: Hub, *, spacing_s: float = SPACING_S, kept: int = KEPT, recent: int = RECENT) -> None:
        self._spacing_s = spacing_s
        self._sizes = (recent, kept)
        self._ports: dict[tuple[str, str], _Port] = {}
        hub.subscribe(Reading, self.take)
        hub.subscribe(ModuleEvent, self._changed)
        hub.subscribe(PortForgotten, self._forgotten)

    def take(self, reading: Reading) -> None:
        """Keep what is of interest in a reading."""
        key = (reading.device, reading.port)
        port = self._ports.get(key)
        if port is None:
            port = self._ports[key] = _Port(self._sizes, ())
        values, lanes = reading.values, reading.lanes
        if reading.vdm is not port.vdm:  # read now and then, and the same until then
            port.vdm, port.errors = reading.vdm, _errors(reading.vdm)
        if port.errors is not None:
            values = {**values, _ERRORS: port.errors}
        if not (port.seen.issuperset(values) and port.seen.issuperset(lanes)):
            port = self._ports[key] = port.widened(_shape(values, lanes))
            port.seen.update(values, lanes)
        data = port.row.pack(reading.time, values, lanes)
        if data is None:
            shape = _shape(values, lanes)
            if any(not set(numbers) <= set(dict(port.row.shape)[each]) for each, numbers in shape):
                port = self._ports[key] = port.widened(shape)
            data = port.padded(reading.time, values, lanes)
        port.recent.add(data)
        # A poll may come a little early; a clock that was set back is no reason to stop.
        if not 0 <= reading.time - port.kept_at < 0.95 * self._spacing_s:
            port.kept_at = reading.time
            port.kept.add(data)

    def window(self, device: str, port: str, *, since: float = -math.inf, until: float = math.inf) -> list[Sample]:
        """The samples of a time, oldest first: spaced ones, and from where there are recent ones all of them."""
        rings = self._ports.get((device, port))
        if rings is None:
            return []
        recent = list(rings.recent)
        samples = [sample for sample in rings.kept if not recent or sample.time < recent[0].time]
        samples += recent
        return sorted((each for each in samples if since <= each.time <= until), key=attrgetter("time"))

    def samples(self, device: str, port: str) -> list[dict[str, object]]:
        """The same for the API, with the keys of a reading."""
        return [_document(sample) for sample in self.window(device, port)]

    @property
    def size_bytes(self) -> int:
        """Bytes of all stored values."""
        return sum(port.recent.size_bytes + port.kept.size_bytes for port in self._ports.values())

    def _changed(self, event: ModuleEvent) -> None:
        """Another module begins a history of its own."""
        if event.change is ModuleChange.SWAPPED:
            self._ports.pop((event.device, event.port), None)

    def _forgotten(self, event: PortForgotten) -> None:
        self._ports.pop((event.device, event.port), None)


@lru_cache(maxsize=256)
def _row(shape: Shape) -> _Row:
    """Ports of the same kind share it."""
    return _Row(shape)


def _errors(vdm: tuple[VdmSample, ...]) -> float | None:
    """The decades of the worst bit errors, where VDM has them."""
    ratios = [each.value for each in vdm if each.observable.startswith("pre_fec_ber_current_")]
    return math.log10(max(*ratios, _ERRORLESS)) if ratios else None


def _shape(values: Mapping[Quantity, float], lanes: Lanes) -> Shape:
    """The quantities of a reading that are kept, with their lanes."""
    single = tuple((quantity, ()) for quantity in values if quantity in _CODECS)
    laned = tuple((quantity, tuple(numbers)) for quantity, numbers in lanes.items() if quantity in _CODECS)
    return (*single, *laned)


def _document(sample: Sample) -> dict[str, object]:
    document: dict[str, object] = {"time": timestamp(sample.time)}
    for quantity, value in sample.values.items():
        if quantity is _ERRORS:
            document["pre_fec_ber_ratio"] = float(f"{10.0**value:.3g}")
        else:
            document[quantity.key] = _rounded(value)
    lanes: dict[int, dict[str, object]] = {}
    for quantity, by_lane in sample.lanes.items():
        for lane, value in by_lane.items():
            row = lanes.setdefault(lane, {"lane": lane})
            row[quantity.key] = _rounded(value)
            if quantity.unit is Unit.WATT:
                row[f"{quantity.name}_{Unit.DBM.value}"] = round(dbm(value), 3)
    if lanes:
        document["lanes"] = [lanes[lane] for lane in sorted(lanes)]
    return document


def _rounded(value: float) -> float:
    """No more digits than were stored."""
    return float(f"{value:.6g}")
