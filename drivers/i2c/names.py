"""An I2C adapter by what stays when its number changes: its name, or its place in the tree of devices.

    find = AdapterName("SMBus I801 adapter*", sys=Path("/sys"))
    find()      # "/dev/i2c-3", after a removal perhaps "/dev/i2c-7"

Numbers are dealt out in the order in which adapters appear: one that is removed and comes back, or another order of
drivers at the next boot, gives it another.

Documents: Linux Documentation/i2c/dev-interface.rst, Documentation/ABI/testing/sysfs-bus-i2c-devices-*.
"""

import contextlib
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from agent.errors import BusGone

PREFIX: Final = "adapter="
"""What an address begins with that is a name."""


class AdapterName:
    """Finds the adapter whose name, or whose place in /sys, matches `pattern` (`*` and `?` as in file names)."""

    def __init__(self, pattern: str, *, sys: Path) -> None:
        self._pattern = pattern
        self._sys = sys

    def __call__(self) -> str:
        """Its device node now. Raises BusGone when there is none, or more than one."""
        found = sorted(self._matching())
        if len(found) == 1:
            return f"/dev/{found[0]}"
        if not found:
            raise BusGone(
                f"no adapter is {self._pattern!r} now",
                hint="`i2cdetect -l` lists the names of those that are there",
            )
        raise BusGone(f"{', '.join(found)} are all {self._pattern!r}", hint="give more of the name, or its place")

    def _matching(self) -> list[str]:
        found: list[str] = []
        for device in (self._sys / "bus/i2c/devices").glob("i2c-*"):
            names = [str(device.resolve())]
            with contextlib.suppress(OSError, UnicodeDecodeError):  # it goes just now
                names.append((device / "name").read_text(encoding="utf-8").strip())
            matches = any(fnmatchcase(name, self._pattern) for name in names)
            if matches and re.fullmatch(r"i2c-\d+", device.name):
                found.append(device.name)
        return found
