"""docs/alerts.md says what the code does: every built-in rule with its severity and times, every cause."""

import re

import pytest

from agent.alerts.builtin import BUILTIN_RULES
from agent.alerts.causes import Cause
from agent.alerts.rules import Gate, Rule
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (`[^|]+) \| ([a-z, ]+) \| .* \| (\d+) / (\d+) \| .*\|$", re.MULTILINE)


def documented() -> dict[str, tuple[set[str], float, float]]:
    """Rule name to the severities, `for` and `hold_off` of its row."""
    rows: dict[str, tuple[set[str], float, float]] = {}
    for names, severities, for_s, hold_off_s in ROW.findall(PAGE):
        for name in re.findall(r"`([^`]+)`", names):
            rows[name] = (set(severities.split(", ")), float(for_s), float(hold_off_s))
    return rows


def generic(rule: Rule) -> str:
    """A threshold rule by the pattern under which the page has it."""
    name = "vdm_<observable>" if rule.name.startswith("vdm_") else "<quantity>"
    return re.sub(r"^.*_((?:high|low)_(?:alarm|warning))$", rf"{name}_\1", rule.name)


@pytest.mark.parametrize("rule", BUILTIN_RULES, ids=lambda rule: rule.name)
def test_each_rule_is_on_the_page_as_it_is(rule: Rule) -> None:
    severities, for_s, hold_off_s = documented()[generic(rule)]
    assert rule.severity in severities
    assert (rule.for_s, rule.hold_off_s) == (for_s, hold_off_s)


def test_the_page_has_no_rule_that_does_not_exist() -> None:
    assert set(documented()) == {generic(rule) for rule in BUILTIN_RULES}


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause.value])
def test_each_cause_is_on_the_page(cause: Cause) -> None:
    assert f"`{cause.value}`" in PAGE


@pytest.mark.parametrize("gate", Gate)
def test_each_gate_is_on_the_page(gate: Gate) -> None:
    assert f"| `{gate.value}` |" in PAGE
