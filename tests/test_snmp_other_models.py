"""What devices that nobody here has seen may answer: other models of a vendor, other ways to say a number or none.

Tables written by hand; the numbers are those of the MIBs' descriptions and of public field reports.
"""

import pytest

from agent import quantities as q
from agent.errors import ConfigError
from agent.model import Reading
from drivers.snmp import rules
from tests.test_snmp_rules import (
    CISCO,
    ENT,
    HUAWEI,
    IFX,
    E,
    Rows,
    dbm,
    device,
    huawei,
    interface,
    near,
    sensor,
    threshold,
)

HP = f"{E}.11.2.14.11.5.1.82.1.1.1.1"
JUNIPER = f"{E}.2636.3.60.1.1.1.1"
OCNOS = f"{E}.36673.100.1.2.3.1"
OCNOS_CAGES = f"{E}.36673.100.1.2.2.1"


# Numbers


@pytest.mark.parametrize(
    ("cell", "want"),
    [
        (-245, dbm(-2.45)),
        (2**32 - 245, dbm(-2.45)),  # Integer32 sent as Gauge32
        ("-245", dbm(-2.45)),  # and as text
    ],
)
def test_an_integer_in_whatever_clothes(cell: int | str, want: float) -> None:
    rows = interface(5, "ge-0/0/5") | {f"{JUNIPER}.5.5": cell, f"{JUNIPER}.8.5": 31}
    assert device(rows)["ge-0/0/5"].lanes == {q.RX_POWER: {1: near(want)}}


@pytest.mark.parametrize("nothing", [2**31 - 1, -(2**31), 2**32 - 2**31, "2147483647", -1_000_000_000, 999_999])
def test_numbers_that_no_module_can_have_are_no_readings(nothing: int | str) -> None:
    """Whether or not the MIB's file knows the sentinel."""
    rows = interface(5, "ge-0/0/5") | {f"{JUNIPER}.{column}.5": nothing for column in (5, 7, 8)}
    rows |= {f"{JUNIPER}.25.5": 3300, f"{JUNIPER}.22.5": nothing, f"{JUNIPER}.21.5": 80}
    reading = device(rows)["ge-0/0/5"]
    assert (reading.values, reading.lanes) == ({q.SUPPLY_VOLTAGE: near(3.3)}, {})
    assert dict(reading.thresholds[q.TEMPERATURE]) == {"high_alarm": 80.0}


def test_a_sentinel_as_text_or_unsigned_is_still_none() -> None:
    rows = interface(7, "A1") | {f"{HP}.11.7": 40000, f"{HP}.14.7": "-99999999", f"{HP}.15.7": 2**32 - 99_999_999}
    reading = device(rows)["A1"]
    assert (reading.values, reading.lanes) == ({q.TEMPERATURE: 40.0}, {})


def test_a_row_of_zeros_in_texts_is_no_milliwatt() -> None:
    table = f"{E}.6027.3.11.1.3.1.1"
    rows = interface(9, "Te 1/9") | {f"{table}.{c}.9": "0.00" for c in (8, 12, 16, 17, 18)}
    assert device(rows)["Te 1/9"].lanes == {}
    rows |= {f"{table}.16.9": "41.5", f"{table}.17.9": "3.31"}  # a dark laser: 0 dBm and no current
    reading = device(rows)["Te 1/9"]
    assert reading.lanes == {q.TX_BIAS: {1: 0.0}}
    assert reading.values == {q.TEMPERATURE: 41.5, q.SUPPLY_VOLTAGE: near(3.31)}
    assert reading.unread == ("rx_power_watts", "tx_power_watts")


# HUAWEI-ENTITY-EXTENT-MIB


