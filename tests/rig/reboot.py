"""Runs in the test VM after a restart of it: what the service did by itself, what it leaves when it goes.

The disk is the one that `observe.py` left; the observations go to /out/reboot.json.
"""

import json
import re
import shutil
import sys
from pathlib import Path

from tests.rig import vm
from tests.rig.vm import downs, sample, service, sh, temperature, wait

OBSERVED: dict[str, object] = {}
EXAMPLES = Path("/project/systemd")


def booted() -> None:
    """It is there before its bus and its links are."""
    wait("started with the system", lambda: service("ActiveState") == "active")
    chain = sh("systemd-analyze", "--no-pager", "critical-chain", "opticd.service")
    OBSERVED["chain"] = re.findall(r"[\w.-]+\.(?:service|target|socket)", chain)
    OBSERVED["after"] = service("After").split()
    vm.links()
    vm.plug()
    wait("temperature of the late bus", lambda: temperature() is not None)
    OBSERVED["temperature"] = temperature()
    OBSERVED["downs"] = [downs(), downs("Ethernet1")]


def isolated() -> None:
    """No network but the sockets that systemd opened: scraped and told of links all the same."""
    for name in ("opticd.socket", "opticd-links.socket"):
        shutil.copy(EXAMPLES / name, "/etc/systemd/system")
    vm.drop_in("isolated.conf", (EXAMPLES / "isolated.conf").read_text())
    sh("systemctl", "restart", "opticd")
    wait("temperature, isolated", lambda: temperature() is not None)
    own, host = (Path(f"/proc/{pid}/ns/net").stat().st_ino for pid in (service("MainPID"), "1"))
    OBSERVED["isolated_network"] = own != host
    before = downs() or 0.0
    sh("ip", "link", "set", "peer0", "down")
    sh("ip", "link", "set", "peer0", "up")
    wait("a flap, isolated", lambda: downs() == before + 1)
    OBSERVED["isolated_up"] = sample("xcvr_link_up", port=vm.PORT)
    sh("systemctl", "stop", "opticd.socket", "opticd-links.socket", "opticd.service")
    (vm.DROP_INS / "isolated.conf").unlink()
    for name in ("opticd.socket", "opticd-links.socket"):
        Path("/etc/systemd/system", name).unlink()
    sh("systemctl", "daemon-reload")


def beside_an_owner() -> None:
    """Another daemon's unit runs: its processes are hidden, it is found all the same."""
    sh("systemd-run", "--unit=pmon", "sleep", "1000")
    sh("systemctl", "restart", "opticd")
    OBSERVED["beside_an_owner"] = vm.journal("-u", "opticd", "-n", "20")
    sh("systemctl", "stop", "pmon")


def left() -> list[str]:
    """Files of this disk that are named for opticd, or stand below a folder that is."""
    return sh("find", "/", "-xdev", "-name", "*opticd*", "-not", "-path", "/project/*").split()


def removed() -> None:
    shutil.rmtree(vm.DROP_INS)
    sh("dpkg", "--force-unsafe-io", "-r", "opticd")
    OBSERVED["active_after_remove"] = service("ActiveState")
    OBSERVED["left_after_remove"] = left()
    sh("dpkg", "--force-unsafe-io", "-P", "opticd")
    OBSERVED["left_after_purge"] = left()


if __name__ == "__main__":
    try:
        booted()
        isolated()
        beside_an_owner()
        removed()
    except Exception as exc:  # noqa: BLE001 - whatever went wrong is what the host wants to read
        OBSERVED["failed"] = repr(exc)
    OBSERVED["journal"] = vm.journal("-u", "opticd")
    OBSERVED["denied"] = [line for line in vm.journal("-k").splitlines() if "type=1326" in line]
    Path("/out/reboot.json").write_text(json.dumps(OBSERVED, indent=1))
    sys.exit("failed" in OBSERVED)
