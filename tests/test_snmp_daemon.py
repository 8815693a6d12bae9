"""The daemon over fake agents in processes of their own: when it is ready, and a vendor that a user adds."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.daemon_process import DaemonProcess
from tests.mosquitto import free_port


def daemon(folder: Path, source: str) -> DaemonProcess:
    port = free_port()
    path = folder / "opticd.toml"
    path.write_text(
        f'[agent]\ndevice = "here"\nstate_dir = "{folder}/state"\n\n[[source]]\ntype = "snmp"\n{source}\n'
        f'[exporter.prometheus]\nlisten = "127.0.0.1:{port}"\n'
    )
    return DaemonProcess(path, port)


def test_it_is_ready_when_every_switch_was_asked_once(tmp_path: Path) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute,
    ):
        for sock in (silent, mute):
            sock.bind(("127.0.0.1", 0))
        targets = [f"a=127.0.0.1:{silent.getsockname()[1]}", f"b=127.0.0.1:{mute.getsockname()[1]}"]
        run = daemon(tmp_path, f"targets = {targets}\ntimeout = 1.5\nretries = 1\n")
        try:
            run.until(lambda: run.get("/-/healthy"))
            early, metrics = run.get("/-/ready"), run.get("/metrics")
            assert "opticd_source_up{" not in metrics
            assert early == ""
            run.until_ready()
            assert run.metric("opticd_source_up") == [0.0, 0.0]
        finally:
            assert run.end() == 0


ACME = """
name = "ACME-LANES-MIB"
reference = "made up"
[[table]]
entry = "1.3.6.1.4.1.99999.2.1"
index = ["if_index", "lane"]
identity = { serial_number = 8 }
[[table.value]]
quantity = "rx_power"
column = 3
unit = "0.01 dBm"
thresholds = { low_alarm = 4 }
[[table.value]]
quantity = "temperature"
column = 6
unit = "1/256 celsius"
"""
SWITCH = """
1.3.6.1.2.1.1.1.0|4|ACME Lightway 48
1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.99999.7
1.3.6.1.2.1.1.3.0|67|100000
1.3.6.1.2.1.2.2.1.2.7|4|port7
1.3.6.1.2.1.2.2.1.3.7|2|6
1.3.6.1.2.1.2.2.1.8.7|2|1
1.3.6.1.4.1.99999.2.1.3.7.1|2|-301
1.3.6.1.4.1.99999.2.1.3.7.2|2|-602
1.3.6.1.4.1.99999.2.1.4.7.1|2|-2000
1.3.6.1.4.1.99999.2.1.4.7.2|2|-2000
1.3.6.1.4.1.99999.2.1.6.7.1|2|10752
1.3.6.1.4.1.99999.2.1.6.7.2|2|11008
1.3.6.1.4.1.99999.2.1.8.7.1|4|SN0815
"""


def test_a_vendor_of_a_user_from_its_file_to_the_metrics(tmp_path: Path) -> None:
    (tmp_path / "vendors").mkdir()
    (tmp_path / "vendors" / "acme.toml").write_text(ACME)
    recording = tmp_path / "acme.snmprec"
    recording.write_text(SWITCH)
    command = [sys.executable, "-m", "fakes.snmp_agent", "127.0.0.1:0", str(recording)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as agent:
        try:
            assert agent.stdout is not None
            port = agent.stdout.readline().removeprefix("ready ").strip()
            run = daemon(tmp_path, f'targets = ["leaf-17=127.0.0.1:{port}"]\nvendors = "{tmp_path}/vendors"\n')
            try:
                run.until_ready()
                text = run.get("/probe?target=leaf-17")
            finally:
                assert run.end() == 0, run.said
        finally:
            agent.kill()
    assert 'serial_number="SN0815"' in text
    found = {series: float(value) for series, value in re.findall(r"^(xcvr_\S+) (\S+)$", text, re.MULTILINE)}
    for series, want in {
        'xcvr_rx_power_dbm{port="port7",lane="1"}': -3.01,
        'xcvr_rx_power_dbm{port="port7",lane="2"}': -6.02,
        'xcvr_temperature_celsius{port="port7"}': 43.0,  # the warmer lane
        'xcvr_temperature_celsius{port="port7",lane="1"}': 42.0,
        'xcvr_rx_power_threshold_dbm{port="port7",bound="low",severity="alarm"}': -20.0,
        'xcvr_link_up{port="port7"}': 1.0,
    }.items():
        assert found[series] == pytest.approx(want), series
