"""CMIS modules that say what is not so, at the wire: a reading with the rest intact, and a counted error."""

import pytest

from agent import maps
from agent import quantities as q
from agent.memory import Memory, Span
from agent.model import VdmSample
from agent.modules.session import Intervals, ModuleSession, Refresh
from drivers.i2c.bus import LinuxI2cBus
from drivers.i2c.paged import PagedMemory
from fakes.adapter import FakeAdapter
from fakes.i2cdev import FakeI2cDev
from fakes.module import FakeModule
from tests.test_cmis_families import Image

PRESENT = (0x00, 0x01, 0x02, 0x10, 0x11)


class Cage:
    """A module with some pages behind the production driver, polled by a session."""

    def __init__(self, image: Image, *pages: int, banks: int = 1) -> None:
        self.now = 0.0
        for page, first, last, at in ((0x00, 128, 222, 222), (0x01, 130, 255, 255), (0x02, 128, 255, 255)):
            image.set(page, at, bytes((sum(image.pages[0, page][first:last]) & 0xFF,)))
        kept = Memory()
        for bank in range(banks):
            for page in (*PRESENT, *pages):
                kept.put(Span(128, 128, page, bank), bytes(image.pages.get((bank, page), bytes(256))[128:]))
        kept.put(Span(0, 128), bytes(image.pages[0, -1][:128]))
        self.module = FakeModule(kept, family="cmis", clock=lambda: self.now)
        bus = LinuxI2cBus("3", calls=FakeI2cDev({"/dev/i2c-3": FakeAdapter(self.module)}))
        self.session = ModuleSession(
            PagedMemory(bus, busy_limit_s=0), identify=maps.identify, intervals=Intervals(slow_s=60.0),
            clock=lambda: self.now, sleep=self._sleep,
        )  # fmt: skip

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def poll(self) -> Refresh:
        """The first poll that gives values: an identification that meets refusals takes more than one."""
        for _ in range(5):
            self.now += 1.0
            refresh = self.session.refresh()
            if refresh.values is not None:
                return refresh
        pytest.fail("no values in five polls")


def image(*, banks: int = 1) -> Image:
    made = Image(banks=banks)
    made.set(0x00, 14, "2D80")
    made.set(0x01, 159, "0107")
    for bank in range(banks):
        made.set(0x11, 186, "2710" * 8, bank=bank)
    return made


def intact(refresh: Refresh) -> None:
    """Temperature and received power of the first bank are there."""
    assert refresh.values is not None
    assert refresh.values.values[q.TEMPERATURE] == 45.5
    assert [refresh.values.lanes[q.RX_POWER][lane] for lane in range(1, 9)] == [0.001] * 8


def reasons(refresh: Refresh) -> set[str]:
    assert refresh.values is not None
    return {trouble.reason for trouble in (*refresh.troubles, *refresh.values.errors)}


def test_a_bank_count_that_lies() -> None:
    refresh = Cage(image(banks=4)).poll()
    intact(refresh)
    assert refresh.values is not None
    assert sorted(refresh.values.lanes[q.RX_POWER]) == list(range(1, 9))
    assert "rx_power_watts" in refresh.values.unread
    assert reasons(refresh) == {"page_refused"}


def test_a_reserved_bank_count_and_a_reserved_scale() -> None:
    lying = image()
    lying.set(0x01, 142, "03")
    lying.set(0x01, 160, "1F")
    refresh = Cage(lying).poll()
    intact(refresh)
    details = [trouble.detail for trouble in refresh.troubles]
    assert "page 01h byte 142 advertises a reserved number of banks, taken as one" in details
    assert "page 01h byte 160 has a reserved bias scale, taken as 1" in details


def test_more_groups_of_vdm_than_there_are_pages() -> None:
    lying = image()
    lying.set(0x01, 142, "40")
    lying.set(0x2F, 128, "03")
    lying.set(0x20, 128, "0005")
    lying.set(0x24, 128, "1580")
    refresh = Cage(lying, 0x20, 0x24, 0x28, 0x2C, 0x2F).poll()
    intact(refresh)
    assert refresh.values is not None
    assert refresh.values.vdm == (VdmSample("snr_media_input", 1, 1, 21.5, "dB"),)
    assert "vdm" in refresh.values.unread
    assert reasons(refresh) == {"page_refused"}


def test_descriptors_without_a_meaning() -> None:
    lying = image()
    lying.set(0x01, 142, "40")
    lying.set(0x20, 128, "00FE09050005003C")
    lying.set(0x24, 128, "1111222215803333")
    refresh = Cage(lying, 0x20, 0x24, 0x28, 0x2C, 0x2F).poll()
    intact(refresh)
    assert refresh.values is not None
    assert refresh.values.vdm == (VdmSample("snr_media_input", 1, 1, 21.5, "dB"),)
    wrong = [trouble.detail for trouble in refresh.troubles if trouble.reason == "vdm_descriptor"]
    assert wrong == [
        "VDM group 1 instance 1: no observable has type 254 of resource 0",
        "VDM group 1 instance 2: no observable has type 5 of resource 9",
        "VDM group 1 instance 4: no observable has type 60 of resource 0",
    ]


@pytest.mark.parametrize(
    ("byte", "bits", "unread"),
    [
        (142, "40", {"vdm"}),  # VDM
        (142, "20", set[str]()),  # diagnostics: without page 13h nobody knows which there are
        (142, "10", {"coherent"}),
        (145, "08", {"rx_latency_seconds", "tx_latency_seconds"}),
        (155, "40", {"tunable"}),
    ],
    ids=["VDM", "diagnostics", "coherent", "latency", "tunable"],
)
def test_pages_that_are_advertised_and_not_there(byte: int, bits: str, unread: set[str]) -> None:
    lying = image()
    lying.set(0x01, byte, bits)
    refresh = Cage(lying).poll()
    intact(refresh)
    assert refresh.values is not None
    assert unread <= set(refresh.values.unread)
    assert reasons(refresh) == {"page_refused"}


def test_an_external_source_that_claims_more_lasers_than_there_are_pages() -> None:
    lying = Image(identifier=0x22)
    lying.set(0x00, 14, "2D80")
    lying.set(0x01, 159, "01")
    lying.set(0x1A, 140, "7F")  # 63 lasers: at most 32 are believed, of which one bank is there
    lying.set(0x1B, 184, "0FA0")
    refresh = Cage(lying, 0x1A, 0x1B).poll()
    assert refresh.values is not None
    assert refresh.values.values[q.TEMPERATURE] == 45.5
    assert [laser.laser for laser in refresh.values.lasers] == list(range(1, 9))
    assert refresh.values.lasers[0].values[q.TX_BIAS] == 0.4
    assert "lasers" in refresh.values.unread
    assert reasons(refresh) == {"page_refused"}
