"""The outbox: order, restart, bounds, and a disk that fails in every way."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from exporters.mqtt.outbox import Limits, Message, Outbox

INFO, WARNING, CRITICAL = 0, 1, 2


@asynccontextmanager
async def opened(
    path: Path | None, limits: Limits | None = None, now: float | None = None
) -> AsyncGenerator[Outbox]:
    outbox = Outbox(path, limits=limits, clock=time.time if now is None else lambda: now)
    await outbox.open()
    try:
        yield outbox
    finally:
        await outbox.close()


def put(outbox: Outbox, text: str, *, topic: str = "", severity: int = CRITICAL, state: str = "firing") -> None:
    outbox.put("opticd/leaf", topic, severity, state, text.encode())


async def everything(outbox: Outbox) -> list[Message]:
    """All that waits, page by page, when the thread has done what was asked of it."""
    await outbox.fetch(0, 1)  # what was put before is stored, and perhaps trimmed, behind this
    await asyncio.sleep(0)
    found: list[Message] = []
    while page := await outbox.fetch(found[-1].id if found else 0, 1000):
        found += page
    return found


def texts(messages: list[Message]) -> list[str]:
    return [message.payload.decode() for message in messages]


async def test_messages_come_back_in_order_page_by_page_until_they_are_acked(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.db") as outbox:
        for number in range(2500):
            put(outbox, str(number))
        found = await everything(outbox)
        assert texts(found) == [str(number) for number in range(2500)]
        assert (outbox.messages, outbox.durable) == (2500, True)
        outbox.ack(found[:1000] + found[2400:])
        assert texts(await everything(outbox)) == [str(number) for number in range(1000, 2400)]
        assert outbox.messages == 1400


async def test_what_waits_survives_a_restart_and_ids_go_on(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.db") as outbox:
        put(outbox, "a", topic="t/1")
        put(outbox, "b", topic="t/1", state="resolved")
        put(outbox, "c", topic="t/2", severity=WARNING)
        outbox.ack((await everything(outbox))[:1])
    async with opened(tmp_path / "o.db") as outbox:
        assert (outbox.messages, outbox.last_id) == (2, 3)
        assert outbox.newest == {"t/1": 2, "t/2": 3}
        put(outbox, "d")
        found = await everything(outbox)
        assert texts(found) == ["b", "c", "d"]
        assert [(m.id, m.base, m.topic, m.severity, m.state) for m in found[:2]] == [
            (2, "opticd/leaf", "t/1", CRITICAL, "resolved"),
            (3, "opticd/leaf", "t/2", WARNING, "firing"),
        ]


async def test_what_is_put_before_the_database_is_open_comes_behind_what_it_has(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.db") as outbox:
        put(outbox, "a", topic="t/1")
        await everything(outbox)
    late = Outbox(tmp_path / "o.db")
    put(late, "b", topic="t/1")
    assert late.messages == 1
    await late.open()
    assert (texts(await everything(late)), late.newest, late.messages) == (["a", "b"], {"t/1": 2}, 2)
    await late.close()


CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from exporters.mqtt.outbox import Outbox

async def main():
    outbox = Outbox(Path(sys.argv[1]))
    await outbox.open()
    for number in range(500):
        outbox.put("b", "", 2, "firing", str(number).encode())
    await outbox.fetch(0, 1)          # now they are stored
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_what_was_stored_survives_kill_minus_nine(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, str(path))
    assert await child.wait() == -signal.SIGKILL
    async with opened(path) as outbox:
        assert texts(await everything(outbox)) == [str(number) for number in range(500)]


async def test_when_full_superseded_transitions_go_first_then_the_least_severe(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.db", Limits(messages=100)) as outbox:
        for number in range(40):
            put(outbox, f"info {number}", severity=INFO)
        for number in range(40):
            put(outbox, f"critical {number}")
        for number in range(20):
            put(outbox, f"flap {number}", topic="t/flap", severity=WARNING)
        assert len(await everything(outbox)) == 100
        put(outbox, "one more")
        found = texts(await everything(outbox))
        # 5 % of room and the one that is too much: 7 of the flap's superseded transitions, the oldest.
        assert [text for text in found if text.startswith("flap")] == [f"flap {number}" for number in range(7, 20)]
        assert (outbox.dropped, outbox.messages) == ({"coalesced": 7}, 94)
        for number in range(40, 80):
            put(outbox, f"critical {number}")
            await outbox.fetch(0, 1)
        found = texts(await everything(outbox))
        assert len(found) <= 100
        assert [text for text in found if text.startswith("critical")] == [f"critical {n}" for n in range(80)]
        assert found[-41] == "one more"
        assert [text for text in found if text.startswith("flap")] == ["flap 19"]
        assert outbox.dropped["coalesced"] == 19
        infos = [int(text.split()[1]) for text in found if text.startswith("info")]
        assert infos == list(range(40 - len(infos), 40))
        assert outbox.dropped["full"] == 40 - len(infos) > 0
        assert outbox.messages == len(found)


async def test_the_topic_of_a_dropped_last_message_is_an_orphan(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.db", Limits(messages=100)) as outbox:
        put(outbox, "first", topic="t/1", severity=INFO)
        for number in range(100):
            put(outbox, str(number), topic=f"c/{number}")
        await everything(outbox)
        # 101 are one too many, and 5 % of room: six more of the oldest.
        assert outbox.orphans == {"t/1", *(f"c/{number}" for number in range(6))}
        assert outbox.newest == {f"c/{number}": number + 2 for number in range(6, 100)}


async def test_age_counts_by_severity(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    async with opened(path, Limits(age_s=100.0), now=1000.0) as outbox:
        for severity in (INFO, WARNING, CRITICAL):
            put(outbox, str(severity), severity=severity)
        assert len(await everything(outbox)) == 3
    left: list[list[str]] = []
    for now in (1099.0, 1101.0, 1199.0, 1201.0, 1399.0, 1401.0):
        async with opened(path, Limits(age_s=100.0), now=now) as outbox:
            put(outbox, "new")
            found = await everything(outbox)
            left.append(texts(found)[:-1])
            outbox.ack(found[-1:])
            await everything(outbox)
    assert left == [["0", "1", "2"], ["1", "2"], ["1", "2"], ["2"], ["2"], []]


async def test_a_day_of_outage_at_one_alert_a_second_fits_into_100_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    evidence = {"lanes": {str(lane): -3.0102999566398116 for lane in range(1, 9)}, "module_state": "ModuleReady"}
    payload = json.dumps({"evidence": evidence, "summary": "x" * 700}).encode()
    async with opened(path) as outbox:
        largest = 0
        for number in range(86_400):
            topic = f"opticd/leaf/alert/Ethernet{number % 512}/rx_power_low_alarm"
            outbox.put("opticd/leaf", topic, CRITICAL, "firing", payload)
            if number % 4000 == 0:
                await outbox.fetch(0, 1)
                largest = max(largest, _on_disk(path))
        await everything(outbox)
        largest = max(largest, _on_disk(path))
    assert largest <= 100_000_000
    assert outbox.messages + sum(outbox.dropped.values()) == 86_400
    assert outbox.messages > 50_000


def _on_disk(path: Path) -> int:
    return sum(part.stat().st_size for part in path.parent.iterdir())


async def test_the_file_shrinks_when_it_is_drained(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    async with opened(path, Limits(messages=10_000)) as outbox:
        for _ in range(10_000):
            put(outbox, "x" * 1000)
        found = await everything(outbox)
        full = path.stat().st_size
        outbox.ack(found)
        await everything(outbox)
    assert full > 10_000_000
    assert path.stat().st_size < 3_000_000


async def test_without_a_state_directory_it_works_in_memory() -> None:
    async with opened(None) as outbox:
        for number in range(10):
            put(outbox, str(number))
        found = await everything(outbox)
        outbox.ack(found[:4])
        assert texts(await everything(outbox)) == [str(number) for number in range(4, 10)]
        assert (outbox.messages, outbox.durable) == (6, False)


async def test_a_directory_that_is_not_there_falls_back_to_memory_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path / "nowhere" / "o.db") as outbox:
        for number in range(10):
            put(outbox, str(number))
            await outbox.fetch(0, 1)
        assert texts(await everything(outbox)) == [str(number) for number in range(10)]
        assert not outbox.durable
    assert caplog.text.count("kept in memory") == 1
    assert "10 MQTT messages were not stored and are lost" in caplog.text


@pytest.mark.parametrize("damage", ["rubbish", "middle", "version", "empty"])
async def test_a_damaged_database_is_put_aside(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "o.db"
    async with opened(path) as outbox:
        for number in range(500):
            put(outbox, str(number) * 100)
        await everything(outbox)
    match damage:
        case "rubbish":
            path.write_bytes(b"this is no database" * 1000)
        case "middle":
            raw = bytearray(path.read_bytes())
            raw[4096 : len(raw) - 4096] = b"\xa5" * (len(raw) - 8192)
            path.write_bytes(bytes(raw))
        case "version":
            with sqlite3.connect(path) as database:
                database.execute("PRAGMA user_version = 7")
            database.close()
        case _:
            path.write_bytes(b"")
    async with opened(path) as outbox:
        put(outbox, "new")
        assert texts(await everything(outbox)) == ["new"]
        assert outbox.durable
    assert (tmp_path / "o.db.bad").exists() == (damage != "empty")


FULL = """
import asyncio, resource, signal, sys
from pathlib import Path
from exporters.mqtt import store as outbox_store
from exporters.mqtt.outbox import Outbox

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

