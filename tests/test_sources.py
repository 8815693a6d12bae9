"""Source names, options, the registry of drivers, and who else owns a module."""

from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from agent.config import file as config
from agent.config.sources import ModuleSource
from agent.errors import ConfigError, NotPermitted, PageRefused
from agent.memory import Memory, Shape, Span
from agent.sources import Cage, Options, parse_source
from drivers import registry
from drivers.coexistence import module_owner, remembered
from drivers.i2c.cages import I2cDriver
from drivers.registry import Registry
from drivers.sysfs import SysfsDriver
from fakes.adapter import FakeAdapter
from fakes.i2cdev import FakeI2cDev
from fakes.module import FakeModule
from fakes.mux import FakeMux


def nobody() -> str:
    return ""


def module(byte: int) -> FakeModule:
    memory = Memory()
    memory.put(Span(0, 128), bytes((0x18, 0x50, 0, byte)) + bytes(124))
    return FakeModule(memory)


@pytest.fixture
def sys(tmp_path: Path) -> Path:
    """A tree with bus 12, its kernel mux at 70h with channels 0 and 1 as buses 30 and 31, optoe bound on bus 31."""
    root = tmp_path / "sys"
    adapter = root / "devices/pci/i2c-12"
    devices = root / "bus/i2c/devices"
    devices.mkdir(parents=True)
    for number in (30, 31):
        (adapter / f"i2c-{number}").mkdir(parents=True)
        (devices / f"i2c-{number}").symlink_to(adapter / f"i2c-{number}")
        channel = adapter / f"12-0070/channel-{number - 30}"
        channel.parent.mkdir(exist_ok=True)
        channel.symlink_to(adapter / f"i2c-{number}")
    (devices / "i2c-12").symlink_to(adapter)
    (devices / "12-0070").symlink_to(adapter / "12-0070")
    (root / "bus/i2c/drivers/optoe").mkdir(parents=True)
    (adapter / "i2c-31/31-0050").mkdir()
    (adapter / "i2c-31/31-0050/driver").symlink_to(root / "bus/i2c/drivers/optoe")
    (adapter / "i2c-31/31-0050/eeprom").touch()
    (devices / "31-0050").symlink_to(adapter / "i2c-31/31-0050")
    return root


def open_i2c(address: str, sys: Path, adapters: dict[str, FakeAdapter] | None = None, **values: str) -> Cage:
    driver = I2cDriver(calls=FakeI2cDev(adapters or {}), sys=sys, owner=nobody)
    return driver.open(address, Options(values, of="i2c"))


def test_names_are_taken_apart() -> None:
    name = parse_source("serial:/dev/ttyUSB0?adapter=i2cdriver&x")
    assert (name.kind, name.address, name.options) == ("serial", "/dev/ttyUSB0", {"adapter": "i2cdriver", "x": ""})
    assert str(parse_source("i2c:12:0x70.3")) == "i2c:12:0x70.3"
    assert parse_source("sonic:").address == ""


@pytest.mark.parametrize("text", ["", "12", "/dev/i2c-12", ":12", "i 2c:3"])
def test_what_is_no_source(text: str) -> None:
    with pytest.raises(ConfigError, match="is no source"):
        parse_source(text)


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({"chnk": "16"}, "i2c: unknown option 'chnk'", "did you mean 'chunk'?"),
        ({"zz": "1"}, "unknown option 'zz'", "it takes chunk, shared"),
        ({"chunk": "many"}, "chunk=many: a number is expected", ""),
        ({"chunk": "999"}, "chunk=999: 0 to 256 is expected", ""),
        ({"shared": "perhaps"}, "shared=perhaps: yes or no", ""),
    ],
)
def test_bad_options(values: dict[str, str], message: str, hint: str) -> None:
    options = Options(values, of="i2c")
    with pytest.raises(ConfigError, match=message) as caught:  # noqa: PT012 - the three are one act
        options.flag("shared", default=True)
        options.number("chunk", most=256)
        options.finish()
    assert caught.value.hint == hint


def test_good_options() -> None:
    options = Options({"shared": "no", "exclusive": "", "chunk": "16"}, of="i2c")
    assert not options.flag("shared", default=True)
    assert options.flag("exclusive", default=False)
    assert options.number("chunk") == 16
    assert options.text("mux", "pca9548") == "pca9548"
    options.finish()


@pytest.mark.parametrize(
    ("address", "source", "port", "bus"),
    [
        ("12", "i2c:12", "i2c-12", "i2c-12"),
        ("/dev/i2c-12", "i2c:12", "i2c-12", "i2c-12"),
        ("12:0x71.3", "i2c:12:0x71.3", "i2c-12-71.3", "i2c-12"),
        ("12:0x70.0", "i2c:12:0x70.0", "i2c-12-70.0", "i2c-12"),
        ("30", "i2c:30", "i2c-30", "i2c-12"),
        ("77", "i2c:77", "i2c-77", "i2c-77"),
    ],
)
def test_cages_of_i2c(address: str, source: str, port: str, bus: str, sys: Path) -> None:
    cage = open_i2c(address, sys)
    assert (cage.source, cage.port, cage.bus, cage.owner) == (source, port, bus, "")


