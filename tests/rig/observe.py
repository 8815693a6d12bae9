"""Runs in the test VM as root: installs the package, plays with its bus and links, writes down what the daemon did.

Needs only the guest's Python. `/project` holds two revisions of the package and the module images; the
observations go to /out/observe.json, where tests/test_rig.py judges them. `reboot.py` goes on from its disk.
"""

import json
import os
import sys
import time
from pathlib import Path

from tests.rig import vm
from tests.rig.vm import downs, order, sample, service, sh, temperature, wait

OBSERVED: dict[str, object] = {}
I2C_DEV = Path("/sys/module/i2c_dev")
FIRST, SECOND = sorted(str(path) for path in Path("/project").glob("opticd_*.deb"))
CREDENTIALS = """[Service]
LoadCredential=mqtt-password:/root/mqtt-password
LoadCredential=web.key:/root/web.key
LoadCredential=web.crt:/project/web.crt
"""
SECURE = """
web_config = "/etc/opticd/web.yml"

[exporter.mqtt]
url = "mqtt://127.0.0.1:1883"
username = "opticd"
password_file = "/run/credentials/opticd.service/mqtt-password"
"""
WEB = """tls_server_config:
  cert_file: /run/credentials/opticd.service/web.crt
  key_file: /run/credentials/opticd.service/web.key
"""
BROKER = """listener 1883 127.0.0.1
allow_anonymous false
password_file /run/fake/users
"""


def configure(*parts: str) -> None:
    vm.CONFIG.write_text("\n".join((vm.BASIC.format(bus=vm.bus()), *parts)))


def install() -> None:
    """The unit as shipped, but a denied system call kills it, and an emulated CPU has time to start."""
    vm.drop_in("strict.conf", "[Service]\nSystemCallErrorNumber=kill\nTimeoutStartSec=300\n")
    sh("systemctl", "unmask", "modprobe@.service")  # the VM's image masks it for a quicker start
    sh("modprobe", "-r", "i2c_dev")
    before = I2C_DEV.exists()
    OBSERVED["install_seconds"] = vm.timed("dpkg", "--force-unsafe-io", "-i", FIRST)
    OBSERVED["i2c_dev_loaded"] = [before, I2C_DEV.exists()]
    OBSERVED["enabled"] = sh("systemctl", "is-enabled", "opticd")
    OBSERVED["active"] = service("ActiveState")
    OBSERVED["version"] = sh("opticd", "--version")
    OBSERVED["top"] = sh("opticd", "top", "--once", "http://127.0.0.1:10800")


def first_start() -> None:
    """A config, and the first reading."""
    configure()
    OBSERVED["start_seconds"] = vm.timed("systemctl", "restart", "opticd")
    wait("first temperature", lambda: temperature() is not None)
    OBSERVED["temperature"] = temperature()
    wait("data path pages", lambda: sample("xcvr_rx_power_watts", port=vm.PORT, lane="1") is not None)
    OBSERVED["rx_power_lane1"] = sample("xcvr_rx_power_watts", port=vm.PORT, lane="1")
    process = f"/proc/{service('MainPID')}"
    OBSERVED["user"] = int(sh("stat", "-c", "%u", process))
    OBSERVED["group"] = sh("stat", "-c", "%G %a", vm.bus())
    OBSERVED["seccomp"] = sh("grep", "-E", "^(Seccomp|NoNewPrivs|CapEff):", f"{process}/status").split()
    OBSERVED["process_metrics"] = sample("process_resident_memory_bytes") is not None


def module(fake: vm.Fake) -> vm.Fake:
    """What can happen to a module and its bus; the fake that is left."""
    order("set 0x50 - 14 1900")
    wait("25 degrees", lambda: temperature() == 25.0)
    OBSERVED["temperature_after_set"] = temperature()

    order("nak 0x50 60")
    wait("errors counted", lambda: (sample("xcvr_poll_errors_total", port=vm.PORT) or 0) > 0)
    wait("up after the burst", lambda: sample("xcvr_up") == 1.0)
    OBSERVED["temperature_after_nak"] = temperature()

    order("stall 2")
    wait("bus recovered", lambda: (sample("xcvr_bus_recoveries_total") or 0) > 0 and sample("xcvr_up") == 1.0)
    OBSERVED["temperature_after_stall"] = temperature()

    order("load /project/other.json")
    wait("swap seen", lambda: sample("xcvr_module_swaps_total") == 1.0)
    wait("new serial", lambda: sample("xcvr_module_info", serial_number="SWAPPED0002") == 1.0)
    OBSERVED["temperature_after_swap"] = temperature()

    before = vm.bus()
    order("unplug")
    fake.wait(20)
    wait("seen as gone", lambda: sample("xcvr_up") == 0.0)
    OBSERVED["series_after_unplug"] = temperature()
    fake = vm.plug()
    OBSERVED["bus_after_replug"] = vm.bus() == before
    OBSERVED["replug_seconds"] = wait("temperature after replug", lambda: temperature() is not None)
    return fake


