"""The config file: what is accepted, and what every mistake says."""

from pathlib import Path

import pytest

from agent.config import file as config
from agent.errors import ConfigError

GOOD = """
[agent]
device = "leaf-17"
poll_interval = 5

[[source]]
type = "i2c"
bus = "12"
port = "Ethernet0"

[exporter.prometheus]
listen = "127.0.0.1:0"

[exporter.mqtt]
url = "mqtt://broker.example:1883"
"""


def test_a_good_file() -> None:
    loaded = config.parse(GOOD, name="good.toml")
    assert loaded.agent.device == "leaf-17"
    assert loaded.agent.poll_interval == 5.0
    assert [source.type for source in loaded.source] == ["i2c"]
    assert loaded.exporter.mqtt is not None


def test_an_empty_file_is_all_defaults() -> None:
    loaded = config.parse("", name="empty.toml")
    assert loaded.agent.poll_interval == 10.0
    assert loaded.exporter.prometheus is not None
    assert loaded.exporter.prometheus.listen == "127.0.0.1:10800"


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (
            "[agent]\npol_interval = 3\n",
            "bad.toml:2: agent.pol_interval: unknown key, did you mean 'poll_interval'?",
        ),
        ("[agnet]\n", "bad.toml:1: agnet: unknown key, did you mean 'agent'?"),
        (
            "[agent]\ndevice = 'x'\npoll_interval = 'fast'\n",
            "bad.toml:3: agent.poll_interval: 'fast' is no number: it is written without quotes",
        ),
        (
            "[[source]]\ntype = 'i2c'\nbus = '1'\n[[source]]\ntype = 'i2c'\nbuss = '2'\n",
            "bad.toml:6: source[1].buss",
        ),
        ("[[source]]\ntype = 'i3c'\n", "bad.toml:1: source[0]: type 'i3c' is none of ethtool, fake, i2c, "),
        ("[[source]]\ntype = 'ethtol'\n", "sysfs, did you mean 'ethtool'?"),
        ("[[source]]\nbus = '1'\n", "bad.toml:1: source[0]: the key 'type' is needed, one of ethtool, fake, i2c, "),
        ("[[source]]\ntype = 'i2c'\n", "bad.toml:1: source[0].bus: this key is needed"),
        ("[source]\ntype = 'i2c'\n", "bad.toml:1: source: several can be given, so with two brackets: [[source]]"),
        ("[agent]\nread_flags = 'yes please'\n", "agent.read_flags: true or false is expected, without quotes"),
        ("[agent]\nread_flags = true\nprofile = 'ful'\n", "bad.toml:3: agent.profile: 'ful' is none of 'basic', "),
        (
            "[exporter.mqtt]\nurl = 'http://x'\n",
            "bad.toml:2: exporter.mqtt.url: expected as in mqtt://broker.example",
        ),
        ("[agent]\npoll_interval = 0\n", "bad.toml:2: agent.poll_interval: it should be greater than 0"),
        ("[agent\n", "bad.toml: "),
    ],
)
def test_a_mistake_names_its_place(text: str, want: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse(text, name="bad.toml")
    assert want in str(caught.value)


def test_every_mistake_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse("[agent]\nfoo = 1\nbar = 2\n", name="bad.toml")
    assert len(str(caught.value).splitlines()) == 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        config.load(tmp_path / "nope.toml")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        config.load(path)


def test_the_quirk_rows_that_a_file_names_are_checked_with_it(tmp_path: Path) -> None:
    quirks = tmp_path / "own.toml"
    path = tmp_path / "opticd.toml"
    path.write_text(f"[agent]\nquirks = '{quirks}'\n")
    with pytest.raises(ConfigError, match=r"own\.toml: .*No such file"):
        config.load(path)
    quirks.write_text('[[quirk]]\nname = "x"\nsetle_s = 0.02\n')
    with pytest.raises(
        ConfigError, match=r"own\.toml: quirk\[0\]\.setle_s: unknown key, did you mean 'settle_s'\?"
    ):
        config.load(path)
    quirks.write_text('[[quirk]]\nname = "x"\nsettle_s = 0.02\n')
    assert config.load(path).agent.quirks == quirks
