"""Modules through the kernel's ethtool interface: bytes on the socket, refusals, fall-backs, the real kernel."""

import errno
import json
import logging
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import maps
from agent.errors import (
    BusGone,
    BusTimeout,
    ConfigError,
    DeviceRefused,
    DriverError,
    ModuleAbsent,
    NotPermitted,
    PageRefused,
    ShortRead,
    Unsupported,
)
from agent.memory import Memory, Shape, Span
from agent.polling.portjob import Outcome, PortJob, PortSetup
from agent.sources import Options
from agent.state import Hub
from drivers.ethtool import ioctl as ethtool_ioctl
from drivers.ethtool.driver import EthtoolDriver, EthtoolMemory, card
from drivers.ethtool.kernel import Kernel, kernel
from drivers.host.netdevs import Candidate
from fakes.ethtool import FakeCard, FakeKernel
from fakes.module import FakeModule
from tests.contract_suite import cmis_image, sfp_image


def doors(fake: FakeKernel) -> Kernel:
    return Kernel(fake.connect, fake.ioctl, fake.exists)


@pytest.fixture
def fake() -> Iterator[FakeKernel]:
    made = FakeKernel({"eth0": FakeCard(FakeModule(cmis_image(banks=2)))})
    yield made
    made.close()


@pytest.fixture
def memory(fake: FakeKernel) -> Iterator[EthtoolMemory]:
    made = EthtoolMemory("eth0", doors(fake), timeout_s=0.5)
    yield made
    made.close()


def hexed(text: str) -> bytes:
    return bytes.fromhex(text.replace("|", " "))


# What `strace -e trace=network -x ethtool -m eth0` (ethtool 6.1) sends, its padding set to zero.
GET_FAMILY = hexed("20000000 1000 0500 01000000 00000000 | 03 01 0000 | 0c00 0200 657468746f6f6c00")
"""32 bytes to nlctrl: CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME "ethtool"."""
GET_FIRST_BYTE = hexed(
    "4c000000 1500 0500 02000000 00000000 | 1f 01 0000 | 1000 0180 0900 0200 6574683000000000 |"
    "0800 0300 01000000 | 0800 0200 00000000 | 0500 0400 00000000 | 0500 0500 00000000 | 0500 0600 50000000"
)
GET_PAGE_11_BANK_1 = hexed(
    "4c000000 1500 0500 02000000 00000000 | 1f 01 0000 | 1000 0180 0900 0200 6574683000000000 |"
    "0800 0300 20000000 | 0800 0200 80000000 | 0500 0400 11000000 | 0500 0500 01000000 | 0500 0600 50000000"
)
"""`ethtool -m eth0 page 0x11 bank 1 offset 128 length 32`."""


def test_requests_are_those_of_the_ethtool_command(fake: FakeKernel, memory: EthtoolMemory) -> None:
    memory.read(Span(0, 1))
    assert fake.requests == [GET_FAMILY, GET_FIRST_BYTE]
    memory.read(Span(128, 32, page=0x11, bank=1))
    sent = bytearray(fake.requests[-1])
    assert sent[8:12] == struct.pack("=I", len(fake.requests))
    sent[8:12] = GET_PAGE_11_BANK_1[8:12]
    assert bytes(sent) == GET_PAGE_11_BANK_1


def test_the_fake_understands_the_ethtool_command(fake: FakeKernel) -> None:
    client = fake.connect()
    client.send(GET_FAMILY)
    assert client.recv(4096)[:4] == struct.pack("=I", 16 + 4 + 12 + 8)
    client.recv(4096)
    client.send(GET_PAGE_11_BANK_1)
    data = bytes(range(255, 223, -1))  # page 11h of bank 1 counts down
    reply = (
        hexed("1f 01 0000 | 1800 0180 0800 0100 02000000 0900 0200 6574683000000000") + hexed("2400 0700") + data
    )
    assert client.recv(4096) == struct.pack("=IHHII", 16 + len(reply), 0x15, 0, 2, 4711) + reply
    assert client.recv(4096) == hexed("24000000 0200 0001 02000000 67120000 | 00000000") + GET_PAGE_11_BANK_1[:16]
    client.close()


