"""The exposition read back by other parsers: prometheus_client, Go's by way of promtool, gzip."""

import gzip
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families as parse_text

from agent import quantities as q
from agent.model import (
    AlertEvent,
    Bounds,
    DownCause,
    FecBin,
    HostCounters,
    LaneFlags,
    Laser,
    Module,
    ModuleChange,
    ModuleEvent,
    PollFailed,
    PollTiming,
    Reading,
    Severity,
    Stats,
    Trouble,
    Tunable,
    VdmSample,
)
from agent.state import BusHealth, Discarded, Hub, LinkChanged, LinkState, PortForgotten
from benchmarks.synthetic import Switch
from exporters.prometheus.exposition import Exposition
from exporters.prometheus.families import Profile
from exporters.prometheus.layout import PowerUnit
from exporters.prometheus.series import KINDS, series
from exporters.prometheus.tables import gzip_of, halves

parse_openmetrics = cast(
    "Callable[[str], Iterable[Metric]]",
    openmetrics_parser.text_string_to_metric_families,  # pyright: ignore[reportUnknownMemberType]  # has no types
)
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

MODULE = Module(
    memory_map="cmis",
    form_factor="OSFP 8X Pluggable Transceiver",
    vendor_name="FACETEST",
    part_number="F-1",
    serial_number="S1",
    vendor_revision="A",
    firmware_revision="2.10",
    media="smf",
)
LIMITS = Bounds(high_alarm=75.0, high_warning=70.0, low_warning=0.0, low_alarm=-5.0)
TROUBLE = Trouble("bus_timeout", "no answer")


class Scraped:
    """A hub with an exposition, and what a scraper reads of it."""

    def __init__(self, profile: Profile = "standard", power_units: Iterable[PowerUnit] = ("watts", "dbm")) -> None:
        self.now = 100.0
        self.hub = Hub("leaf-17")
        self.exposition = Exposition(
            self.hub, profile=profile, power_units=tuple(power_units), monotonic=lambda: self.now
        )

    def text(self, device: str = "leaf-17", *, openmetrics: bool = False) -> str:
        pieces = self.exposition.pieces(device, openmetrics=openmetrics)
        return b"".join(piece.text for piece in pieces).decode() + ("# EOF\n" if openmetrics else "")

    def samples(self, device: str = "leaf-17") -> Samples:
        """The samples, read by both parsers of prometheus_client, which have to agree."""
        text = _samples(parse_text(self.text(device)))
        assert text == _samples(parse_openmetrics(self.text(device, openmetrics=True)))
        return text

    def of(self, name: str, device: str = "leaf-17") -> dict[str, float]:
        """The samples of one name: labels without port, in the order of their names, to value."""
        return {
            ",".join(f"{key}={value}" for key, value in sorted(labels) if key != "port"): value
            for (found, labels), value in self.samples(device).items()
            if found == name
        }

    def names(self, port: str) -> set[str]:
        return {name for name, labels in self.samples() if ("port", port) in labels}


def _samples(metrics: Iterable[Metric]) -> Samples:
    found: Samples = {}
    for metric in metrics:
        for sample in metric.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"{sample} twice"
            found[key] = sample.value
    return found


def reading(port: str = "Ethernet0", **more: object) -> Reading:
    fields: dict[str, object] = {"device": "leaf-17", "source": "i2c:1", "time": 1795352400.125, "module": MODULE}
    return Reading(port=port, **(fields | more))  # type: ignore[arg-type]  # the fields of a Reading by name


