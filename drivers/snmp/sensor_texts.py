"""What the text of a sensor's entity says that it measures: `DOM RX Power Sensor for Ethernet1`."""

import re
from typing import Final

from agent import quantities as q
from agent.quantities import Quantity, Unit

_RX: Final = re.compile(r"\b(rx|receive[rd]?|received)\b")
_TX: Final = re.compile(r"\b(tx|transmit|transmitter|transmitted)\b")
_WAY_IN: Final = re.compile(r"\binput\b")
_WAY_OUT: Final = re.compile(r"\boutput\b")
OPTIC: Final = re.compile(r"\b(dom|ddm|transceivers?|xcvr|optics?|optical|laser)\b")
_POWER: Final = re.compile(r"\b(power|pwr|light)\b")
_TEMPERATURE: Final = re.compile(r"\btemp(erature)?\b")
_VOLTAGE: Final = re.compile(r"\b(voltage|vcc)\b")
_BIAS: Final = re.compile(r"\b(bias|current)\b")


def measured(unit: Unit, text: str) -> tuple[Quantity, bool] | None:
    """What a sensor of this type with this text measures; None when no optic has that, or the two disagree."""
    power, temperature = bool(_POWER.search(text)), bool(_TEMPERATURE.search(text))
    optic = bool(OPTIC.search(text))
    if unit in {Unit.WATT, Unit.DBM}:
        way = _way(text, optic=optic or unit is Unit.DBM)
        if way is None or temperature or _VOLTAGE.search(text) or not (power or unit is Unit.DBM):
            return None
        return way, True
    if unit is Unit.AMPERE:
        laser = "bias" in text or (_BIAS.search(text) is not None and (_TX.search(text) is not None or optic))
        return (q.TX_BIAS, True) if laser and not power and not temperature else None
    if unit is Unit.CELSIUS:
        if power and not temperature:
            return None  # the name says power, the type says temperature: neither is believed
        return (q.LASER_TEMPERATURE if "laser" in text else q.TEMPERATURE), False
    if unit is Unit.VOLT:
        return None if (power and not _VOLTAGE.search(text)) or temperature else (q.SUPPLY_VOLTAGE, False)
    return None


def _way(text: str, *, optic: bool) -> Quantity | None:
    """Whether a power is sent or received; `input` and `output` are also said of power supplies."""
    received, sent = bool(_RX.search(text)), bool(_TX.search(text))
    if optic and not received and not sent:
        received, sent = bool(_WAY_IN.search(text)), bool(_WAY_OUT.search(text))
    if received == sent:
        return None
    return q.RX_POWER if received else q.TX_POWER
