"""VDM freeze at the wire: one register is written, it is always let go again, nothing waits for ever."""

import errno
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from agent import maps
from agent.config import file as config
from agent.config.sources import I2cSource, ModuleSource
from agent.errors import BusGone, ConfigError
from agent.memory import Memory, Shape, Span
from agent.modules.session import Intervals, ModuleSession, Refresh
from agent.service import opening
from agent.sources import Cage as SourceCage
from agent.sources import Options
from drivers.i2c.bus import LinuxI2cBus
from drivers.i2c.cages import I2cDriver
from drivers.i2c.paged import PagedMemory
from fakes.adapter import FakeAdapter
from fakes.i2cdev import FakeI2cDev
from fakes.module import FakeModule

CONTROL = Span(144, 1, 0x2F)
MAXIMUM = Span(130, 2, 0x24)
OTHER_BITS = 0x41
"""Power saving and a reserved bit: what the module's owner has set there stays."""


def image(*, serial: bytes = b"SN0001", vdm: bool = True, banks: int = 1, state: int = 3) -> Memory:
    """A CMIS 5.2 module of 8 lanes a bank with two observables of lane 1: current and maximum of the bit errors."""
    lower, identity, advertising = bytearray(128), bytearray(128), bytearray(128)
    lower[0:4] = bytes((0x19, 0x52, 0x00, state << 1))
    lower[85:91] = bytes.fromhex("02515688 01ff".replace(" ", ""))
    identity[1:17], identity[38:54] = b"ACME OPTICS".ljust(16), serial.ljust(16)
    identity[94] = sum(identity[:94]) & 0xFF
    advertising[14] = 0x40 * vdm | {1: 0, 2: 1}[banks]
    advertising[31:33] = b"\x03\x02"
    advertising[48] = 0x01
    advertising[127] = sum(advertising[2:127]) & 0xFF
    memory = Memory()
    memory.put(Span(0, 128), bytes(lower))
    memory.put(Span(128, 128), bytes(identity))
    memory.put(Span(128, 128, 0x01), bytes(advertising))
    memory.put(Span(128, 128, 0x02), bytes(128))
    for bank in range(banks):
        for page, data in (
            (0x10, b""), (0x11, b""), (0x20, bytes.fromhex("000f000b")), (0x24, bytes.fromhex("28d252ab")),
            (0x28, b""), (0x2C, b""), (0x2F, b"\0\0\0".ljust(16, b"\0") + bytes((OTHER_BITS,))),
        ):  # fmt: skip
            memory.put(Span(128, 128, page, bank), data.ljust(128, b"\0"))
    return memory


class Cage:
    """A module on an adapter, the production driver and a session; waiting moves the clock."""

    def __init__(
        self, memory: Memory, *, freeze: bool = True, allowed: bool | None = None, freeze_s: float = 0.02
    ) -> None:
        self.now = 1000.0
        self.module = FakeModule(memory, family="cmis", clock=self.clock, freeze_s=freeze_s)
        self.adapter = FakeAdapter(self.module)
        may = freeze if allowed is None else allowed
        self.calls = FakeI2cDev({"/dev/i2c-12": self.adapter})
        bus = LinuxI2cBus("12", calls=self.calls, freeze=may)
        way = PagedMemory(bus, freeze=may, clock=self.clock, sleep=self.sleep)
        self.session = ModuleSession(
            way, identify=maps.identify, intervals=Intervals(slow_s=60.0), freeze=freeze,
            clock=self.clock, sleep=self.sleep,
        )  # fmt: skip

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def poll(self, after: float = 60.0) -> Refresh:
        self.now += after
        return self.session.refresh()

    @property
    def writes(self) -> list[str]:
        """Every write that is no page select, in hex."""
        sent = [message.data for message in self.adapter.log if not message.read and len(message.data) > 1]
        return [data.hex() for data in sent if data[0] not in (126, 127)]


def maximum(refresh: Refresh) -> float:
    assert refresh.values is not None, refresh.failure
    (value,) = (s.value for s in refresh.values.vdm if s.observable == "pre_fec_ber_max_media_input")
    return value


def reasons(refresh: Refresh) -> list[str]:
    return [trouble.reason for trouble in refresh.troubles]


def test_statistics_are_read_frozen_and_one_register_is_written() -> None:
    cage = Cage(image())
    first = cage.poll()
    assert maximum(first) == 6.83e-12  # F16 52ABh: 683 * 10^(10-24)
    assert cage.writes == ["90c1", "9041"]  # bit 7 set and cleared, the other bits as found
    assert cage.module.freezes == [(0, 0xC1), (0, 0x41)]
    assert cage.module.complaints == []
    assert reasons(first) == []
    # Letting go began a new interval: what is read now is the module's next maximum, not the old one.
    cage.module.put(MAXIMUM, bytes.fromhex("4a59"))
    assert maximum(cage.poll()) == 6.01e-13  # 601 * 10^(9-24)
    assert cage.module.freezes == [(0, 0xC1), (0, 0x41)] * 2


