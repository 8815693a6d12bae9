"""What an alert rule is: what it watches, what it compares with, when it speaks. Plain data, no evaluation.

`agent.alerts.builtin` holds the rules that come with opticd, `agent.alerts.configured` makes them from `[[rule]]`
tables, `agent.alerts.judging` evaluates them on readings and `agent.alerts.engine` turns verdicts into transitions.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from agent.model import Severity
from agent.quantities import Flag, Quantity

BoundName = Literal["high_alarm", "low_alarm", "high_warning", "low_warning"]


class Gate(Enum):
    """What must hold before a rule judges at all; a gate whose fact is not known is open."""

    MODULE_READY = "module_ready"
    DATA_PATH_ACTIVATED = "data_path_activated"
    TX_ENABLED = "tx_enabled"
    ADMIN_UP = "admin_up"
    LINK_UP = "link_up"
    DIRECT_DETECT = "direct_detect"
    """Not a coherent module: those correct far higher error ratios than the KP4 code does."""


class Happening(Enum):
    """What is not a value of a reading: rules on it are driven by events."""

    LINK_DOWN = "link_down"
    LINK_FLAP = "link_flap"
    MODULE_ABSENT = "module_absent"
    MODULE_UNREADABLE = "module_unreadable"
    MODULE_SWAPPED = "module_swapped"


@dataclass(frozen=True, slots=True)
class Observable:
    """A VDM observable: of `names` the first that a lane has counts (`current` before `avg`, say)."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that `agent.baselines.baseline` works out over days; its name ends in its unit."""

    name: str


@dataclass(frozen=True, slots=True)
class FecCounter:
    """A counter of `Reading.fec`, chosen by a part of its name."""

    part: str


class ModuleFault(Enum):
    """The module state `ModuleFault` of CMIS."""

    STATE = "module_fault"


class LaserFault(Enum):
    """A fault of a laser of an external source of light (ELSFP); its number stands where others have a lane."""

    FLAG = "laser_fault"


Watch = Quantity | Flag | Observable | Figure | FecCounter | ModuleFault | LaserFault | Happening


@dataclass(frozen=True, slots=True)
class Threshold:
    """Beyond the module's own threshold, or its own flag of that threshold is set."""

    bound: BoundName


@dataclass(frozen=True, slots=True)
class Margin:
    """Closer than `by` to the module's own threshold: dB for optical power, else the quantity's unit."""

    bound: BoundName
    by: float


@dataclass(frozen=True, slots=True)
class Limit:
    """Above (or below) a number in the unit of what is watched."""

    value: float
    above: bool = True


@dataclass(frozen=True, slots=True)
class Spread:
    """The lanes of one module lie further apart than `by`: dB for optical power, a ratio otherwise."""

    by: float


@dataclass(frozen=True, slots=True)
class Outlier:
    """One lane has `ratio` times the errors of the median of its sisters and `db` less received power."""

    ratio: float
    db: float


@dataclass(frozen=True, slots=True)
class Active:
    """A flag is set, a state is entered, something is the case."""


@dataclass(frozen=True, slots=True)
class Increase:
    """A counter grew since the reading before."""


@dataclass(frozen=True, slots=True)
class Count:
    """At least `count` times in one of the windows of `(count, seconds)`; 0 s: in a row."""

    windows: tuple[tuple[int, float], ...]


Bound = Threshold | Margin | Limit | Spread | Outlier | Active | Increase | Count


@dataclass(frozen=True, slots=True)
class Clear:
    """How far back a value must come before its alert resolves (hysteresis).

    `level` is a fixed level; else `by` inside the firing level: dB for optical power, `ratio` of the level when
    `relative`, else the quantity's unit.
    """

    by: float = 0.0
    relative: bool = False
    level: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert rule. Times in seconds.

    A rule of lanes speaks lane by lane; `lanes` narrows it. `ladder` names a family of rules of which only the
    highest that holds (the last in the table) is shown; `implied_by` names rules that make this one superfluous
    while they fire on the same lane or port.
    """

    name: str
    watch: Watch
    bound: Bound
    severity: Severity
    text: str
    """What the summary says behind port and lane; `{value}` and `{threshold}` are filled in with their units."""
    for_s: float = 0.0
    """How long it must hold before it fires."""
    hold_off_s: float = 0.0
    """How long it must be clear before it resolves."""
    clear: Clear = Clear()
    gates: frozenset[Gate] = frozenset()
    lanes: frozenset[int] = frozenset()
    ladder: str = ""
    implied_by: frozenset[str] = frozenset()
    lifetime_s: float = 0.0
    """When not 0: it resolves by itself after this time (news, not a state)."""
    cause: str = ""
    """A likely cause that the rule itself knows."""
    unit: str = ""
    """Unit of value and threshold in messages; empty: the watched quantity's (dBm for optical power)."""


LINK: Final = "link"
"""Rule name of a link transition that no rule judges."""
KP4_LIMIT: Final = 2.4e-4
"""Pre-FEC bit error ratio up to which RS(544,514) delivers its post-FEC ratio (IEEE 802.3, PAM4 links)."""
SEVERITY_ORDER: Final[dict[Severity, int]] = {"info": 0, "warning": 1, "critical": 2}
