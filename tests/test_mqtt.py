"""The MQTT exporter against a real mosquitto: will, retained set, order, outages, wrong passwords."""

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent import quantities as q
from agent.alerts.book import AlertBook
from agent.alerts.builtin import BUILTIN_RULES
from agent.config.file import Mqtt
from agent.errors import ConfigError
from agent.model import AlertEvent
from agent.state import Hub
from exporters.mqtt.exporter import MqttExporter, Pace, alert_topic, encoded
from tests.alert_helpers import DEVICE, edge, reading
from tests.mosquitto import Broker, Subscriber, eventually, free_port, needs_mosquitto, publish, retained, running

pytestmark = needs_mosquitto
BASE = f"opticd/{DEVICE}"


PACE = Pace(first_s=0.1, longest_s=0.3, quiet_s=0.3)


class Daemon:
    """Hub, alert book and exporter, as the daemon has them."""

    def __init__(self, url: str, state_dir: Path | None = None, **options: object) -> None:
        self.hub = Hub(DEVICE)
        self.book = AlertBook(self.hub, BUILTIN_RULES)
        config = Mqtt.model_validate({"url": url, **options})
        self.exporter = MqttExporter(self.hub, config, active=self.book.active, state_dir=state_dir, pace=PACE)
        self.said: list[AlertEvent] = []
        self.hub.subscribe(AlertEvent, self.said.append)

    def heat(self, celsius: float, port: str = "Ethernet0") -> None:
        """A reading at this temperature."""
        self.hub.publish(reading(time.time() - 1_800_000_000.0, temperature=celsius, port=port))

    def flap(self, times: int, port: str = "Ethernet0") -> None:
        """So many downs and ups: two messages each, and those of the flap rules."""
        for _ in range(times):
            self.hub.publish(edge(0.0, up=False, port=port))
            self.hub.publish(edge(0.0, up=True, port=port))


@asynccontextmanager
async def daemon(url: str, state_dir: Path | None = None, **options: object) -> AsyncGenerator[Daemon]:
    instance = Daemon(url, state_dir, **options)
    task = asyncio.create_task(instance.exporter.run())
    try:
        yield instance
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def numbers(subscriber: Subscriber) -> list[int]:
    """The `seq` of what came on `event`, in order."""
    return [json.loads(heard.payload)["seq"] for heard in subscriber.heard if heard.topic == f"{BASE}/event"]


def first_of_each(numbers: list[int]) -> list[int]:
    """Without what came again."""
    return list(dict.fromkeys(numbers))


def test_names_are_percent_encoded() -> None:
    assert encoded("et-0/0/1") == "et-0%2F0%2F1"
    assert encoded("a+b#c%d") == "a%2Bb%23c%25d"
    assert encoded("Ethernet1:2 ü") == "Ethernet1:2 ü"


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_online_alert_event_resolved_and_offline(tmp_path: Path, protocol: str) -> None:
    async with running(tmp_path) as broker, Subscriber(broker, "opticd/#") as subscriber:
        async with daemon(broker.url, tmp_path, protocol=protocol) as agent:
            await subscriber.until(1, topic=f"{BASE}/status")
            agent.heat(80.0, port="et-0/0/1")
            topic = f"{BASE}/alert/et-0%2F0%2F1/temperature_high_alarm"
            (heard,) = await subscriber.until(1, topic=topic)
            document = json.loads(heard.payload)
            assert (document["state"], document["port"], document["seq"]) == ("firing", "et-0/0/1", 1)
            assert "replayed" not in document
            assert await retained(broker, "opticd/#") == {f"{BASE}/status": "online", topic: heard.payload}
            (event,) = await subscriber.until(1, topic=f"{BASE}/event")
            assert json.loads(event.payload) == document
            agent.hub.publish(edge(0.0, up=False, port="et-0/0/1"))
            agent.hub.publish(edge(0.0, up=True, port="et-0/0/1"))
            heard_link = await subscriber.until(3, topic=f"{BASE}/alert/et-0%2F0%2F1/link_down")
            assert [h.payload and json.loads(h.payload)["state"] for h in heard_link] == ["firing", "resolved", ""]
            await eventually(lambda: agent.exporter.outbox.messages == 0)
            assert (agent.exporter.connected, agent.exporter.published) == (True, len(agent.said))
        await subscriber.until(2, topic=f"{BASE}/status")
        assert [h.payload for h in subscriber.heard if h.topic == f"{BASE}/status"] == ["online", "offline"]
        assert not agent.exporter.connected


async def test_a_lane_has_its_own_topic(tmp_path: Path) -> None:
    async with running(tmp_path) as broker, daemon(broker.url) as agent:
        agent.hub.publish(reading(0.0, lane_flags={q.TX_FAULT: 0b0100}))
        topic = f"{BASE}/alert/Ethernet0/tx_fault/lane3"
        async with Subscriber(broker, topic) as subscriber:
            await subscriber.until(1, topic=topic)


