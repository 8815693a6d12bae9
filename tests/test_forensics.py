"""Forensics in the daemon: the module is read at once and often, and the alert speaks again with a cause."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from agent.alerts.book import AlertBook
from agent.alerts.builtin import BUILTIN_RULES
from agent.alerts.document import encode_alert
from agent.alerts.forensics import MOST_CASES, Forensics, Watch
from agent.documents.history import History
from agent.links.peerbook import PeerBook
from agent.links.peers import End, Peers
from agent.model import (
    AlertEvent,
    DownCause,
    LinkEvent,
    Module,
    ModuleChange,
    ModuleEvent,
    Neighbour,
    PollFailed,
    Reading,
)
from agent.modules.latches import Latch, Where
from agent.state import Hub, LinkChanged, LinkState, NeighboursSeen
from tests.alert_helpers import DEVICE, WALL, lanes, reading
from tests.mosquitto import eventually

WATCH = Watch(duration_s=0.3, period_s=0.05)


class Cage:
    """A module that is read when it is asked for; `rx` is what it receives."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.rx: dict[int, float] = lanes(0.0005)
        self.tx: dict[int, float] = lanes(0.001)
        self.asked: list[str] = []
        self.fast_s: list[float] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def poll(self, port: str = "Ethernet0", device: str = DEVICE) -> Reading:
        """A reading of now, on the hub."""
        fresh = reading(time.time() - WALL, port=port, device=device, rx=self.rx, tx=self.tx)
        self.hub.publish(fresh)
        return fresh

    def read_now(self, port: str) -> "asyncio.Future[Reading | PollFailed]":
        self.asked.append(port)
        answer: asyncio.Future[Reading | PollFailed] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.01, lambda: answer.set_result(self.poll(port)))
        return answer

    def fast(self, port: str, *, period_s: float, duration_s: float) -> None:
        self.fast_s.append(period_s)

        async def go() -> None:
            for _ in range(int(duration_s / period_s)):
                await asyncio.sleep(period_s)
                self.poll(port)

        task = asyncio.create_task(go())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Scene:
    """Hub, book, history and forensics around one cage."""

    def __init__(self, peers: Peers | None = None, latches: list[tuple[Where, Latch]] | None = None) -> None:
        self.hub = Hub(DEVICE)
        self.book = AlertBook(self.hub, BUILTIN_RULES)
        self.cage = Cage(self.hub)
        self.forensics = Forensics(
            self.hub,
            self.book,
            reader=lambda: self.cage,
            window=History(self.hub).window,
            latches=lambda _device, _port: latches or [],
            peers=peers or Peers({}),
            watch=WATCH,
        )
        self.said: list[AlertEvent] = []
        self.hub.subscribe(AlertEvent, self.said.append)

    def edge(self, *, up: bool, port: str = "Ethernet0", cause: DownCause = DownCause.UNINTENTIONAL) -> None:
        self.hub.publish(LinkEvent(DEVICE, port, time.time(), time.monotonic(), up, cause))

    def explained(self) -> list[AlertEvent]:
        return [event for event in self.said if "reasons" in event.evidence]


@asynccontextmanager
async def running(scene: Scene) -> AsyncGenerator[None]:
    task = asyncio.create_task(scene.forensics.run())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_link_that_stays_down_is_explained_by_its_own_alert() -> None:
    scene = Scene()
    async with running(scene):
        for _ in range(5):
            scene.cage.poll()
        scene.cage.rx = lanes(0.0)
        scene.edge(up=False)
        await eventually(lambda: bool(scene.explained()))
    (event,) = scene.explained()
    assert (event.rule, event.state, event.severity) == ("link_down", "firing", "critical")
    assert event.cause == "remote laser or fibre, all lanes"
    assert event.summary.startswith(
        "Ethernet0: the link went down: remote laser or fibre, all lanes: received power"
    )
    assert scene.cage.asked == ["Ethernet0"]
    assert scene.cage.fast_s == [0.05]
    evidence = json.loads(encode_alert(event))["evidence"]
    assert evidence["down_cause"] == "unintentional"
    assert evidence["lanes_affected"] == [1, 2, 3, 4]
    assert [row["rx_power_dbm"] for row in evidence["before"]] == [[-3.01] * 4] * 5
    assert len(evidence["after"]) >= 4
    assert all(row["rx_power_dbm"] == [-40.0] * 4 for row in evidence["after"])
    assert all(row["tx_bias_amperes"] == [0.06] * 4 for row in evidence["after"])
    assert evidence["before"][-1]["time"] <= evidence["after"][0]["time"]
    # The alert that fires now is the one with the cause.
    (active,) = [each for each in scene.book.active() if each.rule == "link_down"]
    assert active.id == event.id


async def test_a_flap_is_explained_by_the_flap_alert_and_shows_the_recovery() -> None:
    scene = Scene(latches=[(Where("tx_fault", 2), Latch(time.time(), time.time() + 1, 1, active=False))])
    async with running(scene):
        scene.cage.poll()
        scene.edge(up=False)
        await asyncio.sleep(0.05)
        scene.edge(up=True)
        await eventually(lambda: bool(scene.explained()))
    (event,) = scene.explained()
    assert (event.rule, event.cause) == ("link_flap", "local laser")
    assert event.evidence["reasons"] == ["the transmitter reports a fault on lane 2"]
    assert [row["flag"] for row in _rows(event, "flags")] == ["tx_fault"]
    assert event.evidence["edges"] == 2


