"""What docs/fleet.md and docs/snmp.md show, run: two agents with shards, a real Prometheus, a user's own vendor."""

import asyncio
import contextlib
import json
import re
import shutil
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from agent import quantities as q
from agent.model import Module, Reading
from drivers.snmp import rules
from drivers.snmp.credentials import Credentials
from drivers.snmp.oneshot import read_device
from drivers.snmp.targets import owner
from fakes.snmp_agent import Agent, Tables
from fakes.snmp_recording import INTEGER, OCTET_STRING, Row
from fakes.snmp_tables import Port, switch
from tests.conftest import ROOT
from tests.daemon_process import DaemonProcess
from tests.test_prometheus import free_port, query, until

FENCE: Final = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAMES: Final = ("leaf-1", "leaf-2", "leaf-3", "leaf-4")


def block(page: str, language: str, word: str) -> str:
    """The block of a page in this language that contains this word."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found: list[tuple[str, str]] = FENCE.findall(text)
    return next(body for kind, body in found if kind == language and word in body)


def optic(number: int) -> Reading:
    return Reading(
        device="",
        port="",
        source="",
        time=0.0,
        module=Module(vendor_name="ACME", part_number="QSFP", serial_number=f"SN{number}"),
        values={q.TEMPERATURE: 40.0 + number},
        lanes={q.RX_POWER: {1: 5e-4}, q.TX_POWER: {1: 1e-3}, q.TX_BIAS: {1: 0.03}},
    )


@asynccontextmanager
async def switches() -> AsyncGenerator[dict[str, Agent]]:
    agents = {
        name: await Agent.start(Tables(switch({1: Port(optic(number)), 2: Port()})))
        for number, name in enumerate(NAMES, 1)
    }
    try:
        yield agents
    finally:
        for agent in agents.values():
            agent.stop()


@contextmanager
def two_agents(folder: Path, agents: dict[str, Agent]) -> Generator[tuple[int, int]]:
    """The two agents of docs/fleet.md, asking the fake switches; gives the ports they listen on."""
    listed = folder / "switches.txt"
    text = block("fleet.md", "text", "leaf-1=")
    for number, name in enumerate(NAMES, 1):
        assert f"{name}=10.0.0.{number}\n" in text
        text = text.replace(f"=10.0.0.{number}\n", f"=127.0.0.1:{agents[name].port}\n")
    listed.write_text(text)
    shown = block("fleet.md", "toml", "shard")
    ports = (free_port(), free_port())
    with ExitStack() as stack:
        for number, port in enumerate(ports, 1):
            config = shown.replace("/etc/opticd/switches.txt", str(listed)).replace(":10800", f":{port}")
            config = config.replace("opticd-1", f"opticd-{number}").replace('"1/2"', f'"{number}/2"')
            config = config.replace('type = "snmp"', 'type = "snmp"\npoll_interval = 1.0')
            file = folder / f"agent{number}.toml"
            file.write_text(config)
            daemon = DaemonProcess(file, port)
            stack.callback(daemon.end)
        yield ports


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed (Debian: prometheus)")
async def test_two_agents_share_a_list_and_prometheus_finds_every_switch_once(tmp_path: Path) -> None:
    recording = (ROOT / "mixin" / "rules" / "opticd-recording.yml").read_text(encoding="utf-8")
    (tmp_path / "opticd-recording.yml").write_text(recording.replace("interval: 5m", "interval: 1s"))
    async with switches() as agents:
        with two_agents(tmp_path, agents) as (first, second):
            shown = block("fleet.md", "yaml", "http_sd_configs").replace(
                "scrape_interval: 1m", "scrape_interval: 1s"
            )
            shown = shown.replace("10.1.0.1:10800", f"127.0.0.1:{first}").replace(
                "10.1.0.2:10800", f"127.0.0.1:{second}"
            )
            shown = shown.replace("/sd\n", "/sd\n    refresh_interval: 1s\n")
            shown = shown.replace(
                "scrape_interval: 1s", "scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s"
            )
            (tmp_path / "prometheus.yml").write_text(shown)
            port = free_port()
            process = await asyncio.create_subprocess_exec(
                "prometheus", f"--config.file={tmp_path / 'prometheus.yml'}", "--log.level=error",
                f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}",
            )  # fmt: skip
            try:
                await _every_switch_once(f"http://127.0.0.1:{port}", (first, second))
            finally:
                process.terminate()
                await process.wait()


async def _counted(client: aiohttp.ClientSession, address: str, expression: str, wanted: float) -> None:
    """Wait until a query without labels says this; Prometheus needs a moment to start."""
    found: dict[str, float] = {}
    for _ in range(240):
        with contextlib.suppress(aiohttp.ClientError, json.JSONDecodeError):  # refused, then "unavailable"
            found = await query(client, address, expression)
            if found.get("") == wanted:
                return
        await asyncio.sleep(0.25)
    pytest.fail(f"{expression} never became {wanted}: {found}")


async def _every_switch_once(address: str, agents: tuple[int, int]) -> None:
    async with aiohttp.ClientSession() as client:
        await _counted(client, address, "count(count by (instance) (xcvr_temperature_celsius))", 4.0)
        for number, name in enumerate(NAMES, 1):
            found = await query(client, address, f'xcvr_temperature_celsius{{instance="{name}"}}')
            assert list(found.values()) == [40.0 + number]  # one agent has it, and it is this switch's
            hours = await until(client, address, f'opticd:link_hours:port{{instance="{name}"}}')
            assert len(hours) >= 1
        for line in block("fleet.md", "text", "topk").splitlines():
            async with client.get(f"{address}/api/v1/query", params={"query": line.split("  ")[0]}) as response:
                assert (await response.json())["status"] == "success", line
        shares: list[set[str]] = []
        for port in agents:
            async with client.get(f"http://127.0.0.1:{port}/sd") as answer:
                shares.append({group["labels"]["__param_target"] for group in await answer.json()})
            async with client.get(f"http://127.0.0.1:{port}/probe?target=nobody") as answer:
                assert answer.status == 404
        assert shares == [{name for name in NAMES if owner(name, 2) == part} for part in (1, 2)]


async def test_the_vendor_of_the_page_reads_a_device(tmp_path: Path) -> None:
    (tmp_path / "acme.toml").write_text(block("snmp.md", "toml", "ACME-OPTICS-MIB"))
    entry, interface = (1, 3, 6, 1, 4, 1, 99999, 1, 1, 1), (1, 3, 6, 1, 2, 1)
    cells = {3: 5000, 4: 100, 5: 20000, 6: 9984}
    rows = [Row((*entry, column, 7, 0), INTEGER, value) for column, value in cells.items()]
    rows += [Row((*entry, 3, 7, 1), INTEGER, -1), Row((*entry, 8, 7, 0), OCTET_STRING, b"SN-ACME")]
    rows += [
        Row((*interface, 1, 1, 0), OCTET_STRING, b"ACME"),
        Row((*interface, 2, 2, 1, 2, 7), OCTET_STRING, b"port7"),
    ]
    agent = await Agent.start(Tables(rows))
    try:
        read = await read_device("127.0.0.1", agent.port, Credentials(), name="acme", mibs=rules.load(tmp_path))
    finally:
        agent.stop()
    (reading,) = read.readings
    assert reading.port == "port7"
    assert reading.lanes[q.RX_POWER] == {1: pytest.approx(500e-6)}
    assert reading.values == {q.TEMPERATURE: pytest.approx(39.0)}
    assert reading.module.get("serial_number") == "SN-ACME"
    assert dict(reading.thresholds[q.RX_POWER]) == {
        "low_alarm": pytest.approx(1e-5),
        "high_alarm": pytest.approx(2e-3),
    }
