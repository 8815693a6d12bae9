"""The fuzz targets: each hands bytes to one parser; an error of agent/errors.py is an answer, all else a find.

`scripts/fuzz` runs them under atheris, tests/test_fuzz_corpus.py replays what that found worth keeping:
tests/corpus/<target>.hex, an input a line.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote

from agent import maps
from agent.config import file as config
from agent.documents import images
from agent.documents import reading as document
from agent.errors import BusTimeout, OpticError, ShortRead
from agent.links.peerbook import PeerBook
from agent.memory import I2C_DIAGNOSTICS, I2C_MODULE, Memory, Span
from agent.state import Hub, NeighboursSeen
from drivers.ethtool.driver import EthtoolMemory
from drivers.ethtool.kernel import Kernel
from drivers.host import netlink
from drivers.host.lldpd import neighbours
from drivers.host.netdevs import decode_link
from drivers.serial.protocols import BusPirate, I2cDriver, Sc18im700
from drivers.snmp import ber
from drivers.snmp.rows import Rows
from drivers.snmp.security import Community, User, Usm
from exporters.prometheus.scrape import accepts_gzip, negotiate
from exporters.web.conversation import Conversation, Limits
from exporters.web.users import _credentials
from fakes.images import image
from fakes.products import PRODUCTS
from scripts import fuzz_traps

if TYPE_CHECKING:
    from exporters.http.server import HttpServer

ROOT: Final = Path(__file__).resolve().parent.parent
CORPUS: Final = ROOT / "tests" / "corpus"
FOREVER_S: Final = 10.0
"""An input that takes longer is a find."""

Target = Callable[[bytes], None]
MAPS: Final = maps.Maps(())


# -- module memory ------------------------------------------------------------------------------------------------


def _decode(memory: Memory, family: str = "") -> None:
    chosen = MAPS.identify(memory, family=family)
    reading = document.decode_memory(memory, chosen, device="d", port="p", source="s", time=1.0)
    json.dumps(document.to_document(reading), allow_nan=False)


def registers(data: bytes) -> None:
    """One byte chooses a module to begin with; then triples of page, offset and length with what stands there."""
    names = sorted(PRODUCTS)
    memory = Memory()
    for span, held in _parts(names[data[0] % len(names)] if data else names[0]):
        memory.put(span, held)
    at = 1
    while at + 3 <= len(data):
        page, offset, length = data[at], data[at + 1], data[at + 2] % 32 + 1
        i2c = I2C_DIAGNOSTICS if page == 0xA2 else I2C_MODULE
        part = data[at + 3 : at + 3 + min(length, (128 if offset < 128 else 256) - offset)]
        if part:
            where = 0 if offset < 128 or i2c == I2C_DIAGNOSTICS else page
            memory.put(Span(offset, len(part), page=where, i2c=i2c), part)
        at += 3 + len(part)
    _decode(memory)


@cache
def _parts(name: str) -> list[tuple[Span, bytes]]:
    memory = _image(name)
    return [(span, memory.get(span) or b"") for span in memory.spans()]


def _image(name: str) -> Memory:
    return image(PRODUCTS[name], serial="FUZZ0001")


def saved(data: bytes) -> None:
    """Saved memory of every kind, and what it decodes to."""
    for each in images.load(data):
        _decode(each.memory, each.family)


# -- the network --------------------------------------------------------------------------------------------------


def snmp(data: bytes) -> None:
    """A datagram as an answer in version 2c and 3."""
    with suppress(OpticError):
        Usm(User("u", "sha1", "password1", "aes128", "password2")).unwrap(data)
    opened = Community("public").unwrap(data)
    pdu = ber.read_pdu(opened.data, opened.start, opened.end)
    Rows(ber.encode_oid((1, 3, 6, 1)), {}, cap=100).take(data, pdu.start, pdu.end)
    list(ber.varbinds(data, pdu.start, pdu.end))


def links(data: bytes) -> None:
    """A datagram of rtnetlink."""
    for message in netlink.messages(data):
        with suppress(OpticError):
            decode_link(data, message.start, message.end)
        netlink.failure(data, message)


def ethtool(data: bytes) -> None:
    """A datagram of the kernel as the answer to a read of module memory through generic netlink."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    body = bytes((1, 2, 0, 0)) + struct.pack("=HHHxx", 6, 1, 0x15)  # the number of the family, asked for first
    reply = struct.pack("=IHHII", 16 + len(body), 16, 0, 1, 0) + body
    theirs.send(reply + struct.pack("=IHHIIi", 36, 2, 0x100, 1, 0, 0) + bytes(16))
    theirs.send(data or b"\0")
    theirs.close()
    memory = EthtoolMemory("eth0", Kernel(lambda: ours, _no_ioctl, lambda _: True), timeout_s=0.2)
    try:
        found = memory.read(Span(0, 3))
    finally:
        memory.close()
        ours.close()
    if len(found) != 3:
        raise AssertionError(f"{len(found)} bytes for 3")


