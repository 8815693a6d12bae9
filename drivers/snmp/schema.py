"""What a file under `vendors/` may say of a MIB's tables and of what their columns mean (docs/snmp.md).

Nothing of a vendor is code.
"""

from collections.abc import Iterator
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from agent import quantities as q
from agent.quantities import Quantity
from drivers.snmp.ber import Oid
from drivers.snmp.units import Scale, parse_unit

QUANTITIES: Final[dict[str, Quantity]] = {
    quantity.name: quantity
    for quantity in (q.TEMPERATURE, q.SUPPLY_VOLTAGE, q.TX_BIAS, q.TX_POWER, q.RX_POWER, q.LASER_TEMPERATURE)
}
QuantityName = Literal["temperature", "supply_voltage", "tx_bias", "tx_power", "rx_power", "laser_temperature"]


MODEL: Final = -1
"""Stands for the model's own tree (`*`) in an OID."""


def _oid(value: object) -> object:
    """A dotted OID becomes a tuple."""
    if isinstance(value, str):
        return _dotted(value)
    return value


def _dotted(text: str) -> Oid:
    return tuple(int(part) for part in text.strip(".").split("."))


def _entry(value: object) -> object:
    """A dotted OID, or `*.1.2.11.1`: below the number that the device's model has."""
    if isinstance(value, str) and value.startswith("*."):
        return (MODEL, *_dotted(value[2:]))
    return _oid(value)


DottedOid = Annotated[Oid, BeforeValidator(_oid)]
EntryOid = Annotated[Oid, BeforeValidator(_entry)]
Column = Annotated[int, Field(ge=1)]
Unit = Annotated[Scale, BeforeValidator(lambda value: parse_unit(value) if isinstance(value, str) else value)]


class Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Thresholds(Rule):
    """Columns of the four limits; `unit` where it differs from the value's."""

    low_alarm: Column | None = None
    low_warning: Column | None = None
    high_warning: Column | None = None
    high_alarm: Column | None = None
    unit: Unit | None = None
    no_value: tuple[int, ...] = ()

    @property
    def columns(self) -> Iterator[int]:
        """The columns that are given."""
        numbers = (self.low_alarm, self.low_warning, self.high_warning, self.high_alarm)
        yield from (number for number in numbers if number is not None)


class OtherUnit(Rule):
    """Some devices fill the same column in another unit; which one is found out from what they answer.

    `witness` is a column of the same row that tells the value too, in dBm or hundredths of it, or as an integer in
    microwatts; `plausible` is the range of sane values in the quantity's base unit. All rows of the device vote.
    """

    unit: Unit
    witness: Column | None = None
    plausible: tuple[float, float] | None = None
    negative_is: Literal["first", "other"] | None = None
    """A negative number shows that it is the first unit, or this one."""


class Value(Rule):
    """One quantity of a table: a column a row, or `lanes` columns of lane 1, 2, ..."""

    quantity: QuantityName
    column: Column | None = None
    lanes: tuple[Column, ...] = ()
    unit: Unit
    other: OtherUnit | None = None
    list: bool = False
    """The text holds a comma list, lane 1 first; a list of one is not taken (the plain column has it)."""
    no_value: tuple[int, ...] = ()
    thresholds: Thresholds | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.column is None) == (not self.lanes):
            raise ValueError("give either 'column' or 'lanes'")
        return self

    @property
    def columns(self) -> tuple[int, ...]:
        """Every column that holds a reading."""
        return self.lanes or (self.column or 0,)


class Limits(Rule):
    """Limits of a quantity whose readings are in another table, or that count where the value's own are not set."""

    quantity: QuantityName
    unit: Unit
    thresholds: Thresholds


class FlagColumn(Rule):
    """A yes or no of a lane (or of the port's lane 1): raised when the column has this value."""

    flag: Literal["rx_los", "tx_fault", "tx_los"]
    column: Column
    raised: int
    cleared: int


class Calibration(Rule):
    """External calibration (SFF-8472): slope in 1/256 and offset per quantity, and the polynomial of rx power."""

    column: Column
    equals: int
    slopes: dict[QuantityName, tuple[Column, Column]] = {}
    rx_polynomial: tuple[Column, ...] = ()
    """Columns of the coefficients of x^0, x^1, ... as IEEE 754 bit patterns."""

    @property
    def columns(self) -> Iterator[int]:
        """The flag and all coefficients."""
        yield self.column
        yield from self.rx_polynomial
        for pair in self.slopes.values():
            yield from pair


class Identity(Rule):
    """Columns that say who the module is."""

    vendor_name: Column | None = None
    part_number: Column | None = None
    serial_number: Column | None = None
    vendor_revision: Column | None = None
    media: Column | None = None
    wavelength: Column | None = None
    wavelength_nm_per_unit: float = 1.0
    no_value: tuple[int, ...] = (0,)

    @property
    def columns(self) -> Iterator[int]:
        """The columns that are given."""
        yield from (number for _, number in self.named_columns)

    @property
    def named_columns(self) -> Iterator[tuple[str, int]]:
        """What is in which column."""
        for key in ("vendor_name", "part_number", "serial_number", "vendor_revision", "media", "wavelength"):
            if (column := getattr(self, key)) is not None:
                yield key, column


