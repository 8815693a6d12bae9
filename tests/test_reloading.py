"""A reload of the running daemon: rules change, what is known stays; what cannot be changes nothing."""

import asyncio
import os
import signal
import time
import weakref
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.config import file as config
from agent.errors import ConfigError
from agent.links import peerbook
from agent.links.peerbook import PeerBook
from agent.model import AlertEvent, End, Neighbour, Reading
from agent.service import app
from agent.service.opening import Opened, Wanted
from agent.service.reloading import Requests
from agent.state import Hub, NeighboursSeen
from tests.mosquitto import eventually

CONFIG = """
[agent]
device = "leaf-17"
poll_interval = {interval}
state_dir = "{folder}/state"

[[source]]
type = "fake"
ports = 2
scenario = "quiet"

[[rule]]
name = "warm"
quantity = "temperature_celsius"
above = {above}
for = {seconds}
"""


class Scene:
    """A daemon over two quiet simulated modules, and everything that it says of the rule `warm`."""

    def __init__(self, folder: Path, *, seconds: float = 3.0) -> None:
        self.folder = folder
        self.path = folder / "opticd.toml"
        self.seconds = seconds
        self.began = time.monotonic()
        self.said: list[tuple[float, AlertEvent]] = []
        self.readings = 0
        self.write()
        self.daemon = app.Daemon(config.load(self.path), path=self.path)
        self.daemon.hub.subscribe(AlertEvent, self._on_alert)
        self.daemon.hub.subscribe(Reading, self.on_reading)

    def write(self, *, interval: float = 0.1, above: float = 10.0, more: str = "") -> None:
        """The config file, as it is to be next."""
        text = CONFIG.format(interval=interval, folder=self.folder, above=above, seconds=self.seconds)
        self.path.write_text(text + more)

    def _on_alert(self, event: AlertEvent) -> None:
        if event.rule == "warm" and event.port == "Ethernet1":
            self.said.append((time.monotonic() - self.began, event))

    def on_reading(self, _: Reading) -> None:
        if not self.readings:
            self.began = time.monotonic()
        self.readings += 1

    @property
    def states(self) -> list[str]:
        return [event.state for _, event in self.said]

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Scene"]:
        task = asyncio.create_task(self.daemon.run())
        try:
            await eventually(lambda: self.readings > 0)
            yield self
        finally:
            self.daemon.stop()
            assert await asyncio.wait_for(task, 10) == 0


OTHER_RULE = '[[rule]]\nname = "lane_spread"\nenabled = false\n'


@pytest.mark.parametrize("interval", [0.1, 0.2])
async def test_an_alert_that_waits_goes_on_waiting(tmp_path: Path, interval: float) -> None:
    """Also where the sources are opened anew (another interval): it is the same module."""
    async with Scene(tmp_path).running() as scene:
        await asyncio.sleep(2.0)
        scene.write(interval=interval, more=OTHER_RULE)
        await scene.daemon.reload()
        reloaded = time.monotonic() - scene.began
        await eventually(lambda: scene.said != [])
        fired, event = scene.said[0]
        assert event.state == "firing"
        assert fired > 2.9
        assert fired < reloaded + 2.9  # begun anew it would be 3 s behind it, and more


@pytest.mark.parametrize("interval", [0.1, 0.2])
async def test_an_alert_that_fires_goes_on_firing_without_a_word(tmp_path: Path, interval: float) -> None:
    async with Scene(tmp_path, seconds=0.2).running() as scene:
        await eventually(lambda: scene.said != [])
        scene.write(interval=interval, more=OTHER_RULE)
        await scene.daemon.reload()
        await asyncio.sleep(1.0)
        assert scene.states == ["firing"]
        active = [e.id for e in scene.daemon.book.active() if (e.rule, e.port) == ("warm", "Ethernet1")]
        assert active == [scene.said[0][1].id]
        scene.write(interval=interval, above=99.0)
        os.kill(os.getpid(), signal.SIGHUP)
        await eventually(lambda: len(scene.said) == 2)
        assert scene.states == ["firing", "resolved"]


