"""`pause_after_link_change` and `bus_share`: what the config says reaches the poller of a running daemon."""

import asyncio
from pathlib import Path

from agent.config import file as config
from agent.model import LinkEvent, PollTiming, Reading
from agent.service.app import Daemon

FLAP = """
description = "One link flaps."
modules = ["qsfpdd-400g-dr4"]
[[event]]
kind = "flap"
ports = [1]
at_s = 1.0
down_s = 0.3
"""


SLOW = """
description = "Modules that take 20 ms a transaction."
modules = ["qsfpdd-400g-dr4"]
[[event]]
kind = "slow"
ports = "all"
delay_s = 0.02
down_s = 60.0
"""


async def run(folder: Path, scenario: str, *, seconds: float, **agent: float) -> list[tuple[float, object]]:
    """What the hub of a daemon with two ports told, and when."""
    (folder / "scenario.toml").write_text(scenario, encoding="utf-8")
    document = {
        "agent": {"device": "leaf", "poll_interval": 0.1, **agent},
        "source": [{"type": "fake", "ports": 2, "scenario": str(folder / "scenario.toml")}],
        "exporter": {"prometheus": {"listen": "127.0.0.1:0"}},
    }
    daemon = Daemon(config.of_document(document, name="test"))
    told: list[tuple[float, object]] = []
    clock = asyncio.get_running_loop().time
    for kind in (Reading, LinkEvent, PollTiming):
        daemon.hub.subscribe(kind, lambda event: told.append((clock(), event)))
    asyncio.get_running_loop().call_later(seconds, daemon.stop)
    await asyncio.wait_for(daemon.run(), seconds + 10)
    return told


def readings(told: list[tuple[float, object]], port: str, *, since: float, seconds: float) -> int:
    """How many of a port came within so many seconds."""
    return sum(
        isinstance(event, Reading) and event.port == port and since < at < since + seconds for at, event in told
    )


async def test_a_module_is_let_alone_while_its_link_comes_up(tmp_path: Path) -> None:
    told = await run(tmp_path, FLAP, seconds=5.5, pause_after_link_change=1.0)
    edges = [(at, event) for at, event in told if isinstance(event, LinkEvent)]
    assert [event.up for _, event in edges] == [False, True]
    for at, _ in edges:
        # A poll that was on its way ends; then nothing for a second.
        assert readings(told, "Ethernet1", since=at, seconds=0.9) <= 1
    assert sum(readings(told, "Ethernet2", since=at, seconds=0.9) for at, _ in edges) > 2


async def test_a_bus_is_used_for_the_share_that_the_config_gives(tmp_path: Path) -> None:
    def polls(told: list[tuple[float, object]]) -> list[float]:
        return [event.duration_s for _, event in told if isinstance(event, PollTiming)]

    whole = polls(await run(tmp_path, SLOW, seconds=4.0, bus_share=1.0))
    part = polls(await run(tmp_path, SLOW, seconds=4.0, bus_share=0.05))
    # What is saved up at the start, its share, and two polls under way.
    assert sum(part) <= 1.0 + 4.0 * 0.05 + max(0.6, 2 * max(part))
    assert sum(part) < 0.7 * sum(whole)
