"""Tunable lasers of CMIS modules: what page 04h says they can, what page 12h says they do. First media lane."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from agent.maps import cmis_fields
from agent.maps.cmis_fields import LANES_PER_BANK
from agent.maps.plan import Draft
from agent.maps.registers import Bit, Field, Kind, read
from agent.memory import Memory, Span
from agent.model import Tunable

ADVERTISED: Final = Bit(0x01, 155, 6)
CAPABILITIES: Final = Span(128, 128, 0x04)
CHECKSUM: Final = ("page04", Span(128, 127, 0x04), 255)
FINE_TUNING: Final = Bit(0x04, 129, 7)
PROGRAMMABLE_POWER: Final = Bit(0x04, 196, 7)

_TERA: Final = 10**12
_MEGAHERTZ: Final = Fraction(1_000_000)
_HUNDREDTH: Final = Fraction(1, 100)
_ANCHOR: Final = Fraction(1931, 10)
"""Channel 0 of every grid, in THz."""


class Grid(NamedTuple):
    """Channel n lies at 193.1 THz + (n + shift) * step; `channels` holds the lowest and highest n."""

    step: Fraction
    channels: Field
    supported: Bit
    shift: int = 0


def _grid(name: str, step: Fraction, offset: int, supported: Bit, shift: int = 0) -> Grid:
    channels = Field(
        f"channels_{name}", page=0x04, offset=offset, kind=Kind.S16, lanes=2, advertised=supported,
        ref=f"Page 04h, bytes {offset}-{offset + 3}", note="lowest and highest channel",
    )  # fmt: skip
    return Grid(step, channels, supported, shift)


GRIDS: Final[Mapping[int, Grid]] = {
    0: _grid("3_125_ghz", Fraction(3125, 1_000_000), 130, Bit(0x04, 128, 0)),
    1: _grid("6_25_ghz", Fraction(625, 100_000), 134, Bit(0x04, 128, 1)),
    2: _grid("12_5_ghz", Fraction(125, 10_000), 138, Bit(0x04, 128, 2)),
    3: _grid("25_ghz", Fraction(25, 1000), 142, Bit(0x04, 128, 3)),
    4: _grid("50_ghz", Fraction(50, 1000), 146, Bit(0x04, 128, 4)),
    5: _grid("100_ghz", Fraction(100, 1000), 150, Bit(0x04, 128, 5)),
    6: _grid("33_ghz", Fraction(1, 30), 154, Bit(0x04, 128, 6)),
    7: _grid("75_ghz", Fraction(25, 1000), 158, Bit(0x04, 128, 7)),
    8: _grid("150_ghz", Fraction(25, 1000), 162, Bit(0x04, 129, 6), shift=3),
}
"""By the code in page 12h byte 128 bits 7-4; 15 is "not available". CMIS 5.0 swapped the codes 6 and 7 of 4.0."""
_SWAPPED: Final = {6: 7, 7: 6}
_SWAPPED_BEFORE: Final = 0x50
_NEAR_HERTZ: Final = 1e9


def _row(name: str, offset: int, kind: Kind, lsb: Fraction, *, page: int = 0x12, note: str = "") -> Field:
    lanes = LANES_PER_BANK if page == 0x12 else 0
    last = offset + kind.size * max(lanes, 1) - 1
    return Field(
        name, page=page, offset=offset, kind=kind, lsb=lsb, lanes=lanes, banked=page == 0x12,
        advertised=ADVERTISED if page == 0x12 else PROGRAMMABLE_POWER,
        ref=f"Page {page:02X}h, bytes {offset}-{last}", note=note,
    )  # fmt: skip


MIN_POWER: Final = _row("min_power_dbm", 198, Kind.S16, _HUNDREDTH, page=0x04)
MAX_POWER: Final = _row("max_power_dbm", 200, Kind.S16, _HUNDREDTH, page=0x04)
GRID: Final = _row("grid", 128, Kind.U8, Fraction(1), note="bits 7-4 grid, bit 0 fine tuning enabled")
CHANNEL: Final = _row("channel", 136, Kind.S16, Fraction(1))
FINE_OFFSET: Final = _row("fine_tuning_offset_hertz", 152, Kind.S16, _MEGAHERTZ)
FREQUENCY: Final = _row("current_frequency_hertz", 168, Kind.U32, _MEGAHERTZ)
POWER: Final = _row("configured_power_dbm", 200, Kind.S16, _HUNDREDTH)
STATUS: Final = _row("laser_status", 222, Kind.U8, Fraction(1), note="bit 1 tuning, bit 0 wavelength unlocked")
ROWS: Final = (GRID, CHANNEL, FINE_OFFSET, FREQUENCY, POWER, STATUS, MIN_POWER, MAX_POWER)


def frequency_hertz(code: int, channel: int) -> float | None:
    """The frequency of a channel on the grid with this code; None for a code that is no grid."""
    grid = GRIDS.get(code)
    if grid is None:
        return None
    exact = (_ANCHOR + (channel + grid.shift) * grid.step) * _TERA
    return exact.numerator / exact.denominator


def static_spans(memory: Memory) -> Iterator[Span]:
    """What the laser can do."""
    if ADVERTISED.read(memory):
        yield CAPABILITIES


class TunablePart:
    """Page 12h of the first media lane, beside the limits from page 04h."""

    def __init__(self, memory: Memory) -> None:
        self._limits = _limits(memory)
        self._ranges = {code: found for code, grid in GRIDS.items() if (found := _range(memory, code, grid))}
        self._power = bool(PROGRAMMABLE_POWER.read(memory))
        self._swapped = (memory.byte(cmis_fields.REVISION.offset) or _SWAPPED_BEFORE) < _SWAPPED_BEFORE
        self.spans: tuple[Span, ...] = (Span(128, 95, 0x12),)

    def decode(self, blocks: Sequence[bytes | None], draft: Draft) -> None:
        """Configured and current frequency, power, and whether the laser is where it should be."""
        (block,) = blocks
        if block is None:
            draft.unread.append("tunable")
            return
        tunable = Tunable(**self._limits)
        grid, channel, current = int(_first(GRID, block)), int(_first(CHANNEL, block)), _first(FREQUENCY, block)
        fine = _first(FINE_OFFSET, block) if grid & 1 else 0.0
        code = self._code(grid >> 4, channel, current - fine)
        wanted = frequency_hertz(code, channel)
        if wanted is not None:
            tunable["configured_frequency_hertz"] = wanted + fine
        if current:
            tunable["current_frequency_hertz"] = current
        if self._power:
            tunable["configured_power_dbm"] = _first(POWER, block)
        low_high = self._ranges.get(code) or _widest(self._ranges.values())
        if low_high:
            tunable["min_frequency_hertz"], tunable["max_frequency_hertz"] = low_high
        status = int(_first(STATUS, block))
        tunable["tuning_in_progress"] = bool(status & 2)
        tunable["wavelength_locked"] = not status & 1
        draft.tunable = tunable

    def _code(self, code: int, channel: int, current: float) -> int:
        """The grid by the codes of CMIS 5: before it a module may use those of 4.0, which its laser then shows."""
        other = _SWAPPED.get(code, code)
        if not self._swapped or other == code:
            return code
        here, there = frequency_hertz(code, channel), frequency_hertz(other, channel)
        near = [at is not None and abs(current - at) < _NEAR_HERTZ for at in (here, there)]
        return other if near == [False, True] else code


def _first(field: Field, block: bytes) -> float:
    return field.decode(block[field.offset - 128 :].ljust(field.size, b"\0"))[0]


def _limits(memory: Memory) -> Tunable:
    found = Tunable()
    if PROGRAMMABLE_POWER.read(memory):
        low, high = read(MIN_POWER, memory), read(MAX_POWER, memory)
        if low and high:
            found["min_power_dbm"], found["max_power_dbm"] = low[0], high[0]
    return found


def _range(memory: Memory, code: int, grid: Grid) -> tuple[float, float] | None:
    channels = read(grid.channels, memory) if grid.supported.read(memory) else None
    if channels is None:
        return None
    ends = [frequency_hertz(code, int(channel)) for channel in channels]
    low, high = ends
    return None if low is None or high is None else (low, high)


def _widest(ranges: Iterable[tuple[float, float]]) -> tuple[float, float] | None:
    known = list(ranges)
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None
