"""The I2C and EEPROM file drivers on a real kernel: I2C_RDWR, every SMBus form, PIIX4, I801, at24. Two short boots.

What is done in the VM is `tests/rig/ways.py`. Skipped with a word where the VM cannot be built.
"""

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.rig.host import RIG, need_vm

IMPORTED = ("annotated_types", "pydantic", "pydantic_core", "smbus2", "typing_extensions", "typing_inspection")
pytestmark = pytest.mark.rig
Seen = dict[str, object]


def _copy(project: Path) -> None:
    """The packages, what they import, and a module whose every byte is known."""
    for package in ("agent", "drivers"):
        shutil.copytree(ROOT / package, project / package, ignore=shutil.ignore_patterns("__pycache__"))
    site = project / "site"
    site.mkdir()
    for name in IMPORTED:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin)
        if origin.name == "__init__.py":
            shutil.copytree(origin.parent, site / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(origin, site)
    lower = bytearray(range(128))
    lower[0:4] = b"\x18\x50\x00\x06"
    lower[126:128] = b"\x00\x00"
    pages = {"0x00": (b"\x18RIG OPTICS      ").ljust(128, b"\0").hex(), "0x11": bytes(range(128, 256)).hex()}
    (project / "module.json").write_text(json.dumps({"0x50": {"lower": lower.hex(), "pages": pages}}))
    shutil.copy(RIG / "ways.py", project)


@pytest.fixture(scope="module", params=["pc", "q35"])
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What the drivers said on one machine."""
    need_vm()
    project, out = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("out")
    _copy(project)
    machine = ["--machine", "q35"] if request.param == "q35" else []
    ran = subprocess.run(
        [
            RIG / "run-rig", *machine, "--init", "plain", "--timeout", "400", "--project", project, "--out", out,
            "PYTHONPATH=/project/site:/project python3 /project/ways.py",
        ],
        text=True, capture_output=True, check=False, timeout=460,
    )  # fmt: skip
    report = out / "ways.json"
    assert report.exists(), f"exit {ran.returncode}: {ran.stderr[-4000:]}"
    result: Seen = json.loads(report.read_text())
    assert "failed" not in result, result
    return {**result, "machine": request.param}


def test_every_form_of_transfer_reads_the_same(seen: Seen) -> None:
    for form in ("rdwr", "block", "word", "byte"):
        assert seen[f"{form} lower"] == "18500006", form
        assert seen[f"{form} page 11h"] == bytes(range(134, 174)).hex(), form
        assert seen[f"{form} page 0Fh"] == "PageRefused", form


def test_the_mainboards_smbus_by_its_own_means(seen: Seen) -> None:
    assert seen["mainboard"] == {"pc": "PIIX4", "q35": "I801"}[str(seen["machine"])]
    assert seen["spd"] == seen["spd by i2cget"]


def test_scan_is_not_fooled_by_memory_modules(seen: Seen) -> None:
    assert seen["scan"] == {"i2c:0": "left alone", "i2c:1": "module"}
    assert seen["scan all"] == {"i2c:1": "module"}
    assert seen["scan beside at24"] == {"i2c:0": "left alone", "i2c:1": "left alone"}


def test_errors_of_the_real_kernel(seen: Seen) -> None:
    assert [seen[name] for name in ("51h", "nak 1", "nak 2", "nak over")] == [*["ModuleAbsent"] * 3, "18500006"]
    assert [seen[name] for name in ("stall", "stall over")] == ["BusError", "18500006"]
    assert seen["unplugged"] in {"BusGone", "BusError"}
    assert seen["unplugged again"] == "BusGone"


def test_the_kernels_eeprom_file(seen: Seen) -> None:
    assert seen["file lower"] == "18500006"
    assert seen["file page 11h"] == "PageRefused"  # at24 knows no pages: the file ends
    assert [seen[name] for name in ("file A2h", "file nak")] == ["ModuleAbsent"] * 2
    assert seen["file nak over"] == "18500006"
    assert [seen[name] for name in ("file gone", "file gone again")] == ["BusGone", "BusGone"]
