"""The mixin: fresh, valid, unit-tested, and every query of every dashboard answered by what the demo exports."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
import yaml

from agent.alerts.document import to_alert_document
from agent.model import AlertEvent
from tests.conftest import ROOT
from tests.test_prometheus import free_port

MIXIN = ROOT / "mixin"
RUNBOOKS = ROOT / "docs" / "runbooks"
DASHBOARDS = sorted((MIXIN / "dashboards").glob("*.json"))
NAME = re.compile(r"\b(?:xcvr|opticd|process|scrape)_\w+|\bopticd:[\w:]+")


def need(tool: str, package: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed (Debian: {package})")


def run(*command: str | Path) -> None:
    done = subprocess.run([str(each) for each in command], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def rule_files() -> list[Path]:
    return sorted((MIXIN / "rules").glob("*.yml"))


def rules() -> Iterator[dict[str, Any]]:
    for path in rule_files():
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


def queries() -> Iterator[tuple[str, str]]:
    """Where each query of a dashboard stands, and the query."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']} ({target['refId']})", target["expr"]


def test_it_is_fresh() -> None:
    run(sys.executable, ROOT / "scripts" / "gen-mixin", "--check")


def test_rules_are_valid_and_do_what_they_say() -> None:
    need("promtool", "prometheus")
    run("promtool", "check", "rules", *rule_files())
    run("promtool", "check", "config", MIXIN / "prometheus" / "prometheus.yml")
    run("promtool", "test", "rules", *sorted((MIXIN / "tests").glob("*.yml")))


def test_every_alert_has_a_unit_test_and_a_runbook() -> None:
    alerts = {rule["alert"]: rule for rule in rules() if "alert" in rule}
    tests = (MIXIN / "tests" / "opticd.yml").read_text()
    assert len(alerts) >= 25
    for name, rule in alerts.items():
        assert re.search(rf"alertname: {name}\b", tests), f"{name} has no unit test"
        page = ROOT / rule["annotations"]["runbook_url"]
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {name}\n")
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["What it means", "What to look at", "What to do"]
    pages = {path.name for path in RUNBOOKS.glob("*.md")} - {"README.md"}
    assert pages == {Path(rule["annotations"]["runbook_url"]).name for rule in alerts.values()}


def test_alertmanager_takes_the_example_and_routes_by_severity() -> None:
    need("amtool", "prometheus-alertmanager")
    config = MIXIN / "alertmanager" / "alertmanager.yml"
    run("amtool", "check-config", config)
    for labels, receiver in (
        (("alertname=OpticdRxLos", "severity=critical"), "on-call"),
        (("alertname=OpticdRxMarginLow", "severity=warning"), "operators"),
        (("alertname=OpticdManyLinksDown", "severity=critical", "instance=leaf"), "on-call"),
    ):
        run(
            "amtool",
            "config",
            "routes",
            "test",
            f"--config.file={config}",
            f"--verify.receivers={receiver}",
            *labels,
        )


def test_alerts_named_in_the_inhibitions_exist() -> None:
    names = {rule["alert"] for rule in rules() if "alert" in rule}
    for rule in yaml.safe_load((MIXIN / "alertmanager" / "alertmanager.yml").read_text())["inhibit_rules"]:
        matchers: list[str] = [*rule["source_matchers"], *rule["target_matchers"]]
        for matcher in matchers:
            value = matcher.split("=", 1)[1].strip(' ~"')
            assert any(re.fullmatch(value, name) for name in names), matcher


def test_the_home_assistant_example_asks_for_keys_that_alerts_have() -> None:
    text = (MIXIN / "mqtt" / "home-assistant.yaml").read_text()
    package = yaml.safe_load(text)
    assert package["mqtt"]["binary_sensor"][0]["state_topic"] == "opticd/leaf-17/status"
    assert package["automation"][0]["triggers"][0]["topic"] == "opticd/leaf-17/event"
    event = AlertEvent(
        id="1", seq=1, boot_id="b", time=1.0, device="leaf-17", port="p", rule="r", severity="critical",
        state="firing", summary="It is so.", cause="dirt", lane=1,
    )  # fmt: skip
    keys = set(to_alert_document(event)) | {"replayed"}
    wanted = set(re.findall(r"(?:value_json|payload_json)\.(\w+)", text)) - {"get"}
    wanted |= set(re.findall(r"\.get\('(\w+)'", text))
    assert {"summary", "severity", "replayed", "lane"} <= wanted <= keys


def test_dashboards_are_told_apart_and_choose_their_source() -> None:
    assert len(DASHBOARDS) == 5
    for path in DASHBOARDS:
        document = json.loads(path.read_text())
        assert document["uid"] == path.stem
        assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])
        places = [panel["gridPos"] for panel in document["panels"]]
        assert all(place["x"] + place["w"] <= 24 for place in places)
        cells = [
            (x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])
        ]
        assert len(cells) == len(set(cells)), f"{path.stem}: panels lie on each other"
        assert "${datasource}" in path.read_text()


# ---- with a real Prometheus and the real demo -------------------------------------------------------------


