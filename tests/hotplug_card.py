"""An `ethtool` driver over a fake kernel: each veth named `swp…` in the namespace is a port of a card with one.

Loaded by a daemon in a process of its own through the entry-point group (`tests/test_hotplug.py`). Which interfaces
there are comes from the real kernel, what is in their cages from `fakes.ethtool`.
"""

from drivers.ethtool.driver import EthtoolDriver
from drivers.ethtool.kernel import Kernel
from drivers.host import netdevs
from fakes.ethtool import FakeCard, FakeKernel
from fakes.images import image
from fakes.module import FakeModule
from fakes.products import PRODUCTS

_KERNEL = FakeKernel({})


def _candidates() -> tuple[netdevs.Candidate, ...]:
    there = [each.name for each in netdevs.interfaces() if each.name.startswith("swp")]
    for name in there:
        module = FakeModule(image(PRODUCTS["qsfpdd-400g-fr4"], serial=name.upper()))
        _KERNEL.cards.setdefault(name, FakeCard(module))
    for gone in _KERNEL.cards.keys() - set(there):
        del _KERNEL.cards[gone]
    return tuple(netdevs.Candidate(name, "", name, "") for name in there)


def driver() -> EthtoolDriver:
    """What the entry point makes."""
    return EthtoolDriver(
        doors=lambda _netns: Kernel(_KERNEL.connect, _KERNEL.ioctl, _KERNEL.exists), candidates=_candidates
    )