def test_it_is_frozen_while_the_samples_are_read() -> None:
    cage = Cage(image())
    seen: list[tuple[bool, int]] = []
    taken = cage.module.read

    def read(address: int, n: int) -> bytes | None:
        seen.append((bool(cage.module.frozen), cage.module.selected[1]))
        return taken(address, n)

    cage.module.read = read  # type: ignore[method-assign]  # the test listens at the wire
    cage.poll()
    assert {frozen for frozen, page in seen if page == 0x24} == {True}
    assert not cage.module.frozen


def test_nothing_is_written_between_two_slow_reads_and_none_at_all_by_default() -> None:
    cage = Cage(image())
    cage.poll()
    cage.adapter.clear()
    for _ in range(5):
        cage.poll(after=10.0)
    assert cage.writes == []
    silent = Cage(image(), freeze=False)
    assert maximum(silent.poll()) == 6.83e-12
    assert silent.writes == []


@pytest.mark.parametrize(
    "memory",
    [image(vdm=False), image(state=1), image(state=5)],
    ids=["not advertised", "low power", "fault"],
)
def test_never_on_a_module_that_does_not_advertise_it_nor_one_that_is_not_at_work(memory: Memory) -> None:
    cage = Cage(memory)
    assert cage.poll().failure is None
    assert cage.poll().failure is None
    assert cage.writes == []


def test_banks_that_do_not_follow_the_first_are_frozen_themselves() -> None:
    cage = Cage(image(banks=2))
    first = cage.poll()
    assert first.values is not None
    found = [(s.lane, s.value) for s in first.values.vdm if s.observable == "pre_fec_ber_max_media_input"]
    assert sorted(found) == [(1, 6.83e-12), (9, 6.83e-12)]
    assert cage.module.freezes == [(0, 0xC1), (1, 0xC1), (0, 0x41), (1, 0x41)]
    assert cage.writes == ["90c1", "90c1", "9041", "9041"]


def test_banks_that_follow_the_first_are_not_written_to() -> None:
    cage = Cage(image(banks=2))
    written = cage.module.write

    def follow(address: int, data: bytes) -> int | None:
        taken = written(address, data)
        status = cage.module.get(Span(145, 1, 0x2F))
        if cage.module.frozen:
            cage.module.put(Span(145, 1, 0x2F, 1), b"\x80" if status == b"\0" else status)
        return taken

    cage.module.write = follow  # type: ignore[method-assign]  # the test plays a module with one freeze for all
    assert cage.poll().troubles == ()
    assert cage.module.freezes == [(0, 0xC1), (0, 0x41)]


def test_a_freeze_that_never_completes_costs_a_second_and_no_value() -> None:
    cage = Cage(image(), freeze_s=math.inf)
    began = cage.now
    first = cage.poll(after=0.0)
    assert cage.now - began < 2.2
    assert first.failure is None
    assert maximum(first) == 6.83e-12
    assert reasons(first) == ["vdm_freeze", "vdm_freeze"]
    assert first.troubles[0].detail == "the module did not freeze VDM within 1 s"
    assert cage.module.freezes == [(0, 0xC1), (0, 0x41)]
    # What fails again and again is given up, until the module is inserted anew.
    second = cage.poll()
    assert "tried no more until the module is inserted again" in second.troubles[-1].detail
    cage.adapter.clear()
    assert cage.poll().troubles == ()
    assert cage.writes == []


def test_a_way_in_that_may_not_write_says_so_once() -> None:
    cage = Cage(image(), allowed=False)
    first, second = cage.poll(), cage.poll()
    assert reasons(first) == ["vdm_freeze"]
    assert "opticd writes nothing to a module" in first.troubles[0].detail
    assert (reasons(second), cage.writes) == ([], [])
    assert maximum(second) == 6.83e-12


class ReadOnly:
    """A way in that cannot write, as ethtool."""

    def __init__(self, memory: Memory) -> None:
        self.shape = Shape()
        self._memory = memory

    def read(self, span: Span) -> bytes:
        data = self._memory.get(span)
        assert data is not None, span
        return data

    def close(self) -> None:
        return


def test_a_way_in_that_cannot_write_says_so_once() -> None:
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    session = ModuleSession(ReadOnly(image()), identify=maps.identify, freeze=True, clock=lambda: now, sleep=sleep)
    first = session.refresh()
    assert [(t.reason, t.detail) for t in first.troubles] == [
        ("vdm_freeze", "this way in does not freeze VDM: it cannot write")
    ]
    sleep(61)
    assert session.refresh().troubles == ()


def when_frozen(cage: Cage, action: Callable[[], None]) -> None:
    """Do something as soon as the module is asked to freeze."""
    taken = cage.module.write

    def write(address: int, data: bytes) -> int | None:
        done = taken(address, data)
        if len(data) == 2 and data[0] == 0x90 and data[1] & 0x80:
            cage.module.write = taken  # type: ignore[method-assign]
            action()
        return done

    cage.module.write = write  # type: ignore[method-assign]  # the test listens at the wire


