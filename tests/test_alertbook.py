"""The alert book: numbers, the JSON of the contract, what is active, and all of it over a restart."""

import asyncio
import json
import re
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from agent.alerts.book import GROUP_S, AlertBook
from agent.alerts.builtin import BUILTIN_RULES
from agent.alerts.document import encode_alert, replayed, to_alert_document
from agent.clock import Instant
from agent.model import AlertEvent
from agent.state import Hub, LinkChanged, LinkState
from tests.alert_helpers import DEVICE, WALL, at, edge, lanes, reading, said
from tests.mosquitto import eventually


class Clock:
    """Both clocks, set by hand."""

    def __init__(self) -> None:
        self.now = at(0)

    def __call__(self) -> Instant:
        return self.now


class Daemon:
    """A hub with an alert book, and everything that was said."""

    def __init__(self, keep: Path | None = None, groups: dict[str, list[str]] | None = None) -> None:
        self.hub = Hub(DEVICE)
        self.clock = Clock()
        self.book = AlertBook(self.hub, BUILTIN_RULES, keep=keep, groups=groups, clock=self.clock)
        self.told: list[AlertEvent] = []
        self.hub.subscribe(AlertEvent, self.told.append)
        self.book.restore()

    def link(self, port: str, *, up: bool, admin_up: bool = True) -> None:
        self.hub.device(DEVICE).port(port).link = LinkState(up=up, admin_up=admin_up)
        self.hub.publish(LinkChanged(DEVICE, port))


async def test_numbers_count_over_all_messages_and_ids_differ() -> None:
    daemon = Daemon()
    daemon.hub.publish(reading(0, temperature=80.0, rx=lanes(0.0005, lane2=0.0)))
    daemon.hub.publish(edge(1, up=False))
    daemon.hub.publish(edge(2, up=True))
    assert [event.seq for event in daemon.told] == list(range(1, len(daemon.told) + 1))
    assert len({event.id for event in daemon.told}) == len(daemon.told)
    assert {event.boot_id for event in daemon.told} == {daemon.book.boot_id}
    assert all(uuid.UUID(event.id) for event in daemon.told)
    assert said(daemon.told) == [
        ("rx_power_low_alarm", 2, "firing"),
        ("temperature_high_alarm", 0, "firing"),
        ("link_down", 0, "firing"),
        ("link_flap", 0, "firing"),
        ("link_down", 0, "resolved"),
    ]
    assert [event.rule for event in daemon.book.active()] == [
        "rx_power_low_alarm",
        "temperature_high_alarm",
        "link_flap",
    ]


async def test_the_json_is_that_of_the_contract() -> None:
    daemon = Daemon()
    daemon.hub.publish(reading(0.5, rx=lanes(0.0005, lane2=0.00005)))
    document = json.loads(encode_alert(daemon.told[0]))
    assert document == {
        "schema": "opticd/alert/1",
        "id": daemon.told[0].id,
        "seq": 1,
        "boot_id": daemon.book.boot_id,
        "time": "2027-01-15T08:00:00.500Z",
        "device": "leaf-17",
        "port": "Ethernet0",
        "lane": 2,
        "rule": "rx_power_low_alarm",
        "severity": "critical",
        "state": "firing",
        "value": pytest.approx(-13.0103, abs=1e-4),
        "unit": "dbm",
        "threshold": pytest.approx(-10.0),
        "summary": "Ethernet0 lane 2: rx power -13.01 dBm is below its low alarm of -10.00 dBm.",
        "evidence": {
            "lanes": pytest.approx({"1": -3.0103, "2": -13.0103, "3": -3.0103, "4": -3.0103}, abs=1e-4),
            "module_state": "ModuleReady",
        },
        "module": {"vendor_name": "ACME", "part_number": "A-400", "serial_number": "S1"},
    }
    assert json.loads(replayed(encode_alert(daemon.told[0]))) == document | {"replayed": True}


