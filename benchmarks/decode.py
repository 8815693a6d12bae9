"""Decode of one refresh of an 8-lane CMIS module, beside a plain struct decode of the same bytes.

`python -m benchmarks.decode` prints a table; medians, CPU microseconds. The plain decode unpacks the same words and
bits and divides, without names, lanes, absence or errors: it is the least that any decoder has to do.
"""

import random
import statistics
import struct
import time
import timeit
from collections.abc import Callable
from typing import NamedTuple

from agent import maps
from agent.memory import Memory, Span

ROUNDS = 200
REPEATS = 15


def module() -> Memory:
    """An 8-lane module with every monitor and flag, and two groups of VDM with 26 observables."""
    draw = random.Random(1)
    memory = Memory()
    lower = bytearray(128)
    lower[0:4] = bytes((0x18, 0x52, 0x00, 0x06))
    lower[85:91] = bytes.fromhex("02111E8801FF")
    memory.put(Span(0, 128), bytes(lower))
    advertising = bytearray(128)
    advertising[14:15], advertising[29:33], advertising[48:49] = b"\x40", b"\x0f\x06\x3f\x07", b"\x01"
    memory.put(Span(128, 128, 0x00), bytes(128))
    memory.put(Span(128, 128, 0x01), bytes(advertising))
    memory.put(Span(128, 128, 0x02), draw.randbytes(128))
    first = bytes(byte for lane in range(8) for byte in (lane, 5)) + bytes(
        b for lane in range(8) for b in (lane, 7)
    )
    second = bytes(byte for code in range(9, 19) for byte in (15, code))
    memory.put(Span(128, 3, 0x2F), b"\x01\0\0")
    memory.put(Span(128, 128, 0x20), first.ljust(128, b"\0"))
    memory.put(Span(128, 128, 0x21), second.ljust(128, b"\0"))
    memory.put(Span(128, 128, 0x28), draw.randbytes(128))
    memory.put(Span(128, 128, 0x29), draw.randbytes(128))
    return memory


_MONITORS = struct.Struct(">hH4h")
_LANES = struct.Struct(">24H")


def plain(lower: bytes, page: bytes) -> tuple[list[float], list[float], list[bool]]:
    """Bytes 3-31 and bytes 134-209 of page 11h: the same words, without any of what makes them a reading."""
    words, lanes = _MONITORS.unpack_from(lower, 11), _LANES.unpack_from(page, 20)
    flags = [bool(byte >> bit & 1) for byte in page[:19] for bit in range(8)]
    flags += [bool(byte >> bit & 1) for byte in lower[5:9] for bit in range(8)]
    return [word / 256 for word in words], [word / 10_000_000 for word in lanes], flags


def median(work: Callable[[], object]) -> float:
    """CPU microseconds of one call."""
    spent = timeit.repeat(work, number=ROUNDS, repeat=REPEATS, timer=time.process_time)
    return statistics.median(spent) / ROUNDS * 1e6


class Times(NamedTuple):
    """CPU microseconds."""

    spans: str
    plain_us: float
    steady_us: float
    changing_us: float
    slow_us: float
    describe_us: float


def times() -> Times:
    """All of them."""
    draw = random.Random(2)
    description = maps.identify(module()).describe(module())
    fast, slow = description.plan(), description.plan(slow=True)
    one = [draw.randbytes(span.length) for span in fast.spans]
    turns = [[draw.randbytes(span.length) for span in fast.spans] for _ in range(ROUNDS)]
    vdm = [draw.randbytes(span.length) for span in slow.spans]
    changing = iter(turns * (REPEATS + 1))
    return Times(
        ", ".join(map(str, fast.spans)),
        median(lambda: plain(one[0], one[1])),
        median(lambda: fast.decode(one)),
        median(lambda: fast.decode(next(changing))),
        median(lambda: slow.decode(vdm)),
        median(lambda: maps.MAPS["cmis"].describe(module())),
    )


def main() -> None:
    """Print the table."""
    found = times()
    rows = [
        ("plain struct decode, values and flags", found.plain_us),
        ("values and flags, the flags as before", found.steady_us),
        ("values and flags, all flags changing", found.changing_us),
        ("slow plan: VDM of two groups, lane states", found.slow_us),
        ("thresholds and identity, once an insertion", found.describe_us),
    ]
    print(f"reads of a refresh: {found.spans}\n")
    print("| decode | us |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value:.1f} |")


if __name__ == "__main__":
    main()
