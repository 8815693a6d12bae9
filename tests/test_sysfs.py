"""EEPROM files: the linear layouts by literals, on real files and over the fake kernel."""

import errno
import time
from pathlib import Path

import pytest

from agent.documents import images
from agent.errors import (
    BusError,
    BusGone,
    BusTimeout,
    DriverError,
    ModuleAbsent,
    NotPermitted,
    PageRefused,
    ShortRead,
    Unsupported,
)
from agent.memory import Memory, Shape, Span
from agent.sources import Options
from drivers.sysfs import SysfsDriver, SysfsMemory, linear_offset
from fakes.eeprom import FakeEepromFiles
from fakes.module import FakeModule

PATH = "/sys/bus/i2c/devices/31-0050/eeprom"


@pytest.mark.parametrize(
    ("span", "pages_per_bank", "offset"),
    [
        # SFF-8636 and CMIS: page p begins at 128 p, so that page 03h stands at 512-639 (sff8636.md, page rules).
        (Span(0, 1), 256, 0),
        (Span(127, 1), 256, 127),
        (Span(128, 1), 256, 128),
        (Span(128, 1, page=3), 256, 512),
        (Span(255, 1, page=3), 256, 639),
        (Span(128, 1, page=0x11), 256, 2304),
        # (b * 256 + p) * 128 + offset (cmis-core.md, section 1); the early proposal has 240 pages a bank.
        (Span(128, 1, page=0x11, bank=1), 256, 35072),
        (Span(128, 1, page=0x11, bank=1), 240, 33024),
        (Span(128, 1, page=0x01, bank=1), 256, 256),
        # SFF-8472: A0h at 0-255, lower A2h at 256-383, page N of A2h at 384 + 128 N (sff8472.md, section 7).
        (Span(255, 1), 256, 255),
        (Span(96, 1, i2c=0x51), 256, 352),
        (Span(128, 1, i2c=0x51), 256, 384),
        (Span(128, 1, page=2, i2c=0x51), 256, 640),
    ],
)
def test_linear_layout(span: Span, pages_per_bank: int, offset: int) -> None:
    assert linear_offset(span, pages_per_bank=pages_per_bank) == offset


@pytest.fixture
def qsfp(tmp_path: Path) -> Path:
    """A file of 640 bytes: lower memory, pages 00h to 03h; each page is filled with F0h + its number."""
    file = tmp_path / "bus/i2c-9/9-0050/eeprom"
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(range(128)) + b"".join(bytes((0xF0 + page, page)) * 64 for page in range(4)))
    return file


def test_reads_of_a_real_file(qsfp: Path) -> None:
    memory = SysfsMemory(str(qsfp))
    assert memory.read(Span(22, 2)) == b"\x16\x17"
    assert memory.read(Span(128, 4, page=3)) == b"\xf3\x03\xf3\x03"
    memory.close()
    assert memory.read(Span(255, 1, page=1)) == b"\x01"
    memory.close()


def test_a_page_behind_the_end_is_refused(qsfp: Path) -> None:
    memory = SysfsMemory(str(qsfp))
    memory.shape = Shape("sff8636", flat=False, banks=4)
    with pytest.raises(PageRefused, match="ends before this page"):
        memory.read(Span(128, 4, page=4))
    with pytest.raises(PageRefused, match="ends before this page") as caught:
        memory.read(Span(128, 4, page=0x11, bank=1))
    assert "max_bank_size" in caught.value.hint
    memory.close()


def test_a_file_of_one_address_has_no_diagnostics(tmp_path: Path) -> None:
    file = tmp_path / "eeprom"
    file.write_bytes(bytes(256))
    memory = SysfsMemory(str(file))
    with pytest.raises(ModuleAbsent, match="no second address"):
        memory.read(Span(96, 10, i2c=0x51))
    memory.close()


def test_at24_has_a_file_an_address(tmp_path: Path) -> None:
    for address, fill in (("0050", b"\xa0"), ("0051", b"\xa2")):
        (tmp_path / f"9-{address}").mkdir()
        (tmp_path / f"9-{address}/eeprom").write_bytes(fill * 256)
    memory = SysfsMemory(str(tmp_path / "9-0050/eeprom"))
    assert memory.read(Span(96, 2)) == b"\xa0\xa0"
    assert memory.read(Span(96, 2, i2c=0x51)) == b"\xa2\xa2"
    memory.close()


def test_a_file_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "eeprom"
    file.write_bytes(bytes(100))
    memory = SysfsMemory(str(file))
    with pytest.raises(ShortRead, match="10 bytes of 20"):
        memory.read(Span(90, 20))
    memory.close()


