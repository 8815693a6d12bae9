"""Bytes out of the text of hex dumps: ethtool, SONiC's sfputil, Junos, hexdump -C, xxd, i2cdump, bare digits.

Says where each byte stood: under which heading, at which offset. What the bytes mean is the part of
`agent.documents.images`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from agent.errors import DecodeError
from agent.memory import I2C_DIAGNOSTICS, I2C_MODULE

MAX_OFFSET: Final = 8 * 256 * 128
"""End of the largest linear layout: eight banks of 256 pages."""
_PAGE: Final = 128

_PORT: Final = re.compile(r"EEPROM hexdump for port (\S+)", re.IGNORECASE)
_DEVICE: Final = re.compile(r"\b(?:A([02])h?|device address 0x5([01]))\b", re.IGNORECASE)
_HALF: Final = re.compile(r"\b(lower|low|upper)\b", re.IGNORECASE)
_PAGE_NUMBER: Final = re.compile(r"\bpage\s*(?:0x)?([0-9a-f]{1,2})h?\b", re.IGNORECASE)
_BANK_NUMBER: Final = re.compile(r"\bbank\s*(?:0x)?([0-9a-f]{1,2})h?\b", re.IGNORECASE)
# "00:", "0x0010:" and "00000010 " are offsets, and "0x10 " where no byte behind it says 0x; "11 08 06" are bytes.
_OFFSET_ROW: Final = re.compile(
    r"\s*(?:Address )?(?:(?:0x)?([0-9a-f]{1,8}):"
    r"|0x([0-9a-f]{4,8}|[0-9a-f]{2}(?=(?: +[0-9a-f]{2})+ *$))"
    r"|([0-9a-f]{5,8}))(?:(\s+)(.*))?",
    re.IGNORECASE,
)
_FIRST: Final = re.compile(r"([0-9a-f]{2}|[0-9a-f]{4}|XX|--|\?\?)(?:\s|$)", re.IGNORECASE)
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})+", re.IGNORECASE)
_UNREAD: Final = re.compile(r"XX|--|\?\?")
_GAP: Final = re.compile(r"\s{2,}")
_SEPARATED: Final = re.compile(r" [.-] (?=[0-9a-f]{2}\b)", re.IGNORECASE)
"""Junos puts dots and dashes between every four bytes."""
_SPREAD: Final = re.compile(r"[0-9a-f]{2}(?:\s{2,}[0-9a-f]{2})+", re.IGNORECASE)
"""All bytes of a row apart from each other: no gap of it is one before characters."""
_HINT: Final = "dump single bytes: hexdump -C, xxd, or i2cdump with mode b"
_BARE_SPLIT: Final = re.compile(r"[\s,;:]+")


class Heading(NamedTuple):
    """What a dump says above its rows: which device, which half, and page and bank of the upper one."""

    named: bool = False
    """False for rows under no heading at all: a linear layout."""
    i2c: int = I2C_MODULE
    half: Literal["", "lower", "upper"] = ""
    page: int = 0
    bank: int = 0


@dataclass(slots=True)
class Run:
    """Bytes at consecutive offsets; `block` counts how often unheaded offsets began at 0 again."""

    heading: Heading
    block: int
    start: int
    line: int
    data: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class Dump:
    """One module's dump; `port` where the text names it."""

    port: str
    runs: list[Run] = field(default_factory=list[Run])


def parse(text: str) -> list[Dump]:
    """The dumps in a text, one per port it names; raises `DecodeError` with the line number."""
    lines = text.splitlines()
    # Digits without offsets count from 0; a "00000100" alone on its line may also be eight bare digits.
    bare = not any((row := _offset_row(line)) is not None and row.rest for line in lines)
    reader = _Reader(bare=bare)
    for number, line in enumerate(lines, start=1):
        reader.line(number, line)
    dumps = [dump for dump in reader.dumps if dump.runs]
    if not dumps:
        first = next((line.strip() for line in lines if line.strip()), "")
        raise DecodeError(f"no module memory in it (it begins with {quote(first)})" if first else "it is empty")
    return dumps


def quote(text: str) -> str:
    """At most 40 characters of what stood there, safe to print on one line."""
    return ascii(text if len(text) <= 40 else text[:37] + "...")


class _OffsetRow(NamedTuple):
    offset: int
    rest: str
    missing: int = 0
    """Bytes that i2cdump left blank at the start of a row."""
    words: bool = False


def _offset_row(line: str) -> _OffsetRow | None:
    match = _OFFSET_ROW.fullmatch(line)
    if match is None:
        return None
    lead, rest = match[4] or "", (match[5] or "").strip()
    offset = match[1] or match[2] or match[3]
    short = match[1] is not None and len(offset) == 2
    first = _FIRST.match(rest)
    if rest and match[1] is None and first is None:
        return None
    words = first is not None and len(first[1]) == 4 and (match[1] is None or short)
    missing = (len(lead) - 1) // 3 if short and "\t" not in lead else 0
    return _OffsetRow(int(offset, 16), rest, missing, words)


