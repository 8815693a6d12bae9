"""One connection to a broker: aiomqtt's client, with publishes that are acknowledged by callback.

aiomqtt's `publish` costs a task, a timer and a future a message, and hides the reason code of a PUBACK.
`Connection` hands a message to the paho client below and calls back when its PUBACK comes: half the CPU, and a
refusal is seen. It leans on private names of aiomqtt 2.x (`_client`, `_connected`,
`_disconnected`, `_wait_for` and six callbacks); tests against a real broker hold them.
"""

import asyncio
import logging
import math
import ssl
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import aiomqtt
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import ConnectFlags, DisconnectFlags
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.config.file import Mqtt
from agent.errors import ConfigError
from exporters.mqtt.version import NoAnswer, Version

_log = logging.getLogger(__name__)
T = TypeVar("T")

WINDOW: Final = 64
"""Messages on the way at most: what is sent twice when the broker dies."""
CONNECT_S: Final = 3.0
"""The connect call of paho blocks a thread that the end of the process waits for."""
ANSWER_S: Final = 10.0
WRITE_POLL_S: Final = 0.01
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
_REFUSED: Final = 0x80


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a broker is."""

    host: str
    port: int
    tls: bool
    path: str | None
    """Of websockets; None for plain MQTT."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_url(url: str) -> Endpoint:
    """Take a broker's URL apart. Raises ConfigError."""
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            "exporter.mqtt.url: no user or password in the URL", hint="use username and password_file"
        )
    try:
        port = parts.port or _PORTS[parts.scheme]
    except (KeyError, ValueError):
        raise ConfigError(f"exporter.mqtt.url: {url!r} is no URL of a broker") from None
    if not parts.hostname:
        raise ConfigError(f"exporter.mqtt.url: {url!r} names no host")
    path = (parts.path or "/mqtt") if parts.scheme.startswith("ws") else None
    return Endpoint(parts.hostname, port, parts.scheme in {"mqtts", "wss"}, path)


def read_password(path: Path) -> str:
    """The secret in a file, without the line end. Raises ConfigError."""
    try:
        if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            _log.warning("%s: others may read this password", path)
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "not UTF-8 text"
        raise ConfigError(f"exporter.mqtt.password_file: {path}: {why}") from exc


def tls_context(config: Mqtt) -> ssl.SSLContext:
    """TLS as configured. Raises ConfigError."""
    if config.key_file is not None and config.cert_file is None:
        raise ConfigError("exporter.mqtt.key_file: needs cert_file")
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
    except OSError as exc:  # ssl.SSLError is one
        raise ConfigError(f"exporter.mqtt.ca_file: {config.ca_file}: {exc.strerror or exc}") from exc
    if config.cert_file is not None:
        try:
            context.load_cert_chain(config.cert_file, config.key_file)
        except OSError as exc:
            raise ConfigError(
                f"exporter.mqtt.cert_file: {config.cert_file}: {exc.strerror or exc}",
                hint="a PEM file with the certificate, and its key there or in key_file",
            ) from exc
    return context


Acked = Callable[[bool], None]
"""Called with True when the broker has the message, False when it refused it."""


