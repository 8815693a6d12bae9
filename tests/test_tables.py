"""The table for people: what it says, and that devices cannot write on the terminal."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from agent import quantities as q
from agent.documents.images import load
from agent.documents.reading import decode_memory
from agent.documents.tables import render, verdict
from agent.maps import identify
from agent.model import Bounds, LaneFlags, Laser, Module, Reading, Stats, Trouble, Tunable, VdmSample
from tests.sff_images import qsfp, read, sfp

BARE = Reading(device="leaf-17", port="Ethernet0", source="i2c:12", time=0.0, module=Module())
LIMITS = Bounds(high_alarm=75.0, high_warning=70.0, low_warning=0.0, low_alarm=-5.0)


@pytest.mark.parametrize(
    ("value", "bounds", "said", "tone"),
    [
        (25.0, LIMITS, "ok", "good"),
        (70.0, LIMITS, "ok", "good"),
        (70.1, LIMITS, "high warning", "warning"),
        (75.1, LIMITS, "high alarm", "alarm"),
        (-0.1, LIMITS, "low warning", "warning"),
        (-6.0, LIMITS, "low alarm", "alarm"),
        (25.0, Bounds(), "", ""),
        (80.0, Bounds(high_alarm=75.0), "high alarm", "alarm"),
        (25.0, Bounds(high_alarm=0.0, low_alarm=10.0), "thresholds in disorder", "warning"),
    ],
)
def test_verdict(value: float, bounds: Bounds, said: str, tone: str) -> None:
    assert verdict(value, bounds) == (said, tone)


def test_values_stand_beside_their_thresholds() -> None:
    text = render(read(sfp(a2={96: "4C00 80DD 1414 2710 0001", 110: "02", 112: "8040"})), colour=False)
    lines = [re.sub(r" {2,}", "  ", line.strip()) for line in text.splitlines()]
    assert lines[0] == "here p1: ACME OPTICS AO-10GLR-31 AO1234567890"
    assert "wavelength  1310 nm" in lines
    assert "reach SMF  10 km" in lines
    assert "signalling rate  10.3 Gb/s" in lines
    assert "checksums  base good, ext good, diagnostics good" in lines
    assert "temperature  76.00 C  -5.00  0.00  70.00  75.00  high alarm" in lines
    assert "supply voltage  3.2989 V  3.0000  3.1000  3.5000  3.6000  ok" in lines
    assert "flags: temperature high alarm" in lines
    assert "lane  rx power dBm  tx power dBm  tx bias mA  tx  data path, verdict, flags" in lines
    assert "1  -40.00  0.00  10.280  on  rx power low alarm, rx los" in lines
    assert "high alarm  3.00  2.00  80.000" in lines


def test_columns_are_aligned() -> None:
    words = {22: "1900", 26: "80E8", 34: "2710 0001 0064 4E20"}
    text = render(read(qsfp(words)), colour=False)
    table = text.split("Lanes\n")[1].splitlines()
    assert len({line.index(".") for line in table[1:9]}) == 1
    assert [line.split()[1] for line in table[1:5]] == ["0.00", "-40.00", "-20.00", "3.01"]


def test_colour_only_when_asked() -> None:
    reading = read(sfp(a2={96: "4C00 80DD"}))
    plain, painted = render(reading, colour=False), render(reading, colour=True)
    assert "\x1b" not in plain
    assert "\x1b[1;31mhigh alarm\x1b[0m" in painted
    assert re.sub(r"\x1b\[[\d;]*m", "", painted) == plain


def test_a_device_cannot_write_on_the_terminal() -> None:
    reading = replace(
        BARE,
        port="p\x1b[2J",
        module=Module(vendor_name="A\x07B", media="\x1b]0;x"),
        errors=(Trouble("refused", "a\x9bb"),),
    )
    text = render(reading, colour=False)
    assert not any(c != "\n" and not c.isprintable() for c in text)
    assert "A?B" in text


def test_every_family_of_values_has_its_block() -> None:
    reading = replace(
        BARE,
        module=Module(
            applications=[
                {"code": 1, "host_lanes": 4, "host_interface": "400GAUI-4-L", "media_interface": "400GBASE-DR4"}
            ]
        ),
        module_state="ModuleFault",
        lanes={q.RX_POWER: {9: 0.001}},
        lane_flags={q.RX_LOS: LaneFlags(1 << 8, 1 << 8)},
        data_path_states={9: 4},
        lane_applications={9: 1},
        vdm=(VdmSample("snr_media_input", 3, 1, 20.5, "dB", Bounds(low_alarm=21.0)),),
        coherent={"osnr_db": Stats(value=36.1, min=35.9)},
        lasers=(Laser(2, state="on", values={q.TX_POWER: 0.1}, flags=("fault",)),),
        tunable=Tunable(configured_frequency_hertz=193.1e12, wavelength_locked=True),
        fec={"uncorrectable_codewords": 7},
        unread=("laser_temperature_celsius",),
        errors=(Trouble("page_refused", "page 12h"),),
    )
    lines = [re.sub(r" {2,}", "  ", line.strip()) for line in render(reading, colour=False).splitlines()]
    assert lines[0] == "leaf-17 Ethernet0: unknown module, ModuleFault"
    for line in (
        "9  0.00  1  DPActivated, rx los",
        "2  on  tx power 20.00 dBm, fault",
        "1  active  4 x  400GAUI-4-L  ? x  400GBASE-DR4",
        "snr media input  lane 3  20.5  dB",
        "osnr db  36.1  35.9",
        "configured frequency hertz  1.931e+14",
        "wavelength locked  yes",
        "uncorrectable codewords  7",
        "not readable: laser temperature celsius",
        "page_refused: page 12h",
    ):
        assert line in lines


def test_every_recording_has_a_table(shared_data: Path) -> None:
    for file in sorted((shared_data / "eeprom").glob("*.json")):
        (image,) = load(file.read_bytes())
        chosen = identify(image.memory, family=image.family)
        reading = decode_memory(image.memory, chosen, device="here", port=file.stem, source="file", time=0.0)
        text = render(reading, colour=False)
        assert file.stem in text
        assert "None" not in text
