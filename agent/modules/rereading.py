"""What is read again of a module that is known, and what of it is believed; `agent.modules.session` says when.

Blocks that nobody drove or wrote are left out, the serial number is compared, and the slow families are read when
they are due, on a module whose statistics stand still where that is asked for.
"""

import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING, Final

from agent.maps.api import Freezable, Values, overlay
from agent.model import Trouble
from agent.modules.freezing import Freezer
from agent.modules.identification import IDENTIFIER, Reads
from agent.modules.known import Known
from agent.modules.plausibility import blank, floating
from agent.quantities import DATA_PATH_STATE_CHANGED, MODULE_STATE_CHANGED

if TYPE_CHECKING:
    from agent.memory import Span

EXCHANGE_S: Final = 1.9
"""Nobody pulls a module, puts another in and has it answer in less (CMIS and SFF allow 2 s to initialise)."""
_READY: Final = "ModuleReady"
_NO_SPANS: Final = frozenset["Span"]()


def read_blocks(reads: Reads, known: Known, discarded: list[Trouble]) -> list[bytes | None]:
    """The spans of the fast plan, without the blocks that nobody wrote."""
    blocks: list[bytes | None] = []
    empty: list[Span] = []
    for span in known.plan.spans:
        if span.upper and known.working_since is not None:
            blocks.append(None)
            continue
        block = reads.get(span)
        if known.works is not None and block is not None and not floating(block):
            known.note_work(known.works.at_work(span, block, before=known.working_since is not None), reads.clock())
        if block is not None and floating(block):
            discarded.append(Trouble("all_ff", f"{span} all FFh"))
            known.doubtful = True
            block = None
        elif block is not None and blank(block):
            empty.append(span)
            if known.seen and span not in known.blank:  # believed when the next read repeats it
                discarded.append(Trouble("all_zero", f"{span} all 00h"))
                known.doubtful = True
                block = None
        blocks.append(block)
    known.blank = frozenset(empty) if empty else _NO_SPANS
    return blocks


def identity_now(reads: Reads, known: Known) -> bytes | None:
    """The serial number as it is now, whatever the time; None when there is no telling.

    One that differs is read twice, since a bit may flip on the way, and one that is nothing but FFh or 00h is
    believed only beside an identifier that is not.
    """
    span = known.description.identity_span
    reads.deadline = float("inf")
    identity = reads.get(span)
    if identity is not None and identity != known.identity and known.identity:
        identity = reads.get(span)
    if identity is None or identity == known.identity or not (floating(identity) or blank(identity)):
        return identity
    return identity if reads.get(IDENTIFIER) not in {None, b"\x00", b"\xff"} else None


def is_surely(reads: Reads, known: Known) -> bool:
    """Compare the serial number now: False for another one, and when there is no telling."""
    if reads.bus_error is not None or not known.identity:
        return False
    now = reads.again()
    identity = identity_now(now, known)
    reads.take(now)
    return identity == known.identity


class SlowFamilies:
    """The families of values that are read once in a while, of the module of one cage."""

    def __init__(self, freezer: Freezer | None, *, period_s: float) -> None:
        self._freezer = freezer
        self._period_s = period_s

    def put_under(self, reads: Reads, known: Known, values: Values, *, more_s: float) -> Values:
        """The refresh with the slow families under it, read again when they are due within `more_s` seconds."""
        spans = known.slow_plan.spans
        if not spans:
            return values
        now = reads.clock()
        moved = (
            known.slow is None
            or now - known.slow_at >= self._period_s
            or values.flags.get(MODULE_STATE_CHANGED, False)
            or ((lanes := values.lane_flags.get(DATA_PATH_STATE_CHANGED)) is not None and lanes.active != 0)
            or (values.module_state and values.module_state != known.state)
        )
        if not moved and known.slow is not None:
            return overlay(values, known.slow)
        with self._frozen(reads, known, values):
            later = reads.again(more_s=more_s) if reads.bus_error is None else reads
            blocks = [None if block is None or floating(block) else block for block in map(later.get, spans)]
            if later is not reads:
                reads.take(later)
        slow = known.slow_plan.decode(blocks)
        known.slow_at = now
        known.slow = slow._replace(errors=())  # reported once, with the refresh that read them
        return overlay(values, slow)

    @contextlib.contextmanager
    def _frozen(self, reads: Reads, known: Known, values: Values) -> Generator[None, None, None]:
        """The statistics of the module stand still inside, where that is asked for and the module is at work.

        It is a write, so it is made sure before it that the module is still the one that advertises it; and again
        before the release, where an exchange in between is possible.
        """
        freezer, description = self._freezer, known.description
        banks = description.freeze_banks if freezer is not None and isinstance(description, Freezable) else ()
        if freezer is None or not banks or values.module_state != _READY or not is_surely(reads, known):
            yield
            return
        sure_at = reads.clock()
        freezer.freeze(banks, reads)
        try:
            yield
        finally:
            if reads.clock() - sure_at < EXCHANGE_S or is_surely(reads, known):
                freezer.release(reads)
