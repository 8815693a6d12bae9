"""Says once in the log what a daemon that has just started cannot read, so that nobody waits for it in vain."""

import logging
from typing import Final

from agent.errors import ModuleAbsent
from agent.model import PollFailed
from agent.state import Hub

_log = logging.getLogger(__name__)
_MOST_LINES: Final = 10
"""Of a switch with 512 cages a line each would hide what else is in the log."""


class FirstLook:
    """A line for each of the first `_MOST_LINES` ports that fail; a cage that is merely empty is none.

    What fails later is told by alerts, metrics and the page.
    """

    def __init__(self, hub: Hub) -> None:
        self._told: set[str] = set()
        hub.subscribe(PollFailed, self._failed)

    def _failed(self, event: PollFailed) -> None:
        said_enough = len(self._told) == _MOST_LINES
        if said_enough or event.trouble.reason == ModuleAbsent.reason or event.port in self._told:
            return
        self._told.add(event.port)
        _log.warning("%s cannot be read: %s", event.port, event.trouble.detail)
        if len(self._told) == _MOST_LINES:
            _log.warning(
                "that is %d ports, more are not told here: `opticd top --once` says why of each", _MOST_LINES
            )