@asynccontextmanager
async def process(*command: str | Path, log: Path) -> AsyncGenerator[None]:
    """A process that is ended with the block; what it says is in a file."""
    with log.open("wb") as stream:
        started = await asyncio.create_subprocess_exec(
            *(str(each) for each in command), cwd=ROOT, stdout=stream, stderr=stream,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    try:
        yield
    finally:
        if started.returncode is None:
            started.terminate()
        async with asyncio.timeout(20):
            await started.wait()


async def demo_address(said: Path) -> str:
    """HOST:PORT of a demo, once it says so in this file."""
    for _ in range(200):
        if found := re.search(r"page +http://([^/]+)/", await asyncio.to_thread(said.read_text)):
            return found[1]
        await asyncio.sleep(0.2)
    raise AssertionError(f"the demo gave no address: {await asyncio.to_thread(said.read_text)}")


def config(folder: Path, target: str) -> Path:
    """Scrapes and evaluates every second, the slow group of rules too."""
    for path in rule_files():
        (folder / path.name).write_text(re.sub(r"^ *interval: .*\n", "", path.read_text(), flags=re.MULTILINE))
    file = folder / "prometheus.yml"
    file.write_text(
        f"global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n"
        f"rule_files: ['{folder}/opticd-*.yml']\n"
        f"scrape_configs: [{{job_name: opticd, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    return file


class Queries:
    """Asks a Prometheus."""

    def __init__(self, client: aiohttp.ClientSession, address: str) -> None:
        self._client = client
        self._address = address

    async def get(self, path: str, **parameters: str) -> Any:
        """`data` of an answer; {} while it is starting."""
        try:
            async with self._client.get(f"{self._address}/api/v1/{path}", params=parameters) as response:
                answer = json.loads(await response.text())
        except (aiohttp.ClientConnectionError, json.JSONDecodeError):
            return {}
        assert answer["status"] == "success", f"{parameters}: {answer}"
        return answer["data"]

    async def rows(self, expression: str) -> list[dict[str, Any]]:
        """An instant query."""
        return cast("list[dict[str, Any]]", (await self.get("query", query=expression)).get("result", []))


PORT = (
    "topk(1, count by (port) (xcvr_frame_error_ratio and on (port) xcvr_rx_power_dbm "
    "and on (port) xcvr_tx_bias_amperes and on (port) xcvr_snr_db and on (port) xcvr_rx_cdr_lol "
    "and on (port) xcvr_tx_fault))"
)
"""A port that offers everything the dashboard of a port shows."""
FIRING = tuple(
    (f"{name} fires", f'ALERTS{{alertname="{name}",alertstate="firing"}}')
    for name in ("OpticdLinkFlapped", "OpticdRuleCritical")
)
"""Alerts that the demo's flapping port causes."""


async def unanswered(ask: Queries, target: str) -> list[str]:
    """The queries that have no data."""
    chosen = await ask.rows(PORT)
    if not chosen:
        return ["no port offers everything yet"]
    values = {
        "$job": "opticd",
        "$instance": target,
        "$port": chosen[0]["metric"]["port"],
        "$__rate_interval": "10s",
    }
    missing: list[str] = []
    for where, query in (*queries(), *FIRING):
        for name, value in values.items():
            query = query.replace(name, value)  # noqa: PLW2901
        assert "$" not in query, where
        if not await ask.rows(query):
            missing.append(f"{where}: {query}")
    return missing


async def test_every_query_has_data_and_every_rule_evaluates(tmp_path: Path) -> None:
    need("prometheus", "prometheus")
    said = tmp_path / "demo.log"
    demo = (sys.executable, "-m", "agent.cli", "demo", "--ports", "32", "--listen", "127.0.0.1:0")
    async with process(*demo, log=said), aiohttp.ClientSession() as client:
        target = await demo_address(said)
        port = free_port()
        server = (
            "prometheus", f"--config.file={config(tmp_path, target)}", f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
        )  # fmt: skip
        async with process(*server, log=tmp_path / "prometheus.log"):
            ask = Queries(client, f"http://127.0.0.1:{port}")
            missing = ["nothing asked yet"]
            for _ in range(15):
                await asyncio.sleep(4)
                if not (missing := await unanswered(ask, target)):
                    break
            assert missing == []
            groups = (await ask.get("rules"))["groups"]
            assert [rule["name"] for group in groups for rule in group["rules"] if rule["health"] != "ok"] == []
            async with client.get(f"http://{target}/metrics") as response:
                exported = set(re.findall(r"^# TYPE (\S+)", await response.text(), re.MULTILINE))
    check_names(exported)


def check_names(exported: set[str]) -> None:
    """Every name in queries and rules is exported, documented, or recorded by a rule."""
    documented = set(NAME.findall((ROOT / "docs" / "metrics.md").read_text()))
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    texts = [query for _, query in queries()] + [rule["expr"] for rule in rules()]
    for name in {name for text in texts for name in NAME.findall(text)}:
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        known = {name, base} & (exported | documented | recorded) or name.startswith("scrape_")
        assert known, f"nothing exports {name}"
