"""The rules that come with opticd. The numbers and their reasons are in docs/alerts.md."""

from typing import Final

from agent import quantities as q
from agent.alerts.rules import (
    KP4_LIMIT,
    Active,
    BoundName,
    Clear,
    Count,
    FecCounter,
    Figure,
    Gate,
    Happening,
    Increase,
    LaserFault,
    Limit,
    Margin,
    ModuleFault,
    Observable,
    Outlier,
    Rule,
    Spread,
    Threshold,
)
from agent.alerts.vdm import observable_rules
from agent.model import Severity
from agent.quantities import Flag, Quantity

HOUR_S: Final = 3600.0
DAY_S: Final = 86_400.0
FLAG_HOLD_OFF_S: Final = 10.0
"""Latched flags come and go with each read: an alert outlives one clear read of a ten-second poll."""

FIBRE_OR_FAR_END: Final = "dirt or connector, bent fibre, or the laser of the far end ages"

READY: Final = frozenset({Gate.MODULE_READY})
TRANSMITS: Final = frozenset({Gate.MODULE_READY, Gate.DATA_PATH_ACTIVATED, Gate.TX_ENABLED})
RECEIVES: Final = frozenset({Gate.MODULE_READY, Gate.DATA_PATH_ACTIVATED, Gate.ADMIN_UP})
CARRIES: Final = RECEIVES | {Gate.LINK_UP}
NO_LIGHT: Final = frozenset({"rx_los"})
DARK: Final = frozenset({"rx_los", "link_down"})

BER_MEDIA: Final = Observable(("pre_fec_ber_current_media_input", "pre_fec_ber_avg_media_input"))
BER_HOST: Final = Observable(("pre_fec_ber_current_host_input", "pre_fec_ber_avg_host_input"))
FRAMES_MEDIA: Final = Observable(("ferc_current_media_input", "ferc_avg_media_input"))
FRAMES_HOST: Final = Observable(("ferc_current_host_input", "ferc_avg_host_input"))

_ALARMED: Final[tuple[tuple[Quantity, Clear, frozenset[Gate]], ...]] = (
    (q.TEMPERATURE, Clear(1.0), frozenset()),
    (q.SUPPLY_VOLTAGE, Clear(0.005, relative=True), frozenset()),
    (q.AUX1, Clear(), READY),
    (q.CUSTOM, Clear(), READY),
    (q.LASER_TEMPERATURE, Clear(0.5), READY),
    (q.TEC_CURRENT, Clear(0.02), READY),
    (q.TEC_CURRENT_AMPERES, Clear(0.02, relative=True), READY),
    (q.TX_BIAS, Clear(0.02, relative=True), TRANSMITS),
    (q.TX_POWER, Clear(0.5), TRANSMITS),
    (q.RX_POWER, Clear(0.5), RECEIVES),
    (q.LASER_BIAS, Clear(0.02, relative=True), READY),
    (q.LASER_POWER, Clear(0.5), READY),
)
_BOUNDS: Final[tuple[tuple[BoundName, Severity, str], ...]] = (
    ("high_warning", "warning", "is above its high warning of"),
    ("high_alarm", "critical", "is above its high alarm of"),
    ("low_warning", "warning", "is below its low warning of"),
    ("low_alarm", "critical", "is below its low alarm of"),
)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _threshold_rules() -> list[Rule]:
    return [
        Rule(
            f"{quantity.name}_{bound}",
            quantity,
            Threshold(bound),
            severity,
            f"{_words(quantity.name)} {{value}} {text} {{threshold}}",
            clear=clear,
            hold_off_s=FLAG_HOLD_OFF_S,
            gates=gates,
            ladder=f"{quantity.name}_{bound.split('_', maxsplit=1)[0]}",
            implied_by=NO_LIGHT if quantity is q.RX_POWER else frozenset(),
        )
        for quantity, clear, gates in _ALARMED
        for bound, severity, text in _BOUNDS
    ]


def _flag(flag: Flag, severity: Severity, text: str, gates: frozenset[Gate], *implied_by: str) -> Rule:
    return Rule(
        flag.name, flag, Active(), severity, text,
        hold_off_s=FLAG_HOLD_OFF_S, gates=gates, implied_by=frozenset(implied_by),
    )  # fmt: skip


_MARGINS: Final = (
    Rule(
        "rx_power_margin", q.RX_POWER, Margin("low_alarm", 3.0), "info",
        "received power {value} is less than 3 dB above its low alarm (limit {threshold})",
        for_s=60.0, clear=Clear(0.5), gates=RECEIVES, ladder="rx_power_low", implied_by=DARK,
    ),
    Rule(
        "rx_power_margin_critical", q.RX_POWER, Margin("low_alarm", 1.0), "warning",
        "received power {value} is less than 1 dB above its low alarm (limit {threshold})",
        for_s=60.0, clear=Clear(0.5), gates=RECEIVES, ladder="rx_power_low", implied_by=DARK,
    ),
    Rule(
        "temperature_near_warning", q.TEMPERATURE, Margin("high_warning", 3.0), "info",
        "temperature {value} has been within 3 degC of its high warning for five minutes (limit {threshold})",
        for_s=300.0, hold_off_s=60.0, clear=Clear(1.0), ladder="temperature_high",
        cause="cooling: fan, blocked air, hot neighbours",
    ),
)  # fmt: skip

