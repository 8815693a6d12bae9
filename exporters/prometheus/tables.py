"""Pre-rendered text: a table a family, in its columns a cell a port. Joined and compressed when changed.

A cell is one `bytes` and nothing beside it. Where ports mostly say the same (flags, states, thresholds), they share
it: the label of the port, for which `PORT` stands in the text, then comes in when the table is joined.
"""

import zlib
from collections.abc import Iterable, Sequence
from itertools import repeat
from struct import pack
from typing import Final, NamedTuple

from exporters.prometheus import crc
from exporters.prometheus.families import Family

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


PORT: Final = "\n\n"
"""Stands for the label of a port: the line ends that other labels hold are escaped."""
_PORT: Final = PORT.encode()
_SHARED_MOST: Final = 256
"""Texts of one column that are known as shared; with more of them the column begins anew."""


class Row(NamedTuple):
    """Where a port stands: the number of its cell in each column, and its label."""

    at: int
    label: str


class Table:
    """One family of one device: its columns, and their text joined."""

    __slots__ = ("columns", "family", "heads", "piece")

    def __init__(self, family: Family) -> None:
        self.family = family
        self.columns: list[Column] = []
        self.heads = (Piece(family.head(openmetrics=False)), Piece(family.head(openmetrics=True)))
        self.piece: Piece | None = None
        """The joined text, None after a change."""

    def joined(self) -> Piece:
        """The text of all columns."""
        if self.piece is None:
            self.piece = Piece(self.text())
        return self.piece

    def text(self) -> bytes:
        """The same, joined anew and not kept."""
        return b"".join([column.text() for column in self.columns])


class Column:
    """Some lines of one table for each port; a port that has none has an empty cell."""

    __slots__ = ("_cells", "_labels", "_shared", "_table")

    def __init__(self, table: Table, labels: Sequence[bytes], *, shared: bool = False) -> None:
        """`labels` are those of the ports, in the order of their rows."""
        self._table = table
        self._labels = labels
        self._cells: list[bytes] = []
        self._shared: dict[bytes, bytes] | None = {} if shared else None
        table.columns.append(self)

    def write(self, row: Row, text: str) -> None:
        """Replace the lines of a port; `PORT` in them stands for its label."""
        at, label = row
        shared = self._shared
        if shared is None:
            cell = text.replace(PORT, label).encode()
        else:
            if len(shared) >= _SHARED_MOST:
                shared.clear()
            cell = text.encode()
            cell = shared.setdefault(cell, cell)
        cells = self._cells
        if at >= len(cells):
            cells += [b""] * (at + 1 - len(cells))
        cells[at] = cell
        self._table.piece = None

    def clear(self, row: Row) -> None:
        """Take the lines of a port out."""
        cells = self._cells
        if row.at < len(cells) and cells[row.at]:
            cells[row.at] = b""
            self._table.piece = None

    def text(self) -> bytes:
        """The lines of all ports."""
        if self._shared is None:
            return b"".join(self._cells)
        return b"".join(map(bytes.replace, self._cells, repeat(_PORT), self._labels))


class Tables:
    """All families of one device, in the order in which they were first asked for."""

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}
        self._labels: list[bytes] = []
        self._free: list[int] = []

    def row(self, label: str) -> Row:
        """A row for a port: that of one that left, or a new one."""
        if self._free:
            at = self._free.pop()
            self._labels[at] = label.encode()
        else:
            at = len(self._labels)
            self._labels.append(label.encode())
        return Row(at, label)

    def leave(self, row: Row) -> None:
        """A port is no longer served: all its lines go."""
        for table in self._tables.values():
            for column in table.columns:
                column.clear(row)
        self._free.append(row.at)

    def column(self, family: Family, *, shared: bool) -> Column:
        """A new column of a family, whose table is made when it is new."""
        table = self._tables.get(family.name)
        if table is None:
            table = self._tables[family.name] = Table(family)
        return Column(table, self._labels, shared=shared)

    def pieces(self, *, openmetrics: bool) -> list[Piece]:
        """Everything there is now: heads and joined lines, families one after the other."""
        pieces: list[Piece] = []
        for table in self._tables.values():
            joined = table.joined()
            if joined.size:
                pieces += (table.heads[openmetrics], joined)
        return pieces

    def texts(self, *, openmetrics: bool) -> list[bytes]:
        """The same for who wants it uncompressed."""
        texts: list[bytes] = []
        for table in self._tables.values():
            if text := table.text():
                texts += (table.family.head(openmetrics=openmetrics), text)
        return texts

    def samples(self) -> int:
        """How many samples there are."""
        return sum(table.text().count(b"\n") for table in self._tables.values())
