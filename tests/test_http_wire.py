"""HTTP byte by byte: what a well-made and what a broken client gets, and when it is told to go."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.synthetic import Switch
from exporters.http.server import HttpServer
from exporters.web.conversation import BODY_BYTES, HEAD_BYTES, Conversation, Limits
from tests.http_helpers import Served, serving

HEALTHY = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"opticd is healthy.\n"


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as server:
        yield server


class Client:
    """One connection, read answer by answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self, *, head: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Status, headers, body."""
        async with asyncio.timeout(5):
            lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:-1])}
            length = 0 if head else int(headers["content-length"])
            return int(lines[0].split()[1]), headers, await self._reader.readexactly(length)

    async def is_over(self) -> bool:
        """Whether the server has closed it and said nothing more."""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(3):
                return await self._reader.read() == b""
        return False

    def close(self) -> None:
        self._writer.close()


@contextlib.asynccontextmanager
async def connected(server: HttpServer) -> AsyncGenerator[Client]:
    reader, writer = await asyncio.open_connection(*server.addresses[0])
    client = Client(reader, writer)
    try:
        yield client
    finally:
        client.close()


# ---- good clients -----------------------------------------------------------------------------------------------


async def test_a_connection_is_kept_and_answers_come_in_turn(served: Served) -> None:
    async with connected(served.server) as client:
        for _ in range(3):
            client.say(HEALTHY)
            assert (await client.answer())[::2] == (200, OK)
        client.say(HEALTHY + b"HEAD /sd HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.answer())[::2] == (200, OK)
        assert (await client.answer(head=True))[1]["content-length"] == "2"
        assert (await client.answer())[::2] == (404, b"not found\n")


async def test_a_request_in_single_bytes(served: Served) -> None:
    async with connected(served.server) as client:
        for at in range(len(HEALTHY)):
            client.say(HEALTHY[at : at + 1])
            await asyncio.sleep(0)
        assert (await client.answer())[::2] == (200, OK)


@pytest.mark.parametrize(
    "request_",
    [HEALTHY.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), b"GET /-/healthy HTTP/1.0\r\n\r\n"],
)
async def test_who_wants_no_more_is_told_that_it_is_over(served: Served, request_: bytes) -> None:
    async with connected(served.server) as client:
        client.say(request_)
        status, headers, body = await client.answer()
        assert (status, headers["connection"], body) == (200, "close", OK)
        assert await client.is_over()


async def test_a_proxy_may_name_the_host_in_the_path(served: Served) -> None:
    async with connected(served.server) as client:
        client.say(b"GET http://leaf-17/-/healthy?x=1 HTTP/1.1\r\nHost: y\r\n\r\n")
        assert (await client.answer())[::2] == (200, OK)


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 5\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"Content-Length: %d\r\n\r\n" % BODY_BYTES + bytes(BODY_BYTES),
    ],
)
async def test_a_body_is_passed_over(served: Served, body: bytes) -> None:
    async with connected(served.server) as client:
        client.say(b"POST /-/reload HTTP/1.1\r\nHost: x\r\n" + body + HEALTHY)
        assert (await client.answer())[0] == 403
        assert (await client.answer())[::2] == (200, OK)


async def test_who_asks_whether_to_send_a_body_is_answered_at_once(served: Served) -> None:
    async with connected(served.server) as client:
        client.say(b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (403, "close")
        assert await client.is_over()


async def test_the_answer_to_a_body_without_end_is_read_all_the_same(served: Served) -> None:
    """A reset would take the answer from who is still sending."""
    async with connected(served.server) as client:
        client.say(b"PUT /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n" + bytes(3 * BODY_BYTES))
        assert (await client.answer())[::2] == (405, b"method not allowed\n")
        assert await client.is_over()


# ---- broken and hostile ones ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"BREW /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /metrics HTTP/1.1\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nHo st: y\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: \0\r\n\r\n", 400),
        (b"GET /\xc3\xbc HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /probe?" + b"a=1&" * 80 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 3000 + b"\r\n", 431),
        (b"GET /" + b"a" * HEAD_BYTES, 431),
    ],
)
async def test_what_makes_no_sense_is_answered_and_the_server_goes_on(
    served: Served, request_: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(served.server) as client:
        client.say(request_)
        found, headers, body = await client.answer()
        assert (found, body.count(b"\n"), headers["x-content-type-options"]) == (status, 1, "nosniff")
    async with connected(served.server) as client:
        client.say(HEALTHY)
        assert (await client.answer())[::2] == (200, OK)
    assert caplog.text == ""


async def test_headers_that_come_slowly_cost_their_connection(served: Served) -> None:
    """However often a byte of them comes: time runs from the first."""
    limits = Limits(idle_s=60.0, head_s=0.3, write_s=1.0)
    there: set[Conversation] = set()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    loop = asyncio.get_running_loop()
    guard = served.server.guard
    await loop.connect_accepted_socket(lambda: Conversation(guard, limits, there).wire, theirs)
    began = loop.time()
    with contextlib.suppress(BrokenPipeError):
        while loop.time() - began < 3.0:
            await loop.sock_sendall(ours, b"X")
            await asyncio.sleep(0.02)
    assert 0.25 < loop.time() - began < 2.0
    assert not there
    ours.close()


LINES = st.sampled_from(
    [
        b"GET / HTTP/1.1", b"GET /probe?target=%00 HTTP/1.1", b"POST /-/reload HTTP/1.0", b"HEAD /metrics HTTP/1.1",
        b"GET /api/v1/ports/%ff HTTP/1.1", b"Host: x", b"Content-Length: 3", b"Content-Length: -1", b"abc",
        b"Transfer-Encoding: chunked", b"3\r\nabc", b"0", b"Expect: 100-continue", b"Upgrade: h2c",
        b"Connection: upgrade, close", b" folded", b"Accept-Encoding: gzip;q=x", b"Authorization: Basic \xff", b"",
    ]
)  # fmt: skip
BYTES = st.one_of(st.binary(max_size=200), st.lists(st.one_of(LINES, st.binary(max_size=9))).map(b"\r\n".join))


def test_whatever_arrives_is_answered_or_dropped_and_nothing_breaks(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    limits = Limits(idle_s=0.01, head_s=0.01, write_s=1.0)

    async def exchange(server: HttpServer, data: bytes) -> bytes:
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        there: set[Conversation] = set()
        await loop.connect_accepted_socket(lambda: Conversation(server.guard, limits, there).wire, theirs)
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(data + b"\r\n\r\n")
        answer = bytearray()
        with contextlib.suppress(ConnectionResetError):
            async with asyncio.timeout(5):
                while piece := await reader.read(65_536):
                    answer += piece
        writer.close()
        async with asyncio.timeout(5):
            while there:  # noqa: ASYNC110  # it ends when it hears that the client is gone
                await asyncio.sleep(0)
        return bytes(answer)

    with asyncio.Runner() as runner:
        context = serving()
        served = runner.run(context.__aenter__())

        @settings(max_examples=150, deadline=None, database=None)
        @given(BYTES)
        def sent(data: bytes) -> None:
            answer = runner.run(exchange(served.server, data))
            assert answer == b"" or answer.startswith(b"HTTP/1.1 "), answer
            assert b"internal error" not in answer
            assert caplog.text == ""

        sent()
        runner.run(context.__aexit__(None, None, None))


# ---- the end ----------------------------------------------------------------------------------------------------


async def test_a_stop_ends_who_is_silent_at_once_and_lets_an_answer_be_read() -> None:
    async with serving() as served:
        for moment in Switch(ports=200).readings(1.0):
            served.hub.publish(moment)
        server = HttpServer(served.server.services, listen="127.0.0.1:0")
        await server.start()
        async with connected(server) as silent:
            silent.say(HEALTHY)
            await silent.answer()
            reader, writer = await asyncio.open_connection(*server.addresses[0])
            writer.write(b"GET /api/v1/ports HTTP/1.1\r\nHost: x\r\n\r\n")
            begun = await reader.readuntil(b'"port":"Ethernet0"')
            stopping = asyncio.create_task(server.stop())
            assert await silent.is_over()
            answer = begun + await reader.read()
            assert answer.count(b'"port":"Ethernet') == 200
            assert answer.endswith(b"0\r\n\r\n")
            writer.close()
            await stopping


async def test_a_stop_does_not_wait_for_who_does_not_read() -> None:
    async with serving() as served:
        for moment in Switch(ports=700).readings(1.0):
            served.hub.publish(moment)
        server = HttpServer(replace(served.server.services, write_s=30.0), listen="127.0.0.1:0")
        await server.start()
        with socket.create_connection(server.addresses[0]) as slow:
            slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(0.3)
            async with asyncio.timeout(4):
                await server.stop()
        assert server.connections == []
