"""A module that is alive: its monitors follow its behaviour, worked out when somebody reads and not before.

Not simulated: what `fakes.module` does not simulate.
"""

import random
import time
from collections.abc import Callable
from typing import Final

from agent.memory import Memory, Span
from fakes.images import image
from fakes.module import FakeModule
from fakes.monitors import POWERING_UP, READY, monitors_of
from fakes.optics import Behaviour
from fakes.products import Product
from fakes.vdm import FLAGS, SAMPLES, Vdm

SAMPLE_S: Final = 0.2
"""A module measures so often; reads in between return the same sample."""
RESET_S: Final = 0.4
"""After an insertion it does not acknowledge ..."""
POWER_UP_S: Final = 1.5
"""... and then is powering up so long, without valid monitors (CMIS: ModulePwrUp; SFF: Data_Not_Ready)."""
WARM_S: Final = 600.0


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
            self._monitors.write(self, self._sample, module_state=READY if ready else POWERING_UP)
            self._diagnosed = not ready
        taken = super().write(address, data)
        if self._vdm is not None and not self._diagnosed and self.selected[1] in {SAMPLES, FLAGS}:
            self._diagnose(self._vdm)
        return taken

    def _diagnose(self, vdm: Vdm) -> None:
        """Work the samples of all banks out: somebody wants to read them."""
        self._diagnosed = True
        for bank in range(self.product.banks):
            samples = vdm.samples(self._sample, bank)
            self.put(Span(128, 128, SAMPLES, bank), samples)
            self.put(Span(128, 32, FLAGS, bank), vdm.flags(samples, bank))

    def _image(self) -> Memory:
        memory = image(self.product, serial=self.serial)
        if self._vdm is not None:
            self._vdm.describe(memory)
        return memory

    def _adopt(self, product: Product, serial: str, *, begun: float) -> None:
        self.product = product
        self.serial = serial
        self.behaviour = Behaviour(product, self._rng, now=begun)
        self._monitors = monitors_of(product)
        self._sample = self.behaviour.at(self._now())
        self._vdm = Vdm(product) if product.vdm else None
        self._diagnosed = True
