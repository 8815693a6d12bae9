"""The HTTP interface as a client sees it, over loopback."""

import asyncio
import gzip
import json
import random
import re
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import cast

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent import quantities as q
from agent.errors import ConfigError
from agent.model import Module, PollFailed, PollTiming, Reading, Trouble
from agent.state import LinkChanged, LinkState, PortForgotten, SourceHealth
from benchmarks.synthetic import Switch
from exporters.http import server as http_module
from exporters.http.server import HttpServer
from exporters.prometheus.scrape import accepts_gzip, negotiate
from exporters.web import listen
from tests.http_helpers import Served, alert, serving

Json = dict[str, object]

ROUTES = [
    "/", "/page/app.js", "/page/style.css", "/metrics", "/probe?target=spine-1", "/sd", "/api/v1/ports",
    "/api/v1/ports/Ethernet0", "/api/v1/summary", "/api/v1/alerts", "/api/v1/reliability",
    "/api/v1/events", "/-/healthy", "/-/ready",
]  # fmt: skip


def _gone_at_once(address: tuple[str, int], path: str) -> None:
    """A client that asks and resets its connection without waiting."""
    with socket.create_connection(address) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: opticd\r\n\r\n".encode())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def reading(port: str = "Ethernet0", device: str = "leaf-17", temperature: float = 41.5) -> Reading:
    return Reading(
        device=device, port=port, source="i2c:1", time=1795352400.0, module=Module(vendor_name="FACETEST"),
        values={q.TEMPERATURE: temperature}, lanes={q.RX_POWER: {1: 0.001}},
    )  # fmt: skip


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as server:
        server.hub.publish(reading())
        server.hub.publish(reading("Ethernet1/2", "spine-1", 33.0))
        yield server


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def get(client: aiohttp.ClientSession, url: str, **headers: str) -> tuple[int, str]:
    async with client.get(url, headers=headers) as response:
        return response.status, await response.text()


async def get_json(client: aiohttp.ClientSession, url: str) -> object:
    async with client.get(url) as response:
        assert response.status == 200
        assert response.content_type == "application/json"
        return cast("object", await response.json())


async def test_metrics_hold_the_local_device_and_opticd_itself(
    served: Served, client: aiohttp.ClientSession
) -> None:
    served.hub.publish(PollTiming("i2c-1", 0.003))
    served.hub.publish(SourceHealth("i2c:1", up=False, detail="gone"))
    status, text = await get(client, served.url("/metrics"))
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert status == 200
    assert samples["xcvr_temperature_celsius", "Ethernet0"] == 41.5
    assert samples["opticd_source_up", "i2c:1"] == 0
    assert samples["opticd_config_reload_success",] == 1
    assert samples["xcvr_poll_duration_seconds_count", "i2c-1"] == 1
    assert [name for name in samples if name[0] == "opticd_build_info" and "1.2.3" in name]
    assert samples["process_resident_memory_bytes",] > 1e6
    assert "spine" not in text


@pytest.mark.parametrize("openmetrics", [False, True])
async def test_gzip_holds_the_same_as_plain(
    served: Served, client: aiohttp.ClientSession, openmetrics: bool
) -> None:
    accept = "application/openmetrics-text; version=1.0.0" if openmetrics else "text/plain"
    for moment in Switch(ports=30).readings(1.0):
        served.hub.publish(moment)
    _, plain = await get(client, served.url("/metrics"), **{"Accept": accept, "Accept-Encoding": "identity"})
    async with aiohttp.ClientSession(auto_decompress=False) as raw:
        headers = {"Accept": accept, "Accept-Encoding": "gzip"}
        async with raw.get(served.url("/metrics"), headers=headers) as response:
            packed = await response.read()
            assert response.headers["Content-Encoding"] == "gzip"
            assert response.headers["Content-Type"].startswith(accept)
    unpacked = gzip.decompress(packed).decode()
    assert _without_self(unpacked) == _without_self(plain)
    assert unpacked.endswith("# EOF\n") == openmetrics
    assert "xcvr_rx_power_dbm" in unpacked


def _without_self(text: str) -> list[str]:
    return [line for line in text.splitlines() if "process_" not in line]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        (  # Prometheus 2.42
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
            ),
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
        (  # Prometheus 3
            "application/openmetrics-text;version=2.0.0;escaping=allow-utf-8;q=0.6",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        ),
        (
            "text/plain;version=1.0.0;escaping=dots",
            "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
    ],
)
def test_content_negotiation(accept: str, content_type: str) -> None:
    found = negotiate(accept)
    assert found.content_type == content_type
    assert found.openmetrics == ("openmetrics" in content_type)


