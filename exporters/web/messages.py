"""A request and its answer as handlers see them: nothing of sockets, nothing of the parser."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from json import dumps
from typing import Final, Protocol

TEXT: Final = {"Content-Type": "text/plain; charset=utf-8"}


def encode(document: object) -> bytes:
    """One JSON document in one line."""
    return dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who sends the requests of one connection."""

    secure: bool = False
    """Over TLS."""
    names: frozenset[str] = frozenset()
    """Of the certificate, which was verified."""
    cut: Callable[[], None] = lambda: None
    """Ends the connection at once, whatever was not sent yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; whatever it carries beside its head is skipped, nobody has a use for it."""

    method: str
    path: str
    """Decoded, without the query."""
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    """Decoded; the first of several."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """By names in lower case; several of a name are joined with commas."""
    peer: Peer = Peer()
    name: str = ""
    """What the path says where its route has `{name}`."""

    @property
    def host(self) -> str:
        """Host and port as the client calls them."""
        return self.headers.get("host", "")


def _nothing() -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer. A body in parts is there already; one that is made while it is sent is a generator."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Sequence[bytes] | AsyncGenerator[bytes] = ()
    endless: bool = False
    """It may take as long as it likes, if only each part is read."""
    done: Callable[[], None] = _nothing
    """Called when it is sent, or given up."""


class Refused(Exception):
    """What a handler raises in place of an answer: a status, and one line for a person."""

    def __init__(self, status: int, text: str = "", *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text or HTTPStatus(status).phrase.lower())
        self.status = status
        self.headers = headers or {}


Handler = Callable[[Request], Awaitable[Response]]


class Answers(Protocol):
    """Who answers what a connection receives, without ever failing."""

    async def answer(self, request: Request) -> Response: ...
    def refuse(self, why: Refused) -> Response:
        """The answer to something that is no request."""
        ...


def text(line: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """One line."""
    return Response(status=status, headers={**TEXT, **(headers or {})}, body=(f"{line}\n".encode(),))


def json(document: object) -> Response:
    """One JSON document."""
    return Response(headers={"Content-Type": "application/json"}, body=(encode(document),))