def test_huawei_lane_lists_in_hundredths_of_dbm() -> None:
    reading = huawei(
        c6=3310, c7=5900, c8=133, c9=-132, c31="5.90,5.90,5.90,5.90", c32="133.83,98.54,179.26,80.16",
        c33="-132.65,-59.63,-24.66,-56.65",
    )  # fmt: skip
    assert reading.lanes[q.RX_POWER] == {n: near(dbm(x)) for n, x in enumerate((1.3383, 0.9854, 1.7926, 0.8016), 1)}
    assert reading.lanes[q.TX_POWER][2] == near(dbm(-0.5963))
    assert reading.lanes[q.TX_BIAS] == {n: near(0.0059) for n in range(1, 5)}
    assert reading.values[q.RX_POWER] == near(dbm(1.33))


def test_huawei_lane_lists_in_dbm_told_by_the_plain_column() -> None:
    """-1.21 could be hundredths too; the column beside says -121 of them."""
    reading = huawei(
        c6=3310, c7=5900, c8=-121, c9=-25, c32="-1.21,-1.51,-1.83,-2.18", c33="-0.25,-0.26,-0.26,-0.23"
    )
    assert reading.lanes[q.RX_POWER] == {n: near(dbm(x)) for n, x in enumerate((-1.21, -1.51, -1.83, -2.18), 1)}
    assert reading.lanes[q.TX_POWER][4] == near(dbm(-0.23))


def test_huawei_lane_lists_in_dbm_beside_microwatts() -> None:
    """S57xx switches: 398 uW is -4.00 dBm, 562 uW is -2.50 dBm. Both lists could be hundredths too."""
    reading = huawei(c6=3310, c7=5900, c8=398, c9=562, c32="-4.00,-4.10,-3.90,-4.20", c33="-2.50,-2.60,-2.40,-2.30")
    assert reading.lanes[q.RX_POWER] == {n: near(dbm(x)) for n, x in enumerate((-4.0, -4.1, -3.9, -4.2), 1)}
    assert reading.lanes[q.TX_POWER][4] == near(dbm(-2.3))
    assert reading.values[q.RX_POWER] == near(398e-6)


def test_one_port_tells_the_unit_of_the_lists_of_all() -> None:
    rows: Rows = {}
    for entity, plain, lanes in ((7, -12, "-12.30,-11.10"), (8, -5, "-5.10,-4.90"), (9, 133, "133.83,98.54")):
        rows |= interface(entity, f"100GE0/0/{entity}") | {f"{ENT}.7.{entity}": f"100GE0/0/{entity}"}
        rows |= {f"{HUAWEI}.6.{entity}": 3300, f"{HUAWEI}.8.{entity}": plain, f"{HUAWEI}.32.{entity}": lanes}
    found = device(rows, system=f"{E}.2011.2.239.1")
    assert found["100GE0/0/8"].lanes[q.RX_POWER] == {1: near(dbm(-0.051)), 2: near(dbm(-0.049))}


# ECS4120-MIB and its relatives


