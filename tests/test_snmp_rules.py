"""What the vendors' tables mean, case by case, from tables written by hand after the MIBs and field reports."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import quantities as q
from agent.errors import ConfigError
from agent.model import Reading
from drivers.snmp import ber, mapping, rules
from drivers.snmp.ber import Oid, Value
from drivers.snmp.mapping import DeviceMap
from drivers.snmp.tables import Tables
from drivers.snmp.units import from_text, parse_unit

MIBS = rules.load()
E = "1.3.6.1.4.1"
IF = "1.3.6.1.2.1.2.2.1"
IFX = "1.3.6.1.2.1.31.1.1.1"
ENT = "1.3.6.1.2.1.47.1.1.1.1"
ALIAS = "1.3.6.1.2.1.47.1.3.2.1.2"
SENSOR = "1.3.6.1.2.1.99.1.1.1"
CISCO = f"{E}.9.9.91.1.1.1.1"

Rows = dict[str, int | str]


def oid(text: str) -> Oid:
    return tuple(int(part) for part in text.split("."))


def device(
    rows: Mapping[str, int | str], *, system: str = "1.3.6.1.4.1.1", description: str = ""
) -> dict[str, Reading]:
    """Readings by port of a device with exactly these rows; texts beginning with `1.3.6` are OIDs."""
    here = [mib.on(oid(system)) for mib in MIBS]
    known = [mib for mib in here if any(oid(name)[: len(e)] == e for name in rows for e in mib.entries)]
    entries = [entry for mib in known for entry in {column[:-1] for column in mib.columns}]
    entries += [oid(entry) for entry in (IF, IFX, ENT, "1.3.6.1.2.1.47.1.3.2.1")]
    columns: dict[Oid, dict[Oid, Value]] = {}
    for name, value in rows.items():
        entry = max((e for e in entries if oid(name)[: len(e)] == e), key=len)
        column, row = oid(name)[: len(entry) + 1], oid(name)[len(entry) + 1 :]
        columns.setdefault(column, {})[row] = value if isinstance(value, int) else octets(value)
    plan = mapping.build(Tables(columns), known, system=oid(system), description=description)
    return readings(plan, columns)


def octets(text: str) -> bytes:
    return ber.encode_oid(oid(text)) if text.startswith("1.3.6") else text.encode()


def readings(plan: DeviceMap, columns: Mapping[Oid, Mapping[Oid, Value]]) -> dict[str, Reading]:
    values = [columns.get(column, {}) for column in plan.columns]
    return {port.name: port.reading(values, device="d", source="s", time=0.0)[0] for port in plan.ports}


def interface(index: int, name: str, *, descr: str = "") -> Rows:
    return {f"{IF}.2.{index}": descr or name, f"{IF}.3.{index}": 6, f"{IFX}.1.{index}": name, f"{IF}.8.{index}": 1}


def near(value: float) -> Any:
    """`pytest.approx`, closer, and of a type that compares with anything."""
    return pytest.approx(value, rel=1e-9, abs=1e-15)


def dbm(value: float) -> float:
    return float(10 ** (value / 10 - 3))


def sensor(
    entity: int, text: str, kind: int, value: int, *, scale: int = 9, precision: int = 0, parent: int = 0,
    status: int = 1, table: str = SENSOR,
) -> Rows:  # fmt: skip
    return {
        f"{ENT}.2.{entity}": text, f"{ENT}.4.{entity}": parent, f"{ENT}.5.{entity}": 8,
        f"{table}.1.{entity}": kind, f"{table}.2.{entity}": scale, f"{table}.3.{entity}": precision,
        f"{table}.4.{entity}": value, f"{table}.5.{entity}": status,
    }  # fmt: skip


# Units and texts


@pytest.mark.parametrize(
    ("text", "unit", "want"),
    [
        ("41.00 degrees C normal", "celsius", 41.0),
        ("3.35 V normal", "V", 3.35),
        ("24.58 mA normal", "mA", 0.02458),
        ("-4.99 dBm normal", "dBm", dbm(-4.99)),
        ("-002.8257 dBm: Normal", "dBm", dbm(-2.8257)),
        ("6.582 mA: Normal", "mA", 0.006582),
        ("566.4 uWatts Normal", "dBm", 566.4e-6),
        ("6.184 mAmps Normal", "mA", 0.006184),
        ("57 C Normal", "celsius", 57.0),
        (" 31.6679 C Normal", "celsius", 31.6679),
        ("0.5537", "mW", 0.5537e-3),
        ("-Inf", "dBm", 0.0),
        ("-inf dBm", "dBm", 0.0),
        ("N/A", "dBm", None),
        ("n/a", "mW", None),
        ("", "V", None),
        ("3.3 mA", "V", None),  # the unit behind the number says that it is no voltage
        ("500 dBm", "dBm", None),  # nothing sends that
        ("-1", "uW", None),  # power is never negative
    ],
)
def test_readings_as_text(text: str, unit: str, want: float | None) -> None:
    got = from_text(text.encode(), parse_unit(unit))
    assert got == (None if want is None else near(want))


@pytest.mark.parametrize("text", ["furlongs", "0 dBm", "-1 mA", "x V", ""])
def test_units_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"unit|step|Invalid"):
        parse_unit(text)


@given(st.binary(max_size=40), st.sampled_from(["dBm", "mW", "celsius", "0.01 V", "1/500 mA"]))
def test_any_text_is_a_number_or_none(text: bytes, unit: str) -> None:
    value = from_text(text, parse_unit(unit))
    assert value is None or value == value  # noqa: PLR0124 - not NaN


# HUAWEI-ENTITY-EXTENT-MIB

HUAWEI = f"{E}.2011.5.25.31.1.1.3.1"


def huawei(**columns: int | str) -> Reading:
    rows: Rows = {f"{HUAWEI}.{name[1:]}.7": value for name, value in columns.items()}
    rows |= {f"{ENT}.7.7": "GE0/0/1", f"{ENT}.5.7": 10, f"{ENT}.4.7": 0}
    rows |= interface(3, "GE0/0/1")
    return device(rows, system=f"{E}.2011.2.23.294")["GE0/0/1"]


def test_huawei_switch_gives_microwatts_and_the_lane_text_tells() -> None:
    reading = huawei(c5=45, c6=3306, c7=22236, c8=300, c9=252, c31="22.24", c32="-522.88", c33="-597.39", c13=-2697)
    assert reading.lanes[q.RX_POWER] == {1: near(300e-6)}
    assert reading.lanes[q.TX_BIAS] == {1: near(0.022236)}
    assert dict(reading.thresholds[q.RX_POWER]) == {"low_alarm": near(dbm(-26.97))}


def test_huawei_routers_give_hundredths_of_dbm_positive_ones_too_and_milliamperes() -> None:
    reading = huawei(
        c5=40, c6=3300, c7=34, c8=70, c9=123, c31="34,35,33,36", c32="0.70,1.23,1.54,1.05", c33="1.23,1.1,1.2,1.3"
    )
    assert reading.values[q.RX_POWER] == near(dbm(0.70))
    assert reading.lanes[q.RX_POWER] == {n: near(dbm(x)) for n, x in enumerate((0.70, 1.23, 1.54, 1.05), 1)}
    assert reading.lanes[q.TX_BIAS][2] == near(0.035)
    assert reading.values[q.TX_BIAS] == near(0.034)


def test_huawei_negative_power_is_hundredths_of_dbm_without_any_text() -> None:
    reading = huawei(c5=40, c7=6000, c8=-512, c9=-230)
    assert reading.lanes[q.RX_POWER] == {1: near(dbm(-5.12))}
    assert reading.lanes[q.TX_BIAS] == {1: near(0.006)}


def test_huawei_sentinels_are_no_readings() -> None:
    reading = huawei(c4="S1", c5=-255, c6=-1, c7=-1, c8=-1, c9=-1, c13=0, c14=0, c15=0, c16=0)
    assert (reading.values, reading.lanes, reading.thresholds) == ({}, {}, {})
    assert reading.module.get("serial_number") == "S1"


# CISCO-ENTITY-SENSOR-MIB


def test_the_same_sensors_in_two_tables_are_reported_once_and_named_by_entity() -> None:
    rows: Rows = {f"{ENT}.7.50": "subslot 0/0 transceiver 10", f"{ENT}.5.50": 9, f"{ENT}.4.50": 0}
    for entity, text, kind, value in (
        (51, "subslot 0/0 transceiver 10 Temperature Sensor", 8, 31),
        (52, "subslot 0/0 transceiver 10 Tx Power Sensor", 14, -2),
        (53, "subslot 0/0 transceiver 10 Rx Power Sensor", 14, -5),
    ):
        rows |= sensor(entity, text, kind, value, parent=50) | sensor(
            entity, text, kind, value, parent=50, table=CISCO
        )
    found = device(rows, system=f"{E}.9.1.3000")
    assert list(found) == ["subslot 0/0 transceiver 10"]
    reading = found["subslot 0/0 transceiver 10"]
    assert reading.values == {q.TEMPERATURE: 31.0}
    assert reading.lanes == {q.TX_POWER: {1: near(dbm(-2))}, q.RX_POWER: {1: near(dbm(-5))}}
    assert reading.entity_index == 50
    assert "if_index" not in reading.link


def threshold(entity: int, *rows: tuple[int, int, int]) -> Rows:
    found: Rows = {}
    for n, (severity, relation, value) in enumerate(rows, 1):
        for column, cell in ((2, severity), (3, relation), (4, value)):
            found[f"{E}.9.9.91.1.2.1.1.{column}.{entity}.{n}"] = cell
    return found


@pytest.mark.parametrize(
    ("limits", "want"),
    [
        (  # NX-OS: major is the alarm, minor the warning, in any order
            [(20, 3, 80), (10, 3, 73), (20, 1, -10), (10, 1, -3)],
            {"high_alarm": 80.0, "high_warning": 73.0, "low_warning": -3.0, "low_alarm": -10.0},
        ),
        (  # ASR 9901: minor 0 is not set, critical is the alarm and major the warning
            [(10, 4, 0), (20, 4, 70), (30, 4, 75), (10, 2, 0), (20, 2, -5), (30, 2, -10)],
            {"high_alarm": 75.0, "high_warning": 70.0, "low_warning": -5.0, "low_alarm": -10.0},
        ),
        (  # ASR 9001: critical is the sentinel
            [(10, 2, -5), (10, 4, 80), (20, 2, -10), (20, 4, 85), (30, 2, -32768), (30, 3, -32768)],
            {"high_alarm": 85.0, "high_warning": 80.0, "low_warning": -5.0, "low_alarm": -10.0},
        ),
        ([(10, 4, 0), (20, 4, 0), (10, 2, 0), (20, 2, 0)], {}),
        ([(1, 4, 90), (1, 2, -9)], {}),  # severity other says nothing
        # 0 degC is the usual low warning of a module for indoors
        ([(10, 1, 0), (20, 1, -5)], {"low_warning": 0.0, "low_alarm": -5.0}),
        ([(30, 4, 95)], {"high_alarm": 95.0}),
    ],
)
def test_cisco_limits(limits: list[tuple[int, int, int]], want: dict[str, float]) -> None:
    rows = sensor(5, "Ethernet1/1 Lane 1 Transceiver Temperature Sensor", 8, 40, table=CISCO)
    rows |= interface(9, "Ethernet1/1") | threshold(5, *limits)
    assert device(rows)["Ethernet1/1"].thresholds.get(q.TEMPERATURE, {}) == want


def test_an_invalid_precision_is_ignored() -> None:
    rows = sensor(5, "Ethernet1/1 Transceiver Temperature Sensor", 8, 40, precision=1615384784, table=CISCO)
    assert device(rows | interface(9, "Ethernet1/1"))["Ethernet1/1"].values == {q.TEMPERATURE: 40.0}


def test_a_dark_laser_of_nxos_does_not_receive_a_milliwatt() -> None:
    rows = interface(9, "Ethernet1/25")
    for entity, text, kind, value in (
        (1, "Bias Current", 5, 0), (2, "Receive Power", 14, 0), (3, "Transmit Power", 14, 0), (4, "Voltage", 4, 3),
    ):  # fmt: skip
        rows |= sensor(entity, f"Ethernet1/25 Lane 1 Transceiver {text} Sensor", kind, value, table=CISCO)
    reading = device(rows)["Ethernet1/25"]
    assert reading.lanes == {q.TX_BIAS: {1: 0.0}}
    assert reading.unread == ("rx_power_watts", "tx_power_watts")
    lit = device(rows | {f"{CISCO}.4.1": 6})["Ethernet1/25"]  # with current through the laser 0 dBm is 1 mW
    assert lit.lanes[q.RX_POWER] == {1: near(1e-3)}


def test_a_name_that_contradicts_its_type_is_not_believed() -> None:
    rows = interface(9, "Hu1/0/49")
    rows |= sensor(1, "Hu1/0/49 Transmit Power Sensor", 8, 28, table=CISCO)
    rows |= sensor(2, "Hu1/0/49 Receive Power Sensor", 14, -3, table=CISCO)
    reading = device(rows)["Hu1/0/49"]
    assert reading.values == {}
    assert set(reading.lanes) == {q.RX_POWER}


def test_lanes_that_count_from_0_become_lanes_from_1() -> None:
    rows = interface(9, "HundredGigE0/0/1/0")
    for lane in range(4):
        rows |= sensor(10 + lane, f"HundredGigE0/0/1/0-Rx Lane {lane} Power", 14, -lane - 1, table=CISCO)
    reading = device(rows)["HundredGigE0/0/1/0"]
    assert reading.lanes[q.RX_POWER] == {n: near(dbm(-n)) for n in (1, 2, 3, 4)}


def test_power_supplies_and_boards_are_not_optics() -> None:
    rows: Rows = {f"{ENT}.7.1": "PM0", f"{ENT}.5.1": 6}
    rows |= sensor(2, "0/PM0-Input Power", 6, 107, parent=1, table=CISCO)
    rows |= sensor(3, "0/PM0-Output Power", 6, 99, parent=1, table=CISCO)
    rows |= sensor(4, "0/PM0-Output Current", 5, 8, parent=1, table=CISCO)
    rows |= sensor(5, "0/RP0-MB-P3V3_SFP_VOUT", 4, 3, parent=1, table=CISCO)
    rows |= sensor(6, "Temp: Inlet_A", 8, 27, parent=1, table=CISCO)
    assert device(rows) == {}


# ENTITY-SENSOR-MIB


def test_arista_lanes_of_one_module_are_lanes_of_its_port() -> None:
    rows: Rows = interface(501, "Ethernet50/1") | {f"{ENT}.2.100": "Xcvr for Ethernet50", f"{ENT}.5.100": 9}
    rows |= {f"{ENT}.13.100": "QSFP-100G-SR4", f"{ENT}.4.100": 0}
    rows |= sensor(101, "DOM Temperature Sensor for Ethernet50/1", 8, 418, precision=1, parent=100)
    for lane in range(4):
        holder = 110 + lane * 10
        rows |= {
            f"{ENT}.2.{holder}": f"Lane {lane} for Xcvr for Ethernet50",
            f"{ENT}.4.{holder}": 100,
            f"{ENT}.5.{holder}": 9,
        }
        text = f"DOM RX Power Sensor for Ethernet50/{lane + 1}"
        rows |= sensor(holder + 3, text, 6, 5000 + lane, scale=8, precision=4, parent=holder)
    reading = device(rows, system=f"{E}.30065.1")["Ethernet50/1"]
    assert reading.values == {q.TEMPERATURE: near(41.8)}
    assert reading.lanes[q.RX_POWER] == {n + 1: near((5000 + n) * 1e-7) for n in range(4)}
    assert reading.module.get("part_number") == "QSFP-100G-SR4"


def test_arista_breakout_members_show_their_own_lane() -> None:
    rows: Rows = {}
    for lane in range(4):
        holder = 110 + lane * 10
        rows |= interface(501 + lane, f"Ethernet50/{lane + 1}")
        rows |= {f"{ENT}.2.{holder}": f"Lane {lane} for Xcvr for Ethernet50", f"{ENT}.4.{holder}": 100}
        text = f"DOM TX Bias Sensor for Ethernet50/{lane + 1}"
        rows |= sensor(holder + 1, text, 5, 600 + lane, scale=8, precision=2, parent=holder)
    found = device(rows, system=f"{E}.30065.1")
    assert {port: reading.lanes[q.TX_BIAS] for port, reading in found.items()} == {
        f"Ethernet50/{lane + 1}": {lane + 1: near((600 + lane) * 1e-5)} for lane in range(4)
    }


def test_sonic_behind_net_snmps_id_is_joined_by_number() -> None:
    base = 1_000_000_000 + 53 * 100
    rows = interface(53, "Eth1/53")
    rows |= sensor(base + 10, "DOM Temperature Sensor for Ethernet52", 8, 28945300, precision=6)
    rows |= sensor(base + 22, "DOM TX Power Sensor for Ethernet52/2", 6, 0, scale=8, precision=4, status=2)
    rows |= sensor(base + 32, "DOM RX Power Sensor for Ethernet52/2", 6, 8954, scale=8, precision=4)
    reading = device(rows, system=f"{E}.8072.3.2.10", description="SONiC Software Version: 202311")["Eth1/53"]
    assert reading.values == {q.TEMPERATURE: near(28.9453)}
    assert reading.lanes == {q.RX_POWER: {2: near(895.4e-6)}}
    assert reading.unread == ("tx_power_watts",)


def test_a_port_name_is_found_whole_and_longest_first() -> None:
    rows = interface(1, "Ethernet1") | interface(10, "Ethernet10") | interface(11, "Ethernet1/1")
    for entity, name in ((1, "Ethernet1"), (2, "Ethernet10"), (3, "Ethernet1/1")):
        rows |= sensor(entity, f"DOM RX Power Sensor for {name}", 14, -entity)
    found = device(rows)
    assert {port: reading.lanes[q.RX_POWER][1] for port, reading in found.items()} == {
        "Ethernet1": near(dbm(-1)), "Ethernet10": near(dbm(-2)), "Ethernet1/1": near(dbm(-3)),
    }  # fmt: skip


def test_a_looping_or_torn_entity_tree_is_climbed_no_further() -> None:
    rows: Rows = {f"{ENT}.4.1": 2, f"{ENT}.4.2": 1, f"{ENT}.5.1": 9, f"{ENT}.5.2": 9, f"{ENT}.7.1": "cage"}
    rows |= sensor(3, "Transceiver RX Power", 14, -3, parent=1) | sensor(
        4, "Transceiver RX Power", 14, -4, parent=77
    )
    found = device(rows)
    assert sorted(reading.lanes[q.RX_POWER][1] for reading in found.values()) == [near(dbm(-4)), near(dbm(-3))]
    assert "cage" in found


def test_an_alias_mapping_leads_to_the_interface() -> None:
    rows = interface(1001, "1:1") | {f"{ALIAS}.4.0": "1.3.6.1.2.1.2.2.1.1.1001", f"{ENT}.5.4": 10, f"{ENT}.4.4": 3}
    rows |= {f"{ENT}.5.3": 3, f"{ALIAS}.3.0": "1.3.6.1.2.1.2.2.1.1.7"}
    rows |= sensor(132, "SFP RX Power Sensor", 6, 5, scale=8, parent=4)
    assert device(rows)["1:1"].lanes == {q.RX_POWER: {1: near(0.005)}}


def exos(raw: int, precision: int) -> Reading:
    rows = interface(1001, "1:1") | {f"{ALIAS}.4.0": "1.3.6.1.2.1.2.2.1.1.1001", f"{ENT}.5.4": 10}
    rows |= sensor(132, "SFP TX Power Sensor", 6, raw, scale=7, precision=precision, parent=4)
    return device(rows | sensor(133, "SFP RX Power Sensor", 6, -1, scale=7, precision=precision, parent=4))["1:1"]


def test_a_scale_that_cannot_be_is_said_and_mended() -> None:
    reading = exos(10646, 0)  # by its scale 10.6 mW from an SFP
    assert reading.lanes == {q.TX_POWER: {1: near(1.0646e-3)}}
    assert reading.errors[0].reason == "suspect_scale"
    assert reading.unread == ("rx_power_watts",)  # -1: no reading
    right = exos(10646, 1)
    assert right.lanes == {q.TX_POWER: {1: near(1.0646e-3)}}
    assert right.errors == ()


def test_a_module_under_two_index_schemes_is_one() -> None:
    rows = interface(1, "Eth1/1")
    rows |= sensor(900001041, "Eth1/1 Transceiver RX power", 14, -3) | sensor(
        1000100041, "Eth1/1 Transceiver RX power", 14, -3
    )
    assert device(rows, system=f"{E}.33049.1")["Eth1/1"].lanes == {q.RX_POWER: {1: near(dbm(-3))}}


# Column tables


def test_junos_takes_the_truth_from_the_lanes() -> None:
    table, lanes = f"{E}.2636.3.60.1.1.1.1", f"{E}.2636.3.60.1.2.1.1"
    rows = interface(994, "et-0/2/0") | {
        f"{table}.{c}.994": v for c, v in ((5, 0), (6, 0), (7, 0), (8, 35), (25, 3419))
    }
    for lane, rx in enumerate((-1329, -1339)):
        rows |= {f"{lanes}.6.994.{lane}": rx, f"{lanes}.7.994.{lane}": 37560, f"{lanes}.8.994.{lane}": 108}
    rows |= interface(1, "ge-0/0/0") | {f"{table}.{c}.1": 0 for c in (5, 6, 7, 8, 25)}
    found = device(rows)
    reading = found["et-0/2/0"]
    assert reading.values == {q.TEMPERATURE: 35.0, q.SUPPLY_VOLTAGE: near(3.419)}
    assert reading.lanes[q.RX_POWER] == {1: near(dbm(-13.29)), 2: near(dbm(-13.39))}
    assert reading.lanes[q.TX_BIAS][1] == near(0.03756)
    assert found["ge-0/0/0"].values == {}  # copper


def test_junos_coherent() -> None:
    table = f"{E}.2636.3.71.1.2.1.1"
    rows = interface(5, "et-0/0/5") | {f"{table}.{c}.5": v for c, v in ((7, -100), (8, -1234), (39, 51))}
    reading = device(rows)["et-0/0/5"]
    assert reading.lanes == {q.TX_POWER: {1: near(dbm(-1))}, q.RX_POWER: {1: near(dbm(-12.34))}}


def test_nokia_external_calibration() -> None:
    """TIMETRA-PORT-MIB: (raw * slope / 256 + offset) steps; rx power by SFF-8472's polynomial, here 2x + 100."""
    table = f"{E}.6527.3.1.2.2.4.31.1"
    cells = {
        1: 8960, 6: 32944, 11: 2268, 16: 3196, 21: 1000, 40: 1, 44: 0x40000000, 45: 0x42C80000, 46: 256, 47: 10,
        48: 235, 49: 0, 50: 128, 51: 256, 52: 256, 53: -44, 4: 17920,
    }  # fmt: skip
    rows = interface(9, "1/1/1") | {f"{table}.{column}.1.9": value for column, value in cells.items()}
    reading = device(rows)["1/1/1"]
    assert reading.values == {q.TEMPERATURE: near(18.5), q.SUPPLY_VOLTAGE: near(3.29)}
    assert reading.lanes[q.TX_BIAS] == {1: near((2268 + 10) / 500 / 1000)}
    assert reading.lanes[q.TX_POWER] == {1: near(3196 * 235 / 256 * 1e-7)}
    assert reading.lanes[q.RX_POWER] == {1: near(2100e-7)}
    assert dict(reading.thresholds[q.TEMPERATURE]) == {"high_warning": near(36.0)}
    rows[f"{table}.40.1.9"] = 2
    assert device(rows)["1/1/1"].values[q.TEMPERATURE] == near(35.0)


