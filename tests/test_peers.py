"""The file of peers: both directions of each link, and a line for every mistake."""

from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.links import peers
from agent.links.peers import End

LINK = """
[[link]]
a = ["leaf-17", "swp1"]
b = ["spine-3", "Ethernet12"]
"""
SHAPE = "peers.toml: link {}: it takes a = [device, port] and b = [device, port], all of them names"


def test_a_link_is_known_from_both_ends() -> None:
    known = peers.parse(LINK, name="peers.toml")
    assert known.of("leaf-17", "swp1") == End("spine-3", "Ethernet12")
    assert known.of("spine-3", "Ethernet12") == End("leaf-17", "swp1")
    assert known.of("leaf-17", "swp2") is None
    assert set(known) == {End("leaf-17", "swp1"), End("spine-3", "Ethernet12")}
    assert len(peers.NOBODY) == 0


def test_the_same_link_from_the_other_end_is_no_mistake() -> None:
    twice = LINK + '[[link]]\na = ["spine-3", "Ethernet12"]\nb = ["leaf-17", "swp1"]\n'
    assert len(peers.parse(twice, name="peers.toml")) == 2


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            LINK + '[[link]]\na = ["leaf-17", "swp1"]\nb = ["spine-4", "Ethernet12"]\n',
            ["peers.toml: link 2: leaf-17 swp1 has two peers, spine-3 Ethernet12 and spine-4 Ethernet12"],
        ),
        (
            '[[link]]\na = ["leaf-17"]\nb = ["spine-3", "Ethernet12"]\n[[link]]\na = ["x", "y"]\n[[links]]\n',
            [
                SHAPE.format(1),
                SHAPE.format(2),
                "peers.toml: links: unknown key, only [[link]] is expected",
            ],
        ),
        ('[[link]]\na = ["x", "y"]\nb = ["x", "y"]\n', ["peers.toml: link 1: x y cannot be its own peer"]),
        ('[link]\na = ["x", "y"]\n', ["peers.toml: link: write [[link]], with two brackets"]),
        ("link = [3]\n", [SHAPE.format(1)]),
        ('[[link]]\na = ["", 3]\nb = 1\n', [SHAPE.format(1)]),
        ("[[link", ["peers.toml: Expected ']]' at the end of an array declaration (at end of document)"]),
    ],
)  # fmt: skip
def test_mistakes(text: str, lines: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        peers.parse(text, name="peers.toml")
    assert str(caught.value).splitlines() == lines


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        peers.load(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        peers.load(tmp_path / "bad.toml")
    (tmp_path / "good.toml").write_text(LINK)
    assert len(peers.load(tmp_path / "good.toml")) == 2
