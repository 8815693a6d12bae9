"""What reaches a broker, and how fast: the outbox against a real mosquitto.

    python benchmarks/mqtt_delivery.py rate      # a backlog drained, beside aiomqtt's own publish
    python benchmarks/mqtt_delivery.py outages   # 20 broker kills, 5 daemon kills, 10,000 transitions
    python benchmarks/mqtt_delivery.py latency   # link event on the hub to message at a subscriber
    python benchmarks/mqtt_delivery.py day       # 24 hours without the broker at one alert a second, in a minute

Prints what it measured; exits 1 when a transition is lost or out of order, or a bound is not kept.
"""

import asyncio
import contextlib
import json
import random
import resource
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import aiomqtt

from agent.alerts.book import AlertBook
from agent.alerts.builtin import BUILTIN_RULES
from agent.alerts.document import encode_alert
from agent.config.file import Mqtt
from agent.model import AlertEvent, DownCause, LinkEvent
from agent.state import Hub, LinkChanged, LinkState
from exporters.mqtt.exporter import MqttExporter, Pace
from tests.mosquitto import Broker, Subscriber, eventually
from tests.test_mqtt import Gate

DEVICE = "bench"
PORTS = 64
DAY_S = 86_400


def _daemon(url: str, state_dir: Path) -> tuple[Hub, AlertBook, MqttExporter]:
    hub = Hub(DEVICE)
    book = AlertBook(hub, BUILTIN_RULES)
    for index in range(PORTS):
        hub.local.port(f"Ethernet{index}").link = LinkState(up=True)
        hub.publish(LinkChanged(DEVICE, f"Ethernet{index}"))
    pace = Pace(first_s=0.05, longest_s=0.2)
    exporter = MqttExporter(hub, Mqtt(url=url), active=book.active, state_dir=state_dir, pace=pace)
    return hub, book, exporter


def _edge(hub: Hub, port: int, *, up: bool) -> None:
    hub.publish(LinkEvent(DEVICE, f"Ethernet{port}", time.time(), time.monotonic(), up, DownCause.UNINTENTIONAL))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _peer(port: int, count: int, at_once: int) -> float:
    """Messages a second of aiomqtt's own publish, `at_once` in flight."""
    payload = b"x" * 700
    async with aiomqtt.Client(
        "127.0.0.1", port, max_inflight_messages=max(20, at_once), max_concurrent_outgoing_calls=at_once
    ) as client:
        numbers = iter(range(count))

        async def work() -> None:
            for _ in numbers:
                await client.publish("bench/event", payload, qos=1)

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(at_once)))
        return count / (time.perf_counter() - began)


async def _connected(exporter: MqttExporter) -> None:
    await eventually(lambda: exporter.connected, within_s=20.0)


async def _drained(exporter: MqttExporter) -> None:
    await eventually(lambda: exporter.outbox.messages == 0, within_s=120.0)


