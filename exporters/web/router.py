"""Which handler a request is for."""

from dataclasses import replace
from typing import Final

from exporters.web.messages import Handler, Refused, Request, Response

_NAME: Final = "{name}"


class Router:
    """Paths and their handlers. A path that ends in `{name}` takes everything that follows there."""

    def __init__(self) -> None:
        self._paths: dict[str, dict[str, Handler]] = {}

    def get(self, path: str, handler: Handler, *, head: bool = True) -> None:
        """Answer GET, and HEAD unless there is nothing to be said beforehand."""
        self._paths[path] = {"GET": handler, "HEAD": handler} if head else {"GET": handler}

    def post(self, path: str, handler: Handler) -> None:
        """Answer POST."""
        self._paths[path] = {"POST": handler}

    @property
    def routes(self) -> list[tuple[str, str]]:
        """Methods and paths."""
        return [(method, path) for path, methods in self._paths.items() for method in methods]

    async def answer(self, request: Request) -> Response:
        """What the handler says. Raises Refused when there is none."""
        methods, name = self._find(request.path)
        handler = methods.get(request.method)
        if handler is None:
            raise Refused(405, headers={"Allow": ",".join(methods)})
        return await handler(replace(request, name=name) if name else request)

    def _find(self, path: str) -> tuple[dict[str, Handler], str]:
        if path in self._paths and not path.endswith(_NAME):
            return self._paths[path], ""
        for known, methods in self._paths.items():
            begin = known.removesuffix(_NAME)
            if begin != known and path.startswith(begin) and path != begin:
                return methods, path.removeprefix(begin)
        raise Refused(404)
