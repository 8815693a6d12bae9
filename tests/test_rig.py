"""The packaged daemon under its real unit, systemd, a real kernel's I2C stack and links: one boot of the test VM.

The VM itself is `tests/rig/` (build-rig, run-rig); what is done in it is `tests/rig/observe.py`. Skipped with
a word where the VM cannot be built: not root, no apt, or OPTICD_RIG=0.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

RIG = ROOT / "tests" / "rig"
pytestmark = pytest.mark.rig

GUEST_PYTHON = "3.11"
LAUNCHER = """#!/opt/opticd/bin/python
import sys
from agent.cli import main
sys.exit(main())
"""


def _hex(data: bytearray) -> str:
    return bytes(data).hex()


def _module(serial: str, temperature: int) -> dict[str, Any]:
    """A made-up QSFP-DD 400G-DR4 (CMIS 5.0), 128 bytes a page, in the VM's image format."""
    lower = bytearray(128)
    lower[0:4] = bytes((0x18, 0x50, 0x00, 0x07))  # QSFP-DD, CMIS 5.0, paged, ModuleReady
    lower[14:18] = temperature.to_bytes(2, "big") + (33000).to_bytes(2, "big")
    lower[85] = 2  # optical SMF
    lower[86:90] = bytes((0x11, 0x1C, 0x84, 0x01))  # 400GAUI-8, 400GBASE-DR4, 8 host and 4 media lanes
    lower[90] = 0xFF
    page00 = bytearray(128)
    page00[0] = 0x18
    page00[1:17] = b"OPTICD RIG      "
    page00[20:36] = b"RIG-400G-DR4    "
    page00[38:54] = serial.encode().ljust(16)
    page00[54:62] = b"261122  "
    page00[84] = 0x06  # 1310 nm EML
    page00[94] = sum(page00[:94]) & 0xFF
    page01 = bytearray(128)
    page01[31] = 0x03  # 159: temperature and supply voltage
    page01[32] = 0x07  # 160: tx bias, tx power, rx power
    page01[127] = sum(page01[2:127]) & 0xFF
    page02 = bytearray(128)
    page02[0:8] = bytes.fromhex("4b00f60046000000")  # temperature 75, -10, 70, 0
    page02[127] = sum(page02[:127]) & 0xFF
    page10 = bytearray(128)
    page11 = bytearray(128)
    page11[0:4] = b"\x44" * 4  # all data paths activated
    for lane in range(4):
        page11[26 + 2 * lane : 28 + 2 * lane] = (12000 + lane).to_bytes(2, "big")  # tx power 1.2 mW
        page11[42 + 2 * lane : 44 + 2 * lane] = (25000).to_bytes(2, "big")  # tx bias 50 mA
        page11[58 + 2 * lane : 60 + 2 * lane] = (8000 + lane).to_bytes(2, "big")  # rx power 0.8 mW
    page11[78:86] = b"\x10" * 8  # AppSel 1 on every host lane
    pages = {"0x00": page00, "0x01": page01, "0x02": page02, "0x10": page10, "0x11": page11}
    return {"0x50": {"lower": _hex(lower), "pages": {name: _hex(page) for name, page in pages.items()}}}


def _run(*command: str | Path, timeout: float, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(part) for part in command], check=False, text=True, capture_output=True, timeout=timeout, cwd=cwd
    )


