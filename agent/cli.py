"""The command line: `opticd COMMAND`. Parses, calls `agent.commands.COMMAND.run`, turns errors into one line.

Exit codes: 0 done, 1 runtime failure, 2 usage or config error.
"""

import argparse
import errno
import importlib
import os
import signal
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from agent.errors import ConfigError, OpticError
from agent.helptexts import HELP
from agent.version import __version__


def _sources_help() -> str:
    return (
        "i2c:BUS[:mux…], sysfs:PATH, ethtool:NETDEV, serial:DEVICE[?adapter=NAME], "
        "snmp:HOST[:PORT][?community=…] or sonic:"
    )


def _format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("table", "json"), default="table", help="default: table")


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command, also read by the shell completion."""
    parser = argparse.ArgumentParser(
        prog="opticd",
        description="Watches optical transceivers: Prometheus metrics, MQTT alerts, flaps explained.",
    )
    parser.add_argument("--version", action="version", version=f"opticd {__version__}")
    parser.add_argument("--debug", action="store_true", help="log more; show tracebacks")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="the daemon, in the foreground")
    run.add_argument("--config", type=Path, metavar="FILE", help="default: /etc/opticd/opticd.toml, or discovery")
    run.add_argument(
        "--profile-loop", action="store_true", help="log which callbacks keep the event loop, and how long"
    )

    demo = commands.add_parser("demo", help="the same daemon over a simulated switch")
    demo.add_argument("--ports", type=_positive, default=32, metavar="N", help="default: 32")
    demo.add_argument("--listen", default="127.0.0.1:10800", metavar="HOST:PORT", help="default: 127.0.0.1:10800")
    demo.add_argument("--mqtt", metavar="URL", help="a broker to use; default: an embedded one on loopback")
    demo.add_argument(
        "--scenario",
        default="mixed",
        metavar="NAME",
        help="mixed (default), quiet, flapping, storm, or a TOML file",
    )
    demo.add_argument("--state-dir", type=Path, metavar="DIR", help="keep counters and unsent messages here")
    demo.add_argument("--duration", type=_seconds, metavar="S", help="end after S seconds")

    decode = commands.add_parser("decode", help="decode saved module memory")
    decode.add_argument(
        "file", nargs="+", metavar="FILE", help="JSON image, ethtool or SONiC dump, hex dump; - is stdin"
    )
    _format(decode)

    read = commands.add_parser("read", help="read once from real hardware")
    read.add_argument("source", metavar="SOURCE", help=_sources_help())
    read.add_argument("--dump", type=Path, metavar="FILE", help="also save a JSON image of the module's memory")
    _format(read)

    scan = commands.add_parser("scan", help="find everything readable on this host")
    scan.add_argument("--all", action="store_true", help="also probe I2C buses that a kernel driver uses")
    _format(scan)

    check = commands.add_parser("check", help="validate a config")
    check.add_argument("file", type=Path, metavar="FILE")
    check.add_argument("--series", action="store_true", help="print how many series each profile exports a module")

    top = commands.add_parser("top", help="live terminal view of a running daemon")
    top.add_argument(
        "url", nargs="?", default="http://127.0.0.1:10800", metavar="URL", help="default: http://127.0.0.1:10800"
    )
    top.add_argument("--once", action="store_true", help="print one table of ports and alerts, and end")

    selftest = commands.add_parser(
        "selftest", help="hardware in the loop: conformance report on a module and its bus"
    )
    selftest.add_argument("source", metavar="SOURCE", help=_sources_help())
    selftest.add_argument("--reference", metavar="SOURCE", help="a SCPI power meter: serial:DEVICE?type=scpi")
    _format(selftest)

    rules = commands.add_parser("rules", help="try alert rules")
    rules.add_argument("action", choices=("test",))
    rules.add_argument("file", type=Path, metavar="FILE", help="a rule and a recorded or simulated series")

    bugreport = commands.add_parser("bugreport", help="collect what is needed to find out what is wrong")
    bugreport.add_argument("--config", type=Path, metavar="FILE", help="default: /etc/opticd/opticd.toml")
    bugreport.add_argument(
        "--output", type=Path, metavar="FILE", help="the archive, or a folder for it; default: here"
    )
    bugreport.add_argument("--url", metavar="URL", help="a running daemon; default: as the config says")
    bugreport.add_argument(
        "--modules",
        choices=("auto", "all", "none"),
        default="auto",
        help="memory of which modules; default: auto, those that nobody else reads now",
    )
    for name, command in commands.choices.items():
        command.description, command.epilog = textwrap.fill(HELP[name].description, 79), HELP[name].epilog
        command.formatter_class = argparse.RawDescriptionHelpFormatter
    return parser


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= 4096:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 4096")
    return value


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number of seconds")
    return value


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the return value is the exit code."""
    try:
        try:
            return _main(argv)
        finally:
            sys.stdout.flush()  # here, where what keeps it from being written can still be told
    except BrokenPipeError:
        # The reader of our output went away (`opticd decode … | head`): not an error of ours.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        sys.stderr.close()
        return 1
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
        print(f"opticd: error: {exc.strerror}: the output is not whole, make room for it", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left would fail again at exit
        return 1


def _main(argv: Sequence[str] | None) -> int:
    arguments = build_parser().parse_args(argv)
    try:
        command = importlib.import_module(f"agent.commands.{arguments.command}")
        code: int = command.run(arguments)
    except OpticError as exc:
        if arguments.debug:
            raise
        for line in str(exc).splitlines():
            print(f"opticd: error: {line}", file=sys.stderr)
        if exc.hint:
            print(f"opticd: hint: {exc.hint}", file=sys.stderr)
        return 2 if isinstance(exc, ConfigError) else 1
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
