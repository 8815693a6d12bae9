"""Quirks as data: which rows apply, what they change, and that mistakes in a user's file are named."""

from pathlib import Path

import pytest

from agent import maps
from agent import quantities as q
from agent.errors import ConfigError, DecodeError, ModuleAbsent
from agent.maps.quirks import builtin, effects, parse
from agent.memory import I2C_DIAGNOSTICS, Memory, Shape, Span
from agent.model import Module
from agent.modules.session import ModuleSession
from drivers.i2c.paged import PagedMemory
from fakes.images import image
from fakes.module import FakeModule
from fakes.products import PRODUCTS
from tests.test_cmis import Image

OWN = """
[[quirk]]
name = "own"
vendor = "acme*"
part_number = "QDD-?00G*"
firmware = "2.0-3.7"
not_offered = ["rx_power_watts"]
offered = ["aux1"]
banks = 2
settle_s = 0.02
busy_limit_s = 0.5
single_byte = true
replace = { tx_power_watts = { offset = 170, lsb = "1/1000000" } }
"""


def named(firmware: str = "0205") -> Image:
    image = Image(banks=2)
    image.set(0x00, 39, firmware)
    page = image.pages[0, 0x00]
    page[129:145] = b"ACME OPTICS     "
    page[148:164] = b"QDD-400G-DR4    "
    return image


def test_a_row_changes_what_it_names_and_nothing_of_other_modules() -> None:
    image = named()
    image.set(0x01, 142, "00")
    image.set(0x01, 159, "03")
    image.set(0x11, 170, "0064")
    image.set(0x00, 18, "0007")
    own = maps.Maps(parse(OWN, name="own.toml"))
    memory = image.memory()
    found = own.identify(memory).describe(memory)
    values = found.plan().decode_memory(memory)
    assert found.banks == 2
    assert q.RX_POWER not in values.lanes
    assert values.values[q.AUX1] == 7.0
    assert values.lanes[q.TX_POWER][1] == 0.0001
    assert maps.shape("cmis", found) == Shape("cmis", False, 2, 0.02, 0.5, True)
    image.set(0x00, 39, "0308")
    other = own.identify(memory).describe(image.memory())
    assert (other.banks, q.RX_POWER in other.plan().decode_memory(image.memory()).lanes) == (1, True)
    assert maps.shape("cmis", other) == Shape("cmis", flat=False, banks=1)


@pytest.mark.parametrize(
    ("limits", "firmware", "want"),
    [
        ("2.0-3.7", "2.0", True),
        ("2.0-3.7", "3.8", False),
        ("-3.7", "0.1", True),
        ("2.0-", "10.0", True),
        ("2.5", "2.5", True),
        ("2.5", "2.6", False),
        ("2.0-", "Invalid", False),
        ("2.0-", "", False),
        ("", "", True),
    ],
)
def test_firmware_range(limits: str, firmware: str, want: bool) -> None:
    (row,) = parse(f'[[quirk]]\nname = "x"\nfirmware = "{limits}"', name="own.toml")
    module = Module(firmware_revision=firmware) if firmware else Module()
    assert row.applies(module, None) is want


def test_later_rows_win() -> None:
    rows = parse(
        '[[quirk]]\nname = "a"\nsettle_s = 0.1\nbusy_limit_s = 0.2\n[[quirk]]\nname = "b"\nsettle_s = 0.3',
        name="own.toml",
    )
    found = effects(rows, Module())
    assert (found.names, found.settle_s, found.busy_limit_s) == (("a", "b"), 0.3, 0.2)
    assert effects((), Module()).names == ()


def test_the_built_in_rows_are_read_and_cite_where_they_come_from() -> None:
    assert len(builtin()) >= 9
    assert all(row.reference and row.text for row in builtin())
    assert len({row.name for row in builtin()}) == len(builtin())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[quirk]]\nname = 3", r"own.toml: quirk\[0\].name"),
        ('[[quirk]]\nname = "x"\nofered = ["a"]', r"quirk\[0\].ofered: unknown key, did you mean 'offered'\?"),
        ('[[quirk]]\nname = "x"\nfirmware = "two"', r"quirk\[0\].firmware"),
        ('[[quirk]]\nname = "x"\nbanks = 9', r"quirk\[0\].banks"),
        ('[[quirk]]\nname = "x"\nreplace = { tx_power_watts = { lsb = "1/0" } }', "fraction"),
        ('[[quirk]]\nname = "x"\nreplace = { tx_power_watts = { lsb = [] } }', "replace.tx_power_watts.lsb"),
        ("[[quirk", "own.toml: Expected"),
        ('[[quirk]]\nname = "x"\nreplace = { rx_pwr_watts = {} }', "did you mean 'rx_power_watts'"),
        ('[[quirk]]\nname = "x"\nnot_offered = ["rx_lost"]', "a reading has no 'rx_lost', did you mean 'rx_los'"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text, name="own.toml")


