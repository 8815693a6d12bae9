"""More than 15 applications: bytes by tables 8-163, 8-164 and 8-161 of OIF CMIS 5.3, and a module on a bus."""

from dataclasses import replace

import pytest

from agent.maps import identify
from agent.maps.cmis import CmisMap
from agent.memory import Memory, Span
from agent.model import Application
from agent.modules.session import ModuleSession
from drivers.i2c.paged import PagedMemory
from fakes.images import image
from fakes.module import FakeModule
from fakes.products import PRODUCTS
from fakes.products import Application as FakeApplication
from tests.test_cmis_families import Image

EMPTY = "FF00000000000000"


def module(*, revision: str = "53", blocks: str = "02") -> Image:
    """Application 1 in lower memory and on page 1Ch; block 1 has two, 16 and 18, and then no more."""
    made = Image()
    made.set(0, 1, revision)
    made.set(0x01, 175, blocks)
    made.set(0x1C, 128, "111E880101000000" + EMPTY * 14)
    made.set(0x1C, 128, "5156880101000000" + "00" * 8 + "4F1C4411110000AA" + EMPTY * 12, bank=1)
    made.set(0x11, 206, "1030" + "00" * 6)
    made.set(0x19, 144, "F101" + "00" * 6)
    return made


def applications(made: Image) -> list[Application]:
    cmis = CmisMap()
    return cmis.describe(made.memory(cmis)).module.get("applications", [])


def test_descriptors_of_the_second_block() -> None:
    first, second, third = applications(module())
    assert (first.get("code"), first.get("host_interface_code"), first.get("media_lane_assignment")) == (1, 0x11, 1)
    assert second == Application(
        code=16, host_interface=second.get("host_interface", ""), host_interface_code=0x51,
        media_interface=second.get("media_interface", ""), media_interface_code=0x56,
        host_lanes=8, media_lanes=8, host_lane_assignment=1, media_lane_assignment=1,
    )  # fmt: skip
    assert (second.get("host_interface", "")[:9], second.get("media_interface", "")[:8]) == (
        "800GAUI-8",
        "800GBASE",
    )
    assert (third.get("code"), third.get("host_lanes"), third.get("media_lane_assignment")) == (18, 4, 0x11)


def test_the_block_of_a_lane_is_added_to_its_appsel() -> None:
    assert dict(module().read().lane_applications) == {1: 16, 2: 18}


@pytest.mark.parametrize(
    ("revision", "blocks", "codes"),
    [
        ("52", "02", [1]),  # the byte is reserved before 5.3
        ("53", "01", [1]),  # the first block is that of lower memory
        ("53", "F2", [1, 16, 18]),  # bits 7-4 are reserved in 5.3
        ("54", "02", [1, 16, 18]),
    ],
)
def test_how_many_blocks_there_are(revision: str, blocks: str, codes: list[int]) -> None:
    assert [one.get("code") for one in applications(module(revision=revision, blocks=blocks))] == codes


def test_a_block_that_cannot_be_read_costs_its_applications_alone() -> None:
    made = module(blocks="03")  # bank 2 is not there
    assert [one.get("code") for one in applications(made)] == [1, 16, 18]
    del made.pages[1, 0x1C]
    assert [one.get("code") for one in applications(made)] == [1]
    assert dict(made.read().lane_applications) == {1: 16, 2: 18}


def test_on_a_bus_the_blocks_are_banks_and_the_lanes_stay_in_bank_0() -> None:
    one = FakeApplication(host=0x11, media=0x1E, host_lanes=8, media_lanes=4)
    last = replace(one, host=0x0F, media=0x18, host_lanes=4)
    product = replace(PRODUCTS["qsfpdd-400g-fr4"], revision=0x53, applications=(*[one] * 16, last))
    memory = image(product, serial="XY17")
    memory.put(Span(206, 1, 0x11), bytes((0x20,)))  # AppSel 2 ...
    memory.put(Span(144, 1, 0x19), bytes((0x01,)))  # ... of block 1
    fake = FakeModule(memory)
    session = ModuleSession(PagedMemory(fake), identify=identify)
    found = session.refresh()
    assert found.description is not None
    assert found.values is not None
    listed = found.description.module.get("applications", [])
    assert [each.get("code") for each in listed] == list(range(1, 18))
    assert listed[-1].get("host_interface_code") == 0x0F
    assert found.values.lane_applications[1] == 17
    assert found.description.module.get("media_lanes") == 4
    assert "banks" not in found.description.module
    assert fake.complaints == []
    assert fake.selected == (0, 0x00)


def test_saved_memory_without_page_1ch_has_the_applications_that_there_are() -> None:
    made = module()
    memory = Memory()
    for (bank, page), data in made.pages.items():
        if page != 0x1C:
            lower = page < 0
            memory.put(
                Span(0 if lower else 128, 128, max(page, 0), bank), bytes(data[:128] if lower else data[128:])
            )
    assert [one.get("code") for one in CmisMap().describe(memory).module.get("applications", [])] == [1]