def test_comware_channels_and_limits_in_other_units() -> None:
    table, lanes = f"{E}.25506.2.70.1.1.1", f"{E}.25506.2.70.1.2.1"
    cells = {
        9: -540,
        12: -2147483648 + 2**32 - 1,
        15: 44,
        16: 335,
        17: 908,
        18: 90000,
        19: -45000,
        26: 85000,
        30: 6310,
    }
    rows = interface(26, "XGE1/0/1") | {f"{table}.{column}.26": value for column, value in cells.items()}
    for lane in (1, 2):
        rows |= {
            f"{lanes}.2.26.{lane}": -100 * lane,
            f"{lanes}.3.26.{lane}": 2147483647,
            f"{lanes}.5.26.{lane}": 600,
        }
    reading = device(rows)["XGE1/0/1"]
    assert reading.values[q.TX_POWER] == near(dbm(-5.4))  # the port's own beside its lanes
    assert reading.lanes[q.TX_POWER] == {1: near(dbm(-1)), 2: near(dbm(-2))}
    assert reading.lanes[q.TX_BIAS] == {1: near(0.006), 2: near(0.006)}
    assert q.RX_POWER not in reading.lanes
    assert dict(reading.thresholds[q.TEMPERATURE]) == {"high_alarm": 90.0, "low_alarm": -45.0}
    assert dict(reading.thresholds[q.TX_BIAS]) == {"high_alarm": near(0.085)}
    assert dict(reading.thresholds[q.TX_POWER]) == {"high_alarm": near(631e-6)}


