"""The agent on a faster clock: python -m scripts.soaking.child CONFIG SPEED REPORT.

REPORT gets, at the end, how far apart the readings of each port were, in seconds of the faster clock.
"""

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final, TextIO

from agent.clock import Clock
from agent.config import file as config_file
from agent.model import Reading
from agent.service.app import Daemon, run_to_end

BIN: Final = 0.05
"""Width of a class of the report, as a part of the interval."""
MOST: Final = 5.0
LATE: Final = 1.2
BEGIN_S: Final = 30.0
"""While modules are identified, nobody keeps a cadence."""


class Cadence:
    """How far apart the readings of each port are: in classes, so that it does not grow; late ones in a file."""

    def __init__(self, interval_s: float, late: TextIO) -> None:
        self._interval_s = interval_s
        self._last: dict[str, float] = {}
        self._classes: dict[str, Counter[int]] = {}
        self._begun = time.monotonic()
        self._late = late

    def __call__(self, reading: Reading) -> None:
        """One reading more."""
        before = self._last.get(reading.port)
        self._last[reading.port] = reading.time
        if before is not None and time.monotonic() - self._begun > BEGIN_S:
            part = min((reading.time - before) / self._interval_s, MOST)
            if part > LATE:
                self._late.write(f"{time.time():.1f} {reading.port}\n")
            self._classes.setdefault(reading.port, Counter())[round(part / BIN)] += 1

    def report(self) -> dict[str, dict[int, int]]:
        """Port to class (in units of `BIN`) to count."""
        return {port: dict(classes) for port, classes in self._classes.items()}


def main() -> int:
    """Run until the parent says so."""
    path, speed, report = Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])
    config = config_file.load(path)
    clock = Clock(speed=speed)
    born = time.time()
    started: list[float] = []
    late = report.with_suffix(".late")

    async def run(cadence: Cadence) -> int:
        daemon = Daemon(config, on_started=lambda: started.append(time.time()), clock=clock)
        daemon.hub.subscribe(Reading, cadence)
        return await daemon.run()

    with late.open("w", encoding="ascii") as file:
        # The config's interval is in seconds of this host: buses know of no other.
        cadence = Cadence(config.agent.poll_interval * speed, file)
        code = run_to_end(run(cadence))
    report.write_text(
        json.dumps(
            {
                "begun_wall": clock.begun.wall,
                "born": born,
                "started": started[0] if started else born,
                "gaps": cadence.report(),
                "late": [
                    (float(at), port) for at, port in map(str.split, late.read_text(encoding="ascii").splitlines())
                ],
            }
        ),
        encoding="utf-8",
    )
    return code


if __name__ == "__main__":
    sys.exit(main())
