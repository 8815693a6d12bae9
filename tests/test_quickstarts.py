"""The quick starts followed to the letter: every command and config of the page, in order, against fake devices.

What stands for the page's surroundings: its addresses and devices are replaced by those of the fakes, `sudo` is
nobody, and `systemctl` starts `opticd run` with the config that the page shows. The page's text is not changed.
"""

import asyncio
import contextlib
import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
import redis.asyncio as redis

from fakes.live import LiveModule
from fakes.products import PRODUCTS
from fakes.serial_bridges import i2c_driver
from fakes.serial_pty import SerialLine
from fakes.snmp_agent import Agent, Tables
from fakes.snmp_tables import Port, switch
from fakes.sonic import FakeXcvrd
from tests.conftest import ROOT
from tests.mosquitto import free_port
from tests.netns import namespace, needs_root
from tests.test_fleet import optic
from tests.test_sonic import redis_server

FENCE: Final = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
SUDO: Final = '#!/bin/sh\nexec "$@"\n'
SYSTEMCTL: Final = """#!/bin/sh
case "$*" in
    "enable opticd") ;;
    "restart opticd") opticd run --config "$CONFIG" >"$LOG" 2>&1 & ;;
    *) exit 64 ;;
esac
"""
MOST_S: Final = 60.0


@dataclass
class Reader:
    """Somebody who follows a page. `stands_for` is what they have in place of the page's own names."""

    folder: Path
    stands_for: dict[str, str] = field(default_factory=dict[str, str])
    inside: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    said: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    _shells: list["subprocess.Popen[bytes]"] = field(default_factory=list["subprocess.Popen[bytes]"])

    def follow(self, page: str) -> None:
        """Do what the page says; every block of commands must end with 0."""
        tools = self.folder / "bin"
        tools.mkdir()
        for name, script in (("sudo", SUDO), ("systemctl", SYSTEMCTL)):
            (tools / name).write_text(script)
            (tools / name).chmod(stat.S_IRWXU)
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        for language, block in FENCE.findall(text):
            if language == "toml":
                state = f'state_dir = "{self.folder / "state"}"\n'
                config = self._own(block)
                config = config.replace("[agent]\n", f"[agent]\n{state}", 1)
                self.config.write_text(config if "[agent]" in config else f"[agent]\n{state}{config}")
            elif language == "sh":
                self.type(block)
                if "opticd run" in block or "systemctl" in block:
                    self.type(f"until curl -fs http://127.0.0.1:{self.port}/-/ready; do sleep 0.2; done")

    @property
    def config(self) -> Path:
        return self.folder / "opticd.toml"

    def output(self, words: str) -> str:
        """What a block of commands printed."""
        return next(out for block, out in reversed(self.said) if words in block)

    def _own(self, text: str) -> str:
        names = {
            "127.0.0.1:10800": f"127.0.0.1:{self.port}",
            '":10800"': f'"127.0.0.1:{self.port}"',
            "/etc/opticd/opticd.toml": str(self.config),
            "opticd top --once": f"opticd top --once http://127.0.0.1:{self.port}",
        }
        for word, own in (names | self.stands_for).items():
            text = text.replace(word, own)
        return text

    def type(self, block: str) -> None:
        """Once; what only looks at the daemon, again until it has something to show."""
        block = self._own(block)
        tries = 20 if block.startswith(("curl", "opticd top")) else 1
        while (code := self._run(block)) and tries > 1:
            tries -= 1
            time.sleep(1.0)
        assert code == 0, f"{block}\nended with {code}:\n{self.said[-1][1]}"

    def _run(self, block: str) -> int:
        path = os.pathsep.join((str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]))
        log = str(self.folder / "daemon.log")
        with (self.folder / "out").open("w+b") as out:
            shell = subprocess.Popen(
                [*self.inside, "bash", "-euo", "pipefail", "-c", block], cwd=self.folder, start_new_session=True,
                env={**os.environ, "PATH": path, "CONFIG": str(self.config), "LOG": log},
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
            self._shells.append(shell)
            code = shell.wait(MOST_S)
            out.seek(0)
            self.said.append((block, out.read().decode()))
        return code

    def end(self) -> None:
        """Stop what runs on in the background."""
        for shell in self._shells:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGTERM)


