"""Link state of the kernel's network interfaces, pushed by rtnetlink.

Every change of a link arrives as RTM_NEWLINK with the carrier counters; what the socket's buffer could not hold
(ENOBUFS) is made up by a dump, and the counters tell how many edges were lost. The kernel holds back news of lost
carriers: it speaks once a second, of 100 links (net/core/link_watch.c). So after an edge it is asked for all links
a few times: what fell together is known together.

    [[source]]
    type = "ethtool"
    netdev = "eth2"          # or "*": every physical interface

Device document: linux/rtnetlink.h, linux/if_link.h, RFC 2863 (operational states).
"""

import asyncio
import errno
import logging
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from agent.errors import BusGone, DecodeError, OpticError
from agent.links.links import Links, Observation
from agent.model import Link
from agent.state import Hub, SourceHealth
from drivers.host import netdevs, netlink
from drivers.host.netdevs import Netdev

_log = logging.getLogger(__name__)

RECEIVE_BUFFER: Final = 4 << 20
TURN_S: Final = 0.005
"""So long datagrams are taken before the event loop gets its turn again."""
RESYNC_S: Final = 60.0
NAMESPACE_CHECK_S: Final = 1.0
RETRY_S: Final = 1.0
HURRY_S: Final = 1.0
"""For so long after an edge the kernel may know of more than it says."""
HURRY_FIRST_S: Final = 0.01
HURRY_PERIOD_S: Final = 0.1
HURRY_COST_S: Final = 0.0005
"""Time between two dumps for each interface that they list: some 10 % of a core at most."""
DUMP_S: Final = 10.0
"""A dump that takes longer is stuck."""