def test_values_and_lanes_in_both_units() -> None:
    scraped = Scraped()
    scraped.hub.publish(
        reading(
            module_state="ModuleReady",
            values={q.TEMPERATURE: 71.82, q.SUPPLY_VOLTAGE: 3.1206, q.TEC_CURRENT: -0.25},
            lanes={
                q.RX_POWER: {1: 0.0, 2: 1e-07, 3: 0.001},
                q.TX_POWER: {1: 0.0005},
                q.TX_BIAS: {1: 0.063},
            },
            data_path_states={1: 4, 9: 1},
        )
    )
    assert scraped.samples() == _expect(
        ("xcvr_module_present", {}, 1),
        ("xcvr_up", {}, 1),
        ("xcvr_module_swaps_total", {}, 0),
        ("xcvr_last_success_timestamp_seconds", {}, 1795352400.125),
        (
            "xcvr_module_info",
            {
                "form_factor": "OSFP 8X Pluggable Transceiver",
                "memory_map": "cmis",
                "vendor": "FACETEST",
                "part_number": "F-1",
                "serial_number": "S1",
                "revision": "A",
                "firmware": "2.10",
                "media": "smf",
            },
            1,
        ),
        ("xcvr_module_state", {"state": "ModuleReady"}, 1),
        ("xcvr_temperature_celsius", {}, 71.82),
        ("xcvr_supply_voltage_volts", {}, 3.1206),
        ("xcvr_tec_current_ratio", {}, -0.25),
        ("xcvr_rx_power_watts", {"lane": "1"}, 0.0),
        ("xcvr_rx_power_watts", {"lane": "2"}, 1e-07),
        ("xcvr_rx_power_watts", {"lane": "3"}, 0.001),
        ("xcvr_rx_power_dbm", {"lane": "1"}, -40.0),
        ("xcvr_rx_power_dbm", {"lane": "2"}, -40.0),
        ("xcvr_rx_power_dbm", {"lane": "3"}, 0.0),
        ("xcvr_tx_power_watts", {"lane": "1"}, 0.0005),
        ("xcvr_tx_power_dbm", {"lane": "1"}, -3.0102999566398125),
        ("xcvr_tx_bias_amperes", {"lane": "1"}, 0.063),
        ("xcvr_datapath_state", {"lane": "1"}, 4),
        ("xcvr_datapath_state", {"lane": "9"}, 1),
    )


def _expect(*rows: tuple[str, dict[str, str], float]) -> Samples:
    return {(name, frozenset({"port": "Ethernet0", **labels}.items())): value for name, labels, value in rows}


def test_flags_of_lanes_and_module() -> None:
    moment = reading(
        lane_flags={q.RX_LOS: LaneFlags(0b101, 0b100), q.RX_CDR_LOL: LaneFlags(0b1, 0)},
        flags={q.ALARM_FLAGS["temperature", "high_alarm"]: True, q.ALARM_FLAGS["aux1", "low_warning"]: False},
    )
    want: dict[Profile, set[str]] = {
        "basic": {"xcvr_rx_los"},
        "standard": {"xcvr_rx_los", "xcvr_rx_cdr_lol", "xcvr_flag_active"},
        "full": {"xcvr_rx_los", "xcvr_rx_cdr_lol", "xcvr_flag_active"},
    }
    for profile, names in want.items():
        scraped = Scraped(profile)
        scraped.hub.publish(moment)
        assert {
            name for name in scraped.names("Ethernet0") if "los" in name or "lol" in name or "flag" in name
        } == names
        assert scraped.of("xcvr_rx_los") == {"lane=1": 0, "lane=3": 1}
    scraped = Scraped()
    scraped.hub.publish(moment)
    assert scraped.of("xcvr_flag_active") == {"flag=temperature_high_alarm": 1, "flag=aux1_low_warning": 0}
    full = Scraped("full")
    full.hub.publish(moment)
    assert full.of("xcvr_flag_active") == {
        "flag=temperature_high_alarm": 1,
        "flag=aux1_low_warning": 0,
        "flag=rx_los,lane=1": 0,
        "flag=rx_los,lane=3": 1,
        "flag=rx_cdr_lol,lane=1": 0,
    }


