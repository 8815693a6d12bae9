"""The body of a scrape: which format is wanted, joined on the event loop, compressed on other threads."""

import asyncio
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from prometheus_client.exposition import choose_encoder

from exporters.prometheus.exposition import Exposition
from exporters.prometheus.selfmetrics import SelfMetrics
from exporters.prometheus.tables import Piece, gzip_of, halves

_EOF: Final = b"# EOF\n"
_AT_ONCE: Final = 65_536
"""Less than so many bytes are not worth a second thread."""
_PORTS_AT_ONCE: Final = 16
"""About a millisecond of rendering."""
_PLAIN_AT_ONCE: Final = 4
_PLAIN_AGE_S: Final = 5.0
"""While so many read uncompressed text, new ones share a version of up to this age."""


@dataclass(frozen=True, slots=True)
class Format:
    """One of the text formats."""

    openmetrics: bool
    content_type: str


def negotiate(accept: str) -> Format:
    """The format that prometheus_client would answer an `Accept` header with; only versions that we speak."""
    _, content_type = choose_encoder(accept)
    # All our names are valid without escaping, in every scheme but "dots", which doubles underscores.
    content_type = content_type.replace("escaping=dots", "escaping=underscores")
    if not content_type.startswith("application/openmetrics-text"):
        return Format(openmetrics=False, content_type=content_type)
    parameters = [part for part in content_type.split("; ") if not part.startswith("version=")]
    return Format(openmetrics=True, content_type="; ".join((parameters[0], "version=1.0.0", *parameters[1:])))


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an `Accept-Encoding` header allows gzip."""
    for each in accept_encoding.split(","):
        name, _, parameters = each.strip().partition(";")
        if name.strip().lower() in {"gzip", "*"}:
            weight = parameters.replace(" ", "").removeprefix("q=")
            return weight not in {"0", "0.0", "0.00", "0.000"}
    return False


class Scraper:
    """Makes bodies. Scrapers that come while one is being compressed get that one."""

    def __init__(self, exposition: Exposition, self_metrics: SelfMetrics, *, local: str) -> None:
        """`local` is the device that the figures of opticd itself belong to."""
        self._exposition = exposition
        self._self_metrics = self_metrics
        self._local = local
        self._threads = ThreadPoolExecutor(2, "gzip")
        self._running: dict[tuple[str, bool], asyncio.Task[bytes]] = {}
        self._readers = 0
        self._last: dict[tuple[str, bool], tuple[float, list[bytes]]] = {}

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def begin(self, device: str) -> None:
        """Somebody scrapes: render what waited for it, a few ports at a time, so that the event loop stays free."""
        self._exposition.expect(device)
        while self._exposition.render(device, most=_PORTS_AT_ONCE):  # noqa: ASYNC110  # work, not waiting
            await asyncio.sleep(0)

    def _ending(self, device: str, *, openmetrics: bool) -> list[bytes]:
        """What comes behind the samples of a device."""
        ending = [self._self_metrics.text(openmetrics=openmetrics)] if device == self._local else []
        return [*ending, _EOF] if openmetrics else ending

    @contextmanager
    def plain(self, device: str, *, openmetrics: bool) -> Generator[list[bytes]]:
        """The text as it is, to be held while it is being sent: many slow readers hold a few versions of it."""
        now = asyncio.get_running_loop().time()
        key = (device, openmetrics)
        made, text = self._last.get(key, (float("-inf"), []))
        if self._readers < _PLAIN_AT_ONCE or now - made > _PLAIN_AGE_S:
            text = self._exposition.texts(device, openmetrics=openmetrics)
            text += self._ending(device, openmetrics=openmetrics)
            self._last[key] = (now, text)
        self._readers += 1
        try:
            yield text
        finally:
            self._readers -= 1
            if not self._readers:
                self._last.clear()

    async def compressed(self, device: str, *, openmetrics: bool) -> bytes:
        """The text as gzip."""
        key = (device, openmetrics)
        task = self._running.get(key)
        if task is None:
            name = f"gzip of {device}"
            task = self._running[key] = asyncio.create_task(
                self._compress(device, openmetrics=openmetrics), name=name
            )
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(task)

    async def _compress(self, device: str, *, openmetrics: bool) -> bytes:
        loop = asyncio.get_running_loop()
        pieces = self._exposition.pieces(device, openmetrics=openmetrics)
        pieces += [Piece(text) for text in self._ending(device, openmetrics=openmetrics)]
        first, second = halves(pieces)
        if sum(piece.size for piece in second) > _AT_ONCE:
            work = (loop.run_in_executor(self._threads, _deflate, part) for part in (first, second))
            await asyncio.gather(*work)
        return await loop.run_in_executor(self._threads, gzip_of, pieces)


def _deflate(pieces: list[Piece]) -> None:
    for piece in pieces:
        piece.packed()
