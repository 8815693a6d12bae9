"""One device: a discovery finds out what it has, a poll reads as few columns as possible to say how that is."""

import asyncio
import functools
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final

from agent.model import Trouble
from drivers.snmp import ber, mapping
from drivers.snmp import tables as std
from drivers.snmp.ber import Oid, Value
from drivers.snmp.client import SYS_DESCR, SYS_OBJECT_ID, SYS_UP_TIME, Session
from drivers.snmp.errors import ErrorStatus, Malformed, NoAnswer, WalkCut
from drivers.snmp.mapping import DeviceMap
from drivers.snmp.rules import Mib
from drivers.snmp.slots import CutColumn
from drivers.snmp.tables import Column, Tables

IF_TABLE_LAST_CHANGE: Final = (1, 3, 6, 1, 2, 1, 31, 1, 5, 0)
ENT_LAST_CHANGE: Final = (1, 3, 6, 1, 2, 1, 47, 1, 4, 1, 0)
ENGINE_BOOTS: Final = (1, 3, 6, 1, 6, 3, 10, 2, 1, 2, 0)
ENGINE_TIME: Final = (1, 3, 6, 1, 6, 3, 10, 2, 1, 3, 0)
MARKS: Final = (SYS_UP_TIME, IF_TABLE_LAST_CHANGE, ENT_LAST_CHANGE, ENGINE_BOOTS, ENGINE_TIME)

INTERFACE_COLUMNS: Final = (
    std.IF_DESCR, std.IF_TYPE, std.IF_ADMIN, std.IF_OPER, std.IF_LAST_CHANGE,
    std.IF_NAME, std.IF_ALIAS, std.IF_HIGH_SPEED, std.IF_CONNECTOR,
)  # fmt: skip
ENTITY_COLUMNS: Final = (
    *((*std.ENTITY_ENTRY, number) for number in std.ENTITY_TEXTS.values()),
    std.CONTAINED_IN, std.ENTITY_CLASS, std.ALIAS_MAPPING,
)  # fmt: skip

_MOST_TOGETHER: Final = 10
_TICKS_WRAP: Final = 1 << 32
_WRAP_MARGIN: Final = 100 * 3600
"""sysUpTime that fell from its last hour before the wrap has wrapped (497 days)."""


@dataclass(slots=True)
class Answer:
    """What one poll brought, in the order of `DeviceMap.columns`; None: the column could not be read at all."""

    columns: list[Column | None]
    troubles: tuple[Trouble, ...]
    up_time: int | None
    """sysUpTime, hundredths of a second."""
    epoch: str
    """Differs after each start of the agent."""
    died: bool = False
    """The device stopped to answer in the middle of it."""
    has_last_change: bool = False
    """ifLastChange is 0 for ever on some agents, which says nothing."""


@dataclass(slots=True)
class _Walked:
    """The columns of one pass over the device."""

    columns: dict[Oid, Column] = field(default_factory=dict[Oid, Column])
    troubles: list[Trouble] = field(default_factory=list[Trouble])
    died: bool = False