def _no_ioctl(_name: str, _structure: bytes) -> bytes:
    raise OSError(95, "not supported")


def lldp(data: bytes) -> None:
    """What lldpcli prints, and who is at the other ends by it."""
    hub = Hub("leaf")
    book = PeerBook(hub)
    heard = neighbours(data, {"eth2": "swp1", "eth3": "swp2"})
    hub.publish(NeighboursSeen("leaf", "lldpd", heard))
    for port in ("swp1", "swp2"):
        book.of("leaf", port)


def http(data: bytes) -> None:
    """What a client sends, as bytes of a connection; and the same as headers and as what a route takes."""
    text = data.decode("utf-8", "replace")
    negotiate(text)
    accepts_gzip(text)
    _credentials(text)
    server = _server()
    paths = ("/page/", "/probe?target=", "/api/v1/ports/", "/api/v1/summary?device=", "/sd?")
    word = paths[len(data) % len(paths)] + quote(data[:200])
    LOOP.run_until_complete(_talk(server, f"GET {word} HTTP/1.1\r\nHost: x".encode()))
    LOOP.run_until_complete(_talk(server, data))


async def _talk(server: "HttpServer", data: bytes) -> None:
    """Say this on a connection and hear the answer, if there is one; then hang up."""
    limits = Limits(idle_s=0.001, head_s=0.001, write_s=1.0)
    wire = Conversation(server.guard, limits, set()).wire
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours:
        await LOOP.connect_accepted_socket(lambda: wire, theirs)
        wire.data_received(data + b"\r\n\r\n")
        await asyncio.wait([wire.task], timeout=0.005)
        with suppress(BlockingIOError, ConnectionResetError):
            answer = ours.recv(65_536)
            if answer and (not answer.startswith(b"HTTP/1.1 ") or b"internal error" in answer):
                raise AssertionError(answer)
    _, busy = await asyncio.wait([wire.task], timeout=FOREVER_S)
    if busy:
        raise AssertionError("it does not end")


def mqtt(data: bytes) -> None:
    """What a broker sends to a topic of ours: first half topic, second half payload."""
    middle = len(data) // 2
    topic = data[:middle].decode("utf-8", "replace")
    LOOP.run_until_complete(_hear(topic, data[middle:], retain=bool(data and data[0] & 1)))


async def _hear(topic: str, payload: bytes, *, retain: bool) -> None:
    messages = [SimpleNamespace(topic=topic, payload=payload, retain=retain)]

    async def come() -> Any:
        while messages:
            yield messages.pop()
        raise _End

    async def nothing(*_: object) -> None:
        return

    connection = SimpleNamespace(messages=come(), send=lambda *_, **__: None, room=nothing, unsubscribe=nothing)
    with suppress(_End):
        await _exporter()._listen(cast("Any", connection), ["opticd/leaf"])  # noqa: SLF001


class _End(Exception):
    pass


def _server() -> "HttpServer":
    if "server" not in _MADE:
        from exporters.http.server import make_server  # noqa: PLC0415
        from exporters.prometheus.selfmetrics import SelfMetrics  # noqa: PLC0415

        hub = Hub("leaf")
        metrics = SelfMetrics(hub, version="1")
        _MADE["server"] = make_server(hub, config.Prometheus(), profile="full", self_metrics=metrics)
    return cast("HttpServer", _MADE["server"])


def _exporter() -> Any:
    if "exporter" not in _MADE:
        from exporters.mqtt.exporter import MqttExporter  # noqa: PLC0415

        _MADE["exporter"] = MqttExporter(Hub("leaf"), config.Mqtt(url="mqtt://x"), active=lambda: ())
    return _MADE["exporter"]


_MADE: dict[str, Any] = {}
LOOP: Final = asyncio.new_event_loop()


# -- the rest -----------------------------------------------------------------------------------------------------


class _Line:
    """A serial line that says what it likes, whatever it is asked."""

    name = "fuzz"
    timeout_s = 0.01

    def __init__(self, data: bytes) -> None:
        self._data = data

    def open(self, _baud: int) -> None: ...
    def write(self, _data: bytes) -> None: ...
    def flush(self) -> None: ...
    def drain(self, _quiet_s: float) -> None: ...

    def read(self, n: int, *, timeout_s: float = 0.0) -> bytes:  # noqa: ARG002
        data, self._data = self._data[:n], self._data[n:]
        return data

    def ask(self, _data: bytes, n: int) -> bytes:
        answer = self.read(n)
        if len(answer) == n:
            return answer
        raise ShortRead("short") if answer else BusTimeout("nothing")


