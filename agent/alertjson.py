"""An alert as the JSON of the contract (section 5)."""

import json

from agent.alerttext import rfc3339
from agent.model import AlertEvent

SCHEMA = "opticd/alert/1"


def to_alert_document(event: AlertEvent) -> dict[str, object]:
    """The alert as a JSON object; keys that do not apply are absent."""
    document: dict[str, object] = {
        "schema": SCHEMA,
        "id": event.id,
        "seq": event.seq,
        "boot_id": event.boot_id,
        "time": rfc3339(event.time),
        "device": event.device,
        "port": event.port,
    }
    if event.lane:
        document["lane"] = event.lane
    document |= {"rule": event.rule, "severity": event.severity, "state": event.state}
    if event.value is not None:
        document |= {"value": event.value, "unit": event.unit}
    if event.threshold is not None:
        document["threshold"] = event.threshold
    document["summary"] = event.summary
    if event.cause:
        document["cause"] = event.cause
    document |= {"evidence": event.evidence, "module": event.module}
    return document


def encode_alert(event: AlertEvent) -> bytes:
    """The alert as one line of UTF-8 JSON."""
    return json.dumps(to_alert_document(event), separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def replayed(payload: bytes) -> bytes:
    """An encoded alert that had to wait for the broker."""
    return payload[:-1] + b',"replayed":true}'