class Device:
    """Everything known of one device. Owned by one task; nothing here outlives a session's socket."""

    def __init__(
        self,
        session: Session,
        mibs: Sequence[Mib],
        *,
        every_interface: bool = False,
        builder: Executor | None = None,
    ) -> None:
        self.session = session
        self.map: DeviceMap | None = None
        self.system: Oid = ()
        self.description = ""
        self.discovered_at = 0.0
        """Monotonic seconds."""
        self._mibs = mibs
        self._every_interface = every_interface
        self._builder = builder
        """Makes the maps of all devices; None: a thread of the event loop's."""
        self._marks: dict[Oid, int] = {}
        self._starts = 0
        self._groups = True
        """The device answers for several columns in one request."""
        self._empty: list[Oid] = []
        """Columns that the device does not have: no poll asks for them again."""

    async def discover(self, *, keep: frozenset[str] = frozenset()) -> Answer:
        """Find out what the device has, and read it; ports named in `keep` stay though they may be bare now.

        Raises `NoAnswer` when the device does not even say hello.
        """
        self.session.begin()
        self.session.forgive()
        self._groups = True
        hello = await self.session.hello()
        self._note_system(hello)
        walked = _Walked()
        mibs = await self._probe(walked)
        if not walked.died and (mibs or keep or self._every_interface):
            await self._walk(_wanted(mibs), walked)
        # Pure, and long for a big chassis: a thread keeps the event loop free.
        build = functools.partial(
            mapping.build,
            Tables(walked.columns),
            mibs,
            system=self.system,
            description=self.description,
            every_interface=self._every_interface,
            keep=keep,
        )
        plan = await asyncio.get_running_loop().run_in_executor(self._builder, build)
        self.map = plan
        self.discovered_at = time.monotonic()
        self._empty = [c for c in plan.columns if c in walked.columns and not walked.columns[c]]
        if not walked.died:
            await self._look_at_marks(walked)
        return self._answer(plan, walked)

    async def poll(self) -> tuple[Answer, bool]:
        """The columns of a poll, and whether something calls for a new discovery."""
        assert self.map is not None, "discover first"
        self.session.begin()
        walked = _Walked({column: {} for column in self._empty})
        changed = await self._look_at_marks(walked)
        if not walked.died:
            await self._walk(self.map.columns, walked)
        for column, rows in self.map.rows.items():
            found = walked.columns.get(column)
            if found is None or isinstance(found, CutColumn):
                continue
            changed = changed or len(found) != len(rows) or not rows.issuperset(found)
        return self._answer(self.map, walked), changed and not walked.died

    def _note_system(self, hello: Mapping[Oid, Value]) -> None:
        system, description = hello.get(SYS_OBJECT_ID), hello.get(SYS_DESCR)
        try:
            self.system = ber.decode_oid(system) if isinstance(system, bytes) else ()
        except Malformed:
            self.system = ()
        self.description = std.clean(description) if isinstance(description, bytes) else ""

    async def _probe(self, walked: _Walked) -> list[Mib]:
        """The MIBs that the device answers for. All are asked in one request, one by one where that fails."""
        mibs = [mib.on(self.system) for mib in self._mibs]
        entries = [entry for mib in mibs for entry in mib.entries]
        answered: set[Oid] = set()
        try:
            for at in range(0, len(entries), 12):
                some = entries[at : at + 12]
                found = await self.session.next(some)
                answered |= {e for e, next_ in zip(some, found, strict=False) if next_.oid[: len(e)] == e}
        except (ErrorStatus, Malformed):
            for entry in entries:
                try:
                    found = await self.session.next((entry,))
                except ErrorStatus:
                    continue  # an SNMPv1 way to say that nothing follows, or a table that the agent fails at
                except (NoAnswer, Malformed) as exc:
                    walked.troubles.append(Trouble(exc.reason, f"{_dotted(entry)}: {exc}"))
                    continue
                if found and found[0].oid[: len(entry)] == entry:
                    answered.add(entry)
        except NoAnswer as exc:
            walked.died = True
            walked.troubles.append(Trouble(exc.reason, str(exc)))
        return [mib for mib in mibs if answered & set(mib.entries)]

    async def _walk(self, columns: Iterable[Oid], walked: _Walked) -> None:
        """Walk all columns; those of a short table together, a few rows at a time are mostly round trips."""
        by_table: dict[Oid, list[Oid]] = {}
        for column in columns:
            if column not in walked.columns:
                by_table.setdefault(column[:-1], []).append(column)
        for first, *others in by_table.values():
            if not await self._walk_one(first, walked):
                return
            together = min(_MOST_TOGETHER, self.session.repetitions // (len(walked.columns[first]) + 1))
            if together < 2 or not self._groups:
                together = 1
            for at in range(0, len(others), together):
                if not await self._walk_some(others[at : at + together], len(walked.columns[first]), walked):
                    return

    async def _walk_some(self, columns: Sequence[Oid], expected: int, walked: _Walked) -> bool:
        """Walk columns together; whatever is odd about the answer is settled by walking them one by one."""
        if len(columns) > 1 and self._groups:
            rows = [self.session.rows(column) for column in columns]
            try:
                await self.session.walk_together(rows)
            except (ErrorStatus, WalkCut, Malformed, NoAnswer):
                self._groups = False
            else:
                for column, found in zip(columns, rows, strict=True):
                    if len(found.values) in {0, expected}:
                        walked.columns[column] = found.values
        for column in columns:
            if column not in walked.columns and not await self._walk_one(column, walked):
                return False
        return True

    async def _walk_one(self, column: Oid, walked: _Walked) -> bool:
        """Walk a column; False when the device does not answer any more."""
        rows = self.session.rows(column)
        try:
            await self.session.walk(rows)
        except (ErrorStatus, WalkCut, Malformed, NoAnswer) as exc:
            walked.troubles.append(Trouble(exc.reason, f"{_dotted(column)}: {exc}"))
            walked.columns[column] = CutColumn(rows.values)
            if isinstance(exc, NoAnswer):
                walked.died = True
                return False
        else:
            walked.columns[column] = rows.values
        return True

    async def _look_at_marks(self, walked: _Walked) -> bool:
        """Whether the agent was started anew, or says that its interfaces or entities changed."""
        try:
            answer = await self.session.get(MARKS)
        except NoAnswer as exc:
            walked.died = True
            walked.troubles.append(Trouble(exc.reason, str(exc)))
            return False
        except (ErrorStatus, Malformed):
            try:
                answer = await self.session.get((SYS_UP_TIME,))
            except (ErrorStatus, Malformed, NoAnswer):
                return False
        fresh = {oid: value for oid, value in answer.items() if isinstance(value, int)}
        before, self._marks = self._marks, fresh
        if not before:
            return False
        restarted = _restarted(before, fresh)
        self._starts += restarted
        return restarted or any(
            before.get(mark) != fresh.get(mark) for mark in (IF_TABLE_LAST_CHANGE, ENT_LAST_CHANGE)
        )

    def _answer(self, plan: DeviceMap, walked: _Walked) -> Answer:
        return Answer(
            columns=[walked.columns.get(column) for column in plan.columns],
            troubles=tuple(walked.troubles),
            up_time=self._marks.get(SYS_UP_TIME),
            epoch=f"{self._marks.get(ENGINE_BOOTS, 0)}.{self._starts}",
            died=walked.died,
            has_last_change=any(walked.columns.get(std.IF_LAST_CHANGE, {}).values()),
        )


def _restarted(before: Mapping[Oid, int], fresh: Mapping[Oid, int]) -> bool:
    """Whether the agent started anew between two looks; sysUpTime also falls when it wraps."""
    if before.get(ENGINE_BOOTS) != fresh.get(ENGINE_BOOTS):
        return True
    old, new = before.get(SYS_UP_TIME, 0), fresh.get(SYS_UP_TIME, 0)
    return new < old < _TICKS_WRAP - _WRAP_MARGIN


def _wanted(mibs: Iterable[Mib]) -> Iterable[Oid]:
    """Every column that a discovery of these MIBs reads."""
    mibs = list(mibs)
    yield from INTERFACE_COLUMNS
    if any(mib.needs_entities for mib in mibs):
        yield from ENTITY_COLUMNS
    for mib in mibs:
        yield from mib.columns


def _dotted(oid: Oid) -> str:
    return ".".join(str(part) for part in oid)
