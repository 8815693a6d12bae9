"""Channels of I2C multiplexers that no kernel driver serves: PCA954x and its kin, nested to any depth.

    bus = "12:0x70.3"            # channel 3 of the mux at 70h on bus 12
    bus = "12:0x70.3:0x71.0"     # and behind it channel 0 of another one

Documents: NXP PCA9548A (switch: a bit a channel), PCA9544A and PCA9547 (multiplexer: enable bit and number).
A mux that the kernel knows makes a bus of its own for each channel: use that bus instead.
"""

import contextlib
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from agent.errors import BusError, ConfigError, DriverError, ModuleAbsent
from agent.memory import I2cBus

ENABLE_BITS: Final = {
    "pca9548": 0,
    "pca9546": 0,
    "pca9545": 0,
    "pca9543": 0,
    "pca9547": 8,
    "pca9544": 4,
    "pca9542": 4,
}
"""What selects channel n: `enable | n`, or with 0 the bit n alone."""
_OFF: Final = 0


class Hop(NamedTuple):
    """One mux on the way to a module."""

    address: int
    channel: int


Path = tuple[Hop, ...]


def parse_path(text: str) -> Path:
    """The hops of `0x70.3:0x71.0`, () for an empty text. Raises ConfigError."""
    hops: list[Hop] = []
    for part in text.split(":") if text else []:
        match = re.fullmatch(r"(0x[0-9a-fA-F]{2})\.([0-7])", part)
        if match is None or not 0x70 <= int(match[1], 16) <= 0x77:
            raise ConfigError(f"{part!r} is no mux channel", hint="as in 12:0x70.3: address 0x70-0x77, channel 0-7")
        hops.append(Hop(int(match[1], 16), int(match[2])))
    return tuple(hops)


class MuxTree:
    """All muxes of one bus. One channel is on at a time, or modules of two cages would answer together.

    `shared`: others may switch channels too, so each transfer selects its own again.
    """

    def __init__(self, bus: I2cBus, *, shared: bool = True, enable: int = 0) -> None:
        self.bus = bus
        self._shared = shared
        self._enable = enable
        self._controls: dict[tuple[Path, int], int | None] = {}

    def channel(self, path: Path) -> "MuxChannel":
        """The bus behind `path`."""
        for depth, hop in enumerate(path):
            self._controls.setdefault((path[:depth], hop.address), None)
        return MuxChannel(self, path)

    def select(self, path: Path) -> None:
        """Switch to `path`; what is on beside it goes off first."""
        for depth, hop in enumerate(path):
            here = path[:depth]
            beside = (address for prefix, address in self._controls if prefix == here and address != hop.address)
            for address in beside:
                if self._controls[here, address] != _OFF:
                    with contextlib.suppress(ModuleAbsent):  # a mux that is not there connects nothing
                        self.bus.transfer(address, bytes((_OFF,)), 0)
                    self._controls[here, address] = _OFF
            control = self._enable | hop.channel if self._enable else 1 << hop.channel
            if self._shared or self._controls[here, hop.address] != control:
                self._controls[here, hop.address] = None
                self.bus.transfer(hop.address, bytes((control,)), 0)
                self._controls[here, hop.address] = control

    def forget(self) -> None:
        """Nothing is known of the muxes any more (bus error, power loss)."""
        self._controls = dict.fromkeys(self._controls)

    def close(self) -> None:
        """Switch off what is on, and give the bus back."""
        with contextlib.suppress(DriverError):  # closing is often the answer to an error: the bus may not work
            for (prefix, address), control in self._controls.items():
                if not prefix and control not in {None, _OFF}:
                    self.bus.transfer(address, bytes((_OFF,)), 0)
        self.forget()
        self.bus.close()


class MuxChannel:
    """`I2cBus` behind one or more muxes."""

    def __init__(self, tree: MuxTree, path: Path) -> None:
        self._tree = tree
        self._path = path

    def transfer(self, address: int, out: bytes, n: int) -> bytes:
        """As `I2cBus.transfer`, on this channel."""
        try:
            self._tree.select(self._path)
            return self._tree.bus.transfer(address, out, n)
        except BusError:
            self._tree.forget()
            raise

    def close(self) -> None:
        """Switch off and give the bus back; other channels select again when they are used."""
        self._tree.close()


def addresses(paths: Iterable[Path]) -> frozenset[int]:
    """Every mux address on the paths: what the write guard of the bus has to let pass."""
    return frozenset(hop.address for path in paths for hop in path)
