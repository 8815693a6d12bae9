"""Baselines in the daemon: readings of the hub go in, figures go to the rules, and all of it survives a restart.

keeper = BaselineKeeper(hub, book, state_dir / "baselines.db")     # None: for this run alone
keeper.restore()                                                   # before the first reading
await keeper.run()                                                 # until cancelled; saves at the end
"""

import asyncio
import json
import logging
import sqlite3
import threading
from array import array
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from agent.alerts.book import AlertBook
from agent.baselines.baseline import Baselines, PortBaseline, columns
from agent.baselines.drift import Slope
from agent.model import Reading
from agent.rows import Rows
from agent.state import Hub, PortForgotten

_log = logging.getLogger(__name__)

SAVE_S: Final = 60.0
SCHEMA_VERSION: Final = 1
_CREATE: Final = """
CREATE TABLE IF NOT EXISTS baseline (
    device TEXT, port TEXT, serial TEXT, begun REAL, shift REAL, hour INTEGER, day INTEGER, reference REAL,
    commissioned INTEGER, keys TEXT, slopes TEXT, hours BLOB, today BLOB, days BLOB, numbers BLOB,
    temperatures BLOB, baseline BLOB, per_kelvin BLOB, unrest BLOB, PRIMARY KEY (device, port)
)
"""
_PUT: Final = "INSERT OR REPLACE INTO baseline VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
Row = tuple[
    str, str, str, float, float, int, int, float, int, str, str, bytes, bytes, bytes, bytes, bytes, bytes, bytes,
    bytes,
]  # fmt: skip


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
                rows: list[Row] = database.execute("SELECT * FROM baseline").fetchall()
            for row in rows:
                self.baselines.ports[row[0], row[1]] = _from_row(row)
        except (sqlite3.Error, ValueError) as exc:
            _log.error("%s: baselines start anew: %s", self._path, exc)
            self.baselines.ports.clear()
            try:
                self._path.replace(self._path.with_suffix(".bad"))
            except OSError as problem:
                _log.warning("%s: %s", self._path, problem.strerror)

    async def run(self) -> None:
        """Save what changed now and then, until cancelled."""
        try:
            while True:
                await asyncio.sleep(SAVE_S)
                if self._path is not None and (rows := self._changed()):
                    await asyncio.to_thread(self._write, self._path, rows)
        finally:
            self.save()

    def save(self) -> None:
        """Write what changed now."""
        if self._path is not None:
            self._write(self._path, self._changed())

    def _changed(self) -> list[Row]:
        rows: list[Row] = []
        for (device, name), port in self.baselines.ports.items():
            if port.dirty:
                port.dirty = False
                rows.append(_to_row(device, name, port))
        return rows

    def _write(self, path: Path, rows: Sequence[Row]) -> None:
        try:
            with self._lock, _opened(path) as database:
                database.executemany(_PUT, rows)
        except (sqlite3.Error, ValueError) as exc:
            if not self._failed:
                _log.error("%s: baselines will not survive a restart: %s", path, exc)
            self._failed = True
        else:
            self._failed = False


def _to_row(device: str, name: str, port: PortBaseline) -> Row:
    slopes = [[*key, *slope] for key, slope in port.slopes.items()]
    return (
        device, name, port.serial, port.begun, port.offset, port.hour, port.day, port.reference,
        int(port.commissioned), json.dumps(list(port.keys)), json.dumps(slopes),
        port.hours.data.tobytes(), port.today.data.tobytes(), port.days.data.tobytes(), port.numbers.tobytes(),
        port.temperatures.tobytes(), port.baseline.tobytes(), port.per_kelvin.tobytes(), port.unrest.tobytes(),
    )  # fmt: skip


def _from_row(row: Row) -> PortBaseline:
    """Raises ValueError for what makes no sense."""
    _, _, serial, begun, shift, hour, day, reference, commissioned, keys, slopes, *blobs = row
    names = [(str(name), int(lane)) for name, lane in json.loads(keys)]
    width = len(names)
    hours, today, days = (Rows(width, blob) for blob in blobs[:3])
    numbers, temperatures, baseline, per_kelvin, unrest = map(_array, blobs[3:])
    port = PortBaseline(
        serial, begun, shift, hour=hour, day=day, reference=reference, commissioned=bool(commissioned),
        keys=columns(tuple(names)), samples=Rows(width), hours=hours, today=today,
        days=days, numbers=numbers, temperatures=temperatures, baseline=baseline, per_kelvin=per_kelvin,
        unrest=unrest,
        slopes={(str(name), int(lane)): Slope(*bounds) for name, lane, *bounds in json.loads(slopes)},
    )  # fmt: skip
    if {len(baseline), len(per_kelvin), len(unrest)} != {width} or len(days) != len(numbers):
        raise ValueError("tables do not fit together")
    return port


@contextmanager
def _opened(path: Path) -> Generator[sqlite3.Connection]:
    """The database for one transaction. Raises ValueError for one of another program."""
    database = sqlite3.connect(path, check_same_thread=False)
    try:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version in {0, SCHEMA_VERSION}:
            database.executescript(f"{_CREATE}; PRAGMA user_version = {SCHEMA_VERSION};")
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