def test_thresholds_are_in_dbm_for_powers_and_disorder_is_said() -> None:
    scraped = Scraped()
    scraped.hub.publish(
        reading(
            thresholds={
                q.TEMPERATURE: LIMITS,
                q.RX_POWER: Bounds(high_alarm=0.002, low_alarm=0.0),
                q.TX_BIAS: Bounds(high_alarm=0.1, high_warning=0.11, low_warning=0.01, low_alarm=0.01),
            }
        )
    )
    assert scraped.of("xcvr_temperature_threshold_celsius") == {
        "bound=high,severity=alarm": 75,
        "bound=high,severity=warning": 70,
        "bound=low,severity=warning": 0,
        "bound=low,severity=alarm": -5,
    }
    assert scraped.of("xcvr_rx_power_threshold_dbm") == {
        "bound=high,severity=alarm": pytest.approx(3.0103, abs=1e-4),
        "bound=low,severity=alarm": -40,
    }
    assert scraped.of("xcvr_tx_bias_threshold_amperes")["bound=high,severity=warning"] == 0.11
    assert scraped.of("xcvr_thresholds_valid") == {
        "bound=high,severity=alarm": 0,
        "bound=high,severity=warning": 0,
        "bound=low,severity=warning": 1,
        "bound=low,severity=alarm": 1,
    }
    basic = Scraped("basic")
    basic.hub.publish(reading(thresholds={q.TEMPERATURE: LIMITS}))
    assert not any("threshold" in name for name in basic.names("Ethernet0"))


VDM = (
    VdmSample("pre_fec_ber_max_media_input", 1, 1, 1.2e-9, "ratio"),
    VdmSample("pre_fec_ber_current_host_input", 0, 1, 3e-10, "ratio"),
    VdmSample("snr_media_input", 2, 1, 21.5, "db"),
    VdmSample("snr_media_input", 2, 2, 99.0, "db"),
    VdmSample("ferc_avg_media_input", 1, 1, 7.38e-08, "frames per interval"),
    VdmSample("laser_age", 1, 1, 3.0, "%"),
)


def test_vdm_fills_ber_snr_and_frame_errors() -> None:
    scraped = Scraped()
    scraped.hub.publish(reading(vdm=VDM, lanes={q.MEDIA_SNR: {2: 21.25}, q.HOST_SNR: {1: 18.0}}))
    assert scraped.of("xcvr_pre_fec_ber_ratio") == {
        "lane=1,side=media,stat=max": 1.2e-9,
        "side=host,stat=current": 3e-10,
    }
    assert scraped.of("xcvr_snr_db") == {
        "lane=2,side=media,stat=current": 21.5,
        "lane=1,side=host,stat=current": 18,
    }
    assert scraped.of("xcvr_frame_error_ratio") == {"lane=1,side=media,stat=avg": 7.38e-08}
    assert not any("vdm" in name for name in scraped.names("Ethernet0"))
    # Once VDM is off again, the diagnostics page has the word.
    scraped.hub.publish(reading(lanes={q.MEDIA_SNR: {2: 21.25}}))
    assert scraped.of("xcvr_snr_db") == {"lane=2,side=media,stat=current": 21.25}


def test_full_profile_has_every_observable_under_its_own_name() -> None:
    scraped = Scraped("full")
    scraped.hub.publish(reading(vdm=VDM, values={q.AUX_SUPPLY_VOLTAGE: 1.8}))
    assert scraped.of("xcvr_vdm_pre_fec_ber_max_media_input_ratio") == {"lane=1": 1.2e-9}
    assert scraped.of("xcvr_vdm_snr_media_input_db") == {"lane=2": 21.5}
    assert scraped.of("xcvr_vdm_laser_age_ratio") == {"lane=1": 0.03}
    assert scraped.of("xcvr_aux_supply_voltage_volts") == {"": 1.8}


