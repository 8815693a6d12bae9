"""The test VM as the host sees it: tests that need it get it, or are skipped with a word."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

RIG = ROOT / "tests" / "rig"


def need_vm() -> None:
    """Build the VM where there is none yet."""
    if os.environ.get("OPTICD_RIG") == "0":
        pytest.skip("the test VM is turned off (OPTICD_RIG=0)")
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.skip("the test VM needs root on Debian (QEMU, mmdebstrap)")
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the guest has Python 3.11: compiled packages of another one do not load there")
    built = subprocess.run([RIG / "build-rig"], text=True, capture_output=True, check=False, timeout=1200)
    if built.returncode:
        pytest.skip(f"the test VM could not be built: {built.stderr.strip().splitlines()[-1:]}")