def test_a_channel_of_a_kernel_mux_is_its_bus(sys: Path) -> None:
    cage = open_i2c("12:0x70.0", sys, {"/dev/i2c-30": FakeAdapter(module(30))})
    assert cage.memory.read(Span(3, 1)) == bytes((30,))


def test_a_mux_behind_a_kernel_mux(sys: Path) -> None:
    adapter = FakeAdapter(FakeMux(0x71, {5: [module(5)]}))
    cage = open_i2c("12:0x70.0:0x71.5", sys, {"/dev/i2c-30": adapter})
    assert cage.memory.read(Span(3, 1)) == bytes((5,))
    assert adapter.log[0].data == b"\x20"


def test_cages_of_one_bus_share_it(sys: Path) -> None:
    adapter = FakeAdapter(FakeMux(0x72, {0: [module(1)], 1: [module(2)]}), FakeMux(0x73, {0: [module(3)]}))
    driver = I2cDriver(calls=FakeI2cDev({"/dev/i2c-12": adapter}), sys=sys, owner=nobody)
    cages = [driver.open(f"12:{hop}", Options({}, of="i2c")) for hop in ("0x72.0", "0x72.1", "0x73.0")]
    assert [cage.memory.read(Span(3, 1))[0] for cage in (*cages, *cages)] == [1, 2, 3, 1, 2, 3]
    assert adapter.opens == 1


def test_a_multiplexer_is_named(sys: Path) -> None:
    adapter = FakeAdapter(FakeMux(0x71, {2: [module(2)]}, enable=8))
    cage = open_i2c("12:0x71.2", sys, {"/dev/i2c-12": adapter}, mux="pca9547")
    assert cage.memory.read(Span(3, 1)) == b"\x02"
    with pytest.raises(ConfigError, match="unknown mux 'pca1'"):
        open_i2c("12:0x71.2", sys, mux="pca1")


def test_a_module_of_a_kernel_driver_is_refused(sys: Path) -> None:
    with pytest.raises(NotPermitted, match="driver optoe has the module of /dev/i2c-31") as caught:
        open_i2c("31", sys)
    assert caught.value.hint.startswith("use sysfs:")
    assert caught.value.hint.endswith("31-0050/eeprom")
    assert open_i2c("31", sys, exclusive="yes").port == "i2c-31"


@pytest.fixture
def processes(tmp_path: Path) -> Callable[[int, str], Path]:
    def add(pid: int, cmdline: str) -> Path:
        folder = tmp_path / "proc" / str(pid)
        folder.mkdir(parents=True)
        (folder / "cmdline").write_bytes(cmdline.replace(" ", "\0").encode() + b"\0")
        return folder.parent

    return add


@pytest.mark.parametrize(
    ("cmdline", "owner"),
    [
        ("/usr/bin/python3 /usr/local/bin/xcvrd --skip_cmis_mgr", "xcvrd"),
        ("/opt/fboss/bin/qsfp_service --config x", "qsfp_service"),
        ("vim /etc/xcvrd.conf", ""),
        ("grep -r xcvrd", ""),
        ("xcvrd-helper", ""),
    ],
)
def test_owners_in_the_process_list(cmdline: str, owner: str, processes: Callable[[int, str], Path]) -> None:
    processes(1, "/sbin/init")
    processes(3, "")
    assert module_owner(processes(240, cmdline)) == owner


@pytest.mark.parametrize(
    ("unit", "owner"),
    [("pmon.service", "xcvrd"), ("qsfp_service.service", "qsfp_service"), ("ssh.service", ""), ("pmon.socket", "")],
)
def test_owners_whose_processes_are_hidden(unit: str, owner: str, tmp_path: Path) -> None:
    """`/run/systemd/units` has a dangling link for each unit that runs; of the processes only our own are seen."""
    (tmp_path / f"invocation:{unit}").symlink_to("0123456789abcdef0123456789abcdef")
    (tmp_path / "proc" / "4711").mkdir(parents=True)
    (tmp_path / "proc" / "4711" / "cmdline").write_bytes(b"/opt/opticd/bin/opticd\0run\0")
    assert module_owner(tmp_path / "proc", tmp_path) == owner


def test_the_process_list_decides_where_it_is_seen(tmp_path: Path) -> None:
    """A pmon whose xcvrd is turned off owns nothing."""
    (tmp_path / "invocation:pmon.service").symlink_to("0123456789abcdef0123456789abcdef")
    (tmp_path / "proc" / "1").mkdir(parents=True)
    (tmp_path / "proc" / "1" / "cmdline").write_bytes(b"/sbin/init\0")
    assert module_owner(tmp_path / "proc", tmp_path) == ""


def test_an_owner_that_begins_later_is_told_of_the_cages_that_come_later() -> None:
    now, running = 100.0, ""
    owner = remembered(lambda: running, clock=lambda: now)
    assert owner() == ""
    running = "xcvrd"
    now = 109.0
    assert owner() == ""
    now = 111.0
    assert owner() == "xcvrd"


