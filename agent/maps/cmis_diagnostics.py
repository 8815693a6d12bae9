"""Pages 13h-15h of CMIS as far as they can be read without a write: the diagnostics window as found, and latency.

Page 14h shows in bytes 192-255 whatever its selector (byte 128) was left at; opticd never moves it.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from agent import quantities as q
from agent.maps.cmis_fields import LANES_PER_BANK
from agent.maps.cmis_lanes import Lanes
from agent.maps.plan import Draft
from agent.maps.registers import Bit, Field, Item, Kind, place
from agent.memory import Memory, Span
from agent.quantities import Quantity

ADVERTISED: Final = Bit(0x01, 142, 5)
LATENCY_ADVERTISED: Final = Bit(0x01, 145, 3)
_MEDIA_SNR: Final = Bit(0x13, 130, 5)
_HOST_SNR: Final = Bit(0x13, 130, 4)
_COUNTS: Final = Bit(0x13, 130, 1)
_BER: Final = Bit(0x13, 130, 0)
SELECTOR: Final = Field("diagnostics_selector", page=0x14, offset=128, banked=True, ref="Page 14h, byte 128")


def _ber(subject: Quantity, offset: int) -> Field:
    return Field(
        subject, page=0x14, offset=offset, kind=Kind.F16, lanes=LANES_PER_BANK, banked=True, advertised=_BER,
        ref=f"Page 14h, bytes {offset}-{offset + 15}", note="selector 01h, 11h",
    )  # fmt: skip


def _snr(subject: Quantity, offset: int, advertised: Bit) -> Field:
    return Field(
        subject, page=0x14, offset=offset, kind=Kind.U16_LE, lsb=Fraction(1, 256), lanes=LANES_PER_BANK,
        banked=True, advertised=advertised, ref=f"Page 14h, bytes {offset}-{offset + 15}",
        note="selector 06h; little endian",
    )  # fmt: skip


HOST_BER: Final = _ber(q.HOST_BER, 192)
MEDIA_BER: Final = _ber(q.MEDIA_BER, 208)
HOST_SNR: Final = _snr(q.HOST_SNR, 208, _HOST_SNR)
MEDIA_SNR: Final = _snr(q.MEDIA_SNR, 240, _MEDIA_SNR)
COUNTERS: Final = Field(
    "checker_counters", page=0x14, offset=192, kind=Kind.U64_LE, lanes=8, banked=True, advertised=_COUNTS,
    ref="Page 14h, bytes 192-255", note="selector 02h-05h, 12h-15h: errors and bits of four lanes; little endian",
)  # fmt: skip
RX_LATENCY: Final = Field(
    q.RX_LATENCY, page=0x15, offset=224, kind=Kind.U16, lsb=Fraction(1, 1_000_000_000), lanes=LANES_PER_BANK,
    banked=True, advertised=LATENCY_ADVERTISED, ref="Page 15h, bytes 224-239",
)  # fmt: skip
TX_LATENCY: Final = Field(
    q.TX_LATENCY, page=0x15, offset=240, kind=Kind.U16, lsb=Fraction(1, 1_000_000_000), lanes=LANES_PER_BANK,
    banked=True, advertised=LATENCY_ADVERTISED, ref="Page 15h, bytes 240-255",
)  # fmt: skip


class _Window(NamedTuple):
    """What bytes 192-255 hold for one selector: rows of words, or counters from one lane of the bank on."""

    rows: tuple[Field, ...] = ()
    counters: tuple[Quantity, int] | None = None


_WINDOWS: Final[Mapping[int, _Window]] = {
    0x01: _Window((HOST_BER, MEDIA_BER)),
    0x02: _Window(counters=(q.HOST_BER, 0)),
    0x03: _Window(counters=(q.HOST_BER, 4)),
    0x04: _Window(counters=(q.MEDIA_BER, 0)),
    0x05: _Window(counters=(q.MEDIA_BER, 4)),
    0x06: _Window((HOST_SNR, MEDIA_SNR)),
}
_GATED: Final = 0x10
"""Added to a selector: the same for the last gating period."""
_WINDOW: Final = 192
_HOST_SIDE: Final = frozenset({q.HOST_BER, q.HOST_SNR})


def static_spans(memory: Memory) -> Iterator[Span]:
    """What the diagnostics can do."""
    if ADVERTISED.read(memory):
        yield Span(128, 4, 0x13)


def latency_items(memory: Memory, lanes: Lanes, banks: int) -> list[Item]:
    """Latency of the data paths, counted by host lane."""
    if not LATENCY_ADVERTISED.read(memory):
        return []
    return [place(row, bank=bank, lanes=lanes.host) for row in (RX_LATENCY, TX_LATENCY) for bank in range(banks)]


class DiagnosticsPart:
    """The window of every bank; each bank has a selector of its own."""

    def __init__(self, memory: Memory, lanes: Lanes, banks: int) -> None:
        self._lanes = lanes
        self._offered: frozenset[Bit] = frozenset(
            bit for bit in (_MEDIA_SNR, _HOST_SNR, _COUNTS, _BER) if bit.read(memory)
        )
        where = [(Span(128, 1, 0x14, bank), Span(_WINDOW, 64, 0x14, bank)) for bank in range(banks)]
        self.spans: tuple[Span, ...] = tuple(span for pair in where for span in pair) if self._offered else ()

    def decode(self, blocks: Sequence[bytes | None], draft: Draft) -> None:
        """SNR and bit error ratio of the lanes that there are, from the windows that hold them now."""
        for bank, at in enumerate(range(0, len(blocks), 2)):
            selector, window = blocks[at], blocks[at + 1]
            if selector is None or window is None:
                self._unread(draft)
                continue
            code = selector[0] & ~_GATED if selector[0] & ~_GATED in range(1, 6) else selector[0]
            found = _WINDOWS.get(code, _Window())
            for row in found.rows:
                if row.advertised in self._offered and isinstance(row.subject, Quantity):
                    words = row.decode(window[row.offset - _WINDOW :])
                    self._put(draft, row.subject, bank * LANES_PER_BANK, words)
            if found.counters and _COUNTS in self._offered:
                quantity, first = found.counters
                self._put(draft, quantity, bank * LANES_PER_BANK + first, _ratios(window))

    def _unread(self, draft: Draft) -> None:
        draft.unread += [row.name for row in (HOST_SNR, MEDIA_SNR) if row.advertised in self._offered]

    def _put(self, draft: Draft, quantity: Quantity, before: int, words: Sequence[float | None]) -> None:
        there = self._lanes.host if quantity in _HOST_SIDE else self._lanes.media
        for lane, word in enumerate(words, before + 1):
            if lane in there and word is not None:
                draft.lanes.setdefault(quantity, {})[lane] = word


def _ratios(window: bytes) -> list[float | None]:
    """Errors over bits of four lanes; None where none were counted, or the checker lost its lock (odd count)."""
    words = struct.unpack_from("<8Q", window)
    pairs = zip(words[::2], words[1::2], strict=True)
    return [errors / bits if bits and not bits & 1 else None for errors, bits in pairs]
