"""The command line as a user meets it: what it prints, where, and how it ends. Each case is a real process."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from agent.version import __version__
from tests.conftest import ROOT


def opticd(*arguments: str | Path, stdin: bytes = b"", timeout: float = 60) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "agent.cli", *(str(each) for each in arguments)],
        input=stdin, check=False, capture_output=True, timeout=timeout, cwd=ROOT,
    )  # fmt: skip


def image(folder: Path) -> Path:
    page = bytearray(256)
    page[0:3] = bytes((0x03, 0x04, 0x07))  # SFP, 2-wire identification, LC
    page[20:36] = b"OPTICD".ljust(16)
    page[37:40] = bytes.fromhex("001122")
    page[63] = sum(page[:63]) & 0xFF
    page[95] = sum(page[64:95]) & 0xFF
    path = folder / "sfp.json"
    path.write_text(json.dumps({"pages": {"a0": page.hex()}}))
    return path


def test_version() -> None:
    done = opticd("--version")
    assert (done.returncode, done.stdout.decode()) == (0, f"opticd {__version__}\n")


def test_no_command_is_a_usage_error() -> None:
    done = opticd()
    assert done.returncode == 2
    assert b"usage: opticd" in done.stderr


def test_decode_prints_one_json_document_a_line(tmp_path: Path) -> None:
    path = image(tmp_path)
    done = opticd("decode", path, path, "--format", "json")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 2
    document: dict[str, Any] = json.loads(lines[0])
    assert document["schema"] == "opticd/reading/1"
    assert document["module"]["vendor_name"] == "OPTICD"
    assert document["module"]["vendor_oui"] == "00:11:22"
    assert document["module"]["checksums_valid"] == {"base": True, "ext": True}


def test_decode_reads_standard_input(tmp_path: Path) -> None:
    done = opticd("decode", "-", stdin=image(tmp_path).read_bytes())
    assert done.returncode == 0, done.stderr
    assert b"OPTICD" in done.stdout
    assert b"\x1b[" not in done.stdout


def test_one_bad_file_does_not_hide_the_others(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    done = opticd("decode", bad, image(tmp_path), "--format", "json")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr.decode().startswith(f"opticd: error: {bad}: ")


@pytest.mark.parametrize(
    ("arguments", "code", "want"),
    [
        (("decode", "/nonexistent"), 1, "opticd: error: /nonexistent: No such file or directory"),
        (("read", "i2c:4095"), 1, "opticd: error: /dev/i2c-4095: "),
        (("read", "i3c:1"), 2, "opticd: error: no driver for sources of kind 'i3c'"),
        (("read", "nonsense"), 2, "opticd: error: 'nonsense' is no source"),
        (("check", "/nonexistent.toml"), 2, "opticd: error: /nonexistent.toml: No such file or directory"),
        (
            ("run", "--config", "/nonexistent.toml"),
            2,
            "opticd: error: /nonexistent.toml: No such file or directory",
        ),
        (("demo", "--scenario", "nope"), 2, "opticd: error: scenario 'nope'"),
    ],
)
def test_what_is_wrong_is_one_line_and_no_traceback(arguments: tuple[str, ...], code: int, want: str) -> None:
    done = opticd(*arguments)
    said = done.stderr.decode()
    assert done.returncode == code, said
    assert said.startswith(want), said
    assert "Traceback" not in said
    assert done.stdout == b""


def test_check_says_that_a_file_is_valid() -> None:
    done = opticd("check", ROOT / "systemd" / "opticd.toml")
    assert (done.returncode, done.stderr) == (0, b"")


def test_check_names_line_and_nearest_key(tmp_path: Path) -> None:
    path = tmp_path / "opticd.toml"
    path.write_text("[agent]\npol_interval = 3\n")
    done = opticd("check", path)
    assert done.returncode == 2
    assert done.stderr.decode() == (
        f"opticd: error: {path}:2: agent.pol_interval: unknown key, did you mean 'poll_interval'?\n"
    )


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ('[[source]]\ntype = "i2c"\nbus = "x"\n', "source[0]: 'x' is no I2C bus"),
        ('[[source]]\ntype = "snmp"\ntargets = "/nothere"\n', "source[0]: /nothere: No such file or directory"),
        (
            '[exporter.prometheus]\nlisten = ":99999"\n',
            "exporter.prometheus: listen: ':99999' is no address to listen on",
        ),
    ],
)
def test_check_finds_addresses_that_are_none(text: str, want: str, tmp_path: Path) -> None:
    path = tmp_path / "opticd.toml"
    path.write_text(text)
    done = opticd("check", path)
    assert done.returncode == 2
    error, hint = done.stderr.decode().splitlines()
    assert error == f"opticd: error: {path}: {want}"
    assert hint.startswith("opticd: hint: ")


def test_a_reader_that_goes_away_is_no_crash(tmp_path: Path) -> None:
    path = image(tmp_path)
    command = f"{sys.executable} -m agent.cli decode {' '.join([str(path)] * 50)} --format json | head -c 10"
    done = subprocess.run(["sh", "-c", command], check=False, capture_output=True, timeout=60, cwd=ROOT)
    assert b"Traceback" not in done.stderr


def test_help_may_be_cut_off() -> None:
    command = f"{sys.executable} -m agent.cli --help | true"
    done = subprocess.run(["sh", "-c", command], check=False, capture_output=True, timeout=60, cwd=ROOT)
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("words", "want"),
    [
        (("demo", "--ports", "many"), "argument --ports: 'many' is no number from 1 to 4096"),
        (("decode", "nothere"), "opticd: hint: a file is expected, or - for standard input"),
        (("decode", "pyproject.toml"), "opticd: hint: wanted: JSON of `opticd read --dump`"),
        (("rules", "test", "nothere"), "opticd: hint: a TOML file with a rule and a series"),
        (("check", "nothere"), "opticd: hint: give the path of another file"),
        (("read", "ethtool:nothere"), "opticd: hint: `ip link` shows the interfaces of this host"),
    ],
)
def test_a_mistake_ends_in_what_to_do(words: tuple[str, ...], want: str) -> None:
    done = opticd(*words)
    assert done.returncode in (1, 2)
    assert want in done.stderr.decode().splitlines()[-1]


def test_what_cannot_be_read_at_the_start_is_told_once(tmp_path: Path) -> None:
    config = tmp_path / "opticd.toml"
    config.write_text(
        f'[agent]\nstate_dir = "{tmp_path}"\npoll_interval = 0.05\n'
        f'[[source]]\ntype = "sysfs"\npath = "{tmp_path}/*-0050"\n'
        '[[source]]\ntype = "i2c"\nbus = "4095"\n'
        '[exporter.prometheus]\nlisten = "127.0.0.1:0"\n'
    )
    daemon = subprocess.Popen(
        [sys.executable, "-m", "agent.cli", "run", "--config", config], stderr=subprocess.PIPE, cwd=ROOT
    )
    assert daemon.stderr is not None
    first, second = (daemon.stderr.readline().decode() for _ in range(2))
    time.sleep(1)
    daemon.terminate()
    rest = daemon.communicate(timeout=30)[1]
    assert f"WARNING sysfs:{tmp_path}/*-0050: nothing matches now" in first
    assert "WARNING i2c-4095 cannot be read: /dev/i2c-4095: no such bus" in second
    assert rest == b""
