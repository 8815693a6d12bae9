"""Coherent modules (C-CMIS): link and FEC performance of pages 34h, 35h and 3Ah, flags of 33h and 3Bh.

The values are those of the previous interval of performance monitoring. Current ones are VDM observables; both
stand side by side in one `Stats`. One media lane: bank 0.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain
from typing import Final, NamedTuple

from agent import quantities as q
from agent.maps import cmis_fields as f
from agent.maps import sff8024
from agent.maps.plan import Draft
from agent.maps.registers import Bit, Confidence, Field, Item, Kind, place, scaler
from agent.memory import Memory, Span
from agent.model import Stats

ADVERTISED: Final = Bit(0x01, 142, 4)
"""Clear on some modules whose pages work: then byte 128 of page 40h tells (00h and FFh: no)."""
REVISION: Final = Field(
    "coherent_revision", page=0x40, offset=128, ref="Page 40h, byte 128", confidence=Confidence.ONE_SOURCE
)
_TUNABLE_TECHNOLOGIES: Final = frozenset({0x10, 0x11})
_ADVERTISING: Final = Span(128, 13, 0x42)
_FLAG_ADVERTISING: Final = Span(128, 9, 0x44)


class Measure(NamedTuple):
    """One row of page 35h: average, minimum and maximum, one word each, from `field.offset` on."""

    field: Field
    advertised: Bit
    current: str = ""
    """The VDM observable that holds the current value."""
    factor: Fraction = Fraction(1)
    """What its unit is in that of this row."""


def _measure(
    name: str, offset: int, kind: Kind, lsb: Fraction, *, said: tuple[int, int], current: str = "",
    factor: Fraction = Fraction(1), confidence: Confidence = Confidence.SETTLED,
) -> Measure:  # fmt: skip
    """`said` is byte (from 128) and bit of page 42h."""
    last = offset + 3 * kind.size - 1
    field = Field(
        name, page=0x35, offset=offset, kind=kind, lsb=lsb, lanes=3, advertised=Bit(0x42, 128 + said[0], said[1]),
        ref=f"Page 35h, bytes {offset}-{last}", note="average, minimum, maximum", confidence=confidence,
    )  # fmt: skip
    return Measure(field, Bit(0x42, 128 + said[0], said[1]), current, factor)


_ONE: Final = Fraction(1)
_TENTH: Final = Fraction(1, 10)
_HUNDREDTH: Final = Fraction(1, 100)
_PERCENT: Final = Fraction(1, 100)
_MEGA: Final = Fraction(1_000_000)
_KILO: Final = Fraction(1_000)
_PICO: Final = Fraction(1, 10**12)

MEASURES: Final = (
    _measure("cd_ps_per_nm", 128, Kind.S32, _ONE, said=(2, 6), current="cd_low_granularity"),
    _measure("dgd_seconds", 140, Kind.U16, _PICO / 100, said=(2, 2), current="dgd", factor=_PICO),
    _measure("sopmd_ps2", 146, Kind.U16, _HUNDREDTH, said=(10, 2), current="sopmd_high_granularity"),
    _measure("pdl_db", 152, Kind.U16, _TENTH, said=(3, 2), current="pdl"),
    _measure("osnr_db", 158, Kind.U16, _TENTH, said=(4, 6), current="osnr"),
    _measure("esnr_db", 164, Kind.U16, _TENTH, said=(4, 2), current="esnr"),
    _measure("cfo_hertz", 170, Kind.S16, _MEGA, said=(5, 6), current="cfo", factor=_MEGA),
    _measure("evm_ratio", 176, Kind.U16, Fraction(1, 65535), said=(5, 2), current="evm_modem", factor=_PERCENT),
    _measure("tx_power_dbm", 182, Kind.S16, _HUNDREDTH, said=(6, 2), current="tx_power"),
    _measure("rx_total_power_dbm", 188, Kind.S16, _HUNDREDTH, said=(7, 6), current="rx_total_power"),
    _measure("rx_signal_power_dbm", 194, Kind.S16, _HUNDREDTH, said=(7, 2), current="rx_signal_power"),
    _measure("soproc_radians_per_second", 200, Kind.U16, _KILO, said=(6, 6), current="soproc", factor=_KILO),
    _measure("mer_db", 206, Kind.U16, _TENTH, said=(11, 2), current="mer"),
    _measure("clock_recovery_loop_ratio", 212, Kind.S16, Fraction(1, 32767), said=(10, 6),
             current="clock_recovery_loop", factor=_PERCENT),
    _measure("sopmd_low_granularity_ps2", 218, Kind.U16, _ONE, said=(3, 6), current="sopmd_low_granularity",
             confidence=Confidence.ONE_SOURCE),
    _measure("snr_margin_db", 224, Kind.S16, _TENTH, said=(11, 6), current="snr_margin"),
    _measure("q_factor_db", 230, Kind.U16, _TENTH, said=(12, 6), current="q_factor"),
    _measure("q_margin_db", 236, Kind.S16, _TENTH, said=(12, 2), current="q_margin"),
)  # fmt: skip
"""Page 35h. The bits of page 42h rest on one source; those for minimum and maximum are not settled and not used."""

_LINK: Final = Span(128, 114, 0x35)
_SMF: Final = 2
_ZR: Final = frozenset(code for code, one in sff8024.MEDIA_INTERFACES[_SMF].items() if "ZR" in one.name)
_COUNTERS: Final = "5Q5I"
"""Pages 34h and 3Ah: bits, bits of a sub-interval, corrected bits (sum, min, max); the same for frames."""
FEC_MEDIA: Final = Field(
    "media_fec", page=0x34, offset=128, length=60, kind=Kind.BYTES, ref="Page 34h, bytes 128-187",
    note="bits, sub-interval bits, corrected bits (sum, min, max) U64; frames, uncorrected frames likewise U32",
)  # fmt: skip
FEC_HOST: Final = Field(
    "host_fec", page=0x3A, offset=128, length=60, kind=Kind.BYTES, ref="Page 3Ah, bytes 128-187",
    note="as page 34h", confidence=Confidence.ONE_SOURCE,
)  # fmt: skip
_FEC_CURRENT: Final[Mapping[str, str]] = {
    "pre_fec_ber_current_media_input": "pre_fec_ber_ratio",
    "pre_fec_ber_current_host_input": "host_pre_fec_ber_ratio",
}
_CURRENT: Final = {one.current: one for one in MEASURES} | {"cd_high_granularity": MEASURES[0]}


def _flag_bytes(page: int, offset: int, said: int, names: Sequence[tuple[str, int]]) -> tuple[Field, ...]:
    """Flags of one byte; page 44h byte `said` advertises each by the same bit."""
    return tuple(
        Field(
            q.COHERENT_FLAGS[name], page=page, offset=offset, bits=(bit,), latched=True,
            advertised=Bit(0x44, said, bit), ref=f"Page {page:02X}h, byte {offset} bit {bit}",
            confidence=Confidence.ONE_SOURCE,
        )
        for name, bit in names
    )  # fmt: skip


FLAGS: Final = (
    *_flag_bytes(0x33, 128, 128, [
        ("media_tx_loss_of_alignment", 5), ("media_tx_out_of_alignment", 4), ("media_tx_cmu_lol", 3),
        ("media_tx_reference_clock_lol", 2), ("media_tx_deskew_lol", 1), ("media_tx_fifo_error", 0),
    ]),
    *_flag_bytes(0x33, 130, 129, [
        ("media_rx_loss_of_frame", 7), ("media_rx_loss_of_multiframe", 6), ("media_rx_demodulator_lol", 5),
        ("media_rx_cd_compensation_lol", 4), ("media_rx_loss_of_alignment", 3), ("media_rx_out_of_alignment", 2),
        ("media_rx_deskew_lol", 1), ("media_rx_fifo_error", 0),
    ]),
    *_flag_bytes(0x33, 131, 130, [("media_rx_fec_excessive_degrade", 1), ("media_rx_fec_detected_degrade", 0)]),
    *_flag_bytes(0x33, 132, 131, [
        ("media_remote_degrade", 2), ("media_local_degrade", 1), ("media_remote_phy_fault", 0),
    ]),
    *_flag_bytes(0x3B, 192, 132, [("host_fec_excessive_degrade", 1), ("host_fec_detected_degrade", 0)]),
    *_flag_bytes(0x3B, 193, 133, [("host_remote_degrade", 1), ("host_local_degrade", 0)]),
    *_flag_bytes(0x3B, 195, 135, [
        ("host_tx_loss_of_alignment", 2), ("host_tx_remote_fault", 1), ("host_tx_local_fault", 0),
    ]),
    *_flag_bytes(0x3B, 196, 136, [
        ("host_rx_loss_of_alignment", 2), ("host_rx_remote_fault", 1), ("host_rx_local_fault", 0),
    ]),
)  # fmt: skip


def static_spans(memory: Memory) -> Iterator[Span]:
    """The advertising pages of a coherent module, and the byte that tells on one that might be."""
    if not ADVERTISED.read(memory) and not _may_be(memory):
        return
    yield REVISION.span()
    if coherent(memory):
        yield _ADVERTISING
        yield _FLAG_ADVERTISING


def coherent(memory: Memory) -> bool:
    """Whether the module has the pages of C-CMIS, by what it says or by what is there.

    Saved memory may hold page 35h without the byte that tells: then its own bytes do.
    """
    if ADVERTISED.read(memory) is not False:
        return bool(ADVERTISED.read(memory))
    if not _may_be(memory):
        return False
    revision = memory.byte(REVISION.offset, REVISION.page)
    if revision is not None:
        return revision not in (0x00, 0xFF)
    return any((memory.get(_LINK) or b"").strip(b"\xff"))


def _may_be(memory: Memory) -> bool:
    """By what it launches, or what it says that it can be used for: a tunable laser, or ZR of any kind."""
    if memory.byte(f.MEDIA_TECHNOLOGY.offset) in _TUNABLE_TECHNOLOGIES:
        return True
    if memory.byte(f.MEDIA_TYPE.offset) != _SMF:
        return False
    return not _ZR.isdisjoint((memory.get(f.APPLICATIONS_1_8.span()) or b"")[1::4])


def flag_items(memory: Memory) -> list[Item]:
    """The flags that page 44h advertises."""
    return [place(row) for row in FLAGS if row.advertised and row.advertised.read(memory)]


class CoherentPart:
    """Pages 34h, 35h and 3Ah; also gives the current values that VDM holds of the same quantities."""

    def __init__(self, memory: Memory) -> None:
        said = memory.get(_ADVERTISING) or b""
        listed = any(said) and said.strip(b"\xff") != b""
        self._measures = [one for one in MEASURES if not listed or one.advertised.read(memory)]
        self.spans: tuple[Span, ...] = ()
        if coherent(memory):
            rows = [one.field.span() for one in self._measures]
            first = min((span.offset for span in rows), default=128)
            last = max((span.end for span in rows), default=129)
            self.spans = (Span(first, last - first, 0x35), FEC_MEDIA.span(), FEC_HOST.span())

    def decode(self, blocks: Sequence[bytes | None], draft: Draft) -> None:
        """Stats by their key; a page without any data (all zero) says nothing."""
        found: dict[str, Stats] = {}
        if self.spans:
            link, media, host = blocks
            if link is None or media is None:
                draft.unread.append("coherent")
            if link is not None and any(link):
                for one in self._measures:
                    found[one.field.name] = _link(one.field, link[one.field.offset - self.spans[0].offset :])
            found |= _fec(media, "") | _fec(host, "host_")
        for sample in chain.from_iterable(draft.vdm):
            measure = _CURRENT.get(sample.observable)
            if measure is not None:
                value = sample.value * measure.factor.numerator / measure.factor.denominator
                found.setdefault(measure.field.name, Stats())["value"] = value
            elif self.spans and (key := _FEC_CURRENT.get(sample.observable)):
                found.setdefault(key, Stats()).setdefault("value", sample.value)
        draft.coherent |= found


def _link(field: Field, data: bytes) -> Stats:
    average, low, high = map(scaler(field), field.raw(data))
    return Stats(avg=average, min=low, max=high)


def _fec(block: bytes | None, side: str) -> dict[str, Stats]:
    """Bit error ratio before correction and share of frames beyond it; nothing where none were counted."""
    if block is None or not any(block):
        return {}
    bits, part_bits, corrected, fewest, most, frames, part_frames, lost, least, worst = struct.unpack_from(
        ">" + _COUNTERS, block
    )
    found: dict[str, Stats] = {}
    if bits:
        found[f"{side}pre_fec_ber_ratio"] = _ratios(corrected / bits, fewest, most, part_bits)
    if frames:
        found[f"{side}uncorrected_frames_ratio"] = _ratios(lost / frames, least, worst, part_frames)
    return found


def _ratios(average: float, low: int, high: int, per: int) -> Stats:
    stats = Stats(avg=average)
    if per:
        stats["min"], stats["max"] = low / per, high / per
    return stats
