"""A module that is alive: its monitors follow its behaviour, worked out when somebody reads and not before.

Not simulated: what `fakes.module` does not simulate.
"""

import random
import time
from collections.abc import Callable
from typing import ClassVar, Final, Protocol

from agent.memory import Memory
from fakes.coherent import Coherent
from fakes.elsfp import Elsfp
from fakes.images import image
from fakes.module import FakeModule
from fakes.monitors import FAULT, POWERING_UP, READY, monitors_of
from fakes.optics import Behaviour, State
from fakes.products import Product
from fakes.vdm import Vdm

SAMPLE_S: Final = 0.2
"""A module measures so often; reads in between return the same sample."""
RESET_S: Final = 0.4
"""After an insertion it does not acknowledge ..."""
POWER_UP_S: Final = 1.5
"""... and then is powering up so long, without valid monitors (CMIS: ModulePwrUp; SFF: Data_Not_Ready)."""
WARM_S: Final = 600.0


class Family(Protocol):
    """Pages beyond the monitors; what moves on them is worked out when somebody selects one."""

    pages: ClassVar[frozenset[int]]

    def describe(self, memory: Memory) -> None: ...
    def write(self, module: FakeModule, state: State) -> None: ...


def _families(product: Product) -> list[Family]:
    families: list[Family] = []
    if product.vdm:
        families.append(Vdm(product))
    if product.coherent:
        families.append(Coherent())
    if product.light == "source":
        families.append(Elsfp(product))
    return families


class LiveModule(FakeModule):
    """One cage of a fake switch. `warm`: it has been running for a while."""

    def __init__(
        self,
        product: Product,
        *,
        serial: str,
        rng: random.Random,
        clock: Callable[[], float] = time.monotonic,
        warm: bool = True,
    ) -> None:
        self._now = clock
        self._rng = rng
        self._next = 0.0
        self._ready_at = 0.0
        self._flooded = False
        self._adopt(product, serial, begun=clock() - WARM_S)
        super().__init__(self._image(), family=product.family, clock=clock)
        if not warm:
            self.plug(product, serial=serial)

    def plug(self, product: Product, *, serial: str) -> None:
        """Put a module into the cage; it resets and powers up."""
        now = self._now()
        with self._lock:
            self._adopt(product, serial, begun=now)
            self.ready_after_s = RESET_S
            self.insert(self._image(), family=product.family)
            self._ready_at = now + RESET_S + POWER_UP_S
            self._next = now

    @property
    def ready(self) -> bool:
        """In the cage and through with its power-up."""
        return self.present and self._now() >= self._ready_at

    def flood(self) -> None:
        """The bus floats high during the next longer read."""
        self._flooded = True

    def read(self, address: int, n: int) -> bytes | None:
        """As `FakeModule.read`."""
        data = super().read(address, n)
        if self._flooded and data is not None and n >= 20:
            self._flooded = False
            return b"\xff" * n
        return data

    def write(self, address: int, data: bytes) -> int | None:
        """As `FakeModule.write`; every read of a register begins with one."""
        now = self._now()
        if now >= self._next and self.present:
            self._next = now + SAMPLE_S
            ready = now >= self._ready_at
            self._sample = self.behaviour.at(now)
            working = FAULT if self.behaviour.fault else READY
            self._monitors.write(self, self._sample, module_state=working if ready else POWERING_UP)
            self._stale_pages = self._lazy_pages if ready else frozenset[int]()
        taken = super().write(address, data)
        page = self.selected[1]
        if page in self._stale_pages:
            for family in self._families:
                if page in family.pages:
                    family.write(self, self._sample)
                    self._stale_pages -= family.pages
        return taken

    def _image(self) -> Memory:
        memory = image(self.product, serial=self.serial)
        for family in self._families:
            family.describe(memory)
        return memory

    def _adopt(self, product: Product, serial: str, *, begun: float) -> None:
        self.product = product
        self.serial = serial
        self.behaviour = Behaviour(product, self._rng, now=begun)
        self._monitors = monitors_of(product)
        self._sample = self.behaviour.at(self._now())
        self._families = _families(product)
        self._lazy_pages = frozenset(page for family in self._families for page in family.pages)
        self._stale_pages = frozenset[int]()
