"""A SCPI instrument on a pty: a power meter with channels, and a thermometer.

    line = SerialLine(path, scpi_meter({1: -2.13, 2: -2.4}, celsius=41.2), baud=9600)

Documents: SCPI-1999 (error queue, number formats), IEEE 488.2 (*IDN?).

Not simulated: triggering, ranges, units other than dBm, status registers, a queue of more than one error.
"""

from collections.abc import Mapping
from typing import Final

from fakes.serial_bridges import Program
from fakes.serial_pty import SerialLine

IDN: Final = "ACME,PM-8,SN42,1.0"


def scpi_meter(power_dbm: Mapping[int, float], *, celsius: float | None = None) -> Program:
    """Answers `*IDN?`, `READ:POW?` (channel 1), `READn:POW?`, `MEAS:TEMP?`, `SYST:ERR?`; nothing else."""

    def answer(query: str, error: list[str]) -> str | None:
        head, _, tail = query.upper().partition(":")
        channel = head.removeprefix("READ") or "1"
        match query.upper():
            case "*IDN?":
                return IDN
            case "SYST:ERR?":
                return error.pop() if error else '0,"No error"'
            case "MEAS:TEMP?" if celsius is not None:
                return f"{celsius:+.6E}"
            case _ if head.startswith("READ") and tail == "POW?" and channel.isdigit():
                return f"{power_dbm.get(int(channel), 9.91e37):+.6E}"
            case _:
                error[:] = ['-113,"Undefined header"']
                return None

    def program(line: SerialLine) -> None:
        error: list[str] = []
        heard = b""
        while (byte := line.key()) is not None:
            if byte != 0x0A:
                heard += bytes((byte,))
                continue
            said = answer(heard.decode("ascii", "replace").strip(), error)
            heard = b""
            if said is not None:
                line.emit(said.encode() + b"\r\n")

    return program
