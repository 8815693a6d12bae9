"""Recording and alerting rules. `ON` is what tells one port from another: opticd is one device a scrape."""

from collections.abc import Iterator
from typing import Final, NamedTuple

ON: Final = "job, instance, port"
KP4: Final = "2.4e-4"
"""Bit error ratio that RS(544,514) still corrects (IEEE 802.3)."""


class Recording(NamedTuple):
    """`record` is a new series; `why` stands above it."""

    record: str
    expr: str
    why: str


class Alert(NamedTuple):
    """One alert; the page of its runbook is made of its name."""

    name: str
    severity: str
    wait: str
    expr: str
    summary: str

    @property
    def runbook(self) -> str:
        """File below docs/runbooks."""
        words = "".join(f"-{char.lower()}" if char.isupper() else char for char in self.name)
        return f"{words.removeprefix('-opticd-')}.md"


PORTS: Final = (
    Recording(
        "opticd:port_ready",
        f"xcvr_up == 1\n"
        f'unless on ({ON}) xcvr_module_state{{state!="ModuleReady"}} == 1\n'
        f"unless on ({ON}) max by ({ON}) (xcvr_datapath_state == bool 4) == 0",
        "1 while the module is read, ready, and some lane's data path is activated (4); those without states are.",
    ),
    Recording(
        "opticd:rx_margin_db",
        f'xcvr_rx_power_dbm - on ({ON}) group_left () xcvr_rx_power_threshold_dbm{{bound="low",severity="alarm"}}',
        "Received power of a lane above the module's own low alarm.",
    ),
    Recording(
        "opticd:rx_margin_db:port",
        f"min by ({ON}) (opticd:rx_margin_db)",
        "The same of the weakest lane.",
    ),
    Recording(
        "opticd:pre_fec_ber_ratio:port",
        f'max by ({ON}, side) (xcvr_pre_fec_ber_ratio{{stat="current"}})',
        "Bit error ratio of the worst lane.",
    ),
    Recording(
        "opticd:unintentional_downs:1h",
        f'sum by ({ON}) (increase(xcvr_link_down_events_total{{cause="unintentional"}}[1h]))',
        "Links that went down by themselves.",
    ),
    Recording(
        "opticd:unintentional_downs:1d",
        f'sum by ({ON}) (increase(xcvr_link_down_events_total{{cause="unintentional"}}[1d]))',
        "",
    ),
)

WINDOW: Final = "30d"
_MODULE: Final = "vendor, part_number, serial_number, form_factor"
_GROUPS: Final = {
    "port": ON,
    "part": "vendor, part_number",
    "type": "form_factor",
    "vendor": "vendor",
    "fleet": "",
}
"""What the reliability figures are given for."""


def reliability() -> Iterator[Recording]:
    """Link-hours, unintentional downs, and their quotient with its lower bound."""
    yield Recording(
        "opticd:link_up_seconds:module",
        f"xcvr_link_up_seconds_total * on ({ON}) group_left ({_MODULE}) xcvr_module_info",
        "Copies of the counters, sparse (one a group interval) and under the name of the module that was there: "
        "what an exchanged module did stays its own.",
    )
    yield Recording(
        "opticd:link_downs:module",
        f'sum by ({ON}) (xcvr_link_down_events_total{{cause="unintentional"}})\n'
        f"* on ({ON}) group_left ({_MODULE}) xcvr_module_info",
        "",
    )
    for level, labels in _GROUPS.items():
        by = f"sum by ({labels})" if labels else "sum"
        yield Recording(
            f"opticd:link_hours:{level}",
            f"{by} (increase(opticd:link_up_seconds:module[{WINDOW}])) / 3600",
            f"Hours that links were up in {WINDOW}.",
        )
        yield Recording(f"opticd:link_downs:{level}", f"{by} (increase(opticd:link_downs:module[{WINDOW}]))", "")
        yield Recording(
            f"opticd:link_hours_per_down:{level}",
            f"opticd:link_hours:{level} / (opticd:link_downs:{level} > 0)",
            "What was measured; nothing where no link went down.",
        )
        yield Recording(
            f"opticd:link_hours_per_down_lower95:{level}",
            _lower_bound(f"opticd:link_hours:{level}", f"opticd:link_downs:{level}"),
            "With 95 % confidence it is better than this (Poisson, one-sided), also where no link went down.",
        )


