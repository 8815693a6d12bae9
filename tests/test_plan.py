"""The plan compiler against the plain decoder: `Field.decode` on the bytes of each field alone."""

from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import quantities as q
from agent.maps.api import Values, overlay
from agent.maps.plan import Draft, compile_plan
from agent.maps.registers import LANE_BITS, LANE_NIBBLES, Field, Item, Kind, place
from agent.memory import I2C_DIAGNOSTICS, Memory, Span
from agent.model import LaneFlags, VdmSample
from agent.quantities import Flag, Quantity

MICRO = Fraction(1, 1_000_000)
STATE = Field("module_state", offset=3, bits=(1,), width=3)
HOT = Field(q.ALARM_FLAGS["temperature", "high_alarm"], offset=9, bits=(0,), latched=True)
COLD = Field(q.ALARM_FLAGS["temperature", "low_alarm"], offset=9, bits=(1,), latched=True)
TEMPERATURE = Field(q.TEMPERATURE, offset=14, kind=Kind.S16, lsb=Fraction(1, 256))
VOLTAGE = Field(q.SUPPLY_VOLTAGE, offset=16, kind=Kind.U16, lsb=Fraction(1, 10_000))
PATHS = Field("data_path_states", page=0x11, offset=128, bits=LANE_NIBBLES, width=4, lanes=8, banked=True)
LOS = Field(q.RX_LOS, page=0x11, offset=147, bits=LANE_BITS, lanes=8, banked=True, latched=True)
BIAS = Field(q.TX_BIAS, page=0x11, offset=170, kind=Kind.U16, lsb=2 * MICRO, lanes=8, banked=True)
POWER = Field(q.RX_POWER, page=0x11, offset=186, kind=Kind.U16, lsb=MICRO / 10, lanes=8, banked=True)
BER = Field(q.MEDIA_SNR, page=0x14, offset=192, kind=Kind.F16, lanes=8, banked=True)
APPS = Field("lane_applications", page=0x11, offset=206, bits=tuple(range(4, 68, 8)), width=4, lanes=8, banked=True)
DISABLED = Field("tx_disabled", page=0x10, offset=130, bits=LANE_BITS, lanes=8, banked=True)
NOT_READY = Field("data_not_ready", offset=2, bits=(0,))
SPLIT = Field(q.TX_FAULT, offset=10, bits=(7, 3, 15, 11), lanes=4, latched=True)
FIELDS = (STATE, HOT, COLD, TEMPERATURE, VOLTAGE, PATHS, LOS, BIAS, POWER, BER, APPS, DISABLED, NOT_READY, SPLIT)


KEYS = {"data_path_states": "datapath_state", "lane_applications": "application", "tx_disabled": "tx_disabled"}


def plain(items: Sequence[Item], memory: Memory) -> Values:
    """What the items mean, one field after the other and nothing precomputed."""
    values: dict[Quantity, float] = {}
    lanes: dict[Quantity, dict[int, float]] = {}
    flags: dict[Flag, bool] = {}
    lane_flags: dict[Flag, tuple[int, int]] = {}
    unread: list[str] = []
    named: dict[str, dict[int, int]] = {}
    for item in items:
        subject = item.field.subject
        if item.span not in memory:
            unread += [KEYS.get(item.field.name, "")] if isinstance(subject, str) else []
            unread += [subject.key] if isinstance(subject, Quantity) else []
            continue
        whole = memory.get(item.field.span(item.bank))
        data = item.field.decode(whole or b"\0" * item.field.size)
        pairs = {
            lane: value for lane, value in zip(item.lanes or (0,), data, strict=True) if lane or not item.lanes
        }
        if isinstance(subject, Flag) and item.lanes:
            offered, active = lane_flags.get(subject, (0, 0))
            offered += sum(1 << lane - 1 for lane in pairs)
            active += sum(int(value) << lane - 1 for lane, value in pairs.items())
            lane_flags[subject] = offered, active
        elif isinstance(subject, Flag):
            flags[subject] = bool(pairs[0])
        elif isinstance(subject, str):
            named.setdefault(subject, {}).update({lane: int(value) for lane, value in pairs.items()})
        elif item.lanes:
            lanes.setdefault(subject, {}).update(pairs)
        else:
            values[subject] = pairs[0]
    states = {1: "ModuleLowPwr", 2: "ModulePwrUp", 3: "ModuleReady", 4: "ModulePwrDn", 5: "ModuleFault"}
    return Values(
        module_state=states.get(named.get("module_state", {}).get(0, 0), ""),
        values=values,
        lanes=lanes,
        flags=flags,
        lane_flags={flag: LaneFlags(*masks) for flag, masks in lane_flags.items()},
        data_path_states={n: code for n, code in named.get("data_path_states", {}).items() if 1 <= code <= 7},
        lane_applications={n: code for n, code in named.get("lane_applications", {}).items() if code},
        tx_disabled={lane: bool(code) for lane, code in named.get("tx_disabled", {}).items()},
        unread=tuple(dict.fromkeys(filter(None, unread))),
        data_ready=not named.get("data_not_ready", {}).get(0, 0),
    )


def every_item(banks: int, lanes: set[int]) -> list[Item]:
    return [place(f, bank=bank, lanes=lanes) for f in FIELDS for bank in (range(banks) if f.banked else (0,))]


