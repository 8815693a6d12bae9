"""Tunable SFP lasers: A2h page 02h of SFF-8690."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.maps import sff8472_fields as f
from agent.maps.plan import Draft
from agent.maps.registers import Field, read
from agent.memory import Memory, Span

LIGHT_SPEED: Final = 299_792_458.0
"""Metres a second."""


@dataclass(frozen=True, slots=True)
class Range:
    """What the laser can do, in hertz; `features` says how it is told to."""

    first: float
    last: float
    grid: float
    features: int


class Tuning:
    """The `agent.maps.plan.Part` of page 02h: where the laser is set, where it is, whether it is there yet."""

    def __init__(self, memory: Memory) -> None:
        self._range = _range(memory)

    @property
    def spans(self) -> tuple[Span, ...]:
        return (f.TUNING_VALUES,)

    def decode(self, blocks: Sequence[bytes | None], draft: Draft) -> None:
        block = blocks[0]
        if block is None:
            draft.unread.append("tunable")
            return
        status = block[f.TUNING_STATUS.offset - f.TUNING_VALUES.offset]
        draft.tunable["tuning_in_progress"] = bool(status & 0x90)
        draft.tunable["wavelength_locked"] = not status & 0x20
        if self._range is None:
            draft.unread.append("tunable")
            return
        known = self._range
        draft.tunable["min_frequency_hertz"] = min(known.first, known.last)
        draft.tunable["max_frequency_hertz"] = max(known.first, known.last)
        configured, current = self._frequencies(block, known)
        if configured is not None:
            draft.tunable["configured_frequency_hertz"] = configured
        if current is not None:
            draft.tunable["current_frequency_hertz"] = current

    def _frequencies(self, block: bytes, known: Range) -> tuple[float | None, float | None]:
        if known.features & f.BY_CHANNEL:
            channel = _word(f.CHANNEL, block)
            if not channel:
                return None, None
            configured = known.first + (channel - 1) * known.grid
            return configured, configured + _word(f.FREQUENCY_ERROR, block)
        wavelength = _word(f.WAVELENGTH_SET, block) if known.features & f.BY_WAVELENGTH else 0.0
        actual = wavelength + _word(f.WAVELENGTH_ERROR, block)
        if wavelength <= 0.0 or actual <= 0.0:
            return None, None
        return LIGHT_SPEED / wavelength * 1e9, LIGHT_SPEED / actual * 1e9


def _word(field: Field, block: bytes) -> float:
    at = field.offset - f.TUNING_VALUES.offset
    return field.decode(block[at : at + field.size])[0]


def _range(memory: Memory) -> Range | None:
    pairs = [[read(field, memory) for field in pair] for pair in (f.FIRST_FREQUENCY, f.LAST_FREQUENCY)]
    grid, features = read(f.GRID, memory), read(f.TUNING_FEATURES, memory)
    first, last = (sum(part[0] for part in pair if part is not None) for pair in pairs)
    if grid is None or features is None or not first or not last:
        return None
    return Range(first, last, grid[0], int(features[0]))
