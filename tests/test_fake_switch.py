"""The fake switch: images against the decoders, behaviour against physics, scenarios against what is read."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import quantities as q
from agent.errors import ConfigError
from agent.links.flaps import Observation
from agent.maps import identify
from agent.memory import I2C_DIAGNOSTICS, Span
from agent.model import ModuleChange, ModuleEvent, PollFailed, Reading
from agent.polling.poller import PortSetup
from agent.polling.portjob import PortJob
from agent.state import Discarded, Event
from drivers.i2c.bus import LinuxI2cBus
from drivers.i2c.paged import PagedMemory
from fakes import scenario
from fakes.images import image
from fakes.live import LiveModule
from fakes.optics import Behaviour, Ramp
from fakes.products import PRODUCTS, Product
from fakes.scenario import Scenario
from fakes.switch import FakePort, FakeSwitch
from fakes.vdm import f16


class Clock:
    """Seconds that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Simulation:
    """A fake switch polled once a second through the production drivers, in no time."""

    def __init__(self, what: Scenario, *, ports: int = 10) -> None:
        self.clock = Clock()
        self.switch = FakeSwitch(ports, what, clock=self.clock)
        self.links: list[tuple[float, str, bool]] = []
        self.events: list[tuple[float, Event]] = []
        self._jobs = [self._job(port) for port in self.switch.ports]
        self._begin = self.clock.now
        self.switch.on_link(self._linked)
        self.links.clear()

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            for _ in range(10):
                self.clock.now += 0.1
                self.switch.step(self.clock.now)
            second = self.clock.now
            for job in self._jobs:
                polled = job.poll()
                self.events += [(second - self._begin, event) for event in polled.events]
                self.clock.now = second

    def of(self, kind: type[Event], port: str) -> list[tuple[float, Event]]:
        return [
            (at, each) for at, each in self.events if isinstance(each, kind) and getattr(each, "port", "") == port
        ]

    def readings(self, port: str) -> Iterator[Reading]:
        return (event for _, event in self.events if isinstance(event, Reading) and event.port == port)

    def last(self, port: str) -> Reading:
        *_, reading = self.readings(port)
        return reading

    def _linked(self, port: str, seen: Observation) -> None:
        self.links.append((self.clock.now - self._begin, port, seen.up))

    def _job(self, port: FakePort) -> PortJob:
        def way() -> PagedMemory:
            bus = LinuxI2cBus(port.path, calls=self.switch.kernel)
            return PagedMemory(bus, sleep=self.clock.sleep, clock=self.clock)

        return PortJob(
            PortSetup(port=port.name, bus=port.bus, source="fake", open=way),
            device="leaf",
            identify=identify,
            bus_failed=lambda: None,
            deadline_s=2.0,
            wall=self.clock,
            clock=self.clock,
            sleep=self.clock.sleep,
        )


MEDIA = {
    "osfp-800g-dr8-lpo": "LPO",
    "osfp-800g-aec": "AEC",
    "qsfpdd-400g-aoc": "AOC",
    "cpo-3200g-dr32": "CPO",
    "elsfp-8": "ELSFP",
}


def optical(product: Product) -> bool:
    return product.optics is not None


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS)
def test_an_image_says_what_the_product_is(product: Product) -> None:
    memory = image(product, serial="XY26000001")
    description = identify(memory).describe(memory)
    module = description.module
    assert description.errors == ()
    assert all(module.get("checksums_valid", {"none": False}).values())
    assert module.get("serial_number") == "XY26000001"
    assert module.get("vendor_name") == product.vendor
    assert module.get("vendor_oui") == product.oui.replace("-", ":")
    assert module.get("part_number") == product.part_number
    assert module.get("vendor_revision") == product.part_revision
    assert module.get("date_code") == "2026-03-01"
    assert module.get("media") == MEDIA.get(product.name, "SMF" if optical(product) else "DAC")
    if product.flat or (product.family == "sff8472" and not optical(product)):
        assert description.thresholds == {}
        return
    if product.optics is not None:
        assert module.get("wavelength_nm") == product.optics.wavelength_nm
    assert description.thresholds[q.TEMPERATURE] == {
        "high_alarm": 75.0,
        "low_alarm": -5.0,
        "high_warning": 70.0,
        "low_warning": 0.0,
    }
    assert description.thresholds[q.SUPPLY_VOLTAGE].get("high_warning") == pytest.approx(3.465)
    if product.optics is not None and product.light == "own":
        bias = description.thresholds[q.TX_BIAS].get("high_alarm", 0.0)
        assert bias == pytest.approx(0.95e-3 * product.optics.bias_limit_ma, abs=1e-5)