def test_comware_limits_in_dbm_count_where_those_in_microwatts_are_not_set() -> None:
    """In "hundredths of dBm": hh3cTransceiverPwrOutHiAlarmDbm (52) to hh3cTransceiverRcvPwrLoWarnDbm (59)."""
    table = f"{E}.25506.2.70.1.1.1"
    cells = {
        9: -240, 30: 2147483647, 31: 2147483647, 32: 2147483647, 33: 2147483647,
        52: 200, 53: -1130, 54: 100, 55: -930,
        12: -550, 34: 22387, 35: 100, 36: 11220, 37: 158,
        56: 9999, 57: -9999, 58: 9999, 59: -9999,
    }  # fmt: skip
    rows = interface(26, "XGE1/0/1") | {f"{table}.{column}.26": value for column, value in cells.items()}
    limits = device(rows)["XGE1/0/1"].thresholds
    assert dict(limits[q.TX_POWER]) == {
        "high_alarm": near(dbm(2)), "low_alarm": near(dbm(-11.3)),
        "high_warning": near(dbm(1)), "low_warning": near(dbm(-9.3)),
    }  # fmt: skip
    assert dict(limits[q.RX_POWER]) == {
        "high_alarm": near(2.2387e-3), "low_alarm": near(1e-5),
        "high_warning": near(1.122e-3), "low_warning": near(1.58e-5),
    }  # fmt: skip


