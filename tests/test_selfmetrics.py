"""What opticd says of itself: the heart of the loop, clocks, sources, the broker."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.state import Hub, SourceHealth
from exporters.prometheus.selfmetrics import Heart, SelfMetrics


@dataclass
class Clocks:
    """A wall clock and a monotonic one that the test moves."""

    now: float = 1000.0
    offset: float = 1.7e9

    def wall(self) -> float:
        return self.now + self.offset

    def monotonic(self) -> float:
        return self.now


@dataclass
class Broker:
    """Figures as the MQTT exporter gives them."""

    connected: bool = True
    outbox_messages: int = 3
    published: int = 41
    dropped: Mapping[str, int] = field(default_factory=lambda: {"age": 2})


def samples(metrics: SelfMetrics) -> dict[tuple[str, ...], float]:
    text = metrics.text(openmetrics=False).decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_sources_and_the_broker() -> None:
    hub = Hub("leaf-17")
    metrics = SelfMetrics(hub, version="1.2.3", mqtt=Broker())
    hub.publish(SourceHealth("i2c:1", up=True))
    hub.publish(SourceHealth("snmp:spine-1", up=True))
    hub.publish(SourceHealth("snmp:spine-1", up=False, detail="no answer"))
    metrics.reload_success = False
    found = samples(metrics)
    assert found["opticd_source_up", "i2c:1"] == 1
    assert found["opticd_source_up", "snmp:spine-1"] == 0
    assert found["opticd_mqtt_connected",] == 1
    assert found["opticd_mqtt_outbox_messages",] == 3
    assert found["opticd_mqtt_published_total",] == 41
    assert found["opticd_mqtt_dropped_total", "age"] == 2
    assert found["opticd_config_reload_success",] == 0
    assert any(key[0] == "opticd_build_info" and "1.2.3" in key for key in found)


def test_stages_of_a_refresh() -> None:
    hub = Hub("leaf-17")
    for seconds in (9e-6, 10e-6, 11e-6, 3.0):
        hub.stages.rules.add(seconds)
    hub.stages.read.add(0.0027)
    found = samples(SelfMetrics(hub, version="1"))
    name = "opticd_stage_duration_seconds"
    assert found[f"{name}_bucket", "1e-05", "rules"] == 2
    assert found[f"{name}_bucket", "2.5e-05", "rules"] == 3
    assert found[f"{name}_bucket", "2.5", "rules"] == 3
    assert found[f"{name}_bucket", "+Inf", "rules"] == found[f"{name}_count", "rules"] == 4
    assert found[f"{name}_sum", "rules"] == pytest.approx(3.00003)
    assert (found[f"{name}_bucket", "0.0025", "read"], found[f"{name}_bucket", "0.005", "read"]) == (0, 1)
    assert found[f"{name}_count", "render"] == found[f"{name}_count", "decode"] == 0


def test_openmetrics_has_no_end_of_its_own() -> None:
    text = SelfMetrics(Hub("leaf-17"), version="1").text(openmetrics=True)
    assert b"# EOF" not in text
    assert text.endswith(b"\n")


def test_the_worst_lateness_is_forgotten_after_a_minute() -> None:
    clocks = Clocks()
    heart = Heart(wall=clocks.wall, monotonic=clocks.monotonic)
    heart.tick(0.2)
    heart.tick(0.01)
    assert heart.lag_s == 0.2
    clocks.now += 31
    heart.tick(0.02)
    assert heart.lag_s == 0.2
    clocks.now += 31
    heart.tick(0.03)
    assert heart.lag_s == 0.03


@pytest.mark.parametrize(("moved", "jumps"), [(0.0, 0), (0.9, 0), (-86_400.0, 1), (86_400.0, 1)])
def test_jumps_of_the_wall_clock_are_counted(moved: float, jumps: int) -> None:
    clocks = Clocks()
    heart = Heart(wall=clocks.wall, monotonic=clocks.monotonic)
    clocks.offset += moved
    for _ in range(3):
        clocks.now += 0.25
        heart.tick(0.0)
    assert heart.jumps == jumps


async def test_the_heart_notices_what_holds_the_loop() -> None:
    heart = Heart()
    beat = asyncio.create_task(heart.beat())
    await asyncio.sleep(0.05)
    clock = asyncio.get_running_loop().time
    until = clock() + 0.45
    while clock() < until:
        pass  # the loop is held on purpose
    await asyncio.sleep(0.05)
    beat.cancel()
    assert heart.lag_s >= 0.2
