"""The server: listens, serves, and ends when it is told to, with what it accepted done."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import Any

from uvicorn import Config, Server

from efdn.errors import OutputError
from efdn.files import reason_of
from engines.serving.app import new_app
from engines.serving.journal import Notes
from engines.serving.protocol import PatientProtocol
from engines.serving.service import Service

LAST_S = 5.0
"""For answers to be sent once the time for accepted work is over."""

SOON_S = 0.5
"""For threads to end that cannot be stopped, and for what is cancelled to be answered."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        OutputError: the address cannot be listened at.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise OutputError(
            f"no address {host} ({reason_of(error)}): give --host one of this machine, such as 127.0.0.1"
        ) from error
    listener = socket.socket(found[0], found[1])
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # On Windows, where SO_REUSEADDR would let two servers share a port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(found[4])
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise OutputError(f"cannot listen at {host} port {port}: {reason_of(error)}; choose another --port") from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


class GracefulServer(Server):
    """A server that ends in two steps.

    When the end is asked for, new pictures are refused with 503, and progress is still told, until what was
    accepted is done or the time for it is over; then nobody listens any more. Asked again, it ends at once.
    Uvicorn's own ways of starting, running and closing connections are used; versions are bounded for that.

    Args:
        service: what its requests share; closed by `serve_on`.
        started: called once it listens.
        finishing: called with the number of accepted requests when the end is asked for and there are any.
    """

    def __init__(
        self,
        service: Service,
        started: Callable[[], None] = lambda: None,
        finishing: Callable[[int], None] = lambda count: None,
    ) -> None:
        protocol = type("Protocol", (PatientProtocol,), {"service": service})
        super().__init__(
            Config(
                new_app(service),
                http=protocol,
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
            )
        )
        self._service, self._started_call, self._told = service, started, False
        self._finishing_call, self._told_end = finishing, False
        self._given_up_at: float | None = None
        self._hurried = False

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Asks for the end; also a handler of signals, and safe from any thread."""
        if self._service.stopping:
            self._given_up_at, self._hurried = 0.0, True
            return
        self._given_up_at = monotonic() + self._service.options.grace_seconds
        self._service.stopping = True

    async def on_tick(self, counter: int) -> bool:
        if not self._told:
            self._told = True
            self._started_call()
        if self._service.stopping:
            self._tell_end()
            over = self._given_up_at is not None and monotonic() > self._given_up_at
            if over:
                self._service.give_up()
            self.should_exit = self.should_exit or over or self._service.idle
        return await super().on_tick(counter)

    def _tell_end(self) -> None:
        """Not in the handler of the signal, which may have come in the middle of another line."""
        if not self._told_end:
            self._told_end = True
            if self._service.accepted and not self._hurried:
                self._finishing_call(self._service.accepted)

    async def shutdown(self, sockets: Any = None) -> None:
        """Unlike Uvicorn's, has requests that are not done answered, cuts off who does not take that, and is silent."""
        for server in self.servers:
            server.close()
        state, ends = self.server_state, monotonic() + LAST_S
        for connection in list(state.connections):
            connection.shutdown()
        while (state.connections or state.tasks) and monotonic() < ends and not self._hurried:
            await asyncio.sleep(0.02)
        tasks = list(state.tasks)
        for connection in list(state.connections):
            if isinstance(connection, PatientProtocol) and connection.is_answering:
                connection.cut_off("the client did not take all of its result before the end")
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=SOON_S)
        for connection in list(state.connections):
            if isinstance(connection, PatientProtocol):
                connection.cut_off()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Unlike Uvicorn's, does not raise the signals again in the end: to be told to end is no failure."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.stop) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve_on(listener: socket.socket, server: GracefulServer, service: Service) -> bool:
    """Serves until the end is asked for, and closes everything.

    Args:
        listener: a socket that listens.
        server: not yet running.
        service: its own.

    Returns:
        Whether all threads have ended. Python waits for those that have not, unless the process is ended.
    """
    ended = False
    try:
        with one_line_logs(service):
            server.run(sockets=[listener])
    finally:
        listener.close()
        ended = service.close(SOON_S)
    return ended


class _OneLine(logging.Handler):
    """Has what libraries log said in one line, without tracebacks."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        reason = f": {record.exc_info[1]!r}" if record.exc_info else ""
        self._tell(" ".join(f"{record.getMessage()}{reason}".split()))


@contextmanager
def one_line_logs(service: Service) -> Iterator[None]:
    """Tames the loggers of Uvicorn and asyncio while the body runs."""

    def tell(text: str) -> None:
        service.tell(Notes(status=500, said=text))

    handler = _OneLine(tell)
    loggers = [logging.getLogger(name) for name in ("uvicorn", "asyncio")]
    before = [(logger.propagate, logger.level) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, (propagate, level) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate
            logger.setLevel(level)
