"""One reading of one module, outside the daemon: the same session, called until it knows the module. Blocks."""

import time
from typing import Final

from agent.errors import DecodeError, DriverError, OpticError
from agent.memory import Memory, ModuleMemory, Shape, Span
from agent.model import PollFailed, Reading
from agent.modules.identification import IDENTIFIER, Identify
from agent.polling.portjob import PortJob, PortSetup

LIMIT_S: Final = 30.0
_AGAIN_S: Final = 0.2


class Recorder:
    """A `ModuleMemory` that keeps what was read through it."""

    def __init__(self, inner: ModuleMemory) -> None:
        self._inner = inner
        self.memory = Memory()

    @property
    def shape(self) -> Shape:
        """How the module is paged, as far as is known."""
        return self._inner.shape

    @shape.setter
    def shape(self, shape: Shape) -> None:
        self._inner.shape = shape

    def read(self, span: Span) -> bytes:
        """As the memory below."""
        data = self._inner.read(span)
        self.memory.put(span, data)
        return data

    def close(self) -> None:
        """As the memory below."""
        self._inner.close()

    def complete(self) -> Memory:
        """What was read, filled up to whole pages as far as the module lets us."""
        for span in {span._replace(offset=128 if span.upper else 0, length=128) for span in self.memory.spans()}:
            try:
                self.memory.put(span, self._inner.read(span))
            except DriverError:
                continue  # what the refresh read of that page is kept
        return self.memory


def read_once(
    memory: ModuleMemory,
    *,
    identify: Identify,
    device: str,
    port: str,
    source: str,
    flags: bool,
    limit_s: float = LIMIT_S,
) -> Reading:
    """The first reading that the module gives within `limit_s` seconds. Raises the OpticError that kept it away."""
    memory.read(IDENTIFIER)  # what is wrong with the way in is said by the driver itself, with its hint
    setup = PortSetup(port=port, bus=port, source=source, open=lambda: memory, flags=flags)
    job = PortJob(setup, device=device, identify=identify, bus_failed=memory.close, deadline_s=limit_s)
    end = time.monotonic() + limit_s
    trouble = "no reading"
    while time.monotonic() < end:
        for event in job.poll().events:
            if isinstance(event, Reading):
                return event
            if isinstance(event, PollFailed):
                trouble = event.trouble.detail
                if event.trouble.reason == DecodeError.reason:
                    raise DecodeError(f"{source}: {trouble}")
        time.sleep(_AGAIN_S)
    raise OpticError(f"{source}: {trouble} (for {limit_s:g} s)")
