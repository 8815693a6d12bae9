"""The part of BER that SNMP uses (RFC 1157, 3416, 3417 section 8), read fast and written plainly.

Reading never raises anything but `Malformed`. What is accepted beyond DER: lengths in long form and integers
with leading sign bytes, since agents in the field send both. Indefinite lengths are forbidden by RFC 3417.

An OID is a tuple of ints. A value is an int (INTEGER, Counter, Gauge, TimeTicks), else the content octets
(OCTET STRING, IpAddress, Opaque, and OBJECT IDENTIFIER, for `decode_oid`).
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from drivers.snmp.errors import Malformed

Oid = tuple[int, ...]
Value = int | bytes

INTEGER: Final = 0x02
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OBJECT_IDENTIFIER: Final = 0x06
SEQUENCE: Final = 0x30
COUNTER32: Final = 0x41
GAUGE32: Final = 0x42
TIMETICKS: Final = 0x43
COUNTER64: Final = 0x46
NO_SUCH_OBJECT: Final = 0x80
NO_SUCH_INSTANCE: Final = 0x81
END_OF_MIB_VIEW: Final = 0x82

GET: Final = 0xA0
GETNEXT: Final = 0xA1
RESPONSE: Final = 0xA2
GETBULK: Final = 0xA5
REPORT: Final = 0xA8

_UNSIGNED: Final = frozenset((COUNTER32, GAUGE32, TIMETICKS, COUNTER64))
_MISSING: Final = frozenset((NULL, NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB_VIEW))
_NULL: Final = b"\x05\x00"
_MAX_SUBIDS: Final = 128
_MAX_SUBID: Final = 0xFFFFFFFF
_MAX_SUBID_OCTETS: Final = 5
MAX_INTEGER_OCTETS: Final = 9
"""A Counter64 at its top has eight octets and a leading zero."""


class Varbind(NamedTuple):
    """One variable of a message; `value` is None for NULL, noSuchObject, noSuchInstance and endOfMibView."""

    oid: Oid
    tag: int
    value: Value | None


class Pdu(NamedTuple):
    """The head of a PDU, and where in the bytes its variables lie (`start` to `end`).

    In a GETBULK `error_status` holds non-repeaters and `error_index` max-repetitions.
    """

    tag: int
    request_id: int
    error_status: int
    error_index: int
    start: int
    end: int


# Writing


def encode_length(length: int) -> bytes:
    """The length octets in their shortest form."""
    if length < 0x80:
        return bytes((length,))
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets


def encode(tag: int, content: bytes) -> bytes:
    """One element."""
    return bytes((tag,)) + encode_length(len(content)) + content


def encode_integer(value: int, tag: int = INTEGER) -> bytes:
    """An INTEGER, or an unsigned type by its tag, in the fewest octets."""
    return encode(
        tag,
        value.to_bytes(
            value.bit_length() // 8 + 1 if value >= 0 else (~value).bit_length() // 8 + 1, "big", signed=True
        ),
    )


def encode_subids(subids: Oid) -> bytes:
    """Sub-identifiers in base 128, as they stand in an OID behind its first two."""
    out = bytearray()
    for subid in subids:
        if subid < 0x80:
            out.append(subid)
            continue
        for shift in range((subid.bit_length() - 1) // 7 * 7, 0, -7):
            out.append(0x80 | (subid >> shift & 0x7F))
        out.append(subid & 0x7F)
    return bytes(out)


def encode_oid(oid: Oid) -> bytes:
    """Content octets of an OID, without tag and length. It has at least two sub-identifiers."""
    return encode_subids((oid[0] * 40 + oid[1], *oid[2:]))


def encode_varbind(oid: Oid, value: bytes = _NULL) -> bytes:
    """A variable with an encoded value; NULL in requests."""
    return encode(SEQUENCE, encode(OBJECT_IDENTIFIER, encode_oid(oid)) + value)


def encode_null(name: bytes) -> bytes:
    """A variable of a request, from the content octets of its OID."""
    size = len(name)
    if size < 0x78:
        return b"%c%c%c%c%b%b" % (SEQUENCE, size + 4, OBJECT_IDENTIFIER, size, name, _NULL)
    return encode(SEQUENCE, encode(OBJECT_IDENTIFIER, name) + _NULL)


def encode_pdu(tag: int, request_id: int, first: int, second: int, varbinds: bytes) -> bytes:
    """A PDU: `first` and `second` are error-status and error-index, or non-repeaters and max-repetitions."""
    head = encode_integer(request_id) + encode_integer(first) + encode_integer(second)
    return encode(tag, head + encode(SEQUENCE, varbinds))


# Reading


def element(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Tag, start and end of the content of the element at `at`, which must end at or before `end`."""
    if at + 2 > end:
        raise Malformed("an SNMP message ends within an element")
    length = data[at + 1]
    start = at + 2
    if length >= 0x80:
        octets = length & 0x7F
        start += octets
        if not 0 < octets <= 4 or start > end:
            raise Malformed("an SNMP message has a length that is indefinite, too long, or cut")
        length = int.from_bytes(data[at + 2 : start], "big")
    if start + length > end:
        raise Malformed("an SNMP message has an element longer than what holds it")
    return data[at], start, start + length