@pytest.mark.parametrize(
    ("header", "want"),
    [("gzip", True), ("br, gzip;q=0.5", True), ("*", True), ("", False), ("gzip;q=0", False), ("identity", False)],
)
def test_who_accepts_gzip(header: str, want: bool) -> None:
    assert accepts_gzip(header) == want


async def test_probe_answers_from_the_pollers_and_for_no_one_else(
    served: Served, client: aiohttp.ClientSession
) -> None:
    status, text = await get(client, served.url("/probe?target=spine-1"))
    assert status == 200
    assert 'xcvr_temperature_celsius{port="Ethernet1/2"} 33.0' in text
    assert "Ethernet0" not in text
    assert "opticd_" not in text
    for unknown in ("spine-2", "127.0.0.1:22", "http://10.0.0.1/"):
        status, text = await get(client, served.url(f"/probe?target={unknown}"))
        assert (status, text.count("\n")) == (404, 1)
    assert (await get(client, served.url("/probe")))[0] == 400


async def test_service_discovery_names_the_other_devices(served: Served, client: aiohttp.ClientSession) -> None:
    host = "{}:{}".format(*served.server.addresses[0])
    assert await get_json(client, served.url("/sd")) == [
        {
            "targets": [host],
            "labels": {"__metrics_path__": "/probe", "__param_target": "spine-1", "instance": "spine-1"},
        }
    ]


async def test_ports(served: Served, client: aiohttp.ClientSession) -> None:
    served.hub.local.port("Ethernet0").link = LinkState(up=True, last_change=1795352400.5, transitions=3)
    failed = PollFailed("leaf-17", "Ethernet9", 1.0, present=False, trouble=Trouble("absent", "no acknowledge"))
    served.hub.publish(failed)
    found = cast("list[Json]", await get_json(client, served.url("/api/v1/ports")))
    assert [(port["device"], port["port"]) for port in found] == [
        ("leaf-17", "Ethernet0"), ("leaf-17", "Ethernet9"), ("spine-1", "Ethernet1/2"),
    ]  # fmt: skip
    assert found[0]["schema"] == found[1]["schema"] == "opticd/reading/1"
    assert found[0]["values"] == {"temperature_celsius": 41.5}
    assert found[0]["lanes"] == [{"lane": 1, "rx_power_watts": 0.001, "rx_power_dbm": 0.0, "flags": []}]
    link = cast("Json", found[0]["link"])
    assert (link["oper_up"], link["transitions"], link["last_change"]) == (True, 3, "2026-11-22T13:00:00.500Z")
    assert (found[1]["present"], found[1]["values"]) == (False, {})
    assert found[1]["trouble"] == {"reason": "absent", "detail": "no acknowledge"}
    only = cast("list[Json]", await get_json(client, served.url("/api/v1/ports?device=spine-1")))
    assert [port["port"] for port in only] == ["Ethernet1/2"]


async def test_hours_of_links_go_by_the_clock_of_the_daemon() -> None:
    async with serving(monotonic=lambda: 8200.0) as served, aiohttp.ClientSession() as client:
        served.hub.local.port("Ethernet0").link = LinkState(up=True, up_seconds=3600.0, up_since=1000.0)
        (port,) = cast("list[Json]", await get_json(client, served.url("/api/v1/ports")))
        assert cast("Json", port["link"])["up_seconds"] == 10_800.0
        port = cast("Json", await get_json(client, served.url("/api/v1/ports/Ethernet0")))
        assert cast("Json", port["reliability"])["link_hours"] == 3.0
        fleet = cast("Json", await get_json(client, served.url("/api/v1/reliability")))["fleet"]
        assert cast("Json", fleet)["link_hours"] == 3.0


async def test_a_port_that_comes_back_has_not_the_trouble_of_before(
    served: Served, client: aiohttp.ClientSession
) -> None:
    failed = PollFailed("leaf-17", "Ethernet9", 1.0, present=False, trouble=Trouble("timeout", "no answer"))
    served.hub.publish(failed)
    served.hub.publish(PortForgotten("leaf-17", "Ethernet9"))
    served.hub.local.port("Ethernet9").link = LinkState(up=True)
    port = cast("Json", await get_json(client, served.url("/api/v1/ports/Ethernet9")))
    assert "trouble" not in port


