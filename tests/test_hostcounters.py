"""Counters of the host's side: a tree like /sys, a fake kernel behind the socket, and the real ones."""

import asyncio
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import quantities as q
from agent.errors import DriverError
from agent.memory import Memory
from agent.model import FecBin, HostCounters, LinkEvent
from agent.state import Hub
from drivers.ethtool.genetlink import GenericNetlink
from drivers.ethtool.kernel import Kernel
from drivers.ethtool.stats import CardLink, CardStats, Fec
from drivers.hostcounters import HostCounterReader, HostSide, infiniband_ports
from fakes.ethtool import FakeCard, FakeKernel
from fakes.module import FakeModule

DEVICE = "gpu-17"


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two InfiniBand ports on a function each, and an older card with two RoCE ports on one function."""
    for number, (downed, recovery, symbols) in enumerate(((3, 1, 17), (0, 0, 0))):
        device = tmp_path / f"devices/0000:3b:00.{number}"
        write(device / f"net/ibp59s0f{number}/dev_port", "0\n")
        write(device / f"infiniband/mlx5_{number}/ports/1/counters/link_downed", f"{downed}\n")
        write(device / f"infiniband/mlx5_{number}/ports/1/counters/link_error_recovery", f"{recovery}\n")
        write(device / f"infiniband/mlx5_{number}/ports/1/counters/symbol_error", f"{symbols}\n")
        (device / f"infiniband/mlx5_{number}/device").symlink_to(device)
        (tmp_path / "class/infiniband").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"class/infiniband/mlx5_{number}").symlink_to(device / f"infiniband/mlx5_{number}")
        write(tmp_path / f"class/net/ibp59s0f{number}/carrier_up_count", "5\n")
        write(tmp_path / f"class/net/ibp59s0f{number}/carrier_down_count", "4\n")
    old = tmp_path / "devices/0000:af:00.0"
    for number in (1, 2):
        write(old / f"net/ens{number}/dev_port", f"{number - 1}\n")
        write(old / f"infiniband/mlx4_0/ports/{number}/counters/link_downed", f"{number * 10}\n")
    (old / "infiniband/mlx4_0/device").symlink_to(old)
    (tmp_path / "class/infiniband/mlx4_0").symlink_to(old / "infiniband/mlx4_0")
    return tmp_path


@pytest.fixture
def fake() -> Iterator[FakeKernel]:
    made = FakeKernel({"ibp59s0f0": FakeCard(FakeModule(Memory())), "ibp59s0f1": FakeCard(FakeModule(Memory()))})
    yield made
    made.close()


def side(fake: FakeKernel, tree: Path) -> HostSide:
    return HostSide(sys_root=tree, doors=Kernel(fake.connect, fake.ioctl, fake.exists))


def test_infiniband_counters_belong_to_their_interface(tree: Path, fake: FakeKernel) -> None:
    reader = side(fake, tree)
    first, second = reader.read(DEVICE, {"port1": "ibp59s0f0", "port2": "ibp59s0f1"})
    reader.close()
    assert (first.device, first.port) == (DEVICE, "port1")
    assert dict(first.counters) == {
        q.CARRIER_UP: 5, q.CARRIER_DOWN: 4, q.IB_LINK_DOWNED: 3, q.IB_LINK_ERROR_RECOVERY: 1, q.IB_SYMBOL_ERROR: 17,
    }  # fmt: skip
    assert second.counters[q.IB_LINK_DOWNED] == 0
    assert abs(first.time - time.time()) < 5


def test_two_ports_on_one_function_are_told_apart(tree: Path) -> None:
    ports = infiniband_ports(tree)
    assert (ports["ens1"].name, ports["ens2"].name) == ("1", "2")


def test_roce_names_its_interfaces_itself(tree: Path) -> None:
    write(tree / "class/infiniband/mlx4_0/ports/2/gid_attrs/ndevs/0", "bond0\n")
    ports = infiniband_ports(tree)
    assert ports["bond0"].name == "2"
    assert "ens2" not in ports


def test_counters_that_cannot_be_read_are_absent(tree: Path, fake: FakeKernel) -> None:
    counters = tree / "class/infiniband/mlx5_0/ports/1/counters"
    (counters / "link_downed").write_text("N/A (no PMA)\n")
    (counters / "symbol_error").unlink()
    reader = side(fake, tree)
    (first,) = reader.read(DEVICE, {"port1": "ibp59s0f0"})
    reader.close()
    assert set(first.counters) == {q.CARRIER_UP, q.CARRIER_DOWN, q.IB_LINK_ERROR_RECOVERY}


def test_error_correction_and_the_reason_of_a_link(tree: Path, fake: FakeKernel) -> None:
    card = fake.cards["ibp59s0f0"]
    card.fec = {2: (1000, 600, 400), 3: (2,), 4: ()}
    card.histogram = ((0, 0, 1 << 40), (1, 3, 5))
    card.link_up, card.ext_state, card.ext_substate, card.down_count = False, 3, 1, 17
    reader = side(fake, tree)
    (first,) = reader.read(DEVICE, {"port1": "ibp59s0f0"})
    reader.close()
    assert first.counters[q.FEC_CORRECTED] == 1000
    assert first.counters[q.FEC_UNCORRECTABLE] == 2
    assert q.FEC_CORRECTED_BITS not in first.counters
    assert first.counters[q.PHY_LINK_DOWN] == 17
    assert first.lanes == {q.FEC_CORRECTED: {1: 600, 2: 400}}
    assert first.fec_bins == (FecBin(0, 0, 1 << 40), FecBin(1, 3, 5))
    assert first.link_detail == "bad signal integrity: large number of physical errors"


@pytest.mark.parametrize(
    ("state", "substate", "want"),
    [
        (4, 0, "no cable"),
        (5, 1, "cable issue: unsupported cable"),
        (10, 1, "module: CMIS module is not in DataPath activated state"),
        (9, 0, "overheat"),
        (77, 3, "code 77: code 2"),
    ],
)
def test_reasons_in_words(fake: FakeKernel, state: int, substate: int, want: str) -> None:
    card = fake.cards["ibp59s0f0"]
    card.link_up, card.ext_state, card.ext_substate = False, state, substate
    stats = CardStats(GenericNetlink("ethtool", connect=fake.connect, timeout_s=1.0))
    assert stats.link("ibp59s0f0") == CardLink(want)
    stats.close()


def test_requests_are_those_of_the_ethtool_command(fake: FakeKernel) -> None:
    """`strace ethtool -I --show-fec ibp59s0f0` of ethtool 6.1, padding set to zero."""
    stats = CardStats(GenericNetlink("ethtool", connect=fake.connect, timeout_s=1.0))
    fake.cards["ibp59s0f0"].fec = {}
    stats.fec("ibp59s0f0")
    stats.close()
    want = "1d010000 1c000180 0e000200 69627035397330663000 0000 08000300 04000000"
    assert fake.requests[-1][16:] == bytes.fromhex(want)


def test_a_port_of_which_nothing_is_known_is_left_out(tmp_path: Path, fake: FakeKernel) -> None:
    reader = side(fake, tmp_path)
    assert reader.read(DEVICE, {"port1": "ibp59s0f0", "port9": "gone"}) == []
    reader.close()


def test_a_kernel_that_does_not_answer_leaves_the_rest(
    tree: Path, fake: FakeKernel, caplog: pytest.LogCaptureFixture
) -> None:
    doors = Kernel(fake.connect, fake.ioctl, fake.exists)
    reader = HostSide(sys_root=tree, doors=doors)
    fake.has_family = False
    for _ in range(2):
        (first,) = reader.read(DEVICE, {"port1": "ibp59s0f0"})
        assert first.counters[q.IB_LINK_DOWNED] == 3
    reader.close()
    assert len(caplog.records) == 1


def test_this_host_reads_without_privileges_or_complaint(caplog: pytest.LogCaptureFixture) -> None:
    reader = HostSide()
    (lo,) = reader.read(DEVICE, {"lo": "lo"})
    reader.close()
    assert lo.counters[q.CARRIER_DOWN] == int(Path("/sys/class/net/lo/carrier_down_count").read_text())
    assert not caplog.records


async def test_read_in_a_period_and_soon_after_a_fall(tree: Path, fake: FakeKernel) -> None:
    hub = Hub(DEVICE)
    told: list[HostCounters] = []
    hub.subscribe(HostCounters, told.append)
    ports = {"port1": "ibp59s0f0", "port2": "ibp59s0f1"}
    reader = HostCounterReader(hub, device=DEVICE, ports=lambda: ports, side=lambda: side(fake, tree), period_s=60)
    task = asyncio.create_task(reader.run(), name="host counters")

    async def until(count: int) -> None:
        async with asyncio.timeout(5):
            while len(told) < count:  # noqa: ASYNC110  # it is told by the hub, which has no event for a test
                await asyncio.sleep(0.01)

    await until(2)
    card = fake.cards["ibp59s0f1"]
    card.link_up, card.ext_state = False, 4
    hub.publish(LinkEvent(DEVICE, "port2", time.time(), time.monotonic(), up=False))
    hub.publish(LinkEvent("another", "port1", time.time(), time.monotonic(), up=False))
    await until(3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [each.port for each in told] == ["port1", "port2", "port2"]
    assert told[2].link_detail == "no cable"
    assert hub.local.ports["port2"].host is told[2]


@given(st.binary(max_size=60), st.sampled_from((2, 3, 4, 5)))
def test_any_statistics_are_numbers_or_absent(data: bytes, kind: int) -> None:
    nested = struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)
    body = bytes((29, 1, 0, 0)) + struct.pack("=HH", 4 + len(nested), 5 | 0x8000) + nested
    reply = struct.pack("=IHHII", 16 + len(body), 21, 0, 2, 0) + body
    fake = FakeKernel({})
    fake.garble(_family())
    fake.garble(reply + struct.pack("=IHHIIi", 36, 2, 0x100, 2, 0, 0) + bytes(16))
    stats = CardStats(GenericNetlink("ethtool", connect=fake.connect, timeout_s=1.0))
    try:
        found = stats.fec("eth2")
        assert all(number >= 0 for number in found.totals.values())
        assert isinstance(found, Fec)
    except DriverError:
        pass
    finally:
        stats.close()
        fake.close()


def _family() -> bytes:
    body = bytes((1, 2, 0, 0)) + struct.pack("=HHHxx", 6, 1, 21)
    reply = struct.pack("=IHHII", 16 + len(body), 16, 0, 1, 0) + body
    return reply + struct.pack("=IHHIIi", 36, 2, 0x100, 1, 0, 0) + bytes(16)
