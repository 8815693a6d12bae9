"""Link-hours a flap and their lower bound, against the tables of the chi-square distribution."""

import pytest

from agent.links.reliability import (
    EVERYTHING,
    KIND,
    PART,
    PORT,
    VENDOR,
    Figure,
    Record,
    figures,
    most_expected,
    records,
)
from agent.model import DownCause, Module, Reading
from agent.state import Hub, LinkState

ACME = Module(vendor_name="ACME", part_number="A-400", form_factor="OSFP")
BOLT = Module(vendor_name="BOLT", part_number="B-100", form_factor="QSFP28")


@pytest.mark.parametrize(
    ("downs", "chi_square_95"),  # upper 5 % points of the chi-square distribution, 2 (downs + 1) degrees of freedom
    [(0, 5.991), (1, 9.488), (2, 12.592), (3, 15.507), (4, 18.307), (5, 21.026), (9, 31.410), (49, 124.342)],
)
def test_bound_is_that_of_the_tables(downs: int, chi_square_95: float) -> None:
    assert most_expected(downs) == pytest.approx(chi_square_95 / 2, abs=0.0006)


def test_bound_of_very_many_downs_is_near_what_was_measured() -> None:
    # Normal approximation: n + 1.645 sqrt(n), good to a few units here.
    assert most_expected(1_000_000) == pytest.approx(1_000_000 + 1.6449 * 1000, abs=3)


def test_a_million_hours_need_three_million_without_a_flap() -> None:
    assert Figure(("p",), 1, 2_990_000.0, 0).lower_bound < 1e6
    assert Figure(("p",), 1, 3_000_000.0, 0).lower_bound > 1e6
    assert Figure(("p",), 1, 3_000_000.0, 1).lower_bound < 1e6


def test_groups() -> None:
    counted = [
        Record("leaf", "a", 100.0, 1, ACME),
        Record("leaf", "b", 300.0, 0, ACME),
        Record("leaf", "c", 50.0, 2, BOLT),
        Record("leaf", "exchanged", 1000.0, 9, BOLT, swaps=1),
        Record("leaf", "dark", 5.0, 0, Module()),
    ]
    assert [(f.name, f.links, f.link_hours, f.downs) for f in figures(counted, by=PART)] == [
        (("BOLT", "B-100"), 1, 50.0, 2),
        (("ACME", "A-400"), 2, 400.0, 1),
    ]
    assert [f.name for f in figures(counted, by=VENDOR)] == [("BOLT",), ("ACME",)]
    assert [f.name for f in figures(counted, by=KIND)] == [("QSFP28",), ("OSFP",)]
    assert {f.name for f in figures(counted, by=PORT)} == {("leaf", r.port) for r in counted}
    (together,) = figures(counted, by=EVERYTHING)
    assert (together.links, together.link_hours, together.downs) == (5, 1455.0, 12)
    assert together.hours_per_down == pytest.approx(121.25)
    assert figures([], by=EVERYTHING) == []


def test_without_a_flap_only_the_bound_is_known() -> None:
    quiet = Figure((), 1, 300.0, 0)
    assert quiet.hours_per_down is None
    assert quiet.lower_bound == pytest.approx(300.0 / 2.9957, rel=1e-4)


def test_records_of_the_hub_count_the_running_period_and_unintentional_downs_alone() -> None:
    hub = Hub("leaf")
    port = hub.local.port("swp1")
    port.link = LinkState(up=True, up_seconds=3600.0, up_since=1000.0)
    port.link.down_events[DownCause.UNINTENTIONAL] = 2
    port.link.down_events[DownCause.ADMIN] = 5
    hub.local.port("no link")
    hub.publish(Reading("leaf", "swp1", "i2c:1", 1.0, ACME))
    port.swaps = 3
    (record,) = records(hub, monotonic=8200.0)
    assert record == Record("leaf", "swp1", 3.0, 2, ACME, swaps=3)
