"""A module that works on commands of somebody else (CDB), as in a firmware update, has no page selected under it.

CMIS 5.2: bytes 37-38 are the status of both instances, bit 7 busy; byte 8 bits 6-7 latch that a command ended; page
01h byte 163 bits 7-6 tell how many instances there are.
"""

from pathlib import Path

import pytest

from agent import maps
from agent import quantities as q
from agent.memory import Span
from agent.model import PollFailed
from agent.modules.session import ModuleSession, Refresh
from agent.polling.oneshot import Recorder
from agent.polling.portjob import Outcome, PortJob, PortSetup
from agent.sources import Options
from drivers.i2c.cages import I2cDriver
from fakes.scenario import Scenario
from fakes.switch import FakeSwitch


class Cage:
    """One module with CDB through driver and maps, on a clock that the test moves. `known`: it was read before."""

    def __init__(self, *, instances: int = 2, product: str = "qsfpdd-400g-dr4", known: bool = True) -> None:
        self.now = 1000.0
        switch = FakeSwitch(1, Scenario(description="", modules=[product]), clock=lambda: self.now)
        self.adapter, self.module = switch.ports[0].adapter, switch.ports[0].module
        self.module.put(Span(163, 1, page=0x01), bytes((instances << 6,)))
        driver = I2cDriver(calls=switch.kernel, sys=Path("/nonexistent"), owner=lambda: "")
        self.session = ModuleSession(
            driver.open(switch.ports[0].path, Options({}, of="test")).memory,
            identify=maps.Maps(()).identify,
            clock=lambda: self.now,
            sleep=self.sleep,
        )
        self.slept: list[float] = []
        self.at_sleep: dict[int, int] = {}
        """Status of the first instance from the n-th pause on."""
        for _ in range(3 * known):
            self.refresh()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        status = self.at_sleep.get(len(self.slept))
        if status is not None:
            self.status(status)

    def refresh(self) -> Refresh:
        """Ten seconds later."""
        self.now += 10.0
        self.adapter.clear()
        return self.session.refresh()

    def status(self, first: int, second: int = 0) -> None:
        self.module.put(Span(37, 2), bytes((first, second)))

    def ended(self, flag: int) -> None:
        """A command has ended since the last read."""
        self.module.put(Span(8, 1), bytes((flag,)))
        self.module.put(Span(8, 1), b"\0")

    @property
    def written(self) -> set[bytes]:
        """What was written to the module: one byte is the offset of a read, more would be a select."""
        return {message.data for message in self.adapter.log if not message.read}

    @property
    def transactions(self) -> int:
        return self.adapter.traffic.transactions

    @property
    def bytes_written(self) -> int:
        """Offsets of reads are one byte each."""
        return self.adapter.traffic.bytes_written


@pytest.mark.parametrize(("first", "second"), [(0x81, 0), (0x83, 0), (0x01, 0x82), (0xB0, 0)])
def test_while_a_command_is_at_work_no_page_is_selected(first: int, second: int) -> None:
    cage = Cage()
    cage.status(first, second)
    for _ in range(30):
        busy = cage.refresh()
        assert (cage.transactions, cage.bytes_written) == (1, 1)
        assert busy.present
        assert busy.values is not None
        assert q.TEMPERATURE in busy.values.values  # lower memory belongs to no page
        assert q.TX_POWER not in busy.values.lanes
        assert "tx_power_watts" in busy.values.unread
        assert [each.reason for each in busy.troubles] == ["module_busy"]
    cage.status(0x01)
    done = cage.refresh()
    assert done.values is not None
    assert q.TX_POWER in done.values.lanes
    assert done.troubles == ()


def test_between_two_commands_it_is_let_alone_too() -> None:
    """A download is many short commands: a poll seldom meets one at work, and always finds that one has ended."""
    cage = Cage()
    cage.status(0x83)
    cage.refresh()
    cage.status(0x01)
    for flag in (0x40, 0x80, 0x40):
        cage.ended(flag)
        cage.refresh()
        assert cage.transactions == 1
    assert cage.refresh().troubles == ()
    assert cage.transactions > 1


def test_a_command_that_has_ended_does_not_begin_a_pause() -> None:
    cage = Cage()
    cage.ended(0x40)
    assert cage.refresh().troubles == ()
    assert cage.transactions > 1


def test_the_serial_number_is_compared_afterwards() -> None:
    cage = Cage()
    cage.status(0x83)
    cage.refresh()
    cage.module.put(Span(166, 16), b"SOMEBODY ELSE   ")
    cage.refresh()
    cage.status(0x01)
    assert cage.refresh().change is not None


