"""Serial bridges: every byte of the three protocols by literals of their documents, on both sides of a pty."""

import fcntl
import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.errors import (
    BusError,
    BusGone,
    BusTimeout,
    ConfigError,
    DriverError,
    ModuleAbsent,
    NotPermitted,
    ShortRead,
    Unsupported,
)
from agent.memory import Memory, Span
from agent.sources import Cage, Options
from drivers.serial.bridge import SerialBus, SerialDriver
from drivers.serial.protocols import Bridge, BusPirate, I2cDriver, Sc18im700
from drivers.serial.wire import Wire
from fakes.module import FakeModule
from fakes.serial_bridges import Program, bus_pirate, i2c_driver, sc18im700
from fakes.serial_pty import FakePort, SerialLine

Start = Callable[..., SerialLine]
TIMEOUT_S = 0.4


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a program on a pty; all are ended with the test."""
    lines: list[SerialLine] = []

    def make(program: Program, baud: int, *, name: str = "ttyUSB0", noise_every: int = 0) -> SerialLine:
        lines.append(SerialLine(tmp_path / name, program, baud=baud, noise_every=noise_every))
        return lines[-1]

    yield make
    for line in lines:
        line.close()


def module() -> FakeModule:
    """25 degC at bytes 14 and 15 of a CMIS module with page 11h."""
    memory = Memory()
    memory.put(Span(0, 128), bytes((0x18, 0x50, 0, 6)) + bytes(10) + b"\x19\x00" + bytes(112))
    memory.put(Span(128, 128, page=0x11), bytes(range(128, 256)))
    return FakeModule(memory)


def bus_at(line: SerialLine, bridge: Bridge, *, timeout_s: float = TIMEOUT_S) -> SerialBus:
    return SerialBus(Wire(str(line.path), timeout_s=timeout_s, ports=list), (bridge,))


def scripted(*exchanges: tuple[str, str]) -> Program:
    """A device that knows exactly these (bytes heard, bytes said), in hex, and is silent after anything else."""

    def program(line: SerialLine) -> None:
        for heard, said in exchanges:
            want = bytes.fromhex(heard)
            if line.keys(len(want)) != want:
                break
            if said:
                line.emit(bytes.fromhex(said))
        while line.key() is not None:
            pass

    return program


# -- what the drivers say: the documents' bytes ---------------------------------------------------------------

STATUS = (b"[" + b"i2cdriver1 DO01JXYZ 000000061 4.971 000 23.8 I 1 1 100 24 ffff".ljust(78) + b"]").hex()
I2C_DRIVER_ATTACH = [
    ("40", ""),
    ("40" * 64, ""),
    ("6555", "55"),
    ("6500", "00"),
    ("65ff", "ff"),
    ("65aa", "aa"),
    ("3f", STATUS),
]
# s A0h, write one byte 0Eh; s A1h, read two and refuse the last, p, echo.
I2C_DRIVER_READ = [("73a0c00e", "3131"), ("73a181706501", "31190001")]

BUS_PIRATE_ATTACH = [("00" * 20, b"BBIO1".hex()), ("02", b"I2C1".hex())]
# Write-then-read: 08h, two bytes to write, none to read; version; one byte to write (A1h), two to read; version.
BUS_PIRATE_READ = [
    ("0800020000a00e", "01"),
    ("01", b"I2C1".hex()),
    ("0800010002a1", "01"),
    ("01", "1900" + b"I2C1".hex()),
]

SC18IM700_ATTACH = [("520a000150", "f0f002")]
SC18IM700_READ = [("53a0010e50520a000150", "f0f002"), ("53a10250520a000150", "1900f0f002")]


def quick_sc18im700() -> Sc18im700:
    return Sc18im700(sleep=lambda _: None)


@pytest.mark.parametrize(
    ("script", "bridge", "baud"),
    [
        (I2C_DRIVER_ATTACH + I2C_DRIVER_READ, I2cDriver, 1_000_000),
        (BUS_PIRATE_ATTACH + BUS_PIRATE_READ, BusPirate, 115_200),
        (SC18IM700_ATTACH + SC18IM700_READ, quick_sc18im700, 9600),
    ],
)
def test_a_read_byte_by_byte(
    script: list[tuple[str, str]], bridge: Callable[[], Bridge], baud: int, start: Start
) -> None:
    line = start(scripted(*script), baud)
    bus = bus_at(line, bridge())
    assert bus.transfer(0x50, b"\x0e", 2) == b"\x19\x00"
    assert line.heard.hex() == "".join(heard for heard, _ in script)
    bus.close()


@pytest.mark.parametrize(
    ("script", "bridge", "baud"),
    [
        # 76 bytes: 64 acknowledged ("a"), then 12 of which the last is not.
        (
            [*I2C_DRIVER_ATTACH, ("73a0c086", "3131"), ("73a161408b706501", "31" + bytes(range(76)).hex() + "01")],
            I2cDriver,
            1_000_000,
        ),
        (
            [
                *BUS_PIRATE_ATTACH,
                ("0800020000a086", "01"),
                ("01", b"I2C1".hex()),
                ("080001004ca1", "01"),
                ("01", bytes(range(76)).hex() + b"I2C1".hex()),
            ],
            BusPirate,
            115_200,
        ),
        (
            [
                *SC18IM700_ATTACH,
                ("53a0018650520a000150", "f0f002"),
                ("53a14c50520a000150", bytes(range(76)).hex() + "f0f002"),
            ],
            quick_sc18im700,
            9600,
        ),
    ],
)
def test_a_long_read(script: list[tuple[str, str]], bridge: Callable[[], Bridge], baud: int, start: Start) -> None:
    line = start(scripted(*script), baud)
    bus = bus_at(line, bridge())
    assert bus.transfer(0x50, b"\x86", 76) == bytes(range(76))
    bus.close()


@pytest.mark.parametrize(
    ("script", "bridge", "baud"),
    [
        ([*I2C_DRIVER_ATTACH, ("73a0c27e0111706501", "313101")], I2cDriver, 1_000_000),
        ([*BUS_PIRATE_ATTACH, ("0800040000a07e0111", "01"), ("01", b"I2C1".hex())], BusPirate, 115_200),
        ([*SC18IM700_ATTACH, ("53a0037e011150520a000150", "f0f002")], quick_sc18im700, 9600),
    ],
)
def test_a_page_select(
    script: list[tuple[str, str]], bridge: Callable[[], Bridge], baud: int, start: Start
) -> None:
    line = start(scripted(*script), baud)
    bus = bus_at(line, bridge())
    assert bus.transfer(0x50, b"\x7e\x01\x11", 0) == b""
    assert line.heard.hex() == "".join(heard for heard, _ in script)
    bus.close()


@pytest.mark.parametrize(
    ("script", "bridge", "baud", "error"),
    [
        # I2CDriver's status is 0011 0ATK; then p and an echo find the end.
        ([*I2C_DRIVER_ATTACH, ("73a0c00e", "3030"), ("706501", "01")], I2cDriver, 1_000_000, ModuleAbsent),
        ([*I2C_DRIVER_ATTACH, ("73a0c00e", "3230")], I2cDriver, 1_000_000, BusTimeout),
        ([*I2C_DRIVER_ATTACH, ("73a0c00e", "3430")], I2cDriver, 1_000_000, BusTimeout),
        # The Bus Pirate says 0 and sends no STOP: 03h does.
        (
            [*BUS_PIRATE_ATTACH, ("0800020000a00e", "00"), ("0301", "01" + b"I2C1".hex())],
            BusPirate,
            115_200,
            ModuleAbsent,
        ),
        # I2CStat: no acknowledge of the address, of a byte, time-out.
        ([*SC18IM700_ATTACH, ("53a0010e50520a000150", "f1f002")], quick_sc18im700, 9600, ModuleAbsent),
        ([*SC18IM700_ATTACH, ("53a0010e50520a000150", "f2f002")], quick_sc18im700, 9600, ModuleAbsent),
        ([*SC18IM700_ATTACH, ("53a0010e50520a000150", "f8f002")], quick_sc18im700, 9600, BusTimeout),
        # Nothing, and too little.
        ([*I2C_DRIVER_ATTACH], I2cDriver, 1_000_000, BusTimeout),
        ([*SC18IM700_ATTACH, ("53a0010e50520a000150", "f0")], quick_sc18im700, 9600, ShortRead),
        ([*BUS_PIRATE_ATTACH[:1]], BusPirate, 115_200, BusTimeout),
    ],
)
def test_what_goes_wrong_is_one_error(
    script: list[tuple[str, str]], bridge: Callable[[], Bridge], baud: int, error: type[DriverError], start: Start
) -> None:
    line = start(scripted(*script), baud)
    bus = bus_at(line, bridge())
    with pytest.raises(DriverError) as caught:
        bus.transfer(0x50, b"\x0e", 2)
    assert type(caught.value) is error
    bus.close()


@pytest.mark.parametrize(
    ("baud", "registers"), [(9600, "f002"), (19_200, "7001"), (115_200, "3000"), (230_400, "1000")]
)
def test_the_baud_rate_registers_end_every_answer_of_the_sc18im700(baud: int, registers: str, start: Start) -> None:
    line = start(scripted(("520a000150", "f0" + registers), ("53a10150520a000150", "19f0" + registers)), baud)
    bus = bus_at(line, Sc18im700(baud=baud, sleep=lambda _: None))
    assert bus.transfer(0x50, b"", 1) == b"\x19"
    bus.close()


@pytest.mark.parametrize(
    ("options", "heard"),
    [
        ({"adapter": "i2cdriver", "clock": "400"}, "34"),
        ({"adapter": "i2cdriver", "clock": "100"}, "31"),
        ({"adapter": "buspirate", "clock": "400"}, "63"),
        ({"adapter": "buspirate", "clock": "100"}, "62"),
        ({"adapter": "buspirate", "power": "yes", "pullups": "yes"}, "4c"),
        ({"adapter": "buspirate", "pullups": "yes"}, "44"),
    ],
)
def test_settings_are_sent_once(options: dict[str, str], heard: str, start: Start) -> None:
    bridge = {"i2cdriver": i2c_driver, "buspirate": bus_pirate}[options["adapter"]]
    line = start(bridge([module()]), 1_000_000 if options["adapter"] == "i2cdriver" else 115_200)
    cage = open_cage(line, **options)
    for _ in range(2):
        assert cage.memory.read(Span(14, 2)) == b"\x19\x00"
    assert bytes(line.heard).count(bytes.fromhex(heard)) >= 1
    attached = bytes(line.heard)[:100].hex()
    assert heard in attached
    cage.memory.close()


# -- what the fakes say: the same documents, from the other side ----------------------------------------------


@pytest.mark.parametrize(
    ("program", "baud", "exchanges"),
    [
        (
            i2c_driver,
            1_000_000,
            [
                ("6555", "55"),
                ("73a0c00e", "3131"),
                ("73a181", "311900"),
                ("7073a0c17f11", "3131"),
                ("70" + "73a2", "30"),
                ("70" + "78", "03"),
                ("73a0c00e73a161028170", "3131311900" + "0000"),
            ],
        ),
        (
            bus_pirate,
            115_200,
            [
                ("00" * 20, b"BBIO1".hex()),
                ("00", b"BBIO1".hex()),
                ("02", b"I2C1".hex()),
                ("01", b"I2C1".hex()),
                ("63", "01"),
                ("4c", "01"),
                ("0800020000a00e", "01"),
                ("0800010002a1", "011900"),
                ("0800020000a200", "00"),
                ("03", "01"),
                ("0810010000", "00"),
                ("00", b"BBIO1".hex()),
                ("0f", "01"),
            ],
        ),
        (
            sc18im700,
            9600,
            [
                ("", b"OK".hex()),
                ("520a50", "f0"),
                ("52000106070850", "f002261313"),
                ("53a0010e53a10250", "1900"),
                ("53a20100" + "50" + "520a50", "f1"),
                ("53a0027f1150" + "520a50", "f0"),
                ("53a0010e5053a10250", "1900"),
            ],
        ),
    ],
)
def test_fakes_keep_to_the_documents(
    program: Callable[[list[FakeModule]], Program], baud: int, exchanges: list[tuple[str, str]], start: Start
) -> None:
    line = start(program([module()]), baud)
    wire = Wire(str(line.path), timeout_s=1.0, ports=list)
    wire.open(baud)
    if exchanges[0][0] == "":
        time.sleep(0.05)  # what it says at power-up was dropped with the opening of the port
        exchanges = exchanges[1:]
    wire.drain(0.05)
    for send, answer in exchanges:
        wire.write(bytes.fromhex(send))
        assert wire.read(len(answer) // 2).hex() == answer, send
    assert wire.read(1, timeout_s=0.05) == b""
    wire.close()


def test_an_incomplete_message_is_dropped_by_the_sc18im700(start: Start) -> None:
    line = start(sc18im700([module()]), 9600)
    wire = Wire(str(line.path), timeout_s=1.5, ports=list)
    wire.open(9600)
    wire.drain(0.05)
    wire.write(bytes.fromhex("53a0"))
    assert wire.read(2) == b"OK"
    wire.close()


# -- finding the bridge, and step again -----------------------------------------------------------------------


def open_cage(line: SerialLine, **options: str) -> Cage:
    values = {"timeout": str(TIMEOUT_S), **options}
    return SerialDriver(ports=list).open(str(line.path), Options(values, of="serial"))


@pytest.mark.parametrize(
    ("program", "baud"), [(i2c_driver, 1_000_000), (bus_pirate, 115_200), (sc18im700, 9600)], ids=["a", "b", "c"]
)
def test_the_bridge_is_found_by_itself(
    program: Callable[[list[FakeModule]], Program], baud: int, start: Start
) -> None:
    line = start(program([module()]), baud, noise_every=7)
    cage = open_cage(line)
    assert cage.memory.read(Span(14, 2)) == b"\x19\x00"
    cage.memory.close()
    assert cage.memory.read(Span(3, 1)) == b"\x06"
    cage.memory.close()


def test_nothing_that_answers(start: Start) -> None:
    line = start(scripted(), 115_200)
    cage = open_cage(line)
    started = time.monotonic()
    with pytest.raises(BusTimeout, match="nothing answers as buspirate, i2cdriver, sc18im700"):
        cage.memory.read(Span(0, 1))
    assert time.monotonic() - started < 5


def test_a_line_that_never_stops_is_left(start: Start) -> None:
    def babble(line: SerialLine) -> None:
        for _ in itertools.count():
            line.emit(b"x" * 100)
            if line.key(timeout_s=0.001) is None:
                continue

    cage = open_cage(start(babble, 115_200), adapter="buspirate")
    started = time.monotonic()
    with pytest.raises(BusTimeout):
        cage.memory.read(Span(0, 1))
    assert time.monotonic() - started < 5


def more_in_front(answer: bytes) -> bytes:
    return b"\xa5" + answer


def last_one_wrong(answer: bytes) -> bytes:
    return answer[:-1] + b"\xee"


def more_behind(answer: bytes) -> bytes:
    return answer + b"\x00"


@pytest.mark.parametrize("change", [more_in_front, last_one_wrong, more_behind])
@pytest.mark.parametrize(
    ("program", "baud", "adapter"),
    [(i2c_driver, 1_000_000, "i2cdriver"), (bus_pirate, 115_200, "buspirate"), (sc18im700, 9600, "sc18im700")],
)
def test_noise_in_an_answer_is_noticed_and_asked_again(
    program: Callable[[list[FakeModule]], Program],
    baud: int,
    adapter: str,
    change: Callable[[bytes], bytes],
    start: Start,
) -> None:
    line = start(program([module()]), baud)
    cage = open_cage(line, adapter=adapter)
    assert cage.memory.read(Span(14, 2)) == b"\x19\x00"
    line.garble(change)
    assert cage.memory.read(Span(14, 2)) == b"\x19\x00"
    assert cage.memory.read(Span(3, 1)) == b"\x06"
    cage.memory.close()


def test_answers_that_never_make_sense(start: Start) -> None:
    line = start(
        scripted(*I2C_DRIVER_ATTACH, ("73a0c00e", "ffff"), *I2C_DRIVER_ATTACH, ("73a0c00e", "ffff")), 1_000_000
    )
    bus = bus_at(line, I2cDriver())
    with pytest.raises(BusError, match="make no sense, twice"):
        bus.transfer(0x50, b"\x0e", 2)
    bus.close()


# -- the port ---------------------------------------------------------------------------------------------------


def test_an_adapter_is_found_again_by_its_number(tmp_path: Path, start: Start) -> None:
    line = start(i2c_driver([module()]), 1_000_000)
    ports = [FakePort(str(line.path), "DO01JXYZ")]
    options = Options({"adapter": "i2cdriver", "timeout": str(TIMEOUT_S)}, of="serial")
    cage = SerialDriver(ports=lambda: ports).open(str(line.path), options)
    assert cage.memory.read(Span(14, 2)) == b"\x19\x00"
    line.unplug()
    ports.clear()
    with pytest.raises(BusGone):
        cage.memory.read(Span(14, 2))
    line.plug(tmp_path / "ttyUSB5")
    ports += [FakePort(str(tmp_path / "ttyUSB5"), "DO01JXYZ")]
    assert cage.memory.read(Span(14, 2)) == b"\x19\x00"
    cage.memory.close()


def test_another_adapter_under_the_same_path_is_not_taken(start: Start) -> None:
    line = start(i2c_driver([module()]), 1_000_000)
    ports = [FakePort(str(line.path), "DO01JXYZ")]
    options = Options({"adapter": "i2cdriver", "timeout": str(TIMEOUT_S)}, of="serial")
    cage = SerialDriver(ports=lambda: ports).open(str(line.path), options)
    cage.memory.read(Span(0, 1))
    cage.memory.close()
    ports[:] = [FakePort(str(line.path), "OTHER")]
    with pytest.raises(BusGone, match="no USB adapter with serial number DO01JXYZ"):
        cage.memory.read(Span(0, 1))


def test_a_port_named_by_its_number(start: Start) -> None:
    line = start(i2c_driver([module()]), 1_000_000)
    ports = [FakePort("/dev/ttyS0", None), FakePort(str(line.path), "DO01JXYZ")]
    options = Options({"adapter": "i2cdriver", "timeout": str(TIMEOUT_S)}, of="serial")
    cage = SerialDriver(ports=lambda: ports).open("serial=DO01JXYZ", options)
    assert (cage.port, cage.bus) == ("DO01JXYZ", "serial-DO01JXYZ")
    assert cage.memory.read(Span(3, 1)) == b"\x06"
    cage.memory.close()


def test_ports_that_cannot_be_used(tmp_path: Path, start: Start) -> None:
    with pytest.raises(BusGone, match="no such port"):
        Wire(str(tmp_path / "none"), ports=list).open(9600)
    with pytest.raises(Unsupported, match="not a serial port"):
        Wire("/dev/null", ports=list).open(9600)
    with pytest.raises(ConfigError, match="is no serial port"):
        Wire("ttyUSB0", ports=list)
    line = start(scripted(), 9600)
    fd = os.open(line.path, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    with pytest.raises(NotPermitted, match="another program"):
        Wire(str(line.path), ports=list).open(9600)
    os.close(fd)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adapter": "i2cdrvr"}, "unknown adapter 'i2cdrvr'"),
        ({"clock": "200"}, "clock=200: 100 or 400"),
        ({"adapter": "sc18im700", "clock": "100"}, "set on the board"),
        ({"baud": "fast"}, "baud=fast: a number"),
    ],
)
def test_bad_options(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SerialDriver(ports=list).open("/dev/ttyUSB0", Options(options, of="serial"))


def test_writes_are_refused_before_the_port_is_opened(tmp_path: Path) -> None:
    bus = SerialBus(Wire(str(tmp_path / "none"), ports=list), (I2cDriver(),))
    with pytest.raises(NotPermitted, match="refused to write"):
        bus.transfer(0x50, b"\x1a\x08", 0)
