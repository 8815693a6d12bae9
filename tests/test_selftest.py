"""The self-test on fake modules with one thing wrong each, and beside a fake instrument."""

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent import maps
from agent.documents import images
from agent.errors import BusTimeout, ConfigError, DeviceRefused, ModuleAbsent
from agent.memory import Span
from agent.modules.selftest import Report, selftest
from agent.sources import parse_source
from drivers.i2c.bus import LinuxI2cBus
from drivers.i2c.paged import PagedMemory
from drivers.scpi import ScpiInstrument, open_reference
from fakes.adapter import FakeAdapter
from fakes.i2cdev import FakeI2cDev
from fakes.module import FakeModule
from fakes.scpi import scpi_meter
from fakes.serial_pty import SerialLine


def run(module: FakeModule, *, reference: ScpiInstrument | None = None, flags: bool = True) -> Report:
    adapter = FakeAdapter(module)
    memory = PagedMemory(LinuxI2cBus("7", calls=FakeI2cDev({"/dev/i2c-7": adapter})))
    report = selftest(memory, source="i2c:7", identify=maps.identify, repeats=4, reference=reference, flags=flags)
    written = [m.data for m in adapter.log if not m.read and len(m.data) > 1]
    assert all(data[0] in {126, 127} for data in written), "nothing but page selects"
    return report


def verdicts(report: Report) -> dict[str, str]:
    return {check.name: check.verdict for check in report.checks}


def detail(report: Report, name: str) -> str:
    return next(check.detail for check in report.checks if check.name == name)


@pytest.fixture
def dr4(shared_data: Path) -> FakeModule:
    """A QSFP-DD 400G-DR4; the publisher's marks over its names left its check sum wrong."""
    module = FakeModule.load(shared_data / "eeprom/qsfpdd-400g-dr4.json")
    module.put(Span(129, 16), b"ACME OPTICS     ")
    module.put(Span(148, 16), b"QDD-DR4         ")
    module.put(Span(166, 16), b"SN1             ")
    module.put(Span(222, 1), bytes((sum(module.get(Span(128, 94))) & 0xFF,)))
    return module


def test_a_good_module_passes(dr4: FakeModule) -> None:
    report = run(dr4)
    assert report.passed, report.checks
    assert set(verdicts(report).values()) <= {"passed", "skipped"}, report.checks
    assert verdicts(report)["page_select"] == "passed"
    assert "ACME OPTICS" in detail(report, "identity")
    assert dr4.complaints == []


@pytest.mark.parametrize("name", ["qsfp28-fs-ir4-100g", "sfp-flexoptix-p-b1696-10-da", "qsfpdd-400g-cr8-flat"])
def test_other_families_are_tested_too(name: str, shared_data: Path) -> None:
    module = FakeModule.load(shared_data / f"eeprom/{name}.json")
    report = run(module)
    for check in ("identity", "static_bytes", "repeatability", "values", "thresholds"):
        assert verdicts(report)[check] in {"passed", "warning", "skipped"}, report.checks
    assert module.complaints == []


def test_banks_are_selected_and_counted(shared_data: Path) -> None:
    report = run(FakeModule.load(shared_data / "eeprom/cpo-4bank-fixture.json"))
    assert (
        detail(report, "bank_select") == "4 selected; bytes 200-215 of page 11h bank 4 is refused, as it has to be"
    )


def test_nobody_there_is_an_error(dr4: FakeModule) -> None:
    dr4.remove()
    with pytest.raises(ModuleAbsent):
        run(dr4)


# -- one thing wrong each ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("span", "data", "check", "said"),
    [
        # Page 00h byte 222 is the sum of bytes 128-221.
        (Span(222, 1), "00", "checksums", "wrong: page00"),
        # Page 02h: the high alarm of the temperature (128-129) below its high warning (132-133).
        (Span(128, 2, page=2), "1900", "thresholds", "temperature_celsius: high_warning"),
        # Bytes 16-17: 6.5535 V.
        (Span(16, 2), "ffff", "values", "supply_voltage_volts = 6.5535"),
        # Bytes 14-15: 100 degC, and byte 9 says that nothing is high.
        (
            Span(14, 2),
            "6400",
            "flags",
            "temperature_celsius is beyond its high_alarm, and temperature_high_alarm is not set",
        ),
    ],
)
def test_what_is_wrong_fails(span: Span, data: str, check: str, said: str, dr4: FakeModule) -> None:
    dr4.put(span, bytes.fromhex(data))
    report = run(dr4)
    assert not report.passed
    assert verdicts(report)[check] == "failed", report.checks
    assert said in detail(report, check)


