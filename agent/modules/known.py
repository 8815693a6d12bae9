"""What a session knows of the module in its cage, and what it tells of one call."""

import math
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from agent.maps.api import Description, Plan, Values, Works
from agent.memory import Span
from agent.model import MODULE_BUSY, Module, ModuleChange, Trouble
from agent.modules.plausibility import Plausibility
from agent.quantities import SUPPLY_VOLTAGE, TEMPERATURE, TX_BIAS

WORK_MOST_S: Final = 1800.0
"""A firmware update takes minutes: a module that is at work for longer says so wrongly, and is read."""
WORKING: Final = Trouble(MODULE_BUSY, "it works on a command (CDB), such as new firmware: no page is selected")


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often what is read, in seconds."""

    slow_s: float = 60.0
    identity_s: float = 10.0


class Refresh(NamedTuple):
    """What one call found. Without `values` there is no reading, and `failure` says why."""

    present: bool
    description: Description | None = None
    values: Values | None = None
    failure: Trouble | None = None
    troubles: tuple[Trouble, ...] = ()
    """What went wrong beside it, or without costing the reading."""
    discarded: tuple[Trouble, ...] = ()
    change: ModuleChange | None = None
    previous: Module = Module()
    bus_failed: bool = False
    unconfirmed: bool = False
    """It did not acknowledge: call again soon to know whether it is gone."""


@dataclass(slots=True)
class Known:
    """The module that was identified, and how it was when it was last read."""

    description: Description
    plan: Plan
    slow_plan: Plan
    identity: bytes
    described_at: float
    complete: bool
    """Every static page was read."""
    checked_at: float
    """When its identity was last compared, or read."""
    read_at: float
    """When its values were last read."""
    works: Works | None = None
    plausibility: Plausibility = field(default_factory=Plausibility)
    slow: Values | None = None
    slow_at: float = 0.0
    state: str = ""
    doubtful: bool = True
    """Something happened since the last comparison that an exchange could have caused."""
    outdated: bool = False
    """Its state changed since it was described: what it says of itself may have changed too (firmware)."""
    hand: tuple[float, float, float] = (math.nan, math.nan, math.nan)
    """What no two modules have alike, when it was last read: see `hand_of`."""
    seen: bool = False
    working_since: float | None = None
    """Since when the module is at work on commands."""
    never_done: bool = False
    """It says so for longer than that can be."""
    blank: frozenset[Span] = frozenset()
    """Blocks that were all 00h in the last refresh."""
    owed: list[Values] = field(default_factory=list[Values])
    """Refreshes that were not published; their flags are: the read that returned them has cleared them."""

    def note_work(self, said: bool | None, now: float) -> None:
        """What a block says of commands at work, None when it does not tell."""
        if said:
            since = now if self.working_since is None else self.working_since
            self.never_done |= now - since > WORK_MOST_S
            self.working_since = None if self.never_done else since
        elif said is not None:
            self.working_since, self.never_done = None, False


def hand_of(values: Values) -> tuple[float, float, float]:
    """Temperature, voltage and bias of the first lane: they drift, but do not leap while one module works."""
    bias = values.lanes.get(TX_BIAS)
    return (
        values.values.get(TEMPERATURE, math.nan),
        values.values.get(SUPPLY_VOLTAGE, math.nan),
        next(iter(bias.values()), math.nan) if bias else math.nan,
    )


def other_hand(before: tuple[float, float, float], values: Values) -> bool:
    """Whether something leapt: by 2 degC, 20 mV or a twentieth of the bias. What is missing says nothing."""
    temperature, voltage, bias = hand_of(values)
    return (
        abs(temperature - before[0]) >= 2.0 or abs(voltage - before[1]) >= 0.02 or abs(bias - before[2]) > bias / 20
    )


def who(module: Module) -> tuple[str, str, str]:
    """Vendor, part and serial number: which module it is."""
    return (module.get("vendor_name", ""), module.get("part_number", ""), module.get("serial_number", ""))


def without_monitors(values: Values) -> Values:
    """States and flags alone: the module says that its monitors are not valid yet."""
    return values._replace(values={}, lanes={}, vdm=(), coherent={}, lasers=())