def test_a_module_that_is_silent_for_a_moment_is_let_go_at_once() -> None:
    cage = Cage(image())
    cage.poll()
    when_frozen(cage, lambda: cage.module.nack(2))
    cage.poll()
    assert not cage.module.frozen


def test_what_could_not_be_let_go_is_let_go_with_the_next_poll() -> None:
    cage = Cage(image())
    cage.poll()
    when_frozen(cage, lambda: cage.adapter.fail(errno.EIO, times=4))  # the wait, and three tries
    failed = cage.poll()
    assert failed.bus_failed
    assert cage.module.frozen == {0}
    cage.poll(after=1.0)
    assert not cage.module.frozen
    assert cage.module.freezes[-1] == (0, 0x41)


def test_another_module_is_never_written_to_for_the_old_one() -> None:
    cage = Cage(image())
    cage.poll()

    def exchange() -> None:
        cage.module.insert(image(serial=b"SN0002", vdm=False), family="cmis")
        cage.sleep(3.0)

    when_frozen(cage, exchange)
    cage.adapter.clear()
    cage.poll()
    assert cage.writes == ["90c1"]
    cage.poll()
    assert cage.writes == ["90c1"]
    assert cage.module.complaints == []


def test_a_module_exchanged_since_the_last_poll_is_not_frozen() -> None:
    cage = Cage(image())
    cage.poll()
    cage.module.insert(image(serial=b"SN0002", vdm=False), family="cmis")
    cage.adapter.clear()
    cage.poll()
    assert cage.writes == []


def test_what_a_run_that_was_killed_left_frozen_runs_again() -> None:
    memory = image()
    memory.put(CONTROL, bytes((0x80 | OTHER_BITS,)))
    cage = Cage(memory)
    cage.poll()
    assert cage.module.get(CONTROL) == bytes((OTHER_BITS,))


def test_the_guard_lets_the_register_pass_on_its_page_only() -> None:
    cage = Cage(image())
    bus = LinuxI2cBus("12", calls=cage.calls, freeze=True)
    way = PagedMemory(bus, freeze=True)
    with pytest.raises(Exception, match="not a module with VDM"):
        way.write_freeze(0x80)  # nobody knows yet what sits there
    way.shape = Shape("cmis", flat=False)
    cage.module.after_select(lambda: cage.module.select(0x10))  # another master, just behind our select
    with pytest.raises(Exception, match="the module shows page 10h"):
        way.write_freeze(0x80)
    assert cage.module.freezes == []
    assert cage.module.complaints == []
    with pytest.raises(BusGone):
        LinuxI2cBus("13", calls=cage.calls, freeze=True).transfer(0x50, b"\x7f\x2f", 0)


@pytest.mark.parametrize(("option", "written"), [("yes", ["90c1", "9041"]), ("no", [])])
def test_the_option_of_a_source_opens_the_guard_of_its_bus(option: str, written: list[str]) -> None:
    cage = Cage(image())
    driver = I2cDriver(calls=cage.calls, sys=Path("/nonexistent"), owner=lambda: "")
    memory = driver.open("12", Options({"freeze": option}, of="test")).memory
    session = ModuleSession(memory, identify=maps.identify, freeze=True, clock=cage.clock, sleep=cage.sleep)
    session.refresh()
    assert cage.writes == written


def test_config_says_so_to_the_driver() -> None:
    text = '[[source]]\ntype = "{}"\nvdm_freeze = true\n'
    (i2c,) = config.parse(text.format("i2c") + 'bus = "12"\n', name="x").source
    (serial,) = config.parse(text.format("serial") + 'device = "/dev/ttyUSB0"\n', name="x").source
    for section in (i2c, serial):
        assert isinstance(section, ModuleSource)
        assert section.source().options["freeze"] == "yes"


@pytest.mark.parametrize("section", ['"sysfs"\npath = "/sys/x"', '"ethtool"\nnetdev = "eth0"'])
def test_what_the_kernel_reads_cannot_be_frozen_and_the_config_says_why(section: str) -> None:
    text = f"[[source]]\ntype = {section}\nvdm_freeze = true\n"
    with pytest.raises(ConfigError, match=r"source\[0\].vdm_freeze: nothing is written through the kernel"):
        config.parse(text, name="x")
    assert config.parse(text.replace("true", "false"), name="x").source


@pytest.mark.parametrize(("owner", "freezes"), [("", True), ("xcvrd", False)])
def test_never_where_another_daemon_reads_the_modules(owner: str, freezes: bool) -> None:
    section = I2cSource(type="i2c", bus="12", vdm_freeze=True)
    wanted = opening.Wanted()
    cage = SourceCage("i2c:12", "x", "x", ReadOnly(image()), owner=owner)
    assert opening.freezes(wanted, section, cage) is freezes
    assert wanted.notes == ([] if freezes else ["i2c:12: vdm_freeze is not done, xcvrd reads these statistics"])
