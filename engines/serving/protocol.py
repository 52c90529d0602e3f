"""HTTP connections that do not wait for ever, nor keep the server busy with nothing."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from time import monotonic
from typing import Any

import h11
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from engines.serving.errors import LEFT
from engines.serving.gate import HEADERS, MOST_HEADER_BYTES, REFUSED
from engines.serving.journal import Notes, notes_of
from engines.serving.options import ServeOptions
from engines.serving.service import Service

LOOK_S = 0.25
"""Between two looks at a connection."""

LINGER_S = 5.0
"""How long the rest of a body is thrown away after its answer: closed at once, many clients would not see that."""

PIECES = 1024
"""Of a body that may be of any size."""

LEAST_PIECE_BYTES = 64
"""On average, of a body of more pieces: each takes Python time, and chunks of a byte take all that there is."""

SENDING_BYTES = 256 << 10
"""What the system keeps of an answer; left to itself, it keeps megabytes, and tells late of what was taken."""

RETRY_AFTER_S = 10
"""Where there are too many connections."""


class SmallPiecesError(h11.RemoteProtocolError):
    """A body comes in very many very small pieces."""


class CountingConnection(h11.Connection):
    """h11's connection, which refuses bodies in very many very small pieces."""

    _pieces = 0
    _bytes = 0

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Data):
            self._pieces += 1
            self._bytes += len(event.data)
            if self._pieces > PIECES and self._bytes < LEAST_PIECE_BYTES * self._pieces:
                raise SmallPiecesError("the body comes in very small pieces")
        elif isinstance(event, h11.EndOfMessage):
            self._pieces = self._bytes = 0
        return event


class PatientProtocol(H11Protocol):
    """Uvicorn's protocol, with an end to waiting: for a header, for a client that takes no result, for a body's rest.

    Uvicorn itself has no such limits but for connections between two requests.
    """

    service: Service
    _since: float = 0.0
    _stuck_since: float | None = None
    _answering_since: float | None = None
    _looking: asyncio.TimerHandle | None = None

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.conn = CountingConnection(h11.SERVER, MOST_HEADER_BYTES)
        self._app, self.app = self.app, self._serve

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        cycle = self.cycle
        await self._app(scope, receive, send)
        if cycle.response_started and not cycle.response_complete:
            self.cut_off()  # The client must not take it for whole; Uvicorn would log an error of its own.

    @property
    def is_answering(self) -> bool:
        """Whether an answer has begun and is not whole."""
        return self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete

    def cut_off(self, said: str = "") -> None:
        """Ends the connection at once.

        Args:
            said: why an answer that has begun is not sent to its end, for the log.
        """
        if said and self.is_answering:
            self.scope[REFUSED] = (LEFT, said)  # type: ignore[literal-required]
        self._forget_answer()
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # With both, who takes nothing is soon seen.
        transport.set_write_buffer_limits(high=0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENDING_BYTES)
        self._since = monotonic()
        if len(self.connections) > self._options.max_connections:
            self._refuse(503, "too many connections: try again later", ("retry-after", str(RETRY_AFTER_S)))
            return
        self._looking = self.loop.call_later(LOOK_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._looking is not None:
            self._looking.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._since = monotonic()
        super().on_response_complete()
        if self._leaves_chunks:
            # Nobody wants them, and each takes time. Closed at the next look, so that the client sees its answer.
            self.flow.pause_reading()

    def pause_writing(self) -> None:
        self._stuck_since = monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stuck_since = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        error = sys.exc_info()[1]  # Called while h11's error is handled.
        if getattr(error, "error_status_hint", 400) == 431:
            self._refuse(431, f"the request's header has more than {MOST_HEADER_BYTES} bytes: shorten it")
        elif isinstance(error, SmallPiecesError):
            self._refuse(400, f"the body comes in pieces of less than {LEAST_PIECE_BYTES} bytes: send larger ones")
        else:
            self._refuse(400, "this is no HTTP/1.1 request that can be understood: send one")

    @property
    def _options(self) -> ServeOptions:
        return self.service.options

    @property
    def _leaves_chunks(self) -> bool:
        """Whether a body of unknown length still comes after its answer."""
        unread = self.conn.their_state is h11.SEND_BODY and self.cycle is not None and self.cycle.response_complete
        return unread and any(name == b"transfer-encoding" for name, _ in self.headers)

    def _look(self) -> None:
        """Looks how long the client keeps the connection waiting."""
        now = monotonic()
        idle = self.cycle is None or self.cycle.response_complete
        writing = self.transport.get_write_buffer_size() > 0
        if not writing:
            self._stuck_since = None
        elif idle and self._stuck_since is None:
            self._stuck_since = now
        if self._takes_too_long(now):
            self.cut_off("the client took its result too slowly")
            return
        if idle and not writing and self._is_late(now):
            return
        self._looking = self.loop.call_later(LOOK_S, self._look)

    def _takes_too_long(self, now: float) -> bool:
        """Whether a client takes what it is sent too slowly, a piece or all of it."""
        if not self.is_answering:
            self._answering_since = None
        elif self._answering_since is None:
            self._answering_since = now
        limits = (
            (self._stuck_since, self._options.send_seconds),
            (self._answering_since, self._options.result_seconds),
        )
        return any(since is not None and now - since > limit_s for since, limit_s in limits)

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
        elif waited_s > (LOOK_S / 2 if self._leaves_chunks else LINGER_S):
            # Of idle ones too: Uvicorn forgets its own limit where the rest of a body came after the answer.
            self.transport.close()
            return True
        return False

    def _refuse(self, status: int, message: str, *more: tuple[str, str]) -> None:
        """Answers what never became a whole request, and closes."""
        running = self.cycle is not None and not self.cycle.response_complete
        client = self.client[0] if self.client else "-"
        notes = notes_of(self.scope) if running else Notes(client=client)  # type: ignore[arg-type]
        answered = not running and self.conn.their_state is h11.SEND_BODY
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps({"error": message}).encode("ascii")
            headers: list[Any] = [
                ("content-type", "application/json"),
                ("content-length", str(len(body))),
                ("connection", "close"),
                ("x-request-id", notes.id),
                *HEADERS.items(),
                *more,
            ]
            for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        if running:
            self.scope[REFUSED] = (status, message)  # type: ignore[literal-required]  # Told when the request ends.
            self._forget_answer()
        elif not answered:  # Else it has been told.
            notes.status, notes.said = status, message
            self.service.over(notes)

    def _forget_answer(self) -> None:
        """Has the request's own answer go nowhere, which comes too late."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
