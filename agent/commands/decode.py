"""`opticd decode FILE…`: decode saved module memory."""

import argparse
import json
import socket
import sys
import time
from pathlib import Path
from typing import Final

from agent import maps
from agent.documents import images, tables
from agent.documents import reading as document
from agent.errors import DecodeError, OpticError
from agent.model import Reading

_WANTED: Final = (
    "wanted: JSON of `opticd read --dump`, `ethtool -m DEV raw on` or `hex on`, a SONiC or other hex dump"
)


def run(arguments: argparse.Namespace) -> int:
    """Print every module of every file; a file that cannot be decoded does not keep the others from it."""
    failed = False
    for name in arguments.file:
        try:
            readings = _decode(name)
        except OpticError as exc:
            print(f"opticd: error: {name}: {exc}", file=sys.stderr)
            print(f"opticd: hint: {exc.hint or _WANTED}", file=sys.stderr)
            failed = True
            continue
        for reading in readings:
            show(reading, arguments.format)
    return 1 if failed else 0


def show(reading: Reading, style: str) -> None:
    """Print a reading as one line of JSON or as a table (coloured on a terminal)."""
    if style == "json":
        print(json.dumps(document.to_document(reading), ensure_ascii=False, allow_nan=False))
        return
    print(tables.render(reading, colour=sys.stdout.isatty()))


def _decode(name: str) -> list[Reading]:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as exc:
        hint = "a file is expected, or - for standard input; a module is read by `opticd read`"
        raise DecodeError(exc.strerror or str(exc), hint=hint) from exc
    stem = "stdin" if name == "-" else Path(name).stem
    return [
        document.decode_memory(
            image.memory,
            maps.identify(image.memory, family=image.family),
            device=socket.gethostname(),
            port=image.port or stem,
            source=f"file:{name}",
            time=time.time(),
        )
        for image in images.load(data)
    ]
