"""The CRC-32 of two texts from those of each: a checksum over everything without everything at hand.

A CRC is the remainder of the text, taken as a polynomial over GF(2), divided by a fixed one. Text of n bytes behind
another multiplies the other's remainder by x^(8n) (RFC 1952 section 8; bits are reflected: 2^31 stands for x^0).
"""

from typing import Final

_POLYNOMIAL: Final = 0xEDB88320
_ONE: Final = 1 << 31


def _times(a: int, b: int) -> int:
    """The product of two remainders."""
    product = 0
    for place in range(31, -1, -1):
        if a >> place & 1:
            product ^= b
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product


def _squares() -> list[int]:
    """x^8, x^16, x^32 and so on."""
    found = [_ONE >> 8]
    while len(found) < 64:
        found.append(_times(found[-1], found[-1]))
    return found


_SQUARES: Final = _squares()


def shift(size: int) -> int:
    """What `size` bytes behind a text do to its CRC: to be kept beside them."""
    product, place = _ONE, 0
    while size >> place:
        if size >> place & 1:
            product = _times(_SQUARES[place], product)
        place += 1
    return product


def joined(first: int, second: int, shifted: int) -> int:
    """The CRC of two texts behind each other; `shifted` is `shift` of the second one's size."""
    return _times(first, shifted) ^ second
