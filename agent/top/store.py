"""What the view knows: rows, alerts, the port that is looked at, and whether the daemon is there."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple

from agent.top.documents import Alert, Key, Level, Observable, PastLane, Port, Row, Sample
from agent.top.filters import EVERYTHING, Filter

LEVELS: Final[tuple[Level, ...]] = (
    "critical", "unreadable", "warning", "notice", "down", "ok", "disabled", "absent",
)  # fmt: skip
"""Worst first, as on the status page."""
_SEVERITIES: Final = ("critical", "warning", "info")
_HISTORY: Final = 420
"""Samples kept of the port that is looked at: what the daemon keeps too."""


class Away(NamedTuple):
    """Why there is no daemon."""

    reason: str


class Store:
    """Fed by `agent.top.feed`, read by the screens. Times are seconds of the monotonic clock."""

    def __init__(self, *, monotonic: Callable[[], float], on_change: Callable[[], None] = lambda: None) -> None:
        self.rows: dict[Key, Row] = {}
        self.alerts: dict[tuple[str, str, str, int], Alert] = {}
        self.watched: Key | None = None
        self.port: Port | None = None
        """The port that is looked at; None until the daemon has sent it."""
        self.state: Literal["connecting", "live"] | Away = "connecting"
        self.updated_at = monotonic()
        """When something was heard of a port last."""
        self._monotonic = monotonic
        self._changed = on_change

    # ---- from the feed ------------------------------------------------------------------------------------

    def take_rows(self, rows: Iterable[Row], *, everything: bool) -> None:
        """Rows that changed; `everything` when these are all there are."""
        if everything:
            self.rows.clear()
        self.rows.update((row.key, row) for row in rows)
        self.state = "live"
        self.updated_at = self._monotonic()
        self._changed()

    def take_alert(self, alert: Alert) -> None:
        """A transition."""
        if alert.rule == "link":
            return  # news, not a state
        if alert.state == "firing":
            self.alerts[alert.key] = alert
        else:
            self.alerts.pop(alert.key, None)
        self._changed()

    def take_alerts(self, alerts: Iterable[Alert]) -> None:
        """All alerts that are active."""
        self.alerts = {alert.key: alert for alert in alerts}
        self._changed()

    def forget(self, key: Key) -> None:
        """A port ended."""
        self.rows.pop(key, None)
        self._changed()

    def away(self, reason: str) -> None:
        """The daemon does not answer."""
        self.state = Away(reason)
        self._changed()

    def watch(self, key: Key | None) -> None:
        """Look at this port from now on."""
        if key != self.watched:
            self.watched, self.port = key, None

    def take_port(self, port: Port) -> None:
        """Everything about the port that is looked at."""
        if (port.device, port.port) == self.watched:
            self.port = port
            self._changed()

    def take_reading(self, reading: Port) -> None:
        """A new reading of the port that is looked at: what is beside a reading stays."""
        before = self.port
        if before is None or (reading.device, reading.port) != self.watched:
            return
        history = (*before.history[1 - _HISTORY :], *_samples(reading))
        kept = {"link": before.link, "events": before.events, "history": history}
        self.port = reading.model_copy(update=kept)
        self._changed()

    # ---- for the screens ----------------------------------------------------------------------------------

    def listed(self, wanted: Filter = EVERYTHING) -> list[Row]:
        """The rows that a filter lets through, in natural order."""
        return sorted(filter(wanted.test, self.rows.values()), key=by_name)

    def counts(self) -> dict[Level, int]:
        """How many ports are how bad, worst first; levels without a port are left out."""
        count = dict.fromkeys(LEVELS, 0)
        for row in self.rows.values():
            count[row.level] += 1
        return {level: number for level, number in count.items() if number}

    def listed_alerts(self, wanted: Filter = EVERYTHING) -> list[Alert]:
        """The active alerts of these ports: worst first, of equal ones the latest first."""
        let_through = {row.key for row in self.rows.values() if wanted.test(row)} if wanted.text else None
        found = [
            alert
            for alert in self.alerts.values()
            if let_through is None or (alert.device, alert.port) in let_through
        ]
        found.sort(key=lambda alert: (_SEVERITIES.index(alert.severity), -alert.time.timestamp(), alert.key))
        return found

    def alerts_of(self, key: Key) -> Sequence[Alert]:
        """The active alerts of one port."""
        return [alert for alert in self.listed_alerts() if (alert.device, alert.port) == key]


def _samples(reading: Port) -> Iterator[Sample]:
    if reading.time is not None:
        lanes = tuple(
            PastLane(rx_power_dbm=lane.rx_power_dbm, tx_bias_amperes=lane.tx_bias_amperes) for lane in reading.lanes
        )
        temperature = reading.values.get("temperature_celsius")
        yield Sample(time=reading.time, temperature_celsius=temperature, lanes=lanes)


_NUMBER: Final = re.compile(r"(\d+)")


def by_name(row: Row) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Key for the natural order: Ethernet2 before Ethernet10."""
    return natural(row.device), natural(row.port)


def natural(text: str) -> list[tuple[int, str]]:
    """The same for any text."""
    return [(int(part), "") if part.isdigit() else (-1, part.lower()) for part in _NUMBER.split(text)]


def worst_ber(observables: Iterable[Observable]) -> float | None:
    """The largest bit error ratio before error correction, as it is now."""
    found = [each.value for each in observables if each.observable.startswith("pre_fec_ber_current")]
    return max(found, default=None)
