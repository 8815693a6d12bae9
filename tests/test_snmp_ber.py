"""The BER reader of the SNMP hot path, against literals, pysnmp and noise."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyasn1.codec.ber import decoder, encoder  # type: ignore[import-untyped]
from pysnmp.proto import api, rfc1902  # type: ignore[import-untyped]

from drivers.snmp import ber
from drivers.snmp.errors import Malformed, WalkCut
from drivers.snmp.rows import Rows
from fakes import snmp_recording
from fakes.snmp_recording import Row

P = api.PROTOCOL_MODULES[api.SNMP_VERSION_2C]
TYPES: dict[int, Callable[[object], object]] = {
    snmp_recording.INTEGER: rfc1902.Integer32,
    snmp_recording.OCTET_STRING: rfc1902.OctetString,
    snmp_recording.OID: rfc1902.ObjectIdentifier,
    snmp_recording.IP_ADDRESS: rfc1902.IpAddress,
    snmp_recording.COUNTER32: rfc1902.Counter32,
    snmp_recording.GAUGE32: rfc1902.Gauge32,
    snmp_recording.TIMETICKS: rfc1902.TimeTicks,
    snmp_recording.COUNTER64: rfc1902.Counter64,
}


def pysnmp_response(rows: Sequence[Row], request_id: int = 0x01020304) -> bytes:
    """A v2c response as pysnmp encodes it."""
    pdu = P.ResponsePDU()
    P.apiPDU.set_defaults(pdu)
    P.apiPDU.set_request_id(pdu, request_id)
    P.apiPDU.set_varbinds(pdu, [(row.oid, TYPES[row.tag](row.value)) for row in rows])
    message = P.Message()
    P.apiMessage.set_defaults(message)
    P.apiMessage.set_community(message, "public")
    P.apiMessage.set_pdu(message, pdu)
    return cast("bytes", encoder.encode(message))


def read(message: bytes) -> ber.Pdu:
    at, end = ber.expect(ber.SEQUENCE, message, 0, len(message))
    _, at = ber.read_integer(message, at, end)
    _, at = ber.read_octets(message, at, end)
    return ber.read_pdu(message, at, end)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [  # X.690 section 8.3 and its examples in net-snmp's and Wireshark's traces
        (0, "020100"), (127, "02017f"), (128, "02020080"), (256, "02020100"), (-1, "0201ff"),
        (-128, "020180"), (-129, "0202ff7f"), (2147483647, "02047fffffff"), (-1000000000, "0204c4653600"),
    ],
)  # fmt: skip
def test_integers(value: int, encoded: str) -> None:
    assert ber.encode_integer(value).hex() == encoded
    assert ber.read_integer(bytes.fromhex(encoded), 0, len(encoded) // 2) == (value, len(encoded) // 2)


@pytest.mark.parametrize(
    ("oid", "content"),
    [
        ((1, 3, 6, 1, 2, 1, 1, 3, 0), "2b06010201010300"),
        ((1, 3, 6, 1, 4, 1, 2636, 3, 60), "2b06010401944c033c"),
        ((2, 999, 3), "883703"),  # X.690 section 8.19.5
        ((1, 3, 4294967295), "2b8fffffff7f"),
        ((1, 3, 127, 128, 16383, 16384), "2b7f8100ff7f818000"),
    ],
)
def test_oids(oid: ber.Oid, content: str) -> None:
    assert ber.encode_oid(oid).hex() == content
    assert ber.decode_oid(bytes.fromhex(content)) == oid


@pytest.mark.parametrize(
    "content", ["", "2b80", "2b8001", "2bff", "2b90ffffff7f", "2bffffffffffffffff7f", "01" * 130]
)
def test_an_oid_that_is_none_is_refused(content: str) -> None:
    with pytest.raises(Malformed):
        ber.decode_oid(bytes.fromhex(content))


def test_every_recording_reads_as_pysnmp_reads_it(shared_data: Path) -> None:
    compared = 0
    for path in sorted((shared_data / "snmp").glob("*.snmprec")):
        rows = snmp_recording.load(path)
        step = max(1, len(rows) // 150)  # pysnmp needs 0.2 ms a row
        for at in range(0, len(rows), step * 25):
            some = rows[at : at + step * 25 : step]
            message = pysnmp_response(some)
            pdu = read(message)
            assert (pdu.tag, pdu.request_id, pdu.error_status, pdu.error_index) == (ber.RESPONSE, 0x01020304, 0, 0)
            ours = list(ber.varbinds(message, pdu.start, pdu.end))
            theirs = P.apiPDU.get_varbinds(P.apiMessage.get_pdu(decoder.decode(message, asn1Spec=P.Message())[0]))
            assert len(ours) == len(theirs) == len(some)
            for mine, (oid, value), row in zip(ours, theirs, some, strict=True):
                assert mine.oid == tuple(oid) == row.oid
                assert mine.tag == row.tag
                if isinstance(mine.value, int):
                    assert mine.value == int(value) == row.value
                elif row.tag == ber.OBJECT_IDENTIFIER:
                    assert ber.decode_oid(mine.value or b"") == tuple(value) == row.value
                else:
                    assert mine.value == bytes(value) == row.value
                compared += 1
    print(f"{compared} variables of the recordings read as pysnmp reads them")  # noqa: T201 - the count is asked for
    assert compared > 3500


def test_columns_of_every_recording_are_the_rows_of_the_file(shared_data: Path) -> None:
    """Every row, by the hot path, from bytes that pysnmp wrote for the smallest and this test for the others."""
    rows_read = 0
    for path in sorted((shared_data / "snmp").glob("*.snmprec")):
        columns: dict[ber.Oid, list[Row]] = {}
        for row in snmp_recording.load(path):
            columns.setdefault(row.oid[:-2], []).append(row)
        for column, rows in columns.items():
            body = b"".join(_varbind(row) for row in rows)
            walk = Rows(ber.encode_oid(column), {}, cap=len(rows))
            assert walk.take(b"\xff" + body, 1, len(body) + 1) == len(rows)
            assert not walk.ended
            want = {
                row.oid[len(column) :]: ber.encode_oid(row.value) if isinstance(row.value, tuple) else row.value
                for row in rows
            }
            assert walk.values == want
            rows_read += len(rows)
    assert rows_read > 100_000


def _varbind(row: Row) -> bytes:
    if isinstance(row.value, tuple):
        return ber.encode_varbind(row.oid, ber.encode(row.tag, ber.encode_oid(row.value)))
    if isinstance(row.value, int):
        return ber.encode_varbind(row.oid, ber.encode_integer(row.value, row.tag))
    return ber.encode_varbind(row.oid, ber.encode(row.tag, row.value))


COLUMN = (1, 3, 6, 1, 2, 1, 2, 2, 1, 10)


def column(*rows: tuple[ber.Oid, int]) -> bytes:
    return b"".join(ber.encode_varbind(oid, ber.encode_integer(value)) for oid, value in rows)


def walk(data: bytes, *, cap: int = 100) -> Rows:
    rows = Rows(ber.encode_oid(COLUMN), {}, cap=cap)
    rows.take(data, 0, len(data))
    return rows


class OneByOne(Rows):
    """Without the shortcut for replies whose variables are alike."""

    def _take_alike(self, data: bytes, start: int, end: int) -> int:
        return 0


def outcome(rows: Rows, data: bytes) -> tuple[object, ...]:
    try:
        count: int | str = rows.take(data, 0, len(data))
    except (Malformed, WalkCut) as exc:
        count = str(exc)
    return count, rows.values, rows.last, rows.ended, rows.next()


NUMBERS = st.one_of(st.integers(0, 300), st.integers(-(2**31), 2**31 - 1), st.integers(-(2**40), 2**40))
INDEXES = st.lists(st.one_of(st.integers(1, 300), st.integers(0, 2**32 - 1)), min_size=1, max_size=2).map(tuple)


@given(
    st.lists(st.tuples(INDEXES, NUMBERS), min_size=1, max_size=40),
    st.sampled_from((ber.INTEGER, ber.INTEGER, ber.COUNTER32, ber.GAUGE32, ber.TIMETICKS, ber.COUNTER64, ber.NULL)),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=3),
    st.integers(0, 60),
)
def test_a_reply_at_once_reads_as_variable_by_variable(
    found: list[tuple[ber.Oid, int]], tag: int, ordered: bool, changes: list[tuple[int, int]], cap: int
) -> None:
    """Whatever the shortcut takes, takes out of order or refuses: the outcome is that of the checks one by one."""
    pairs = sorted(found) if ordered else found
    data = bytearray(b"".join(ber.encode_varbind(COLUMN + o, ber.encode_integer(n, tag)) for o, n in pairs))
    for at, octet in changes:
        data[at % len(data)] = octet
    prefix = ber.encode_oid(COLUMN)
    assert outcome(Rows(prefix, {}, cap=cap), bytes(data)) == outcome(OneByOne(prefix, {}, cap=cap), bytes(data))


@pytest.mark.parametrize(("first", "step"), [(100, 1), (120, 1), (16_370, 1), (1_000_000, 100), (2**32 - 60, 1)])
def test_a_long_reply_is_read_at_once(first: int, step: int) -> None:
    """The shortcut is taken at all, and goes on where it stopped."""
    rows = Rows(ber.encode_oid(COLUMN), {}, cap=1000)
    for at in range(first, first + 50 * step, 25 * step):
        indexes = range(at, at + 25 * step, step)
        data = column(*(((*COLUMN, index), index - first - 10) for index in indexes))
        alike = len({len(ber.encode_subids((index,))) for index in indexes}) == 1
        assert (rows._take_alike(data, 0, len(data)) == 25) is alike
        if not alike:
            assert rows.take(data, 0, len(data)) == 25
    assert rows.values == {(index,): index - first - 10 for index in range(first, first + 50 * step, step)}


@pytest.mark.parametrize(
    ("at", "octet"),
    [(1, 0x7F), (1, 0x14), (0, 0x31), (3, 0x0B), (-2, 0x02), (-3, 0x04)],
    ids=["size", "shorter", "no sequence", "name", "length", "type"],
)
def test_one_wrong_octet_in_a_long_reply_is_not_overlooked(at: int, octet: int) -> None:
    one = ber.encode_varbind((*COLUMN, 5), ber.encode_integer(1))
    wrong = bytearray(one)
    wrong[at] = octet
    data = column(*(((*COLUMN, n), n) for n in (1, 2, 3, 4)))
    rest = column(*(((*COLUMN, n), n) for n in range(6, 40)))
    rows = Rows(ber.encode_oid(COLUMN), {}, cap=1000)
    assert rows.take(data + one + rest, 0, len(data + one + rest)) == 39
    rows = Rows(ber.encode_oid(COLUMN), {}, cap=1000)
    assert rows._take_alike(data + bytes(wrong) + rest, 0, len(data + one + rest)) == 0
    assert rows.values == {}


def test_a_column_ends_at_the_next_one() -> None:
    rows = walk(
        column(((*COLUMN, 1), -5), ((*COLUMN, 16383), 2), ((*COLUMN, 16384), 3), ((*COLUMN[:-1], 11, 1), 4))
    )
    assert rows.ended
    assert rows.values == {(1,): -5, (16383,): 2, (16384,): 3}


def test_a_column_ends_at_end_of_mib_view() -> None:
    rows = walk(column(((*COLUMN, 7), 1)) + ber.encode_varbind((*COLUMN, 7), b"\x82\x00"))
    assert rows.ended
    assert rows.values == {(7,): 1}


@pytest.mark.parametrize("second", [(7,), (6,), (6, 9)])
def test_oids_that_do_not_increase_end_the_walk_with_what_came(second: ber.Oid) -> None:
    data = column(((*COLUMN, 7), 1), (COLUMN + second, 2))
    rows = Rows(ber.encode_oid(COLUMN), {}, cap=100)
    with pytest.raises(WalkCut, match="not increase"):
        rows.take(data, 0, len(data))
    assert rows.values == {(7,): 1}
    assert not rows.ended


def test_an_oid_before_the_column_is_not_its_end() -> None:
    with pytest.raises(WalkCut, match="before the column"):
        walk(column(((*COLUMN, 7), 1), ((*COLUMN[:-1], 9, 8), 2)))


def test_rows_are_capped() -> None:
    with pytest.raises(WalkCut, match="more than 3 rows"):
        walk(column(*(((*COLUMN, n), n) for n in range(1, 6))), cap=3)


def test_a_missing_value_is_absent_and_not_the_end() -> None:
    data = ber.encode_varbind((*COLUMN, 1), b"\x81\x00") + column(((*COLUMN, 2), 9))
    assert walk(data).values == {(2,): 9}


RESPONSE = pysnmp_response(
    [
        Row((*COLUMN, 1), snmp_recording.INTEGER, -40),
        Row((*COLUMN, 2), snmp_recording.OCTET_STRING, b"x" * 200),
        Row((*COLUMN, 70000), snmp_recording.COUNTER64, 2**64 - 1),
        Row((*COLUMN, 70001), snmp_recording.OID, (1, 3, 6, 1, 4, 1, 30065)),
    ]
)


def read_all(data: bytes) -> None:
    pdu = read(data)
    list(ber.varbinds(data, pdu.start, pdu.end))
    rows = Rows(ber.encode_oid(COLUMN), {}, cap=1000)
    rows.take(data, pdu.start, pdu.end)


def test_every_truncation_is_malformed() -> None:
    read_all(RESPONSE)
    for length in range(len(RESPONSE)):
        with pytest.raises(Malformed):
            read_all(RESPONSE[:length])


def test_every_changed_octet_is_read_or_refused() -> None:
    for at in range(len(RESPONSE)):
        for octet in (0, 1, 0x30, 0x7F, 0x80, 0x81, 0x84, 0xFF):
            try:
                read_all(RESPONSE[:at] + bytes((octet,)) + RESPONSE[at + 1 :])
            except (Malformed, WalkCut):
                continue


@given(st.binary(max_size=200))
def test_noise_is_read_or_refused(data: bytes) -> None:
    try:
        read_all(data)
    except (Malformed, WalkCut):
        return


@given(st.binary(max_size=120), st.integers(0, 100))
def test_noise_as_variables_is_read_or_refused(data: bytes, start: int) -> None:
    rows = Rows(ber.encode_oid(COLUMN), {}, cap=10)
    try:
        rows.take(data, min(start, len(data)), len(data))
    except (Malformed, WalkCut):
        assert len(rows.values) <= 10


@given(st.randoms(use_true_random=False), st.integers(1, 6))
def test_mutations_never_read_what_pysnmp_reads_differently(source: random.Random, changes: int) -> None:
    """What both accept, both read the same."""
    data = bytearray(RESPONSE)
    for _ in range(changes):
        data[source.randrange(len(data))] = source.randrange(256)
    message = bytes(data)
    try:
        pdu = read(message)
        ours = list(ber.varbinds(message, pdu.start, pdu.end))
    except Malformed:
        return
    try:
        decoded, rest = cast("tuple[Any, bytes]", decoder.decode(message, asn1Spec=P.Message()))
        theirs = P.apiPDU.get_varbinds(P.apiMessage.get_pdu(decoded))
    except Exception:  # noqa: BLE001 - pyasn1 raises many things; what it refuses is not compared
        return
    if rest:
        return
    for mine, (oid, value) in zip(ours, theirs, strict=True):
        assert mine.oid == tuple(oid)
        if mine.tag == ber.INTEGER:
            assert mine.value == int(value)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20))
def test_oids_go_there_and_back(subids: list[int]) -> None:
    oid = (1, 3, *subids)
    assert ber.decode_oid(ber.encode_oid(oid)) == oid


@given(st.integers(-(2**63), 2**64 - 1))
def test_integers_go_there_and_back(value: int) -> None:
    encoded = ber.encode_integer(value)
    assert ber.read_integer(encoded, 0, len(encoded)) == (value, len(encoded))


@given(st.integers(0, 70000))
def test_lengths_go_there_and_back(length: int) -> None:
    data = ber.encode(ber.OCTET_STRING, b"\0" * length)
    assert ber.read_octets(data, 0, len(data)) == (b"\0" * length, len(data))