def test_a_page_that_should_not_exist_is_a_warning(dr4: FakeModule) -> None:
    dr4.put(Span(128, 128, page=0x7E), bytes(range(128)))
    report = run(dr4)
    assert verdicts(report)["page_select"] == "warning"
    assert report.passed


def test_an_advertised_page_that_is_not_there_fails(shared_data: Path) -> None:
    memory = images.load((shared_data / "eeprom/qsfpdd-400g-dr4.json").read_bytes())[0].memory
    memory.drop(Span(128, 128, page=0x11))
    report = run(FakeModule(memory))
    assert verdicts(report)["page_select"] == "failed"
    assert "page 11h" in detail(report, "page_select")


class Shaky:
    """What stands before a module: a bit falls over, or the temperature leaps, every so many reads."""

    def __init__(self, module: FakeModule, *, offset: int, mask: bytes, every: int) -> None:
        self._module, self._offset, self._mask, self._every = module, offset, mask, every
        self._at = self._reads = 0

    def write(self, address: int, data: bytes) -> int | None:
        self._at = data[0] if data else self._at
        return self._module.write(address, data)

    def read(self, address: int, n: int) -> bytes | None:
        if self._at == self._offset:
            self._reads += 1
            if self._reads % self._every == 0:
                self._module.flip(self._mask)
        return self._module.read(address, n)


@pytest.mark.parametrize(
    ("offset", "mask", "check", "said"),
    [
        (128, b"\x00\x01", "static_bytes", "2 different answers in 4 reads"),
        (3, bytes(11) + b"\x18", "repeatability", "the temperature leaps by"),
    ],
)
def test_a_shaky_bus_is_seen(offset: int, mask: bytes, check: str, said: str, dr4: FakeModule) -> None:
    adapter = FakeAdapter(Shaky(dr4, offset=offset, mask=mask, every=3))
    memory = PagedMemory(LinuxI2cBus("7", calls=FakeI2cDev({"/dev/i2c-7": adapter})))
    report = selftest(memory, source="i2c:7", identify=maps.identify, repeats=4)
    assert verdicts(report)[check] == "failed", report.checks
    assert said in detail(report, check)


def test_latched_flags_are_told_from_lasting_ones(dr4: FakeModule) -> None:
    dr4.put(Span(9, 1), b"\x11")  # temperature and voltage high alarm begin
    dr4.put(Span(9, 1), b"\x10")  # the first one ends
    report = run(dr4)
    assert "had been: temperature_high_alarm" in detail(report, "flags")
    assert "supply_voltage_high_alarm" in detail(report, "flags").partition("had been")[0]


def test_flags_of_another_daemon_are_not_read(dr4: FakeModule) -> None:
    dr4.put(Span(9, 1), b"\x01")
    dr4.put(Span(9, 1), b"\x00")
    assert verdicts(run(dr4, flags=False))["flags"] == "skipped"
    assert dr4.get(Span(9, 1)) == b"\x01"


def test_a_slow_bus_is_a_warning(dr4: FakeModule) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 0.15
        return now[0]

    memory = PagedMemory(LinuxI2cBus("7", calls=FakeI2cDev({"/dev/i2c-7": FakeAdapter(dr4)})))
    report = selftest(memory, source="i2c:7", identify=maps.identify, repeats=2, clock=clock)
    assert verdicts(report)["timing"] == "warning"
    assert "slowest read 150.0 ms" in detail(report, "timing")


# -- beside an instrument ---------------------------------------------------------------------------------------


@pytest.fixture
def expected(shared_data: Path) -> dict[int, float]:
    """Launched power in dBm by lane, as independent decoders printed it."""
    document = json.loads((shared_data / "eeprom/qsfpdd-400g-dr4.json").read_text(encoding="utf-8"))
    lanes = {lane["lane"]: lane["tx_power_dbm"] for lane in document["expected"]["lanes"][:4]}
    assert len(lanes) == 4
    return lanes


@contextmanager
def meter(tmp_path: Path, powers: dict[int, float], celsius: float | None = None) -> Generator[SerialLine]:
    line = SerialLine(tmp_path / "ttyUSB1", scpi_meter(powers, celsius=celsius), baud=9600)
    try:
        yield line
    finally:
        line.close()


def instrument(line: SerialLine, **options: str) -> ScpiInstrument:
    query = "&".join(f"{key}={value}" for key, value in {"timeout": "0.3", **options}.items())
    return open_reference(parse_source(f"serial:{line.path}?type=scpi&{query}"), ports=list)


