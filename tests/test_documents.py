"""The documents: what is generated is fresh, configs they show are valid, commands they show exist."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent import config
from agent.cli import build_parser
from tests.conftest import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _blocks(kind: str) -> list[tuple[str, str]]:
    return [
        (f"{page.relative_to(ROOT)}", text)
        for page in PAGES
        for language, text in FENCE.findall(page.read_text(encoding="utf-8"))
        if language == kind
    ]


def test_the_configuration_reference_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "gen-configuration", "--check"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def _configs() -> list[tuple[str, str]]:
    """The blocks of TOML whose tables are those of the config: others show other files."""
    tables = "|".join(config.Config.model_fields)
    return [(page, text) for page, text in _blocks("toml") if re.search(rf"^\[\[?({tables})\b", text, re.MULTILINE)]


@pytest.mark.parametrize(("page", "text"), _configs())
def test_every_config_shown_is_valid(page: str, text: str) -> None:
    config.parse(text, name=page)


def _commands() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for page, text in _blocks("sh"):
        for line in text.splitlines():
            command = line.split("#")[0].split("|")[0].split("&")[0].strip()
            if command.startswith("opticd "):
                found.append((page, command))
    return found


@pytest.mark.parametrize(("page", "command"), _commands())
def test_every_opticd_command_shown_is_understood(page: str, command: str) -> None:
    words = [word.strip("'\"") for word in command.split()[1:]]
    if words in (["--version"], ["--help"]):
        return
    build_parser().parse_args(words)


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_scripts_are_sound() -> None:
    if not shutil.which("bash"):
        pytest.skip("bash is not installed")
    for path in (ROOT / "scripts").iterdir():
        if path.is_file() and "bash" in path.read_text(encoding="utf-8").split("\n", 1)[0]:
            done = subprocess.run(["bash", "-n", Path(path)], check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
