"""The screens that list something: ports as a table or as a grid, alerts, and the keys."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from rich.text import Text

from agent.top.columns import Column
from agent.top.documents import Alert, Key, Level, Row
from agent.top.store import LEVELS
from agent.top.text import (
    LEVEL_TONES,
    LEVEL_WORDS,
    SEVERITY_TONES,
    Part,
    Signs,
    Tone,
    clock,
    fit,
    line,
    without,
    wrapped,
)

HEAD: Final[Tone] = "head"
SORTED: Final[Tone] = "bar"
DETAIL_LINES: Final = 3
"""What is said of the chosen line below a list."""


def table_head(columns: Sequence[Column], *, sort: Column, reverse: bool, signs: Signs) -> Text:
    """The titles; the one that the table is sorted by is marked."""
    parts: list[Part] = []
    for column in columns:
        title, tone = column.title, HEAD
        if column.key == sort.key:
            mark = signs.descending if (column.down or column.key == "state") != reverse else signs.ascending
            title = f"{title[: column.width - 1]}{mark}"
            tone = SORTED
        parts += [Part(fit(title, column.width, signs=signs, right=column.right), tone), Part(" ")]
    return line(*parts)


def table_row(row: Row, columns: Sequence[Column], *, here: bool, signs: Signs) -> Text:
    """One port; `here` is where the keys act."""
    parts: list[Part] = []
    for column in columns:
        text = fit(column.text(row), column.width, signs=signs, right=column.right)
        parts += [Part(text, "chosen" if here else column.tone(row)), Part(" ", "chosen" if here else "")]
    return line(*parts)


def row_detail(row: Row, width: int, signs: Signs) -> list[Text]:
    """The chosen port in words."""
    module = " ".join(
        row.module[key] for key in ("vendor_name", "part_number", "serial_number") if key in row.module
    )
    head = [Part(row.port, "head"), Part(" "), Part(LEVEL_WORDS[row.level], LEVEL_TONES[row.level])]
    if module:
        head.append(Part(f"  {module}"))
    if row.module.get("media"):
        head.append(Part(f"  {row.module['media']}", "faint"))
    reasons = (fit(without(row.port, why), width - 2, signs=signs) for why in row.why[: DETAIL_LINES - 1])
    return [line(*head), *(line(f"  {reason}") for reason in reasons)]


# ---- grid -------------------------------------------------------------------------------------------------

SYMBOLS: Final[Mapping[Level, str]] = {
    "critical": "!", "unreadable": "?", "warning": "w", "notice": "n", "down": "d", "ok": ".", "disabled": "x",
    "absent": "_",
}  # fmt: skip
"""A port in one character, for terminals without colour too."""
_LAST_NUMBER: Final = re.compile(r"(\d+)\D*$")

Layout = list[tuple[str, list[Row]]]
"""Lines of the grid: what stands before it, and its ports."""


def grid_layout(rows: Sequence[Row], width: int, height: int) -> tuple[Layout, int]:
    """The lines of the grid, and how many cells a port takes: as many as fit."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.device, row.group), []).append(row)
    if len(groups) > 1 and len(rows) <= 3 * len(groups):  # line cards of one or two ports are none
        groups = {("", ""): list(rows)}
    devices = {row.device for row in rows}
    names = [group if len(devices) < 2 else f"{device} {group}" for device, group in groups]
    label = min(24, max(map(len, names), default=0))
    layout: Layout = []
    for size in (6, 4, 2, 1):
        columns = _columns(width - label - 1, size)
        if size > 2 and columns < min(16, len(rows)):
            continue
        layout = [
            (name[:label].ljust(label) if at == 0 else " " * label, members[at : at + columns])
            for name, members in zip(names, groups.values(), strict=True)
            for at in range(0, len(members), columns)
        ]
        if len(layout) <= height:
            return layout, size
    return layout, 1


