"""The filter language, the same as on the status page: `rx < -8 dBm`, `vendor = acme`, `alert`, any word.

All terms have to hold. A number is compared with the worst lane: `<` with the smallest, `>` with the largest.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from agent.top.documents import Row

Test = Callable[[Row], bool]

_VALUES: Final[Mapping[str, tuple[str, float]]] = {
    "rx": ("rx_power_dbm", 1), "tx": ("tx_power_dbm", 1), "bias": ("tx_bias_amperes", 1000),
    "temp": ("temperature_celsius", 1), "temperature": ("temperature_celsius", 1),
    "vcc": ("supply_voltage_volts", 1), "voltage": ("supply_voltage_volts", 1),
    "ber": ("pre_fec_ber_ratio", 1), "snr": ("snr_db", 1),
}  # fmt: skip
"""Word to key of `values` and what a typed number is divided by."""
_NUMBERS: Final[Mapping[str, Callable[[Row], float | None]]] = {
    "margin": lambda row: row.rx_margin_db,
    "flaps": lambda row: row.flaps or 0,
    "alerts": lambda row: row.alerts,
    "swaps": lambda row: row.swaps,
    "lanes": lambda row: row.lanes or 0,
}
_TEXTS: Final[Mapping[str, Callable[[Row], str]]] = {
    "port": lambda row: row.port,
    "device": lambda row: row.device,
    "group": lambda row: row.group,
    "state": lambda row: row.level,
    "level": lambda row: row.level,
    "link": lambda row: row.link,
    "vendor": lambda row: row.module.get("vendor_name", ""),
    "part": lambda row: row.module.get("part_number", ""),
    "serial": lambda row: row.module.get("serial_number", ""),
    "form": lambda row: row.module.get("form_factor", ""),
    "media": lambda row: row.module.get("media", ""),
    "why": lambda row: " ".join(row.why),
}
_WORDS: Final[Mapping[str, Test]] = {
    "alert": lambda row: row.alerts > 0,
    "alerts": lambda row: row.alerts > 0,
    "down": lambda row: row.link == "down",
    "up": lambda row: row.link == "up",
    "empty": lambda row: row.level == "absent",
}
_TERM: Final = re.compile(
    r"""([a-z]+)\s*(<=|>=|!=|=|<|>|:)\s*("[^"]*"|[^\s,]+)(?:\s*(dBm|dB|mA|A|V|°?C)\b)?|"[^"]*"|[^\s,]+""",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"([-+]?[\d.]+(?:e[-+]?\d+)?)(dBm|dB|mA|A|V|°?C)?", re.IGNORECASE)
_COMPARE: Final[Mapping[str, Callable[[float, float, float], bool]]] = {
    "<": lambda low, _high, limit: low < limit,
    "<=": lambda low, _high, limit: low <= limit,
    ">": lambda _low, high, limit: high > limit,
    ">=": lambda _low, high, limit: high >= limit,
    "=": lambda low, high, limit: low <= limit <= high,
    ":": lambda low, high, limit: low <= limit <= high,
    "!=": lambda low, high, limit: not low <= limit <= high,
}


class Filter(NamedTuple):
    """What was typed, and which rows it lets through; `error` says what is wrong with it (then it hides none)."""

    text: str
    test: Test
    error: str = ""


def parse(text: str) -> Filter:
    """The filter that `text` means."""
    tests: list[Test] = []
    for term in _TERM.finditer(text.strip().replace("\N{MINUS SIGN}", "-")):
        if term[0].lower() in ("and", "&&"):
            continue
        test = _comparison(term) if term[1] else _word(_unquoted(term[0]))
        if isinstance(test, str):
            return Filter(text, _everything, test)
        tests.append(test)

    def all_hold(row: Row) -> bool:
        return all(test(row) for test in tests)

    return Filter(text, all_hold)


def _everything(_row: Row) -> bool:
    return True


EVERYTHING: Final = Filter("", _everything)


def _unquoted(text: str) -> str:
    return text.strip('"').lower()


def _comparison(term: re.Match[str]) -> Test | str:
    name, operator = term[1].lower(), term[2]
    if name in _TEXTS:
        return _on_text(name, operator, _unquoted(term[3]))
    if name not in _VALUES and name not in _NUMBERS:
        return f"no {name!r} here: try {', '.join((*_VALUES, *_NUMBERS, *_TEXTS))}"
    number = _NUMBER.fullmatch(_unquoted(term[3]))
    try:
        limit = float(number[1]) if number else None
    except ValueError:
        limit = None
    if number is None or limit is None:
        return f"{term[3]!r} is no number"
    compare = _COMPARE[operator]
    if name in _NUMBERS:
        return _on_number(_NUMBERS[name], compare, limit)
    key, factor = _VALUES[name]
    unit: str = term[4] or number[2] or ""
    base = limit if unit.lower() == "a" else limit / factor

    def on_values(row: Row) -> bool:
        return key in row.values and compare(*row.values[key], base)

    return on_values


def _on_number(
    get: Callable[[Row], float | None], compare: Callable[[float, float, float], bool], limit: float
) -> Test:
    def test(row: Row) -> bool:
        value = get(row)
        return value is not None and compare(value, value, limit)

    return test


def _on_text(name: str, operator: str, value: str) -> Test | str:
    get = _TEXTS[name]
    if operator == "!=":
        return lambda row: value not in get(row).lower()
    if operator in ("=", ":"):
        return lambda row: value in get(row).lower()
    return f"{name!r} is text: = or != go with it"


def _word(value: str) -> Test:
    return _WORDS.get(value) or (lambda row: any(value in get(row).lower() for get in _TEXTS.values()))
