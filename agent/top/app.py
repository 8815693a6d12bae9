"""`opticd top`: keyboard, daemon and clock, each of which causes a new picture."""

import asyncio
import os
import signal
import sys
import time
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.text import Text

from agent.errors import OpticError
from agent.top import lists
from agent.top.client import Address
from agent.top.columns import STATE, arranged, chosen
from agent.top.feed import Feed
from agent.top.keys import Keys
from agent.top.store import Store
from agent.top.terminal import Terminal
from agent.top.text import UNICODE, Signs, line
from agent.top.view import View

_ESCAPE_S: Final = 0.05
"""Escape sequences come at once, also over ssh; what comes later is a key of its own."""
_FRAME_S: Final = 0.1
"""Time between two pictures that the daemon causes; keys are answered at once."""


class Top:
    """The running program: keyboard, daemon and clock each cause a new picture."""

    def __init__(self, url: Address, terminal: Terminal, *, signs: Signs) -> None:
        self._terminal = terminal
        self._dirty = asyncio.Event()
        store = Store(monotonic=time.monotonic, on_change=self._dirty.set)
        self._feed = Feed(url, store)
        address = str(url)
        self._view = View(store, address, signs=signs, watch=self._feed.watch)
        self._keys = Keys()
        self._end = asyncio.Event()

    async def run(self) -> None:
        """Until q or Ctrl-C. Raises OpticError when there is no daemon at the beginning."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._terminal.keyboard, self._typed)
        handlers = {
            signal.SIGWINCH: self._redraw, signal.SIGINT: self._end.set, signal.SIGTERM: self._end.set,
            signal.SIGHUP: self._end.set, signal.SIGTSTP: self._suspend, signal.SIGCONT: self._resume,
        }  # fmt: skip
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            with self._terminal:
                async with asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(self._feed.run(), name="feed"),
                        group.create_task(self._draw(), name="draw"),
                        group.create_task(self._tick(), name="clock"),
                    ]
                    await self._end.wait()
                    for task in tasks:
                        task.cancel()
        except BaseExceptionGroup as group:
            raise (_expected(group) or group) from None
        finally:
            loop.remove_reader(self._terminal.keyboard)
            for number in handlers:
                loop.remove_signal_handler(number)

    def _typed(self) -> None:
        try:
            data = os.read(self._terminal.keyboard, 4096)
        except OSError:
            data = b""
        if not data:  # the terminal is gone
            self._end.set()
            return
        self._press(self._keys.feed(data))
        if self._keys.waiting:
            asyncio.get_running_loop().call_later(_ESCAPE_S, lambda: self._press(self._keys.flush()))

    def _press(self, keys: list[str]) -> None:
        for key in keys:
            if key == "redraw":
                self._redraw()
            else:
                self._view.press(key)
        if self._view.finished:
            self._end.set()
        elif keys:
            self._paint()

    def _paint(self) -> None:
        self._terminal.paint(self._view.frame(self._terminal.size))

    def _redraw(self) -> None:
        self._terminal.forget()
        self._paint()

    def _suspend(self) -> None:
        self._terminal.leave()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _resume(self) -> None:
        self._terminal.enter()
        self._paint()

    async def _draw(self) -> None:
        while True:
            self._paint()
            self._dirty.clear()
            await asyncio.sleep(_FRAME_S)
            await self._dirty.wait()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._dirty.set()


def _expected(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The first error that is meant for people; None when there is any other."""
    expected, bugs = group.split(OpticError)
    first: BaseException | None = expected if bugs is None else None
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


def signs_of(encoding: str | None) -> Signs:
    """What a terminal of this encoding can show."""
    return UNICODE if (encoding or "").lower().replace("-", "") == "utf8" else Signs()


async def snapshot(url: Address, *, width: int, signs: Signs) -> list[Text]:
    """The table of all ports and the alerts, once. Raises OpticError."""
    store = Store(monotonic=time.monotonic)
    await Feed(url, store).snapshot()
    rows = arranged(store.listed(), STATE, reverse=False)
    columns = chosen(rows, width)
    lines = [lists.table_head(columns, sort=STATE, reverse=False, signs=signs)]
    lines += [lists.table_row(row, columns, here=False, signs=signs) for row in rows]
    alerts, now = store.listed_alerts(), datetime.now(UTC)
    if alerts:
        names = min(20, max(len(alert.port) for alert in alerts))
        lines += [line(), lists.alert_head(names, width, signs)]
        lines += [lists.alert_row(alert, names, width, now=now, here=False, signs=signs) for alert in alerts]
    return lines


def print_lines(lines: list[Text], width: int) -> None:
    """Write them to standard output, coloured on a terminal."""
    console = Console(width=width, highlight=False, markup=False, emoji=False, file=sys.stdout)
    for each in lines:
        each.rstrip()
        console.print(each, no_wrap=True, overflow="crop", crop=True)
