"""`opticd read SOURCE`: one reading from real hardware."""

import argparse
import json
import socket

from agent import maps
from agent.commands import read_device
from agent.commands.decode import show
from agent.documents import images
from agent.errors import OpticError
from agent.polling import oneshot
from agent.progress import Progress
from agent.sources import parse_source
from drivers.registry import Registry


def run(arguments: argparse.Namespace) -> int:
    """Read, save the image if wanted, print."""
    name = parse_source(arguments.source)
    if name.kind in read_device.KINDS:
        return read_device.run(name, arguments)
    cage = Registry().open(arguments.source)
    recorder = oneshot.Recorder(cage.memory)
    try:
        with Progress(f"reading {cage.source}"):
            reading = oneshot.read_once(
                recorder,
                identify=maps.identify,
                device=socket.gethostname(),
                port=cage.port,
                source=cage.source,
                # Another daemon that owns the module would miss the flags that this read clears.
                flags=not cage.owner,
            )
        if arguments.dump is not None:
            document = images.to_document(recorder.complete(), family=reading.module.get("memory_map", ""))
            try:
                arguments.dump.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
            except OSError as exc:
                raise OpticError(f"{arguments.dump}: {exc.strerror}") from exc
    finally:
        recorder.close()
    show(reading, arguments.format)
    return 0
