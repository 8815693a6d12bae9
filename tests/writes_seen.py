"""Every byte that any fake module or mux took in the whole run: selects, channels and VDM freeze, no other.

A plugin of conftest.py. It sees this process; daemons that tests start in others run the same drivers.
"""

from collections import Counter
from typing import Final

import pytest

from fakes.module import FakeModule

ITSELF: Final = {
    "tests/test_i2c.py::test_a_careless_host_is_told": "writes to the fake as no driver does",
}
"""Tests that write to a fake on their own, and why."""
FREEZES: Final = (
    "tests/test_freezing.py",
    "tests/test_i2c.py",
    "tests/test_serial.py",
    "tests/test_write_guard.py",
)
"""Tests that allow VDM to be frozen."""


def kind_of(address: int, data: bytes, page: int) -> str:
    """What a write is; "" for what must never be. By hand from SFF-8472, SFF-8636 and CMIS 5.2."""
    if 0x70 <= address <= 0x77:
        return "mux channel" if len(data) == 1 else ""
    if address in {0x50, 0x51} and data[0] == 127 and len(data) == 2:
        return "page select"
    if address == 0x50 and data[0] == 126 and len(data) in {2, 3}:
        return "bank and page select"
    if address == 0x50 and data[0] == 144 and len(data) == 2 and page == 0x2F:
        return "VDM freeze"
    return ""


class WritesSeen:
    """Counts what is allowed, and keeps what is not."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._test = ""

    def __call__(self, address: int, data: bytes, page: int) -> None:
        """A fake took these bytes; called in any thread."""
        if self._test in ITSELF:
            return
        kind = kind_of(address, data, page)
        if not kind or (kind == "VDM freeze" and not self._test.startswith(FREEZES)):
            self.wrong.append(f"{data.hex(' ')} to {address:02X}h, page {page:02X}h selected, in {self._test}")
        self.counts[kind] += 1

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Who writes from now on."""
        self._test = nodeid.partition("[")[0]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A wrong byte fails the run."""
        if self.wrong:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """What was written, in one line; what should not have been, in as many as it takes."""
        if not self.counts:
            return
        terminalreporter.section("bytes that fake modules took")
        said = ", ".join(f"{kind or 'WRONG'} {count}" for kind, count in self.counts.most_common())
        terminalreporter.write_line(f"{said}; anything else {len(self.wrong)}")
        for line in self.wrong[:20]:
            terminalreporter.write_line(f"WRONG: {line}")


def watch(config: pytest.Config) -> None:
    """Begin to watch, for this run."""
    FakeModule.witness = seen = WritesSeen()
    config.pluginmanager.register(seen, "writes-seen")
