"""The lock file covers what pyproject asks for, with hashes; the wheel is the same whoever builds it."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.conftest import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LOCKED = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", LOCK, re.MULTILINE))


def test_everything_of_a_deployment_is_locked_with_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["snmpv3"], *extras["sonic"], *extras["top"], *extras["web-auth"]]
    names = {re.split(r"[><=~!\[ ]", each)[0].lower() for each in wanted}
    assert names <= set(LOCKED)
    for block in re.split(r"^(?=[a-z0-9._-]+==)", LOCK, flags=re.MULTILINE)[1:]:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block.splitlines()[0]
    told = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    assert [name for name in names if name not in told] == []


def test_the_wheel_is_reproducible(tmp_path: Path) -> None:
    sums = {
        _wheel(tmp_path / name, umask, mtime) for name, umask, mtime in (("a", 0o022, 1e9), ("b", 0o077, 1.7e9))
    }
    assert len(sums) == 1


def _wheel(folder: Path, umask: int, mtime: float) -> str:
    source = folder / "source"
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("agent", "drivers", "exporters", "fakes"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    for file in source.rglob("*"):
        os.utime(file, (mtime, mtime))
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")],
        cwd=source, check=True, capture_output=True, umask=umask,
    )  # fmt: skip
    (wheel,) = (folder / "dist").iterdir()
    return hashlib.sha256(wheel.read_bytes()).hexdigest()
