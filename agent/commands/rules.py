"""`opticd rules test FILE`: when alert rules fire on a recorded or simulated series."""

import argparse
import sys

from agent.alerts import ruletest


def run(arguments: argparse.Namespace) -> int:
    """Print every transition; exit 1 when one that the file expects did not come."""
    outcome = ruletest.run(arguments.file)
    for happened in outcome.happened:
        print(happened)
    fired = sum(each.event.state == "firing" for each in outcome.happened)
    print(f"{outcome.readings} readings, {fired} alerts fired")
    for line in outcome.missed:
        print(f"opticd: error: {line}", file=sys.stderr)
    return 1 if outcome.missed else 0
