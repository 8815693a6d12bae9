"""Neighbours by lldpd: what its lldpcli prints, and a real one over a veth pair between two namespaces."""

import asyncio
import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from agent.errors import DriverError
from agent.links.peerbook import PeerBook
from agent.model import End, Neighbour
from agent.state import Hub, NeighboursSeen
from drivers.host.lldpd import Lldpd, neighbours
from tests.mosquitto import eventually
from tests.netns import Namespace, namespace, needs_root

needs_lldpd = pytest.mark.skipif(
    shutil.which("lldpd") is None or shutil.which("lldpcli") is None, reason="lldpd is not installed"
)
# `lldpcli -f json0 show neighbors` of lldpd 1.0.16, shortened: two interfaces, one of them towards a host.
PRINTED = b"""{"lldp": [{"interface": [
  {"name": "eth2", "via": "LLDP", "rid": "1", "age": "0 day, 00:00:04",
   "chassis": [{"id": [{"type": "mac", "value": "52:1a:13:73:34:a0"}], "name": [{"value": "spine-3.example.net"}]}],
   "port": [{"id": [{"type": "ifname", "value": "Ethernet12"}], "descr": [{"value": "to leaf 17"}]}]},
  {"name": "eth3", "via": "LLDP", "rid": "2", "age": "0 day, 00:00:04",
   "chassis": [{"id": [{"type": "mac", "value": "52:1a:13:73:34:a1"}]}],
   "port": [{"id": [{"type": "mac", "value": "52:1a:13:73:34:a1"}], "descr": [{"value": "vb"}]}]},
  {"name": "eth9", "via": "LLDP", "chassis": [{"name": [{"value": "other"}]}], "port": [{"id": []}]}
]}]}"""


def test_what_lldpcli_prints() -> None:
    assert neighbours(PRINTED, {"eth2": "swp1", "eth3": "swp2", "eth9": "swp3"}) == {
        "swp1": Neighbour("spine-3.example.net", ("Ethernet12", "to leaf 17")),
        "swp2": Neighbour("52:1a:13:73:34:a1", ("vb", "52:1a:13:73:34:a1")),
    }
    assert neighbours(PRINTED, {"eth7": "swp7"}) == {}
    assert neighbours(b'{"lldp": [{}]}', {"eth2": "swp1"}) == {}  # nobody is heard


@pytest.mark.parametrize("text", [b"", b"[]", b'{"lldp": 7}', b'{"lldp": [{"interface": [{"name": "eth2"}]}]}'])
def test_what_it_never_printed_is_an_error(text: bytes) -> None:
    with pytest.raises(DriverError, match="lldpcli: "):
        neighbours(text, {"eth2": "swp1"})


def test_names_are_matched_with_and_without_a_domain_and_from_the_far_end() -> None:
    hub = Hub("leaf-17.example.net")
    hub.device("spine-3").port("Ethernet12")
    book = PeerBook(hub)
    heard = {
        "swp1": Neighbour("SPINE-3.example.net", ("to leaf", "Ethernet12")),
        "swp2": Neighbour("elsewhere", ("e1",)),
        "swp3": Neighbour("10.0.0.7", ("e2",)),
    }
    hub.publish(NeighboursSeen("leaf-17.example.net", "lldpd", heard))
    assert book.of("leaf-17.example.net", "swp1") == End("spine-3", "Ethernet12")
    assert book.of("spine-3", "Ethernet12") == End("leaf-17.example.net", "swp1")  # it said nothing itself
    assert book.of("leaf-17.example.net", "swp2") == End("elsewhere", "e1")
    hub.device("10.0.0.8")
    assert book.of("leaf-17.example.net", "swp3") == End("10.0.0.7", "e2")
    hub.publish(
        NeighboursSeen("tor", "snmp", {"1/1": Neighbour("host-a", ("eth0",))}, name="switch-42.example.net")
    )
    hub.publish(NeighboursSeen("leaf-17.example.net", "lldpd", {"swp9": Neighbour("switch-42", ("1/7",))}))
    assert book.of("leaf-17.example.net", "swp9") == End("tor", "1/7")  # it calls itself otherwise than the config
    assert book.of("leaf-17.example.net", "swp1") is None  # not heard any more


@pytest.mark.parametrize("name", ["lldpd.socket", "s" * 300])
async def test_no_permission_is_said_once_with_what_to_do(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    socket = tmp_path / name
    with contextlib.suppress(OSError):  # one that cannot even be looked for
        socket.touch()  # nobody listens
    task = asyncio.create_task(
        Lldpd(Hub("leaf"), device="leaf", ports={"eth0": "swp1"}, socket=socket, name="leaf", period_s=0.05).run()
    )
    await eventually(lambda: caplog.text != "")
    await asyncio.sleep(1.2)  # its complaints bear the second
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("lldpcli: ")


@contextlib.contextmanager
def station(ns: Namespace, folder: Path, name: str) -> Generator[Path]:
    """A real lldpd in a namespace; its socket."""
    Path("/run/lldpd").mkdir(exist_ok=True)  # where it shuts itself in
    socket = folder / f"{name}.socket"
    process = subprocess.Popen(
        ["ip", "netns", "exec", ns.name, "lldpd", "-d", "-u", str(socket)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for setting in (
            ("system", "hostname", name),
            ("lldp", "tx-interval", "1"),
            ("lldp", "portidsubtype", "ifname"),
        ):
            command = ["lldpcli", "-u", str(socket), "configure", *setting]
            for _ in range(50):
                if subprocess.run(command, check=False, capture_output=True).returncode == 0:
                    break
                time.sleep(0.1)
        yield socket
    finally:
        process.terminate()
        process.wait(10)


@needs_root
@needs_lldpd
def test_a_real_lldpd_tells_the_other_end_of_a_veth_pair() -> None:
    hub = Hub("leaf-17")
    book = PeerBook(hub)

    async def until_heard(socket: Path) -> None:
        watcher = Lldpd(hub, device="leaf-17", ports={"va": "swp1"}, socket=socket, name="leaf-17", period_s=0.3)
        task = asyncio.create_task(watcher.run())
        await eventually(lambda: book.of("leaf-17", "swp1") == End("spine-3", "vb"), within_s=40.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with tempfile.TemporaryDirectory(prefix="opticd-lldpd-") as name, namespace() as here, namespace() as there:
        folder = Path(name)
        folder.chmod(0o755)  # lldpcli gives its rights up
        here.ip(f"link add va type veth peer name vb netns {there.name}")
        there.ip("link set vb up")
        here.ip("link set va up")
        with station(here, folder, "leaf-17") as socket, station(there, folder, "spine-3"):
            asyncio.run(until_heard(socket))
