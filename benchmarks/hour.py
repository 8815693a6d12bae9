"""The memory of a daemon after an hour, without waiting for it.

    python -m benchmarks.hour CONFIG

A real daemon over the cheap bus, with everything that its config asks for. Once it is ready it gets an hour of
readings, ten seconds apart, as its poller would publish them, and is scraped; then it prints what it holds.
"""

import asyncio
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from agent import app, config
from benchmarks.scraping import Scraper

SAMPLES: Final = 360
SPACING_S: Final = 10.0


def rss_mib() -> float:
    """What this process holds now."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024


async def hour(daemon: app.Daemon) -> dict[str, float]:
    """Let it pass, and look."""
    while daemon.poller is None:  # noqa: ASYNC110  # it is there after a few turns of the loop
        await asyncio.sleep(0.05)
    await daemon.poller.ready.wait()
    await asyncio.sleep(2.0)
    at_first = rss_mib()
    port = daemon.addresses[0][1]
    for turn in range(1, SAMPLES + 1):
        for _, state in list(daemon.hub.ports()):
            if state.reading is not None:
                daemon.hub.publish(replace(state.reading, time=state.reading.time + SPACING_S))
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
