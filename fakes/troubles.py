"""What is wrong with the way to a simulated module, or with what it answers: the faults of a scenario.

    end = begin(event, module=port.module, adapter=port.adapter)
    end()                                # for those that last

What each costs the agent is in docs/reliability.md.
"""

import errno
from collections.abc import Callable
from typing import Final

from agent.memory import Span
from fakes.adapter import FakeAdapter
from fakes.live import LiveModule
from fakes.scenario import Away, Eio, Flip, Hang, Level, Lie, Master, Slow, Stuck, Trouble

FLIPPED: Final = 32
"""Bytes of a read that arrive wrong."""
LONGER: Final = 20
"""What counts as a longer read."""
ADVERTISEMENTS: Final = Span(142, 1, page=0x01)
"""CMIS 5.2, page 01h byte 142: bit 6 VDM, bit 5 diagnostics, bits 1-0 banks (10b: four)."""
LIES: Final = 0x62

End = Callable[[], None]


def begin(event: Trouble, *, module: LiveModule, adapter: FakeAdapter) -> End:
    """Let it happen; what is returned ends it, and does nothing for what ends by itself."""
    match event:
        case Flip():
            module.flip(bytes((event.mask,)) * FLIPPED, least=LONGER)
        case Master():
            for _ in range(event.selects):
                module.after_select(lambda: module.select(0))
        case Eio():
            adapter.fail(errno.EIO, times=event.times)
        case Level():
            module.all_bytes(event.value)
            return lambda: module.all_bytes(None)
        case Stuck():
            module.stick(on=True)
            return lambda: module.stick(on=False)
        case Lie():
            return _lie(module)
        case Slow():
            adapter.delay_s = event.delay_s
            return lambda: _quick(adapter)
        case Hang():
            adapter.stall()
            return adapter.release
        case Away():
            adapter.unplug()
            return lambda: _back(adapter)
    return _nothing


def _lie(module: LiveModule) -> End:
    if module.family != "cmis" or not module.present:
        return _nothing
    module.plug(module.product, serial=module.serial)
    module.put(ADVERTISEMENTS, bytes((module.get(ADVERTISEMENTS)[0] & ~0x03 | LIES,)))
    return lambda: module.plug(module.product, serial=module.serial) if module.present else None


def _quick(adapter: FakeAdapter) -> None:
    adapter.delay_s = 0.0


def _back(adapter: FakeAdapter) -> None:
    adapter.plug()


def _nothing() -> None:
    """It ended by itself."""
