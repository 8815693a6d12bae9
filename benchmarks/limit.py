"""32 buses that never rest, 3 ms a read: which share of what the wire allows is reached, and by whom."""

import asyncio
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from agent import maps
from agent.alerts.book import AlertBook
from agent.alerts.configured import all_rules
from agent.documents.history import History
from agent.memory import ModuleMemory
from agent.model import PollTiming
from agent.modules.engines import Engines
from agent.modules.session import Intervals
from agent.polling.busloop import BusLoop, PortTurn
from agent.polling.poller import Poller, PollerOptions
from agent.polling.portjob import Outcome, Polled, PortJob, PortSetup
from agent.polling.schedule import Slot
from agent.polling.worker import WorkerPool
from agent.sources import Cage, Options
from agent.state import Hub
from benchmarks.bus import BenchDriver
from exporters.prometheus.exposition import Exposition

BUSES: Final = 32
MODULES: Final = 512
READ_S: Final = 0.003
READS: Final = 3
"""Of one poll, in the row without work."""
LIMIT: Final = BUSES / READ_S


@dataclass(frozen=True)
class Shares:
    """Of the reads that 32 buses allow."""

    threads: float
    to_thread: float
    jobs: float
    """The worker threads of opticd, three reads a job and nothing done with them: as the peers."""
    polls: float
    """The same with the poller's schedule before them: which port is next, and its timing published."""
    refreshes: float
    """The whole daemon's work behind every two reads."""


def threads(seconds: float) -> float:
    """Plain threads."""
    counts = [0] * BUSES
    end = time.perf_counter() + seconds

    def work(bus: int) -> None:
        while time.perf_counter() < end:
            time.sleep(READ_S)
            counts[bus] += 1

    running = [threading.Thread(target=work, args=(bus,)) for bus in range(BUSES)]
    for each in running:
        each.start()
    for each in running:
        each.join()
    return sum(counts) / seconds / LIMIT


async def to_thread(seconds: float) -> float:
    """`asyncio.to_thread`, a read a call."""
    count = 0
    end = time.perf_counter() + seconds

    async def work() -> None:
        nonlocal count
        while time.perf_counter() < end:
            await asyncio.to_thread(time.sleep, READ_S)
            count += 1

    await asyncio.gather(*(work() for _ in range(BUSES)))
    return count / seconds / LIMIT


async def jobs(seconds: float) -> float:
    """The thread of each bus, one crossing of the event loop for three reads."""
    count = 0
    end = time.perf_counter() + seconds
    pool = WorkerPool()

    def reads() -> None:
        for _ in range(3):
            time.sleep(READ_S)

    async def work(bus: int) -> None:
        nonlocal count
        worker = pool.worker(str(bus))
        while time.perf_counter() < end:
            await worker.run(reads)
            count += 3

    await asyncio.gather(*(work(bus) for bus in range(BUSES)))
    await pool.stop()
    return count / seconds / LIMIT


class _Reads:
    """A port whose poll is three reads and no more; stands where a `PortJob` does."""

    def __init__(self, name: str) -> None:
        self.setup = PortSetup(port=name, bus="", source="", open=_nobody)

    def poll(self) -> Polled:
        """Three reads."""
        for _ in range(READS):
            time.sleep(READ_S)
        return Polled(Outcome.GOOD, (), READS * READ_S)

    look = poll

    def close(self) -> None:
        """Nothing is held."""

    def abandon(self) -> None:
        """Never hangs."""


def _nobody() -> ModuleMemory:
    raise NotImplementedError("nobody reads memory here")


class _Owner:
    """What a bus asks of the poller."""

    def __init__(self) -> None:
        self.hub = Hub("bench")
        self.engines = Engines()
        self.wall = time.time

    def first_poll(self) -> None:
        """Nobody waits for it."""


async def polls(seconds: float) -> float:
    """The buses as the poller runs them: the next poll is sent while one is on its way."""
    owner, pool, count = _Owner(), WorkerPool(), 0

    def polled(_: PollTiming) -> None:
        nonlocal count
        count += 1

    owner.hub.subscribe(PollTiming, polled)
    start = asyncio.get_running_loop().time()
    tasks: list[asyncio.Task[None]] = []
    for number in range(BUSES):
        bus = BusLoop(str(number), owner, share=1.0)
        for port in range(MODULES // BUSES):
            slot = Slot.begin(period_s=1e-3, start=start, phase=0.0)
            bus.ports.append(PortTurn(cast("PortJob", _Reads(f"{number}-{port}")), slot))
        tasks.append(asyncio.create_task(bus.run(pool.worker(bus.name))))
    await asyncio.sleep(0.5)
    before, begun = count, time.perf_counter()
    await asyncio.sleep(seconds)
    rate = READS * (count - before) / (time.perf_counter() - begun)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await pool.stop()
    return rate / LIMIT


async def refreshes(seconds: float) -> float:
    """The poller over the production driver, with history, rules and exposition behind it."""
    hub = Hub("bench")
    kept = History(hub), AlertBook(hub, all_rules(())), Exposition(hub)
    polls = 0

    def polled(_: PollTiming) -> None:
        nonlocal polls
        polls += 1

    hub.subscribe(PollTiming, polled)
    poller = Poller(hub, setups(), identify=maps.identify, wall=time.time, options=PollerOptions(bus_share=1.0))
    task = asyncio.create_task(poller.run())
    await poller.ready.wait()
    before, begun = polls, time.perf_counter()
    await asyncio.sleep(seconds)
    rate = 2 * (polls - before) / (time.perf_counter() - begun)
    task.cancel()
    await asyncio.wait((task,))
    del kept
    return rate / LIMIT


def setups() -> list[PortSetup]:
    """Modules that are always late."""
    driver = BenchDriver()
    every = Intervals(slow_s=3600, identity_s=3600)

    def cage(address: str) -> Cage:
        options = Options({"read_ms": str(READ_S * 1000)}, of=address)
        return driver.open(address, options)

    cages = [cage(address) for address in driver.expand(f"{MODULES}x{BUSES}")]
    return [
        PortSetup(port=each.port, bus=each.bus, source=each.source, open=partial(_memory, each), interval_s=1e-3,
                  intervals=every)
        for each in cages
    ]  # fmt: skip


def _memory(cage: Cage) -> ModuleMemory:
    return cage.memory


def measure(*, seconds: float) -> Shares:
    """All in one run."""
    return Shares(
        threads(seconds),
        asyncio.run(to_thread(seconds)),
        asyncio.run(jobs(seconds)),
        asyncio.run(polls(seconds)),
        asyncio.run(refreshes(seconds)),
    )


if __name__ == "__main__":
    print(measure(seconds=3.0))
