"""Go's client_golang as a peer: built from Debian's packages, where they are."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from benchmarks.daemon import ROOT

SOURCE: Final = Path(__file__).resolve().parent / "client_golang" / "main.go"
LIBRARIES: Final = Path("/usr/share/gocode")
_BUILD_LIMIT_S: Final = 240.0


class NotBuilt(Exception):
    """There is no server; the text says why."""


def server() -> Path:
    """The program; built once, and again when its source is newer. Raises NotBuilt."""
    program = ROOT / "build" / "bench" / "client_golang"
    if program.exists() and program.stat().st_mtime > SOURCE.stat().st_mtime:
        return program
    if shutil.which("go") is None or not (LIBRARIES / "src/github.com/prometheus/client_golang").is_dir():
        raise NotBuilt("client_golang: golang-go and golang-github-prometheus-client-golang-dev are not installed")
    program.parent.mkdir(parents=True, exist_ok=True)
    own = {
        "GOPATH": str(LIBRARIES),
        "GO111MODULE": "off",
        "GOCACHE": str(program.parent / "go-cache"),
        "GOFLAGS": "",
    }
    command = ("go", "build", "-o", str(program), str(SOURCE))
    try:
        done = subprocess.run(
            command, env=os.environ | own, capture_output=True, text=True, timeout=_BUILD_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise NotBuilt(f"client_golang: not built within {_BUILD_LIMIT_S:.0f} s") from exc
    if done.returncode:
        raise NotBuilt(f"client_golang: {(done.stderr.splitlines() or ['go build failed'])[-1]}")
    return program