@pytest.mark.parametrize(
    ("system", "table"),
    [
        ("259.10.1.24.104", "259.10.1.24.1.2.11.1"),
        ("259.10.1.45.105", "259.10.1.45.1.2.11.1"),
        ("259.10.1.42.101", "259.10.1.42.101.1.2.11.1"),
        ("259.8.1.11", "259.8.1.11.1.2.11.1"),
    ],
)
def test_edgecore_models_have_their_tables_in_trees_of_their_own(system: str, table: str) -> None:
    rows = interface(25, "Eth1/25") | {
        f"{E}.{table}.2.25": "38.98 degrees C normal", f"{E}.{table}.3.25": "3.30 V normal",
        f"{E}.{table}.4.25": "24.74 mA normal", f"{E}.{table}.5.25": "2.99 dBm normal",
        f"{E}.{table}.6.25": "-40.00 dBm low alarm",
    }  # fmt: skip
    reading = device(rows, system=f"{E}.{system}")["Eth1/25"]
    assert reading.values == {q.TEMPERATURE: near(38.98), q.SUPPLY_VOLTAGE: near(3.3)}
    assert reading.lanes == {
        q.TX_BIAS: {1: near(0.02474)}, q.TX_POWER: {1: near(dbm(2.99))}, q.RX_POWER: {1: near(1e-7)},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("system", "model"), [("259.10.1.45.105", "259.10.1.45"), ("259.10.1.24.104", "259.10.1.24")]
)
def test_edgecore_limits_are_a_hundred_times_the_value(system: str, model: str) -> None:
    """Of each: low alarm, low warning, high warning, high alarm (portTransceiverThresholdInfoTable, portMgt 12)."""
    values, limits = f"{E}.{model}.1.2.11.1", f"{E}.{model}.1.2.12.1"
    rows = interface(25, "Eth1/25") | interface(26, "Eth1/26")
    rows |= {f"{values}.2.25": "38.98 degrees C normal", f"{values}.6.25": "-5.00 dBm normal"}
    numbers = (
        -500, 0, 7000, 7500,  310, 315, 345, 350,  600, 700, 9000, 10000,  -1200, -1150, -900, -850,
        -2150, -2100, -100, -50,
    )  # fmt: skip
    for port in (25, 26):  # the second has no module
        rows |= {f"{limits}.{column}.{port}": number for column, number in enumerate(numbers, 2)}
    found = device(rows, system=f"{E}.{system}")
    thresholds = found["Eth1/25"].thresholds
    order = ("low_alarm", "low_warning", "high_warning", "high_alarm")
    want = {
        q.TEMPERATURE: (-5.0, 0.0, 70.0, 75.0),
        q.SUPPLY_VOLTAGE: (3.1, 3.15, 3.45, 3.5),
        q.TX_BIAS: (0.006, 0.007, 0.09, 0.1),
        q.TX_POWER: (dbm(-12), dbm(-11.5), dbm(-9), dbm(-8.5)),
        q.RX_POWER: (dbm(-21.5), dbm(-21), dbm(-1), dbm(-0.5)),
    }
    for quantity, numbers_ in want.items():
        assert dict(thresholds[quantity]) == {
            name: near(number) for name, number in zip(order, numbers_, strict=True)
        }
    assert not found["Eth1/26"].values
    assert not found["Eth1/26"].lanes


def test_a_mib_in_the_tree_of_the_model_is_not_asked_of_other_devices() -> None:
    mib = next(mib for mib in rules.load() if mib.name == "ECS4120-MIB")
    assert mib.on((1, 3, 6, 1, 4, 1, 9, 1, 1208)).entries == ()
    assert mib.on((1, 3, 6, 1, 4, 1, 259, 10)).entries == ()
    with pytest.raises(ConfigError, match="belong together"):
        rules.parse(
            'name = "A"\nreference = "B"\nmodel_numbers = [2]\n[[table]]\nentry = "1.3.6.1.4.1.9.1"\n'
            'index = ["if_index"]\n[[table.value]]\nquantity = "rx_power"\ncolumn = 1\nunit = "dBm"\n',
            name="acme.toml",
        )


# IPI-CMM-CHASSIS-MIB


def ocnos(cage: int, **columns: int | str) -> dict[str, Reading]:
    rows: Rows = {f"{OCNOS}.2.1.{cage}.1": 3350, f"{OCNOS}.22.1.{cage}.1": -2874}
    rows |= {f"{OCNOS_CAGES}.{name[1:]}.1.{cage}": value for name, value in columns.items()}
    for index, name in enumerate(("eth0", "xe0", "xe1", "ce0", "ce1/1", "ce1/2", "cd4/1"), 5001):
        rows |= interface(index, name)
    return {port: reading for port, reading in device(rows).items() if reading.lanes}