def serial(data: bytes) -> None:
    """Answers of a bridge."""
    bridges = (I2cDriver(), BusPirate(), Sc18im700(sleep=lambda _s: None))
    bridge = bridges[data[0] % 3 if data else 0]
    n = data[1] if len(data) > 1 else 1
    found = bridge.transfer(cast("Any", _Line(data[2:])), 0x50, b"\x00", n)
    if len(found) != n:
        raise AssertionError(f"{len(found)} bytes for {n}")


def settings(data: bytes) -> None:
    """A config file."""
    config.parse(data.decode("utf-8", "replace"), name="fuzz")


TARGETS: Final[dict[str, Target]] = {
    "registers": registers, "images": saved, "snmp": snmp, "netlink": links, "ethtool": ethtool, "serial": serial,
    "lldp": lldp, "config": settings, "http": http, "mqtt": mqtt,
    "traps": fuzz_traps.trap,
}  # fmt: skip


def seeds(target: str) -> list[bytes]:
    """Good inputs to begin with."""
    match target:
        case "registers":
            return [bytes((number, 0, 14, 2, 0x80, 0)) for number in range(len(PRODUCTS))]
        case "images":
            found: list[bytes] = []
            for name in ("sfp-10g-lr", "qsfp28-100g-cwdm4", "qsfpdd-400g-fr4"):
                memory = _image(name)
                found.append(json.dumps(images.to_document(memory)).encode())
                lower = memory.get(Span(0, 128)) or b""
                rows = [f"{at:04x}: {lower[at : at + 16].hex(' ')}" for at in range(0, 128, 16)]
                found += [lower * 2, lower * 4, "\n".join(rows).encode()]
            return found
        case "snmp":
            pair = ber.encode_varbind((1, 3, 6, 1, 2), ber.encode_integer(7))
            reply = ber.encode_pdu(0xA2, 1, 0, 0, pair)
            return [Community("public").wrap(1, reply)]
        case "netlink":
            body = b"\0\0\1\0" + (2).to_bytes(4, "little") + b"\1\0\0\0\0\0\0\0" + b"\x09\0\3\0eth0\0\0\0\0"
            return [netlink.HEADER.pack(16 + len(body), 16, 0, 0, 0) + body]
        case "ethtool":
            body = bytes((31, 1, 0, 0)) + struct.pack("=HH", 7, 7) + b"\x18\x50\0\0"
            return [
                struct.pack("=IHHII", 16 + len(body), 0x15, 0, 2, 0) + body
                + struct.pack("=IHHIIi", 36, 2, 0x100, 2, 0, 0) + bytes(16),
                struct.pack("=IHHIIi", 36, 2, 0, 2, 0, -22) + bytes(16),
            ]  # fmt: skip
        case "serial":
            return [b"\0\2\x31\x31\0\0\x55", b"\1\4\1\1\1abcdI2C1", b"\2\2ab\xf0"]
        case "lldp":
            end = (
                '{"name": "%s", "chassis": [{"id": [{"type": "mac", "value": "02:00:00:00:00:01"}], %s}], '
                '"port": [{"id": [{"type": "%s", "value": "e1"}], "descr": [{"value": "to leaf"}]}]}'
            )
            named = '"name": [{"value": "spine-3.example.net"}]'
            ends = (("eth2", named, "ifname"), ("eth3", named, "mac"), ("eth2", '"name": []', "local"))
            each = [end % given for given in ends]
            return [f'{{"lldp": [{{"interface": [{text}]}}]}}'.encode() for text in (*each, ", ".join(each), "")]
        case "config":
            text = (ROOT / "systemd" / "opticd.toml").read_bytes()
            return [text, b'[[source]]\ntype = "snmp"\ntargets = ["a=b:1"]\n', b'[[rule]]\nname = "x"\nabove = 1\n']
        case "http":
            return [
                b"application/openmetrics-text;q=0.5,*/*;q=0.1", b"gzip;q=0, br", b"Basic YTpi", b"Ethernet0",
                b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip",
                b"POST /-/reload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0",
            ]  # fmt: skip
        case "traps":
            return fuzz_traps.seeds()
        case _:
            return [b"opticd/leaf/statusoffline0000000", b"opticd/leaf/alert/x{}{}{}{}{}{}{}{}"]


def kept(target: str) -> list[bytes]:
    """The inputs of the corpus."""
    path = CORPUS / f"{target}.hex"
    return [bytes.fromhex(line) for line in path.read_text(encoding="ascii").split()] if path.exists() else []


def keep(target: str, inputs: Iterable[bytes]) -> None:
    """Write them down, the shortest first."""
    CORPUS.mkdir(exist_ok=True)
    lines = [each.hex() for each in sorted({*inputs} - {b""}, key=lambda each: (len(each), each))]
    (CORPUS / f"{target}.hex").write_text("\n".join(lines) + "\n", encoding="ascii")


def run(target: str, data: bytes) -> None:
    """One input; whatever this raises is a find."""
    with suppress(OpticError):
        TARGETS[target](data)