def test_one_that_is_never_done_is_read_after_half_an_hour() -> None:
    cage = Cage()
    cage.status(0x83)
    quiet = [cage.refresh() for _ in range(190)]
    assert [each.reason for each in quiet[170].troubles] == ["module_busy"]
    assert all(each.troubles == () for each in quiet[185:])
    cage.status(0x01)
    cage.refresh()
    cage.status(0x83)
    assert [each.reason for each in cage.refresh().troubles] == ["module_busy"]


def test_the_bytes_are_nothing_without_cdb() -> None:
    cage = Cage(instances=0)
    cage.status(0x83, 0x83)
    assert cage.refresh().troubles == ()


def test_the_second_status_is_reserved_with_one_instance() -> None:
    cage = Cage(instances=1)
    cage.status(0x01, 0x83)
    assert cage.refresh().troubles == ()


def test_a_floating_bus_is_no_command() -> None:
    cage = Cage()
    cage.module.flood()
    assert "module_busy" not in [each.reason for each in cage.refresh().troubles]


def test_what_is_discarded_while_it_works_is_told() -> None:
    cage = Cage()
    cage.status(0x83)
    assert cage.refresh().discarded == ()
    cage.module.flood()
    assert [each.reason for each in cage.refresh().discarded] == ["all_ff"]


def test_it_costs_no_transaction() -> None:
    with_status, without = Cage(), Cage(instances=0)
    with_status.refresh()
    without.refresh()
    assert with_status.transactions == without.transactions


class CommandedMeanwhile(Recorder):
    """The way to a module that somebody gives a command with the first page that is read."""

    def __init__(self, cage: Cage) -> None:
        super().__init__(cage.session.memory)
        self._cage = cage
        self.pages: list[int] = []

    def read(self, span: Span) -> bytes:
        data = super().read(span)
        if span.upper:
            self.pages.append(span.page)
            self._cage.status(0x83)
        return data


LOWER = {bytes((offset,)) for offset in range(128)}


@pytest.mark.parametrize("status", [0x81, 0x83, 0xB0])
def test_a_module_that_is_at_work_when_it_is_first_met_has_no_page_selected(status: int) -> None:
    """The daemon was started in the middle of a firmware update: nothing is known of the module yet."""
    cage = Cage(known=False)
    cage.status(status)
    for _ in range(30):
        met = cage.refresh()
        assert cage.transactions > 0
        assert cage.written <= LOWER
        assert met.present
        assert met.failure is not None
        assert met.failure.reason == "module_busy"
    cage.status(0x01)
    done = cage.refresh()
    assert done.values is not None
    assert q.TX_POWER in done.values.lanes


def test_a_command_between_two_looks_is_seen_before_the_first_select() -> None:
    """Status 01h: commands were given since power-up, so that another may come at any moment."""
    cage = Cage(known=False)
    cage.status(0x01)
    cage.at_sleep = {3: 0x83}
    met = cage.refresh()
    assert cage.slept == [0.01] * 3
    assert cage.written <= LOWER
    assert met.failure is not None
    assert met.failure.reason == "module_busy"


def test_a_command_that_begins_while_pages_are_read_ends_the_reading() -> None:
    cage = Cage(known=False)
    cage.status(0x01)
    busy = cage.session.memory = CommandedMeanwhile(cage)
    met = cage.refresh()
    assert busy.pages == [0x00]
    assert met.failure is not None
    assert met.failure.reason == "module_busy"


def test_one_that_was_never_commanded_is_met_without_a_pause() -> None:
    cage = Cage(known=False)
    assert cage.refresh().values is not None
    assert cage.slept == []


def test_one_that_says_so_for_half_an_hour_from_the_start_is_read() -> None:
    cage = Cage(known=False)
    cage.status(0x83)
    met = [cage.refresh() for _ in range(190)]
    assert met[170].values is None
    assert all(each.values is not None and q.TX_POWER in each.values.lanes for each in met[182:])


def test_one_that_is_at_work_is_asked_each_period() -> None:
    """No back-off: it is read with the first poll after its update."""
    cage = Cage(known=False)
    cage.status(0x83)
    setup = PortSetup(port="swp1", bus="i2c-0", source="test", open=lambda: cage.session.memory)
    job = PortJob(
        setup, device="leaf", identify=maps.Maps(()).identify, bus_failed=lambda: None, deadline_s=2.0,
        sleep=lambda _: None,
    )  # fmt: skip
    polled = job.poll()
    assert polled.outcome is Outcome.GOOD
    (failed,) = polled.events
    assert isinstance(failed, PollFailed)
    assert (failed.present, failed.trouble.reason) == (True, "module_busy")


def test_a_flat_module_has_no_page_to_be_selected() -> None:
    cage = Cage(known=False)
    cage.module.put(Span(2, 1), b"\x80")
    cage.status(0x83)
    assert cage.refresh().description is not None
    assert cage.written <= LOWER | {b"\x80"}
