"""The unit as systemd itself judges it, and the messages the daemon sends it."""

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from agent import sdnotify
from tests.conftest import ROOT

UNITS = ROOT / "systemd"
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


def _unit(folder: Path, *drop_ins: str) -> Path:
    """The unit in a folder of its own; its command is replaced by one that exists here."""
    unit = folder / "opticd.service"
    unit.write_text((UNITS / "opticd.service").read_text().replace("/opt/opticd/bin/opticd", "/bin/true"))
    for name in drop_ins:
        (folder / "opticd.service.d").mkdir(exist_ok=True)
        shutil.copy(UNITS / name, folder / "opticd.service.d")
    return unit


def _analyze(*arguments: str) -> str:
    done = subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_systemd
def test_the_unit_is_valid(tmp_path: Path) -> None:
    said = _analyze("verify", "--man=no", str(_unit(tmp_path)))
    assert "opticd.service" not in said, said


@needs_systemd
@pytest.mark.parametrize(("drop_ins", "limit"), [((), 1.5), (("ethtool.conf",), 2.0)])
def test_exposure(tmp_path: Path, drop_ins: tuple[str, ...], limit: float) -> None:
    said = _analyze("security", "--offline=true", str(_unit(tmp_path, *drop_ins)))
    found = re.search(r"Overall exposure level for opticd\.service: ([\d.]+)", said)
    assert found is not None, said
    assert float(found[1]) <= limit


def test_messages_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        sdnotify.notify("READY=1", "STATUS=32 ports")
        assert systemd.recv(4096) == b"READY=1\nSTATUS=32 ports"


def test_silent_outside_a_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    sdnotify.notify("READY=1")


@pytest.mark.parametrize(
    ("microseconds", "pid", "want"),
    [("30000000", "", 15.0), ("30000000", str(os.getpid()), 15.0), ("30000000", "1", None), ("", "", None)],
)
def test_watchdog_interval(
    microseconds: str, pid: str, want: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    monkeypatch.setenv("WATCHDOG_PID", pid)
    assert sdnotify.watchdog_interval_s() == want