def test_coherent_lasers_tuning_fec() -> None:
    moment = reading(
        coherent={"osnr_db": Stats(value=36.1, min=35.9, max=36.4, avg=36.2)},
        lasers=(
            Laser(3, "on", 2, values={q.TX_BIAS: 0.21, q.TX_POWER: 0.05}, flags=("bias_high_alarm",)),
            Laser(4, enabled=False),
        ),
        tunable=Tunable(current_frequency_hertz=193.1e12, wavelength_locked=True),
        fec={"corrected_codewords": 7},
    )
    scraped = Scraped()
    scraped.hub.publish(moment)
    assert scraped.of("xcvr_coherent_osnr_db") == {
        "stat=current": 36.1, "stat=min": 35.9, "stat=max": 36.4, "stat=avg": 36.2,
    }  # fmt: skip
    assert scraped.of("xcvr_elsfp_bias_amperes") == {"laser=3": 0.21}
    assert scraped.of("xcvr_elsfp_power_watts") == {"laser=3": 0.05}
    assert scraped.of("xcvr_elsfp_state") == {"laser=3": 2}
    assert not scraped.of("xcvr_tunable_current_frequency_hertz")
    full = Scraped("full")
    full.hub.publish(moment)
    assert full.of("xcvr_tunable_current_frequency_hertz") == {"": 193.1e12}
    assert full.of("xcvr_tunable_wavelength_locked") == {"": 1}
    assert full.of("xcvr_elsfp_flag_active") == {"flag=bias_high_alarm,laser=3": 1}
    assert full.of("xcvr_elsfp_enabled") == {"laser=4": 0}
    assert full.of("xcvr_module_fec_corrected_codewords_total") == {"": 7}


def test_a_number_that_is_none_is_left_out() -> None:
    scraped = Scraped()
    for temperature in (40.0, float("inf"), float("nan")):
        scraped.hub.publish(
            reading(values={q.TEMPERATURE: temperature}, lanes={q.RX_POWER: {1: 0.001, 2: temperature * 0.0001}})
        )
        assert scraped.of("xcvr_rx_power_dbm") == {
            "lane=1": 0,
            **({"lane=2": pytest.approx(6.0, abs=0.1)} if temperature == 40.0 else {}),
        }
        assert scraped.of("xcvr_temperature_celsius") == ({"": 40.0} if temperature == 40.0 else {})


def test_power_units_choose() -> None:
    for unit, other in (("watts", "dbm"), ("dbm", "watts")):
        scraped = Scraped(power_units=cast("list[PowerUnit]", [unit]))
        scraped.hub.publish(reading(lanes={q.RX_POWER: {1: 0.001}}))
        assert f"xcvr_rx_power_{unit}" in scraped.names("Ethernet0")
        assert f"xcvr_rx_power_{other}" not in scraped.names("Ethernet0")


def test_what_the_next_reading_no_longer_has_is_gone() -> None:
    scraped = Scraped("full")
    scraped.hub.publish(
        reading(
            values={q.TEMPERATURE: 40.0, q.SUPPLY_VOLTAGE: 3.3},
            lanes={q.RX_POWER: {1: 0.001, 2: 0.001}, q.TX_BIAS: {1: 0.06}},
            lane_flags={q.RX_LOS: LaneFlags(0b11, 0), q.TX_FAULT: LaneFlags(1, 0)},
            data_path_states={1: 4},
            vdm=VDM,
        )
    )
    scraped.hub.publish(
        reading(
            values={q.TEMPERATURE: 40.0},
            lanes={q.RX_POWER: {2: 0.001}},
            lane_flags={q.RX_LOS: LaneFlags(0b10, 0b10)},
        )
    )
    assert scraped.of("xcvr_rx_power_watts") == {"lane=2": 0.001}
    assert scraped.of("xcvr_rx_los") == {"lane=2": 1}
    assert scraped.names("Ethernet0") == {
        "xcvr_module_present", "xcvr_up", "xcvr_module_swaps_total", "xcvr_last_success_timestamp_seconds",
        "xcvr_module_info", "xcvr_temperature_celsius", "xcvr_rx_power_watts", "xcvr_rx_power_dbm",
        "xcvr_rx_los", "xcvr_flag_active",
    }  # fmt: skip