def links() -> None:
    """Flaps of a cable, then those of a dummy interface that a reload of the config brought."""
    for _ in range(3):
        sh("ip", "link", "set", "peer0", "down")
        sh("ip", "link", "set", "peer0", "up")
    wait("three flaps", lambda: downs() == 3.0)
    OBSERVED["link_transitions"] = sample("xcvr_link_transitions_total", port=vm.PORT)

    process = service("MainPID")
    configure(vm.DUMMY)
    sh("systemctl", "reload", "opticd")
    wait("port of the new config", lambda: sample("xcvr_link_up", port="Ethernet1") == 1.0)
    for _ in range(2):
        sh("ip", "link", "set", "dummy0", "carrier", "off")
        sh("ip", "link", "set", "dummy0", "carrier", "on")
    wait("two flaps", lambda: downs("Ethernet1") == 2.0)
    configure("[nonsense]")
    sh("systemctl", "reload", "opticd")
    wait("refused", lambda: sample("opticd_config_reload_success") == 0.0)
    OBSERVED["after_bad_reload"] = [sample("xcvr_link_up", port="Ethernet1"), service("MainPID") == process]
    configure(vm.DUMMY)


def endings() -> None:
    """Killed, upgraded, hung: each time another process, and what it counted is kept."""
    os.kill(int(service("MainPID")), 9)
    wait("restarted", lambda: service("NRestarts") == "1" and service("ActiveState") == "active")
    wait("temperature after kill", lambda: temperature() is not None)
    OBSERVED["temperature_after_kill"] = temperature()

    OBSERVED["upgrade_seconds"] = vm.timed("dpkg", "--force-unsafe-io", "-i", SECOND)
    OBSERVED["upgraded"] = [sh("dpkg-query", "-W", "-f", "${Version}", "opticd"), service("ActiveState")]
    wait("temperature after upgrade", lambda: temperature() is not None)
    OBSERVED["downs_after_upgrade"] = [downs(), downs("Ethernet1")]

    before = int(service("NRestarts"))
    os.kill(int(service("MainPID")), 19)  # SIGSTOP: alive and silent, as a hung process is
    OBSERVED["watchdog_seconds"] = wait("watchdog", lambda: int(service("NRestarts")) == before + 1)
    wait("active after watchdog", lambda: service("ActiveState") == "active")
    wait("temperature after watchdog", lambda: temperature() is not None)


def credentials() -> None:
    """The broker's password and the certificate's key come from systemd; nobody but root can read the files."""
    Path("/root/mqtt-password").write_text("Sesame-In-The-VM\n")
    Path("/root/web.key").write_text(Path("/project/web.key").read_text())
    for name in ("mqtt-password", "web.key"):
        Path("/root", name).chmod(0o600)
    Path("/etc/opticd/web.yml").write_text(WEB)
    (vm.RUN / "broker.conf").write_text(BROKER)
    sh("mosquitto_passwd", "-c", "-b", "/run/fake/users", "opticd", "Sesame-In-The-VM")
    sh("chown", "-R", "mosquitto:", "/run/fake/users")
    sh("chmod", "o+x", "/run/fake")
    sh("mosquitto", "-d", "-c", "/run/fake/broker.conf")
    vm.drop_in("credentials.conf", CREDENTIALS)
    configure(vm.DUMMY, '[exporter.prometheus]\nlisten = "127.0.0.1:10800"', SECURE)
    sh("systemctl", "restart", "opticd")
    wait("broker reached", lambda: sample("opticd_mqtt_connected", tls=True) == 1.0)
    OBSERVED["downs_over_tls"] = sample(
        "xcvr_link_down_events_total", tls=True, port=vm.PORT, cause="unintentional"
    )
    OBSERVED["plain_http"] = sample("xcvr_up")


def stop() -> None:
    started = time.monotonic()
    sh("systemctl", "stop", "opticd")
    OBSERVED["stop_seconds"] = round(time.monotonic() - started, 1)
    OBSERVED["result"] = service("Result")
    (vm.DROP_INS / "credentials.conf").unlink()
    configure(vm.DUMMY)


def main() -> None:
    vm.links()
    install()
    fake = vm.plug()
    first_start()
    fake = module(fake)
    links()
    endings()
    credentials()
    stop()
    OBSERVED["messages"] = [json.loads(line) for line in (vm.RUN / "log.jsonl").read_text().splitlines()][-4000:]
    fake.terminate()
    fake.wait(10)


if __name__ == "__main__":
    try:
        main()
    except Exception as exc:  # noqa: BLE001 - whatever went wrong is what the host wants to read
        OBSERVED["failed"] = repr(exc)
    OBSERVED["journal"] = vm.journal("-u", "opticd")
    OBSERVED["denied"] = [line for line in vm.journal("-k").splitlines() if "type=1326" in line]
    Path("/out/observe.json").write_text(json.dumps(OBSERVED, indent=1))
    sys.exit("failed" in OBSERVED)
