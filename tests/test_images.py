"""Saved module memory in every form in which people have it, and in forms that it does not have."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.documents.images import Image, load, to_document
from agent.errors import DecodeError
from agent.memory import I2C_DIAGNOSTICS, Memory, Span
from tests.sff_images import QSFP_00, SFP_A0

QSFP_LOWER = bytes([0x11, 0x08, 0x02]).ljust(128, b"\0")


def only(data: bytes) -> Image:
    images = load(data)
    assert len(images) == 1
    return images[0]


def known(memory: Memory) -> dict[Span, bytes]:
    return {span: memory.get(span) or b"" for span in memory.spans()}


def ethtool_hex(data: bytes) -> str:
    rows = [f"0x{at:04x}:\t\t{data[at : at + 16].hex(' ')} " for at in range(0, len(data), 16)]
    return "\n".join(["Offset\t\tValues", "------\t\t------", *rows, ""])


def sonic_rows(data: bytes, first: int = 0) -> str:
    rows: list[str] = []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        text = "".join(chr(b) if 32 <= b < 127 else "." for b in row)
        rows.append(f"        {first + at:08x} {row[:8].hex(' ')}  {row[8:].hex(' ')} |{text}|")
    return "\n".join(rows)


# The binary of ethtool


@pytest.mark.parametrize("size", [256, 640])
def test_qsfp_binary_is_lower_memory_and_pages_in_order(size: int) -> None:
    data = (QSFP_LOWER + QSFP_00 + bytes([1]) * 128 + bytes([2]) * 128 + bytes([3]) * 128)[:size]
    memory = only(data).memory
    assert memory.get(Span(0, 128)) == QSFP_LOWER
    assert memory.get(Span(128, 128)) == QSFP_00
    assert memory.byte(255, 3) == (3 if size == 640 else None)


def test_sfp_binary_is_two_devices_and_then_their_pages() -> None:
    memory = only(SFP_A0).memory
    assert memory.get(Span(0, 256)) == SFP_A0
    assert memory.byte(0, i2c=I2C_DIAGNOSTICS) is None
    memory = only(SFP_A0 + bytes(range(256)) + b"\1" * 128 + b"\2" * 128).memory
    assert memory.byte(96, i2c=I2C_DIAGNOSTICS) == 96
    assert memory.byte(200, i2c=I2C_DIAGNOSTICS) == 200
    assert memory.byte(200, 2, i2c=I2C_DIAGNOSTICS) == 2


def test_cmis_binary_has_banks_behind_256_pages() -> None:
    linear = bytearray(128 * (256 * 2 + 0x11 + 2))
    linear[0] = 0x19
    linear[128 * (1 + 0x11)] = 0xB0
    linear[128 * (1 + 256 * 2 + 0x11)] = 0xB2
    memory = only(bytes(linear)).memory
    assert memory.byte(128, 0x11) == 0xB0
    assert memory.byte(128, 0x11, bank=2) == 0xB2


def test_upper_half_belongs_to_the_page_that_was_mapped() -> None:
    lower = bytearray(QSFP_LOWER)
    lower[127] = 0x03
    memory = only(bytes(lower) + b"\x4b" * 128).memory
    assert memory.byte(128, 3) == 0x4B
    assert memory.byte(128, 0) is None
    # A page that repeats the identifier in its first byte is page 00h, whatever the select byte says.
    assert only(bytes(lower) + QSFP_00).memory.byte(128, 0) == 0x11


@pytest.mark.parametrize("data", [b"", b"  \n", b"\x03" * 100, b"\x19" + bytes(128 * 256 * 8)])
def test_binary_of_a_wrong_size_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        load(data)


# Text


def test_ethtool_hex() -> None:
    data = QSFP_LOWER + QSFP_00
    assert known(only(ethtool_hex(data).encode()).memory) == known(only(data).memory)


def test_sonic_qsfp_pages_have_headings() -> None:
    text = "\n".join(
        [
            "EEPROM hexdump for port Ethernet0",
            "        Lower page 0h",
            sonic_rows(QSFP_LOWER),
            "",
            "        Upper page 0h",
            sonic_rows(QSFP_00, 128),
            "\n        Upper page 3h",
            sonic_rows(b"\x4b" * 128, 128),
            "\n        Upper page 11h bank 2h",
            sonic_rows(b"\x22" * 128, 128),
            "",
        ]
    )
    image = only(text.encode())
    assert image.port == "Ethernet0"
    assert image.memory.get(Span(0, 128)) == QSFP_LOWER
    assert image.memory.get(Span(128, 128)) == QSFP_00
    assert image.memory.byte(128, 3) == 0x4B
    assert image.memory.byte(255, 0x11, bank=2) == 0x22
    assert image.memory.byte(128, 0x11) is None


def test_sonic_sfp_and_several_ports_in_one_dump() -> None:
    text = "\n".join(
        [
            "EEPROM hexdump for port Ethernet256",
            "        A0h dump",
            sonic_rows(SFP_A0),
            "\n        A2h dump (lower 128 bytes)",
            sonic_rows(b"\x1a" * 128),
            "\n        A2h dump (upper 128 bytes) page 2h",
            sonic_rows(b"\x1c" * 128, 128),
            "",
            "EEPROM hexdump for port Ethernet260",
            "        SFP EEPROM is not detected",
            "EEPROM hexdump for port Ethernet264 page 0h",
            "        Lower page 0h",
            sonic_rows(QSFP_LOWER),
        ]
    )
    sfp, qsfp = load(text.encode())
    assert (sfp.port, qsfp.port) == ("Ethernet256", "Ethernet264")
    assert sfp.memory.get(Span(0, 256)) == SFP_A0
    assert sfp.memory.byte(100, i2c=I2C_DIAGNOSTICS) == 0x1A
    assert sfp.memory.byte(200, 2, i2c=I2C_DIAGNOSTICS) == 0x1C
    assert qsfp.memory.byte(0) == 0x11


def test_a_gap_one_byte_off_and_hex_words_among_the_characters() -> None:
    # One release of sfputil puts the middle gap after seven bytes; the characters may look like bytes.
    text = (
        "Lower page 0h\n"
        "        00000000 0d 00 06 00 00 00 00  00 00 00 00 00 00 00 00 00 |................|\n"
        "        00000010 31 32 20 33 34 20 35  36 20 37 38 20 39 41 20 42 |12 34 56 78 9A B|\n"
    )
    memory = only(text.encode()).memory
    assert memory.get(Span(0, 32)) == bytes.fromhex("0d0006").ljust(16, b"\0") + b"12 34 56 78 9A B"


def hexdump_rows(data: bytes) -> str:
    rows = [f"{at:08x}  {data[at : at + 8].hex(' ')}  {data[at + 8 : at + 16].hex(' ')}  |{'.' * 16}|" for at in
            range(0, len(data), 16)]  # fmt: skip
    return "\n".join([*rows, f"{len(data):08x}", ""])


def xxd_rows(data: bytes) -> str:
    return "".join(
        f"{at:08x}: {data[at : at + 16].hex(' ', 2)}  {'4142 4344 45464748'[: len(data) - at]}\n"
        for at in range(0, len(data), 16)
    )


def i2cdump_rows(data: bytes) -> str:
    head = "     0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f    0123456789abcdef\n"
    rows = [f"{at:02x}: {data[at : at + 16].hex(' ')}    {'?' * 16}" for at in range(0, len(data), 16)]
    return "No size specified (using byte-data access)\n" + head + "\n".join(rows)


def bare(data: bytes) -> str:
    return data.hex()


def c_array(data: bytes) -> str:
    return ",\n".join(", ".join(f"0x{byte:02X}" for byte in data[at : at + 8]) for at in range(0, len(data), 8))


@pytest.mark.parametrize("write", [ethtool_hex, sonic_rows, hexdump_rows, xxd_rows, i2cdump_rows, bare, c_array])
@pytest.mark.parametrize("data", [SFP_A0, QSFP_LOWER + QSFP_00], ids=["sfp", "qsfp"])
def test_hex_dumps_of_other_tools(write: Callable[[bytes], str], data: bytes) -> None:
    assert known(only(write(data).encode()).memory) == known(only(data).memory)


@pytest.mark.parametrize("command", [["xxd"], ["xxd", "-p"], ["xxd", "-g1"], ["hexdump", "-C"], ["hexdump", "-Cv"]])
def test_the_tools_themselves(command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    data = QSFP_LOWER + QSFP_00
    text = subprocess.run(command, input=data, capture_output=True, check=True).stdout
    assert known(only(text).memory) == known(only(data).memory)


def test_junos_names_the_devices_of_an_sfp_by_their_address() -> None:
    memory = only(
        b"""   Wavelength           1270 nm

