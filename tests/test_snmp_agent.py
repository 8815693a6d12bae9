"""The fake agent as a process, looked at with net-snmp: v2c and v3, both kinds of tables, every misbehaviour."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from fakes import snmp_process
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(shutil.which("snmpbulkwalk") is None, reason="the Debian package snmp is missing")

SENSOR_VALUE = "1.3.6.1.2.1.99.1.1.1.4"
DOM_RX_LANES = "1.3.6.1.4.1.2636.3.60.1.2.1.1.6"
SYS_DESCR = "1.3.6.1.2.1.1.1.0"
V2C = ("-v2c", "-c", "public")
V3 = (
    "-v3",
    "-l",
    "authPriv",
    "-u",
    "monitor",
    "-a",
    "SHA-256",
    "-A",
    "authpass1234",
    "-x",
    "AES",
    "-X",
    "privpass1",
)
V3_WRONG = tuple("authpass9999" if word == "authpass1234" else word for word in V3)
USER = ("--user", "monitor", "--auth", "sha256", "--auth-password", "authpass1234", "--priv", "aes128")
AGENTS = {
    "plain": ("--ports", "4", *USER, "--priv-password", "privpass1"),
    "juniper": ("--ports", "4", "--mib", "juniper-dom"),
    "slow": ("--ports", "1", "--slow", "0.8"),
    "lossy": ("--ports", "1", "--lossy", "0.5"),
    "looping": ("--ports", "1", "--looping"),
    "truncating": ("--ports", "1", "--truncating", "30"),
    "reindexing": ("--ports", "1", "--reindexing", "1"),
}


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    """All of them, started together, by what they do."""
    command = [sys.executable, "-m", "fakes.snmp_agent", "127.0.0.1:0", "--scenario", "quiet"]
    running = {
        name: subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for name, options in AGENTS.items()
    }
    try:
        found: dict[str, int] = {}
        for name, process in running.items():
            assert process.stdout is not None
            ready = re.fullmatch(r"ready (\d+)\n", process.stdout.readline())
            assert ready is not None
            found[name] = int(ready[1])
        yield found
    finally:
        for process in running.values():
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def ask(tool: str, port: int, oid: str, *how: str, timeout_s: str = "5", retries: str = "0") -> str:
    """What net-snmp prints; its complaints too."""
    done = subprocess.run(
        [tool, *(how or V2C), "-t", timeout_s, "-r", retries, "-On", "-m", "", f"127.0.0.1:{port}", oid],
        check=False, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    return done.stdout + done.stderr


def rows(text: str, column: str) -> dict[str, int]:
    return {index: int(value) for index, value in re.findall(rf"\.{column}\.([\d.]+) = INTEGER: (-?\d+)", text)}


def test_v2c_and_v3_walk_the_same_sensors(ports: dict[str, int]) -> None:
    plain, signed = (
        rows(ask("snmpbulkwalk", ports["plain"], SENSOR_VALUE, *how), SENSOR_VALUE) for how in (V2C, V3)
    )
    assert len(plain) > 10
    assert plain.keys() == signed.keys()
    for tool in ("snmpget", "snmpbulkwalk"):
        assert '= STRING: "Fake Networks EOS"' in ask(tool, ports["plain"], SYS_DESCR, *V3)
        assert "Authentication failure" in ask(tool, ports["plain"], SYS_DESCR, *V3_WRONG)


def test_the_same_modules_stand_in_the_tables_of_a_vendor(ports: dict[str, int]) -> None:
    found = rows(ask("snmpbulkwalk", ports["juniper"], DOM_RX_LANES), DOM_RX_LANES)
    assert found
    assert all(-4000 <= value <= 800 for value in found.values())  # hundredths of dBm
    assert {index.partition(".")[2] for index in found} >= {"0", "1", "2", "3"}  # lanes count from 0
    assert not rows(ask("snmpbulkwalk", ports["juniper"], SENSOR_VALUE), SENSOR_VALUE)


def test_a_slow_agent_answers_later(ports: dict[str, int]) -> None:
    assert "Timeout" in ask("snmpget", ports["slow"], SYS_DESCR, timeout_s="0.3")
    assert "STRING" in ask("snmpget", ports["slow"], SYS_DESCR)


def test_a_lossy_agent_answers_now_and_then(ports: dict[str, int]) -> None:
    answers = [ask("snmpget", ports["lossy"], SYS_DESCR, timeout_s="0.3") for _ in range(20)]
    assert any("Timeout" in answer for answer in answers)
    assert any("STRING" in answer for answer in answers)


def test_a_looping_agent_never_leaves_its_column(ports: dict[str, int]) -> None:
    assert "OID not increasing" in ask("snmpbulkwalk", ports["looping"], SENSOR_VALUE)


def test_a_truncating_agent_cannot_be_understood(ports: dict[str, int]) -> None:
    assert "STRING" not in ask("snmpget", ports["truncating"], SYS_DESCR, timeout_s="0.5")


def test_a_reindexing_agent_starts_anew_with_other_indexes(ports: dict[str, int]) -> None:
    before = rows(ask("snmpbulkwalk", ports["reindexing"], SENSOR_VALUE), SENSOR_VALUE)
    end = time.monotonic() + 15.0
    while (
        after := rows(ask("snmpbulkwalk", ports["reindexing"], SENSOR_VALUE), SENSOR_VALUE)
    ).keys() & before.keys():
        assert time.monotonic() < end
        time.sleep(0.3)
    assert len(after) == len(before) > 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "give a recording or --scenario"),
        (("x.snmprec", "--scenario", "quiet"), "give a recording or --scenario"),
        (("x.snmprec",), "No such file"),
        (("--scenario", "nothing"), "scenario 'nothing'"),
        (("x.snmprec", "--reindexing", "1"), "--reindexing needs --scenario"),
        (("--scenario", "quiet", "--priv", "aes128"), "--priv needs --auth"),
    ],
)
def test_what_it_cannot_do_it_says_in_a_line(
    options: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        snmp_process.main(("127.0.0.1:0", *options))
    assert ended.value.code != 0
    assert words in capsys.readouterr().err.splitlines()[-1]