def expect(tag: int, data: bytes, at: int, end: int) -> tuple[int, int]:
    """Start and end of the content of the element at `at`, which must have this tag."""
    start = at + 2
    if start <= end and data[at] == tag and data[at + 1] < 0x80 and start + data[at + 1] <= end:
        return start, start + data[at + 1]  # nearly all of them
    found, start, stop = element(data, at, end)
    if found != tag:
        raise Malformed(f"an SNMP message has tag {found:#04x} where {tag:#04x} belongs")
    return start, stop


def read_integer(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The INTEGER at `at`, and where it ends."""
    start, stop = expect(INTEGER, data, at, end)
    if not 0 < stop - start <= MAX_INTEGER_OCTETS:
        raise Malformed(f"an SNMP message has an integer of {stop - start} octets")
    return int.from_bytes(data[start:stop], "big", signed=True), stop


def read_octets(data: bytes, at: int, end: int) -> tuple[bytes, int]:
    """The OCTET STRING at `at`, and where it ends."""
    start, stop = expect(OCTET_STRING, data, at, end)
    return data[start:stop], stop


def read_pdu(data: bytes, at: int, end: int) -> Pdu:
    """The head of the PDU at `at`, which must fill everything up to `end`."""
    tag, at, stop = element(data, at, end)
    if stop != end:
        raise Malformed("an SNMP message has bytes behind its PDU")
    if tag not in (GET, GETNEXT, RESPONSE, GETBULK, REPORT, 0xA3, 0xA6, 0xA7):
        raise Malformed(f"an SNMP message has a PDU of the unknown type {tag:#04x}")
    request_id, at = read_integer(data, at, end)
    status, at = read_integer(data, at, end)
    index, at = read_integer(data, at, end)
    start, stop = expect(SEQUENCE, data, at, end)
    if stop != end:
        raise Malformed("an SNMP message has bytes behind its variables")
    return Pdu(tag, request_id, status, index, start, stop)


def decode_subids(content: bytes) -> Oid:
    """The sub-identifiers in `content`."""
    if content.isascii() and len(content) <= _MAX_SUBIDS:
        return tuple(content)  # every octet is one of them
    if not content or content[-1] >= 0x80:
        raise Malformed("an OID ends within a sub-identifier")
    if len(content) > _MAX_SUBIDS * _MAX_SUBID_OCTETS:
        raise Malformed("an OID is longer than SNMP allows")
    subids: list[int] = []
    subid = 0
    for octet in content:
        if octet < 0x80:
            subids.append(subid | octet)
            subid = 0
        elif octet == 0x80 and not subid:
            raise Malformed("an OID has a sub-identifier with a leading zero")
        else:
            subid = (subid | octet & 0x7F) << 7
    if len(subids) > _MAX_SUBIDS or max(subids) > _MAX_SUBID:
        raise Malformed("an OID is longer than SNMP allows, or has a sub-identifier above 32 bits")
    return tuple(subids)


def decode_oid(content: bytes) -> Oid:
    """The OID in the content octets of an OBJECT IDENTIFIER."""
    first, *rest = decode_subids(content) or (-1,)
    if first < 0:
        raise Malformed("an OID is empty")
    return (min(first // 40, 2), first - 40 * min(first // 40, 2), *rest)


def decode_value(tag: int, content: bytes) -> Value | None:
    """The value of a variable from its tag and content octets."""
    if tag == INTEGER or tag in _UNSIGNED:
        if not 0 < len(content) <= MAX_INTEGER_OCTETS:
            raise Malformed(f"a variable has an integer of {len(content)} octets")
        # An unsigned type with its top bit set and no leading zero is wrong, frequent, and means what it says.
        return int.from_bytes(content, "big", signed=tag == INTEGER)
    if tag in _MISSING:
        if content:
            raise Malformed("a variable without a value has one")
        return None
    if tag in (OCTET_STRING, OBJECT_IDENTIFIER, 0x40, 0x44):
        return content
    raise Malformed(f"a variable has the unknown type {tag:#04x}")


def varbinds(data: bytes, start: int, end: int) -> Iterator[Varbind]:
    """The variables of a PDU, one by one, checked in full."""
    while start < end:
        at, start = expect(SEQUENCE, data, start, end)
        oid_at, at = expect(OBJECT_IDENTIFIER, data, at, start)
        tag, value_at, stop = element(data, at, start)
        if stop != start:
            raise Malformed("a variable has bytes behind its value")
        yield Varbind(decode_oid(data[oid_at:at]), tag, decode_value(tag, data[value_at:stop]))
