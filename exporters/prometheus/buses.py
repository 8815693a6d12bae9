"""The samples of the buses: poll durations as a histogram, overruns, health. Rendered when somebody looks."""

from typing import Final

from agent.model import PollTiming
from agent.stages import Histogram
from agent.state import BusHealth
from exporters.prometheus import families as f
from exporters.prometheus.families import Family, labels
from exporters.prometheus.layout import Layout
from exporters.prometheus.tables import Row

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds: a refresh is 2.7 ms of wire time at 400 kHz, a stuck module runs into its deadline."""

_ONLY: Final = Row(0, "")
"""All buses are in one text."""


class _Bus:
    """Figures of one bus."""

    __slots__ = ("durations", "overruns", "recoveries", "up")

    def __init__(self) -> None:
        self.durations = Histogram(BUCKETS)
        self.overruns = 0
        self.recoveries = 0
        self.up: bool | None = None


class BusText:
    """All buses of this host in the tables of the local device."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._buses: dict[str, _Bus] = {}
        self._changed = False

    def timing(self, event: PollTiming) -> None:
        """Count one poll."""
        bus = self._bus(event.bus)
        bus.durations.add(event.duration_s)
        bus.overruns += event.overruns

    def health(self, event: BusHealth) -> None:
        """Note whether a bus works."""
        bus = self._bus(event.bus)
        bus.up = event.up
        bus.recoveries += event.recovered

    def _bus(self, name: str) -> _Bus:
        self._changed = True
        return self._buses.setdefault(name, _Bus()) if name not in self._buses else self._buses[name]

    def render(self) -> None:
        """Bring the text up to date."""
        if not self._changed:
            return
        self._changed = False
        durations = overruns = recoveries = ups = ""
        for name, bus in self._buses.items():
            own = labels(bus=name)
            durations += _histogram(own, bus.durations)
            overruns += f"{f.OVERRUNS.name}{own} {bus.overruns}\n"
            recoveries += f"{f.BUS_RECOVERIES.name}{own} {bus.recoveries}\n"
            if bus.up is not None:
                ups += f"{f.BUS_UP.name}{own} {int(bus.up)}\n"
        self._write(f.POLL_DURATION, durations)
        self._write(f.OVERRUNS, overruns)
        self._write(f.BUS_RECOVERIES, recoveries)
        if ups:
            self._write(f.BUS_UP, ups)

    def _write(self, family: Family, text: str) -> None:
        column = self._layout.column(family)
        if column is not None:
            column.write(_ONLY, text)


def _histogram(own: str, durations: Histogram) -> str:
    name, buckets = f.POLL_DURATION.name, list(durations.buckets())
    lines = [f'{name}_bucket{own[:-1]},le="{le}"}} {total}\n' for le, total in buckets]
    return "".join((*lines, f"{name}_count{own} {buckets[-1][1]}\n", f"{name}_sum{own} {durations.seconds!r}\n"))
