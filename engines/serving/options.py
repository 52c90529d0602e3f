"""How pictures are served, and within which limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from efdn.errors import ConfigError
from engines.options import RunOptions
from engines.select import AUTO

MAX_PIXELS = 16_000_000
"""Of a picture, unless raised: four minutes on two cores, where `efdn-infer` would take what is asked of it."""

MAX_WHOLE_PIXELS = 40_000_000
"""Of a result that is encoded in one call, unless raised: nothing can stop it, and AVIF takes a minute for so many."""


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """How pictures are served.

    Attributes:
        host: address to listen at.
        port: likewise; 0 takes one that is free.
        model: weights, ONNX file or TensorRT engine; the packaged x4 model if None.
        engine: that requests get which name none.
        threads: of engines on the CPU; as many as there are cores that the process may use if None.
        jobs: pictures at work at once; each is decoded in memory.
        queue: requests that may wait besides; further ones are refused.
        max_bytes: of a picture's file.
        max_pixels: of a picture; and for results, that many times the square of the network's scale.
        max_whole_pixels: of results in formats that are not written row by row.
        seconds: from the end of an upload to its answer.
        upload_seconds: for the whole of an upload.
        stall_seconds: between two pieces of an upload.
        header_seconds: from the opening of a connection to the end of the request's header.
        send_seconds: in which a client takes half a megabyte of its result at the slowest: systems tell of what was
            taken in steps of about that size.
        result_seconds: in which it takes all of it.
        grace_seconds: in which accepted work is finished when the end is asked for.
        max_connections: open at once; further ones are closed.
        allow_hosts: names under which the server is asked, besides localhost and addresses; "*" is any name.
        folder: where uploads and results are kept while they are needed; the system's temporary folder if None.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    model: Path | None = None
    engine: str = AUTO
    threads: int | None = None
    jobs: int = 2
    queue: int = 16
    max_bytes: int = 64 << 20
    max_pixels: int = MAX_PIXELS
    max_whole_pixels: int = MAX_WHOLE_PIXELS
    seconds: float = 1800.0
    upload_seconds: float = 60.0
    stall_seconds: float = 10.0
    header_seconds: float = 10.0
    send_seconds: float = 30.0
    result_seconds: float = 600.0
    grace_seconds: float = 30.0
    max_connections: int = 256
    allow_hosts: tuple[str, ...] = ()
    folder: Path | None = None

    def __post_init__(self) -> None:
        RunOptions(threads=self.threads)  # Refuses what cannot be.
        for name in ("jobs", "max_bytes", "max_pixels", "max_whole_pixels", "max_connections"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.queue < 0:
            raise ConfigError(f"queue must be at least 0, got {self.queue}")
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port must be 0 to 65535, got {self.port}")
        for name in (name for name in vars(self) if name.endswith("seconds")):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name):g}")