def _packaged(folder: Path) -> Path:
    """The tree of /opt/opticd as a tar file: the wheel and its dependencies for the guest's Python."""
    tree = folder / "tree" / "opt" / "opticd"
    site = tree / "lib" / f"python{GUEST_PYTHON}" / "site-packages"
    wheel = _run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT, timeout=300)
    assert wheel.returncode == 0, wheel.stderr
    (built,) = folder.glob("opticd-*.whl")
    install = _run(
        sys.executable, "-m", "pip", "install", "-q", "--target", site, "--only-binary=:all:",
        "--implementation", "cp", "--python-version", GUEST_PYTHON, built, timeout=600,
    )  # fmt: skip
    assert install.returncode == 0, install.stderr
    (tree / "bin").mkdir()
    (tree / "bin" / "python").symlink_to("/usr/bin/python3")
    (tree / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {GUEST_PYTHON}\n"
    )
    launcher = tree / "bin" / "opticd"
    launcher.write_text(LAUNCHER)
    launcher.chmod(0o755)
    archive = folder / "opticd.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(folder / "tree" / "opt", "opt")
    shutil.rmtree(folder / "tree")
    return archive


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the daemon did in the VM."""
    if os.environ.get("OPTICD_RIG") == "0":
        pytest.skip("the test VM is turned off (OPTICD_RIG=0)")
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.skip("the test VM needs root on Debian (QEMU, mmdebstrap)")
    built = _run(RIG / "build-rig", timeout=1200)
    if built.returncode:
        pytest.skip(f"the test VM could not be built: {built.stderr.strip().splitlines()[-1:]}")
    project = tmp_path_factory.mktemp("project")
    _packaged(project)
    shutil.copytree(ROOT / "systemd", project / "systemd")
    shutil.copy(RIG / "observe.py", project)
    (project / "module.json").write_text(json.dumps(_module("RIG0001", 0x2A80)))
    (project / "other.json").write_text(json.dumps(_module("SWAPPED0002", 0x3000)))
    out = tmp_path_factory.mktemp("out")
    ran = _run(
        RIG / "run-rig", "--time", "--memory", "1024", "--timeout", "900", "--project", project, "--out", out,
        "python3 /project/observe.py", timeout=960,
    )  # fmt: skip
    report = out / "observations.json"
    assert report.exists(), f"exit {ran.returncode}: {ran.stderr[-4000:]}"
    result: dict[str, Any] = json.loads(report.read_text())
    assert "failed" not in result, f"{result['failed']}\n{result['journal']}"
    return result


def test_starts_under_its_real_unit(observed: dict[str, Any]) -> None:
    assert observed["active"] == "active"
    assert observed["user"] != "root"
    assert observed["group"] == "i2c 660"


def test_reads_a_module_through_the_kernel(observed: dict[str, Any]) -> None:
    assert observed["temperature"] == 42.5  # 2A80h / 256
    assert observed["rx_power_lane1"] == 0.0008  # 8000 x 0.1 uW
    assert observed["temperature_after_set"] == 25.0  # 1900h / 256


def test_survives_a_nack_burst_and_an_adapter_failure(observed: dict[str, Any]) -> None:
    assert observed["temperature_after_nak"] == 25.0
    assert observed["temperature_after_stall"] == 25.0


def test_a_swapped_module_is_noticed(observed: dict[str, Any]) -> None:
    assert observed["temperature_after_swap"] == 48.0  # 3000h / 256


def test_unplug_takes_the_series_and_replug_brings_them_back(observed: dict[str, Any]) -> None:
    assert observed["series_after_unplug"] is None
    assert observed["bus_after_replug"] is True


def test_link_flaps_of_the_kernel_are_counted(observed: dict[str, Any]) -> None:
    assert observed["link_transitions"] == 6


def test_kill_and_watchdog_restart_it(observed: dict[str, Any]) -> None:
    assert observed["temperature_after_kill"] == 42.5  # the replugged module starts from its image
    assert "Watchdog timeout" in observed["journal"]


def test_stops_within_five_seconds_and_cleanly(observed: dict[str, Any]) -> None:
    assert observed["result"] == "success"
    assert observed["stop_seconds"] < 5
    assert "Traceback" not in observed["journal"]


def test_wrote_nothing_but_page_and_bank_select(observed: dict[str, Any]) -> None:
    writes = [m for m in observed["messages"] if m["do"] == "write" and m["ack"]]
    assert len(writes) > 50
    for message in writes:
        data = bytes.fromhex(message["data"])
        assert message["address"] == 0x50
        assert len(data) == 1 or data[0] == 127 or (data[0] == 126 and len(data) == 3), data.hex()