async def test_all_of_many_ports_arrive_packed_and_plain(served: Served) -> None:
    for moment in Switch(ports=100).readings(1.0):
        served.hub.publish(moment)
    for encoding in ("gzip", "identity"):
        async with aiohttp.ClientSession(headers={"Accept-Encoding": encoding}) as client:
            found = cast("list[Json]", await get_json(client, served.url("/api/v1/ports?device=leaf-17")))
            assert len(found) == 100


async def test_one_port_has_its_history_and_events(served: Served, client: aiohttp.ClientSession) -> None:
    served.hub.publish(alert(lane=2))
    served.hub.publish(alert(port="Ethernet8"))
    port = cast("Json", await get_json(client, served.url("/api/v1/ports/Ethernet0")))
    assert port["history"] == [{"time": "2026-11-22T13:00:00.000Z", "port": "leaf-17/Ethernet0"}] * 2
    (event,) = cast("list[Json]", port["events"])
    assert (event["rule"], event["lane"], event["schema"]) == ("rx_margin", 2, "opticd/alert/1")
    other = cast("Json", await get_json(client, served.url("/api/v1/ports/Ethernet1%2F2")))
    assert other["device"] == "spine-1"
    for path in ("/api/v1/ports/Ethernet77", "/api/v1/ports/Ethernet0?device=spine-1", "/api/v1/ports?device=x"):
        assert (await get(client, served.url(path)))[0] == 404


async def test_a_name_on_several_devices_has_to_be_made_clear(
    served: Served, client: aiohttp.ClientSession
) -> None:
    served.hub.publish(reading("et1", "spine-1"))
    served.hub.publish(reading("et1", "spine-2"))
    status, text = await get(client, served.url("/api/v1/ports/et1"))
    assert status == 400
    assert "spine-1, spine-2" in text
    assert (await get(client, served.url("/api/v1/ports/et1?device=spine-2")))[0] == 200


async def test_alerts(served: Served, client: aiohttp.ClientSession) -> None:
    served.book.alerts = [alert(), alert(device="spine-1")]
    both = cast("list[Json]", await get_json(client, served.url("/api/v1/alerts")))
    assert [each["device"] for each in both] == ["leaf-17", "spine-1"]
    one = cast("list[Json]", await get_json(client, served.url("/api/v1/alerts?device=spine-1")))
    assert len(one) == 1


async def test_summary_says_how_bad_it_is(served: Served, client: aiohttp.ClientSession) -> None:
    served.book.alerts = [alert(severity="critical", port="Ethernet3/12")]
    served.hub.publish(replace(reading("Ethernet3/12"), thresholds={q.RX_POWER: {"low_alarm": 0.002}}))
    rows = cast("list[Json]", await get_json(client, served.url("/api/v1/summary?device=leaf-17")))
    by_port = {row["port"]: row for row in rows}
    assert (by_port["Ethernet0"]["level"], by_port["Ethernet0"]["group"]) == ("ok", "Ethernet")
    bad = by_port["Ethernet3/12"]
    assert (bad["level"], bad["group"], bad["alerts"]) == ("critical", "Ethernet3", 1)
    assert bad["why"] == ["It is so.", "lane 1 rx power below its low alarm"]
    assert bad["values"] == {"temperature_celsius": [41.5, 41.5], "rx_power_dbm": [0.0, 0.0]}


async def test_an_empty_cage_is_told_from_a_card_that_refuses(
    served: Served, client: aiohttp.ClientSession
) -> None:
    empty = Trouble("absent", "no acknowledge")
    served.hub.publish(PollFailed("leaf-17", "Ethernet0", 1.0, present=False, trouble=empty))
    refused = Trouble("unsupported", "eth3: Operation not supported")
    served.hub.publish(PollFailed("leaf-17", "eth3", 1.0, present=False, trouble=refused))
    rows = cast("list[Json]", await get_json(client, served.url("/api/v1/summary?device=leaf-17")))
    why = {row["port"]: (row["level"], row["why"]) for row in rows}
    assert why["Ethernet0"] == ("absent", ["no module"])
    assert why["eth3"] == ("absent", ["eth3: Operation not supported"])


