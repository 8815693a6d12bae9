"""The same recording read through every way in gives the same reading, and the one that decoding the file gives."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from agent import maps
from agent.documents import images
from agent.documents import reading as document
from agent.polling import oneshot
from tests.contract_suite import Bench
from tests.test_driver_contract import BENCHES

RECORDINGS = ("qsfpdd-400g-dr4", "qsfp28-fs-ir4-100g", "sfp-flexoptix-p-b1696-10-da")
OF_THE_WAY = {"time", "source"}


def read(bench: Callable[[], Bench], image: images.Image) -> Mapping[str, object]:
    """One reading, as `opticd read` makes it."""
    made = bench()
    try:
        memory = made.insert(image.memory)
        reading = oneshot.read_once(
            memory, identify=maps.identify, device="d", port="p", source="s", flags=True, limit_s=20
        )
    finally:
        made.close()
    return {key: value for key, value in document.to_document(reading).items() if key not in OF_THE_WAY}


@pytest.mark.parametrize("recording", RECORDINGS)
def test_every_way_gives_the_same_reading(recording: str, shared_data: Path) -> None:
    image = images.load((shared_data / "eeprom" / f"{recording}.json").read_bytes())[0]
    decoded = document.to_document(
        document.decode_memory(
            image.memory,
            maps.identify(image.memory, family=image.family),
            device="d",
            port="p",
            source="s",
            time=0.0,
        )
    )
    want = {key: value for key, value in decoded.items() if key not in OF_THE_WAY}
    for name, bench in BENCHES.items():
        if name == "ethtool ioctl" and recording == "qsfpdd-400g-dr4":
            continue  # the ioctl ends before the pages of CMIS monitors
        assert read(bench, image) == want, name


def test_every_way_gives_the_same_lanes_of_four_banks(shared_data: Path) -> None:
    """A recording that lacks pages which its kind has: each way says so in its own words, and else they agree."""
    image = images.load((shared_data / "eeprom" / "cpo-4bank-fixture.json").read_bytes())[0]
    readings = {name: read(bench, image) for name, bench in BENCHES.items() if name != "ethtool ioctl"}
    for reading in readings.values():
        assert {key: value for key, value in reading.items() if key != "errors"} == {
            key: value for key, value in readings["i2c"].items() if key != "errors"
        }
    lanes = readings["i2c"]["lanes"]
    assert isinstance(lanes, list)
    assert lanes[-1]["lane"] == 32
