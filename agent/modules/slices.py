"""A port as a part of an engine: which lanes and lasers it has, and its reading out of the engine's. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, TypeVar

from agent import quantities as q
from agent.model import Application, Feed, LaneFlags, Module, Reading, VdmSample
from agent.quantities import Flag

T_ = TypeVar("T_")

LANE: Final = "{lane}"
PATH: Final = "{path}"
"""In the name of a share: one port for each data path, by its first host lane or its number."""
MOST_LANES: Final = 64
_PER_BANK: Final = 8
_HOST_QUANTITIES: Final = frozenset({q.HOST_SNR, q.HOST_BER, q.HOST_INPUT_VMA, q.RX_LATENCY, q.TX_LATENCY})
_HOST_FLAGS: Final = frozenset({q.TX_LOS, q.TX_CDR_LOL, q.TX_ADAPTIVE_EQ_FAULT, q.DATA_PATH_STATE_CHANGED}) | {
    flag for (name, _), flag in q.LINEAR_FLAGS.items() if name == q.HOST_INPUT_VMA.name
}
"""What is counted by host lane; everything else by media lane."""


class Lasers(NamedTuple):
    """Some lasers of a source, or () for all of them; `source` is the name of the port that reads it."""

    source: str
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Share:
    """What the config says of a port. Without `lanes` it is the whole engine, or as many ports as data paths."""

    name: str
    engine: str
    lanes: tuple[int, ...] = ()
    media_lanes: tuple[int, ...] = ()
    """Where the media side is numbered otherwise than the host side."""
    els: tuple[Lasers, ...] = ()

    @property
    def derived(self) -> bool:
        """One for each data path; then its lasers light the whole engine, each as many lanes as any other."""
        return not self.lanes and (LANE in self.name or PATH in self.name)


class Slice(NamedTuple):
    """One port as it is now: its host and media lanes of the engine, and the lasers (source and number)."""

    name: str
    host: tuple[int, ...]
    media: tuple[int, ...]
    lasers: tuple[tuple[str, int], ...]


def slices(shares: Iterable[Share], whole: Reading | None, order: Mapping[str, Sequence[int]]) -> Iterator[Slice]:
    """The ports of an engine, as far as they are known: `whole` is its reading, `order` the lasers of sources."""
    for share in shares:
        lasers = tuple((s, n) for s, chosen in share.els for n in chosen or order.get(s, ()))
        if not share.derived:
            yield Slice(share.name, share.lanes, share.media_lanes or share.lanes, lasers)
        elif whole is not None:
            yield from _derived(share, whole, lasers)


def _derived(share: Share, whole: Reading, lasers: tuple[tuple[str, int], ...]) -> Iterator[Slice]:
    lit = whole.module.get("media_lanes", 0)
    for number, (host, media) in enumerate(data_paths(whole), 1):
        own = [lasers[(lane - 1) * len(lasers) // lit] for lane in media if lasers and lane <= lit]
        name = share.name.replace(LANE, str(host[0])).replace(PATH, str(number))
        yield Slice(name, host, media, tuple(dict.fromkeys(own)))


def data_paths(reading: Reading) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Host and media lanes of each data path, by the application that is active on the lanes of a bank."""
    applications = {one["code"]: one for one in reading.module.get("applications", []) if "code" in one}
    active = reading.lane_applications
    lane, last = 1, max(active, default=0)
    while lane <= last:
        code = active.get(lane)
        application = applications.get(code or 0, Application())
        room = _PER_BANK - (lane - 1) % _PER_BANK
        size = min(application.get("host_lanes", 0) or room, room)
        host = tuple(at for at in range(lane, lane + size) if active.get(at) == code)
        if code is not None:
            yield host, _media(application, host)
        lane += len(host) if code is not None else 1


def _media(application: Application, host: tuple[int, ...]) -> tuple[int, ...]:
    """The media lanes beside these host lanes: the same place in the list of where the application may begin."""
    count = application.get("media_lanes", 0)
    start = (host[0] - 1) % _PER_BANK
    starts = _bits(application.get("host_lane_assignment", 0))
    if not count or start not in starts:
        return host
    place, options = starts.index(start), _bits(application.get("media_lane_assignment", 0))
    first = options[place] if place < len(options) else place * count
    before = host[0] - 1 - start
    return tuple(before + at + 1 for at in range(first, min(first + count, _PER_BANK)))


