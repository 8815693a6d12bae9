"""Types what a page of docs/ shows, block by block, and says how long each took: `following.py PAGE`.

Of the standard library alone: it runs on a system where nothing is installed (`scripts/try-documents`). What only
looks at the daemon is typed again until there is something to see. Ends with 1 when a command ended otherwise than
expected.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
ONLY_FIRST = {"install.md"}
"""Of installing it, the way by the package."""
STANDS_FOR = {"quickstart-bench.md": "bench", "quickstart-snmp.md": "snmp", "quickstart-sonic.md": "sonic"}
MAY_END_WITH_1 = {
    # On the fresh system there is no module, and a veth has no cage: no port, and nothing for grep.
    "install.md": ("opticd scan",),
    "quickstart-gpu-host.md": ("opticd scan", "opticd read", "opticd top"),
}
READY = "until curl -fs http://127.0.0.1:10800/-/ready; do sleep 0.1; done"
MOST_S = 900.0


def typed(commands: str, folder: Path) -> tuple[int, str]:
    """The exit code and what was printed. What runs on in the background stays."""
    out = folder / "printed"
    with out.open("w") as file:
        shell = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", commands], cwd=folder, stdout=file, stderr=subprocess.STDOUT
        )
        code = shell.wait(MOST_S)
    return code, out.read_text()


def block(commands: str, folder: Path, fine: tuple[int, ...]) -> bool:
    """Type a block and report it."""
    began = time.monotonic()
    tries = 20 if commands.startswith(("curl", "opticd top")) else 1
    code, printed = typed(commands, folder)
    while code not in fine and (tries := tries - 1):
        time.sleep(1)
        code, printed = typed(commands, folder)
    print(f"{time.monotonic() - began:7.1f} s  {'; '.join(commands.splitlines())}", flush=True)
    last = printed.splitlines()[-3:]
    if code:
        print(*(f"           | {line}" for line in last), sep="\n", flush=True)
    if code not in fine:
        print(f"  ended with {code}", flush=True)
    return code in fine


def follow(page: str, folder: Path) -> bool:
    """Everything that a page says, in order."""
    text = Path("docs", page).read_text(encoding="utf-8")
    blocks = [(match[1], match[2], text[: match.start()]) for match in FENCE.finditer(text)]
    good = True
    for language, shown, before in blocks[:1] if page in ONLY_FIRST else blocks:
        if language == "toml":
            where = re.findall(r"`(\S*opticd\.toml)`", before)
            (folder / where[-1]).write_text(shown)
        elif language == "sh":
            for part in [shown] if page not in ONLY_FIRST else shown.splitlines():
                one = part.split("  #")[0].strip() if page in ONLY_FIRST else part.strip()
                may = any(words in one for words in MAY_END_WITH_1.get(page, ()))
                good &= block(one, folder, (0, 1) if may else (0,))
                if "opticd run" in one or "restart opticd" in one:
                    good &= block(READY, folder, (0,))
    return good


def main(page: str) -> int:
    """Follow one page, with what stands for its surroundings."""
    print(f"# {page}", flush=True)
    began = time.monotonic()
    folder = Path.cwd() if page in ONLY_FIRST else Path.home()
    standin = None
    if page in STANDS_FOR:
        python = ("/opt/opticd/bin/python", "-I", str(Path("scripts/standins.py").resolve()))
        standin = subprocess.Popen([*python, STANDS_FOR[page]])
        time.sleep(3)
    good = follow(page, folder)
    print(f"{time.monotonic() - began:7.1f} s  all of it", flush=True)
    if standin is not None:
        standin.terminate()
        standin.wait(10)
    for process in Path("/proc").glob("[0-9]*"):
        # The daemon that the page started is the reader's to end.
        if b"opticd\0run" in (process / "cmdline").read_bytes():
            os.kill(int(process.name), signal.SIGTERM)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
