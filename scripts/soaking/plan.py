"""Which fault happens when to whom, from a seed; and what has to be found of it in the output.

Times are seconds of this host from the start of the simulated switch. Every third bus or so has trouble of its own
(`bad`): ports there may lose their cadence. On others only single ports have trouble; the rest of the ports is
`healthy`: nothing ever happens to them.
"""

import random
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fakes.scenario import FOLDER
from fakes.switch import BUSES, PORTS_PER_BUS

FIRST_S: Final = 40.0
"""Before that every port is identified and read a few times."""
SEEN_WITHIN_S: Final = 30.0
"""What happened is in the output so long after its end: some polls, a back-off, a scrape."""
QUIET_S: Final = SEEN_WITHIN_S + 8.0

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: what happens to the port (`at_s` from its beginning), how often, what is looked for.

    `rules`: an alert or event of one of these rules, by how its name begins; `errors`: failed reads of one of these
    reasons; `discarded`: or samples not believed; `counters`: or one of these counters of the port, or bus, grew.
    """

    name: str
    events: tuple[Event, ...]
    lasts_s: float
    weight: int = 4
    rules: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    discarded: bool = False
    counters: tuple[str, ...] = ()
    families: tuple[str, ...] = ("cmis", "sff8636", "sff8472")
    of_bus: bool = False
    optical: bool = False
    alone: bool = False
    """Never two at once."""


PAGES: Final = ("page_refused", "page_moved")
ANY: Final = (*PAGES, "absent", "deadline", "identity", "bus_error", "short_read", "decode", "bus_timeout")
SWAPS: Final = ("xcvr_module_swaps_total",)
LINKS: Final = ("xcvr_link_transitions_total",)
KINDS: Final = (
    # Three polls are 27 messages: with so many it would be a removal.
    Kind("no acknowledge for 20 messages", ({"kind": "nack", "messages": 20},), 1.0, errors=("absent",)),
    # Copper is not read in blocks: there is nothing to be wrong.
    Kind("one read of FFh", ({"kind": "glitch"},), 1.0, errors=ANY, discarded=True, optical=True),
    Kind("flipped bits", ({"kind": "flip", "mask": 0x40},), 1.0, errors=ANY, discarded=True, optical=True),
    Kind("all FFh", ({"kind": "level", "value": 255, "down_s": 10.0},), 10.0, errors=ANY, discarded=True),
    Kind("all 00h", ({"kind": "level", "value": 0, "down_s": 10.0},), 10.0, errors=ANY, discarded=True),
    Kind(
        "page stuck", ({"kind": "stuck", "down_s": 12.0},), 12.0, errors=PAGES, families=("cmis",), optical=True,
    ),
    Kind(
        "another master moves the page", ({"kind": "master", "selects": 8},), 4.0,
        errors=PAGES,
        discarded=True, families=("cmis",), optical=True,
    ),
    Kind(
        "capabilities that lie", ({"kind": "lie", "down_s": 50.0},), 70.0, weight=2, errors=PAGES,
        families=("cmis",), optical=True,
    ),
    Kind(
        "unplugged and plugged again", ({"kind": "pull"}, {"kind": "insert", "at_s": 20.0}), 26.0,
        rules=("module_absent",),
    ),
    Kind(
        "swapped", ({"kind": "pull"}, {"kind": "insert", "at_s": 5.0, "product": "qsfpdd-400g-fr4"}), 10.0,
        rules=("module_swapped",), counters=SWAPS,
    ),
    Kind("flap", ({"kind": "flap", "down_s": 1.5},), 4.0, weight=10, rules=("link",), optical=True),
    Kind(
        "three flaps", tuple({"kind": "flap", "down_s": 1.0, "at_s": 4.0 * n} for n in range(3)), 12.0,
        rules=("link",), counters=LINKS, optical=True,
    ),
    Kind("switched off and on", ({"kind": "admin", "down_s": 5.0},), 7.0, rules=("link",), optical=True),
    Kind(
        "no signal from the host", ({"kind": "host", "down_s": 10.0},), 12.0, rules=("tx_", "link"),
        optical=True,
    ),
    Kind(
        "firmware fault", ({"kind": "fault", "down_s": 10.0},), 12.0, rules=("module_fault",), families=("cmis",),
        optical=True,
    ),
    Kind(
        "hot", ({"kind": "heat", "kelvin": 45.0, "over_s": 10.0, "hold_s": 20.0},), 42.0, weight=2,
        rules=("temperature_",), optical=True,
    ),
    Kind(
        "ageing laser, then exchanged",
        (
            {"kind": "ageing", "lane": 1, "factor": 3.0, "over_s": 20.0},
            {"kind": "pull", "at_s": 32.0},
            {"kind": "insert", "at_s": 37.0, "product": "qsfpdd-400g-dr4"},
        ),
        42.0, weight=2, rules=("tx_",), optical=True,
    ),
    Kind(
        "dirt, then cleaned",
        (
            {"kind": "dirt", "loss_db": 12.0, "over_s": 10.0},
            {"kind": "dirt", "loss_db": 0.0, "over_s": 1.0, "at_s": 20.0},
        ),
        24.0, weight=3, rules=("rx_", "link", "lane_", "pre_fec"), optical=True,
    ),
    Kind("EIO", ({"kind": "eio", "times": 4},), 1.0, errors=("bus_error",), of_bus=True),
    Kind("adapter away", ({"kind": "away", "down_s": 10.0},), 10.0, errors=("bus_gone",), of_bus=True),
    Kind(
        "2 s a transaction", ({"kind": "slow", "delay_s": 2.0, "down_s": 10.0},), 20.0, errors=ANY,
        counters=("xcvr_poll_overruns_total",), of_bus=True,
    ),
    Kind(
        "bus hangs", ({"kind": "hang", "down_s": 20.0},), 22.0, errors=("bus_hung",), of_bus=True, alone=True,
    ),
)  # fmt: skip
"""The fault matrix as far as it happens at modules, cages, fibres and buses."""


@dataclass(frozen=True, slots=True)
class Injected:
    """One fault of the plan."""

    kind: Kind
    port: str
    bus: str
    at_s: float

    @property
    def until_s(self) -> float:
        """When it is over, with what it takes to be seen."""
        return self.at_s + self.kind.lasts_s + SEEN_WITHIN_S


@dataclass(frozen=True, slots=True)
class Plan:
    """The switch and its fate."""

    scenario: str
    injected: tuple[Injected, ...]
    healthy: frozenset[str]


@dataclass(slots=True)
class _Pools:
    single: list[int] = field(default_factory=list[int])
    bad: list[int] = field(default_factory=list[int])
    healthy: set[str] = field(default_factory=set[str])


def make(*, ports: int, seconds: float, every_s: float, seed: int) -> Plan:
    """A plan of a fault every `every_s` on average."""
    rng = random.Random(seed)
    modules = tomllib.loads((FOLDER / "quiet.toml").read_text(encoding="utf-8"))["modules"]
    pools = _pools(ports)
    free: dict[int, float] = {}
    bus_free: dict[int, float] = {}
    alone_free = 0.0
    injected: list[Injected] = []
    at = FIRST_S
    while True:
        at += rng.expovariate(1 / every_s)
        kind = rng.choices(KINDS, [kind.weight for kind in KINDS])[0]
        if at + kind.lasts_s + QUIET_S > seconds:
            break
        may = [
            port
            for port in (pools.bad if kind.of_bus else pools.single)
            if free.get(port, 0.0) <= at
            and _fits(kind, modules[(port - 1) % len(modules)])
            and (not kind.of_bus or bus_free.get(_bus(port, ports), 0.0) <= at)
        ]
        if not may or (kind.alone and alone_free > at):
            continue
        port = rng.choice(may)
        one = Injected(kind, f"Ethernet{port}", f"i2c-{_bus(port, ports)}", round(at, 2))
        free[port] = one.until_s + 8.0
        if kind.of_bus:
            bus_free[_bus(port, ports)] = one.until_s + 8.0
        if kind.alone:
            alone_free = one.until_s
        injected.append(one)
    return Plan(_scenario(modules, injected, seed), tuple(injected), frozenset(pools.healthy))


def _bus(port: int, ports: int) -> int:
    """As `fakes.switch` deals ports to buses."""
    return (port - 1) // max(PORTS_PER_BUS, -(-ports // BUSES))


def _pools(ports: int) -> _Pools:
    pools = _Pools()
    for port in range(1, ports + 1):
        if _bus(port, ports) % 4 == 3:
            pools.bad.append(port)
        elif _bus(port, ports) % 4 and port % 3 == 0:
            pools.single.append(port)
        else:
            pools.healthy.add(f"Ethernet{port}")
    return pools


def _fits(kind: Kind, product: str) -> bool:
    copper = product.endswith(("dac", "cr8", "aec"))
    # Engines and their laser sources stay out of it: what happens to one is told of others too.
    if product.startswith(("cpo", "elsfp")) or (kind.optical and copper):
        return False
    family = "sff8472" if product.startswith("sfp-") else "sff8636" if product.startswith("qsfp28") else "cmis"
    return family in kind.families


def _scenario(modules: list[str], injected: list[Injected], seed: int) -> str:
    lines = ['description = "A soak test."', f"seed = {seed}", f"modules = {modules}"]
    for one in injected:
        for event in one.kind.events:
            lines.append("[[event]]")
            lines.append(f"ports = [{one.port.removeprefix('Ethernet')}]")
            lines.append(f"at_s = {one.at_s + event.get('at_s', 0.0):.2f}")
            lines += [
                f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}"
                for key, value in event.items()
                if key != "at_s"
            ]
    return "\n".join(lines) + "\n"


def write(plan: Plan, path: Path) -> None:
    """The scenario as a file that `type = "fake"` takes."""
    path.write_text(plan.scenario, encoding="utf-8")
