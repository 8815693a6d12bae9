"""What docs/threat-model.md says: who gets in, what a request can cause, where secrets are not."""

import asyncio
import logging
import re
from pathlib import Path

import aiohttp
import bcrypt
import pytest

from agent.config import file as config
from agent.service import app
from agent.state import SourceHealth
from tests.conftest import ROOT
from tests.http_helpers import Served, serving
from tests.test_reliability import _tests_of

HASH = bcrypt.hashpw(b"Sesame-In-Test", bcrypt.gensalt(4)).decode()

NOT_ASCII = {"Authorization": "Basic \u00fc\u20ac"}
"""Found by fuzzing: it was an internal error, with a traceback in the log for each request of a stranger."""


def routes(server: Served) -> list[tuple[str, str]]:
    """Method and path of everything that the server has, from the router itself: a new route is in it."""
    return [(method, path.replace("{name}", "x")) for method, path in server.server.router.routes]


async def test_every_route_asks_who_it_is(tmp_path: Path) -> None:
    web_config = tmp_path / "web.yml"
    web_config.write_text(f"basic_auth_users: {{alice: '{HASH}'}}\n", encoding="utf-8")

    async def reload() -> None:
        pytest.fail("a stranger reloaded the config")

    async with serving(web_config=web_config, reload=reload) as server, aiohttp.ClientSession() as client:
        paths = routes(server)
        assert len(paths) > 20
        for method, path in [*paths, ("GET", "/nothing"), ("DELETE", "/metrics"), ("GET", "/../etc/passwd")]:
            for headers in ({}, {"Authorization": aiohttp.encode_basic_auth("alice", "guess")}, NOT_ASCII):
                async with client.request(method, server.url(path), headers=headers) as response:
                    assert response.status == 401, (method, path)
                    assert "Basic" in response.headers["WWW-Authenticate"]
                    assert await response.text() in {"", "unauthorized\n"}


async def test_no_route_but_reload_takes_anything_but_get() -> None:
    async with serving() as server:
        others = {pair for pair in routes(server) if pair[0] not in {"GET", "HEAD"}}
        assert others == {("POST", "/-/reload")}
        async with aiohttp.ClientSession() as client, client.post(server.url("/-/reload")) as response:
            assert response.status == 403


async def test_probe_connects_to_nobody() -> None:
    """A target that listens, and is not configured, hears nothing."""
    heard: list[object] = []
    bait = await asyncio.start_server(lambda _reader, writer: heard.append(writer), "127.0.0.1", 0)
    port: int = bait.sockets[0].getsockname()[1]
    async with serving() as server, aiohttp.ClientSession() as client:
        for target in (
            f"127.0.0.1:{port}",
            f"http://127.0.0.1:{port}/",
            "127.0.0.1",
            "../leaf-17",
            "LEAF-17",
            "%00",
        ):
            async with client.get(server.url("/probe"), params={"target": target}) as response:
                assert response.status == 404
        async with client.get(server.url("/probe")) as response:
            assert response.status == 400
        await asyncio.sleep(0.1)
    bait.close()
    await bait.wait_closed()
    assert heard == []


async def test_secrets_are_in_no_answer_and_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A daemon with a secret of every kind, none of whose peers is there; every route is asked, logs in full."""
    secrets = {name: f"Sesame-{name}-7531" for name in ("community", "auth", "priv", "mqtt")}
    for name, secret in secrets.items():
        (tmp_path / name).write_text(secret + "\n", encoding="utf-8")
        (tmp_path / name).chmod(0o600)
    path = tmp_path / "opticd.toml"
    path.write_text(
        f"""
[agent]
device = "leaf-17"
[[source]]
type = "fake"
ports = 2
scenario = "quiet"
[[source]]
type = "snmp"
targets = ["one=127.0.0.1:1"]
community_file = "{tmp_path}/community"
timeout = 0.2
retries = 0
poll_interval = 1
[[source]]
type = "snmp"
targets = ["two=127.0.0.1:1"]
version = "3"
user = "optic"
auth = "sha1"
auth_password_file = "{tmp_path}/auth"
priv = "aes128"
priv_password_file = "{tmp_path}/priv"
timeout = 0.2
retries = 0
poll_interval = 1
[exporter.prometheus]
listen = "127.0.0.1:0"
[exporter.mqtt]
url = "mqtt://127.0.0.1:1"
username = "optic"
password_file = "{tmp_path}/mqtt"
""",
        encoding="utf-8",
    )
    caplog.set_level(logging.DEBUG)
    started = asyncio.Event()
    daemon = app.Daemon(config.load(path), path=path, on_started=started.set)
    failed: set[str] = set()
    daemon.hub.subscribe(SourceHealth, lambda health: failed.add(health.source.partition(":")[2] or health.source))
    running = asyncio.create_task(daemon.run())
    said = ""
    try:
        await asyncio.wait_for(started.wait(), 10)
        for _ in range(100):
            if {"one", "two"} <= failed:
                break
            await asyncio.sleep(0.1)
        assert {"one", "two"} <= failed, failed
        host, port = daemon.addresses[0]
        paths = [
            "/", "/metrics", "/sd", "/probe?target=one", "/probe?target=two", "/api/v1/ports",
            "/api/v1/ports/Ethernet1", "/api/v1/summary", "/api/v1/alerts", "/-/healthy",
            "/-/ready", "/nothing", "/-/reload",
        ]  # fmt: skip
        async with aiohttp.ClientSession() as client:
            for each in paths:
                async with client.get(f"http://{host}:{port}{each}") as response:
                    said += await response.text()
    finally:
        daemon.stop()
        assert await asyncio.wait_for(running, 10) == 0
    assert "Ethernet1" in said
    assert "MQTT broker" in caplog.text
    for secret in (*secrets.values(), "Sesame"):
        assert secret not in said
        assert secret not in caplog.text


def test_every_test_of_the_threat_model_exists() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/\w+\.py)::(test_\w+)`", text)
    assert len(named) > 12
    assert [f"{file}::{name}" for file, name in named if name not in _tests_of(file)] == []