def test_what_is_no_eeprom_file(tmp_path: Path) -> None:
    with pytest.raises(BusGone, match="no such file"):
        SysfsMemory(str(tmp_path / "none")).read(Span(0, 1))
    with pytest.raises(Unsupported, match="a folder"):
        SysfsMemory(str(tmp_path)).read(Span(0, 1))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (errno.ENXIO, ModuleAbsent),
        (errno.EREMOTEIO, ModuleAbsent),
        (errno.ETIMEDOUT, ModuleAbsent),
        (errno.EIO, BusError),
        (errno.EAGAIN, BusTimeout),
        (errno.EBUSY, BusTimeout),
        (errno.ENODEV, BusGone),
        (errno.EACCES, NotPermitted),
        (errno.EPERM, NotPermitted),
        (errno.EINVAL, Unsupported),
        (errno.EMLINK, BusError),
    ],
)
def test_each_errno_is_one_error(code: int, error: type[DriverError]) -> None:
    module = FakeModule(Memory())
    files = FakeEepromFiles({PATH: module})
    memory = SysfsMemory(PATH, files=files)
    files.fail(PATH, code)
    with pytest.raises(DriverError) as caught:
        memory.read(Span(0, 1))
    assert type(caught.value) is error
    assert errno.errorcode[code] in str(caught.value)
    assert memory.read(Span(0, 1)) == b"\0"


def test_reading_another_page_takes_no_flags() -> None:
    image = Memory()
    image.put(Span(0, 128), b"\x18\x50" + bytes(126))
    image.put(Span(128, 128, page=0x11), bytes(128))
    module = FakeModule(image)
    files = FakeEepromFiles({PATH: module})
    memory = SysfsMemory(PATH, files=files)
    memory.shape = Shape("cmis", flat=False)
    for value in (b"\x01", b"\x00"):
        module.put(Span(147, 1, page=0x11), value)
    memory.read(Span(154, 48, page=0x11))
    assert module.get(Span(147, 1, page=0x11)) == b"\x01"
    assert memory.read(Span(134, 20, page=0x11))[13] == 1
    assert module.get(Span(147, 1, page=0x11)) == b"\x00"


def test_one_pread_a_span_once_a_page_is_known() -> None:
    image = Memory()
    image.put(Span(0, 128), b"\x18\x50" + bytes(126))
    image.put(Span(128, 128, page=0x11), bytes(range(128)))
    files = FakeEepromFiles({PATH: FakeModule(image)})
    memory = SysfsMemory(PATH, files=files)
    memory.shape = Shape("cmis", flat=False)
    memory.read(Span(134, 76, page=0x11))
    files.reads = 0
    memory.read(Span(3, 29))
    memory.read(Span(134, 76, page=0x11))
    assert files.reads == 2


def test_cage_names_its_port_and_its_bus(qsfp: Path) -> None:
    driver = SysfsDriver(owner=lambda: "xcvrd")
    cage = driver.open(str(qsfp.parent), Options({}, of="sysfs"))
    assert (cage.source, cage.port, cage.bus, cage.owner) == (f"sysfs:{qsfp}", "9-0050", "i2c-9", "xcvrd")
    (qsfp.parent / "port_name").write_text("Ethernet12\n", encoding="utf-8")
    assert driver.open(str(qsfp), Options({}, of="sysfs")).port == "Ethernet12"
    (qsfp.parent / "port_name").write_text("unitialized\n", encoding="utf-8")
    assert driver.open(str(qsfp), Options({"banks": "240"}, of="sysfs")).port == "9-0050"


def test_recordings_as_linear_files(shared_data: Path, tmp_path: Path) -> None:
    """A recording, written out linearly by the rule of the sheet, reads back through the file byte for byte."""
    for recording in sorted((shared_data / "eeprom").glob("*.json")):
        known = images.load(recording.read_bytes())[0].memory
        file = tmp_path / recording.stem
        with file.open("wb") as stream:
            for span in known.spans():
                base = 256 if span.i2c == 0x51 else 0
                stream.seek(base + (span.bank * 256 + span.page) * 128 + span.offset)
                stream.write(known.get(span) or b"")
        memory = SysfsMemory(str(file))
        memory.shape = Shape("cmis", flat=False, banks=4)
        for whole in known.spans():
            for offset, end in ((whole.offset, min(whole.end, 128)), (max(whole.offset, 128), whole.end)):
                span = whole._replace(offset=offset, length=end - offset)
                if span.length > 0:
                    assert memory.read(span) == known.get(span), (recording.name, span)
        memory.close()


def test_cpu_of_a_read_of_a_file(qsfp: Path) -> None:
    """20 us of CPU a span is the budget; ten times that here, since the machine is shared."""
    memory = SysfsMemory(str(qsfp))
    span = Span(128, 128)
    memory.read(span)
    started = time.process_time()
    for _ in range(2000):
        memory.read(span)
    cost = (time.process_time() - started) / 2000
    memory.close()
    assert cost < 200e-6
