"""CMIS core: the worked examples of the sheet as literals, absence, and that any bytes at all are survived."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import quantities as q
from agent.errors import DecodeError
from agent.maps import cmis_fields as f
from agent.maps import identify
from agent.maps.api import Description, Values, overlay
from agent.maps.cmis import CmisMap
from agent.maps.cmis_lanes import application
from agent.maps.date_code import date_and_lot
from agent.maps.registers import Field, checksum
from agent.memory import Memory, Span
from agent.model import LaneFlags

PAGES = (0x00, 0x01, 0x02, 0x10, 0x11)


class Image:
    """A module's memory in the making: zeros where nothing was set."""

    def __init__(self, *, identifier: int = 0x18, revision: int = 0x52, banks: int = 1, flat: bool = False) -> None:
        self.lower = bytearray(128)
        self.pages = {
            (bank, page): bytearray(256) for page in PAGES for bank in range(banks if page >= 0x10 else 1)
        }
        self.lower[0:4] = bytes((identifier, revision, 0x80 if flat else 0, 0x06))
        self.lower[85] = 2
        self.lower[86:91] = bytes.fromhex("111E8801FF")  # 400GAUI-8, 8 host and 8 media lanes
        self.set(0x01, 176, "01")
        self.set(0x01, 157, "0F06") if not flat else None
        self.set(0x01, 159, "3F07") if not flat else None
        self.set(0x01, 142, f"{ {1: 0, 2: 1, 4: 2}[banks]:02X}")

    def set(self, page: int, offset: int, data: str, *, bank: int = 0) -> None:
        raw = bytes.fromhex(data)
        where = self.lower if offset < 128 else self.pages[bank, page]
        where[offset : offset + len(raw)] = raw

    def memory(self) -> Memory:
        memory = Memory()
        memory.put(Span(0, 128), bytes(self.lower))
        for (bank, page), image in self.pages.items():
            if not self.lower[2] >> 7 or page == 0:
                memory.put(Span(128, 128, page, bank), bytes(image[128:]))
        return memory

    def described(self) -> Description:
        return CmisMap().describe(self.memory())

    def values(self) -> Values:
        memory, found = self.memory(), self.described()
        return overlay(found.plan().decode_memory(memory), found.plan(slow=True).decode_memory(memory))


def lanes(values: Values, quantity: q.Quantity) -> dict[int, float]:
    return dict(values.lanes.get(quantity, {}))


@pytest.mark.parametrize(
    ("field", "raw", "want"),
    [
        (f.TEMPERATURE, "2D80", 45.5),
        (f.TEMPERATURE, "FB40", -4.75),
        (f.TEMPERATURE, "FFFF", -0.00390625),
        (f.TEMPERATURE, "8000", -128.0),
        (f.TEMPERATURE, "0000", 0.0),
        (f.SUPPLY_VOLTAGE, "80E8", 3.3),
        (f.SUPPLY_VOLTAGE, "7E90", 3.24),
        (f.AUX1_TEC, "C000", -16384 / 32767),
        (f.AUX1_TEC, "4000", 16384 / 32767),
        (f.AUX2_LASER, "3280", 50.5),
        (f.AUX3_SUPPLY, "4650", 1.8),
        (f.WAVELENGTH, "6658", 1310.0),
        (f.WAVELENGTH_TOLERANCE, "0514", 6.5),
        (f.MAX_POWER, "48", 18.0),
        (f.MODULE_STATE, "06", 3),
        (f.MODULE_STATE, "03", 1),
        (f.MODULE_STATE, "F7", 3),  # reserved bits set
        (f.INTERRUPT_DEASSERTED, "06", 0),
        (f.INTERRUPT_DEASSERTED, "03", 1),
        (f.INTERRUPT_DEASSERTED, "F7", 1),
        (f.POWER_CLASS, "E0", 7),
        (f.BANKS, "62", 2),
        (f.TX_BIAS_SCALE, "0F", 1),
        (f.DURATIONS[0], "76", 6),
        (f.DURATIONS[1], "76", 7),
        (f.SELECT_WAIT_MANTISSA, "29", 9),
        (f.SELECT_WAIT_EXPONENT, "29", 1),
    ],
)
def test_worked_example_of_the_module(field: Field, raw: str, want: float) -> None:
    assert field.decode(bytes.fromhex(raw)) == [want]


def test_durations_have_the_limits_of_their_codes() -> None:
    assert (f.DURATION_LIMITS_S[6], f.DURATION_LIMITS_S[7]) == (1.0, 5.0)


