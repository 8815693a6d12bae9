"""The table of drivers and contract cases at the end of a run. Its hooks are those of conftest.py."""

from typing import Final

import pytest

from tests.contract_suite import CASES

_MARKS: Final = {"passed": "ok", "failed": "FAIL", "skipped": "-"}
_outcomes: dict[tuple[str, str], str] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--hardware=SOURCE`."""
    parser.addoption("--hardware", metavar="SOURCE", help="run tests/test_hardware.py on this real module")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember the outcome of each contract test."""
    for name, value in report.user_properties:
        if name == "contract" and (report.when == "call" or report.outcome != "passed"):
            driver, case = str(value).rsplit("/", 1)
            _outcomes[driver, case] = _MARKS[report.outcome]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, when any contract test ran."""
    drivers = sorted({driver for driver, _ in _outcomes})
    if not drivers:
        return
    width = max(len(driver) for driver in drivers)
    terminalreporter.section("driver contract")
    terminalreporter.write_line(" ".join((" " * width, *(f"{case:>9}" for case in CASES))))
    for driver in drivers:
        marks = (f"{_outcomes.get((driver, case), ''):>9}" for case in CASES)
        terminalreporter.write_line(" ".join((f"{driver:<{width}}", *marks)))
