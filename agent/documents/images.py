"""Saved module memory: JSON images, dumps of ethtool and SONiC, hex dumps. The kind is recognised from the content.

Everything that is wrong with a file is one `DecodeError` that says where.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NotRequired, TypedDict, TypeGuard

from agent.documents.hexdump import Dump, Heading, Run, parse, quote
from agent.errors import DecodeError
from agent.maps import sff8024
from agent.memory import I2C_DIAGNOSTICS, I2C_MODULE, Memory, Span

FAMILIES: Final = ("sff8472", "sff8636", "cmis")
_HALF: Final = 128
_PAGE_00_COPY: Final = 128
"""Upper byte 128 of page 00h repeats the identifier."""
_LARGEST: Final = 8 * 256 * 128
_NAMED_PAGE: Final = re.compile(r"(?:(\d{1,2}):)?([0-9a-f]{2})", re.IGNORECASE)
_DIAGNOSTIC_PAGE: Final = re.compile(r"a2:([0-9a-f]{2})", re.IGNORECASE)
_HOLE: Final = re.compile(r"(\d{1,3})-(\d{1,3})")


@dataclass(frozen=True, slots=True)
class Image:
    """Saved memory of one module. `family` only where the file names it, `port` likewise."""

    memory: Memory
    family: str = ""
    port: str = ""


class ImageDocument(TypedDict):
    """The JSON form: 128 bytes a page (256 for `a0` and `a2`) in hex."""

    family: NotRequired[str]
    pages: dict[str, str]
    unread: NotRequired[dict[str, list[str]]]
    """Bytes of a page that could not be read and stand as 00 in `pages`, as `first-last`."""


def load(data: bytes) -> tuple[Image, ...]:
    """The modules in a file: one, or one per port of a dump of all ports."""
    if not data.strip():
        raise DecodeError("it is empty")
    text = _text(data)
    if text is None:
        return (Image(_linear_memory(data)),)
    if text.lstrip()[:1] in ("{", "["):
        return (_from_json(text),)
    return tuple(Image(_dumped(dump), port=dump.port) for dump in parse(text))


def _text(data: bytes) -> str | None:
    """The text that `data` is, or None when it is binary. A module's first bytes are control characters."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):  # what a redirect in PowerShell writes
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError:
            return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if any(c < " " and c not in "\t\n\r\f" for c in text) else text


# Linear layouts: ethtool's binary, hex dumps of it, and the kernel's EEPROM files.


def _linear_memory(data: bytes) -> Memory:
    if len(data) % _HALF:
        raise DecodeError(
            f"{len(data)} bytes of binary are not module memory, which comes in pages of {_HALF}",
            hint="JSON, `ethtool -m DEV raw on`, or a hex dump is expected",
        )
    if len(data) > _LARGEST:
        raise DecodeError(f"{len(data)} bytes are more than any module has")
    memory = Memory()
    _put_linear(memory, {0: data})
    return memory


def _put_linear(memory: Memory, blocks: Mapping[int, bytes]) -> None:
    """Place runs of bytes by their offset in the linear layout; `blocks` must hold offset 0."""
    first = blocks.get(0)
    if first is None:
        start = min(blocks)
        raise DecodeError(
            f"it begins at offset 0x{start:02X}: without byte 0 nothing says what module this is",
            hint="name the page above it, as in `Upper page 11h`, and dump the lower page too",
        )
    sfp = is_sfp(first[0])
    mapped = _mapped_page(first, end=max(start + len(data) for start, data in blocks.items()), sfp=sfp)
    for start, data in blocks.items():
        at = 0
        while at < len(data):
            offset = start + at
            size = min(_HALF - offset % _HALF, len(data) - at)
            memory.put(_place(offset, size, mapped, sfp=sfp), data[at : at + size])
            at += size


def _mapped_page(first: bytes, *, end: int, sfp: bool) -> tuple[int, int]:
    """Bank and page in the first upper half: a dump without page select holds whatever bytes 126-127 say."""
    if sfp:
        paging = len(first) > 383 and first[64] & 0x10
        return (0, first[383]) if paging and end == 512 else (0, 0)
    if end != 256 or len(first) != 256 or first[_PAGE_00_COPY] == first[0]:
        return 0, 0
    bank = first[126] if sff8024.identifier(first[0]).memory_map == sff8024.CMIS and first[127] >= 0x10 else 0
    return bank, first[127]


