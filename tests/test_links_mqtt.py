"""Every edge of a real link reaches a subscriber of a real broker, and every counter is exact."""

from pathlib import Path

from benchmarks.links_mqtt import measure
from tests.mosquitto import needs_mosquitto
from tests.netns import needs_root


@needs_root
@needs_mosquitto
def test_every_edge_is_told_once_and_counted(tmp_path: Path) -> None:
    outcome = measure(tmp_path, flaps=60, rate=50.0)
    assert outcome.mistakes() == [], (tmp_path / "opticd.log").read_text()
    assert len(outcome.edges) == len(outcome.milliseconds) == 120
    assert outcome.metrics["link_transitions_total"] == 120
    assert outcome.metrics["link_down_events_total unintentional"] == 60
    # How fast is the business of the benchmark; that nothing waits for a hold-off shows on any machine.
    assert outcome.milliseconds[60] < 1000.0