async def test_a_host_that_booted_in_1970_says_so() -> None:
    daemon = Daemon()
    daemon.hub.publish(replace(edge(1, up=False), time=12.5))  # nobody has set its clock yet
    daemon.hub.publish(edge(2, up=True))
    before, *_, after = (to_alert_document(event) for event in daemon.told)
    assert (before["time"], before.get("clock_unset")) == ("1970-01-01T00:00:12.500Z", True)
    assert "clock_unset" not in after


async def test_what_does_not_apply_is_absent() -> None:
    daemon = Daemon()
    daemon.hub.publish(edge(1, up=True))
    document = to_alert_document(daemon.told[0])
    assert {"lane", "value", "unit", "threshold", "cause"}.isdisjoint(document)
    assert (document["rule"], document["severity"], document["state"]) == ("link", "info", "resolved")
    assert daemon.book.active() == ()


async def test_the_admin_state_of_the_hub_gates_rules() -> None:
    daemon = Daemon()
    daemon.link("Ethernet0", up=False, admin_up=False)
    daemon.hub.publish(reading(0, rx=0.0))
    assert daemon.told == []
    daemon.link("Ethernet0", up=False, admin_up=True)
    daemon.hub.publish(reading(1, rx=0.0))
    assert len(daemon.told) == 4


async def test_a_restart_says_nothing_twice_and_what_ended_meanwhile_is_resolved(tmp_path: Path) -> None:
    first = Daemon(tmp_path / "alerts.json")
    first.hub.publish(reading(0, temperature=80.0, rx=lanes(0.0005, lane2=0.0)))
    first.book.save()

    second = Daemon(tmp_path / "alerts.json")
    assert [event.id for event in second.book.active()] == [event.id for event in first.book.active()]
    second.clock.now = at(100)
    second.hub.publish(reading(100, temperature=80.0))
    second.clock.now = at(111)
    second.hub.publish(reading(111, temperature=80.0))
    assert said(second.told) == [("rx_power_low_alarm", 2, "resolved")]
    assert second.told[0].seq == 1
    assert second.told[0].boot_id != first.book.boot_id
    assert second.told[0].evidence == {"fired_at": "2027-01-15T08:00:00.000Z"}


async def test_what_nothing_confirms_after_a_restart_ends(tmp_path: Path) -> None:
    first = Daemon(tmp_path / "alerts.json")
    first.hub.publish(reading(0, temperature=80.0))
    first.book.save()
    second = Daemon(tmp_path / "alerts.json")
    second.clock.now = at(601)
    assert second.book.engine.next_deadline() <= at(601).monotonic
    (event,) = second.book.engine.tick(second.clock())
    assert (event.rule, event.state) == ("temperature_high_alarm", "resolved")
    assert "nothing confirms it" in event.summary


async def test_the_flap_history_survives_a_restart(tmp_path: Path) -> None:
    first = Daemon(tmp_path / "alerts.json")
    for second in (0, 1):
        first.clock.now = at(second)
        first.hub.publish(edge(second, up=bool(second)))
    first.book.save()

    later = Daemon(tmp_path / "alerts.json")
    # The host was started anew: its monotonic clock begins at 0, 30 minutes later.
    later.clock.now = Instant(50.0, WALL + 1800)
    later.hub.publish(edge(1800, up=False))
    later.hub.publish(edge(1801, up=True))
    assert ("link_flapping", 0, "firing") in said(later.told)


async def test_an_incident_survives_a_restart(tmp_path: Path) -> None:
    first = Daemon(tmp_path / "alerts.json")
    ports = [f"Ethernet{index}" for index in range(8)]
    for port in ports:
        first.link(port, up=True)
    first.clock.now = at(10)
    for port in ports:
        first.hub.publish(edge(10, up=False, port=port))
    first.clock.now = at(13)
    run = asyncio.create_task(first.book.run())
    await asyncio.sleep(0)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)

    second = Daemon(tmp_path / "alerts.json")
    second.clock.now = at(20)
    for port in ports:
        second.link(port, up=False)
    second.clock.now = at(700)
    assert second.book.engine.tick(second.clock()) == []
    for port in ports:
        second.link(port, up=True)
    second.clock.now = at(702)
    (event,) = second.book.engine.tick(second.clock())
    assert (event.rule, event.state) == ("correlated", "resolved")


