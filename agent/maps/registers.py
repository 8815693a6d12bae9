"""How a register is declared, and how its bytes become numbers and numbers its bytes.

A memory map is a file of `Field` rows. Everything else comes from them: what is read (`agent.maps.plan`), what the
bytes mean, the images of the fakes, `docs/registers.md` and the tests.

    RX_POWER = Field(
        q.RX_POWER, page=0x11, offset=186, kind=Kind.U16, lsb=Fraction(1, 10_000_000), lanes=8, banked=True,
        advertised=Bit(0x01, 160, 2), ref="CMIS 5.2, Page 11h, bytes 186-201",
    )
    RX_POWER.decode(bytes.fromhex("2710" * 8))   # [0.001, ...] watts, one a lane
    RX_POWER.span(bank=2)                        # bytes 186-201 of page 11h bank 2
    availability(RX_POWER, memory)               # OK, NOT_ADVERTISED or UNREAD

Bits are a field too: `bits` holds, for each lane, where its value begins, counted as 8 * byte + bit from `offset`:

    Field(q.RX_LOS, page=0x11, offset=147, bits=LANE_BITS, lanes=8, banked=True, latched=True, ...)  # a bit a lane
    Field(RX_POWER_HIGH_ALARM, offset=9, bits=(7, 3, 15, 11), lanes=4, latched=True, ...)  # SFF-8636: two a byte
    Field("data_path_states", page=0x11, offset=128, bits=LANE_NIBBLES, width=4, lanes=8, ...)  # low nibble first
    Field(q.RX_LOS, offset=110, bits=(1,), lanes=1, i2c=I2C_DIAGNOSTICS, ...)  # SFF-8472: its only lane
    Field(TEMPERATURE_HIGH_ALARM, offset=9, bits=(0,), latched=True, ...)  # of the module: lanes=0

A map looks at one module, keeps the fields that it has, and says with `place` where they are (bank, lanes,
calibration); the resulting `Item`s are what `agent.maps.plan.compile_plan` takes. What differs between modules (the
scale of the bias, what an auxiliary monitor is) is a `dataclasses.replace` of the field before that.
"""

import dataclasses
import struct
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Final

from agent.memory import I2C_MODULE, Memory, Span
from agent.model import Bounds
from agent.quantities import BOUNDS, Flag, Quantity

ONE: Final = Fraction(1)
LANE_BITS: Final = tuple(range(8))
"""A bit a lane, lane 1 in bit 0."""
LANE_NIBBLES: Final = tuple(range(0, 32, 4))
"""Four bits a lane, lane 1 in the low half of the first byte."""


class Kind(Enum):
    """How a word is stored: byte order and letter as in `struct`."""

    U8 = ">B"
    S8 = ">b"
    U16 = ">H"
    S16 = ">h"
    U32 = ">I"
    S32 = ">i"
    U64 = ">Q"
    F32 = ">f"
    U16_LE = "<H"
    U64_LE = "<Q"
    F16 = ">H "
    """CMIS F16: bits 15-11 exponent s, bits 10-0 mantissa m, value m * 10^(s-24). Not IEEE half precision."""
    ASCII = "s"
    BYTES = "s "

    def __init__(self, code: str) -> None:
        self.order = code[0]
        """`>` or `<`."""
        self.letter = code.strip()[-1]
        """Format letter of one word in `struct`."""
        self.size = struct.calcsize(self.letter)
        """Bytes of one word."""


class Confidence(Enum):
    """How sure a row is; the value is its mark in `docs/registers.md`."""

    SETTLED = ""
    ONE_SOURCE = "[1]"
    UNSURE = "[?]"


class State(Enum):
    """Whether a module has a field and its bytes are known."""

    OK = "ok"
    NOT_ADVERTISED = "not advertised"
    UNREAD = "unread"


@dataclass(frozen=True, slots=True)
class Bit:
    """The bit by which a module says that it has something."""

    page: int
    offset: int
    bit: int
    i2c: int = I2C_MODULE

    def span(self) -> Span:
        """The byte that holds it."""
        return Span(self.offset, 1, self.page, 0, self.i2c)

    def read(self, memory: Memory) -> bool | None:
        """Its value, or None when the byte is unread."""
        byte = memory.byte(self.offset, self.page, i2c=self.i2c)
        return None if byte is None else bool(byte >> self.bit & 1)


