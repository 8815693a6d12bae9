"""The procedure that stops the statistics of VDM for a consistent look: steps for whoever may write, no I/O here.

    frozen = carry_out(freeze(), read=memory.read, write=memory.write, wait=time.sleep)
    try:
        ...                                   # read the samples
    finally:
        carry_out(unfreeze(), ...)

Page 2Fh byte 144 bit 7 requests, byte 145 bits 7 and 6 confirm. `unfreeze` is due after every `freeze`, one that
failed and one that raised included: it starts the next interval. The statistics are reset by it, so a module can
have only one reader that freezes. Not to be used in low power, nor on a module that is not `freezable`.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final

from agent.maps import cmis_vdm
from agent.memory import Memory, Span

CONTROL: Final = Span(144, 1, 0x2F)
STATUS: Final = Span(145, 1, 0x2F)
REQUEST: Final = 0x80
FROZEN: Final = 0x80
UNFROZEN: Final = 0x40
SETTLE_S: Final = 0.01
"""How long the module may take to clear the bit that is waited for."""
POLL_S: Final = 0.005
LIMIT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Read:
    """Read `span`, send its bytes back."""

    span: Span


@dataclass(frozen=True, slots=True)
class Write:
    """Write `data` at `span`, send None back."""

    span: Span
    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait, send None back."""

    seconds: float


Step = Read | Write | Wait
Procedure = Generator[Step, bytes | None, bool]


def freezable(memory: Memory) -> bool:
    """Whether the module advertises VDM, and measures anything that a freeze is for."""
    if not cmis_vdm.ADVERTISED.read(memory):
        return False
    found, _ = cmis_vdm.instances(memory, {}, [])
    return any(one.observable.statistic for one in found)


def freeze() -> Procedure:
    """Stop the statistics; True when the module confirms within a second."""
    return _request(REQUEST, FROZEN)


def unfreeze() -> Procedure:
    """Let them run again; True when the module confirms within a second."""
    return _request(0, UNFROZEN)


def carry_out(
    procedure: Procedure,
    *,
    read: Callable[[Span], bytes | None],
    write: Callable[[Span, bytes], None],
    wait: Callable[[float], None],
) -> bool:
    """Walk through a procedure by the means given; whether the module confirmed. Takes a second at most."""
    answer: bytes | None = None
    try:
        while True:
            step = procedure.send(answer)
            answer = None
            if isinstance(step, Read):
                answer = read(step.span)
            elif isinstance(step, Write):
                write(step.span, step.data)
            else:
                wait(step.seconds)
    except StopIteration as done:
        return bool(done.value)


def _request(request: int, done: int) -> Procedure:
    control = yield Read(CONTROL)
    kept = (control or b"\0")[0] & ~REQUEST & 0xFF
    yield Write(CONTROL, bytes((kept | request,)))
    yield Wait(SETTLE_S)
    for _ in range(round(LIMIT_S / POLL_S)):
        status = yield Read(STATUS)
        if status and status[0] & done:
            return True
        yield Wait(POLL_S)
    return False
