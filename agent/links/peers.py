"""Which port is at the other end of each link, as a file says it.

    [[link]]
    a = ["leaf-17", "swp1"]          # device and port, as opticd names them
    b = ["spine-3", "Ethernet12"]

Each entry speaks for both ends. `[agent] peers = "/etc/opticd/peers.toml"` names the file.
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from agent.errors import ConfigError
from agent.model import End

__all__ = ["NOBODY", "End", "Peers", "load", "parse"]

_Name = Annotated[str, StringConstraints(min_length=1)]


class Peers:
    """The other end of every port of which it is known."""

    def __init__(self, ends: Mapping[End, End]) -> None:
        self._ends = dict(ends)

    def of(self, device: str, port: str) -> End | None:
        """The other end of this port, None when nobody said."""
        return self._ends.get(End(device, port))

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[End]:
        return iter(self._ends)


NOBODY: Final = Peers({})


class _Link(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    a: tuple[_Name, _Name]
    b: tuple[_Name, _Name]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    link: list[_Link] = []


def parse(text: str, *, name: str) -> Peers:
    """The peers in `text`, which messages call `name`. Raises ConfigError with every mistake, a line each."""
    try:
        file = _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{name}: {exc}") from exc
    except ValidationError as exc:
        lines = dict.fromkeys(_line(item["loc"], name) for item in exc.errors(include_url=False))
        raise ConfigError("\n".join(lines)) from exc
    ends: dict[End, End] = {}
    mistakes: list[str] = []
    for number, link in enumerate(file.link, 1):
        a, b = End(*link.a), End(*link.b)
        if a == b:
            mistakes.append(f"{name}: link {number}: {a} cannot be its own peer")
            continue
        for one, other in ((a, b), (b, a)):
            if ends.setdefault(one, other) != other:
                mistakes.append(f"{name}: link {number}: {one} has two peers, {ends[one]} and {other}")
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return Peers(ends)


def _line(where: tuple[int | str, ...], name: str) -> str:
    """One mistake in words: all that can be wrong is the shape."""
    match where:
        case ("link", int(index), *_):
            return (
                f"{name}: link {index + 1}: it takes a = [device, port] and b = [device, port], all of them names"
            )
        case ("link", *_):
            return f"{name}: link: write [[link]], with two brackets"
        case _:
            return f"{name}: {'.'.join(map(str, where))}: unknown key, only [[link]] is expected"


def load(path: Path) -> Peers:
    """The peers in a file. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}", hint="[agent] peers names this file") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: not UTF-8 text (byte {exc.start})") from exc
    return parse(text, name=str(path))