def test_bytes_of_an_image_are_those_of_the_tables() -> None:
    memory = image(PRODUCTS["qsfpdd-400g-dr4"], serial="S")
    assert memory.get(Span(0, 4)) == bytes.fromhex("18400007")
    assert memory.get(Span(138, 2, 0x01)) == bytes.fromhex("6658")  # worked example 52: 1310 nm
    assert memory.get(Span(128, 2, 0x02)) == bytes.fromhex("4b00")  # worked example 18: 75 degC
    assert memory.get(Span(86, 4)) == bytes.fromhex("111c8401")  # 400GAUI-8, 400GBASE-DR4, 8 and 4 lanes
    sfp = image(PRODUCTS["sfp-10g-lr"], serial="S")
    assert sfp.get(Span(0, 4, i2c=I2C_DIAGNOSTICS)) == bytes.fromhex("4b00fb00")
    assert sfp.get(Span(92, 3)) == bytes.fromhex("68f005")


@pytest.mark.parametrize(
    ("value", "raw"),
    [(6.12e-05, 0x8A64), (2.4e-4, 0x90F0), (0.0, 0), (2.047e10, 0xFFFF), (1e-9, 0x6864)],
)
def test_f16(value: float, raw: int) -> None:
    word = f16(value)
    assert (word & 0x7FF) * 10.0 ** ((word >> 11) - 24) == pytest.approx(value, rel=5e-3)
    assert (raw & 0x7FF) * 10.0 ** ((raw >> 11) - 24) == pytest.approx(value, rel=5e-3)


def behaviour(name: str = "qsfpdd-400g-fr4", *, now: float = 0.0) -> Behaviour:
    return Behaviour(PRODUCTS[name], random.Random(7), now=now - 3600)


def test_a_ramp_goes_there_and_back() -> None:
    ramp = Ramp()
    ramp.go(to=30.0, over_s=10.0, now=100.0, hold_s=20.0)
    assert [ramp.at(at) for at in (99, 100, 105, 110, 129, 135, 141, 500)] == [0, 0, 15, 30, 30, 15, 0, 0]
    ramp.go(to=10.0, over_s=10.0, now=1000.0)
    assert [ramp.at(at) for at in (1005, 1010, 9000)] == [5, 10, 10]


def test_heat_drives_bias_and_not_power() -> None:
    optics = behaviour()
    cool = optics.at(0.0)
    optics.heat.go(to=25.0, over_s=0.0, now=0.0)
    hot = optics.at(1.0)
    assert hot.temperature - cool.temperature == pytest.approx(25, abs=0.5)
    assert all(after > 1.15 * before for before, after in zip(cool.bias, hot.bias, strict=True))
    assert hot.tx_power == pytest.approx(cool.tx_power, rel=0.05)


def test_less_light_is_less_snr_more_errors_and_at_last_loss_of_signal() -> None:
    optics = behaviour()
    optics.loss[0] = Ramp()
    ratios: list[float] = []
    for loss_db in (0, 2, 4, 6):
        optics.loss[0].go(to=float(loss_db), over_s=0.0, now=0.0)
        state = optics.at(1.0)
        ratios.append(max(state.ber))
        assert state.rx_los == 0
        assert state.snr_db[0] == pytest.approx(20.5 - loss_db, abs=1.6)
    assert ratios == sorted(ratios)
    assert ratios[0] < 1e-7
    assert ratios[-1] > 1e-4
    optics.loss[0].go(to=12.0, over_s=0.0, now=0.0)
    dark = optics.at(1.0)
    assert (dark.rx_los, dark.rx_lol) == (0b1111, 0b1111)
    assert optics.error_ratio(1.0) == 0.5


