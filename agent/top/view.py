"""What is on the screen and what the keys do: no terminal, no network."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from rich.text import Text

from agent.top import lists
from agent.top.columns import SORTS, STATE, Column, arranged, chosen
from agent.top.documents import Alert, Key, Row
from agent.top.filters import EVERYTHING, Filter, parse
from agent.top.portview import port_lines
from agent.top.store import Away, Store
from agent.top.text import UNICODE, Part, Signs, ago, fit, line

Screen = Literal["ports", "grid", "alerts"]
_SICK: Final = ("critical", "unreadable", "warning")
_QUIET_S: Final = 30.0
"""Nothing new of any port for so long is told."""
LEAST: Final = (40, 10)
_KEYS: Final = {
    "ports": "Enter port  / filter  s sort  r reverse  g grid  a alerts  ? help  q quit",
    "grid": "Enter port  / filter  n next sick  p table  a alerts  ? help  q quit",
    "alerts": "Enter port  / filter  p table  g grid  ? help  q quit",
    "port": "up down scroll  Esc back  n next sick  a alerts  ? help  q back",
}


@dataclass(slots=True)
class View:
    """What is looked at. `frame` draws it, `press` changes it."""

    store: Store
    address: str
    signs: Signs = UNICODE
    watch: Callable[[Key | None], None] = lambda _key: None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    screen: Screen = "ports"
    opened: Key | None = None
    helping: bool = False
    typing: str | None = None
    """The filter while it is typed."""
    filter: Filter = EVERYTHING
    sort: Column = STATE
    reverse: bool = False
    here: Key | None = None
    """The port that the keys act on."""
    alert: tuple[str, str, str, int] | None = None
    offset: int = 0
    """First line shown of a list or a port."""
    finished: bool = False
    size: tuple[int, int] = field(default=(80, 24))

    # ---- what there is ------------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """The ports in the order of the screen."""
        listed = self.store.listed(self.filter)
        return listed if self.screen == "grid" else arranged(listed, self.sort, reverse=self.reverse)

    @property
    def body(self) -> int:
        """Lines for the list: without head, details and keys."""
        lines = self.size[1] - 3
        return lines - lists.DETAIL_LINES if lines >= 12 and self.opened is None else lines

    # ---- drawing ------------------------------------------------------------------------------------------

    def frame(self, size: tuple[int, int]) -> list[Text]:
        """The lines of the picture for a terminal of so many columns and lines."""
        self.size = size
        width, height = size
        if width < LEAST[0] or height < LEAST[1]:
            return [line("terminal too small")]
        if self.helping:
            middle = [line(text) for text in lists.HELP.splitlines()]
            keys = "any key back"
        elif self.opened is not None:
            middle, keys = self._port(), _KEYS["port"]
        else:
            middle = {"ports": self._table, "grid": self._grid, "alerts": self._alerts}[self.screen]()
            keys = _KEYS[self.screen]
        room = height - 3
        middle = [*middle[:room], *[line()] * (room - len(middle))]
        return [self._status(), self._counts(), *middle, self._footer(keys)]

    def _status(self) -> Text:
        width = self.size[0]
        left = f"opticd top  {self.address}"
        clock = self.now().astimezone().strftime("%H:%M:%S")
        state = self.store.state
        if isinstance(state, Away):
            right = f"AWAY  {clock} "
        elif state == "connecting":
            right = f"connecting  {clock} "
        else:
            quiet = self.monotonic() - self.store.updated_at
            right = f"{f'nothing new for {ago(quiet)}' if quiet > _QUIET_S else 'live'}  {clock} "
        text = fit(f" {left}", max(0, width - len(right) - 1), signs=self.signs)
        return line(Part(f"{text} {right}", "bar"))

    def _counts(self) -> Text:
        if isinstance(self.store.state, Away):
            quiet = ago(self.monotonic() - self.store.updated_at)
            reason = self.store.state.reason.removeprefix(f"{self.address}: ")
            return line(Part(f" daemon away for {quiet}: {reason}; trying again", "alarm"))
        if not self.store.rows and self.store.state == "connecting":
            return line(" connecting ...")
        parts = lists.counts_line(self.store.counts(), symbols=self.screen == "grid")
        if self.filter.text:
            shown = sum(1 for row in self.store.rows.values() if self.filter.test(row))
            parts.insert(0, Part(f"{shown} of {len(self.store.rows)} with {self.filter.text!r}:  ", "head"))
        else:
            parts.insert(0, Part(f"{len(self.store.rows)} ports:  ", "head"))
        return line(" ", *parts)

    def _footer(self, keys: str) -> Text:
        if self.typing is None:
            return line(Part(fit(f" {keys}", self.size[0], signs=self.signs), "bar"))
        error = parse(self.typing).error
        return line(Part(f"filter: {self.typing}"), Part(" ", "chosen"), Part(f"  {error}", "warning"))

    def _table(self) -> list[Text]:
        rows = self.rows()
        columns = chosen(rows, self.size[0])
        index = self._settle(rows)
        visible = self._window(index, len(rows), self.body - 1)
        lines = [lists.table_head(columns, sort=self.sort, reverse=self.reverse, signs=self.signs)]
        lines += [lists.table_row(rows[at], columns, here=at == index, signs=self.signs) for at in visible]
        return self._with_detail(lines, rows, index)

    def _grid(self) -> list[Text]:
        rows = self.rows()
        index = self._settle(rows)
        layout, size = lists.grid_layout(rows, self.size[0], self.body)
        at_line = next((at for at, (_, keys) in enumerate(layout) if self.here in {row.key for row in keys}), 0)
        visible = self._window(at_line, len(layout), self.body)
        lines = [lists.grid_line(layout[at][0], layout[at][1], size, here=self.here) for at in visible]
        return self._with_detail(lines, rows, index)

    def _with_detail(self, lines: list[Text], rows: list[Row], index: int) -> list[Text]:
        if not rows:
            what = "no port matches this filter" if self.filter.text else "no port yet"
            return [*lines, line(Part(f"  {what}", "faint"))]
        if self.body + lists.DETAIL_LINES + 3 > self.size[1]:
            return lines
        lines += [line()] * (self.body - len(lines))
        return lines + lists.row_detail(rows[index], self.size[0], self.signs)

    def _alerts(self) -> list[Text]:
        alerts = self.store.listed_alerts(self.filter)
        if not alerts:
            return [line(Part("  no alert is active", "good"))]
        width, now = self.size[0], self.now()
        names = min(20, max(len(alert.port) for alert in alerts))
        index = self._settle_alert(alerts)
        visible = self._window(index, len(alerts), self.body - 1)
        lines = [lists.alert_head(names, width, self.signs)]
        for at in visible:
            here = at == index
            lines.append(lists.alert_row(alerts[at], names, width, now=now, here=here, signs=self.signs))
        lines += [line()] * (self.body - len(lines))
        return lines + lists.alert_detail(alerts[index], width)

    def _port(self) -> list[Text]:
        assert self.opened is not None
        row = self.store.rows.get(self.opened)
        if row is None:
            return [line(Part(f"  {self.opened[1]} is not there any more", "warning"))]
        lines = port_lines(
            row, self.store.port, self.store.alerts_of(self.opened),
            width=self.size[0], now=self.now(), signs=self.signs,
        )  # fmt: skip
        self.offset = max(0, min(self.offset, len(lines) - self.body))
        shown = lines[self.offset : self.offset + self.body]
        rest = len(lines) - self.offset - len(shown)
        if rest > 0:
            shown[-1] = line(Part(f"  {rest + 1} more lines below", "faint"))
        return shown

    def _settle(self, rows: list[Row]) -> int:
        """Index of the port the keys act on; the first one when that is not listed."""
        index = next((at for at, row in enumerate(rows) if row.key == self.here), 0)
        self.here = rows[index].key if rows else None
        return index

    def _settle_alert(self, alerts: list[Alert]) -> int:
        index = next((at for at, alert in enumerate(alerts) if alert.key == self.alert), 0)
        self.alert = alerts[index].key if alerts else None
        return index

    def _window(self, index: int, count: int, room: int) -> range:
        """Which lines are shown, so that line `index` is among them."""
        self.offset = max(0, min(self.offset, index, count - room), index - room + 1)
        return range(self.offset, min(count, self.offset + room))

    # ---- keys ---------------------------------------------------------------------------------------------

    def press(self, key: str) -> None:
        """Do what a key means."""
        if self.typing is not None:
            self._type(key)
        elif self.helping:
            self.helping = False
        elif action := self._actions().get(key):
            action()
        elif key in _STEPS:
            self._move(key)

    def _actions(self) -> dict[str, Callable[[], None]]:
        return {
            "q": self._back, "escape": self._escape, "left": self._left, "right": self._right,
            "enter": self._open, "?": self._help, "/": self._filter,
            "p": lambda: self._show("ports"), "g": lambda: self._show("grid"), "a": lambda: self._show("alerts"),
            "s": lambda: self._sort(1), "S": lambda: self._sort(-1), "r": self._turn, "n": self._next_sick,
        }  # fmt: skip

    def _back(self) -> None:
        if self.opened is not None:
            self._close()
        else:
            self.finished = True

    def _escape(self) -> None:
        if self.opened is not None:
            self._close()
        elif self.filter.text:
            self.filter = EVERYTHING
        else:
            self._show("ports")

    def _close(self) -> None:
        self.opened, self.offset = None, 0
        self.watch(None)

    def _help(self) -> None:
        self.helping = True

    def _filter(self) -> None:
        if self.opened is None:
            self.typing = self.filter.text

    def _type(self, key: str) -> None:
        text = self.typing or ""
        if key == "enter":
            if not parse(text).error:
                self.typing = None
        elif key == "escape":
            self.typing, self.filter = None, EVERYTHING
        elif key in ("backspace", "clear"):
            self.typing = text[:-1] if key == "backspace" else ""
        elif len(key) == 1:
            self.typing = text + key
        if self.typing is not None and not (wanted := parse(self.typing.strip())).error:
            self.filter = wanted

    def _show(self, screen: Screen) -> None:
        if self.opened is not None:
            self._close()
        self.screen, self.offset = screen, 0

    def _sort(self, step: int) -> None:
        if self.screen == "ports" and self.opened is None:
            shown = {column.key for column in chosen(self.rows(), self.size[0])}
            columns = [column for column in SORTS if column.key in shown]
            at = next((at for at, column in enumerate(columns) if column.key == self.sort.key), -1)
            self.sort, self.reverse, self.offset = columns[(at + step) % len(columns)], False, 0

    def _turn(self) -> None:
        self.reverse = not self.reverse

    def _open(self) -> None:
        if self.opened is not None:
            return
        # Keys may come faster than pictures: what they act on is worked out anew.
        if self.screen == "alerts":
            self._settle_alert(self.store.listed_alerts(self.filter))
            key = self.alert[:2] if self.alert is not None else None
        else:
            self._settle(self.rows())
            key = self.here
        if key is not None and key in self.store.rows:
            self._look_at(key)

    def _look_at(self, key: Key) -> None:
        self.opened, self.here, self.offset = key, key, 0
        self.watch(key)

    def _next_sick(self) -> None:
        rows = self.rows()
        keys = [row.key for row in rows if row.level in _SICK]
        if not keys:
            return
        everything = [row.key for row in rows]
        at = everything.index(self.here) if self.here in everything else -1
        key = next((key for key in keys if everything.index(key) > at), keys[0])
        self.here = key
        if self.opened is not None:
            self._look_at(key)

    def _left(self) -> None:
        self._across(-1)

    def _right(self) -> None:
        self._across(1)

    def _across(self, step: int) -> None:
        if self.screen == "grid" and self.opened is None:
            self.here = lists.grid_neighbour(self._layout(), self.here, across=step)

    def _layout(self) -> lists.Layout:
        return lists.grid_layout(self.rows(), self.size[0], self.body)[0]

    def _move(self, key: str) -> None:
        step = _STEPS[key](self.body - 1)
        if self.opened is not None:
            self.offset = max(0, self.offset + step)
        elif self.screen == "alerts":
            alerts = self.store.listed_alerts(self.filter)
            if alerts:
                at = self._settle_alert(alerts) + step
                self.alert = alerts[min(max(at, 0), len(alerts) - 1)].key
        elif self.screen == "grid":
            self.here = lists.grid_neighbour(self._layout(), self.here, down=step)
        elif rows := self.rows():
            self.here = rows[min(max(self._settle(rows) + step, 0), len(rows) - 1)].key


_FAR: Final = 1_000_000
_STEPS: Final[dict[str, Callable[[int], int]]] = {
    "up": lambda _page: -1, "k": lambda _page: -1, "down": lambda _page: 1, "j": lambda _page: 1,
    "pageup": lambda page: -page, "pagedown": lambda page: page, " ": lambda page: page,
    "home": lambda _page: -_FAR, "end": lambda _page: _FAR, "G": lambda _page: _FAR,
}  # fmt: skip
"""How far a key moves, given the lines of a page."""