CHILD = """
import asyncio, sys
from agent.config.file import Mqtt
from agent.state import Hub
from exporters.mqtt.exporter import MqttExporter

async def main():
    hub = Hub("leaf-17")
    await MqttExporter(hub, Mqtt(url=sys.argv[1]), active=list).run()

asyncio.run(main())
"""


async def test_the_will_speaks_for_a_process_that_was_killed(tmp_path: Path) -> None:
    async with running(tmp_path) as broker, Subscriber(broker, f"{BASE}/status") as subscriber:
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, broker.url)
        await subscriber.until(1)
        child.send_signal(signal.SIGKILL)
        await child.wait()
        await subscriber.until(2)
        assert [heard.payload for heard in subscriber.heard] == ["online", "offline"]
        assert await retained(broker, f"{BASE}/status") == {f"{BASE}/status": "offline"}


async def test_retained_topics_are_the_active_alerts_after_a_connect(tmp_path: Path) -> None:
    async with running(tmp_path) as broker:
        stale = {
            f"{BASE}/alert/Ethernet9/temperature_high_alarm": "left by an earlier run",
            f"{BASE}/alert/Ethernet9/rx_los/lane4": "left too",
        }
        for topic, payload in stale.items():
            await publish(broker, topic, payload)
        await publish(broker, "opticd/other/alert/Ethernet9/rx_los/lane4", "of another device")
        async with daemon(broker.url) as agent:
            agent.heat(80.0)
            agent.heat(72.0, port="Ethernet1")
            await eventually(lambda: agent.exporter.outbox.messages == 0)
            await asyncio.sleep(0.6)
            found = await retained(broker, f"{BASE}/alert/#")
            assert set(found) == {
                f"{BASE}/alert/Ethernet0/temperature_high_alarm",
                f"{BASE}/alert/Ethernet1/temperature_high_warning",
            }
            assert await retained(broker, "opticd/other/#") != {}
            # A broker without persistence forgets everything when it is killed; the exporter brings it back.
            await broker.kill()
            await broker.start()
            await eventually(lambda: agent.exporter.connected)
            await asyncio.sleep(0.5)
            again = await retained(broker, f"{BASE}/alert/#")
            assert {topic: json.loads(payload)["id"] for topic, payload in again.items()} == {
                topic: json.loads(payload)["id"] for topic, payload in found.items()
            }
            assert await retained(broker, f"{BASE}/status") == {f"{BASE}/status": "online"}


async def test_what_happens_while_the_broker_is_away_comes_in_order_and_says_so(tmp_path: Path) -> None:
    async with running(tmp_path) as broker, daemon(broker.url, tmp_path) as agent:
        agent.heat(80.0)
        await eventually(lambda: agent.exporter.published == 1)
        await broker.kill()
        agent.flap(200)
        await eventually(lambda: not agent.exporter.connected)
        assert agent.exporter.outbox.messages >= 400
        await broker.start()
        # The subscriber may come too late for the first ones: it takes part with a session of its own from here on.
        await eventually(lambda: agent.exporter.outbox.messages == 0, within_s=20.0)
        assert sum(agent.exporter.dropped.values()) == 0
        assert agent.exporter.published == len(agent.said)


