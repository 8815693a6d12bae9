"""One cage over time: who is in it, its values, and that values never bear the name of another module.

Everything here blocks and runs in the worker thread of the bus, one call at a time. A call is a few reads long:
what does not fit into its deadline (the static pages of a slow module) is continued by the next call. Only reads
are made here; which page is selected for them is the driver's business.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Final

from agent.errors import DecodeError, DeviceRefused, DriverError, NotPermitted, Unsupported
from agent.maps.api import Description, Values, Works
from agent.memory import ModuleMemory, Parks, Remembers, Shape
from agent.model import Module, ModuleChange, Trouble
from agent.modules.freezing import Freezer
from agent.modules.identification import IDENTIFIER, Identification, Identify, Meter, Reads
from agent.modules.known import (
    WORKING,
    Intervals,
    Known,
    Refresh,
    hand_of,
    other_hand,
    who,
    without_monitors,
)
from agent.modules.latches import with_flags
from agent.modules.rereading import EXCHANGE_S, SlowFamilies, identity_now, is_surely, read_blocks
from agent.quantities import MODULE_STATE_CHANGED

__all__ = ["Intervals", "ModuleSession", "Refresh"]

GOES_ON: Final = Trouble("deadline", "identification goes on")
NOBODY: Final = Trouble("identity", "the serial number reads as nothing but 00h or FFh")
ABSENT_CALLS: Final = 3
"""A module that acknowledges nothing in so many calls one after the other is gone."""
PATIENCE: Final = (8, 0.005)
"""Tries for an acknowledge of a module that was there, and seconds between them: CMIS allows 10 ms of silence."""

NO_WAY: Final = frozenset({Unsupported.reason, NotPermitted.reason, DeviceRefused.reason})
"""With these the way in refuses, and no module is asked: nobody knows whether there is one."""


class ModuleSession:
    """Reads the module of one cage through `memory`, and notices when it comes, goes or is exchanged."""

    def __init__(
        self,
        memory: ModuleMemory,
        *,
        identify: Identify,
        intervals: Intervals | None = None,
        flags: bool = True,
        freeze: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.memory = memory
        self.meter = Meter()
        self._park = memory.park if isinstance(memory, Parks) else None
        self._remembers = memory if isinstance(memory, Remembers) else None
        self._identify = identify
        self._intervals = intervals or Intervals()
        self._flags = flags
        self._clock = clock
        self._sleep = sleep
        self._freezer = Freezer(memory, self.meter, clock=clock, sleep=sleep) if freeze else None
        self._slow = SlowFamilies(self._freezer, period_s=self._intervals.slow_s)
        self._known: Known | None = None
        self._arrival: Identification | None = None
        self._last_module: Module = {}
        self._missed = 0
        self._gone = True
        self._deadline_s = 0.0

    @property
    def description(self) -> Description | None:
        """Who is in the cage, None while that is not known."""
        return self._known.description if self._known else None

    @property
    def last_module(self) -> Module:
        """Who is, or was last, in the cage; {} when nobody ever was."""
        return self._known.description.module if self._known else self._last_module

    def expect(self, module: Module) -> None:
        """Who was in the cage when an earlier session ended: another one now is a swap."""
        self._last_module = module

    def close(self) -> None:
        """Give back what the way in holds; what is known of the module stays, but has to be checked again."""
        if self._known is not None:
            self._known.doubtful = True
        self.memory.close()

    def probe(self) -> Refresh:
        """One byte: is somebody there? Says nothing of a module that answers, but for a removal."""
        reads = Reads(self.memory, float("inf"), self.meter, clock=self._clock)
        if reads.get(IDENTIFIER) is not None:
            self._missed = 0
            return Refresh(present=True, description=self.description)
        return self._nothing(reads)

    def refresh(self, *, deadline_s: float = 2.0) -> Refresh:
        """Read everything that is due. After `deadline_s` no read begins, but for the comparison of the identity;
        the slow families have as much again.
        """
        self._deadline_s = deadline_s
        reads = Reads(self.memory, self._clock() + deadline_s, self.meter, clock=self._clock)
        try:
            known = self._known
            if known is None:
                return self._arrive(reads)
            if (not known.complete or known.outdated) and known.working_since is None:
                self._describe_again(reads, known)
            return self._poll(reads.again() if not reads.bus_error else reads, known)
        except DecodeError as exc:
            self._forget()
            return Refresh(present=True, failure=Trouble(exc.reason, str(exc)))
        finally:
            let_alone = self._arrival is not None and self._arrival.let_alone
            if self._park is not None and reads.bus_error is None and not let_alone:
                with contextlib.suppress(DriverError):  # a courtesy: what is wrong shows with the next read
                    self._park()

    # -- a module that is known ---------------------------------------------------------------------------

    def _poll(
        self, reads: Reads, known: Known, *, change: ModuleChange | None = None, before: tuple[Trouble, ...] = ()
    ) -> Refresh:
        """`change` and the troubles `before` belong to the arrival of which this is the first refresh."""
        discarded: list[Trouble] = []
        if self._freezer is not None and self._freezer.holding and is_surely(reads, known):
            self._freezer.release(reads)
        blocks = read_blocks(reads, known, discarded)
        previous = self._last_module if change is ModuleChange.SWAPPED else Module()
        if known.working_since is not None and reads.good:
            found = self._at_work(reads, known, blocks, before)
            discarded += found.discarded
            return found._replace(change=change, previous=previous, discarded=tuple(discarded))
        if not known.plan.spans:
            known.doubtful = True  # nothing to refresh (copper): its serial number is the sign of life
        elif not reads.good:
            known.doubtful = True
            nothing = self._nothing(reads)
            return nothing._replace(change=change, previous=previous) if change else nothing
        values = self._slow.put_under(reads, known, known.plan.decode(blocks), more_s=self._deadline_s)
        if not self._same_module(reads, known, values):
            if self._known is None:
                return self._exchanged(reads.again(), known)
            known.owed = [*known.owed[-7:], values]
            nothing = self._nothing(reads, discarded[0] if discarded else NOBODY)._replace(
                discarded=tuple(discarded)
            )
            return nothing._replace(change=change, previous=previous) if change else nothing
        self._missed = 0
        if values.module_state:
            known.outdated |= bool(known.state) and values.module_state != known.state
            known.state = values.module_state
        self._leave(known)
        known.read_at = self._clock()
        known.hand = hand_of(values)
        known.seen = True
        if not values.data_ready:
            values = without_monitors(values)
        if known.owed:
            values = with_flags(values, known.owed)
            known.owed = []
        values, absurd = known.plausibility.judge(values, known.read_at)
        return Refresh(
            present=True,
            description=known.description,
            values=values,
            troubles=(*before, *reads.troubles),
            discarded=(*discarded, *absurd),
            change=change,
            previous=previous,
        )

    def _at_work(
        self, reads: Reads, known: Known, blocks: list[bytes | None], before: tuple[Trouble, ...]
    ) -> Refresh:
        """Somebody commands the module: nothing of it is read but lower memory, and no page is selected."""
        values = known.plan.decode(blocks)
        known.doubtful = True
        known.read_at = self._clock()
        self._missed = 0
        values, absurd = known.plausibility.judge(values, known.read_at)
        return Refresh(
            present=True,
            description=known.description,
            values=values,
            troubles=(*before, *reads.troubles, WORKING),
            discarded=absurd,
        )

    def _same_module(self, reads: Reads, known: Known, values: Values) -> bool:
        """Compare the serial number when it is time, or anything hints at an exchange.

        Called behind the reads: had the module been exchanged before or between them, another one answers now.
        False when it does (then nobody is known any more), or when nobody knows.
        """
        now = self._clock()
        if (
            reads.failed
            or not values.data_ready
            or (values.module_state and values.module_state != known.state)
            or values.flags.get(MODULE_STATE_CHANGED, False)
            or now - known.read_at >= EXCHANGE_S
            or other_hand(known.hand, values)
            or (self._remembers is not None and self._remembers.disturbed())
        ):
            known.doubtful = True
        if not known.doubtful and now - known.checked_at < self._intervals.identity_s:
            return True
        failed = reads.failed
        identity = identity_now(reads, known)
        if not known.identity:  # it could not be read at the insertion: there is nothing to compare with
            known.identity = identity or b""
            return True
        if identity is None:
            known.doubtful = True
            return False
        if identity != known.identity:
            self._last_module = known.description.module
            self._forget()
            return False
        known.checked_at = now
        known.doubtful = failed > 0
        return True

    def _leave(self, known: Known) -> None:
        """Leave the page selected that the next refresh begins with, where only that may give an exchange away."""
        first = next((span for span in known.plan.spans if span.upper), None)
        if self._remembers is not None and first is not None and self._clock() - known.read_at < EXCHANGE_S:
            with contextlib.suppress(DriverError):  # the next refresh shows what is wrong
                self._remembers.leave(first)

    def _exchanged(self, reads: Reads, known: Known) -> Refresh:
        """Another module answers: what was read is dropped, and its acquaintance made."""
        self._gone = False
        refresh = self._arrive(reads)
        if self._known is None and refresh.present:  # not at once: until then nobody is there
            self._gone = True
            return refresh._replace(change=ModuleChange.REMOVED, previous=known.description.module)
        return refresh

    # -- a module that is not known yet, or not well ------------------------------------------------------

    def _arrive(self, reads: Reads) -> Refresh:
        """Read the static pages, as far as the deadline allows; then the first values."""
        arrival = self._arrival = self._arrival or self._begin()
        if not arrival.go_on(reads) or arrival.description is None:
            return self._nothing(reads)
        self._arrival = None
        self._missed = 0
        known = self._known = self._make_known(arrival, arrival.description)
        change = ModuleChange.INSERTED if self._gone else None
        if self._last_module and who(self._last_module) != who(known.description.module):
            change = ModuleChange.SWAPPED
        self._gone = False
        troubles = (*reads.troubles, *known.description.errors)
        refresh = self._poll(reads.again(), known, change=change, before=troubles)
        self._last_module = known.description.module
        return refresh

    def _begin(self) -> Identification:
        return Identification(self.memory, self._identify, sleep=self._sleep)

    def _make_known(self, arrival: Identification, description: Description) -> Known:
        now = self._clock()
        return Known(
            description=description,
            plan=description.plan(flags=self._flags),
            slow_plan=description.plan(flags=self._flags, slow=True),
            identity=arrival.identity,
            described_at=now,
            complete=arrival.complete,
            checked_at=now,
            read_at=now,
            works=description if isinstance(description, Works) else None,
            never_done=arrival.never_done,
        )

    def _describe_again(self, reads: Reads, known: Known) -> None:
        """Read the static pages anew: a page was missing, or the module went through a change of state."""
        if self._clock() - known.described_at < self._intervals.slow_s and self._arrival is None:
            return
        arrival = self._arrival = self._arrival or self._begin()
        shape = self.memory.shape
        done = arrival.go_on(reads) and arrival.description is not None
        if not done or arrival.description is None or arrival.identity != known.identity:
            self.memory.shape = shape
            known.doubtful = True  # with another serial number it is the comparison that finds the exchange
            if arrival.description is not None:
                self._arrival = None
            return
        self._arrival = None
        fresh = self._make_known(arrival, arrival.description)
        known.description, known.plan, known.slow_plan = fresh.description, fresh.plan, fresh.slow_plan
        known.described_at, known.complete, known.outdated = fresh.described_at, fresh.complete, False
        known.slow = None

    # -- failures -----------------------------------------------------------------------------------------

    def _nothing(self, reads: Reads, otherwise: Trouble = GOES_ON) -> Refresh:
        """No reading this time: the bus failed, nobody acknowledged, or what none can be published without."""
        trouble = reads.troubles[-1] if reads.troubles else otherwise
        known = self._known
        if reads.bus_error is not None:
            if known is not None:
                known.doubtful = True
            failure = Trouble(reads.bus_error.reason, str(reads.bus_error))
            return Refresh(
                present=known is not None, failure=failure, description=self.description, bus_failed=True
            )
        if reads.absent and not reads.good:
            return self._silent(reads, known, trouble)
        others = tuple(reads.troubles[:-1])
        answered = known is not None or bool(reads.good) or trouble.reason not in NO_WAY
        return Refresh(present=answered, failure=trouble, troubles=others, description=self.description)

    def _silent(self, reads: Reads, known: Known | None, trouble: Trouble) -> Refresh:
        """Nobody acknowledged; gone when that stays so, or when nobody was known to be there."""
        if known is None:
            self._forget()
            return Refresh(present=False, failure=trouble)
        self._missed += 1
        if self._answers(reads.again(more_s=1.0)):
            self._missed = 0
        if self._missed < ABSENT_CALLS:
            known.doubtful = True
            return Refresh(present=True, failure=trouble, description=known.description, unconfirmed=True)
        previous = self._last_module = known.description.module
        self._forget()
        self._gone = True
        return Refresh(present=False, failure=trouble, change=ModuleChange.REMOVED, previous=previous)

    def _answers(self, reads: Reads) -> bool:
        """Ask for the identifier a few times: a module may be silent for some milliseconds."""
        tries, pause_s = PATIENCE
        for _ in range(tries):
            self._sleep(pause_s)
            if reads.get(IDENTIFIER) is not None:
                return True
        return False

    def _forget(self) -> None:
        self._known = None
        self._arrival = None
        self._missed = 0
        if self._freezer is not None:
            self._freezer.forget()
        self.memory.shape = Shape()
