"""What only some ports have, below their lanes: lasers of an external source, coherent figures, diagnostics."""

from typing import Final

from rich.text import Text

from agent.top.documents import Observable, Port
from agent.top.text import Part, dbm, fixed, line

_LABEL: Final = 34


def laser_lines(port: Port) -> list[Text]:
    """A line a laser."""
    return [
        line(
            f"  {laser.laser:>3}  {laser.state:<8}",
            f"{dbm(laser.tx_power_dbm):>6} dBm  " if laser.tx_power_dbm is not None else " " * 12,
            f"{fixed(laser.tx_bias_amperes, 1, 1e3):>6} mA" if laser.tx_bias_amperes is not None else "",
            Part("  " + ", ".join(_words(flag) for flag in laser.flags), "warning"),
        )
        for laser in port.lasers
    ]


def coherent_lines(port: Port) -> list[Text]:
    """A line a figure, with what it was over the module's interval."""
    lines: list[Text] = []
    for name, stats in port.coherent.items():
        shown = [(key, stats[key]) for key in ("value", "min", "avg", "max") if key in stats]
        text = "  ".join(f"{'' if key == 'value' else key + ' '}{value:.5g}" for key, value in shown)
        lines.append(line(f"  {_words(name):<{_LABEL}} {text}"))
    return lines


def diagnostic_lines(port: Port) -> list[Text]:
    """A line an observable: its smallest and largest value over the lanes."""
    grouped: dict[tuple[str, str], list[Observable]] = {}
    for each in port.vdm:
        grouped.setdefault((each.observable, each.unit), []).append(each)
    lines: list[Text] = []
    for (name, unit), found in grouped.items():
        values = [each.value for each in found]
        low, high = f"{min(values):.4g}", f"{max(values):.4g}"
        span = low if low == high else f"{low} .. {high}"
        lines.append(line(f"  {_words(name):<{_LABEL}} {span} {unit}"))
    return lines


def _words(name: str) -> str:
    return name.replace("_", " ")
