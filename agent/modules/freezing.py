"""VDM freeze: the statistics of a module stand still while they are read, and run again afterwards.

    freezer.freeze(banks, reads)
    try:
        ...                                   # read the samples
    finally:
        freezer.release(reads)

Page 2Fh byte 144 bit 7 requests, byte 145 bits 7 and 6 confirm (CMIS 5.2 section 8.17). It is the only write that
opticd makes beside page selects. The release begins the next interval of the statistics, so a module can have only
one reader that freezes; it is due after every freeze, one that failed included, and what could not be released is
tried again before the next refresh. Waits are bounded: a second and a bit each way.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from agent.errors import BusError, DriverError, NotPermitted, Unsupported
from agent.memory import FREEZE_CONTROL, FREEZE_STATUS, Freezes, ModuleMemory, Span
from agent.model import Trouble
from agent.modules.identification import Meter, Reads

T_ = TypeVar("T_")

REASON: Final = "vdm_freeze"
_REQUEST: Final = 0x80
_FROZEN: Final = 0x80
_RUNNING: Final = 0x40
SETTLE_S: Final = 0.01
"""How long a module may take to clear the bit that is waited for."""
POLL_S: Final = 0.005
LIMIT_S: Final = 1.0
TRIES: Final = 3
"""Times that a release is written before it is left for later, and freezes in a row that may fail before no more
is tried: each would cost the bus a second."""


class Freezer:
    """Freezes one module at a time. Blocks."""

    def __init__(
        self, memory: ModuleMemory, meter: Meter, *, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._memory = memory
        self._meter = meter
        self._clock = clock
        self._sleep = sleep
        self._held: dict[int, int] = {}
        """Banks that were asked to freeze, and their control byte without the request."""
        self._failures = 0

    @property
    def holding(self) -> bool:
        """Something was asked to freeze and not released."""
        return bool(self._held)

    def forget(self) -> None:
        """Another module, or none: nothing is held, and what failed before says nothing."""
        self._held.clear()
        self._failures = 0

    def freeze(self, banks: Sequence[int], reads: Reads) -> None:
        """Ask these banks to freeze and wait for it; what goes wrong is noted in `reads`.

        The first is asked for all of them; only those that do not follow it are asked themselves.
        """
        if self._failures >= TRIES:
            return
        try:
            self._ask(banks[:1])
            confirmed = self._confirmed(_FROZEN)
            others = [bank for bank in banks[1:] if not self._read(FREEZE_STATUS, bank) & _FROZEN]
            if confirmed and others:
                self._ask(others)
                confirmed = self._confirmed(_FROZEN)
        except (NotPermitted, Unsupported) as exc:
            self._held.clear()  # nothing reached the module
            self._failures = TRIES
            reads.troubles.append(Trouble(REASON, f"this way in does not freeze VDM: {exc}"))
        except DriverError as exc:
            self._failed(reads, f"VDM could not be frozen: {exc}", exc)
        else:
            if confirmed:
                self._failures = 0
            else:
                self._failed(reads, f"the module did not freeze VDM within {LIMIT_S:g} s")

    def release(self, reads: Reads) -> None:
        """Let everything run again that is held."""
        try:
            for bank, control in self._held.items():
                self._insist(bank, control)
            confirmed = not self._held or self._confirmed(_RUNNING)
        except DriverError as exc:
            self._failed(reads, f"VDM may still be frozen, to be released with the next poll: {exc}", exc)
            return
        self._held.clear()
        if not confirmed:
            self._failed(reads, f"the module did not say within {LIMIT_S:g} s that VDM runs again")

    def _ask(self, banks: Sequence[int]) -> None:
        for bank in banks:
            control = self._read(FREEZE_CONTROL, bank) & ~_REQUEST
            self._held[bank] = control  # before the write: one that fails may have arrived
            self._write(bank, control | _REQUEST)

    def _read(self, span: Span, bank: int) -> int:
        return self._timed(lambda: self._memory.read(span._replace(bank=bank)))[0]

    def _write(self, bank: int, value: int) -> None:
        memory = self._memory
        if not isinstance(memory, Freezes):
            raise Unsupported("it cannot write")
        self._timed(lambda: memory.write_freeze(value, bank=bank))

    def _timed(self, work: Callable[[], T_]) -> T_:
        begun = time.perf_counter()
        try:
            return work()
        finally:
            self._meter.seconds += time.perf_counter() - begun

    def _insist(self, bank: int, control: int) -> None:
        for _ in range(TRIES - 1):
            try:
                return self._write(bank, control)
            except DriverError:
                self._sleep(SETTLE_S)
        return self._write(bank, control)

    def _confirmed(self, done: int) -> bool:
        """Wait until every held bank shows `done`; False when a second was not enough."""
        self._sleep(SETTLE_S)
        until = self._clock() + LIMIT_S
        waiting = list(self._held)
        while True:
            waiting = [bank for bank in waiting if not self._read(FREEZE_STATUS, bank) & done]
            if not waiting or self._clock() >= until:
                return not waiting
            self._sleep(POLL_S)

    def _failed(self, reads: Reads, why: str, exc: DriverError | None = None) -> None:
        self._failures += 1
        reads.failed += 1
        if isinstance(exc, BusError):
            reads.bus_error = exc
        last = "; tried no more until the module is inserted again" if self._failures >= TRIES else ""
        reads.troubles.append(Trouble(REASON, why + last))
