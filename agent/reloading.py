"""What calls for another config or for sources opened anew, gathered until somebody looks: none hides another."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agent.opening import Opened


@dataclass(frozen=True, slots=True)
class Request:
    """What came in since the last look."""

    reload: bool
    """Somebody asked for the config to be read again."""
    reopen: "Opened | None"
    """What the sources name came or went: these are to be read from now on."""
    waiting: tuple[asyncio.Future[None], ...]
    """Who waits to hear how the reload went."""

    def answer(self, error: Exception | None = None) -> None:
        """Tell those who wait; some may have gone away."""
        for each in self.waiting:
            if each.done():
                continue
            if error is None:
                each.set_result(None)
            else:
                each.set_exception(error)


class Requests:
    """Gathers them. Everything runs on the event loop."""

    def __init__(self) -> None:
        self._news: Final = asyncio.Event()
        self._reload = False
        self._reopen: Opened | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def reload(self) -> None:
        """The config is to be read again (SIGHUP)."""
        self._reload = True
        self._news.set()

    def reload_and_tell(self) -> asyncio.Future[None]:
        """The same; the future tells how it went."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self.reload()
        return done

    def reopen(self, opened: "Opened") -> None:
        """The sources were opened anew, and are to be read so."""
        self._reopen = opened
        self._news.set()

    async def next(self) -> Request:
        """Wait for the next, and take all that came in together."""
        await self._news.wait()
        self._news.clear()
        request = Request(self._reload, self._reopen, tuple(self._waiting))
        self._reload, self._reopen = False, None
        self._waiting.clear()
        return request
