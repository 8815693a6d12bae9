"""The part of BER that SNMP uses (RFC 1157, 3416, 3417 section 8), read fast and written plainly.

Reading never raises anything but `Malformed`. What is accepted beyond DER: lengths in long form and integers
with leading sign bytes, since agents in the field send both. Indefinite lengths are forbidden by RFC 3417.

An OID is a tuple of ints. A value is an int (INTEGER, Counter, Gauge, TimeTicks), else the content octets
(OCTET STRING, IpAddress, Opaque, and OBJECT IDENTIFIER, for `decode_oid`).
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from drivers.snmp.errors import Malformed, WalkCut

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
_MAX_INTEGER_OCTETS: Final = 9
"""A Counter64 at its top has eight octets and a leading zero."""

_MAX_COLUMN_OCTETS: Final = 16_000_000


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
    found, start, stop = element(data, at, end)
    if found != tag:
        raise Malformed(f"an SNMP message has tag {found:#04x} where {tag:#04x} belongs")
    return start, stop


def read_integer(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The INTEGER at `at`, and where it ends."""
    start, stop = expect(INTEGER, data, at, end)
    if not 0 < stop - start <= _MAX_INTEGER_OCTETS:
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
    subids: list[int] = []
    subid = 0
    fresh = True
    for octet in content:
        if fresh and octet == 0x80:
            raise Malformed("an OID has a sub-identifier with a leading zero")
        subid = subid << 7 | (octet & 0x7F)
        fresh = octet < 0x80
        if fresh:
            subids.append(subid)
            subid = 0
        elif subid > _MAX_SUBID:
            raise Malformed("an OID has a sub-identifier above 32 bits")
    if not fresh:
        raise Malformed("an OID ends within a sub-identifier")
    if len(subids) > _MAX_SUBIDS or (subids and max(subids) > _MAX_SUBID):
        raise Malformed("an OID is longer than SNMP allows")
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
        if not 0 < len(content) <= _MAX_INTEGER_OCTETS:
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


class Rows:
    """What one walk of one column has brought: rows by index, and whether its end was seen.

    `octets` counts what came, so that a hostile agent cannot fill the memory. `keys` remembers
    decoded indexes; the columns of one table, and polls that follow, share it.
    """

    __slots__ = ("_cap", "_prefix", "_suffix", "ended", "keys", "last", "octets", "values")

    def __init__(self, prefix: bytes, keys: dict[bytes, Oid], *, cap: int) -> None:
        self._prefix = prefix
        self._suffix = b""
        self._cap = cap
        self.keys = keys
        self.values: dict[Oid, Value] = {}
        self.last: Oid = ()
        self.ended = False
        self.octets = 0

    def next(self) -> bytes:
        """The variable that asks for what follows the last row."""
        return encode(SEQUENCE, encode(OBJECT_IDENTIFIER, self._prefix + self._suffix) + _NULL)

    def take(self, data: bytes, start: int, end: int) -> int:
        """Add the variables of one reply; returns how many there were up to the end of the column.

        Raises `Malformed`, or `WalkCut` when OIDs do not increase or rows exceed the cap.
        """
        prefix, keys, values, last, reached = self._prefix, self.keys, self.values, self.last, self._suffix
        length = len(prefix)
        count, room = 0, self._cap - len(values)
        head, name = b"", 0  # what the OID of the variable before began with, and how long it was
        self.octets += end - start
        if self.octets > _MAX_COLUMN_OCTETS:
            raise WalkCut(f"a column of more than {_MAX_COLUMN_OCTETS} octets")
        try:
            while start < end:
                # The hot path: an element of 127 octets or less is read in place, any other by `element`.
                size = data[start + 1]
                body, stop = start + 2, start + 2 + size
                if size >= 0x80 or data[start] != SEQUENCE or stop > end:
                    body, stop = expect(SEQUENCE, data, start, end)
                oid_at, value_at = body + 2, body + 2 + name
                if not name or not data.startswith(head, body) or value_at > stop:
                    oid_at, value_at = expect(OBJECT_IDENTIFIER, data, body, stop)
                    if not data.startswith(prefix, oid_at) or value_at - oid_at <= length:
                        if decode_oid(data[oid_at:value_at]) < decode_oid(prefix):
                            raise WalkCut("the agent went back to an OID before the column that was asked for")
                        self.ended = True
                        break
                    if oid_at == body + 2:
                        head, name = data[body : oid_at + length], value_at - oid_at
                suffix = data[oid_at + length : value_at]
                tag, size, content_at = data[value_at], data[value_at + 1], value_at + 2
                if content_at + size != stop or size >= 0x80:
                    tag, content_at, tail = element(data, value_at, stop)
                    if tail != stop:
                        raise Malformed("a variable has bytes behind its value")
                key = keys.get(suffix)
                if key is None:
                    key = keys[suffix] = decode_subids(suffix)
                if tag == END_OF_MIB_VIEW:
                    self.ended = True
                    break
                if key <= last or count >= room:
                    raise WalkCut(
                        "the agent's OIDs do not increase" if key <= last else f"more than {self._cap} rows"
                    )
                last, reached = key, suffix
                count += 1
                if tag == INTEGER and 0 < size <= _MAX_INTEGER_OCTETS:
                    values[key] = int.from_bytes(data[content_at:stop], "big", signed=True)
                else:
                    value = decode_value(tag, data[content_at:stop])
                    if value is not None:
                        values[key] = value
                start = stop
        except IndexError:
            raise Malformed("an SNMP message ends within a variable") from None
        finally:
            self.last, self._suffix = last, reached
        return count
