"""Reliability figures by HTTP: what was counted, by what, and the bound that can be looked up in a table."""

from typing import cast

import aiohttp
import pytest

from agent.model import DownCause, Module, Reading
from agent.state import LinkState
from tests.http_helpers import Served, serving

HOUR = 3600.0


def _link(
    served: Served,
    port: str,
    module: Module | None,
    *,
    hours: float,
    downs: int = 0,
    device: str = "leaf-17",
) -> None:
    state = served.hub.device(device).port(port)
    state.link = LinkState(up=True, up_seconds=hours * HOUR)
    state.link.down_events[DownCause.UNINTENTIONAL] = downs
    state.link.down_events[DownCause.ADMIN] = 7  # meant: no flap
    if module is not None:
        served.hub.publish(Reading(device, port, "fake:1", 1.0, module))


async def _get(served: Served, path: str) -> dict[str, object]:
    async with aiohttp.ClientSession() as session, session.get(served.url(path)) as response:
        assert response.status == 200
        found: dict[str, object] = await response.json()
        return found


async def test_hours_and_flaps_by_part_vendor_kind_port_and_all_together() -> None:
    async with serving() as served:
        acme = Module(vendor_name="ACME", part_number="A1", form_factor="OSFP")
        _link(served, "p1", acme, hours=600.0, downs=1)
        _link(served, "p2", acme, hours=400.0)
        _link(served, "p3", Module(vendor_name="OTHER", part_number="O1", form_factor="SFP"), hours=100.0)
        _link(served, "far", None, hours=50.0, device="switch")
        found = await _get(served, "/api/v1/reliability")
        assert (found["schema"], found["confidence"]) == ("opticd/reliability/1", 0.95)
        # Upper 95 % bounds of the mean of 0 and of 1 counted event (Poisson tables): 2.9957 and 4.7439.
        assert found["parts"] == [
            {
                "vendor_name": "OTHER", "part_number": "O1", "links": 1, "link_hours": 100.0,
                "unintentional_downs": 0, "link_hours_per_down_lower95": pytest.approx(33.381, rel=1e-4),
            },
            {
                "vendor_name": "ACME", "part_number": "A1", "links": 2, "link_hours": 1000.0,
                "unintentional_downs": 1, "link_hours_per_down": 1000.0,
                "link_hours_per_down_lower95": pytest.approx(210.80, rel=1e-4),
            },
        ]  # fmt: skip
        assert found["fleet"] == {
            "links": 4, "link_hours": 1150.0, "unintentional_downs": 1, "link_hours_per_down": 1150.0,
            "link_hours_per_down_lower95": pytest.approx(242.42, rel=1e-4),
        }  # fmt: skip
        ports = cast("list[dict[str, object]]", found["ports"])
        assert {port["port"] for port in ports} == {"p1", "p2", "p3", "far"}
        mine = await _get(served, "/api/v1/reliability?device=switch")
        assert mine["parts"] == []
        assert isinstance(mine["fleet"], dict)
        assert mine["fleet"]["links"] == 1


async def test_a_port_has_its_own_and_none_without_a_link() -> None:
    async with serving() as served:
        _link(served, "p1", None, hours=10.0, downs=2)
        served.hub.publish(Reading("leaf-17", "dark", "fake:2", 1.0, Module()))
        port = await _get(served, "/api/v1/ports/p1")
        assert port["reliability"] == {
            "device": "leaf-17", "port": "p1", "links": 1, "link_hours": 10.0, "unintentional_downs": 2,
            "link_hours_per_down": 5.0, "link_hours_per_down_lower95": pytest.approx(10.0 / 6.2958, rel=1e-4),
        }  # fmt: skip
        assert "reliability" not in await _get(served, "/api/v1/ports/dark")
        empty = await _get(served, "/api/v1/reliability?device=leaf-17")
        assert isinstance(empty["parts"], list)
    async with serving() as served:
        nothing = await _get(served, "/api/v1/reliability")
        assert nothing["fleet"] == {
            "links": 0, "link_hours": 0.0, "unintentional_downs": 0, "link_hours_per_down_lower95": 0.0,
        }  # fmt: skip
