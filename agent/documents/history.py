"""The last samples of every port: the newest ones in full, an hour at ten seconds, a byte a value or less.

    history = History(hub)                              # subscribes to readings
    history.window("leaf-17", "Ethernet0", since=t)     # for forensics
    history.samples("leaf-17", "Ethernet0")             # for the API: documents, oldest first

What is stored is rounded (1/256 degC, 0.1 mV, eleven significant bits of the rest): it is for curves, the values
themselves are in the readings. Times are Unix seconds. A sample has two bytes a value; a few minutes of them are
compressed together, since what one module reports moves little.
"""

import math
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from operator import attrgetter
from typing import Final, NamedTuple

from agent import quantities as q
from agent.documents.reading import timestamp
from agent.maps.vdm import named
from agent.model import ModuleChange, ModuleEvent, Reading, VdmSample
from agent.quantities import Quantity, Unit, dbm
from agent.state import Hub, PortForgotten

SPACING_S: Final = 10.0
"""Least time between two samples that are kept for long."""
KEPT: Final = 360
"""Samples kept for long: an hour."""
RECENT: Final = 60
"""Samples kept in full, however fast they come."""

_RUN: Final = 36
"""Samples that are compressed together: more gain little, and the oldest are dropped by runs."""
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
_BER: Final = ("pre_fec_ber_current_media_input", "pre_fec_ber_current_host_input")
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
        self.format = struct.Struct("<f" + "".join(codes))
        self._columns = tuple(
            _Column(quantity, lanes, _CODECS[quantity].scale, _INTEGERS.get(_CODECS[quantity].code))
            for quantity, lanes in shape
        )

    def flat(self, values: Mapping[Quantity, float], lanes: Lanes) -> list[float] | None:
        """The numbers of one row; None when it would need another layout. Once a reading."""
        flat: list[float] = []
        for quantity, numbers, scale, integer in self._columns:
            if numbers:
                by_lane = lanes.get(quantity)
                if by_lane is None:
                    flat += [math.nan if integer is None else integer[2]] * len(numbers)
                elif (*by_lane,) != numbers:
                    return None
                elif integer is not None:
                    flat += [_whole(value, scale, integer) for value in by_lane.values()]
                else:
                    most = _HALF_LIMIT / scale
                    flat += [_HALF_LIMIT if value >= most else value * scale for value in by_lane.values()]
            elif integer is not None:
                flat.append(_whole(values.get(quantity, math.nan), scale, integer))
            else:
                flat.append(values.get(quantity, math.nan) * scale)
        return flat

    def sample(self, time: float, flat: Sequence[float]) -> Sample:
        """The sample of a row."""
        sample = Sample(time)
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


class _Run:
    """Samples of one layout, one behind the other. Times are kept as seconds since the first."""

    __slots__ = ("_data", "_packed", "begun", "count", "row")

    def __init__(self, row: _Row, begun: float, room: int) -> None:
        self.row = row
        self.begun = begun
        self.count = 0
        self._data: bytes | bytearray = bytearray(room * row.format.size)  # all of it: nothing is ever moved
        self._packed = False

    def add(self, time: float, flat: Sequence[float]) -> None:
        """One sample more; there is room."""
        assert isinstance(self._data, bytearray)
        self.row.format.pack_into(self._data, self.count * self.row.format.size, time - self.begun, *flat)
        self.count += 1

    def pack(self) -> None:
        """Nothing comes any more: keep it compressed, value by value, of each the high bytes together."""
        size = self.row.format.size
        data = self._data[: self.count * size]
        self._data = zlib.compress(b"".join([data[at::size] for at in range(size)]))
        self._packed = True

    def __iter__(self) -> Iterator[Sample]:
        """Oldest first."""
        size, data = self.row.format.size, self._data
        if self._packed:
            columns = zlib.decompress(data)
            data = bytearray(len(columns))
            for at in range(size):
                data[at::size] = columns[at * self.count : (at + 1) * self.count]
        for after_s, *flat in self.row.format.iter_unpack(data[: self.count * size]):
            yield self.row.sample(self.begun + after_s, flat)

    @property
    def size_bytes(self) -> int:
        """Bytes of what is stored."""
        return len(self._data)


