"""What opticd says of itself (`opticd_…`, `process_…`), by prometheus_client from a registry of its own."""

import asyncio
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol, cast

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.openmetrics import exposition as openmetrics_format
from prometheus_client.registry import Collector

from agent.state import Hub, SourceHealth

_openmetrics = cast(
    "Callable[[CollectorRegistry], bytes]",
    openmetrics_format.generate_latest,  # pyright: ignore[reportUnknownMemberType]  # has no types
)

_TICK_S: Final = 0.25
_WINDOW_S: Final = 30.0
_JUMP_S: Final = 1.0
"""NTP slews by less than this in a tick; whoever sets the clock moves it further."""


class MqttFigures(Protocol):
    """What the MQTT exporter counts."""

    @property
    def connected(self) -> bool: ...
    @property
    def outbox_messages(self) -> int: ...
    @property
    def published(self) -> int: ...
    @property
    def dropped(self) -> Mapping[str, int]:
        """Messages by reason."""
        ...


class Heart:
    """How late the event loop is, and jumps of the wall clock: `beat` runs as a task of the daemon."""

    def __init__(
        self, *, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.jumps = 0
        """How often the wall clock was set."""
        self._wall = wall
        self._monotonic = monotonic
        self._offset = wall() - monotonic()
        self._since = monotonic()
        self._worst = self._worst_before = 0.0

    @property
    def lag_s(self) -> float:
        """The worst lateness of the last half minute or minute."""
        return max(self._worst, self._worst_before)

    async def beat(self) -> None:
        """Watch the loop until cancelled."""
        while True:
            due = self._monotonic() + _TICK_S
            await asyncio.sleep(_TICK_S)
            self.tick(max(0.0, self._monotonic() - due))

    def tick(self, late_s: float) -> None:
        """Note one lateness, and compare the clocks."""
        now = self._monotonic()
        if now - self._since >= _WINDOW_S:
            self._since, self._worst_before, self._worst = now, self._worst, 0.0
        self._worst = max(self._worst, late_s)
        offset = self._wall() - now
        if abs(offset - self._offset) > _JUMP_S:
            self.jumps += 1
        self._offset = offset


class SelfMetrics(Collector):
    """Collects the figures when somebody looks."""

    def __init__(
        self, hub: Hub, *, version: str, heart: Heart | None = None, mqtt: MqttFigures | None = None
    ) -> None:
        self.reload_success = True
        """Whether the last reload of the config worked (set by whoever reloads)."""
        self._version = version
        self._stages = hub.stages
        self._heart = heart
        self._mqtt = mqtt
        self._sources: dict[str, bool] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        hub.subscribe(SourceHealth, self._health)

    def _health(self, event: SourceHealth) -> None:
        self._sources[event.source] = event.up

    def text(self, *, openmetrics: bool) -> bytes:
        """The samples in the text format asked for, without an end mark."""
        return (_openmetrics if openmetrics else generate_latest)(self._registry).removesuffix(b"# EOF\n")

    def collect(self) -> Iterator[Metric]:
        """The families."""
        build = {"version": self._version, "python": platform.python_version()}
        yield InfoMetricFamily("opticd_build", "The version that runs.", value=build)
        sources = GaugeMetricFamily("opticd_source_up", "Whether a source works as a whole.", labels=["source"])
        for source, up in self._sources.items():
            sources.add_metric([source], up)
        yield sources
        success = "Whether the last reload of the config worked."
        yield GaugeMetricFamily("opticd_config_reload_success", success, self.reload_success)
        if self._heart is not None:
            lag = "How late the event loop was at worst in the last half minute or minute."
            yield GaugeMetricFamily("opticd_event_loop_lag_seconds", lag, self._heart.lag_s)
            jumps = "How often the wall clock was set by more than a second."
            yield CounterMetricFamily("opticd_clock_jumps", jumps, self._heart.jumps)
        took = "How long one refresh of one module spends in each stage."
        stages = HistogramMetricFamily("opticd_stage_duration_seconds", took, labels=["stage"])
        for name, histogram in self._stages:
            stages.add_metric([name], list(histogram.buckets()), histogram.seconds)
        yield stages
        if self._mqtt is not None:
            yield from _of_mqtt(self._mqtt)


def _of_mqtt(mqtt: MqttFigures) -> Iterator[Metric]:
    yield GaugeMetricFamily("opticd_mqtt_connected", "Whether the MQTT broker is connected.", mqtt.connected)
    waiting = "Messages that wait for the broker."
    yield GaugeMetricFamily("opticd_mqtt_outbox_messages", waiting, mqtt.outbox_messages)
    published = "Messages that the broker has acknowledged."
    yield CounterMetricFamily("opticd_mqtt_published", published, mqtt.published)
    dropped = CounterMetricFamily("opticd_mqtt_dropped", "Messages given up, by reason.", labels=["reason"])
    for reason, count in mqtt.dropped.items():
        dropped.add_metric([reason], count)
    yield dropped
