"""The five Grafana dashboards."""

from collections.abc import Iterator

from mixin.source.panels import Dashboard, Panel, Target, Variable, dashboard

JOB = Variable("job", "label_values(opticd_build_info, job)", several=False)
INSTANCE = Variable("instance", 'label_values(xcvr_up{job="$job"}, instance)')
ONE_INSTANCE = Variable("instance", 'label_values(xcvr_up{job="$job"}, instance)', several=False)
PORT = Variable("port", 'label_values(xcvr_module_present{job="$job",instance="$instance"}, port)', several=False)

_ALL = 'job="$job",instance=~"$instance"'
_ONE = 'job="$job",instance="$instance"'
_HERE = 'job="$job",instance="$instance",port="$port"'


def fleet() -> Dashboard:
    """What needs a look, over all devices."""
    return Dashboard("opticd-fleet", "opticd / fleet", (JOB, INSTANCE), (
        Panel("Devices", "stat", Target(f"count(up{{{_ALL}}} == 1)"), width=4, height=4),
        Panel("Modules", "stat", Target(f"sum(xcvr_module_present{{{_ALL}}})"), width=4, height=4),
        Panel("Links up", "stat", Target(f"sum(xcvr_link_up{{{_ALL}}})"), width=4, height=4),
        Panel("Links down", "stat", Target(f"count(xcvr_link_up{{{_ALL}}} == 0) or vector(0)"), width=4, height=4),
        Panel("Unreadable", "stat",
              Target(f"count(xcvr_up{{{_ALL}}} == 0 and xcvr_module_present{{{_ALL}}} == 1) or vector(0)"),
              width=4, height=4),
        Panel("Alerts", "stat", Target(f"count(xcvr_alert_active{{{_ALL}}}) or vector(0)"), width=4, height=4),
        Panel("Active alerts", "table",
              Target(f"xcvr_alert_active{{{_ALL}}}", table=True), width=12, height=10,
              about="Of opticd's own rules (docs/alerts.md)."),
        Panel("Alerts by severity", "timeseries",
              Target(f"sum by (severity) (xcvr_alert_active{{{_ALL}}})", "{{severity}}"), width=12, height=10),
        Panel("Least margin of received power", "timeseries",
              Target(f"bottomk(10, opticd:rx_margin_db:port{{{_ALL}}})", "{{instance}} {{port}}"), unit="dB",
              about="Above the module's own low alarm, weakest lane."),
        Panel("Warmest modules", "timeseries",
              Target(f"topk(10, xcvr_temperature_celsius{{{_ALL}}})", "{{instance}} {{port}}"), unit="celsius"),
        Panel("Worst pre-FEC bit error ratio", "timeseries",
              Target(f"topk(10, opticd:pre_fec_ber_ratio:port{{{_ALL}}})", "{{instance}} {{port}} {{side}}"),
              unit="sci", logarithmic=True),
        Panel("Links that went down by themselves, 24 h", "timeseries",
              Target(f"sum by (instance) (opticd:unintentional_downs:1d{{{_ALL}}})", "{{instance}}")),
        Panel("Modules by vendor and part number", "table",
              Target(f"count by (vendor, part_number, media) (xcvr_module_info{{{_ALL}}})", table=True), width=24),
    ))  # fmt: skip


def switch() -> Dashboard:
    """One device."""
    return Dashboard("opticd-switch", "opticd / switch", (JOB, ONE_INSTANCE), (
        Panel("Modules", "stat", Target(f"sum(xcvr_module_present{{{_ONE}}})"), width=6, height=4),
        Panel("Links up", "stat", Target(f"sum(xcvr_link_up{{{_ONE}}})"), width=6, height=4),
        Panel("Warmest module", "stat", Target(f"max(xcvr_temperature_celsius{{{_ONE}}})"), unit="celsius",
              width=6, height=4),
        Panel("Least margin", "stat", Target(f"min(opticd:rx_margin_db:port{{{_ONE}}})"), unit="dB",
              width=6, height=4),
        Panel("Links", "state-timeline", Target(f"xcvr_link_up{{{_ONE}}}", "{{port}}"), width=24, height=12),
        Panel("Temperature", "timeseries", Target(f"xcvr_temperature_celsius{{{_ONE}}}", "{{port}}"),
              unit="celsius"),
        Panel("Margin of received power", "timeseries",
              Target(f"opticd:rx_margin_db:port{{{_ONE}}}", "{{port}}"), unit="dB"),
        Panel("Laser bias, strongest lane", "timeseries",
              Target(f"max by (port) (xcvr_tx_bias_amperes{{{_ONE}}})", "{{port}}"), unit="amp"),
        Panel("Pre-FEC bit error ratio, worst lane", "timeseries",
              Target(f"opticd:pre_fec_ber_ratio:port{{{_ONE}}}", "{{port}} {{side}}"), unit="sci",
              logarithmic=True),
        Panel("Alerts", "table", Target(f"xcvr_alert_active{{{_ONE}}}", table=True)),
        Panel("Links that went down, by cause", "timeseries",
              Target(f"sum by (cause) (xcvr_link_down_events_total{{{_ONE}}})", "{{cause}}")),
        Panel("Modules", "table", Target(f"xcvr_module_info{{{_ONE}}}", table=True), width=24, height=12),
    ))  # fmt: skip