async def all_of(outbox):
    await outbox.fetch(0, 1)
    found = []
    while page := await outbox.fetch(found[-1].id if found else 0, 1000):
        found += page
    return [int(message.payload[:6]) for message in found], found

async def main():
    outbox = Outbox(Path(sys.argv[1]))
    await outbox.open()
    def put(first, last):
        for number in range(first, last):
            outbox.put("b", "", 2, "firing", b"%06d" % number + b"x" * 500)
    put(0, 200)
    numbers, _ = await all_of(outbox)
    assert numbers == list(range(200)) and outbox.durable, numbers
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # no file may grow beyond: a full disk
    put(200, 700)
    numbers, found = await all_of(outbox)
    assert numbers == list(range(700)), len(numbers)
    assert not outbox.durable
    outbox.ack(found[:100] + found[400:500])
    numbers, _ = await all_of(outbox)
    assert numbers == [*range(100, 400), *range(500, 700)], numbers
    assert outbox.messages == 500, outbox.messages
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await asyncio.sleep(RETRY)
    put(700, 710)
    numbers, _ = await all_of(outbox)
    assert numbers == [*range(100, 400), *range(500, 710)], numbers
    await asyncio.sleep(0.05)
    assert outbox.durable and outbox.messages == 510, (outbox.durable, outbox.messages)
    await outbox.close()
    again = Outbox(Path(sys.argv[1]))
    await again.open()
    numbers, _ = await all_of(again)
    assert numbers == [*range(100, 400), *range(500, 710)], numbers
    await again.close()
    print("kept all")

asyncio.run(main())
"""


def test_a_full_disk_loses_nothing_and_is_used_again_when_there_is_room(tmp_path: Path) -> None:
    script = textwrap.dedent(FULL).replace("RETRY)", "outbox_store.RETRY_S + 0.1)", 1)
    script = script.replace("async def main():", "outbox_store.RETRY_S = 0.2\n\nasync def main():", 1)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "o.db")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("kept all\n", 0), done.stderr
    assert "kept in memory" in done.stderr
    assert "works again" in done.stderr
