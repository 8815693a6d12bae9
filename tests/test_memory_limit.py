"""MemoryMax: a real memory cgroup kills the daemon in mid-run; what it stored is whole, the next run goes on."""

import json
import os
import signal
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.daemon_process import DaemonProcess, running, write_config

BROKER = '[exporter.mqtt]\nurl = "mqtt://127.0.0.1:1"\n'  # nobody there: every transition waits on disk
V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


@contextmanager
def memory_cgroup(limit_bytes: int) -> Generator[Path]:
    """A group that may use so much memory; a skip where none can be made."""
    one = (V1 / "cgroup.procs").exists()
    group = (V1 if one else V2) / f"opticd-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if one else "memory.max")).write_text(str(limit_bytes), encoding="ascii")
    except OSError as exc:
        with suppress(OSError):
            group.rmdir()
        pytest.skip(f"no memory cgroup can be made here: {exc}")
    try:
        yield group
    finally:
        for _ in range(50):
            with suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.1)


def memory_mib(daemon: DaemonProcess) -> float:
    status = Path(f"/proc/{daemon.process.pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def test_a_daemon_that_reaches_its_memory_limit_is_killed_and_goes_on_afterwards(tmp_path: Path) -> None:
    with running(tmp_path, more=BROKER, scenario="storm") as usual:
        needs = memory_mib(usual)
    path, port = write_config(tmp_path, more=BROKER, scenario="storm")
    with memory_cgroup(round((needs + 6) * 2**20)) as group:
        daemon = DaemonProcess(path, port)
        (group / "cgroup.procs").write_text(str(daemon.process.pid), encoding="ascii")
        daemon.until_ready()
        daemon.until(lambda: daemon.metric("opticd_mqtt_outbox_messages") > [0.0])
        path.write_text(path.read_text(encoding="utf-8").replace("ports = 4", "ports = 512"), encoding="utf-8")
        daemon.process.send_signal(signal.SIGHUP)  # more than it may have
        code = daemon.process.wait(60)
        daemon.end()
    assert code == -signal.SIGKILL, daemon.said
    for file in (tmp_path / "state").glob("*.json"):
        json.loads(file.read_text())
    before = stored(tmp_path)
    assert before
    with running(tmp_path, more=BROKER, scenario="storm") as again:
        assert "start anew" not in again.said
    assert list((tmp_path / "state").glob("*.bad")) == []
    after = stored(tmp_path)
    assert after[: len(before)] == before  # nothing that waited was lost


def stored(folder: Path) -> list[tuple[int, str]]:
    """The messages that wait, oldest first."""
    store = sqlite3.connect(folder / "state" / "mqtt-outbox.db")
    try:
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return store.execute("SELECT id, topic FROM outbox ORDER BY id").fetchall()
    finally:
        store.close()
