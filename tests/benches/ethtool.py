"""The ethtool driver over a fake kernel: by page, by a driver with a linear file, and by the older ioctl."""

from collections.abc import Callable

from agent.memory import Memory
from drivers.ethtool.driver import EthtoolMemory
from drivers.ethtool.kernel import Kernel
from fakes.ethtool import FakeCard, FakeKernel
from fakes.module import FakeModule
from tests.contract_suite import CASES

SFF_8472 = (2, 512)
SFF_8636 = (3, 640)


class EthtoolBench:
    """One port of one card."""

    limit_s = 1.0

    def __init__(self, *, ioctl: bool = False) -> None:
        # The ioctl knows no banks, no CMIS page 11h and no garbage: the kernel copies the driver's bytes.
        self.cases = frozenset({"present", "absent", "short", "unplugged"} if ioctl else CASES)
        self._ioctl = ioctl
        self._card = FakeCard(FakeModule(Memory()))
        self._kernel = FakeKernel({"eth2": self._card})
        self._kernel.knows_eeprom = not ioctl
        doors = Kernel(self._kernel.connect, self._kernel.ioctl, self._kernel.exists)
        self._memory = EthtoolMemory("eth2", doors, timeout_s=0.4)

    def insert(self, image: Memory) -> EthtoolMemory:
        self._card.module.insert(image)
        if self._ioctl:
            self._card.modinfo = SFF_8472 if self._card.module.family == "sff8472" else SFF_8636
            self._memory.close()
        return self._memory

    def remove(self) -> None:
        self._card.module.remove()

    def short(self) -> None:
        self._kernel.short()

    def slow(self, seconds: float) -> None:
        self._kernel.delay_s = seconds

    def unplug(self) -> None:
        self._kernel.cards.clear()

    def plug(self) -> None:
        self._kernel.cards["eth2"] = self._card

    def stall(self) -> None:
        self._kernel.stall()

    def release(self) -> None:
        self._kernel.release()

    def garble(self) -> None:
        self._kernel.garble(b"\xa5" * 128)

    def close(self) -> None:
        self._memory.close()
        self._kernel.close()


BENCHES: dict[str, Callable[[], EthtoolBench]] = {
    "ethtool": EthtoolBench,
    "ethtool ioctl": lambda: EthtoolBench(ioctl=True),
}
