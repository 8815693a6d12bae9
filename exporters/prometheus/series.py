"""How many series a module has in each profile: typical readings, rendered and counted."""

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from agent import quantities as q
from agent.model import Bounds, LaneFlags, Module, Reading, Stats, VdmSample
from agent.state import Hub, LinkChanged, LinkState
from exporters.prometheus.exposition import Exposition
from exporters.prometheus.families import LANE_FLAGS, Profile
from exporters.prometheus.layout import PowerUnit

_FOUR: Final = Bounds(high_alarm=4.0, high_warning=3.0, low_warning=2.0, low_alarm=1.0)
_COHERENT: Final = ("cd", "dgd", "pdl_db", "osnr_db", "esnr_db", "cfo_hertz", "evm_ratio", "mer_db")
_STATS: Final = ("min", "max", "avg", "current")


class Kind(NamedTuple):
    """A kind of module, as it typically is."""

    name: str
    lanes: int
    cmis: bool = False
    coherent: bool = False


KINDS: Final = (
    Kind("SFP", 1),
    Kind("QSFP", 4),
    Kind("CMIS, 4 lanes", 4, cmis=True),
    Kind("CMIS, 8 lanes", 8, cmis=True),
    Kind("coherent", 1, cmis=True, coherent=True),
)


def series(
    profile: Profile, *, power_units: Collection[PowerUnit] = ("watts", "dbm")
) -> Iterator[tuple[Kind, int]]:
    """Each kind of module with its number of series, those of a port with a link among them."""
    for kind in KINDS:
        hub = Hub("device")
        exposition = Exposition(hub, profile=profile, power_units=power_units)
        hub.publish(typical(kind))
        hub.local.port("port").link = LinkState(up=True, last_change=1.0)
        hub.publish(LinkChanged("device", "port"))
        yield kind, exposition.series("device")


def typical(kind: Kind) -> Reading:
    """A reading with everything that such a module usually offers; its numbers mean nothing."""
    lanes = range(1, kind.lanes + 1)
    hosts = range(1, 9 if kind.cmis else kind.lanes + 1)
    monitors = (q.TEMPERATURE, q.SUPPLY_VOLTAGE, q.TX_BIAS, q.TX_POWER, q.RX_POWER)
    alarms = [flag for (name, _), flag in q.ALARM_FLAGS.items() if name in {"temperature", "supply_voltage"}]
    lane_alarms = [flag for (name, _), flag in q.ALARM_FLAGS.items() if name in {"tx_bias", "tx_power", "rx_power"}]
    mask = LaneFlags((1 << kind.lanes) - 1, 0)
    vdm = [
        VdmSample(f"{name}_{side}_input", lane, 1, 0.5, "ratio")
        for side, count in (("media", lanes), ("host", hosts))
        for lane in count
        for name in ("snr", *(f"{kind_}_{stat}" for kind_ in ("pre_fec_ber", "ferc") for stat in _STATS))
    ]
    return Reading(
        device="device",
        port="port",
        source="typical",
        time=1.0,
        module=Module(vendor_name="vendor", serial_number="serial"),
        module_state="ModuleReady",
        values={q.TEMPERATURE: 1.0, q.SUPPLY_VOLTAGE: 1.0},
        lanes={quantity: dict.fromkeys(lanes, 1.0) for quantity in (q.TX_BIAS, q.TX_POWER, q.RX_POWER)},
        flags=dict.fromkeys(alarms, False),
        lane_flags=dict.fromkeys([*LANE_FLAGS, *lane_alarms], mask),
        data_path_states=dict.fromkeys(hosts, 4) if kind.cmis else {},
        thresholds=dict.fromkeys(monitors, _FOUR),
        vdm=tuple(vdm) if kind.cmis else (),
        coherent={name: Stats(value=1, min=1, max=1, avg=1) for name in _COHERENT} if kind.coherent else {},
    )
