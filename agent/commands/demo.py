"""`opticd demo`: the daemon over a simulated switch, with a broker of its own unless one is named.

A second switch is asked over SNMP, as a device beside the host.
"""

import argparse
import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from agent.commands.run import log_to_stderr
from agent.config import file as config
from agent.model import AlertEvent
from agent.service import app
from fakes import broker
from fakes.snmp_switch import switch_process

_COLOURS: Final = {"critical": "\033[1;31m", "warning": "\033[33m", "info": "\033[36m"}
_PLAIN: Final = "\033[0m"
_SWITCH: Final = "demo-switch"
_NO_BROKER: Final = "none, so no MQTT: name one with --mqtt URL, or install the extra `demo` (scripts/demo does)"


def run(arguments: argparse.Namespace) -> int:
    """Run until Ctrl-C, SIGTERM or the end of --duration; all three are exit code 0."""
    log_to_stderr(debug=arguments.debug, quiet=True)
    return app.run_to_end(_demo(arguments))


async def _demo(arguments: argparse.Namespace) -> int:
    loop = asyncio.get_running_loop()
    this = asyncio.current_task()
    assert this is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, this.cancel)  # until the daemon has its own
    async with AsyncExitStack() as stack:
        try:
            switch = await stack.enter_async_context(switch_process(0.0))
            url: str | None = arguments.mqtt
            if url is None and broker.available():
                url = await stack.enter_async_context(broker.embedded_broker())
        except asyncio.CancelledError:
            return 0
        daemon = app.Daemon(_config(arguments, url, switch), on_started=lambda: _started(daemon, url, arguments))
        daemon.hub.subscribe(AlertEvent, _print_alert)
        if arguments.duration is not None:
            loop.call_later(arguments.duration, daemon.stop)
        return await daemon.run()


def _config(arguments: argparse.Namespace, url: str | None, switch: int) -> config.Config:
    exporters: dict[str, object] = {"prometheus": {"listen": arguments.listen}}
    if url is not None:
        exporters["mqtt"] = {"url": url}
        if arguments.mqtt is None:
            exporters["mqtt"] = {"url": url, "protocol": "3.1.1"}  # amqtt speaks no MQTT 5
    agent: dict[str, object] = {"device": "demo", "poll_interval": 1.0, "slow_interval": 10.0}
    if arguments.state_dir is not None:
        agent["state_dir"] = arguments.state_dir
    return config.of_document(
        {
            "agent": agent,
            "source": [
                {"type": "fake", "ports": arguments.ports, "scenario": arguments.scenario},
                {"type": "snmp", "targets": [f"{_SWITCH}=127.0.0.1:{switch}"], "poll_interval": 2.0},
            ],
            "exporter": exporters,
        },
        name="demo",
    )


def _started(daemon: app.Daemon, url: str | None, arguments: argparse.Namespace) -> None:
    host, port = daemon.addresses[0] if daemon.addresses else ("127.0.0.1", 0)
    page = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
    print(f"opticd demo: {arguments.ports} simulated ports, scenario {arguments.scenario}")
    print(f"  page     {page}")
    print(f"  metrics  {page}metrics")
    print(f"  terminal opticd top {page}")
    print(f"  broker   {_NO_BROKER if url is None else url + _subscribe(url)}")
    print(f"  switch   {page}probe?target={_SWITCH}, a device asked over SNMP")
    print("Alerts follow, a line each; Ctrl-C ends it.", flush=True)


def _print_alert(event: AlertEvent) -> None:
    colour, plain = (_COLOURS[event.severity], _PLAIN) if sys.stdout.isatty() else ("", "")
    clock = datetime.fromtimestamp(event.time).astimezone().strftime("%H:%M:%S")
    print(
        f"{clock} {colour}{event.severity:<8}{plain} {event.state:<8} {event.summary}",
        flush=True,
    )


def _subscribe(url: str) -> str:
    """How to look at the broker, where that is a plain one."""
    parts = urlsplit(url)
    if parts.scheme != "mqtt":
        return ""
    return f" (mosquitto_sub -h {parts.hostname} -p {parts.port or 1883} -v -t 'opticd/#')"
