"""What `--help` and the manual page say of each command, beside its options."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class HelpText(NamedTuple):
    """`examples` are command lines with what they do."""

    description: str
    examples: tuple[tuple[str, str], ...]

    @property
    def epilog(self) -> str:
        """The examples as they stand below the options."""
        return "examples:\n" + "\n".join(f"  {command}\n      {what}" for command, what in self.examples)


HELP: Final[Mapping[str, HelpText]] = {
    "run": HelpText(
        "Read every module again and again, serve metrics and the status page, send alerts, explain flaps. "
        "Without a config it reads what this host has. "
        "SIGTERM or Ctrl-C ends it; SIGHUP reads the config again (a bad file changes nothing).",
        (
            ("opticd run", "what /etc/opticd/opticd.toml says, or what this host has"),
            ("opticd run --config lab.toml", "another config; `opticd check lab.toml` tells what is wrong with it"),
            ("opticd run --profile-loop", "log callbacks of more than 20 ms, and what took most, once a minute"),
        ),
    ),
    "demo": HelpText(
        "Run the daemon over a simulated switch that ages, flaps and loses a module, with a broker of its own. "
        "Needs no hardware, no privileges and no network.",
        (
            ("opticd demo", "32 ports; prints the address of the status page, then a line for each alert"),
            ("opticd demo --ports 512 --scenario storm", "many ports that fail at once"),
        ),
    ),
    "decode": HelpText(
        "Say what saved memory of a module means: identity, values with the module's own thresholds, lanes, "
        "diagnostics, and what could not be read. The kind of each file is recognised.",
        (
            ("opticd decode module.json", "a table"),
            ("ethtool -m eth0 raw on | opticd decode - --format json", "one JSON document"),
        ),
    ),
    "read": HelpText(
        "Read a module, or all ports of a switch, once. Nothing is written but the page select of the module.",
        (
            ("opticd read ethtool:eth0", "the module of a network interface"),
            (
                "opticd read i2c:12:0x70.3 --dump module.json",
                "behind channel 3 of the mux at 70h; saves its memory",
            ),
            ("opticd read snmp:leaf-17", "a switch"),
        ),
    ),
    "scan": HelpText(
        "Find interfaces, EEPROM files, I2C buses and serial bridges of this host that lead to a module, and print "
        "them as a table and as a config. Buses that belong to something else are left alone.",
        (("opticd scan", "the table, then the config"), ("opticd scan --format json", "one JSON document")),
    ),
    "check": HelpText(
        "Validate a config: every mistake is a line with its place and the nearest valid key.",
        (("opticd check /etc/opticd/opticd.toml", "exit 2 when something is wrong"),),
    ),
    "top": HelpText(
        "Watch a running daemon: ports with their worst state, temperature, margin, flaps and alerts; one port "
        "with its lanes against the thresholds. ? shows the keys. "
        "Needs the package rich (pip install 'opticd[top]').",
        (
            ("opticd top", "the daemon of this host"),
            ("opticd top https://leaf-17:10800", "another one; user and password by ~/.netrc"),
            ("opticd top --once | head", "one table, for a pipe"),
        ),
    ),
    "selftest": HelpText(
        "Test a real module and its bus: identity and checksums, page and bank select, repeatability, order of the "
        "thresholds, timing of reads, flags. Exit 1 when something is wrong.",
        (
            ("opticd selftest i2c:12", "a module on an I2C bus"),
            ("opticd selftest serial:/dev/ttyUSB0 --format json", "behind a bridge; one JSON document"),
        ),
    ),
    "rules": HelpText(
        "Run an alert rule against a recorded or simulated series and print when it fires and resolves.",
        (("opticd rules test rule.toml", "when it would have spoken"),),
    ),
    "bugreport": HelpText(
        "Collect versions, the config without secrets, what scan finds, memory of the modules, what the daemon "
        "says and the last lines of its log into one archive, and print its path. Modules that another process "
        "reads now are left alone unless the kernel keeps readers apart.",
        (
            ("opticd bugreport", "writes opticd-bugreport-HOST-TIME.tar.gz here"),
            ("opticd bugreport --modules none --output /tmp", "touches no module; writes it into /tmp"),
        ),
    ),
}
