"""Counts and times for Prometheus, in a registry of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE

from engines.serving.journal import Notes
from engines.serving.queue import Line

__all__ = ["CONTENT_TYPE", "Metrics"]

BUCKETS_S = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
ROUTES = ("/", "/engines", "/upscale", "/health", "/ready", "/metrics", "/openapi.json")
"""Paths that are told apart; any others would let clients grow the metrics without end."""


class Own(TypedDict):
    """Keeps metrics out of the one registry that all of a process share."""

    registry: CollectorRegistry


class Metrics:
    """What was done so far. Safe from any thread.

    Args:
        line: whose length is told.
        version: of this package.
        engine: that requests get which name none.
    """

    def __init__(self, line: Line, *, version: str, engine: str) -> None:
        self._own = own = Own({"registry": CollectorRegistry()})
        ProcessCollector(**own)
        PlatformCollector(**own)
        self._requests = Counter(
            "efdn_requests",
            "Requests answered; status 499 is a client that left.",
            ["path", "status"],
            **own,
        )
        self._pictures = Counter(
            "efdn_pictures", "Requests to upscale, by engine and status.", ["engine", "status"], **own
        )
        self._seconds = Histogram(
            "efdn_stage_seconds",
            "Seconds of each stage: upload, wait, read, infer, write.",
            ["stage"],
            **own,
            buckets=BUCKETS_S,
        )
        self._pixels = Counter("efdn_source_pixels", "Pixels of pictures that were upscaled.", **own)
        self._received = Counter("efdn_received_bytes", "Bytes of pictures received.", **own)
        self._sent = Counter("efdn_sent_bytes", "Bytes of answers sent.", **own)
        info = Gauge("efdn_info", "Version and default engine; always 1.", ["version", "engine"], **own)
        info.labels(version, engine).set(1)
        self._gauge("efdn_waiting", "Requests that wait for a worker.", lambda: len(line.waiting))
        self._gauge("efdn_working", "Requests at work.", lambda: line.working)
        self._gauge("efdn_sending", "Results that are being sent.", lambda: len(line.sending))
        self._gauge(
            "efdn_places_taken", "Places in the queue that are taken, at work included.", lambda: len(line.places)
        )

    def count(self, notes: Notes) -> None:
        """Counts a request that is over."""
        status = str(notes.status)
        self._requests.labels(route_of(notes.path), status).inc()
        self._received.inc(notes.received_bytes)
        self._sent.inc(notes.sent_bytes)
        if notes.path == "/upscale" and notes.method == "POST":
            self._pictures.labels(notes.engine, status).inc()
        times = {"upload": notes.upload_s, "wait": notes.wait_s}
        if notes.stages is not None:
            times |= {"read": notes.stages.read_s, "infer": notes.stages.infer_s, "write": notes.stages.write_s}
            width, height = map(int, notes.source.split("x"))
            self._pixels.inc(width * height)
        for stage, seconds in times.items():
            if seconds is not None:
                self._seconds.labels(stage).observe(seconds)

    def text(self) -> bytes:
        """As Prometheus reads it."""
        return generate_latest(self._own["registry"])

    def _gauge(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        Gauge(name, meaning, **self._own).set_function(value)


def route_of(path: str) -> str:
    """What stands for a path in the metrics."""
    if path in ROUTES:
        return path
    return next((f"{start}..." for start in ("/page/", "/progress/") if path.startswith(start)), "other")
