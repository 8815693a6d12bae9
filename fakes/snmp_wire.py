"""SNMP messages as an agent reads and writes them: BER once more, from RFC 3416/3417, for the agent's side only."""

from dataclasses import dataclass
from typing import Final

from fakes.snmp_recording import OID, Row

GET, GETNEXT, RESPONSE, SET, GETBULK, REPORT = 0xA0, 0xA1, 0xA2, 0xA3, 0xA5, 0xA8
END_OF_MIB_VIEW: Final = b"\x82\x00"
NO_SUCH_OBJECT: Final = b"\x80\x00"


class BadRequest(Exception):
    """Not a request that an agent answers."""


def tlv(tag: int, content: bytes) -> bytes:
    """One element."""
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 128 + len(octets))) + octets + content


def integer(value: int, tag: int = 2) -> bytes:
    """INTEGER or one of the unsigned types."""
    size = 1
    while not -(1 << 8 * size - 1) <= value < 1 << 8 * size - 1:
        size += 1
    return tlv(tag, value.to_bytes(size, "big", signed=True))


def oid(parts: tuple[int, ...]) -> bytes:
    """Content octets of an OBJECT IDENTIFIER."""
    out = bytearray()
    for part in (parts[0] * 40 + parts[1], *parts[2:]):
        septets = [part & 127]
        while part := part >> 7:
            septets.append(128 | part & 127)
        out += bytes(reversed(septets))
    return bytes(out)


def value(row: Row) -> bytes:
    """The value of a row, encoded."""
    if isinstance(row.value, int):
        return integer(row.value, row.tag)
    return tlv(row.tag, oid(row.value) if isinstance(row.value, tuple) and row.tag == OID else bytes(row.value))


def varbind(name: tuple[int, ...], encoded: bytes) -> bytes:
    """A variable."""
    return tlv(0x30, tlv(6, oid(name)) + encoded)


class Reader:
    """A cursor over elements; anything unexpected is a `BadRequest`."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def element(self, *tags: int) -> tuple[int, bytes]:
        """Tag and content of the next element, which has one of these tags (any when none is given)."""
        try:
            tag, size = self.data[self.at], self.data[self.at + 1]
        except IndexError:
            raise BadRequest("cut") from None
        start = self.at + 2
        if size >= 128:
            start += size - 128
            size = int.from_bytes(self.data[self.at + 2 : start], "big")
        if start + size > len(self.data) or (tags and tag not in tags):
            raise BadRequest(f"tag {tag:#x}, {size} octets")
        self.at = start + size
        return tag, self.data[start : self.at]

    def number(self) -> int:
        """An INTEGER."""
        return int.from_bytes(self.element(2)[1], "big", signed=True)

    def name(self) -> tuple[int, ...]:
        """An OBJECT IDENTIFIER."""
        parts: list[int] = []
        part = 0
        for octet in self.element(6)[1]:
            part = part << 7 | octet & 127
            if octet < 128:
                parts.append(part)
                part = 0
        first = parts[0] if parts else 0
        return (min(first // 40, 2), first - 40 * min(first // 40, 2), *parts[1:])

    @property
    def more(self) -> bool:
        return self.at < len(self.data)


@dataclass(frozen=True, slots=True)
class Request:
    """A GET, GETNEXT or GETBULK (then with non-repeaters and max-repetitions)."""

    kind: int
    request_id: int
    non_repeaters: int
    repetitions: int
    names: tuple[tuple[int, ...], ...]


def read_pdu(data: bytes) -> Request:
    """The request in a PDU."""
    kind, content = Reader(data).element()
    pdu = Reader(content)
    request_id, first, second = pdu.number(), pdu.number(), pdu.number()
    names: list[tuple[int, ...]] = []
    variables = Reader(pdu.element(0x30)[1])
    while variables.more:
        names.append(Reader(variables.element(0x30)[1]).name())
    return Request(kind, request_id, first, second, tuple(names))


def response(request_id: int, varbinds: bytes, *, status: int = 0, index: int = 0, kind: int = RESPONSE) -> bytes:
    """The PDU of an answer."""
    return tlv(kind, integer(request_id) + integer(status) + integer(index) + tlv(0x30, varbinds))
