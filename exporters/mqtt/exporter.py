"""Alerts and readings to an MQTT broker: contract section 5, at least once, in order, over restarts of either side.

exporter = MqttExporter(hub, config.exporter.mqtt, active=book.active, state_dir=state_dir)
await exporter.run()    # until cancelled; then `offline`, within 3 s
"""

import asyncio
import contextlib
import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import aiomqtt

from agent.alerts.document import encode_alert, replayed
from agent.alerts.rules import LINK, SEVERITY_ORDER
from agent.config.file import Mqtt
from agent.documents.reading import to_document
from agent.errors import ConfigError
from agent.model import AlertEvent, Reading
from agent.state import Hub
from exporters.mqtt.client import CONNECT_S, Connection, Endpoint, parse_url, read_password, tls_context
from exporters.mqtt.outbox import Limits, Message, Outbox
from exporters.mqtt.version import Dialect

_log = logging.getLogger(__name__)

PAGE: Final = 256
ACK_DELAY_S: Final = 0.02
"""Deletions are gathered for so long: a transaction for each would cost more than its message."""
FLUSH_S: Final = 2.0
GOODBYE_S: Final = 1.0
TIDY_MOST_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Waits of the exporter, in seconds."""

    first_s: float = 0.5
    """Before the first try to connect again; twice as long each time, up to `longest_s`."""
    longest_s: float = 30.0
    steady_s: float = 10.0
    """A connection that lived this long makes the next wait short again."""
    quiet_s: float = 1.0
    """No retained message for so long: the broker has sent them all."""


def encoded(name: str) -> str:
    """A name as one level of a topic (contract section 5)."""
    return "".join(f"%{ord(char):02X}" if char in "%/+#\0" else char for char in name)


def alert_topic(base: str, event: AlertEvent) -> str:
    """Where an alert is retained while it fires."""
    lane = f"/lane{event.lane}" if event.lane else ""
    return f"{base}/alert/{encoded(event.port)}/{encoded(event.rule)}{lane}"


class MqttExporter:
    """Takes alert events from the hub into the outbox, and brings the outbox to the broker."""

    def __init__(
        self,
        hub: Hub,
        config: Mqtt,
        *,
        active: Callable[[], Iterable[AlertEvent]],
        state_dir: Path | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._pace = pace or Pace()
        self._hub = hub
        self._config = config
        self._active = active
        self._endpoint: Final[Endpoint] = parse_url(config.url)
        if any(char in config.base for char in "+#"):
            raise ConfigError("exporter.mqtt.base: a topic cannot hold + or #")
        self._local = hub.local.device
        self._identifier = config.client_id or f"opticd-{self._local}"
        limits = Limits(config.outbox_messages, config.outbox_bytes, config.outbox_age)
        self.outbox: Final = Outbox(None if state_dir is None else state_dir / "mqtt-outbox.db", limits=limits)
        self.connected = False
        self.published = 0
        """Messages of `event` that the broker acknowledged."""
        self.refused: Final[Counter[str]] = Counter()
        self._fence = 0
        """What has an id up to this waited for the broker."""
        self._cursor = 0
        self._complaint = ""
        self._dialect: Final = Dialect(config.protocol)
        self._acked: list[Message] = []
        self._status: Final = f"{self.base(self._local)}/status"
        self._latest: dict[tuple[str, str], Reading] = {}
        self._news = asyncio.Event()
        if config.password_file is not None:  # what is wrong with files is wrong now, not at the first outage
            read_password(config.password_file)
        if self._endpoint.tls:
            tls_context(config)
        hub.subscribe(AlertEvent, self._on_alert)
        if config.readings:
            hub.subscribe(Reading, self._on_reading)

    @property
    def outbox_messages(self) -> int:
        """Messages that wait for the broker."""
        return self.outbox.messages

    @property
    def dropped(self) -> Counter[str]:
        """Messages that never reached the broker, by reason."""
        return self.outbox.dropped + self.refused

    def base(self, device: str) -> str:
        """The base topic of a device: the configured one is that of this host."""
        if not self._config.base:
            return f"opticd/{encoded(device)}"
        return self._config.base if device == self._local else f"{self._config.base}/{encoded(device)}"

    def _connect(self) -> Connection:
        return Connection(
            self._endpoint,
            self._config,
            identifier=self._identifier,
            will_topic=self._status,
            version=self._dialect.version,
        )

    # ---- from the hub -------------------------------------------------------------------------------------

    def _on_alert(self, event: AlertEvent) -> None:
        base = self.base(event.device)
        topic = alert_topic(base, event) if event.rule != LINK else ""
        self.outbox.put(base, topic, SEVERITY_ORDER[event.severity], event.state, encode_alert(event))

    def _on_reading(self, reading: Reading) -> None:
        self._latest[reading.device, reading.port] = reading
        self._news.set()

    # ---- the connection -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep connected until cancelled; then say `offline`."""
        await self.outbox.open()
        wait_s = self._pace.first_s
        loop = asyncio.get_running_loop()
        try:
            while True:
                began = loop.time()
                again = False
                try:
                    await self._session()
                except* (aiomqtt.MqttError, OSError, ConfigError) as group:
                    error = _first(group)
                    again = self._dialect.gives_way(error)
                    if not again:
                        self._complain(error)
                finally:
                    self.connected = False
                if again:
                    continue
                if loop.time() - began > self._pace.steady_s:
                    wait_s = self._pace.first_s
                await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
                wait_s = min(2 * wait_s, self._pace.longest_s)
        finally:
            await self.outbox.close()

    def _complain(self, error: BaseException) -> None:
        """Once for each new reason, not once for each try."""
        text = str(error) or type(error).__name__
        if text != self._complaint:
            self._complaint = text
            _log.warning("MQTT broker %s: %s; %d messages wait", self._endpoint, text, self.outbox.messages)

    async def _session(self) -> None:
        """One connection, from its beginning to its end."""
        if self._endpoint.tls:
            await self._try_tls()
        async with self._connect() as connection:
            try:
                await self._serve(connection)
            except asyncio.CancelledError:
                await self._goodbye(connection)
                raise

    async def _try_tls(self) -> None:
        """A handshake of our own: paho's blocks a thread for as long as a mute server likes, and explains less."""
        context = tls_context(self._config)
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(self._endpoint.host, self._endpoint.port, ssl=context)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def _serve(self, connection: Connection) -> None:
        self._fence = self.outbox.last_id
        self._cursor = 0
        bases = {self.base(device) for device in self._hub.devices}
        await connection.subscribe([(self._status, 0), *((f"{base}/alert/#", 0) for base in sorted(bases))])
        self.connected = True
        self._complaint = ""
        if why := self._dialect.news():
            _log.warning("MQTT broker %s: %s to MQTT 5, so 3.1.1 is spoken", self._endpoint, why)
        _log.info("MQTT broker %s: connected, %d messages wait", self._endpoint, self.outbox.messages)
        connection.send(self._status, b"online", retain=True, acked=_no_matter)
        await self._send_active(connection)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(connection, bases), name="mqtt-listen")
            tasks.create_task(self._drain(connection), name="mqtt-drain")
            if self._config.readings:
                tasks.create_task(self._send_readings(connection), name="mqtt-readings")

    async def _goodbye(self, connection: Connection) -> None:
        """What waits, as far as there is time, then `offline`: a clean end publishes no will."""
        connection.timeout = GOODBYE_S
        with contextlib.suppress(aiomqtt.MqttError, TimeoutError, OSError):
            if connection.alive:
                async with asyncio.timeout(FLUSH_S):
                    await self._drain(connection, to_the_end=True)
        with contextlib.suppress(aiomqtt.MqttError, TimeoutError, OSError):
            if connection.alive:
                async with asyncio.timeout(GOODBYE_S):
                    connection.send(self._status, b"offline", retain=True, acked=_no_matter)
                    await connection.settled()

    # ---- what is sent -------------------------------------------------------------------------------------

    async def _drain(self, connection: Connection, *, to_the_end: bool = False) -> None:
        """Send what the outbox has, in order, and what comes."""
        while True:
            self.outbox.changed.clear()
            messages = await self.outbox.fetch(self._cursor, PAGE)
            for message in messages:
                await self._forward(connection, message)
                self._cursor = message.id
            if messages:
                continue
            await self._mend(connection)
            if to_the_end:
                await connection.settled()
                self._forget()
                return
            await self.outbox.changed.wait()

    async def _forward(self, connection: Connection, message: Message) -> None:
        """One transition: to `event`, and to the topic of its alert.

        After an outage that topic gets the last transition alone: it tells how things are, not how they were.
        """
        waited = message.id <= self._fence
        payload = replayed(message.payload) if waited else message.payload
        parts = [(f"{message.base}/event", payload, False)]
        if message.topic and (not waited or self.outbox.newest.get(message.topic) == message.id):
            parts.append((message.topic, payload, True))
            if message.state == "resolved":
                parts.append((message.topic, b"", True))
        delivery = _Delivery(message, len(parts), self._delivered)
        for topic, content, retain in parts:
            await connection.room()
            connection.send(topic, content, retain=retain, acked=delivery.acked)

    def _delivered(self, message: Message, *, taken: bool) -> None:
        """The broker answered for a message; refusing it again would not help."""
        if taken:
            self.published += 1
        else:
            if not self.refused["refused"]:
                _log.warning("MQTT broker %s refuses messages: may %s publish?", self._endpoint, self._identifier)
            self.refused["refused"] += 1
        self._acked.append(message)
        if len(self._acked) == 1:
            asyncio.get_running_loop().call_later(ACK_DELAY_S, self._forget)

    def _forget(self) -> None:
        acked, self._acked = self._acked, []
        self.outbox.ack(acked)

    async def _send_active(self, connection: Connection) -> None:
        """What fires is retained, whatever the broker remembers; what waits in the outbox comes by itself."""
        for event in list(self._active()):
            topic = alert_topic(self.base(event.device), event)
            if topic not in self.outbox.newest:
                await connection.room()
                connection.send(topic, encode_alert(event), retain=True, acked=_no_matter)

    async def _mend(self, connection: Connection) -> None:
        """Put right what is retained of alerts whose last message was dropped."""
        while self.outbox.orphans:
            topic = self.outbox.orphans.pop()
            if topic not in self.outbox.newest:
                event = self._firing().get(topic)
                await connection.room()
                connection.send(topic, encode_alert(event) if event else b"", retain=True, acked=_no_matter)

    def _firing(self) -> dict[str, AlertEvent]:
        return {alert_topic(self.base(event.device), event): event for event in self._active()}

    async def _send_readings(self, connection: Connection) -> None:
        """The newest reading of each port; those that come faster than the broker takes them are left out."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._latest:
                device, port = key = next(iter(self._latest))
                document = to_document(self._latest.pop(key))
                payload = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
                await connection.written()
                connection.send_once(f"{self.base(device)}/reading/{encoded(port)}", payload, retain=True)
                await asyncio.sleep(0)

    # ---- what is heard ------------------------------------------------------------------------------------

    async def _listen(self, connection: Connection, bases: Iterable[str]) -> None:
        """Notice the end of the connection; clear what an earlier run left retained and does not fire."""
        loop = asyncio.get_running_loop()
        until = loop.time() + TIDY_MOST_S
        tidy = True
        while True:
            try:
                async with asyncio.timeout(min(self._pace.quiet_s, until - loop.time()) if tidy else None):
                    message = await anext(connection.messages)
            except TimeoutError:
                tidy = False
                await connection.unsubscribe([f"{base}/alert/#" for base in bases])
                continue
            topic, payload = str(message.topic), message.payload
            if topic == self._status:
                if payload == b"offline":  # the will of a connection of ours that the broker gave up only now
                    connection.send(self._status, b"online", retain=True, acked=_no_matter)
            elif message.retain and payload and topic not in self.outbox.newest and topic not in self._firing():
                await connection.room()
                connection.send(topic, b"", retain=True, acked=_no_matter)


def _first(group: BaseExceptionGroup[Exception]) -> BaseException:
    """What went wrong first, out of whatever group of tasks it ended."""
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


class _Delivery:
    """The publishes of one message: delivered with the last of them, given up with the first that is refused."""

    __slots__ = ("_done", "_left", "_message")

    def __init__(self, message: Message, parts: int, done: "_Done") -> None:
        self._message = message
        self._left = parts
        self._done = done

    def acked(self, taken: bool) -> None:
        """A PUBACK came."""
        if self._left:
            self._left = self._left - 1 if taken else 0
            if not self._left:
                self._done(self._message, taken=taken)


class _Done(Protocol):
    def __call__(self, message: Message, *, taken: bool) -> None: ...


def _no_matter(_taken: bool) -> None:
    """State that the next connection sends again anyway."""
