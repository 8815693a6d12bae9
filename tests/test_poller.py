"""The poller over production drivers and fake modules at the wire, judged by what it publishes."""

import asyncio
import errno
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest

from agent import quantities as q
from agent.memory import Span
from agent.model import Module, ModuleChange, ModuleEvent, PollFailed, PollTiming, Reading
from agent.modules.session import Intervals
from agent.polling.poller import IN_STEP, Poller, PollerOptions, PortSetup
from agent.state import BusHealth, Discarded, Event, Hub
from drivers.i2c.bus import LinuxI2cBus
from drivers.i2c.paged import PagedMemory
from fakes.adapter import FakeAdapter
from fakes.i2cdev import FakeI2cDev
from fakes.module import FakeModule
from tests.tinymap import identify, image

E = TypeVar("E", bound=Event)
KINDS = (Reading, PollFailed, ModuleEvent, PollTiming, BusHealth, Discarded)


class Rig:
    """Some buses with some ports each, everything that was published, and when."""

    def __init__(
        self, buses: int = 1, ports: int = 1, *, period_s: float = 0.02, options: PollerOptions | None = None
    ) -> None:
        self.hub = Hub("leaf-17")
        self.events: list[Event] = []
        for kind in KINDS:
            self.hub.subscribe(kind, self.events.append)
        self.modules: dict[str, FakeModule] = {}
        self.adapters: dict[str, FakeAdapter] = {}
        self.exhausted: list[str] = []
        setups: list[PortSetup] = []
        for bus in range(buses):
            for place in range(ports):
                name, path = f"swp{bus}.{place}", f"/dev/i2c-{bus * 100 + place}"
                self.modules[name] = FakeModule(image(f"SN{name}"), family="cmis")
                self.adapters[name] = FakeAdapter(self.modules[name])
                kernel = FakeI2cDev({path: self.adapters[name]})

                def way(path: str = path, kernel: FakeI2cDev = kernel) -> PagedMemory:
                    return PagedMemory(LinuxI2cBus(path, calls=kernel), busy_limit_s=0)

                setups.append(
                    PortSetup(
                        port=name,
                        bus=str(bus),
                        source=f"i2c:{bus}",
                        open=way,
                        interval_s=period_s,
                        intervals=Intervals(slow_s=3600, identity_s=3600),
                    )
                )
        self.poller = Poller(
            self.hub,
            setups,
            identify=identify,
            wall=time.time,
            options=options or PollerOptions(bus_share=1.0, hang_s=5.0),
            on_exhausted=self.exhausted.append,
        )

    def of(self, kind: type[E], port: str | None = None) -> list[E]:
        return [
            event
            for event in self.events
            if isinstance(event, kind) and (port is None or getattr(event, "port", None) == port)
        ]

    def count(self, kind: type[Event], port: str | None = None) -> int:
        return len(self.of(kind, port))

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Rig"]:
        task = asyncio.create_task(self.poller.run())
        ready = asyncio.create_task(self.poller.ready.wait())
        await asyncio.wait((task, ready), timeout=10, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        try:
            yield self
        finally:
            for adapter in self.adapters.values():
                adapter.release()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], object], *, limit_s: float = 10.0) -> None:
    """Wait for something that will come."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110  # what it waits for happens in threads and fakes
            await asyncio.sleep(0.005)


async def test_a_reading_reaches_the_hub() -> None:
    async with Rig().running() as rig:
        reading = rig.hub.local.ports["swp0.0"].reading
        assert reading is not None
        assert (reading.device, reading.port, reading.source) == ("leaf-17", "swp0.0", "i2c:0")
        assert reading.module.get("serial_number") == "SNswp0.0"
        assert reading.values[q.TEMPERATURE] == 40.0
        assert reading.thresholds[q.TEMPERATURE] == {"high_alarm": 75.0}
        assert abs(reading.time - time.time()) < 5
        (inserted,) = rig.of(ModuleEvent)
        assert inserted.change is ModuleChange.INSERTED
        assert rig.count(PollTiming) >= 1


async def test_pull_and_swap_are_events_in_order_and_old_values_never_return() -> None:
    async with Rig().running() as rig:
        module = rig.modules["swp0.0"]
        module.remove()
        await until(lambda: not rig.hub.local.ports["swp0.0"].present)
        assert rig.hub.local.ports["swp0.0"].reading is None
        pulled_at = len(rig.events)
        module.insert(image("SN-OTHER", temperature=50.0))
        await until(lambda: rig.hub.local.ports["swp0.0"].reading)
        changes = [event.change for event in rig.of(ModuleEvent)]
        assert changes == [ModuleChange.INSERTED, ModuleChange.REMOVED, ModuleChange.SWAPPED]
        assert rig.hub.local.ports["swp0.0"].swaps == 1
        later = [event for event in rig.events[pulled_at:] if isinstance(event, Reading)]
        assert {reading.module.get("serial_number") for reading in later} == {"SN-OTHER"}
        assert {reading.values[q.TEMPERATURE] for reading in later} == {50.0}


async def test_a_slow_port_leaves_other_buses_their_cadence() -> None:
    async with Rig(buses=3, ports=2, period_s=0.05).running() as rig:
        rig.adapters["swp0.0"]._sleep = time.sleep
        rig.adapters["swp0.0"].delay_s = 0.1
        before = {port: rig.count(Reading, port) for port in rig.modules}
        await until(lambda: rig.count(Reading, "swp1.0") >= before["swp1.0"] + 40)
        made = {port: rig.count(Reading, port) - before[port] for port in rig.modules}
        for port in ("swp1.1", "swp2.0", "swp2.1"):
            assert made[port] >= 40 / 1.2, made
        assert made["swp0.0"] < 10
        await until(lambda: any(timing.overruns for timing in rig.of(PollTiming) if timing.bus == "0"))


async def test_a_hung_call_costs_its_port_alone() -> None:
    rig = Rig(buses=2, ports=3, options=PollerOptions(bus_share=1.0, hang_s=0.15))
    async with rig.running():
        rig.adapters["swp0.0"].stall()
        await until(lambda: any(e.trouble.reason == "bus_hung" for e in rig.of(PollFailed, "swp0.0")))
        marks = {port: rig.count(Reading, port) for port in rig.modules}
        await until(lambda: all(rig.count(Reading, p) > marks[p] + 5 for p in rig.modules if p != "swp0.0"))
        assert rig.count(Reading, "swp0.0") == marks["swp0.0"]
        assert sum(thread.name.startswith("bus-0") for thread in threading.enumerate()) == 2
        rig.adapters["swp0.0"].release()
        await until(lambda: rig.count(Reading, "swp0.0") > marks["swp0.0"])
        await until(lambda: sum(thread.name.startswith("bus-0") for thread in threading.enumerate()) == 1)
        assert rig.exhausted == []
        health = [(event.up, event.recovered) for event in rig.of(BusHealth)]
        assert health[:2] == [(False, False), (True, True)]


async def test_when_everything_hangs_the_daemon_is_told() -> None:
    rig = Rig(buses=1, ports=4, options=PollerOptions(bus_share=1.0, hang_s=0.1, spares=2))
    async with rig.running():
        for adapter in rig.adapters.values():
            adapter.stall()
        await until(lambda: rig.exhausted)
        assert rig.exhausted == ["0"]
        assert rig.poller.stale(60) == ("0",)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5


async def test_64_empty_ports_cost_a_byte_each_and_wait_for_a_module() -> None:
    rig = Rig(buses=4, ports=16, period_s=0.1)
    for module in rig.modules.values():
        module.remove()
    async with rig.running():
        for adapter in rig.adapters.values():
            adapter.clear()
        await until(lambda: all(rig.count(PollFailed, port) >= 4 for port in rig.modules))
        polls = sum(rig.count(PollFailed, port) for port in rig.modules) - 64
        transactions = sum(adapter.traffic.transactions for adapter in rig.adapters.values())
        assert transactions <= polls + 64
        assert not rig.of(ModuleEvent)
        rig.modules["swp2.7"].insert()
        await until(lambda: rig.count(Reading, "swp2.7"))
        assert not any(rig.count(Reading, port) for port in rig.modules if port != "swp2.7")


async def test_an_adapter_that_vanishes_is_let_go_and_opened_again() -> None:
    rig = Rig(buses=1, ports=1)
    adapter = rig.adapters["swp0.0"]
    async with rig.running():
        adapter.unplug()
        await until(lambda: rig.count(PollFailed) >= 1)
        await until(adapter.plug)  # the kernel makes the new one only when nobody holds the old one
        made = rig.count(Reading)
        await until(lambda: rig.count(Reading) > made)
        health = [(event.up, event.recovered) for event in rig.of(BusHealth)]
        assert health[0] == (False, False)
        assert health[-1] == (True, True)
        assert rig.count(ModuleEvent) == 1  # the same module: nothing was inserted


async def test_a_transfer_error_closes_every_port_of_its_bus() -> None:
    rig = Rig(buses=2, ports=2, period_s=0.05)
    async with rig.running():
        opens = {name: adapter.opens for name, adapter in rig.adapters.items()}
        assert set(opens.values()) == {1}
        rig.adapters["swp0.1"].fail(errno.EIO)
        await until(lambda: rig.count(PollFailed))
        await until(lambda: [e.up for e in rig.of(BusHealth)] == [False, True])
        assert {event.bus for event in rig.of(BusHealth)} == {"0"}


async def test_read_now_is_out_of_turn() -> None:
    async with Rig(period_s=60.0).running() as rig:
        rig.modules["swp0.0"].put(Span(14, 2), bytes.fromhex("2a80"))
        answer = await asyncio.wait_for(rig.poller.read_now("swp0.0"), 5)
        assert isinstance(answer, Reading)
        assert answer.values[q.TEMPERATURE] == 42.5
        rig.modules["swp0.0"].remove()
        gone = await asyncio.wait_for(rig.poller.read_now("swp0.0"), 5)
        assert isinstance(gone, PollFailed)
        with pytest.raises(KeyError):
            rig.poller.read_now("swp9.9")


async def test_fast_polling_for_a_while() -> None:
    async with Rig(period_s=60.0).running() as rig:
        before = rig.count(Reading)
        rig.poller.fast("swp0.0", period_s=0.02, duration_s=0.3)
        await until(lambda: rig.count(Reading) >= before + 10)
        await asyncio.sleep(0.4)
        made = rig.count(Reading)
        await asyncio.sleep(0.2)
        assert rig.count(Reading) == made
        assert made <= before + 16


async def test_an_absurd_sample_is_discarded_and_counted() -> None:
    async with Rig(period_s=60.0).running() as rig:
        rig.modules["swp0.0"].put(Span(14, 2), bytes.fromhex("5a00"))  # 90 degC, once
        leapt = await rig.poller.read_now("swp0.0")
        rig.modules["swp0.0"].put(Span(14, 2), bytes.fromhex("2800"))
        back = await rig.poller.read_now("swp0.0")
        assert isinstance(leapt, Reading)
        assert isinstance(back, Reading)
        assert q.TEMPERATURE not in leapt.values
        assert "temperature_celsius" in leapt.unread
        assert back.values[q.TEMPERATURE] == 40.0
        assert [(e.reason, e.port) for e in rig.of(Discarded)] == [("temperature_jump", "swp0.0")]


async def test_another_module_than_before_the_restart_is_a_swap() -> None:
    rig = Rig(ports=2)
    before = Module(vendor_name="ACME", part_number="TINY-400", serial_number="SNswp0.0")

    def expected(_: str) -> Module:
        return before

    rig.poller._expected = expected
    async with rig.running():
        pass
    changes = {event.port: event.change for event in rig.of(ModuleEvent)}
    assert changes == {"swp0.0": ModuleChange.INSERTED, "swp0.1": ModuleChange.SWAPPED}


async def test_one_crossing_of_the_event_loop_a_poll_at_most() -> None:
    async with Rig(buses=4, ports=4, period_s=0.05).running() as rig:
        polls, crossings = rig.count(PollTiming), rig.poller.crossings
        await until(lambda: rig.count(PollTiming) >= polls + 100)
        assert rig.poller.crossings - crossings <= rig.count(PollTiming) - polls + 4


async def test_leisurely_polls_of_a_few_buses_share_a_crossing() -> None:
    async with Rig(buses=4, ports=2, period_s=0.4).running() as rig:
        await asyncio.sleep(0.4)
        polls, crossings = rig.count(PollTiming), rig.poller.crossings
        await until(lambda: rig.count(PollTiming) >= polls + 40)
        assert rig.poller.crossings - crossings <= 30  # 10 moments; a late thread rings for itself


async def test_no_more_than_a_few_buses_begin_together() -> None:
    async with Rig(buses=3 * IN_STEP, ports=1, period_s=4.0).running() as rig:
        anchors = Counter(round(turn.slot.anchor, 6) for _, turn in rig.poller._ports.values())
    assert set(anchors.values()) == {IN_STEP}
    assert max(anchors) - min(anchors) == pytest.approx(4.0 * 2 / 3, abs=1e-5)


async def test_the_end_is_quick_even_when_a_call_hangs() -> None:
    rig = Rig(buses=2, ports=1)
    task = asyncio.create_task(rig.poller.run())
    await asyncio.wait_for(rig.poller.ready.wait(), 10)
    rig.adapters["swp0.0"].stall()
    await asyncio.sleep(0.1)
    begun = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - begun < 5
    assert rig.adapters["swp1.0"].opens == 0
    rig.adapters["swp0.0"].release()


async def test_a_bug_is_not_swallowed() -> None:
    rig = Rig()

    def broken(_: Reading) -> None:
        raise ZeroDivisionError

    rig.hub.subscribe(Reading, broken)
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(rig.poller.run(), 10)
    assert caught.group_contains(ZeroDivisionError)


async def test_a_port_is_let_alone_for_a_while_and_others_are_not() -> None:
    async with Rig(ports=2, period_s=0.05).running() as rig:
        rig.poller.hold("swp0.0", 1.5)
        await asyncio.sleep(0.1)  # what was on its way
        before = {port: len([e for e in rig.of(Reading) if e.port == port]) for port in rig.modules}
        asked = rig.poller.read_now("swp0.0")
        await until(lambda: len([e for e in rig.of(Reading) if e.port == "swp0.1"]) > before["swp0.1"] + 2)
        assert len([e for e in rig.of(Reading) if e.port == "swp0.0"]) == before["swp0.0"]
        assert not asked.done()
        assert isinstance(await asyncio.wait_for(asked, 5), Reading)
        await until(lambda: len([e for e in rig.of(Reading) if e.port == "swp0.0"]) > before["swp0.0"] + 3)
        rig.poller.hold("swp9.9", 1.0)  # a link without a module of ours
