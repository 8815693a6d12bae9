"""Built-in rules on the module's own thresholds and flags of its VDM observables. Their reasons: docs/alerts.md.

Of the statistics of an observable the present value is watched: minimum and maximum say the same later.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from agent.alerts.rules import BoundName, Clear, Gate, Observable, Rule, Threshold
from agent.model import Severity

HOLD_OFF_S: Final = 150.0
"""Flags are read with the samples, once a minute: an alert outlives one clear read."""

_READY: Final = frozenset({Gate.MODULE_READY})
_LASER: Final = _READY | {Gate.TX_ENABLED}
_LIT: Final = _READY | {Gate.DATA_PATH_ACTIVATED, Gate.ADMIN_UP}
_CARRIES: Final = _LIT | {Gate.LINK_UP}
_HOST: Final = frozenset({"tx_los", "link_down"})
_DARK: Final = frozenset({"rx_los", "link_down"})
_NOTHING: Final = frozenset[str]()


class Watched(NamedTuple):
    """An observable with its unit in messages, when it says something, and what says it already."""

    name: str
    unit: str
    gates: frozenset[Gate]
    implied_by: frozenset[str] = _NOTHING
    clear: Clear = Clear(0.02, relative=True)


_MARGINS: Final = ("snr_margin", "q_factor", "q_margin", "osnr", "esnr", "mer")
_IMPAIRMENTS: Final = (
    ("pdl", "dB"), ("dgd", "ps"), ("sopmd_high_granularity", "ps^2"), ("sopmd_low_granularity", "ps^2"),
    ("cd_high_granularity", "ps/nm"), ("cd_low_granularity", "ps/nm"), ("cfo", "MHz"), ("soproc", "krad/s"),
    ("evm_modem", "%"), ("clock_recovery_loop", "%"),
)  # fmt: skip
_RAILS: Final = ("vcc2p6", "vcc1p8", "vcc1p2", "vcc0p9", "vcc0p7a", "vcc0p7b", "vcc12")
_BIASES: Final = ("xi", "xq", "yi", "yq", "x_phase", "y_phase")
_FACTOR_2: Final = Clear(0.5, relative=True)

WATCHED: Final[tuple[Watched, ...]] = (
    Watched("laser_age", "%", _READY),
    Watched("laser_temperature", "degC", _LASER, clear=Clear(0.5)),
    Watched("laser_frequency_error", "MHz", _LASER),
    Watched("tec_current", "%", _LASER),
    Watched("els_input_power", "dBm", _READY, clear=Clear(0.5)),
    *(Watched(f"{rail}_voltage", "V", _READY, clear=Clear(0.005, relative=True)) for rail in _RAILS),
    Watched("snr_media_input", "dB", _CARRIES, _DARK, Clear(0.2)),
    Watched("snr_host_input", "dB", _CARRIES, _HOST, Clear(0.2)),
    Watched("pam4_level_transition_parameter_media_input", "dB", _CARRIES, _DARK, Clear(0.2)),
    Watched("pam4_level_transition_parameter_host_input", "dB", _CARRIES, _HOST, Clear(0.2)),
    Watched("pre_fec_ber_current_media_input", "ratio", _CARRIES, _DARK | {"pre_fec_ber_media"}, _FACTOR_2),
    Watched("pre_fec_ber_current_host_input", "ratio", _CARRIES, _HOST | {"pre_fec_ber_host"}, _FACTOR_2),
    Watched("ferc_current_media_input", "frames", _CARRIES, _DARK | {"uncorrected_frames_media"}, _FACTOR_2),
    Watched("ferc_current_host_input", "frames", _CARRIES, _HOST | {"uncorrected_frames_host"}, _FACTOR_2),
    Watched("sewmax_current_media_input", "symbols", _CARRIES, _DARK),
    Watched("sewmax_current_host_input", "symbols", _CARRIES, _HOST),
    Watched("tx_power", "dBm", _LASER, frozenset({"tx_fault"}), Clear(0.5)),
    Watched("rx_total_power", "dBm", _LIT, _DARK, Clear(0.5)),
    Watched("rx_signal_power", "dBm", _LIT, _DARK, Clear(0.5)),
    *(Watched(name, "dB", _CARRIES, _DARK, Clear(0.2)) for name in _MARGINS),
    *(Watched(name, unit, _CARRIES, _DARK) for name, unit in _IMPAIRMENTS),
    *(Watched(f"modulator_bias_{name}", "%", _LASER) for name in _BIASES),
)
_BOUNDS: Final[tuple[tuple[BoundName, Severity], ...]] = (
    ("high_warning", "warning"), ("high_alarm", "critical"), ("low_warning", "warning"), ("low_alarm", "critical"),
)  # fmt: skip


def observable_rules() -> Iterator[Rule]:
    """All of them, warnings before alarms: so they stand on their ladders."""
    for name, unit, gates, implied_by, clear in WATCHED:
        said = "" if unit == "ratio" else f" {unit}"
        for bound, severity in _BOUNDS:
            side, level = bound.split("_")
            where = "above" if side == "high" else "below"
            yield Rule(
                f"vdm_{name}_{bound}",
                Observable((name,)),
                Threshold(bound),
                severity,
                f"{name.replace('_', ' ')} {{value}}{said} is {where} the module's {side} {level} of"
                f" {{threshold}}{said}",
                hold_off_s=HOLD_OFF_S,
                clear=clear,
                gates=gates,
                ladder=f"vdm_{name}_{side}",
                implied_by=implied_by,
                unit=unit,
            )
