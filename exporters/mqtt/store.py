"""The database behind the outbox: SQLite on disk, and in memory for what a failing disk cannot take.

Used from one thread. Every public call works whatever the disk does; `Store.durable` says whether it holds.
"""

import logging
import math
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from agent.clock import CLOCK_SET

_log = logging.getLogger(__name__)

SCHEMA_VERSION: Final = 1
SLACK: Final = 0.05
"""Trimming makes this share of room at once: it scans the table."""
LOG_SHARE: Final = 8
"""The write-ahead log and half-empty pages may take one part in so many of the bytes on disk."""
PAGE_BYTES: Final = 4096
MEMORY_BYTES: Final = 16_000_000
"""What messages in memory may take while the disk fails."""
SPARE_PAGES: Final = 512
"""Free pages kept for what comes next."""
AGE_CHECK_S: Final = 60.0
RETRY_S: Final = 10.0
"""Seconds between two tries with a disk that failed."""
_CREATE: Final = """
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY, base TEXT NOT NULL, topic TEXT NOT NULL, severity INTEGER NOT NULL, state TEXT NOT NULL,
    time REAL NOT NULL, payload BLOB NOT NULL
)
"""
_COLUMNS: Final = "id, base, topic, severity, state, time, payload"
_INSERT: Final = f"INSERT INTO outbox ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # constants