def _bits(mask: int) -> list[int]:
    return [at for at in range(_PER_BANK) if mask >> at & 1]


class Cut:
    """Takes some lanes out of the readings of an engine, under new numbers; what seldom changes is made once."""

    def __init__(self, host: Mapping[int, int], media: Mapping[int, int]) -> None:
        self._host = host
        self._media = media
        self._made: dict[str, tuple[object, object]] = {}

    def part(self, whole: Reading) -> Reading:
        """The reading with these lanes alone."""
        host, media = self._host, self._media
        return replace(
            whole,
            lanes={
                quantity: part
                for quantity, row in whole.lanes.items()
                if (part := _part(row, host if quantity in _HOST_QUANTITIES else media))
            },
            lane_flags=self.once("flags", whole.lane_flags, self._flags),
            data_path_states=self.once("states", whole.data_path_states, lambda row: _part(row, host)),
            lane_applications=self.once("applications", whole.lane_applications, lambda row: _part(row, host)),
            tx_disabled=self.once("disabled", whole.tx_disabled, lambda row: _part(row, media)),
            vdm=self.once("vdm", whole.vdm, self._samples),
        )

    def once(self, what: str, source: T_, make: Callable[[T_], T_]) -> T_:
        """What `make` makes of a source, kept as long as the source stays the same object."""
        known = self._made.get(what)
        if known is not None and known[0] is source:
            return known[1]  # type: ignore[return-value]  # what `make` gave for this source
        made = make(source)
        self._made[what] = (source, made)
        return made

    def _flags(self, flags: Mapping[Flag, LaneFlags]) -> Mapping[Flag, LaneFlags]:
        found: dict[Flag, LaneFlags] = {}
        for flag, mask in flags.items():
            lanes = self._host if flag in _HOST_FLAGS else self._media
            if offered := _gathered(mask.offered, lanes):
                found[flag] = LaneFlags(offered, _gathered(mask.active, lanes))
        return found

    def _samples(self, vdm: Sequence[VdmSample]) -> Sequence[VdmSample]:
        found: list[VdmSample] = []
        for sample in vdm:
            lanes = self._host if sample.observable.endswith("host_input") else self._media
            number = lanes.get(sample.lane)
            if number is not None:
                found.append(sample._replace(lane=number))
        return tuple(found)


def _part(row: Mapping[int, T_], lanes: Mapping[int, int]) -> dict[int, T_]:
    return {number: row[lane] for lane, number in lanes.items() if lane in row}


def _gathered(mask: int, lanes: Mapping[int, int]) -> int:
    return sum((mask >> lane - 1 & 1) << number - 1 for lane, number in lanes.items() if lane)


class PortCut:
    """Makes the readings of one port."""

    def __init__(self, one: Slice) -> None:
        self.slice = one
        self.name = one.name
        self._cut = Cut(_renumbered(one.host), _renumbered(one.media))

    def reading(self, whole: Reading, feeds: tuple[Feed, ...]) -> Reading:
        """The port's part of a reading: its lanes, and what holds for the whole engine but its events."""
        return replace(
            self._cut.part(whole),
            port=self.name,
            module=self._cut.once("module", whole.module, self._module),
            flags={},
            coherent={},
            lasers=(),
            tunable={},
            fec={},
            errors=(),
            engine=whole.port,
            engine_lanes=self.slice.host,
            fed_by=feeds,
        )

    def _module(self, module: Module) -> Module:
        own = module.copy()
        own["host_lanes"], own["media_lanes"] = len(self.slice.host), len(self.slice.media)
        own.pop("banks", None)
        return own


@dataclass(slots=True)
class Remainder:
    """Makes the readings of the engine itself: what speaks of no lane, and the lanes that no port has."""

    ports: tuple[Slice, ...]
    _cut: Cut = field(init=False)

    def __post_init__(self) -> None:
        host = {lane for port in self.ports for lane in port.host}
        media = {lane for port in self.ports for lane in port.media}
        every = range(MOST_LANES + 1)  # 0: the module
        self._cut = Cut(
            {lane: lane for lane in every if lane not in host}, {lane: lane for lane in every if lane not in media}
        )

    def reading(self, whole: Reading) -> Reading:
        """The same object where no port takes anything."""
        return self._cut.part(whole) if self.ports else whole


def _renumbered(lanes: tuple[int, ...]) -> dict[int, int]:
    return {lane: number for number, lane in enumerate(lanes, 1)}
