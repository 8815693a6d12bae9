"""What the alert rules cost: 512 ports of eight lanes, all of them quiet, then all of them dark.

    python benchmarks/rules.py

CPU time of the process; the machine's other work does not count, its speed does.
"""

import random
import statistics
import time

from agent import quantities as q
from agent.alerts.builtin import BUILTIN_RULES
from agent.alerts.engine import Alerts
from agent.clock import Instant
from agent.model import Bounds, LaneFlags, Module, Reading
from agent.quantities import Quantity

PORTS = 512
LANES = range(1, 9)
THRESHOLDS: dict[Quantity, Bounds] = {
    q.TEMPERATURE: {"high_alarm": 75.0, "high_warning": 70.0, "low_warning": 0.0, "low_alarm": -5.0},
    q.SUPPLY_VOLTAGE: {"high_alarm": 3.6, "high_warning": 3.5, "low_warning": 3.1, "low_alarm": 3.0},
    q.TX_BIAS: {"high_alarm": 0.1, "high_warning": 0.09, "low_warning": 0.02, "low_alarm": 0.01},
    q.TX_POWER: {"high_alarm": 0.004, "high_warning": 0.003, "low_warning": 0.0002, "low_alarm": 0.0001},
    q.RX_POWER: {"high_alarm": 0.004, "high_warning": 0.003, "low_warning": 0.00015, "low_alarm": 0.0001},
}
LANE_FLAGS = (
    q.TX_FAULT, q.TX_LOS, q.TX_CDR_LOL, q.TX_ADAPTIVE_EQ_FAULT, q.RX_LOS, q.RX_CDR_LOL, q.DATA_PATH_STATE_CHANGED,
    *(q.ALARM_FLAGS[name, bound] for name in ("tx_power", "tx_bias", "rx_power") for bound in q.BOUNDS),
)  # fmt: skip
MODULE_FLAGS = tuple(
    q.ALARM_FLAGS[name, bound]
    for name in ("temperature", "supply_voltage", "aux1", "aux2", "aux3", "custom")
    for bound in q.BOUNDS
)
MODULES: list[Module] = [{"vendor_name": "V", "part_number": "P", "serial_number": str(n)} for n in range(PORTS)]


def reading(port: int, second: float, *, rx: float = 0.0005) -> Reading:
    """One refresh of an eight-lane CMIS module, no two alike."""
    noise = random.random() * 1e-5
    return Reading(
        "bench", f"Ethernet{port}", f"i2c:{port // 16}", 1.8e9 + second, MODULES[port], "ModuleReady",
        values={q.TEMPERATURE: 50.0 + noise, q.SUPPLY_VOLTAGE: 3.3},
        lanes={
            q.RX_POWER: dict.fromkeys(LANES, rx + noise),
            q.TX_POWER: dict.fromkeys(LANES, 0.001 + noise),
            q.TX_BIAS: dict.fromkeys(LANES, 0.06),
        },
        flags=dict.fromkeys(MODULE_FLAGS, False),
        lane_flags={flag: LaneFlags(0xFF, 0) for flag in LANE_FLAGS},
        data_path_states=dict.fromkeys(LANES, 4), thresholds=THRESHOLDS,
    )  # fmt: skip


def sweep(engine: Alerts, second: float, *, rx: float = 0.0005) -> float:
    """Microseconds of CPU a reading, over all ports."""
    readings = [reading(port, second, rx=rx) for port in range(PORTS)]
    at = Instant(second, 1.8e9 + second)
    began = time.process_time()
    for each in readings:
        engine.judge(each, at)
    engine.tick(at)
    return (time.process_time() - began) / PORTS * 1e6


def main() -> None:
    """Print the figures."""
    engine = Alerts(BUILTIN_RULES)
    first = sweep(engine, 0.0)
    quiet = [sweep(engine, 1.0 + index) for index in range(20)]
    fall = sweep(engine, 30.0, rx=0.00001)
    dark = [sweep(engine, 31.0 + index, rx=0.00001) for index in range(10)]
    print(f"first reading of a port: {first:.0f} us")
    print(f"quiet: median {statistics.median(quiet):.1f} us, best {min(quiet):.1f} us a reading")
    print(f"all ports fall: {fall:.0f} us; all dark: median {statistics.median(dark):.0f} us a reading")


if __name__ == "__main__":
    main()
