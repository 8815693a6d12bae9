"""`opticd rules test`: rules against simulated and recorded series."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from agent import cli
from agent import quantities as q
from agent.alerts import ruletest
from agent.documents.readback import from_document
from agent.documents.reading import to_document
from agent.errors import ConfigError
from tests.alert_helpers import lanes, reading

HOT = """
[[rule]]
name = "hot"
quantity = "temperature_celsius"
above = 68.0
clear = 60.0
for = 60

[series]
every = 10
for = 1800
[series.thresholds.temperature_celsius]
high_warning = 70.0
high_alarm = 75.0
[[series.value]]
key = "temperature_celsius"
points = [[0, 45.0], [600, 72.0], [1200, 72.0], [1300, 45.0]]
[[series.flag]]
name = "rx_los"
lane = 3
from = 100
to = 130
[[series.link]]
at = 305
up = false
[[series.link]]
at = 307
up = true

[[expect]]
rule = "hot"
at = 570
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_simulated_series_fires_when_it_should(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # 68 degC is passed at 511 s, so the reading of 520 s is the first beyond it, and that of 580 s a minute later.
    code = cli.main(["rules", "test", str(write(tmp_path / "hot.toml", HOT))])
    out = capsys.readouterr().out.splitlines()
    assert code == 0
    assert [(line.split()[0], line.split()[2], line.split()[4]) for line in out[:-1]] == [
        ("100.0", "firing", "rx_los:"),
        ("140.0", "resolved", "rx_los:"),
        ("305.0", "firing", "link_down:"),
        ("307.0", "firing", "link_flap:"),
        ("307.0", "resolved", "link_down:"),
        ("560.0", "firing", "temperature_high_warning:"),
        ("580.0", "firing", "hot:"),
        ("1230.0", "resolved", "temperature_high_warning:"),
        ("1250.0", "resolved", "hot:"),
    ]
    assert out[-1] == "181 readings, 5 alerts fired"


def test_what_was_expected_and_did_not_come_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = HOT.replace("at = 570", "at = 400")
    assert cli.main(["rules", "test", str(write(tmp_path / "hot.toml", text))]) == 1
    assert capsys.readouterr().err == "opticd: error: hot: not firing between 400 and 410 s\n"


def test_a_recorded_series_is_played_as_it_was(tmp_path: Path) -> None:
    recorded = [
        reading(second, rx=lanes(0.0005, lane2=0.00009 if 20 <= second < 60 else 0.0005), temperature=45.0)
        for second in range(0, 100, 10)
    ]
    text = "\n".join(json.dumps(to_document(each)) for each in recorded)
    write(tmp_path / "readings.jsonl", text + "\n")
    outcome = ruletest.run(write(tmp_path / "t.toml", 'recording = "readings.jsonl"\n'))
    assert [(each.at, each.event.rule, each.event.lane, each.event.state) for each in outcome.happened] == [
        (20.0, "rx_power_low_alarm", 2, "firing"),
        (70.0, "rx_power_low_alarm", 2, "resolved"),
    ]


def test_the_json_of_a_reading_comes_back() -> None:
    original = reading(5.5, lane_flags={q.RX_LOS: 0b0010}, tx_disabled={1: True, 2: False, 3: False, 4: False})
    back = from_document(json.loads(json.dumps(to_document(original))))
    assert back.time == original.time
    assert back.values == original.values
    assert back.thresholds == original.thresholds
    assert {quantity: dict(row) for quantity, row in back.lanes.items()} == original.lanes
    assert back.lane_flags[q.RX_LOS].active == 0b0010
    assert back.data_path_states == original.data_path_states
    assert back.tx_disabled.get(1) is True
    assert replace(back, lanes=original.lanes).module.get("serial_number") == "S1"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "give either [series] or recording"),
        ('recording = "nowhere.jsonl"', "nowhere.jsonl"),
        ("[series]\nevery = 0", "series.every"),
        ('[series]\n[[series.value]]\nkey = "Temp"\npoints = [[0, 1]]', "'Temp' is neither"),
        ('[series]\n[[series.flag]]\nname = "rx_loss"', "'rx_loss' is no flag"),
        ('[[rule]]\nname = "x"\nflag = "rx_loss"\n[series]', "did you mean 'rx_los'?"),
        ("[series", "hot.toml"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ruletest.run(write(tmp_path / "hot.toml", text))
    assert complaint in str(caught.value)


@pytest.mark.parametrize("line", ["[]", '{"schema": "x"}', '{"schema": "opticd/reading/1", "time": "never"}', "{"])
def test_a_line_that_is_no_reading_is_named(tmp_path: Path, line: str) -> None:
    write(tmp_path / "r.jsonl", line + "\n")
    with pytest.raises(ConfigError, match=r"r\.jsonl:1: "):
        ruletest.run(write(tmp_path / "t.toml", 'recording = "r.jsonl"\n'))