class Stream:
    """Reads server-sent events."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self) -> tuple[str, object]:
        async with asyncio.timeout(5):
            while True:
                block = (await self._response.content.readuntil(b"\n\n")).decode()
                fields = dict(re.findall(r"^(\w+): (.*)$", block, re.MULTILINE))
                if "data" in fields:
                    return fields["event"], json.loads(fields["data"])


async def test_events_of_alerts_and_readings(served: Served, client: aiohttp.ClientSession) -> None:
    async with client.get(served.url("/api/v1/events")) as response:
        assert response.content_type == "text/event-stream"
        await response.content.readuntil(b"\n\n")
        served.hub.publish(alert())
        served.hub.publish(reading(temperature=50.0))
        stream = Stream(response)
        kind, document = await stream.next()
        assert (kind, cast("Json", document)["rule"]) == ("alert", "rx_margin")
        kind, document = await stream.next()
        assert (kind, cast("Json", document)["values"]) == ("reading", {"temperature_celsius": 50.0})


async def test_summary_events_begin_with_everything_and_go_on_with_what_changed(
    served: Served, client: aiohttp.ClientSession
) -> None:
    async with client.get(served.url("/api/v1/events?view=summary&port=Ethernet0")) as response:
        stream = Stream(response)
        kind, rows = await stream.next()
        assert kind == "summary"
        assert [row["port"] for row in cast("list[Json]", rows)] == ["Ethernet0", "Ethernet1/2"]
        served.hub.publish(reading(temperature=51.0))
        served.hub.publish(reading("Ethernet8"))
        kind, document = await stream.next()
        assert (kind, cast("Json", document)["port"]) == ("reading", "Ethernet0")
        kind, rows = await stream.next()
        assert [row["port"] for row in cast("list[Json]", rows)] == ["Ethernet0", "Ethernet8"]


async def test_a_slow_listener_is_dropped_and_others_go_on(served: Served) -> None:
    events = served.server.services.events
    slow = socket.create_connection(served.server.addresses[0])
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
    moments = list(Switch(ports=50).readings(1.0))
    async with aiohttp.ClientSession() as client, client.get(served.url("/api/v1/events")) as response:
        stream = Stream(response)
        await asyncio.sleep(0.1)
        assert len(events) == 2
        for _ in range(200):
            for moment in moments:
                served.hub.publish(moment)
            for _ in range(50):
                assert (await stream.next())[0] == "reading"
            if len(events) == 1:
                break
        assert len(events) == 1
    slow.close()


async def test_streams_end_when_the_server_stops(client: aiohttp.ClientSession) -> None:
    async with serving() as server:
        response = await client.get(server.url("/api/v1/events"))
        await response.content.readuntil(b"\n\n")
    async with asyncio.timeout(5):
        assert await response.read() == b""


async def test_health_and_readiness(client: aiohttp.ClientSession) -> None:
    polled = False
    async with serving(ready=lambda: polled) as server:
        assert (await get(client, server.url("/-/healthy")))[0] == 200
        assert (await get(client, server.url("/-/ready")))[0] == 503
        polled = True
        assert (await get(client, server.url("/-/ready")))[0] == 200


async def test_reload_is_a_post_when_enabled_and_from_here(client: aiohttp.ClientSession) -> None:
    calls: list[int] = []

    async def reload() -> None:
        calls.append(1)
        if len(calls) > 1:
            raise ConfigError("line 3: nonsense")

    async def post(server: Served, **headers: str) -> tuple[int, str]:
        async with client.post(server.url("/-/reload"), headers=headers) as response:
            return response.status, await response.text()

    async with serving() as server:
        assert (await post(server))[0] == 403
    async with serving(reload=reload) as server:
        assert (await get(client, server.url("/-/reload")))[0] == 405
        assert (await post(server, Origin="https://evil.example"))[0] == 403
        assert not calls
        assert (await post(server))[0] == 200
        assert await post(server, Origin=server.url("")) == (500, "line 3: nonsense\n")


async def test_unknown_paths_and_methods_get_one_line(served: Served, client: aiohttp.ClientSession) -> None:
    for path in (
        "/nothing",
        "/metrics/",
        "/../etc/passwd",
        "/api/v2/ports",
        "/page/../http.py",
        "/%00",
        "/app.js/x",
    ):
        status, text = await get(client, served.url(path))
        assert (status, text) == (404, "not found\n")
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        for path in ROUTES:
            async with client.request(method, served.url(path)) as response:
                assert (response.status, await response.text()) == (405, "method not allowed\n"), (method, path)
                assert response.headers["Allow"] in ("GET", "GET,HEAD")


async def test_every_answer_has_the_security_headers(served: Served, client: aiohttp.ClientSession) -> None:
    for path in (*ROUTES, "/nothing"):
        async with client.get(served.url(path)) as response:
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["X-Frame-Options"] == "DENY"
            assert "aiohttp" not in response.headers["Server"]


async def test_head_has_the_headers_alone(served: Served, client: aiohttp.ClientSession) -> None:
    for path in ("/metrics", "/api/v1/ports", "/-/healthy", "/sd"):
        async with client.head(served.url(path)) as response:
            assert response.status == 200
            assert await response.read() == b""


async def raw(server: Served, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*server.server.addresses[0])
    writer.write(request)
    async with asyncio.timeout(5):
        answer = await reader.read(65_536)
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b" 400 "),
        (b"GET / HTTP/1.1\r\n\r\n", b" 400 "),
        (b"GET /metrics HTTP/1.0\r\n\r\n", b" 200 "),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b" 431 "),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", b" 431 "),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-\xff: \x00\r\n\r\n", b" 400 "),
        (b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", b" 403 "),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b" 400 "),
    ],
)
async def test_malformed_and_oversized_requests(served: Served, request_: bytes, status: bytes) -> None:
    answer = await raw(served, request_)
    assert answer.startswith(b"HTTP/1.")
    assert status in answer.splitlines()[0]
    assert b"Traceback" not in answer


async def test_a_reader_of_one_byte_a_second_delays_nobody_and_holds_little(
    served: Served, client: aiohttp.ClientSession
) -> None:
    for moment in Switch(ports=700).readings(1.0):  # more than the kernel takes for a client that does not read
        served.hub.publish(moment)
    slow = socket.create_connection(served.server.addresses[0])
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    loop = asyncio.get_running_loop()
    for _ in range(2):
        assert await loop.run_in_executor(None, slow.recv, 1)
        began = loop.time()
        status, text = await get(client, served.url("/metrics"))
        assert (status, len(text) > 1_000_000) == (200, True)
        assert loop.time() - began < 2.0
        await asyncio.sleep(0.5)
    held = sum(transport.get_write_buffer_size() for transport in served.server.connections)
    assert 0 < held <= 65_536  # of 6 MB: what is not written yet is shared, not copied
    slow.close()


async def test_200_scrapers_at_once_are_all_served(served: Served) -> None:
    for moment in Switch(ports=64).readings(1.0):
        served.hub.publish(moment)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as client:

        async def scrape() -> tuple[int, int]:
            status, text = await get(client, served.url("/metrics"))
            return status, text.count("xcvr_rx_power_dbm{")

        found = await asyncio.gather(*(scrape() for _ in range(200)))
    assert set(found) == {(200, 64 * 8)}


async def test_one_connection_too_many_is_turned_away(served: Served, client: aiohttp.ClientSession) -> None:
    held = [socket.create_connection(served.server.addresses[0]) for _ in range(http_module.CONNECTIONS)]
    await asyncio.sleep(0.2)
    assert b" 503 " in await raw(served, b"")
    for each in held:
        each.close()
    await asyncio.sleep(0.1)
    assert (await get(client, served.url("/-/healthy")))[0] == 200


async def test_a_bug_in_a_handler_is_one_line_and_a_log(
    client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> bool:
        raise RuntimeError("secret detail")

    async with serving(ready=broken) as server:
        assert await get(client, server.url("/-/ready")) == (500, "internal error, see the log\n")
    assert "secret detail" in caplog.text


def impatient(served: Served, *, idle_s: float = 60.0, write_s: float = 60.0) -> HttpServer:
    """A second server over the same services, with shorter limits."""
    services = replace(served.server.services, write_s=write_s)
    return HttpServer(services, listen="127.0.0.1:0", idle_s=idle_s)


@pytest.mark.parametrize("begun", [b"", b"GET /metrics HT", b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_request_that_does_not_arrive_costs_its_connection(served: Served, begun: bytes) -> None:
    server = impatient(served, idle_s=0.3)
    await server.start()
    reader, writer = await asyncio.open_connection(*server.addresses[0])
    writer.write(begun)
    async with asyncio.timeout(3):
        assert await reader.read() == b""
    writer.close()
    await server.stop()


async def test_an_answer_that_is_not_read_costs_its_connection(served: Served) -> None:
    for moment in Switch(ports=512).readings(1.0):
        served.hub.publish(moment)
    server = impatient(served, write_s=0.5)
    await server.start()
    slow = socket.create_connection(server.addresses[0])
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(5):
        for there in (True, False):  # until it is there, and until it is cut
            while bool(server.connections) != there:  # noqa: ASYNC110  # it happens on a socket
                await asyncio.sleep(0.05)
    slow.close()
    await server.stop()


async def test_nothing_that_is_sent_makes_it_fail(served: Served) -> None:
    rnd = random.Random(5)
    paths = [
        b"/probe?target=",
        b"/api/v1/ports/",
        b"/api/v1/ports?device=",
        b"/page/",
        b"/api/v1/summary?device=",
        b"/",
    ]
    for _ in range(300):
        path = rnd.choice(paths) + bytes(rnd.choice(b"%&=?/.\\a0\xff\xc3 +#") for _ in range(rnd.randrange(12)))
        answer = await raw(served, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer.split(b" ")[1] in (b"200", b"400", b"404"), path


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("127.0.0.1:10800", ("127.0.0.1", 10800)),
        ("[::1]:10800", ("::1", 10800)),
        (":10800", ("", 10800)),
        ("[::]:0", ("::", 0)),
        ("localhost:1", ("localhost", 1)),
    ],
)
def test_listen(text: str, want: tuple[str, int]) -> None:
    assert listen.parse(text) == want


@pytest.mark.parametrize("text", ["10800", "::1:10800", "host:", "host:65536", "a b:1", "[zz]:1", "http://x:1", ""])
def test_listen_that_makes_no_sense(text: str) -> None:
    with pytest.raises(ConfigError, match="is no address to listen on"):
        listen.parse(text)


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("text", ["127.0.0.1:0", "localhost:0", ":0", "[::1]:0"])
async def test_it_listens_where_it_is_told(text: str, client: aiohttp.ClientSession) -> None:
    if "::1" in text and not _has_ipv6():
        pytest.skip("no IPv6 here")
    async with serving(listen=text) as server:
        for _, port in server.server.addresses:
            host = "[::1]" if "::1" in text else "127.0.0.1"
            assert (await get(client, f"http://{host}:{port}/-/healthy"))[0] == 200


async def test_an_address_in_use_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"listen: 127.0.0.1:{port}: Address already in use") as found:
            async with serving(listen=f"127.0.0.1:{port}"):
                pass
    assert "ss -ltnp" in found.value.hint
    with pytest.raises(ConfigError, match=r"192\.0\.2\.7"):
        async with serving(listen="192.0.2.7:1"):
            pass


async def test_after_a_stop_the_address_is_free_again(client: aiohttp.ClientSession) -> None:
    async with serving() as server:
        _, port = server.server.addresses[0]
        assert (await get(client, server.url("/-/healthy")))[0] == 200
    async with serving(listen=f"127.0.0.1:{port}") as server:
        assert (await get(client, server.url("/-/healthy")))[0] == 200


async def test_link_events_reach_the_summary(served: Served, client: aiohttp.ClientSession) -> None:
    served.hub.local.port("Ethernet0").link = LinkState(up=False, admin_up=True)
    served.hub.publish(LinkChanged("leaf-17", "Ethernet0"))
    rows = cast("list[Json]", await get_json(client, served.url("/api/v1/summary?device=leaf-17")))
    assert (rows[0]["level"], rows[0]["link"], rows[0]["why"]) == ("down", "down", ["link down"])


async def test_the_paths_that_are_walked_are_all_there_are(served: Served) -> None:
    known = {path for _, path in served.server.router.routes}
    walked = {path.partition("?")[0] for path in ROUTES}
    assert known == {
        "/-/reload",
        *(re.sub(r"^/page/.+", "/page/{name}", re.sub(r"(/ports)/.+", r"\1/{name}", path)) for path in walked),
    }


@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/ports", "/metrics"])
async def test_a_client_that_is_gone_before_the_answer_is_no_error(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as served:
        served.hub.publish(reading())
        for _ in range(40):
            await asyncio.to_thread(_gone_at_once, served.server.addresses[0], path)
        await asyncio.sleep(0.2)
    assert caplog.text == ""