def test_an_ageing_laser_holds_its_power_until_its_driver_gives_up() -> None:
    optics = behaviour()
    fresh = optics.at(0.0)
    optics.ageing[2] = Ramp()
    optics.ageing[2].go(to=0.4, over_s=0.0, now=0.0)
    worn = optics.at(1.0)
    assert worn.bias[1] > 1.3 * fresh.bias[1]
    assert worn.tx_power[1] == pytest.approx(fresh.tx_power[1], rel=0.05)
    optics.ageing[2].go(to=2.2, over_s=0.0, now=0.0)
    spent = optics.at(1.0)
    assert spent.bias[1] == pytest.approx(0.120, rel=0.02)
    assert spent.tx_power[1] < 0.6 * fresh.tx_power[1]
    assert spent.tx_fault == 0b10
    assert not optics.transmits(1.0)


def test_the_same_seed_makes_the_same_switch() -> None:
    made = [
        [
            (port.module.serial, port.module.behaviour.at(5.0))
            for port in FakeSwitch(6, load_quiet(), clock=lambda: 0.0).ports
        ]
        for _ in range(2)
    ]
    assert made[0] == made[1]
    other = FakeSwitch(6, load_quiet(), clock=lambda: 0.0, seed=99)
    assert [port.module.serial for port in other.ports] != [serial for serial, _ in made[0]]


def load_quiet() -> Scenario:
    return scenario.load("quiet")


def test_the_built_in_scenarios() -> None:
    assert set(scenario.names()) >= {"mixed", "quiet", "flapping", "storm"}
    for name in scenario.names():
        assert scenario.load(name).description.endswith(".")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("description = 1", "description: Input should be a valid string"),
        ('description = "x"\nmodules = ["nope"]', "unknown module 'nope'"),
        ('description = "x"\nmodules = ["sfp-10g-lr"]\n[[event]]\nkind = "nope"\nports = [1]', "event.0"),
        ("x = [", "Invalid value|Unclosed|Expected"),
    ],
)
def test_a_scenario_that_is_wrong_says_where(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        scenario.load(str(path))


def test_a_scenario_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ConfigError) as caught:
        scenario.load("nope")
    assert "mixed" in caught.value.hint


def test_a_quiet_switch_has_nothing_to_complain_of() -> None:
    simulation = Simulation(load_quiet(), ports=15)
    simulation.run(70)
    assert simulation.links == []
    assert not [event for _, event in simulation.events if isinstance(event, PollFailed | Discarded)]
    for port in simulation.switch.ports:
        reading = simulation.last(port.name)
        assert reading.unread == ()
        assert reading.errors == ()
        assert not [flag for flag, active in reading.flags.items() if active]
        assert not [flag for flag, lanes in reading.lane_flags.items() if lanes.active]
        assert port.module.complaints == []
    xd = simulation.last("Ethernet9")
    assert sorted(xd.lanes[q.RX_POWER]) == list(range(1, 17))
    assert {sample.lane for sample in xd.vdm if sample.observable == "snr_media_input"} == set(range(1, 17))


def test_families_beyond_pluggable_optics() -> None:
    simulation = Simulation(load_quiet(), ports=15)
    simulation.run(3)
    coherent = simulation.last("Ethernet11")
    assert coherent.tunable.get("current_frequency_hertz") == 193.4e12
    assert coherent.coherent["osnr_db"].get("value") == pytest.approx(35, abs=1.5)
    assert coherent.coherent["osnr_db"].get("avg") == pytest.approx(35, abs=1.5)
    assert coherent.coherent["cd_ps_per_nm"] == {"avg": 812.0, "min": 805.0, "max": 820.0}
    assert coherent.coherent["pre_fec_ber_ratio"].get("avg") == pytest.approx(8e-4, rel=0.6)
    assert coherent.coherent["uncorrected_frames_ratio"].get("avg") == 0.0
    cable = simulation.last("Ethernet12")
    assert cable.lanes.keys() == {q.HOST_SNR}
    assert {sample.observable for sample in cable.vdm} == {"snr_host_input", "pre_fec_ber_current_host_input"}
    engine = simulation.last("Ethernet13")
    assert sorted(engine.lanes[q.TX_POWER]) == sorted(engine.lanes[q.RX_POWER]) == list(range(1, 33))
    assert q.TX_BIAS not in engine.lanes
    source = simulation.last("Ethernet14")
    assert source.lanes == {}
    assert [(laser.laser, laser.state) for laser in source.lasers] == [(n, "on") for n in range(1, 9)]
    assert source.lasers[0].values[q.TX_POWER] == pytest.approx(0.1, rel=0.3)


