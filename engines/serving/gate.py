"""What every request passes on its way in, and every answer on its way out."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engines.batch.names import printable
from engines.serving.answers import error_answer
from engines.serving.errors import LEFT, ServeError, answer_to
from engines.serving.journal import Notes, notes_of
from engines.serving.service import Service

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Of all answers."""

ANY = "*"

OWN_SITES = ("same-origin", "none")
"""Sec-Fetch-Site of the server's own page, and of what somebody does who is on no page."""

REFUSED = "efdn.refused"
"""Under which a request's scope has status and message, where its connection was answered before it was whole."""

MOST_HEADER_BYTES = 32 << 10
"""Of a request; h11 limits only what comes in several pieces."""


class Gate:
    """Refuses what other sites' pages ask, adds headers, counts, logs, and is the last to catch errors.

    Args:
        app: behind it.
        service: of the server.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service
        host = service.options.host
        self._names = frozenset(name.lower() for name in (*service.options.allow_hosts, host))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        notes = notes_of(scope)
        passing = _Passing(notes, send)
        try:
            refused = self._refusal(scope, headers)
            app = self._app if refused is None else error_answer(refused)
            notes.said = "" if refused is None else str(refused)
            await app(scope, receive, passing.send)
        except asyncio.CancelledError:  # The server does not wait any longer.
            await passing.fail(ServeError(503, "the server is stopping: try again when it is back"), scope, receive)
        except Exception as error:
            notes.said = " ".join(f"{type(error).__name__}: {error}".split())
            await passing.fail(answer_to(error), scope, receive)
        finally:
            notes.status = passing.status or notes.status or LEFT
            if notes.said == "the client left":
                notes.status = LEFT
            # The connection knows better.
            notes.status, notes.said = scope.get(REFUSED, (notes.status, notes.said))
            self._service.over(notes)

    def _refusal(self, scope: Scope, headers: Headers) -> ServeError | None:
        if sum(len(name) + len(value) for name, value in headers.raw) > MOST_HEADER_BYTES:
            return ServeError(431, f"the request's header has more than {MOST_HEADER_BYTES} bytes: shorten it")
        host = headers.get("host", "")
        if not is_allowed(host, self._names):
            return ServeError(421, _wrong_host(host))
        if scope["method"] == "POST" and _crosses(headers, host):
            return ServeError(403, "another site's page may not send pictures here: use the server's own page")
        return None


def _wrong_host(host: str) -> str:
    named = f"{printable(host[:80])}" if host else "a request without a name"
    try:
        option = printable((urlsplit(f"//{host}").hostname or "NAME")[:80])
    except ValueError:
        option = "NAME"
    return f"this server does not answer to {named}: start it with --allow-host {option}, or ask for localhost"


def is_allowed(host: str, names: Sequence[str] | frozenset[str]) -> bool:
    """Whether a server may be asked under this name.

    A site's page can reach servers on its visitors' machines by letting its own name lead there. Neither localhost nor
    an address can be such a name.

    Args:
        host: as the header has it, with or without port.
        names: allowed besides, in lower case.
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        if not name or "@" in host:
            return False
    except ValueError:
        return False
    if ANY in names or name in names or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name.split("%")[0])
    except ValueError:
        return False
    return True


def _crosses(headers: Headers, host: str) -> bool:
    """Whether a browser sends this for another site's page, or for one of another name of this site."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in OWN_SITES
    origin = headers.get("origin")  # All that browsers say to a server without TLS that is not on their machine.
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() != host.lower()
    except ValueError:
        return True


class _Passing:
    """An answer on its way out."""

    def __init__(self, notes: Notes, send: Send) -> None:
        self.status = 0
        self._notes, self._send = notes, send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers["X-Request-Id"] = self._notes.id
            message["headers"] = headers.raw
        elif self._notes.method != "HEAD":  # The header tells how long the body would be; there is none.
            self._notes.sent_bytes += len(message.get("body", b""))
        await self._send(message)

    async def fail(self, error: ServeError, scope: Scope, receive: Receive) -> None:
        """Answers with an error, if no answer has begun."""
        self._notes.said = self._notes.said or str(error)
        if not self.status:
            await error_answer(error)(scope, receive, self.send)