_FLAGS: Final = (
    _flag(q.TX_FAULT, "critical", "the transmitter reports a fault", TRANSMITS - {Gate.DATA_PATH_ACTIVATED}),
    _flag(q.RX_LOS, "critical", "no light is received", RECEIVES, "link_down"),
    _flag(
        q.RX_CDR_LOL, "warning", "clock recovery of the received signal lost lock", RECEIVES, "rx_los", "link_down"
    ),
    _flag(q.TX_LOS, "warning", "no signal arrives from the host", TRANSMITS | {Gate.ADMIN_UP}),
    _flag(
        q.TX_CDR_LOL,
        "warning",
        "clock recovery of the host signal lost lock",
        TRANSMITS | {Gate.ADMIN_UP},
        "tx_los",
    ),
    _flag(q.TX_ADAPTIVE_EQ_FAULT, "warning", "the equaliser of the host input failed", TRANSMITS, "tx_los"),
    Rule(
        "laser_fault", LaserFault.FLAG, Active(), "critical", "a laser of the external source reports a fault",
        hold_off_s=FLAG_HOLD_OFF_S, cause="the external laser source: exchange it",
    ),
    _flag(q.MODULE_FIRMWARE_ERROR, "warning", "the module's firmware failed its self test", frozenset()),
    _flag(q.DATA_PATH_FIRMWARE_ERROR, "warning", "the firmware of the signal processor did not load", frozenset()),
    Rule("module_fault", ModuleFault.STATE, Active(), "critical", "the module is in the state ModuleFault"),
)  # fmt: skip

_ERRORS: Final = (
    Rule(
        "pre_fec_ber_media_margin", BER_MEDIA, Limit(KP4_LIMIT / 10), "warning",
        "pre-FEC bit error ratio {value} on the media side is above {threshold}: within a decade of the KP4 limit",
        for_s=60.0, clear=Clear(0.5, relative=True), gates=CARRIES | {Gate.DIRECT_DETECT}, ladder="ber_media",
        implied_by=DARK,
    ),
    Rule(
        "pre_fec_ber_media", BER_MEDIA, Limit(KP4_LIMIT), "critical",
        "pre-FEC bit error ratio {value} on the media side is beyond the KP4 limit of {threshold}",
        for_s=10.0, clear=Clear(0.5, relative=True), gates=CARRIES | {Gate.DIRECT_DETECT}, ladder="ber_media",
        implied_by=DARK,
    ),
    Rule(
        "pre_fec_ber_host_margin", BER_HOST, Limit(KP4_LIMIT / 10), "warning",
        "pre-FEC bit error ratio {value} on the host side is above {threshold}: within a decade of the KP4 limit",
        for_s=60.0, clear=Clear(0.5, relative=True), gates=CARRIES, ladder="ber_host",
        implied_by=frozenset({"tx_los", "link_down"}),
    ),
    Rule(
        "pre_fec_ber_host", BER_HOST, Limit(KP4_LIMIT), "critical",
        "pre-FEC bit error ratio {value} on the host side is beyond the KP4 limit of {threshold}",
        for_s=10.0, clear=Clear(0.5, relative=True), gates=CARRIES, ladder="ber_host",
        implied_by=frozenset({"tx_los", "link_down"}),
    ),
    Rule(
        "uncorrected_codewords", FecCounter("uncorrect"), Increase(), "critical",
        "{value} codewords could not be corrected", hold_off_s=300.0, gates=CARRIES, unit="codewords",
        implied_by=frozenset({"link_down"}),
    ),
    Rule(
        "uncorrected_frames_media", FRAMES_MEDIA, Limit(0.0), "critical",
        "{value} frames could not be corrected on the media side", hold_off_s=300.0, gates=CARRIES, unit="frames",
        implied_by=DARK,
    ),
    Rule(
        "uncorrected_frames_host", FRAMES_HOST, Limit(0.0), "critical",
        "{value} frames could not be corrected on the host side", hold_off_s=300.0, gates=CARRIES, unit="frames",
        implied_by=frozenset({"tx_los", "link_down"}),
    ),
    Rule(
        "lane_outlier", BER_MEDIA, Outlier(ratio=10.0, db=2.0), "warning",
        "this lane has {value} times the bit errors of its sisters and 2 dB less light",
        for_s=60.0, gates=CARRIES, unit="ratio", implied_by=DARK,
        cause="dirt or connector: clean the connector of this lane",
    ),
    Rule(
        "lane_spread", q.RX_POWER, Spread(4.0), "info",
        "received power differs by {value} between the lanes (limit {threshold})",
        for_s=300.0, hold_off_s=60.0, clear=Clear(0.5), gates=CARRIES, unit="db",
        implied_by=frozenset({"rx_los", "link_down", "rx_power_low_alarm"}),
        cause="dirt or connector",
    ),
)  # fmt: skip