def test_ocnos_cages_of_every_kind_find_their_port() -> None:
    assert list(ocnos(29, c2=2, c42=0)) == ["ce0"]  # QSFP and SFP cages count apart
    assert list(ocnos(1, c2=1, c42=0)) == ["xe0"]
    assert list(ocnos(30, c2=2, c42=1)) == ["ce1/1"]  # broken out: the module's first port
    assert list(ocnos(2, c2=2, c60="ce0")) == ["ce0"]
    assert list(ocnos(4, c2=2)) == ["cd4/1"]  # no column names a port: the cage's own number
    assert list(ocnos(1, c2=1)) == ["xe1"]
    assert list(ocnos(1, c2=1, c42=77)) == ["IPI-CMM-CHASSIS-MIB 1.1"]  # a number that fits none is not replaced


# ALCATEL-IND1-PORT-MIB


@pytest.mark.parametrize("root", ["800", "801"])
def test_omniswitch_without_lanes(root: str) -> None:
    table = f"{E}.6486.{root}.1.2.1.5.1.1.2.5.1"
    cells = {1: 38000, 2: -5000, 3: -10000, 4: 70000, 5: 75000, 6: 3290, 11: 34100, 16: -2150, 21: -200000}
    rows = interface(1001, "1/1") | {f"{table}.{column}.1001": value for column, value in cells.items()}
    reading = device(rows, system=f"{E}.6486.{root}.1.1.2.1.7.1.10")["1/1"]
    assert reading.values == {q.TEMPERATURE: 38.0, q.SUPPLY_VOLTAGE: near(3.29)}
    assert reading.lanes == {q.TX_BIAS: {1: near(0.0341)}, q.TX_POWER: {1: near(dbm(-2.15))}}
    assert dict(reading.thresholds[q.TEMPERATURE]) == {
        "high_alarm": 75.0, "high_warning": 70.0, "low_warning": -5.0, "low_alarm": -10.0,
    }  # fmt: skip
    lanes = f"{E}.6486.801.1.2.1.5.1.1.2.6.1"
    both = device(rows | {f"{lanes}.17.1001.1": -2100}, system=f"{E}.6486.{root}.1")["1/1"]
    assert list(both.lanes[q.TX_POWER]) == [1]  # once, though both tables have it


# FOUNDRY-SN-SWITCH-GROUP-MIB, FS-SWITCH-V2-MIB


def test_the_logarithm_of_nothing_is_no_light() -> None:
    port, lanes = f"{E}.1991.1.1.3.3.6.1", f"{E}.1991.1.1.3.3.10.1"
    rows = interface(2, "100GigabitEthernet1/2") | {f"{port}.1.2": "Not supported", f"{port}.3.2": "N/A"}
    rows |= {f"{lanes}.4.2.1": "-026.0205 dBm: Low-Alarm", f"{lanes}.4.2.2": "-214.3647 dBm: Low-Alarm"}
    rows |= {f"{lanes}.4.2.3": "-9999.0000 dBm: N/A", f"{lanes}.4.2.4": "-2147483648 dBm"}  # sentinels are not dark
    rows |= {f"{lanes}.2.2.{lane}": "50.9687 C: Normal" for lane in (1, 2)}
    assert device(rows)["100GigabitEthernet1/2"].lanes[q.RX_POWER] == {1: near(dbm(-26.0205)), 2: 0.0}


def test_temperature_and_voltage_of_a_list_are_the_modules() -> None:
    base = f"{E}.52642.1.37.1.10"
    rows = interface(3, "eth-0-3") | {
        f"{base}.2.1.5.3": "36.50,0.00,0.00,0.00", f"{base}.3.1.5.3": "3.29,0.00,0.00,0.00",
        f"{base}.6.1.5.3": "-2.10,-2.20,-2.30,-2.40",
    }  # fmt: skip
    reading = device(rows, system=f"{E}.52642.1.99.5802")["eth-0-3"]
    assert reading.values == {q.TEMPERATURE: 36.5, q.SUPPLY_VOLTAGE: near(3.29)}
    assert list(reading.lanes) == [q.RX_POWER]


# Sensors by entity


