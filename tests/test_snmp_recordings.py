"""27 real switches over the wire: every sensor that an independent program derived, none that it did not.

The recordings are served by the project's fake agent and read as `opticd read snmp:` reads; what is compared is
the JSON document of the contract. What their README leaves out of judgement is counted apart.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from agent.documents.device import DeviceDocument
from agent.documents.reading import ReadingDocument
from drivers.snmp import rules
from drivers.snmp.credentials import Credentials
from drivers.snmp.oneshot import read_device
from fakes import snmp_recording
from fakes.snmp_agent import Agent, Tables
from tests.conftest import SHARED

RECORDINGS: Final = sorted((SHARED / "data" / "snmp").glob("*.snmprec")) if SHARED else []
MIBS: Final = rules.load()
KEYS: Final = {
    ("temperature", "degC"): ("temperature_celsius", 1.0),
    ("voltage", "V"): ("supply_voltage_volts", 1.0),
    ("tx_bias", "mA"): ("tx_bias_amperes", 1e-3),
    ("tx_power", "dBm"): ("tx_power_dbm", 1.0),
    ("rx_power", "dBm"): ("rx_power_dbm", 1.0),
    ("tx_power", "mW"): ("tx_power_watts", 1e-3),
    ("rx_power", "mW"): ("rx_power_watts", 1e-3),
}
BOUNDS: Final = {
    "low_alarm": "low_alarm", "low_warn": "low_warning", "high_warn": "high_warning", "high_alarm": "high_alarm",
}  # fmt: skip
POWERS: Final = {"tx_power", "rx_power"}
QUANTITIES: Final = {key.rpartition("_")[0] for key, _ in KEYS.values()}

# "All seven optical ports are administratively down and report exactly 0 for bias and power: 0 dBm here is not a
# real reading" (the file's own note).
NOT_A_READING: Final = {("nxos_n9k-c93180yc-fx3", "tx_power", "0"), ("nxos_n9k-c93180yc-fx3", "rx_power", "0")}


class Sensor(NamedTuple):
    """A value of a document: port, quantity, lane (0: the port's own), value in watts, amperes, volts, celsius."""

    port: str
    quantity: str
    lane: int
    value: float


_READ: Final[dict[Path, DeviceDocument]] = {}
"""Each recording is read once."""


async def read(path: Path) -> DeviceDocument:
    if path not in _READ:
        _READ[path] = await _read(path)
    return _READ[path]


async def _read(path: Path) -> DeviceDocument:
    agent = await Agent.start(Tables(snmp_recording.load(path)))
    try:
        found = await read_device("127.0.0.1", agent.port, Credentials(), name=path.stem, mibs=MIBS)
        return found.document()
    finally:
        agent.stop()


def sensors(document: DeviceDocument) -> Iterator[Sensor]:
    for port in document["ports"]:
        for key, value in port["values"].items():
            if not key.endswith("_dbm"):
                yield Sensor(port["port"], key.rpartition("_")[0], 0, value)
        for lane in port["lanes"]:
            for name, cell in lane.items():
                if isinstance(cell, float) and not name.endswith("_dbm"):
                    yield Sensor(port["port"], name.rpartition("_")[0], lane.get("lane", 0), cell)


def port_of(document: DeviceDocument, expected: dict[str, Any]) -> ReadingDocument | None:
    for port in document["ports"]:
        if expected["if_name"] is not None and port["port"] == expected["if_name"]:
            return port
    for port in document["ports"]:
        if expected["if_index"] is not None and port.get("link", {}).get("if_index") == expected["if_index"]:
            return port
    return None


def value_of(port: ReadingDocument, key: str, lane: int | None) -> float | None:
    """The value on a lane; without one that of the port, or of its only lane."""
    lanes = {entry.get("lane"): entry.get(key) for entry in port["lanes"]}
    found: object = None
    if lane is not None:
        found = lanes.get(lane)
    if found is None and (lane is None or "power" not in key):
        found = port["values"].get(key)
    if found is None and lane is None and len(lanes) <= 1:
        found = lanes.get(1)
    return found if isinstance(found, float) else None


def zero_row(expected: list[dict[str, Any]], sensor: dict[str, Any]) -> bool:
    """Power, bias and voltage of the port are all zero."""
    row = [e for e in expected if e["if_index"] == sensor["if_index"] and e["if_name"] == sensor["if_name"]]
    return all(float(str(e["raw"]).split()[0]) == 0 for e in row if e["class"] != "temperature")


def left_out(name: str, expected: list[dict[str, Any]], sensor: dict[str, Any]) -> bool:
    """What the README of the recordings, or the recording's own note, keeps from being judged."""
    marked = any(sensor.get(mark) for mark in ("zero_row", "ambiguous_zero", "name_type_conflict"))
    return (
        marked
        or zero_row(expected, sensor)
        or (name == "xos_sfp" and sensor["class"] in POWERS)
        or (name, sensor["class"], sensor["raw"]) in NOT_A_READING
        or (name == "yunshan_s5735-v2")
    )


def lane_shift(expected: list[dict[str, Any]]) -> int:
    """Recorded lane numbers that begin with 0 are lanes 1, 2, ... here."""
    return 1 if any(sensor["lane"] == 0 for sensor in expected) else 0


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
async def test_every_sensor_of_a_recording(path: Path, record_property: Any) -> None:
    facts: dict[str, Any] = json.loads(path.with_suffix(".expected.json").read_text())
    expected: list[dict[str, Any]] = facts["sensors"]
    document = await read(path)
    assert "partial" not in document
    shift = lane_shift(expected)
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    accounted: set[tuple[str, str, int]] = set()
    for sensor in expected:
        key, unit = KEYS[sensor["class"], sensor["unit"]]
        lane = None if sensor["lane"] is None else sensor["lane"] + shift
        port = port_of(document, sensor)
        judged = not left_out(facts["name"], expected, sensor)
        quantity = key.rpartition("_")[0]
        if port is not None:
            accounted |= {(port["port"], quantity, at) for at in ((0, 1) if lane is None else (lane, 0))}
        found = None if port is None else value_of(port, key, lane)
        want = sensor["value"] * unit
        right = found is not None and math.isclose(found, want, rel_tol=1e-4, abs_tol=1e-4 if unit == 1.0 else 1e-7)
        counts["right" if right else ("wrong" if judged else "not judged")] += 1
        if judged and not right:
            wrong.append(f"{sensor['if_name']} {sensor['class']} lane {lane}: {found} instead of {want}")
    invented = [s for s in sensors(document) if s.quantity in QUANTITIES and s[:3] not in accounted]
    record_property("sensors", dict(counts))
    print(f"{path.stem}: {dict(counts)}")  # noqa: T201 - the count is asked for
    assert not wrong
    assert not invented


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
async def test_every_threshold_of_a_recording(path: Path) -> None:
    facts: dict[str, Any] = json.loads(path.with_suffix(".expected.json").read_text())
    expected: list[dict[str, Any]] = facts["sensors"]
    document = await read(path)
    compared = 0
    for sensor in expected:
        key, unit = KEYS[sensor["class"], sensor["unit"]]
        limits = {ours: sensor[theirs] for theirs, ours in BOUNDS.items() if sensor.get(theirs) is not None}
        port = port_of(document, sensor)
        invented = sensor.get("thresholds_from") == "librenms" and facts["name"].startswith("ios")
        saturated = len(limits) == 4 and len(set(limits.values())) == 1
        if (
            not any(limits.values())
            or port is None
            or invented
            or saturated
            or left_out(facts["name"], expected, sensor)
        ):
            continue
        ours = port["thresholds"].get(key.replace("_dbm", "_watts"), {})
        for bound, limit in limits.items():
            want = 10 ** (limit / 10 - 3) if unit == 1.0 and sensor["class"] in POWERS else limit * unit
            got = ours.get(bound)
            assert isinstance(got, float), (sensor["if_name"], sensor["class"], bound)
            assert math.isclose(got, want, rel_tol=1e-3, abs_tol=1e-7), (sensor["if_name"], sensor["class"], bound)
            compared += 1
    print(f"{path.stem}: {compared} limits right")  # noqa: T201 - the count is asked for


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
async def test_links_and_modules_of_a_recording(path: Path) -> None:
    facts: dict[str, Any] = json.loads(path.with_suffix(".expected.json").read_text())
    document = await read(path)
    interfaces = {port["if_index"]: port for port in facts["ports"]}
    for port in document["ports"]:
        link = port.get("link", {})
        interface = interfaces.get(link.get("if_index", 0))
        if interface is not None:
            assert link.get("if_name") in (interface["if_name"], interface["if_descr"])
            assert link.get("admin_up") == (interface["admin"] == "up")
            assert link.get("oper_up") == (interface["oper"] == "up")
    serials = {port["module"].get("serial_number") for port in document["ports"]}
    for transceiver in facts["transceivers"]:
        if transceiver["serial"]:
            assert transceiver["serial"].strip() in serials, transceiver


@pytest.mark.parametrize(
    "name", ["srlinux", "junos_srx3600", "comware_hpe5900", "yunshan_s5735-v2", "routeros_crs317"]
)
async def test_devices_without_readings_answer_empty_and_valid(name: str, shared_data: Path) -> None:
    document = await read(shared_data / "snmp" / f"{name}.snmprec")
    assert document["schema"] == "opticd/device/1"
    assert list(sensors(document)) == []
    json.dumps(document, allow_nan=False)


def test_the_recordings_are_all_there(shared_data: Path) -> None:
    assert len(list((shared_data / "snmp").glob("*.snmprec"))) == 27 == len(RECORDINGS)