class _Reader:
    """Walks the lines: which port, under which heading, where the last row ended."""

    def __init__(self, *, bare: bool) -> None:
        self.dumps = [Dump("")]
        self._bare = bare
        self._heading = Heading()
        self._next = -1
        self._block = 0
        self._repeat = False
        self._last: list[int | None] = []

    def line(self, number: int, line: str) -> None:
        stripped = line.strip()
        if not stripped:
            return
        if stripped == "*":
            self._repeat = True
            return
        if (port := _PORT.search(line)) is not None:
            self.dumps.append(Dump(port[1]))
            self._under(Heading())
        elif self._bare:
            self._bare_line(number, stripped)
        elif (row := _offset_row(line)) is not None:
            if row.words:
                raise DecodeError(
                    f"line {number}: 16-bit words, whose byte order the text does not tell", hint=_HINT
                )
            if row.rest:
                blank: list[int | None] = [None] * row.missing
                self._row(number, row.offset, blank + list(_row_bytes(number, row.rest)))
            elif self._repeat:
                self._fill(number, row.offset)  # the closing offset of hexdump -C
        elif (heading := _heading(line)) is not None:
            self._under(heading)
        elif len(_bare_bytes(stripped) or b"") >= 8:
            raise DecodeError(f"line {number}: {quote(stripped)} has no offset, other lines have")

    def _under(self, heading: Heading) -> None:
        self._heading, self._next, self._block, self._repeat = heading, -1, 0, False

    def _bare_line(self, number: int, stripped: str) -> None:
        stripped = stripped.split("#", 1)[0].strip()
        if not stripped:
            return
        data = _bare_bytes(stripped)
        if data is not None:
            self._row(number, max(self._next, 0), list(data))
        elif (heading := _heading(stripped)) is not None:
            self._under(heading)
        else:
            raise DecodeError(f"line {number}: {quote(stripped)} is not hex, not a heading, and not JSON")

    def _row(self, number: int, offset: int, data: list[int | None]) -> None:
        if self._repeat:
            self._fill(number, offset)
        if offset == 0 and self._next > 0 and not self._heading.named:
            self._block += 1
        elif self._next >= 0 and offset != self._next and (offset < self._next or offset % _PAGE):
            raise DecodeError(
                f"line {number}: offset 0x{offset:02X} follows 0x{self._next - 1:02X} (offsets are hexadecimal)"
            )
        self._put(number, offset, data)

    def _put(self, number: int, offset: int, data: list[int | None]) -> None:
        if offset + len(data) > MAX_OFFSET:
            raise DecodeError(f"line {number}: offset 0x{offset:X} lies beyond any module's memory")
        runs = self.dumps[-1].runs
        for at, byte in enumerate(data, start=offset):
            if byte is None:
                continue
            run = runs[-1] if runs else None
            here = (self._heading, self._block, at)
            if run is None or (run.heading, run.block, run.start + len(run.data)) != here:
                run = Run(self._heading, self._block, at, number)
                runs.append(run)
            run.data.append(byte)
        self._next = offset + len(data)
        self._last = data

    def _fill(self, number: int, end: int) -> None:
        """Repeat the last row up to `end`, as hexdump's "*" says."""
        self._repeat = False
        if not self._last or not self._next < end <= MAX_OFFSET:
            raise DecodeError(f"line {number}: nothing that the '*' before it could repeat")
        while self._next < end:
            self._put(number, self._next, self._last[: end - self._next])


def _row_bytes(number: int, text: str) -> Iterator[int | None]:
    """The bytes of a row behind its offset, without the characters that many tools print beside them."""
    if "|" in text:
        text = text[: text.index("|")]
    text = _SEPARATED.sub(" ", text.strip())
    if _SPREAD.fullmatch(text):
        text = " ".join(text.split())
    count = 0
    for index, part in enumerate(_GAP.split(text.strip())):
        tokens = part.split()
        # Behind a gap stand characters, unless it is the one in the middle of sixteen bytes.
        if index and not (count in (7, 8) and all(len(t) == 2 and _HEX.fullmatch(t) for t in tokens)):
            return
        for token in tokens:
            if _UNREAD.fullmatch(token):
                count += 1
                yield None
                continue
            if not _HEX.fullmatch(token):
                raise DecodeError(f"line {number}: {quote(token)} is not a hex byte")
            count += len(token) // 2
            yield from bytes.fromhex(token)


def _bare_bytes(text: str) -> bytes | None:
    """The bytes of a line of hex digits, with or without spaces, commas and 0x; None when it is something else."""
    tokens = [token.lower().removeprefix("0x") for token in _BARE_SPLIT.split(text) if token]
    if not tokens or not all(_HEX.fullmatch(token) for token in tokens):
        return None
    return bytes.fromhex("".join(tokens))


def _heading(line: str) -> Heading | None:
    device, half, page = _DEVICE.search(line), _HALF.search(line), _PAGE_NUMBER.search(line)
    if device is None and half is None and page is None:
        return None
    bank = _BANK_NUMBER.search(line)
    lower = half is not None and half[1].lower().startswith("low")
    second = device is not None and (device[1] == "2" or device[2] == "1")
    return Heading(
        named=True,
        i2c=I2C_DIAGNOSTICS if second else I2C_MODULE,
        half="lower" if lower else "upper" if half is not None else "",
        page=0 if lower or page is None else int(page[1], 16),
        bank=0 if lower or bank is None else int(bank[1], 16),
    )
