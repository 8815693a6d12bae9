"""Other daemons that read, and page, the same modules: found in the process list."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")

INSTEAD: Final[Mapping[str, str]] = {
    "xcvrd": "SONiC's xcvrd pages these modules: read what it knows with the source sonic:, or the kernel's files "
    "with sysfs:PATH",
    "qsfp_service": "FBOSS' qsfp_service pages these modules: stop it, or read the host's side with ethtool:NETDEV",
}
"""Daemons that own modules, and what to use beside them."""


def module_owner(proc: Path = PROC) -> str:
    """Name of the first daemon of `INSTEAD` that runs on this host (containers included), "" for none."""
    for folder in sorted(proc.glob("[0-9]*"), key=lambda folder: int(folder.name)):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is not ours to see
            words = (folder / "cmdline").read_bytes().split(b"\0")
            # A program, or a script behind its interpreter: `python3 /usr/local/bin/xcvrd`.
            for word in words[:2]:
                name = word.rsplit(b"/", 1)[-1].decode("utf-8", "replace")
                if name in INSTEAD:
                    return name
    return ""
