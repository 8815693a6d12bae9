"""The user's own quirk rows in the running daemon: obeyed from the start, exchanged by a reload, unless bad."""

import asyncio
from pathlib import Path

import pytest

from agent import quantities as q
from agent.config import file as config
from agent.errors import ConfigError
from agent.model import Reading
from agent.service import app


class Told:
    """The readings of a daemon, one after the other."""

    def __init__(self, daemon: app.Daemon) -> None:
        self._queue: asyncio.Queue[Reading] = asyncio.Queue()
        daemon.hub.subscribe(Reading, self._queue.put_nowait)

    async def offers_rx_power(self, *, so: bool) -> bool:
        """Whether a reading comes soon that has (or has not) received power."""
        for _ in range(20):
            reading = await asyncio.wait_for(self._queue.get(), 5)
            if (q.RX_POWER in reading.lanes) is so:
                return True
        return False


async def test_rows_hold_from_the_start_and_a_reload_exchanges_them(tmp_path: Path) -> None:
    quirks, path = tmp_path / "own.toml", tmp_path / "opticd.toml"
    denied = '[[quirk]]\nname = "x"\nvendor = "lumenworks"\nnot_offered = ["rx_power_watts"]\n'
    quirks.write_text(denied)
    path.write_text(
        f'[agent]\nquirks = "{quirks}"\npoll_interval = 0.1\nstate_dir = "{tmp_path}"\n'
        '[[source]]\ntype = "fake"\nports = 1\nscenario = "quiet"\n'
        '[exporter.prometheus]\nlisten = "127.0.0.1:0"\n'
    )
    daemon = app.Daemon(config.load(path), path=path)
    told = Told(daemon)
    running = asyncio.create_task(daemon.run())
    try:
        assert await told.offers_rx_power(so=False)
        quirks.write_text('[[quirk]]\nname = "x"\nbanks = 12\n')
        with pytest.raises(ConfigError, match=r"quirk\[0\]\.banks"):
            await daemon.reload()
        assert await told.offers_rx_power(so=False)
        quirks.write_text(denied.replace("lumenworks", "somebody else"))
        await daemon.reload()
        assert await told.offers_rx_power(so=True)
    finally:
        daemon.stop()
        assert await asyncio.wait_for(running, 10) == 0