@pytest.mark.parametrize(("scale", "want"), [("07", 0.05), ("0F", 0.1), ("17", 0.2), ("1F", 0.05)])
def test_tx_bias_is_multiplied_by_its_scale(scale: str, want: float) -> None:
    image = Image()
    image.set(0x01, 160, scale)
    image.set(0x11, 170, "61A8")
    assert lanes(image.values(), q.TX_BIAS)[1] == want
    reserved = [trouble.reason for trouble in image.described().errors if "bias" in trouble.detail]
    assert reserved == (["advertisement"] if scale == "1F" else [])


def test_tx_bias_at_the_end_of_its_range() -> None:
    image = Image()
    image.set(0x01, 160, "17")
    image.set(0x11, 170, "FFFF")
    assert lanes(image.values(), q.TX_BIAS)[1] == 0.52428


@pytest.mark.parametrize(
    ("raw", "watts", "dbm"),
    [
        ("2710", 0.001, 0.0),
        ("04D2", 0.0001234, -9.087),
        ("0001", 1e-07, -40.0),
        ("FFFF", 0.0065535, 8.165),
        ("0000", 0.0, -40.0),
    ],
)
def test_rx_power(raw: str, watts: float, dbm: float) -> None:
    image = Image()
    image.set(0x11, 186, raw)
    power = lanes(image.values(), q.RX_POWER)[1]
    assert power == watts
    assert q.dbm(power) == pytest.approx(dbm, abs=0.0005)


def test_thresholds() -> None:
    image = Image()
    image.set(0x01, 160, "0F")
    image.set(0x02, 128, "4B00F600")
    image.set(0x02, 176, "00000A5B")
    image.set(0x02, 184, "4E20")
    found = image.described().thresholds
    assert found[q.TEMPERATURE].get("high_alarm") == 75.0
    assert found[q.TEMPERATURE].get("low_alarm") == -10.0
    power = found[q.TX_POWER].get("low_alarm", 0.0)
    assert power == 0.0002651
    assert q.dbm(power) == pytest.approx(-5.766, abs=0.0005)
    assert found[q.TX_BIAS].get("high_alarm") == 0.08
    assert q.RX_POWER not in found  # all zero: not offered


def test_auxiliary_monitors_mean_what_page_01h_says() -> None:
    image = Image()
    image.set(0x00, 18, "C000 3280 4650 0007")
    image.set(0x01, 145, "05")  # aux1 TEC, aux2 laser temperature, aux3 Vcc2
    assert image.values().values == {
        q.TEMPERATURE: 0.0,
        q.SUPPLY_VOLTAGE: 0.0,
        q.TEC_CURRENT: -16384 / 32767,
        q.LASER_TEMPERATURE: 50.5,
        q.AUX_SUPPLY_VOLTAGE: 1.8,
        q.CUSTOM: 7.0,
    }
    image.set(0x01, 145, "03")  # aux1 and aux2 both the TEC
    image.set(0x00, 10, "20")
    image.set(0x00, 11, "10")
    values = image.values()
    assert values.values[q.SECOND_TEC_CURRENT] == 12928 / 32767
    assert [flag.name for flag, on in values.flags.items() if on] == ["aux2_low_alarm", "custom_high_alarm"]


def test_one_laser_temperature_has_its_own_flags() -> None:
    image = Image()
    image.set(0x01, 159, "0B")
    image.set(0x00, 10, "10")
    assert [flag.name for flag, on in image.values().flags.items() if on] == ["laser_temperature_high_alarm"]


@pytest.mark.parametrize(("raw", "meters"), [("4A", 10_000.0), ("14", 2000.0), ("84", 40_000.0), ("C4", None)])
def test_length_of_fibre(raw: str, meters: float | None) -> None:
    image = Image()
    image.set(0x01, 132, raw)
    assert image.described().module.get("length_smf_meters") == meters


def test_lengths_of_cable_and_multimode_fibre() -> None:
    image = Image()
    image.set(0x00, 202, "1E")
    image.set(0x01, 133, "64321E0A")
    module = image.described().module
    assert module.get("cable_length_meters") == 3.0
    assert [module.get(key) for key in ("length_om5_meters", "length_om4_meters")] == [200.0, 100.0]
    assert [module.get(key) for key in ("length_om3_meters", "length_om2_meters")] == [60.0, 10.0]


def test_power_class_and_flags_of_the_module() -> None:
    image = Image()
    image.set(0x00, 200, "E0")
    image.set(0x00, 8, "0141")
    assert image.described().module.get("power_class") == 8
    on = [flag.name for flag, active in image.values().flags.items() if active]
    assert set(on) == {"temperature_high_alarm", "supply_voltage_high_warning", "module_state_changed"}