def _columns(room: int, size: int) -> int:
    """Round numbers of ports in a line are easier to count along."""
    most = max(1, room // size)
    return next((count for count in (128, 64, 48, 32, 24, 16, 8) if count <= most), most)


def grid_line(label: str, rows: Sequence[Row], size: int, *, here: Key | None) -> Text:
    """One line of the grid."""
    parts = [Part(label, "faint"), Part(" ")]
    for row in rows:
        tone: Tone = "chosen" if row.key == here else LEVEL_TONES[row.level]
        parts += [Part(_cell(row, size), tone), Part(" " if size > 1 else "")]
    return line(*parts)


def _cell(row: Row, size: int) -> str:
    number = _LAST_NUMBER.search(row.port)
    name = number[1] if number else row.port
    room = max(0, size - 2)
    return f"{name[-room:].rjust(room) if room else ''}{SYMBOLS[row.level]}"


def grid_neighbour(layout: Layout, here: Key | None, *, across: int = 0, down: int = 0) -> Key | None:
    """The port beside, above or below this one."""
    for at, (_, rows) in enumerate(layout):
        for place, row in enumerate(rows):
            if row.key == here:
                if down:
                    at = min(max(at + down, 0), len(layout) - 1)  # noqa: PLW2901  # the search ends here
                    return layout[at][1][min(place, len(layout[at][1]) - 1)].key
                flat = [each.key for _, members in layout for each in members]
                return flat[min(max(flat.index(row.key) + across, 0), len(flat) - 1)]
    return layout[0][1][0].key if layout else None


# ---- alerts -----------------------------------------------------------------------------------------------


def alert_head(names: int, width: int, signs: Signs) -> Text:
    """The titles of the list of alerts; `names` is the width of the ports' names."""
    text = f"{'SEVERITY':<9}{'SINCE':<9}{fit('PORT', names, signs=signs)} LANE  WHAT"
    return line(Part(fit(text, width, signs=signs), "head"))


def alert_row(alert: Alert, names: int, width: int, *, now: datetime, here: bool, signs: Signs) -> Text:
    """One alert."""
    rest = width - 9 - 9 - names - 7
    rule = min(28, rest // 3) if width >= 120 else 0
    text = without(alert.port, alert.summary, alert.lane)
    parts = (
        Part(f"{alert.severity:<9}", SEVERITY_TONES[alert.severity]),
        Part(f"{clock(alert.time, now):<9}", "faint"),
        Part(fit(alert.port, names, signs=signs)),
        Part(f"{alert.lane or '':>5}  "),
        Part(fit(text, rest - rule, signs=signs)),
        Part(fit(alert.rule, rule, signs=signs, right=True), "faint"),
    )
    return line(*(Part(part.text, "chosen") if here else part for part in parts))


def alert_detail(alert: Alert, width: int) -> list[Text]:
    """The chosen alert in words."""
    text = alert.summary + (f" Likely: {alert.cause}." if alert.cause else "")
    return [line(each) for each in wrapped(text, width, most=DETAIL_LINES - 1)] + [
        line(Part(f"rule {alert.rule}, since {alert.time.astimezone():%Y-%m-%d %H:%M:%S}", "faint"))
    ]


# ---- around the lists -------------------------------------------------------------------------------------


def counts_line(counts: Mapping[Level, int], *, symbols: bool) -> list[Part]:
    """How many ports are how bad."""
    parts: list[Part] = []
    for level in LEVELS:
        if level in counts:
            symbol = f"{SYMBOLS[level]} " if symbols else ""
            parts += [Part(f"{symbol}{counts[level]} {LEVEL_WORDS[level]}", LEVEL_TONES[level]), Part("  ")]
    return parts


HELP: Final = """\
 up down pgup pgdn home end   move        (also k j, and in the grid left right)
 Enter   the port in full: lanes against thresholds, events    Esc   back
 p       ports as a table        g   ports as a grid      a   alerts
 s S     sort by the next, by the last column    r   the other way round
 /       filter (Enter keeps it, Esc clears it)           n   next sick port
 Ctrl-L  draw anew               q   back, or quit        Ctrl-C   quit

 Filters: all terms have to hold. A number is compared with the worst lane.
   rx < -8 dBm     margin < 3     temp > 60     bias > 90 mA     ber > 1e-6
   flaps > 0       alerts         down          empty            state = warning
   vendor = acme   part = DR4     serial = X1   any other word: in any text

 TEMP and BIAS are of the warmest and strongest lane, RX, TX and SNR of the
 weakest one. MARGIN is what received power has above the module's low alarm,
 in dB: below 3 it is told, below 1 it is a warning.

 In the grid:  ! critical   ? unreadable   w warning   n notice   d link down
               . fine       x shut down    _ empty"""
"""Fits 80 by 24."""