def test_comware_limits_of_a_channel() -> None:
    """In "microamps": hh3cTransceiverChannelBiasHiAm, LoAm; "in tenths of microwatts": TXPwrHiAm, LoAm."""
    lanes = f"{E}.25506.2.70.1.2.1"
    rows = interface(26, "FGE1/0/1")
    for lane in (1, 2, 3, 4):
        cells = {2: -100, 5: 600, 6: 13000, 7: 2000, 8: 34674, 9: 851}
        rows |= {f"{lanes}.{column}.26.{lane}": value for column, value in cells.items()}
    limits = device(rows)["FGE1/0/1"].thresholds
    assert dict(limits[q.TX_BIAS]) == {"high_alarm": near(0.013), "low_alarm": near(0.002)}
    assert dict(limits[q.TX_POWER]) == {"high_alarm": near(3.4674e-3), "low_alarm": near(8.51e-5)}


def test_mikrotik_ports_outside_iftable_keep_their_own_name() -> None:
    table = f"{E}.14988.1.1.19.1.1"
    cells: Rows = {
        "2": "sfp-sfpplus25",
        "3": 1,
        "4": 0,
        "5": 131000,
        "6": 38,
        "7": 3301,
        "8": 31,
        "9": -1523,
        "10": -40000,
    }
    found = device({f"{table}.{column}.25": value for column, value in cells.items()} | interface(1, "ether1"))
    reading = found["sfp-sfpplus25"]
    assert reading.module.get("wavelength_nm") == near(1310.0)
    assert reading.lanes[q.RX_POWER] == {1: near(1e-7)}
    assert reading.lane_flags[q.RX_LOS].active == 1
    assert reading.lane_flags[q.TX_FAULT].active == 0