def test_a_module_gone_takes_its_series_with_it() -> None:
    scraped = Scraped("full")
    port = scraped.hub.local.port("Ethernet0")
    port.link = LinkState(up=False, transitions=3)
    scraped.hub.publish(LinkChanged("leaf-17", "Ethernet0"))
    scraped.hub.publish(next(Switch(ports=1).readings(1.0)))
    scraped.hub.publish(PollFailed("leaf-17", "Ethernet0", 2.0, present=True, trouble=TROUBLE))
    scraped.hub.publish(Discarded("leaf-17", "Ethernet0", "absurd", "all FFh"))
    scraped.hub.publish(next(Switch(ports=1).readings(3.0)))
    scraped.hub.publish(reading("Ethernet8"))
    scraped.hub.publish(ModuleEvent("leaf-17", "Ethernet0", 4.0, ModuleChange.REMOVED, Module(), MODULE))
    scraped.hub.publish(
        PollFailed("leaf-17", "Ethernet0", 4.0, present=False, trouble=Trouble("absent", "no acknowledge"))
    )
    assert scraped.names("Ethernet0") == {
        "xcvr_module_present", "xcvr_up", "xcvr_module_swaps_total",
        "xcvr_link_up", "xcvr_link_transitions_total", "xcvr_link_down_events_total", "xcvr_link_up_seconds_total",
    }  # fmt: skip
    assert scraped.of("xcvr_module_present")[""] in (0, 1)
    assert 'xcvr_module_present{port="Ethernet0"} 0\n' in scraped.text()
    assert 'xcvr_up{port="Ethernet0"} 0\n' in scraped.text()
    assert "xcvr_module_info" in scraped.names("Ethernet8")
    # It comes back, and the counters go on.
    scraped.hub.publish(reading())
    assert scraped.of("xcvr_poll_errors_total") == {"reason=bus_timeout": 1}
    assert scraped.of("xcvr_discarded_samples_total") == {"reason=absurd": 1}


def test_a_failed_poll_leaves_identity_and_thresholds_but_no_old_values() -> None:
    scraped = Scraped()
    scraped.hub.publish(reading(values={q.TEMPERATURE: 40.0}, thresholds={q.TEMPERATURE: LIMITS}, vdm=VDM))
    scraped.hub.publish(PollFailed("leaf-17", "Ethernet0", 2.0, present=True, trouble=TROUBLE))
    assert scraped.names("Ethernet0") == {
        "xcvr_module_present", "xcvr_up", "xcvr_module_swaps_total", "xcvr_last_success_timestamp_seconds",
        "xcvr_module_info", "xcvr_temperature_threshold_celsius", "xcvr_thresholds_valid", "xcvr_poll_errors_total",
    }  # fmt: skip
    assert scraped.of("xcvr_module_present") == {"": 1}
    assert scraped.of("xcvr_up") == {"": 0}
    scraped.hub.publish(reading(values={q.TEMPERATURE: 41.0}, thresholds={q.TEMPERATURE: LIMITS}))
    assert scraped.of("xcvr_temperature_celsius") == {"": 41}


def test_a_swap_shows_nothing_of_the_old_module() -> None:
    scraped = Scraped()
    scraped.hub.publish(reading(values={q.TEMPERATURE: 40.0}, thresholds={q.TEMPERATURE: LIMITS}))
    new = Module(vendor_name="OTHER", serial_number="S2")
    scraped.hub.publish(ModuleEvent("leaf-17", "Ethernet0", 2.0, ModuleChange.SWAPPED, new, MODULE))
    assert "xcvr_module_info" not in scraped.names("Ethernet0")
    scraped.hub.publish(reading(module=new, values={q.TEMPERATURE: 30.0}))
    assert scraped.of("xcvr_module_swaps_total") == {"": 1}
    (labels,) = scraped.of("xcvr_module_info")
    assert "S2" in labels
    assert "F-1" not in labels
    assert "xcvr_temperature_threshold_celsius" not in scraped.names("Ethernet0")


def test_link_counters() -> None:
    scraped = Scraped()
    link = LinkState(up=True, last_change=1795352400.5, transitions=4, up_seconds=10.0, up_since=95.0)
    link.down_events[DownCause.UNINTENTIONAL] = 2
    scraped.hub.local.port("Ethernet0").link = link
    scraped.hub.publish(LinkChanged("leaf-17", "Ethernet0"))
    assert scraped.of("xcvr_link_up") == {"": 1}
    assert scraped.of("xcvr_link_last_change_timestamp_seconds") == {"": 1795352400.5}
    assert scraped.of("xcvr_link_transitions_total") == {"": 4}
    assert scraped.of("xcvr_link_down_events_total") == {
        "cause=unintentional": 2, "cause=admin": 0, "cause=module_removed": 0,
        "cause=correlated": 0, "cause=unknown": 0,
    }  # fmt: skip
    assert scraped.of("xcvr_link_up_seconds_total") == {"": 15}
    scraped.now = 110.0
    assert scraped.of("xcvr_link_up_seconds_total") == {"": 25}


