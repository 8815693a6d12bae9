"""A memory map of a few CMIS registers, for tests of what reads maps rather than of maps. Offsets: CMIS 5.2."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent import quantities as q
from agent.errors import DecodeError
from agent.maps.api import Values
from agent.memory import Memory, Span
from agent.model import MODULE_STATES, Bounds, LaneFlags, Module, Trouble, VdmSample
from agent.quantities import Quantity

LOWER = Span(3, 29)
FLAGLESS = Span(14, 4)
LANES = Span(134, 76, page=0x11)
SLOW = Span(128, 4, page=0x24)
STATIC = (Span(0, 3), Span(128, 95), Span(128, 128, page=0x02))
SERIAL = Span(166, 16)


def image(
    serial: str = "SN0001",
    *,
    temperature: float = 40.0,
    rx_power_watts: float = 0.0005,
    state: int = 3,
    vdm: int = 1,
) -> Memory:
    """A module of eight lanes, with page 24h for slow values."""
    lower = bytearray(128)
    lower[0:4] = bytes((0x18, 0x50, 0x00, state << 1))
    lower[14:18] = round(temperature * 256).to_bytes(2, "big", signed=True) + (33000).to_bytes(2, "big")
    page00 = bytearray(b" " * 128)
    page00[0] = 0x18
    page00[1:17] = b"ACME".ljust(16)
    page00[20:36] = b"TINY-400".ljust(16)
    page00[38:54] = serial.encode().ljust(16)
    page00[94] = sum(page00[:94]) % 256
    page11 = bytearray(128)
    for lane in range(8):
        for at, raw in ((154, 10000), (170, 20000), (186, round(rx_power_watts * 1e7))):
            page11[at - 128 + 2 * lane : at - 126 + 2 * lane] = raw.to_bytes(2, "big")
    memory = Memory()
    memory.put(Span(0, 128), bytes(lower))
    memory.put(Span(128, 128), bytes(page00))
    memory.put(Span(128, 128, page=0x02), bytes.fromhex("4b00") + bytes(126))
    memory.put(Span(128, 128, page=0x11), bytes(page11))
    memory.put(Span(128, 128, page=0x24), vdm.to_bytes(2, "big") + bytes(126))
    return memory


def identify(memory: Memory) -> "TinyMap":
    """The map for identifier 18h alone."""
    if memory.byte(0) != 0x18:
        raise DecodeError(f"unsupported memory map 0x{memory.byte(0) or 0:02x}")
    return TinyMap()


class TinyMap:
    name = "cmis"

    def missing(self, memory: Memory) -> tuple[Span, ...]:
        return tuple(span for span in STATIC if span not in memory)

    def describe(self, memory: Memory) -> "TinyDescription":
        def text(offset: int, length: int) -> str:
            return (memory.get(Span(offset, length)) or b"").decode("ascii", "replace").strip()

        module = Module(memory_map="cmis")
        if vendor := text(129, 16):
            module["vendor_name"] = vendor
        if part := text(148, 16):
            module["part_number"] = part
        if serial := text(166, 16):
            module["serial_number"] = serial
        page = memory.get(Span(128, 95))
        wrong = page is not None and sum(page[:94]) % 256 != page[94]
        high = memory.get(Span(128, 2, page=0x02))
        thresholds: dict[Quantity, Bounds] = {}
        if high is not None:
            thresholds[q.TEMPERATURE] = Bounds(high_alarm=int.from_bytes(high, "big") / 256)
        return TinyDescription(module, thresholds, (Trouble("checksum", "page 00h"),) if wrong else ())


@dataclass(frozen=True)
class TinyDescription:
    module: Module
    thresholds: Mapping[Quantity, Bounds]
    errors: tuple[Trouble, ...]
    flat: bool = False
    banks: int = 1
    identity_span: Span = SERIAL

    def plan(self, *, flags: bool = True, slow: bool = False) -> "TinyPlan":
        if slow:
            return TinyPlan((SLOW,))
        return TinyPlan((LOWER, LANES) if flags else (FLAGLESS, LANES))


@dataclass(frozen=True)
class TinyPlan:
    spans: tuple[Span, ...]

    def decode(self, blocks: Sequence[bytes | None]) -> Values:
        if self.spans == (SLOW,):
            if (block := blocks[0]) is None:
                return Values(unread=("vdm",))
            return Values(vdm=(VdmSample("laser_age", 1, 1, int.from_bytes(block[:2], "big"), "ratio"),))
        lower, upper = blocks
        flags, state, values = dict[q.Flag, bool](), "", dict[Quantity, float]()
        ready = True
        unread: list[str] = []
        if lower is None:
            unread += [q.TEMPERATURE.key, q.SUPPLY_VOLTAGE.key]
        else:
            if len(lower) == LOWER.length:
                state = MODULE_STATES.get(lower[0] >> 1 & 7, "")
                ready = state == "ModuleReady"
                flags[q.MODULE_STATE_CHANGED] = bool(lower[5] & 1)
                lower = lower[11:]
            values[q.TEMPERATURE] = int.from_bytes(lower[0:2], "big", signed=True) / 256
            values[q.SUPPLY_VOLTAGE] = int.from_bytes(lower[2:4], "big") / 10_000
        lanes: dict[Quantity, dict[int, float]] = {}
        lane_flags: dict[q.Flag, LaneFlags] = {}
        if upper is None:
            unread.append(q.RX_POWER.key)
        else:
            words = [int.from_bytes(upper[52 + 2 * n : 54 + 2 * n], "big") / 10_000_000 for n in range(8)]
            lanes[q.RX_POWER] = dict(enumerate(words, 1))
            lane_flags[q.RX_LOS] = LaneFlags(0xFF, upper[13])
            lane_flags[q.DATA_PATH_STATE_CHANGED] = LaneFlags(0xFF, upper[0])
        return Values(
            module_state=state,
            values=values,
            lanes=lanes,
            flags=flags,
            lane_flags=lane_flags,
            unread=tuple(unread),
            data_ready=ready,
        )

    def decode_memory(self, memory: Memory) -> Values:
        return self.decode([memory.get(span) for span in self.spans])
