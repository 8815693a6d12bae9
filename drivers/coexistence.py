"""Other daemons that read, and page, the same modules: found in the process list, or among systemd's units."""

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
UNITS: Final = Path("/run/systemd/units")
"""systemd keeps a link `invocation:NAME` here for each unit that is not inactive; anybody may list it."""

INSTEAD: Final[Mapping[str, str]] = {
    "xcvrd": "SONiC's xcvrd pages these modules: read what it knows with the source sonic:, or the kernel's files "
    "with sysfs:PATH",
    "qsfp_service": "FBOSS' qsfp_service pages these modules: stop it, or read the host's side with ethtool:NETDEV",
}
"""Daemons that own modules, and what to use beside them."""

_UNIT: Final[Mapping[str, str]] = {"xcvrd": "pmon.service", "qsfp_service": "qsfp_service.service"}
"""The unit that each of them runs in. SONiC's xcvrd is in the container of the unit pmon."""


def module_owner(proc: Path = PROC, units: Path = UNITS) -> str:
    """Name of the first daemon of `INSTEAD` that runs on this host (containers included), "" for none.

    The unit of opticd hides the processes of others (ProtectProc=invisible); there the units tell. They know less:
    a pmon whose xcvrd is turned off counts as an owner.
    """
    if os.access(proc / "1" / "cmdline", os.R_OK):
        return _among_processes(proc)
    return next((name for name, unit in _UNIT.items() if (units / f"invocation:{unit}").is_symlink()), "")


def remembered(
    owner: Callable[[], str], *, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic
) -> Callable[[], str]:
    """`owner`, asked anew when its answer is so old: it looks at all processes, and many cages open at once."""
    told: tuple[float, str] | None = None

    def ask() -> str:
        nonlocal told
        if told is None or clock() - told[0] > seconds:
            told = clock(), owner()
        return told[1]

    return ask


def _among_processes(proc: Path) -> str:
    for folder in sorted(proc.glob("[0-9]*"), key=lambda folder: int(folder.name)):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is not ours to see
            words = (folder / "cmdline").read_bytes().split(b"\0")
            # A program, or a script behind its interpreter: `python3 /usr/local/bin/xcvrd`.
            for word in words[:2]:
                name = word.rsplit(b"/", 1)[-1].decode("utf-8", "replace")
                if name in INSTEAD:
                    return name
    return ""
