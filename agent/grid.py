"""Text in columns, with or without colour: what the terminal views are made of."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

Tone = Literal["", "good", "warning", "alarm", "faint", "head"]
_COLOURS: Final[Mapping[Tone, str]] = {
    "good": "\x1b[32m",
    "warning": "\x1b[33m",
    "alarm": "\x1b[1;31m",
    "faint": "\x1b[2m",
    "head": "\x1b[1m",
}
_PLAIN: Final = "\x1b[0m"
_GAP: Final = "  "


class Cell(NamedTuple):
    """A text and how it is meant."""

    text: str
    tone: Tone = ""


Line = Sequence[Cell]


def painted(line: Line, colour: bool) -> str:
    """The line as text, with escape codes only when asked."""
    parts = [f"{_COLOURS[tone]}{text}{_PLAIN}" if colour and tone and text.strip() else text for text, tone in line]
    return "".join(parts).rstrip()


def safe(text: str) -> str:
    """What a device wrote into its names must not drive the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def table(rows: Sequence[Sequence[Cell]], *, left: int = 1) -> list[Line]:
    """Columns of equal width; the first `left` of them and the last are flush left, numbers flush right."""
    count = max((len(row) for row in rows), default=0)
    widths = [max((len(row[at].text) for row in rows if at < len(row)), default=0) for at in range(count)]
    lines: list[Line] = []
    for row in rows:
        cells: list[Cell] = []
        for at, (text, tone) in enumerate(row):
            flush_left = at < left or at == count - 1
            padding = " " * (widths[at] - len(text))
            cells += [
                Cell(_GAP),
                Cell("" if flush_left else padding),
                Cell(text, tone),
                Cell(padding if flush_left else ""),
            ]
        lines.append(cells)
    return lines