def test_a_read_across_the_middle_is_two_requests(fake: FakeKernel, memory: EthtoolMemory) -> None:
    fake.cards["eth0"].module.insert(sfp_image())
    data = memory.read(Span(0, 256))
    assert data == bytes((0x03, 0x04, 0x07)) + bytes(range(3, 64)) + bytes(range(192))
    assert fake.cards["eth0"].reads == [(0x50, 0, 0, 0, 128), (0x50, 0, 0, 128, 128)]


@pytest.mark.parametrize(
    ("code", "words", "want"),
    [
        (errno.EIO, "", ModuleAbsent),  # ixgbe and many others
        (errno.EINVAL, "No module connected", ModuleAbsent),  # i40e
        (errno.EINVAL, "Transceiver module not inserted", ModuleAbsent),  # bnxt
        (errno.ENODEV, "", ModuleAbsent),  # the kernel's own SFP driver
        (errno.ENXIO, "", ModuleAbsent),
        (errno.EREMOTEIO, "", ModuleAbsent),
        (errno.EOPNOTSUPP, "", Unsupported),
        (errno.ETIMEDOUT, "", BusTimeout),
        (errno.EBUSY, "", DeviceRefused),
        (errno.ENOMEM, "", DeviceRefused),
    ],
)
def test_an_empty_cage_in_the_words_of_drivers(
    fake: FakeKernel, memory: EthtoolMemory, code: int, words: str, want: type[DriverError]
) -> None:
    fake.cards["eth0"].module.remove()
    fake.cards["eth0"].empty = (code, words)
    with pytest.raises(want) as caught:
        memory.read(Span(0, 3))
    assert type(caught.value) is want
    assert str(caught.value) == f"eth0: {words or os.strerror(code)} (reading bytes 0-2 of lower memory)"


def test_mlx5_calls_a_failure_success(fake: FakeKernel, memory: EthtoolMemory) -> None:
    """Before Linux 6.14 it answers with no bytes and a warning; ethtool then prints what lay in memory."""
    words = "mlx5_core: Query module eeprom by page failed, read 0 bytes, err -5, status 3"
    fake.cards["eth0"].module.remove()
    fake.cards["eth0"].warns = True
    fake.cards["eth0"].empty = (errno.EIO, words)
    with pytest.raises(ModuleAbsent, match="status 3"):
        memory.read(Span(0, 3))
    fake.cards["eth0"].module.insert()
    assert memory.read(Span(0, 3)) == bytes.fromhex("185000")


@pytest.mark.parametrize(("code", "want"), [(errno.EINVAL, PageRefused), (errno.EOPNOTSUPP, PageRefused)])
def test_a_page_that_the_driver_refuses(
    fake: FakeKernel, memory: EthtoolMemory, code: int, want: type[DriverError]
) -> None:
    fake.cards["eth0"].no_page = (code, "Only page 0 supported")
    with pytest.raises(want, match="Only page 0 supported"):
        memory.read(Span(128, 8, page=0x12))
    assert memory.read(Span(128, 8, page=0x11)) == bytes(range(128, 136))


def test_an_error_on_a_later_page_of_a_module_that_is_there(fake: FakeKernel, memory: EthtoolMemory) -> None:
    fake.cards["eth0"].no_page = (errno.EIO, "")
    with pytest.raises(DeviceRefused):
        memory.read(Span(128, 8, page=0x12))
    fake.cards["eth0"].module.remove()
    with pytest.raises(ModuleAbsent):
        memory.read(Span(128, 8, page=0x12))


def test_pages_are_verified_once_an_insertion_and_never_by_reading_flags(
    fake: FakeKernel, memory: EthtoolMemory
) -> None:
    fake.cards["eth0"].module.put(Span(166, 16), b"SN0123456789    ")
    reads = fake.cards["eth0"].reads
    for _ in range(3):
        memory.read(Span(134, 76, page=0x11))
    verified = [(0x50, 0, 0, 154, 48), (0x50, 0, 0x11, 154, 48)]
    poll = (0x50, 0, 0x11, 134, 76)
    assert reads == [*verified, poll, poll, poll]
    memory.shape = Shape("cmis", flat=False)
    memory.read(Span(134, 76, page=0x11))
    assert reads[5:] == [*verified, poll]


