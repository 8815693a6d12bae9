"""Readings of a switch that does not exist: as many ports, lanes and samples as a measurement needs.

Every call of `readings` gives each value anew, in the steps in which modules report it (0.1 uW, 2 uA, 1/256 degC),
so nothing can be served from the time before. Not a simulation: see `fakes` for modules on a bus.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from agent import quantities as q
from agent.model import Bounds, LaneFlags, Module, Reading, VdmSample
from agent.quantities import Flag, Quantity

BOUNDS: Mapping[Quantity, Bounds] = {
    q.TEMPERATURE: Bounds(high_alarm=75.0, high_warning=70.0, low_warning=0.0, low_alarm=-5.0),
    q.SUPPLY_VOLTAGE: Bounds(high_alarm=3.63, high_warning=3.465, low_warning=3.135, low_alarm=2.97),
    q.TX_BIAS: Bounds(high_alarm=0.12, high_warning=0.11, low_warning=0.03, low_alarm=0.02),
    q.TX_POWER: Bounds(high_alarm=0.0044, high_warning=0.0035, low_warning=0.0004, low_alarm=0.0003),
    q.RX_POWER: Bounds(high_alarm=0.0044, high_warning=0.0035, low_warning=0.0002, low_alarm=0.0001),
}
LANE_FLAGS = (q.RX_LOS, q.TX_LOS, q.RX_CDR_LOL, q.TX_CDR_LOL, q.TX_FAULT)


@dataclass
class Switch:
    """`ports` modules of `lanes` lanes each.

    `bare` leaves out what a refresh does not change (thresholds, data path, module-wide flags): with 8 lanes a
    port then has 100 samples of its own values, as in the measurements of the peers.
    """

    ports: int = 512
    lanes: int = 8
    device: str = "leaf-17"
    bare: bool = False
    seed: int = 7
    _random: random.Random = field(init=False)
    _modules: dict[str, Module] = field(init=False, default_factory=dict[str, Module])

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        for number in range(self.ports):
            self._modules[f"Ethernet{number * 8}"] = Module(
                memory_map="cmis",
                revision="5.0",
                identifier=25,
                form_factor="OSFP 8X Pluggable Transceiver",
                vendor_name="FACETEST",
                part_number="SYN-800G-2DR4",
                serial_number=f"SYN{number:07d}",
                vendor_revision="A1",
                firmware_revision="2.10",
                media="smf",
                media_technology="1310 nm EML",
                connector="MPO 2x12",
                max_power_watts=16.0,
                host_lanes=self.lanes,
                media_lanes=self.lanes,
            )

    def readings(self, time: float) -> Iterator[Reading]:
        """One refresh of every port at a Unix time, every value new."""
        for port, module in self._modules.items():
            yield self.reading(port, module, time)

    def reading(self, port: str, module: Module, time: float) -> Reading:
        """One refresh of one port."""
        rnd, lanes = self._random.randrange, range(1, self.lanes + 1)
        vdm = [
            *(VdmSample("snr_media_input", lane, 1, rnd(4600, 6000) / 256, "db") for lane in lanes),
            *(
                VdmSample("pre_fec_ber_current_media_input", lane, 1, rnd(1, 2047) * 1e-11, "ratio")
                for lane in lanes
            ),
        ]
        values = {
            q.TEMPERATURE: rnd(40 * 256, 70 * 256) / 256,
            q.SUPPLY_VOLTAGE: rnd(32000, 34000) / 10_000,
            q.LASER_TEMPERATURE: rnd(45 * 256, 60 * 256) / 256,
        }
        alarms: dict[Flag, bool] = {}
        if not self.bare:
            alarms = {q.ALARM_FLAGS["temperature", bound]: False for bound in q.BOUNDS}
        return Reading(
            device=self.device,
            port=port,
            source="synthetic",
            time=time,
            module=module,
            module_state="ModuleReady",
            values=values,
            lanes={
                q.TX_POWER: {lane: rnd(8_000, 16_000) / 10_000_000 for lane in lanes},
                q.RX_POWER: {lane: rnd(3_000, 12_000) / 10_000_000 for lane in lanes},
                q.TX_BIAS: {lane: rnd(30_000, 45_000) / 500_000 for lane in lanes},
            },
            flags=alarms,
            lane_flags={flag: LaneFlags((1 << self.lanes) - 1, self._rarely()) for flag in LANE_FLAGS},
            data_path_states={} if self.bare else dict.fromkeys(lanes, 4),
            thresholds={} if self.bare else BOUNDS,
            vdm=tuple(vdm),
        )

    def _rarely(self) -> int:
        """Mostly no lane, sometimes one."""
        return 1 << self._random.randrange(self.lanes) if self._random.random() < 0.02 else 0