def test_states_of_lanes() -> None:
    image = Image()
    image.set(0x11, 128, "41")
    image.set(0x11, 202, "C1")
    image.set(0x11, 206, "1B")
    values = image.values()
    assert values.data_path_states == {1: 1, 2: 4}
    assert values.lane_applications == {1: 1}
    raw = image.memory().get(Span(202, 12, 0x11))
    assert raw is not None
    assert f.CONFIG_STATUS.decode(raw)[:2] == [1, 12]
    assert f.DATA_PATH_IDS.decode(raw[4:])[0] == 5
    assert f.EXPLICIT_CONTROLS.decode(raw[4:])[0] == 1


def test_lanes_count_over_banks() -> None:
    image = Image(banks=4)
    image.set(0x11, 147, "81", bank=2)
    image.set(0x11, 186, "2710", bank=3)
    values = image.values()
    assert values.lane_flags[q.RX_LOS] == LaneFlags(0xFFFFFFFF, 1 << 16 | 1 << 23)
    assert lanes(values, q.RX_POWER)[25] == 0.001
    assert len(lanes(values, q.RX_POWER)) == 32
    assert image.described().module.get("media_lanes") == 32


def test_flags_summary_of_the_banks() -> None:
    assert [field.decode(bytes.fromhex("00090000"))[1] for field in f.FLAGS_SUMMARY] == [1, 0, 0, 1]


@pytest.mark.parametrize(
    ("raw", "names", "counts"),
    [
        ("111C8401", ("400GAUI-8 C2M (Annex 120E)", "400GBASE-DR4 (Cl 124)"), (8, 4, 0x01)),
        ("0F184411", ("200GAUI-4 C2M (Annex 120E)", "200GBASE-FR4 (Cl 122)"), (4, 4, 0x11)),
    ],
)
def test_application(raw: str, names: tuple[str, str], counts: tuple[int, int, int]) -> None:
    found = application(1, bytes.fromhex(raw), 2, None)
    assert (found.get("host_interface"), found.get("media_interface")) == names
    assert (found.get("host_lanes"), found.get("media_lanes"), found.get("host_lane_assignment")) == counts


@pytest.mark.parametrize(("raw", "busy", "failed", "result"), [("83", 1, 0, 3), ("01", 0, 0, 1), ("45", 0, 1, 5)])
def test_cdb_status(raw: str, busy: int, failed: int, result: int) -> None:
    data = bytes.fromhex(raw + "00")
    assert [field.decode(data)[0] for field in f.CDB_STATUS] == [busy, failed, result]


def test_checksum_of_page_00h() -> None:
    image = Image()
    page = image.pages[0, 0x00]
    page[128] = 0x18
    page[129:145] = b"ACME OPTICS     "
    page[145:148] = bytes.fromhex("001122")
    page[148:164] = b"QDD-400G-DR4    "
    page[164:166] = b"1A"
    page[166:182] = b"SN0001          "
    page[182:200] = b"240131            "
    page[200:202] = bytes.fromhex("E030")
    page[203], page[212] = 0x0C, 0x06
    assert sum(page[128:222]) == 3628
    page[222] = 0x2C
    assert checksum(image.memory(), Span(128, 94), 222) is True
    module = image.described().module
    assert module.get("checksums_valid", {})["page00"] is True
    assert (module.get("vendor_name"), module.get("part_number")) == ("ACME OPTICS", "QDD-400G-DR4")
    assert (module.get("serial_number"), module.get("vendor_revision")) == ("SN0001", "1A")
    assert (module.get("vendor_oui"), module.get("date_code")) == ("00:11:22", "2024-01-31")
    assert (module.get("connector"), module.get("media_technology")) == ("MPO 1x12", "1310 nm EML")
    page[222] = 0x2D
    assert "page 00h" in image.described().errors[0].detail


def test_checksums_of_the_other_pages_leave_out_the_inactive_firmware() -> None:
    image = Image()
    page = image.pages[0, 0x01]
    page[128:130] = b"\x05\x09"
    page[255] = sum(page[130:255]) & 0xFF
    found = image.described().module
    assert found.get("checksums_valid") == {"page00": True, "page01": True, "page02": True}
    assert found.get("inactive_firmware_revision") == "5.9"