def test_no_permission_is_said_once(fake: FakeKernel, caplog: pytest.LogCaptureFixture) -> None:
    fake.privileged = False
    fake.cards["eth1"] = FakeCard(FakeModule(cmis_image()))
    driver = EthtoolDriver(doors=lambda _: doors(fake), owner=lambda: "")
    for name in ("eth0", "eth1", "eth0"):
        cage = driver.open(name, Options({}, of=name))
        with pytest.raises(NotPermitted) as caught:
            cage.memory.read(Span(0, 3))
        assert caught.value.hint == "give the process CAP_NET_ADMIN"
        cage.memory.close()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "CAP_NET_ADMIN" in record.getMessage()


def test_interface_gone_and_back(fake: FakeKernel, memory: EthtoolMemory) -> None:
    cards = dict(fake.cards)
    fake.cards.clear()
    with pytest.raises(BusGone, match="eth0: no device matches name"):
        memory.read(Span(0, 3))
    fake.cards.update(cards)
    assert memory.read(Span(0, 3)) == bytes.fromhex("185000")


def test_an_answer_that_comes_late_is_nobody_elses(fake: FakeKernel, memory: EthtoolMemory) -> None:
    memory.read(Span(0, 3))
    fake.stall()
    with pytest.raises(BusTimeout, match=r"does not answer within 0\.5 s"):
        memory.read(Span(3, 29))
    fake.release()
    assert memory.read(Span(0, 3)) == bytes.fromhex("185000")


@pytest.mark.parametrize("kernel_before", ["5.13", "5.6"])
def test_older_kernels_by_ioctl(fake: FakeKernel, memory: EthtoolMemory, kernel_before: str) -> None:
    fake.knows_eeprom = False
    fake.has_family = kernel_before == "5.13"
    card = fake.cards["eth0"]
    card.module.insert(sfp_image())
    card.modinfo = (2, 512)
    assert memory.read(Span(0, 3)) == bytes.fromhex("030407")
    assert memory.read(Span(96, 10, i2c=0x51)) == bytes(range(159, 149, -1))
    card.module.remove()
    with pytest.raises(ModuleAbsent):
        memory.read(Span(0, 3))
    fake.cards.clear()
    with pytest.raises(BusGone):
        memory.read(Span(0, 3))


def test_pages_behind_the_linear_file_are_refused(fake: FakeKernel, memory: EthtoolMemory) -> None:
    fake.knows_eeprom = False
    fake.cards["eth0"].modinfo = (3, 256)
    assert memory.read(Span(128, 17)) == b"\x18OPTICD CONTRACT "
    with pytest.raises(PageRefused, match="256 bytes only"):
        memory.read(Span(128, 8, page=0x11))


def test_drivers_without_pages_are_read_by_the_kernels_own_fall_back(
    fake: FakeKernel, memory: EthtoolMemory
) -> None:
    card = fake.cards["eth0"]
    card.by_page = False
    card.modinfo = (2, 512)
    card.module.insert(sfp_image())
    assert memory.read(Span(96, 10, i2c=0x51)) == bytes(range(159, 149, -1))
    with pytest.raises(PageRefused):
        memory.read(Span(128, 8, page=0x11))


def test_a_driver_that_can_do_nothing(fake: FakeKernel, memory: EthtoolMemory) -> None:
    fake.cards["eth0"].by_page = False
    with pytest.raises(Unsupported) as caught:
        memory.read(Span(0, 3))
    assert caught.value.hint == "the driver of this card cannot read its module"


def answer(*attributes: tuple[int, bytes]) -> bytes:
    body = bytes((31, 1, 0, 0))
    for kind, value in attributes:
        body += struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
    return struct.pack("=IHHII", 16 + len(body), 0x15, 0, 2, 0) + body


ACK = struct.pack("=IHHIIi", 36, 2, 0x100, 2, 0, 0) + bytes(16)