class Message(NamedTuple):
    """One message on its way."""

    id: int
    base: str
    """Base topic of its device."""
    topic: str
    """Topic of its alert, '' for a link event that belongs to none."""
    severity: int
    state: str
    time: float
    payload: bytes


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the outbox. `age_s` holds for `info`, twice of it for `warning`, four times for `critical`."""

    messages: int = 100_000
    bytes: int = 100_000_000
    age_s: float = 7 * 86_400.0


class Drop(NamedTuple):
    """A message that was given up."""

    reason: str
    id: int
    topic: str


@dataclass(frozen=True, slots=True)
class Left:
    """What an earlier run left."""

    last_id: int = 0
    newest: dict[str, int] = field(default_factory=dict[str, int])
    """Topic of an alert to the id of its last message."""


class Store:
    """Messages by id. `path` None: in memory alone."""

    def __init__(self, path: Path | None, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._disk: sqlite3.Connection | None = None
        self._memory: sqlite3.Connection | None = None
        self._owed: set[int] = set()
        """Deletions that the disk has still to be told."""
        self._complained = False
        self._aged_at = -math.inf
        self._retry_at = -math.inf
        self._memory_from = 0
        """Ids from here on are in memory."""
        self.disk_count = 0
        self.memory_count = 0
        self.corrupted = 0
        """Messages lost with a database that could not be read any more; whoever reports it sets it to 0."""

    @property
    def count(self) -> int:
        """How many messages there are."""
        return self.disk_count - len(self._owed) + self.memory_count

    @property
    def durable(self) -> bool:
        """True while what is stored survives the end of the process."""
        return self._disk is not None and self._memory is None

    @property
    def lagging(self) -> bool:
        """True while something waits for the disk to work again."""
        return self._path is not None and not self.durable

    def open(self) -> Left:
        """Open what an earlier run left, or begin."""
        try:
            self._open()
            return self._left()
        except sqlite3.DatabaseError as exc:
            self._failed(exc)
            return Left()

    def close(self) -> None:
        """Close the files; what is only in memory is lost with it, and said."""
        if self.memory_count:
            _log.warning("%d MQTT messages were not stored and are lost", self.memory_count)
        for connection in (self._disk, self._memory):
            if connection is not None:
                connection.close()
        self._disk = self._memory = None

    def apply(self, puts: Sequence[Message], acks: Sequence[int]) -> None:
        """Store and delete, in one transaction and synced when something is stored."""
        self._forget(acks)
        if time.monotonic() < self._retry_at:
            self._keep(puts)
            return
        try:
            if self._disk is None:
                self._open()
            self._write([*self._in_memory(-1, self.memory_count), *puts])
        except sqlite3.DatabaseError as exc:
            self._failed(exc)
            self._keep(puts)
            return
        if self._memory is not None:
            self._memory.close()
            self._memory, self.memory_count = None, 0
        if self._complained:
            _log.warning("%s: works again, MQTT messages are stored", self._path)
        self._complained = False

    def _forget(self, acks: Sequence[int]) -> None:
        """Delete from memory now, from the disk with the next transaction."""
        here = [number for number in acks if self._memory is not None and number >= self._memory_from]
        if self._memory is not None and here:
            gone = self._memory.executemany("DELETE FROM outbox WHERE id = ?", [(number,) for number in here])
            self.memory_count -= max(0, gone.rowcount)
        if self._disk is not None:
            self._owed.update(number for number in acks if self._memory is None or number < self._memory_from)

    def fetch(self, after: int, limit: int) -> list[Message]:
        """Messages with an id above `after`, in order."""
        found: list[Message] = []
        if self._disk is not None:
            try:
                found = [m for m in _select(self._disk, after, limit + len(self._owed)) if m.id not in self._owed]
            except sqlite3.DatabaseError as exc:
                self._failed(exc)
        # What is in memory came later than all that is on disk.
        return (found + self._in_memory(found[-1].id if found else after, limit))[:limit]

    def trim(self, now: float) -> list[Drop]:
        """Give up what is too old, and what does not fit; the least missed first."""
        drops: list[Drop] = []
        if now - self._aged_at >= AGE_CHECK_S or now < self._aged_at:
            self._aged_at = now
            old = "time < ? - ? * (1 << severity) AND NOT (time < ? AND ? >= ?)"
            arguments = (now, self._limits.age_s, CLOCK_SET, now, CLOCK_SET)
            drops += self._drop("expired", old, arguments, "id", -1)
        for _ in range(64):
            excess = self._excess()
            if excess <= 0:
                break
            older = "topic != '' AND id NOT IN (SELECT MAX(id) FROM outbox GROUP BY topic)"
            dropped = self._drop("coalesced", older, (), "severity, id", excess)
            if not dropped:
                dropped = self._drop("full", "1", (), "severity, id", excess)
            if not dropped:
                break
            drops += dropped
        return drops

    # ---- the disk -----------------------------------------------------------------------------------------

    def _open(self) -> None:
        if self._path is None:
            return
        disk = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            (version,) = disk.execute("PRAGMA user_version").fetchone()
            if version not in {0, SCHEMA_VERSION}:
                raise _Foreign(f"version {version} of another opticd")
            disk.execute("PRAGMA auto_vacuum = INCREMENTAL")
            disk.execute("PRAGMA journal_mode = WAL")
            log_bytes = self._limits.bytes // (4 * LOG_SHARE)
            disk.execute(f"PRAGMA journal_size_limit = {log_bytes}")
            disk.execute(f"PRAGMA wal_autocheckpoint = {min(1000, max(16, log_bytes // PAGE_BYTES))}")
            disk.execute("PRAGMA synchronous = NORMAL")
            if disk.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise _Foreign("its check fails")
            disk.execute(_CREATE)
            disk.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            (self.disk_count,) = disk.execute("SELECT count(*) FROM outbox").fetchone()
        except sqlite3.DatabaseError:
            disk.close()
            raise
        self._disk = disk

    def _left(self) -> Left:
        if self._disk is None:
            return Left()
        (last,) = self._disk.execute("SELECT max(id) FROM outbox").fetchone()
        rows = self._disk.execute("SELECT topic, max(id) FROM outbox WHERE topic != '' GROUP BY topic")
        return Left(last or 0, dict(rows.fetchall()))

    def _write(self, messages: Sequence[Message]) -> None:
        disk = self._disk
        if disk is None:
            raise sqlite3.OperationalError("no state directory")
        # A lost deletion is a duplicate with the same id; a lost message is lost: only messages are synced.
        disk.execute(f"PRAGMA synchronous = {'FULL' if messages else 'NORMAL'}")
        disk.execute("BEGIN IMMEDIATE")
        try:
            gone = disk.executemany("DELETE FROM outbox WHERE id = ?", [(number,) for number in self._owed])
            deleted = max(0, gone.rowcount)
            disk.executemany(_INSERT, messages)
            disk.execute("COMMIT")
        except sqlite3.DatabaseError:
            if disk.in_transaction:
                disk.execute("ROLLBACK")
            raise
        self.disk_count += len(messages) - deleted
        self._owed.clear()
        if deleted:
            self._shrink(disk)

    def _failed(self, exc: sqlite3.DatabaseError) -> None:
        """The disk does not do what it should: a database that is broken is put aside, else it is tried again."""
        if self._path is None:
            return
        code = getattr(exc, "sqlite_errorcode", 0)
        broken = isinstance(exc, _Foreign) or code in {_CORRUPT, _NOT_A_DATABASE}
        self._retry_at = -math.inf if broken else time.monotonic() + RETRY_S
        if not self._complained:
            _log.warning(
                "%s: %s; MQTT messages are kept in memory and would not survive a restart", self._path, exc
            )
        self._complained = True
        if not broken:
            return
        if self._disk is not None:
            self._disk.close()
        self._disk = None
        self.corrupted += self.disk_count
        self.disk_count = 0
        self._owed.clear()
        for suffix in ("", "-wal", "-shm"):
            part = self._path.with_name(self._path.name + suffix)
            try:
                part.replace(part.with_name(part.name + ".bad"))
            except FileNotFoundError:
                continue
            except OSError as problem:
                _log.warning("%s: %s", part, problem.strerror)

    # ---- memory -------------------------------------------------------------------------------------------

    def _keep(self, puts: Sequence[Message]) -> None:
        if self._memory is None:
            if not puts:
                return
            self._memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            self._memory.execute(_CREATE)
            self._memory_from = puts[0].id
        self._memory.executemany(_INSERT, puts)
        self.memory_count += len(puts)

    def _in_memory(self, after: int, limit: int) -> list[Message]:
        return _select(self._memory, after, limit) if self._memory is not None and limit > 0 else []

    # ---- bounds -------------------------------------------------------------------------------------------

    def _excess(self) -> int:
        """How many messages have to go; 0 when everything fits."""
        count = self.count
        over = count - self._limits.messages
        if over <= 0 and not self._too_big():
            return 0
        return max(over, 0) + math.ceil(count * SLACK)

    def _too_big(self) -> bool:
        most = self._limits.bytes - self._limits.bytes // LOG_SHARE
        return (self._disk is not None and _used(self._disk) > most) or (
            self._memory is not None and _used(self._memory) > min(MEMORY_BYTES, most)
        )

    def _drop(self, reason: str, where: str, arguments: tuple[float, ...], order: str, limit: int) -> list[Drop]:
        """Delete up to `limit` messages (-1: all); what a failing disk keeps is owed to it."""
        drops: list[Drop] = []
        sql = f"SELECT id, topic FROM outbox WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608  # constants
        for connection in (self._disk, self._memory):
            if connection is None or not limit:
                continue
            try:
                rows: list[tuple[int, str]] = connection.execute(sql, (*arguments, limit)).fetchall()
                rows = [row for row in rows if row[0] not in self._owed]
                if connection is self._disk:
                    self._owed.update(number for number, _ in rows)
                    self._write(())
                else:
                    connection.executemany("DELETE FROM outbox WHERE id = ?", [(number,) for number, _ in rows])
                    self.memory_count -= len(rows)
            except sqlite3.DatabaseError as exc:
                self._failed(exc)
                continue
            drops += [Drop(reason, number, topic) for number, topic in rows]
            limit = max(0, limit - len(rows)) if limit > 0 else limit
        return drops

    def _shrink(self, disk: sqlite3.Connection) -> None:
        """Give pages back to the file system once most of them are free (each costs a move: not while draining)."""
        (free,) = disk.execute("PRAGMA freelist_count").fetchone()
        (pages,) = disk.execute("PRAGMA page_count").fetchone()
        if free > SPARE_PAGES and 2 * free > pages:
            # It yields a row without columns for every page, after the first of which `execute` would stop.
            disk.executescript(f"PRAGMA incremental_vacuum({free - SPARE_PAGES})")


class _Foreign(sqlite3.DatabaseError):
    """A file that is a database, but not of this program or not whole."""


_CORRUPT: Final = 11
_NOT_A_DATABASE: Final = 26


def _select(connection: sqlite3.Connection, after: int, limit: int) -> list[Message]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM outbox WHERE id > ? ORDER BY id LIMIT ?",  # noqa: S608  # constants
        (after, limit),
    )
    return [Message(*row) for row in rows]


def _used(connection: sqlite3.Connection) -> int:
    """Bytes of the pages that hold something."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * size)
