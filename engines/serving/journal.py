"""What is remembered of each request, for the log and the metrics."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Scope

from engines.batch.outcome import Stages

LONGEST_PATH = 120
LONGEST_METHOD = 20

KEY = "efdn.notes"
"""Under which a request's scope has its notes."""


@dataclass(kw_only=True)
class Notes:
    """What comes to be known of a request.

    Attributes:
        id: of the request, in its answer and in the log.
        client: its address.
        method: of HTTP; long ones are cut.
        path: asked for, without parameters; likewise.
        status: of the answer.
        said: why it failed, one line; "" if it did not.
        engine: that did the work; "" where none was to.
        received_bytes: of the picture's file.
        sent_bytes: of the answer's body.
        source: size of the picture, such as "640x480".
        result: likewise of the result.
        upload_s: seconds that the upload took.
        wait_s: from its end to the beginning of the work.
        stages: of the work.
        began: on the clock of `time.perf_counter`.
        at: in seconds since 1970.
        seconds: from the request's header to the end of its answer; 0 until then.
    """

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    client: str = "-"
    method: str = "-"
    path: str = "-"
    status: int = 0
    said: str = ""
    engine: str = ""
    received_bytes: int = 0
    sent_bytes: int = 0
    source: str = ""
    result: str = ""
    upload_s: float | None = None
    wait_s: float | None = None
    stages: Stages | None = None
    began: float = field(default_factory=time.perf_counter)
    at: float = field(default_factory=time.time)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.method, self.path = self.method[:LONGEST_METHOD], self.path[:LONGEST_PATH]

    def end(self) -> None:
        """Notes that the request is over."""
        self.seconds = time.perf_counter() - self.began

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is not known is left out."""
        content: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.at)),
            "status": self.status,
            "client": self.client,
            "method": self.method,
            "path": self.path,
            "seconds": round(self.seconds, 6),
            "id": self.id,
        }
        known = ("engine", "received_bytes", "sent_bytes", "source", "result", "upload_s", "wait_s")
        values = {name: getattr(self, name) for name in known}
        content |= {name: _rounded(value) for name, value in values.items() if value not in ("", 0, None)}
        if self.stages is not None:
            content |= self.stages.to_json()
        return {**content, "error": self.said} if self.said else content


def _rounded(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value


Tell = Callable[[Notes], None]
"""Takes each request that is over."""


def notes_of(scope: Scope) -> Notes:
    """The notes of a request; new ones if it has none."""
    if KEY not in scope:
        client = scope.get("client")
        scope[KEY] = Notes(client=client[0] if client else "-", method=scope["method"], path=scope["path"])
    notes: Notes = scope[KEY]
    return notes
