"""The unit as systemd itself judges it, and the messages the daemon sends it."""

import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from agent.service import sdnotify
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
@pytest.mark.parametrize(("drop_ins", "limit"), [((), 1.3), (("ethtool.conf",), 1.8), (("isolated.conf",), 0.6)])
def test_exposure(tmp_path: Path, drop_ins: tuple[str, ...], limit: float) -> None:
    said = _analyze("security", "--offline=true", str(_unit(tmp_path, *drop_ins)))
    found = re.search(r"Overall exposure level for opticd\.service: ([\d.]+)", said)
    assert found is not None, said
    assert float(found[1]) <= limit


@needs_systemd
def test_the_sockets_without_a_network_are_valid(tmp_path: Path) -> None:
    unit = _unit(tmp_path, "isolated.conf")
    sockets = [shutil.copy(UNITS / name, tmp_path) for name in ("opticd.socket", "opticd-links.socket")]
    said = _analyze("verify", "--man=no", *map(str, sockets), str(unit))
    assert "opticd" not in said, said


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="systemd is not installed")
def test_a_listening_socket_is_taken_over(tmp_path: Path) -> None:
    """The tool of systemd listens and starts the daemon at the first connection, whatever the config's `listen`."""
    config = tmp_path / "opticd.toml"
    config.write_text(f'[agent]\nstate_dir = "{tmp_path}"\n[exporter.prometheus]\nlisten = "127.0.0.1:9"\n')
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "agent.cli", "run", "--config", str(config)]
    with subprocess.Popen(
        ["systemd-socket-activate", "-l", f"127.0.0.1:{port}", "-E", f"PYTHONPATH={ROOT}", *command],
        stderr=subprocess.PIPE, text=True,
    ) as daemon:  # fmt: skip
        try:
            assert daemon.stderr is not None
            assert "Listening on" in daemon.stderr.readline()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                assert b"opticd_build_info" in answer.read()
        finally:
            daemon.terminate()
            assert daemon.wait(20) == 0


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
