"""Which devices to ask: lists, files, and the share of one agent among several. Pure, but for reading the file."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ConfigError
from drivers.snmp.addresses import split_address


@dataclass(frozen=True, slots=True)
class Target:
    """One device: its name in readings, and where its agent listens."""

    name: str
    host: str
    port: int


def parse_target(text: str) -> Target:
    """`NAME=HOST[:PORT]`, or `HOST[:PORT]` which is then the name too. Raises ConfigError."""
    name, equals, address = text.partition("=")
    address = address.strip() if equals else text.strip()
    host, port = split_address(address)
    name = name.strip() if equals else address
    if not name:
        raise ConfigError(f"target {text!r} has no name before its =")
    return Target(name, host, port)


def load_targets(given: Path | Iterable[str]) -> tuple[Target, ...]:
    """The targets of a list, or of a file with one a line and `#` comments. Raises ConfigError."""
    where = ""
    lines: Iterable[str] = ()
    if isinstance(given, Path):
        where = f"{given}: "
        try:
            lines = given.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as exc:
            hint = 'targets is a file with one a line, or a list: targets = ["leaf-17=10.0.0.17"]'
            why = getattr(exc, "strerror", None) or "not UTF-8 text"
            raise ConfigError(f"{given}: {why}", hint=hint) from exc
    else:
        lines = given
    targets: dict[str, Target] = {}
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            target = parse_target(text)
        except ConfigError as exc:
            raise ConfigError(f"{where}line {number}: {exc}" if where else str(exc)) from exc
        if target.name in targets:
            raise ConfigError(f"{where}target {target.name!r} is there twice")
        targets[target.name] = target
    return tuple(targets.values())


def parse_shard(text: str) -> tuple[int, int]:
    """`2/8`: the second of eight agents. Raises ConfigError."""
    part, slash, whole = text.partition("/")
    if not (slash and part.isdecimal() and whole.isdecimal() and 1 <= int(part) <= int(whole)):
        raise ConfigError(f"shard {text!r}: PART/WHOLE is expected, as in 2/8")
    return int(part), int(whole)


def share(targets: Iterable[Target], shard: tuple[int, int]) -> tuple[Target, ...]:
    """The targets of one agent of several, by rendezvous hashing of the names.

    Every agent computes the same owners from the same list, with nobody to coordinate them; an agent more or
    less moves only the targets that it gains or loses.
    """
    part, whole = shard
    return tuple(target for target in targets if owner(target.name, whole) == part)


def owner(name: str, whole: int) -> int:
    """Which of `whole` agents, from 1, has the target of this name."""

    def weight(part: int) -> bytes:
        return hashlib.blake2b(f"{part}\0{name}".encode(), digest_size=8).digest()

    return max(range(1, whole + 1), key=weight)
