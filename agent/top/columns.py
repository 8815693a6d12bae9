"""The columns of the table of ports, and the order of its rows."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from agent.top.documents import Row
from agent.top.store import LEVELS, by_name
from agent.top.text import LEVEL_TONES, LEVEL_WORDS, Tone, dbm, exponent, fixed, without

WHY_WIDTH: Final = 18
"""Least width of the reason, the last column on a narrow terminal."""


def _no_tone(_row: Row) -> Tone:
    return ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `order` is what it is sorted by (None: not known, comes last), `down` with the largest first."""

    key: str
    title: str
    width: int
    text: Callable[[Row], str]
    order: Callable[[Row], float | None] | None = None
    down: bool = False
    right: bool = True
    tone: Callable[[Row], Tone] = _no_tone


def _smallest(key: str) -> Callable[[Row], float | None]:
    return lambda row: row.values[key][0] if key in row.values else None


def _largest(key: str) -> Callable[[Row], float | None]:
    return lambda row: row.values[key][1] if key in row.values else None


def _power(key: str, title: str) -> Column:
    value = _smallest(key)
    return Column(key, title, 6, lambda row: dbm(value(row)), value)


def _number(
    key: str, title: str, width: int, value: Callable[[Row], float | None], *, digits: int = 0, factor: float = 1.0
) -> Column:
    return Column(key, title, width, lambda row: fixed(value(row), digits, factor), value, down=True)


def _margin_tone(row: Row) -> Tone:
    if row.rx_margin_db is None or row.link in ("down", "disabled"):
        return ""
    return "alarm" if row.rx_margin_db < 1.0 else "warning" if row.rx_margin_db < 3.0 else ""


def _link_tone(row: Row) -> Tone:
    return "warning" if row.link == "down" else ""


def _alerts_tone(row: Row) -> Tone:
    return LEVEL_TONES[row.level] if row.alerts else "faint"


_BER: Final = _largest("pre_fec_ber_ratio")

PORT: Final = Column("port", "PORT", 12, lambda row: row.port, right=False)
DEVICE: Final = Column("device", "DEVICE", 10, lambda row: row.device, right=False)
STATE: Final = Column(
    "state", "STATE", 10, lambda row: LEVEL_WORDS[row.level], lambda row: LEVELS.index(row.level),
    right=False, tone=lambda row: LEVEL_TONES[row.level],
)  # fmt: skip
WHY: Final = Column(
    "why", "WHY", WHY_WIDTH, lambda row: without(row.port, row.why[0]) if row.why else "", right=False
)
_FIRST: Final = (
    _number("temp", "TEMP", 5, _largest("temperature_celsius"), digits=1),
    _power("rx_power_dbm", "RX dBm"),
    Column(
        "margin", "MARGIN", 6, lambda row: fixed(row.rx_margin_db, 1), lambda row: row.rx_margin_db,
        tone=_margin_tone,
    ),
    _number("flaps", "FLAPS", 5, lambda row: row.flaps),
    Column(
        "alerts", "ALERTS", 6, lambda row: str(row.alerts) if row.alerts else "", lambda row: row.alerts,
        down=True, tone=_alerts_tone,
    ),
)  # fmt: skip
"""Shown whatever the width is."""
_THEN: Final = (
    Column("link", "LINK", 8, lambda row: row.link, right=False, tone=_link_tone),
    _power("tx_power_dbm", "TX dBm"),
    _number("bias", "BIAS mA", 7, _largest("tx_bias_amperes"), digits=1, factor=1e3),
    Column("ber", "BER", 7, lambda row: exponent(_BER(row)), _BER, down=True),
    Column("vendor", "VENDOR", 16, lambda row: row.module.get("vendor_name", ""), right=False),
    Column("part", "PART NUMBER", 16, lambda row: row.module.get("part_number", ""), right=False),
    _number("vcc", "VCC", 5, _smallest("supply_voltage_volts"), digits=2),
    Column("snr", "SNR dB", 6, lambda row: fixed(_smallest("snr_db")(row), 1), _smallest("snr_db")),
    Column("serial", "SERIAL", 16, lambda row: row.module.get("serial_number", ""), right=False),
)  # fmt: skip
"""Shown, in this order, where there is room."""
SORTS: Final = (STATE, PORT, *_FIRST, *_THEN)
"""What the table can be sorted by."""


def chosen(rows: Sequence[Row], width: int) -> list[Column]:
    """The columns for a table of this width; the reason takes what is left."""
    ports = max((len(row.port) for row in rows), default=0)
    columns = [replace(PORT, width=max(8, min(20, ports))), STATE, *_FIRST]
    if len({row.device for row in rows}) > 1:
        columns.insert(0, replace(DEVICE, width=max(6, min(16, max(len(row.device) for row in rows)))))
    free = width - sum(column.width + 1 for column in columns) - WHY_WIDTH
    for column in _THEN:
        # The reason is what people read: it grows with the terminal before columns of lesser use come.
        if free - (column.width + 1) < 10 + (width - 80) // 8 or not any(column.text(row) for row in rows):
            continue
        columns.append(column)
        free -= column.width + 1
    return [*columns, replace(WHY, width=WHY_WIDTH + max(0, free))]


def arranged(rows: Iterable[Row], column: Column, *, reverse: bool) -> list[Row]:
    """The rows in the order of a column; equal ones by name, unknown ones last."""
    rows = sorted(rows, key=by_name)
    if column.order is None:
        key = column.text if column.key != "port" else None
        known = [row for row in rows if column.text(row)]
        unknown = [row for row in rows if not column.text(row)]
        known.sort(key=key or by_name, reverse=reverse)
        return known + unknown
    values = [(column.order(row), row) for row in rows]
    numbers = [(value, row) for value, row in values if value is not None]
    numbers.sort(key=lambda pair: pair[0], reverse=column.down != reverse)
    return [row for _, row in numbers] + [row for value, row in values if value is None]
