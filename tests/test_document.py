"""A reading as the JSON of the contract, literal by literal."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import quantities as q
from agent.documents.reading import decode_memory, timestamp, to_document
from agent.errors import DecodeError
from agent.maps import identify
from agent.memory import I2C_DIAGNOSTICS, Memory, Span
from agent.model import LaneFlags, Laser, Link, Module, Reading, Stats, Trouble, Tunable, VdmSample
from tests.sff_images import decode, qsfp

HOT = q.ALARM_FLAGS["temperature", "high_alarm"]
COLD = q.ALARM_FLAGS["temperature", "low_alarm"]
MODULE = Module(memory_map="cmis", identifier=25, vendor_name="ACME", part_number="X", serial_number="1")
BARE = Reading(device="leaf-17", port="Ethernet0", source="i2c:12", time=1795352400.1234, module=MODULE)


def as_json(reading: Reading) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(to_document(reading), allow_nan=False))
    return document


def test_an_empty_reading_has_its_containers_and_nothing_else() -> None:
    assert as_json(BARE) == {
        "schema": "opticd/reading/1",
        "device": "leaf-17",
        "port": "Ethernet0",
        "source": "i2c:12",
        "time": "2026-11-22T13:00:00.123Z",
        "module": {
            "memory_map": "cmis", "identifier": 25, "vendor_name": "ACME", "part_number": "X", "serial_number": "1",
        },
        "values": {},
        "lanes": [],
        "thresholds": {},
        "flags": [],
        "unread": [],
        "errors": [],
    }  # fmt: skip


def test_columns_become_lanes() -> None:
    reading = replace(
        BARE,
        module_state="ModuleReady",
        values={q.TEMPERATURE: 71.82, q.SUPPLY_VOLTAGE: 3.1206},
        lanes={q.RX_POWER: {1: 1e-7, 2: 0.0}, q.TX_POWER: {1: 0.001}, q.TX_BIAS: {1: 0.063}},
        flags={HOT: True, COLD: False},
        lane_flags={q.RX_LOS: LaneFlags(offered=0b011, active=0b101), q.TX_FAULT: LaneFlags(0b1000, 0)},
        data_path_states={1: 4, 9: 2},
        lane_applications={1: 3},
        tx_disabled={2: True},
    )
    document = as_json(reading)
    assert document["module_state"] == "ModuleReady"
    assert document["values"] == {"temperature_celsius": 71.82, "supply_voltage_volts": 3.1206}
    assert document["flags"] == ["temperature_high_alarm"]
    assert document["lanes"] == [
        {
            "lane": 1,
            "rx_power_watts": 1e-07,
            "rx_power_dbm": -40.0,
            "tx_power_watts": 0.001,
            "tx_power_dbm": 0.0,
            "tx_bias_amperes": 0.063,
            "datapath_state": "DPActivated",
            "application": 3,
            "flags": ["rx_los"],
        },
        {"lane": 2, "rx_power_watts": 0.0, "rx_power_dbm": -40.0, "tx_disabled": True, "flags": []},
        {"lane": 4, "flags": []},  # its transmitter could report a fault
        {"lane": 9, "datapath_state": "DPInit", "flags": []},
    ]


def test_thresholds_that_are_not_given_are_absent() -> None:
    reading = replace(
        BARE,
        thresholds={
            q.TEMPERATURE: {"low_alarm": -5.0, "high_alarm": 75.0, "low_warning": 0.0, "high_warning": 70.0},
            q.RX_POWER: {"low_alarm": 1e-5, "high_alarm": math.inf},
            q.TX_POWER: {},
        },
    )
    thresholds = as_json(reading)["thresholds"]
    assert list(thresholds["temperature_celsius"].items()) == [
        ("high_alarm", 75.0),
        ("high_warning", 70.0),
        ("low_warning", 0.0),
        ("low_alarm", -5.0),
    ]
    assert thresholds.keys() == {"temperature_celsius", "rx_power_watts"}
    assert thresholds["rx_power_watts"] == {"low_alarm": 1e-5}


def test_numbers_that_json_lacks_are_left_out() -> None:
    reading = replace(
        BARE,
        values={q.TEMPERATURE: math.nan},
        lanes={q.RX_POWER: {1: math.inf}},
        vdm=(VdmSample("ltp", 1, 1, math.inf, "dB"), VdmSample("snr", 2, 1, 20.5, "dB")),
        coherent={"osnr_db": Stats(value=36.1, min=math.nan), "cd": Stats(value=math.inf)},
    )
    document = as_json(reading)
    assert document["values"] == {}
    assert document["lanes"] == []
    assert document["vdm"] == [{"observable": "snr", "lane": 2, "value": 20.5, "unit": "dB"}]
    assert document["coherent"] == {"osnr_db": {"value": 36.1}}


def test_the_rest_of_a_reading() -> None:
    reading = replace(
        BARE,
        vdm=(
            VdmSample("pre_fec_ber_max_media_input", 0, 1, 1.2e-9, "ratio", {"high_alarm": 1e-4}, ("high_alarm",)),
        ),
        coherent={"osnr_db": Stats(value=36.1, min=35.9, max=36.4, avg=36.2)},
        lasers=(Laser(2, state="on", values={q.TX_POWER: 0.1, q.TX_BIAS: 0.3}, flags=("fault",)),),
        tunable=Tunable(configured_frequency_hertz=193.1e12, tuning_in_progress=False),
        fec={"uncorrectable_codewords": 7},
        link=Link(oper_up=True, if_index=17),
        entity_index=301,
        unread=("laser_temperature_celsius",),
        errors=(Trouble("page_refused", "page 12h"),),
    )
    document = as_json(reading)
    assert document["vdm"] == [
        {
            "observable": "pre_fec_ber_max_media_input",
            "value": 1.2e-9,
            "unit": "ratio",
            "thresholds": {"high_alarm": 1e-4},
            "flags": ["high_alarm"],
        }
    ]
    assert document["coherent"] == {"osnr_db": {"value": 36.1, "min": 35.9, "max": 36.4, "avg": 36.2}}
    assert document["lasers"] == [
        {
            "laser": 2,
            "state": "on",
            "tx_power_watts": 0.1,
            "tx_power_dbm": 20.0,
            "tx_bias_amperes": 0.3,
            "flags": ["fault"],
        }
    ]
    assert document["tunable"] == {"configured_frequency_hertz": 193.1e12, "tuning_in_progress": False}
    assert document["fec"] == {"uncorrectable_codewords": 7}
    assert document["link"] == {"oper_up": True, "if_index": 17}
    assert document["entity_index"] == 301
    assert document["unread"] == ["laser_temperature_celsius"]
    assert document["errors"] == [{"reason": "page_refused", "detail": "page 12h"}]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1795352400.1234, "2026-11-22T13:00:00.123Z"),
        (1e9, "2001-09-09T01:46:40.000Z"),
    ],
)
def test_time_is_utc_with_milliseconds(seconds: float, text: str) -> None:
    assert timestamp(seconds) == text


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        (0x06, "unsupported memory map 0x06: XFP"),
        (0x1A, "unsupported memory map 0x1A: SFP-DD"),
        (0x12, "unsupported memory map 0x12: CXP2"),
        (0x60, "unsupported memory map 0x60: reserved"),
    ],
)
def test_a_module_that_no_map_explains(identifier: int, message: str) -> None:
    memory = Memory()
    memory.put(Span(0, 256), bytes([identifier]) * 256)
    with pytest.raises(DecodeError, match=message):
        identify(memory)


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        (0x03, "sff8472"), (0x02, "sff8472"), (0x0C, "sff8636"), (0x0D, "sff8636"), (0x11, "sff8636"),
        (0x91, "sff8636"), (0x18, "cmis"), (0x19, "cmis"), (0x1B, "cmis"), (0x1E, "cmis"), (0x1F, "cmis"),
        (0x20, "cmis"), (0x21, "cmis"), (0x22, "cmis"), (0x80, "cmis"),
    ],
)  # fmt: skip
def test_the_map_of_an_identifier(identifier: int, name: str) -> None:
    memory = Memory()
    memory.put(Span(0, 1), bytes([identifier]))
    assert identify(memory).name == name


pages = st.sampled_from([0x00, 0x01, 0x02, 0x03, 0x04, 0x10, 0x11, 0x12, 0x13, 0x14, 0x1A, 0x20, 0x21, 0x24, 0x2F])


@given(
    st.binary(max_size=256),
    st.dictionaries(st.tuples(pages, st.integers(0, 3)), st.binary(max_size=128), max_size=6),
    st.binary(max_size=256),
)
def test_any_memory_is_a_reading_or_an_error(
    first: bytes, upper: dict[tuple[int, int], bytes], diagnostics: bytes
) -> None:
    memory = Memory()
    if first:
        memory.put(Span(0, 256), first)
    for (page, bank), data in upper.items():
        memory.put(Span(128, 128, page, bank), data)
    memory.put(Span(0, 256, i2c=I2C_DIAGNOSTICS), diagnostics)
    _decoded_or_refused(memory)


@pytest.mark.parametrize("size", [1, 64, 128, 256])
@pytest.mark.parametrize("filler", [0x00, 0xFF])
def test_every_identifier_on_blank_memory(size: int, filler: int) -> None:
    for identifier in range(256):
        memory = Memory()
        memory.put(Span(0, 256), bytes([identifier]) + bytes([filler]) * (size - 1))
        _decoded_or_refused(memory)


def test_values_of_a_module_that_was_not_ready_come_with_a_warning() -> None:
    memory = qsfp({2: "03", 22: "1900", 26: "80E8"})
    document = decode(memory)
    assert document["values"]["temperature_celsius"] == 25.0
    assert [error["reason"] for error in document["errors"]] == ["data_not_ready"]


def _decoded_or_refused(memory: Memory) -> None:
    try:
        reading = decode_memory(memory, identify(memory), device="here", port="p", source="file:x", time=0.0)
    except DecodeError as exc:
        message = str(exc)
    else:
        message = as_json(reading)["schema"]
    assert len(message.splitlines()) == 1
