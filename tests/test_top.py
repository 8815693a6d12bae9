"""`opticd top` in a real terminal (tmux), against a real HTTP server."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent import quantities as q
from agent.model import AlertModule, LaneFlags, Module, PollFailed, Reading, Trouble
from agent.state import LinkState
from tests.conftest import ROOT
from tests.http_helpers import Served, alert, serving
from tests.tmux import Screen

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed (Debian: tmux)")

COLOURED = re.compile(r"\x1b\[(?:\d+;)*3[1-7]m")
LASER = {"high_alarm": 0.0025, "high_warning": 0.002, "low_warning": 0.0002, "low_alarm": 0.0001}
"""4, 3, -7 and -10 dBm."""


def reading(port: str, *, celsius: float = 41.5, rx: dict[int, float] | None = None) -> Reading:
    """A module of two lanes at 0 dBm."""
    return Reading(
        device="leaf-17",
        port=port,
        source="i2c:1",
        time=1795352400.0,
        module=Module(vendor_name="ACME", part_number="AC-DR2", serial_number=f"SN{port}", media="SMF"),
        module_state="ModuleReady",
        values={q.TEMPERATURE: celsius},
        lanes={q.RX_POWER: rx or {1: 0.001, 2: 0.001}, q.TX_BIAS: {1: 0.05, 2: 0.051}},
        lane_flags={q.RX_LOS: LaneFlags(3, 0)},
        data_path_states={1: 4, 2: 4},
        thresholds={
            q.RX_POWER: {**LASER},  # type: ignore[typeddict-item]  # the names are those of Bounds
            q.TEMPERATURE: {"high_alarm": 75.0, "high_warning": 70.0, "low_warning": 0.0, "low_alarm": -5.0},
        },
    )


def fill(served: Served, ports: int = 40) -> None:
    """Fine ports, but one that receives little on lane 2, with an alert, one that is mute, one that is empty."""
    for number in range(1, ports + 1):
        name = f"Ethernet{number}"
        served.hub.local.port(name).link = LinkState(up=True, transitions=1, up_since=0.0)
        served.hub.publish(reading(name))
    served.hub.publish(reading("Ethernet7", rx={1: 0.001, 2: 0.000125}))
    critical = replace(
        alert("rx_margin", port="Ethernet7", lane=2, severity="critical"),
        summary="Ethernet7 lane 2: received power is low.", cause="dirt or connector", time=1795352400.0,
        module=AlertModule(vendor_name="ACME"),
    )  # fmt: skip
    served.book.alerts = [critical]
    served.hub.publish(critical)
    served.hub.publish(
        PollFailed("leaf-17", "Ethernet9", 1.0, present=True, trouble=Trouble("bus_timeout", "mute"))
    )
    served.hub.publish(PollFailed("leaf-17", "Ethernet12", 1.0, present=False, trouble=Trouble("absent", "empty")))


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    async with serving() as served:
        fill(served)
        yield served


@contextmanager
def top(
    folder: Path, served: Served, *, size: tuple[int, int] = (80, 24), env: dict[str, str] | None = None
) -> Generator[Screen]:
    """`opticd top` in a terminal of this size."""
    command = (sys.executable, "-m", "agent.cli", "top", served.url(""))
    settings = {"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", **(env or {})}
    screen = Screen(folder, command, size=size, env=settings)
    try:
        yield screen
    finally:
        screen.close()


def row(lines: list[str], port: str) -> str:
    return next(line for line in lines if line.startswith(f"{port} "))


async def test_the_table_fits_80_by_24_and_shows_the_worst_port_first(tmp_path: Path, served: Served) -> None:
    with top(tmp_path, served) as screen:
        lines = await screen.until("Ethernet7", "live")
        assert len(lines) == 24
        assert max(map(len, lines)) <= 80
        assert lines[1].split() == ["40", "ports:", "1", "critical", "1", "unreadable", "37", "fine", "1", "empty"]
        assert lines[2].split() == ["PORT", "STATE▼", "TEMP", "RX", "dBm", "MARGIN", "FLAPS", "ALERTS", "WHY"]
        # 0.125 mW is -9.03 dBm, 0.97 dB above the low alarm of -10 dBm.
        assert lines[3].split()[:7] == ["Ethernet7", "critical", "41.5", "-9.0", "1.0", "0", "1"]
        assert " lane 2: received power" in lines[3]
        assert lines[4].split()[:2] == ["Ethernet9", "unreadable"]
        assert lines[5].split()[:2] == ["Ethernet1", "fine"]
        assert lines[6].split()[:2] == ["Ethernet2", "fine"]
        assert lines[-4].startswith("Ethernet7 critical  ACME AC-DR2 SNEthernet7")
        assert lines[-1] == " Enter port  / filter  s sort  r reverse  g grid  a alerts  ? help  q quit"


async def test_values_and_alerts_come_by_themselves(tmp_path: Path, served: Served) -> None:
    with top(tmp_path, served) as screen:
        await screen.until("Ethernet7")
        served.hub.publish(reading("Ethernet1", celsius=63.25))
        assert row(await screen.until("63.2"), "Ethernet1").split()[2] == "63.2"
        screen.press("a")
        lines = await screen.until("SEVERITY", "received power is low")
        assert "Likely: dirt or connector." in "\n".join(lines)
        other = replace(alert("hot", port="Ethernet3"), summary="Ethernet3: it is hot.", time=1795352500.0)
        served.hub.publish(other)
        lines = await screen.until("it is hot")
        assert [line.split()[0] for line in lines[3:5]] == ["critical", "warning"]
        served.hub.publish(replace(other, state="resolved"))
        await screen.until("received power is low", gone=["it is hot"])


async def test_a_wider_terminal_shows_more(tmp_path: Path, served: Served) -> None:
    with top(tmp_path, served) as screen:
        await screen.until("Ethernet7")
        screen.resize(200, 50)
        lines = await screen.until("PART NUMBER", "Ethernet40")
        assert len(lines) == 50
        assert row(lines, "Ethernet7").endswith("lane 2: received power is low.")
        screen.resize(80, 24)
        lines = await screen.until("Ethernet7", gone=["PART NUMBER"])
        assert max(map(len, lines)) <= 80
        screen.resize(30, 8)
        await screen.until("too small")
        screen.resize(80, 24)
        await screen.until("Ethernet7", "quit")


async def test_filter_and_sort(tmp_path: Path, served: Served) -> None:
    with top(tmp_path, served) as screen:
        await screen.until("Ethernet7")
        screen.press("/")
        screen.type("rx < -8 dBm")
        assert row(await screen.until("1 of 40", gone=["Ethernet1 "]), "Ethernet7")
        screen.press("Enter")
        await screen.until("1 of 40", "quit")
        screen.press("/", "C-u")
        screen.type("nonsense < 3")
        await screen.until("no 'nonsense' here")
        screen.press("Escape")
        served.hub.publish(reading("Ethernet31", celsius=59.0))
        lines = await screen.until("40 ports", "quit")
        screen.press("s", "s")  # by port, by temperature
        lines = await screen.until("TEMP▼", "59.0")
        assert [line.split()[0] for line in lines[3:5]] == ["Ethernet31", "Ethernet1"]
        screen.press("r")
        lines = await screen.until("TEMP▲", gone=["Ethernet31"])
        screen.press("End")
        await screen.until("Ethernet12 empty")  # what has no temperature comes last, whichever way


async def test_a_port_with_its_lanes_against_the_thresholds(tmp_path: Path, served: Served) -> None:
    with top(tmp_path, served) as screen:
        await screen.until("Ethernet7")
        screen.press("Enter")
        lines = await screen.until("LANE", "high alarm")
        text = "\n".join(lines)
        assert "Ethernet7 critical  ACME AC-DR2 SNEthernet7" in text
        lanes = [line for line in lines if re.match(r" +[12] +-?\d", line)]
        # 0 dBm is 10/14 of the way from -10 to 4 dBm; -9.03 dBm is below the warning of -7 dBm.
        assert [line.split()[:2] for line in lanes] == [["1", "0.00"], ["2", "-9.03w"]]
        assert [line.split("[")[1].split("]")[0].index("●") for line in lanes] == [int(10 / 14 * 15), 1]
        assert [line.split()[-2:] for line in lines if "low alarm" in line][-1] == ["low", "alarm"]
        assert re.search(r"temperature +41\.5 °C +\[.*●.*\] -5\.0 0\.0 70\.0 75\.0", text)
        served.hub.publish(reading("Ethernet7", celsius=44.5, rx={1: 0.001, 2: 0.0}))
        lines = await screen.until("44.5", "dark!")
        screen.press("Escape")
        await screen.until("STATE▼")


async def test_grid_of_512_ports(tmp_path: Path, served: Served) -> None:
    fill(served, 512)
    with top(tmp_path, served) as screen:
        await screen.until("512 ports")
        screen.press("g")
        lines = await screen.until("! 1 critical")
        cells = [line.removeprefix("Ethernet").strip() for line in lines[2:]]
        grid = [line.replace(" ", "") for line in cells if re.fullmatch(r"[!?._ ]+", line)]
        assert sum(map(len, grid)) == 512
        flat = "".join(grid)
        assert (flat[6], flat[8], flat[11], set(flat) - set(".")) == ("!", "?", "_", set("!?_"))
        screen.press("Home", "Right", "Right", "n")
        await screen.until("Ethernet7 critical")
        screen.press("Right")
        await screen.until("Ethernet8 fine")
        screen.press("Enter")
        await screen.until("LANE", "SNEthernet8")


async def test_it_says_when_the_daemon_is_away_and_finds_it_again(tmp_path: Path) -> None:
    async with serving() as first:
        fill(first)
        port = first.server.addresses[0][1]
        with top(tmp_path, first) as screen:
            await screen.until("live", "Ethernet7")
            await first.server.stop()
            lines = await screen.until("AWAY", "Connection refused")
            assert row(lines, "Ethernet7")  # what was known stays
            async with serving(listen=f"127.0.0.1:{port}") as second:
                fill(second, 5)
                await screen.until("live", "Ethernet5", gone=["AWAY", "Ethernet30"])


async def test_q_gives_the_terminal_back(tmp_path: Path, served: Served) -> None:
    with top(tmp_path, served) as screen:
        await screen.until("Ethernet7")
        screen.press("?")
        lines = await screen.until("Filters:", "any key back")
        assert max(map(len, lines)) <= 80
        screen.press("Escape")
        await screen.until("STATE▼")
        screen.press("q")
        await screen.until("ended with 0", gone=["Ethernet"])


async def test_colours_and_no_colours(tmp_path: Path, served: Served) -> None:
    with top(tmp_path, served, env={"TERM": "xterm-256color"}) as screen:
        await screen.until("Ethernet7")
        assert COLOURED.search("\n".join(screen.lines(escapes=True)))
    with top(tmp_path, served, env={"TERM": "xterm-256color", "NO_COLOR": "1"}) as screen:
        await screen.until("Ethernet7")
        screen.press("Enter")
        await screen.until("LANE")
        assert not COLOURED.search("\n".join(screen.lines(escapes=True)))


async def test_a_terminal_without_unicode(tmp_path: Path, served: Served) -> None:
    env = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    with top(tmp_path, served, env=env) as screen:
        await screen.until("Ethernet7", "STATEv")
        screen.press("Enter")
        lines = await screen.until("LANE", "[")
        assert "\n".join(lines).isascii()


# ---- without a terminal -----------------------------------------------------------------------------------


async def opticd_top(*arguments: str, code: str = "") -> tuple[int, str, str]:
    """Exit code, standard output, standard error; `code` runs before."""
    program = f"import sys; {code or 'pass'}\nfrom agent.cli import main\nsys.exit(main(['top', *sys.argv[1:]]))"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, *arguments, cwd=ROOT, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "COLUMNS": "120"},
    )  # fmt: skip
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_once(served: Served) -> None:
    code, out, err = await opticd_top("--once", served.url(""))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 41 + 3
    assert row(lines, "Ethernet7").split()[1:5] == ["critical", "41.5", "-9.0", "1.0"]
    assert lines[-1].split()[:1] == ["critical"]
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("arguments", "before", "code", "want"),
    [
        (("http://127.0.0.1:9",), "", 2, "opticd: error: opticd top needs a terminal\nopticd: hint: --once"),
        (
            ("--once", "http://127.0.0.1:9"), "", 1,
            "opticd: error: http://127.0.0.1:9: Connection refused\nopticd: hint: does opticd run there?",
        ),
        (("--once", "ftp://x"), "", 2, "opticd: error: 'ftp://x' is no address of a daemon"),
        (
            (), "sys.modules['rich'] = None", 1,
            "opticd: error: opticd top needs the package rich\nopticd: hint: pip install 'opticd[top]'\n",
        ),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_one_line(arguments: tuple[str, ...], before: str, code: int, want: str) -> None:
    found, out, err = await opticd_top(*arguments, code=before)
    assert (found, out) == (code, ""), err
    assert err.startswith(want), err
    assert "Traceback" not in err


async def test_a_server_that_is_not_opticd(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n[{"port": 1}]')
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        code, _, err = await opticd_top("--once", address)
    assert code == 1
    assert err.startswith(f"opticd: error: {address}: not what opticd says (0.device: Field required)")


async def test_it_can_be_suspended(tmp_path: Path, served: Served) -> None:
    with top(tmp_path, served, env={"SHELL": "/bin/sh"}) as screen:
        await screen.until("Ethernet7")
        child = await asyncio.to_thread(
            subprocess.check_output, ["pgrep", "-f", f"agent.cli top {served.url('')}$"], text=True
        )
        process = int(child.split()[0])
        os.kill(process, signal.SIGTSTP)
        await screen.until(gone=["Ethernet7"])
        os.kill(process, signal.SIGCONT)
        await screen.until("Ethernet7", "quit")