def _place(offset: int, size: int, mapped: tuple[int, int], *, sfp: bool) -> Span:
    if sfp:
        if offset < 256:
            return Span(offset, size)
        if offset < 384:
            return Span(offset - 256, size, i2c=I2C_DIAGNOSTICS)
        page = (offset - 384) // _HALF
        return Span(_HALF + offset % _HALF, size, page or mapped[1], i2c=I2C_DIAGNOSTICS)
    if offset < _HALF:
        return Span(offset, size)
    index = offset // _HALF - 1
    if index == 0:
        return Span(_HALF + offset % _HALF, size, mapped[1], mapped[0])
    return Span(_HALF + offset % _HALF, size, index % 256, index // 256)


def is_sfp(code: int) -> bool:
    """True for an identifier whose module answers at two addresses."""
    return sff8024.identifier(code).memory_map == sff8024.SFF8472


# Hex dumps.


def _dumped(dump: Dump) -> Memory:
    memory = Memory()
    linear: dict[int, bytes] = {}
    ends: dict[Heading, int] = {}
    for run in dump.runs:
        ends[run.heading] = max(ends.get(run.heading, 0), run.start + len(run.data))
    for run in dump.runs:
        head = run.heading
        if not head.named:
            linear[_unheaded(run, linear)] = bytes(run.data)
            continue
        if ends[head] > (_HALF if head.half == "lower" else 2 * _HALF):
            raise DecodeError(f"line {run.line}: more bytes follow than the heading above them has room for")
        # Some tools count an upper page from 0.
        upper = head.half == "upper" or head.page
        offset = run.start + (_HALF if upper and ends[head] <= _HALF else 0)
        _put_page(memory, head.i2c, (head.bank, head.page), offset, bytes(run.data))
    if linear:
        _put_linear(memory, linear)
    return memory


def _unheaded(run: Run, linear: Mapping[int, bytes]) -> int:
    """Where a run without a heading begins in the linear layout."""
    if not run.block:
        return run.start
    # i2cdump of 50h, then of 51h: the same offsets again, of the other device of an SFP.
    if run.block > 1 or run.start + len(run.data) > 2 * _HALF or not is_sfp(linear.get(0, b"\0")[0]):
        raise DecodeError(f"line {run.line}: offset 0x{run.start:02X} again, and no heading says of what")
    return run.start + 2 * _HALF


def _put_page(memory: Memory, i2c: int, where: tuple[int, int], offset: int, data: bytes) -> None:
    """Store bytes of a 256-byte address space: what lies below 128 is the same on every page."""
    lower = data[: max(_HALF - offset, 0)]
    if lower:
        memory.put(Span(offset, len(lower), i2c=i2c), lower)
    upper = data[len(lower) :]
    if upper:
        bank, page = where
        memory.put(Span(offset + len(lower), len(upper), page, bank, i2c), upper)


# JSON images.


def _from_json(text: str) -> Image:
    try:
        document: object = json.loads(text)
    except json.JSONDecodeError as exc:
        raise DecodeError(f"line {exc.lineno} column {exc.colno}: {exc.msg}: not valid JSON") from exc
    except (ValueError, RecursionError) as exc:
        raise DecodeError(f"not valid JSON: {str(exc).splitlines()[0]}") from exc
    pages = document.get("pages") if _is_object(document) else None
    if not _is_object(document) or not _is_object(pages):
        raise DecodeError('a JSON image is an object with "pages", an object of hex strings')
    family = document.get("family") or ""
    if not isinstance(family, str) or (family and family not in FAMILIES):
        raise DecodeError(f'"family" is {quote(str(family))}: it is one of {", ".join(FAMILIES)}, or absent')
    memory = Memory()
    for name, value in pages.items():
        _put_named(memory, name, value)
    unread = document.get("unread")
    if _is_object(unread):
        _drop_holes(memory, unread)
    if next(memory.spans(), None) is None:
        raise DecodeError('"pages" holds no bytes')
    return Image(memory, family)


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)  # json gives every object string keys


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _put_named(memory: Memory, name: str, value: object) -> None:
    if not isinstance(value, str):
        raise DecodeError(f"page {quote(name)} is not a string of hex digits")
    try:
        data = bytes.fromhex(value)
    except ValueError as exc:
        raise DecodeError(f"page {quote(name)}: {_hex_trouble(value)}") from exc
    span, whole = _named(name)
    if len(data) > whole:
        raise DecodeError(f"page {quote(name)} has {len(data)} bytes, more than {whole}")
    _put_page(memory, span.i2c, (span.bank, span.page), span.offset, data)