def _rows(event: AlertEvent, key: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(encode_alert(event))["evidence"][key]
    return found


async def test_an_administrative_down_is_not_looked_into() -> None:
    scene = Scene()
    async with running(scene):
        scene.cage.poll()
        scene.edge(up=False, cause=DownCause.ADMIN)
        await asyncio.sleep(0.5)
    assert (scene.cage.asked, scene.explained()) == ([], [])


async def test_a_module_that_is_pulled_is_named() -> None:
    scene = Scene()
    async with running(scene):
        scene.cage.poll()
        scene.edge(up=False)
        old: Module = {"serial_number": "S1"}
        scene.hub.publish(ModuleEvent(DEVICE, "Ethernet0", time.time(), ModuleChange.REMOVED, {}, old))
        await eventually(lambda: bool(scene.explained()))
    assert scene.explained()[0].cause == "module removed"


async def test_a_flapping_port_is_explained_once_a_minute_and_only_so_many_at_a_time() -> None:
    scene = Scene()
    async with running(scene):
        for _ in range(10):
            scene.edge(up=False)
            scene.edge(up=True)
        for index in range(1, MOST_CASES + 3):
            scene.edge(up=False, port=f"Ethernet{index}")
        await asyncio.sleep(0.6)
        scene.edge(up=False)
        await asyncio.sleep(0.5)
    assert len([port for port in scene.cage.asked if port == "Ethernet0"]) == 1
    assert len(scene.cage.asked) == MOST_CASES
    assert scene.forensics.skipped == 3


async def test_ports_of_an_incident_are_left_to_its_alert() -> None:
    scene = Scene()
    for index in range(8):
        scene.hub.local.port(f"Ethernet{index}").link = LinkState(up=True)
        scene.hub.publish(LinkChanged(DEVICE, f"Ethernet{index}"))
    book = asyncio.create_task(scene.book.run())
    async with running(scene):
        for index in range(8):
            scene.edge(up=False, port=f"Ethernet{index}")
        await asyncio.sleep(0.15)
        for index in range(8):  # over before the watch is: its ports are not explained one by one all the same
            scene.edge(up=True, port=f"Ethernet{index}")
        await asyncio.sleep(1.0)
    book.cancel()
    await asyncio.gather(book, return_exceptions=True)
    assert scene.explained() == []
    assert [(event.rule, event.state) for event in scene.said if event.rule != "link"] == [
        ("correlated", "firing"),
        ("correlated", "resolved"),
    ]


async def test_the_other_end_tells_fibre_from_laser_and_gives_the_span_loss() -> None:
    peers = Peers({End(DEVICE, "Ethernet0"): End("spine-3", "Ethernet12")})
    for after, cause in ((0.001, "fibre"), (0.00002, "remote laser")):
        scene = Scene(peers)
        far = Cage(scene.hub)
        async with running(scene):
            far.poll("Ethernet12", "spine-3")
            scene.cage.poll()
            scene.cage.rx = lanes(0.00001)
            scene.edge(up=False)
            far.tx = lanes(after)
            far.poll("Ethernet12", "spine-3")
            await _until_explained(scene)
        (event,) = scene.explained()
        assert event.cause == cause
        assert event.evidence["peer"] == "spine-3 Ethernet12"
        # 0 dBm launched, -3.01 dBm received before; -20 dBm received after.
        loss = 20.0 if cause == "fibre" else 3.01
        assert event.evidence["span_loss_db"] == {"before": 3.01, "after": loss}


async def test_the_other_end_is_the_one_of_before_the_fall() -> None:
    """A link that is down hears nothing by LLDP: soon nobody is at its other end."""
    scene = Scene()
    scene.forensics.peers = PeerBook(scene.hub)
    heard = {"Ethernet0": Neighbour("spine-3", ("Ethernet12",))}
    async with running(scene):
        scene.hub.publish(NeighboursSeen(DEVICE, "lldpd", heard))
        scene.cage.poll()
        scene.edge(up=False)
        scene.hub.publish(NeighboursSeen(DEVICE, "lldpd", {}))
        await _until_explained(scene)
    (event,) = scene.explained()
    assert event.evidence["peer"] == "spine-3 Ethernet12"


async def _until_explained(scene: Scene) -> None:
    await eventually(lambda: bool(scene.explained()))


async def test_without_a_reader_the_event_is_still_explained_by_what_is_known() -> None:
    hub = Hub(DEVICE)
    book = AlertBook(hub, BUILTIN_RULES)
    forensics = Forensics(hub, book, watch=WATCH)
    said: list[AlertEvent] = []
    hub.subscribe(AlertEvent, said.append)
    task = asyncio.create_task(forensics.run())
    await asyncio.sleep(0)
    hub.publish(
        LinkEvent(DEVICE, "Ethernet0", time.time(), time.monotonic(), up=False, cause=DownCause.UNINTENTIONAL)
    )
    await eventually(lambda: any("reasons" in event.evidence for event in said))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    last = said[-1]
    assert (last.rule, last.cause) == ("link_down", "")
    assert "no cause found: the module was not read after the event" in last.summary
