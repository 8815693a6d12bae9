"""How reliable links are: hours up, unintentional downs, hours per flap and what is certain of it. Pure.

    for figure in figures(records(hub, monotonic=now), by=PART):
        figure.name, figure.link_hours, figure.downs, figure.hours_per_down, figure.lower_bound

The same figures as the recording rules of `mixin/`, over everything that was counted (they: the last 30 days).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import exp, inf, lgamma, log, sqrt
from typing import Final

from agent.model import DownCause, Module
from agent.state import Hub

CONFIDENCE: Final = 0.95
_Z: Final = 1.6448536269514722
"""Quantile of the normal distribution at 95 %."""
ROUNDS: Final = 50


@dataclass(frozen=True, slots=True)
class Record:
    """What was counted of one link. `swaps`: its module is not the only one that these hours are of."""

    device: str
    port: str
    link_hours: float
    downs: int
    module: Module
    swaps: int = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """The reliability of some links together. `name` says which: a port, a part number, a vendor, a kind."""

    name: tuple[str, ...]
    links: int
    link_hours: float
    downs: int

    @property
    def hours_per_down(self) -> float | None:
        """What was measured; None while no link went down."""
        return self.link_hours / self.downs if self.downs else None

    @property
    def lower_bound(self) -> float:
        """With 95 % confidence there are more link-hours than this between two downs, also where there was none."""
        return self.link_hours / most_expected(self.downs)


Key = Callable[[Record], tuple[str, ...] | None]
"""Which group a link belongs to; None: to none."""


def _of_module(*keys: str) -> Key:
    def name(record: Record) -> tuple[str, ...] | None:
        if record.swaps:  # nobody counted which of the modules these hours are of
            return None
        found = tuple(str(record.module.get(key, "")) for key in keys)
        return found if any(found) else None

    return name


def _port(record: Record) -> tuple[str, ...]:
    return record.device, record.port


def _all(_record: Record) -> tuple[str, ...]:
    return ()


PORT: Final[Key] = _port
PART: Final[Key] = _of_module("vendor_name", "part_number")
VENDOR: Final[Key] = _of_module("vendor_name")
KIND: Final[Key] = _of_module("form_factor")
EVERYTHING: Final[Key] = _all


def records(hub: Hub, *, monotonic: float) -> Iterator[Record]:
    """What is counted of every watched link until now (`monotonic` seconds)."""
    for device, port in hub.ports():
        link = port.link
        if link is not None:
            yield Record(
                device.device,
                port.port,
                link.up_seconds_at(monotonic) / 3600.0,
                link.down_events[DownCause.UNINTENTIONAL],
                port.reading.module if port.reading is not None else Module(),
                port.swaps,
            )


def figures(counted: Iterable[Record], *, by: Key) -> list[Figure]:
    """The links in groups, those of which the least is certain first."""
    sums: dict[tuple[str, ...], tuple[int, float, int]] = {}
    for record in counted:
        name = by(record)
        if name is not None:
            links, hours, downs = sums.get(name, (0, 0.0, 0))
            sums[name] = (links + 1, hours + record.link_hours, downs + record.downs)
    found = [Figure(name, *summed) for name, summed in sums.items()]
    return sorted(found, key=lambda figure: (figure.lower_bound, figure.name))


def most_expected(downs: int) -> float:
    """The mean of the Poisson distribution that gives so few `downs` in 5 % of all cases only.

    Half the 95 % quantile of the chi-square distribution with 2 (downs + 1) degrees of freedom: the approximation
    of Wilson and Hilferty, made exact by Newton's method.
    """
    shape = downs + 1
    mean = shape * (1.0 - 1.0 / (9.0 * shape) + _Z / (3.0 * sqrt(shape))) ** 3
    step = inf
    for _ in range(ROUNDS):
        if abs(step) <= 1e-12 * mean:
            break
        last = exp(downs * log(mean) - mean - lgamma(downs + 1))  # probability of exactly `downs`
        at_most, part, count = last, last, downs
        while count and part > 1e-17 * at_most:
            part *= count / mean
            at_most += part
            count -= 1
        step = (at_most - (1.0 - CONFIDENCE)) / last
        mean += step
    return mean
