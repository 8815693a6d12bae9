"""What may be written to an I2C bus at all; every transport asks before anything reaches the wire."""

from agent.errors import NotPermitted
from agent.memory import FREEZE_CONTROL, I2C_DIAGNOSTICS, I2C_MODULE


class WriteGuard:
    """Which writes may pass: page selects, the control byte of configured muxes, and nothing else.

    `freeze`: VDM freeze (page 2Fh, byte 144) may be written while page 2Fh is the one selected last.
    """

    def __init__(self, *, muxes: frozenset[int] = frozenset(), freeze: bool = False) -> None:
        self.muxes = muxes
        self.freeze = freeze
        self._page: int | None = None

    def check(self, address: int, out: bytes, n: int) -> None:
        """Raise NotPermitted for a transfer that could change anything but the page."""
        if address in self.muxes:
            if len(out) + n == 1:  # its control byte, written or read back
                self._page = None
                return
        elif address in {I2C_MODULE, I2C_DIAGNOSTICS}:
            if len(out) < 2 and len(out) + n > 0:
                return  # an offset and a read, or an offset alone: nothing changes
            if out and not n and self._selects(address, out):
                return
        raise NotPermitted(f"refused to write {out.hex(' ')} to {address:02X}h: opticd only selects pages")

    def _selects(self, address: int, out: bytes) -> bool:
        if (out[0], len(out)) == (127, 2) or (address == I2C_MODULE and (out[0], len(out)) == (126, 3)):
            if address == I2C_MODULE:
                self._page = out[-1]
            return True
        freezes = address == I2C_MODULE and (out[0], len(out)) == (FREEZE_CONTROL.offset, 2)
        return freezes and self.freeze and self._page == FREEZE_CONTROL.page
