"""Scrapers over raw sockets, each kept open as Prometheus keeps its own."""

import socket
import threading
import time
from typing import Final, cast

_REQUEST: Final = (
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: text/plain;version=0.0.4\r\nAccept-Encoding: gzip\r\n\r\n"
)


class Scraper:
    """One connection, kept open, as Prometheus does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def scrape(self) -> tuple[float, bytes]:
        """Seconds until the last byte, and the body as it came."""
        began = time.perf_counter()
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        self._socket.sendall(_REQUEST)
        head, body = self._head(self._socket)
        lower = head.lower()
        if b"content-length:" in lower:
            body += self._exactly(int(lower.split(b"content-length:")[1].split(b"\r\n")[0]) - len(body))
        else:
            body += self._chunks(body)
        took = time.perf_counter() - began
        if b"connection: close" in lower or lower.startswith(b"http/1.0"):
            self._socket.close()
            self._socket = None
        return took, body

    def _head(self, connection: socket.socket) -> tuple[bytes, bytes]:
        data = bytearray()
        while b"\r\n\r\n" not in data:
            data += self._some(connection)
        head, _, body = bytes(data).partition(b"\r\n\r\n")
        assert b" 200 " in head[:20], head[:60]
        return head, body

    def _exactly(self, left: int) -> bytes:
        assert self._socket is not None
        data = bytearray()
        while len(data) < left:
            data += self._some(self._socket)
        return bytes(data)

    def _chunks(self, begun: bytes) -> bytes:
        assert self._socket is not None
        data = bytearray()
        while (begun + data)[-5:] != b"0\r\n\r\n":
            data += self._some(self._socket)
        return bytes(data)

    @staticmethod
    def _some(connection: socket.socket) -> bytes:
        data = connection.recv(1 << 20)
        if not data:
            raise EOFError
        return data


def free_port() -> int:
    """A TCP port of loopback that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return cast("int", found.getsockname()[1])


def paced(port: int, scrapes: int, pace_s: float) -> list[float]:
    """One scraper; seconds of each scrape."""
    scraper = Scraper(port)
    scraper.scrape()
    times: list[float] = []
    for _ in range(scrapes):
        took, _ = scraper.scrape()
        times.append(took)
        time.sleep(max(0.0, pace_s - took))
    return times


def crowd(port: int, scrapers: int, each: int) -> list[float]:
    """Many scrapers at once, each scraping without a pause."""
    times: list[float] = []

    def run() -> None:
        scraper = Scraper(port)
        times.extend(scraper.scrape()[0] for _ in range(each))

    threads = [threading.Thread(target=run) for _ in range(scrapers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times
