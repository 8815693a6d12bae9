"""Checksums of texts behind each other, against zlib's over all of it."""

import gzip
import zlib

from hypothesis import given
from hypothesis import strategies as st

from exporters.prometheus import crc
from exporters.prometheus.tables import Piece, gzip_of


@given(st.binary(max_size=300), st.binary(max_size=3000))
def test_as_over_both(first: bytes, second: bytes) -> None:
    combined = crc.joined(zlib.crc32(first), zlib.crc32(second), crc.shift(len(second)))
    assert combined == zlib.crc32(first + second)


def test_as_over_megabytes() -> None:
    first, second = b"opticd", bytes(range(256)) * 20_011
    combined = crc.joined(zlib.crc32(first), zlib.crc32(second), crc.shift(len(second)))
    assert combined == zlib.crc32(first + second)


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_one_file_of_pieces_and_the_text_comes_back(texts: list[bytes]) -> None:
    pieces = [Piece(text) for text in texts]
    assert gzip.decompress(gzip_of(pieces)) == b"".join(texts)
    assert [piece.text for piece in pieces] == texts
    assert gzip.decompress(gzip_of(pieces)) == b"".join(texts)
