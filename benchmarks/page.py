"""How heavy the status page is: bytes, requests, time to the first port with 512 ports, memory while it stays open.

python -m benchmarks.page [SECONDS]

Nothing is cached: each opening is a first visit. Memory is what is left after a collection of garbage, with all 512
ports new every second and one of them shown in full.
"""

import asyncio
import statistics
import sys
import time

from tests import chromium
from tests.http_helpers import serving
from tests.page_scene import FLAPPING, Hour, Scene

SHOWN = "performance.getEntriesByName('ports-shown').length"
FIRST = "performance.getEntriesByName('ports-shown')[0].startTime"
BYTES = (
    "[...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')]"
    ".reduce((sum, each) => sum + each.transferSize, 0)"
)
OPENINGS = 5
EVERY_S = 60


async def heap_mb(page: chromium.Page) -> tuple[float, int]:
    """JavaScript heap in use (MB) and nodes of the document."""
    await page.command("HeapProfiler.collectGarbage")
    heap = await page.command("Runtime.getHeapUsage")
    counters = await page.command("Memory.getDOMCounters")
    return heap["usedSize"] / 1e6, counters["nodes"]


async def main(seconds: int) -> None:
    """Open it a few times, then leave it open."""
    hour = Hour()
    async with serving(history=hour) as served:
        hour.hub = served.hub
        scene = Scene(served, 512, now=time.time())
        with chromium.browser() as browser:
            times: list[float] = []
            weight, requests = 0.0, 0
            for _ in range(OPENINGS):
                async with chromium.page(browser) as page:
                    await page.command("Network.setCacheDisabled", cacheDisabled=True)
                    await page.goto(served.url("/"), until=SHOWN)
                    times.append(await page.run(FIRST))
                    weight = await page.run(BYTES) / 1024
                    requests = len(page.requested)
            print(f"first port shown after {statistics.median(times):.0f} ms (median of {OPENINGS})")
            print(f"{requests} requests, {weight:.0f} KiB over the network", flush=True)
            async with chromium.page(browser) as page:
                await page.goto(served.url(f"/#port={FLAPPING}"), until=SHOWN)
                await page.command("HeapProfiler.enable")
                start = time.monotonic()
                asked = EVERY_S
                while (age := time.monotonic() - start) < seconds:
                    scene.step(time.time())
                    await asyncio.sleep(1.0)
                    if age + 1.0 >= min(asked, seconds):
                        asked += EVERY_S
                        used, nodes = await heap_mb(page)
                        shown = await page.run("document.querySelectorAll('#port .spark').length")
                        print(f"after {age:.0f} s: {used:.2f} MB, {nodes} nodes, {shown} histories", flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 120))
