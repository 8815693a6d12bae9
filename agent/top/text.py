"""Pieces of text for the screens: tones, signs of the terminal's character set, numbers for people's eyes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from agent.grid import safe
from agent.model import Severity
from agent.top.documents import Level

Tone = Literal["", "good", "notice", "warning", "alarm", "faint", "head", "chosen", "bar"]
STYLES: Final[Mapping[Tone, str]] = {
    "": "",
    "good": "green",
    "notice": "cyan",
    "warning": "yellow",
    "alarm": "bold red",
    "faint": "dim",
    "head": "bold",
    "chosen": "reverse",
    "bar": "bold reverse",
}


class Part(NamedTuple):
    """A text and how it is meant."""

    text: str
    tone: Tone = ""


LEVEL_TONES: Final[Mapping[Level, Tone]] = {
    "critical": "alarm", "unreadable": "alarm", "warning": "warning", "notice": "notice", "down": "warning",
    "ok": "good", "disabled": "faint", "absent": "faint",
}  # fmt: skip
LEVEL_WORDS: Final[Mapping[Level, str]] = {
    "critical": "critical", "unreadable": "unreadable", "warning": "warning", "notice": "notice",
    "down": "link down", "ok": "fine", "disabled": "shut down", "absent": "empty",
}  # fmt: skip
SEVERITY_TONES: Final[Mapping[Severity, Tone]] = {"critical": "alarm", "warning": "warning", "info": "notice"}
"""Words of the status page, so that both say the same."""


@dataclass(frozen=True, slots=True)
class Signs:
    """Characters that a terminal may not have; ASCII is the default."""

    ascending: str = "^"
    descending: str = "v"
    more: str = "~"
    mark: str = "o"
    inside: str = "-"
    near: str = "."
    below: str = "<"
    above: str = ">"
    curve: str = "_.-=*#"
    fine: str = "."
    celsius: str = "C"


UNICODE: Final = Signs(
    ascending="▲", descending="▼", more="…", mark="●", inside="─", near="┄", below="◀", above="▶",
    curve="▁▂▃▄▅▆▇█", fine="·", celsius="°C",
)  # fmt: skip


def line(*parts: Part | str) -> Text:
    """One line; what does not fit is cut off. Texts of modules are made harmless."""
    text = Text(no_wrap=True, overflow="crop", end="")
    for part in parts:
        styled = Part(part) if isinstance(part, str) else part
        text.append(safe(styled.text), STYLES[styled.tone] or None)
    return text


def fit(text: str, width: int, *, signs: Signs, right: bool = False) -> str:
    """`text` in exactly `width` cells."""
    text = safe(text)
    size = cell_len(text)
    if size > width:
        return set_cell_size(text, max(0, width - 1)) + signs.more if width > 0 else ""
    padding = " " * (width - size)
    return padding + text if right else text + padding


def wrapped(text: str, width: int, *, most: int) -> list[str]:
    """`text` in at most so many lines of words; what is too much is cut off."""
    lines = [""]
    for word in safe(text).split():
        longer = f"{lines[-1]} {word}".strip()
        if cell_len(longer) <= width or not lines[-1]:
            lines[-1] = longer
        elif len(lines) == most:
            break
        else:
            lines.append(word)
    return lines if lines[0] else []


def dbm(value: float | None) -> str:
    """Optical power."""
    return "" if value is None else "dark" if value <= -40.0 else f"{value:.1f}"


def exponent(value: float | None) -> str:
    """A bit error ratio."""
    return "" if value is None else "0" if value == 0 else f"{value:.1e}"


def fixed(value: float | None, digits: int, factor: float = 1.0) -> str:
    """A number with so many digits behind the point."""
    return "" if value is None else f"{value * factor:.{digits}f}"


def ago(seconds: float) -> str:
    """A time that passed."""
    for unit, size in (("d", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def clock(moment: datetime, now: datetime) -> str:
    """Time of day, or the date when that was another day."""
    local, today = moment.astimezone(), now.astimezone()
    return local.strftime("%H:%M:%S" if local.date() == today.date() else "%b %d")


def without(name: str, summary: str, lane: int = 0) -> str:
    """A summary beside the name of its port (and its lane) need not say it again."""
    for head in (f"{name} lane {lane}: ", f"{name}: "):
        if summary.startswith(head):
            return summary[len(head) :]
    return summary.removeprefix(f"{name} ") if summary.startswith(f"{name} lane ") else summary


def sparkline(values: Sequence[float], width: int, signs: Signs) -> str:
    """The course of a value in one line: the largest of each stretch; flat when it does not move."""
    if not values or width < 1:
        return ""
    count = min(width, len(values))
    edges = [len(values) * at // count for at in range(count + 1)]
    heights = [max(values[low:high]) for low, high in pairwise(edges)]
    low, high = min(heights), max(heights)
    if high <= low:
        return signs.curve[0] * count
    top = len(signs.curve) - 1
    return "".join(signs.curve[round((height - low) / (high - low) * top)] for height in heights)
