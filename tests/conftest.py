"""What tests share: where the recordings are, when they are there."""

import os
from pathlib import Path

import pytest

from tests import writes_seen
from tests.contract_table import pytest_addoption, pytest_runtest_logreport, pytest_terminal_summary

__all__ = ("pytest_addoption", "pytest_configure", "pytest_runtest_logreport", "pytest_terminal_summary")

ROOT = Path(__file__).resolve().parent.parent


def find_shared() -> Path | None:
    """The folder with the recordings: $OPTICD_SHARED, or `shared` beside the checkout."""
    shared = Path(os.environ.get("OPTICD_SHARED", ROOT.parent / "shared"))
    return shared if (shared / "data").is_dir() else None


SHARED = find_shared()


def pytest_configure(config: pytest.Config) -> None:
    """Watch what is written to fakes from the first test on."""
    writes_seen.watch(config)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """`shared/data`, or a skip that says where it was looked for."""
    if SHARED is None:
        pytest.skip("the recordings are not here: set OPTICD_SHARED or put them in ../shared")
    return SHARED / "data"
