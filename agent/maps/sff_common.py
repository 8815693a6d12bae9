"""What the maps of SFF-8472 and SFF-8636 share: identity fields, dates, and a description made of items."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final, cast

from agent.maps.api import Plan
from agent.maps.plan import Part, compile_plan, shared_plan
from agent.maps.quirks import Effects, Quirk, builtin, effects
from agent.maps.registers import Bit, Field, Item, read_text
from agent.memory import Memory, Span
from agent.model import Bounds, Module, Trouble
from agent.quantities import Quantity

CELSIUS: Final = Fraction(1, 256)
HUNDRED_MICROVOLT: Final = Fraction(1, 10_000)  # of a volt
TWO_MICROAMPERE: Final = Fraction(2, 1_000_000)  # of an ampere
TENTH_MICROWATT: Final = Fraction(1, 10_000_000)  # of a watt

SMF: Final = "SMF"
MMF: Final = "MMF"
DAC: Final = "DAC"
ACC: Final = "ACC"
AOC: Final = "AOC"
BASE_T: Final = "BASE-T"
CABLES: Final = frozenset({DAC, ACC, AOC})

HERTZ_PER_MEGABAUD: Final = 1_000_000.0
LONGER_THAN_BYTE: Final = 0xFF
"""A length byte of this value means "longer than it can say", or was never written."""


@dataclass(frozen=True, slots=True)
class SffDescription:
    """One module: who it is, and the items of its refresh."""

    module: Module
    thresholds: Mapping[Quantity, Bounds]
    flat: bool
    identity_span: Span
    items: tuple[Item, ...] = ()
    slow_items: tuple[Item, ...] = ()
    parts: tuple[Part, ...] = ()
    quiet_parts: tuple[Part, ...] = ()
    """The same without what reading clears."""
    unread: tuple[str, ...] = ()
    """Keys of what the module offers and nobody can read."""
    clear_on_read: tuple[Span, ...] = ()
    errors: tuple[Trouble, ...] = ()
    banks: int = 1
    effects: Effects = field(default_factory=Effects)

    def plan(self, *, flags: bool = True, slow: bool = False) -> Plan:
        """See `agent.maps.api.Description`."""
        avoid = self.clear_on_read if slow or not flags else ()
        if slow:
            parts = self.parts if flags else self.quiet_parts
            items = _readable(self.slow_items, flags=flags)
            return compile_plan(items, parts=parts, avoid=avoid) if parts else shared_plan(items, avoid=avoid)
        return shared_plan(_readable(self.items, flags=flags), avoid=avoid, unread=self.unread)


_SAME_MOST: Final = 256
_same: Final[dict[object, Mapping[Quantity, Bounds]]] = {}


def same_thresholds(found: Mapping[Quantity, Bounds]) -> Mapping[Quantity, Bounds]:
    """Equal thresholds of another module in their place: those of one product are alike."""
    key = tuple([(quantity.key, *bounds.items()) for quantity, bounds in found.items()])
    if len(_same) >= _SAME_MOST:
        _same.clear()
    return _same.setdefault(key, found)


def _readable(items: Iterable[Item], *, flags: bool) -> list[Item]:
    return [item for item in items if flags or not item.field.latched]


def module_of(facts: Mapping[str, object]) -> Module:
    """The module without the facts that are not known: None and empty ones."""
    return cast(
        "Module", {key: fact for key, fact in facts.items() if fact is not None and fact not in ("", [], {})}
    )


def quirks_of(own: Iterable[Quirk], module: Module, technology: int | None = None) -> Effects:
    """What the quirk data, built in and the user's own, says of a module."""
    return effects((*builtin(), *own), module, technology)


def said_by(found: Effects, name: str) -> bool | None:
    """Whether the quirk data offers something, or denies it; None: the module's own word counts."""
    return False if name in found.not_offered else True if name in found.offered else None


def as_said(field: Field, found: Effects) -> Field:
    """The field where, and with the scale that, the quirk data has it."""
    change = found.replace.get(field.name)
    if change is None:
        return field
    return replace(
        field,
        page=field.page if change.page is None else change.page,
        offset=field.offset if change.offset is None else change.offset,
        lsb=field.lsb if change.lsb is None else change.lsb,
    )


def bit_set(bit: Bit, memory: Memory) -> bool:
    """True when the bit is known to be set."""
    return bit.read(memory) is True


def text(field: Field, memory: Memory) -> str | None:
    """An ASCII field, None when it is blank or unread."""
    return read_text(field, memory) or None


def oui(field: Field, memory: Memory) -> str | None:
    """The vendor's OUI as `00:1B:21`; None when it is unread, or all zero, which means unspecified."""
    data = memory.get(field.span())
    return data.hex(":").upper() if data is not None and any(data) else None


def wrong_checksums(checksums: Mapping[str, bool | None], places: Mapping[str, str]) -> tuple[Trouble, ...]:
    """A trouble for each checksum of `places` that is wrong; one that is unread is not."""
    return tuple(
        Trouble("checksum", f"checksum {name} ({places[name]}) does not match: decoded all the same")
        for name, valid in checksums.items()
        if valid is False and name in places
    )


def filled(data: bytes | None) -> bool:
    """True for bytes that hold nothing: all 00h (never written) or all FFh (erased, or a bus nobody drives)."""
    return data is not None and (not any(data) or data.count(0xFF) == len(data))
