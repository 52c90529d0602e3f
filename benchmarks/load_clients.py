"""Clients of a server under load: those that behave, and those that do not."""

from __future__ import annotations

import hashlib
import http.client
import random
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from benchmarks.load_samples import Sample, large_sample

MISBEHAVING = 1 / 6
"""Of requests."""

LONGEST_PAUSE_S = 5.0
"""Before a client that got 503 asks again; Retry-After may ask for more."""

CUT_OFF_S = 45.0
"""After which a client that takes nothing was cut off; the server allows 30 s."""


@dataclass(kw_only=True)
class Tally:
    """What happened, counted by all clients."""

    guard: threading.Lock = field(default_factory=threading.Lock)
    statuses: Counter[str] = field(default_factory=Counter)
    misbehaved: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def answered(self, status: int, seconds: float, problem: str | None) -> None:
        """Counts an answer to a client that behaved."""
        with self.guard:
            self.statuses[str(status)] += 1
            if status == 200:
                self.seconds.append(seconds)
            if problem is not None:
                self.lost.append(problem)


def client(port: int, samples: list[Sample], tally: Tally, ends: float, seed: int) -> None:
    """Sends picture after picture, now and then badly, until the time is over."""
    chance = random.Random(seed)
    while time.monotonic() < ends:
        sample = chance.choice(samples)
        if chance.random() < MISBEHAVING:
            misbehave(port, sample, chance, tally)
            continue
        began = time.perf_counter()
        try:
            status, content = asked(port, "POST", sample.target, sample.content)
        except OSError as error:
            tally.answered(0, 0.0, f"{sample.name}: {error}")
            continue
        problem = None
        if status == 200 and hashlib.sha256(content).hexdigest() != sample.digest:
            problem = f"{sample.name}: other bytes"
        elif status not in (200, 503):
            problem = f"{sample.name}: {status} {content[:100]!r}"
        tally.answered(status, time.perf_counter() - began, problem)
        if status == 503:
            time.sleep(chance.uniform(0.1, LONGEST_PAUSE_S))


def asked(port: int, method: str, target: str, content: bytes | None = None) -> tuple[int, bytes]:
    """Status and body of an answer.

    Raises:
        OSError: there was none, or not all of it.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request(method, target, content, {"Content-Type": "application/octet-stream"} if content else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(repr(error)) from error
    finally:
        connection.close()


def misbehave(port: int, sample: Sample, chance: random.Random, tally: Tally) -> None:
    """Does one of the things that clients should not."""
    kind = chance.choice(["leaves", "aborts its upload", "sends slowly", "garbage", "does not read"])
    with tally.guard:
        tally.misbehaved[kind] += 1
    if kind == "garbage":
        with suppress(OSError):
            asked(port, "POST", "/upscale", chance.randbytes(5000))
        return
    whole = request_of(sample)
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        if kind == "aborts its upload":
            connection.sendall(whole[: len(whole) // 2])
        elif kind == "sends slowly":
            step = max(1, len(whole) // 20)
            for start in range(0, len(whole), step):
                connection.sendall(whole[start : start + step])
                time.sleep(0.1)
            connection.recv(1000)
        else:
            connection.sendall(whole)
            time.sleep(chance.uniform(0, 2 if kind == "leaves" else 6))


def take_nothing(port: int) -> None:
    """Asks for a result that no system keeps for its clients, and does not read it until it must have been cut off."""
    sample = large_sample()
    with suppress(OSError), socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        connection.sendall(request_of(sample))
        time.sleep(CUT_OFF_S)


def request_of(sample: Sample) -> bytes:
    """The bytes of a request."""
    head = f"POST {sample.target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: "
    return f"{head}{len(sample.content)}\r\n\r\n".encode() + sample.content
