"""What survives a restart: swaps, latched flags and who was in the cage."""

import json
import logging
from pathlib import Path

import pytest

from agent import quantities as q
from agent.model import LaneFlags, Module, ModuleChange, ModuleEvent, Reading
from agent.modules.keeper import PortKeeper
from agent.modules.latches import Latch, Where
from agent.state import Hub

SN1 = Module(vendor_name="ACME", part_number="P-1", serial_number="SN1", form_factor="OSFP")
SN2 = Module(vendor_name="ACME", part_number="P-1", serial_number="SN2")


def reading(time: float, *, los: int = 0, module: Module = SN1) -> Reading:
    return Reading("leaf", "swp1", "i2c:1", time, module, lane_flags={q.RX_LOS: LaneFlags(0xF, los)})


def swap(module: Module, previous: Module) -> ModuleEvent:
    return ModuleEvent("leaf", "swp1", 5.0, ModuleChange.SWAPPED, module, previous)


def keeper_at(path: Path | None) -> tuple[Hub, PortKeeper]:
    hub = Hub("leaf")
    keeper = PortKeeper(hub, path)
    keeper.restore()
    return hub, keeper


def test_a_restart_goes_on_where_the_last_run_ended(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    hub, keeper = keeper_at(path)
    hub.publish(swap(SN1, SN2))
    hub.publish(reading(10.0, los=0b10))
    hub.publish(reading(11.0))
    hub.publish(reading(12.0, los=0b10))
    assert keeper.save()

    hub, keeper = keeper_at(path)
    assert hub.local.ports["swp1"].swaps == 1
    assert keeper.last_module("swp1").get("serial_number") == "SN1"
    assert dict(keeper.latches("leaf", "swp1")) == {Where("rx_los", 2): Latch(10.0, 12.0, 2, active=True)}
    hub.publish(reading(20.0, los=0b10))
    assert dict(keeper.latches("leaf", "swp1")) == {Where("rx_los", 2): Latch(10.0, 20.0, 2, active=True)}
    hub.publish(swap(SN2, SN1))
    assert hub.local.ports["swp1"].swaps == 2
    assert dict(keeper.latches("leaf", "swp1")) == {}
    assert keeper.last_module("swp1").get("serial_number") == "SN2"


def test_a_removed_module_is_still_who_was_there_last(tmp_path: Path) -> None:
    hub, keeper = keeper_at(tmp_path / "ports.json")
    hub.publish(reading(10.0))
    hub.publish(ModuleEvent("leaf", "swp1", 11.0, ModuleChange.REMOVED, Module(), SN1))
    assert keeper.last_module("swp1").get("serial_number") == "SN1"
    assert keeper.last_module("swp9") == {}


def test_without_a_directory_it_remembers_for_this_run() -> None:
    hub, keeper = keeper_at(None)
    hub.publish(reading(10.0, los=1))
    assert keeper.save()
    assert [where for where, _ in keeper.latches("leaf", "swp1")] == [Where("rx_los", 1)]


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", '{"schema_name": "opticd/ports/2", "ports": []}', '{"ports": [{"device": "leaf"}]}', "\xff"],
)
def test_a_file_that_makes_no_sense_is_put_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    path = tmp_path / "ports.json"
    path.write_bytes(text.encode("latin-1"))
    hub, keeper = keeper_at(path)
    assert len(caplog.records) == 1
    assert (tmp_path / "ports.bad").read_bytes() == text.encode("latin-1")
    hub.publish(reading(1.0))
    assert keeper.save()
    assert json.loads(path.read_text())["ports"][0]["port"] == "swp1"


def test_a_file_of_an_older_version_is_taken_with_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    path.write_text('{"schema_name": "opticd/ports/1", "ports": [{"device": "leaf", "port": "swp1", "swaps": 7}]}')
    hub, keeper = keeper_at(path)
    assert hub.local.ports["swp1"].swaps == 7
    assert keeper.last_module("swp1").get("serial_number") == ""


def test_a_directory_that_cannot_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hub, keeper = keeper_at(tmp_path / "gone" / "ports.json")
    hub.publish(reading(1.0))
    with caplog.at_level(logging.INFO):
        assert not keeper.save()
        assert not keeper.save()
    assert len(caplog.records) == 1
    assert "will not survive a restart" in caplog.records[0].message