async def test_a_restart_of_the_daemon_says_nothing_of_what_goes_on(tmp_path: Path) -> None:
    async with Scene(tmp_path, seconds=0.2).running() as before:
        await eventually(lambda: before.said != [])
    async with Scene(tmp_path, seconds=0.2).running() as scene:
        await eventually(lambda: scene.readings > 20)
        assert scene.said == []
        assert [e.id for e in scene.daemon.book.active() if e.port == "Ethernet1"] == [before.said[0][1].id]


async def test_sources_that_cannot_stand_together_change_nothing(tmp_path: Path) -> None:
    async with Scene(tmp_path).running() as scene:
        twice = f'[[source]]\ntype = "sysfs"\npath = "{tmp_path}/eeprom"\nport = "Ethernet1"\n'
        scene.write(more=twice)
        with pytest.raises(ConfigError, match="port name 'Ethernet1'"):
            await scene.daemon.reload()
        os.kill(os.getpid(), signal.SIGHUP)  # where nobody waits for the answer
        before = scene.readings
        await eventually(lambda: scene.readings > before + 5)
        scene.write()
        await scene.daemon.reload()


async def test_what_was_before_a_reload_takes_no_memory(tmp_path: Path) -> None:
    async with Scene(tmp_path).running() as scene:
        assert scene.daemon.poller is not None
        before = weakref.ref(scene.daemon.poller)
        scene.write(interval=0.2)
        await scene.daemon.reload()
        await eventually(lambda: before() is None)


async def test_what_only_a_restart_changes_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with Scene(tmp_path).running() as scene:
        await scene.daemon.reload()
        assert "after a restart" not in caplog.text
        text = scene.path.read_text()
        scene.path.write_text(text.replace("[agent]", '[agent]\nprofile = "full"'))
        await scene.daemon.reload()
        assert "profile and state_dir take effect after a restart" in caplog.text


async def test_a_reload_and_sources_that_come_at_once_do_not_hide_each_other() -> None:
    requests = Requests()
    opened = Opened(config.Config(), Wanted())
    requests.reload()
    requests.reopen(opened)
    both = await requests.next()
    assert (both.reload, both.reopen) == (True, opened)
    requests.reopen(opened)
    heard = requests.reload_and_tell()
    both = await requests.next()
    assert (both.reload, both.reopen) == (True, opened)
    both.answer()
    assert heard.done()
    requests.reopen(opened)
    alone = await requests.next()
    assert (alone.reload, alone.reopen) == (False, opened)


async def test_who_went_away_keeps_nobody_from_the_answer() -> None:
    requests = Requests()
    gone, waits = requests.reload_and_tell(), requests.reload_and_tell()
    gone.cancel()
    request = await requests.next()
    request.answer(ConfigError("no"))
    with pytest.raises(ConfigError, match="no"):
        await waits