class _Ring:
    """The last `capacity` samples. Those that stay for long are `packed`, run by run."""

    __slots__ = ("_capacity", "_count", "_packed", "_room", "_runs")

    def __init__(self, capacity: int, *, packed: bool) -> None:
        self._capacity = capacity
        self._packed = packed
        self._room = max(1, min(_RUN, capacity // 3))
        self._runs: list[_Run] = []  # a dozen: a deque takes a block of 64
        self._count = 0

    def add(self, row: _Row, time: float, flat: Sequence[float]) -> None:
        """One sample more."""
        runs = self._runs
        if not runs or runs[-1].row is not row or runs[-1].count == self._room:
            if runs and self._packed:
                runs[-1].pack()
            runs.append(_Run(row, time, self._room))
        runs[-1].add(time, flat)
        self._count += 1
        if self._count - runs[0].count >= self._capacity:
            self._count -= runs.pop(0).count

    def __iter__(self) -> Iterator[Sample]:
        """Oldest first."""
        for behind, run in enumerate(self._runs):
            yield from islice(run, 0 if behind else max(0, self._count - self._capacity), None)

    @property
    def size_bytes(self) -> int:
        """Bytes of what is stored."""
        return sum(run.size_bytes for run in self._runs)


class _Port:
    """Both rings of one port: each sample is in one of them, in the layout of what the module offers."""

    __slots__ = ("errors", "kept", "kept_at", "last_at", "recent", "row", "seen", "vdm")

    def __init__(self, recent: int, kept: int) -> None:
        self.row = _row(())
        self.seen: set[Quantity] = set()
        """Quantities that need no other layout: it has them, or they are not kept."""
        self.vdm: Sequence[VdmSample] = ()
        self.errors: float | None = None
        """What `vdm` says of bit errors."""
        self.recent = _Ring(recent, packed=False)
        self.kept = _Ring(kept, packed=True)
        self.kept_at = self.last_at = -math.inf

    def widen(self, shape: Shape) -> None:
        """From now on a layout that has room for more; lanes and quantities are never given up."""
        lanes = {quantity: set(numbers) for quantity, numbers in self.row.shape}
        for quantity, numbers in shape:
            lanes.setdefault(quantity, set()).update(numbers)
        self.row = _row(tuple((each, tuple(sorted(lanes[each]))) for each in lanes))

    def padded(self, values: Mapping[Quantity, float], lanes: Lanes) -> list[float]:
        """One row, with NaN for the lanes that it lacks."""
        full = {
            quantity: {lane: lanes.get(quantity, {}).get(lane, math.nan) for lane in numbers}
            for quantity, numbers in self.row.shape
            if numbers
        }
        return self.row.flat(values, full) or []


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
            port = self._ports[key] = _Port(*self._sizes)
        values, lanes = reading.values, reading.lanes
        if reading.vdm is not port.vdm:  # read now and then, and the same until then
            port.vdm, port.errors = reading.vdm, _errors(reading.vdm)
        if port.errors is not None:
            values = {**values, _ERRORS: port.errors}
        if not (port.seen.issuperset(values) and port.seen.issuperset(lanes)):
            port.widen(_shape(values, lanes))
            port.seen.update(values, lanes)
        flat = port.row.flat(values, lanes)
        if flat is None:
            shape = _shape(values, lanes)
            if any(not set(numbers) <= set(dict(port.row.shape)[each]) for each, numbers in shape):
                port.widen(shape)
            flat = port.padded(values, lanes)
        now = port.last_at = reading.time
        # A poll may come a little early; a clock that was set back is no reason to stop.
        spaced = not 0 <= now - port.kept_at < 0.95 * self._spacing_s
        if spaced:
            port.kept_at = now
        (port.kept if spaced else port.recent).add(port.row, now, flat)

    def window(self, device: str, port: str, *, since: float = -math.inf, until: float = math.inf) -> list[Sample]:
        """The samples of a time, oldest first: spaced ones, and from where there are recent ones all of them."""
        rings = self._ports.get((device, port))
        if rings is None:
            return []
        until = min(until, rings.last_at)  # what is later is from before the clock was set back
        samples = [each for ring in (rings.kept, rings.recent) for each in ring if since <= each.time <= until]
        return sorted(samples, key=attrgetter("time"))

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


def _errors(vdm: Sequence[VdmSample]) -> float | None:
    """The decades of the worst bit errors, where VDM has them."""
    ratios = [ratio for observable in _BER for _, ratio in named(vdm, observable)]
    return math.log10(max(*ratios, _ERRORLESS)) if ratios else None


def _shape(values: Mapping[Quantity, float], lanes: Lanes) -> Shape:
    """The quantities of a reading that are kept, with their lanes."""
    single = tuple((quantity, ()) for quantity in values if quantity in _CODECS)
    laned = tuple(
        (quantity, tuple(numbers))
        for quantity, numbers in lanes.items()
        if quantity in _CODECS and quantity not in values  # a switch tells the temperature of module and lanes
    )
    return (*single, *laned)


def _whole(value: float, scale: float, integer: tuple[int, int, int]) -> int:
    """A value as the number that is stored; NaN is none."""
    least, most, none = integer
    return none if math.isnan(value) else min(max(round(value * scale), least), most)


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
