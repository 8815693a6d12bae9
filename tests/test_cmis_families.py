"""VDM, diagnostics, coherent, tunable, external lasers, linear optics: the worked examples as literals."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import quantities as q
from agent.alerts.builtin import BUILTIN_RULES
from agent.alerts.engine import Alerts
from agent.maps import cmis_bailly, cmis_coherent, cmis_diagnostics, cmis_lasers, cmis_tunable, cmis_vdm
from agent.maps.api import Values, overlay
from agent.maps.cmis import CmisMap
from agent.maps.quirks import parse
from agent.maps.registers import Kind, f16
from agent.memory import Memory, Span
from agent.model import Laser, VdmSample
from tests.alert_helpers import at, reading, said


class Image:
    """Pages of one module, zero where nothing was set; `read` is what the session would fetch."""

    def __init__(self, *, identifier: int = 0x18, banks: int = 1) -> None:
        self.pages: dict[tuple[int, int], bytearray] = {}
        self.set(0, 0, f"{identifier:02X}520006")
        self.set(0, 85, "02 111E8801 FF")
        for page in (0x00, 0x01, 0x02):
            self.set(page, 128, "00")
        self.set(0x01, 142, f"{ {1: 0, 2: 1, 4: 2}[banks]:02X}")
        self.set(0x01, 176, "01")

    def set(self, page: int, offset: int, data: str | bytes, *, bank: int = 0) -> None:
        raw = bytes.fromhex(data) if isinstance(data, str) else data
        image = self.pages.setdefault((bank, page if offset >= 128 else -1), bytearray(256))
        image[offset : offset + len(raw)] = raw

    def get(self, span: Span) -> bytes | None:
        image = self.pages.get((span.bank, span.page if span.upper else -1))
        return None if image is None else bytes(image[span.offset : span.end])

    def memory(self, cmis: CmisMap) -> Memory:
        """The static pages, asked for round by round; a page that is not there stays unread."""
        memory, refused = Memory(), set[Span]()
        for _ in range(8):
            for span in [span for span in cmis.missing(memory) if span not in refused]:
                data = self.get(span)
                if data is None:
                    refused.add(span)
                else:
                    memory.put(span, data)
        return memory

    def read(self, *, flags: bool = True, quirks: str = "") -> Values:
        cmis = CmisMap(parse(quirks, name="own.toml"))
        found = cmis.describe(self.memory(cmis))
        plans = [found.plan(flags=flags), found.plan(flags=flags, slow=True)]
        fast, slow = (plan.decode([self.get(span) for span in plan.spans]) for plan in plans)
        return overlay(fast, slow)


def vdm(image: Image, *, flags: bool = True) -> list[tuple[str, int, float, str]]:
    return [(one.observable, one.lane, one.value, one.unit) for one in image.read(flags=flags).vdm]


def with_vdm(descriptors: str, samples: str, *, banks: int = 1) -> Image:
    image = Image(banks=banks)
    image.set(0x01, 142, f"{0x40 | {1: 0, 2: 1, 4: 2}[banks]:02X}")
    for page in (0x2F, 0x28, 0x2C):
        image.set(page, 128, "00")
    image.set(0x20, 128, descriptors)
    image.set(0x24, 128, samples)
    return image


@pytest.mark.parametrize(
    ("code", "raw", "name", "value", "unit"),
    [
        (15, "8A64", "pre_fec_ber_current_media_input", 6.12e-05, "ratio"),
        (16, "797B", "pre_fec_ber_current_host_input", 3.79e-07, "ratio"),
        (9, "0000", "pre_fec_ber_min_media_input", 0.0, "ratio"),
        (23, "C001", "ferc_current_media_input", 1.0, "frames per interval"),
        (5, "1580", "snr_media_input", 21.5, "dB"),
        (7, "1A40", "pam4_level_transition_parameter_media_input", 26.25, "dB"),
        (3, "FF9C", "laser_frequency_error", -1000.0, "MHz"),
        (4, "3700", "laser_temperature", 55.0, "degC"),
        (2, "E000", "tec_current", -8192 * 100 / 32767, "%"),
        (84, "04B0", "els_input_power", 12.0, "dBm"),
        (83, "BB80", "vcc12_voltage", 12.0, "V"),
        (135, "FFF6", "cd_low_granularity", -200.0, "ps/nm"),
        (25, "C001", "ferc_total_media_input", 1.0, "frames"),
        (34, "0007", "sewmax_current_host_input", 7.0, "symbols"),
        (105, "8000", "custom_105", 32768.0, ""),
    ],
)
def test_vdm_observable(code: int, raw: str, name: str, value: float, unit: str) -> None:
    assert vdm(with_vdm(f"01{code:02X}", raw)) == [(name, 2, value, unit)]


def test_f16_is_not_ieee() -> None:
    assert f16(0x8A64) == 6.12e-05  # IEEE half precision would make it negative


def test_vdm_descriptors_thresholds_and_flags() -> None:
    image = with_vdm("0F02 0000 3205 3205", "E000 0000 1580 1600")
    image.set(0x28, 128, "40000000C0000000")
    image.set(0x28, 152, "1E00 0A00 1C00 0C00")
    image.set(0x2C, 129, "21")
    first, second, third = image.read().vdm
    assert (first.observable, first.lane, first.group) == ("tec_current", 0, 1)
    assert first.bounds.get("high_alarm") == 16384 * 100 / 32767
    assert second == VdmSample(
        "snr_media_input", 3, 1, 21.5, "dB",
        {"high_alarm": 30.0, "low_alarm": 10.0, "high_warning": 28.0, "low_warning": 12.0}, ("high_alarm",),
    )  # fmt: skip
    assert (third.value, third.flags) == (22.0, ("low_alarm",))
    assert [one.flags for one in image.read(flags=False).vdm] == [(), (), ()]
    assert dict(image.read().lanes[q.MEDIA_SNR]) == {3: 22.0}


def test_vdm_of_two_groups_and_banks_overwrites_nothing() -> None:
    image = with_vdm("0005 0F02", "1580 4000", banks=2)
    image.set(0x2F, 128, "01")
    image.set(0x21, 130, "0005")
    image.set(0x25, 130, "1600")
    image.set(0x24, 128, "1700 2000", bank=1)
    image.set(0x25, 130, "1800", bank=1)
    found = {(one.observable, one.lane, one.group): one.value for one in image.read().vdm}
    assert found == {
        ("snr_media_input", 1, 1): 21.5,
        ("tec_current", 0, 1): 16384 * 100 / 32767,  # of the module: bank 0 alone
        ("snr_media_input", 1, 2): 22.0,
        ("snr_media_input", 9, 1): 23.0,
        ("snr_media_input", 9, 2): 24.0,
    }


def test_vdm_descriptors_without_a_meaning_are_errors_beside_the_rest() -> None:
    image = with_vdm("0028 0005 0905 00C8", "1111 1580 2222 3333")
    cmis = CmisMap()
    found = cmis.describe(image.memory(cmis))
    assert [trouble.reason for trouble in found.errors if "VDM" in trouble.detail] == ["vdm_descriptor"] * 3
    assert vdm(image) == [("snr_media_input", 1, 21.5, "dB")]


def test_vdm_pages_that_are_refused_are_unread_and_nothing_else_is() -> None:
    image = with_vdm("0005", "1580")
    image.set(0x2F, 128, "03")  # four groups are said to be there, one is
    values = image.read()
    assert "vdm" in values.unread
    assert [one.value for one in values.vdm] == [21.5]
    del image.pages[0, 0x24]
    assert image.read().vdm == ()
    assert "vdm" in image.read().unread


def test_no_vdm_without_its_advertisement() -> None:
    image = with_vdm("0005", "1580")
    image.set(0x01, 142, "00")
    assert image.read().vdm == ()
    assert "vdm" not in image.read().unread


def test_custom_observables_have_the_names_of_the_quirk_data() -> None:
    image = with_vdm("0068", "8A64")
    image.set(0x00, 148, b"FB-P800G-2XDR4-1")
    assert vdm(image) == [("pam4_multi_path_interference_media_input", 1, 6.12e-05, "")]


def test_banks_to_freeze_are_those_with_statistics() -> None:
    cmis = CmisMap()
    for descriptor, banks, want in (
        ("000B", 1, (0,)),
        ("000B", 4, (0, 1, 2, 3)),
        ("0F0B", 4, (0,)),
        ("0F0F", 4, ()),
    ):
        image = with_vdm(descriptor, "0000", banks=banks)
        assert cmis.describe(image.memory(cmis)).freeze_banks == want
        image.set(0x01, 142, f"{ {1: 0, 4: 2}[banks]:02x}")
        assert cmis.describe(image.memory(cmis)).freeze_banks == ()


def diagnosed(selector: str, window: str, *, at: int, capability: str = "33") -> Values:
    image = Image()
    image.set(0x01, 142, "20")
    image.set(0x13, 130, capability)
    image.set(0x14, 128, selector)
    image.set(0x14, at, window)
    return image.read()


def test_snr_window_is_little_endian() -> None:
    values = diagnosed("06", "8015", at=240)
    assert values.lanes[q.MEDIA_SNR][1] == 21.5
    assert values.lanes[q.HOST_SNR][1] == 0.0
    assert q.HOST_SNR not in diagnosed("06", "8015", at=240, capability="20").lanes


def test_ber_window_is_big_endian() -> None:
    assert diagnosed("01", "817B", at=192).lanes[q.HOST_BER][1] == 3.79e-06
    assert diagnosed("11", "817B", at=208).lanes[q.MEDIA_BER][1] == 3.79e-06


def test_counters_give_a_ratio_unless_the_checker_lost_its_lock() -> None:
    values = diagnosed("02", "2A00000000000000 00E8764817000000" + "0100000000000000 0300000000000000", at=192)
    assert dict(values.lanes[q.HOST_BER]) == {1: 42 / 100_000_000_000}
    assert cmis_diagnostics.COUNTERS.decode(bytes.fromhex("2A00000000000000") + bytes(56))[0] == 42
    assert dict(diagnosed("15", "0100000000000000 0400000000000000", at=192).lanes[q.MEDIA_BER]) == {5: 0.25}


def test_another_window_or_none_says_nothing() -> None:
    assert q.MEDIA_SNR not in diagnosed("C0", "8015", at=240).lanes
    image = Image()
    image.set(0x01, 142, "20")
    image.set(0x13, 130, "33")
    assert set(image.read().unread) >= {"media_snr_db", "host_snr_db"}


def test_latency() -> None:
    image = Image()
    image.set(0x01, 145, "08")
    image.set(0x15, 224, "0064")
    image.set(0x15, 240, "00C8")
    values = image.read()
    assert (values.lanes[q.RX_LATENCY][1], values.lanes[q.TX_LATENCY][1]) == (1e-07, 2e-07)


def coherent(**pages: dict[int, str]) -> Values:
    """A coherent module with bytes (by offset) on pages named `p34` and so on."""
    image = Image()
    image.set(0x01, 142, "10")
    for page in (0x34, 0x35, 0x3A, 0x42):
        image.set(page, 128, "00")
    for name, bytes_ in pages.items():
        for offset, data in bytes_.items():
            image.set(int(name[1:], 16), offset, data)
    return image.read()


def test_coherent_link_performance() -> None:
    found = coherent(
        p35={128: "FFFFFF38 FFFFFF37 FFFFFF39", 158: "0150", 176: "1999", 170: "FE0C", 188: "FB1E", 140: "0064"}
    ).coherent
    assert found["cd_ps_per_nm"] == {"avg": -200, "min": -201, "max": -199}
    assert found["osnr_db"].get("avg") == 33.6
    assert found["evm_ratio"].get("avg") == 6553 / 65535
    assert found["cfo_hertz"].get("avg") == -500e6
    assert found["rx_total_power_dbm"].get("avg") == -12.5
    assert found["dgd_seconds"].get("avg") == 1e-12


def test_coherent_ratio_of_errors() -> None:
    found = coherent(
        p34={128: "000001D1A94A2000", 136: "00000000000003E8", 144: "000000000EE6B280", 152: "0000000000000001",
             160: "0000000000000002", 168: "000003E8 00000064 00000005 00000001 00000002"},
        p3A={128: "0000000000000064 0000000000000000 0000000000000019"},
    ).coherent  # fmt: skip
    assert found["pre_fec_ber_ratio"] == {"avg": 0.000125, "min": 0.001, "max": 0.002}
    assert found["uncorrected_frames_ratio"] == {"avg": 0.005, "min": 0.01, "max": 0.02}
    assert found["host_pre_fec_ber_ratio"] == {"avg": 0.25}


def test_coherent_without_data_says_nothing() -> None:
    assert coherent().coherent == {}


def test_coherent_offers_what_page_42h_lists() -> None:
    found = coherent(p35={128: "FFFFFF38", 158: "0150"}, p42={132: "40"}).coherent
    assert set(found) == {"osnr_db"}


def test_coherent_values_of_now_come_from_vdm() -> None:
    image = with_vdm("008B 008D 008E 000F", "0151 FE0C 1999 8A64")
    image.set(0x01, 142, "50")
    for page in (0x34, 0x35, 0x3A, 0x42):
        image.set(page, 128, "00")
    image.set(0x35, 158, "0150")
    found = image.read().coherent
    assert found["osnr_db"] == {"avg": 33.6, "min": 0.0, "max": 0.0, "value": 33.7}
    assert found["cfo_hertz"].get("value") == -500e6
    assert found["evm_ratio"].get("value") == pytest.approx(6553 / 65535)
    assert found["pre_fec_ber_ratio"] == {"value": 6.12e-05}


def test_coherent_pages_are_probed_where_the_advertisement_may_lie() -> None:
    image = Image()
    image.set(0x00, 212, "10")
    for page in (0x34, 0x35, 0x3A):
        image.set(page, 128, "00")
    image.set(0x35, 158, "0150")
    image.set(0x40, 128, "00")
    assert image.read().coherent == {}
    image.set(0x40, 128, "11")
    assert image.read().coherent["osnr_db"].get("avg") == 33.6
    image.set(0x00, 212, "06")
    assert image.read().coherent == {}


def test_saved_coherent_pages_count_without_the_byte_that_tells() -> None:
    memory = Memory()
    image = Image()
    image.set(0x00, 212, "10")
    image.set(0x35, 128, "FFFFFF38")
    image.set(0x35, 158, "0150")
    image.set(0x34, 128, "00")
    for page in (0x00, 0x01, 0x02, 0x34, 0x35):
        memory.put(Span(128, 128, page), image.get(Span(128, 128, page)) or b"")
    memory.put(Span(0, 128), image.get(Span(0, 128)) or b"")
    values = CmisMap().describe(memory).plan(slow=True).decode_memory(memory)
    assert values.coherent["osnr_db"].get("avg") == 33.6
    memory.put(Span(128, 128, 0x35), b"\xff" * 128)
    assert CmisMap().describe(memory).plan(slow=True).decode_memory(memory).coherent == {}


def test_coherent_flags_are_offered_by_page_44h_and_read_as_flags_are() -> None:
    image = Image()
    image.set(0x01, 142, "10")
    for page in (0x33, 0x34, 0x35, 0x3A, 0x3B, 0x42):
        image.set(page, 128, "00")
    image.set(0x44, 128, "20 80 00 00 03")
    image.set(0x33, 128, "20")
    image.set(0x33, 130, "80")
    image.set(0x3B, 192, "01")
    on = {
        flag.name: active for flag, active in image.read().flags.items() if flag.name.startswith(("media", "host"))
    }
    assert on == {
        "media_tx_loss_of_alignment": True,
        "media_rx_loss_of_frame": True,
        "host_fec_excessive_degrade": False,
        "host_fec_detected_degrade": True,
    }
    assert not [flag for flag in image.read(flags=False).flags if flag in q.COHERENT_FLAGS.values()]


@pytest.mark.parametrize(
    ("code", "channel", "want"), [(7, -30, 192.35e12), (8, 12, 193.475e12), (6, 3, 193.2e12), (5, 30, 196.1e12)]
)
def test_frequency_of_a_channel(code: int, channel: int, want: float) -> None:
    assert cmis_tunable.frequency_hertz(code, channel) == want
    assert cmis_tunable.frequency_hertz(15, channel) is None


def tuned(**page_12: str) -> Values:
    image = Image()
    image.set(0x01, 155, "40")
    image.set(0x04, 128, "80 80")
    image.set(0x04, 158, "FFB8 0078")
    image.set(0x04, 196, "80 00 FA88 FC18")
    image.set(0x12, 128, "70")
    for offset, data in page_12.items():
        image.set(0x12, int(offset[1:]), data)
    return image.read()


def test_tunable_laser() -> None:
    found = tuned(b136="FFE2", b168="0B8278E0", b200="FC18", b222="03").tunable
    assert found == {
        "configured_frequency_hertz": 192.35e12,
        "current_frequency_hertz": 193.1e12,
        "configured_power_dbm": -10.0,
        "min_frequency_hertz": 191.3e12,
        "max_frequency_hertz": 196.1e12,
        "min_power_dbm": -14.0,
        "max_power_dbm": -10.0,
        "tuning_in_progress": True,
        "wavelength_locked": False,
    }
    assert tuned(b168="0B676348").tunable.get("current_frequency_hertz") == 191.325e12
    fine = tuned(b128="71", b136="0000", b152="03E8").tunable
    assert fine.get("configured_frequency_hertz") == 193.1e12 + 1e9


@pytest.mark.parametrize(
    ("revision", "grid", "current_mhz", "want"),
    [
        ("52", "70", 193_175_000, 193_175e9),  # 75 GHz, n = 3: 193.1 + 3 * 0.025 THz
        ("52", "60", 193_200_000, 193_200e9),  # 33 GHz, n = 3: 193.1 + 3 / 30 THz
        ("40", "60", 193_175_000, 193_175e9),  # the codes of CMIS 4.0: 6 is 75 GHz
        ("40", "70", 193_200_000, 193_200e9),
        ("40", "70", 193_175_000, 193_175e9),  # a module of that time with the codes of today
        ("40", "70", 0, 193_175e9),  # nothing tells
        ("52", "60", 193_175_000, 193_200e9),  # configured and not there yet
    ],
)
def test_the_codes_of_two_grids_were_swapped_by_cmis_5(
    revision: str, grid: str, current_mhz: int, want: float
) -> None:
    image = Image()
    image.set(0, 1, revision)
    image.set(0x01, 155, "40")
    image.set(0x04, 128, "00")
    image.set(0x12, 128, grid)
    image.set(0x12, 136, "0003")
    image.set(0x12, 168, current_mhz.to_bytes(4, "big"))
    assert image.read().tunable.get("configured_frequency_hertz") == pytest.approx(want, rel=1e-12)


def test_tunable_on_a_grid_it_does_not_list_has_the_widest_range() -> None:
    found = tuned(b128="F0").tunable
    assert "configured_frequency_hertz" not in found
    assert found.get("max_frequency_hertz") == 196.1e12


def elsfp(lasers: int = 8) -> Image:
    image = Image(identifier=0x22)
    image.set(0x1A, 140, f"{lasers << 1 | 1:02X}")
    image.set(0x1B, 128, "00")
    image.set(0x00, 14, "1900")
    return image


def test_external_lasers() -> None:
    image = elsfp()
    image.set(0x1A, 141, "1388 03E8 1194 05DC")
    image.set(0x1A, 186, "01 00 00 00 00 02 00 00")
    image.set(0x1A, 212, "21 10")
    image.set(0x1A, 220, "0F E6 00 03 0102")
    image.set(0x1A, 232, "96DC")
    image.set(0x1B, 184, "0FA0")
    image.set(0x1B, 200, "2710")
    image.set(0x1B, 232, "78")
    image.set(0x1B, 240, "2710")
    values = image.read()
    assert len(values.lasers) == 8
    assert values.lasers[0] == Laser(
        1, state="on", state_code=2, enabled=True, fiber=1, fiber_checked=True,
        values={q.TX_BIAS: 0.4, q.TX_POWER: 0.1, q.LASER_VOLTAGE: 1.8, q.LASER_FREQUENCY: 193.1e12},
        flags=("tx_bias_high_alarm", "fault_apc_loop", "warning_acc_loop"),
    )  # fmt: skip
    assert q.dbm(values.lasers[0].values[q.TX_POWER]) == pytest.approx(20.0)
    assert values.lasers[1].flags == ("tx_power_low_alarm", "warning_apc_loop")
    assert [laser.state for laser in values.lasers[:4]] == ["on", "ramping", "on", ""]
    assert values.values[q.SUPPLY_CURRENT] == 2.0
    assert (values.lanes, values.data_path_states) == ({}, {})


def test_external_laser_source_has_no_lanes_and_counts_by_bank() -> None:
    assert cmis_lasers.COUNT.decode(b"\x11") == [8]
    assert cmis_lasers.CONTROL_MODE.decode(b"\x11") == [1]
    image = elsfp(lasers=12)
    image.set(0x1A, 186, bytes(70), bank=1)
    image.set(0x1B, 184, "0001", bank=1)
    cmis = CmisMap()
    found = cmis.describe(image.memory(cmis))
    assert found.banks == 2
    assert "media_lanes" not in found.module
    assert found.module.get("media") == "ELSFP"
    assert found.thresholds == {}
    assert {span.page for span in found.plan().spans if span.upper} == {0x1A, 0x1B}
    assert found.plan(slow=True).spans == ()
    values = image.read()
    assert [laser.laser for laser in values.lasers] == list(range(1, 13))
    assert values.lasers[8].values[q.TX_BIAS] == 1e-4
    latched = range(186, 194)
    for span in found.plan(flags=False).spans:
        assert span.page != 0x1A or not set(latched) & set(range(span.offset, span.end))


def test_lasers_that_could_not_be_read() -> None:
    image = elsfp()
    del image.pages[0, 0x1B]
    values = image.read()
    assert "lasers" in values.unread
    assert set(values.lasers[0].values) <= {q.LASER_FREQUENCY}
    del image.pages[0, 0x1A]
    assert image.read().lasers == ()
    assert "lasers" in image.read().unread


@pytest.mark.parametrize(("lower", "control", "monitor"), [(0xB0, 0xB4, 0xB5), (0xAF, 0xB3, 0xB4)])
def test_an_engine_shows_its_laser_source_on_vendor_pages(lower: int, control: int, monitor: int) -> None:
    image = Image(identifier=0x80)
    image.set(0x10, 128, "00")
    image.set(0x11, 128, "00")
    image.set(0xB0, 128, "00")
    image.set(lower, 128, "22")
    image.set(monitor, 184, "0FA0")
    image.set(control, 140, "11")
    values = image.read()
    assert len(values.lasers) == 8
    assert values.lasers[0].values[q.TX_BIAS] == 0.4


def test_bailly_laser_module() -> None:
    image = Image(identifier=0x80)
    image.set(0x01, 142, "03")
    image.set(0x00, 129, b"Broadcom        ")
    image.set(0x10, 145, "10")
    image.set(0x11, 128, "00")
    image.set(0xB0, 128, "80 10 03")
    image.set(0xB0, 133, "0200 0D00")
    image.set(0xB0, 138, "0100 0400")
    image.set(0xB0, 154, "3A98")
    image.set(0xB0, 186, "B4")
    image.set(0xB0, 203, "2710")
    image.set(0xB2, 178, "4E20 0000 0000 0000 4E20 3A98")
    image.set(0x01, 160, "02")
    image.set(0x02, 176, "2710 0064 1388 00C8")
    cmis = CmisMap()
    found = cmis.describe(image.memory(cmis))
    assert found.banks == 8
    assert found.thresholds[q.LASER_POWER].get("high_alarm") == 0.2
    assert found.thresholds[q.LASER_BIAS] == {"high_alarm": 0.2, "high_warning": 0.15}
    assert found.thresholds[q.TX_POWER].get("high_alarm") == 0.001  # that of the lanes, not of the lasers
    values = image.read()
    first, second, third, fourth = values.lasers
    assert first.values == {q.TX_BIAS: 0.15, q.LASER_VOLTAGE: 1.8, q.TX_POWER: 0.1}
    assert (first.state, second.state, second.enabled) == ("on", "off", False)
    assert (first.flags, third.flags, fourth.flags) == (
        ("tx_bias_high_warning",),
        ("tx_bias_high_alarm",),
        (),
    )
    assert values.lane_applications == {1: 1}  # the staged one
    assert [laser.flags for laser in image.read(flags=False).lasers] == [(), (), (), ()]


def test_flags_of_a_bailly_laser_reach_the_rules_on_lasers() -> None:
    """Its only thresholds of the bias are the high ones (page B2h, bytes 186-189), so the flags are theirs."""
    image = Image(identifier=0x80)
    image.set(0x00, 129, b"Broadcom        ")
    image.set(0xB0, 128, "80 10 02")
    image.set(0xB0, 135, "0700 00 0100 0200")  # three lasers are on; a warning of the first, an alarm of the second
    image.set(0xB0, 154, "2710 2710 2710")  # 100 mA each
    image.set(0xB2, 178, "4E20 0000 0000 0000 4E20 3A98")  # high alarm 200 mA, high warning 150 mA
    cmis = CmisMap()
    bounds = cmis.describe(image.memory(cmis)).thresholds
    shown = replace(reading(0), lanes={}, lane_flags={}, thresholds=bounds, lasers=image.read().lasers)
    found = said(Alerts(BUILTIN_RULES).judge(shown, at(0)))
    assert [each for each in found if "bias" in each[0]] == [
        ("laser_bias_high_alarm", 2, "firing"),
        ("laser_bias_high_warning", 1, "firing"),
    ]


def test_linear_optics_have_amplitudes_of_their_own() -> None:
    image = Image()
    image.set(0x00, 148, b"LPO-800G-2DR4   ")
    image.set(0xC1, 128, "18")
    image.set(0xC1, 136, "64 0A 50 14")
    image.set(0xC2, 145, "50")
    image.set(0xC2, 161, "1388")
    image.set(0xC2, 142, "01")
    values = image.read()
    assert values.lanes[q.HOST_INPUT_VMA][1] == 0.4
    assert values.lanes[q.RX_OMA][1] == 0.0005
    assert values.lane_flags[q.LINEAR_FLAGS["host_input_vma", "low_alarm"]].active == 1
    cmis = CmisMap()
    assert cmis.describe(image.memory(cmis)).thresholds[q.HOST_INPUT_VMA].get("high_alarm") == 0.5
    image.set(0x00, 148, b"SOMETHING ELSE  ")
    assert q.HOST_INPUT_VMA not in image.read().lanes


def test_observables_have_distinct_names() -> None:
    names = [one.name for one in cmis_vdm.OBSERVABLES.values()]
    assert len(set(names)) == len(names) == 67
    assert all(one.kind in (Kind.U16, Kind.S16, Kind.F16) for one in cmis_vdm.OBSERVABLES.values())
    assert set(cmis_coherent.MEASURES) == {one for one in cmis_coherent.MEASURES if one.field.size <= 12}
    assert all(row.offset + row.size <= 256 for row in (*cmis_bailly.ROWS, *cmis_lasers.ROWS, *cmis_tunable.ROWS))


STATIC = (0x00, 0x01, 0x02, 0x04, 0x13, 0x1A, 0x20, 0x21, 0x28, 0x2F, 0x40, 0x42, 0x44, 0xAF, 0xB0, 0xB2, 0xC1)
MOVING = (0x10, 0x11, 0x12, 0x14, 0x15, 0x1B, 0x24, 0x25, 0x2C, 0x33, 0x34, 0x35, 0x3A, 0x3B, 0xB4, 0xB5, 0xC2)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([0x18, 0x19, 0x22, 0x80]), st.integers(0, 2**32), st.integers(0, 128))
def test_any_bytes_on_any_page(identifier: int, seed: int, short: int) -> None:
    random = Random(seed)
    memory = Memory()
    for page in (*STATIC, *MOVING):
        for bank in range(2 if page >= 0x10 else 1):
            memory.put(Span(128, 128, page, bank), random.randbytes(short if page in MOVING else 128))
    lower = bytearray(random.randbytes(128))
    lower[0], lower[2] = identifier, lower[2] & 0x7F
    memory.put(Span(0, 128), bytes(lower))
    memory.put(Span(142, 4, 0x01), b"\xff" * 4)
    memory.put(Span(155, 1, 0x01), b"\xff")
    cmis = CmisMap(parse('[[quirk]]\nname = "all"\npages = ["linear", "lasers"]', name="own.toml"))
    found = cmis.describe(memory)
    for flags in (True, False):
        for slow in (True, False):
            plan = found.plan(flags=flags, slow=slow)
            for values in (
                plan.decode_memory(memory),
                plan.decode([memory.get(span) for span in plan.spans]),
                plan.decode([None] * len(plan.spans)),
            ):
                assert "" not in values.unread


def test_saved_descriptors_count_without_the_page_that_says_how_many() -> None:
    memory = Memory()
    whole = with_vdm("0005 0105", "1580 1600").memory(CmisMap())
    for span in whole.spans():
        data = whole.get(span)
        if span.page != 0x2F and data is not None:
            memory.put(span, data)
    memory.put(Span(128, 128, 0x20), bytes.fromhex("00050105").ljust(128, b"\0"))
    memory.put(Span(128, 128, 0x24), bytes.fromhex("15801600").ljust(128, b"\0"))
    found = CmisMap().describe(memory).plan(slow=True).decode_memory(memory)
    assert [(one.observable, one.lane, one.value) for one in found.vdm] == [
        ("snr_media_input", 1, 21.5),
        ("snr_media_input", 2, 22.0),
    ]


def test_zr_without_a_tunable_laser_may_be_coherent() -> None:
    image = Image()
    image.set(0, 85, "02 113F8101 FF")  # 400ZR, single wavelength
    image.set(0x35, 158, "0150")
    image.set(0x40, 128, "11")
    assert image.read().coherent["osnr_db"].get("avg") == 33.6
    image.set(0, 85, "02 111C8401 FF")  # 400GBASE-DR4
    assert image.read().coherent == {}


def test_a_cable_that_counts_no_media_lanes_has_those_of_the_host() -> None:
    image = Image()
    image.set(0, 85, "04 11038001 FF")  # active cable, 8 host lanes, media lanes not given
    image.set(0x01, 160, "04")
    image.set(0x11, 186, "2710" * 8)
    assert image.read().lanes[q.RX_POWER] == dict.fromkeys(range(1, 9), 0.001)