def test_lane_by_lane_beside_a_power_meter(tmp_path: Path, dr4: FakeModule, expected: dict[int, float]) -> None:
    shown = {1: expected[1] + 0.5, 2: expected[2] - 2.9, 3: expected[3] + 3.2}  # and nothing on channel 4
    with meter(tmp_path, shown, celsius=20.0) as line:
        reference = instrument(line, power="READ{lane}:POW?", temperature="MEAS:TEMP?")
        report = run(dr4, reference=reference)
        reference.close()
        said = bytes(line.heard)
    assert said.startswith(b"*IDN?\nREAD1:POW?\nREAD2:POW?\nREAD3:POW?\nREAD4:POW?\n")
    assert detail(report, "reference") == "ACME,PM-8,SN42,1.0"
    got = verdicts(report)
    assert [got[f"tx_power_lane_{lane}"] for lane in (1, 2, 3, 4)] == ["passed", "passed", "failed", "skipped"]
    figures = {check.name: check.figures for check in report.checks}
    assert figures["tx_power_lane_2"]["error_db"] == pytest.approx(2.9, abs=0.01)
    assert got["temperature"] == "failed"
    assert not report.passed


def test_a_meter_with_one_channel_speaks_of_one_lane(
    tmp_path: Path, dr4: FakeModule, expected: dict[int, float]
) -> None:
    with meter(tmp_path, {1: expected[3]}) as line:
        reference = instrument(line, lane="3")
        report = run(dr4, reference=reference)
        reference.close()
    assert [name for name in verdicts(report) if name.startswith("tx_power")] == ["tx_power_lane_3"]
    assert report.passed


def test_what_an_instrument_does_not_know(tmp_path: Path) -> None:
    with meter(tmp_path, {}) as line:
        reference = instrument(line, temperature="MEAS:TEMP?")
        with pytest.raises(DeviceRefused, match=r"MEAS:TEMP\?: -113,\"Undefined header\""):
            reference.temperature_celsius()
        with pytest.raises(DeviceRefused, match="nothing to measure"):
            reference.power_dbm(1)
        assert reference.power_dbm(2) is None
        assert reference.identify() == "ACME,PM-8,SN42,1.0"
        reference.close()


@pytest.mark.parametrize(
    ("answer", "unit", "want"),
    [("-2.130000E+00", "dbm", -2.13), ("1.000000E-03", "w", 0.0), ("+3 DBM", "dbm", 3.0), ("0", "w", -40.0)],
)
def test_forms_of_numbers(answer: str, unit: str, want: float, tmp_path: Path) -> None:
    def program(line: SerialLine) -> None:
        while line.key() is not None:
            line.emit(answer.encode() + b"\n") if line.heard.endswith(b"\n") else None

    line = SerialLine(tmp_path / "tty", program, baud=9600)
    reference = instrument(line, unit=unit)
    assert reference.power_dbm(1) == pytest.approx(want)
    reference.close()
    line.close()


def test_a_silent_instrument_and_a_bad_name(tmp_path: Path) -> None:
    def program(line: SerialLine) -> None:
        while line.key() is not None:
            pass

    line = SerialLine(tmp_path / "tty", program, baud=9600)
    reference = instrument(line)
    with pytest.raises(BusTimeout, match=r"no answer to \*IDN\?"):
        reference.identify()
    reference.close()
    line.close()
    with pytest.raises(ConfigError, match="no reference instrument"):
        open_reference(parse_source("i2c:3"))
    with pytest.raises(ConfigError, match="unit=mw"):
        open_reference(parse_source("serial:/dev/ttyUSB1?unit=mw"))


# -- the command --------------------------------------------------------------------------------------------------


def opticd(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent.cli", "selftest", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_prints_a_report_and_exits_by_it(tmp_path: Path, dr4: FakeModule) -> None:
    file = tmp_path / "eeprom"
    pages = b"".join(dr4.get(Span(128, 128, page)) for page in range(0x12))
    file.write_bytes(dr4.get(Span(0, 128)) + pages)
    done = opticd(f"sysfs:{file}", "--format", "json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["schema"], report["passed"]) == (0, "opticd/selftest/1", True), report
    broken = bytearray(file.read_bytes())
    broken[222] ^= 1
    file.write_bytes(broken)
    done = opticd(f"sysfs:{file}")
    assert done.returncode == 1
    assert "failed" in done.stdout
    done = opticd(f"sysfs:{tmp_path / 'none'}")
    assert done.returncode == 1
    assert done.stderr.startswith("opticd: error: ")
    assert "Traceback" not in done.stderr