class LinkWatcher:
    """Follows interfaces and reports their links. `ports` maps interface to port; None: every physical one."""

    def __init__(
        self,
        hub: Hub,
        links: Links,
        *,
        device: str,
        ports: Mapping[str, str] | None = None,
        netns: str = "",
        receive_buffer: int = RECEIVE_BUFFER,
        on_netdevs: Callable[[], None] | None = None,
    ) -> None:
        self._hub = hub
        self._links = links
        self._device = device
        self._ports = ports
        self._netns = netns
        self._receive_buffer = receive_buffer
        self._on_netdevs = on_netdevs
        self._boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self._epoch = ""
        self._known: dict[int, Netdev] = {}
        self._bound: dict[int, str] = {}
        """Port of each followed interface, by index: it stays when the interface is renamed."""
        self._socket: socket.socket | None = None
        self._sequence = 0
        self._dumping = False
        self._dump_began = 0.0
        self._dump_seen: set[int] = set()
        self._lost = False
        self._hurry_until = 0.0
        self._hurry_timer: asyncio.TimerHandle | None = None
        self._broken = asyncio.Event()
        self._trouble: OpticError | None = None
        self.synced = asyncio.Event()
        """Set after every complete dump."""
        self.resyncs = 0
        """How often messages were lost and made up by a dump."""

    @property
    def source(self) -> str:
        """Its name in `opticd_source_up`."""
        return f"rtnetlink:{self._netns}" if self._netns else "rtnetlink"

    @property
    def interfaces(self) -> tuple[Netdev, ...]:
        """All interfaces there are, followed or not."""
        return tuple(self._known.values())

    async def run(self) -> None:
        """Watch until cancelled; a socket that fails and a namespace that goes are tried again."""
        healthy: bool | None = None
        try:
            while True:
                try:
                    namespace = self._open()
                except OpticError as exc:
                    self._trouble = exc
                else:
                    healthy = self._report(healthy, up=True)
                    await self._watch(namespace)
                    self._close()
                self._all_gone()
                healthy = self._report(healthy, up=False)
                await asyncio.sleep(RETRY_S)
        finally:
            self._close()

    def _report(self, before: bool | None, *, up: bool) -> bool:
        detail = "" if up or self._trouble is None else str(self._trouble)
        if before is not up:
            if not up:
                _log.warning("%s: %s", self.source, detail)
            self._hub.publish(SourceHealth(self.source, up, detail))
        return up

    def _open(self) -> int:
        try:
            namespace = netlink.namespace_id(self._netns)
        except OSError as exc:
            raise BusGone(f"there is no network namespace {self._netns!r}") from exc
        self._socket = netlink.open_socket(
            socket.NETLINK_ROUTE, netns=self._netns, groups=netdevs.RTMGRP_LINK, receive_buffer=self._receive_buffer
        )
        self._socket.setblocking(False)
        self._epoch = f"{self._boot}/{namespace}"
        self._broken.clear()
        self._lost = self._dumping = False
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._readable)
        self._start_dump()
        return namespace

    def _close(self) -> None:
        if self._hurry_timer is not None:
            self._hurry_timer.cancel()
            self._hurry_timer = None
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()  # a namespace lives as long as a socket in it
            self._socket = None

    async def _watch(self, namespace: int) -> None:
        """Until the socket or the namespace breaks; asks for everything again now and then."""
        next_dump = time.monotonic() + RESYNC_S
        while True:
            try:
                async with asyncio.timeout(NAMESPACE_CHECK_S if self._netns else RESYNC_S):
                    await self._broken.wait()
            except TimeoutError:
                pass
            else:
                return
            if self._netns and not self._namespace_is(namespace):
                self._trouble = BusGone(f"network namespace {self._netns!r} is gone")
                return
            if time.monotonic() >= next_dump:
                next_dump = time.monotonic() + RESYNC_S
                self._start_dump()

    def _namespace_is(self, namespace: int) -> bool:
        try:
            return netlink.namespace_id(self._netns) == namespace
        except OSError:
            return False

    def _start_dump(self) -> None:
        if self._socket is None:
            return
        if self._dumping:
            if time.monotonic() - self._dump_began > DUMP_S:
                self._break(OSError(errno.ETIMEDOUT, "the list of interfaces does not end"))
            return
        self._sequence += 1
        self._dump_seen.clear()
        try:
            self._socket.send(netdevs.dump_request(self._sequence))
        except OSError as exc:
            self._break(exc)
        else:
            self._dumping = True
            self._dump_began = time.monotonic()

    def _readable(self) -> None:
        """Take what is there, a bounded time a turn."""
        if self._socket is None:
            return
        end = time.monotonic() + TURN_S
        while time.monotonic() < end:
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                if self._lost and not self._dumping:  # drained: from here on nothing is missed again
                    self._lost = False
                    self._start_dump()
                return
            except OSError as exc:
                if exc.errno == errno.ENOBUFS:
                    self._lost = True
                    self.resyncs += 1
                    continue
                self._break(exc)
                return
            self._datagram(data)
        if self._lost:  # the queue may be empty just now, then nobody would call again
            asyncio.get_running_loop().call_soon(self._readable)

    def _break(self, error: OSError) -> None:
        self._trouble = BusGone(f"netlink: {error.strerror}")
        self._broken.set()

    def _datagram(self, data: bytes) -> None:
        try:
            for message in netlink.messages(data):
                self._message(data, message)
        except DecodeError as exc:
            _log.error("%s: %s; asking for everything again", self.source, exc)
            self._lost = True

    def _message(self, data: bytes, message: netlink.Message) -> None:
        ours = self._dumping and message.sequence == self._sequence
        if message.type == netdevs.RTM_NEWLINK:
            netdev = netdevs.decode_link(data, message.start, message.end)
            if netdev is None:
                return
            if ours:
                self._dump_seen.add(netdev.index)
                self._lost |= bool(message.flags & netlink.NLM_F_DUMP_INTR)
            self._present(netdev)
        elif message.type == netdevs.RTM_DELLINK:
            netdev = netdevs.decode_link(data, message.start, message.end)
            if netdev is not None:
                self._dump_seen.discard(netdev.index)
                self._gone(netdev.index)
        elif ours and message.type == netlink.NLMSG_DONE:
            self._dump_done()
        elif ours and message.type == netlink.NLMSG_ERROR:
            code, words = netlink.failure(data, message)
            self._dumping = False
            self._break(OSError(code, words or errno.errorcode.get(code, str(code))))

    def _dump_done(self) -> None:
        self._dumping = False
        if not self._lost:
            for index in [index for index in self._known if index not in self._dump_seen]:
                self._gone(index)
            self.synced.set()

    def _present(self, netdev: Netdev) -> None:
        before = self._known.get(netdev.index)
        self._known[netdev.index] = netdev
        if before is None or before.name != netdev.name:
            self._bind(netdev)
            if self._on_netdevs is not None:
                self._on_netdevs()
        port = self._bound.get(netdev.index)
        if port is None:
            return
        info = Link(oper_up=netdev.up, admin_up=netdev.admin_up, if_index=netdev.index, if_name=netdev.name)
        if netdev.alias:
            info["alias"] = netdev.alias
        seen = Observation(
            netdev.up,
            netdev.admin_up,
            carrier_up_count=netdev.up_count,
            carrier_down_count=netdev.down_count,
            if_index=netdev.index,
            epoch=self._epoch,
            info=info,
        )
        now = time.monotonic()
        if self._links.observe(self._device, port, seen, time=time.time(), monotonic=now):
            self._hurry_until = now + HURRY_S
            self._hurry(HURRY_FIRST_S)

    def _hurry(self, delay_s: float) -> None:
        if self._hurry_timer is None:
            self._hurry_timer = asyncio.get_running_loop().call_later(delay_s, self._hurried)

    def _hurried(self) -> None:
        self._hurry_timer = None
        self._start_dump()
        if time.monotonic() < self._hurry_until:
            self._hurry(max(HURRY_PERIOD_S, HURRY_COST_S * len(self._known)))

    def _bind(self, netdev: Netdev) -> None:
        """Find the port of an interface that is new or has a new name."""
        old = self._bound.get(netdev.index)
        if self._ports is None:
            port = netdev.name if netdev.physical else None
            if old is not None and old != port:  # its port is its name
                del self._bound[netdev.index]
                self._links.forget(self._device, old)
        else:
            names = (netdev.name, *netdev.other_names)
            port = next((self._ports[name] for name in names if name in self._ports), None)
            if port is None:  # renamed by somebody: it is still the same port
                return
        if port is None or port == old:
            return
        for index, other in list(self._bound.items()):
            if other == port:  # another interface took over the name
                del self._bound[index]
        self._bound[netdev.index] = port

    def _gone(self, index: int) -> None:
        netdev = self._known.pop(index, None)
        port = self._bound.pop(index, None)
        if port is not None:
            self._links.removed(self._device, port, time=time.time(), monotonic=time.monotonic())
        if netdev is not None and self._on_netdevs is not None:
            self._on_netdevs()

    def _all_gone(self) -> None:
        self.synced.clear()
        for index in list(self._known):
            self._gone(index)
