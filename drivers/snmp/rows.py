"""The rows that a walk of one column brings, decoded from its replies: the hot path of SNMP.

A reply whose rows are alike (indexes of one length, one type of integers) is taken apart by one regular expression
and functions in C; any other, and whatever is odd, one variable after the other with every check by itself.
"""

import operator
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from drivers.snmp import ber
from drivers.snmp.ber import Oid, Value
from drivers.snmp.errors import Malformed, WalkCut

_MAX_COLUMN_OCTETS: Final = 16_000_000
_LEAST_ALIKE: Final = 8
"""Variables in a reply from which on it is worth while to look whether they are alike."""
_INTEGERS: Final = frozenset((ber.INTEGER, ber.COUNTER32, ber.GAUGE32, ber.TIMETICKS, ber.COUNTER64))
_SHORT_INTEGER: Final = rb"([\x01-\x05])((?<=\x01).|(?<=\x02)..|(?<=\x03)...|(?<=\x04)....|(?<=\x05).....)"
"""Length and content of an integer of up to five octets."""
_HEADS: Final = 6
"""Octets of a variable beside its name and its content: tags and lengths of sequence, name and value."""

_Finder = Callable[[bytes, int, int], list[tuple[bytes, bytes, bytes, bytes]]]


@lru_cache(maxsize=512)
def _alike(prefix: bytes, index: int, tag: int) -> _Finder:
    """Finds variables of a column with indexes of so many octets: size, index, length and content of each."""
    head = re.escape(bytes((ber.OBJECT_IDENTIFIER, len(prefix) + index)) + prefix)
    pattern = rb"0([\x00-\x7f])" + head + rb"(.{%d})" % index + re.escape(bytes((tag,))) + _SHORT_INTEGER
    return re.compile(pattern, re.DOTALL).findall


@lru_cache(maxsize=128)
def _sizes(name: int) -> bytes:
    """By the length of an integer: the size of a variable with a name of so many octets."""
    return bytes(min(length + name + _HEADS - 2, 0xFF) for length in range(256))


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
        return ber.encode_null(self._prefix + self._suffix)

    def take(self, data: bytes, start: int, end: int) -> int:
        """Add the variables of one reply; returns how many there were up to the end of the column.

        Raises `Malformed`, or `WalkCut` when OIDs do not increase or rows exceed the cap.
        """
        self.octets += end - start
        if self.octets > _MAX_COLUMN_OCTETS:
            raise WalkCut(f"a column of more than {_MAX_COLUMN_OCTETS} octets")
        if end - start >= _LEAST_ALIKE * (len(self._prefix) + _HEADS):
            count = self._take_alike(data, start, end)
            if count:
                return count
        return self._take_each(data, start, end)

    def _take_alike(self, data: bytes, start: int, end: int) -> int:
        """Add all variables, where they are alike and in order; 0, and nothing is changed, where not."""
        prefix, keys = self._prefix, self.keys
        name = data[start + 3]
        at = start + 4 + name
        if not len(prefix) < name < 0x80 - _HEADS or at >= end or data[at] not in _INTEGERS:
            return 0
        found = _alike(prefix, name - len(prefix), data[at])(data, start, end)
        count = len(found)
        if not count or count > self._cap - len(self.values):
            return 0
        sizes, indexes, lengths, contents = zip(*found, strict=True)
        octets = b"".join(lengths)
        # Nothing between them and nothing left over, and each is as long as it says.
        if sum(octets) + count * (name + _HEADS) != end - start or b"".join(sizes) != octets.translate(
            _sizes(name)
        ):
            return 0
        try:
            rows = list(map(keys.__getitem__, indexes))
        except KeyError:
            try:
                rows = [keys.get(index) or keys.setdefault(index, ber.decode_subids(index)) for index in indexes]
            except Malformed:
                return 0
        if rows[0] <= self.last or not all(map(operator.lt, rows, rows[1:])):
            return 0
        if data[at] == ber.INTEGER and max(contents)[0] >= 0x80:  # some are negative
            numbers = [int.from_bytes(content, "big", signed=True) for content in contents]
            self.values.update(zip(rows, numbers, strict=True))
        else:
            self.values.update(zip(rows, map(int.from_bytes, contents), strict=True))
        self.last, self._suffix = rows[-1], indexes[-1]
        return count

    def _take_each(self, data: bytes, start: int, end: int) -> int:
        """Add the variables one by one, each checked in full; what came before an error stays."""
        prefix, keys, values, last, reached = self._prefix, self.keys, self.values, self.last, self._suffix
        length = len(prefix)
        count, room = 0, self._cap - len(values)
        head, name = b"", 0  # what the OID of the variable before began with, and how long it was
        try:
            while start < end:
                # An element of 127 octets or less is read in place, any other by `element`.
                size = data[start + 1]
                body, stop = start + 2, start + 2 + size
                if size >= 0x80 or data[start] != ber.SEQUENCE or stop > end:
                    body, stop = ber.expect(ber.SEQUENCE, data, start, end)
                oid_at, value_at = body + 2, body + 2 + name
                if not name or not data.startswith(head, body) or value_at > stop:
                    oid_at, value_at = ber.expect(ber.OBJECT_IDENTIFIER, data, body, stop)
                    if not data.startswith(prefix, oid_at) or value_at - oid_at <= length:
                        if ber.decode_oid(data[oid_at:value_at]) < ber.decode_oid(prefix):
                            raise WalkCut("the agent went back to an OID before the column that was asked for")
                        self.ended = True
                        break
                    if oid_at == body + 2:
                        head, name = data[body : oid_at + length], value_at - oid_at
                suffix = data[oid_at + length : value_at]
                tag, size, content_at = data[value_at], data[value_at + 1], value_at + 2
                if content_at + size != stop or size >= 0x80:
                    tag, content_at, tail = ber.element(data, value_at, stop)
                    if tail != stop:
                        raise Malformed("a variable has bytes behind its value")
                key = keys.get(suffix)
                if key is None:
                    key = keys[suffix] = ber.decode_subids(suffix)
                if tag == ber.END_OF_MIB_VIEW:
                    self.ended = True
                    break
                if key <= last or count >= room:
                    raise WalkCut(
                        "the agent's OIDs do not increase" if key <= last else f"more than {self._cap} rows"
                    )
                last, reached = key, suffix
                count += 1
                if tag == ber.INTEGER and 0 < size <= ber.MAX_INTEGER_OCTETS:
                    values[key] = int.from_bytes(data[content_at:stop], "big", signed=True)
                else:
                    value = ber.decode_value(tag, data[content_at:stop])
                    if value is not None:
                        values[key] = value
                start = stop
        except IndexError:
            raise Malformed("an SNMP message ends within a variable") from None
        finally:
            self.last, self._suffix = last, reached
        return count
