"""Three serial I2C bridges, each by its published protocol: what to send, what comes back, how to find step again.

Documents: I2CDriver User Guide, section 7.4 "Raw protocol"; Bus Pirate "I2C (binary)" and "Bitbang", and for the
command write-then-read, 08h, its firmware (`binI2C` in I2C.c, 5.10 or later): counts of two bytes each, high byte
first, 4096 at most, one START, 00h without a STOP where a byte is not acknowledged, 01h and the bytes otherwise;
NXP SC18IM700 data sheet Rev. 2, sections 7.1 and 7.3: `R` and registers and `P`, status F0h, F1h (no device), F2h
(byte refused), F8h (timeout), baud rate registers 02F0h for 9600 bit/s, 0030h for 115200.

Each answer ends with something known in advance, asked for behind the transfer: a byte lost or gained on the way is
noticed at once (`Desync`) instead of being read as data.
"""

import itertools
import time
from collections.abc import Callable
from typing import Final, Protocol

from agent.errors import BusTimeout, DriverError, ModuleAbsent, ShortRead, Unsupported
from drivers.serial.wire import Wire

_QUIET_S: Final = 0.03
_NOISE_LIMIT: Final = 64
"""Bytes that may stand before an answer while step is being found."""


class Desync(DriverError):
    """Bridge and host are out of step: an answer that no command has."""

    reason = "desync"


class Bridge(Protocol):
    """One protocol. `attach` says whether such a bridge is there, and finds step again; all is bounded in time."""

    @property
    def name(self) -> str: ...
    def attach(self, wire: Wire) -> bool: ...
    def transfer(self, wire: Wire, address: int, out: bytes, n: int) -> bytes: ...


def _expect(wire: Wire, got: bytes, want: bytes) -> None:
    if got != want:
        raise Desync(f"{wire.name}: {got.hex(' ')} instead of {want.hex(' ')}")


def _until(wire: Wire, end: bytes, *, send: bytes = b"") -> bytes:
    """What comes up to a byte that is waited for, noise in front of it included; b"" when it does not come."""
    wire.write(send)
    for _ in range(_NOISE_LIMIT):
        got = wire.read(1, timeout_s=min(0.3, wire.timeout_s))
        if got in {b"", end}:
            return got
    return b""


