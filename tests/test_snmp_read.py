"""`opticd read snmp:HOST`, the command, and what is left of a device that dies while it is read."""

import asyncio
import json
import sys
import time
from pathlib import Path

import pytest

from agent import quantities as q
from agent.errors import NotPermitted
from agent.model import Module, Reading
from drivers.snmp import rules
from drivers.snmp.client import Limits
from drivers.snmp.credentials import Credentials, make_user
from drivers.snmp.oneshot import read_device
from fakes.snmp_agent import Agent, Behaviour, Tables
from fakes.snmp_tables import SENSOR, Port, switch
from fakes.snmp_usm import AgentUser

MIBS = rules.load()


def table() -> Tables:
    optic = Reading(
        device="", port="", source="", time=0.0,
        module=Module(vendor_name="ACME", part_number="SFP", serial_number="SN1"),
        values={q.TEMPERATURE: 41.5}, lanes={q.RX_POWER: {1: 0.0}, q.TX_BIAS: {1: 0.03}},
    )  # fmt: skip
    return Tables(switch({index: Port(optic) for index in range(1, 5)} | {5: Port()}))


async def opticd(*arguments: str) -> tuple[int, str, str]:
    command = Path(sys.executable).with_name("opticd")
    process = await asyncio.create_subprocess_exec(
        str(command), "read", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_the_command_prints_one_document() -> None:
    agent = await Agent.start(table())
    code, out, err = await opticd(f"snmp:127.0.0.1:{agent.port}?device=leaf-1", "--format", "json")
    agent.stop()
    document = json.loads(out)
    assert (code, err, out.count("\n")) == (0, "", 1)
    assert (document["schema"], document["device"]) == ("opticd/device/1", "leaf-1")
    assert [port["port"] for port in document["ports"]] == [f"Ethernet{n}" for n in range(1, 6)]
    assert document["ports"][0]["lanes"][0]["rx_power_dbm"] == -40.0
    assert document["ports"][0]["link"]["if_index"] == 1
    assert document["ports"][4]["values"] == {}  # an empty cage
    assert "partial" not in document


async def test_a_cut_walk_prints_what_came_and_ends_with_1() -> None:
    agent = await Agent.start(table())
    agent.behaviour = Behaviour(loop_under=(*SENSOR, 4))
    code, out, err = await opticd(f"snmp:127.0.0.1:{agent.port}", "--format", "json")
    agent.stop()
    document = json.loads(out)
    assert code == 1
    assert document["partial"] is True
    assert "do not increase" in document["errors"][0]["detail"]
    assert document["ports"][0]["values"]["temperature_celsius"] == 41.5
    assert err.startswith("opticd: error: snmp:127.0.0.1")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("snmp:", "HOST, HOST:PORT"),
        ("snmp:1.2.3.4:99999", "HOST, HOST:PORT"),
        ("snmp:1.2.3.4?comunity=x", "did you mean 'community'"),
        ("snmp:1.2.3.4?auth=sha256", "belong to a user"),
        ("snmp:1.2.3.4?user=u&auth=sha3", "one of md5"),
        ("snmp:1.2.3.4?community_file=/nowhere", "No such file"),
    ],
)
async def test_mistakes_are_one_line_and_exit_2(source: str, words: str) -> None:
    code, out, err = await opticd(source)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


async def test_a_device_that_dies_leaves_what_it_said() -> None:
    agent = await Agent.start(table())
    agent.behaviour = Behaviour(die_after=24)
    began = time.monotonic()
    read = await read_device(
        "127.0.0.1", agent.port, Credentials(), name="d", mibs=MIBS, limits=Limits(timeout_s=0.05, retries=1)
    )
    agent.stop()
    assert time.monotonic() - began < 3.0
    document = read.document()
    assert document.get("partial") is True
    assert any(trouble.reason == "no_answer" for trouble in read.troubles)


async def test_silence_ends_within_its_limit() -> None:
    agent = await Agent.start(table())
    agent.behaviour = Behaviour(die_after=20)
    began = time.monotonic()
    limits = Limits(timeout_s=10.0, retries=10, silence_s=0.5)
    read = await read_device("127.0.0.1", agent.port, Credentials(), name="d", mibs=MIBS, limits=limits)
    agent.stop()
    assert read.troubles
    assert time.monotonic() - began < 3.0


async def test_a_wrong_password_is_told() -> None:
    agent = await Agent.start(table(), users=(AgentUser("monitor", "sha1", "authpass1234"),))
    with pytest.raises(NotPermitted, match="does not know the user"):
        await read_device(
            "127.0.0.1", agent.port, _user("nobody"), name="d", mibs=MIBS, limits=Limits(timeout_s=2.0)
        )
    agent.stop()


def _user(name: str) -> Credentials:
    return Credentials(user=make_user(name, auth="sha1", auth_password="authpass1234", priv="", priv_password=""))