def test_flat_memory_is_ready_and_offers_nothing_more() -> None:
    image = Image(flat=True)
    image.set(0x00, 14, "1900")
    image.lower[85] = 3
    image.set(0x00, 202, "43")
    image.set(0x00, 204, "04050A17")
    image.set(0x00, 212, "0A")
    found = image.described()
    values = image.values()
    assert (values.module_state, values.values, values.unread) == ("ModuleReady", {}, ())
    assert found.flat
    assert found.plan().spans == found.plan(slow=True).spans == ()
    assert found.module.get("attenuation_db") == {"5ghz": 4.0, "7ghz": 5.0, "12_9ghz": 10.0, "25_8ghz": 23.0}
    assert (found.module.get("cable_length_meters"), found.module.get("media")) == (3.0, "DAC")


def test_what_is_not_advertised_is_not_offered() -> None:
    image = Image()
    image.set(0x01, 157, "0000")
    image.set(0x01, 159, "0102")  # temperature and tx power alone
    image.set(0x11, 134, "FF" * 68)
    values = image.values()
    assert set(values.values) == {q.TEMPERATURE}
    assert set(values.lanes) == {q.TX_POWER}
    assert {flag.name for flag in values.lane_flags} == {
        "data_path_state_changed",
        *(f"tx_power_{bound}" for bound in q.BOUNDS),
    }


def test_without_page_01h_lower_memory_is_offered_and_the_lanes_are_unread() -> None:
    image = Image()
    image.set(0x00, 14, "1900 80E8 1234 1234 1234 1234")
    memory = Memory()
    memory.put(Span(0, 128), bytes(image.lower))
    memory.put(Span(128, 128, 0x00), bytes(image.pages[0, 0][128:]))
    memory.put(Span(128, 128, 0x11), bytes(image.pages[0, 0x11][128:]))
    values = CmisMap().describe(memory).plan().decode_memory(memory)
    assert values.values == {q.TEMPERATURE: 25.0, q.SUPPLY_VOLTAGE: 3.3}
    assert set(values.unread) == {"tx_bias_amperes", "tx_power_watts", "rx_power_watts"}


def test_media_values_are_on_media_lanes_and_states_on_host_lanes() -> None:
    image = Image()
    image.set(0x00, 86, "111C8401FF")
    image.set(0x11, 128, "44444444")
    values = image.values()
    assert set(lanes(values, q.RX_POWER)) == {1, 2, 3, 4}
    assert set(values.data_path_states) == set(range(1, 9))
    assert values.lane_flags[q.TX_LOS].offered == 0xFF
    assert values.lane_flags[q.TX_FAULT].offered == 0x0F


def test_a_media_lane_that_is_not_supported_is_left_out() -> None:
    image = Image()
    image.set(0x00, 210, "F0")
    assert set(lanes(image.values(), q.RX_POWER)) == {1, 2, 3, 4}
    image.set(0x00, 210, "FF")  # nonsense: then the applications count
    assert len(lanes(image.values(), q.RX_POWER)) == 8


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("240719", ("2024-07-19", None)),
        ("221228AB", ("2022-12-28", "AB")),
        ("221228 7", ("2022-12-28", "7")),
        ("221328", (None, None)),
        ("230229L1", (None, "L1")),  # no such day
        ("", (None, None)),
    ],
)
def test_date_code(text: str, want: tuple[str | None, str | None]) -> None:
    memory = Memory()
    memory.put(Span(182, 8), text.encode().ljust(8))
    assert date_and_lot(f.DATE_CODE, memory) == want
    assert date_and_lot(f.DATE_CODE, Memory()) == (None, None)


@pytest.mark.parametrize(
    ("kind", "technology", "cdr", "interfaces", "want"),
    [
        (2, "06", "01", "111C", "SMF"),
        (1, "00", "01", "1111", "MMF"),
        (3, "0B", "00", "1D01", "DAC"),
        (3, "0F", "00", "1D01", "ACC"),
        (4, "0C", "01", "1103", "AEC"),
        (4, "0C", "00", "1103", "ACC"),
        (4, "00", "01", "1103", "AOC"),
        (2, "06", "00", "2392", "LPO"),
        (2, "06", "00", "118F", "LPO"),
        (2, "06", "00", "9356", "LRO"),
        (5, "08", "00", "1101", "BASE-T"),
        (0, "08", "00", "1101", None),
    ],
)
def test_media(kind: int, technology: str, cdr: str, interfaces: str, want: str | None) -> None:
    image = Image()
    image.lower[85] = kind
    image.set(0x00, 86, f"{interfaces}8801FF")
    image.set(0x00, 212, technology)
    image.set(0x01, 161, cdr)
    assert image.described().module.get("media") == want