2-wire device address 0x50
  0x00:   03 04 07 20 . 00 00 00 20 - 00 01 00 06 . 67 00 14 c8
  0x10:   00 00 00 00 . 46 53 20 20 - 20 20 20 20 . 20 20 20 20

2-wire device address 0x51
  0x00:   5f 00 ce 00 . 55 00 d8 00 - 8c a0 75 30 . 88 b8 79 18
"""
    ).memory
    assert memory.get(Span(0, 24)) == bytes.fromhex("0304072000000020000100066700 14c8 00000000 46532020")
    assert memory.get(Span(0, 16, i2c=I2C_DIAGNOSTICS)) == bytes.fromhex("5f00ce005500d8008ca0753088b87918")


def test_junos_tables_and_addresses_of_qsfp_pages() -> None:
    table = only(
        b"""  EEPROM details for XCVR         : xcvr-0/0/1
  QSFP-DD Lower Page              :
  Addr   0    1    2    3    4    5    6    7    8    9    a    b    c    d    e    f
  ----   --   --   --   --   --   --   --   --   --   --   --   --   --   --   --   --
  0x00   18   30   40   07   00   00   00   00   00   00   00   00   00   00   21   1e
  Upper Page 11h                  :
  0x80   44   44   44   44   00   00   00   00   00   00   00   00   00   00   00   00
