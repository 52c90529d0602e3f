"""HTTP connections that do not wait for ever."""

from __future__ import annotations

import asyncio
import json
import sys
from time import monotonic
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from engines.serving.gate import HEADERS, MOST_HEADER_BYTES, REFUSED
from engines.serving.journal import Notes
from engines.serving.options import ServeOptions
from engines.serving.service import Service

LOOK_S = 0.25
"""Between two looks at a connection."""

LINGER_S = 5.0
"""How long the rest of a body is thrown away after its answer: closed at once, many clients would not see that."""


class PatientProtocol(H11Protocol):
    """Uvicorn's protocol, with an end to waiting: for a header, for a client that takes no result, for a body's rest.

    Uvicorn itself has no such limits but for connections between two requests.
    """

    service: Service
    _since: float = 0.0
    _stuck_since: float | None = None
    _looking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = monotonic()
        if len(self.connections) > self._options.max_connections:
            self._refuse(503, "too many connections: try again later")
            return
        self._looking = self.loop.call_later(LOOK_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._looking is not None:
            self._looking.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._since = monotonic()
        super().on_response_complete()

    def pause_writing(self) -> None:
        self._stuck_since = monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stuck_since = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        hint = getattr(sys.exc_info()[1], "error_status_hint", 400)  # Called while h11's error is handled.
        if hint == 431:
            self._refuse(431, f"the request's header has more than {MOST_HEADER_BYTES} bytes: shorten it")
        else:
            self._refuse(400, "this is no HTTP/1.1 request that can be understood: send one")

    @property
    def _options(self) -> ServeOptions:
        return self.service.options

    def _look(self) -> None:
        """Looks how long the client keeps the connection waiting."""
        now = monotonic()
        idle = self.cycle is None or self.cycle.response_complete
        writing = self.transport.get_write_buffer_size() > 0
        if not writing:
            self._stuck_since = None
        elif idle and self._stuck_since is None:
            self._stuck_since = now
        if self._stuck_since is not None and now - self._stuck_since > self._options.send_seconds:
            self.transport.abort()
            return
        if idle and not writing and self._is_late(now):
            return
        self._looking = self.loop.call_later(LOOK_S, self._look)

    def _is_late(self, now: float) -> bool:
        """Closes a connection whose header, or rest of a body, takes too long."""
        waited_s = now - self._since
        if self.conn.their_state is h11.IDLE and (self.cycle is None or self.conn.trailing_data[0]):
            if waited_s > self._options.header_seconds:
                if self.conn.trailing_data[0]:
                    self._refuse(408, f"expected the request's header within {self._options.header_seconds:g} s")
                else:  # Browsers open connections that they may need, and then do not.
                    self.transport.close()
                return True
        elif waited_s > LINGER_S:
            # Of idle ones too: Uvicorn forgets its own limit where the rest of a body came after the answer.
            self.transport.close()
            return True
        return False

    def _refuse(self, status: int, message: str) -> None:
        """Answers what never became a whole request, and closes."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps({"error": message}).encode("ascii")
            headers: list[Any] = [
                ("content-type", "application/json"),
                ("content-length", str(len(body))),
                ("connection", "close"),
                *HEADERS.items(),
            ]
            for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        if self.cycle is not None and not self.cycle.response_complete:
            self.scope[REFUSED] = (status, message)  # type: ignore[literal-required]  # Told when the request ends.
        else:
            client = self.client[0] if self.client else "-"
            self.service.over(Notes(client=client, status=status, said=message))
