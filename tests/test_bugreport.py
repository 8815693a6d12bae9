"""`opticd bugreport`: what is in the archive, and above all what is not."""

import asyncio
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from agent.config.redaction import redacted_config, scrubbed, secrets_of
from tests.conftest import ROOT
from tests.http_helpers import serving
from tests.test_cli import image

INLINE, USER, PASSWORD, COMMUNITY, KEY, HASH, OPTION, COMMENT = (
    "inline-Hunter2", "mallory", "url-Hunter3", "comm-Unity4", "MIIEkeyKEYkeyKEY5",
    "$2b$12$abcdefghijklmnopqrstuu5Zk3o2B5nT0GJ1Z9Z1Z9Z1Z9Z1Z9Z1Z", "option-Hunter6", "old-Hunter7",
)  # fmt: skip
SECRETS = (INLINE, USER, PASSWORD, COMMUNITY, KEY, HASH, OPTION, COMMENT)


def write_config(folder: Path) -> Path:
    """A config with secrets in every place that people put them, right or wrong."""
    (folder / "community").write_text(f"{COMMUNITY}\n")
    (folder / "broker.key").write_text(f"-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\n")
    (folder / "web.yml").write_text(f"basic_auth_users:\n  prometheus: {HASH}\n")
    page = bytes.fromhex(json.loads(image(folder).read_text())["pages"]["a0"])
    eeprom = folder / "31-0050" / "eeprom"
    eeprom.parent.mkdir()
    eeprom.write_bytes(page + bytes(256))
    path = folder / "opticd.toml"
    path.write_text(
        f"""[agent]
device = "leaf-17"                  # password was "{COMMENT}"
[[source]]
type = "snmp"
targets = ["leaf-18=10.0.0.18"]
community_file = "{folder / "community"}"
[[source]]
type = "sysfs"
path = "{eeprom}"
[[source]]
type = "i2c"
bus = "4095"
[[source]]
type = "plugin"
name = "acme:box?password={OPTION}"
[exporter.prometheus]
web_config = "{folder / "web.yml"}"
[exporter.mqtt]
url = "mqtts://{USER}:{PASSWORD}@broker.example:8883"
key_file = "{folder / "broker.key"}"
password = "{INLINE}"
"""
    )
    return path


async def report(folder: Path, *arguments: str, path: str = "") -> dict[str, str]:
    """Run it; the files of the archive by their names below its folder."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent.cli", "bugreport", "--output", str(folder), *arguments, cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PATH": f"{path}:{os.environ['PATH']}"},
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    archive = Path(out.decode().strip())
    return _unpacked(archive)


def _unpacked(archive: Path) -> dict[str, str]:
    assert archive.stat().st_mode & 0o777 == 0o600
    found: dict[str, str] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            stream = tar.extractfile(member)
            assert stream is not None
            found[member.name.partition("/")[2]] = stream.read().decode()
    return found


async def test_it_has_what_is_needed_and_no_secret(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    journalctl = tools / "journalctl"  # a log in which somebody was careless
    said = f'refused for {PASSWORD}\nasked with community={COMMUNITY} {{"token": "xyz12345"}}'
    journalctl.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\n")
    journalctl.chmod(0o755)
    config = write_config(tmp_path)
    async with serving() as served:
        files = await report(tmp_path, "--config", str(config), "--url", served.url(""), path=str(tools))
    everything = "\n".join(files.values())
    assert [secret for secret in SECRETS if secret in everything] == []
    assert "xyz12345" not in everything
    assert "device = " in files["config/opticd.toml"]
    assert files["config/opticd.toml"].splitlines()[-1] == 'password = "[removed]"'
    assert f'community_file = "{tmp_path / "community"}"' in files["config/opticd.toml"]
    assert "exporter.mqtt.password: unknown key" in files["config/check.txt"]
    assert "refused for [removed]" in files["host/journal.txt"]
    assert json.loads(files["versions.json"])["packages"]["pydantic"]
    assert "opticd_build_info" in files["daemon/metrics.txt"]
    assert json.loads(files["daemon/summary.json"]) == []
    assert isinstance(json.loads(files["scan.json"]), list)
    assert "README.txt" in files


async def test_memory_of_modules(tmp_path: Path) -> None:
    """The config has to be right for that: its sources are read."""
    config = write_config(tmp_path)
    text = config.read_text().replace(f'password = "{INLINE}"\n', "").replace(f"{USER}:{PASSWORD}@", "")
    config.write_text(text)
    async with serving() as served:  # a daemon answers: what the kernel does not keep apart is left alone
        files = await report(tmp_path, "--config", str(config), "--url", served.url(""))
    name = next(name for name in files if name.startswith("modules/sysfs"))
    pages = json.loads(files[name])["pages"]
    assert bytes.fromhex(pages["a0"])[20:36] == b"OPTICD".ljust(16)
    assert files["modules/i2c_4095.txt"].startswith("left alone: opticd reads it now")
    files = await report(tmp_path, "--config", str(config), "--url", "http://127.0.0.1:9", "--modules", "all")
    assert "i2c-4095" in files["modules/i2c_4095.txt"]
    assert "127.0.0.1:9" in files["daemon/none.txt"]
    assert json.loads(files[name])["pages"]["a0"].startswith(pages["a0"])  # whole pages now


async def test_no_config_and_no_daemon(tmp_path: Path) -> None:
    files = await report(tmp_path, "--config", "/nonexistent", "--url", "http://127.0.0.1:9", "--modules", "none")
    assert files["config/check.txt"] == "/nonexistent: No such file or directory\n"
    assert files["modules/none.txt"].startswith("not wanted")
    assert "config/opticd.toml" not in files


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ('password = "x1y2" # hint', 'password = "[removed]"'),
        ("  auth_password='x1y2'", '  auth_password="[removed]"'),
        ('password_file = "/etc/x"', 'password_file = "/etc/x"'),
        ('url = "mqtt://me:x1y2@host"', 'url = "mqtt://[removed]@host"'),
        ('auth = { user = "me", password = "x1y2" }', 'auth = { user = "me", password = "[removed]" }'),
        ('name = "acme:h?token=x1y2&a=1"', 'name = "acme:h?token=[removed]&a=1"'),
        ('port = "Ethernet#1" # x1y2', 'port = "Ethernet#1"'),
        ('secret = """x1y2', 'secret = "[removed]"'),
        ("poll_interval = 10", "poll_interval = 10"),
    ],
)
def test_lines_of_a_config(line: str, want: str) -> None:
    assert redacted_config(line) == want + "\n"


def test_a_secret_of_several_lines_goes_as_a_whole() -> None:
    text = 'token = """\nx1y2\n"""\nnext = 1\ncommunity = [\n "x1y2",\n]\nlast = 2\n'
    kept = redacted_config(text)
    assert "x1y2" not in kept
    assert kept.splitlines()[3] == "next = 1"
    assert kept.splitlines()[7] == "last = 2"


def test_secrets_are_found_in_a_file_that_is_no_toml_too() -> None:
    text = 'password = "x1y2z3"\nbroken = [\npassword_file = "/etc/p"\n'
    assert secrets_of(text, lambda path: "from-file\n" if path == "/etc/p" else "") == {"x1y2z3", "from-file"}


def test_short_secrets_do_not_take_the_text_with_them() -> None:
    assert scrubbed("a log of aaa", {"a"}) == "a log of aaa"
    assert scrubbed("Authorization: Basic eHg6eXk=", ()) == "Authorization: [removed]"