@pytest.mark.parametrize("text", ["", "{", '{"schema_name": "opticd/alerts/9"}', "\x00\xff"])
async def test_a_file_that_makes_no_sense_is_put_aside(tmp_path: Path, text: str) -> None:
    (tmp_path / "alerts.json").write_text(text, encoding="utf-8")
    daemon = Daemon(tmp_path / "alerts.json")
    assert daemon.book.active() == ()
    assert (tmp_path / "alerts.bad").exists()


async def test_a_directory_that_cannot_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = Daemon(tmp_path / "nowhere" / "alerts.json")
    daemon.book.save()
    daemon.book.save()
    assert len(re.findall("will not survive a restart", caplog.text)) == 1


async def test_a_jump_of_the_wall_clock_changes_no_interval() -> None:
    daemon = Daemon()
    for second, wall in ((0, 0.0), (30, 86_400.0), (59, -86_400.0)):
        daemon.clock.now = Instant(1000.0 + second, WALL + wall)
        daemon.hub.publish(reading(second, rx=lanes(0.0005, lane2=0.000178)))
    assert daemon.told == []
    daemon.clock.now = Instant(1060.0, WALL - 86_400.0)
    daemon.hub.publish(reading(60, rx=lanes(0.0005, lane2=0.000178)))
    assert said(daemon.told) == [("rx_power_margin", 2, "firing")]


async def test_ports_behind_one_bus_fall_together() -> None:
    daemon = Daemon(groups={"laser els-1": ["Ethernet9", "Ethernet10"]})
    for index in range(64):
        daemon.hub.publish(reading(0, port=f"Ethernet{index}", source=f"i2c:{index // 2}"))
    run = asyncio.create_task(daemon.book.run())
    await asyncio.sleep(0)
    for port in ("Ethernet4", "Ethernet5", "Ethernet9", "Ethernet10"):
        daemon.hub.publish(edge(1, up=False, port=port))
    daemon.clock.now = at(3)
    await asyncio.sleep(0.05)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    alerts = [event for event in daemon.told if event.rule != "link"]
    assert {(event.rule, event.port) for event in alerts} == {
        ("correlated", "bus i2c:2"),
        ("correlated", "laser els-1"),
    }


async def test_groups_are_exchanged_while_it_runs() -> None:
    daemon = Daemon(groups={"laser els-1": ["Ethernet3", "Ethernet4"]})
    for index in range(64):
        daemon.hub.publish(reading(0, port=f"Ethernet{index}", source=f"i2c:{index}"))
    run = asyncio.create_task(daemon.book.run())
    await asyncio.sleep(0)
    daemon.book.use_groups({"laser els-1": ["Ethernet9", "Ethernet10"]})
    await asyncio.sleep(GROUP_S + 0.1)
    for port in ("Ethernet3", "Ethernet4", "Ethernet9", "Ethernet10"):
        daemon.hub.publish(edge(1, up=False, port=port))
    daemon.clock.now = at(3)
    await eventually(lambda: any(event.rule == "correlated" for event in daemon.told))
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    (incident,) = [event for event in daemon.told if event.rule == "correlated"]
    assert (incident.port, incident.evidence["ports"]) == ("laser els-1", ["Ethernet9", "Ethernet10"])


async def test_time_alone_is_noticed_by_the_running_book() -> None:
    hub = Hub(DEVICE)
    book = AlertBook(hub, BUILTIN_RULES)
    told: list[AlertEvent] = []
    hub.subscribe(AlertEvent, told.append)
    run = asyncio.create_task(book.run())
    for port in ("a", "b", "c"):
        hub.device(DEVICE).port(port).link = LinkState(up=True)
        hub.publish(LinkChanged(DEVICE, port))
    now = asyncio.get_running_loop().time()
    hub.publish(edge(now - 1000.0, up=False, port="a"))
    assert told == []
    await asyncio.sleep(0.06)
    assert said(told) == [("link_down", 0, "firing")]
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
