"""Hardware in the loop: does a real module, on its real bus, behave as its specification says?

Reads only, but for page selects: those of the specification, and one of a page that does not exist.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from agent import quantities as q
from agent.errors import DriverError, PageRefused
from agent.maps.api import Description
from agent.memory import I2C_DIAGNOSTICS, I2C_MODULE, ModuleMemory, Span
from agent.model import Module
from agent.modules.identification import IDENTIFIER, Identification, Identify, Meter, Reads
from agent.modules.selftest_values import (
    Check,
    Reference,
    Verdict,
    compare,
    flags_agree,
    plausible,
    repeatability,
    sample,
    threshold_order,
    timing,
)
from agent.quantities import Quantity

REPEATS: Final = 10
_RESERVED_PAGE: Final = 0x7E
"""Reserved in SFF-8472 (03h-7Fh), SFF-8636 (22h-7Fh) and CMIS (50h-9Eh)."""
_QUIET: Final = 200
"""From here on no page that is selected has bytes that a read clears."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything about one module on one bus."""

    source: str
    module: Module
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Nothing failed; warnings are for a person to judge."""
        return all(check.verdict != "failed" for check in self.checks)


def selftest(
    memory: ModuleMemory,
    *,
    source: str,
    identify: Identify,
    flags: bool = True,
    repeats: int = REPEATS,
    reference: Reference | None = None,
    measures: Quantity = q.TX_POWER,
    clock: Callable[[], float] = time.perf_counter,
) -> Report:
    """Run every check. Raises what the way in says when nobody answers at all."""
    memory.read(IDENTIFIER)
    description, checks = _identify(memory, identify)
    if description is None:
        return Report(source, Module(), tuple(checks))
    checks += [*_pages(memory, description), _static(memory, description, repeats)]
    samples = sample(memory, description, flags=flags, repeats=repeats, clock=clock)
    checks += [repeatability(samples), timing(samples), plausible(samples), threshold_order(description)]
    checks.append(
        flags_agree(samples, description) if flags else Check("flags", "skipped", "another daemon owns them")
    )
    if reference is not None:
        checks += compare(samples, reference, measures)
    return Report(source, description.module, tuple(checks))


# -- who it is ----------------------------------------------------------------------------------------------


def _identify(memory: ModuleMemory, identify: Identify) -> tuple[Description | None, list[Check]]:
    arrival = Identification(memory, identify)
    troubles: list[str] = []
    for _ in range(4):
        reads = Reads(memory, float("inf"), Meter())
        if arrival.go_on(reads):
            break
        troubles = [trouble.detail for trouble in reads.troubles]
    description = arrival.description
    if description is None:
        return None, [
            Check("identity", "failed", "; ".join(troubles) or "its static pages change while they are read")
        ]
    module = description.module
    named = [module.get(key) for key in ("vendor_name", "part_number", "serial_number")]
    text = " ".join(str(name) for name in (module.get("form_factor", ""), *named) if name)
    missing = [key for key in ("vendor_name", "part_number", "serial_number") if not module.get(key)]
    found = Check(
        "identity",
        "warning" if missing or not arrival.complete else "passed",
        text + (f"; not given: {', '.join(missing)}" if missing else ""),
    )
    sums = module.get("checksums_valid", {})
    wrong = [name for name, valid in sums.items() if not valid]
    if not sums:
        return description, [found, Check("checksums", "skipped", "this module has none")]
    detail = f"wrong: {', '.join(wrong)}" if wrong else f"right: {', '.join(sums)}"
    return description, [found, Check("checksums", "failed" if wrong else "passed", detail)]


# -- pages and banks ------------------------------------------------------------------------------------------


def _pages(memory: ModuleMemory, description: Description) -> list[Check]:
    if description.flat:
        flat = "flat memory: there is nothing to select"
        return [Check("page_select", "skipped", flat), Check("bank_select", "skipped", flat)]
    spans = description.plan().spans
    pages = sorted({span.page for span in spans if span.upper and span.page})
    sfp = description.module.get("memory_map") == "sff8472"
    probe = Span(_QUIET, 16, _RESERVED_PAGE, i2c=I2C_DIAGNOSTICS if sfp else I2C_MODULE)
    checks = [_select(memory, "page_select", [probe._replace(page=page) for page in pages], probe)]
    banks = description.module.get("banks", 1)  # of lanes: other pages may have more
    if banks < 2 or not pages:
        return [*checks, Check("bank_select", "skipped", "the module has one bank")]
    page = next((page for page in pages if page >= 0x10), pages[-1])
    banked = [Span(_QUIET, 16, page, bank) for bank in range(banks)]
    shape = memory.shape
    # The way in knows how many banks there are and would not even ask.
    memory.shape = replace(shape, banks=banks + 1)
    try:
        checks.append(_select(memory, "bank_select", banked, Span(_QUIET, 16, page, banks)))
    finally:
        memory.shape = shape
    return checks


def _select(memory: ModuleMemory, name: str, there: Sequence[Span], beyond: Span) -> Check:
    """What is advertised can be selected, what does not exist is refused, and then page 00h is there again."""
    head = Span(128, 16, i2c=beyond.i2c)
    try:
        before = memory.read(head)
        for span in there:
            memory.read(span)
    except DriverError as exc:
        return Check(name, "failed", str(exc))
    try:
        memory.read(beyond)
    except PageRefused:
        verdict: Verdict = "passed"
        detail = f"{len(there)} selected; {beyond} is refused, as it has to be"
    except DriverError as exc:
        return Check(name, "failed", f"{beyond}: {exc}")
    else:
        verdict, detail = "warning", f"{len(there)} selected; the module maps {beyond}, which does not exist"
    try:
        after = memory.read(head)
    except DriverError as exc:
        return Check(name, "failed", f"page 00h cannot be selected any more: {exc}")
    return Check(name, verdict, detail) if after == before else Check(name, "failed", "page 00h is not what it was")


def _static(memory: ModuleMemory, description: Description, repeats: int) -> Check:
    """The same static bytes each time: what differs was damaged on the way."""
    sfp = description.module.get("memory_map") == "sff8472"
    names = Span(20, 64) if sfp else Span(128, 94)
    seen: list[bytes] = []
    for _ in range(repeats):
        with contextlib.suppress(DriverError):  # a missing one shows in the number of reads
            seen.append(memory.read(names))
    distinct = len(set(seen))
    figures = {"reads": float(len(seen)), "distinct": float(distinct)}
    if len(seen) < repeats:
        return Check("static_bytes", "failed", f"{repeats - len(seen)} of {repeats} reads failed", figures)
    if distinct > 1:
        return Check("static_bytes", "failed", f"{distinct} different answers in {repeats} reads", figures)
    return Check("static_bytes", "passed", f"{repeats} reads of {names}, all alike", figures)
