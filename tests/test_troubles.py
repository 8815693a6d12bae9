"""The faults of a scenario: each happens at the wire, is named in what the agent says, and ends."""

import threading

import pytest

from agent.memory import Span
from agent.model import PollFailed
from agent.state import Discarded
from fakes import troubles
from fakes.adapter import FakeAdapter
from fakes.scenario import Hang, Happening, Lie, Scenario, Slow
from fakes.switch import FakeSwitch
from tests.test_fake_switch import Simulation

PORT = "Ethernet1"
READ: tuple[tuple[int, bytes | int], ...] = ((0x50, b"\x00"), (0x50, 1))


def simulated(event: dict[str, object], *, module: str = "osfp-xd-1600g-dr16") -> Simulation:
    return Simulation(
        Scenario.model_validate(
            {
                "description": "one fault",
                "modules": [module],
                "event": [{"ports": [1], "at_s": 10.0} | event],
            }
        ),
        ports=1,
    )


def reasons(simulation: Simulation) -> set[str]:
    """What was complained of, the complaints of readings included."""
    found = {each.trouble.reason for _, each in simulation.of(PollFailed, PORT) if isinstance(each, PollFailed)}
    found |= {each.reason for _, each in simulation.of(Discarded, PORT) if isinstance(each, Discarded)}
    return found | {error.reason for reading in simulation.readings(PORT) for error in reading.errors}


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"kind": "eio", "times": 3}, "bus_error"),
        ({"kind": "flip", "mask": 0x40}, "temperature_jump"),
        ({"kind": "level", "value": 255}, "page_refused"),
        ({"kind": "level", "value": 0}, "page_refused"),
        ({"kind": "stuck"}, "page_refused"),
        ({"kind": "master", "selects": 4}, "page_moved"),
        ({"kind": "lie", "down_s": 90.0}, "page_refused"),
        ({"kind": "away"}, "bus_gone"),
    ],
)
def test_a_fault_is_named_and_ends(event: dict[str, object], reason: str) -> None:
    simulation = simulated(event)
    simulation.run(9)
    assert reasons(simulation) == set()
    simulation.run(170)
    assert reason in reasons(simulation)
    before = len([*simulation.readings(PORT)])
    simulation.events.clear()
    simulation.run(5)
    assert before > 20
    assert reasons(simulation) == set()
    assert len([*simulation.readings(PORT)]) == 5


@pytest.mark.parametrize("module", ["qsfp28-100g-cwdm4", "sfp-10g-lr", "qsfpdd-400g-cr8"])
@pytest.mark.parametrize(("value", "reason"), [(0, "all_zero"), (255, "all_ff")])
def test_a_level_is_not_told_as_a_lack_of_time(module: str, value: int, reason: str) -> None:
    """Where no page select tells, it is the blocks themselves, or the serial number where no block is read."""
    simulation = simulated({"kind": "level", "value": value}, module=module)
    simulation.run(20)
    told = reasons(simulation)
    assert told - {reason, "identity", "page_refused"} == set()
    assert reason in told or module.endswith("cr8")
    assert told


def test_a_slow_adapter_takes_its_time() -> None:
    slept: list[float] = []
    port = FakeSwitch(1, Scenario(description="", modules=["sfp-10g-lr"])).ports[0]
    adapter = FakeAdapter(port.module, sleep=slept.append)
    end = troubles.begin(Slow(kind="slow", ports=[1], delay_s=0.2), module=port.module, adapter=adapter)
    adapter.transact(READ)
    end()
    adapter.transact(READ)
    assert slept == [0.2]


def test_a_hanging_adapter_comes_back_with_its_answer() -> None:
    port = FakeSwitch(1, Scenario(description="", modules=["sfp-10g-lr"])).ports[0]
    end = troubles.begin(Hang(kind="hang", ports=[1]), module=port.module, adapter=port.adapter)
    answers: list[list[bytes]] = []
    caller = threading.Thread(target=lambda: answers.append(port.adapter.transact(READ)))
    caller.start()
    caller.join(0.1)
    assert caller.is_alive()
    end()
    caller.join(10)
    assert answers == [[b"\x03"]]


def test_a_lie_is_taken_back_with_the_module() -> None:
    switch = FakeSwitch(1, Scenario(description="", modules=["qsfpdd-400g-dr4"]))
    module = switch.ports[0].module
    true = module.get(Span(142, 1, page=0x01))
    event = Scenario.model_validate(
        {"description": "", "modules": ["sfp-10g-lr"], "event": [{"kind": "lie", "ports": [1]}]}
    ).event[0]
    end = begun(event, switch)
    assert module.get(Span(142, 1, page=0x01)) != true
    end()
    assert module.get(Span(142, 1, page=0x01)) == true


def begun(event: Happening, switch: FakeSwitch) -> troubles.End:
    assert isinstance(event, Lie)
    return troubles.begin(event, module=switch.ports[0].module, adapter=switch.ports[0].adapter)
