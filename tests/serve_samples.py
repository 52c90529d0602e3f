"""A server in a thread, engines that wait to be let go, and clients that misbehave."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from cli.serve_text import request_line
from engines.options import RunOptions
from engines.protocol import Arrays, Engine
from engines.select import Choice
from engines.serving.journal import Notes
from engines.serving.options import ServeOptions
from engines.serving.pool import EnginePool
from engines.serving.server import GracefulServer, address_of, listen, serve_on
from engines.serving.service import Service
from tests.inference_samples import Array, FakeEngine

CLIENT = httpx.Client(timeout=30, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
"""Of all requests: making one takes longer than a request. Connections end with their requests."""

SOON_S = 10.0
"""Longest wait for what is to happen at once."""


class GatedEngine(FakeEngine):
    """An engine whose runs begin when they are let."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.gate = threading.Event()
        self.begun = threading.Semaphore(0)
        self.runs = 0

    def infer(self, feeds: Mapping[str, Array]) -> Arrays:
        self.runs += 1
        self.begun.release()
        assert self.gate.wait(SOON_S), "nobody let the engine go"
        return super().infer(feeds)

    def wait_for_run(self) -> None:
        """Returns once a run has begun that was not waited for yet."""
        assert self.begun.acquire(timeout=SOON_S), "no run has begun"


@dataclass(kw_only=True)
class Running:
    """A server that runs."""

    url: str
    port: int
    service: Service
    server: GracefulServer
    thread: threading.Thread
    told: list[Notes] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """The log so far."""
        return [request_line(notes) for notes in self.told]

    def post(self, content: bytes = b"", /, headers: dict[str, str] | None = None, **params: Any) -> httpx.Response:
        """Sends a picture."""
        kind = {"Content-Type": "application/octet-stream", **(headers or {})}
        return CLIENT.post(f"{self.url}upscale", content=content, params=params, headers=kind)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Asks for something."""
        return CLIENT.get(f"{self.url}{path.lstrip('/')}", **options)

    def send(self, *pieces: bytes) -> socket.socket:
        """Opens a connection and sends bytes."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=SOON_S)
        try:
            for piece in pieces:
                connection.sendall(piece)
        except BaseException:
            connection.close()
            raise
        return connection

    def ask(self, *pieces: bytes) -> tuple[int, dict[str, str], bytes]:
        """Sends bytes; status, headers and body of what comes back until the connection ends."""
        with closing(self.send(*pieces)) as connection:
            return parsed(read_all(connection))

    def count_lines(self) -> int:
        """Lines of the log, once all requests so far have theirs."""
        eventually(lambda: not self.server.server_state.tasks)
        return len(self.told)

    def wait_for_line(self, status: int, count: int = 1) -> Notes:
        """The notes of a request that ended with this status."""
        found: list[Notes] = []

        def there() -> bool:
            found[:] = [notes for notes in list(self.told) if notes.status == status]
            return len(found) >= count

        eventually(there, f"no log line with status {status}")
        return found[-1]

    def is_clean(self) -> bool:
        """Whether no request has left a file, a place or a job."""
        service = self.service
        line = service.line
        return service.idle and not line.places | line.sending and not list(service.folder.iterdir())


def eventually(true: Callable[[], bool], otherwise: str = "it never came true") -> None:
    """Returns as soon as something is true."""
    ends = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < ends, otherwise
        time.sleep(0.01)


@contextmanager
def running(
    engine: Engine | None = None, others: Mapping[str, Engine] | None = None, **options: Any
) -> Iterator[Running]:
    """A server on a free port, with a fake engine; it has ended when the context is left."""
    fake = engine or FakeEngine()
    chosen = ServeOptions(port=0, **{"grace_seconds": 5.0, **options})

    def open_engine(model: Path | None, name: str, how: RunOptions) -> Choice:
        return Choice(engine=(others or {}).get(name, fake))

    told: list[Notes] = []
    listener = listen(chosen.host, chosen.port)
    service = Service(chosen, EnginePool(None, "auto", open_engine, lambda package: True), told.append)
    started = threading.Event()
    server = GracefulServer(service, started.set)
    thread = threading.Thread(target=serve_on, args=(listener, server, service), name="efdn-serve")
    url, port = address_of(listener), listener.getsockname()[1]
    thread.start()
    try:
        assert started.wait(SOON_S)
        yield Running(url=url, port=port, service=service, server=server, thread=thread, told=told)
    finally:
        if isinstance(fake, GatedEngine):
            fake.gate.set()
        server.stop()
        thread.join(20)
        assert not thread.is_alive(), "the server does not end"
        assert not service.folder.exists()


def servers() -> Iterator[Running]:
    """A fixture's one server, for tests that need no limits of their own; in the end, nothing is left of requests."""
    with running(FakeEngine(blurs=True)) as started:
        yield started
        eventually(started.is_clean, "a request has left something")
        assert not [line for line in started.lines if "Traceback" in line or "\n" in line]


def in_thread(act: Callable[[], Any]) -> Callable[[], Any]:
    """Begins something; the function returned waits for its result."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(act()))
    thread.start()

    def result() -> Any:
        thread.join(SOON_S)
        assert results, "it has not ended, or failed"
        return results[0]

    return result


def head(length: int | str, target: str = "/upscale", method: str = "POST", **headers: str) -> bytes:
    """A request's header; underscores in names stand for hyphens."""
    lines = {"Host": "127.0.0.1", "Content-Type": "image/png", "Content-Length": str(length)}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return f"{method} {target} HTTP/1.1\r\n{text}\r\n".encode("latin-1")


def read_all(connection: socket.socket) -> bytes:
    """All that comes until the connection ends, or the first answer is whole."""
    content = b""
    while True:
        try:
            more = connection.recv(65536)
        except ConnectionError:
            return content
        if not more:
            return content
        content += more
        start, _, body = content.partition(b"\r\n\r\n")
        length = [line for line in start.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if length and len(body) >= int(length[0].split(b":")[1]) and not start.startswith(b"HTTP/1.1 100"):
            return content


def parsed(content: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (names in lower case) and body of an answer."""
    start, _, body = content.partition(b"\r\n\r\n")
    lines = start.decode("latin-1").split("\r\n")
    pairs = (line.split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), {name.lower(): value for name, value in pairs}, body


def said(answer: httpx.Response) -> str:
    """The one line of an error, which it must be."""
    content = answer.json()
    assert list(content) == ["error"]
    assert "\n" not in content["error"]
    assert "Traceback" not in answer.text
    return str(content["error"])


def as_json(content: bytes) -> Any:
    """A body that is JSON."""
    return json.loads(content)