def test_ocnos_limits_are_sorted_by_their_numbers_and_cages_found_by_front_panel_number() -> None:
    table, eeprom = f"{E}.36673.100.1.2.3.1", f"{E}.36673.100.1.2.2.1"
    cells = {2: 2455, 3: 0, 5: -500, 6: 7500, 4: 7000, 17: -100000, 22: -2874, 12: -100001, 31: 1}
    rows = interface(5010, "xe9") | {f"{table}.{column}.1.10.1": value for column, value in cells.items()}
    rows |= {f"{eeprom}.42.1.10": 9, f"{eeprom}.35.1.10": "SN1  "}
    reading = device(rows)["xe9"]
    assert dict(reading.thresholds[q.TEMPERATURE]) == {
        "high_alarm": 75.0, "high_warning": 70.0, "low_warning": 0.0, "low_alarm": -5.0,
    }  # fmt: skip
    assert reading.lanes[q.TX_POWER] == {1: 0.0}  # the floor: no light
    assert reading.lane_flags[q.RX_LOS].active == 1
    assert reading.module.get("serial_number") == "SN1"


def test_dell_fills_only_its_own_lane_of_a_broken_out_module() -> None:
    table = f"{E}.6027.3.11.1.3.1.1"
    cells: Rows = {
        "2": "Te 1/49/2",
        "7": "SER",
        "8": "",
        "9": "-1.5",
        "12": "",
        "13": "-2.5",
        "16": "41.9",
        "19": "7.41",
    }
    reading = device({f"{table}.{c}.9": v for c, v in cells.items()} | interface(9, "TenGigabitEthernet 1/49/2"))[
        "TenGigabitEthernet 1/49/2"
    ]
    assert reading.lanes == {
        q.TX_POWER: {2: near(dbm(-1.5))},
        q.RX_POWER: {2: near(dbm(-2.5))},
        q.TX_BIAS: {2: near(0.00741)},
    }


