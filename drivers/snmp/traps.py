"""Traps and informs of links (v1, v2c, v3), received by pysnmp's engine over a socket of our own.

A trap's name is trusted, its status columns are not: in a linkDown some agents put the state they come from.
A poll follows in any case and settles what is really so.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from agent.errors import BusGone
from drivers.snmp.ber import Oid
from drivers.snmp.credentials import Credentials
from drivers.snmp.security import User

_log = logging.getLogger(__name__)

TRAP_OID: Final = (1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0)
UP_TIME: Final = (1, 3, 6, 1, 2, 1, 1, 3, 0)
IF_ENTRY: Final = (1, 3, 6, 1, 2, 1, 2, 2, 1)
_CISCO_IF_EXTENSION: Final = (1, 3, 6, 1, 4, 1, 9, 9, 276, 0)
LINK_TRAPS: Final = {
    (1, 3, 6, 1, 6, 3, 1, 1, 5, 3): False,
    (1, 3, 6, 1, 6, 3, 1, 1, 5, 4): True,
    (*_CISCO_IF_EXTENSION, 1): False,
    (*_CISCO_IF_EXTENSION, 2): True,
}
START_TRAPS: Final = frozenset(((1, 3, 6, 1, 6, 3, 1, 1, 5, 1), (1, 3, 6, 1, 6, 3, 1, 1, 5, 2)))
_UDP_DOMAIN: Final = (1, 3, 6, 1, 6, 1, 1)
_MAX_ENGINES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Trap:
    """A link that went up or down, or (`up` None) an agent that started anew."""

    sender: str
    up: bool | None
    if_index: int = 0
    admin_up: bool | None = None
    up_time: int | None = None
    """sysUpTime of the agent, hundredths of a second."""


class TrapReceiver(asyncio.DatagramProtocol):
    """Listens on one UDP port; `on_trap` gets what is about links, everything else is counted and dropped."""

    def __init__(self, credentials: Credentials, on_trap: Callable[[Trap], None]) -> None:
        self.received = 0
        self.dropped = 0
        self.port = 0
        self._credentials = credentials
        self._on_trap = on_trap
        self._engine: Any = None
        self._transport: asyncio.DatagramTransport | None = None
        self._engines: set[bytes] = set()
        self._ticked = 0.0

    async def start(self, host: str, port: int) -> None:
        """Open the socket. Raises `BusGone` when the port cannot be had (162 needs CAP_NET_BIND_SERVICE)."""
        # pysnmp compiles its MIBs when an engine is made: a tenth of a second that the event loop must not wait.
        self._engine = await asyncio.to_thread(_make_engine, self._credentials, self._receive)
        self._engine.transport_dispatcher = _Outgoing(self._send)
        loop = asyncio.get_running_loop()
        try:
            await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        except OSError as exc:
            raise BusGone(
                f"traps on {host}:{port}: {exc.strerror}", hint="ports below 1024 need CAP_NET_BIND_SERVICE"
            ) from exc

    def stop(self) -> None:
        """Give the port back."""
        if self._transport is not None:
            self._transport.close()

    def know_engine(self, engine_id: bytes) -> None:
        """A polled device has this engine ID: its SNMPv3 traps are signed by it (RFC 3414 section 1.5)."""
        user = self._credentials.user
        if user is not None and engine_id and engine_id not in self._engines and len(self._engines) < _MAX_ENGINES:
            self._engines.add(engine_id)
            _add_user(self._engine, user, engine_id)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received += 1
        self._tick()
        try:
            self._engine.message_dispatcher.receive_message(self._engine, _UDP_DOMAIN, addr, data)
        except Exception as exc:  # noqa: BLE001 - pysnmp and pyasn1 raise many kinds for noise; none may end the daemon
            self.dropped += 1
            _log.debug("a datagram from %s is no trap: %r", addr[0], exc)

    def _tick(self) -> None:
        """Let pysnmp forget exchanges that never ended."""
        now = time.time()
        if now - self._ticked >= 1.0:
            self._ticked = now
            engine = self._engine
            engine.message_dispatcher.receive_timer_tick(engine, now)
            for part in (*engine.message_processing_subsystems.values(), *engine.security_models.values()):
                part.receive_timer_tick(engine, now)

    def _send(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, addr)

    def _receive(self, engine: Any, reference: Any, _engine_id: Any, _context: Any, pairs: Any, _ctx: Any) -> None:
        _, address = engine.message_dispatcher.get_transport_info(reference)
        trap = understand(str(address[0]), [(tuple(name), value) for name, value in pairs])
        if trap is None:
            self.dropped += 1
        else:
            self._on_trap(trap)


def understand(sender: str, pairs: list[tuple[Oid, Any]]) -> Trap | None:
    """What a notification says of a link; None when it is about something else."""
    values = dict(pairs)
    name = tuple(values.get(TRAP_OID, ()))
    up_time = _number(values.get(UP_TIME))
    if name in START_TRAPS:
        return Trap(sender, None, up_time=up_time)
    if name not in LINK_TRAPS:
        return None
    # ifIndex may be a variable, or only the index of one (vendors add and drop).
    rows = {oid[10]: oid for oid in values if oid[:9] == IF_ENTRY and len(oid) == 11}
    index = next(
        (number for oid, value in pairs if oid[:10] == (*IF_ENTRY, 1) and (number := _number(value))), None
    )
    index = index or next(iter(rows), None)
    if index is None:
        return None
    admin = _number(values.get((*IF_ENTRY, 7, index)))
    return Trap(sender, LINK_TRAPS[name], index, None if admin is None else admin == 1, up_time)


def _number(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None


class _Outgoing:
    """What pysnmp's engine needs of a transport: somewhere to send answers to informs, and a clock."""

    def __init__(self, send: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._send = send

    def send_message(self, data: bytes, _domain: object, address: tuple[str, int]) -> None:
        self._send(bytes(data), address)

    def get_timer_ticks(self) -> float:
        return time.time()

    def get_timer_resolution(self) -> float:
        return 1.0


def _make_engine(credentials: Credentials, receive: Callable[..., None]) -> Any:
    from pysnmp.entity import engine  # type: ignore[import-untyped]  # noqa: PLC0415 - only where traps are on
    from pysnmp.entity.rfc3413 import ntfrcv  # type: ignore[import-untyped]  # noqa: PLC0415

    made = engine.SnmpEngine()
    _config().add_v1_system(made, "opticd", credentials.community)
    if credentials.user is not None:
        _add_user(made, credentials.user, None)  # for informs, where we are the authoritative engine
    ntfrcv.NotificationReceiver(made, receive)
    return made


def _add_user(engine: Any, user: User, engine_id: bytes | None) -> None:
    from pyasn1.type.univ import OctetString  # type: ignore[import-untyped]  # noqa: PLC0415

    from drivers.snmp import usm  # noqa: PLC0415

    config = _config()

    auth = usm.auth_service(user.auth) if user.auth else config.USM_AUTH_NONE
    priv = usm.priv_service(user.priv) if user.priv else config.USM_PRIV_NONE
    config.add_v3_user(
        engine,
        user.name,
        auth,
        usm.hashed(user.auth, user.auth_password) if user.auth else None,
        priv,
        usm.hashed(user.auth, user.priv_password) if user.auth and user.priv else None,
        securityEngineId=OctetString(engine_id) if engine_id else None,
        authKeyType=config.USM_KEY_TYPE_MASTER,
        privKeyType=config.USM_KEY_TYPE_MASTER,
    )


def _config() -> Any:
    from pysnmp.entity import config  # noqa: PLC0415

    return config
