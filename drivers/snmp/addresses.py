"""Hosts and ports as people write them."""

from typing import Final

from agent.errors import ConfigError

PORT: Final = 161


def split_address(text: str, *, port: int = PORT) -> tuple[str, int]:
    """Host and port of `HOST[:PORT]`, `[IPV6]:PORT` or a bare IPv6 address. Raises ConfigError."""
    host, number = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        number = rest.removeprefix(":")
        if not bracket or (rest and not rest.startswith(":")):
            raise ConfigError(f"address {text!r}: HOST, HOST:PORT or [IPV6]:PORT is expected")
    elif text.count(":") == 1:
        host, _, number = text.partition(":")
        if not number:
            host = ""
    if not host or " " in host or (number and not (number.isdecimal() and 0 < int(number) < 65536)):
        raise ConfigError(f"address {text!r}: HOST, HOST:PORT or [IPV6]:PORT is expected")
    return host, int(number) if number else port
