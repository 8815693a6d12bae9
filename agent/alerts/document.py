"""An alert as the JSON of the contract (section 5)."""

import json
from collections.abc import Mapping
from typing import Final, Literal, NotRequired, TypedDict

from agent.alerts.text import rfc3339
from agent.clock import CLOCK_SET
from agent.model import AlertEvent, AlertModule, Severity

SCHEMA: Final = "opticd/alert/1"


class AlertDocument(TypedDict):
    """`opticd/alert/1`: a transition of an alert, or a link event. What does not apply is absent."""

    schema: str
    id: str
    seq: int
    boot_id: str
    time: str
    device: str
    port: str
    lane: NotRequired[int]
    rule: str
    severity: Severity
    state: Literal["firing", "resolved"]
    value: NotRequired[float]
    unit: NotRequired[str]
    threshold: NotRequired[float]
    summary: str
    cause: NotRequired[str]
    evidence: Mapping[str, object]
    module: AlertModule
    replayed: NotRequired[bool]
    """True when it waited for the broker."""
    clock_unset: NotRequired[bool]
    """True when nobody had set the clock of this host: `time` is no date, `seq` tells the order."""


class ShotDocument(TypedDict):
    """What the module said at one moment around a link event; lists go by lane, the first is lane 1."""

    time: str
    temperature_celsius: NotRequired[float]
    rx_power_dbm: NotRequired[list[float]]
    tx_power_dbm: NotRequired[list[float]]
    tx_bias_amperes: NotRequired[list[float]]
    module_state: NotRequired[str]


class FlagSeen(TypedDict):
    """A flag that was found set, and when; without a lane it is the module's."""

    flag: str
    lane: NotRequired[int]
    time: str


class FlapEvidence(TypedDict, total=False):
    """The evidence of a link event: at once what was known, and once it is explained the rest."""

    down_cause: str
    unseen_transitions: int
    fired_at: str
    reasons: list[str]
    before: list[ShotDocument]
    after: list[ShotDocument]
    flags: list[FlagSeen]
    edges: int
    link_up: bool
    module_state: str
    lanes_affected: list[int]
    peer: str
    span_loss_db: dict[str, float]
    """`before` and `after`: what the fibre takes, worst lane."""


def to_alert_document(event: AlertEvent) -> AlertDocument:
    """The alert as a JSON object; keys that do not apply are absent."""
    document = AlertDocument(
        schema=SCHEMA,
        id=event.id,
        seq=event.seq,
        boot_id=event.boot_id,
        time=rfc3339(event.time),
        device=event.device,
        port=event.port,
        rule=event.rule,
        severity=event.severity,
        state=event.state,
        summary=event.summary,
        evidence=event.evidence,
        module=event.module,
    )
    if event.lane:
        document["lane"] = event.lane
    if event.value is not None:
        document["value"] = event.value
        document["unit"] = event.unit
    if event.threshold is not None:
        document["threshold"] = event.threshold
    if event.cause:
        document["cause"] = event.cause
    if event.time < CLOCK_SET:
        document["clock_unset"] = True
    return document


def encode_alert(event: AlertEvent) -> bytes:
    """The alert as one line of UTF-8 JSON."""
    return json.dumps(to_alert_document(event), separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def replayed(payload: bytes) -> bytes:
    """An encoded alert that had to wait for the broker."""
    return payload[:-1] + b',"replayed":true}'