def test_fs_centec_lists_are_lanes() -> None:
    base = f"{E}.52642.1.37.1.10"
    rows = interface(3, "eth-0-3") | {
        f"{base}.2.1.5.3": "36.50", f"{base}.3.1.5.3": "3.29", f"{base}.4.1.5.3": "6.10,6.20,6.30,6.40",
        f"{base}.5.1.5.3": "-1.10,-1.20,-1.30,-1.40", f"{base}.6.1.5.3": "-40.00,-2.20,-2.30,-2.40",
    }  # fmt: skip
    reading = device(rows, system=f"{E}.52642.1.99.5802")["eth-0-3"]
    assert reading.values == {q.TEMPERATURE: 36.5, q.SUPPLY_VOLTAGE: 3.29}
    assert reading.lanes[q.RX_POWER][1] == near(1e-7)
    assert reading.lanes[q.TX_BIAS] == {n + 1: near((6.1 + n / 10) / 1000) for n in range(4)}


def test_foundry_ports_and_lanes() -> None:
    port, lanes = f"{E}.1991.1.1.3.3.6.1", f"{E}.1991.1.1.3.3.10.1"
    rows = interface(44, "10GigabitEthernet1/2/4") | {
        f"{port}.1.44": "41.4960 C: Normal",
        f"{port}.2.44": "007.9643 dBm: Normal",
        f"{port}.3.44": "N/A",
        f"{port}.4.44": "N/A",
    }
    for lane in (1, 2):
        rows |= {f"{lanes}.2.44.{lane}": "41.5 C: Normal", f"{lanes}.3.44.{lane}": "566.4 uWatts Normal"}
        rows |= {f"{lanes}.4.44.{lane}": "-001.8428 dBm Normal", f"{lanes}.5.44.{lane}": "6.184 mAmps Normal"}
    reading = device(rows)["10GigabitEthernet1/2/4"]
    assert reading.values[q.TX_POWER] == near(dbm(7.9643))
    assert reading.values[q.TEMPERATURE] == near(41.496)
    assert reading.lanes[q.TX_POWER] == {1: near(566.4e-6), 2: near(566.4e-6)}
    assert reading.lanes[q.TX_BIAS][2] == near(0.006184)


