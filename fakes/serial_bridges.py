"""Programs of three serial I2C bridges, from their documents; each drives fake devices behind it.

    line = SerialLine(path, i2c_driver([FakeModule.load("saved.json")]), baud=1_000_000)

Documents: I2CDriver User Guide and firmware main.fs; Bus Pirate "Bitbang" and "I2C (binary)"; SC18IM700 data sheet.

Not simulated: I2CDriver's capture, monitor, bitbang and CRC; the Bus Pirate's terminal beyond its prompt, its
sniffer, AUX and CS pins; GPIO, baud rate changes and power-down of the SC18IM700; arbitration; a data byte that the
device does not take is seen by the Bus Pirate and the SC18IM700 alone.
"""

from collections.abc import Callable, Sequence

from fakes.module import I2cDevice
from fakes.serial_pty import SerialLine

Program = Callable[[SerialLine], None]


class _Lines:
    """SDA and SCL: START, bytes, STOP, handed to the devices a message at a time."""

    def __init__(self, devices: Sequence[I2cDevice]) -> None:
        self._devices = devices
        self._address = 0
        self._out: bytearray | None = None
        self.taken = True
        """False when the last message written was not taken to its end."""

    def start(self, first: int) -> bool:
        """START or repeated START with the address byte; whether anybody acknowledges."""
        self.stop()
        self._address = first >> 1
        if first & 1:
            return any(device.read(self._address, 0) is not None for device in self._devices)
        self._out = bytearray()
        return any(device.write(self._address, b"") is not None for device in self._devices)

    def put(self, data: bytes) -> None:
        """Bytes to the device."""
        if self._out is not None:
            self._out += data

    def take(self, n: int) -> bytes:
        """Bytes of the device; FFh where nobody drives the line."""
        answers = (device.read(self._address, n) for device in self._devices)
        return next((data for data in answers if data is not None), b"\xff" * n)

    def stop(self) -> None:
        """STOP, or what a repeated START ends."""
        out, self._out = self._out, None
        if out:
            answers = [device.write(self._address, bytes(out)) for device in self._devices]
            self.taken = len(out) in answers


def i2c_driver(devices: Sequence[I2cDevice]) -> Program:
    """Excamera I2CDriver."""
    lines = _Lines(devices)

    def status(*, acknowledged: bool) -> bytes:
        return b"1" if acknowledged else b"0"  # 0011 0ATK

    def program(line: SerialLine) -> None:
        acknowledged = False
        while (command := line.key()) is not None:
            match command:
                case 0x65:  # e: echo
                    line.emit(line.keys(1))
                case 0x3F:  # ?: 80 bytes of status
                    text = "i2cdriver1 DO01JXYZ 000001234 4.971 000 23.8 I 1 1 100 24 ffff"
                    line.emit(b"[" + text.encode().ljust(78) + b"]")
                case 0x73:  # s: START and address
                    acknowledged = lines.start(line.keys(1)[0])
                    line.emit(status(acknowledged=acknowledged))
                case 0x70:  # p: STOP
                    lines.stop()
                case 0x78:  # x: reset of the bus; SDA and SCL
                    line.emit(b"\x03")
                case 0x61:  # a: read, all acknowledged
                    line.emit(lines.take(line.keys(1)[0]))
                case n if 0x80 <= n <= 0xBF:
                    line.emit(lines.take(n - 0x7F))
                case n if n >= 0xC0:
                    lines.put(line.keys(n - 0xBF))
                    line.emit(status(acknowledged=acknowledged))
                case _:  # @ and what it does not know
                    pass

    return program


def bus_pirate(devices: Sequence[I2cDevice]) -> Program:
    """Bus Pirate, firmware 5.10 and later: terminal, bitbang mode, I2C mode."""
    lines = _Lines(devices)

    def i2c(line: SerialLine) -> None:
        line.emit(b"I2C1")
        while (command := line.key()) is not None:
            match command:
                case 0x00:
                    return
                case 0x01:
                    line.emit(b"I2C1")
                case 0x03:
                    lines.stop()
                    line.emit(b"\x01")
                case 0x08:
                    line.emit(_write_then_read(lines, line))
                case n if 0x40 <= n <= 0x4F or 0x60 <= n <= 0x63:
                    line.emit(b"\x01")
                case _:
                    line.emit(b"\x00")

    def program(line: SerialLine) -> None:
        zeros = 0
        while (command := line.key()) is not None:
            if command == 0x00:
                zeros += 1
                if zeros < 20:
                    continue
                line.emit(b"BBIO1")
                _bitbang(line)
            elif command in b"\r#":
                line.emit(b"HiZ>")
            zeros = 0

    def _bitbang(line: SerialLine) -> None:
        while (command := line.key()) is not None:
            match command:
                case 0x00:
                    line.emit(b"BBIO1")
                case 0x02:
                    i2c(line)
                    line.emit(b"BBIO1")
                case 0x0F:
                    line.emit(b"\x01")
                    return
                case _:
                    line.emit(b"\x00")

    return program


def _write_then_read(lines: _Lines, line: SerialLine) -> bytes:
    counts = line.keys(4)
    to_write, to_read = int.from_bytes(counts[:2], "big"), int.from_bytes(counts[2:], "big")
    if to_write > 4096 or to_read > 4096:
        return b"\x00"
    out = line.keys(to_write)
    if not lines.start(out[0]):
        return b"\x00"  # without a STOP
    lines.put(out[1:])
    if out[0] & 1:
        return b"\x01" + lines.take(to_read)
    lines.stop()
    return b"\x01" if lines.taken or len(out) == 1 else b"\x00"


def sc18im700(devices: Sequence[I2cDevice]) -> Program:
    """NXP SC18IM700 at 9600 bit/s. A message that stays incomplete for 655 ms is dropped."""
    lines = _Lines(devices)
    registers = {0x00: 0xF0, 0x01: 0x02, 0x06: 0x26, 0x07: 0x13, 0x08: 0x13, 0x09: 0x66, 0x0A: 0xF0}

    def next_byte(line: SerialLine) -> int:
        byte = line.key(timeout_s=0.655)
        if byte is None:
            raise TimeoutError
        return byte

    def message(line: SerialLine, first: int) -> None:
        answer = b""
        if first == 0x52:  # R: registers up to P
            while (register := next_byte(line)) != 0x50:
                answer += bytes((registers.get(register, 0),))
            line.emit(answer)
            return
        while first == 0x53:  # S: address, number, data; another S is a repeated START
            address, n = next_byte(line), next_byte(line)
            if address & 1:
                first = next_byte(line)
                there = lines.start(address)
                registers[0x0A] = 0xF0 if there else 0xF1
                answer += lines.take(n) if there else b""
            else:
                data = bytes(next_byte(line) for _ in range(n))
                first = next_byte(line)
                there = lines.start(address)
                lines.put(data)
                lines.stop()
                registers[0x0A] = (0xF0 if lines.taken or not data else 0xF2) if there else 0xF1
        if answer:
            line.emit(answer)

    def program(line: SerialLine) -> None:
        line.emit(b"OK")
        while (first := line.key()) is not None:
            try:
                message(line, first)
            except TimeoutError:
                line.emit(b"OK")

    return program
