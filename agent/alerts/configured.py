"""Alert rules from `[[rule]]` tables: built-in ones changed or switched off, and new ones."""

from collections.abc import Sequence
from dataclasses import replace
from math import pow as power
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from agent.alerts.builtin import BUILTIN_RULES, RECEIVES, TRANSMITS
from agent.alerts.rules import (
    LINK,
    Active,
    Bound,
    Clear,
    Count,
    Figure,
    Gate,
    Happening,
    Limit,
    Margin,
    Observable,
    Rule,
    Spread,
    Threshold,
    Watch,
)
from agent.model import CORRELATED
from agent.near import did_you_mean
from agent.quantities import FLAGS, QUANTITIES, Flag, Quantity, Unit
from agent.section import Section

_DBM: Final = "_dbm"
_QUANTITIES: Final[dict[str, Quantity]] = {quantity.key: quantity for quantity in QUANTITIES} | {
    f"{quantity.name}{_DBM}": quantity for quantity in QUANTITIES if quantity.unit is Unit.WATT
}
_FLAGS: Final[dict[str, Flag]] = {flag.name: flag for flag in FLAGS}
_CHANGES: Final = {
    "tx_bias": Figure("tx_bias_change_ratio"),
    "tx_power": Figure("tx_power_change_db"),
    "rx_power": Figure("rx_power_change_db"),
}
_GATES: Final = {"tx_power": TRANSMITS, "tx_bias": TRANSMITS, "rx_power": RECEIVES}


BoundNames = Literal["high_alarm", "high_warning", "low_warning", "low_alarm"]
GateNames = Literal["module_ready", "data_path_activated", "tx_enabled", "admin_up", "link_up", "direct_detect"]
EventNames = Literal["link_down", "link_flap", "module_absent", "module_unreadable", "module_swapped"]


class RuleSection(Section):
    """One alert rule. With the name of a built-in one (docs/alerts.md) only what is given here changes."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    enabled: bool = True
    """false switches a built-in rule off."""
    severity: Literal["info", "warning", "critical"] | None = None
    quantity: str = ""
    """What is watched, as in a reading: `temperature_celsius`, `rx_power_dbm`, `tx_bias_amperes`, …"""
    flag: str = ""
    """Or a flag: `rx_los`, `tx_fault`, …"""
    observable: str = ""
    """Or a VDM observable: `pre_fec_ber_current_media_input`, …"""
    event: EventNames | Literal[""] = ""
    """Or an event."""
    above: float | None = None
    below: float | None = None
    threshold: BoundNames | None = None
    """Beyond the module's own threshold; with `margin` already so much before it."""
    margin: float | None = Field(default=None, gt=0)
    """dB for optical power, else the quantity's unit."""
    change: float | None = None
    """Against the baseline: 0.1 is +10 % of bias, -1.0 is 1 dB less power."""
    clear: float | None = None
    """Level at which it resolves; default: a little inside the firing level."""
    for_s: float | None = Field(default=None, alias="for", ge=0, le=604_800)
    """Seconds that it must hold before it fires."""
    hold_off: float | None = Field(default=None, ge=0, le=604_800)
    """Seconds that it must be clear before it resolves."""
    count: int | None = Field(default=None, ge=1)
    """Of an event: so many times …"""
    within: float = Field(default=86_400, gt=0, le=86_400)
    """… within so many seconds."""
    lanes: list[Annotated[int, Field(ge=1, le=64)]] = []
    """Only these lanes; all when empty."""
    gate: list[GateNames] | None = None
    """What must hold before it judges."""
    summary: str = ""
    """The sentence of its message; `{value}` and `{threshold}` are filled in."""

    @model_validator(mode="after")
    def _is_a_rule(self) -> Self:
        check_rule(self)
        return self


def all_rules(sections: Sequence[RuleSection]) -> tuple[Rule, ...]:
    """The built-in rules as changed by the sections, and the new ones, in the order of their ladders."""
    changed = {section.name: section for section in sections}
    rules: list[Rule] = []
    for rule in BUILTIN_RULES:
        section = changed.get(rule.name)
        if section is None:
            rules.append(rule)
        elif section.enabled:
            rules.append(_changed(rule, section))
    known = {rule.name for rule in BUILTIN_RULES}
    rules += [_new(section) for section in sections if section.enabled and section.name not in known]
    return tuple(rules)


def check_rule(section: RuleSection) -> None:
    """Raises ValueError with one line for a person when the table is no rule."""
    if section.name in {LINK, CORRELATED}:
        raise ValueError(f"{section.name!r} is a name of opticd's own")
    known = [rule for rule in BUILTIN_RULES if rule.name == section.name]
    for rule in known:
        _changed(rule, section)
    if not known and section.enabled:
        _new(section)
    if not known and not section.enabled:
        raise ValueError(
            f"no built-in rule {section.name!r}{did_you_mean(section.name, (r.name for r in BUILTIN_RULES))}"
        )