def test_the_users_file(tmp_path: Path) -> None:
    path = tmp_path / "quirks.toml"
    with pytest.raises(ConfigError, match=r"quirks\.toml"):
        maps.load_quirks(path)
    path.write_text(OWN)
    assert maps.load_quirks(path)[0].name == "own"


class SlowBus:
    """A module that does not acknowledge for a while after a page select. Logs what is asked of it."""

    def __init__(self, busy_for: int) -> None:
        self.busy_for = busy_for
        self.busy = 0
        self.page = 0
        self.log: list[tuple[int, int]] = []

    def transfer(self, address: int, out: bytes, n: int) -> bytes:
        if self.busy:
            self.busy -= 1
            raise ModuleAbsent("no acknowledge")
        if out[0] == 127 and len(out) == 2:
            self.page, self.busy = out[1], self.busy_for
            return b""
        self.log.append((out[0], n))
        image = bytes(range(126)) + bytes((0, self.page)) + bytes(range(128, 256))
        return image[out[0] : out[0] + n]

    def close(self) -> None:
        return


def test_the_driver_follows_the_delays_and_sizes_of_the_quirk_data() -> None:
    waits: list[float] = []
    bus = SlowBus(busy_for=80)
    memory = PagedMemory(bus, busy_limit_s=0.05, sleep=waits.append, clock=lambda: sum(waits))
    memory.shape = Shape("cmis", flat=False, settle_s=0.02)
    with pytest.raises(ModuleAbsent):
        memory.read(Span(128, 2, 0x11))
    assert waits[0] == 0.02
    bus.busy = 0
    memory.shape = Shape("cmis", flat=False, busy_limit_s=0.5, single_byte=True)
    bus.log.clear()
    assert memory.read(Span(128, 3, 0x11)) == bytes((128, 129, 130))
    assert bus.log[-4:-1] == [(128, 1), (129, 1), (130, 1)]  # behind them the page select is looked at


def test_identify_names_what_it_does_not_know() -> None:
    memory = Memory()
    memory.put(Span(0, 1), b"\x06")
    with pytest.raises(DecodeError, match="unsupported memory map 0x06: XFP"):
        maps.identify(memory)


def test_the_example_in_the_documents_is_valid() -> None:
    page = (Path(__file__).parent.parent / "docs" / "quirks.md").read_text(encoding="utf-8")
    (example,) = [block.split("```")[0] for block in page.split("```toml\n")[1:] if block.startswith("[[quirk]]")]
    first, second = parse(example, name="docs/quirks.md")
    assert first.applies(
        Module(vendor_name="ACME OPTICS", part_number="QDD-400G-DR4", firmware_revision="3.7"), None
    )
    assert second.vdm[104].name == "multi_path_interference"


class OneByte:
    """A stick that answers the first byte of a read, and zeros behind it."""

    def __init__(self, module: FakeModule) -> None:
        self.module = module

    def transfer(self, address: int, out: bytes, n: int) -> bytes:
        data = self.module.transfer(address, out, n)
        return data[:1] + bytes(n - 1) if n else data

    def close(self) -> None:
        pass


def test_a_module_that_answers_one_byte_a_read_is_found_out_and_read_byte_by_byte() -> None:
    module = FakeModule(image(PRODUCTS["sfp-10g-lr"], serial="ST1CK"))
    module.put(Span(96, 10, i2c=I2C_DIAGNOSTICS), bytes.fromhex("2880 80e8 3e80 1388 0fa0"))
    memory = PagedMemory(OneByte(module), sleep=lambda _: None)
    session = ModuleSession(memory, identify=maps.identify, sleep=lambda _: None)
    for _ in range(2):
        found = session.refresh()
        assert found.description is not None
        assert found.values is not None
        assert found.description.module.get("serial_number") == "ST1CK"
        assert found.values.values[q.TEMPERATURE] == 40.5
        assert found.values.lanes[q.RX_POWER] == {1: 0.0004}
    assert memory.shape.single_byte


def test_a_module_that_holds_one_byte_is_no_such_stick() -> None:
    memory = Memory()
    memory.put(Span(0, 256), b"\x03" + bytes(255))
    session = ModuleSession(PagedMemory(FakeModule(memory), sleep=lambda _: None), identify=maps.identify)
    assert session.refresh().present
