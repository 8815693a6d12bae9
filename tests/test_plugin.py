"""A driver of another package, installed from its source, used by name on the command line and in a config."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).resolve().parent / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that `pip` installed the package into, without a network."""
    pytest.importorskip("hatchling", reason="building the example package needs hatchling")
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    options = ["--no-build-isolation", "--no-index", "--no-cache-dir", "--target", str(target), str(PLUGIN)]
    done = subprocess.run([*pip, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def opticd(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(installed)},
        timeout=60,
    )


@pytest.fixture
def slot(tmp_path: Path, shared_data: Path) -> Path:
    """A recording, in the form of the imaginary tester."""
    folder = tmp_path / "slot1"
    folder.mkdir()
    pages = json.loads((shared_data / "eeprom/qsfpdd-400g-dr4.json").read_text(encoding="utf-8"))["pages"]
    for name, data in pages.items():
        (folder / name.replace(":", ".")).write_bytes(bytes.fromhex(data))
    return folder


def test_read_through_the_package(installed: Path, slot: Path, shared_data: Path) -> None:
    done = opticd(installed, "read", f"acme:{slot}?name=here", "--format", "json")
    assert done.returncode == 0, done.stderr
    reading = json.loads(done.stdout)
    expected = json.loads((shared_data / "eeprom/qsfpdd-400g-dr4.json").read_text(encoding="utf-8"))["expected"]
    assert (reading["port"], reading["source"]) == ("here", f"acme:{slot}")
    assert reading["values"]["supply_voltage_volts"] == pytest.approx(expected["supply_voltage_v"], abs=6e-4)


def test_its_errors_are_one_line(installed: Path, tmp_path: Path) -> None:
    done = opticd(installed, "read", f"acme:{tmp_path}")
    assert done.returncode == 1
    assert done.stderr.startswith(f"opticd: error: {tmp_path}: nothing there")
    done = opticd(installed, "read", "acme:slot1?nmae=x")
    assert done.returncode == 2
    assert done.stderr == "opticd: error: acme:slot1: give the whole path of the slot\n"
    done = opticd(installed, "read", f"acme:{tmp_path}?nmae=x")
    assert "unknown option 'nmae'" in done.stderr
    assert "did you mean 'name'?" in done.stderr


def test_without_the_package_it_is_unknown(tmp_path: Path) -> None:
    done = opticd(tmp_path, "read", "acme:/slot1")
    assert done.returncode == 2
    assert done.stderr.startswith("opticd: error: no driver for sources of kind 'acme'")


def test_a_config_names_it(installed: Path, tmp_path: Path) -> None:
    file = tmp_path / "opticd.toml"
    file.write_text('[[source]]\ntype = "plugin"\nname = "acme:/slot1"\nport = "bench"\n', encoding="utf-8")
    done = opticd(installed, "check", str(file))
    assert done.returncode == 0, done.stderr
