"""A real Prometheus scrapes, discovers and answers queries. Bounded: it is ended with the test."""

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import aiohttp
import pytest

from agent import quantities as q
from agent.model import Module, Reading
from benchmarks.synthetic import Switch
from tests.http_helpers import Served, alert, serving

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not installed (Debian: prometheus)"
)

CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: opticd
  static_configs: [{targets: ['%(target)s']}]
- job_name: remote
  http_sd_configs: [{url: 'http://%(target)s/sd', refresh_interval: 1s}]
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return cast("int", found.getsockname()[1])


@asynccontextmanager
async def prometheus(folder: Path, target: str) -> AsyncGenerator[str]:
    """A Prometheus that scrapes `target` every second; yields its address."""
    config = folder / "prometheus.yml"
    config.write_text(CONFIG % {"target": target})
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        "prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
    )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def query(client: aiohttp.ClientSession, address: str, expression: str) -> dict[str, float]:
    """An instant query: labels to value, empty while nothing is there yet."""
    async with client.get(f"{address}/api/v1/query", params={"query": expression}) as response:
        answer = json.loads(await response.text())
    return {
        ",".join(f"{key}={value}" for key, value in sorted(row["metric"].items()) if key != "instance"): float(
            row["value"][1]
        )
        for row in answer["data"]["result"]
    }


async def until(client: aiohttp.ClientSession, address: str, expression: str) -> dict[str, float]:
    """The answer of a query, as soon as it has one."""
    async with asyncio.timeout(20):
        while True:
            try:
                if found := await query(client, address, expression):
                    return found
            except aiohttp.ClientConnectionError:
                pass  # it is starting
            await asyncio.sleep(0.3)


def publish(served: Served) -> None:
    for moment in Switch(ports=64).readings(1795352400.0):
        served.hub.publish(moment)
    served.hub.publish(alert(lane=3, severity="critical"))
    served.hub.publish(
        Reading(
            device="spine-1", port="Ethernet1/1", source="snmp:spine-1", time=1795352400.0, module=Module(),
            values={q.TEMPERATURE: 33.25}, lanes={q.RX_POWER: {1: 0.0005, 2: 0.0}},
        )
    )  # fmt: skip


async def test_prometheus_scrapes_discovers_and_answers(tmp_path: Path) -> None:
    async with serving() as served, aiohttp.ClientSession() as client:
        publish(served)
        target = "{}:{}".format(*served.server.addresses[0])
        async with prometheus(tmp_path, target) as address:
            assert await until(client, address, 'count(xcvr_temperature_celsius{job="opticd"})') == {"": 64}
            lanes = await query(client, address, 'count by (lane) (xcvr_rx_power_dbm{job="opticd"})')
            assert lanes == {f"lane={lane}": 64 for lane in range(1, 9)}
            assert await query(client, address, "xcvr_alert_active") == {
                "__name__=xcvr_alert_active,job=opticd,lane=3,port=Ethernet0,rule=rx_margin,severity=critical": 1
            }
            assert await until(client, address, 'xcvr_temperature_celsius{job="remote",instance="spine-1"}') == {
                "__name__=xcvr_temperature_celsius,job=remote,port=Ethernet1/1": 33.25
            }
            assert await query(client, address, 'xcvr_rx_power_dbm{instance="spine-1",lane="2"}') == {
                "__name__=xcvr_rx_power_dbm,job=remote,lane=2,port=Ethernet1/1": -40
            }
            # What it was told of the families, by way of OpenMetrics.
            async with client.get(
                f"{address}/api/v1/metadata", params={"metric": "xcvr_rx_power_watts"}
            ) as response:
                told = json.loads(await response.text())["data"]["xcvr_rx_power_watts"][0]
            assert (told["type"], told["unit"]) == ("gauge", "watts")
            scraped = await query(client, address, 'scrape_samples_scraped{job="opticd"}')
            assert 9_000 < scraped["__name__=scrape_samples_scraped,job=opticd"] < 10_000
