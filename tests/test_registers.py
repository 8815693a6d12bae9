"""Fields: known bytes to known numbers (literals of the sheets), and back."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import quantities as q
from agent.maps.registers import (
    LANE_BITS,
    LANE_NIBBLES,
    Bit,
    Field,
    Kind,
    State,
    availability,
    checksum,
    encode_f16,
    f16,
    offered,
    place,
    read,
    read_bounds,
    read_text,
)
from agent.memory import I2C_DIAGNOSTICS, Memory, Span

TEMPERATURE = Field(q.TEMPERATURE, offset=14, kind=Kind.S16, lsb=Fraction(1, 256), advertised=Bit(0x01, 159, 0))
POWER = Field(
    q.RX_POWER, page=0x11, offset=186, kind=Kind.U16, lsb=Fraction(1, 10_000_000), lanes=8, banked=True,
    advertised=Bit(0x01, 160, 2),
)  # fmt: skip
BIAS_X4 = Field(q.TX_BIAS, page=0x11, offset=170, kind=Kind.U16, lsb=Fraction(8, 1_000_000), lanes=8, banked=True)
THRESHOLDS = Field(q.TEMPERATURE, page=0x02, offset=128, kind=Kind.S16, lsb=Fraction(1, 256), bounds=True)
NAME = Field("vendor_name", offset=129, kind=Kind.ASCII, length=16)


@pytest.mark.parametrize(
    ("field", "raw", "want"),
    [
        (TEMPERATURE, "2D80", [45.5]),
        (TEMPERATURE, "FB40", [-4.75]),
        (TEMPERATURE, "8000", [-128.0]),  # the edge a hand-written sign gets wrong
        (POWER, "2710 04D2 0001 FFFF 0000 0000 0000 0000", [0.001, 0.0001234, 1e-07, 0.0065535, 0, 0, 0, 0]),
        (BIAS_X4, "61A8 FFFF" + "0000" * 6, [0.2, 0.52428, 0, 0, 0, 0, 0, 0]),
        (Field("n", offset=0, kind=Kind.U64_LE), "00E8764817000000", [100_000_000_000]),
        (Field("n", offset=0, kind=Kind.U16_LE, lsb=Fraction(1, 256)), "8015", [21.5]),
        (Field("n", offset=0, kind=Kind.S32), "FFFFFF38", [-200]),
        (Field("n", offset=0, kind=Kind.F32), "3F800000", [1.0]),
        (Field("n", offset=0, kind=Kind.S8), "FF", [-1]),
        (Field("n", offset=0, kind=Kind.U16, lsb=Fraction(3, 7)), "0007", [3.0]),
    ],
)
def test_known_bytes(field: Field, raw: str, want: list[float]) -> None:
    data = bytes.fromhex(raw)
    assert field.decode(data) == want
    assert field.size == len(data)
    assert field.encode(want) == data


@pytest.mark.parametrize(
    ("word", "want"),
    [
        (0x8A64, 6.12e-05),
        (0x797B, 3.79e-07),
        (0x0000, 0.0),
        (0xC001, 1.0),
        (0x07FF, 2.047e-21),
        (0xFFFF, 2.047e10),
        (0x7000, 0.0),
    ],
)
def test_f16_is_not_ieee_half_precision(word: int, want: float) -> None:
    assert f16(word) == want
    assert f16(encode_f16(want)) == want


def test_f16_encoding_is_bounded() -> None:
    assert encode_f16(-1.0) == 0
    assert encode_f16(1e300) == 0xFFFF


@given(st.floats(min_value=1e-18, max_value=1e10))
def test_f16_encoding_keeps_three_digits(value: float) -> None:
    assert f16(encode_f16(value)) == pytest.approx(value, rel=0.003)


def test_bits_of_lanes() -> None:
    states = Field("data_path_states", page=0x11, offset=128, bits=LANE_NIBBLES, width=4, lanes=8)
    assert states.decode(bytes.fromhex("41000000")) == [1, 4, 0, 0, 0, 0, 0, 0]
    los = Field(q.RX_LOS, page=0x11, offset=147, bits=LANE_BITS, lanes=8)
    assert los.decode(b"\x81") == [1, 0, 0, 0, 0, 0, 0, 1]
    alarm = Field(q.RX_LOS, offset=9, bits=(7, 3, 15, 11), lanes=4)  # SFF-8636: two lanes a byte
    assert alarm.decode(bytes.fromhex("8008")) == [1, 0, 0, 1]
    assert alarm.encode([0, 1, 1, 0], bytes.fromhex("F0FF")) == bytes.fromhex("78F7")  # neighbours stay
    assert (states.size, los.size, alarm.size) == (4, 1, 2)


def test_encoding_clamps_to_the_range_of_the_word() -> None:
    assert TEMPERATURE.encode([1000.0]) == b"\x7f\xff"
    assert POWER.encode([-1.0, 1.0, *[0.0] * 6])[:4] == b"\0\0\xff\xff"


def test_text_loses_padding_and_what_cannot_be_printed() -> None:
    memory = Memory()
    assert read_text(NAME, memory) is None
    memory.put(Span(129, 16), b"ACME\x00\xffOPTICS  \0\0\0\0")
    assert read_text(NAME, memory) == "ACMEOPTICS"
    assert NAME.encode_text("ACME") == b"ACME            "


def test_spans_of_lower_memory_have_no_page() -> None:
    assert POWER.span(2) == Span(186, 16, 0x11, 2)
    assert Field("x", page=5, offset=14).span(3) == Span(14, 1)


def test_availability_has_three_answers() -> None:
    memory = Memory()
    assert availability(POWER, memory) is State.UNREAD
    assert offered(POWER, memory) is None
    memory.put(Span(160, 1, 0x01), b"\x03")
    assert availability(POWER, memory) is State.NOT_ADVERTISED
    memory.put(Span(160, 1, 0x01), b"\x04")
    assert availability(POWER, memory) is State.UNREAD
    memory.put(Span(186, 16, 0x11), bytes(16))
    assert availability(POWER, memory) is State.OK


def test_lower_memory_is_offered_when_the_advertisement_is_unread() -> None:
    memory = Memory()
    assert offered(TEMPERATURE, memory) is True
    assert availability(TEMPERATURE, memory) is State.UNREAD
    memory.put(Span(14, 2), b"\x19\0")
    assert availability(TEMPERATURE, memory) is State.OK
    assert read(TEMPERATURE, memory) == [25.0]


def test_the_second_address_is_not_lower_memory_of_the_module() -> None:
    field = Field(q.TEMPERATURE, offset=96, kind=Kind.S16, i2c=I2C_DIAGNOSTICS, advertised=Bit(0, 92, 6))
    assert offered(field, Memory()) is None


def test_thresholds_stand_in_the_order_of_the_specifications() -> None:
    memory = Memory()
    assert read_bounds(THRESHOLDS, memory) is None
    memory.put(Span(128, 8, 0x02), bytes.fromhex("4B00F6004600F800"))
    assert read_bounds(THRESHOLDS, memory) == {
        "high_alarm": 75.0,
        "low_alarm": -10.0,
        "high_warning": 70.0,
        "low_warning": -8.0,
    }
    memory.put(Span(128, 8, 0x02), bytes(8))
    assert read_bounds(THRESHOLDS, memory) == {}


def test_checksum() -> None:
    memory = Memory()
    assert checksum(memory, Span(128, 94), 222) is None
    image = bytearray(96)
    image[0:2], image[94] = b"\xff\x03", 0x02
    memory.put(Span(128, 96), bytes(image))
    assert checksum(memory, Span(128, 94), 222) is True
    memory.put(Span(222, 1), b"\x03")
    assert checksum(memory, Span(128, 94), 222) is False


def test_place_counts_lanes_over_banks_and_trims_to_those_there_are() -> None:
    item = place(POWER, bank=2, lanes={17, 18, 20})
    assert item.lanes == (17, 18, 0, 20, 0, 0, 0, 0)
    assert item.span == Span(186, 8, 0x11, 2)
    nibbles = Field("data_path_states", page=0x11, offset=128, bits=LANE_NIBBLES, width=4, lanes=8)
    assert place(nibbles, lanes={3, 4}).span == Span(129, 1, 0x11)
    assert place(TEMPERATURE).lanes == ()