def test_a_worn_laser_of_a_source_darkens_the_lanes_that_it_feeds() -> None:
    simulation = Simulation(load_quiet(), ports=15)
    simulation.run(2)
    before = simulation.last("Ethernet13").lanes[q.TX_POWER]
    worn = simulation.switch.ports[13].module.behaviour.ageing[3] = Ramp()
    worn.go(to=3.0, over_s=0.0, now=simulation.clock.now)
    simulation.run(2)
    after = simulation.last("Ethernet13").lanes[q.TX_POWER]
    assert [lane for lane in before if after[lane] < 0.5 * before[lane]] == [5, 6]
    laser = simulation.last("Ethernet14").lasers[2]
    assert laser.state == "off"
    simulation.switch.ports[14].module.remove()
    simulation.run(3)
    dark = simulation.last("Ethernet13").lanes[q.TX_POWER]
    assert [lane for lane in before if dark[lane] < 0.01 * before[lane]] == list(range(17, 33))


def test_a_mixed_day_is_seen_as_it_happens() -> None:
    simulation = Simulation(scenario.load("mixed"))
    simulation.run(120)
    changes = [event for _, event in simulation.of(ModuleEvent, "Ethernet6") if isinstance(event, ModuleEvent)]
    assert [event.change for event in changes] == [
        ModuleChange.INSERTED,
        ModuleChange.REMOVED,
        ModuleChange.SWAPPED,
    ]
    assert changes[-1].module.get("part_number") == "HT-QDD-400-FR4"
    removed_at = next(at for at, event in simulation.of(ModuleEvent, "Ethernet6") if event is changes[1])
    assert 25 <= removed_at <= 29
    aged = simulation.last("Ethernet1")
    assert aged.lane_flags[q.ALARM_FLAGS["tx_bias", "high_alarm"]].active == 0b0010
    assert aged.lane_flags[q.TX_FAULT].active == 0b0010
    hottest = max(reading.values.get(q.TEMPERATURE, 0.0) for reading in simulation.readings("Ethernet3"))
    assert 70 < hottest < 90
    dirty = simulation.last("Ethernet2")
    assert max(dirty.lanes[q.RX_POWER].values()) < 0.0003
    assert any(port == "Ethernet2" and not up for _, port, up in simulation.links)
    flaps = [at for at, port, up in simulation.links if port == "Ethernet4" and not up]
    assert 4 <= len(flaps) <= 12
    assert [event.reason for _, event in simulation.of(Discarded, "Ethernet7") if isinstance(event, Discarded)] == [
        "all_ff"
    ] * 3
    for port in simulation.switch.ports:
        assert port.module.complaints == []


def test_a_storm_takes_every_link_down_at_once_and_back() -> None:
    simulation = Simulation(scenario.load("storm"), ports=8)
    simulation.run(30)
    downs = {port: at for at, port, up in simulation.links if not up}
    assert len(downs) == 8
    assert max(downs.values()) - min(downs.values()) < 0.2
    assert all(port.link_up for port in simulation.switch.ports)
    dark = [reading for reading in simulation.readings("Ethernet1") if reading.lane_flags[q.RX_LOS].active]
    assert dark
    assert max(dark[0].lanes[q.RX_POWER].values()) == 0.0


def test_a_module_that_was_put_in_is_not_ready_at_once() -> None:
    clock = Clock()
    module = LiveModule(PRODUCTS["qsfpdd-400g-dr4"], serial="A", rng=random.Random(1), clock=clock, warm=False)
    assert module.write(0x50, b"\x00") is None  # in reset
    clock.now += 0.5
    assert module.transfer(0x50, b"\x03", 1) == b"\x04"  # ModulePwrUp
    assert module.transfer(0x50, b"\x0e", 4) == bytes(4)
    clock.now += 2.0
    assert module.transfer(0x50, b"\x03", 1) == b"\x06"  # ModuleReady
    assert module.transfer(0x50, b"\x08", 1) == b"\x01"  # and it says that its state changed, once
    assert module.transfer(0x50, b"\x08", 1) == b"\x00"
    assert module.transfer(0x50, b"\x0e", 2) != bytes(2)


async def test_it_runs_by_itself() -> None:
    switch = FakeSwitch(4, scenario.load("storm"))
    seen: list[str] = []
    switch.on_link(lambda port, _: seen.append(port))
    assert seen == ["Ethernet1", "Ethernet2", "Ethernet3", "Ethernet4"]
    task = asyncio.create_task(switch.run())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
