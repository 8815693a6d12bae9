"""An example driver: ACME's tester keeps the memory of a module in a folder, a file a page.

    opticd read acme:/srv/tester/slot1

`lower` holds bytes 0-127, `00`, `11`, `1.11` (bank 1) and so on bytes 128-255 of a page.
"""

from pathlib import Path

from agent.errors import ConfigError, ModuleAbsent, PageRefused, ShortRead
from agent.memory import I2C_MODULE, Shape, Span
from agent.sources import Cage, Options


class AcmeMemory:
    """`ModuleMemory` over the folder of one slot."""

    def __init__(self, slot: Path) -> None:
        self.shape = Shape()
        self._slot = slot

    def read(self, span: Span) -> bytes:
        """Exactly the bytes of `span`."""
        if span.i2c != I2C_MODULE or not (self._slot / "lower").exists():
            raise ModuleAbsent(f"{self._slot}: nothing there", span=span)
        bank = f"{span.bank}." if span.bank else ""
        page = self._slot / (f"{bank}{span.page:02x}" if span.upper else "lower")
        if not page.exists():
            raise PageRefused(f"{self._slot}: no such page", span=span)
        data = page.read_bytes()[span.offset % 128 :][: span.length]
        if len(data) != span.length:
            raise ShortRead(f"{page}: ends early", span=span)
        return data

    def close(self) -> None:
        """Nothing is held."""


class AcmeDriver:
    """`agent.sources.Driver`; one option: `name` of the port."""

    def open(self, address: str, options: Options) -> Cage:
        """The cage of one slot."""
        slot = Path(address)
        if not slot.is_absolute():
            raise ConfigError(f"acme:{address}: give the whole path of the slot")
        return Cage(f"acme:{address}", options.text("name", slot.name), "acme", AcmeMemory(slot))
