"""PAM4 and DWDM parameters of SFF-8636 (pages 20h and 21h): a list in which the module says what it measures.

Known from the specification alone: no independent decoder was found. Thresholds are sets of page 21h.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.maps import sff8636_fields as f
from agent.maps.plan import Draft
from agent.maps.registers import f16
from agent.maps.sff_common import bit_set, filled
from agent.memory import Memory, Span
from agent.model import Bounds, VdmSample
from agent.quantities import BOUNDS

_INFINITE_LTP: Final = 0xFFFF
VENDOR: Final = 192
"""First of the vendor specific types."""


def _signed(word: int) -> int:
    return word - 0x10000 if word >= 0x8000 else word


def _ltp(word: int) -> float:
    """Level transition parameter in dB: FFFFh is infinite (no transition was ever misplaced)."""
    return math.inf if word == _INFINITE_LTP else word / 256


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of parameter. Line ingress is what CMIS calls media input."""

    observable: str
    unit: str
    convert: Callable[[int], float]


KINDS: Final[Mapping[int, Kind]] = {
    1: Kind("snr_media_input", "dB", lambda word: word / 256),
    2: Kind("residual_dispersion_media_input", "ps/nm", lambda word: _signed(word) / 10),
    3: Kind("pam4_level_transition_parameter_media_input", "dB", _ltp),
    4: Kind("pre_fec_ber_avg_media_input", "ratio", f16),
    5: Kind("frame_error_rate_avg_media_input", "frames/s", f16),
    6: Kind("tec_current", "mA", lambda word: _signed(word) / 10),
    7: Kind("laser_frequency_error", "MHz", lambda word: _signed(word) * 10.0),
    8: Kind("laser_temperature_error", "degC", lambda word: _signed(word) / 256),
    9: Kind("pre_fec_ber_min_media_input", "ratio", f16),
    10: Kind("pre_fec_ber_max_media_input", "ratio", f16),
    11: Kind("pre_fec_ber_prior_media_input", "ratio", f16),
    12: Kind("pre_fec_ber_current_media_input", "ratio", f16),
    13: Kind("frame_error_rate_min_media_input", "frames/s", f16),
    14: Kind("frame_error_rate_max_media_input", "frames/s", f16),
    15: Kind("frame_error_rate_prior_media_input", "frames/s", f16),
    16: Kind("frame_error_rate_current_media_input", "frames/s", f16),
}
"""By type code; 9, 10, 13 and 14 begin anew when they are read."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One entry of the list; `lane` 0 is the whole module. `value` and `thresholds` are where it stands."""

    number: int
    lane: int
    kind: Kind
    value: Span
    thresholds: Span


def parameter(number: int, config: int) -> Parameter | None:
    """Entry `number` (from 1) by its configuration word; None for an unused or a reserved one."""
    code = config & 0xFF
    kind = KINDS.get(code)
    if kind is None:
        if code < VENDOR:
            return None
        kind = Kind(f"custom_{code}", "", float)
    # Numbering from 0 of threshold sets and channels is inferred from CMIS.
    threshold_set, channel = config >> 12, config >> 8 & 3
    return Parameter(
        number=number,
        lane=channel + 1 if config >> 10 & 1 else 0,
        kind=kind,
        value=Span(f.PARAMETER_VALUES.offset + 2 * (number - 1), 2, 0x20),
        thresholds=Span(128 + 8 * threshold_set, 8, 0x21),
    )


def parameters(memory: Memory) -> tuple[Parameter, ...] | None:
    """Everything in the list; None when it is unread."""
    data = memory.get(f.PARAMETER_CONFIG.span())
    if data is None:
        return None
    found = (parameter(number, word) for number, word in enumerate(f.PARAMETER_CONFIG.raw(data), start=1))
    return tuple(each for each in found if each is not None)


def bounds(each: Parameter, memory: Memory) -> Bounds:
    """Its thresholds, in its unit; {} when they are all zero, or unread."""
    data = memory.get(each.thresholds)
    if data is None or filled(data):
        return Bounds()
    words = (int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    high_alarm, low_alarm, high_warning, low_warning = map(each.kind.convert, words)
    return Bounds(high_alarm=high_alarm, high_warning=high_warning, low_warning=low_warning, low_alarm=low_alarm)


def flags(number: int, data: bytes) -> tuple[str, ...]:
    """Which bounds parameter `number` crossed, in bytes 128-139 of page 20h; the odd one of a byte is above."""
    nibble = data[(number - 1) // 2] >> (4 if number % 2 else 0)
    return tuple(name for name, bit in zip(BOUNDS, (3, 2, 1, 0), strict=True) if nibble >> bit & 1)


class Parameters:
    """The `agent.maps.plan.Part` of the list; without `latched` the flags, which reading clears, are left alone."""

    def __init__(self, listed: tuple[Parameter, ...], memory: Memory, *, latched: bool) -> None:
        self._listed = [(each, bounds(each, memory)) for each in listed]
        values = f.PARAMETER_VALUES.span()
        self.spans: tuple[Span, ...] = (f.PARAMETER_FLAGS.span(), values) if latched else (values,)

    def decode(self, blocks: Sequence[bytes | None], draft: Draft) -> None:
        """Add a sample for each parameter."""
        values = blocks[-1]
        if values is None:
            draft.unread.append("vdm")
            return
        raised = blocks[0] if len(blocks) > 1 else None
        samples: list[VdmSample] = []
        for each, limits in self._listed:
            at = each.value.offset - f.PARAMETER_VALUES.offset
            value = each.kind.convert(int.from_bytes(values[at : at + 2], "big"))
            crossed = () if raised is None else flags(each.number, raised)
            samples.append(VdmSample(each.kind.observable, each.lane, 1, value, each.kind.unit, limits, crossed))
        draft.vdm.append(samples)


def part(memory: Memory, *, latched: bool) -> tuple[Parameters, ...]:
    """The part of a module: () when it has no such list, or nobody could read it."""
    listed = parameters(memory) if bit_set(f.PARAMETERS, memory) else None
    return (Parameters(listed, memory, latched=latched),) if listed else ()


def unread(memory: Memory) -> tuple[str, ...]:
    """What is missing when the list is advertised and unread."""
    return ("vdm",) if bit_set(f.PARAMETERS, memory) and parameters(memory) is None else ()
