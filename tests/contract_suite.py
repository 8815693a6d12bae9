"""What every way into a module has to do, whatever the wire: one suite, run on the bench of every driver.

A bench is a driver over its fake device, or real hardware (`pytest --hardware=i2c:/dev/i2c-3`). It brings about
what `cases` names; the table at the end of the run shows `-` for what a wire cannot do at all.
"""

import concurrent.futures
import contextlib
import threading
import time
from typing import Final, Protocol

import pytest

from agent.errors import DriverError, ModuleAbsent, PageRefused, ShortRead
from agent.memory import I2C_DIAGNOSTICS, Memory, ModuleMemory, Shape, Span

CASES: Final = ("present", "paged", "banked", "absent", "short", "slow", "unplugged", "cancelled", "garbage")

_LOWER: Final = bytes((0x18, 0x50, 0x00, 0x06)) + bytes(range(4, 126)) + bytes(2)
_PAGE_00: Final = bytes((0x18,)) + b"OPTICD CONTRACT " + bytes(111)
_PAGE_11: Final = bytes(range(128, 256))
_PAGE_11_BANK_1: Final = bytes(range(255, 127, -1))
_A0: Final = bytes((0x03, 0x04, 0x07)) + bytes(range(3, 64)) + bytes(range(192))
_A2: Final = bytes(range(255, -1, -1))
FLAT: Final = Shape("sff8472", flat=True)
PAGED: Final = Shape("cmis", flat=False)
BANKED: Final = Shape("cmis", flat=False, banks=2)


def cmis_image(*, banks: int = 1) -> Memory:
    """A CMIS module: pages 00h and 11h, each byte known."""
    memory = Memory()
    memory.put(Span(0, 128), _LOWER)
    memory.put(Span(128, 128), _PAGE_00)
    memory.put(Span(128, 128, page=0x11), _PAGE_11)
    if banks > 1:
        memory.put(Span(128, 128, page=0x11, bank=1), _PAGE_11_BANK_1)
    return memory


def sfp_image() -> Memory:
    """An SFP with diagnostics, without pages."""
    memory = Memory()
    memory.put(Span(0, 256), _A0)
    memory.put(Span(0, 256, i2c=I2C_DIAGNOSTICS), _A2)
    return memory


class Bench(Protocol):
    """A driver and, below it, what it drives."""

    @property
    def cases(self) -> frozenset[str]:
        """Which of `CASES` it can bring about."""
        ...

    @property
    def limit_s(self) -> float:
        """No call takes longer, whatever happens on the wire."""
        ...

    def insert(self, image: Memory) -> ModuleMemory:
        """Put a module with this memory into the cage; the way to it."""
        ...

    def remove(self) -> None:
        """Pull the module."""
        ...

    def short(self) -> None:
        """The next answer of the device is cut short."""
        ...

    def slow(self, seconds: float) -> None:
        """From now on each answer comes so much later."""
        ...

    def unplug(self) -> None:
        """The way in disappears (adapter, cable, interface)."""
        ...

    def plug(self) -> None:
        """It is back."""
        ...

    def stall(self) -> None:
        """From now on the device does not answer."""
        ...

    def release(self) -> None:
        """It answers again, late: what was asked meanwhile too."""
        ...

    def garble(self) -> None:
        """The next answer is garbage."""
        ...

    def close(self) -> None:
        """Tidy up."""
        ...


def run(case: str, bench: Bench) -> None:
    """One case on one bench."""
    if case not in bench.cases:
        pytest.skip(f"this wire cannot bring about: {case}")
    _SUITE[case](bench)


def _present(bench: Bench) -> None:
    memory = bench.insert(cmis_image())
    assert memory.read(Span(0, 3)) == bytes.fromhex("185000")
    assert memory.read(Span(3, 29)) == bytes.fromhex("06") + bytes(range(4, 32))
    assert memory.read(Span(129, 16)) == b"OPTICD CONTRACT "
    memory.close()
    memory = bench.insert(sfp_image())
    memory.shape = FLAT
    assert memory.read(Span(0, 3)) == bytes.fromhex("030407")
    assert memory.read(Span(96, 10, i2c=I2C_DIAGNOSTICS)) == bytes(range(159, 149, -1))
    assert memory.read(Span(255, 1, i2c=I2C_DIAGNOSTICS)) == b"\x00"


