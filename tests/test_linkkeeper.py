"""Link counters across restarts, and causes settled in time."""

import asyncio
import json
import time
from itertools import pairwise
from pathlib import Path

import pytest

from agent.clock import Clock
from agent.links.keeper import LinkKeeper
from agent.links.links import Links, Observation
from agent.model import DownCause
from agent.state import Hub, LinkState

DEVICE = "leaf-17"


class Run:
    """One life of the daemon, as far as links are concerned."""

    def __init__(self, path: Path | None) -> None:
        self.hub = Hub(DEVICE)
        self.links = Links(self.hub)
        self.keeper = LinkKeeper(self.hub, self.links, path)
        self.keeper.restore()

    def see(self, up: bool, ups: int, downs: int, *, port: str = "swp1") -> LinkState:
        seen = Observation(up, carrier_up_count=ups, carrier_down_count=downs, if_index=7, epoch="boot")
        self.links.observe(DEVICE, port, seen, time=time.time(), monotonic=time.monotonic())
        link = self.hub.local.ports[port].link
        assert link is not None
        return link


def test_counters_go_on_after_a_restart(tmp_path: Path) -> None:
    first = Run(tmp_path / "links.json")
    first.see(True, 1, 0)
    first.see(False, 1, 1)
    first.keeper.save()
    link = Run(tmp_path / "links.json").see(True, 4, 3)
    assert link.transitions == 6
    assert link.down_events == {DownCause.UNINTENTIONAL: 1, DownCause.UNKNOWN: 2}


def test_up_time_goes_on_in_the_same_boot(tmp_path: Path) -> None:
    first = Run(tmp_path / "links.json")
    since = first.see(True, 1, 0).up_since
    first.keeper.save()
    assert Run(tmp_path / "links.json").see(True, 1, 0).up_since == since


def test_up_time_of_another_boot_counts_until_its_last_save(tmp_path: Path) -> None:
    path = tmp_path / "links.json"
    first = Run(path)
    first.see(True, 1, 0)
    first.keeper.save()
    text = json.loads(path.read_text())
    (row,) = text["links"]
    row["monotonic"] = row["up_since"] + 3600
    path.write_text(json.dumps({**text, "boot_id": "another"}))
    link = Run(path).see(True, 1, 0)
    assert link.up_seconds == pytest.approx(3600)
    assert link.up_since is not None
    assert abs(link.up_since - time.monotonic()) < 5


def test_ports_not_seen_this_time_are_kept(tmp_path: Path) -> None:
    first = Run(tmp_path / "links.json")
    first.see(True, 1, 0)
    first.see(False, 1, 1)
    first.keeper.save()
    Run(tmp_path / "links.json").keeper.save()
    assert Run(tmp_path / "links.json").see(False, 1, 1).transitions == 1


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"schema_name": "opticd/links/0", "boot_id": "", "links": []}', '{"links": [{}]}', "\ud800"],
)
def test_a_broken_file_is_put_aside_and_said(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "links.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert Run(path).see(True, 1, 0).transitions == 0
    assert not path.exists()
    assert (tmp_path / "links.bad").exists()
    (record,) = caplog.records
    assert "link counters start anew: " in record.getMessage()
    assert "\n" not in record.getMessage()


def test_a_directory_that_cannot_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = Run(tmp_path / "missing" / "links.json")
    run.see(True, 1, 0)
    run.keeper.save()
    run.keeper.save()
    assert [record.getMessage().split(": ", 1)[1] for record in caplog.records] == [
        "link counters will not survive a restart: No such file or directory"
    ]


async def test_causes_settle_and_the_end_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "links.json"
    run = Run(path)
    task = asyncio.create_task(run.keeper.run(), name="links")
    run.see(True, 1, 0)
    seen = Observation(up=False, admin_up=False, if_index=7, epoch="boot")
    run.links.observe(DEVICE, "swp1", seen, time=time.time(), monotonic=time.monotonic())
    link = run.hub.local.ports["swp1"].link
    assert link is not None
    assert link.down_events.total() == 0
    await asyncio.sleep(0.9)
    assert link.down_events == {DownCause.ADMIN: 1}
    assert not path.exists()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    (row,) = json.loads(path.read_text())["links"]
    assert row["down_events"] == {"admin": 1}


async def test_many_links_are_saved_a_slice_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "links.json"
    asked: list[float] = []

    class Counting(Clock):
        """Tells the time of each link that is copied."""

        def wall(self) -> float:
            asked.append(1.0)
            return 1.0

    hub = Hub(DEVICE)
    links = Links(hub)
    keeper = LinkKeeper(hub, links, path, clock=Counting())
    task = asyncio.create_task(keeper.run(), name="links")
    await asyncio.sleep(0)
    for number in range(1000):
        links.observe(DEVICE, f"swp{number}", Observation(up=True, epoch="boot"), time=1.0, monotonic=2.0)
    counts = [0]
    while not path.exists():
        await asyncio.sleep(0)
        counts.append(len(asked))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert counts[-1] == 1000
    assert max(after - before for before, after in pairwise(counts)) == 100
    assert len(json.loads(path.read_text())["links"]) == 1000
