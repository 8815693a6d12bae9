"""Writes what a fake module measures into its memory: monitors, status and the flags of its own thresholds.

Documents: SFF-8472 Rev 12.4 tables 9-11 and 9-12; SFF-8636 Rev 2.11 tables 6-4 to 6-8; CMIS 5.2 tables 8-8 to 8-11
and 8-90 to 8-96. As everywhere in the fakes the layout is the specifications', written a second time.
"""

import struct
from collections.abc import Sequence
from typing import Final, Protocol

from agent.memory import I2C_DIAGNOSTICS, Span
from fakes.images import (
    BIAS_LSB_A,
    POWER_LSB_W,
    VOLT_LSB,
    bias_bounds,
    bias_lsb,
    celsius,
    rx_power_bounds,
    tx_power_bounds,
    word,
)
from fakes.optics import State
from fakes.products import Bounds, Product

READY: Final = 3
POWERING_UP: Final = 2
FAULT: Final = 5
_ACTIVATED: Final = 0x44
_INITIALISING: Final = 0x22
_DEACTIVATED: Final = 0x11


class Register(Protocol):
    """What can be written: a `FakeModule`."""

    def put(self, span: Span, data: bytes) -> None: ...


class Monitors(Protocol):
    """Writes one family's registers."""

    def write(self, module: Register, state: State, *, module_state: int) -> None:
        """Show `state`; `module_state` is a CMIS code, below READY the monitors are not valid yet."""
        ...


def monitors_of(product: Product) -> Monitors:
    """The writer of a product's memory map."""
    match product.family:
        case "sff8472":
            return SfpMonitors(product)
        case "sff8636":
            return QsfpMonitors(product)
        case "cmis":
            return CmisMonitors(product)


class _Limits:
    """One quantity against its thresholds."""

    def __init__(self, bounds: Bounds) -> None:
        self._high = (bounds.high_alarm, bounds.high_warning)
        self._low = (bounds.low_alarm, bounds.low_warning)

    def nibble(self, value: float) -> int:
        """Bit 3 high alarm, 2 low alarm, 1 high warning, 0 low warning."""
        if self._low[1] <= value <= self._high[1]:
            return 0
        return (
            (value > self._high[0]) << 3
            | (value < self._low[0]) << 2
            | (value > self._high[1]) << 1
            | (value < self._low[1])
        )

    def masks(self, values: Sequence[float]) -> tuple[int, int, int, int]:
        """Lanes as bits, for high alarm, low alarm, high warning, low warning."""
        if self._low[1] <= min(values) and max(values) <= self._high[1]:
            return 0, 0, 0, 0
        masks = [0, 0, 0, 0]
        for lane, value in enumerate(values):
            nibble = self.nibble(value)
            for place in range(4):
                masks[place] |= (nibble >> (3 - place) & 1) << lane
        return masks[0], masks[1], masks[2], masks[3]


def _words(values: Sequence[float], lsb: float) -> bytes:
    return struct.pack(f">{len(values)}H", *[word(value, lsb) for value in values])


class SfpMonitors:
    """A2h of SFF-8472. Its flags are not latched: the specification leaves that to the vendor."""

    def __init__(self, product: Product) -> None:
        optics = product.optics
        self._limits = (
            [
                _Limits(product.temperature),
                _Limits(product.voltage),
                _Limits(bias_bounds(optics)),
                _Limits(tx_power_bounds(optics)),
                _Limits(rx_power_bounds(optics)),
            ]
            if optics
            else []
        )

    def write(self, module: Register, state: State, *, module_state: int) -> None:
        """As `Monitors.write`."""
        if not self._limits:
            return
        values = (state.temperature, state.voltage, state.bias[0], state.tx_power[0], state.rx_power[0])
        lsbs = (VOLT_LSB, BIAS_LSB_A, POWER_LSB_W, POWER_LSB_W)
        rest = [word(value, lsb) for value, lsb in zip(values[1:], lsbs, strict=True)]
        status = (state.tx_fault & 1) << 2 | (state.rx_los & 1) << 1 | (module_state < READY)
        found = [limits.nibble(value) for limits, value in zip(self._limits, values, strict=True)]
        data = struct.pack(">5H", celsius(state.temperature), *rest) + bytes(4) + bytes((status, 0))
        module.put(Span(96, 16, i2c=I2C_DIAGNOSTICS), data)
        alarms = sum((nibble >> 2) << (14 - 2 * place) for place, nibble in enumerate(found))
        warnings = sum((nibble & 3) << (14 - 2 * place) for place, nibble in enumerate(found))
        module.put(Span(112, 2, i2c=I2C_DIAGNOSTICS), alarms.to_bytes(2, "big"))
        module.put(Span(116, 2, i2c=I2C_DIAGNOSTICS), warnings.to_bytes(2, "big"))