@dataclass(frozen=True, slots=True)
class Field:
    """One register, or a row of equal ones for the lanes of a bank. The subject's unit is that of `lsb`.

    A subject that is a name belongs to the map that declares it; `data_path_states`, `lane_applications`,
    `lane_application_blocks`, `tx_disabled`, `module_state` and `data_not_ready` are understood by the plan
    compiler.
    """

    subject: Quantity | Flag | str
    offset: int
    page: int = 0
    kind: Kind = Kind.U8
    lsb: Fraction = ONE
    lanes: int = 0
    """How many lanes of one bank it has; 0: it speaks of the module."""
    length: int = 0
    """Bytes of an ASCII or BYTES field."""
    bits: tuple[int, ...] = ()
    """For values smaller than a byte: where each begins, as 8 * byte + bit from `offset`."""
    width: int = 1
    """How many bits each of them has."""
    bounds: bool = False
    """Holds the four thresholds of its subject, in the order of `quantities.BOUNDS`."""
    banked: bool = False
    advertised: Bit | None = None
    i2c: int = I2C_MODULE
    latched: bool = False
    """Reading the byte clears it."""
    ref: str = ""
    confidence: Confidence = Confidence.SETTLED
    note: str = ""
    size: int = dataclasses.field(init=False, repr=False, compare=False)
    """How many bytes it has. Worked out once: a module asks for it a hundred times."""

    def __post_init__(self) -> None:
        size = (max(self.bits) + self.width + 7) // 8 if self.bits else self.length or self.kind.size * self.count
        object.__setattr__(self, "size", size)

    @property
    def name(self) -> str:
        """The subject's name: key of the quantity, name of the flag."""
        if isinstance(self.subject, Quantity):
            return self.subject.key
        return self.subject.name if isinstance(self.subject, Flag) else self.subject

    @property
    def count(self) -> int:
        """How many words or bit groups it has."""
        if self.bits:
            return len(self.bits)
        return len(BOUNDS) if self.bounds else max(self.lanes, 1)

    def span(self, bank: int = 0) -> Span:
        """Its bytes."""
        upper = self.offset >= 128
        return Span(self.offset, self.size, self.page if upper else 0, bank if upper else 0, self.i2c)

    def raw(self, data: bytes) -> list[int]:
        """The integers in the bytes of its span, before any scale."""
        if self.length:
            return list(data[: self.length])
        if self.bits:
            mask = (1 << self.width) - 1
            return [data[at >> 3] >> (at & 7) & mask for at in self.bits]
        return list(struct.unpack_from(f"{self.kind.order}{self.count}{self.kind.letter}", data))

    def decode(self, data: bytes) -> list[float]:
        """The values in the bytes of its span, each the float nearest to the true value."""
        return [scaler(self)(word) for word in self.raw(data)]

    def encode(self, values: Sequence[float], data: bytes = b"") -> bytes:
        """The bytes that decode to `values` as nearly as they can; bits that are not its own stay as in `data`."""
        if self.bits:
            image = bytearray(data or bytes(self.size))
            mask = (1 << self.width) - 1
            for at, value in zip(self.bits, values, strict=True):
                image[at >> 3] = image[at >> 3] & ~(mask << (at & 7)) | (round(value) & mask) << (at & 7)
            return bytes(image)
        words = [_word(value, self) for value in values]
        return struct.pack(f"{self.kind.order}{self.count}{self.kind.letter}", *words)

    def text(self, data: bytes) -> str:
        """The characters of an ASCII field, without padding and without what cannot be printed."""
        return data.translate(None, _NOT_PRINTABLE).decode("ascii").strip()

    def encode_text(self, text: str) -> bytes:
        """An ASCII field, padded with spaces."""
        return text.encode("ascii")[: self.length].ljust(self.length)


_NOT_PRINTABLE: Final = bytes((*range(32), *range(127, 256)))
_F16: Final = tuple(Fraction(10) ** (exponent - 24) for exponent in range(32))


def f16(word: int) -> float:
    """The value of a CMIS F16 word."""
    scale = _F16[word >> 11 & 31]
    return (word & 0x7FF) * scale.numerator / scale.denominator


def encode_f16(value: float) -> int:
    """The F16 word nearest to `value`, with as many digits as fit."""
    for exponent, scale in enumerate(_F16):
        mantissa = round(Fraction(max(value, 0.0)) / scale)
        if mantissa <= 0x7FF:
            return exponent << 11 | mantissa
    return 0xFFFF


def scaler(field: Field) -> Callable[[int], float]:
    """What turns one raw integer of the field into its value: integers multiplied, divided once."""
    num, den = field.lsb.numerator, field.lsb.denominator
    if field.kind is Kind.F16:
        return f16 if field.lsb == 1 else lambda word: f16(word) * num / den
    if num == 1:
        return float if den == 1 else lambda word: word / den
    return lambda word: word * num / den