async def rate(directory: Path) -> bool:
    """Drain a backlog of transitions and compare."""
    count = 20_000
    ours: list[float] = []
    cpu: list[float] = []
    one: list[float] = []
    ten: list[float] = []
    for turn in range(3):
        place = directory / str(turn)
        place.mkdir()
        broker = Broker(place)
        hub, _, exporter = _daemon(broker.url, place)
        task = asyncio.create_task(exporter.run())
        for index in range(count // 2):
            _edge(hub, index % PORTS, up=False)
            _edge(hub, index % PORTS, up=True)
            if index % 500 == 0:
                await asyncio.sleep(0)
        await exporter.outbox.fetch(0, 1)
        waiting = exporter.outbox.messages
        await broker.start()
        await _connected(exporter)
        began, used = time.perf_counter(), _cpu()
        await _drained(exporter)
        ours.append(waiting / (time.perf_counter() - began))
        cpu.append((_cpu() - used) / waiting * 1e6)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        one.append(await _peer(broker.port, 4000, 1))
        ten.append(await _peer(broker.port, 8000, 10))
        await broker.kill()
    runs = ", ".join(f"{value:.0f}" for value in ours)
    print(f"backlog drained from the outbox: {statistics.median(ours):.0f} transitions/s (runs: {runs})")
    print(f"CPU of the exporter: {statistics.median(cpu):.0f} us a transition")
    print(
        f"aiomqtt publish: one by one {statistics.median(one):.0f}/s, ten in flight {statistics.median(ten):.0f}/s"
    )
    print(f"ratio to ten in flight: {statistics.median(ours) / statistics.median(ten):.2f}")
    return True


async def child(url: str, place: Path, count: int) -> None:
    """The daemon that is killed: flaps ports at random; writes a line once a batch of transitions is stored."""
    hub, book, exporter = _daemon(url, place)
    said: list[AlertEvent] = []
    hub.subscribe(AlertEvent, said.append)
    task = asyncio.create_task(exporter.run())
    await exporter.outbox.fetch(0, 1)
    ledger = (place / "ledger").open("a", encoding="ascii")
    told = 0
    while told < count:
        for _ in range(random.randint(1, 8)):
            port = random.randrange(PORTS)
            _edge(hub, port, up=False)
            _edge(hub, port, up=True)
        await exporter.outbox.fetch(0, 1)  # what was put before is stored now
        lines = [f"{event.boot_id} {event.seq} {event.id} {event.port}\n" for event in said[told:]]
        told = len(said)
        ledger.write("".join(lines))
        ledger.flush()
        await asyncio.sleep(0.001)
    await _drained(exporter)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    book.save()


async def outages(directory: Path) -> bool:
    """Kill the broker 20 times and the daemon 5 times while transitions flow."""
    broker_kills, daemon_kills, total = 20, 5, 10_000
    broker = Broker(directory)
    await broker.start()
    gate = Gate(broker)
    await gate.open()
    heard: list[str] = []
    began = time.perf_counter()
    events = sorted(
        [(at, "broker") for at in _moments(broker_kills)] + [(at, "daemon") for at in _moments(daemon_kills)]
    )
    ledger = directory / "ledger"
    process = await _spawn(gate.url, directory, total)
    subscriber = Subscriber(broker, f"opticd/{DEVICE}/event")
    await subscriber.__aenter__()
    await gate.allow()
    for share, what in events:
        await _written(ledger, share * total)
        if what == "daemon":
            process.send_signal(signal.SIGKILL)
            await process.wait()
            process = await _spawn(gate.url, directory, max(1, total - _lines(ledger)))
        else:
            await broker.kill()
            gate.forbid()
            await asyncio.sleep(random.uniform(0.0, 0.3))
            await subscriber.__aexit__()
            heard += [h.payload for h in subscriber.heard]
            await broker.start()
            subscriber = Subscriber(broker, f"opticd/{DEVICE}/event")
            await subscriber.__aenter__()
            await gate.allow()
    code = await process.wait()
    await asyncio.sleep(0.5)
    await subscriber.__aexit__()
    heard += [h.payload for h in subscriber.heard]
    await gate.close()
    await broker.kill()
    took = time.perf_counter() - began
    print(f"{broker_kills} broker kills, {daemon_kills} daemon kills, {took:.0f} s (last daemon ended with {code})")
    return code == 0 and _judge(ledger, [json.loads(payload) for payload in heard])


async def _written(ledger: Path, lines: float) -> None:
    await eventually(lambda: _lines(ledger) >= lines, within_s=120.0)


def _moments(count: int) -> list[float]:
    return [random.uniform(0.02, 0.95) for _ in range(count)]


def _lines(ledger: Path) -> int:
    return ledger.read_bytes().count(b"\n") if ledger.exists() else 0


async def _spawn(url: str, place: Path, count: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, __file__, "child", url, str(place), str(count))


def _judge(ledger: Path, heard: list[dict[str, str]]) -> bool:
    """Compare what was stored with what arrived."""
    stored = [line.split() for line in ledger.read_text(encoding="ascii").splitlines() if line.count(" ") == 3]
    arrived = {document["id"] for document in heard}
    lost = [number for _, number, key, _ in stored if key not in arrived]
    first: dict[str, dict[str, str]] = {}
    by_place: dict[tuple[str, str], set[str]] = defaultdict(set)
    for document in heard:
        first.setdefault(document["id"], document)
        by_place[document["boot_id"], str(document["seq"])].add(document["id"])
    clashes = sum(len(ids) > 1 for ids in by_place.values())
    disorder = 0
    last: dict[tuple[str, str], int] = {}
    for document in first.values():
        key = (document["boot_id"], document["port"])
        disorder += int(document["seq"]) <= last.get(key, 0)
        last[key] = int(document["seq"])
    print(f"stored transitions: {len(stored)}, lost: {len(lost)}, out of order per port: {disorder}")
    print(f"messages at the subscriber: {len(heard)}, duplicates with equal id: {len(heard) - len(first)}, "
          f"one seq with two ids: {clashes}")  # fmt: skip
    return not lost and not disorder and not clashes


async def latency(directory: Path) -> bool:
    """From the link event on the hub to the message at a subscriber in another process."""
    broker = Broker(directory)
    await broker.start()
    hub, book, exporter = _daemon(broker.url, directory)
    tasks = [asyncio.create_task(exporter.run()), asyncio.create_task(book.run())]
    await eventually(lambda: exporter.connected)
    async with Subscriber(broker, f"opticd/{DEVICE}/event") as subscriber:
        await asyncio.sleep(0.3)
        took: list[float] = []
        for index in range(1000):
            before = len(subscriber.heard)
            began = time.perf_counter()
            _edge(hub, 0, up=bool(index % 2))
            while len(subscriber.heard) == before:  # noqa: ASYNC110  # this measures how long it takes
                await asyncio.sleep(0.0005)
            took.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.02)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await broker.kill()
    took.sort()
    print(f"link event to subscriber, 1,000 edges at up to 50/s: p50 {took[500]:.1f} ms, p99 {took[990]:.1f} ms, "
          f"max {took[-1]:.1f} ms")  # fmt: skip
    return took[990] <= 100.0