def test_lane_limits_of_aruba_stand_in_the_row_of_the_module() -> None:
    module, lane = f"{E}.47196.4.1.1.3.27.1.2.1.1", f"{E}.47196.4.1.1.3.27.1.2.2.1"
    rows = interface(27, "1/1/27") | {
        f"{module}.2.27": "33.6797",
        f"{module}.24.27": "1.2589",
        f"{module}.25.27": "0.1258",
    }
    rows |= {f"{lane}.2.27.1": "6.5540", f"{lane}.7.27.1": "0.6451", f"{lane}.12.27.1": "n/a"}
    reading = device(rows)["1/1/27"]
    assert reading.lanes == {q.TX_BIAS: {1: near(0.006554)}, q.TX_POWER: {1: near(645.1e-6)}}
    assert dict(reading.thresholds[q.TX_POWER]) == {
        "high_alarm": near(1.2589e-3),
        "low_alarm": near(0.1258e-3),
    }


# Files of users

ACME = """
name = "ACME-OPTICS-MIB"
reference = "the manual, page 7"
system = ["1.3.6.1.4.1.99999"]

[[table]]
entry = "1.3.6.1.4.1.99999.1.1.1"
index = ["if_index", "lane0"]
no_value = [-1]

[[table.value]]
quantity = "rx_power"
column = 3
unit = "0.1 uW"
thresholds = { low_alarm = 4 }
"""


