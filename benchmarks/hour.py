"""The memory of a daemon after an hour, without waiting for it.

    python -m benchmarks.hour CONFIG

A real daemon with everything that its config asks for. Once it is ready it gets an hour of readings, ten seconds
apart, as its poller would publish them, every value another by a percent or so, and is scraped; then it prints what
it holds.
"""

import asyncio
import json
import os
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from agent.config import file as config
from agent.model import Reading
from agent.service import app
from benchmarks.scraping import Scraper

SAMPLES: Final = 360
SPACING_S: Final = 10.0


def rss_mib() -> float:
    """What this process holds now."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024


def later(reading: Reading, rng: random.Random) -> Reading:
    """The next one: powers and currents move by a percent, temperatures and voltages by a thousandth."""
    lanes = {
        quantity: {lane: value * rng.gauss(1.0, 0.01) for lane, value in by_lane.items()}
        for quantity, by_lane in reading.lanes.items()
    }
    values = {quantity: value * rng.gauss(1.0, 0.001) for quantity, value in reading.values.items()}
    return replace(reading, time=reading.time + SPACING_S, lanes=lanes, values=values)


async def hour(daemon: app.Daemon) -> dict[str, float]:
    """Let it pass, and look."""
    while daemon.poller is None:  # noqa: ASYNC110  # it is there after a few turns of the loop
        await asyncio.sleep(0.05)
    await daemon.poller.ready.wait()
    await asyncio.sleep(2.0)
    at_first = rss_mib()
    port, rng = daemon.addresses[0][1], random.Random(1)
    for turn in range(1, SAMPLES + 1):
        for _, state in list(daemon.hub.ports()):
            if state.reading is not None:
                daemon.hub.publish(later(state.reading, rng))
            await asyncio.sleep(0)
        if turn % 60 == 0:
            await asyncio.to_thread(Scraper(port).scrape)
    await asyncio.sleep(1.0)
    history_mib = daemon.history.size_bytes / 2**20
    return {"first_mib": at_first, "hour_mib": rss_mib(), "history_mib": history_mib, "pid": os.getpid()}


async def run(path: Path) -> None:
    """The daemon and its hour."""
    daemon = app.Daemon(config.load(path), path=path)
    running = asyncio.create_task(daemon.run())
    found = await hour(daemon)
    print(json.dumps(found), flush=True)
    daemon.stop()
    await running


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
