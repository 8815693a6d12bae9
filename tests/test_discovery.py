"""Discovery on copied trees of /sys and fake kernels: what is found, and what is never touched."""

from pathlib import Path

import pytest

from agent.config import file as config
from agent.memory import Memory, Span
from drivers import discovery
from drivers.discovery import Found, ListedPort
from fakes.adapter import SMBUS_WORD, FakeAdapter
from fakes.eeprom import FakeEepromFiles
from fakes.i2cdev import FakeI2cDev
from fakes.module import FakeModule


def nobody() -> str:
    return ""


def sfp() -> FakeModule:
    """An SFP by ACME: the check sum of bytes 0-62 is right."""
    head = bytearray(128)
    head[0:3] = b"\x03\x04\x07"
    head[20:36] = b"ACME OPTICS     "
    head[40:56] = b"SFP-10G-SR      "
    head[68:84] = b"SN0001          "
    head[63] = sum(head[:63]) & 0xFF
    head[95] = sum(head[64:95]) & 0xFF
    memory = Memory()
    memory.put(Span(0, 128), bytes(head))
    return FakeModule(memory)


def eeprom(data: bytes) -> FakeModule:
    """Something else at 50h: an EEPROM of a memory module, of a board, of a monitor."""
    memory = Memory()
    memory.put(Span(0, 256), data.ljust(256, b"\xff"))
    return FakeModule(memory, family="sff8472")


class Host:
    """A tree of /sys with I2C buses, and the adapters behind their device nodes."""

    def __init__(self, root: Path) -> None:
        self.sys = root / "sys"
        (self.sys / "bus/i2c/devices").mkdir(parents=True)
        self.adapters: dict[str, FakeAdapter] = {}
        self.files: dict[str, FakeModule] = {}

    def bus(self, number: int, name: str, *devices: FakeModule, pci_class: str = "", funcs: int = 0) -> Path:
        parent = self.sys / f"devices/pci0000:00/dev{number}"
        folder = parent / f"i2c-{number}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n", encoding="utf-8")
        if pci_class:
            (parent / "class").write_text(f"{pci_class}\n", encoding="utf-8")
        (self.sys / f"bus/i2c/devices/i2c-{number}").symlink_to(folder)
        adapter = FakeAdapter(*devices, funcs=funcs) if funcs else FakeAdapter(*devices)
        self.adapters[f"/dev/i2c-{number}"] = adapter
        return folder

    def client(self, number: int, address: int, name: str, driver: str = "") -> Path:
        folder = self.sys / f"bus/i2c/devices/i2c-{number}"
        device = folder.resolve() / f"{number}-{address:04x}"
        device.mkdir()
        (device / "name").write_text(f"{name}\n", encoding="utf-8")
        if driver:
            (self.sys / f"bus/i2c/drivers/{driver}").mkdir(parents=True, exist_ok=True)
            (device / "driver").symlink_to(self.sys / f"bus/i2c/drivers/{driver}")
        (self.sys / f"bus/i2c/devices/{device.name}").symlink_to(device)
        return self.sys / f"bus/i2c/devices/{device.name}"

    def scan(self, *, everything: bool = False, owner: str = "") -> dict[str, Found]:
        calls = FakeI2cDev(self.adapters)
        found = discovery.i2c_buses(everything=everything, sys=self.sys, calls=calls, owner=lambda: owner)
        return {way.source: way for way in found}

    def touched(self, number: int) -> bool:
        return bool(self.adapters[f"/dev/i2c-{number}"].log)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_module_on_a_bus_is_found(host: Host) -> None:
    host.bus(12, "i2c-tiny-usb at bus 001 device 002", sfp())
    assert host.scan() == {
        "i2c:12": Found("i2c:12", "i2c-12", "module", "SFP ACME OPTICS SFP-10G-SR SN0001"),
    }
    assert all(len(m.data) == 1 for m in host.adapters["/dev/i2c-12"].log if not m.read)


def test_an_empty_bus_is_no_find(host: Host) -> None:
    host.bus(3, "Synopsys DesignWare I2C adapter")
    assert host.scan() == {}