def _lower_bound(hours: str, downs: str) -> str:
    """Hours over the upper bound of the expected downs: half the 95 % quantile of chi-squared of 2n + 2.

    The quantile by Wilson and Hilferty, 0.9 % too small at n = 0 and less for every other n: made 1 % larger.
    """
    n = f"({downs} + 1)"
    return f"{hours}\n/ (1.01 * {n} * (1 - 1 / (9 * {n}) + 1.6449 / (3 * sqrt{n})) ^ 3)"


def _gated(expr: str) -> str:
    return f"({expr})\nand on ({ON}) opticd:port_ready"


def _beyond(value: str, threshold: str, bound: str, severity: str) -> str:
    sign = ">" if bound == "high" else "<"
    return f'{value}\n{sign} on ({ON}) group_left () {threshold}{{bound="{bound}",severity="{severity}"}}'


_WHERE: Final = "{{ $labels.instance }} {{ $labels.port }}"
_LANE: Final = f"{_WHERE} lane {{{{ $labels.lane }}}}"
_SIDE: Final = f"{_LANE} ({{{{ $labels.side }}}})"
_BER: Final = 'xcvr_pre_fec_ber_ratio{stat="current"}'
_DIRECT: Final = f"unless on ({ON}) xcvr_coherent_osnr_db\nunless on ({ON}) xcvr_link_up == 0"
"""Coherent modules correct far more; a link that is down has errors only."""

