"""The last samples of every port: the newest ones in full, an hour at ten seconds, two bytes a value.

    history = History(hub)                              # subscribes to readings
    history.window("leaf-17", "Ethernet0", since=t)     # for forensics
    history.samples("leaf-17", "Ethernet0")             # for the API: documents, oldest first

What is stored is rounded to what a register resolves (1/256 degC, 0.1 mV, 0.001 dB of power): it is for curves, the
values themselves are in the readings. Times are Unix seconds.
"""

import math
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from agent import quantities as q
from agent.document import timestamp
from agent.model import ModuleChange, ModuleEvent, Reading
from agent.quantities import Quantity, Unit, dbm
from agent.state import Hub, PortForgotten

SPACING_S: Final = 10.0
"""Least time between two samples that are kept for long."""
KEPT: Final = 360
"""Samples kept for long: an hour."""
RECENT: Final = 60
"""Samples kept in full, however fast they come."""

_ABSENT: Final = 0xFFFF
_MOST: Final = 0xFFFE


@dataclass(frozen=True, slots=True)
class _Codec:
    """A value to 16 bits and back; `_ABSENT` is no value."""

    encode: Callable[[float], int]
    decode: Callable[[int], float]


def _linear(lsb: float, least: float = 0.0) -> _Codec:
    return _Codec(lambda value: min(max(round((value - least) / lsb), 0), _MOST), lambda code: code * lsb + least)


def _logarithmic(least: float, step: float) -> _Codec:
    """From `least` on in steps of `step` (relative); 0 is exactly 0."""
    log, width = math.log, math.log1p(step)
    return _Codec(
        lambda value: min(max(round(log(value / least) / width), 0) + 1, _MOST) if value > 0 else 0,
        lambda code: least * math.exp((code - 1) * width) if code else 0.0,
    )


_POWER: Final = _logarithmic(1e-9, 3.5e-4)  # -60 dBm to 39 dBm
_CODECS: Final = {
    q.TEMPERATURE: _linear(1 / 256, -128.0),
    q.LASER_TEMPERATURE: _linear(1 / 256, -128.0),
    q.SUPPLY_VOLTAGE: _linear(1e-4),
    q.TX_POWER: _POWER,
    q.RX_POWER: _POWER,
    q.TX_BIAS: _logarithmic(1e-7, 2.8e-4),
    q.MEDIA_SNR: _linear(1 / 256),
}
"""What is kept, of the module or by lane."""

Key = tuple[Quantity, int]
"""A quantity and its lane; lane 0 is the module."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment of one port."""

    time: float
    values: dict[Quantity, float] = field(default_factory=dict[Quantity, float])
    lanes: dict[Quantity, dict[int, float]] = field(default_factory=dict[Quantity, dict[int, float]])


class _Ring:
    """The last `capacity` samples, by column; grows up to there and then overwrites the oldest."""

    __slots__ = ("_capacity", "_columns", "_next", "_times")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._times = array("d")
        self._columns: dict[Key, array[int]] = {}
        self._next = 0

    def add(self, time: float, codes: dict[Key, int]) -> None:
        """One sample more. Columns that it lacks hold nothing for it."""
        columns, size = self._columns, len(self._times)
        if len(codes) > len(columns) or not codes.keys() <= columns.keys():
            for key in codes.keys() - columns.keys():
                columns[key] = array("H", [_ABSENT]) * size
        if size < self._capacity:
            self._times.append(time)
            for key, column in columns.items():
                column.append(codes.get(key, _ABSENT))
            return
        at = self._next
        self._times[at] = time
        for key, column in columns.items():
            column[at] = codes.get(key, _ABSENT)
        self._next = (at + 1) % self._capacity

    def __iter__(self) -> Iterator[Sample]:
        """Oldest first."""
        order = [*range(self._next, len(self._times)), *range(self._next)]
        for at in order:
            sample = Sample(self._times[at])
            for (quantity, lane), column in self._columns.items():
                if (code := column[at]) == _ABSENT:
                    continue
                value = _CODECS[quantity].decode(code)
                if lane:
                    sample.lanes.setdefault(quantity, {})[lane] = value
                else:
                    sample.values[quantity] = value
            yield sample

    @property
    def oldest(self) -> float:
        """Time of the oldest sample; infinite when there is none."""
        return self._times[self._next % len(self._times)] if self._times else math.inf

    @property
    def size_bytes(self) -> int:
        """Bytes of the stored values."""
        return len(self._times) * (8 + 2 * len(self._columns))


class _Port:
    __slots__ = ("kept", "kept_at", "recent")

    def __init__(self, recent: int, kept: int) -> None:
        self.recent = _Ring(recent)
        self.kept = _Ring(kept)
        self.kept_at = -math.inf


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
        port = self._ports.get((reading.device, reading.port))
        if port is None:
            port = self._ports[reading.device, reading.port] = _Port(*self._sizes)
        codes = _codes(reading)
        port.recent.add(reading.time, codes)
        # A poll may come a little early; a clock that was set back is no reason to stop.
        if not 0 <= reading.time - port.kept_at < 0.95 * self._spacing_s:
            port.kept_at = reading.time
            port.kept.add(reading.time, codes)

    def window(self, device: str, port: str, *, since: float = -math.inf, until: float = math.inf) -> list[Sample]:
        """The samples of a time, oldest first: spaced ones, and from where there are recent ones all of them."""
        rings = self._ports.get((device, port))
        if rings is None:
            return []
        newest_from = rings.recent.oldest
        samples = [sample for sample in rings.kept if sample.time < newest_from]
        samples += rings.recent
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


def _codes(reading: Reading) -> dict[Key, int]:
    codes: dict[Key, int] = {}
    for quantity, value in reading.values.items():
        if (codec := _CODECS.get(quantity)) is not None:
            codes[quantity, 0] = codec.encode(value)
    for quantity, by_lane in reading.lanes.items():
        if (codec := _CODECS.get(quantity)) is not None:
            encode = codec.encode
            for lane, value in by_lane.items():
                codes[quantity, lane] = encode(value)
    return codes


def _document(sample: Sample) -> dict[str, object]:
    document: dict[str, object] = {"time": timestamp(sample.time)}
    for quantity, value in sample.values.items():
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
