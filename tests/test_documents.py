"""The documents: what is generated is fresh, configs they show are valid, commands they show exist."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli import build_parser
from agent.config import file as config
from fakes import scenario
from tests.conftest import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
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


def test_every_scenario_shown_is_one(tmp_path: Path) -> None:
    shown = [text for _, text in _blocks("toml") if "[[event]]" in text]
    assert shown
    for text in shown:
        (tmp_path / "shown.toml").write_text(text)
        assert scenario.load(str(tmp_path / "shown.toml")).event


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


def test_the_plug_in_guide_shows_the_package_that_is_tested() -> None:
    text = (ROOT / "docs" / "drivers.md").read_text(encoding="utf-8")
    for name, language in (("pyproject.toml", "toml"), ("acme_optics.py", "python")):
        source = (ROOT / "tests" / "plugin" / name).read_text(encoding="utf-8").rstrip()
        assert f"```{language}\n{source}\n```" in text, f"docs/drivers.md shows another {name}"


def test_the_documents_build_and_need_nobody_else(tmp_path: Path) -> None:
    """Strict: every page is in the navigation, every link and anchor leads somewhere."""
    pytest.importorskip("mkdocs", reason="mkdocs is not installed (the extra docs)")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        check=False, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(list((ROOT / "docs").rglob("*.md")))
    for page in pages:
        fetched = re.findall(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"(https?:[^\"]+)", page.read_text())
        assert fetched == [], f"{page.name} asks another host"


def test_lists_are_lists_for_every_renderer() -> None:
    """Outside GitHub a list needs an empty line before it, and four spaces within another."""
    for page in PAGES:
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        before = ""
        for line in text.splitlines():
            if re.match(r"([-*]|\d+\.) ", line):
                joined = before and not re.match(r"([-*]|\d+\.) |\s|#|<!--", before)
                assert not joined, f"{page.relative_to(ROOT)}: {line}"
            before = line


NAMED = re.compile(
    r"`((?:scripts|agent|drivers|exporters|fakes|benchmarks|mixin|tests|systemd|deploy)/[a-z0-9_./-]*)`"
)


def test_files_that_documents_name_are_there() -> None:
    for page in PAGES:
        for name in NAMED.findall(page.read_text(encoding="utf-8")):
            assert (ROOT / name).exists(), f"{page.relative_to(ROOT)} names {name}"


def test_metrics_that_documents_name_are_exported() -> None:
    known = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name in set(re.findall(r"\bxcvr_[a-z0-9_]*[a-z0-9]\b(?![<*])", text)):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            group = name.startswith(("xcvr_vdm", "xcvr_coherent"))
            assert group or f"`{base}" in known, f"{page.relative_to(ROOT)} names {name}"


def _shell_scripts() -> list[Path]:
    files = [path for folder in ("scripts", "deploy/debian", "tests/rig") for path in (ROOT / folder).iterdir()]
    return [path for path in files if path.is_file() and re.match(r"#!.*\b(ba)?sh\n", path.read_text("utf-8"))]


def test_scripts_are_sound() -> None:
    if not shutil.which("bash"):
        pytest.skip("bash is not installed")
    scripts = _shell_scripts()
    assert {"test", "build-deb", "postinst", "build-rig"} <= {path.name for path in scripts}
    for path in scripts:
        done = subprocess.run(["bash", "-n", path], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_shellcheck_has_nothing_to_say_of_them() -> None:
    command = ["shellcheck", "--severity=warning", *map(str, _shell_scripts())]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout
