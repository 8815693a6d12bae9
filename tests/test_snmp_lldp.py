"""Neighbours of a switch by LLDP-MIB: from the agent's tables to the peer that a link event names."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from agent.alerts.book import AlertBook
from agent.alerts.builtin import BUILTIN_RULES
from agent.alerts.forensics import Forensics, Watch
from agent.documents.history import History
from agent.links.peerbook import PeerBook
from agent.model import AlertEvent, End, Reading
from agent.state import NeighboursSeen
from fakes.snmp_agent import Behaviour
from fakes.snmp_recording import INTEGER, OCTET_STRING, Row, parse_oid
from fakes.snmp_tables import Port, switch
from tests.test_snmp_source import Bench, optic

LLDP = "1.0.8802.1.1.2.1"
MAC = bytes.fromhex("521a137334a0")


def text(oid: str, value: str | bytes) -> Row:
    return Row(parse_oid(f"{LLDP}.{oid}"), OCTET_STRING, value.encode() if isinstance(value, str) else value)


def number(oid: str, value: int) -> Row:
    return Row(parse_oid(f"{LLDP}.{oid}"), INTEGER, value)


def remote(
    local: int, *, system: str, port: str | bytes, kind: int = 5, descr: str = "", mark: int = 7
) -> list[Row]:
    """One row of lldpRemTable, as a walk of it shows: chassis, port, what the port and the system are called."""
    row = f"{mark}.{local}.1"
    return [
        number(f"4.1.1.4.{row}", 4), text(f"4.1.1.5.{row}", MAC), number(f"4.1.1.6.{row}", kind),
        text(f"4.1.1.7.{row}", port), text(f"4.1.1.8.{row}", descr), text(f"4.1.1.9.{row}", system),
    ]  # fmt: skip


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.stop()


async def test_ports_are_joined_by_number_and_by_name(bench: Bench) -> None:
    agent = await bench.add("leaf-1", {n: Port(optic(f"SN{n}"), alias=f"link {n}") for n in range(1, 5)})
    agent.tables.set(
        text("3.3.0", "leaf-1.example.net"),
        *remote(1, system="spine-3.example.net", port="Ethernet12"),  # no row of its own: counted as ifTable does
        *remote(502, system="spine-4", port=MAC, kind=3, descr="Ethernet7"),
        number("3.7.1.2.502", 5), text("3.7.1.3.502", "Ethernet2"), text("3.7.1.4.502", "somebody's words"),
        *remote(503, system="", port="eth0"),
        number("3.7.1.2.503", 3), text("3.7.1.3.503", MAC), text("3.7.1.4.503", "Ethernet3"),
        *remote(4, system="old", port="e1", mark=3), *remote(4, system="new", port="e2", mark=9),
        *remote(900, system="nowhere", port="e9"),
    )  # fmt: skip
    book = PeerBook(bench.hub)
    await bench.start()
    await bench.until(lambda: book.of("leaf-1", "Ethernet1") is not None)
    assert book.of("leaf-1", "Ethernet1") == End("spine-3.example.net", "Ethernet12")
    assert book.of("leaf-1", "Ethernet2") == End("spine-4", "Ethernet7")
    assert book.of("leaf-1", "Ethernet3") == End("52:1a:13:73:34:a0", "eth0")
    assert book.of("leaf-1", "Ethernet4") == End("new", "e2")
    assert book.of("spine-4", "Ethernet7") == End("leaf-1", "Ethernet2")


async def test_a_port_of_the_management_network_is_not_taken_for_the_interface_of_its_number(bench: Bench) -> None:
    agent = await bench.add("leaf-1", {n: Port(optic(f"SN{n}")) for n in (1, 2)})
    agent.tables.set(
        *remote(1, system="office", port="Gi1/0/1"),
        number("3.7.1.2.1", 5), text("3.7.1.3.1", "mgmt0"), text("3.7.1.4.1", "Management"),
        *remote(502, system="spine-4", port="Ethernet7"),
        number("3.7.1.2.502", 5), text("3.7.1.3.502", "Ethernet2"), text("3.7.1.4.502", ""),
    )  # fmt: skip
    book = PeerBook(bench.hub)
    await bench.start()
    await bench.until(lambda: book.of("leaf-1", "Ethernet2") == End("spine-4", "Ethernet7"))
    assert book.of("leaf-1", "Ethernet1") is None


async def test_a_switch_without_lldp_is_asked_once_in_a_while(bench: Bench) -> None:
    await bench.add("leaf-1", {1: Port(optic())})
    heard: list[NeighboursSeen] = []
    bench.hub.subscribe(NeighboursSeen, heard.append)
    await bench.start()
    await bench.until(lambda: len(bench.of(Reading)) >= 8)
    assert [dict(each.ports) for each in heard] == [{}]  # of eight polls the first asked


async def test_an_agent_whose_time_marks_never_end_costs_no_reading(bench: Bench) -> None:
    agent = await bench.add("leaf-1", {1: Port(optic())})
    agent.tables.set(*remote(1, system="spine-3", port="Ethernet12"))
    agent.behaviour = Behaviour(loop_under=parse_oid(f"{LLDP}.4.1.1.7"))
    book = PeerBook(bench.hub)
    await bench.start()
    await bench.until(lambda: book.of("leaf-1", "Ethernet1") == End("spine-3", "Ethernet12"))
    before = len(bench.of(Reading))
    await bench.until(lambda: len(bench.of(Reading)) > before + 3)


async def test_the_span_between_two_switches_tells_which_end(bench: Bench) -> None:
    """The leaf receives nothing any more, and the spine launches what it did before: the fibre."""
    leaf = await bench.add("leaf-1", {1: Port(optic("SN1", rx=0.0005))})
    leaf.tables.set(*remote(1, system="spine-3", port="Ethernet12"))
    await bench.add("spine-3", {12: Port(optic("SN12"))})
    alerts, book = AlertBook(bench.hub, BUILTIN_RULES), PeerBook(bench.hub)
    watch = Watch(duration_s=0.5, period_s=0.05)
    forensics = Forensics(bench.hub, alerts, window=History(bench.hub).window, peers=book, watch=watch)
    said: list[AlertEvent] = []
    bench.hub.subscribe(AlertEvent, said.append)
    task = asyncio.create_task(forensics.run())
    try:
        await bench.start()
        await bench.until(lambda: book.of("leaf-1", "Ethernet1") == End("spine-3", "Ethernet12"))
        await bench.until(lambda: bench.reading("spine-3", "Ethernet12") is not None)
        before = len(bench.of(Reading))
        await bench.until(lambda: len(bench.of(Reading)) > before + 10)
        leaf.tables.replace(switch({1: Port(optic("SN1", rx=1e-6), up=False, last_change=900)}, up_time=100_500))
        await bench.until(lambda: any("reasons" in event.evidence for event in said))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    (event,) = [event for event in said if "reasons" in event.evidence]
    assert (event.device, event.port, event.cause) == ("leaf-1", "Ethernet1", "fibre")
    assert event.evidence["peer"] == "spine-3 Ethernet12"
    # 0 dBm launched; -3.01 dBm received before, -30 dBm after.
    assert event.evidence["span_loss_db"] == {"before": 3.01, "after": 30.0}
