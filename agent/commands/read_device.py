"""`opticd read snmp:HOST` and `opticd read sonic:`: a whole switch, asked once."""

import argparse
import json
import sys

from agent.documents import tables
from agent.documents.device import DeviceRead
from agent.errors import ConfigError
from agent.progress import Progress
from agent.sources import SourceName

KINDS = ("snmp", "sonic")


def run(source: SourceName, arguments: argparse.Namespace) -> int:
    """Read and print all ports; 1 when something was cut short, what came is printed all the same."""
    if arguments.dump is not None:
        raise ConfigError(f"{source}: a switch gives values, there is no memory to save with --dump")
    with Progress(f"asking {source}"):
        read = _read(source)
    if arguments.format == "json":
        print(json.dumps(read.document(), ensure_ascii=False, allow_nan=False))
    else:
        for reading in read.readings:
            print(tables.render(reading, colour=sys.stdout.isatty()))
        if not read.readings:
            print(f"{read.device}: no port with an optic")
    for trouble in read.troubles:
        print(f"opticd: error: {source}: {trouble.detail}", file=sys.stderr)
    return 1 if read.troubles else 0


def _read(source: SourceName) -> DeviceRead:
    if source.kind == "sonic":
        from drivers.sonic import driver as sonic

        return sonic.read(source)
    from drivers.snmp import oneshot

    return oneshot.read(source)