@pytest.mark.parametrize(
    ("garbage", "want"),
    [
        (b"", BusTimeout),  # nothing that could be told from silence
        (b"\xa5" * 16, DeviceRefused),
        (answer((7, b"\x18")) + ACK, ShortRead),
        (answer((7, b"\x18\x50\x00\x06")) + ACK, DeviceRefused),  # more than asked for
        (answer() + ACK, ShortRead),  # success without data
        (ACK, ShortRead),  # not even a reply
        (answer((7, b"\x18\x50\x00"))[:-5], DeviceRefused),
        (struct.pack("=IHHIIHHHH", 24, 0x15, 0, 2, 0, 31, 0, 60, 7), DeviceRefused),  # attribute beyond the end
        (struct.pack("=IHHII", 18, 2, 0, 2, 0) + b"\0\0", DeviceRefused),  # an error without its number
    ],
)
def test_answers_that_make_no_sense(
    fake: FakeKernel, memory: EthtoolMemory, garbage: bytes, want: type[DriverError]
) -> None:
    client = doors(fake)
    fresh = EthtoolMemory("eth0", client, timeout_s=0.2)
    fake.garble(garbage or bytes(8))
    # The first answer is that of the family; it is asked for before, on the same socket.
    fake._garbage.insert(0, _family(1))
    with pytest.raises(DriverError) as caught:
        fresh.read(Span(0, 3))
    if garbage:
        assert type(caught.value) is want
    fresh.close()


def _family(sequence: int) -> bytes:
    body = bytes((1, 2, 0, 0)) + struct.pack("=HHHxx", 6, 1, 0x15)
    reply = struct.pack("=IHHII", 16 + len(body), 16, 0, sequence, 0) + body
    return reply + struct.pack("=IHHIIi", 36, 2, 0x100, sequence, 0, 0) + bytes(16)


class _Replay:
    """A socket that has its answers ready."""

    def __init__(self, *answers: bytes) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for datagram in answers:
            self._theirs.send(datagram)
        self._theirs.close()

    def connect(self) -> socket.socket:
        return self._ours

    def close(self) -> None:
        self._ours.close()


@given(
    st.one_of(
        st.binary(min_size=1, max_size=120), st.binary(max_size=80).map(lambda data: answer((7, data)) + data)
    )
)
def test_any_answer_is_bytes_or_a_driver_error(data: bytes) -> None:
    replay = _Replay(_family(1), data)
    memory = EthtoolMemory("eth0", Kernel(replay.connect, _no_ioctl, lambda _: True), timeout_s=0.2)
    try:
        assert len(memory.read(Span(0, 3))) == 3
    except DriverError:
        pass
    finally:
        memory.close()
        replay.close()


def _no_ioctl(_name: str, _structure: bytes) -> bytes:
    raise OSError(errno.EOPNOTSUPP, "no")


def test_every_recording_reads_back(shared_data: Path) -> None:
    """All saved pages of all recorded modules, byte for byte."""
    compared = 0
    for path in sorted((shared_data / "eeprom").glob("*.json")):
        module = FakeModule.load(path)
        fake = FakeKernel({"eth0": FakeCard(module)})
        memory = EthtoolMemory("eth0", doors(fake), timeout_s=2.0)
        for name, text in json.loads(path.read_text())["pages"].items():
            saved = bytes.fromhex(text)
            bank, _, page = name.rpartition(":")
            if name in {"a0", "a2"}:
                span = Span(0, len(saved), i2c=0x50 if name == "a0" else 0x51)
            elif name == "lower":
                span = Span(0, 126)  # 126 and 127 hold what is selected
                saved = saved[:126]
            else:
                span = Span(128, 128, int(page, 16), int(bank or 0))
            assert memory.read(span) == saved, f"{path.name} {name}"
            compared += 1
        memory.close()
        fake.close()
    assert compared > 100
    print(f"{compared} pages")  # noqa: T201


def test_sources_and_their_options(tmp_path: Path) -> None:
    driver = EthtoolDriver(owner=lambda: "xcvrd")
    cage = driver.open("enp59s0f0np0", Options({"timeout": "2"}, of="ethtool:enp59s0f0np0"))
    assert (cage.source, cage.port, cage.owner) == ("ethtool:enp59s0f0np0", "enp59s0f0np0", "xcvrd")
    for name in ("", "a b", "eth0/1", "x" * 200):
        with pytest.raises(ConfigError):
            driver.open(name, Options({}, of=name))


