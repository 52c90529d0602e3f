"""Answers: results with what is told about them, and errors."""

from __future__ import annotations

import json
from collections.abc import Sequence

from starlette.responses import JSONResponse

from engines.serving.asked import Order
from engines.serving.errors import ServeError
from engines.serving.journal import Notes
from engines.serving.naming import NAMELESS, content_disposition, safe_stem
from engines.serving.work import Upscaled

TYPES = {
    ".png": "image/png",
    ".apng": "image/apng",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".jpe": "image/jpeg",
    ".jfif": "image/jpeg",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".bmp": "image/bmp",
    ".avif": "image/avif",
}

MOST_WARNING_BYTES = 4 << 10
"""Of warnings in a header: proxies refuse larger ones."""


def error_answer(error: ServeError) -> JSONResponse:
    """An error as JSON."""
    return JSONResponse({"error": str(error)}, error.status, {"Cache-Control": "no-store", **error.headers})


def result_headers(
    done: Upscaled, warnings: Sequence[str], order: Order, name: str, scale: int, size: int, notes: Notes
) -> list[tuple[bytes, bytes]]:
    """Headers of a result, as ASGI takes them.

    Args:
        done: the result.
        warnings: in words for the client.
        order: what was asked for.
        name: what the client calls its picture.
        scale: of the network.
        size: of the result's file, in bytes.
        notes: of the request.
    """
    ending = done.target.suffix
    stem = safe_stem("" if name == NAMELESS else name)
    suffix = f"_x{scale}" if order.suffix is None else order.suffix
    stages = done.stages
    times = {"wait": notes.wait_s or 0.0, "read": stages.read_s, "infer": stages.infer_s, "write": stages.write_s}
    headers = {
        "Content-Type": TYPES[ending],
        "Content-Length": str(size),
        "Content-Disposition": content_disposition(f"{stem}{suffix}{ending}"),
        "Cache-Control": "no-store",
        "X-Efdn-Engine": notes.engine,
        "X-Efdn-Size": f"{done.width}x{done.height}",
        "X-Efdn-Source": notes.source,
        "Server-Timing": ", ".join(f"{stage};dur={1e3 * seconds:.1f}" for stage, seconds in times.items()),
    }
    if warnings:
        headers["X-Efdn-Warnings"] = _as_header(warnings)
    return [(key.encode("ascii"), value.encode("ascii")) for key, value in headers.items()]


def _as_header(warnings: Sequence[str]) -> str:
    """JSON in ASCII; where that is too long, the last entry says how many are left out."""
    kept = list(warnings)
    while True:
        left_out = len(warnings) - len(kept)
        text = json.dumps(kept + ([f"and {left_out} more"] if left_out else []))
        if len(text) <= MOST_WARNING_BYTES or not kept:
            return text
        kept.pop()
