"""The coherent side of a fake 400ZR: its tunable laser, and what its receiver knows of line and errors.

Documents: OIF-CMIS 5.2 chapters 8.5 and 8.10 (pages 04h, 12h), OIF-C-CMIS 1.2 (pages 33h to 3Ah, 40h to 44h).

Not simulated: tuning, fine tuning, thresholds of one's own (30h, 38h), FlexE, provisioning.
"""

import math
import struct
from typing import ClassVar, Final, Protocol

from agent.memory import Memory, Span
from fakes.images import Page, watts
from fakes.optics import State

CHANNEL: Final = 12
"""On the 75 GHz grid: 193.1 THz + 12 * 25 GHz = 193.4 THz."""
FREQUENCY_MHZ: Final = 193_400_000
_LINK: Final = 0x35
_MEDIA_FEC: Final = 0x34
_HOST_FEC: Final = 0x3A
_BITS: Final = 478_750_000_000
"""Bits of one second at the line rate of 400ZR."""
_FRAME_BITS: Final = 128 * 119 * 8
_ADVERTISED: Final = {2: (6, 2), 3: (2,), 4: (6, 2), 5: (6, 2), 6: (6, 2), 7: (6, 2), 11: (2,)}
"""Bytes from 128 of page 42h and their bits: cd, dgd, pdl, osnr, esnr, cfo, evm, soproc, powers, mer."""


class Register(Protocol):
    """What can be written: a `FakeModule`."""

    def put(self, span: Span, data: bytes) -> None: ...


class Coherent:
    """The pages of one module, media lane 1."""

    pages: ClassVar = frozenset({_LINK, _MEDIA_FEC, _HOST_FEC})
    """Pages whose content is worked out when somebody selects them."""

    def describe(self, memory: Memory) -> None:
        """Advertising, and the laser where it is tuned to."""
        laser, control, status = Page(), Page(), Page()
        laser.put(128, 0xA0)  # grids of 75 and 100 GHz
        laser.words(150, -20 & 0xFFFF, 30)
        laser.words(158, -72 & 0xFFFF, 120)
        laser.put(196, 0x80)
        laser.words(198, -2290 & 0xFFFF, -800 & 0xFFFF)
        laser.sum(255, 128, 254)
        control.put(128, 0x70, *[0xF0] * 7)
        control.words(136, CHANNEL)
        control.put(168, *FREQUENCY_MHZ.to_bytes(4, "big"))
        control.words(200, -1000 & 0xFFFF)
        memory.put(Span(128, 128, 0x04), bytes(laser.data))
        memory.put(Span(128, 128, 0x12), bytes(control.data))
        revision, known, flags = Page(), Page(), Page()
        revision.put(128, 0x11)
        for byte, bits in _ADVERTISED.items():
            known.put(128 + byte, sum(1 << bit for bit in bits))
        flags.put(128, 0x3F, 0xFF, 0x03, 0x07, 0x03, 0x03, 0x00, 0x07, 0x07)
        for number, page in ((0x40, revision), (0x42, known), (0x44, flags), (0x41, Page()), (0x43, Page())):
            memory.put(Span(128, 128, number), bytes(page.data))
        for number in (0x30, 0x31, 0x32, 0x33, 0x38, 0x3B, *self.pages):
            memory.put(Span(128, 128, number), bytes(status.data))

    def write(self, module: Register, state: State) -> None:
        """Statistics of the last second."""
        lost = bool(state.rx_los & 1)
        power = state.rx_power[0]
        rx_dbm = 10 * math.log10(power * 1000) if power > 0 else -40.0
        osnr = 0.0 if lost else min(38.0, 35.0 + 0.5 * (rx_dbm + 8.0))
        ber = state.ber[0] if state.ber else 0.0
        link = Page()
        link.put(128, *b"".join(struct.pack(">i", value) for value in (812, 805, 820)))
        for offset, value, lsb in (
            (140, 1.9, 0.01),
            (152, 0.7, 0.1),
            (158, osnr, 0.1),
            (164, state.snr_db[0] if state.snr_db else 0.0, 0.1),
            (176, 9.6, 100 / 65535),
            (200, 6.0, 1.0),
            (206, state.snr_db[0] + 1.5 if state.snr_db and not lost else 0.0, 0.1),
        ):
            link.words(offset, *(max(0, round(part * value / lsb)) for part in (1.0, 0.98, 1.02)))
        for offset, value, lsb in (
            (170, -120.0, 1.0),
            (182, -9.8, 0.01),
            (188, rx_dbm, 0.01),
            (194, rx_dbm - 0.3, 0.01),
        ):
            link.words(offset, *(round(value / lsb + part) & 0xFFFF for part in (0, -3, 3)))
        module.put(Span(128, 128, _LINK), bytes(link.data))
        module.put(Span(128, 60, _MEDIA_FEC), _fec(ber))
        module.put(Span(128, 68, _HOST_FEC), _fec(ber * 1e-5) + bytes(8))

    @staticmethod
    def launched_w() -> float:
        """What it sends: -9.8 dBm."""
        return watts(-9.8)


def _fec(ber: float) -> bytes:
    """Bits, bits of a tenth of a second, corrected bits (sum, least, most); the same for frames."""
    part = _BITS // 10
    corrected = round(_BITS * ber)
    frames, part_frames = _BITS // _FRAME_BITS, part // _FRAME_BITS
    lost = 0 if ber < 1.2e-2 else frames // 20
    bits = (_BITS, part, corrected, round(part * ber * 0.9), round(part * ber * 1.1))
    return struct.pack(">5Q5I", *bits, frames, part_frames, lost, lost // 20, lost // 5)
