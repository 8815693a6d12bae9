"""What h11 found in the bytes, as a request. Raises Refused for what is HTTP and makes no sense all the same."""

from typing import Final
from urllib.parse import parse_qsl, unquote

import h11

from exporters.web.messages import Peer, Refused, Request

_PARAMETERS: Final = 64
"""More of them than any path has a use for."""


def request_of(event: h11.Request, peer: Peer) -> Request:
    """The request. Raises Refused."""
    if event.http_version not in (b"1.1", b"1.0"):
        raise Refused(505)
    headers: dict[str, str] = {}
    for raw_name, raw_value in event.headers:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    target = event.target.decode("ascii")
    if not target.startswith("/"):
        target = _of_absolute(target, headers)
    path, _, query = target.partition("?")
    return Request(
        method=event.method.decode("ascii"), path=unquote(path), query=_query(query), headers=headers, peer=peer
    )


def _of_absolute(target: str, headers: dict[str, str]) -> str:
    """The path in `http://host/path`, as a proxy sends it; the host in there is the one that counts (RFC 9112)."""
    scheme, found, rest = target.partition("://")
    if not found or scheme.lower() not in ("http", "https"):
        raise Refused(400)
    host, slash, path = rest.partition("/")
    headers["host"] = host
    return slash + path or "/"


def _query(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_PARAMETERS)
    except ValueError as exc:
        raise Refused(400, "too many parameters") from exc
    return dict(reversed(pairs))
