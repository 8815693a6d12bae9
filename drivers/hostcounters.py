"""Counters of the host's side of a port: error correction, InfiniBand, carrier, and why a link is down.

    [[source]]
    type = "ethtool"
    netdev = "eth2"
    host_counters = true

InfiniBand: /sys/class/infiniband/*/ports/*/counters, joined to the interface on the same device and port. Carrier:
/sys/class/net/*/carrier_{up,down}_count. Error correction and reasons: the card's driver, over ethtool netlink.
What a host does not have is absent. A link that falls is asked for its reason at once.

Documents: Documentation/ABI/stable/sysfs-class-infiniband, Documentation/ABI/testing/sysfs-class-net of Linux.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from agent.errors import BusHung, DriverError, OpticError
from agent.model import HostCounters, LinkEvent
from agent.polling.worker import BusWorker, WorkerPool
from agent.quantities import (
    CARRIER_DOWN,
    CARRIER_UP,
    IB_LINK_DOWNED,
    IB_LINK_ERROR_RECOVERY,
    IB_SYMBOL_ERROR,
    PHY_LINK_DOWN,
    Quantity,
)
from agent.state import Hub
from drivers.ethtool.genetlink import GenericNetlink
from drivers.ethtool.kernel import Kernel, kernel
from drivers.ethtool.stats import CardLink, CardStats, Fec

_log = logging.getLogger(__name__)

INFINIBAND: Final[Mapping[str, Quantity]] = {
    "link_downed": IB_LINK_DOWNED,
    "link_error_recovery": IB_LINK_ERROR_RECOVERY,
    "symbol_error": IB_SYMBOL_ERROR,
}
CARRIER: Final[Mapping[str, Quantity]] = {"carrier_up_count": CARRIER_UP, "carrier_down_count": CARRIER_DOWN}
PERIOD_S: Final = 30.0
SOON_S: Final = 0.2
"""Links that fall together are asked together, and the driver has its reason by then."""
ANSWER_S: Final = 5.0
SPARES: Final = 2
"""Drivers that may hang for good before the counters end; modules and links have threads of their own."""


class HostSide:
    """Reads the counters of interfaces; blocks, one thread at a time. `sys_root` and `doors` are for tests too."""

    def __init__(self, *, sys_root: Path = Path("/sys"), doors: Kernel | None = None) -> None:
        self._sys = sys_root
        doors = doors or kernel()
        self._card = CardStats(GenericNetlink("ethtool", connect=doors.connect, timeout_s=ANSWER_S))
        self._failed: set[str] = set()

    def read(self, device: str, ports: Mapping[str, str]) -> list[HostCounters]:
        """The counters of `ports` (port to interface); ports of which nothing is known are left out."""
        infiniband = infiniband_ports(self._sys)
        found: list[HostCounters] = []
        for port, netdev in ports.items():
            counters = _numbers(self._sys / "class/net" / netdev, CARRIER)
            if netdev in infiniband:
                counters |= _numbers(infiniband[netdev] / "counters", INFINIBAND)
            link, fec = self._ask(netdev)
            counters |= fec.totals
            if link.downs is not None:
                counters[PHY_LINK_DOWN] = link.downs
            if counters or link.why:
                found.append(
                    HostCounters(
                        device,
                        port,
                        time.time(),
                        counters,
                        lanes=fec.lanes,
                        fec_bins=fec.bins,
                        link_detail=link.why,
                    )
                )
        return found

    def close(self) -> None:
        self._card.close()

    def _ask(self, netdev: str) -> tuple[CardLink, Fec]:
        try:
            answers = self._card.link(netdev), self._card.fec(netdev)
        except DriverError as exc:
            if netdev not in self._failed:  # once: sysfs goes on without it
                _log.warning("%s: no counters of the card: %s", netdev, exc)
            self._failed.add(netdev)
            return CardLink(), Fec()
        self._failed.discard(netdev)
        return answers


def infiniband_ports(sys_root: Path) -> dict[str, Path]:
    """Folder of the InfiniBand (or RoCE) port of each interface that has one."""
    found: dict[str, Path] = {}
    for device in sorted((sys_root / "class/infiniband").glob("*")):
        ports = {int(port.name): port for port in (device / "ports").glob("*") if port.name.isdigit()}
        for number, port in ports.items():
            for netdev in _interfaces(device, number, port, alone=len(ports) == 1):
                found.setdefault(netdev, port)
    return found


def _interfaces(device: Path, number: int, port: Path, *, alone: bool) -> set[str]:
    """By RoCE's own table, or by the shared device and its port number (which counts from 0 for an interface)."""
    named: set[str] = set()
    for entry in (port / "gid_attrs/ndevs").glob("*"):
        with contextlib.suppress(OSError):  # EINVAL where the entry is not in use
            named.add(entry.read_text().strip())
    if named:
        return named
    beside = sorted((device / "device/net").glob("*"))
    return {netdev.name for netdev in beside if alone or _number(netdev / "dev_port") == number - 1}


def _numbers(folder: Path, files: Mapping[str, Quantity]) -> dict[Quantity, int]:
    """What the files hold; a file that is not there, or that the card does not answer for, is absent."""
    found: dict[Quantity, int] = {}
    for name, quantity in files.items():
        number = _number(folder / name)
        if number is not None:
            found[quantity] = number
    return found


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


class HostCounterReader:
    """Publishes `HostCounters` of all ports in a period, and of a port soon after its link fell."""

    def __init__(
        self,
        hub: Hub,
        *,
        device: str,
        ports: Callable[[], Mapping[str, str]],
        side: Callable[[], HostSide] = HostSide,
        period_s: float = PERIOD_S,
    ) -> None:
        self._hub = hub
        self._device = device
        self._ports = ports
        self._make_side = side
        self._side = side()
        self._period_s = period_s
        self._fallen: set[str] = set()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        pool = WorkerPool(spares=SPARES)
        worker = pool.worker("host counters")
        due = time.monotonic()
        self._hub.subscribe(LinkEvent, self._on_link)
        try:
            while True:
                if time.monotonic() >= due:
                    due = time.monotonic() + self._period_s
                    await self._read(worker, dict(self._ports()))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, due - time.monotonic())):
                        await self._wake.wait()
                    await asyncio.sleep(SOON_S)
                fallen, self._fallen = self._fallen, set()
                self._wake.clear()
                if fallen:
                    ports = {port: netdev for port, netdev in self._ports().items() if port in fallen}
                    await self._read(worker, ports)
        finally:
            self._hub.unsubscribe(LinkEvent, self._on_link)
            await pool.stop()
            self._side.close()

    async def _read(self, worker: BusWorker, ports: Mapping[str, str]) -> None:
        if not ports:
            return
        try:
            found = await worker.run(partial(self._side.read, self._device, ports), key="host counters")
        except OpticError as exc:
            _log.warning("host counters: %s", exc)
            if isinstance(exc, BusHung):
                self._side = self._make_side()  # the old one belongs to a thread that hangs in a driver
            return
        for each in found:
            self._hub.publish(each)

    def _on_link(self, event: LinkEvent) -> None:
        if event.device == self._device and not event.up:
            self._fallen.add(event.port)
            self._wake.set()
