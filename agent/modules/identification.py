"""Making the acquaintance of a module: its static pages, read once, made sure of, in as many calls as it takes."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from agent import maps
from agent.errors import BusError, DecodeError, DriverError, ModuleAbsent, PageRefused
from agent.maps.api import Description, MemoryMap, TellsWork
from agent.memory import Memory, ModuleMemory, Shape, Span
from agent.model import Trouble
from agent.modules.known import WORK_MOST_S, WORKING

IDENTIFIER: Final = Span(0, 1)
"""The cheapest sign of life: one byte, no page select."""
FIRST_BANKED_PAGE: Final = 0x10
CALLS: Final = 3
"""Calls in which every static page has to be read, before the module is taken without it."""
_ROUNDS: Final = 64
"""Rounds of `MemoryMap.missing`: far more than any map needs, so that one that never ends is a bug seen."""
LOOKS: Final = (6, 0.01)
"""Looks in lower memory, and seconds between them, at a module that has worked on commands before: new firmware
comes by many short ones, and one look may fall between two.
"""
_LONG: Final = 16
_ALL: Final = 3
"""Deeper than any page: everything is known."""

Identify = Callable[[Memory], MemoryMap]
"""Which map the first bytes of a module call for; raises DecodeError for none."""


class Meter:
    """How long the reads of a session took, in seconds."""

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        self.seconds = 0.0

    def take(self) -> float:
        """What came together since it was last asked."""
        seconds, self.seconds = self.seconds, 0.0
        return seconds


class Reads:
    """The reads of one call: counts what failed, watches the deadline, never stops at the first hole.

    After a `BusError` nothing more is read: the bus has to be opened again first.
    """

    __slots__ = ("absent", "bus_error", "clock", "deadline", "failed", "good", "memory", "meter", "troubles")

    def __init__(
        self, memory: ModuleMemory, deadline: float, meter: Meter, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.memory = memory
        self.meter = meter
        self.clock = clock
        self.deadline = deadline
        self.absent = self.failed = self.good = 0
        self.bus_error: BusError | None = None
        self.troubles: list[Trouble] = []

    def again(self, *, more_s: float = 0.0) -> "Reads":
        """Counted anew, with the same deadline or `more_s` seconds from now."""
        deadline = self.clock() + more_s if more_s else self.deadline
        return Reads(self.memory, deadline, self.meter, clock=self.clock)

    def take(self, other: "Reads") -> None:
        """Count what another went through."""
        self.absent += other.absent
        self.failed += other.failed
        self.good += other.good
        self.bus_error = self.bus_error or other.bus_error
        self.troubles += other.troubles

    @property
    def over(self) -> bool:
        """No more reads in this call."""
        return self.bus_error is not None or self.clock() >= self.deadline

    def get(self, span: Span) -> bytes | None:
        """The bytes of a span; None, and a trouble, when it could not be read."""
        if self.over:
            self.failed += 1
            if self.bus_error is None:
                self.troubles.append(Trouble("deadline", f"no time left to read {span}"))
            return None
        begun = time.perf_counter()
        try:
            data = self.memory.read(span)
        except DriverError as exc:
            self.failed += 1
            self.absent += isinstance(exc, ModuleAbsent)
            self.troubles.append(Trouble(exc.reason, str(exc)))
            if isinstance(exc, BusError):
                self.bus_error = exc
            return None
        finally:
            self.meter.seconds += time.perf_counter() - begun
        self.good += 1
        return data


def _depth(span: Span) -> int:
    """How much has to be known to select the page of a span: 0 nothing, 1 lower memory, 2 the number of banks."""
    if not span.upper:
        return 0
    return 2 if span.page >= FIRST_BANKED_PAGE else 1


def _refused(reads: Reads) -> bool:
    """Whether the module said no to the last read: it advertises a page that it does not have."""
    return bool(reads.troubles) and reads.troubles[-1].reason == PageRefused.reason


def _first_byte_alone(span: Span, data: bytes) -> bool:
    """What GPON sticks with a Realtek RTL8672 or RTL9601C answer to a longer read (Linux drivers/net/phy/sfp.c)."""
    return span.offset == 0 and len(data) >= _LONG and data[0] != 0 and not any(data[1:])


class Identification:
    """The identification of one module.

    Static bytes stay for hours, so they are made sure of: a page that could not be read is asked for in the next
    call, a description with something wrong in it is read a second time, and at the end the serial number is
    compared, so that no description is made of two modules.
    """

    def __init__(
        self, memory: ModuleMemory, identify: Identify, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.description: Description | None = None
        self.identity = b""
        self.complete = True
        """False when a page is missing that should be there."""
        self.let_alone = False
        """Somebody commands the module (CDB): no page is selected under it, the next call asks it again."""
        self.never_done = False
        """It says so for longer than that can be."""
        self._working_since: float | None = None
        self._looks = 1
        """To be made before the next page is selected."""
        self._never_commanded = False
        """Since it was switched on, as far as this call saw."""
        self._sleep = sleep
        self._way = memory
        self._identify = identify
        self._memory = Memory()
        self._given_up: set[Span] = set()
        self._doubted = False
        self._restart = False
        self._calls = 0
        self._byte_by_byte = False

    def go_on(self, reads: Reads) -> bool:
        """Read what is missing; True when `description` and `identity` are there. Raises DecodeError."""
        self._calls += 1
        self.let_alone = self._never_commanded = False
        self._looks = LOOKS[0]
        done = self._pass(reads)
        if self._restart and not reads.over:
            self._restart = False
            done = self._pass(reads)
        if self.let_alone:
            self._calls = 0
            reads.troubles.append(WORKING)
        else:
            self._working_since = None
        return done

    def _pass(self, reads: Reads) -> bool:
        self._way.shape = self._as_read(Shape())
        identifier = reads.get(IDENTIFIER)  # in each call: a sign of life
        if identifier is None:
            return False
        if identifier != self._memory.get(IDENTIFIER):
            self._begin_anew()
            self._memory.put(IDENTIFIER, identifier)
        chosen = self._identify(self._memory)
        shaped = 0
        for _ in range(_ROUNDS):
            wanted = [span for span in chosen.missing(self._memory) if span not in self._given_up]
            # What has to be known before pages can be selected: lower memory, and for banks the advertising too.
            depth = max((_depth(span) for span in wanted), default=_ALL)
            if depth > shaped:
                shaped = depth
                description = chosen.describe(self._memory)
                self._way.shape = self._as_read(maps.shape(chosen.name, description))
                if not wanted:
                    if self._is_at_work(chosen, reads):
                        return False
                    return self._finish(description, reads)
            # Lower memory first: it says how pages are selected, and until that is known none is.
            for span in [span for span in wanted if not span.upper] or wanted:
                if span.upper and self._is_at_work(chosen, reads):
                    return False
                if not self._read(span, reads) and not self._goes_without(span, reads):
                    return False
        raise DecodeError(f"the memory map {chosen.name} asks for ever more pages")

    def _is_at_work(self, chosen: MemoryMap, reads: Reads) -> bool:
        """Look before a page is selected whether somebody commands the module; lower memory belongs to no page."""
        if self.never_done or self._never_commanded or not isinstance(chosen, TellsWork):
            return False
        status_at = chosen.work_status(self._memory)
        if status_at is None:
            return False
        looks, self._looks = self._looks, 1
        for look in range(looks):
            if look:
                self._sleep(LOOKS[1])
            status = reads.get(status_at)
            if status is None:
                return False
            if chosen.shows_work(status):
                return self._waits(reads.clock())
            self._never_commanded = not any(status)
            if self._never_commanded:
                return False
        return False

    def _waits(self, now: float) -> bool:
        """Whether a module that is at work is waited for."""
        if self._working_since is None:
            self._working_since = now
        self.never_done = now - self._working_since > WORK_MOST_S
        self.let_alone = not self.never_done
        return self.let_alone

    def _read(self, span: Span, reads: Reads) -> bool:
        data = reads.get(span)
        if data is None and _refused(reads):
            data = reads.get(span)
        if data is not None and _first_byte_alone(span, data) and not self._byte_by_byte:
            self._byte_by_byte = True
            self._way.shape = self._as_read(self._way.shape)
            data = reads.get(span)
        if data is not None:
            self._memory.put(span, data)
        return data is not None

    def _as_read(self, shape: Shape) -> Shape:
        return replace(shape, single_byte=True) if self._byte_by_byte else shape

    def _goes_without(self, span: Span, reads: Reads) -> bool:
        """A page that the module refused twice, or that three calls could not read, is described as unread.

        Only if the module answers otherwise: one that is silent is tried again.
        """
        if (self._calls < CALLS and not _refused(reads)) or reads.get(IDENTIFIER) is None:
            return False
        self._given_up.add(span)
        return True

    def _finish(self, description: Description, reads: Reads) -> bool:
        identity = reads.get(description.identity_span)
        known = self._memory.get(description.identity_span)
        if identity is None and (known is not None or reads.bus_error is not None):
            return False
        if identity is not None and known is not None and identity != known:
            self._begin_anew()
            return False
        if description.errors and not self._doubted:
            # Wrong in the module, or on the way? A second reading tells.
            self._doubted = self._restart = True
            self._begin_anew()
            return False
        self.description, self.identity = description, identity or b""
        self.complete = not self._given_up
        return True

    def _begin_anew(self) -> None:
        self._memory = Memory()
        self._given_up.clear()
