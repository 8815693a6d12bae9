"""The soak script itself, for seconds: it ends, measures, and finds nothing."""

import re
import subprocess
import sys

from tests.conftest import ROOT


def test_a_short_soak() -> None:
    arguments = ["--minutes", "0.3", "--ports", "64", "--interval", "2"]
    done = subprocess.run(
        [sys.executable, "scripts/soak", *arguments],
        check=False, capture_output=True, text=True, cwd=ROOT, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    polled = re.search(r"polled more than once: (\d+) of 64", done.stdout)
    assert polled is not None
    assert int(polled[1]) >= 50
