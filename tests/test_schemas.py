"""docs/schemas: fresh, and true of what a daemon over simulated modules says to a real broker."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import jsonschema
import pytest

from agent.alerts.document import encode_alert
from tests.conftest import ROOT
from tests.daemon_process import DaemonProcess, write_config
from tests.mosquitto import Heard, Subscriber, eventually, needs_mosquitto, publish
from tests.mosquitto import running as mosquitto
from tests.test_forensics import Scene
from tests.test_forensics import running as explaining

FOLDER: Final = ROOT / "docs" / "schemas"
NAMES: Final = ("alert", "link-event", "reading", "status")
Schema = dict[str, object]


def closed(name: str) -> jsonschema.Draft202012Validator:
    """The published schema, made to refuse keys that it does not name: what is not published must not be sent."""
    schema: Schema = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    definitions = cast("dict[str, Schema]", schema.get("$defs", {}))
    for each in (schema, *definitions.values()):
        if "properties" in each:
            each.setdefault("additionalProperties", False)
    return jsonschema.Draft202012Validator(schema)


VALIDATORS: Final = {name: closed(name) for name in NAMES}


def faults(name: str, document: Any) -> list[str]:
    errors: Iterable[jsonschema.ValidationError] = VALIDATORS[name].iter_errors(document)  # pyright: ignore[reportUnknownMemberType]
    return [f"{each.json_path}: {each.message}" for each in errors]


def test_the_files_are_fresh_and_are_schemas() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "gen-schemas", "--check"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert {path.stem for path in FOLDER.iterdir()} == set(NAMES)
    for validator in VALIDATORS.values():
        validator.check_schema(validator.schema)


def examples() -> Mapping[str, Schema]:
    """The JSON blocks of docs/mqtt.md, by their schema."""
    text = (ROOT / "docs" / "mqtt.md").read_text(encoding="utf-8")
    blocks = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]
    return {block["rule"]: block for block in blocks}


@pytest.mark.parametrize("rule", ["rx_power_low_alarm", "link_down"])
def test_the_examples_of_the_reference_are_valid(rule: str) -> None:
    name = "link-event" if rule == "link_down" else "alert"
    assert faults(name, examples()[rule]) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"severity": "bad"}, "$.severity"),
        ({"time": "yesterday"}, "$.time"),
        ({"seq": 0}, "$.seq"),
        ({"lane": None}, "$.lane"),
        ({"colour": "red"}, "$"),
        ({"schema": "opticd/alert/2"}, "$.schema"),
    ],
)
def test_what_is_wrong_is_found(change: Schema, what: str) -> None:
    found = faults("alert", {**examples()["rx_power_low_alarm"], **change})
    assert [each.partition(":")[0] for each in found] == [what]


def documents(heard: Iterable[Heard]) -> list[tuple[str, object]]:
    """What came, each with the name of its schema; cleared topics have no document."""
    found: list[tuple[str, object]] = []
    for each in heard:
        kind = each.topic.split("/")[2]
        if kind == "status":
            found.append(("status", each.payload))
        elif each.payload:
            document = json.loads(each.payload)
            link = document.get("rule", "").startswith("link")
            found.append(("reading" if kind == "reading" else "link-event" if link else "alert", document))
    return found


SCENARIO: Final = """
description = "One of each kind, and a link that flaps."
modules = [
  "sfp-10g-lr", "sfp-10g-dac", "qsfp28-100g-cwdm4", "qsfpdd-400g-dr4", "qsfpdd-400g-fr4", "qsfpdd-400g-lr4",
  "qsfpdd-400g-zr", "qsfpdd-400g-cr8", "osfp-2x400g-dr4", "osfp-xd-1600g-dr16", "osfp-800g-dr8-lpo",
  "osfp-800g-aec", "cpo-3200g-dr32", "elsfp-8", "elsfp-8",
]