ALERTS: Final = (
    # ---- links
    Alert(
        "OpticdLinkDown", "critical", "30s",
        f"xcvr_link_up == 0\n"
        f"and on ({ON}) xcvr_module_present == 1\n"
        f'and on ({ON}) sum by ({ON}) (increase(xcvr_link_down_events_total{{cause!="admin"}}[1d])) > 0.5',
        f"{_WHERE}: the link went down and stays down",
    ),
    Alert(
        "OpticdLinkFlapped", "warning", "0s",
        "opticd:unintentional_downs:1d > 0.5",
        f"{_WHERE}: the link went down by itself in the last 24 hours",
    ),
    Alert(
        "OpticdLinkFlapping", "critical", "0s",
        "opticd:unintentional_downs:1d > 2.5 or opticd:unintentional_downs:1h > 1.5",
        f'{_WHERE}: the link keeps flapping ({{{{ $value | printf "%.0f" }}}} times)',
    ),
    Alert(
        "OpticdManyLinksDown", "critical", "10s",
        "count by (job, instance) (xcvr_link_up == 0 and on (job, instance, port) changes(xcvr_link_up[5m]) > 0)\n"
        "/ on (job, instance) count by (job, instance) (xcvr_link_up) >= 0.25",
        "{{ $labels.instance }}: {{ $value | humanizePercentage }} of the links fell within 5 minutes",
    ),
    # ---- light
    Alert(
        "OpticdRxLos", "critical", "30s",
        _gated("xcvr_rx_los == 1"),
        f"{_LANE}: no light is received",
    ),
    Alert(
        "OpticdRxPowerLow", "critical", "1m",
        _gated(_beyond("xcvr_rx_power_dbm", "xcvr_rx_power_threshold_dbm", "low", "alarm")),
        f"{_LANE}: received power {{{{ $value | printf \"%.2f\" }}}} dBm is below the module's low alarm",
    ),
    Alert(
        "OpticdRxMarginLow", "warning", "5m",
        _gated("opticd:rx_margin_db < 1 and opticd:rx_margin_db >= 0"),
        f"{_LANE}: received power is {{{{ $value | printf \"%.2f\" }}}} dB above the module's low alarm",
    ),
    Alert(
        "OpticdTxFault", "critical", "30s",
        _gated("xcvr_tx_fault == 1"),
        f"{_LANE}: the transmitter reports a fault",
    ),
    Alert(
        "OpticdTxBiasHigh", "warning", "5m",
        _gated(_beyond("xcvr_tx_bias_amperes", "xcvr_tx_bias_threshold_amperes", "high", "warning")),
        f"{_LANE}: laser bias {{{{ $value | humanize }}}}A is above the module's high warning",
    ),
    Alert(
        "OpticdPreFecBerHigh", "critical", "1m",
        _gated(f"{_BER} > {KP4}\n{_DIRECT}"),
        f"{_SIDE}: pre-FEC bit error ratio {{{{ $value }}}} is beyond the KP4 limit of {KP4}",
    ),
    Alert(
        "OpticdPreFecBerRising", "warning", "5m",
        _gated(f"{_BER} > {KP4} / 10\nunless {_BER} > {KP4}\n{_DIRECT}"),
        f"{_SIDE}: pre-FEC bit error ratio {{{{ $value }}}} is within a decade of the limit",
    ),
    # ---- modules
    Alert(
        "OpticdTemperatureHigh", "critical", "1m",
        _beyond("xcvr_temperature_celsius", "xcvr_temperature_threshold_celsius", "high", "alarm"),
        f"{_WHERE}: {{{{ $value | printf \"%.1f\" }}}} degC is above the module's high alarm",
    ),
    Alert(
        "OpticdTemperatureWarning", "warning", "5m",
        _beyond("xcvr_temperature_celsius", "xcvr_temperature_threshold_celsius", "high", "warning"),
        f"{_WHERE}: {{{{ $value | printf \"%.1f\" }}}} degC is above the module's high warning",
    ),
    Alert(
        "OpticdModuleFault", "critical", "0s",
        'xcvr_module_state{state="ModuleFault"} == 1',
        f"{_WHERE}: the module is in the state ModuleFault",
    ),
    Alert(
        "OpticdModuleGone", "critical", "1m",
        "xcvr_module_present == 0 and max_over_time(xcvr_module_present[1d]) == 1",
        f"{_WHERE}: the module that was there is gone",
    ),
    Alert(
        "OpticdModuleSwapped", "info", "0s",
        "increase(xcvr_module_swaps_total[1h]) > 0.5",
        f"{_WHERE}: another module is in the cage",
    ),
    Alert(
        "OpticdModuleUnreadable", "warning", "5m",
        "xcvr_up == 0 and xcvr_module_present == 1",
        f"{_WHERE}: the module cannot be read",
    ),
    # ---- opticd itself
    Alert(
        "OpticdDown", "critical", "2m",
        'up{job=~"opticd.*"} == 0',
        "{{ $labels.instance }}: opticd does not answer",
    ),
    Alert("OpticdSourceDown", "warning", "5m", "opticd_source_up == 0",
        "{{ $labels.instance }}: source {{ $labels.source }} does not work"),
    Alert("OpticdBusDown", "warning", "2m", "xcvr_bus_up == 0",
        "{{ $labels.instance }}: bus {{ $labels.bus }} does not work"),
    Alert("OpticdPollOverruns", "warning", "15m", "rate(xcvr_poll_overruns_total[10m]) > 0.01",
        "{{ $labels.instance }}: bus {{ $labels.bus }} is too slow for its poll interval"),
    Alert("OpticdMqttDisconnected", "warning", "5m", "opticd_mqtt_connected == 0",
        "{{ $labels.instance }}: no connection to the MQTT broker; messages wait"),
    Alert("OpticdMqttDropping", "critical", "0s", "increase(opticd_mqtt_dropped_total[15m]) > 0",
        "{{ $labels.instance }}: MQTT messages are given up ({{ $labels.reason }})"),
    Alert("OpticdReloadFailed", "warning", "1m", "opticd_config_reload_success == 0",
        "{{ $labels.instance }}: the config that was to be reloaded is wrong"),
    Alert("OpticdEventLoopLag", "warning", "5m", "opticd_event_loop_lag_seconds > 1",
        "{{ $labels.instance }}: the event loop is {{ $value | humanizeDuration }} late"),
)  # fmt: skip

OWN: Final = tuple(
    Alert(
        f"OpticdRule{severity.capitalize()}", severity, "0s",
        f'xcvr_alert_active{{severity="{severity}"}} == 1',
        f"{_WHERE}: {{{{ $labels.rule }}}}{{{{ with $labels.lane }}}} on lane {{{{ . }}}}{{{{ end }}}}",
    )
    for severity in ("critical", "warning")
)  # fmt: skip
"""Instead of those on links, light and modules: what opticd's own rules say (docs/alerts.md)."""


def everything() -> Iterator[Alert]:
    """All alerts."""
    yield from ALERTS
    yield from OWN
