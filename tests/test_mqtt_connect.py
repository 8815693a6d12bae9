"""How a connection to a broker begins: in which version of MQTT, and an end in its middle leaves nothing behind."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest

from agent.config.file import Mqtt
from agent.state import Hub
from exporters.mqtt.client import Connection, parse_url
from exporters.mqtt.exporter import MqttExporter
from fakes.broker import embedded_broker
from tests.alert_helpers import DEVICE
from tests.mosquitto import Subscriber, eventually, needs_mosquitto, running
from tests.test_mqtt import PACE, daemon


class Wire:
    """A server that takes connections and answers the first packet with the next of `answers`; b"" hangs up."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.packets: list[bytes] = []
        self.port = 0
        self.open = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        with contextlib.suppress(OSError):
            self.packets.append(await reader.read(4096))
            answer = self.answers.pop(0) if self.answers else None
            if answer is None:  # mute: nothing until the client hangs up
                while await reader.read(4096):
                    pass
            elif answer:
                writer.write(answer)
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        self.open -= 1

    @property
    def levels(self) -> list[int]:
        """The protocol level of each CONNECT (5, or 4 for 3.1.1): the byte behind the name."""
        return [packet[packet.index(b"MQTT") + 4] for packet in self.packets if b"MQTT" in packet]

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator["Wire"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self


def connection(port: int) -> Connection:
    config = Mqtt(url=f"mqtt://127.0.0.1:{port}")
    return Connection(parse_url(config.url), config, identifier="probe", will_topic="opticd/probe/status")


async def _enter(port: int) -> None:
    async with connection(port):
        await asyncio.Event().wait()


async def test_cancelled_while_it_waits_for_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    async with Wire().serving() as wire:
        task = asyncio.create_task(_enter(wire.port))
        await eventually(lambda: bool(wire.packets))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: wire.open == 0)  # it hung up
        await asyncio.sleep(0.05)
    assert caplog.text == ""


async def test_cancelled_and_then_left_by_the_broker(caplog: pytest.LogCaptureFixture) -> None:
    async with Wire(b"").serving() as wire:
        task = asyncio.create_task(_enter(wire.port))
        await eventually(lambda: bool(wire.packets))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):  # whichever came first
            await task
        await asyncio.sleep(0.1)
    assert caplog.text == ""


@needs_mosquitto
async def test_cancelled_at_any_moment_of_its_beginning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="asyncio")
    async with running(tmp_path) as broker:
        for _ in range(60):
            task = asyncio.create_task(_enter(broker.port))
            await asyncio.sleep(random.uniform(0.0, 0.006))
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await asyncio.sleep(0.3)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


# ---- versions -------------------------------------------------------------------------------------------------

REFUSED_5 = bytes.fromhex("20 03 00 84 00")  # CONNACK of MQTT 5: unsupported protocol version, no properties
REFUSED_OLD = bytes.fromhex("20 02 00 01")  # CONNACK of MQTT 3.1.1: unacceptable protocol version
ACCEPTED_OLD = bytes.fromhex("20 02 00 00")
DOWN = b""


@asynccontextmanager
async def exporting(port: int, protocol: str = "auto") -> AsyncGenerator[MqttExporter]:
    config = Mqtt.model_validate({"url": f"mqtt://127.0.0.1:{port}", "protocol": protocol})
    exporter = MqttExporter(Hub(DEVICE), config, active=list, pace=PACE)
    task = asyncio.create_task(exporter.run())
    try:
        yield exporter
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("answer", [REFUSED_5, REFUSED_OLD, DOWN])
async def test_a_broker_that_does_not_know_version_5_gets_the_older_one_at_once(answer: bytes) -> None:
    async with Wire(answer, None).serving() as wire, exporting(wire.port):
        await eventually(lambda: len(wire.packets) == 2)
        assert wire.levels == [5, 4]


@pytest.mark.parametrize(("protocol", "levels"), [("5", [5, 5, 5]), ("3.1.1", [4, 4, 4])])
async def test_what_the_config_fixes_stays(protocol: str, levels: list[int]) -> None:
    async with Wire(REFUSED_OLD, DOWN, REFUSED_OLD).serving() as wire, exporting(wire.port, protocol):
        await eventually(lambda: len(wire.packets) == 3)
        assert wire.levels == levels


async def test_after_a_hang_up_version_5_is_asked_for_again_and_after_a_refusal_not() -> None:
    async with Wire(DOWN, DOWN, REFUSED_OLD, DOWN, DOWN).serving() as wire, exporting(wire.port):
        await eventually(lambda: len(wire.packets) == 5)
        assert wire.levels == [5, 4, 5, 4, 4]


async def test_a_broker_of_the_older_version_alone(caplog: pytest.LogCaptureFixture) -> None:
    async with embedded_broker() as url, daemon(url) as agent:
        agent.heat(80.0)
        await eventually(lambda: agent.exporter.published == 1, within_s=20.0)
        assert agent.exporter.connected
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "3.1.1 is spoken" in warnings[0]


@needs_mosquitto
async def test_a_broker_that_speaks_both_is_asked_in_version_5(tmp_path: Path) -> None:
    async with running(tmp_path) as broker, daemon(broker.url) as agent, Subscriber(broker, "opticd/#"):
        await eventually(lambda: agent.exporter.connected)
        log = (tmp_path / "mosquitto.log").read_text(encoding="utf-8")
    assert f"as opticd-{DEVICE} (p5," in log