def _paged(bench: Bench) -> None:
    memory = bench.insert(cmis_image())
    memory.shape = PAGED
    assert memory.read(Span(134, 76, page=0x11)) == bytes(range(134, 210))
    assert memory.read(Span(129, 16)) == b"OPTICD CONTRACT "
    assert memory.read(Span(128, 128, page=0x11)) == bytes(range(128, 256))
    with pytest.raises(PageRefused):
        memory.read(Span(128, 8, page=0x12))
    assert memory.read(Span(255, 1, page=0x11)) == b"\xff"


def _banked(bench: Bench) -> None:
    memory = bench.insert(cmis_image(banks=2))
    memory.shape = BANKED
    assert memory.read(Span(154, 4, page=0x11, bank=1)) == bytes((229, 228, 227, 226))
    assert memory.read(Span(154, 4, page=0x11, bank=0)) == bytes((154, 155, 156, 157))
    assert memory.read(Span(129, 6)) == b"OPTICD"
    with pytest.raises(PageRefused):
        memory.read(Span(154, 4, page=0x11, bank=2))


def _absent(bench: Bench) -> None:
    memory = bench.insert(cmis_image())
    bench.remove()
    for _ in range(2):
        with pytest.raises(ModuleAbsent):
            memory.read(Span(0, 3))
    memory = bench.insert(cmis_image())
    assert memory.read(Span(0, 3)) == bytes.fromhex("185000")


def _short(bench: Bench) -> None:
    memory = bench.insert(cmis_image())
    bench.short()
    with pytest.raises(ShortRead):
        memory.read(Span(3, 29))
    assert memory.read(Span(3, 29)) == bytes.fromhex("06") + bytes(range(4, 32))


def _slow(bench: Bench) -> None:
    memory = bench.insert(cmis_image())
    memory.shape = PAGED
    bench.slow(0.02)
    started = time.monotonic()
    assert memory.read(Span(134, 6, page=0x11)) == bytes(range(134, 140))
    assert 0.02 <= time.monotonic() - started < bench.limit_s


def _unplugged(bench: Bench) -> None:
    memory = bench.insert(cmis_image())
    assert memory.read(Span(0, 3)) == bytes.fromhex("185000")
    bench.unplug()
    for _ in range(2):
        started = time.monotonic()
        with pytest.raises(DriverError):
            memory.read(Span(0, 3))
        assert time.monotonic() - started < bench.limit_s
    bench.plug()
    assert memory.read(Span(0, 3)) == bytes.fromhex("185000")


def _cancelled(bench: Bench) -> None:
    """Who waits gives up; the thread comes back later, and its answer is nobody else's."""
    memory = bench.insert(cmis_image())
    memory.shape = PAGED
    memory.read(Span(0, 3))
    outcome: concurrent.futures.Future[bytes] = concurrent.futures.Future()

    def work() -> None:
        try:
            outcome.set_result(memory.read(Span(134, 76, page=0x11)))
        except DriverError as exc:
            outcome.set_exception(exc)

    bench.stall()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        with pytest.raises(TimeoutError):
            outcome.result(timeout=0.1)
    finally:
        bench.release()
    thread.join(bench.limit_s)
    assert not thread.is_alive()
    assert outcome.exception() is not None or outcome.result() == bytes(range(134, 210))
    assert memory.read(Span(3, 29)) == bytes.fromhex("06") + bytes(range(4, 32))
    assert memory.read(Span(134, 76, page=0x11)) == bytes(range(134, 210))


def _garbage(bench: Bench) -> None:
    """Garbage is an error or, where the wire has no check, exactly as many bytes; and then it is over."""
    memory = bench.insert(cmis_image())
    memory.shape = PAGED
    for span in (Span(3, 29), Span(134, 76, page=0x11)):
        bench.garble()
        with contextlib.suppress(DriverError):
            assert len(memory.read(span)) == span.length
    assert memory.read(Span(3, 29)) == bytes.fromhex("06") + bytes(range(4, 32))
    assert memory.read(Span(134, 76, page=0x11)) == bytes(range(134, 210))


_SUITE: Final = {
    "present": _present,
    "paged": _paged,
    "banked": _banked,
    "absent": _absent,
    "short": _short,
    "slow": _slow,
    "unplugged": _unplugged,
    "cancelled": _cancelled,
    "garbage": _garbage,
}