class Connection(aiomqtt.Client):
    """An `aiomqtt.Client` with `send`. For one connection: a new one is made for the next."""

    def __init__(
        self, endpoint: Endpoint, config: Mqtt, *, identifier: str, will_topic: str, version: Version = "5"
    ) -> None:
        super().__init__(
            endpoint.host,
            endpoint.port,
            username=config.username or None,
            password=read_password(config.password_file) if config.password_file is not None else None,
            identifier=identifier,
            protocol=aiomqtt.ProtocolVersion.V5 if version == "5" else aiomqtt.ProtocolVersion.V311,
            will=aiomqtt.Will(will_topic, b"offline", qos=1, retain=True),
            transport="tcp" if endpoint.path is None else "websockets",
            websocket_path=endpoint.path,
            timeout=ANSWER_S,
            keepalive=config.keepalive,
            max_inflight_messages=WINDOW,
            tls_context=tls_context(config) if endpoint.tls else None,
        )
        self._client.connect_timeout = CONNECT_S
        self._acks: dict[int, Acked] = {}
        self._room = asyncio.Event()
        self.window = WINDOW
        self._given_up = False

    @property
    def alive(self) -> bool:
        """False once the connection is known to be lost."""
        return not self._disconnected.done()

    async def __aenter__(self) -> Self:
        try:
            return await super().__aenter__()
        except BaseException:  # whatever it is, cancellation too: aiomqtt would leave the socket to its callbacks
            self._given_up = True
            self._loop.call_soon(self._drop_socket)  # behind what paho's thread asked of the loop already
            raise

    def _drop_socket(self) -> None:
        sock = self._client.socket()
        if sock is not None and sock.fileno() >= 0:
            self._on_socket_close(self._client, None, sock)
            self._loop.remove_writer(sock.fileno())
            sock.close()

    # The next two are also called by paho's thread, while it connects. aiomqtt hands a file number on to the loop;
    # by the time that gets there the socket may be closed, and the number another's. Here the loop asks the socket.

    def _on_socket_open(self, client: PahoClient, userdata: Any, sock: Any) -> None:  # noqa: ARG002  # paho's
        self._loop.call_soon_threadsafe(self._opened, sock)

    def _opened(self, sock: Any) -> None:
        if self._given_up:
            sock.close()
        elif sock.fileno() >= 0:
            self._loop.add_reader(sock.fileno(), self._run, self._read)
            self._misc_task = self._loop.create_task(self._misc_loop())

    def _read(self) -> None:
        self._client.loop_read()
        # What TLS has decrypted already the file number does not tell of.
        while (sock := self._client.socket()) is not None and getattr(sock, "pending", int)():
            self._client.loop_read()

    def _on_socket_register_write(self, client: PahoClient, userdata: Any, sock: Any) -> None:  # noqa: ARG002
        self._loop.call_soon_threadsafe(self._wants_to_write, sock)

    def _wants_to_write(self, sock: Any) -> None:
        if not self._given_up and sock.fileno() >= 0:
            self._loop.add_writer(sock.fileno(), self._run, self._client.loop_write)

    def _run(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as exc:  # noqa: BLE001  # whatever it is, the connection is broken; who waits is told
            if not self._disconnected.done():
                self._disconnected.set_exception(exc)

    def _on_socket_unregister_write(self, client: PahoClient, userdata: Any, sock: Any) -> None:
        if sock.fileno() >= 0:  # else `_drop_socket` did it
            super()._on_socket_unregister_write(client, userdata, sock)

    async def _wait_for(self, fut: Awaitable[T], timeout: float | None) -> T:  # noqa: ASYNC109  # aiomqtt's
        """As aiomqtt's, but for `asyncio.wait_for`: that of Python 3.11 loses a cancellation when `fut` is done."""
        seconds = self.timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(None if seconds == math.inf else seconds):
                return await fut
        except TimeoutError:
            if fut is self._connected:
                raise NoAnswer(f"the broker gave no answer in {seconds:.0f} s") from None
            raise aiomqtt.MqttError("Operation timed out") from None

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await super().__aexit__(exc_type, exc, tb)
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()  # told already, by whoever noticed: asyncio need not warn of it

    async def room(self) -> None:
        """Wait until another message may be sent."""
        while len(self._acks) >= self.window:
            self._room.clear()
            await self._room.wait()

    async def settled(self) -> None:
        """Wait until every message is acknowledged."""
        while self._acks:
            self._room.clear()
            await self._room.wait()

    async def written(self) -> None:
        """Wait until the socket has taken everything."""
        while self._client.want_write():  # noqa: ASYNC110  # paho tells nobody when it is done
            await asyncio.sleep(WRITE_POLL_S)

    def send(self, topic: str, payload: bytes, *, retain: bool = False, acked: Acked) -> None:
        """Publish with QoS 1; messages reach the broker in the order of the calls. Raises MqttError."""
        info = self._client.publish(topic, payload, 1, retain)
        if info.rc != 0:
            raise aiomqtt.MqttCodeError(info.rc, "Could not publish message")
        self._acks[info.mid] = acked

    def send_once(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 0: nobody says whether it arrived. Raises MqttError."""
        info = self._client.publish(topic, payload, 0, retain)
        if info.rc != 0:
            raise aiomqtt.MqttCodeError(info.rc, "Could not publish message")

    def _on_publish(
        self, client: PahoClient, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        acked = self._acks.pop(mid, None)
        if acked is None:
            super()._on_publish(client, userdata, mid, reason_code, properties)
            return
        self._room.set()
        acked(reason_code.value < _REFUSED)

    def _on_connect(
        self,
        client: PahoClient,
        userdata: Any,
        flags: ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        most = getattr(properties, "ReceiveMaximum", None)
        if isinstance(most, int):  # a broker may take fewer than we would send (MQTT 5, 3.2.2.3.3)
            self.window = max(1, min(WINDOW, most))
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: PahoClient,
        userdata: Any,
        flags: DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if self._given_up or self._connected.cancelled():  # aiomqtt would raise CancelledError in the event loop
            return
        if not self._connected.done():  # aiomqtt would wait for an answer that cannot come
            self._connected.set_exception(NoAnswer("the broker closed the connection without an answer"))
            return
        super()._on_disconnect(client, userdata, flags, reason_code, properties)
