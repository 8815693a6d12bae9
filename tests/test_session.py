"""A session over the production driver and a fake module at the wire: who is in the cage, whose values are told."""

import errno
from collections.abc import Callable

import pytest

from agent import maps
from agent import quantities as q
from agent.errors import ModuleAbsent
from agent.memory import Shape, Span
from agent.model import LaneFlags, ModuleChange
from agent.modules.session import Intervals, ModuleSession, Refresh
from drivers.i2c.bus import LinuxI2cBus
from drivers.i2c.paged import PagedMemory
from fakes.adapter import FakeAdapter
from fakes.i2cdev import FakeI2cDev
from fakes.module import FakeModule
from tests.tinymap import LANES, identify, image


class Cage:
    """A fake module on an adapter of its own, the production driver, and a session whose clock the test moves."""

    def __init__(self, *, flags: bool = True, intervals: Intervals | None = None) -> None:
        self.now = 1000.0
        self.module = FakeModule(image(), family="cmis", clock=lambda: self.now)
        self.adapter = FakeAdapter(self.module)
        bus = LinuxI2cBus("12", calls=FakeI2cDev({"/dev/i2c-12": self.adapter}))
        self.memory = PagedMemory(bus, busy_limit_s=0)
        self.session = ModuleSession(
            self.memory,
            identify=identify,
            intervals=intervals,
            flags=flags,
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def refresh(self, after: float = 1.0, *, deadline_s: float = 2.0) -> Refresh:
        self.now += after
        return self.session.refresh(deadline_s=deadline_s)


class Linear:
    """The module as a kernel file shows it: every page at once, nothing to select."""

    def __init__(self, module: FakeModule) -> None:
        self.module = module
        self.shape = Shape()

    def read(self, span: Span) -> bytes:
        return self.module.get(span)

    def close(self) -> None:
        pass


@pytest.fixture
def cage() -> Cage:
    return Cage()


def serial(refresh: Refresh) -> str:
    assert refresh.description is not None
    return refresh.description.module.get("serial_number", "")


def temperature(refresh: Refresh) -> float | None:
    assert refresh.values is not None, refresh.failure
    return refresh.values.values.get(q.TEMPERATURE)


def test_a_module_is_described_once_and_read_each_time(cage: Cage) -> None:
    first = cage.refresh()
    assert first.change is ModuleChange.INSERTED
    assert serial(first) == "SN0001"
    assert temperature(first) == 40.0
    assert first.description is not None
    assert first.description.thresholds[q.TEMPERATURE] == {"high_alarm": 75.0}
    cage.module.put(Span(14, 2), bytes.fromhex("2a80"))
    second = cage.refresh()
    assert second.change is None
    assert temperature(second) == 42.5
    assert second.description is first.description


def test_one_refresh_is_two_reads_and_four_transactions(cage: Cage) -> None:
    cage.refresh()
    cage.refresh()
    cage.adapter.clear()
    cage.refresh()
    assert cage.adapter.traffic.transactions == 4  # lower memory; the page as it was left, page 11h, the page still
    assert [message.data for message in cage.adapter.log if not message.read] == [
        bytes((3,)),
        bytes((127,)),
        bytes((134,)),
        bytes((127,)),
    ]


def test_only_page_selects_are_ever_written(cage: Cage) -> None:
    for n in range(40):
        if n == 10:
            cage.module.remove()
        if n == 20:
            cage.module.insert(image("SN0002"))
        cage.refresh()
    written = {message.data[0] for message in cage.adapter.log if not message.read and len(message.data) > 1}
    assert written <= {126, 127}
    assert cage.module.complaints == []


@pytest.mark.parametrize("gap_s", [1.0, 10.0])
def test_an_exchanged_module_never_shows_the_old_one(cage: Cage, gap_s: float) -> None:
    for _ in range(5):
        cage.refresh(gap_s)
    cage.module.insert(image("SN0002", temperature=50.0))
    # A module says so after its power-up: CMIS 5.2 table 8-8, ModuleStateChangedFlag.
    cage.module.put(Span(8, 1), b"\x01")
    swapped = cage.refresh(gap_s)
    assert swapped.change is ModuleChange.SWAPPED
    assert swapped.previous.get("serial_number") == "SN0001"
    assert serial(swapped) == "SN0002"
    assert temperature(swapped) == 50.0


def test_a_leap_of_the_monitors_hints_at_an_exchange(cage: Cage) -> None:
    for _ in range(3):
        cage.refresh()
    cage.module.insert(image("SN0002", temperature=43.0))  # the same state, no flag: only 3 degC give it away
    swapped = cage.refresh()
    assert (swapped.change, serial(swapped), temperature(swapped)) == (ModuleChange.SWAPPED, "SN0002", 43.0)


def test_a_slow_drift_costs_no_comparison(cage: Cage) -> None:
    for step in range(5):
        cage.module.put(Span(14, 2), (40 * 256 + 300 * step).to_bytes(2, "big"))
        cage.refresh()
    cage.adapter.clear()
    cage.refresh()
    assert cage.adapter.traffic.transactions == 4


@pytest.mark.parametrize("before", range(1, 14))
def test_an_exchange_that_gives_no_sign_of_itself_is_seen_at_once(before: int) -> None:
    # The serial number is compared every tenth time, slow values are read every fourth: before, at, after it.
    cage = Cage(flags=False, intervals=Intervals(identity_s=10, slow_s=4))
    for _ in range(before):
        cage.refresh()
    cage.module.insert(
        image("SN0002", temperature=40.0)
    )  # it powers up on page 00h, and page 11h was left selected
    swapped = cage.refresh()
    assert (swapped.change, serial(swapped)) == (ModuleChange.SWAPPED, "SN0002")


def test_a_way_in_that_selects_no_pages_finds_it_within_the_interval() -> None:
    cage = Cage(flags=False)
    session = ModuleSession(
        Linear(cage.module), identify=identify, intervals=Intervals(identity_s=10), flags=False,
        clock=lambda: cage.now, sleep=cage.sleep,
    )  # fmt: skip
    seen: list[Refresh] = []
    for step in range(16):
        cage.now += 1.0
        if step == 3:
            cage.module.insert(image("SN0002", temperature=40.0))
        seen.append(session.refresh())
    changes = [refresh.change for refresh in seen]
    assert changes[0] is ModuleChange.INSERTED
    assert [change for change in changes[1:] if change] == [ModuleChange.SWAPPED]
    assert ModuleChange.SWAPPED in changes[3:14]


def test_another_masters_page_costs_a_comparison_and_no_value(cage: Cage) -> None:
    for _ in range(3):
        cage.refresh()
    cage.module.select(0x02)
    cage.adapter.clear()
    assert temperature(cage.refresh()) == 40.0
    reads = [len(message.data) for message in cage.adapter.log if message.read]
    # The page is not as it was left; it is now; serial number; then page 11h is left again.
    assert reads == [29, 1, 76, 1, 16, 1]
    cage.adapter.clear()
    assert temperature(cage.refresh()) == 40.0
    assert cage.adapter.traffic.transactions == 4


def test_exchanged_between_the_two_reads_of_a_refresh(cage: Cage) -> None:
    for _ in range(3):
        cage.refresh()
    cage.module.during_read(10, cage.module.remove)
    pulled = cage.refresh()  # lower memory ends in FFh, page 11h is not acknowledged
    assert pulled.values is None
    cage.module.insert(image("SN0002", temperature=51.0))
    assert (after := cage.refresh()).change is ModuleChange.SWAPPED
    assert (serial(after), temperature(after)) == ("SN0002", 51.0)


def test_a_removal_is_believed_after_three_calls_and_told_once(cage: Cage) -> None:
    cage.refresh()
    cage.module.remove()
    first, second, third, fourth = cage.refresh(), cage.session.probe(), cage.session.probe(), cage.refresh()
    assert [each.present for each in (first, second, third, fourth)] == [True, True, False, False]
    assert first.unconfirmed
    assert [each.change for each in (first, second, third, fourth)] == [None, None, ModuleChange.REMOVED, None]
    assert third.previous.get("serial_number") == "SN0001"
    cage.module.insert()
    back = cage.refresh()
    assert back.change is ModuleChange.INSERTED  # the same one: not a swap
    cage.module.remove()
    for _ in range(3):
        cage.refresh()
    cage.module.insert(image("SN0003"))
    other = cage.refresh()
    assert (other.change, other.previous.get("serial_number")) == (ModuleChange.SWAPPED, "SN0001")


def test_an_absent_cage_costs_one_byte(cage: Cage) -> None:
    cage.module.remove()
    cage.refresh()
    cage.adapter.clear()
    refresh = cage.refresh()
    assert not refresh.present
    assert refresh.change is None
    assert cage.adapter.traffic.transactions == 1


def test_a_burst_of_nacks_is_no_removal(cage: Cage) -> None:
    cage.refresh()
    for burst in range(1, 20):
        cage.module.nack(burst)
        seen = [cage.refresh(), cage.session.probe(), cage.refresh()]
        assert not [each for each in seen if each.change], burst
        assert seen[-1].values is not None, burst
        assert serial(seen[-1]) == "SN0001"


def test_one_failed_read_costs_only_its_own_values(cage: Cage) -> None:
    cage.refresh()
    cage.adapter.fail(errno.ENXIO)
    refresh = cage.refresh()
    assert refresh.values is not None
    assert q.TEMPERATURE.key in refresh.values.unread
    assert len(refresh.values.lanes[q.RX_POWER]) == 8
    assert [trouble.reason for trouble in refresh.troubles] == ["absent"]


def test_flags_of_a_refresh_that_is_withheld_are_told_with_the_next(cage: Cage) -> None:
    cage.refresh()
    cage.module.put(Span(147, 1, page=0x11), b"\x05")
    cage.module.put(Span(147, 1, page=0x11), b"\x00")
    cage.module.put(Span(8, 1), b"\x01")
    cage.module.put(Span(8, 1), b"\x00")

    def break_identity() -> None:
        cage.adapter.fail(errno.ENXIO, times=50)

    cage.module.during_read(70, break_identity)  # page 11h came through, what follows does not
    withheld = cage.refresh()
    assert withheld.values is None
    cage.adapter._faults.clear()
    told = cage.refresh()
    assert told.values is not None
    assert told.values.lane_flags[q.RX_LOS] == LaneFlags(0xFF, 0x05)
    assert told.values.flags[q.MODULE_STATE_CHANGED]
    later = cage.refresh()
    assert later.values is not None
    assert later.values.lane_flags[q.RX_LOS] == LaneFlags(0xFF, 0)


def test_a_module_that_is_not_ready_shows_no_monitors(cage: Cage) -> None:
    cage.refresh()
    cage.module.put(Span(3, 1), b"\x04")  # ModulePwrUp
    refresh = cage.refresh()
    assert refresh.values is not None
    assert refresh.values.module_state == "ModulePwrUp"
    assert not refresh.values.values
    assert not refresh.values.lanes


@pytest.mark.parametrize("byte", [0xFF, 0x00])
def test_a_bus_that_says_one_thing_only(cage: Cage, byte: int) -> None:
    cage.refresh()
    cage.module.all_bytes(byte)
    seen = [cage.refresh() for _ in range(4)]
    assert [each.values for each in seen] == [None] * 4
    assert not [each.change for each in seen if each.change]
    cage.module.all_bytes(None)
    good = cage.refresh()
    assert (good.change, temperature(good), serial(good)) == (None, 40.0, "SN0001")


@pytest.mark.parametrize(("value", "reason"), [(b"\xff", "all_ff"), (b"\x00", "all_zero")])
def test_a_block_that_nobody_wrote_is_discarded(cage: Cage, value: bytes, reason: str) -> None:
    cage.refresh()
    cage.module.flip(bytes(a ^ value[0] for a in cage.module.get(Span(3, 29))))
    refresh = cage.refresh()
    assert [trouble.reason for trouble in refresh.discarded] == [reason]
    assert temperature(refresh) is None
    assert refresh.values is not None
    assert len(refresh.values.lanes[q.RX_POWER]) == 8


def test_zeros_that_the_next_read_repeats_are_believed(cage: Cage) -> None:
    cage.refresh()
    cage.module.put(LANES, bytes(LANES.length))
    assert cage.refresh().discarded[0].reason == "all_zero"
    refresh = cage.refresh()
    assert refresh.discarded == ()
    assert refresh.values is not None
    assert set(refresh.values.lanes[q.RX_POWER].values()) == {0.0}


def test_a_flipped_bit_in_the_serial_number_is_no_swap(cage: Cage) -> None:
    cage.refresh()
    cage.refresh()
    page = 0
    while page != 0x11:  # the flip waits for a read of so many bytes: arm it behind lower memory
        cage.module.during_read(75, lambda: cage.module.flip(b"\x00" * 3 + b"\x01"))
        page = 0x11
    refresh = cage.refresh(10)
    assert refresh.change is None
    assert temperature(refresh) == 40.0


def test_a_wrong_checksum_is_read_twice_and_told_once(cage: Cage) -> None:
    cage.module.put(Span(222, 1), b"\x00")
    first, second = cage.refresh(), cage.refresh()
    assert [trouble.reason for trouble in first.troubles] == ["checksum"]
    assert second.troubles == ()


def test_a_checksum_that_was_wrong_on_the_way_is_not_told(cage: Cage) -> None:
    cage.module.during_read(2, lambda: cage.module.flip(b"\x00" * 30 + b"\x40"))
    first = cage.refresh()
    assert first.troubles == ()
    assert first.description is not None
    assert first.description.module.get("part_number") == "TINY-400"


def test_an_unsupported_module_is_a_clear_failure(cage: Cage) -> None:
    cage.module.put(Span(0, 1), b"\x77")
    refresh = cage.refresh()
    assert refresh.present
    assert refresh.failure is not None
    assert str(refresh.failure.detail) == "unsupported memory map 0x77"


def test_a_page_that_cannot_be_read_costs_the_module_its_thresholds_only(cage: Cage) -> None:
    original = cage.module._pages.pop((0x50, 0, 0x02))
    first = cage.refresh()
    assert first.description is not None
    assert first.description.thresholds == {}
    assert temperature(first) == 40.0
    assert "page_refused" in {trouble.reason for trouble in first.troubles}
    cage.module._pages[0x50, 0, 0x02] = original  # and they come when the page does
    later = [cage.refresh(10) for _ in range(8)][-1]
    assert later.change is None
    assert later.description is not None
    assert later.description.thresholds[q.TEMPERATURE] == {"high_alarm": 75.0}


def test_a_bus_error_ends_the_call_and_the_module_is_checked_afterwards(cage: Cage) -> None:
    cage.refresh()
    cage.adapter.fail(errno.EIO)
    before = cage.adapter.traffic.transactions
    refresh = cage.refresh()
    assert refresh.bus_failed
    assert refresh.failure is not None
    assert refresh.failure.reason == "bus_error"
    assert cage.adapter.traffic.transactions == before + 1
    cage.session.close()
    cage.module.insert(image("SN0009"))
    assert cage.refresh().change is ModuleChange.SWAPPED


def test_slow_values_are_read_on_their_own_period_and_after_a_change_of_state() -> None:
    cage = Cage(intervals=Intervals(slow_s=60, identity_s=1000))

    def slow_reads(refresh: Callable[[], object]) -> int:
        cage.adapter.clear()
        refresh()
        return sum(message.data == bytes((127, 0x24)) for message in cage.adapter.log if not message.read)

    assert slow_reads(cage.refresh) == 1
    cage.module.put(Span(128, 2, page=0x24), b"\x00\x07")
    for _ in range(59):
        assert slow_reads(cage.refresh) == 0
    held = cage.session.refresh()
    assert held.values is not None
    assert [sample.value for sample in held.values.vdm] == [1]
    assert slow_reads(cage.refresh) == 1
    fresh = cage.session.refresh()
    assert fresh.values is not None
    assert [sample.value for sample in fresh.values.vdm] == [7]
    cage.module.put(Span(134, 1, page=0x11), b"\x03")
    cage.module.put(Span(134, 1, page=0x11), b"\x00")
    assert slow_reads(cage.refresh) == 1
    assert slow_reads(cage.refresh) == 0


def test_a_slow_module_is_described_over_several_calls() -> None:
    cage = Cage()
    cage.adapter.delay_s = 0.5
    cage.adapter._sleep = cage.sleep
    calls = 0
    while (refresh := cage.refresh(deadline_s=2.0)).values is None:
        calls += 1
        assert refresh.present
        assert calls < 20
    assert calls >= 1
    assert serial(refresh) == "SN0001"


def test_a_swap_while_the_static_pages_are_read_is_not_mixed(cage: Cage) -> None:
    other = image("SN0002", temperature=50.0)
    cage.module.during_read(60, lambda: cage.module.insert(other))
    refreshes = [cage.refresh() for _ in range(3)]
    done = next(each for each in refreshes if each.values is not None)
    assert (serial(done), temperature(done)) == ("SN0002", 50.0)


def test_a_module_without_anything_to_refresh_is_watched_by_its_serial_number(cage: Cage) -> None:
    passive, other = image("SN-DAC"), image("SN-OTHER")
    for each in (passive, other):
        each.put(Span(2, 1), b"\x80")  # CMIS flat memory
    cage.session._identify = maps.identify
    cage.module.insert(passive)
    first = cage.refresh()
    assert first.values is not None
    assert first.values.module_state == "ModuleReady"
    cage.adapter.clear()
    assert cage.refresh().values is not None
    assert cage.adapter.traffic.transactions == 1
    cage.module.insert(other)
    assert cage.refresh().change is ModuleChange.SWAPPED
    cage.module.remove()
    assert [cage.refresh().present for _ in range(3)] == [True, True, False]


def test_a_serial_number_that_cannot_be_read_does_not_cost_the_values(cage: Cage) -> None:
    bus = cage.memory._bus
    assert isinstance(bus, LinuxI2cBus)
    transfer = bus.transfer

    class Broken:
        """As a module that does not acknowledge reads of its upper page 00h."""

        def transfer(self, address: int, out: bytes, n: int) -> bytes:
            if out[0] >= 128 and n and cage.module.selected == (0, 0) and broken:
                raise ModuleAbsent("no acknowledge")
            return transfer(address, out, n)

        def close(self) -> None:
            bus.close()

    broken = True
    cage.memory._bus = Broken()
    seen = [cage.refresh() for _ in range(4)]
    assert [each.values is None for each in seen] == [True, True, False, False]
    broken = False
    later = [cage.refresh(20) for _ in range(5)]
    assert serial(later[-1]) == "SN0001"
    assert [each.change for each in later if each.change] == []