def _thresholds(quantity: str, unit: str) -> tuple[Target, ...]:
    return (Target(f"xcvr_{quantity}_threshold_{unit}{{{_HERE}}}", "{{bound}} {{severity}}"),)


def port() -> Dashboard:
    """One port."""
    return Dashboard("opticd-port", "opticd / port", (JOB, ONE_INSTANCE, PORT), (
        Panel("Module", "table", Target(f"xcvr_module_info{{{_HERE}}}", table=True), width=24, height=4),
        Panel("Link", "state-timeline", Target(f"xcvr_link_up{{{_HERE}}}", "link"),
              Target(f"xcvr_up{{{_HERE}}}", "readable"), width=12, height=6),
        Panel("Went down, by cause", "timeseries",
              Target(f"xcvr_link_down_events_total{{{_HERE}}}", "{{cause}}"), width=12, height=6),
        Panel("Received power", "timeseries", Target(f"xcvr_rx_power_dbm{{{_HERE}}}", "lane {{lane}}"),
              *_thresholds("rx_power", "dbm"), unit="dBm"),
        Panel("Launched power", "timeseries", Target(f"xcvr_tx_power_dbm{{{_HERE}}}", "lane {{lane}}"),
              *_thresholds("tx_power", "dbm"), unit="dBm"),
        Panel("Laser bias", "timeseries", Target(f"xcvr_tx_bias_amperes{{{_HERE}}}", "lane {{lane}}"),
              *_thresholds("tx_bias", "amperes"), unit="amp"),
        Panel("Temperature", "timeseries", Target(f"xcvr_temperature_celsius{{{_HERE}}}", "case"),
              Target(f"xcvr_laser_temperature_celsius{{{_HERE}}}", "laser"),
              *_thresholds("temperature", "celsius"), unit="celsius"),
        Panel("Supply voltage", "timeseries", Target(f"xcvr_supply_voltage_volts{{{_HERE}}}", "voltage"),
              *_thresholds("supply_voltage", "volts"), unit="volt"),
        Panel("Pre-FEC bit error ratio", "timeseries",
              Target(f'xcvr_pre_fec_ber_ratio{{{_HERE},stat="current"}}', "lane {{lane}} {{side}}"), unit="sci",
              logarithmic=True),
        Panel("Signal-to-noise ratio", "timeseries",
              Target(f"xcvr_snr_db{{{_HERE}}}", "lane {{lane}} {{side}}"), unit="dB"),
        Panel("Frame errors", "timeseries",
              Target(f"xcvr_frame_error_ratio{{{_HERE}}}", "lane {{lane}} {{side}} {{stat}}"), unit="sci"),
        Panel("Loss of signal and lock, faults", "state-timeline",
              Target(f"xcvr_rx_los{{{_HERE}}}", "rx los {{lane}}"),
              Target(f"xcvr_tx_los{{{_HERE}}}", "tx los {{lane}}"),
              Target(f"xcvr_rx_cdr_lol{{{_HERE}}}", "rx lol {{lane}}"),
              Target(f"xcvr_tx_cdr_lol{{{_HERE}}}", "tx lol {{lane}}"),
              Target(f"xcvr_tx_fault{{{_HERE}}}", "tx fault {{lane}}"), height=12),
        Panel("Data path (4 is activated)", "state-timeline",
              Target(f"xcvr_datapath_state{{{_HERE}}}", "lane {{lane}}"), height=12),
        Panel("Alerts", "state-timeline",
              Target(f"count by (rule, lane) (xcvr_alert_active{{{_HERE}}}) or vector(0)", "{{rule}} {{lane}}"),
              width=24),
    ))  # fmt: skip


def reliability() -> Dashboard:
    """Link-hours a flap, by what is plugged in."""

    def figures(level: str, title: str, *, about: str = "", width: int = 24) -> Panel:
        return Panel(
            title, "table",
            Target(f"opticd:link_hours:{level}", table=True),
            Target(f"opticd:link_downs:{level}", table=True),
            Target(f"opticd:link_hours_per_down:{level} or opticd:link_hours:{level} * 0", table=True),
            Target(f"opticd:link_hours_per_down_lower95:{level}", table=True),
            about=about, width=width, height=9,
        )  # fmt: skip

    return Dashboard("opticd-reliability", "opticd / reliability", (JOB,), (
        Panel("Link-hours, 30 days", "stat", Target("opticd:link_hours:fleet"), width=6, height=4),
        Panel("Went down by themselves", "stat", Target("opticd:link_downs:fleet"), width=6, height=4),
        Panel("Link-hours per down", "stat", Target("opticd:link_hours_per_down:fleet"), width=6, height=4),
        Panel("At least, with 95 % confidence", "stat", Target("opticd:link_hours_per_down_lower95:fleet"), width=6,
              height=4, about="Poisson, one-sided; also where no link went down."),
        figures("part", "By vendor and part number",
                about="A million hours without a flap is: opticd:link_hours_per_down_lower95:part > 1e6"),
        figures("type", "By form factor", width=12),
        figures("vendor", "By vendor", width=12),
        Panel("Links with the most downs", "table",
              Target("topk(20, opticd:link_downs:port)", table=True), width=12, height=10),
        Panel("Link-hours by part number", "timeseries",
              Target("opticd:link_hours:part", "{{vendor}} {{part_number}}"), width=12, height=10),
    ))  # fmt: skip