def _changed(rule: Rule, section: RuleSection) -> Rule:
    """A built-in rule with what the section gives; what it watches stays."""
    if any((section.quantity, section.flag, section.observable, section.event)):
        raise ValueError(f"{rule.name!r} is a built-in rule: what it watches cannot be changed, take another name")
    bound = rule.bound
    if section.above is not None or section.below is not None:
        if not isinstance(bound, Limit):
            raise ValueError(f"{rule.name!r} compares with no number: above and below do not apply")
        bound = _limit(section, rule.watch)
    if section.margin is not None:
        if isinstance(bound, Margin):
            bound = replace(bound, by=section.margin)
        elif isinstance(bound, Spread):
            bound = Spread(section.margin)
        else:
            raise ValueError(f"{rule.name!r} has no margin")
    if section.count is not None:
        if not isinstance(bound, Count):
            raise ValueError(f"{rule.name!r} counts nothing")
        bound = Count(((section.count, section.within),))
    return _finish(replace(rule, bound=bound), section)


def _new(section: RuleSection) -> Rule:
    given = [key for key in ("quantity", "flag", "observable", "event") if getattr(section, key)]
    if len(given) != 1:
        near = did_you_mean(section.name, (rule.name for rule in BUILTIN_RULES))
        raise ValueError(f"give one of quantity, flag, observable, event{near}")
    watch, bound = _watch(section), _bound(section)
    name = watch.name if isinstance(watch, Quantity) else ""
    gates = _GATES.get(name, frozenset[Gate]())
    rule = Rule(section.name, watch, bound, "warning", _text(section, bound), gates=gates, unit=_unit(section))
    return _finish(rule, section)


def _watch(section: RuleSection) -> Watch:
    if section.flag:
        if section.flag not in _FLAGS:
            raise ValueError(f"flag {section.flag!r} is not known{did_you_mean(section.flag, _FLAGS)}")
        return _FLAGS[section.flag]
    if section.observable:
        return Observable((section.observable,))
    if section.event:
        return Happening(section.event)
    quantity = _QUANTITIES.get(section.quantity)
    if quantity is None:
        raise ValueError(f"quantity {section.quantity!r} is not known{did_you_mean(section.quantity, _QUANTITIES)}")
    if section.change is not None:
        if quantity.name not in _CHANGES:
            raise ValueError(f"{section.quantity} has no baseline: change works for {', '.join(sorted(_CHANGES))}")
        return _CHANGES[quantity.name]
    return quantity


def _bound(section: RuleSection) -> Bound:
    if section.flag:
        return Active()
    if section.event:
        counts = section.event == Happening.LINK_FLAP.value
        if counts and section.count is None:
            raise ValueError("link_flap needs count (and within, seconds)")
        return Count(((section.count or 1, section.within),)) if section.count is not None else Active()
    given = [key for key in ("above", "below", "threshold", "change") if getattr(section, key) is not None]
    if len(given) != 1:
        raise ValueError("give one of above, below, threshold, change")
    if section.change is not None:
        return Limit(section.change, above=section.change > 0)
    if section.threshold is None:
        return _limit(section, _watch(section))
    if section.observable and section.margin is not None:
        raise ValueError("an observable has no margin: give threshold alone, or above or below")
    return Threshold(section.threshold) if section.margin is None else Margin(section.threshold, section.margin)


def _limit(section: RuleSection, watch: Watch) -> Limit:
    if section.above is not None and section.below is not None:
        raise ValueError("give above or below, not both")
    if section.above is not None:
        return Limit(_in_unit(section.above, section, watch), above=True)
    if section.below is not None:
        return Limit(_in_unit(section.below, section, watch), above=False)
    raise ValueError("give above or below")


def _in_unit(value: float, section: RuleSection, watch: Watch) -> float:
    """A number of the file in the unit of what is watched (dBm to watts)."""
    if isinstance(watch, Quantity) and section.quantity.endswith(_DBM):
        return power(10.0, (value - 30.0) / 10.0)
    return value


def _finish(rule: Rule, section: RuleSection) -> Rule:
    return replace(
        rule,
        severity=section.severity or rule.severity,
        for_s=rule.for_s if section.for_s is None else section.for_s,
        hold_off_s=rule.hold_off_s if section.hold_off is None else section.hold_off,
        clear=rule.clear if section.clear is None else Clear(level=_in_unit(section.clear, section, rule.watch)),
        lanes=frozenset(section.lanes) or rule.lanes,
        gates=rule.gates if section.gate is None else frozenset(Gate(name) for name in section.gate),
        text=section.summary or rule.text,
    )


def _unit(section: RuleSection) -> str:
    return "flaps" if section.event == Happening.LINK_FLAP.value else ""


def _text(section: RuleSection, bound: Bound) -> str:
    what = (section.quantity or section.flag or section.observable or section.event).replace("_", " ")
    match bound:
        case Active():
            return what
        case Count():
            return f"{what}: {{value}} times (limit {{threshold}})"
        case Margin(name, _):
            return f"{what} {{value}} is near the module's {name.replace('_', ' ')} (limit {{threshold}})"
        case Threshold(name):
            return f"{what} {{value}} is beyond the module's {name.replace('_', ' ')} of {{threshold}}"
        case Limit(_, above):
            changed = " changed by" if section.change is not None else ""
            return f"{what}{changed} {{value}} is {'above' if above else 'below'} {{threshold}}"
        case _:
            return f"{what} {{value}} (limit {{threshold}})"
