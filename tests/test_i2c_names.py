"""An adapter by a name that stays when its number changes."""

from pathlib import Path

import pytest

from agent import maps
from agent.errors import BusGone, NotPermitted
from agent.memory import Span
from agent.modules.session import ModuleSession
from agent.sources import Cage, Options
from drivers.i2c.cages import I2cDriver
from drivers.i2c.names import AdapterName
from fakes.adapter import FakeAdapter
from fakes.i2cdev import FakeI2cDev
from fakes.scenario import Scenario
from fakes.switch import FakeSwitch


class Host:
    """Adapters in a /sys of their own: what they are called, where they sit, which number they have."""

    def __init__(self, sys: Path) -> None:
        self.sys = sys
        self.kernel = FakeI2cDev({})
        (sys / "bus/i2c/devices").mkdir(parents=True)

    def plug(self, number: int, adapter: FakeAdapter, *, name: str, at: str) -> None:
        folder = self.sys / "devices" / at / f"i2c-{number}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n", encoding="utf-8")
        (self.sys / f"bus/i2c/devices/i2c-{number}").symlink_to(folder)
        self.kernel.adapters[f"/dev/i2c-{number}"] = adapter
        adapter.plug()

    def unplug(self, number: int) -> None:
        link = self.sys / f"bus/i2c/devices/i2c-{number}"
        (link / "name").unlink()
        link.resolve().rmdir()
        link.unlink()
        self.kernel.adapters.pop(f"/dev/i2c-{number}").unplug()

    def open(self, address: str) -> Cage:
        driver = I2cDriver(calls=self.kernel, sys=self.sys, owner=lambda: "")
        return driver.open(address, Options({}, of=address))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def filled() -> FakeAdapter:
    return FakeSwitch(1, Scenario(description="", modules=["sfp-10g-lr"])).ports[0].adapter


@pytest.mark.parametrize("address", ["adapter=CP2112 SMBus Bridge*", "adapter=*/usb1/1-4/*"])
def test_back_under_another_number(host: Host, address: str) -> None:
    adapter = filled()
    host.plug(3, FakeAdapter(), name="SMBus I801 adapter at efa0", at="pci0/0.3")
    host.plug(7, adapter, name="CP2112 SMBus Bridge on hidraw1", at="pci0/usb1/1-4/hid")
    session = ModuleSession(host.open(address).memory, identify=maps.Maps(()).identify)
    assert session.refresh().values is not None
    serial = session.last_module.get("serial_number")
    host.unplug(7)
    gone = session.refresh()
    assert gone.failure is not None
    assert gone.failure.reason == "bus_gone"
    session.close()
    host.plug(8, FakeAdapter(), name="another", at="pci0/usb1/1-3/hid")
    host.plug(9, adapter, name="CP2112 SMBus Bridge on hidraw2", at="pci0/usb1/1-4/hid")
    back = session.refresh()
    assert back.values is not None
    assert back.change is None
    assert session.last_module.get("serial_number") == serial


def test_none_and_several(host: Host) -> None:
    find = AdapterName("i2c-ocores", sys=host.sys)
    with pytest.raises(BusGone, match="no adapter is 'i2c-ocores' now"):
        find()
    host.plug(1, FakeAdapter(), name="i2c-ocores", at="a")
    assert find() == "/dev/i2c-1"
    host.plug(2, FakeAdapter(), name="i2c-ocores", at="b")
    with pytest.raises(BusGone, match="i2c-1, i2c-2 are all"):
        find()
    assert AdapterName("*/b/*", sys=host.sys)() == "/dev/i2c-2"


def test_one_that_comes_later(host: Host) -> None:
    memory = host.open("adapter=late").memory
    with pytest.raises(BusGone):
        memory.read(Span(0, 1))
    host.plug(5, filled(), name="late", at="a")
    assert memory.read(Span(0, 1)) == b"\x03"


def bind(host: Host, number: int) -> None:
    """Give the module to a driver of the kernel."""
    driver = host.sys / "bus/i2c/drivers/optoe"
    driver.mkdir(parents=True)
    module = host.sys / f"bus/i2c/devices/{number}-0050"
    module.mkdir()
    (module / "driver").symlink_to(driver)


def test_a_module_of_the_kernel_is_left_alone_whatever_the_bus_is_called(host: Host) -> None:
    host.plug(5, filled(), name="mine", at="a")
    bind(host, 5)
    with pytest.raises(NotPermitted, match="optoe has the module"):
        host.open("adapter=mine")


@pytest.mark.parametrize("address", ["adapter=late", "5"])
def test_one_that_comes_later_with_a_driver_of_the_kernel_is_left_alone_too(host: Host, address: str) -> None:
    memory = host.open(address).memory
    adapter = filled()
    host.plug(5, adapter, name="late", at="a")
    bind(host, 5)
    with pytest.raises(NotPermitted, match="optoe has the module"):
        memory.read(Span(0, 1))
    assert adapter.traffic.messages == 0
