"""The watch over every byte written: what it lets pass, and that one wrong byte fails the whole run."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.writes_seen import kind_of

BAD = """
from fakes.adapter import FakeAdapter
from tests.test_i2c import cmis_module

def test_passes_by_itself() -> None:
    FakeAdapter(cmis_module()).transact([(0x50, bytes.fromhex({out!r}))])
"""


@pytest.mark.parametrize(
    ("address", "out", "page", "kind"),
    [
        (0x50, "7f11", 0, "page select"),
        (0x51, "7f02", 0, "page select"),
        (0x50, "7e0111", 0, "bank and page select"),
        (0x50, "7e01", 0, "bank and page select"),
        (0x51, "7e0111", 0, ""),
        (0x50, "9080", 0x2F, "VDM freeze"),
        (0x50, "9080", 0x11, ""),
        (0x50, "1a10", 0, ""),  # LowPwrRequestSW of CMIS
        (0x50, "5601", 0, ""),  # Tx disable of SFF-8636
        (0x51, "6e40", 0, ""),  # soft Tx disable of SFF-8472
        (0x50, "7b00000000", 0, ""),  # a password
        (0x50, "7f1100", 0, ""),
        (0x74, "08", 0, "mux channel"),
        (0x74, "0801", 0, ""),
    ],
)
def test_what_may_be_written(address: int, out: str, page: int, kind: str) -> None:
    assert kind_of(address, bytes.fromhex(out), page) == kind


@pytest.mark.parametrize(("out", "code"), [("7f11", 0), ("1a10", 1)])
def test_one_wrong_byte_fails_a_run_whose_tests_all_pass(tmp_path: Path, out: str, code: int) -> None:
    (tmp_path / "test_bad.py").write_text(BAD.format(out=out), encoding="utf-8")
    (tmp_path / "conftest.py").write_text(
        "from tests import writes_seen\n\ndef pytest_configure(config):\n    writes_seen.watch(config)\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)],
        check=False, capture_output=True, text=True, cwd=ROOT, timeout=60, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == code
    assert ("WRONG: 1a 10 to 50h" in done.stdout) is bool(code)