@pytest.mark.parametrize(
    "data",
    [
        bytes.fromhex("2310 0c02 8521 00"),  # SPD of DDR4
        b"TlvInfo\0\x01\0\x42",  # ONIE
        bytes.fromhex("0100 0001 0500 00f9"),  # IPMI FRU: 01h would be a GBIC
        bytes.fromhex("00ffffffffffff00"),  # EDID
        bytes.fromhex("11223344556677"),  # 11h would be a QSFP28
        bytes.fromhex("18ffffff"),
        bytes(256),
        b"\xff" * 256,
    ],
)
def test_other_eeproms_at_50h_are_no_modules(data: bytes, host: Host) -> None:
    host.bus(5, "some adapter", eeprom(data))
    assert host.scan() == {}


def test_the_mainboards_smbus_is_not_touched(host: Host) -> None:
    host.bus(0, "SMBus PIIX4 adapter at 0700", eeprom(bytes.fromhex("23100c02")), funcs=SMBUS_WORD)
    host.bus(1, "SMBus I801 adapter at efa0", sfp())
    found = host.scan()
    assert {way.status for way in found.values()} == {"left alone"}
    assert "memory modules" in found["i2c:0"].detail
    assert not host.touched(0)
    assert not host.touched(1)
    assert host.scan(everything=True)["i2c:1"].status == "module"


@pytest.mark.parametrize("name", ["spd", "ee1004", "spd5118"])
def test_memory_modules_are_never_touched(name: str, host: Host) -> None:
    host.bus(0, "SMBus I801 adapter at efa0", eeprom(b"\x23"))
    host.client(0, 0x50, name, "ee1004")
    assert host.scan(everything=True)["i2c:0"].detail == "memory modules (SPD) are on it"
    assert not host.touched(0)


def test_a_bound_driver_keeps_the_bus_until_told_otherwise(host: Host) -> None:
    host.bus(31, "i2c-0-mux (chan_id 3)", sfp())
    host.client(31, 0x50, "optoe2", "optoe")
    assert host.scan()["i2c:31"] == Found(
        "i2c:31", "i2c-31", "left alone", "the kernel's driver optoe has address 50h"
    )
    assert not host.touched(31)
    assert host.scan(everything=True)["i2c:31"].status == "module"


def test_a_driver_at_another_address_does_not_matter(host: Host) -> None:
    host.bus(7, "adapter", sfp())
    host.client(7, 0x48, "lm75", "lm75")
    assert host.scan()["i2c:7"].status == "module"


@pytest.mark.parametrize(
    ("name", "pci_class"), [("NVIDIA i2c adapter 1 at 1:00.0", ""), ("DPDDC-A", ""), ("adapter", "0x030000")]
)
def test_graphics_cards_are_never_touched(name: str, pci_class: str, host: Host) -> None:
    host.bus(4, name, eeprom(bytes.fromhex("00ffffffffffff00")), pci_class=pci_class)
    assert "monitors" in host.scan(everything=True)["i2c:4"].detail
    assert not host.touched(4)


def test_behind_a_mux_the_channels_are_asked(host: Host) -> None:
    parent = host.bus(12, "adapter", sfp())
    device = host.client(12, 0x70, "pca9548", "pca954x")
    child = host.bus(30, "i2c-12-mux (chan_id 0)", sfp())
    (device.resolve() / "channel-0").symlink_to(child)
    found = host.scan()
    assert found["i2c:12"].detail.startswith("its modules are behind a mux")
    assert found["i2c:30"].status == "module"
    assert parent.exists()
    assert not host.touched(12)


def test_another_daemons_modules_are_left_alone(host: Host) -> None:
    host.bus(12, "adapter", sfp())
    assert host.scan(owner="xcvrd")["i2c:12"].detail == "xcvrd owns the modules"
    assert not host.touched(12)


def test_a_bus_that_fails_is_said(host: Host) -> None:
    host.bus(12, "adapter", sfp())
    host.bus(13, "adapter", sfp())
    host.adapters["/dev/i2c-12"].denied = True
    del host.adapters["/dev/i2c-13"]  # no device node: nothing to offer
    found = host.scan()
    assert found["i2c:12"].status == "failed"
    assert "permission denied" in found["i2c:12"].detail
    assert "i2c:13" not in found