def test_a_pattern_finds_cards_that_can_read(fake: FakeKernel) -> None:
    fake.cards["eth1"] = FakeCard(FakeModule(cmis_image()))
    fake.cards["eth1"].module.remove()
    fake.cards["eth2"] = FakeCard(FakeModule(cmis_image()), by_page=False)  # a copper port
    names = ("eth0", "eth1", "eth2", "eth9", "usb0")  # eth9 is gone by now
    driver = EthtoolDriver(
        doors=lambda _: doors(fake),
        owner=lambda: "",
        candidates=lambda: tuple(Candidate(name, "mlx5_core", "") for name in names),
    )
    assert driver.expand("eth*") == ["eth0", "eth1"]
    assert driver.expand("*") == ["eth0", "eth1"]
    assert driver.expand("eth2") == ["eth2"]
    fake.privileged = False
    assert driver.expand("eth?")[0] == "eth0"


def test_ports_of_one_card_share_a_thread(tmp_path: Path) -> None:
    for port in (0, 1):
        device = tmp_path / f"devices/pci0000:3a/0000:3b:00.{port}"
        device.mkdir(parents=True)
        (tmp_path / f"class/net/eth{port}").mkdir(parents=True)
        (tmp_path / f"class/net/eth{port}/device").symlink_to(device)
    assert card("eth0", tmp_path) == card("eth1", tmp_path) == "0000:3b:00"
    assert card("eth7", tmp_path) == "eth7"


def test_pyroute2_stays_whole_for_others() -> None:
    """Only its messages are loaded; whoever imports the package later gets all of it."""
    code = (
        "import sys\n"
        "from drivers.ethtool.genetlink import declared\n"
        "declared('ethtool_module_eeprom_msg')\n"
        "assert not [name for name in sys.modules if name.startswith('pyroute2')]\n"
        "import pyroute2\n"
        "assert pyroute2.netlink.generic.ethtool.NlEthtool is pyroute2.NlEthtool\n"
        "pyroute2.IPRoute().close()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_real_kernel_knows_no_such_interface() -> None:
    memory = EthtoolMemory("opticd-none", kernel())
    with pytest.raises(NotPermitted if os.geteuid() else BusGone):
        memory.read(Span(0, 3))
    memory.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="asks the kernel for a module: needs root")
def test_the_real_kernel_on_an_interface_without_a_cage() -> None:
    memory = EthtoolMemory("lo", kernel())
    with pytest.raises(Unsupported, match="lo: Operation not supported"):
        memory.read(Span(0, 3))
    memory.close()


def test_the_real_ioctl() -> None:
    link = ethtool_ioctl.ioctl("lo", struct.pack("=II", 0x0A, 99))  # ETHTOOL_GLINK
    assert struct.unpack("=II", link) == (0x0A, 1)
    with pytest.raises(OSError, match="No such device"):
        ethtool_ioctl.ioctl("opticd-none", struct.pack("=II", 0x0A, 99))


def test_empty_memory_is_an_empty_module(fake: FakeKernel, memory: EthtoolMemory) -> None:
    fake.cards["eth0"].module.insert(Memory())
    assert memory.read(Span(0, 4)) == bytes(4)


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EPERM, errno.EBUSY])
def test_a_card_that_will_not_read_its_module_shows_none(
    fake: FakeKernel, memory: EthtoolMemory, code: int
) -> None:
    fake.cards["eth0"].module.remove()
    fake.cards["eth0"].empty = (code, "")
    setup = PortSetup(port="swp1", bus="eth0", source="ethtool:eth0", open=lambda: memory)
    job = PortJob(setup, device="leaf-17", identify=maps.Maps(()).identify, bus_failed=memory.close, deadline_s=2.0)
    hub = Hub("leaf-17")
    polled = job.poll()
    for event in polled.events:
        hub.publish(event)
    port = hub.local.port("swp1")
    assert polled.outcome is Outcome.FAILED  # it is asked less and less often
    assert (port.present, port.up) == (False, False)
    fake.cards["eth0"].module.insert()
    for event in job.poll().events:
        hub.publish(event)
    assert (port.present, port.up) == (True, True)