async def test_peers_are_read_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By a reload at once, by itself some seconds after the file was changed; one with mistakes changes nothing."""
    file = tmp_path / "peers.toml"
    link = '[[link]]\na = ["leaf-17", "Ethernet1"]\nb = ["spine-3", "{port}"]\n'
    file.write_text(link.format(port="Ethernet1"))
    hub = Hub("leaf-17")
    book = PeerBook(hub, file, look_s=0.05)
    task = asyncio.create_task(book.run())
    try:
        assert book.of("leaf-17", "Ethernet1") == End("spine-3", "Ethernet1")
        file.write_text(link.format(port="Ethernet12"))
        await eventually(lambda: book.of("spine-3", "Ethernet12") == End("leaf-17", "Ethernet1"))
        file.write_text("[[link]]\na = 7\n")
        await eventually(lambda: "the peers of before stay" in caplog.text)
        assert book.of("leaf-17", "Ethernet1") == End("spine-3", "Ethernet12")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_peers_that_change_during_a_reload_are_taken_over(tmp_path: Path) -> None:
    file = tmp_path / "peers.toml"
    link = '[[link]]\na = ["leaf-17", "Ethernet1"]\nb = ["spine-3", "{port}"]\n'
    file.write_text(link.format(port="Ethernet1"))
    book = PeerBook(Hub("leaf-17"), look_s=0.05)
    read = peerbook.load(file)
    file.write_text(link.format(port="Ethernet12"))
    book.use(file, read)
    task = asyncio.create_task(book.run())
    await eventually(lambda: book.of("leaf-17", "Ethernet1") == End("spine-3", "Ethernet12"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_sighup_reads_the_peers_of_the_config(tmp_path: Path) -> None:
    async with Scene(tmp_path).running() as scene:
        assert scene.daemon.peers.of("leaf-17", "Ethernet1") is None
        (tmp_path / "peers.toml").write_text('[[link]]\na = ["leaf-17", "Ethernet1"]\nb = ["spine-3", "e12"]\n')
        text = scene.path.read_text()
        scene.path.write_text(text.replace("[agent]", f'[agent]\npeers = "{tmp_path}/peers.toml"'))
        os.kill(os.getpid(), signal.SIGHUP)
        await eventually(lambda: scene.daemon.peers.of("leaf-17", "Ethernet1") == End("spine-3", "e12"))
        (tmp_path / "peers.toml").write_text("[[link]]\na = 7\n")
        with pytest.raises(ConfigError, match="link 1"):
            await scene.daemon.reload()
        assert scene.daemon.peers.of("leaf-17", "Ethernet1") == End("spine-3", "e12")


async def test_other_peers_open_no_source_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with Scene(tmp_path).running() as scene:
        poller = scene.daemon.poller
        (tmp_path / "peers.toml").write_text('[[link]]\na = ["leaf-17", "Ethernet1"]\nb = ["spine-3", "e12"]\n')
        more = f'[agent]\npeers = "{tmp_path}/peers.toml"\npause_after_link_change = 0.5'
        scene.path.write_text(scene.path.read_text().replace("[agent]", more))
        await scene.daemon.reload()
        assert scene.daemon.peers.of("leaf-17", "Ethernet1") == End("spine-3", "e12")
        assert "reload: rules exchanged" in caplog.text
        assert scene.daemon.poller is poller
        scene.path.write_text(scene.path.read_text().replace("poll_interval = 0.1", "poll_interval = 0.3"))
        await scene.daemon.reload()
        assert "reload: sources are opened anew" in caplog.text
        await eventually(lambda: scene.daemon.poller is not poller)


SWITCH = '[[source]]\ntype = "snmp"\ntargets = ["tor=127.0.0.1:9"]\n'


async def test_a_switch_that_is_asked_no_more_takes_its_ports_and_neighbours_with_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.write(more=SWITCH)
    scene.daemon = app.Daemon(config.load(scene.path), path=scene.path)
    hub, peers = scene.daemon.hub, scene.daemon.peers
    hub.subscribe(Reading, scene.on_reading)
    async with scene.running():
        hub.device("tor").port("1/1")
        hub.publish(NeighboursSeen("tor", "snmp:tor", {"1/1": Neighbour("leaf-17", ("Ethernet1",))}))
        hub.publish(NeighboursSeen("leaf-17", "lldpd", {"Ethernet2": Neighbour("spine-9", ("e1",))}))
        assert peers.of("leaf-17", "Ethernet1") == End("tor", "1/1")
        assert peers.of("leaf-17", "Ethernet2") == End("spine-9", "e1")
        scene.write()
        await scene.daemon.reload()
        await eventually(lambda: "tor" not in hub.devices)
        assert peers.of("leaf-17", "Ethernet1") is None
        # Without an interface nobody asks lldpd.
        await eventually(lambda: peers.of("leaf-17", "Ethernet2") is None)
        assert "Ethernet1" in hub.local.ports


async def test_a_reload_opens_its_sources_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A community that others may read is warned of each time that it is read."""
    (tmp_path / "community").write_text("public")
    (tmp_path / "community").chmod(0o644)
    switch = SWITCH + f'community_file = "{tmp_path}/community"\n'
    async with Scene(tmp_path).running() as scene:
        scene.write(more=switch)
        await scene.daemon.reload()
        await eventually(lambda: "tor" in scene.daemon.hub.devices)
        assert caplog.text.count("others may read this secret") == 1
