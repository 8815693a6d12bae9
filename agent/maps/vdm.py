"""The samples of VDM in little memory: numbers alone, beside what modules of a kind have in common.

A module may have 256 samples, and a switch 512 modules. `VdmSample` is what whoever walks through them gets, made
on the way; what is kept of one is its eight bytes.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple, cast, overload

from agent.model import Bounds, VdmSample

if TYPE_CHECKING:
    from array import array

_Row = tuple[str, int, int, float, str, Bounds, tuple[str, ...]]
_sample: Final = cast(
    "Callable[[_Row], VdmSample]",
    partial(tuple.__new__, VdmSample),  # pyright: ignore[reportUnknownMemberType]  # a third of the time of its own
)


class Definitions(NamedTuple):
    """What some samples are, one behind the other: the fields of a `VdmSample` that never change."""

    observables: tuple[str, ...]
    lanes: tuple[int, ...]
    groups: tuple[int, ...]
    units: tuple[str, ...]
    bounds: tuple[Bounds, ...]


class VdmSamples(Sequence[VdmSample]):
    """Some samples; equal to a tuple of the same ones."""

    __slots__ = ("_definitions", "_flags", "_values")

    def __init__(self, definitions: Definitions, values: "array[float]", flags: Sequence[tuple[str, ...]]) -> None:
        """`flags`: those that are set, one a sample."""
        self._definitions = definitions
        self._values = values
        self._flags = flags

    def named(self, observable: str) -> list[tuple[int, float]]:
        """Lanes and values of one observable."""
        lanes, values = self._definitions.lanes, self._values
        return [(lanes[at], values[at]) for at in _places(self._definitions.observables).get(observable, ())]

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[VdmSample]:
        observables, lanes, groups, units, bounds = self._definitions
        return map(_sample, zip(observables, lanes, groups, self._values, units, bounds, self._flags, strict=True))

    @overload
    def __getitem__(self, index: int) -> VdmSample: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[VdmSample, ...]: ...
    def __getitem__(self, index: int | slice) -> VdmSample | tuple[VdmSample, ...]:
        return tuple(self)[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, VdmSamples):
            return (self._values, self._flags, self._definitions) == (
                other._values,
                other._flags,
                other._definitions,
            )
        return isinstance(other, tuple) and tuple(self) == other

    __hash__ = None  # type: ignore[assignment]  # bounds are dictionaries


@lru_cache(maxsize=256)
def _places(observables: tuple[str, ...]) -> dict[str, list[int]]:
    """Where each observable stands."""
    found: dict[str, list[int]] = {}
    for at, observable in enumerate(observables):
        found.setdefault(observable, []).append(at)
    return found


def named(vdm: Sequence[VdmSample], observable: str) -> list[tuple[int, float]]:
    """Lanes and values of the samples of one observable, without a walk through all others where that can be."""
    if isinstance(vdm, VdmSamples):
        return vdm.named(observable)
    return [(sample.lane, sample.value) for sample in vdm if sample.observable == observable]


def joined(runs: Sequence[Sequence[VdmSample]]) -> Sequence[VdmSample]:
    """Some runs of samples as one."""
    first = runs[0] if runs else ()
    return first if len(runs) == 1 and isinstance(first, VdmSamples) else tuple(chain.from_iterable(runs))
