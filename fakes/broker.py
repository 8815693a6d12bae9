"""An embedded MQTT broker for the demo: amqtt on a free loopback port, in a process of its own.

`python -m fakes.broker` prints the port once it listens and runs until its standard input ends, so that it never
outlives the demo that started it. Not simulated: persistence over a restart, access control, TLS.
"""

import asyncio
import contextlib
import importlib.util
import logging
import socket
import sys
from collections.abc import AsyncGenerator

from agent.errors import OpticError
from fakes import child


def available() -> bool:
    """Whether what it is made of is installed: the extra `demo`, which no package of a deployment has."""
    return importlib.util.find_spec("amqtt") is not None


@contextlib.asynccontextmanager
async def embedded_broker() -> AsyncGenerator[str]:
    """Start the broker and yield its URL, `mqtt://127.0.0.1:PORT`. Raises OpticError when it does not start."""
    failed = OpticError(
        "the embedded MQTT broker did not start",
        hint="name a broker with --mqtt URL",
    )
    async with child.listening("fakes.broker", failed=failed) as port:
        yield f"mqtt://127.0.0.1:{port}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _serve() -> None:
    from amqtt.broker import Broker  # noqa: PLC0415 - only the broker's own process pays for it

    port = _free_port()
    listener = {"type": "tcp", "bind": f"127.0.0.1:{port}", "max_connections": 50}
    broker = Broker(
        {
            "listeners": {"default": listener},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    print(port, flush=True)  # noqa: T201 - what the parent waits for
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass


def main() -> None:
    """Serve until standard input ends; the process then ends at once, there is nothing to keep."""
    logging.disable(logging.CRITICAL)
    asyncio.run(_serve())


if __name__ == "__main__":
    main()
