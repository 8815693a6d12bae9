"""`[[rule]]` tables: built-in rules changed, new ones made, mistakes named with their line."""

import pytest

from agent import quantities as q
from agent.alerts.configured import all_rules
from agent.alerts.engine import Alerts
from agent.alerts.rules import Count, Limit, Margin, Rule, Threshold
from agent.config.file import parse
from agent.errors import ConfigError
from agent.model import VdmSample
from tests.alert_helpers import at, lanes, reading, said


def rules(text: str) -> dict[str, Rule]:
    return {rule.name: rule for rule in all_rules(parse(text, name="t.toml").rule)}


def test_without_tables_the_built_in_rules_hold() -> None:
    found = rules("")
    assert found["rx_power_margin"].bound == Margin("low_alarm", 3.0)
    assert found["rx_power_margin_critical"].bound == Margin("low_alarm", 1.0)
    assert found["pre_fec_ber_media"].bound == Limit(2.4e-4)
    assert found["link_flap"].bound == Count(((1, 86_400.0),))
    assert found["link_flapping"].bound == Count(((3, 86_400.0), (2, 3600.0)))
    assert found["link_flap_storm"].bound == Count(((5, 10.0),))
    assert found["temperature_near_warning"].for_s == 300.0


def test_built_in_rules_change_in_what_is_given_and_nothing_else() -> None:
    found = rules(
        """
        [[rule]]
        name = "rx_power_margin"
        margin = 4.5
        severity = "warning"
        [[rule]]
        name = "temperature_high_warning"
        for = 30
        [[rule]]
        name = "link_flap"
        enabled = false
        [[rule]]
        name = "tx_bias_change"
        above = 0.15
        """
    )
    assert (found["rx_power_margin"].bound, found["rx_power_margin"].severity) == (
        Margin("low_alarm", 4.5),
        "warning",
    )
    assert found["rx_power_margin"].for_s == 60.0
    assert found["temperature_high_warning"].for_s == 30.0
    assert found["temperature_high_warning"].bound == Threshold("high_warning")
    assert "link_flap" not in found
    assert found["tx_bias_change"].bound == Limit(0.15)


def test_a_rule_in_dbm_fires_at_that_power() -> None:
    section = """
        [[rule]]
        name = "dim"
        quantity = "rx_power_dbm"
        below = -6.0
        clear = -5.0
        lanes = [2]
        severity = "info"
        """
    engine = Alerts([rule for rule in all_rules(parse(section, name="t").rule) if rule.name == "dim"])
    assert engine.judge(reading(0, rx=0.000252), at(0)) == []  # -5.99 dBm
    (event,) = engine.judge(reading(1, rx=0.000250), at(1))  # -6.02 dBm
    assert (event.rule, event.lane, event.severity, event.unit) == ("dim", 2, "info", "dbm")
    assert event.threshold == pytest.approx(-6.0)
    assert engine.judge(reading(2, rx=0.000315), at(2)) == []  # -5.02 dBm: not clear yet
    assert said(engine.judge(reading(3, rx=lanes(0.000317)), at(3))) == [("dim", 2, "resolved")]  # -4.99 dBm


def test_flags_observables_events_and_changes() -> None:
    found = rules(
        """
        [[rule]]
        name = "eq"
        flag = "tx_adaptive_eq_fault"
        [[rule]]
        name = "snr"
        observable = "snr_media_input"
        below = 17.0
        for = 10
        [[rule]]
        name = "often"
        event = "link_flap"
        count = 10
        within = 3600
        [[rule]]
        name = "faded"
        quantity = "rx_power_dbm"
        change = -0.5
        [[rule]]
        name = "warm"
        quantity = "temperature_celsius"
        threshold = "high_alarm"
        margin = 10
        gate = ["module_ready"]
        """
    )
    assert found["eq"].watch is q.TX_ADAPTIVE_EQ_FAULT
    assert found["often"].bound == Count(((10, 3600.0),))
    assert found["faded"].bound == Limit(-0.5, above=False)
    assert found["warm"].bound == Margin("high_alarm", 10.0)
    engine = Alerts([found["snr"]])
    sample = VdmSample("snr_media_input", 3, 1, 16.5, "dB")
    engine.judge(reading(0, vdm=(sample,)), at(0))
    assert said(engine.judge(reading(10, vdm=(sample, sample)), at(10))) == [("snr", 3, "firing")]


@pytest.mark.parametrize(
    ("table", "line", "complaint"),
    [
        ('name = "x"\nquantity = "rx_power_dmb"\nbelow = 1', 2, "did you mean 'rx_power_dbm'?"),
        ('name = "x"\nflag = "rx_loss"', 2, "flag 'rx_loss' is not known, did you mean 'rx_los'?"),
        ('name = "x"\nquantity = "temperature_celsius"', 2, "give one of above, below, threshold, change"),
        ('name = "x"\nquantity = "temperature_celsius"\nabove = 1\nbelow = 2', 2, "give one of above, below"),
        ('name = "link_flop"\ncount = 2', 2, "did you mean 'link_flap'?"),
        ('name = "link_flop"\nenabled = false', 2, "no built-in rule 'link_flop', did you mean 'link_flap'?"),
        ('name = "link"\nflag = "rx_los"', 2, "a name of opticd's own"),
        ('name = "rx_los"\nflag = "tx_los"', 2, "what it watches cannot be changed"),
        ('name = "rx_los"\nmargin = 1', 2, "has no margin"),
        ('name = "x"\nquantity = "temperature_celsius"\nchange = 1.0', 2, "has no baseline"),
        ('name = "x"\nflag = "rx_los"\nseverty = "info"', 5, "unknown key, did you mean 'severity'?"),
        ('name = "x"\nflag = "rx_los"\ngate = ["ready"]', 5, "module_ready"),
        ('name = "Rx Los"\nflag = "rx_los"', 3, "pattern"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_line(table: str, line: int, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"# rules\n[[rule]]\n{table}\n", name="t.toml")
    assert str(caught.value).startswith(f"t.toml:{line}: rule[0]")
    assert complaint in str(caught.value)


def test_a_mistake_in_the_second_rule_is_found_there() -> None:
    text = '[[rule]]\nname = "a"\nflag = "rx_los"\n[[rule]]\nname = "b"\nflag = "rx_loss"\n'
    with pytest.raises(ConfigError, match=r"^t.toml:4: rule\[1\]: flag 'rx_loss'"):
        parse(text, name="t.toml")


def test_a_name_can_be_given_once() -> None:
    with pytest.raises(ConfigError, match="rule 'rx_los' is there twice"):
        parse('[[rule]]\nname = "rx_los"\n[[rule]]\nname = "rx_los"\n', name="t.toml")