_EVENTS: Final = (
    Rule(
        "module_absent", Happening.MODULE_ABSENT, Active(), "critical", "the module is gone",
        gates=frozenset({Gate.ADMIN_UP}), lifetime_s=DAY_S,
    ),
    Rule(
        "module_unreadable", Happening.MODULE_UNREADABLE, Count(((3, 0.0),)), "warning",
        "the module could not be read {value} times in a row",
    ),
    Rule(
        "module_swapped", Happening.MODULE_SWAPPED, Active(), "info", "the module was exchanged",
        lifetime_s=HOUR_S,
    ),
    Rule(
        "link_down", Happening.LINK_DOWN, Active(), "critical", "the link went down",
        gates=frozenset({Gate.ADMIN_UP}), implied_by=frozenset({"link_flap_storm"}),
    ),
    Rule(
        "link_flap", Happening.LINK_FLAP, Count(((1, DAY_S),)), "warning",
        "the link flapped (in 24 hours: {value})", ladder="link_flap", implied_by=frozenset({"link_down"}),
        unit="flaps",
    ),
    Rule(
        "link_flapping", Happening.LINK_FLAP, Count(((3, DAY_S), (2, HOUR_S))), "critical",
        "the link keeps flapping (in 24 hours: {value})", ladder="link_flap", unit="flaps",
        implied_by=frozenset({"link_down"}),
    ),
    Rule(
        "link_flap_storm", Happening.LINK_FLAP, Count(((5, 10.0),)), "critical",
        "the link flaps all the time: {threshold} times in ten seconds (in 24 hours: {value})",
        hold_off_s=60.0, ladder="link_flap", unit="flaps",
    ),
)  # fmt: skip

_AGEING: Final = (
    Rule(
        "tx_bias_change", Figure("tx_bias_change_ratio"), Limit(0.10), "warning",
        "laser bias is {value} above its baseline (limit {threshold})", clear=Clear(0.02), ladder="tx_bias_change",
        gates=TRANSMITS, cause="the laser ages",
    ),
    Rule(
        "tx_bias_change_critical", Figure("tx_bias_change_ratio"), Limit(0.20), "critical",
        "laser bias is {value} above its baseline (limit {threshold})", clear=Clear(0.02), ladder="tx_bias_change",
        gates=TRANSMITS, cause="the laser is near its end: plan to exchange the module",
    ),
    Rule(
        "rx_power_change", Figure("rx_power_change_db"), Limit(-1.0, above=False), "warning",
        "received power is {value} from its baseline (limit {threshold})", clear=Clear(0.2),
        ladder="rx_power_change", gates=RECEIVES, cause=FIBRE_OR_FAR_END,
        implied_by=frozenset({"rx_los", "rx_power_low_alarm", "link_down"}),
    ),
    Rule(
        "rx_power_change_critical", Figure("rx_power_change_db"), Limit(-2.0, above=False), "critical",
        "received power is {value} from its baseline (limit {threshold})", clear=Clear(0.2),
        ladder="rx_power_change", gates=RECEIVES, cause=FIBRE_OR_FAR_END,
        implied_by=frozenset({"rx_los", "rx_power_low_alarm", "link_down"}),
    ),
    Rule(
        "pre_fec_ber_growth", Figure("pre_fec_ber_growth_decades"), Limit(1.0), "warning",
        "pre-FEC bit error ratio grew by {value} over its baseline (limit {threshold})", clear=Clear(0.2),
        gates=CARRIES, implied_by=DARK,
    ),
    Rule(
        "rx_power_forecast", Figure("rx_power_low_warning_days"), Limit(14.0, above=False), "warning",
        "received power falls and will cross its low warning in {value} (limit {threshold})", clear=Clear(4.0),
        gates=RECEIVES, implied_by=frozenset({"rx_los", "rx_power_low_alarm", "rx_power_low_warning", "link_down"}),
    ),
    Rule(
        "tx_bias_forecast", Figure("tx_bias_high_warning_days"), Limit(14.0, above=False), "warning",
        "laser bias rises and will cross its high warning in {value} (limit {threshold})", clear=Clear(4.0),
        gates=TRANSMITS, implied_by=frozenset({"tx_bias_high_alarm", "tx_bias_high_warning"}),
        cause="the laser ages",
    ),
)  # fmt: skip


BUILTIN_RULES: Final[tuple[Rule, ...]] = (
    *_MARGINS, *_threshold_rules(), *_FLAGS, *_ERRORS, *observable_rules(), *_EVENTS, *_AGEING
)  # fmt: skip
"""In the order of their ladders: of those that hold, the last is shown. `tec_current` has its rules per unit."""