def test_raw_i2c_beside_an_owner_is_refused(sys: Path) -> None:
    driver = I2cDriver(calls=FakeI2cDev({}), sys=sys, owner=lambda: "xcvrd")
    with pytest.raises(NotPermitted, match="xcvrd owns the modules") as caught:
        driver.open("12", Options({}, of="i2c"))
    assert "sonic:" in caught.value.hint
    assert driver.open("12", Options({"exclusive": "yes"}, of="i2c")).owner == "xcvrd"


class Echo:
    """A driver of another package: its only page holds the address."""

    def open(self, address: str, options: Options) -> Cage:
        return Cage(f"echo:{address}", address, "echo", _Echo(options.text("say", address).encode()))


class _Echo:
    def __init__(self, data: bytes) -> None:
        self.shape = Shape()
        self._data = data

    def read(self, span: Span) -> bytes:
        if span.page:
            raise PageRefused("one page", span=span)
        return self._data[: span.length]

    def close(self) -> None:
        """Nothing to give back."""


def with_entries(*entries: tuple[str, str]) -> Registry:
    made = Registry()
    for name, value in entries:
        made._entries[name] = EntryPoint(name, value, registry.GROUP)  # pyright: ignore[reportPrivateUsage]
    return made


def test_a_driver_is_found_by_its_entry_point() -> None:
    drivers = with_entries(("echo", "tests.test_sources:Echo"))
    assert drivers.open("echo:abc").memory.read(Span(0, 3)) == b"abc"
    assert drivers.open("echo:abc?say=xyz").memory.read(Span(0, 3)) == b"xyz"
    with pytest.raises(ConfigError, match="echo:abc: unknown option 'sya'"):
        drivers.open("echo:abc?sya=xyz")


def test_an_unknown_kind_names_the_nearest() -> None:
    drivers = with_entries(("echo", "tests.test_sources:Echo"))
    with pytest.raises(ConfigError, match="no driver for sources of kind 'ehco'") as caught:
        drivers.open("ehco:1")
    assert caught.value.hint == "did you mean echo:?"


def test_a_package_that_does_not_load_is_one_line() -> None:
    drivers = with_entries(("broken", "no_such_package_anywhere:Driver"))
    with pytest.raises(ConfigError, match=r"driver 'broken' of package .* does not load: No module named"):
        drivers.open("broken:1")


def test_a_driver_may_be_handed_over() -> None:
    drivers = Registry()
    drivers.add("here", Echo())
    assert drivers.open("here:ab").bus == "echo"
    assert "here" in drivers.kinds


def section(text: str) -> ModuleSource:
    (found,) = config.parse(f"[[source]]\n{text}", name="test.toml").source
    assert isinstance(found, ModuleSource)
    return found


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for number in (9, 10, 31):
        device = tmp_path / f"{number}-0050"
        device.mkdir()
        (device / "eeprom").write_bytes(bytes((number,)) * 640)
    (tmp_path / "0-0050").mkdir()
    (tmp_path / "0-0050/eeprom").write_bytes(b"\x23")
    (tmp_path / "0-0050/name").write_text("ee1004\n", encoding="utf-8")
    (tmp_path / "31-0050/port_name").write_text("Ethernet8", encoding="utf-8")
    return tmp_path


def test_one_section_for_all_eeprom_files(files: Path) -> None:
    registry = Registry()
    registry.add("sysfs", SysfsDriver(owner=nobody))
    text = f'type = "sysfs"\npath = "{files}/*-0050/eeprom"\nports = {{ "9-0050" = "first" }}'
    cages = registry.open_section(section(text))
    assert [cage.port for cage in cages] == ["first", "10-0050", "Ethernet8"]
    assert [cage.memory.read(Span(0, 1))[0] for cage in cages] == [9, 10, 31]
    for cage in cages:
        cage.memory.close()


@pytest.mark.parametrize(
    ("text", "source", "port"),
    [
        ('type = "i2c"\nbus = "12"', "i2c:12", "i2c-12"),
        ('type = "i2c"\nbus = "12:0x71.3"\nport = "p3"\nchunk = 16\nshared_bus = false', "i2c:12:0x71.3", "p3"),
        ('type = "sysfs"\npath = "/none/9-0050/eeprom"', "sysfs:/none/9-0050/eeprom", "9-0050"),
        ('type = "serial"\ndevice = "/dev/ttyUSB7"\nadapter = "sc18im700"', "serial:/dev/ttyUSB7", "ttyUSB7"),
        ('type = "plugin"\nname = "echo:abc?say=xyz"', "echo:abc", "abc"),
    ],
)
def test_sections_become_cages(text: str, source: str, port: str) -> None:
    drivers = with_entries(("echo", "tests.test_sources:Echo"))
    drivers.add("i2c", I2cDriver(owner=nobody))
    drivers.add("sysfs", SysfsDriver(owner=nobody))
    (cage,) = drivers.open_section(section(text))
    assert (cage.source, cage.port) == (source, port)