class IdentityTable(Identity):
    """Identity in a table of its own; its index is the beginning of that of the readings."""

    entry: DottedOid


class Where(Rule):
    """A way counts only in rows whose column has this number."""

    column: Column
    equals: int


class PortName(Rule):
    """A way from a row to its interface: a text column, here or in the table `entry` with a shorter index.

    With `pattern` the interface is the one whose name matches it, `{}` standing for the column's value.
    `part` takes a number of the index itself (from 1), where no column told anything.
    """

    column: Column | None = None
    part: Column | None = None
    entry: DottedOid | None = None
    pattern: str = ""
    where: Where | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.column is None) == (self.part is None):
            raise ValueError("give either 'column' or 'part'")
        return self

    def columns(self, own: Oid) -> Iterator[Oid]:
        """What it reads."""
        numbers = (self.column, self.where.column if self.where else None)
        yield from ((*(self.entry or own), number) for number in numbers if number is not None)


class Table(Rule):
    """One table: its entry OID, what its index means, and its columns."""

    entry: EntryOid
    index: tuple[Literal["if_index", "entity", "lane", "lane0", "_"], ...]
    port: tuple[PortName, ...] = ()
    no_value: tuple[int, ...] = ()
    ordered_thresholds: bool = False
    """Which of two limits of a side is the alarm is told by the numbers: the outer one."""
    zero_is_missing: bool = True
    """A row whose readings are all zero belongs to an empty cage, to copper, or to a module without monitors."""
    floor: int | None = None
    """Power at or below this number (in the column's own unit) means no light at all."""
    calibration: Calibration | None = None
    identity: Identity | None = None
    identity_tables: tuple[IdentityTable, ...] = ()
    value: tuple[Value, ...] = ()
    limits: tuple[Limits, ...] = ()
    flag: tuple[FlagColumn, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.value or self.limits or self.flag):
            raise ValueError("a table needs a [[table.value]], [[table.limits]] or [[table.flag]]")
        return self

    @property
    def columns(self) -> Iterator[Oid]:
        """Every column that a discovery reads."""
        for value in self.value:
            yield from ((*self.entry, number) for number in value.columns)
            if value.other is not None and value.other.witness is not None:
                yield (*self.entry, value.other.witness)
            if value.thresholds is not None:
                yield from ((*self.entry, number) for number in value.thresholds.columns)
        for limits in self.limits:
            yield from ((*self.entry, number) for number in limits.thresholds.columns)
        yield from ((*self.entry, flag.column) for flag in self.flag)
        if self.calibration is not None:
            yield from ((*self.entry, number) for number in self.calibration.columns)
        if self.identity is not None:
            yield from ((*self.entry, number) for number in self.identity.columns)
        for table in self.identity_tables:
            yield from ((*table.entry, number) for number in table.columns)
        for port in self.port:
            yield from port.columns(self.entry)


class Arithmetic(Rule):
    """Sensor index = base + if_index * per_port + offset, where sysDescr matches (SONiC)."""

    description: str
    base: int
    per_port: int
    offsets: dict[QuantityName, tuple[int, int]]
    """First and last offset; a range of more than one counts lanes from its first."""


class Suspect(Rule):
    """Power in this scale and precision that comes out above `above_watts` is `factor` times what it says."""

    scale: int
    precision: int
    above_watts: float
    factor: float


class ThresholdRows(Rule):
    """Limits as rows of their own (CISCO-ENTITY-SENSOR-MIB): columns of severity, relation and value."""

    entry: DottedOid
    severity: Column
    relation: Column
    value: Column


class ThresholdColumns(Thresholds):
    """Limits in a table with the sensor's index, in the sensor's own scale and precision."""

    entry: DottedOid


class Sensors(Rule):
    """A table of sensors by entPhysicalIndex whose meaning is in their type and their entity's text."""

    entry: DottedOid
    type: Column = 1
    scale: Column = 2
    precision: Column = 3
    value: Column = 4
    status: Column = 5
    units: Column | None = None
    no_value: tuple[int, ...] = ()
    limits: ThresholdRows | ThresholdColumns | None = None
    arithmetic: tuple[Arithmetic, ...] = ()
    suspect: tuple[Suspect, ...] = ()

    @property
    def columns(self) -> Iterator[Oid]:
        """Every column that a discovery reads."""
        numbers = (self.type, self.scale, self.precision, self.value, self.status, self.units)
        yield from ((*self.entry, number) for number in numbers if number is not None)
        limits = self.limits
        if isinstance(limits, ThresholdRows):
            yield from ((*limits.entry, number) for number in (limits.severity, limits.relation, limits.value))
        elif limits is not None:
            yield from ((*limits.entry, number) for number in limits.columns)