[[event]]
kind = "flap"
ports = [3, 4]
at_s = 5.0
every_s = 12.0
down_s = 1.5
"""
MORE: Final = """
[exporter.mqtt]
url = "{url}"
readings = true

[[rule]]
name = "warm"
quantity = "temperature_celsius"
above = 20.0
severity = "info"

[[rule]]
name = "lit"
quantity = "rx_power_dbm"
above = -20.0
severity = "info"
"""
WANTED: Final = {
    "opticd/leaf-17/event",
    "opticd/leaf-17/alert/Ethernet4/link_down",
    "opticd/leaf-17/alert/Ethernet5/lit/lane1",
    "opticd/leaf-17/alert/Ethernet1/warm",
    *(f"opticd/leaf-17/reading/Ethernet{number}" for number in range(1, 16)),
}


async def _until_all(subscriber: Subscriber, within_s: float = 60.0) -> None:
    missing = WANTED
    for _ in range(int(within_s / 0.2)):
        missing = WANTED - {each.topic for each in subscriber.heard}
        if not missing and any('"resolved"' in each.payload for each in subscriber.heard):
            return
        await asyncio.sleep(0.2)
    pytest.fail(f"not within {within_s} s: {missing or 'an alert that is over'}")


@needs_mosquitto
async def test_everything_that_a_daemon_says_is_as_published(tmp_path: Path) -> None:
    (tmp_path / "each.toml").write_text(SCENARIO)
    async with mosquitto(tmp_path) as broker, Subscriber(broker, "opticd/#") as subscriber:
        more = MORE.format(url=broker.url)
        config, port = write_config(tmp_path, more=more, ports=15, scenario=str(tmp_path / "each.toml"))
        daemon = DaemonProcess(config, port)

        try:
            await _until_all(subscriber)
        finally:
            await asyncio.to_thread(daemon.end)
        await eventually(lambda: subscriber.heard[-1].payload == "offline")
    found = documents(subscriber.heard)
    assert {name for name, _ in found} == set(NAMES)
    families = {
        str(cast("dict[str, dict[str, object]]", document)["module"].get("memory_map"))
        for name, document in found
        if name == "reading"
    }
    assert families == {"sff8472", "sff8636", "cmis"}
    wrong = {fault for name, document in found for fault in faults(name, document)}
    assert wrong == set()


async def test_an_explained_link_event_is_as_published() -> None:
    scene = Scene()
    async with explaining(scene):
        for _ in range(5):
            scene.cage.poll()
        scene.cage.rx = dict.fromkeys(scene.cage.rx, 0.0)
        scene.edge(up=False)
        await eventually(lambda: bool(scene.explained()))
    (event,) = scene.explained()
    assert {"before", "after", "reasons"} <= set(event.evidence)
    # The time of the scene and its ids are its own.
    document = {**json.loads(encode_alert(event)), "id": "29f008f4-4297-4f44-98d3-17b9854919f4"}
    assert faults("link-event", document) == []
    assert faults("link-event", {**document, "evidence": {**event.evidence, "colour": "red"}}) != []


@needs_mosquitto
async def test_the_subscriptions_that_the_reference_shows(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "mqtt.md").read_text(encoding="utf-8")
    now, kept = re.findall(r"^mosquitto_sub .*$", text, re.MULTILINE)
    async with mosquitto(tmp_path) as broker:
        await publish(broker, "opticd/leaf-17/alert/Ethernet1/down", "{}")
        await publish(broker, "opticd/leaf-17/event", "{}")
        for line, topic in ((now, "opticd/leaf-17/alert/Ethernet1/down"), (kept, "opticd/leaf-17/event")):
            command = line.replace("broker.example", f"127.0.0.1 -p {broker.port} -C 1 -W 10")
            process = await asyncio.create_subprocess_shell(command, stdout=asyncio.subprocess.PIPE)
            out, _ = await process.communicate()
            assert (process.returncode, out.decode()) == (0, f"{topic} {{}}\n")
