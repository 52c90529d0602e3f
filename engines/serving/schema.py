"""What OpenAPI tells of the answers."""

from __future__ import annotations

from typing import Any, Literal, Optional

from pydantic import BaseModel, Field

from engines.serving.answers import TYPES
from engines.serving.upload import FORM
from engines.serving.watch import Phase

Responses = dict[int | str, dict[str, Any]]


class Problem(BaseModel):
    """Any error."""

    error: str = Field(
        description="One line: what was expected, what came, what to do next.",
        examples=["photo.png is a broken or truncated picture (unexpected end of data): get a whole copy"],
    )


class EngineEntry(BaseModel):
    """An engine."""

    name: str
    state: Literal["open", "closed", "unavailable"] = Field(description="closed: opened when it is first asked for.")
    detail: Optional[str] = Field(
        examples=["ONNX Runtime 1.32.0, 8 threads"], description="Versions and device of an open one."
    )
    reason: Optional[str] = Field(description="Why it is unavailable, and what to do.")


class FormatEntry(BaseModel):
    """A format of results."""

    ending: str
    name: str
    type: str
    lossy: bool
    qualities: Optional[tuple[int, int]] = Field(description="Least and most; null where there is none.")


class Limits(BaseModel):
    """What a request may be."""

    bytes: int
    pixels: int
    seconds: float


class Engines(BaseModel):
    """What can be asked for."""

    version: str
    default: str
    engines: list[EngineEntry]
    scale: int
    model: str
    formats: list[FormatEntry]
    limits: Limits


class Progress(BaseModel):
    """How far a request is."""

    state: Literal["waiting", "working"]
    position: Optional[int] = Field(default=None, ge=1, description="Of one that waits; 1 is next.")
    share: Optional[float] = Field(default=None, ge=0, le=1, examples=[0.42], description="Of one at work.")
    phase: Optional[Phase] = None


class Health(BaseModel):
    """That the server is there."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """That it takes pictures."""

    status: Literal["ready"] = "ready"
    engine: str
    waiting: int
    working: int


def problems(**descriptions: str) -> Responses:
    """Errors by status, as `problems(_404="no such id")`."""
    return {int(key.strip("_")): {"model": Problem, "description": text} for key, text in descriptions.items()}


def _text(example: object) -> dict[str, Any]:
    return {"schema": {"type": "string"}, "example": example}


RESULT_HEADERS = {
    "Content-Disposition": _text("attachment; filename=\"photo_x4.png\"; filename*=UTF-8''photo_x4.png"),
    "X-Efdn-Engine": _text("onnxruntime-cpu"),
    "X-Efdn-Size": _text("2560x1920"),
    "X-Efdn-Source": _text("640x480"),
    "X-Efdn-Warnings": {**_text('["..."]'), "description": "JSON list of what was left out; absent if nothing was."},
    "Server-Timing": _text("wait;dur=0.2, read;dur=8.1, infer;dur=2210.0, write;dur=95.3"),
    "X-Request-Id": _text("1f0c6a0a7a5b4e1d"),
}

BINARY = {"schema": {"type": "string", "format": "binary"}}
RESULT: dict[str, Any] = {
    "description": "The upscaled picture.",
    "content": dict.fromkeys(dict.fromkeys(TYPES.values()), BINARY),
    "headers": RESULT_HEADERS,
}

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The picture as it is, or a form with it as its one file.",
        "content": {
            "application/octet-stream": BINARY,
            "image/*": BINARY,
            FORM: {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                    "required": ["file"],
                    "additionalProperties": False,
                }
            },
        },
    }
}

UPSCALING: Responses = {
    200: RESULT,
    **problems(
        _400="The body is empty, or broken.",
        _403="Another site's page sent it.",
        _408="The upload is too slow.",
        _409="The id is in use.",
        _413="Too many bytes or pixels, of the picture or of its result.",
        _415="No picture by its content type; videos are none.",
        _422="No picture that can be read, or parameters that contradict each other, or do not go with it.",
        _500="What nobody foresaw.",
        _503="The queue is full, or the server is stopping; Retry-After says when to try again.",
        _504="It was not done within the time limit.",
        _507="Too little memory, or disk.",
    ),
}
EVERYWHERE = problems(_421="The Host header names another server.")
