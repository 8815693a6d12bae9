"""Memory maps: one file of declarations for each specification, and which of them a module answers by."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from agent.errors import ConfigError, DecodeError
from agent.maps import quirks, sff8024
from agent.maps.api import Description, MemoryMap
from agent.maps.cmis import CmisDescription, CmisMap
from agent.maps.quirks import Quirk
from agent.maps.sff8472 import Sff8472Map
from agent.maps.sff8636 import Sff8636Map
from agent.maps.sff_common import SffDescription
from agent.memory import Memory, Shape


class Maps:
    """Every memory map, with the built-in quirks and the user's own behind them."""

    def __init__(self, own: Iterable[Quirk] = ()) -> None:
        own = tuple(own)
        every: tuple[MemoryMap, ...] = (Sff8472Map(own), Sff8636Map(own), CmisMap(own))
        self.by_name: Mapping[str, MemoryMap] = {one.name: one for one in every}
        """Each holds no state, so one serves every module."""

    def identify(self, memory: Memory, *, family: str = "") -> MemoryMap:
        """The map of the module whose byte 0 is known; `family` names it where a file says so.

        Raises DecodeError when the identifier is unread, or belongs to a module that no map explains.
        """
        code = memory.byte(0)
        if code is None:
            raise DecodeError("byte 0, the identifier of the module, was not read")
        known = sff8024.identifier(code)
        found = self.by_name.get(family or known.memory_map)
        if found is None and code in (0x00, 0xFF):
            raise DecodeError(f"unsupported memory map 0x{code:02X}: no module, no power, or a read that failed")
        if found is None:
            raise DecodeError(f"unsupported memory map 0x{code:02X}: {known.name}")
        return found


_BUILT_IN: Final = Maps()
MAPS: Final[Mapping[str, MemoryMap]] = _BUILT_IN.by_name
identify: Final = _BUILT_IN.identify


def load_quirks(path: Path) -> tuple[Quirk, ...]:
    """The user's own rows. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: {exc}", hint="[agent] quirks names a TOML file of [[quirk]] rows") from exc
    return quirks.parse(text, name=str(path))


def shape(family: str, description: Description) -> Shape:
    """How the pages of the described module are reached, delays of the quirk data included."""
    if not isinstance(description, CmisDescription | SffDescription):
        return Shape(family, flat=description.flat, banks=description.banks)
    effects = description.effects
    return Shape(
        family,
        flat=description.flat,
        banks=description.banks,
        settle_s=effects.settle_s,
        busy_limit_s=effects.busy_limit_s,
        single_byte=effects.single_byte,
    )
