"""An external laser source (ELSFP): pages 1Ah and 1Bh of a fake, eight lasers that light a co-packaged engine.

Document: OIF-ELSFP-CMIS-01.0 tables 4 to 12.

Not simulated: more than eight lasers, save and restore, fibre check, the loops' own warnings.
"""

from typing import ClassVar, Final, Protocol

from agent.memory import Memory, Span
from fakes.images import Page, bias_bounds, tx_power_bounds
from fakes.optics import State
from fakes.products import Bounds, Product

_CONTROL: Final = 0x1A
_MONITOR: Final = 0x1B
_BIAS_LSB_A: Final = 100e-6
_POWER_LSB_W: Final = 10e-6
_VOLT_LSB: Final = 15e-3
_ACC_LOOP: Final = 2
_ON: Final = 2


class Register(Protocol):
    """What can be written: a `FakeModule`."""

    def put(self, span: Span, data: bytes) -> None: ...


class Elsfp:
    """The pages of one source."""

    pages: ClassVar = frozenset({_CONTROL, _MONITOR})
    """Pages whose content is worked out when somebody selects them."""

    def __init__(self, product: Product) -> None:
        self._optics = product.optics
        self._lasers = self._optics.lanes if self._optics else 0
        self._shown = (b"", b"")

    def describe(self, memory: Memory) -> None:
        """Limits, thresholds, and lasers that are on."""
        control, monitor = Page(), Page()
        if self._optics is not None:
            bias, power = bias_bounds(self._optics), tx_power_bounds(self._optics)
            control.words(128, _word(power.high_alarm, _POWER_LSB_W), _word(power.low_alarm, _POWER_LSB_W))
            control.words(132, _word(bias.high_alarm, _BIAS_LSB_A), _word(bias.low_alarm, _BIAS_LSB_A))
            control.put(140, self._lasers << 1 | 1)  # constant power
            control.words(141, *_four(bias, _BIAS_LSB_A))
            control.words(149, *_four(power, _POWER_LSB_W))
            control.put(220, 0xFF, 0xAA, 0xAA)
            control.put(224, *range(1, 9))
            control.words(232, *(38_620 - 60 * (number % 4) for number in range(8)))
        memory.put(Span(128, 128, _CONTROL), bytes(control.data))
        memory.put(Span(128, 128, _MONITOR), bytes(monitor.data))

    def write(self, module: Register, state: State) -> None:
        """Monitors, states and flags of this moment."""
        if self._optics is None:
            return
        page = Page()
        page.words(184, *(_word(each, _BIAS_LSB_A) for each in state.bias))
        page.words(200, *(_word(each, _POWER_LSB_W) for each in state.tx_power))
        page.put(232, *(min(255, round((1.6 + 2.0 * each) / _VOLT_LSB)) for each in state.bias))
        page.words(240, _word(sum(state.bias) + 0.4, 200e-6))
        module.put(Span(184, 58, _MONITOR), bytes(page.data[56:114]))
        bounds = (bias_bounds(self._optics), tx_power_bounds(self._optics))
        flags = b"".join(
            bytes(_masks(values, limits))
            for values, limits in zip((state.bias, state.tx_power), bounds, strict=True)
        )
        faults = [_ACC_LOOP if state.tx_fault >> lane & 1 else 0 for lane in range(8)]
        states = sum((0 if state.tx_fault >> lane & 1 else _ON) << 2 * lane for lane in range(8))
        shown = (flags, bytes(faults))
        if shown != self._shown:
            self._shown = shown
            module.put(Span(166, 4, _CONTROL), bytes((state.tx_fault & 0xFF, 0, 0, 0)))
            module.put(Span(186, 8, _CONTROL), flags)
            module.put(Span(212, 8, _CONTROL), bytes(faults))
            module.put(Span(221, 2, _CONTROL), states.to_bytes(2, "little"))


def _word(value: float, lsb: float) -> int:
    return min(max(round(value / lsb), 0), 0xFFFF)


def _four(bounds: Bounds, lsb: float) -> tuple[int, ...]:
    values = (bounds.high_alarm, bounds.low_alarm, bounds.high_warning, bounds.low_warning)
    return tuple(_word(value, lsb) for value in values)


def _masks(values: list[float], bounds: Bounds) -> tuple[int, int, int, int]:
    """A bit a laser: high alarm, low alarm, high warning, low warning."""
    return (
        sum((value > bounds.high_alarm) << lane for lane, value in enumerate(values)),
        sum((value < bounds.low_alarm) << lane for lane, value in enumerate(values)),
        sum((value > bounds.high_warning) << lane for lane, value in enumerate(values)),
        sum((value < bounds.low_warning) << lane for lane, value in enumerate(values)),
    )
