"""Completions and manual page: fresh, and understood by the shells and by man."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli import build_parser
from agent.helptexts import HELP
from tests.conftest import ROOT

COMMANDS = sorted(HELP)


def need(tool: str, package: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed (Debian: {package})")


def output(*command: str | Path, text: str = "", folder: Path = ROOT) -> str:
    done = subprocess.run(
        [str(each) for each in command], input=text, check=False, capture_output=True, text=True, timeout=60,
        cwd=folder, env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_they_are_fresh() -> None:
    assert output(sys.executable, ROOT / "scripts" / "gen-cli", "--check") == ""


def test_every_command_is_explained_and_its_examples_are_understood() -> None:
    parser = build_parser()
    for name in COMMANDS:
        for line, _ in HELP[name].examples:
            words = line.split("|")[-1 if line.startswith("ethtool") else 0].split()
            assert parser.parse_args(words[1:]).command == name


def bash(line: str, folder: Path = ROOT) -> list[str]:
    """What bash offers for the last word of a line."""
    words = line.split(" ")
    program = f"""
source {ROOT / "completions" / "opticd.bash"}
COMP_WORDS=({" ".join(f"'{word}'" for word in words)}) COMP_CWORD={len(words) - 1}
COMP_LINE='{line}' COMP_POINT=${{#COMP_LINE}}
spec=$(complete -p opticd)
function=${{spec#*-F }}
"${{function%% *}}" opticd '{words[-1]}' '{words[-2]}' 2>/dev/null
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    return output("bash", "--norc", text=program, folder=folder).split()


def test_bash(tmp_path: Path) -> None:
    need("bash", "bash")
    (tmp_path / "lab.toml").touch()
    assert sorted(word for word in bash("opticd ") if not word.startswith("-")) == COMMANDS
    assert bash("opticd deco") == ["decode"]
    assert bash("opticd decode --fo") == ["--format"]
    assert bash("opticd decode --format ") == ["table", "json"]
    assert bash("opticd demo --scenario st") == ["storm"]
    assert bash("opticd check la", tmp_path) == ["lab.toml"]


def test_fish() -> None:
    need("fish", "fish")

    def offered(line: str) -> list[str]:
        program = f"source {ROOT / 'completions' / 'opticd.fish'}; complete -C '{line}'"
        return sorted(each.split("\t")[0] for each in output("fish", "--no-config", "-c", program).splitlines())

    assert offered("opticd deco") == ["decode"]
    assert offered("opticd decode --format ") == ["json", "table"]
    assert "--once" in offered("opticd top --")


def test_zsh() -> None:
    need("zsh", "zsh")
    output("zsh", "-n", ROOT / "completions" / "_opticd")
    program = (
        f"autoload -Uz compinit; compinit -D -u; fpath=({ROOT / 'completions'} $fpath); autoload -Uz _opticd; "
    )
    assert "function" in output("zsh", "-f", "-c", program + "autoload +X _opticd; whence -w _opticd")


def test_the_manual_page_renders_without_warnings() -> None:
    need("man", "man-db")
    page = output("man", "--warnings", "-l", ROOT / "man" / "opticd.1")
    for name in COMMANDS:
        assert f"opticd {name}" in page
    assert "SIGHUP" in page
