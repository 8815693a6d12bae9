"""The parts of `opticd top` that need no terminal: filters, keys, events, bars."""

import pytest

from agent.errors import ConfigError
from agent.top.documents import Row
from agent.top.feed import Event, EventParser, Lost, parse_url
from agent.top.filters import parse
from agent.top.keys import Keys
from agent.top.portview import bar
from agent.top.store import natural
from agent.top.text import Signs, fit, sparkline, without, wrapped

ROW = Row(
    device="leaf-17",
    port="Ethernet3/12",
    group="Ethernet3",
    level="warning",
    why=("temperature is high",),
    alerts=2,
    module={"vendor_name": "ACME", "part_number": "AC-DR4", "serial_number": "X1"},
    link="down",
    flaps=3,
    lanes=4,
    rx_margin_db=2.5,
    values={"rx_power_dbm": (-9.0, -2.0), "tx_bias_amperes": (0.06, 0.095), "pre_fec_ber_ratio": (1e-9, 3e-6)},
)


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", True),
        ("rx < -8 dBm", True),
        ("rx<-9", False),
        ("rx > -3dBm", True),
        ("rx > -2", False),
        ("rx = -5", True),
        ("rx != -5", False),
        ("rx < \N{MINUS SIGN}8", True),
        ("bias > 90 mA", True),
        ("bias > 0.09 A", True),
        ("bias > 96", False),
        ("ber > 1e-6", True),
        ("temp > 10", False),  # it has none
        ("margin < 3", True),
        ("flaps >= 3 alerts > 1 lanes = 4", True),
        ("flaps > 3", False),
        ("vendor = acme", True),
        ("vendor != acme", False),
        ('part : "dr4"', True),
        ("alert", True),
        ("down and alert", True),
        ("up", False),
        ("empty", False),
        ("3/12", True),
        ("high", True),
        ("nothing", False),
    ],
)
def test_filter(text: str, passes: bool) -> None:
    found = parse(text)
    assert found.error == ""
    assert found.test(ROW) is passes


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("foo < 3", "no 'foo' here: try rx, tx,"),
        ("rx < low", "'low' is no number"),
        ("rx < 1.2.3", "'1.2.3' is no number"),
        ("vendor < 3", "'vendor' is text: = or != go with it"),
    ],
)
def test_a_wrong_filter_hides_nothing_and_says_what_is_wrong(text: str, error: str) -> None:
    found = parse(text)
    assert found.error.startswith(error)
    assert found.test(ROW)


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"q", ["q"]),
        (b"\x1b[A\x1bOB", ["up", "down"]),
        (b"\x1b[5~\x1b[6~\x1b[1~\x1b[4~\x1b[H", ["pageup", "pagedown", "home", "end", "home"]),
        (b"\x1b[1;5C", ["right"]),
        (b"\x1bq", ["escape", "q"]),
        (b"\r\x7f\x15", ["enter", "backspace", "clear"]),
        ("µ".encode(), ["µ"]),
        (b"\x1b[?1;2c", []),  # an answer of the terminal is no key
        (b"\x00\x01", []),
    ],
)
def test_keys(data: bytes, keys: list[str]) -> None:
    assert Keys().feed(data) == keys
    in_pieces = Keys()
    assert [key for at in range(len(data)) for key in in_pieces.feed(data[at : at + 1])] == keys


def test_a_lone_escape_is_a_key_when_nothing_follows() -> None:
    keys = Keys()
    assert keys.feed(b"\x1b") == []
    assert keys.waiting
    assert keys.flush() == ["escape"]
    assert not keys.waiting


def test_events_in_pieces_of_any_size() -> None:
    stream = b'retry: 2000\n\nevent: summary\ndata: [1,\ndata: 2]\n\n: still here\n\nevent: alert\ndata:{"a":1}\n\n'
    want = [Event("summary", b"[1,\n2]"), Event("alert", b'{"a":1}')]
    for size in range(1, len(stream) + 1):
        parser = EventParser()
        found = [e for at in range(0, len(stream), size) for e in parser.feed(stream[at : at + size])]
        assert found == want


def test_an_event_without_end_is_given_up() -> None:
    parser = EventParser()
    for _ in range(64):
        assert list(parser.feed(b"x" * 1_000_000)) == []
    with pytest.raises(Lost, match="have no end"):
        list(parser.feed(b"x"))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("leaf-17:10800", "http://leaf-17:10800"),
        ("http://[::1]:10800/opticd", "http://[::1]:10800/opticd"),
        ("https://leaf-17", "https://leaf-17"),
    ],
)
def test_address(text: str, url: str) -> None:
    assert str(parse_url(text)).rstrip("/") == url


@pytest.mark.parametrize("text", ["ftp://x", "http://", "", "http://x:99999"])
def test_bad_address(text: str) -> None:
    with pytest.raises(ConfigError, match="is no address"):
        parse_url(text)


LIMITS = {"low_alarm": -10.0, "low_warning": -8.0, "high_warning": 8.0, "high_alarm": 10.0}


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (0.0, "[.----o---.]"),
        (-10.0, "[o--------.]"),
        (-10.1, "[<--------.]"),
        (10.0, "[.--------o]"),
        (10.1, "[.-------->]"),
        (9.5, "[.--------o]"),
    ],
)
def test_bar(value: float, want: str) -> None:
    assert bar(value, LIMITS, 12, Signs()) == want


def test_no_bar_without_both_ends() -> None:
    assert bar(1.0, {"low_alarm": 0.0}, 12, Signs()) == ""
    assert bar(1.0, {"low_alarm": 2.0, "high_alarm": 1.0}, 12, Signs()) == ""


def test_natural_order() -> None:
    assert sorted(["Ethernet10", "Ethernet2", "eth1", "Ethernet2/3", "swp1"], key=natural) == [
        "eth1", "Ethernet2", "Ethernet2/3", "Ethernet10", "swp1",
    ]  # fmt: skip


def test_pieces_of_text() -> None:
    signs = Signs()
    assert fit("abcdef", 4, signs=signs) == "abc~"
    assert fit("ab", 4, signs=signs, right=True) == "  ab"
    assert fit("日本語", 5, signs=signs) == "日本~"
    assert fit("\x1b[2J", 6, signs=signs) == "?[2J  "
    assert wrapped("one two three four", 8, most=2) == ["one two", "three"]
    assert without("Ethernet1", "Ethernet1 lane 2: dark.", 2) == "dark."
    assert without("Ethernet1", "Ethernet1 lane 2: dark.") == "lane 2: dark."
    assert without("Ethernet1", "Ethernet10: dark.") == "Ethernet10: dark."
    assert sparkline([0, 1, 2, 3, 4, 5], 6, signs) == "_.-=*#"
    assert sparkline([1, 9, 1, 1], 2, signs) == "#_"
    assert sparkline([3, 3, 3], 10, signs) == "___"
