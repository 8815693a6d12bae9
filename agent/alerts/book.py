"""The alert engine in the daemon: events of the hub go in, numbered alert events come out on the hub.

book = AlertBook(hub, all_rules(config.rule), keep=state_dir / "alerts.json")
await book.run()             # until cancelled: what time alone brings, and the file
book.active()                # what fires now
"""

import asyncio
import logging
import math
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from agent.alerts.engine import QUIET, Alerts
from agent.alerts.rules import LINK, Rule
from agent.alerts.saving import dump, restore
from agent.alerts.text import OF_A_LASER
from agent.clock import HOST, Instant
from agent.model import CORRELATED, AlertEvent, HostCounters, LinkEvent, ModuleEvent, PollFailed, Reading
from agent.modules.engines import Engines
from agent.state import Hub, LinkChanged, PortForgotten
from agent.statefile import StateFile

_log = logging.getLogger(__name__)

SAVE_S: Final = 5.0
"""A change reaches the disk within this time; what a crash loses of it is judged again."""
GROUP_S: Final = 0.5
"""At a start every reading brings a new port: they are grouped so often, not each time."""
IDLE_S: Final = 60.0


AlertKey = tuple[str, str, str, int]


class AlertBook:
    """Gives alerts their `id`, `seq` and `boot_id`, and remembers which are active."""

    def __init__(
        self,
        hub: Hub,
        rules: Sequence[Rule],
        *,
        keep: Path | None = None,
        groups: Mapping[str, Sequence[str]] | None = None,
        clock: Callable[[], Instant] = HOST.now,
        speed: float = 1.0,
    ) -> None:
        """`speed`: so many seconds of `clock` pass in one of the host's."""
        self.boot_id: Final = str(uuid.uuid4())
        self.seq = 0
        self.engine: Final = Alerts(rules)
        self._hub = hub
        self._clock = clock
        self._speed = speed
        self._active: dict[AlertKey, AlertEvent] = {}
        self._file = StateFile(keep, what="active alerts and flap history") if keep is not None else None
        self._saves = 0
        self._changed = False
        self._wake = asyncio.Event()
        self._armed = 0.0
        self.use_groups(groups or {})
        self._sources: dict[tuple[str, str], str] = {}
        self._engines = Engines()
        self._shared_at = 0
        hub.subscribe(Reading, self._on_reading)
        hub.subscribe(PollFailed, self._on_failure)
        hub.subscribe(ModuleEvent, self._on_module)
        hub.subscribe(LinkEvent, self._on_link)
        hub.subscribe(LinkChanged, self._on_link_state)
        hub.subscribe(HostCounters, self._on_counters)
        hub.subscribe(PortForgotten, self._on_forgotten)

    # ---- outwards -----------------------------------------------------------------------------------------

    def active(self) -> tuple[AlertEvent, ...]:
        """The alerts that fire, each with its last message, in the order in which they began."""
        return tuple(self._active.values())

    def use_engines(self, engines: Engines) -> None:
        """Which ports share an engine or a laser: they fail together, and alerts of what they share name them."""
        self._engines = engines
        self._shared_at = -1

    def use_groups(self, groups: Mapping[str, Sequence[str]]) -> None:
        """Which ports share something, by the name that an incident of theirs has."""
        self._fixed_groups = {name: frozenset(ports) for name, ports in groups.items()}
        self._regroup = True
        self._wake.set()

    def replace_rules(self, rules: Sequence[Rule]) -> None:
        """Other rules from now on; what fires under a rule that stays goes on firing."""
        self._raise(self.engine.replace_rules(rules, self._clock()))

    def figures(self, device: str, port: str, figures: Mapping[str, Mapping[int, float]]) -> None:
        """New figures of the baseline of a port."""
        self._raise(self.engine.figures(device, port, figures, self._clock()))

    def explain(self, device: str, port: str, *, cause: str, evidence: Mapping[str, object], summary: str) -> None:
        """Say more of the last link event of a port: its alert again with the cause, else a `link` event."""
        known = [self._active.get((device, port, rule, 0)) for rule in EXPLAINED]
        alert = next((event for event in known if event is not None), None)
        at = self._clock()
        if alert is not None:
            said = f"{alert.summary.rstrip('.')}: {summary}"
            event = replace(alert, time=at.wall, cause=cause, evidence={**alert.evidence, **evidence}, summary=said)
            self.engine.port(device, port).shown[event.rule, event.lane] = event
        else:
            module = self.engine.port(device, port).alert_module
            event = AlertEvent(
                id="", seq=0, boot_id="", time=at.wall, device=device, port=port, rule=LINK, severity="info",
                state="resolved", summary=f"{port}: {summary}", cause=cause, evidence=evidence, module=module,
            )  # fmt: skip
        self._raise([event])

    # ---- inwards ------------------------------------------------------------------------------------------

    def _on_reading(self, event: Reading) -> None:
        key = (event.device, event.port)
        if self._sources.get(key) != event.source or self._shared_at != self._engines.version:
            self._shared_at = self._engines.version
            self._sources[key] = event.source
            self._regroup = True
            self._wake.set()
        begun = time.perf_counter()
        said = self.engine.judge(event, self._clock())
        if said is not QUIET:
            self._raise(said)
        self._hub.stages.rules.add(time.perf_counter() - begun)

    def _on_failure(self, event: PollFailed) -> None:
        self._raise(self.engine.poll_failed(event, self._clock()))

    def _on_module(self, event: ModuleEvent) -> None:
        self._raise(self.engine.module_event(event, self._clock()))

    def _on_link(self, event: LinkEvent) -> None:
        self._raise(self.engine.link_event(event, self._clock()))

    def _on_link_state(self, event: LinkChanged) -> None:
        link = self._hub.device(event.device).port(event.port).link
        if link is not None:
            at = self._clock()
            self._raise(self.engine.link_state(event.device, event.port, up=link.up, admin_up=link.admin_up, at=at))

    def _on_counters(self, event: HostCounters) -> None:
        self._raise(self.engine.host_counters(event, self._clock()))

    def _on_forgotten(self, event: PortForgotten) -> None:
        self._sources.pop((event.device, event.port), None)
        self._regroup = True
        self._raise(self.engine.forget(event.device, event.port, self._clock()))

    def _group(self) -> None:
        """Ports behind one bus fall together: those with the same source, unless it is the whole device."""
        self._regroup = False
        local = self._hub.local.device
        groups = {(local, name): ports for name, ports in self._fixed_groups.items()}
        groups |= {(local, name): frozenset(ports) for name, ports in self._engines.groups().items()}
        behind: dict[tuple[str, str], set[str]] = {}
        for (device, port), source in self._sources.items():
            behind.setdefault((device, source), set()).add(port)
        ports_of = Counter(device for device, _ in self._sources)
        for (device, source), ports in behind.items():
            if 1 < len(ports) < ports_of[device]:
                groups[device, f"bus {source}"] = frozenset(ports)
        self.engine.set_groups(groups)

    def _in_context(self, event: AlertEvent) -> AlertEvent:
        """With the ports that an engine or a laser takes along, and the laser that keeps light from a port."""
        engines = self._engines
        if event.device != self._hub.local.device or event.rule in (CORRELATED, LINK):
            return event
        laser = event.lane if event.rule.startswith(OF_A_LASER) else 0
        ports = engines.affected(event.port, laser=laser) if laser or not event.lane else ()
        if ports:
            verb = "carries" if event.port in engines else "lights"
            summary = f"{event.summary.rstrip('.')}: it {verb} {', '.join(ports)}."
            event = replace(event, summary=summary, evidence={**event.evidence, "ports": list(ports)})
        if event.state == "firing" and event.rule.startswith("tx_") and (blame := engines.blame(event.port)):
            event = replace(event, cause=blame)
        return event

    def _raise(self, events: Sequence[AlertEvent]) -> None:
        for event in events:
            self.seq += 1
            numbered = replace(self._in_context(event), id=str(uuid.uuid4()), seq=self.seq, boot_id=self.boot_id)
            if event.rule != LINK:
                key = (event.device, event.port, event.rule, event.lane)
                if event.state == "firing":
                    self._active[key] = numbered
                else:
                    self._active.pop(key, None)
                self._changed = True
            self._hub.publish(numbered)
        if self.engine.next_deadline() < self._armed:
            self._wake.set()

    # ---- time and the disk --------------------------------------------------------------------------------

    def restore(self) -> None:
        """Take over what fired when an earlier run ended; call it before the first event."""
        text = self._file.read() if self._file is not None else None
        if text is None or self._file is None:
            return
        try:
            for event in restore(self.engine, text, self._clock()):
                self._active[event.device, event.port, event.rule, event.lane] = event
        except ValueError as exc:
            self._file.reject(str(exc).splitlines()[0])

    async def run(self) -> None:
        """Tick when something is due, and keep the file, until cancelled."""
        saved_at = time.monotonic()
        grouped_at = -math.inf
        try:
            while True:
                self._wake.clear()
                group_in_s = grouped_at + GROUP_S - time.monotonic() if self._regroup else IDLE_S
                if group_in_s <= 0:
                    grouped_at, group_in_s = time.monotonic(), IDLE_S
                    self._group()
                self._raise(self.engine.tick(self._clock()))
                self._armed = self.engine.next_deadline()
                idle_s = min(group_in_s, SAVE_S if self._changed else IDLE_S)
                wait = min((self._armed - self._clock().monotonic) / self._speed, idle_s)
                await self._sleep(wait)
                self._armed = 0.0
                if self._changed and time.monotonic() - saved_at >= SAVE_S:
                    saved_at = time.monotonic()
                    await self._save_aside()
        finally:
            self.save()

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
            except TimeoutError:
                return

    def save(self) -> None:
        """Write the file now."""
        if self._file is not None:
            text, number = self._dump()
            self._file.write(text, number=number)

    async def _save_aside(self) -> None:
        if self._file is not None:
            text, number = self._dump()
            await asyncio.to_thread(self._file.write, text, number=number)

    def _dump(self) -> tuple[str, int]:
        self._changed = False
        self._saves += 1
        return dump(self.engine, self._active.values(), self._clock()), self._saves


EXPLAINED: Final = ("link_down", "link_flap_storm", "link_flapping", "link_flap")
"""The alerts that a finding on a link event belongs to, first come first."""
