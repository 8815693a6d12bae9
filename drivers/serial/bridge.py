"""A module behind a serial I2C bridge: `serial:/dev/ttyUSB0`, `serial:serial=DO01JXYZ?adapter=i2cdriver`.

    [[source]]
    type = "serial"
    device = "/dev/ttyUSB0"

Options: `adapter` i2cdriver, buspirate, sc18im700 or auto; `baud`; `clock` 100 or 400 kHz; `timeout` seconds for an
answer; `power` and `pullups` of a Bus Pirate; `shared=no` nobody else selects pages; `freeze` VDM may be frozen,
which is a write.

The protocols and their documents are in `drivers/serial/protocols.py`.
"""

from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Final

from agent.errors import BusError, BusTimeout, ConfigError, ShortRead, Unsupported
from agent.sources import Cage, Options
from drivers.i2c.guard import WriteGuard
from drivers.i2c.paged import PagedMemory
from drivers.serial.protocols import Bridge, BusPirate, Desync, I2cDriver, Sc18im700
from drivers.serial.wire import UsbPort, Wire, usb_ports

ADAPTERS: Final = ("auto", "i2cdriver", "buspirate", "sc18im700")


class SerialBus:
    """`I2cBus` over a bridge: the first of `bridges` that answers. One thread at a time.

    An answer out of step is asked for once more, after finding step again; a missing one is an error at once.
    """

    def __init__(self, wire: Wire, bridges: tuple[Bridge, ...]) -> None:
        self.guard = WriteGuard()
        self._wire = wire
        self._bridges = bridges
        self._bridge: Bridge | None = None
        self._in_step = False

    def transfer(self, address: int, out: bytes, n: int) -> bytes:
        """As `I2cBus.transfer`. NotPermitted for any write that is no page select."""
        self.guard.check(address, out, n)
        for _ in range(2):
            bridge = self._ready()
            try:
                return bridge.transfer(self._wire, address, out, n)
            except Desync:
                self._in_step = False
            except (BusError, ShortRead):
                self._in_step = False
                raise
        raise BusError(f"{self._wire.name}: answers make no sense, twice")

    def close(self) -> None:
        """Give the port back; the next transfer opens it again."""
        self._in_step = False
        self._wire.close()

    @property
    def adapter(self) -> str:
        """Name of the bridge that was found, "" before the first transfer."""
        return self._bridge.name if self._bridge else ""

    def attach(self) -> str:
        """Find the bridge and step with it; its name. Raises a DriverError."""
        return self._ready().name

    def _ready(self) -> Bridge:
        if self._bridge is not None and self._in_step and self._wire.is_open:
            return self._bridge
        candidates = (self._bridge,) if self._bridge else self._bridges
        for bridge in candidates:
            if self._attached(bridge):
                self._bridge, self._in_step = bridge, True
                return bridge
        self._wire.close()
        if self._bridge:
            raise BusTimeout(f"{self._wire.name}: the {self._bridge.name} does not answer")
        names = ", ".join(bridge.name for bridge in candidates)
        raise BusTimeout(
            f"{self._wire.name}: nothing answers as {names}", hint="is it the right port and baud rate?"
        )

    def _attached(self, bridge: Bridge) -> bool:
        try:
            return bridge.attach(self._wire)
        except (BusTimeout, ShortRead, Desync):
            return False


class SerialDriver:
    """`agent.sources.Driver` for serial bridges. `ports` is for tests: the serial ports of a host."""

    def __init__(self, *, ports: Callable[[], Iterable[UsbPort]] = usb_ports) -> None:
        self._ports = ports

    def open(self, address: str, options: Options) -> Cage:
        """The cage behind a port."""
        wire = Wire(address, timeout_s=options.number("timeout", 1.0, least=0.01, most=60), ports=self._ports)
        bridges = _bridges(options)
        shared = options.flag("shared", default=False)
        name = PurePath(address).name.removeprefix("serial=")
        freeze = options.flag("freeze", default=False)
        bus = SerialBus(wire, bridges)
        bus.guard.freeze = freeze
        return Cage(
            source=f"serial:{address}",
            port=name,
            bus=f"serial-{name}",
            memory=PagedMemory(bus, shared=shared, freeze=freeze),
        )


def _bridges(options: Options) -> tuple[Bridge, ...]:
    adapter = options.text("adapter", "auto")
    baud = int(options.number("baud", 0, most=4_000_000))
    clock_khz = int(options.number("clock", 0, most=400))
    power, pullups = options.flag("power", default=False), options.flag("pullups", default=False)
    if clock_khz not in {0, 100, 400}:
        raise ConfigError(f"clock={clock_khz}: 100 or 400 is expected")
    pirate = BusPirate(baud=baud, clock_khz=clock_khz, power=power, pullups=pullups)
    match adapter:
        case "buspirate":
            return (pirate,)
        case "i2cdriver":
            return (I2cDriver(baud=baud, clock_khz=clock_khz),)
        case "sc18im700":
            return (_sc18im700(baud, clock_khz),)
        case "auto":
            # The zeros that find a Bus Pirate mean nothing to the others; what finds an I2CDriver would switch its
            # power off. The one that cannot tell its clock comes last.
            return (pirate, I2cDriver(baud=baud, clock_khz=clock_khz), _sc18im700(baud, 0))
        case _:
            raise ConfigError(f"unknown adapter {adapter!r}", hint=f"one of {', '.join(ADAPTERS)}")


def _sc18im700(baud: int, clock_khz: int) -> Bridge:
    try:
        return Sc18im700(baud=baud, clock_khz=clock_khz)
    except Unsupported as exc:
        raise ConfigError(str(exc)) from exc