def alert(
    rule: str, *, state: Literal["firing", "resolved"] = "firing", lane: int = 0, severity: Severity = "warning"
) -> AlertEvent:
    return AlertEvent(
        id="0", seq=1, boot_id="b", time=1.0, device="leaf-17", port="Ethernet0", rule=rule, lane=lane,
        severity=severity, state=state, summary="It is so.",
    )  # fmt: skip


def test_alerts_stand_while_they_are_active() -> None:
    scraped = Scraped()
    scraped.hub.publish(alert("rx_margin", lane=3))
    scraped.hub.publish(alert("module_hot", severity="critical"))
    assert scraped.of("xcvr_alert_active") == {
        "lane=3,rule=rx_margin,severity=warning": 1,
        "rule=module_hot,severity=critical": 1,
    }
    scraped.hub.publish(alert("rx_margin", lane=3, severity="critical"))
    scraped.hub.publish(alert("module_hot", state="resolved"))
    assert scraped.of("xcvr_alert_active") == {"lane=3,rule=rx_margin,severity=critical": 1}
    scraped.hub.publish(alert("rx_margin", lane=3, state="resolved"))
    assert not scraped.of("xcvr_alert_active")


def test_link_news_that_no_rule_judges_is_no_alert() -> None:
    scraped = Scraped()
    scraped.hub.publish(alert("link", severity="info"))
    assert not scraped.of("xcvr_alert_active")


def test_counters_of_the_host() -> None:
    event = HostCounters(
        "leaf-17", "Ethernet0", 1.0, {q.FEC_CORRECTED: 12, q.IB_SYMBOL_ERROR: 3}, {q.FEC_CORRECTED: {1: 5, 2: 7}},
        (FecBin(0, 0, 900), FecBin(1, 3, 12)),
    )  # fmt: skip
    scraped = Scraped()
    scraped.hub.publish(event)
    assert scraped.of("xcvr_fec_corrected_codewords_total") == {"": 12}
    assert scraped.of("xcvr_ib_symbol_error_total") == {"": 3}
    full = Scraped("full")
    full.hub.publish(event)
    assert full.of("xcvr_lane_fec_corrected_codewords_total") == {"lane=1": 5, "lane=2": 7}
    assert full.of("xcvr_fec_codewords_by_symbol_errors_total") == {"errors=0": 900, "errors=1-3": 12}


def test_a_port_that_is_no_longer_asked_for_leaves_nothing() -> None:
    scraped = Scraped("full")
    scraped.hub.local.port("Ethernet0").link = LinkState(up=True, up_since=1.0)
    scraped.hub.publish(LinkChanged("leaf-17", "Ethernet0"))
    for moment in Switch(ports=1).readings(1.0):
        scraped.hub.publish(moment)
    scraped.hub.publish(alert("rx_margin", lane=3))
    scraped.hub.publish(Discarded("leaf-17", "Ethernet0", "absurd", "all FFh"))
    scraped.hub.publish(HostCounters("leaf-17", "Ethernet0", 1.0, {q.FEC_CORRECTED: 12}))
    scraped.hub.publish(PortForgotten("leaf-17", "Ethernet0"))
    assert not scraped.samples()
    # The next one takes its place, under its own name.
    scraped.hub.publish(reading("Ethernet8", lane_flags={q.RX_LOS: LaneFlags(1, 1)}, values={q.TEMPERATURE: 41.0}))
    assert {port for _, labels in scraped.samples() for name, port in labels if name == "port"} == {"Ethernet8"}
    assert scraped.of("xcvr_rx_los") == {"lane=1": 1}


