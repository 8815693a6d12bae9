"""A bench instrument on a serial port, asked by SCPI: an optical power meter, a thermometer.

    opticd selftest i2c:3 --reference 'serial:/dev/ttyUSB1?type=scpi&baud=115200&power=READ{lane}:POW?'

Options: `baud`; `power` and `temperature` are the queries ("" for none), `{lane}` in them stands for the lane;
without it `lane` says which one the fibre comes from; `unit` of power, dbm or w; `timeout` seconds for an answer.

Documents: SCPI-1999 volume 1 (sections 7.2.1.4, 7.2.1.5: infinity and NaN; 21.8: error queue), IEEE 488.2 (*IDN?).
"""

import re
from collections.abc import Callable, Iterable
from typing import Final

from agent.errors import BusTimeout, ConfigError, DeviceRefused, DriverError
from agent.quantities import dbm
from agent.sources import Options, SourceName
from drivers.serial.wire import UsbPort, Wire, usb_ports

_LINE_MAX: Final = 256
_INFINITE: Final = 9.9e37
"""From here on a number stands for infinity (9.9E37) or for none (9.91E37)."""
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")


class ScpiInstrument:
    """`agent.modules.selftest.Reference`: asks one instrument. Each query is bounded in time."""

    def __init__(
        self,
        wire: Wire,
        *,
        baud: int = 9600,
        power: str = "READ:POW?",
        temperature: str = "",
        unit: str = "dbm",
        lane: int = 1,
    ) -> None:
        self._wire = wire
        self._baud = baud
        self._power = power
        self._temperature = temperature
        self._unit = unit
        self._lane = lane

    def identify(self) -> str:
        """What `*IDN?` says: manufacturer, model, serial number, firmware."""
        return self._ask("*IDN?")

    def power_dbm(self, lane: int) -> float | None:
        """Optical power of a lane in dBm; None when this instrument does not measure it."""
        if not self._power or ("{lane}" not in self._power and lane != self._lane):
            return None
        value = self._number(self._power.replace("{lane}", str(lane)))
        return dbm(value) if self._unit == "w" else value

    def temperature_celsius(self) -> float | None:
        """Temperature in degrees Celsius; None when this instrument does not measure it."""
        return self._number(self._temperature) if self._temperature else None

    def close(self) -> None:
        """Give the port back."""
        self._wire.close()

    def _number(self, query: str) -> float:
        answer = self._ask(query)
        match = _NUMBER.match(answer)
        if match is None:
            raise DeviceRefused(f"{self._wire.name}: {query} gave {answer!r}, not a number")
        value = float(match[0])
        if abs(value) >= _INFINITE:
            raise DeviceRefused(f"{self._wire.name}: {query}: out of range, or nothing to measure")
        return value

    def _ask(self, query: str) -> str:
        self._wire.open(self._baud)
        self._wire.drain(0.02)
        try:
            return self._line(query)
        except BusTimeout as exc:
            # It does not answer what it does not know, but says so when it is asked.
            try:
                error = self._line("SYST:ERR?")
            except DriverError:
                raise exc from None
            raise DeviceRefused(f"{self._wire.name}: {query}: {error}") from exc

    def _line(self, query: str) -> str:
        self._wire.write(query.encode("ascii") + b"\n")
        line = b""
        while not line.endswith(b"\n"):
            byte = self._wire.read(1)
            if not byte or len(line) > _LINE_MAX:
                raise BusTimeout(f"{self._wire.name}: no answer to {query}")
            line += byte
        return line.decode("ascii", "replace").strip()


def open_reference(name: SourceName, *, ports: Callable[[], Iterable[UsbPort]] = usb_ports) -> ScpiInstrument:
    """The instrument that `serial:DEVICE?type=scpi&…` names. Raises ConfigError."""
    options = Options(name.options, of=str(name))
    if name.kind != "serial" or options.text("type", "scpi") != "scpi":
        raise ConfigError(f"{name}: no reference instrument", hint="as in serial:/dev/ttyUSB1?type=scpi")
    unit = options.text("unit", "dbm").lower()
    if unit not in {"dbm", "w"}:
        raise ConfigError(f"{name}: unit={unit}: dbm or w is expected")
    instrument = ScpiInstrument(
        Wire(name.address, timeout_s=options.number("timeout", 2.0, least=0.01, most=60), ports=ports),
        baud=int(options.number("baud", 9600, least=300, most=4_000_000)),
        power=options.text("power", "READ:POW?"),
        temperature=options.text("temperature"),
        unit=unit,
        lane=int(options.number("lane", 1, least=1, most=64)),
    )
    options.finish()
    return instrument