def test_no_i2c_at_all(tmp_path: Path) -> None:
    assert list(discovery.i2c_buses(sys=tmp_path, owner=nobody)) == []
    assert list(discovery.eeprom_files(sys=tmp_path)) == []


def test_eeprom_files(host: Host) -> None:
    host.bus(30, "mux", sfp())
    files: dict[str, FakeModule] = {}
    for number, name, driver, module in (
        (30, "optoe2", "optoe", sfp()),
        (31, "optoe1", "optoe", None),
        (32, "24c02", "at24", sfp()),
        (33, "24c02", "at24", eeprom(b"TlvInfo")),
        (34, "spd", "at24", sfp()),
    ):
        if number != 30:
            host.bus(number, "mux")
        device = host.client(number, 0x50, name, driver)
        (device / "eeprom").touch()
        files[str(device / "eeprom")] = module or sfp()
        if module is None:
            files[str(device / "eeprom")].remove()
    (host.sys / "bus/i2c/devices/30-0050/port_name").write_text("Ethernet0", encoding="utf-8")
    found = list(discovery.eeprom_files(sys=host.sys, files=FakeEepromFiles(files)))
    assert [(way.port, way.status) for way in found] == [
        ("Ethernet0", "module"),
        ("31-0050", "empty"),
        ("32-0050", "module"),
    ]


def test_an_eeprom_file_that_goes_while_it_is_asked_costs_no_other(host: Host) -> None:
    for number in (30, 31):
        host.bus(number, "mux")
        (host.client(number, 0x50, "optoe1", "optoe") / "eeprom").touch()
    there = {str(host.sys / "bus/i2c/devices/31-0050/eeprom"): sfp()}
    found = discovery.eeprom_files(sys=host.sys, files=FakeEepromFiles(there))  # opening the other: ENOENT
    assert [(way.port, way.status) for way in found] == [("31-0050", "module")]


def test_serial_ports_with_the_name_of_a_bridge() -> None:
    ports = [
        ListedPort("/dev/ttyS0", "ttyS0"),
        ListedPort("/dev/ttyUSB0", "I2CDriver", "I2CDriver", "DO01JXYZ"),
        ListedPort("/dev/ttyUSB1", "FT232R USB UART", "FT232R USB UART", "A1"),
        ListedPort("/dev/ttyACM0", "Bus Pirate CDC", "Bus Pirate v4"),
    ]
    found = list(discovery.serial_bridges(ports))
    assert [way.source for way in found] == ["serial:serial=DO01JXYZ", "serial:/dev/ttyACM0"]


def test_what_is_found_is_a_config_ready_to_save() -> None:
    found = [
        Found("ethtool:eth2", "eth2", "module", "QSFP28 ACME"),
        Found("sysfs:/sys/bus/i2c/devices/31-0050/eeprom", "Ethernet0", "empty", "no module"),
        Found("i2c:12", "i2c-12", "module", 'SFP "ACME"'),
        Found("i2c:0", "i2c-0", "left alone", "the mainboard's SMBus"),
        Found("serial:serial=DO01JXYZ", "ttyUSB0", "empty", "I2CDriver"),
    ]
    text = discovery.as_config(found)
    sources = config.parse(text, name="scan").source
    assert [section.type for section in sources] == ["ethtool", "sysfs", "i2c", "serial"]
    assert "i2c-0" not in text


def test_without_a_config(host: Host) -> None:
    host.bus(30, "mux")
    device = host.client(30, 0x50, "optoe1", "optoe")
    (device / "eeprom").touch()
    text = discovery.default_config(sys=host.sys, files=FakeEepromFiles({str(device / "eeprom"): sfp()}))
    sources = config.parse(text, name="discovery").source
    assert [section.type for section in sources] == ["ethtool", "sysfs"]
    nothing = config.parse(discovery.default_config(sys=host.sys / "none"), name="discovery").source
    assert [section.type for section in nothing] == ["ethtool"]
