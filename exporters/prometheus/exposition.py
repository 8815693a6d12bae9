"""Prometheus text of every device, rendered port by port as events arrive, so that a scrape only joins it."""

import time
from collections.abc import Callable, Collection, Iterable

from agent.alerts.rules import LINK
from agent.errors import ModuleAbsent
from agent.model import (
    AlertEvent,
    HostCounters,
    LinkEvent,
    ModuleChange,
    ModuleEvent,
    PollFailed,
    PollTiming,
    Reading,
)
from agent.stages import Histogram
from agent.state import BusHealth, DeviceState, Discarded, Hub, LinkChanged, LinkState, PortForgotten, PortState
from exporters.prometheus import families as f
from exporters.prometheus import samples
from exporters.prometheus.buses import BusText
from exporters.prometheus.families import Profile, escape
from exporters.prometheus.layout import Layout, PowerUnit
from exporters.prometheus.pace import Pace
from exporters.prometheus.porttext import PortText
from exporters.prometheus.samples import Groups, Sample
from exporters.prometheus.tables import Piece, Row, Tables


class _Port:
    """Everything that is served of one port."""

    __slots__ = (
        "_alerts", "_discarded", "_due", "_errors", "_groups", "_hidden", "_module", "_shown", "_took", "polled_at",
        "row",
    )  # fmt: skip

    def __init__(self, row: Row, layout: Layout, groups: Groups, took: Histogram) -> None:
        """`took`: how long rendering takes."""
        self.row = row
        self._groups = groups
        self._took = took
        self._module = PortText(row, layout, groups)
        self._alerts: dict[tuple[str, int], AlertEvent] = {}
        self._errors: dict[str, int] = {}
        self._discarded: dict[str, int] = {}
        self._shown: tuple[bool, bool, int] | None = None
        self._hidden = False
        """The counts are not shown while there is no module."""
        self._due: Reading | None = None
        self.polled_at = float("-inf")
        """Unix time of the last reading."""

    def reading(self, reading: Reading, state: PortState) -> None:
        """A poll worked. Its values are rendered by `show`."""
        self.status(state)
        if self._hidden:
            self._hidden = False
            self._groups.errors.write(self.row, samples.counts(f.POLL_ERRORS, self._errors))
            self._groups.discarded.write(self.row, samples.counts(f.DISCARDED, self._discarded))
        for trouble in reading.errors:
            self.error(trouble.reason)
        self._due = reading

    def show(self) -> None:
        """Render the last reading, if that was not done yet."""
        reading, self._due = self._due, None
        if reading is not None:
            begun = time.perf_counter()
            self._groups.last_success.write(self.row, reading.time)
            self._module.reading(reading)
            self._took.add(time.perf_counter() - begun)

    def failed(self, event: PollFailed, state: PortState) -> None:
        """A poll gave no reading."""
        self.status(state)
        if event.present:
            self.show()
            self._module.stale()
        else:
            self.gone()
        # An empty cage is no error; a module that does not acknowledge, and a bus that is not there, are.
        if event.present or event.trouble.reason != ModuleAbsent.reason:
            self.error(event.trouble.reason)

    def status(self, state: PortState) -> None:
        """Show presence and swaps."""
        shown = (state.present, state.up, state.swaps)
        if shown == self._shown:
            return
        self._shown = shown
        status = (
            Sample(f.PRESENT, int(state.present)),
            Sample(f.UP, int(state.up)),
            Sample(f.SWAPS, state.swaps),
        )
        self._groups.status.write(self.row, status)

    def gone(self) -> None:
        """The module is gone: its series go with it. The counters go on where they were when there is one again."""
        self._due = None
        self._module.gone()
        self._groups.last_success.clear(self.row)
        self._groups.errors.clear(self.row)
        self._groups.discarded.clear(self.row)
        self._hidden = True

    def swapped(self) -> None:
        """Another module is in the cage: nothing of the old one may stand beside its name."""
        self._due = None
        self._module.gone()

    def error(self, reason: str) -> None:
        """Count a read that failed."""
        self._errors[reason] = self._errors.get(reason, 0) + 1
        self._groups.errors.write(self.row, samples.counts(f.POLL_ERRORS, self._errors))

    def discarded(self, reason: str) -> None:
        """Count a sample that was not believed."""
        self._discarded[reason] = self._discarded.get(reason, 0) + 1
        self._groups.discarded.write(self.row, samples.counts(f.DISCARDED, self._discarded))

    def link(self, state: LinkState | None, monotonic: float) -> None:
        """Show the link, if the port has one."""
        if state is None:
            self._groups.link.clear(self.row)
            self._groups.up_seconds.clear(self.row)
        else:
            self._groups.link.write(self.row, samples.link(state))
            self.tick(state, monotonic)

    def tick(self, state: LinkState, monotonic: float) -> None:
        """Let the up time of a link grow."""
        self._groups.up_seconds.write(self.row, state.up_seconds_at(monotonic))

    def host(self, event: HostCounters) -> None:
        """Show what the host counts."""
        self._groups.host.write(self.row, samples.host(event))

    def alert(self, event: AlertEvent) -> None:
        """Show an alert, or end it. What no rule judges is no alert."""
        if event.rule == LINK:
            return
        key = (event.rule, event.lane)
        if event.state == "firing":
            self._alerts[key] = event
        else:
            self._alerts.pop(key, None)
        shown = (sample for each in self._alerts.values() for sample in samples.alert(each))
        self._groups.alerts.write(self.row, shown)