def daemon() -> Dashboard:
    """How opticd itself does."""
    return Dashboard("opticd-daemon", "opticd / opticd itself", (JOB, INSTANCE), (
        Panel("Up", "stat", Target(f"sum(up{{{_ALL}}})"), width=6, height=4),
        Panel("Version", "table", Target(f"opticd_build_info{{{_ALL}}}", table=True), width=18, height=4),
        Panel("Poll of one module, 99 %", "timeseries",
              Target(f"histogram_quantile(0.99, sum by (le, bus) (rate(xcvr_poll_duration_seconds_bucket{{{_ALL}}}"
                     "[$__rate_interval])))", "{{bus}}"), unit="s"),
        Panel("Poll of one module, mean", "timeseries",
              Target(f"sum by (bus) (rate(xcvr_poll_duration_seconds_sum{{{_ALL}}}[$__rate_interval]))\n/ "
                     f"sum by (bus) (rate(xcvr_poll_duration_seconds_count{{{_ALL}}}[$__rate_interval]))",
                     "{{bus}}"),
              unit="s"),
        Panel("Missed periods", "timeseries",
              Target(f"sum by (bus) (rate(xcvr_poll_overruns_total{{{_ALL}}}[$__rate_interval]))", "{{bus}}")),
        Panel("Failed reads", "timeseries",
              Target(f"sum by (reason) (rate(xcvr_poll_errors_total{{{_ALL}}}[$__rate_interval]))", "{{reason}}")),
        Panel("Samples not believed", "timeseries",
              Target(f"sum by (reason) (xcvr_discarded_samples_total{{{_ALL}}})", "{{reason}}")),
        Panel("Buses opened again", "timeseries",
              Target(f"sum by (bus) (xcvr_bus_recoveries_total{{{_ALL}}})", "{{bus}}")),
        Panel("Sources that fail", "stat", Target(f"count(opticd_source_up{{{_ALL}}} == 0) or vector(0)"), width=6,
              height=6),
        Panel("MQTT connected", "state-timeline", Target(f"opticd_mqtt_connected{{{_ALL}}}", "{{instance}}"),
              width=18, height=6),
        Panel("MQTT messages waiting", "timeseries",
              Target(f"opticd_mqtt_outbox_messages{{{_ALL}}}", "{{instance}}")),
        Panel("MQTT messages published", "timeseries",
              Target(f"rate(opticd_mqtt_published_total{{{_ALL}}}[$__rate_interval])", "{{instance}}"), unit="mps"),
        Panel("MQTT messages given up", "timeseries",
              Target(f"sum by (reason) (opticd_mqtt_dropped_total{{{_ALL}}}) or vector(0)", "{{reason}}")),
        Panel("Lateness of the event loop", "timeseries",
              Target(f"opticd_event_loop_lag_seconds{{{_ALL}}}", "{{instance}}"), unit="s"),
        Panel("Processor", "timeseries",
              Target(f"rate(process_cpu_seconds_total{{{_ALL}}}[$__rate_interval])", "{{instance}}"),
              unit="percentunit"),
        Panel("Memory", "timeseries", Target(f"process_resident_memory_bytes{{{_ALL}}}", "{{instance}}"),
              unit="bytes"),
        Panel("Open files", "timeseries", Target(f"process_open_fds{{{_ALL}}}", "{{instance}}")),
        Panel("Scrape", "timeseries", Target(f"scrape_duration_seconds{{{_ALL}}}", "{{instance}}"), unit="s"),
        Panel("Series", "timeseries", Target(f"scrape_samples_scraped{{{_ALL}}}", "{{instance}}")),
        Panel("Config", "stat", Target(f"min(opticd_config_reload_success{{{_ALL}}})"), width=6, height=6,
              about="1: the last reload worked."),
        Panel("Clock set", "stat", Target(f"sum(opticd_clock_jumps_total{{{_ALL}}})"), width=6, height=6),
    ))  # fmt: skip


def everything() -> Iterator[tuple[str, dict[str, object]]]:
    """Name of the file and JSON of each."""
    for made in (fleet(), switch(), port(), reliability(), daemon()):
        yield made.uid, dashboard(made)
