"""The command behind scripts/bench: what it writes, what it says of a busy machine and of a section that fails."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import growth, record, suite
from benchmarks.record import Machine, Peer, Row


def machine(load: float) -> Machine:
    return replace(record.machine(), load=[load, load])


def test_a_row_has_its_target_its_verdict_and_its_peer_with_the_ratio() -> None:
    peers = (Peer(name="prometheus_client", value=600.0), Peer(name="other", value=10.0, quoted=True))
    row = Row(section="scrape", work="new values", value=20.0, unit="ms", target=30.0, peers=peers)
    table = record.markdown([row], machine(0.2), tables=["| more |"], notes=["client_golang: not installed"])
    said = "prometheus_client 600 (30.00x); other 10.00 (0.5x) [1]"
    assert f"| scrape | new values | 20.00 ms | <= 30.00 | met | {said} |" in table
    assert "warning" not in table
    assert table.endswith("| more |\n\nLeft out:\n\n- client_golang: not installed\n")


def test_a_busy_machine_is_a_row_of_the_table_and_in_the_json() -> None:
    busy = machine(3.5)
    assert "| | warning: a load of 3.5 at the start" in record.markdown([], busy, tables=[], notes=[])
    assert "load of 3.5" in json.loads(record.document([], busy, notes=[]))["machine"]["warning"]


def test_what_a_module_more_costs_is_taken_between_sizes() -> None:
    small = growth.Size(
        modules=10, period_s=1.0, cpu=0.02, wire=0.0, rss_mib=50.0, samples=1, scrape_ms=2.0, overruns=0
    )
    large = replace(small, modules=110, cpu=0.07, rss_mib=60.0, scrape_ms=4.0)
    taken = growth.step(small, large)
    assert taken.cpu_us == pytest.approx(500.0)
    assert taken.memory_kib == pytest.approx(102.4)
    assert taken.scrape_us == pytest.approx(20.0)
    slower = growth.step(small, replace(large, period_s=2.0, cpu=0.045))  # 55 polls a second
    assert slower.cpu_us == pytest.approx(0.025 / 45 * 1e6)


def test_a_section_that_takes_too_long_is_a_reason_and_no_end() -> None:
    def slow(_: record.Effort) -> record.Found:
        time.sleep(10.0)
        return record.Found([])

    found = suite.run("decode", slow, 0.1, record.QUICK)
    assert found.failed == "decode: Overrun: took longer than 0.1 s"


def test_the_table_goes_between_the_marks_of_a_document(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n")
    suite.save(page, "bench", "new\n")
    assert page.read_text() == "before\n<!-- bench -->\nnew\n<!-- /bench -->\nafter\n"
    page.write_text("no marks\n")
    with pytest.raises(ValueError, match="has no <!-- bench -->"):
        suite.save(page, "bench", "new\n")


@pytest.mark.parametrize(("page", "mark"), [(suite.PERFORMANCE, "bench"), (suite.FLEET, "fleet")])
def test_the_documents_have_their_marks(page: Path, mark: str) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.index(f"<!-- {mark} -->\n") < text.index(f"<!-- /{mark} -->\n")