@pytest.fixture(name="reader")
def somebody(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    try:
        yield reader
    finally:
        reader.end()


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@needs_curl
def test_lab_bench(reader: Reader) -> None:
    device = LiveModule(PRODUCTS["qsfpdd-400g-dr4"], serial="BENCH1", rng=random.Random(1))
    line = SerialLine(reader.folder / "ttyUSB0", i2c_driver([device]), baud=1_000_000)
    reader.stands_for["/dev/ttyUSB0"] = str(line.path)
    try:
        reader.follow("quickstart-bench.md")
    finally:
        reader.end()
        line.close()
    assert "BENCH1" in reader.output("opticd read")
    assert json.loads(reader.output("decode").splitlines()[-1])["module"]["serial_number"] == "BENCH1"
    assert 'port="dut"' in reader.output("xcvr_temperature")


@needs_curl
async def test_switches_over_snmp(reader: Reader) -> None:
    agent = await Agent.start(Tables(switch({1: Port(optic(1)), 2: Port()})))
    reader.stands_for["10.0.0.17"] = f"127.0.0.1:{agent.port}"
    try:
        await asyncio.to_thread(reader.follow, "quickstart-snmp.md")
    finally:
        agent.stop()
    assert "SN1" in reader.output("opticd read")
    assert 'xcvr_up{port="Ethernet1"} 1' in reader.output("/probe")
    assert "leaf-17" in reader.output("opticd top")


@needs_curl
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
async def test_sonic_switch(reader: Reader) -> None:
    path = reader.folder / "redis.sock"
    with redis_server(path):
        clients = [redis.Redis(unix_socket_path=str(path), db=number, decode_responses=True) for number in range(7)]
        xcvrd = FakeXcvrd(clients.__getitem__)
        await xcvrd.link("Ethernet0", up=True)
        await xcvrd.insert("Ethernet0", optic(4))
        reader.stands_for["sonic:"] = f"sonic:{path}"
        reader.stands_for['type = "sonic"'] = f'type = "sonic"\nredis = "{path}"'
        try:
            await asyncio.to_thread(reader.follow, "quickstart-sonic.md")
        finally:
            reader.end()
            for client in clients:
                await client.aclose()
    assert "SN4" in reader.output("opticd read")
    assert 'xcvr_link_up{port="Ethernet0"} 1' in reader.output("xcvr_")


@needs_curl
@needs_root
def test_gpu_host(reader: Reader) -> None:
    """As far as a veth goes: a card without a cage; modules of cards are read in tests/test_ethtool.py."""
    with namespace() as ns:
        ns.ip("link set lo up")
        ns.pair("eth2", "far")
        ns.ip("link set eth2 up")
        reader.inside = ("ip", "netns", "exec", ns.name)
        reader.stands_for["opticd scan"] = "opticd scan || test $? = 1"
        reader.stands_for["opticd read ethtool:eth2"] = "opticd read ethtool:eth2 || test $? = 1"
        reader.stands_for['netdev = "*"'] = 'netdev = "eth2"'
        try:
            reader.follow("quickstart-gpu-host.md")
        finally:
            reader.end()
    assert "opticd: error: " in reader.output("opticd read")
    assert 'xcvr_link_up{port="eth2"} 1' in reader.output("xcvr_")


@needs_curl
@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
@pytest.mark.skipif(shutil.which("mosquitto_sub") is None, reason="mosquitto_sub is not installed")
def test_the_demo_and_what_the_readme_shows_beside_it(reader: Reader) -> None:
    (reader.folder / "bin").mkdir()
    first = FENCE.findall((ROOT / "docs" / "index.md").read_text(encoding="utf-8"))[0][1].strip()
    log = reader.folder / "demo.log"
    log.touch()
    reader.type(f"{first} --listen 127.0.0.1:{reader.port} >{log} &")
    for _ in range(100):
        if broker := re.search(r"broker +mqtt://127\.0\.0\.1:(\d+)", log.read_text()):
            break
        time.sleep(0.2)
    else:
        pytest.fail(log.read_text())
    reader.stands_for |= {
        "-p PORT -v": f"-p {broker[1]} -v -C 1 -W 30",
        "opticd top  ": f"opticd top --once http://127.0.0.1:{reader.port} ",
    }
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (shown,) = (block for _, block in FENCE.findall(readme) if "promtool" in block)
    for line in shown.splitlines():
        reader.type(line)
    assert "opticd/demo/" in reader.output("mosquitto_sub")
    assert "Ethernet1 " in reader.output("opticd top")