async def day(directory: Path) -> bool:
    """As many transitions as a day has seconds, without a broker; what they take, and what arrives of them."""
    broker = Broker(directory)
    place = directory / "state"
    place.mkdir()
    hub, _, exporter = _daemon(broker.url, place)
    said: list[AlertEvent] = []
    hub.subscribe(AlertEvent, said.append)
    task = asyncio.create_task(exporter.run())
    edge = largest = 0
    while len(said) < DAY_S:
        _edge(hub, edge // 2 % PORTS, up=bool(edge % 2))
        edge += 1
        if edge % 500 == 0:
            await exporter.outbox.fetch(0, 1)  # what was put before is stored now
            largest = max(largest, sum(part.stat().st_size for part in place.iterdir()))
    await exporter.outbox.fetch(0, 1)
    largest = max(largest, sum(part.stat().st_size for part in place.iterdir()))
    waiting, dropped = exporter.outbox.messages, sum(exporter.dropped.values())
    mean = sum(len(encode_alert(event)) for event in said[:1000]) / 1000
    print(f"{len(said)} transitions of {mean:.0f} bytes without a broker: {largest / 1e6:.1f} MB on disk at most, "
          f"{waiting} wait, {dropped} dropped")  # fmt: skip
    await broker.start()
    async with Subscriber(broker, f"opticd/{DEVICE}/event") as subscriber:
        began = time.perf_counter()
        await eventually(lambda: len(subscriber.heard) >= waiting, within_s=300.0)
        print(f"broker back: all of them at the subscriber after {time.perf_counter() - began:.0f} s")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await broker.kill()
    return largest <= 100_000_000 and waiting + dropped == len(said)


async def main() -> int:
    """Run what was asked for."""
    mode = sys.argv[1] if len(sys.argv) > 1 else ""
    if mode == "child":
        await child(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
        return 0
    jobs = {"rate": rate, "outages": outages, "latency": latency, "day": day}
    if mode not in jobs:
        print(__doc__)
        return 2
    with tempfile.TemporaryDirectory(prefix="opticd-mqtt-") as place:
        return 0 if await jobs[mode](Path(place)) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