_RANGE: Final = {"B": (0, 0xFF), "b": (-0x80, 0x7F), "H": (0, 0xFFFF), "h": (-0x8000, 0x7FFF)} | {
    "I": (0, 2**32 - 1),
    "i": (-(2**31), 2**31 - 1),
    "Q": (0, 2**64 - 1),
}


def _word(value: float, field: Field) -> int | float:
    if field.kind is Kind.F16:
        return encode_f16(value)
    if field.kind is Kind.F32:
        return value
    low, high = _RANGE[field.kind.letter]
    return min(max(round(Fraction(value) / field.lsb), low), high)


@dataclass(frozen=True, slots=True)
class Item:
    """A field as one module has it: in which bank, for which lanes, by which calibration.

    `lanes` holds the lane number of each position of the field, 0 where the module has no such lane; () means that
    it speaks of the module.
    """

    field: Field
    bank: int = 0
    lanes: tuple[int, ...] = ()
    convert: Callable[[int], float] | None = None
    """Applied to the raw integer in place of `lsb` (external calibration)."""

    span: Span = dataclasses.field(init=False, repr=False, compare=False)
    """The bytes it needs: those of its own lanes."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "span", self._span())

    def _span(self) -> Span:
        whole = self.field.span(self.bank)
        used = [at for at, lane in enumerate(self.lanes) if lane]
        if not used:
            return whole
        if self.field.bits:
            at = [self.field.bits[position] for position in used]
            first, last = min(at) >> 3, (max(at) + self.field.width - 1) >> 3
        else:
            size = self.field.kind.size
            first, last = used[0] * size, (used[-1] + 1) * size - 1
        return whole._replace(offset=whole.offset + first, length=last - first + 1)

    @property
    def scale(self) -> Callable[[int], float]:
        """What turns one raw integer into the value."""
        return self.convert or scaler(self.field)


_PLACED_MOST: Final = 4096
_placed: Final[dict[tuple[int, int, tuple[int, ...]], Item]] = {}


def place(
    field: Field,
    *,
    bank: int = 0,
    lanes: Container[int] | None = None,
    convert: Callable[[int], float] | None = None,
) -> Item:
    """The field in one bank of a module that has only `lanes` (numbers from 1 over all banks; None: all).

    Modules of a kind get the same objects, which is how their plans are known to be equal.
    """
    first = bank * field.lanes + 1
    numbers = tuple([lane if lanes is None or lane in lanes else 0 for lane in range(first, first + field.lanes)])
    if convert is not None:
        return Item(field, bank, numbers, convert)
    key = (id(field), bank, numbers)  # the item keeps its field alive, so that no other can come by this id
    item = _placed.get(key)
    if item is None:
        if len(_placed) >= _PLACED_MOST:
            _placed.clear()
        item = _placed[key] = Item(field, bank, numbers)
    return item


def offered(field: Field, memory: Memory) -> bool | None:
    """What the advertisement says; None when it needs a page that is unread.

    Lower memory is taken as offered then: it can be read on every module.
    """
    if field.advertised is None:
        return True
    said = field.advertised.read(memory)
    return True if said is None and field.offset < 128 and field.i2c == I2C_MODULE else said


def availability(field: Field, memory: Memory, *, bank: int = 0) -> State:
    """Whether the module has the field and its bytes are known."""
    said = offered(field, memory)
    if said is False:
        return State.NOT_ADVERTISED
    return State.OK if said and field.span(bank) in memory else State.UNREAD


def read(field: Field, memory: Memory, *, bank: int = 0) -> list[float] | None:
    """The values of a field, or None when its bytes are unread."""
    data = memory.get(field.span(bank))
    return None if data is None else field.decode(data)


def read_text(field: Field, memory: Memory) -> str | None:
    """The text of an ASCII field ("" when blank), or None when it is unread."""
    data = memory.get(field.span())
    return None if data is None else field.text(data)


def read_bounds(
    field: Field, memory: Memory, *, bank: int = 0, convert: Callable[[int], float] | None = None
) -> Bounds | None:
    """The thresholds in a `bounds` field: {} when all are zero (not offered), None when they are unread."""
    data = memory.get(field.span(bank))
    if data is None:
        return None
    words = field.raw(data)
    if not any(words):
        return Bounds()
    high_alarm, low_alarm, high_warning, low_warning = map(convert or scaler(field), words)
    return Bounds(high_alarm=high_alarm, high_warning=high_warning, low_warning=low_warning, low_alarm=low_alarm)


def checksum(memory: Memory, covered: Span, at: int) -> bool | None:
    """Whether byte `at` of the same page holds the low 8 bits of the sum of `covered`; None when unread."""
    data = memory.get(covered)
    stored = memory.byte(at, covered.page, bank=covered.bank, i2c=covered.i2c)
    return None if data is None or stored is None else sum(data) & 0xFF == stored
