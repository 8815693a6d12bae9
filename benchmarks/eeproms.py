"""Modules as EEPROM files in a folder, for `type = "sysfs"`: nothing of them is in the process of the daemon.

    with served(folder, ports=512, buses=32):        # a process beside it moves their monitors each second
        ...                                          # the source: path = "FOLDER/i2c-*/*-0050/eeprom"

The bytes are those of `benchmarks.bus`, laid out as optoe does. What a measurement of the daemon's memory finds is
the daemon's. Not simulated: the wire (a read takes as long as one of a file in memory), clear-on-read.
"""

import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks import bus

PATTERN: Final = "i2c-*/*-0050/eeprom"
_LAST_PAGE: Final = 0x2F


def _bytes(image: bus.Image, number: int) -> bytes:
    """Lower memory, then 128 bytes a page; each module has a serial number of its own."""
    pages = (bus.numbered(image[0], number) if page == 0 else image.get(page) for page in range(_LAST_PAGE + 1))
    return image[-1] + b"".join(page or bytes(128) for page in pages)


def fill(folder: Path, *, ports: int, buses: int) -> list[Path]:
    """Make the files, with the names of their ports beside them."""
    image = bus.images()[0]
    files: list[Path] = []
    for number in range(ports):
        device = folder / f"i2c-{number % buses}" / f"{number}-0050"
        device.mkdir(parents=True)
        (device / "port_name").write_text(f"Ethernet{8 * number}\n")
        (device / "eeprom").write_bytes(_bytes(image, number))
        files.append(device / "eeprom")
    return files


def move(files: list[Path], seconds: float) -> None:
    """Other values in all of them each second."""
    variants = bus.images()
    end, turn = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        turn += 1
        for number, file in enumerate(files):
            with file.open("r+b", buffering=0) as memory:
                memory.write(_bytes(variants[(turn + number) % len(variants)], number))
        time.sleep(max(0.0, 1.0 - time.time() % 1.0))


@contextmanager
def served(folder: Path, *, ports: int, buses: int, limit_s: float = 600.0) -> Generator[None]:
    """The files, moved by a process of their own until the block ends."""
    files = fill(folder, ports=ports, buses=buses)
    names = "\n".join(map(str, files)).encode()
    command = (sys.executable, "-m", "benchmarks.eeproms", str(limit_s))
    process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=Path(__file__).resolve().parent.parent)
    try:
        assert process.stdin is not None
        process.stdin.write(names)
        process.stdin.close()
        yield
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    move([Path(line) for line in sys.stdin.read().splitlines()], float(sys.argv[1]))