class QsfpMonitors:
    """Lower memory of SFF-8636."""

    def __init__(self, product: Product) -> None:
        optics = product.optics
        self._module = (_Limits(product.temperature), _Limits(product.voltage))
        self._lanes = (
            (
                _Limits(rx_power_bounds(optics)),
                _Limits(bias_bounds(optics)),
                _Limits(tx_power_bounds(optics)),
            )
            if optics
            else None
        )
        self._flags = b""

    def write(self, module: Register, state: State, *, module_state: int) -> None:
        """As `Monitors.write`."""
        module.put(Span(2, 1), bytes((0x02 | (module_state < READY),)))
        temperature, voltage = self._module
        module.put(Span(22, 2), struct.pack(">H", celsius(state.temperature)))
        module.put(Span(26, 2), struct.pack(">H", word(state.voltage, VOLT_LSB)))
        if self._lanes is None:
            return
        by_lane = (state.rx_power, state.bias, state.tx_power)
        lsbs = (POWER_LSB_W, BIAS_LSB_A, POWER_LSB_W)
        monitors = b"".join(_words(values, lsb) for values, lsb in zip(by_lane, lsbs, strict=True))
        module.put(Span(34, 24), monitors)
        flags = bytearray(12)  # bytes 3-14
        flags[0] = (state.tx_los & 0x0F) << 4 | state.rx_los & 0x0F
        flags[1] = state.tx_fault & 0x0F
        flags[2] = (state.tx_lol & 0x0F) << 4 | state.rx_lol & 0x0F
        flags[3] = temperature.nibble(state.temperature) << 4
        flags[4] = voltage.nibble(state.voltage) << 4
        for place, (limits, values) in enumerate(zip(self._lanes, by_lane, strict=True)):
            nibbles = [limits.nibble(value) for value in values]
            flags[6 + 2 * place] = nibbles[0] << 4 | nibbles[1]
            flags[7 + 2 * place] = nibbles[2] << 4 | nibbles[3]
        if bytes(flags) != self._flags:
            self._flags = bytes(flags)
            module.put(Span(3, 12), self._flags)


class CmisMonitors:
    """Lower memory and page 11h of CMIS, in every bank."""

    def __init__(self, product: Product) -> None:
        self._product = product
        optics = product.optics
        self._module = (_Limits(product.temperature), _Limits(product.voltage))
        self._lanes = (
            (
                _Limits(tx_power_bounds(optics)),
                _Limits(bias_bounds(optics)),
                _Limits(rx_power_bounds(optics)),
            )
            if optics
            else None
        )
        if product.light == "source":
            self._lanes = None  # its lasers are on pages of their own
        self._bias_lsb = bias_lsb(product)
        self._state = READY
        self._flags: dict[int, bytes] = {}
        self._module_flags = 0

    def write(self, module: Register, state: State, *, module_state: int) -> None:
        """As `Monitors.write`."""
        if self._product.flat:
            return
        if module_state != self._state:
            self._state = module_state
            module.put(Span(8, 1), b"\x01")  # ModuleStateChangedFlag ...
            module.put(Span(8, 1), b"\x00")  # ... which is an event, no condition
        module.put(Span(3, 1), bytes((module_state << 1,)))
        ready = module_state == READY
        temperature, voltage = self._module
        data = struct.pack(
            ">HHHH", celsius(state.temperature), word(state.voltage, VOLT_LSB), 0, celsius(state.laser_temperature)
        )
        module.put(Span(14, 8), data if ready else bytes(8))
        found = self._bits(temperature.nibble(state.temperature)) | self._bits(voltage.nibble(state.voltage)) << 4
        if found != self._module_flags and ready:
            self._module_flags = found
            module.put(Span(9, 1), bytes((found,)))
        for bank in range(self._product.banks if self._product.light != "source" else 0):
            self._bank(module, state, bank, ready=ready)

    @staticmethod
    def _bits(nibble: int) -> int:
        """CMIS counts from the other end: bit 0 high alarm, 1 low alarm, 2 high warning, 3 low warning."""
        return (nibble >> 3 & 1) | (nibble >> 1 & 2) | (nibble << 1 & 4) | (nibble << 3 & 8)

    def _bank(self, module: Register, state: State, bank: int, *, ready: bool) -> None:
        first, last = 8 * bank, 8 * bank + 8
        page = 0x11
        states = _host_states(self._product, bank, ready=ready)
        module.put(Span(128, 6, page, bank), states + (b"\xff\xff" if ready else b"\x00\x00"))
        bias = state.bias if self._product.light == "own" else []
        by_lane = [values[first:last] for values in (state.tx_power, bias, state.rx_power)]
        lsbs = (POWER_LSB_W, self._bias_lsb, POWER_LSB_W)
        if ready:
            monitors = b"".join(
                _words(values, lsb).ljust(16, b"\x00") for values, lsb in zip(by_lane, lsbs, strict=True)
            )
        else:
            monitors = bytes(48)
        module.put(Span(154, 48, page, bank), monitors)
        if not ready or self._lanes is None or not by_lane[0]:
            return
        flagged = zip(self._lanes, by_lane, strict=True)
        found = [limits.masks(values) if values else (0, 0, 0, 0) for limits, values in flagged]
        flags = bytes(
            (
                state.tx_fault >> first & 0xFF, state.tx_los >> first & 0xFF, state.tx_lol >> first & 0xFF, 0,
                *found[0], *found[1],
                state.rx_los >> first & 0xFF, state.rx_lol >> first & 0xFF, *found[2],
            )
        )  # fmt: skip
        if flags != self._flags.get(bank):
            self._flags[bank] = flags
            module.put(Span(135, 18, page, bank), flags)


def _host_states(product: Product, bank: int, *, ready: bool) -> bytes:
    lanes = min(max(product.host_lanes - 8 * bank, 0), 8)
    code = _ACTIVATED if ready else _INITIALISING
    pairs = [code if 2 * pair < lanes else _DEACTIVATED for pair in range(4)]
    return bytes(pairs)
