"""What links need of the world: a clock that settles causes, and a file that outlives the process.

keeper = LinkKeeper(hub, links, state_dir / "links.json")   # None: nothing is kept
keeper.restore()                                            # before the first observation
await keeper.run()                                          # until cancelled; saves at the end
"""

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from agent.clock import HOST, Clock
from agent.links.links import Links, Observation, SavedLink
from agent.model import DownCause
from agent.state import Hub, LinkChanged, LinkState
from agent.statefile import StateFile

TICK_S: Final = 0.25
SLICE: Final = 100
"""Links that are copied at once: 1 ms, 6 ms on a busy machine."""
AFTER_CHANGE_S: Final = 1.0
"""At most one save in this time: an edge reaches the disk at the next tick, in a storm a second later.

What a killed process had not saved the kernel's counters still know, but not its cause.
"""
AT_LEAST_S: Final = 600.0
"""Up time reaches the disk this often without any edge."""


class _Row(BaseModel):
    """One link in the file."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)

    device: str
    port: str
    up: bool
    admin_up: bool
    last_change: float
    transitions: int
    down_events: dict[DownCause, int]
    up_seconds: float
    up_since: float | None
    carrier_up_count: int | None
    carrier_down_count: int | None
    mark: int | None
    if_index: int
    epoch: str
    time: float
    monotonic: float


class _File(BaseModel):
    """The whole file; `boot_id` tells whether its monotonic times mean anything now."""

    schema_name: Literal["opticd/links/1"]
    boot_id: str
    links: list[_Row]


def boot_id() -> str:
    """The kernel's name for this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


class LinkKeeper:
    """Settles causes in time and keeps the counters in `path`."""

    def __init__(self, hub: Hub, links: Links, path: Path | None, *, clock: Clock = HOST) -> None:
        self._links = links
        self._clock = clock
        self._file = StateFile(path, what="link counters") if path is not None else None
        self._boot = boot_id()
        self._changed = False
        self._made = 0
        hub.subscribe(LinkChanged, self._on_change)

    def _on_change(self, _: LinkChanged) -> None:
        self._changed = True

    def restore(self) -> None:
        """Load what an earlier run left. A file that makes no sense is put aside and said, never fatal."""
        file = self._file.load(_File) if self._file is not None else None
        if file is None:
            return
        saved = {(row.device, row.port): _to_saved(row) for row in file.links}
        self._links.restore(saved, same_boot=file.boot_id == self._boot)

    async def run(self) -> None:
        """Tick until cancelled."""
        saved_at = time.monotonic()
        try:
            while True:
                await asyncio.sleep(TICK_S)
                now = time.monotonic()
                if self._links.pending:
                    self._links.settle(self._clock.monotonic())
                if now - saved_at >= (AFTER_CHANGE_S if self._changed else AT_LEAST_S):
                    saved_at = now
                    self._changed = False
                    await self._save_aside()
        finally:
            self.save()

    async def _save_aside(self) -> None:
        """Save in slices, and in a thread: the links of a hundred switches take longer than the loop may wait."""
        if self._file is None:
            return
        self._made += 1
        number, saved = self._made, dict[tuple[str, str], SavedLink]()
        for key, link in self._links.saving(self._now):
            saved[key] = link
            if len(saved) % SLICE == 0:
                await asyncio.sleep(0)
        await asyncio.to_thread(self._write, self._file, saved, number)

    def save(self) -> None:
        """Write the file now (at the end; `run` does it meanwhile)."""
        if self._file is not None:
            self._made += 1
            self._write(self._file, dict(self._links.saving(self._now)), self._made)

    def _now(self) -> tuple[float, float]:
        return self._clock.wall(), self._clock.monotonic()

    def _write(self, file: StateFile, saved: dict[tuple[str, str], SavedLink], number: int) -> None:
        rows = [_to_row(device, port, link) for (device, port), link in saved.items()]
        text = _File(schema_name="opticd/links/1", boot_id=self._boot, links=rows).model_dump_json()
        file.write(text, number=number)


def _to_row(device: str, port: str, link: SavedLink) -> _Row:
    state, seen = link.state, link.seen
    return _Row(
        device=device,
        port=port,
        up=state.up,
        admin_up=state.admin_up,
        last_change=state.last_change,
        transitions=state.transitions,
        down_events=dict(state.down_events),
        up_seconds=state.up_seconds,
        up_since=state.up_since,
        carrier_up_count=seen.carrier_up_count,
        carrier_down_count=seen.carrier_down_count,
        mark=seen.mark,
        if_index=seen.if_index,
        epoch=seen.epoch,
        time=link.time,
        monotonic=link.monotonic,
    )


def _to_saved(row: _Row) -> SavedLink:
    state = LinkState(
        up=row.up,
        admin_up=row.admin_up,
        last_change=row.last_change,
        transitions=row.transitions,
        down_events=Counter(row.down_events),
        up_seconds=row.up_seconds,
        up_since=row.up_since,
    )
    seen = Observation(
        row.up,
        row.admin_up,
        carrier_up_count=row.carrier_up_count,
        carrier_down_count=row.carrier_down_count,
        mark=row.mark,
        if_index=row.if_index,
        epoch=row.epoch,
    )
    return SavedLink(state, seen, row.time, row.monotonic)
