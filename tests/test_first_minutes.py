"""What a new user meets: a host without modules, a config without sources, progress of slow commands."""

import json
import os
import pty
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.commands import scan
from agent.config.file import DEFAULT_CONFIG
from drivers.discovery import Found
from tests.conftest import ROOT
from tests.netns import namespace, needs_root
from tests.test_cli import opticd

OPTICD = Path(sys.executable).parent / "opticd"


@needs_root
@pytest.mark.skipif(DEFAULT_CONFIG.exists(), reason=f"{DEFAULT_CONFIG} is there: nothing is discovered")
def test_run_on_a_host_without_modules_says_what_was_looked_for_and_what_to_do(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with namespace() as ns, log.open("wb") as stream:
        process = subprocess.Popen(["ip", "netns", "exec", ns.name, str(OPTICD), "run"], stderr=stream)
        try:
            for _ in range(200):
                if "what comes later is read" in log.read_text():
                    break
                time.sleep(0.1)
            assert process.poll() is None  # it runs on: an interface may come
        finally:
            process.terminate()
            assert process.wait(20) == 0
    said = log.read_text()
    assert "no module was found: looked for interfaces" in said
    assert "what to do: run as root" in said
    assert "opticd demo" in said


def test_a_config_without_a_source_is_told(tmp_path: Path) -> None:
    path = tmp_path / "opticd.toml"
    path.write_text('[exporter.prometheus]\nlisten = "127.0.0.1:0"\n')
    process = subprocess.Popen(
        [str(OPTICD), "run", "--config", str(path)], stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stderr is not None
        assert f"{path} names no [[source]]" in process.stderr.readline()
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_scan_prints_nothing_but_its_result_where_nobody_watches() -> None:
    done = opticd("scan", "--format", "json")
    assert isinstance(json.loads(done.stdout), list)
    assert b"\r" not in done.stderr


def test_scan_prints_an_aligned_table_and_a_config(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        Found("i2c:1", "i2c-1", "module", "QSFP28 ACME A1"),
        Found("sysfs:/sys/bus/i2c/devices/31-0050/eeprom", "Ethernet0", "left alone", "xcvrd owns it\x1b[2J"),
    ]
    scan.show(found, colour=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["source", "port", "status", "what"]
    assert [line.index(word) for line, word in zip(lines, ("what", "QSFP28", "xcvrd"), strict=False)] == [
        66,
        66,
        66,
    ]
    assert "\x1b" not in "".join(lines)
    assert 'bus = "1"' in lines


def test_a_slow_read_says_what_it_is_at_on_a_terminal() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:  # a switch that never answers
        mute.bind(("127.0.0.1", 0))
        source = f"snmp:127.0.0.1:{mute.getsockname()[1]}"
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [str(OPTICD), "read", source], stdout=subprocess.DEVNULL, stderr=theirs, cwd=ROOT
        )
        os.close(theirs)
        said = b""
        try:
            while b" s)" not in said:
                said += os.read(ours, 4096)  # ends with an error when the process does
        finally:
            process.terminate()
            process.wait(20)
            os.close(ours)
    assert f"opticd: asking {source.partition('?')[0]} (".encode() in said
