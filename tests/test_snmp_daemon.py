"""The daemon over fake agents in processes of their own: when it is ready."""

import socket
from pathlib import Path

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