@settings(deadline=None)
@given(st.data(), st.integers(1, 3), st.sets(st.integers(1, 24), min_size=1))
def test_agrees_with_the_plain_decoder(data: st.DataObject, banks: int, lanes: set[int]) -> None:
    items = [item for item in every_item(banks, lanes) if any(item.lanes) or not item.field.lanes]
    memory = Memory()
    memory.put(Span(0, 128), data.draw(st.binary(min_size=128, max_size=128)))
    for bank in range(banks):
        for page in (0x10, 0x11, 0x14):
            memory.put(Span(128, 128, page, bank), data.draw(st.binary(min_size=128, max_size=128)))
    plan = compile_plan(items)
    want = plain(items, memory)
    assert plan.decode([memory.get(span) for span in plan.spans]) == want
    assert plan.decode([memory.get(span) for span in plan.spans]) == want  # and again, from what it kept
    assert plan.decode_memory(memory) == want


@settings(deadline=None)
@given(st.sets(st.integers(0, 5)), st.integers(3, 255))
def test_a_hole_leaves_the_rest(missing: set[int], short: int) -> None:
    items = every_item(1, set(range(1, 9)))
    memory = Memory()
    pages = [Span(0, 128), *(Span(128, 128, page) for page in (0x10, 0x11, 0x14))]
    for index, span in enumerate(pages):
        if index not in missing:
            memory.put(span, bytes(range(span.length))[: max(short - span.offset, 0)])
    want = plain(items, memory)
    got = compile_plan(items).decode_memory(memory)
    assert set(got.unread) == set(want.unread)
    assert got == Values(
        **{name: getattr(want, name) for name in Values._fields if name != "unread"}, unread=got.unread
    )


def test_a_failed_read_names_what_it_held_and_keeps_the_other_bank() -> None:
    plan = compile_plan([place(POWER, bank=bank) for bank in range(2)] + [place(LOS, bank=1)])
    assert plan.spans == (Span(147, 55, 0x11, 1), Span(186, 16, 0x11, 0))  # bank 0 last
    values = plan.decode([None, bytes.fromhex("2710") * 8])
    assert values.lanes == {q.RX_POWER: dict.fromkeys(range(1, 9), 0.001)}
    assert values.unread == ("rx_power_watts",)
    assert values.lane_flags == {}
    assert plan.decode([b"short", None]).lanes == {}


def test_lower_memory_and_one_page_are_two_reads() -> None:
    plan = compile_plan(
        [place(field) for field in (STATE, HOT, TEMPERATURE, LOS, BIAS, POWER)],
        windows=[Span(3, 29), Span(134, 76, 0x11)],
    )
    assert plan.spans == (Span(3, 29), Span(134, 76, 0x11))


def test_clear_on_read_bytes_are_never_read_in_passing() -> None:
    latched = [Span(8, 6), Span(134, 20, 0x11)]
    plan = compile_plan([place(STATE), place(TEMPERATURE), place(PATHS), place(BIAS)], avoid=latched)
    assert plan.spans == (Span(3, 1), Span(14, 2), Span(128, 4, 0x11), Span(170, 16, 0x11))


def test_a_wide_hole_is_not_read() -> None:
    items = [place(STATE), place(Field("fault", offset=41))]
    assert len(compile_plan(items).spans) == 1
    assert len(compile_plan(items, gap=37).spans) == 1
    assert len(compile_plan(items, gap=36).spans) == 2


def test_two_addresses() -> None:
    diagnostics = Field(q.TEMPERATURE, offset=96, kind=Kind.S16, lsb=Fraction(1, 256), i2c=I2C_DIAGNOSTICS)
    doubled = place(diagnostics, convert=lambda raw: raw * 2 / 256)
    plan = compile_plan([doubled, place(STATE)])
    assert plan.spans == (Span(3, 1), Span(96, 2, i2c=I2C_DIAGNOSTICS))
    assert plan.decode([b"\x06", b"\x19\0"]).values == {q.TEMPERATURE: 50.0}


class Twice:
    """A part that wants bytes of the same page as a field."""

    spans = (Span(200, 2, 0x11), Span(129, 1, 0x24))

    def decode(self, blocks: Sequence[bytes | None], draft: Draft) -> None:
        for block in blocks:
            if block is None:
                draft.unread.append("vdm")
            else:
                draft.vdm.append([VdmSample("twice", 1, 1, block[0] * 2, "")])


def test_parts_get_their_own_bytes() -> None:
    plan = compile_plan([place(POWER)], parts=[Twice()])
    assert plan.spans == (Span(186, 16, 0x11), Span(129, 1, 0x24))
    values = plan.decode([bytes(range(16)), None])
    assert values.vdm == (VdmSample("twice", 1, 1, 28, ""),)
    assert values.unread == ("vdm",)


def test_what_no_read_covers_and_what_is_no_word_are_mistakes_of_the_map() -> None:
    with pytest.raises(TypeError, match="whole words"):
        compile_plan([place(Field(q.TEMPERATURE, offset=3, bits=(0,)))])
    with pytest.raises(ValueError, match="0 blocks for 1 spans"):
        compile_plan([place(STATE)]).decode([])


def test_always_unread_and_the_state_of_a_flat_module() -> None:
    values = compile_plan([], unread=("tx_bias_amperes",), module_state="ModuleReady").decode([])
    assert (values.unread, values.module_state) == (("tx_bias_amperes",), "ModuleReady")


def test_the_refresh_lies_over_the_slow_values() -> None:
    fast = Values(module_state="ModuleReady", values={q.TEMPERATURE: 40.0}, unread=("a",))
    slow = Values(data_path_states={1: 4}, values={q.TEMPERATURE: 39.0, q.AUX1: 1.0}, unread=("a", "b"))
    both = overlay(fast, slow)
    assert both.values == {q.TEMPERATURE: 40.0, q.AUX1: 1.0}
    assert (both.module_state, both.data_path_states, both.unread) == ("ModuleReady", {1: 4}, ("a", "b"))