"""
    ).memory
    assert table.get(Span(0, 16)) == bytes.fromhex("18304007000000000000000000 00211e")
    assert table.get(Span(128, 4, 0x11)) == b"\x44" * 4
    addresses = only(
        b"""  QSFP IDEEPROM (Low Page 00h - Diagnostics):
    Address 0x00: 11 08 00 0f 00 0f 00 00 00 55 55 00 00 00 00 00\x20
  QSFP IDEEPROM (Upper Page 03h):
    Address 0x80: 4b 00 fb 00 46 00 00 00 00 00 00 00 00 00 00 00\x20
"""
    ).memory
    assert addresses.get(Span(0, 4)) == bytes.fromhex("1108000f")
    assert addresses.get(Span(128, 4, 3)) == bytes.fromhex("4b00fb00")


def test_two_i2cdumps_of_an_sfp_are_its_two_devices() -> None:
    text = i2cdump_rows(SFP_A0) + "\n" + i2cdump_rows(bytes(range(256)))
    memory = only(text.encode()).memory
    assert memory.get(Span(0, 256)) == SFP_A0
    assert memory.byte(104, i2c=I2C_DIAGNOSTICS) == 104
    with pytest.raises(DecodeError, match="line 21: offset 0x00 again"):
        load((i2cdump_rows(QSFP_LOWER + QSFP_00) + "\n" + i2cdump_rows(QSFP_00)).encode())


def test_bytes_that_a_tool_could_not_read_are_unread() -> None:
    text = "00: 11 08 XX 04    ..\n04: 05 06 07 08\n"
    memory = only(text.encode()).memory
    assert (memory.byte(1), memory.byte(2), memory.byte(3), memory.byte(7)) == (8, None, 4, 8)
    # i2cdump -r 0x22-0x2f leaves the bytes before the range blank.
    memory = only(b"00: 11 08 02 00 00 00 00 00 00 00 00 00 00 00 00 00\n10:       aa bb\n").memory
    assert (memory.byte(17), memory.byte(18), memory.byte(19)) == (None, 0xAA, 0xBB)


def test_repeated_rows_of_hexdump_are_filled_in() -> None:
    text = (
        "00000000  11 08 02 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n"
        "00000010  ff ff ff ff ff ff ff ff  ff ff ff ff ff ff ff ff  |................|\n"
        "*\n"
        "00000080\n"
    )
    assert only(text.encode()).memory.get(Span(16, 112)) == b"\xff" * 112


def test_text_with_a_byte_order_mark() -> None:
    text = ethtool_hex(QSFP_LOWER)
    assert only(text.encode("utf-16")).memory.byte(1) == 8
    assert only(text.encode("utf-8-sig")).memory.byte(1) == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Offset\n0x0000: 11 08\n0x0002: zz 00\n", "line 3: 'zz' is not a hex byte"),
        ("0x0000: 11 0\n", "line 1: '0' is not a hex byte"),
        ("0000000 11 08 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n0000020 01 02\n", "line 2: offset 0x20 follows"),
        ("0000000 0811 0002\n", "line 1: 16-bit words"),
        ("00: 0811 0002\n", "line 1: 16-bit words"),
        ("0x0080: 11 08\n", "offset 0x80: without byte 0"),
        ("11 08 02\nhello\n", "line 2: 'hello' is not hex"),
        ("110\n", "line 1: '110' is not hex"),
        ("This is a letter.\n", "'This is a letter.'"),
        ("*\n00000010  11\n", "line 2: nothing that the '\\*'"),
        ("0x00000000: 11\n*\n0xFFFFFFFF: 11\n", "line 3: nothing"),
        ("0x00: 11\n0xFFFFFF80: 11\n", "line 2: offset 0xFFFFFF80 lies beyond"),
        ("Lower page 0h\n" + sonic_rows(bytes(256)), "line 2: more bytes follow than"),
        ("0x0000: 11 08\nde ad be ef de ad be ef\n", "line 2: .* has no offset"),
    ],
)
def test_what_is_wrong_with_a_dump_is_said_with_its_line(text: str, message: str) -> None:
    with pytest.raises(DecodeError, match=message) as caught:
        load(text.encode())
    assert "\n" not in str(caught.value)


# JSON


def test_json_image() -> None:
    pages = {"lower": "19", "00": "aa" * 128, "0:11": "BB" * 128, "2:11": "cc" * 128, "14": "dd" * 128}
    image = only(json.dumps({"family": "cmis", "pages": pages, "expected": {"temperature_c": 1}}).encode())
    assert image.family == "cmis"
    assert image.memory.get(Span(0, 1)) == b"\x19"
    assert image.memory.byte(1) is None  # short pages are unread behind their end
    assert image.memory.byte(128, 0x11) == 0xBB
    assert image.memory.byte(255, 0x11, bank=2) == 0xCC
    assert image.memory.byte(255, 0x14) == 0xDD


def test_json_image_of_an_sfp() -> None:
    image = only(json.dumps({"pages": {"a0": SFP_A0.hex(), "a2": "77" * 128, "a2:02": "88" * 128}}).encode())
    assert image.family == ""
    assert image.memory.get(Span(0, 256)) == SFP_A0
    assert image.memory.get(Span(0, 128, i2c=I2C_DIAGNOSTICS)) == b"\x77" * 128
    assert image.memory.byte(130, 2, i2c=I2C_DIAGNOSTICS) == 0x88


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1 column 2"),
        ("[1]", '"pages"'),
        ("{}", '"pages"'),
        ('{"pages": 3}', '"pages"'),
        ('{"pages": {}}', "no bytes"),
        ('{"pages": {"lower": 3}}', "'lower' is not a string"),
        ('{"pages": {"lower": "1g"}}', "'lower': 'g' at digit 2"),
        ('{"pages": {"lower": "123"}}', "'lower': 3 hex digits, an odd number"),
        ('{"pages": {"lower": "' + "00" * 129 + '"}}', "'lower' has 129 bytes, more than 128"),
        ('{"pages": {"uper": "00"}}', "'uper' is not a page"),
        ('{"pages": {"lower": "00"}, "family": "qsfp"}', "\"family\" is 'qsfp'"),
        ('{"pages": {"lower": "00"}, "family": ["cmis"]}', '"family"'),
        ('{"pages": {"lower": "0011"}, "unread": {"lower": ["1-300"]}}', "'1-300' is not a range"),
        ("[" * 100000, "not valid JSON"),
        ('{"pages": ' + "9" * 5000 + "}", "not valid JSON"),
    ],
)
def test_what_is_wrong_with_a_json_image_is_said(text: str, message: str) -> None:
    with pytest.raises(DecodeError, match=message) as caught:
        load(text.encode())
    assert "\n" not in str(caught.value)


def test_a_saved_image_gives_the_same_bytes_back() -> None:
    memory = Memory()
    memory.put(Span(0, 128), bytes([0x19, *range(1, 128)]))
    memory.put(Span(128, 128), b"\1" * 128)
    memory.put(Span(128, 20, 0x11), b"\2" * 20)
    memory.put(Span(180, 20, 0x11, 3), b"\3" * 20)
    memory.put(Span(140, 10, 0x14), b"\4" * 10)
    document = to_document(memory, family="cmis")
    assert document["pages"].keys() == {"lower", "00", "0:11", "3:11", "0:14"}
    assert document.get("unread") == {"3:11": ["128-179"], "0:14": ["128-139"]}
    again = only(json.dumps(document).encode())
    assert known(again.memory) == known(memory)


def test_a_saved_sfp_gives_the_same_bytes_back() -> None:
    memory = only(SFP_A0 + bytes(range(256)) + b"\1" * 128 + b"\2" * 128).memory
    document = to_document(memory)
    assert list(document["pages"]) == ["a0", "a2", "a2:01", "a2:02"]
    assert "unread" not in document
    assert known(only(json.dumps(document).encode()).memory) == known(memory)


def test_recordings_load(shared_data: Path) -> None:
    files = sorted((shared_data / "eeprom").glob("*.json"))
    assert len(files) >= 32
    for file in files:
        image = only(file.read_bytes())
        assert image.family in {"sff8472", "sff8636", "cmis"}
        again = only(json.dumps(to_document(image.memory, family=image.family)).encode())
        assert known(again.memory) == known(image.memory)


# Anything at all


@given(st.binary(max_size=1024))
def test_any_bytes_are_an_image_or_an_error(data: bytes) -> None:
    _load_or_refuse(data)


@given(st.text(alphabet=' \n\t*0123456789abcdefxXAh:|,-?lowerupageLU{}[]"#', max_size=400))
def test_any_text_is_an_image_or_an_error(text: str) -> None:
    _load_or_refuse(text.encode())


DUMP = ethtool_hex(QSFP_LOWER + QSFP_00) + "Upper page 11h\n" + sonic_rows(QSFP_00, 128)


@given(st.integers(0, len(DUMP)), st.text(max_size=12))
def test_a_damaged_dump_is_an_image_or_an_error(at: int, text: str) -> None:
    _load_or_refuse((DUMP[:at] + text + DUMP[at + len(text) :]).encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "family": st.sampled_from(["cmis", "sff8472", ""]) | json_values,
            "pages": st.dictionaries(
                st.sampled_from(["a0", "a2", "lower", "00", "9:11", "a2:02"]) | st.text(max_size=4),
                st.binary(max_size=260).map(bytes.hex) | json_values,
            )
            | json_values,
            "unread": st.dictionaries(st.text(max_size=5), st.lists(st.text(max_size=5))) | json_values,
        },
    )
)
def test_any_json_is_an_image_or_an_error(document: dict[str, object]) -> None:
    _load_or_refuse(json.dumps(document).encode())


def _load_or_refuse(data: bytes) -> None:
    try:
        images = load(data)
    except DecodeError as exc:
        message = str(exc)
    else:
        message = "loaded"
        assert images
        assert all(next(image.memory.spans(), None) is not None for image in images)
    assert len(message.splitlines()) == 1
