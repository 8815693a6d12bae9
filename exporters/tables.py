"""Pre-rendered text: a table a family, a slot what one port has in it. Joined and compressed when changed."""

import zlib
from collections.abc import Iterable, Sequence
from struct import pack
from typing import Final, NamedTuple

from exporters import crc
from exporters.families import Family

_GZIP_HEADER: Final = b"\x1f\x8b\x08\0\0\0\0\0\x04\xff"  # deflate, no name, no time, fastest, unknown system
_LAST_BLOCK: Final = b"\x03\0"  # an empty block that ends a deflate stream (RFC 1951, 3.2.6)


class Packed(NamedTuple):
    """A compressed piece, and what is needed of its text to put it behind others."""

    data: bytes
    """Raw deflate blocks that refer to nothing before them."""
    checksum: int
    shift: int


class Piece:
    """A run of text that never changes. Once it is compressed that is all that is kept of it."""

    __slots__ = ("_packed", "_text", "size")

    def __init__(self, text: bytes) -> None:
        self.size = len(text)
        """Bytes of the text."""
        self._text = text
        self._packed: Packed | None = None

    @property
    def text(self) -> bytes:
        """The text, decompressed where need be."""
        text = self._text  # looked at first: it goes after `_packed` came
        packed = self._packed
        return text if packed is None else zlib.decompressobj(wbits=-15).decompress(packed.data)

    @property
    def compressed(self) -> bool:
        """True when `packed` costs nothing."""
        return self._packed is not None

    def packed(self) -> Packed:
        """The compressed form. May run on any thread: two that meet do the same work twice."""
        text = self._text  # as above
        packed = self._packed
        if packed is None:
            packer = zlib.compressobj(level=1, method=zlib.DEFLATED, wbits=-15)
            data = packer.compress(text) + packer.flush(zlib.Z_FULL_FLUSH)
            packed = self._packed = Packed(data, zlib.crc32(text), crc.shift(self.size))
            self._text = b""
        return packed


def gzip_of(pieces: Iterable[Piece]) -> bytes:
    """One gzip file of all pieces."""
    checksum = size = 0
    out = [_GZIP_HEADER]
    for piece in pieces:
        packed = piece.packed()
        out.append(packed.data)
        checksum = crc.joined(checksum, packed.checksum, packed.shift)
        size += piece.size
    out += (_LAST_BLOCK, pack("<II", checksum, size & 0xFFFF_FFFF))
    return b"".join(out)


def halves(pieces: Sequence[Piece]) -> tuple[list[Piece], list[Piece]]:
    """The pieces that still have to be compressed, as two lists of about equal work."""
    first: list[Piece] = []
    second: list[Piece] = []
    left = right = 0
    for piece in sorted((p for p in pieces if not p.compressed), key=lambda p: -p.size):
        if left <= right:
            first.append(piece)
            left += piece.size
        else:
            second.append(piece)
            right += piece.size
    return first, second


class Table:
    """One family of one device: the slots in order, and their text joined."""

    __slots__ = ("family", "heads", "piece", "slots")

    def __init__(self, family: Family) -> None:
        self.family = family
        self.slots: dict[Slot, None] = {}
        self.heads = (Piece(family.head(openmetrics=False)), Piece(family.head(openmetrics=True)))
        self.piece: Piece | None = None
        """The joined text, None after a change."""

    def joined(self) -> Piece:
        """The text of all slots."""
        if self.piece is None:
            self.piece = Piece(self.text())
        return self.piece

    def text(self) -> bytes:
        """The same, joined anew and not kept."""
        return b"".join([slot.text for slot in self.slots])


class Slot:
    """Some lines of one table. Empty until it is written."""

    __slots__ = ("table", "text")

    def __init__(self, table: Table) -> None:
        self.table = table
        self.text = b""
        table.slots[self] = None

    def write(self, text: str) -> None:
        """Replace the lines."""
        self.text = text.encode()
        self.table.piece = None

    def drop(self) -> None:
        """Take the lines out of the table."""
        if self in self.table.slots:
            del self.table.slots[self]
            self.table.piece = None


class Tables:
    """All families of one device, in the order in which they were first asked for."""

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}

    def get(self, family: Family) -> Table:
        """The table of a family, made when it is new."""
        table = self._tables.get(family.name)
        if table is None:
            table = self._tables[family.name] = Table(family)
        return table

    def pieces(self, *, openmetrics: bool) -> list[Piece]:
        """Everything there is now: heads and joined lines, families one after the other."""
        pieces: list[Piece] = []
        for table in self._tables.values():
            if table.slots:
                pieces += (table.heads[openmetrics], table.joined())
        return pieces

    def texts(self, *, openmetrics: bool) -> list[bytes]:
        """The same for who wants it uncompressed."""
        texts: list[bytes] = []
        for table in self._tables.values():
            if table.slots:
                texts += (table.family.head(openmetrics=openmetrics), table.text())
        return texts

    def samples(self) -> int:
        """How many samples there are."""
        return sum(slot.text.count(b"\n") for table in self._tables.values() for slot in table.slots)
