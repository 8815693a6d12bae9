"""docs/install.md followed: pipx for real, drop-ins as systemd sees them, files that it names.

The Debian package is installed in the VM (test_rig.py). Not run here: podman and kubectl, which need a registry.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.version import __version__
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
FLAT = bytes.fromhex("18500407").ljust(128, b"\0").hex()  # QSFP-DD, CMIS 5.0, flat memory, ModuleReady


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", PAGE, re.MULTILINE | re.DOTALL)


def _commands() -> list[str]:
    lines = "".join(_blocks("sh")).splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


@pytest.mark.skipif(not shutil.which("pipx"), reason="pipx is not installed")
def test_pipx_installs_a_command_that_works(tmp_path: Path) -> None:
    """The wheel and what it needs, from the package index."""
    (command,) = (line for line in _commands() if line.startswith("pipx install"))
    places = {
        "PIPX_HOME": tmp_path / "home",
        "PIPX_BIN_DIR": tmp_path / "bin",
        "PIPX_DEFAULT_PYTHON": sys.executable,
    }
    environment = {**os.environ, **{name: str(value) for name, value in places.items()}}
    done = subprocess.run(
        command, shell=True, cwd=ROOT, env=environment, check=False, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    opticd = tmp_path / "bin" / "opticd"
    assert _said(opticd, "--version") == f"opticd {__version__}\n"
    image = tmp_path / "image.json"
    image.write_text(json.dumps({"family": "cmis", "pages": {"lower": FLAT}}))
    reading = json.loads(_said(opticd, "decode", str(image), "--format", "json"))
    assert (reading["module"]["revision"], reading["module_state"]) == ("5.0", "ModuleReady")
    short = (opticd, "demo", "--ports", "2", "--listen", "127.0.0.1:0", "--duration", "2")
    demo = subprocess.run(short, check=True, capture_output=True, text=True, timeout=60)
    assert "  broker   none, so no MQTT" in demo.stdout  # the package of the broker is not there, the demo is
    assert "Traceback" not in demo.stderr
    shared = tmp_path / "home" / "venvs" / "opticd" / "share"
    assert (shared / "man" / "man1" / "opticd.1").exists()
    assert (shared / "bash-completion" / "completions" / "opticd").exists()


def _said(*command: str | Path) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, cwd="/")
    return done.stdout


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("text", _blocks("ini"))
def test_drop_ins_are_valid(text: str, tmp_path: Path) -> None:
    unit = tmp_path / "opticd.service"
    unit.write_text(
        (ROOT / "systemd" / "opticd.service").read_text().replace("/opt/opticd/bin/opticd", "/bin/true")
    )
    (tmp_path / "opticd.service.d").mkdir()
    (tmp_path / "opticd.service.d" / "shown.conf").write_text(text.replace("/usr/local/bin/opticd", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, "opticd" in done.stderr) == (0, False), done.stderr


def test_files_that_are_named_are_there() -> None:
    named = re.findall(r"(?:^|[\s`])((?:systemd|deploy|scripts)/[\w.-]+)", PAGE)
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).exists()] == []
    examples = re.findall(r"/usr/share/doc/opticd/examples/([\w.-]+)", PAGE)
    assert examples
    assert [name for name in examples if not (ROOT / "systemd" / name).exists()] == []


def test_the_package_is_named_as_it_is_built() -> None:
    assert f"./dist/opticd_{__version__}-1_amd64.deb" in PAGE
