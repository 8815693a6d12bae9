"""The diagnostics of an SFF-8472 module: what its A2h device offers, and how raw counts become values."""

import math
import struct
from collections.abc import Callable
from typing import Literal

from agent.maps import sff8472_fields as f
from agent.maps.quirks import Effects
from agent.maps.registers import Field, Item, place, read, read_bounds
from agent.maps.sff_common import as_said, bit_set, filled, said_by
from agent.memory import Memory, Span
from agent.model import Bounds, Trouble
from agent.quantities import Quantity, Unit

Convert = Callable[[int], float]


def declared(memory: Memory, found: Effects) -> bool:
    """Whether the module has diagnostics, by its own word or by that of the quirk data."""
    every = (*f.MONITORS, *f.LASER_MONITORS)
    return bit_set(f.DIAGNOSTICS, memory) or any(monitor.subject.key in found.offered for monitor in every)


def readable(memory: Memory, found: Effects) -> bool:
    """Whether the device at A2h is to be asked: it is there, and answers without the address change sequence."""
    return declared(memory, found) and not bit_set(f.ADDRESS_CHANGE, memory)


def since_12_4(memory: Memory) -> bool:
    """Whether A2h bytes 56-94 hold the newer registers, not calibration constants."""
    revision = memory.byte(f.REVISION.offset)
    return revision is not None and revision >= f.REVISION_12_4 and not bit_set(f.EXTERNAL, memory)


class Diagnostics:
    """What A2h offers and how its counts become values."""

    def __init__(self, memory: Memory, found: Effects) -> None:
        self._memory = memory
        self._effects = found
        self.items: list[Item] = []
        self.thresholds: dict[Quantity, Bounds] = {}
        self.unread: list[str] = []
        self.errors: list[Trouble] = []
        self.calibration: Literal["internal", "external"] | None = None
        self.rx_power_type: Literal["average", "oma"] | None = None
        self.usable = False
        if self._offered():
            self._describe()

    def _offered(self) -> bool:
        memory = self._memory
        if not declared(memory, self._effects):
            return False
        if memory.byte(f.REVISION.offset) == 0 and f.DIAGNOSTIC_CONSTANTS not in memory:
            # The bit is set, the revision says there is no SFF-8472, and no device answers: there is none.
            return memory.byte(f.TEMPERATURE.value.offset, i2c=f.TEMPERATURE.value.i2c) is not None
        return True

    def _describe(self) -> None:
        memory = self._memory
        self.rx_power_type = "average" if bit_set(f.RX_POWER_AVERAGE, memory) else "oma"
        if bit_set(f.ADDRESS_CHANGE, memory):
            self._unavailable(
                "address_change", "the diagnostics need the address change sequence, which is not done"
            )
            return
        constants = memory.get(f.DIAGNOSTIC_CONSTANTS._replace(length=f.DATA_NOT_READY.offset))
        if constants is not None and filled(constants) and (constants[0] or not self._starting()):
            self._unavailable("diagnostics_blank", f"A2h holds {constants[0]:02X}h in every byte")
            return
        self.usable = True
        external = self._calibration()
        for monitor in (*f.MONITORS, *f.LASER_MONITORS):
            said = said_by(self._effects, monitor.subject.key)
            if self._has(monitor) if said is None else said:
                self._monitor(monitor, external=external and monitor not in f.LASER_MONITORS)
        self.items.append(place(f.DATA_NOT_READY))
        self.items += [place(field) for field in f.STATUS if self._advertised(field)]
        if since_12_4(memory) and self._advertised(f.TX_ADAPTIVE_EQ_FAULT):
            self.items.append(place(f.TX_ADAPTIVE_EQ_FAULT))

    def _advertised(self, field: Field) -> bool:
        said = said_by(self._effects, field.name)
        return field.advertised is not None and bit_set(field.advertised, self._memory) if said is None else said

    def _starting(self) -> bool:
        status = self._memory.byte(f.DATA_NOT_READY.offset, i2c=f.DATA_NOT_READY.i2c)
        return status is not None and status & 1 == 1

    def _unavailable(self, reason: str, detail: str) -> None:
        self.unread = [monitor.subject.key for monitor in f.MONITORS]
        self.errors.append(Trouble(reason, detail))

    def _calibration(self) -> bool:
        internal, external = bit_set(f.INTERNAL, self._memory), bit_set(f.EXTERNAL, self._memory)
        if internal == external:
            said = "both" if internal else "neither"
            self.errors.append(
                Trouble("calibration", f"A0h byte 92 says {said} of internal and external: taken as internal")
            )
            external = False
        self.calibration = "external" if external else "internal"
        return external

    def _has(self, monitor: f.Monitor) -> bool:
        """Whether a monitor exists. Of the optional ones no bit says so, their thresholds and values do."""
        if monitor in f.MONITORS:
            return True
        memory = self._memory
        own = memory.get(monitor.thresholds.span())
        groups = [memory.get(m.thresholds.span()) for m in f.LASER_MONITORS]
        if own is None or all(group is None or filled(group) for group in groups):
            return False
        now = memory.get(monitor.value.span())
        if now is None or any(now):
            return True
        # No cooler holds a laser at 0.0 degC, but a cooler may rest.
        return monitor is f.TEC_CURRENT and not filled(own)

    def _monitor(self, monitor: f.Monitor, *, external: bool) -> None:
        memory = self._memory
        convert: Convert | None = None
        if external:
            convert = calibrated(monitor, memory)
            if convert is None:
                self._uncalibrated(monitor)
                return
        self.items.append(place(as_said(monitor.value, self._effects), convert=convert))
        raw = memory.get(monitor.thresholds.span())
        bounds = read_bounds(monitor.thresholds, memory, convert=convert)
        if bounds and not filled(raw):
            self.thresholds[monitor.subject] = bounds
        if bit_set(f.ALARMS, memory):
            self.items += [place(flag) for flag in monitor.flags if said_by(self._effects, flag.name) is not False]

    def _uncalibrated(self, monitor: f.Monitor) -> None:
        self.unread.append(monitor.subject.key)
        self.errors.append(
            Trouble("calibration", f"the external calibration constants of {monitor.subject.key} are unusable")
        )


def calibrated(monitor: f.Monitor, memory: Memory) -> Convert | None:
    """What turns a raw count of an externally calibrated module into a value; None for unusable constants."""
    scale = monitor.value.lsb
    if monitor.line is None:
        constants = memory.get(Span(56, 20, i2c=monitor.value.i2c))
        return None if constants is None else polynomial(constants, scale.denominator / scale.numerator)
    slope, offset = read(monitor.line.slope, memory), read(monitor.line.offset, memory)
    if not slope or not offset or not slope[0]:
        return None
    slope_256, offset_256 = int(slope[0]), 256 * int(offset[0])
    num, den = scale.numerator, 256 * scale.denominator
    power = monitor.subject.unit is Unit.WATT

    def line(count: int) -> float:
        value = (slope_256 * count + offset_256) * num / den
        return 0.0 if power and value < 0.0 else value

    return line


def polynomial(constants: bytes, per_unit: float) -> Convert | None:
    """Receive power in watts by five single-precision coefficients, fourth power first; None for unusable ones."""
    coefficients: tuple[float, ...] = struct.unpack(">5f", constants)
    if not all(map(math.isfinite, coefficients)) or not any(coefficients[:4]):
        return None
    c4, c3, c2, c1, c0 = coefficients

    def power(count: int) -> float:
        raw = float(count)
        value = (c4 * raw**4 + c3 * raw**3 + c2 * raw**2 + c1 * raw + c0) / per_unit
        return max(value, 0.0)

    return power