def test_a_module_that_is_described_again_is_not_rendered_again() -> None:
    scraped = Scraped()
    moment = reading(thresholds={q.TEMPERATURE: LIMITS})
    scraped.hub.publish(moment)
    before = scraped.exposition.pieces("leaf-17", openmetrics=False)
    module, limits = Module(**MODULE), Bounds(**LIMITS)
    scraped.hub.publish(reading(module=module, thresholds={q.TEMPERATURE: limits}, time=moment.time + 1.0))
    after = scraped.exposition.pieces("leaf-17", openmetrics=False)
    changed = [new.text for old, new in zip(before, after, strict=True) if old is not new]
    assert changed == [b'xcvr_last_success_timestamp_seconds{port="Ethernet0"} 1795352401.125\n']


def test_a_quantity_of_the_module_and_of_its_lanes_stand_beside_each_other() -> None:
    scraped = Scraped("full")
    scraped.hub.publish(
        reading(values={q.LASER_TEMPERATURE: 50.0}, lanes={q.LASER_TEMPERATURE: {1: 41.0, 2: 42.0}})
    )
    assert scraped.of("xcvr_laser_temperature_celsius") == {"": 50, "lane=1": 41, "lane=2": 42}


def test_poll_durations_are_a_histogram_by_bus() -> None:
    scraped = Scraped()
    for seconds in (0.0027, 0.0031, 0.3, 60.0):
        scraped.hub.publish(PollTiming("i2c-12", seconds, overruns=int(seconds)))
    scraped.hub.publish(BusHealth("i2c-12", up=False))
    scraped.hub.publish(BusHealth("i2c-12", up=True, recovered=True))
    buckets = {key.split(",")[1]: value for key, value in scraped.of("xcvr_poll_duration_seconds_bucket").items()}
    assert (buckets["le=0.0025"], buckets["le=0.005"], buckets["le=0.5"], buckets["le=10.0"]) == (0, 2, 3, 3)
    assert buckets["le=+Inf"] == 4
    assert scraped.of("xcvr_poll_duration_seconds_count") == {"bus=i2c-12": 4}
    assert scraped.of("xcvr_poll_duration_seconds_sum") == {"bus=i2c-12": pytest.approx(60.3058)}
    assert scraped.of("xcvr_poll_overruns_total") == {"bus=i2c-12": 60}
    assert scraped.of("xcvr_bus_up") == {"bus=i2c-12": 1}
    assert scraped.of("xcvr_bus_recoveries_total") == {"bus=i2c-12": 1}


def test_devices_stand_apart() -> None:
    scraped = Scraped()
    scraped.hub.publish(reading())
    scraped.hub.publish(reading(device="spine-1", port="Ethernet99", values={q.TEMPERATURE: 33.0}))
    assert scraped.of("xcvr_temperature_celsius", "spine-1") == {"": 33}
    assert not scraped.of("xcvr_temperature_celsius")


@given(port=st.text(min_size=1), vendor=st.text())
def test_any_name_survives_the_labels(port: str, vendor: str) -> None:
    scraped = Scraped()
    scraped.hub.publish(reading(port, module=Module(vendor_name=vendor), lanes={q.RX_POWER: {1: 0.001}}))
    (labels,) = (
        dict(labels) for name, labels in _samples(parse_text(scraped.text())) if name == "xcvr_module_info"
    )
    clean = vendor.encode("utf-8", "replace").decode()
    assert labels["vendor"] == clean
    assert labels["port"] == port.encode("utf-8", "replace").decode()


@pytest.mark.parametrize("profile", ["basic", "standard", "full"])
def test_every_sample_of_a_switch_is_read_back(profile: Profile) -> None:
    scraped = Scraped(profile)
    for time in (1.0, 2.0):
        for moment in Switch(ports=20).readings(time):
            scraped.hub.publish(moment)
    last = scraped.hub.local.ports["Ethernet152"].reading
    assert last is not None
    found = scraped.samples()
    assert len(found) == scraped.exposition.series("leaf-17")
    for lane, watts in last.lanes[q.RX_POWER].items():
        labels = frozenset({("port", "Ethernet152"), ("lane", str(lane))})
        assert found["xcvr_rx_power_watts", labels] == watts
        assert found["xcvr_rx_power_dbm", labels] == q.dbm(watts)


