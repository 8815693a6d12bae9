"""The other ends of this host's links, as lldpd heard of them by LLDP: the kernel itself does not know.

    [agent]
    lldpd_socket = "/run/lldpd.socket"     # asked when lldpd listens there

`lldpcli`, which comes with lldpd, is asked twice a minute: the socket speaks a format private to each version.

Device document: lldpcli(8), `-f json0`; IEEE 802.1AB.
"""

import asyncio
import contextlib
import logging
import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.errors import DriverError
from agent.model import Neighbour
from agent.state import Hub, NeighboursSeen

_log = logging.getLogger(__name__)

PERIOD_S: Final = 30.0
"""As often as stations send by default (802.1AB, msgTxInterval)."""
ANSWER_S: Final = 10.0
MAY_ASK: Final = "root may ask it, and who is in the groups of lldpcli and of the socket (on Debian adm and _lldpd)"
_STAMP: Final = re.compile(r"^\S+ \[\w+/\w+\] ")
"""Before each line that lldpcli logs: a time, which would make every complaint a new one."""
_ADDRESS: Final = "mac"
"""A port named by its address: nobody calls it so."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Value(_Model):
    type: str = ""
    value: str = ""


class _Chassis(_Model):
    id: list[_Value] = []
    name: list[_Value] = []


class _Port(_Model):
    id: list[_Value] = []
    descr: list[_Value] = []


class _Interface(_Model):
    name: str
    chassis: Annotated[list[_Chassis], Field(min_length=1)]
    port: Annotated[list[_Port], Field(min_length=1)]


class _Interfaces(_Model):
    interface: list[_Interface] = []


class _Answer(_Model):
    lldp: list[_Interfaces]


def neighbours(text: bytes, ports: Mapping[str, str]) -> dict[str, Neighbour]:
    """Port to its neighbour, out of `show neighbors` in json0. `ports`: interface to port. Raises DriverError."""
    try:
        answer = _Answer.model_validate_json(text)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        raise DriverError(f"lldpcli: {'.'.join(map(str, first['loc']))}: {first['msg']}") from exc
    found: dict[str, Neighbour] = {}
    for heard in (interface for group in answer.lldp for interface in group.interface):
        port = ports.get(heard.name)
        chassis, there = heard.chassis[0], heard.port[0]
        system = _first(chassis.name) or _first(chassis.id)
        names = [each.value for each in (*there.id, *there.descr) if each.value and each.type != _ADDRESS]
        names += [each.value for each in there.id if each.type == _ADDRESS and each.value]
        if port is not None and system and names:
            found.setdefault(port, Neighbour(system, tuple(names)))
    return found


def _first(values: list[_Value]) -> str:
    return values[0].value if values else ""


class Lldpd:
    """Asks lldpd now and then. `ports`: interface to port."""

    def __init__(
        self,
        hub: Hub,
        *,
        device: str,
        ports: Mapping[str, str],
        socket: Path,
        name: str,
        period_s: float = PERIOD_S,
    ) -> None:
        self._hub = hub
        self._device = device
        self._ports = ports
        self._socket = socket
        self._name = name
        self._period_s = period_s
        self._told: dict[str, Neighbour] | None = None
        self._complaint = ""

    async def run(self) -> None:
        """Until cancelled. That there is no lldpd is no news."""
        while True:
            if self._is_there():
                await self._look()
            await asyncio.sleep(self._period_s)

    def _is_there(self) -> bool:
        """Whether there is a socket; who may not look into its folder hears why from lldpcli."""
        try:
            return self._socket.exists()
        except OSError:
            return True

    async def _look(self) -> None:
        try:
            heard = neighbours(await self._ask(), self._ports)
        except DriverError as exc:
            if str(exc) != self._complaint:
                self._complaint = str(exc)
                _log.warning("%s%s", exc, f" ({exc.hint})" if exc.hint else "")
            return
        self._complaint = ""
        if heard != self._told:
            self._told = heard
            self._hub.publish(NeighboursSeen(self._device, "lldpd", heard, name=self._name))

    async def _ask(self) -> bytes:
        """What lldpcli prints. Raises DriverError."""
        command = ("lldpcli", "-u", str(self._socket), "-f", "json0", "show", "neighbors")
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as exc:
            hint = "it comes with lldpd" if isinstance(exc, FileNotFoundError) else MAY_ASK
            raise DriverError(f"lldpcli: {exc.strerror}", hint=hint) from exc
        try:
            async with asyncio.timeout(ANSWER_S):
                out, said = await process.communicate()
        except TimeoutError:
            raise DriverError(f"lldpcli: no answer within {ANSWER_S:.0f} s") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)  # `Process.kill` would take asyncio its exit code
                await process.wait()
        if process.returncode:
            line = _STAMP.sub("", said.decode("utf-8", "replace").strip().partition("\n")[0])
            raise DriverError(f"lldpcli: {line or f'exit {process.returncode}'}", hint=MAY_ASK)
        return out
