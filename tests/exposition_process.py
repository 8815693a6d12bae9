"""A process that serves the metrics of some ports and does nothing else, for counting its system calls.

python -m tests.exposition_process PORTS     # says its TCP port, ends when its input does
"""

import asyncio
import sys
from dataclasses import replace

from exporters.prometheus.series import KINDS, typical
from tests.http_helpers import serving


async def main(ports: int) -> None:
    """Serve until standard input ends."""
    async with serving() as served:
        reading = replace(typical(KINDS[3]), device=served.hub.local.device)
        for number in range(ports):
            served.hub.publish(replace(reading, port=f"Ethernet{number}"))
        sys.stdout.write(f"{served.server.addresses[0][1]}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