def _hex_trouble(value: str) -> str:
    digits = re.sub(r"\s", "", value)
    wrong = re.search(r"[^0-9a-fA-F]", digits)
    if wrong is None:
        return f"{len(digits)} hex digits, an odd number"
    return f"{quote(wrong[0])} at digit {wrong.start() + 1} is not a hex digit"


def _named(name: str) -> tuple[Span, int]:
    """Where a page of the given name begins, and how many bytes it has at most."""
    key = name.lower()
    if key == "a0":
        return Span(0, 256), 256
    if key == "a2":
        return Span(0, 256, i2c=I2C_DIAGNOSTICS), 256
    if key == "lower":
        return Span(0, _HALF), _HALF
    if (match := _DIAGNOSTIC_PAGE.fullmatch(key)) is not None:
        return Span(_HALF, _HALF, int(match[1], 16), i2c=I2C_DIAGNOSTICS), _HALF
    if (match := _NAMED_PAGE.fullmatch(key)) is not None:
        return Span(_HALF, _HALF, int(match[2], 16), int(match[1] or 0)), _HALF
    raise DecodeError(f'{quote(name)} is not a page: "a0", "a2", "lower", "00", or "0:11" for bank and page')


def _drop_holes(memory: Memory, unread: Mapping[str, object]) -> None:
    for name, holes in unread.items():
        span, whole = _named(name)
        for hole in holes if _is_list(holes) else ():
            match = _HOLE.fullmatch(str(hole))
            if match is None or not span.offset <= int(match[1]) <= int(match[2]) < span.offset + whole:
                raise DecodeError(f'"unread" of page {quote(name)}: {quote(str(hole))} is not a range of its bytes')
            first, length = int(match[1]), int(match[2]) - int(match[1]) + 1
            for at in range(first, first + length):
                page = span if at >= _HALF else span._replace(page=0, bank=0)
                memory.drop(page._replace(offset=at, length=1))


def to_document(memory: Memory, *, family: str = "") -> ImageDocument:
    """The JSON form of what is known of a module; `load` gives the same bytes back."""
    pages: dict[str, bytearray] = {}
    known: dict[str, set[int]] = {}
    sfp = family == sff8024.SFF8472 or (not family and is_sfp(memory.byte(0) or 0))
    for span in memory.spans():
        for at, byte in enumerate(memory.get(span) or b"", start=span.offset):
            name, start = _page_name(span, at, sfp=sfp)
            page = pages.setdefault(name, bytearray())
            page.extend(bytes(max(at - start + 1 - len(page), 0)))
            page[at - start] = byte
            known.setdefault(name, set()).add(at)
    document = ImageDocument(pages={name: page.hex() for name, page in pages.items()})
    if family:
        document["family"] = family
    holes = {name: _ranges(_page_start(name), pages[name], known[name]) for name in pages}
    if any(holes.values()):
        document["unread"] = {name: ranges for name, ranges in holes.items() if ranges}
    return document


def _page_name(span: Span, at: int, *, sfp: bool) -> tuple[str, int]:
    if span.i2c == I2C_DIAGNOSTICS:
        return ("a2", 0) if at < _HALF or not span.page else (f"a2:{span.page:02x}", _HALF)
    if sfp and span.i2c == I2C_MODULE and not span.page:
        return "a0", 0
    if at < _HALF:
        return "lower", 0
    return (f"{span.bank}:{span.page:02x}" if span.page >= 0x10 else f"{span.page:02x}"), _HALF


def _page_start(name: str) -> int:
    return 0 if name in ("a0", "a2", "lower") else _HALF


def _ranges(start: int, page: bytearray, known: set[int]) -> list[str]:
    """Runs of bytes inside the page that are not known."""
    ranges: list[str] = []
    first = -1
    for at in range(start, start + len(page) + 1):
        missing = at < start + len(page) and at not in known
        if missing and first < 0:
            first = at
        elif not missing and first >= 0:
            ranges.append(f"{first}-{at - 1}")
            first = -1
    return ranges
