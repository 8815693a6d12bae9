"""The dashboards against Grafana's own description of them: its Foundation SDK, made from Grafana's schemas.

A key that Grafana does not know is lost on the way through the SDK's types. These add defaults, but nothing else
may differ between what goes in and what comes out, of dashboard, panels, their options and queries.
"""

import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, cast

import pytest

from tests.conftest import ROOT

pytest.importorskip("grafana_foundation_sdk", reason="grafana-foundation-sdk is not installed (the extra test)")
ENCODER = pytest.importorskip("grafana_foundation_sdk.cog.encoder").JSONEncoder
DASHBOARDS = sorted((ROOT / "mixin" / "dashboards").glob("*.json"))


def through(model: str, kind: str, part: object) -> Any:
    """What is left of a piece of JSON after it was one of the SDK's types."""
    module = pytest.importorskip(f"grafana_foundation_sdk.models.{model}")
    return json.loads(json.dumps(getattr(module, kind).from_json(part), cls=ENCODER))


def lost(given: object, kept: object, place: str = "") -> Iterator[str]:
    """Places of what is not the same in `kept`, which may have more keys."""
    if isinstance(given, dict) and isinstance(kept, dict):
        has = cast("dict[str, object]", kept)
        for key, value in cast("dict[str, object]", given).items():
            yield from lost(value, has.get(key), f"{place}.{key}")
    elif isinstance(given, list) and isinstance(kept, list):
        pairs = zip_longest(cast("list[object]", given), cast("list[object]", kept))
        for at, (one, other) in enumerate(pairs):
            yield from lost(one, other, f"{place}[{at}]")
    elif given != kept:
        yield place


def parts(dashboard: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The model and type of the SDK, and the JSON, of everything that depends on the kind of panel."""
    for panel in dashboard["panels"]:
        model = panel["type"].replace("-", "")
        if "options" in panel:
            yield model, "Options", panel["options"]
        if custom := panel.get("fieldConfig", {}).get("defaults", {}).get("custom"):
            yield model, "FieldConfig", custom
        for query in panel.get("targets", ()):
            yield "prometheus", "Dataquery", query


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_grafana_knows_every_key(path: Path) -> None:
    dashboard = json.loads(path.read_text(encoding="utf-8"))
    pytest.importorskip("grafana_foundation_sdk.cog.plugins").register_default_plugins()
    assert list(lost(dashboard, through("dashboard", "Dashboard", dashboard))) == []
    found = list(parts(dashboard))
    assert len(found) > len(dashboard["panels"])
    for model, kind, part in found:
        assert list(lost(part, through(model, kind, part), f"{model}.{kind}")) == []


def test_a_key_that_grafana_does_not_know_is_found() -> None:
    dashboard = json.loads(DASHBOARDS[0].read_text(encoding="utf-8"))
    dashboard["panels"][0]["titel"] = "x"
    assert list(lost(dashboard, through("dashboard", "Dashboard", dashboard))) == [".panels[0].titel"]
    options = {"colourMode": "value"}
    assert list(lost(options, through("stat", "Options", options))) == [".colourMode"]
