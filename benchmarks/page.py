"""How heavy the status page is: bytes, requests, time to the first port with 512 ports, memory after a while.

python -m benchmarks.page [SECONDS]
"""

import asyncio
import statistics
import sys
import time

from tests import chromium
from tests.http_helpers import serving
from tests.page_scene import Hour, Scene

SHOWN = "performance.getEntriesByName('ports-shown').length"
BYTES = "performance.getEntriesByType('resource').reduce((sum, each) => sum + each.transferSize, 0)"


async def main(seconds: int) -> None:
    """Open it five times, then leave it open."""
    hour = Hour()
    async with serving(history=hour) as served:
        hour.hub = served.hub
        scene = Scene(served, 512, now=time.time())
        with chromium.browser() as browser:
            times: list[float] = []
            for _ in range(5):
                async with chromium.page(browser) as page:
                    await page.goto(served.url("/"), until=SHOWN)
                    times.append(await page.run("performance.getEntriesByName('ports-shown')[0].startTime"))
            async with chromium.page(browser) as page:
                await page.goto(served.url("/"), until=SHOWN)
                print(f"first port shown after {statistics.median(times):.0f} ms (median of 5)")
                print(f"{len(page.requested)} requests, {await page.run(BYTES) / 1024:.0f} KiB")
                await page.command("HeapProfiler.enable")
                for second in range(seconds):
                    scene.step(time.time())
                    await asyncio.sleep(1.0)
                    if second in (5, seconds - 1):
                        await page.command("HeapProfiler.collectGarbage")
                        heap = await page.command("Runtime.getHeapUsage")
                        print(f"after {second + 1} s: {heap['usedSize'] / 1e6:.1f} MB of JavaScript heap")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 60))