async def test_a_restart_of_the_daemon_brings_what_waited_with_its_ids(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    async with daemon(broker.url, tmp_path) as first:
        first.flap(50)
        first.heat(80.0)
        await asyncio.sleep(0.2)
        waiting = first.exporter.outbox.messages
    assert waiting == len(first.said)
    await broker.start()
    try:
        async with Subscriber(broker, "opticd/#") as subscriber, daemon(broker.url, tmp_path) as second:
            second.heat(80.0, port="Ethernet1")
            await subscriber.until(len(first.said) + 1, topic=f"{BASE}/event")
            events = [json.loads(h.payload) for h in subscriber.heard if h.topic == f"{BASE}/event"]
            assert [event["id"] for event in events[:-1]] == [event.id for event in first.said]
            assert all(event["replayed"] for event in events[:-1])
            assert [event["seq"] for event in events[:-1]] == list(range(1, len(first.said) + 1))
            assert (events[-1]["seq"], events[-1]["boot_id"]) == (1, second.book.boot_id)
            # What the first run left active and this one does not know is not retained for ever.
            await eventually(lambda: second.exporter.outbox.messages == 0)
    finally:
        await broker.kill()


async def test_a_killed_broker_loses_no_transition_and_keeps_the_order(tmp_path: Path) -> None:
    async with running(tmp_path) as broker:
        gate = Gate(broker)
        await gate.open()
        async with daemon(gate.url, tmp_path) as agent:
            heard: list[str] = []
            for _ in range(4):
                async with Subscriber(broker, f"{BASE}/event") as subscriber:
                    await gate.allow()
                    await eventually(lambda: agent.exporter.connected)
                    for _ in range(25):
                        agent.flap(5)
                        await asyncio.sleep(0.002)
                    await broker.kill()
                    gate.forbid()
                    await asyncio.sleep(0.05)
                heard += [h.payload for h in subscriber.heard]
                await broker.start()
            async with Subscriber(broker, f"{BASE}/event") as subscriber:
                await gate.allow()
                await eventually(lambda: agent.exporter.outbox.messages == 0, within_s=20.0)
                await asyncio.sleep(0.2)
            heard += [h.payload for h in subscriber.heard]
        await gate.close()
    documents = [json.loads(payload) for payload in heard]
    assert first_of_each([d["seq"] for d in documents]) == list(range(1, len(agent.said) + 1))
    by_seq = {event.seq: event.id for event in agent.said}
    assert all(document["id"] == by_seq[document["seq"]] for document in documents)
    assert len(agent.said) > 1000


class Gate:
    """A relay before the broker that lets the exporter in only while a subscriber listens behind it.

    A broker that is killed forgets what it has not passed on. With the subscriber there first, what the broker
    acknowledged was written to the subscriber's socket before, so nothing but the exporter can lose a message.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._server: asyncio.Server | None = None
        self._allowed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"mqtt://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def allow(self) -> None:
        await asyncio.sleep(0.3)  # the subscriber that was just started has subscribed
        self._allowed = True

    def forbid(self) -> None:
        self._allowed = False

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self._allowed:
                there, back = await asyncio.open_connection("127.0.0.1", self._broker.port)
                try:
                    await asyncio.gather(_copy(reader, back), _copy(there, writer))
                finally:
                    back.close()
        except (OSError, asyncio.CancelledError):
            return
        finally:
            self._tasks.discard(task)
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def test_a_wrong_password_is_said_once_and_the_right_one_is_read_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    passwords = tmp_path / "passwords"
    process = await asyncio.create_subprocess_exec("mosquitto_passwd", "-b", "-c", str(passwords), "optic", "right")
    assert await process.wait() == 0
    passwords.chmod(0o644)
    secret = tmp_path / "secret"
    secret.write_text("wrong\n", encoding="utf-8")
    secret.chmod(0o600)
    options = ("allow_anonymous false", f"password_file {passwords}")
    async with (
        running(tmp_path, *options) as broker,
        daemon(broker.url, username="optic", password_file=secret) as agent,
    ):
        agent.heat(80.0)
        await asyncio.sleep(1.0)
        assert not agent.exporter.connected
        assert agent.exporter.outbox.messages == 1
        assert len([record for record in caplog.records if record.name == "exporters.mqtt.exporter"]) == 1
        assert "Not authorized" in caplog.text
        assert "wrong" not in caplog.text
        secret.write_text("right\n", encoding="utf-8")
        await eventually(lambda: agent.exporter.connected and agent.exporter.outbox.messages == 0)


async def test_a_broker_that_refuses_a_topic_is_counted_not_believed(tmp_path: Path) -> None:
    rights = tmp_path / "acl"
    rights.write_text(f"topic readwrite {BASE}/status\ntopic readwrite {BASE}/alert/#\n", encoding="utf-8")
    async with (
        running(tmp_path, "allow_anonymous true", f"acl_file {rights}") as broker,
        daemon(broker.url) as agent,
    ):
        agent.heat(80.0)
        await eventually(lambda: agent.exporter.dropped["refused"] == 1)
        await eventually(lambda: agent.exporter.outbox.messages == 0)
        assert agent.exporter.published == 0


async def _openssl(directory: Path, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "openssl", *arguments, cwd=directory, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0


async def _certificates(directory: Path) -> None:
    """A CA, a server of 127.0.0.1 and a client."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    await _openssl(directory, "req", "-x509", *key, "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
    for name in ("server", "client"):
        await _openssl(
            directory, "req", "-x509", *key, "-subj", f"/CN={name}", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
            "-keyout", f"{name}.key", "-out", f"{name}.pem",
        )  # fmt: skip
    for name in ("ca", "server", "client"):
        (directory / f"{name}.key").chmod(0o644)


async def test_tls_with_a_client_certificate(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await _certificates(tmp_path)
    options = (
        "allow_anonymous true", f"cafile {tmp_path}/ca.pem", f"certfile {tmp_path}/server.pem",
        f"keyfile {tmp_path}/server.key", "require_certificate true",
    )  # fmt: skip
    files = {
        "ca_file": tmp_path / "ca.pem",
        "cert_file": tmp_path / "client.pem",
        "key_file": tmp_path / "client.key",
    }
    async with running(tmp_path, *options) as broker:
        url = f"mqtts://127.0.0.1:{broker.port}"
        async with daemon(url, **files) as agent:
            agent.heat(80.0)
            await eventually(lambda: agent.exporter.published == 1)
        async with daemon(url) as stranger:  # does not know this CA
            await eventually(lambda: "certificate verify failed" in caplog.text)
            assert not stranger.exporter.connected


async def test_websockets(tmp_path: Path) -> None:
    port = free_port()  # beside the plain one: mosquitto 2.0.11 does not start without any
    options = ("allow_anonymous true", f"listener {port} 127.0.0.1", "protocol websockets")
    async with running(tmp_path, *options), daemon(f"ws://127.0.0.1:{port}/mqtt") as agent:
        agent.heat(80.0)
        await eventually(lambda: agent.exporter.published == 1)


async def test_a_broker_that_stops_reading_holds_up_nothing_and_loses_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as broker, daemon(broker.url, tmp_path) as agent:
        await eventually(lambda: agent.exporter.connected)
        assert broker.process is not None
        broker.process.send_signal(signal.SIGSTOP)
        began = time.perf_counter()
        agent.flap(1000)
        assert time.perf_counter() - began < 5.0
        await asyncio.sleep(0.3)
        assert agent.exporter.outbox.messages >= 2000
        broker.process.send_signal(signal.SIGCONT)
        await eventually(lambda: agent.exporter.outbox.messages == 0, within_s=20.0)
        assert agent.exporter.published == len(agent.said)
        assert not agent.exporter.dropped


async def test_a_stop_is_quick_whatever_the_broker_does(tmp_path: Path) -> None:
    async with running(tmp_path) as broker:
        agent = Daemon(broker.url, tmp_path)
        task = asyncio.create_task(agent.exporter.run())
        await eventually(lambda: agent.exporter.connected)
        assert broker.process is not None
        broker.process.send_signal(signal.SIGSTOP)
        agent.flap(50)
        began = time.perf_counter()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert time.perf_counter() - began < 5.0
        broker.process.send_signal(signal.SIGCONT)
        assert agent.exporter.outbox.messages == len(agent.said)


async def test_readings_are_retained_when_asked_for(tmp_path: Path) -> None:
    async with running(tmp_path) as broker, daemon(broker.url, readings=True) as agent:
        await eventually(lambda: agent.exporter.connected)
        agent.heat(45.0)
        topic = f"{BASE}/reading/Ethernet0"
        async with Subscriber(broker, topic) as subscriber:
            (heard,) = await subscriber.until(1)
        document = json.loads(heard.payload)
        assert (document["schema"], document["values"]["temperature_celsius"]) == ("opticd/reading/1", 45.0)


async def test_offline_of_an_older_connection_is_answered(tmp_path: Path) -> None:
    async with running(tmp_path) as broker, daemon(broker.url) as agent:
        await eventually(lambda: agent.exporter.connected)
        await publish(broker, f"{BASE}/status", "offline")
        async with Subscriber(broker, f"{BASE}/status") as subscriber:
            await eventually(lambda: subscriber.heard != [] and subscriber.heard[-1].payload == "online")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"url": "mqtt://user:pw@broker"}, "no user or password in the URL"),
        ({"url": "mqtt://broker:port"}, "is no URL of a broker"),
        ({"url": "mqtt://broker", "base": "a/#"}, "a topic cannot hold"),
        ({"url": "mqtt://broker", "password_file": "/nowhere/secret"}, "/nowhere/secret: No such file"),
        ({"url": "mqtts://broker", "ca_file": "/nowhere/ca.pem"}, "/nowhere/ca.pem: No such file"),
        ({"url": "mqtts://broker", "key_file": "/nowhere/key.pem"}, "needs cert_file"),
        ({"url": "mqtts://broker", "cert_file": __file__}, "test_mqtt.py"),
    ],
)
async def test_mistakes_are_config_errors(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        MqttExporter(Hub(DEVICE), Mqtt.model_validate(options), active=list)


async def test_topics_of_remote_devices_have_their_own_base() -> None:
    default = MqttExporter(Hub(DEVICE), Mqtt(url="mqtt://b"), active=list)
    assert (default.base(DEVICE), default.base("sw/2")) == ("opticd/leaf-17", "opticd/sw%2F2")
    own = MqttExporter(Hub(DEVICE), Mqtt(url="mqtt://b", base="dc1/optics"), active=list)
    assert (own.base(DEVICE), own.base("sw2")) == ("dc1/optics", "dc1/optics/sw2")
    event = AlertEvent(
        id="i", seq=1, boot_id="b", time=0.0, device="sw2", port="1/1", rule="rx_los", severity="critical",
        state="firing", summary="", lane=2,
    )  # fmt: skip
    assert alert_topic(own.base(event.device), event) == "dc1/optics/sw2/alert/1%2F1/rx_los/lane2"
