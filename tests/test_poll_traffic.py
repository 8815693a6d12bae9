"""What one refresh costs on the wire, counted on the fake adapter below the production drivers and maps.

The figures of the 8-lane CMIS module were worked out beforehand: 2 reads, 4 transactions, 2.70 ms at 400 kHz.
"""

import random

import pytest

from agent.maps import identify
from agent.memory import Span
from agent.model import ModuleChange
from agent.modules.session import Intervals, ModuleSession
from drivers.i2c.bus import LinuxI2cBus
from drivers.i2c.paged import PagedMemory
from fakes.adapter import FakeAdapter, Message
from fakes.i2cdev import FakeI2cDev
from fakes.live import LiveModule
from fakes.products import PRODUCTS

CLOCK_HZ = 400_000
DIAGNOSTICS, MODULE = 0x51, 0x50


class Rig:
    """A live module of one product and a session that knows it."""

    def __init__(self, product: str, *, flags: bool = True) -> None:
        self.now = 1000.0
        self.module = LiveModule(PRODUCTS[product], serial="XY1", rng=random.Random(1), clock=lambda: self.now)
        self.adapter = FakeAdapter(self.module)
        bus = LinuxI2cBus("7", calls=FakeI2cDev({"/dev/i2c-7": self.adapter}))
        self.session = ModuleSession(
            PagedMemory(bus, sleep=self.sleep, clock=lambda: self.now),
            identify=identify,
            intervals=Intervals(slow_s=3600, identity_s=3600),
            flags=flags,
            clock=lambda: self.now,
            sleep=self.sleep,
        )
        for _ in range(3):
            self.refresh()
        self.adapter.clear()

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def refresh(self) -> None:
        self.now += 1.0
        assert self.session.refresh().values is not None

    def written(self) -> list[tuple[int, bytes]]:
        return [(message.address, message.data) for message in self.adapter.log if not message.read]

    def lengths(self) -> list[int]:
        return [len(message.data) for message in self.adapter.log if message.read]


def test_an_eight_lane_cmis_module() -> None:
    rig = Rig("osfp-2x400g-dr4")
    rig.refresh()
    assert rig.adapter.traffic.transactions == 4
    assert rig.written() == [
        (MODULE, bytes((3,))),
        (MODULE, bytes((127,))),
        (MODULE, bytes((134,))),
        (MODULE, bytes((127,))),
    ]
    assert rig.lengths() == [29, 1, 76, 1]  # bytes 3-31 of lower memory, the page, 134-209 of page 11h, the page
    assert rig.adapter.traffic.bits / CLOCK_HZ == pytest.approx(2.7075e-3)


def test_two_banks_cost_a_page_more() -> None:
    rig = Rig("osfp-xd-1600g-dr16")
    rig.refresh()
    assert rig.adapter.traffic.transactions == 1 + 3 + 3 + 1  # page 00h bank 0 is left behind for other readers
    assert [data for _, data in rig.written() if len(data) == 3] == [
        bytes((126, 1, 0x11)),
        bytes((126, 0, 0x11)),
        bytes((126, 0, 0x00)),
    ]


def test_without_the_clear_on_read_flags_none_of_them_is_read() -> None:
    rig = Rig("osfp-2x400g-dr4", flags=False)
    rig.refresh()
    assert rig.adapter.traffic.transactions <= 5
    reads = _runs(list(rig.adapter.log))
    assert not [(first, last) for page, first, last in reads if page == 0 and first <= 13 and last >= 8]
    assert not [(first, last) for page, first, last in reads if page == 0x11 and first <= 153 and last >= 134]


@pytest.mark.parametrize(
    ("product", "transactions", "address"), [("sfp-10g-lr", 1, DIAGNOSTICS), ("qsfp28-100g-cwdm4", 1, MODULE)]
)
def test_sff_modules_keep_it_all_in_one_place(product: str, transactions: int, address: int) -> None:
    rig = Rig(product)
    rig.refresh()
    assert rig.adapter.traffic.transactions == transactions
    assert {message.address for message in rig.adapter.log} == {address}


def test_a_passive_cable_is_asked_for_its_serial_number() -> None:
    rig = Rig("qsfpdd-400g-cr8")
    rig.refresh()
    assert rig.written() == [(MODULE, bytes((166,)))]
    assert rig.lengths() == [16]


@pytest.mark.parametrize(
    "name", [name for name, one in PRODUCTS.items() if one.family == "cmis" and one.banks == 1]
)
def test_a_module_exchanged_for_one_that_looks_the_same_is_seen_with_the_next_refresh(name: str) -> None:
    rig = Rig(name)
    rig.module.put(Span(166, 16), b"XY2".ljust(16))
    rig.module.insert()
    rig.now += 1.0
    assert rig.session.refresh().change is ModuleChange.SWAPPED


def test_a_hundred_refreshes_cost_a_hundred_times_as_much() -> None:
    rig = Rig("qsfpdd-400g-fr4")
    for _ in range(100):
        rig.refresh()
    assert rig.adapter.traffic.transactions == 400


def _runs(log: list[Message]) -> list[tuple[int, int, int]]:
    """Page (0: lower memory), first and last byte of every read."""
    page, at, runs = 0, 0, list[tuple[int, int, int]]()
    for message in log:
        if not message.read:
            at = message.data[0]
            if len(message.data) > 1:
                page = message.data[-1]
        else:
            runs.append((page if at >= 128 else 0, at, at + len(message.data) - 1))
    return runs
