"""A slot is one sensor of one port: where its number stands, what it means. Made at discovery, read every poll."""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from agent.model import Bounds
from agent.quantities import Quantity, Unit
from drivers.snmp.ber import Oid, Value
from drivers.snmp.tables import Column
from drivers.snmp.units import Scale, from_text, is_zero, numbers, signed

STATUS_OK: Final = 1
_INTEGER: Final = re.compile(rb"\s*[+-]?\d+\s*")


class Missing(Enum):
    """Why a slot has no value."""

    ABSENT = "the device has no such sensor now"
    UNAVAILABLE = "the sensor exists and gives no value"
    FAILED = "the walk of its column did not get there"


class CutColumn(dict[Oid, Value]):
    """The rows of a walk that did not reach its end: a row that is missing here may well exist."""


@dataclass(frozen=True, slots=True)
class Place:
    """The port a sensor belongs to: an interface, or else a name of its own."""

    if_index: int = 0
    name: str = ""
    entity: int = 0


@dataclass(frozen=True, slots=True)
class Linear:
    """External calibration: slope in 1/256 and offset in raw steps (SFF-8472 section 9.3)."""

    slope: int
    offset: int

    def apply(self, raw: float) -> float:
        """The calibrated number, in the same steps."""
        return raw * self.slope / 256 + self.offset


@dataclass(frozen=True, slots=True)
class Polynomial:
    """External calibration of received power; coefficients from x^0 up."""

    coefficients: tuple[float, ...]

    @classmethod
    def from_bits(cls, bits: Sequence[int]) -> "Polynomial":
        """From IEEE 754 single bit patterns."""
        return cls(tuple(struct.unpack(">f", (word & 0xFFFFFFFF).to_bytes(4, "big"))[0] for word in bits))

    def apply(self, raw: float) -> float:
        """The calibrated number, in the same steps; never below nothing."""
        total = 0.0
        for coefficient in reversed(self.coefficients):
            total = total * raw + coefficient
        return max(total, 0.0)


@dataclass(frozen=True, slots=True)
class Slot:
    """One sensor. `lane` 0 is the whole port; `column` and `status` are numbers into the poll's columns."""

    place: Place
    quantity: Quantity
    lane: int
    column: int
    row: Oid
    scale: Scale
    mib: str
    no_value: frozenset[int] = frozenset()
    status: int = -1
    item: int = -1
    """Of a comma list; -1: the value is no list."""
    alone: bool = False
    """A text with a comma is a list, which other slots read."""
    floor: int | None = None
    calibration: Linear | Polynomial | None = None
    bounds: Bounds = field(default_factory=Bounds)
    zero_is_missing: bool = True
    is_sensor: bool = False
    """A sensor of ENTITY-SENSOR-MIB: having no value it is unavailable; a table's cell is then not offered."""

    def read(self, columns: Sequence[Column | None]) -> tuple[float | Missing, bool]:
        """The value in its base unit, or why there is none; and whether the device's own number is zero."""
        column = columns[self.column]
        if column is None:
            return Missing.FAILED, False
        raw = column.get(self.row)
        if raw is None:
            return (Missing.FAILED if isinstance(column, CutColumn) else Missing.ABSENT), False
        if self.status >= 0:
            statuses = columns[self.status]
            if statuses is not None and statuses.get(self.row, STATUS_OK) != STATUS_OK:
                return Missing.UNAVAILABLE, False
        nothing = Missing.UNAVAILABLE if self.is_sensor else Missing.ABSENT
        if isinstance(raw, bytes):
            return self._text(raw, nothing)
        number: float = signed(raw)
        if number in self.no_value:
            return nothing, False
        if self.floor is not None and number <= self.floor:
            return 0.0, False
        if self.calibration is not None:
            number = self.calibration.apply(number)
        value = self.scale.apply(number)
        return (nothing if value is None else value), raw == 0

    def _text(self, raw: bytes, nothing: Missing) -> tuple[float | Missing, bool]:
        if self.item >= 0:
            items = numbers(raw)
            value = self._item(items)
            zero = self.item < len(items) and items[self.item] == 0.0
        else:
            value = self._from_text(raw)
            zero = is_zero(raw)
        return (nothing if value is None else value), value is not None and (zero or value == 0.0)

    def _from_text(self, text: bytes) -> float | None:
        if self.alone and b"," in text:
            return None
        if self.no_value and _INTEGER.fullmatch(text) and int(text) in self.no_value:
            return None  # an integer that the agent writes as text
        return from_text(text, self.scale)

    def _item(self, items: list[float]) -> float | None:
        if self.item >= len(items) or len(items) < 2 or int(items[self.item]) in self.no_value:
            return None
        return self.scale.apply(items[self.item])

    @property
    def is_power_in_dbm(self) -> bool:
        """Where a zero may be 1 mW or a dark laser."""
        return self.scale.unit is Unit.DBM
