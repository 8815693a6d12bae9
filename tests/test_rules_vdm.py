"""VDM thresholds and flags, and the host's uncorrected codewords, from the bytes on the wire to the alert."""

import asyncio
from pathlib import Path

import pytest

from agent import maps
from agent.alerts.book import AlertBook
from agent.alerts.builtin import BUILTIN_RULES
from agent.alerts.engine import Alerts
from agent.alerts.vdm import WATCHED
from agent.clock import Instant
from agent.maps.cmis_vdm import OBSERVABLES
from agent.memory import Memory, Span
from agent.model import AlertEvent, HostCounters, Reading
from agent.modules.session import Intervals
from agent.polling.portjob import PortJob, PortSetup
from agent.state import Hub
from drivers.ethtool.kernel import Kernel
from drivers.hostcounters import HostCounterReader, HostSide
from drivers.i2c.bus import LinuxI2cBus
from drivers.i2c.paged import PagedMemory
from fakes.adapter import FakeAdapter
from fakes.ethtool import FakeCard, FakeKernel
from fakes.i2cdev import FakeI2cDev
from fakes.module import FakeModule
from tests.mosquitto import eventually
from tests.test_freezing import image

SNR_LANE_1 = bytes.fromhex("0005")
"""Descriptor (CMIS 5.2, page 20h): threshold set 0, lane 1, type 5 (SNR of the media input, 1/256 dB)."""
LIMITS = bytes.fromhex("FF00 0F00 FE00 1080")
"""Page 28h, set 0: high alarm 255 dB, low alarm 15 dB, high warning 254 dB, low warning 16.5 dB."""
LOW_WARNING, LOW_ALARM = 0b1000, 0b0010
"""Page 2Ch: the low nibble is the first instance; high alarm, low alarm, high warning, low warning from bit 0."""


class Cage:
    """A fake module on an I2C bus, the production driver above it, and the alert engine behind that."""

    def __init__(self, limits: bytes = LIMITS) -> None:
        memory = image()
        memory.put(Span(128, 4, 0x11), b"\x44" * 4)  # every data path DPActivated
        self.module = FakeModule(memory, family="cmis")
        for page, data in ((0x20, SNR_LANE_1 + b"\0\0"), (0x28, limits)):
            self.module.put(Span(128, len(data), page), data)
        way = PagedMemory(LinuxI2cBus("12", calls=FakeI2cDev({"/dev/i2c-12": FakeAdapter(self.module)})))
        setup = PortSetup(
            port="Ethernet0", bus="12", source="i2c:12", open=lambda: way, intervals=Intervals(slow_s=0.0)
        )
        self._job = PortJob(
            setup, device="leaf-17", identify=maps.Maps(()).identify, bus_failed=way.close, deadline_s=5.0
        )
        self.engine = Alerts(BUILTIN_RULES)
        self.now = 0.0

    def poll(self, sample: str, flags: int = 0, *, after: float = 60.0) -> list[AlertEvent]:
        """One poll with this SNR (hex) and these flags; what is said of it, and meanwhile."""
        self.now += after
        self.module.put(Span(128, 2, 0x24), bytes.fromhex(sample))
        self.module.put(Span(128, 1, 0x2C), bytes((flags,)))
        at = Instant(self.now, 1_800_000_000.0 + self.now)
        said = self.engine.tick(at)
        readings = [event for event in self._job.poll().events if isinstance(event, Reading)]
        assert [sample.observable for sample in readings[0].vdm] == ["snr_media_input"]
        return said + self.engine.judge(readings[0], at)


def told(events: list[AlertEvent]) -> list[tuple[str, int, str]]:
    return [(event.rule, event.lane, event.state) for event in events]


WARNING, ALARM = "vdm_snr_media_input_low_warning", "vdm_snr_media_input_low_alarm"


def test_beyond_the_module_s_own_threshold_and_back() -> None:
    cage = Cage()
    assert cage.poll("1580") == []  # 21.5 dB
    (event,) = cage.poll("1000", LOW_WARNING)
    assert (event.rule, event.lane, event.severity, event.value, event.threshold, event.unit) == (
        WARNING, 1, "warning", 16.0, 16.5, "dB",
    )  # fmt: skip
    assert event.summary == (
        "Ethernet0 lane 1: snr media input 16 dB is below the module's low warning of 16.5 dB."
    )
    assert told(cage.poll("0E00", LOW_ALARM | LOW_WARNING)) == [(ALARM, 1, "firing"), (WARNING, 1, "resolved")]
    assert told(cage.poll("0E00", LOW_ALARM | LOW_WARNING)) == []
    assert cage.poll("1580") == []  # its flags were latched since the last look
    for _ in range(3):
        assert cage.poll("1580") == []  # two minutes are not enough
    assert told(cage.poll("1580")) == [(ALARM, 1, "resolved")]
    assert list(cage.engine.active()) == []


def test_a_flag_speaks_for_what_lay_between_two_samples() -> None:
    cage = Cage()
    cage.poll("1580")
    (event,) = cage.poll("1580", LOW_ALARM)
    assert (event.rule, event.severity) == (ALARM, "critical")
    assert event.summary == "Ethernet0 lane 1: the module's own flag says vdm snr media input low alarm (limit 15)."


@pytest.mark.parametrize("limits", ["0000 0000 0000 0000", "0F00 FF00 1080 FE00"])
def test_thresholds_that_make_no_sense_say_nothing(limits: str) -> None:
    cage = Cage(bytes.fromhex(limits))
    assert cage.poll("1580") == []
    assert cage.poll("0E00", LOW_ALARM | LOW_WARNING) == []


def test_the_gate_is_that_of_light() -> None:
    cage = Cage()
    cage.poll("1580")
    cage.module.put(Span(128, 4, 0x11), b"\x11" * 4)  # DPDeactivated
    assert cage.poll("0E00", LOW_ALARM) == []


def test_every_watched_observable_exists_with_its_unit() -> None:
    known = {each.name: each.unit for each in OBSERVABLES.values()}
    for watched in WATCHED:
        assert watched.name in known
        assert known[watched.name].split(" ")[0] == watched.unit, watched.name


async def test_uncorrected_codewords_that_the_card_counts(tmp_path: Path) -> None:
    """From the kernel's answer to `ethtool -I --show-fec` to the alert; the module itself counts nothing."""
    card = FakeCard(FakeModule(Memory()))
    card.fec = {2: (1000,), 3: (7,)}  # corrected, uncorrectable
    fake = FakeKernel({"eth2": card})
    hub = Hub("gpu-17")
    book = AlertBook(hub, BUILTIN_RULES)
    counted: list[HostCounters] = []
    hub.subscribe(HostCounters, counted.append)
    reader = HostCounterReader(
        hub,
        device="gpu-17",
        ports=lambda: {"swp1": "eth2"},
        side=lambda: HostSide(sys_root=tmp_path, doors=Kernel(fake.connect, fake.ioctl, fake.exists)),
        period_s=0.05,
    )
    task = asyncio.create_task(reader.run())
    try:
        await eventually(lambda: len(counted) >= 3)
        assert book.active() == ()  # what was there before is none of ours
        card.fec = {2: (90_000,), 3: (12,)}
        await eventually(lambda: book.active() != ())
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        fake.close()
    (event,) = book.active()
    assert (event.rule, event.port, event.severity, event.value) == (
        "uncorrected_codewords",
        "swp1",
        "critical",
        5.0,
    )