def test_families_are_grouped_once_though_ports_come_and_go() -> None:
    scraped = Scraped("full")
    for time in (1.0, 2.0):
        for moment in Switch(ports=3).readings(time):
            scraped.hub.publish(moment)
        scraped.hub.publish(PollFailed("leaf-17", "Ethernet8", time, present=False, trouble=TROUBLE))
    heads = [line.split()[2] for line in scraped.text().splitlines() if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
@pytest.mark.parametrize("profile", ["basic", "standard", "full"])
def test_promtool_finds_nothing_to_complain(profile: Profile) -> None:
    scraped = Scraped(profile)
    for moment in Switch(ports=3).readings(1.0):
        scraped.hub.publish(moment)
    scraped.hub.local.port("Ethernet0").link = LinkState(up=True, last_change=5.0)
    scraped.hub.publish(LinkChanged("leaf-17", "Ethernet0"))
    scraped.hub.publish(PollTiming("i2c-12", 0.0027))
    scraped.hub.publish(BusHealth("i2c-12", up=True))
    scraped.hub.publish(alert("rx_margin", lane=3))
    scraped.hub.publish(PollFailed("leaf-17", "Ethernet8", 2.0, present=True, trouble=TROUBLE))
    scraped.hub.publish(Discarded("leaf-17", "Ethernet8", "absurd", "all FFh"))
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=scraped.text(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_gzip_is_made_of_pieces_and_only_of_changed_ones_again() -> None:
    scraped = Scraped()
    switch = Switch(ports=4)
    for moment in switch.readings(1.0):
        scraped.hub.publish(moment)
    first = scraped.exposition.pieces("leaf-17", openmetrics=False)
    assert gzip.decompress(gzip_of(first)) == b"".join(piece.text for piece in first)
    for moment in switch.readings(2.0):
        scraped.hub.publish(moment)
    second = scraped.exposition.pieces("leaf-17", openmetrics=False)
    todo = b"".join(piece.text for part in halves(second) for piece in part)
    assert b"xcvr_rx_power_dbm" in todo
    assert b"xcvr_module_info" not in todo
    assert b"threshold" not in todo
    assert gzip.decompress(gzip_of(second)) == b"".join(piece.text for piece in second)
    assert gzip.decompress(gzip_of([])) == b""


def test_a_larger_profile_has_more_series_of_every_kind_of_module() -> None:
    basic, standard, full = (dict(series(profile)) for profile in ("basic", "standard", "full"))
    for kind in KINDS:
        assert basic[kind] < standard[kind] < full[kind]
    watts_alone = dict(series("basic", power_units=["watts"]))
    # 8 lanes, tx and rx: 16 samples in dBm less.
    assert [basic[kind] - watts_alone[kind] for kind in KINDS if kind.lanes == 8] == [16]


def test_values_that_stay_are_neither_formatted_nor_joined_again() -> None:
    scraped = Scraped("full")
    (moment,) = Switch(ports=1).readings(1.0)
    scraped.hub.publish(moment)
    before = scraped.exposition.pieces("leaf-17", openmetrics=False)
    scraped.hub.publish(replace(moment, time=2.0))
    after = scraped.exposition.pieces("leaf-17", openmetrics=False)
    changed = [new for old, new in zip(before, after, strict=True) if old is not new]
    assert [piece.text for piece in changed] == [b'xcvr_last_success_timestamp_seconds{port="Ethernet0"} 2.0\n']


def test_the_metrics_reference_is_fresh() -> None:
    script = Path(__file__).parent.parent / "scripts" / "gen-metrics"
    done = subprocess.run([sys.executable, script, "--check"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_bus_that_is_not_there_is_an_error_an_empty_cage_is_none() -> None:
    scraped = Scraped()
    for port, reason, present in (("a", "bus_gone", False), ("b", "absent", False), ("c", "absent", True)):
        scraped.hub.publish(PollFailed("leaf-17", port, 1.0, present=present, trouble=Trouble(reason, "")))
    assert scraped.of("xcvr_poll_errors_total") == {"reason=bus_gone": 1.0, "reason=absent": 1.0}
