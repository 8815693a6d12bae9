"""`python -m fakes.snmp_agent`: the fake agent as a process, its options, and what changes while it runs.

    python -m fakes.snmp_agent 127.0.0.1:1161 switch.snmprec
    python -m fakes.snmp_agent 127.0.0.1:0 --scenario mixed --ports 16 --mib juniper-dom
    python -m fakes.snmp_agent 127.0.0.1:1161 --scenario quiet --user monitor --auth sha256 --auth-password 12345678

It prints `ready` and its port once it listens. With a user it speaks SNMPv3 too. Misbehaviour, one or several:
`--slow`, `--lossy`, `--looping`, `--truncating`, `--reindexing`.
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agent.errors import ConfigError
from fakes import scenario, snmp_recording
from fakes.snmp_agent import Agent, Behaviour, Tables
from fakes.snmp_recording import parse_oid
from fakes.snmp_scenario import ScenarioTables
from fakes.snmp_tables import DOM, SENSOR
from fakes.snmp_usm import DIGESTS, AgentUser

MIBS: Final = {"entity-sensor": (*SENSOR, 4), "juniper-dom": (*DOM, 8)}
"""And the column in which a looping agent loops."""
_REFRESH_S: Final = 1.0


def arguments() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m fakes.snmp_agent", description="A fake SNMP agent.")
    parser.add_argument("listen", metavar="HOST:PORT", help="port 0: any that is free")
    parser.add_argument("recording", type=Path, nargs="?", help="in the format of snmpsim")
    parser.add_argument("--scenario", help="modules and links of a scenario, by name or file")
    parser.add_argument("--ports", type=int, default=8)
    parser.add_argument("--mib", choices=MIBS, default="entity-sensor")
    parser.add_argument("--community", default="public")
    parser.add_argument("--user", default="", help="speak SNMPv3 too, to this user")
    parser.add_argument("--auth", choices=DIGESTS, default="")
    parser.add_argument("--auth-password", default="")
    parser.add_argument("--priv", choices=("aes128", "aes256"), default="")
    parser.add_argument("--priv-password", default="")
    parser.add_argument("--slow", type=float, metavar="SECONDS", default=0.0, help="answer so much later")
    parser.add_argument("--lossy", type=float, metavar="SHARE", default=0.0, help="lose this share of requests")
    parser.add_argument("--looping", metavar="OID", nargs="?", const="", help="walks of this column never end")
    parser.add_argument("--truncating", type=int, metavar="OCTETS", default=0, help="cut replies off")
    parser.add_argument(
        "--reindexing", type=float, metavar="SECONDS", default=0.0, help="start anew with other indexes so often"
    )
    return parser


def behaviour(options: argparse.Namespace) -> Behaviour:
    """What the options ask for."""
    loop = None
    if options.looping is not None:
        loop = parse_oid(options.looping) if options.looping else MIBS[options.mib]
    return Behaviour(delay_s=options.slow, loss=options.lossy, loop_under=loop, cut_at=options.truncating)


async def serve(options: argparse.Namespace) -> None:
    """Until killed."""
    live = None
    if options.scenario:
        wanted = scenario.load(options.scenario)
        live = ScenarioTables(wanted, ports=options.ports, juniper=options.mib == "juniper-dom")
    tables = Tables(live.rows() if live else snmp_recording.load(options.recording))
    user = AgentUser(options.user, options.auth, options.auth_password, options.priv, options.priv_password)
    host, _, port = options.listen.rpartition(":")
    agent = await Agent.start(
        tables,
        host=host.strip("[]"),
        port=int(port),
        community=options.community,
        users=(user,) if options.user else (),
    )
    agent.behaviour = behaviour(options)
    print(f"ready {agent.port}", flush=True)  # noqa: T201 - who started it waits for this
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        await asyncio.sleep(_REFRESH_S)
        if live is None:
            continue
        if options.reindexing and loop.time() - began >= (live.renumbered + 1) * options.reindexing:
            live.renumber()
        tables.replace(live.rows())


def main(argv: Sequence[str] | None = None) -> None:
    """Serve a recording or a scenario until killed."""
    parser = arguments()
    options = parser.parse_args(argv)
    if bool(options.scenario) == (options.recording is not None):
        parser.error("give a recording or --scenario")
    if options.reindexing and not options.scenario:
        parser.error("--reindexing needs --scenario")
    if options.priv and not options.auth:
        parser.error("--priv needs --auth")
    try:
        asyncio.run(serve(options))
    except KeyboardInterrupt:
        return
    except (OSError, ValueError, ConfigError) as exc:
        parser.exit(1, f"{parser.prog}: {exc}\n")
