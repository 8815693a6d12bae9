"""Baselines in the daemon: readings of the hub go in, figures go to the rules, and all of it survives a restart.

keeper = BaselineKeeper(hub, book, state_dir / "baselines.db")     # None: for this run alone
keeper.restore()                                                   # before the first reading
await keeper.run()                                                 # until cancelled; saves at the end
"""

import asyncio
import logging
import sqlite3
import threading
from array import array
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from agent.alertbook import AlertBook
from agent.baseline import Baselines, PortBaseline, Track
from agent.drift import Slope
from agent.model import Reading
from agent.state import Hub, PortForgotten

_log = logging.getLogger(__name__)

SAVE_S: Final = 60.0
SCHEMA_VERSION: Final = 1
_CREATE: Final = """
CREATE TABLE IF NOT EXISTS port (
    device TEXT, port TEXT, serial TEXT, begun REAL, shift REAL, hour INTEGER, day INTEGER, reference REAL,
    commissioned INTEGER, temperatures BLOB, PRIMARY KEY (device, port)
);
CREATE TABLE IF NOT EXISTS track (
    device TEXT, port TEXT, name TEXT, lane INTEGER, baseline REAL, per_kelvin REAL,
    slope REAL, slope_low REAL, slope_high REAL, hours BLOB, today BLOB, days BLOB, numbers BLOB,
    PRIMARY KEY (device, port, name, lane)
);
"""

PortRow = tuple[str, str, str, float, float, int, int, float, int, bytes]
Maybe = float | None
TrackRow = tuple[str, str, str, int, Maybe, float, Maybe, Maybe, Maybe, bytes, bytes, bytes, bytes]
_PUT_PORT: Final = "INSERT OR REPLACE INTO port VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_TRACK: Final = "INSERT OR REPLACE INTO track VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class BaselineKeeper:
    """Feeds the baselines and keeps them in `path`; a disk that fails is said once and ends nothing."""

    def __init__(self, hub: Hub, book: AlertBook, path: Path | None) -> None:
        self.baselines: Final = Baselines()
        self._hub = hub
        self._book = book
        self._path = path
        self._lock = threading.Lock()
        self._failed = False
        hub.subscribe(Reading, self._on_reading)
        hub.subscribe(PortForgotten, self._on_forgotten)

    def _on_reading(self, reading: Reading) -> None:
        link = self._hub.device(reading.device).port(reading.port).link
        figures = self.baselines.observe(reading, link_up=None if link is None else link.up)
        if figures is not None:
            self._book.figures(reading.device, reading.port, figures)

    def _on_forgotten(self, event: PortForgotten) -> None:
        self.baselines.forget(event.device, event.port)

    def restore(self) -> None:
        """Load what an earlier run left; what makes no sense is put aside."""
        if self._path is None or not self._path.exists():
            return
        try:
            with self._lock, _opened(self._path) as database:
                ports: list[PortRow] = database.execute("SELECT * FROM port").fetchall()
                tracks: list[TrackRow] = database.execute("SELECT * FROM track").fetchall()
            self._take(ports, tracks)
        except (sqlite3.Error, ValueError) as exc:
            _log.error("%s: baselines start anew: %s", self._path, exc)
            self.baselines.ports.clear()
            try:
                self._path.replace(self._path.with_suffix(".bad"))
            except OSError as problem:
                _log.warning("%s: %s", self._path, problem.strerror)

    def _take(self, ports: Iterable[PortRow], tracks: Iterable[TrackRow]) -> None:
        for device, port, serial, begun, shift, hour, day, reference, commissioned, temperatures in ports:
            self.baselines.ports[device, port] = PortBaseline(
                serial, begun, shift, hour=hour, day=day, reference=reference, commissioned=bool(commissioned),
                temperature_hours=_array(temperatures),
            )  # fmt: skip
        for device, port, name, lane, baseline, per_kelvin, slope, low, high, *arrays in tracks:
            known = self.baselines.ports.get((device, port))
            if known is not None:
                hours, today, days, numbers = map(_array, arrays)
                known.tracks[name, lane] = Track(
                    hours=hours, today=today, days=days, numbers=numbers, baseline=baseline, per_kelvin=per_kelvin
                )
                if slope is not None and low is not None and high is not None:
                    known.slopes[name, lane] = Slope(slope, low, high)

    async def run(self) -> None:
        """Save what changed now and then, until cancelled."""
        try:
            while True:
                await asyncio.sleep(SAVE_S)
                if self._path is not None and (rows := self._changed()) != ([], []):
                    await asyncio.to_thread(self._write, self._path, *rows)
        finally:
            self.save()

    def save(self) -> None:
        """Write what changed now."""
        if self._path is not None:
            self._write(self._path, *self._changed())

    def _changed(self) -> tuple[list[PortRow], list[TrackRow]]:
        ports: list[PortRow] = []
        tracks: list[TrackRow] = []
        for (device, name), port in self.baselines.ports.items():
            if not port.dirty:
                continue
            port.dirty = False
            ports.append(
                (
                    device, name, port.serial, port.begun, port.offset, port.hour, port.day, port.reference,
                    int(port.commissioned), port.temperature_hours.tobytes(),
                )
            )  # fmt: skip
            tracks += [_row(device, name, what, lane, port) for what, lane in port.tracks]
        return ports, tracks

    def _write(self, path: Path, ports: Sequence[PortRow], tracks: Sequence[TrackRow]) -> None:
        try:
            with self._lock, _opened(path) as database:
                database.executemany("DELETE FROM track WHERE device = ? AND port = ?", [row[:2] for row in ports])
                database.executemany(_PUT_PORT, ports)
                database.executemany(_PUT_TRACK, tracks)
        except sqlite3.Error as exc:
            if not self._failed:
                _log.error("%s: baselines will not survive a restart: %s", path, exc)
            self._failed = True
        else:
            self._failed = False


def _row(device: str, name: str, what: str, lane: int, port: PortBaseline) -> TrackRow:
    track, slope = port.tracks[what, lane], port.slopes.get((what, lane))
    value, low, high = slope if slope is not None else (None, None, None)
    return (
        device, name, what, lane, track.baseline, track.per_kelvin, value, low, high,
        track.hours.tobytes(), track.today.tobytes(), track.days.tobytes(), track.numbers.tobytes(),
    )  # fmt: skip


@contextmanager
def _opened(path: Path) -> Generator[sqlite3.Connection]:
    """The database for one transaction. Raises ValueError for one of another program."""
    database = sqlite3.connect(path, check_same_thread=False)
    try:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version in {0, SCHEMA_VERSION}:
            database.executescript(f"{_CREATE} PRAGMA user_version = {SCHEMA_VERSION};")
            yield database
            database.commit()
        else:
            raise ValueError(f"version {version} of another opticd")
    finally:
        database.close()


def _array(raw: bytes) -> "array[float]":
    numbers = array("f")
    numbers.frombytes(raw)
    return numbers
