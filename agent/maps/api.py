"""What the poller and the command line ask of a memory map, whatever the specification behind it.

A module is refreshed by three plans of its `Description`:

- `plan()`, every period: module state, monitors and flags, in as few reads as possible.
- `plan(slow=True)`, on its own period: everything else that moves (VDM, coherent, tuning, lasers), and what
  seldom moves and needs reads of its own: data path states, active applications, disabled transmitters. Run it once
  after an insertion and again at once when a refresh shows `data_path_state_changed`, `module_state_changed` or
  another module state than before.
- `plan(flags=False)`, in place of the first where another daemon owns the clear-on-read flags.

No value is in both plans, so `overlay(fast, slow)` puts the last result of the slow plan under each refresh.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from agent.maps.values import Values
from agent.memory import Memory, Span
from agent.model import Bounds, Module, Trouble
from agent.quantities import Quantity

__all__ = ["Description", "Freezable", "MemoryMap", "Plan", "Values", "overlay"]


class Plan(Protocol):
    """Which spans one refresh reads, and what their bytes mean. Compiled once an insertion."""

    @property
    def spans(self) -> tuple[Span, ...]:
        """Trimmed, merged, in reading order; none crosses 127/128."""
        ...

    def decode(self, blocks: Sequence[bytes | None]) -> Values:
        """`blocks[i]` holds the bytes of `spans[i]`, None where the read failed (its quantities are `unread`)."""
        ...

    def decode_memory(self, memory: Memory) -> Values:
        """The same from saved memory, in which pages may be missing or short."""
        ...


def overlay(fast: Values, slow: Values) -> Values:
    """One refresh with what the slow plan read last; where both should hold a key, the refresh wins."""
    return Values(
        module_state=fast.module_state or slow.module_state,
        values={**slow.values, **fast.values} if slow.values else fast.values,
        lanes={**slow.lanes, **fast.lanes} if slow.lanes else fast.lanes,
        # The flags of the refresh as they are: they are the same objects until one changes.
        flags={**slow.flags, **fast.flags} if slow.flags else fast.flags,
        lane_flags={**slow.lane_flags, **fast.lane_flags} if slow.lane_flags else fast.lane_flags,
        data_path_states=fast.data_path_states or slow.data_path_states,
        lane_applications=fast.lane_applications or slow.lane_applications,
        tx_disabled=fast.tx_disabled or slow.tx_disabled,
        vdm=fast.vdm or slow.vdm,
        coherent=fast.coherent or slow.coherent,
        lasers=fast.lasers or slow.lasers,
        tunable=fast.tunable or slow.tunable,
        fec=fast.fec or slow.fec,
        unread=tuple(dict.fromkeys((*fast.unread, *slow.unread))) if slow.unread else fast.unread,
        errors=(*fast.errors, *slow.errors) if slow.errors else fast.errors,
        data_ready=fast.data_ready,
    )


class Description(Protocol):
    """Everything about one inserted module that stays until it is exchanged. Immutable."""

    @property
    def module(self) -> Module: ...

    @property
    def thresholds(self) -> Mapping[Quantity, Bounds]: ...

    @property
    def flat(self) -> bool:
        """True when the module has no pages: PageSelect must never be written."""
        ...

    @property
    def banks(self) -> int:
        """How many banks the module has; with 1 BankSelect is never written."""
        ...

    @property
    def identity_span(self) -> Span:
        """The serial number: read again to notice an exchanged module."""
        ...

    @property
    def errors(self) -> tuple[Trouble, ...]:
        """What was wrong with the static pages (bad checksum, lying advertisement)."""
        ...

    def plan(self, *, flags: bool = True, slow: bool = False) -> Plan:
        """The compiled plan of one refresh: without the clear-on-read bytes when `flags` is False.

        `slow` is the plan of the slow families instead (see above); its spans may be empty. Plans keep the last
        flags they decoded, so each module has its own.
        """
        ...


@runtime_checkable
class Freezable(Protocol):
    """A `Description` of a module that may have statistics to be frozen while they are read."""

    @property
    def freeze_banks(self) -> tuple[int, ...]:
        """The banks to freeze, see `agent.modules.freezing`; () where the module does not advertise it."""
        ...


@runtime_checkable
class Works(Protocol):
    """A `Description` of a module that tells when it works on a command, such as a part of a new firmware.

    Whoever sends the commands has a page selected, which nobody else may select another in place of.
    """

    def at_work(self, span: Span, block: bytes, *, before: bool) -> bool | None:
        """Whether this block of a refresh says so, None when it does not tell; `before`: the refresh before did."""
        ...


@runtime_checkable
class TellsWork(Protocol):
    """A `MemoryMap` whose modules tell that they work on commands before anything else is known of them."""

    def work_status(self, memory: Memory) -> Span | None:
        """Where in lower memory it shows; None for a module of which no page is ever selected."""
        ...

    def shows_work(self, status: bytes) -> bool:
        """Whether these bytes of `work_status` say so."""
        ...


class MemoryMap(Protocol):
    """One specification."""

    @property
    def name(self) -> str:
        """`sff8472`, `sff8636` or `cmis`."""
        ...

    def missing(self, memory: Memory) -> tuple[Span, ...]:
        """The static spans still to be read before `describe` is complete, given what is known; () when done.

        Called again after each round, since one page says whether the next exists.
        """
        ...

    def describe(self, memory: Memory) -> Description:
        """Works on any bytes; raises `DecodeError` only when not even the identifier is there."""
        ...
