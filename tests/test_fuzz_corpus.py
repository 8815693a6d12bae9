"""What fuzzing found worth keeping, run again: every input of tests/corpus ends in a value or an error of ours."""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

import pytest

from scripts import fuzz_targets
from scripts.fuzz_targets import CORPUS, TARGETS

NAMED = {"registers", "snmp", "netlink", "serial", "images", "config", "http", "mqtt", "lldp", "traps"}
"""Parsers of bytes from outside, by the word for each."""
MOST_BYTES = 500_000


@contextmanager
def within(seconds: float) -> Generator[None]:
    """A parser that does not come back is a find too."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"still at work after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("target", TARGETS)
def test_every_kept_input_is_answered(target: str) -> None:
    inputs = [*fuzz_targets.kept(target), *fuzz_targets.seeds(target)]
    assert len(inputs) > 10
    for data in inputs:
        with within(fuzz_targets.FOREVER_S):
            fuzz_targets.run(target, data)


def test_the_corpus_is_small_and_every_parser_has_one() -> None:
    files = {path.stem: path.stat().st_size for path in CORPUS.glob("*.hex")}
    assert set(files) == set(TARGETS)
    assert set(TARGETS) >= NAMED
    assert sum(files.values()) < MOST_BYTES


def test_a_parser_that_breaks_is_noticed() -> None:
    def breaks(data: bytes) -> None:
        raise IndexError(data)

    TARGETS["breaks"] = breaks
    try:
        with pytest.raises(IndexError):
            fuzz_targets.run("breaks", b"\0")
    finally:
        del TARGETS["breaks"]
