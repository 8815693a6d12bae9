"""Images of SFF modules for tests: the synthetic modules of the fact sheets, with bytes exchanged."""

import json
from collections.abc import Mapping
from typing import Any, Final

from agent.documents.reading import decode_memory, to_document
from agent.maps import identify
from agent.memory import I2C_DIAGNOSTICS, Memory, Span
from agent.model import Reading

# spec/sff-worked-examples.md, section G, with the bytes behind the 96 that are printed there filled up with 00h.
SFP_A0: Final = bytes.fromhex(
    "03 04 07 20 00 00 00 00 00 00 00 06 67 00 0A 64"
    "00 00 00 00 41 43 4D 45 20 4F 50 54 49 43 53 20"
    "20 20 20 20 00 00 11 22 41 4F 2D 31 30 47 4C 52"
    "2D 33 31 20 20 20 20 20 30 31 20 20 05 1E 00 DC"
    "00 1A 00 00 41 4F 31 32 33 34 35 36 37 38 39 30"
    "20 20 20 20 32 34 30 32 32 39 20 20 68 F0 08 0A"
).ljust(256, b"\0")
SFP_A2: Final = bytes.fromhex(
    "4B 00 FB 00 46 00 00 00 8C A0 75 30 88 B8 79 18"
    "9C 40 01 F4 88 B8 03 E8 3D E9 04 EB 31 2D 06 30"
    "4D F1 00 64 3D E9 00 9E 00 00 00 00 00 00 00 00"
    "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
    "00 00 00 00 3F 80 00 00 00 00 00 00 01 00 00 00"
    "01 00 00 00 01 00 00 00 01 00 00 00 00 00 00 FC"
).ljust(256, b"\0")
QSFP_00: Final = bytes.fromhex(
    "11 CC 07 80 00 00 00 00 00 00 00 05 FF 00 02 00"
    "00 00 00 40 41 43 4D 45 20 4F 50 54 49 43 53 20"
    "20 20 20 20 00 00 11 22 41 4F 2D 31 30 30 47 2D"
    "43 57 44 4D 34 20 20 20 31 41 65 A4 05 14 46 E0"
    "06 07 FF 1A 41 4F 39 38 37 36 35 34 33 32 31 30"
    "20 20 20 20 32 34 30 33 30 31 20 20 0C 00 67 20"
).ljust(128, b"\0")
QSFP_LOWER: Final = bytes.fromhex("11 07 02").ljust(128, b"\0")
# Thresholds of no sheet: 75/70/0/-5 degC, 3.6/3.5/3.1/3 V, then 2/1/0.02/0.01 mW, 80/70/2/1 mA, 2/1/0.02/0.01 mW.
QSFP_03: Final = (
    bytes.fromhex("4B00 FB00 4600 0000").ljust(16, b"\0")
    + bytes.fromhex("8CA0 7530 88B8 7918").ljust(32, b"\0")
    + bytes.fromhex("4E20 0064 2710 00C8")
    + bytes.fromhex("9C40 01F4 88B8 03E8")
    + bytes.fromhex("4E20 0064 2710 00C8")
).ljust(128, b"\0")

Patch = Mapping[int, str]
"""Offset to hex."""


def patched(page: bytes, patch: Patch, *, base: int = 0) -> bytes:
    """The page with some bytes exchanged."""
    image = bytearray(page)
    for offset, text in patch.items():
        data = bytes.fromhex(text)
        image[offset - base : offset - base + len(data)] = data
    return bytes(image)


def sfp(
    a0: Patch | None = None, a2: Patch | None = None, *, page_02: bytes = b"", diagnostics: bool = True
) -> Memory:
    """The SFP of the sheet."""
    memory = Memory()
    memory.put(Span(0, 256), patched(SFP_A0, a0 or {}))
    if diagnostics:
        memory.put(Span(0, 256, i2c=I2C_DIAGNOSTICS), patched(SFP_A2, a2 or {}))
    if page_02:
        memory.put(Span(128, len(page_02), 0x02, i2c=I2C_DIAGNOSTICS), page_02)
    return memory


def qsfp(
    lower: Patch | None = None,
    page_00: Patch | None = None,
    *,
    page_03: bytes = QSFP_03,
    more: Mapping[int, bytes] | None = None,
) -> Memory:
    """The QSFP28 of the sheet; `more` are further pages."""
    memory = Memory()
    memory.put(Span(0, 128), patched(QSFP_LOWER, lower or {}))
    pages = {0x00: patched(QSFP_00, page_00 or {}, base=128), 0x03: page_03, **(more or {})}
    for page, data in pages.items():
        memory.put(Span(128, len(data), page), data)
    return memory


def read(memory: Memory, *, family: str = "") -> Reading:
    """The reading of an image."""
    return decode_memory(
        memory, identify(memory, family=family), device="here", port="p1", source="file:test", time=1_700_000_000.0
    )


def decode(memory: Memory, *, family: str = "") -> dict[str, Any]:
    """The same as JSON."""
    document: dict[str, Any] = json.loads(json.dumps(to_document(read(memory, family=family)), allow_nan=False))
    return document


def lane(document: Mapping[str, Any], number: int = 1) -> dict[str, Any]:
    """One lane of a document."""
    found: list[dict[str, Any]] = [each for each in document["lanes"] if each["lane"] == number]
    assert len(found) == 1, document["lanes"]
    return found[0]
