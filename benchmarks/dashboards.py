"""docs/dashboards.md: what each query of the dashboards says of a demo that a real Prometheus scrapes.

python -m benchmarks.dashboards [SECONDS] > docs/dashboards.md
"""

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.test_mixin import DASHBOARDS, PORT, Queries, config, demo_address, process
from tests.test_prometheus import free_port

SERIES: Final = 2
"""So many of a panel's series are shown."""
TRIES: Final = 60
"""A scrape that came too late leaves a hole: then all of it is asked again."""
QUIET: Final = frozenset({"__name__", "instance", "job"})
HEAD: Final = """# Dashboards

`mixin/dashboards/` holds five dashboards for Grafana 10.4 or newer: import the files, choose the Prometheus that
scrapes opticd. They, and the rules that some of their queries need, are described in `mixin/README.md`.

Grafana's server is in neither Debian 12, PyPI nor npm and was not at hand, so there are no pictures of panels.
That it knows every key of the files is tested with its own description of dashboards, panels and queries (its
Foundation SDK for Python, made from Grafana's schemas). Below is what each
panel's query answered, from a Prometheus that scraped `opticd demo` every second for {seconds} seconds. Written by
`python -m benchmarks.dashboards`; of each query the first {series} series are shown. That every query has data is a
test.
"""


def number(text: str) -> str:
    """Four digits are enough."""
    return f"{float(text):.4g}"


def said(row: Mapping[str, Any]) -> str:
    """One series: its labels and its value."""
    labels = {name: value for name, value in row["metric"].items() if name not in QUIET}
    words = ", ".join(f"{name} {value}" for name, value in sorted(labels.items()))
    value = number(row["value"][1])
    return f"{words}: **{value}**" if words else f"**{value}**"


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


async def page(ask: Queries, target: str, seconds: int) -> str:
    """The whole document; "" while some query has no answer."""
    chosen = (await ask.rows(PORT))[0]["metric"]["port"]
    names = {"$job": "opticd", "$instance": target, "$port": chosen, "$__rate_interval": "30s"}
    lines = [HEAD.format(seconds=seconds, series=SERIES)]
    for path in DASHBOARDS:
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        lines += [f"## {dashboard['title']}", "", "| panel | query | series | says |", "|---|---|---|---|"]
        for panel in dashboard["panels"]:
            for part in panel["targets"]:
                query = part["expr"]
                for name, value in names.items():
                    query = query.replace(name, value)
                if not (rows := await ask.rows(query)):
                    return ""
                shown = "<br>".join(cell(said(row)) for row in rows[:SERIES])
                code = cell(part["expr"])
                lines.append(f"| {panel['title']} | `{code}` | {len(rows)} | {shown} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


@asynccontextmanager
async def scraped(folder: Path) -> AsyncGenerator[tuple[Queries, str]]:
    """A demo and a Prometheus that scrapes it."""
    demo = (sys.executable, "-m", "agent.cli", "demo", "--ports", "32", "--listen", "127.0.0.1:0")
    async with process(*demo, log=folder / "demo.log"), aiohttp.ClientSession() as client:
        target = await demo_address(folder / "demo.log")
        port = free_port()
        server = (
            "prometheus", f"--config.file={config(folder, target)}", f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
        )  # fmt: skip
        async with process(*server, log=folder / "prometheus.log"):
            yield Queries(client, f"http://127.0.0.1:{port}"), target


async def main(seconds: int) -> None:
    """Run it and print the page."""
    with tempfile.TemporaryDirectory() as folder:
        async with scraped(Path(folder)) as (ask, target):
            await asyncio.sleep(seconds)
            text = ""
            for _ in range(TRIES):
                if text := await page(ask, target, seconds):
                    break
                await asyncio.sleep(2.0)
    if not text:
        sys.exit("a query has no answer: see tests/test_mixin.py")
    sys.stdout.write(text.replace(target, "demo"))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 90))
