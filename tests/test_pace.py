"""When text is rendered ahead of a scrape, and when only for one that came."""

from math import inf

import pytest

from agent import quantities as q
from agent.model import Module, ModuleChange, ModuleEvent, PollFailed, Reading, Trouble
from agent.state import Hub
from exporters.prometheus.exposition import Exposition
from exporters.prometheus.pace import Pace


def test_nobody_is_expected_before_there_is_a_rhythm() -> None:
    pace = Pace()
    assert not pace.expects(0.0, within_s=inf)
    pace.scraped(10.0)
    assert not pace.expects(10.1, within_s=60.0)


@pytest.mark.parametrize(
    ("now", "within_s", "expected"),
    [
        (26.0, 1.0, False),  # the poll after this one is early enough for the scrape at 40
        (39.5, 1.0, True),
        (26.0, 15.0, True),  # no poll comes before it
        (41.0, 1.0, True),  # it is late
        (71.0, 1.0, False),  # it did not come three times
    ],
)
def test_a_scrape_every_fifteen_seconds(now: float, within_s: float, expected: bool) -> None:
    pace = Pace()
    pace.scraped(10.0)
    pace.scraped(25.0)
    assert pace.expects(now, within_s=within_s) is expected


def test_two_scrapers_that_come_together_count_as_one_and_others_by_their_smallest_gap() -> None:
    pace = Pace()
    for at in (0.0, 0.1, 15.0, 15.1):
        pace.scraped(at)
    assert not pace.expects(20.0, within_s=1.0)
    pace = Pace()
    for at in (0.0, 4.0, 15.0, 19.0):
        pace.scraped(at)
    assert pace.expects(22.5, within_s=1.0)
    assert not pace.expects(20.0, within_s=1.0)


def test_a_rhythm_is_forgotten_after_ten_minutes() -> None:
    pace = Pace()
    for at in (0.0, 300.0, 1000.0):
        pace.scraped(at)
    assert not pace.expects(1299.0, within_s=1.0)


class Clocked:
    """An exposition with a clock of the test."""

    def __init__(self) -> None:
        self.now = 0.0
        self.hub = Hub("leaf-17")
        self.exposition = Exposition(self.hub, monotonic=lambda: self.now)

    def poll(self, celsius: float, *, serial: str = "A1") -> None:
        module = Module(serial_number=serial)
        values = {q.TEMPERATURE: celsius}
        self.hub.publish(Reading("leaf-17", "Ethernet0", "bench", 1000.0 + self.now, module, values=values))

    def shown(self) -> list[float]:
        """The temperature in the text as it stands now, without asking for it."""
        tables = self.exposition._devices["leaf-17"].tables
        lines = b"".join(tables.texts(openmetrics=False)).decode().splitlines()
        return [float(line.split()[1]) for line in lines if line.startswith("xcvr_temperature_celsius{")]

    def text(self) -> str:
        return b"".join(self.exposition.texts("leaf-17", openmetrics=False)).decode()


def test_only_what_somebody_reads_is_rendered() -> None:
    daemon = Clocked()
    rendered: list[float] = []
    for second in range(31):
        daemon.now = float(second)
        daemon.poll(20.0 + second)
        rendered += daemon.shown()
        if second % 10 == 5:
            daemon.exposition.expect("leaf-17")
            assert f'xcvr_temperature_celsius{{port="Ethernet0"}} {20.0 + second}\n' in daemon.text()
            rendered += daemon.shown()
    # On demand for the first two scrapes, and ahead of the third: after the last poll before it.
    assert sorted(set(rendered)) == [25.0, 35.0, 44.0, 45.0]


def test_what_was_not_rendered_is_not_lost_with_a_failure_and_goes_with_its_module() -> None:
    daemon = Clocked()
    daemon.now = 5.0
    daemon.poll(20.0)
    trouble = Trouble("bus_timeout", "")
    daemon.hub.publish(PollFailed("leaf-17", "Ethernet0", 1006.0, present=True, trouble=trouble))
    text = daemon.text()
    assert 'serial_number="A1"' in text
    assert 'xcvr_last_success_timestamp_seconds{port="Ethernet0"} 1005.0\n' in text
    assert "xcvr_temperature_celsius" not in text
    daemon.poll(21.0)
    swap = ModuleEvent("leaf-17", "Ethernet0", 1007.0, ModuleChange.SWAPPED, Module(serial_number="B2"), Module())
    daemon.hub.publish(swap)
    assert "A1" not in daemon.text()
    daemon.poll(22.0, serial="B2")
    assert 'serial_number="B2"' in daemon.text()
