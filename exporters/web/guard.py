"""Who may come in, and what every answer has: headers that keep browsers safe, one line for each failure."""

import logging
import time
from dataclasses import replace
from email.utils import formatdate
from typing import Final

from exporters.web.messages import Refused, Request, Response, text
from exporters.web.router import Router
from exporters.web.users import Busy, Users
from exporters.web.webconfig import Watched

_log = logging.getLogger(__name__)

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "opticd",
}
_LOGIN: Final = 'Basic realm="opticd", charset="UTF-8"'


class Guard:
    """Stands before the routes."""

    def __init__(self, router: Router, web: Watched | None) -> None:
        """`web` is the web config as its files are now; None: everybody may come in."""
        self._router = router
        self._web = web
        self._users = Users(lambda: web.config.basic_auth_users if web else {})

    def close(self) -> None:
        """End the thread that checks passwords."""
        self._users.close()

    async def answer(self, request: Request) -> Response:
        """The answer, whatever happens."""
        try:
            return self._with_headers(await self._answer(request))
        except Refused as exc:
            return self.refuse(exc)
        except Exception:  # noqa: BLE001  # a bug in a handler costs one request; it is reported with its traceback
            _log.exception("cannot answer %s %r", request.method, request.path)
            return self.refuse(Refused(500, "internal error, see the log"))

    def refuse(self, why: Refused) -> Response:
        """The answer to what gets no other."""
        return self._with_headers(text(str(why), why.status, why.headers))

    async def _answer(self, request: Request) -> Response:
        if self._web is not None:
            self._web.look()
            tls = self._web.config.tls_server_config
            allowed = tls.client_allowed_sans if tls else ()
            if allowed and request.peer.names.isdisjoint(allowed):
                raise Refused(403, "this certificate may not come in")
        try:
            known = await self._users.may(request.headers.get("authorization", ""))
        except Busy:
            raise Refused(503, "too many logins are being checked", headers={"Retry-After": "1"}) from None
        if not known:
            raise Refused(401, headers={"WWW-Authenticate": _LOGIN})
        return await self._router.answer(request)

    def _with_headers(self, response: Response) -> Response:
        own = self._web.config.http_server_config.headers if self._web else {}
        date = {"Date": formatdate(time.time(), usegmt=True)}
        return replace(response, headers={**SECURITY_HEADERS, **own, **date, **response.headers})
