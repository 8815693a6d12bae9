"""What one refresh of a module yields."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.model import LaneFlags, Laser, Stats, Trouble, Tunable, VdmSample
from agent.quantities import Flag, Quantity


@dataclass(frozen=True, slots=True)
class Values:
    """What one refresh of a module yields: the moving part of a `Reading`, same fields, same meaning."""

    module_state: str = ""
    values: Mapping[Quantity, float] = field(default_factory=dict[Quantity, float])
    lanes: Mapping[Quantity, Mapping[int, float]] = field(default_factory=dict[Quantity, Mapping[int, float]])
    flags: Mapping[Flag, bool] = field(default_factory=dict[Flag, bool])
    lane_flags: Mapping[Flag, LaneFlags] = field(default_factory=dict[Flag, LaneFlags])
    data_path_states: Mapping[int, int] = field(default_factory=dict[int, int])
    lane_applications: Mapping[int, int] = field(default_factory=dict[int, int])
    tx_disabled: Mapping[int, bool] = field(default_factory=dict[int, bool])
    vdm: tuple[VdmSample, ...] = ()
    coherent: Mapping[str, Stats] = field(default_factory=dict[str, Stats])
    lasers: tuple[Laser, ...] = ()
    tunable: Tunable = field(default_factory=Tunable)
    fec: Mapping[str, int] = field(default_factory=dict[str, int])
    unread: tuple[str, ...] = ()
    errors: tuple[Trouble, ...] = ()
    data_ready: bool = True
    """False while the module says that its monitors are not valid yet."""
