"""Fuzzing with atheris: coverage tells it which input was worth keeping.

    python scripts/fuzzing.py 15              # every target for 15 s, a table at the end
    python scripts/fuzzing.py 600 images      # one, longer
    python scripts/fuzzing.py --keep          # of all that was found, what reaches new lines becomes tests/corpus
    python scripts/fuzzing.py --one images FILE   # one input again, with its traceback

It begins with good inputs and the kept corpus. What is new is in build/fuzz/<target>, finds in build/fuzz/finds.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
BUILD: Final = ROOT / "build" / "fuzz"
sys.path.insert(0, str(ROOT))

import atheris  # noqa: E402  # must come before what it instruments

with atheris.instrument_imports(include=["agent", "drivers", "exporters"]):
    import exporters.http.server  # imported late by the targets that need them, and to be watched all the same
    import exporters.mqtt.exporter  # noqa: F401
    from scripts import fuzz_targets

MOST_BYTES: Final = 4096
KEPT_BYTES: Final = 24_000
"""Of each target, in the repository: those that reach new lines, the shortest first."""
KEPT_LEAST: Final = 24
"""Inputs, where there are so many."""
PRODUCT: Final = tuple(str(ROOT / package) for package in ("agent", "drivers", "exporters"))
Line = tuple[str, int]


def run_one(target: str, arguments: list[str]) -> None:
    """Fuzz in this process until libFuzzer says so."""
    atheris.Setup([sys.argv[0], *arguments], lambda data: fuzz_targets.run(target, data))
    atheris.Fuzz()


def corpus(target: str) -> Path:
    """A folder with everything that is known to be good to begin with; what is found is added to it."""
    folder = BUILD / target
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate([*fuzz_targets.seeds(target), *fuzz_targets.kept(target)]):
        (folder / f"seed{number}").write_bytes(data)
    return folder


def fuzz(target: str, seconds: str) -> tuple[str, bool]:
    """Executions, and whether it crashed; each in a process of its own."""
    finds = BUILD / "finds"
    finds.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [
            sys.executable, __file__, "--one", target, str(corpus(target)), f"-max_total_time={seconds}",
            "-timeout=10", "-rss_limit_mb=1024", f"-artifact_prefix={finds}/{target}-", "-print_final_stats=1",
            f"-max_len={MOST_BYTES}",
        ],
        check=False, capture_output=True, text=True, errors="replace", timeout=float(seconds) * 3 + 120,
    )  # fmt: skip
    executions = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    if done.returncode:
        print("\n".join(done.stderr.splitlines()[-40:]), file=sys.stderr)
    return executions[1] if executions else "?", done.returncode != 0


def keep(target: str) -> None:
    """Make the kept corpus: each input, the shortest first, that reaches lines which none before it reached."""
    found = (path.read_bytes() for path in corpus(target).iterdir())
    inputs = sorted({*found}, key=lambda data: (len(data), data))
    reached: set[Line] = set()
    chosen: list[bytes] = []
    others: list[bytes] = []
    room = KEPT_BYTES
    for data in inputs:
        new = _lines(target, data) - reached
        if new and len(data) <= room:
            reached |= new
            room -= len(data)
            chosen.append(data)
        else:
            others.append(data)
    chosen += others[: max(0, KEPT_LEAST - len(chosen))]  # no new lines, but atheris saw something new in them
    fuzz_targets.keep(target, chosen)
    print(f"{target}: {len(chosen)} of {len(inputs)} inputs, {sum(map(len, chosen))} bytes, {len(reached)} lines")


def _lines(target: str, data: bytes) -> set[Line]:
    """Lines of the product that an input reaches."""
    found: set[Line] = set()

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        if not frame.f_code.co_filename.startswith(PRODUCT):
            return None
        if event == "line":
            found.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    sys.settrace(trace)
    try:
        fuzz_targets.run(target, data)
    finally:
        sys.settrace(None)
    return found


def main() -> int:
    """A table, or the corpus."""
    if sys.argv[1:2] == ["--one"]:
        run_one(sys.argv[2], sys.argv[3:])
        return 0
    if sys.argv[1:2] == ["--keep"]:
        for target in sys.argv[2:] or fuzz_targets.TARGETS:
            keep(target)
        return 0
    seconds = sys.argv[1] if len(sys.argv) > 1 else "15"
    crashes = 0
    print("| parser | executions | seconds | crashes |\n|---|---|---|---|")
    for target in sys.argv[2:] or fuzz_targets.TARGETS:
        executions, crashed = fuzz(target, seconds)
        crashes += crashed
        print(f"| {target} | {executions} | {seconds} | {int(crashed)} |", flush=True)
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
