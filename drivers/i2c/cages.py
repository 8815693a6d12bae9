"""Cages on the I2C buses of this host: `i2c:12`, `i2c:/dev/i2c-12`, `i2c:12:0x70.3` (address and channel of a mux).

`i2c:adapter=SMBus*` is the adapter with that name, or at that place in /sys/devices, whatever its number is.

Options: `chunk` bytes a read at most; `shared=no` nobody else selects pages or channels; `settle` seconds to wait
after a page select; `mux` kind of the muxes (pca9548, pca9547, ...); `exclusive` read although a kernel driver or
another daemon has the module; `freeze` VDM may be frozen, which is a write.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from agent.errors import BusGone, ConfigError, NotPermitted
from agent.memory import I2C_MODULE, I2cBus
from agent.sources import Cage, Options
from drivers import coexistence
from drivers.i2c import mux
from drivers.i2c import names as i2c_names
from drivers.i2c.bus import LinuxI2cBus, SystemCalls, bus_path
from drivers.i2c.names import AdapterName
from drivers.i2c.paged import PagedMemory

SYS: Final = Path("/sys")


@dataclass(slots=True)
class _Bus:
    bus: LinuxI2cBus
    tree: mux.MuxTree


class I2cDriver:
    """`agent.sources.Driver` for I2C. `calls`, `sys` and `owner` are for tests: kernel, tree, processes."""

    def __init__(
        self,
        *,
        calls: SystemCalls | None = None,
        sys: Path = SYS,
        owner: Callable[[], str] = coexistence.module_owner,
    ) -> None:
        self._calls = calls
        self._sys = sys
        self._owner = coexistence.remembered(owner)
        self._buses: dict[str, _Bus] = {}

    def open(self, address: str, options: Options) -> Cage:
        """As `Driver.open`; NotPermitted when somebody else has the module and `exclusive` is not given."""
        head, _, hops = address.partition(":")
        find = self._finder(head)
        device = head if find else bus_path(head)
        path = mux.parse_path(hops)
        chunk = int(options.number("chunk", 0, most=256))
        shared = options.flag("shared", default=True)
        settle_s = options.number("settle", 0.0, most=1.0)
        enable = _enable(options.text("mux", "pca9548"))
        exclusive = options.flag("exclusive", default=False)
        freeze = options.flag("freeze", default=False)
        if not find:  # the buses that the kernel makes of channels have no name that stays
            device, path = self._kernel_channels(device, path)
        owner = self._owner()
        if not exclusive:
            self._refuse_owned(_now(device, find), path, owner)
        node = partial(self._node, device, find, guarded=not exclusive and not path)
        bus = self._bus(device, path, chunk=chunk, shared=shared, enable=enable, node=node)
        self._buses[device].bus.guard.freeze |= freeze
        name = "".join(
            (head.removeprefix("/dev/").removeprefix("i2c-"), *(f":{hop}" for hop in hops.split(":") if hop))
        )
        return Cage(
            source=f"i2c:{name}",
            port=f"i2c-{name.replace(':0x', '-')}",
            bus=self._root(_now(device, find)),
            memory=PagedMemory(bus, shared=shared, settle_s=settle_s, freeze=freeze),
            owner=owner,
        )

    def _finder(self, head: str) -> AdapterName | None:
        if not head.startswith(i2c_names.PREFIX):
            return None
        return AdapterName(head.removeprefix(i2c_names.PREFIX), sys=self._sys)

    def _node(self, device: str, find: AdapterName | None, *, guarded: bool) -> str:
        """The device node, each time that it is opened: a bus that came late may have an owner by then."""
        node = find() if find else device
        if guarded:
            self._refuse_owned(node, (), "")
        return node

    def _bus(
        self, device: str, path: mux.Path, *, chunk: int, shared: bool, enable: int, node: Callable[[], str]
    ) -> I2cBus:
        """Cages behind the muxes of one bus share it: one descriptor, and one channel on at a time."""
        known = self._buses.get(device)
        if known is None:
            bus = LinuxI2cBus(device, calls=self._calls, chunk=chunk, find=node)
            known = self._buses[device] = _Bus(bus, mux.MuxTree(bus, shared=shared, enable=enable))
        known.bus.guard.muxes |= mux.addresses([path])
        return known.tree.channel(path) if path else known.bus

    def _kernel_channels(self, device: str, path: mux.Path) -> tuple[str, mux.Path]:
        """Where the kernel drives a mux, its channel is a bus: go on from there."""
        number = _number(device)
        while path and number is not None:
            hop = path[0]
            channel = self._sys / f"bus/i2c/devices/{number}-{hop.address:04x}/channel-{hop.channel}"
            number = _number(channel.resolve().name) if channel.exists() else None
            if number is not None:
                device, path = bus_path(str(number)), path[1:]
        return device, path

    def _refuse_owned(self, device: str, path: mux.Path, owner: str) -> None:
        if owner:
            raise NotPermitted(
                f"{owner} owns the modules of this host", hint=f"{coexistence.INSTEAD[owner]}; or set exclusive"
            )
        bound = self._sys / f"bus/i2c/devices/{_number(device)}-{I2C_MODULE:04x}"
        if not path and (bound / "driver").exists():
            driver = (bound / "driver").resolve().name
            hint = f"use sysfs:{bound}/eeprom" if (bound / "eeprom").exists() else "unbind it, or set exclusive"
            raise NotPermitted(f"the kernel's driver {driver} has the module of {device}", hint=hint)

    def _root(self, device: str) -> str:
        """The adapter at the root of a tree of muxes: its channels are one wire, and one thread."""
        link = self._sys / f"bus/i2c/devices/i2c-{_number(device)}"
        parts = link.resolve().parts if link.exists() else ()
        return next((part for part in parts if re.fullmatch(r"i2c-\d+", part)), device.removeprefix("/dev/"))


def _now(device: str, find: AdapterName | None) -> str:
    """The device node of the adapter, its name while it is not there."""
    if find is None:
        return device
    try:
        return find()
    except BusGone:
        return device


def _enable(kind: str) -> int:
    if kind not in mux.ENABLE_BITS:
        raise ConfigError(f"unknown mux {kind!r}", hint=f"one of {', '.join(sorted(mux.ENABLE_BITS))}")
    return mux.ENABLE_BITS[kind]


def _number(name: str) -> int | None:
    match = re.fullmatch(r"(?:/dev/)?i2c-(\d+)", name)
    return int(match[1]) if match else None
