"""The package under its real unit, systemd, a real kernel's I2C stack and links: two boots of the test VM.

The VM itself is `tests/rig/` (build-rig, run-rig); what is done in it is `tests/rig/observe.py`, and after its
restart `tests/rig/reboot.py`. Skipped with a word where the VM cannot be built: not root, no apt, or OPTICD_RIG=0.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent.version import __version__
from tests.conftest import ROOT
from tests.rig.host import RIG, need_vm

pytestmark = pytest.mark.rig


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


def _certificate(project: Path) -> None:
    """A key and a certificate of 127.0.0.1 that signs itself."""
    made = _run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-days", "30000", "-subj", "/CN=rig", "-addext", "subjectAltName=IP:127.0.0.1",
        "-keyout", project / "web.key", "-out", project / "web.crt", timeout=60,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr


def _packages(folder: Path) -> None:
    """Two revisions of the package, packed for speed."""
    revisions = ("--revision", "1", "--revision", "2", "--compression", "gzip:1")
    made = _run(ROOT / "scripts" / "build-deb", "--out", folder, *revisions, timeout=900)
    assert made.returncode == 0, made.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the VM sees."""
    need_vm()
    folder = tmp_path_factory.mktemp("project")
    _packages(folder)
    shutil.copytree(ROOT / "systemd", folder / "systemd")
    (folder / "tests" / "rig").mkdir(parents=True)
    for name in ("vm.py", "observe.py", "reboot.py"):
        shutil.copy(RIG / name, folder / "tests" / "rig")
    (folder / "module.json").write_text(json.dumps(_module("RIG0001", 0x2A80)))
    (folder / "other.json").write_text(json.dumps(_module("SWAPPED0002", 0x3000)))
    _certificate(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is kept from boot to boot: the VM's disk."""
    return tmp_path_factory.mktemp("vm")


def _boot(project: Path, folder: Path, script: str) -> dict[str, Any]:
    """What a script saw in the VM."""
    ran = _run(
        RIG / "run-rig", "--time", "--memory", "1024", "--timeout", "1500", "--project", project,
        "--out", folder / "out", "--disk", folder / "disk.img", f"python3 -m tests.rig.{script}", timeout=1560,
    )  # fmt: skip
    report = folder / "out" / f"{script}.json"
    assert report.exists(), f"exit {ran.returncode}: {ran.stderr[-4000:]}"
    result: dict[str, Any] = json.loads(report.read_text())
    assert "failed" not in result, f"{result['failed']}\n{result['journal']}"
    return result


@pytest.fixture(scope="module")
def observed(project: Path, folder: Path) -> dict[str, Any]:
    """What the daemon did in the VM."""
    return _boot(project, folder, "observe")


@pytest.fixture(scope="module")
def rebooted(project: Path, folder: Path, observed: dict[str, Any]) -> dict[str, Any]:
    """What it did after the VM was started again, from the same disk."""
    assert observed
    return _boot(project, folder, "reboot")


def test_starts_under_its_real_unit(observed: dict[str, Any]) -> None:
    assert 61184 <= observed["user"] <= 65519  # systemd's range of users that exist only while a service runs
    assert observed["group"] == "i2c 660"
    assert observed["seccomp"] == ["CapEff:", "0000000000000000", "NoNewPrivs:", "1", "Seccomp:", "2"]
    assert observed["process_metrics"] is True


def test_installed_it_runs(observed: dict[str, Any]) -> None:
    assert (observed["enabled"], observed["active"]) == ("enabled", "active")
    assert observed["i2c_dev_loaded"] == [False, True]
    assert observed["version"] == f"opticd {__version__}"
    assert "MARGIN FLAPS ALERTS" in observed["top"]


def test_no_system_call_was_denied(observed: dict[str, Any], rebooted: dict[str, Any]) -> None:
    """Each of them would have killed it: the VM's unit differs in that from the one that is shipped."""
    assert (observed["denied"], rebooted["denied"]) == ([], [])
    assert "SIGSYS" not in observed["journal"] + rebooted["journal"]
    assert "status=31/SYS" not in observed["journal"] + rebooted["journal"]


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


def test_a_reload_brings_a_port_and_a_bad_config_changes_nothing(observed: dict[str, Any]) -> None:
    assert observed["after_bad_reload"] == [1.0, True]


def test_kill_and_watchdog_restart_it(observed: dict[str, Any]) -> None:
    assert observed["temperature_after_kill"] == 42.5  # the replugged module starts from its image
    assert "Watchdog timeout" in observed["journal"]


def test_an_upgrade_keeps_what_was_counted(observed: dict[str, Any]) -> None:
    assert observed["upgraded"] == [f"{__version__}-2", "active"]
    assert observed["downs_after_upgrade"] == [3.0, 2.0]  # three of the cable, two of the dummy interface


def test_credentials_of_systemd_for_broker_and_tls(observed: dict[str, Any]) -> None:
    assert observed["downs_over_tls"] == 3.0
    assert observed["plain_http"] is None
    assert "Sesame" not in observed["journal"]


def test_after_a_restart_of_the_machine_it_is_there(rebooted: dict[str, Any]) -> None:
    assert rebooted["chain"][0] == "opticd.service"
    assert "basic.target" in rebooted["chain"]
    assert {"network.target", "modprobe@i2c_dev.service"} <= set(rebooted["after"])
    assert rebooted["temperature"] == 42.5
    assert rebooted["downs"] == [3.0, 2.0]


def test_without_a_network_it_is_scraped_and_told_of_links(rebooted: dict[str, Any]) -> None:
    assert rebooted["isolated_network"] is True
    assert rebooted["isolated_up"] == 1.0


def test_an_owner_whose_processes_are_hidden_is_found(rebooted: dict[str, Any]) -> None:
    assert "xcvrd owns the modules" in rebooted["beside_an_owner"]


def test_removed_it_keeps_config_and_state_purged_it_leaves_nothing(rebooted: dict[str, Any]) -> None:
    assert rebooted["active_after_remove"] == "inactive"
    kept = rebooted["left_after_remove"]
    assert "/etc/opticd/opticd.toml" in kept
    assert [path for path in kept if path.startswith(("/opt", "/usr", "/lib/"))] == []
    assert rebooted["left_after_purge"] == []


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
