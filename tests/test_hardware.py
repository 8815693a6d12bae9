"""The driver contract on a real cage: `pytest tests/test_hardware.py --hardware=i2c:/dev/i2c-3` (any source).

What needs hands (pulling module, adapter or fibre) is not tried; `opticd selftest` says more of the module.
Without the option nothing runs here but the proof that it would.
"""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent import maps
from agent.documents import images
from agent.errors import PageRefused
from agent.maps.api import Description
from agent.memory import ModuleMemory, Span
from agent.modules.identification import Identification, Meter, Reads
from drivers.registry import Registry

CASES = ("present", "paged", "banked", "cancelled")
RESERVED_PAGE = 0x7E


@pytest.fixture(scope="module")
def source(pytestconfig: pytest.Config) -> str:
    name = str(pytestconfig.getoption("--hardware") or "")
    if not name:
        pytest.skip("no real module: name one with --hardware=SOURCE")
    return name


@pytest.fixture(scope="module")
def cage(source: str) -> Iterator[tuple[ModuleMemory, Description]]:
    """The module, identified."""
    memory = Registry().open(source).memory
    arrival = Identification(memory, maps.identify)
    for _ in range(4):
        if arrival.go_on(Reads(memory, float("inf"), Meter())):
            break
    assert arrival.description is not None, "nobody there, or nobody that opticd knows"
    yield memory, arrival.description
    memory.close()


def names(description: Description) -> Span:
    """Static bytes that every module has."""
    return Span(20, 64) if description.module.get("memory_map") == "sff8472" else Span(128, 94)


def present(memory: ModuleMemory, description: Description) -> None:
    whole = names(description)
    data = memory.read(whole)
    halves = [whole._replace(length=32), whole._replace(offset=whole.offset + 32, length=whole.length - 32)]
    assert b"".join(memory.read(span) for span in halves) == data
    memory.close()
    assert memory.read(whole) == data


def paged(memory: ModuleMemory, description: Description) -> None:
    if description.flat:
        pytest.skip("flat memory")
    before = memory.read(names(description))
    for span in description.plan(flags=False).spans:
        assert len(memory.read(span)) == span.length
    i2c = 0x51 if description.module.get("memory_map") == "sff8472" else 0x50
    with pytest.raises(PageRefused):
        memory.read(Span(200, 16, RESERVED_PAGE, i2c=i2c))
    assert memory.read(names(description)) == before


def banked(memory: ModuleMemory, description: Description) -> None:
    if description.banks < 2:
        pytest.skip("one bank")
    for bank in range(description.banks):
        assert len(memory.read(Span(200, 16, 0x11, bank))) == 16


def cancelled(memory: ModuleMemory, description: Description) -> None:
    """Nobody waits for a read that another thread makes; the next one is not troubled by it."""
    data = memory.read(names(description))
    thread = threading.Thread(target=lambda: memory.read(names(description)), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert memory.read(names(description)) == data


@pytest.mark.parametrize("case", CASES)
def test_contract(
    case: str,
    source: str,
    cage: tuple[ModuleMemory, Description],
    record_property: Callable[[str, object], None],
) -> None:
    record_property("contract", f"{source}/{case}")
    {"present": present, "paged": paged, "banked": banked, "cancelled": cancelled}[case](*cage)


def test_the_option_works(tmp_path: Path, shared_data: Path) -> None:
    """On a file that a kernel driver could have made."""
    memory = images.load((shared_data / "eeprom/qsfp28-fs-ir4-100g.json").read_bytes())[0].memory
    file = tmp_path / "eeprom"
    with file.open("wb") as stream:
        for span in memory.spans():
            stream.seek(span.page * 128 + span.offset)
            stream.write(memory.get(span) or b"")
    command = [sys.executable, "-m", "pytest", __file__, "-q", "-p", "no:cacheprovider", "-k", "test_contract"]
    done = subprocess.run(
        [*command, f"--hardware=sysfs:{file}"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout
    assert "driver contract" in done.stdout
    assert "3 passed, 1 skipped" in done.stdout, done.stdout
