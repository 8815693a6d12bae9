"""What one refresh of a module yields."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agent.model import Bounds, LaneFlags, Laser, Module, Reading, Stats, Trouble, Tunable, VdmSample
from agent.quantities import Flag, Quantity


class Values(NamedTuple):
    """What one refresh of a module yields: the moving part of a `Reading`, same fields, same meaning.

    A tuple: one or two are made in every refresh of every module, and a frozen dataclass takes three times as long.
    """

    module_state: str = ""
    values: Mapping[Quantity, float] = {}
    lanes: Mapping[Quantity, Mapping[int, float]] = {}
    flags: Mapping[Flag, bool] = {}
    lane_flags: Mapping[Flag, LaneFlags] = {}
    data_path_states: Mapping[int, int] = {}
    lane_applications: Mapping[int, int] = {}
    tx_disabled: Mapping[int, bool] = {}
    vdm: Sequence[VdmSample] = ()
    coherent: Mapping[str, Stats] = {}
    lasers: tuple[Laser, ...] = ()
    tunable: Tunable = Tunable()
    fec: Mapping[str, int] = {}
    unread: tuple[str, ...] = ()
    errors: tuple[Trouble, ...] = ()
    data_ready: bool = True
    """False while the module says that its monitors are not valid yet."""

    def reading(
        self,
        *,
        device: str,
        port: str,
        source: str,
        time: float,
        module: Module,
        thresholds: Mapping[Quantity, Bounds],
        errors: tuple[Trouble, ...],
    ) -> Reading:
        """The reading of a port of which these are the moving part; `errors` in place of their own."""
        return Reading(
            device,
            port,
            source,
            time,
            module,
            module_state=self.module_state,
            values=self.values,
            lanes=self.lanes,
            flags=self.flags,
            lane_flags=self.lane_flags,
            data_path_states=self.data_path_states,
            lane_applications=self.lane_applications,
            tx_disabled=self.tx_disabled,
            thresholds=thresholds,
            vdm=self.vdm,
            coherent=self.coherent,
            lasers=self.lasers,
            tunable=self.tunable,
            fec=self.fec,
            unread=self.unread,
            errors=errors,
        )
