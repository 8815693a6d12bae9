"""Every fact of the recordings of real modules, through the same way that `opticd decode` takes.

The end of the run says how many were compared, and what a reading cannot express.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from agent.documents.images import load
from agent.documents.reading import decode_memory, to_document
from agent.maps import identify
from tests.conftest import SHARED
from tests.recording_facts import Check, compare, compare_checksums

FILES: Final = sorted((SHARED / "data" / "eeprom").glob("*.json")) if SHARED is not None else []


class Count:
    """What was compared; prints it when the run ends."""

    def __init__(self) -> None:
        self.compared: dict[str, int] = {}
        self.excluded: list[str] = []

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("recordings")
        for reason, files in Counter(self.excluded).most_common():
            terminalreporter.write_line(f"not expressible ({files}x): {reason}")
        facts = sum(self.compared.values())
        terminalreporter.write_line(
            f"{facts} facts of {len(self.compared)} recordings compared, {len(self.excluded)} not expressible"
        )


@pytest.fixture(scope="module")
def count(request: pytest.FixtureRequest) -> Iterator[Count]:
    """Shared by the tests of this file."""
    counted = Count()
    request.config.pluginmanager.register(counted, "recordings")
    yield counted
    if not counted.compared:
        request.config.pluginmanager.unregister(counted)


def check_of(file: Path) -> tuple[Check, dict[str, bool]]:
    """The reading of a recording beside its facts."""
    recording = json.loads(file.read_text(encoding="utf-8"))
    (image,) = load(file.read_bytes())
    reading = decode_memory(
        image.memory,
        identify(image.memory, family=image.family),
        device="here",
        port=file.stem,
        source=f"file:{file.name}",
        time=0.0,
    )
    # What a user sees is JSON: nothing that JSON lacks may be in it.
    document = json.loads(json.dumps(to_document(reading), allow_nan=False))
    return Check(file.stem, reading, document, recording["expected"]), recording["checksums_match"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_fact_of_a_recording(file: Path, count: Count) -> None:
    check, checksums = check_of(file)
    compare(check)
    compare_checksums(check, checksums)
    count.compared[check.name] = check.compared
    count.excluded += check.excluded
    assert not check.failures, "\n".join(check.failures)


def test_facts_were_compared(shared_data: Path, count: Count) -> None:
    """So that a table that lost its rows is noticed."""
    assert len(FILES) >= 32, shared_data
    if len(count.compared) < len(FILES):
        pytest.skip("not all recordings ran in this session")
    facts = sum(count.compared.values())
    assert facts > 2800
    assert len(count.excluded) < facts / 50
