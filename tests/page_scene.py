"""A switch with a few sick ports, as the status page would show it, without the daemon.

python -m tests.page_scene [PORTS]      # serves it on a free port, with new readings every second
"""

import asyncio
import math
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agent import quantities as q
from agent.documents.reading import timestamp
from agent.model import (
    AlertEvent,
    DownCause,
    LaneFlags,
    PollFailed,
    Reading,
    Trouble,
    VdmSample,
)
from agent.quantities import Quantity
from agent.state import Hub, LinkChanged, LinkState
from benchmarks.synthetic import Switch
from exporters.http.api import Document
from tests.http_helpers import Book, Served, alert, serving

DIRTY, HOT, MUTE, FLAPPING, AGEING = "Ethernet3/5", "Ethernet2/9", "Ethernet5/2", "Ethernet1/7", "Ethernet4/12"
EMPTY = {"Ethernet8/61", "Ethernet8/62", "Ethernet8/63", "Ethernet8/64"}


class Scene:
    """`ports` ports in line cards of 64; `now` is Unix seconds."""

    def __init__(self, served: Served, ports: int, *, now: float) -> None:
        self.hub: Hub = served.hub
        self._book: Book = served.book
        self._random = random.Random(4)
        switch = Switch(ports=ports)
        self._first = list(switch.readings(now))
        self._names = [f"Ethernet{at // 64 + 1}/{at % 64 + 1}" for at in range(ports)]
        self._base = {name: self._random.gauss(0, 1) for name in self._names}
        self._now = now
        for at, name in enumerate(self._names):
            self.hub.local.port(name).link = LinkState(
                up=name not in EMPTY and at % 97 != 41, admin_up=at % 97 != 41 or at % 2 == 0,
                last_change=now - 3600, transitions=1, up_since=0.0, up_seconds=3600.0,
            )  # fmt: skip
            self.hub.publish(LinkChanged(self.hub.local.device, name))
        self.step(now)
        self._trouble(now)

    def step(self, now: float) -> None:
        """A new reading of every port that has one."""
        for name, first in zip(self._names, self._first, strict=True):
            if name in EMPTY:
                trouble = Trouble("absent", "nothing acknowledges address 50h")
                self.hub.publish(PollFailed(first.device, name, now, present=False, trouble=trouble))
            elif name == MUTE:
                trouble = Trouble("bus_timeout", "no answer within 2.0 s (reading bytes 14-31 of lower memory)")
                self.hub.publish(PollFailed(first.device, name, now, present=True, trouble=trouble))
            else:
                self.hub.publish(self.reading(name, first, now))

    def reading(self, name: str, first: Reading, now: float) -> Reading:
        """Values that wander a little around those of their port."""
        base, noise = self._base[name], self._random.gauss
        lanes = range(1, 9)
        tx = {lane: 1.25e-3 * (1 + 0.04 * base + 0.02 * math.sin(lane * 3 + base)) for lane in lanes}
        rx = {lane: 0.78e-3 * (1 + 0.08 * base + 0.06 * math.sin(lane * 5 + base)) for lane in lanes}
        bias = {lane: 0.0712 * (1 + 0.03 * base + 0.01 * math.sin(lane)) for lane in lanes}
        decades = dict.fromkeys(lanes, -9.2 - 0.2 * base)
        temperature = 46.0 + 2.0 * base
        if name == DIRTY:
            rx[3], decades[3] = 0.79e-4, -4.47
        if name == AGEING:
            bias[6], tx[6] = 0.1152, 0.00081
        if name == HOT:
            temperature = 71.5
        link = self.hub.local.port(name).link
        if link is not None and not link.up:
            rx = dict.fromkeys(lanes, 0.0)
        dark = sum(1 << lane - 1 for lane, watts in rx.items() if watts < 1e-5)
        return replace(
            first,
            port=name,
            time=now,
            source=f"i2c:{1 + self._names.index(name)}",
            values={
                q.TEMPERATURE: temperature + noise(0, 0.1),
                q.SUPPLY_VOLTAGE: 3.29 + 0.01 * base,
                q.LASER_TEMPERATURE: 48 + base,
            },
            lanes={
                q.TX_POWER: {lane: watts * noise(1, 0.003) for lane, watts in tx.items()},
                q.RX_POWER: {lane: watts * noise(1, 0.005) for lane, watts in rx.items()},
                q.TX_BIAS: {lane: amperes * noise(1, 0.001) for lane, amperes in bias.items()},
            },
            flags={q.ALARM_FLAGS["temperature", "high_warning"]: name == HOT},
            lane_flags={**first.lane_flags, q.RX_LOS: LaneFlags(255, dark), q.TX_FAULT: LaneFlags(255, 0)},
            unread=("laser_temperature_celsius",) if name == AGEING else (),
            vdm=tuple(
                VdmSample("pre_fec_ber_current_media_input", lane, 1, 10 ** (power + noise(0, 0.05)), "ratio")
                for lane, power in decades.items()
            ),
        )

    def _trouble(self, now: float) -> None:
        flapping = self.hub.local.port(FLAPPING).link
        if flapping is not None:
            flapping.transitions, flapping.last_change = 9, now - 40
            flapping.down_events[DownCause.UNINTENTIONAL] = 4
        self.hub.publish(LinkChanged(self.hub.local.device, FLAPPING))
        for ago in (5200, 2900, 700, 44):
            self._flap(now - ago)
        self._say(
            alert("rx_power_low", port=DIRTY, lane=3, severity="critical"),
            now - 340,
            f"{DIRTY} lane 3: received power -11.02 dBm is below the low alarm -10.00 dBm",
            cause="dirty connector: one lane, slow decline",
            value=-11.02,
            unit="dbm",
            threshold=-10.0,
            evidence={"rx_power_watts": 7.9e-05, "sisters_median_watts": 7.8e-04},
        )
        text = f"{HOT}: temperature 71.5 degC is above the high warning 70.0 degC"
        self._say(alert("temperature_near_warning", port=HOT), now - 900, text)
        text = f"{AGEING} lane 6: bias 21 % above its baseline, 12 days to its high alarm"
        self._say(alert("bias_drift", port=AGEING, lane=6), now - 7200, text, cause="ageing laser")
        text = f"{MUTE}: 5 polls failed: no answer within 2.0 s"
        self._say(alert("module_unreadable", port=MUTE), now - 60, text)
        self._say(alert("flaps", port=FLAPPING, severity="critical"), now - 40, f"{FLAPPING}: 4 flaps in 24 h")

    def _flap(self, when: float) -> None:
        """A link down and up again, with what was seen around it."""
        shots = [
            {
                "time": timestamp(when - 3 + second),
                "temperature_celsius": 47.2,
                "rx_power_dbm": [-1.2, -1.3, power],
                "tx_power_dbm": [0.8, 0.9, 0.7],
            }
            for second, power in enumerate((-1.3, -2.0, -5.5, -40.0, -40.0))
        ]
        evidence = {
            "reasons": ["rx power of lane 3 fell by 38.7 dB within 3 s", "tx power and bias did not move"],
            "before": shots[:3],
            "after": shots[3:],
            "flags": [{"flag": "rx_los", "lane": 3, "time": timestamp(when)}],
            "lanes_affected": [3],
        }
        down = alert("link_down", port=FLAPPING, severity="critical")
        text = f"{FLAPPING}: link down, light fell on lane 3 first"
        self._say(down, when, text, cause="fibre or remote laser", evidence=evidence)
        self._say(replace(down, state="resolved"), when + 4, f"{FLAPPING}: link up after 4 s")

    def _say(self, event: AlertEvent, when: float, summary: str, **more: Any) -> None:
        """Raise or end an alert, if its port exists."""
        if event.port not in self._names:
            return
        event = replace(event, id=f"{event.rule}{when}", time=when, summary=summary, **more)
        key = (event.port, event.rule, event.lane)
        self._book.alerts = [each for each in self._book.alerts if (each.port, each.rule, each.lane) != key]
        if event.state == "firing":
            self._book.alerts.append(event)
        self.hub.publish(event)


