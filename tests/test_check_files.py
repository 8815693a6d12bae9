"""`opticd check` looks at the files that a config names: a line for each that is wrong, without a secret."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SECRET = "Sesame-In-A-File"


def check(path: Path) -> tuple[int, list[str], str]:
    """Exit code, lines on standard error, standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli", "check", str(path)],
        check=False, capture_output=True, text=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stderr.splitlines(), done.stdout


def config(folder: Path, text: str) -> Path:
    path = folder / "opticd.toml"
    path.write_text(text.format(folder=folder), encoding="utf-8")
    return path


def secret(folder: Path, name: str, text: str = SECRET, *, mode: int = 0o600) -> None:
    (folder / name).write_text(text + "\n", encoding="utf-8")
    (folder / name).chmod(mode)


ALL = """
[agent]
peers = "{folder}/peers.toml"

[exporter.prometheus]
web_config = "{folder}/web.yml"

[exporter.mqtt]
url = "mqtts://broker.example"
username = "opticd"
password_file = "{folder}/mqtt"
ca_file = "{folder}/ca.pem"

[[source]]
type = "snmp"
targets = ["192.0.2.1"]
version = "3"
user = "opticd"
auth = "sha256"
auth_password_file = "{folder}/auth"
priv = "aes128"
priv_password_file = "{folder}/priv"

[[source]]
type = "snmp"
targets = ["192.0.2.2"]
community_file = "{folder}/community"
"""


def test_every_file_that_is_missing_is_a_line(tmp_path: Path) -> None:
    code, lines, out = check(config(tmp_path, ALL))
    assert (code, out) == (2, "")
    assert [line.removeprefix("opticd: error: ") for line in lines] == [
        f"{tmp_path}/peers.toml: No such file or directory ([agent] peers names this file)",
        f"{tmp_path}/web.yml: No such file or directory (see [exporter.prometheus] web_config)",
        *(line.removeprefix("opticd: error: ") for line in lines[2:]),
    ]
    for key in ("exporter.mqtt.password_file", "exporter.mqtt.ca_file", "source[0].auth_password_file",
                "source[0].priv_password_file", "source[1].community_file"):  # fmt: skip
        (line,) = [each for each in lines if f"{key}: " in each]
        assert f"{tmp_path}/" in line
        assert "No such file or directory" in line
    assert len(lines) == 7


def test_what_is_in_them_is_looked_at_and_never_shown(tmp_path: Path) -> None:
    secret(tmp_path, "mqtt", mode=0o640)
    secret(tmp_path, "auth", "short")
    secret(tmp_path, "priv", "")
    secret(tmp_path, "community", mode=0o604)
    secret(tmp_path, "ca.pem", "no certificate")
    (tmp_path / "peers.toml").write_text("[[links]]\n", encoding="utf-8")
    (tmp_path / "web.yml").write_text(
        "tls_server_config:\n  cert_file: none.crt\n  key_file: none.key\n", encoding="utf-8"
    )
    code, lines, _ = check(config(tmp_path, ALL))
    assert code == 2
    said = "\n".join(lines)
    assert f"{tmp_path}/mqtt: others may read this password" in said
    assert f"{tmp_path}/community: others may read this secret" in said
    assert f"source[0].auth_password_file: {tmp_path}/auth: a password of SNMPv3 has at least 8 characters" in said
    assert f"source[0].priv_password_file: {tmp_path}/priv: the file is empty" in said
    assert "exporter.mqtt.ca_file: " in said
    assert f"{tmp_path}/peers.toml: links: unknown key" in said
    assert f"{tmp_path}/web.yml: tls_server_config.cert_file: {tmp_path}/none.crt: No such file" in said
    assert len(lines) == 7
    assert SECRET not in said
    assert "short:" not in said.replace(str(tmp_path), "")


def test_credentials_of_a_unit_are_not_there_before_it_runs(tmp_path: Path) -> None:
    path = config(
        tmp_path,
        '[exporter.mqtt]\nurl = "mqtt://broker.example"\nusername = "opticd"\n'
        'password_file = "/run/credentials/opticd.service/mqtt-password"\n',
    )
    code, lines, out = check(path)
    assert code == 0
    assert "valid" in out
    where = "/run/credentials/opticd.service/mqtt-password"
    assert lines == [f"opticd: note: {where} is there only while the unit runs: not looked at"]


@pytest.mark.parametrize("url", ["mqtt://u:p@broker", "mqtt://:99999999"])
def test_an_url_that_the_daemon_would_refuse_is_refused(tmp_path: Path, url: str) -> None:
    code, lines, _ = check(config(tmp_path, f'[exporter.mqtt]\nurl = "{url}"\n'))
    assert code == 2
    assert len(lines) == 1
    assert "exporter.mqtt.url: " in lines[0]
