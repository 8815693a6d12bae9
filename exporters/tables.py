"""Pre-rendered text: a table a family, a slot what one port has in it. Joined and compressed when changed."""

import zlib
from collections.abc import Iterable, Sequence
from struct import pack
from typing import Final

from exporters.families import Family

_GZIP_HEADER: Final = b"\x1f\x8b\x08\0\0\0\0\0\x04\xff"  # deflate, no name, no time, fastest, unknown system
_LAST_BLOCK: Final = b"\x03\0"  # an empty block that ends a deflate stream (RFC 1951, 3.2.6)


class Piece:
    """A run of text that never changes, and its compressed form once somebody has asked for it."""

    __slots__ = ("_deflated", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._deflated: bytes | None = None

    @property
    def compressed(self) -> bool:
        """True when `deflated` costs nothing."""
        return self._deflated is not None

    def deflated(self) -> bytes:
        """Raw deflate blocks that refer to nothing before them, so pieces can be put behind each other.

        May run on any thread: two that meet do the same work twice and store equal bytes.
        """
        if self._deflated is None:
            packer = zlib.compressobj(level=1, method=zlib.DEFLATED, wbits=-15)
            self._deflated = packer.compress(self.text) + packer.flush(zlib.Z_FULL_FLUSH)
        return self._deflated


def gzip_of(pieces: Iterable[Piece]) -> bytes:
    """One gzip file of all pieces."""
    crc = size = 0
    out = [_GZIP_HEADER]
    for piece in pieces:
        out.append(piece.deflated())
        crc = zlib.crc32(piece.text, crc)
        size += len(piece.text)
    out += (_LAST_BLOCK, pack("<II", crc, size & 0xFFFF_FFFF))
    return b"".join(out)


def halves(pieces: Sequence[Piece]) -> tuple[list[Piece], list[Piece]]:
    """The pieces that still have to be compressed, as two lists of about equal work."""
    first: list[Piece] = []
    second: list[Piece] = []
    left = right = 0
    for piece in sorted((p for p in pieces if not p.compressed), key=lambda p: -len(p.text)):
        if left <= right:
            first.append(piece)
            left += len(piece.text)
        else:
            second.append(piece)
            right += len(piece.text)
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
            self.piece = Piece(b"".join([slot.text for slot in self.slots]))
        return self.piece


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

    def samples(self) -> int:
        """How many samples there are."""
        return sum(slot.text.count(b"\n") for table in self._tables.values() for slot in table.slots)