def test_a_user_adds_a_vendor_without_code(tmp_path: Path) -> None:
    (tmp_path / "acme.toml").write_text(ACME)
    mibs = rules.load(tmp_path)
    assert len(mibs) == len(MIBS) + 1
    acme = next(mib for mib in mibs if mib.name == "ACME-OPTICS-MIB")
    entry = (1, 3, 6, 1, 4, 1, 99999, 1, 1, 1)
    columns: dict[Oid, dict[Oid, Value]] = {(*entry, 3): {(7, 0): 5000, (7, 1): -1}, (*entry, 4): {(7, 0): 100}}
    plan = mapping.build(Tables(columns), [acme], system=(), description="")
    (reading,) = readings(plan, columns).values()
    assert reading.lanes == {q.RX_POWER: {1: near(500e-6)}}
    assert dict(reading.thresholds[q.RX_POWER]) == {"low_alarm": near(10e-6)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("rx_power", "rx_pwr"), "quantity"),
        (("0.1 uW", "0.1 furlong"), "unknown unit 'furlong'"),
        (("column = 3\n", ""), "give either 'column' or 'lanes'"),
        (("no_value", "no_valve"), "no_valve: Extra inputs"),
        (("[[table.value]]", "[[table.values]]"), "table.0.values: Extra inputs"),
        (("name =", "name ="), ""),
        (("[[table]]", "[[table"), "acme.toml"),
    ],
)
def test_mistakes_of_a_users_file_are_told_with_their_place(
    change: tuple[str, str], words: str, tmp_path: Path
) -> None:
    (tmp_path / "acme.toml").write_text(ACME.replace(*change))
    if not words:
        assert rules.load(tmp_path)
        return
    with pytest.raises(ConfigError, match=words) as caught:
        rules.load(tmp_path)
    assert "acme.toml" in str(caught.value)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a folder"):
        rules.load(tmp_path / "nowhere")


# Any device at all


@given(
    st.dictionaries(
        st.tuples(
            st.sampled_from(
                [(*entry, n) for mib in MIBS for entry in mib.entries[:1] for n in (2, 4, 5, 7, 8, 12)]
            ),
            st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)),
            st.integers(1, 3),
        ),
        st.one_of(st.integers(-(2**63), 2**64), st.binary(max_size=12)),
        max_size=40,
    )
)
def test_any_rows_give_readings_and_no_exception(cells: dict[tuple[Oid, tuple[int, ...], int], Value]) -> None:
    columns: dict[Oid, dict[Oid, Value]] = {}
    for (column, row, length), value in cells.items():
        columns.setdefault(column, {})[row[:length]] = value
    plan = mapping.build(Tables(columns), MIBS, system=(), description="SONiC")
    for reading in readings(plan, columns).values():
        for number in (*reading.values.values(), *(v for lane in reading.lanes.values() for v in lane.values())):
            assert isinstance(number, float | int)
