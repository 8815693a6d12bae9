"""Every driver over its fake, through the one contract suite. A new driver adds a file to tests/benches."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator

import pytest

from tests import benches
from tests.contract_suite import CASES, Bench, run


def _benches() -> dict[str, Callable[[], Bench]]:
    found: dict[str, Callable[[], Bench]] = {}
    for info in pkgutil.iter_modules(benches.__path__):
        found.update(importlib.import_module(f"tests.benches.{info.name}").BENCHES)
    return found


BENCHES = _benches()


@pytest.fixture
def bench(driver: str) -> Iterator[Bench]:
    made = BENCHES[driver]()
    yield made
    made.close()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("driver", BENCHES)
def test_contract(driver: str, case: str, bench: Bench, record_property: Callable[[str, object], None]) -> None:
    record_property("contract", f"{driver}/{case}")
    run(case, bench)