def test_fault_cause_and_firmware() -> None:
    image = Image()
    image.set(0x00, 39, "67F201")
    image.set(0x01, 128, "FFFF0102")
    module = image.described().module
    assert module.get("fault_cause") == "TEC runaway"
    assert module.get("firmware_revision") == "103.242"
    assert module.get("inactive_firmware_revision") == "Invalid"
    assert module.get("hardware_revision") == "1.2"
    image.set(0x00, 39, "000028")
    assert "firmware_revision" not in image.described().module
    assert image.described().module.get("fault_cause") == "vendor (40)"


def test_engines_say_their_banks_elsewhere() -> None:
    image = Image(identifier=0x80, banks=4)
    image.set(0x01, 142, "23")
    assert image.described().banks == 8  # the reserved code, on an engine
    image.set(0x00, 70, "03")
    assert image.described().banks == 3
    image.lower[0] = 0x18
    assert image.described().banks == 1
    assert image.described().errors[-1].reason == "advertisement"


def test_a_refresh_is_two_reads_and_never_touches_the_flags_of_others() -> None:
    found = Image().described()
    assert found.plan().spans == (Span(3, 29), Span(134, 76, 0x11))
    latched = [*range(8, 14), *range(134, 154)]
    for plan in (found.plan(flags=False), found.plan(slow=True), found.plan(flags=False, slow=True)):
        assert plan.spans
        assert not [
            at for span in plan.spans if span.page != 0x10 for at in latched if span.offset <= at < span.end
        ]
    two = Image(banks=2).described().plan().spans
    assert two == (Span(3, 29), Span(134, 76, 0x11, 1), Span(134, 76, 0x11, 0))  # bank 0 last


def test_static_pages_are_asked_for_round_by_round() -> None:
    image = Image()
    whole, memory = image.memory(), Memory()
    rounds: list[tuple[Span, ...]] = []
    while spans := CmisMap().missing(memory):
        rounds.append(spans)
        for span in spans:
            memory.put(span, whole.get(span) or b"")
    assert rounds[0] == (Span(0, 8), Span(26, 92))
    assert rounds[1] == tuple(Span(128, 128, page) for page in (0, 1, 2))
    flat = Memory()
    flat.put(Span(0, 128), bytes(Image(flat=True).lower))
    assert CmisMap().missing(flat) == (Span(128, 128, 0),)


def test_no_identifier_is_an_error_and_so_is_an_unknown_map() -> None:
    with pytest.raises(DecodeError, match="byte 0"):
        CmisMap().describe(Memory())
    with pytest.raises(DecodeError, match="byte 0"):
        identify(Memory())
    memory = Memory()
    memory.put(Span(0, 1), b"\x0e")
    with pytest.raises(DecodeError, match="unsupported memory map 0x0E: CXP"):
        identify(memory)
    memory.put(Span(0, 1), b"\x1f")
    assert identify(memory).name == "cmis"


def survive(memory: Memory) -> None:
    """Whatever the bytes: a description and values, or DecodeError."""
    try:
        found = CmisMap().describe(memory)
    except DecodeError:
        return
    for plan in (found.plan(), found.plan(flags=False), found.plan(slow=True)):
        blocks = [memory.get(span) for span in plan.spans]
        for values in (plan.decode_memory(memory), plan.decode(blocks), plan.decode([None] * len(blocks))):
            assert "" not in values.unread
    assert all(span not in memory for span in CmisMap().missing(memory))


@pytest.mark.parametrize("byte", [0x00, 0xFF, 0x55])
@pytest.mark.parametrize("identifier", [0x18, 0x19, 0x1E, 0x20, 0x21, 0x22, 0x80])
def test_uniform_bytes(byte: int, identifier: int) -> None:
    memory = Memory()
    memory.put(Span(0, 128), bytes((identifier, 0x50, 0x00)) + bytes((byte,)) * 125)
    for page in range(256):
        for bank in range(8 if page >= 0x10 else 1):
            memory.put(Span(128, 128, page, bank), bytes((byte,)) * 128)
    survive(memory)


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=128),
    st.dictionaries(
        st.tuples(st.sampled_from([0, 1, 2, 4, 0x10, 0x11, 0x12]), st.integers(0, 3)), st.binary(max_size=128)
    ),
)
def test_any_bytes(lower: bytes, pages: dict[tuple[int, int], bytes]) -> None:
    memory = Memory()
    memory.put(Span(0, 128), lower)
    for (page, bank), data in pages.items():
        memory.put(Span(128, 128, page, bank if page >= 0x10 else 0), data)
    survive(memory)
