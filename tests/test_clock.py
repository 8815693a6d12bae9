"""The clock of a run: the host's, or one that is faster."""

import time

from agent.clock import Clock, Instant


def test_the_host_s_clock_is_the_host_s() -> None:
    clock = Clock()
    before = Instant(time.monotonic(), time.time())
    now = clock.now()
    assert before.monotonic <= now.monotonic <= time.monotonic()
    assert before.wall <= now.wall <= time.time()


def test_a_faster_clock_begins_now_and_keeps_its_two_times_together() -> None:
    begun = Instant(time.monotonic() - 10.0, 1_800_000_000.0)
    now = Clock(speed=168.0, begun=begun).now()
    late = time.monotonic() - begun.monotonic
    assert 1_680.0 <= now.monotonic - begun.monotonic <= late * 168.0
    assert now.wall - begun.wall >= now.monotonic - begun.monotonic
    assert now.wall - begun.wall <= late * 168.0