def test_limits_of_sensors_sent_as_unsigned_are_negative() -> None:
    rows = interface(9, "Ethernet1/1") | sensor(
        5, "Ethernet1/1 Transceiver Receive Power Sensor", 14, -3, table=CISCO
    )
    rows |= threshold(5, (20, 1, 2**32 - 18), (10, 1, 2**32 - 14), (10, 3, 1), (20, 3, 3))
    assert dict(device(rows)["Ethernet1/1"].thresholds[q.RX_POWER]) == {
        "high_alarm": near(dbm(3)), "high_warning": near(dbm(1)),
        "low_warning": near(dbm(-14)), "low_alarm": near(dbm(-18)),
    }  # fmt: skip


def test_the_temperatures_of_a_card_with_one_optic_are_not_the_optics() -> None:
    rows = interface(9, "Te1/0/1") | {f"{ENT}.2.100": "Line card 1", f"{ENT}.5.100": 9, f"{ENT}.4.100": 1}
    rows |= sensor(101, "Te1/0/1 Receive Power Sensor", 14, -3, parent=100, table=CISCO)
    rows |= sensor(102, "Te1/0/1 Bias Current Sensor", 5, 6, scale=8, parent=100, table=CISCO)
    rows |= sensor(103, "Te1/0/1 Module Temperature Sensor", 8, 31, parent=100, table=CISCO)
    rows |= sensor(104, "Inlet Temp Sensor", 8, 24, parent=100, table=CISCO)
    rows |= sensor(105, "Hotspot Temp Sensor", 8, 51, parent=100, table=CISCO)
    found = device(rows, system=f"{E}.9.1.1208")
    assert list(found) == ["Te1/0/1"]
    assert found["Te1/0/1"].values == {q.TEMPERATURE: 31.0}


@pytest.mark.parametrize("holder", ["SFP-10G-LR-S transceiver", "Cisco QSFP28 100G LR4 Pluggable Optics Module"])
def test_every_sensor_of_a_pluggable_is_the_optics(holder: str) -> None:
    rows = interface(9, "Hu0/0/0/1") | {f"{ENT}.2.100": holder, f"{ENT}.5.100": 9, f"{ENT}.7.100": "Hu0/0/0/1"}
    rows |= sensor(101, "Rx Lane 0 Power", 14, -3, parent=100, table=CISCO)
    for n, text in enumerate(("Module Temp", "Case Temp"), 102):
        rows |= sensor(n, text, 8, 30 + n, parent=100, table=CISCO)
    assert q.TEMPERATURE in device(rows)["Hu0/0/0/1"].values


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Te1/1/3 Receive Power Sensor", "TenGigabitEthernet1/1/3"),
        ("TenGigabitEthernet1/1/3 Receive Power Sensor", "Te1/1/3"),
        ("Eth1/3 Lane 1 Transceiver Receive Power Sensor", "Ethernet1/3"),
        ("HundredGigE1/0/49 Receive Power Sensor", "Hu1/0/49"),
    ],
)
def test_a_port_name_may_be_shortened_or_spelled_out(text: str, name: str) -> None:
    """A device without ifXTable has only the one form, one without ifTable only the other."""
    rows: Rows = {f"{IFX}.1.9": name}
    rows |= sensor(5, text, 14, -3, table=CISCO)
    assert device(rows)[name].lanes == {q.RX_POWER: {1: near(dbm(-3))}}


def test_a_shortened_name_that_fits_two_ports_fits_none() -> None:
    rows = interface(1, "TenGigabitEthernet1/1/3") | interface(2, "TenGigE1/1/3")
    rows |= sensor(5, "Te1/1/3 Receive Power Sensor", 14, -3, table=CISCO) | interface(3, "Te0/1")
    rows |= sensor(6, "Temp 0/1 Rx", 14, -4, table=CISCO)
    assert {reading.link.get("if_index") for reading in device(rows).values() if reading.lanes} == {None}