class I2cDriver:
    """Excamera I2CDriver and I2CMini, 1 Mbit/s. `clock_khz` 100 or 400; 0 leaves it as it is."""

    name = "i2cdriver"

    def __init__(self, *, baud: int = 0, clock_khz: int = 0) -> None:
        self._baud = baud or 1_000_000
        self._clock_khz = clock_khz
        self._tokens = itertools.cycle(range(1, 256))

    def attach(self, wire: Wire) -> bool:
        """Leave whatever mode it is in, drop what it says, and try the echo."""
        wire.open(self._baud)
        wire.write(b"@")  # out of monitor, capture and bitbang mode
        time.sleep(0.05)
        wire.write(b"@" * 64)  # through a write that still waits for up to 64 bytes
        wire.drain(_QUIET_S)
        for token in (0x55, 0x00, 0xFF, 0xAA):
            wire.flush()
            wire.write(bytes((ord("e"), token)))
            if not _until(wire, bytes((token,))):
                return False
        status = _until(wire, b"[", send=b"?") and b"[" + wire.read(79)
        if status[:10] != b"[i2cdriver" or status[-1:] != b"]":
            return False
        words = status[1:-1].split()
        if len(words) > 8 and words[7:9] != [b"1", b"1"]:  # SDA, SCL: somebody holds a line, so clock it free
            wire.ask(b"x", 1)
        if self._clock_khz:
            wire.write(b"4" if self._clock_khz == 400 else b"1")
        return True

    def transfer(self, wire: Wire, address: int, out: bytes, n: int) -> bytes:
        """START, write, repeated START, read, STOP."""
        if out:
            end = b"" if n else self._end()
            command = bytes((ord("s"), address << 1, 0xC0 + len(out) - 1)) + out
            answer = wire.ask(command + end, 2 + len(end) // 3)
            self._acknowledged(wire, answer[0])
            self._acknowledged(wire, answer[1])
            _expect(wire, answer[2:], end[2:])
        if not n:
            return b""
        end = self._end()
        whole, rest = divmod(n - 1, 64)
        reads = b"a\x40" * whole + bytes((0x80 + rest,))  # "a" acknowledges its last byte, 80h-BFh does not
        answer = wire.ask(bytes((ord("s"), address << 1 | 1)) + reads + end, 1 + n + 1)
        _expect(wire, answer[-1:], end[2:])
        self._acknowledged(wire, answer[0])
        return answer[1:-1]

    def _end(self) -> bytes:
        """STOP, and an echo that tells where the answer ends: a new byte each time."""
        return bytes((ord("p"), ord("e"), next(self._tokens)))

    def _acknowledged(self, wire: Wire, status: int) -> None:
        """0011 0ATK: arbitration lost, timeout, acknowledge."""
        if status & 0xF8 != 0x30:
            raise Desync(f"{wire.name}: {status:02x} is no status")
        if status & 0x06:
            wire.write(b"p")
            raise BusTimeout(f"{wire.name}: {'arbitration lost' if status & 4 else 'a device holds the clock'}")
        if not status & 0x01:
            end = self._end()
            _expect(wire, wire.ask(end, 1), end[2:])
            raise ModuleAbsent(f"{wire.name}: no acknowledge")


class BusPirate:
    """Bus Pirate 3 and 4 in binary mode, 115200 bit/s. `power` and `pullups`: what the bridge gives the module."""

    name = "buspirate"

    def __init__(self, *, baud: int = 0, clock_khz: int = 0, power: bool = False, pullups: bool = False) -> None:
        self._baud = baud or 115_200
        self._clock_khz = clock_khz
        self._peripherals = power << 3 | pullups << 2

    def attach(self, wire: Wire) -> bool:
        """Up to 20 zeros reach bitbang mode from anywhere; out of a menu of the terminal it takes Enter first."""
        wire.open(self._baud)
        wire.drain(_QUIET_S)
        if not self._bitbang(wire):
            wire.write(b"\r" * 10 + b"#")
            wire.drain(0.1)
            if not self._bitbang(wire):
                return False
        wire.flush()
        wire.write(b"\x02")
        if wire.read(4) != b"I2C1":
            return False
        if self._clock_khz:
            _expect(wire, wire.ask(b"\x63" if self._clock_khz == 400 else b"\x62", 1), b"\x01")
        if self._peripherals:
            _expect(wire, wire.ask(bytes((0x40 | self._peripherals,)), 1), b"\x01")
        return True

    def transfer(self, wire: Wire, address: int, out: bytes, n: int) -> bytes:
        """Write-then-read sends one START and no repeated one: writing and reading are a command each."""
        if out:
            self._write_then_read(wire, bytes((address << 1,)) + out, 0)
        return self._write_then_read(wire, bytes((address << 1 | 1,)), n) if n else b""

    def _write_then_read(self, wire: Wire, out: bytes, n: int) -> bytes:
        command = b"\x08" + len(out).to_bytes(2, "big") + n.to_bytes(2, "big") + out
        done = wire.ask(command, 1)
        if done == b"\x00":
            # It stops where nobody acknowledged, without a STOP.
            _expect(wire, wire.ask(b"\x03\x01", 5), b"\x01I2C1")
            raise ModuleAbsent(f"{wire.name}: no acknowledge")
        _expect(wire, done, b"\x01")
        wire.write(b"\x01")
        answer = wire.read(n + 4)
        if len(answer) != n + 4:
            raise ShortRead(f"{wire.name}: {len(answer)} bytes of {n + 4} in {wire.timeout_s:g} s")
        _expect(wire, answer[n:], b"I2C1")
        return answer[:n]

    def _bitbang(self, wire: Wire) -> bool:
        heard = b""
        for zeros in (20, 1, 1, 1, 1, 1):  # it may have missed some while it was printing
            wire.write(bytes(zeros))
            heard += wire.read(5, timeout_s=0.1 if zeros > 1 else 0.03)
            if b"BBIO1" in heard:
                wire.drain(_QUIET_S)
                return True
        return False


class Sc18im700:
    """NXP SC18IM700, 9600 bit/s after a reset. Its registers stay as they are, the I2C clock among them."""

    name = "sc18im700"
    _STATUS: Final = b"R\x0a\x00\x01P"
    """I2CStat, and the two halves of the baud rate, which are known: the end of every answer."""

    def __init__(self, *, baud: int = 0, clock_khz: int = 0, sleep: Callable[[float], None] = time.sleep) -> None:
        if clock_khz:
            raise Unsupported("sc18im700: the I2C clock is set on the board, leave out `clock`")
        self._baud = baud or 9600
        self._sleep = sleep
        # Baud rate = 7.3728 MHz / (16 + BRG), data sheet 7.3.1.
        self._brg = (round(7_372_800 / self._baud) - 16).to_bytes(2, "little")

    def attach(self, wire: Wire) -> bool:
        """It drops a message that stays incomplete for 655 ms: wait that long, then ask for the status.

        While the port stays open no message of ours is incomplete, and there is nothing to wait for.
        """
        fresh = not wire.is_open
        wire.open(self._baud)
        if fresh:
            self._sleep(0.7)
        wire.drain(_QUIET_S)
        wire.write(self._STATUS)
        answer = wire.read(3, timeout_s=min(0.5, wire.timeout_s))
        return len(answer) == 3 and answer[0] in {0xF0, 0xF1, 0xF2, 0xF8} and answer[1:] == self._brg

    def transfer(self, wire: Wire, address: int, out: bytes, n: int) -> bytes:
        """A write with its status first: whether anybody is there is known before anything is read."""
        if out:
            message = bytes((ord("S"), address << 1, len(out))) + out + b"P"
            self._checked(wire, wire.ask(message + self._STATUS, 3))
        if not n:
            return b""
        if n > 255:
            raise Unsupported(f"{wire.name}: {n} bytes at once")
        answer = wire.ask(bytes((ord("S"), address << 1 | 1, n)) + b"P" + self._STATUS, n + 3)
        self._checked(wire, answer[n:])
        return answer[:n]

    def _checked(self, wire: Wire, end: bytes) -> None:
        _expect(wire, end[1:], self._brg)
        match end[0]:
            case 0xF0:
                return
            case 0xF1 | 0xF2:
                raise ModuleAbsent(f"{wire.name}: no acknowledge")
            case 0xF8:
                raise BusTimeout(f"{wire.name}: a device holds the clock")
            case _:
                raise Desync(f"{wire.name}: {end[0]:02x} is no status")
