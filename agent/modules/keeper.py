"""What is remembered of a port beyond polls, reloads and restarts: swaps, who was last in the cage, latched flags.

    keeper = PortKeeper(hub, state_dir / "ports.json")     # None: for this run alone
    keeper.restore()                                       # before the first poll
    poller = Poller(..., expected=keeper.last_module)      # another module now is a swap
    await keeper.run()                                     # until cancelled; saves at the end

Counters of links and alerts have keepers of their own.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.model import Module, ModuleChange, ModuleEvent, Reading
from agent.modules.latches import Latch, Latches, Where
from agent.state import Hub, PortForgotten
from agent.statefile import StateFile

SAVE_S: Final = 30.0
"""What changed reaches the disk within this time."""
ACTIVE_SAVE_S: Final = 600.0
"""The time at which a lasting flag was last seen reaches it so often."""


SLICE: Final = 100
"""Ports that are copied at once: 2 ms, 8 ms on a busy machine."""


class _LatchRow(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)

    flag: str
    lane: int = Field(default=0, ge=0)
    first: float
    last: float
    count: int = Field(ge=1)
    active: bool


class _Who(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)

    vendor_name: str = ""
    part_number: str = ""
    serial_number: str = ""


class _PortRow(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)

    device: str
    port: str
    swaps: int = Field(default=0, ge=0)
    module: _Who = _Who()
    latches: list[_LatchRow] = []


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)

    schema_name: Literal["opticd/ports/1"] = "opticd/ports/1"
    ports: list[_PortRow]


class PortKeeper:
    """Keeps `path` up to date with what the hub tells; failures to write are said once and end nothing."""

    def __init__(self, hub: Hub, path: Path | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._hub = hub
        self._file = StateFile(path, what="swap counts and latched flags") if path is not None else None
        self._clock = clock
        self._latches: dict[tuple[str, str], Latches] = {}
        self._modules: dict[tuple[str, str], _Who] = {}
        self._changed = False
        self._number = 0
        hub.subscribe(Reading, self._read)
        hub.subscribe(ModuleEvent, self._module)
        hub.subscribe(PortForgotten, self._forgotten)

    def last_module(self, port: str) -> Module:
        """Who was last in a cage of this host; {} when nobody ever was."""
        who = self._modules.get((self._hub.local.device, port))
        if who is None:
            return {}
        return Module(vendor_name=who.vendor_name, part_number=who.part_number, serial_number=who.serial_number)

    def latches(self, device: str, port: str) -> Latches:
        """Every latched flag of the module that is, or was last, in a port."""
        return self._latches.get((device, port)) or Latches()

    def restore(self) -> None:
        """Load what an earlier run left. A file that makes no sense is put aside and said, never fatal."""
        file = self._file.load(_File) if self._file is not None else None
        if file is None:
            return
        for row in file.ports:
            key = (row.device, row.port)
            self._hub.device(row.device).port(row.port).swaps = row.swaps
            self._modules[key] = row.module
            latches = self._latches[key] = Latches()
            latches.restore(
                {
                    Where(each.flag, each.lane): Latch(each.first, each.last, each.count, active=each.active)
                    for each in row.latches
                }
            )

    async def run(self) -> None:
        """Save now and then, until cancelled."""
        saved_at = self._clock()
        try:
            while True:
                await asyncio.sleep(1.0)
                now = self._clock()
                if now - saved_at >= (SAVE_S if self._changed else ACTIVE_SAVE_S):
                    saved_at = now
                    if self._file is not None:
                        await self._save_aside(self._file)
        finally:
            self.save()

    async def _save_aside(self, file: StateFile) -> None:
        """Save in slices, and in a thread: the ports of a hundred switches take longer than the loop may wait."""
        self._changed = False
        self._number += 1
        number, rows = self._number, list[_PortRow]()
        for key in self._keys():
            if key in self._latches or key in self._modules:  # it may be forgotten meanwhile
                rows.append(self._row(*key))
            if len(rows) % SLICE == 0:
                await asyncio.sleep(0)
        await asyncio.to_thread(_write, file, rows, number)

    def save(self) -> bool:
        """Write it all now; False when that failed."""
        if self._file is None:
            return True
        self._changed = False
        self._number += 1
        return _write(self._file, [self._row(*key) for key in self._keys()], self._number)

    def _keys(self) -> list[tuple[str, str]]:
        return sorted({*self._latches, *self._modules})

    def _row(self, device: str, port: str) -> _PortRow:
        return _PortRow(
            device=device,
            port=port,
            swaps=self._hub.device(device).port(port).swaps,
            module=self._modules.get((device, port), _Who()),
            latches=[
                _LatchRow(
                    flag=where.flag,
                    lane=where.lane,
                    first=latch.first,
                    last=latch.last,
                    count=latch.count,
                    active=latch.active,
                )
                for where, latch in self._latches.get((device, port), Latches())
            ],
        )

    def _read(self, reading: Reading) -> None:
        key = (reading.device, reading.port)
        latches = self._latches.get(key)
        if latches is None:
            latches = self._latches[key] = Latches()
            self._modules.setdefault(key, _who(reading.module))
            self._changed = True
        if latches.update(reading.time, reading.flags, reading.lane_flags):
            self._changed = True

    def _module(self, event: ModuleEvent) -> None:
        key = (event.device, event.port)
        self._changed = True
        if event.change is ModuleChange.SWAPPED and key in self._latches:
            self._latches[key].clear()  # they were the old module's
        if event.change is not ModuleChange.REMOVED:
            self._modules[key] = _who(event.module)

    def _forgotten(self, event: PortForgotten) -> None:
        self._latches.pop((event.device, event.port), None)
        self._modules.pop((event.device, event.port), None)
        self._changed = True


def _who(module: Module) -> _Who:
    return _Who(
        vendor_name=module.get("vendor_name", ""),
        part_number=module.get("part_number", ""),
        serial_number=module.get("serial_number", ""),
    )


def _write(file: StateFile, rows: list[_PortRow], number: int) -> bool:
    return file.write(_File(ports=rows).model_dump_json(), number=number)