class Hour:
    """An hour of history of any port, around what it has now."""

    def __init__(self) -> None:
        self.hub: Hub | None = None

    def samples(self, device: str, port: str) -> Sequence[Document]:
        reading = self.hub.device(device).port(port).reading if self.hub else None
        if reading is None:
            return ()
        rnd = random.Random(port)
        return [self._sample(reading, second, rnd) for second in range(-3600, 0, 20)]

    def _sample(self, reading: Reading, second: int, rnd: random.Random) -> Document:
        wave = math.sin(second / 600)
        share = -second / 3600

        def moved(lane: int, quantity: Quantity, swing: float) -> float:
            dirt = 8.0 * share**2 if (reading.port, lane, quantity) == (DIRTY, 3, q.RX_POWER) else 0.0
            return reading.lanes[quantity][lane] * (1 + swing * wave + rnd.gauss(0, swing / 8) + dirt)

        worst = max((each.value for each in reading.vdm), default=1e-12)
        return {
            "time": timestamp(reading.time + second),
            "temperature_celsius": reading.values[q.TEMPERATURE] + wave + rnd.gauss(0, 0.08),
            "pre_fec_ber_ratio": worst * 10 ** (0.3 * wave + rnd.gauss(0, 0.05)),
            "lanes": [
                {
                    "lane": lane,
                    "rx_power_dbm": q.dbm(moved(lane, q.RX_POWER, 0.01)),
                    "tx_bias_amperes": moved(lane, q.TX_BIAS, 0.004),
                }
                for lane in reading.lanes.get(q.RX_POWER, {})
            ],
        }


async def main(ports: int) -> None:
    """Serve a scene until interrupted."""
    hour = Hour()
    async with serving(listen="127.0.0.1:18200", history=hour) as served:
        hour.hub = served.hub
        scene = Scene(served, ports, now=time.time())
        sys.stdout.write(served.url("/") + "\n")
        sys.stdout.flush()
        while True:
            await asyncio.sleep(1.0)
            scene.step(time.time())


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 512))