class DeviceText:
    """One device: what `/metrics` or a probe of it serves."""

    def __init__(self, state: DeviceState, layout: Layout, tables: Tables, took: Histogram) -> None:
        self._state = state
        self._took = took
        self._layout = layout
        self._groups = Groups(layout)
        self.tables = tables
        self.buses = BusText(layout)
        self.pace = Pace()
        self._ports: dict[str, _Port] = {}
        self._due: dict[str, _Port] = {}
        self._ticked = float("-inf")

    def port(self, name: str) -> _Port:
        """The text of a port, made when it is new."""
        port = self._ports.get(name)
        if port is None:
            row = self.tables.row(f'port="{escape(name)}"')
            port = self._ports[name] = _Port(row, self._layout, self._groups, self._took)
        return port

    def forget(self, name: str) -> None:
        """Take a port out."""
        self._due.pop(name, None)
        if name in self._ports:
            self.tables.leave(self._ports.pop(name).row)

    def reading(self, reading: Reading, state: PortState, monotonic: float) -> None:
        """A poll worked: rendered at once when a scrape may come before the next one, else when one comes."""
        port = self.port(reading.port)
        port.reading(reading, state)
        period_s, port.polled_at = reading.time - port.polled_at, reading.time
        if self.pace.expects(monotonic, within_s=period_s):
            port.show()
        else:
            self._due[reading.port] = port

    def render(self, most: int) -> bool:
        """Render what waits for a scrape, so many ports of it; False when nothing is left."""
        due = self._due
        while due and most:
            due.pop(next(iter(due))).show()
            most -= 1
        return bool(due)

    def refresh(self, monotonic: float) -> None:
        """What depends on the clock, at most once a second, and what is rendered only when somebody looks."""
        self.render(len(self._due))
        self.buses.render()
        if monotonic - self._ticked < 1.0:
            return
        self._ticked = monotonic
        for name, state in self._state.ports.items():
            if state.link is not None and state.link.up_since is not None:
                self.port(name).tick(state.link, monotonic)


class Exposition:
    """Subscriber of the hub. One event loop; what `pieces` returns may be used on any thread."""

    def __init__(
        self,
        hub: Hub,
        *,
        profile: Profile = "standard",
        power_units: Collection[PowerUnit] = ("watts", "dbm"),
        active: Iterable[AlertEvent] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`active`: the alerts that are active already. `monotonic` gives seconds."""
        self._hub = hub
        self._profile: Profile = profile
        self._power_units = power_units
        self._monotonic = monotonic
        self._devices: dict[str, DeviceText] = {}
        for event in active:
            self._alert(event)
        hub.subscribe(Reading, self._reading)
        hub.subscribe(PollFailed, self._failed)
        hub.subscribe(ModuleEvent, self._module)
        hub.subscribe(LinkEvent, self._link)
        hub.subscribe(LinkChanged, self._link)
        hub.subscribe(AlertEvent, self._alert)
        hub.subscribe(Discarded, self._discard)
        hub.subscribe(HostCounters, self._host)
        hub.subscribe(PortForgotten, self._forget)
        hub.subscribe(PollTiming, self._timing)
        hub.subscribe(BusHealth, self._bus)

    def expect(self, device: str) -> None:
        """A scrape of a device begins."""
        self._device(device).pace.scraped(self._monotonic())

    def render(self, device: str, *, most: int) -> bool:
        """Render some of the ports that wait for a scrape, `most` of them; False when nothing is left."""
        return self._device(device).render(most)

    def pieces(self, device: str, *, openmetrics: bool) -> list[Piece]:
        """The text of a device as of now; the end mark of OpenMetrics is the caller's."""
        return self._refreshed(device).pieces(openmetrics=openmetrics)

    def texts(self, device: str, *, openmetrics: bool) -> list[bytes]:
        """The same for who wants it uncompressed."""
        return self._refreshed(device).texts(openmetrics=openmetrics)

    def _refreshed(self, device: str) -> Tables:
        text = self._device(device)
        text.refresh(self._monotonic())
        return text.tables

    def series(self, device: str) -> int:
        """How many series a device has now."""
        self.pieces(device, openmetrics=False)
        return self._device(device).tables.samples()

    def _device(self, name: str) -> DeviceText:
        device = self._devices.get(name)
        if device is None:
            tables = Tables()
            layout = Layout(tables, profile=self._profile, power_units=self._power_units)
            device = self._devices[name] = DeviceText(
                self._hub.device(name), layout, tables, self._hub.stages.render
            )
        return device

    def _reading(self, event: Reading) -> None:
        state = self._hub.device(event.device).port(event.port)
        self._device(event.device).reading(event, state, self._monotonic())

    def _failed(self, event: PollFailed) -> None:
        state = self._hub.device(event.device).port(event.port)
        self._device(event.device).port(event.port).failed(event, state)

    def _module(self, event: ModuleEvent) -> None:
        port = self._device(event.device).port(event.port)
        if event.change is ModuleChange.SWAPPED:
            port.swapped()
        elif event.change is ModuleChange.REMOVED:
            port.gone()
        port.status(self._hub.device(event.device).port(event.port))

    def _link(self, event: LinkEvent | LinkChanged) -> None:
        state = self._hub.device(event.device).port(event.port)
        self._device(event.device).port(event.port).link(state.link, self._monotonic())

    def _alert(self, event: AlertEvent) -> None:
        self._device(event.device).port(event.port).alert(event)

    def _discard(self, event: Discarded) -> None:
        self._device(event.device).port(event.port).discarded(event.reason)

    def _host(self, event: HostCounters) -> None:
        self._device(event.device).port(event.port).host(event)

    def _forget(self, event: PortForgotten) -> None:
        self._device(event.device).forget(event.port)

    def _timing(self, event: PollTiming) -> None:
        self._device(self._hub.local.device).buses.timing(event)

    def _bus(self, event: BusHealth) -> None:
        self._device(self._hub.local.device).buses.health(event)
