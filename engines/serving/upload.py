"""Bodies of requests, streamed to files within limits."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO

from starlette.datastructures import Headers
from starlette.types import Receive

from engines.batch.names import printable
from engines.serving.errors import ClientLeftError, ServeError
from engines.serving.multipart import FilePart
from engines.serving.options import ServeOptions

BATCH_BYTES = 1 << 20
"""What is gathered before it is written, off the event loop's thread."""

FORM_BYTES = 64 << 10
"""What a form may have around its file."""

FORM = "multipart/form-data"
CLOSE = {"Connection": "close"}


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What came.

    Attributes:
        size: of the picture's file, in bytes.
        name: that the form gives it; "" if it was sent as it is.
    """

    size: int
    name: str


def check_headers(headers: Headers, options: ServeOptions) -> None:
    """Refuses what can be refused by its header.

    Raises:
        ServeError: a kind that is not served, or a size beyond the limit.
    """
    kind = media_type(headers)
    if kind.startswith("video/"):
        raise ServeError(415, "videos are not served: use efdn-infer for them")
    if kind and not kind.startswith("image/") and kind not in ("application/octet-stream", FORM):
        raise ServeError(
            415,
            f"expected the content type image/*, application/octet-stream or {FORM}, got {printable(kind[:80])}: "
            "curl sends a file right with -T FILE -X POST, or -F file=@FILE",
        )
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise ServeError(415, "the body has a Content-Encoding: send the picture as it is")
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > options.max_bytes + (FORM_BYTES if kind == FORM else 0):
        raise too_large(options)
    if length.isdigit() and int(length) == 0:
        raise ServeError(400, "the body is empty: send the picture in it")


def media_type(headers: Headers) -> str:
    """Of the body, without parameters, in lower case; "" if the header does not say."""
    return headers.get("content-type", "").split(";")[0].strip().lower()


def too_large(options: ServeOptions) -> ServeError:
    """The answer to a body beyond the limit."""
    return ServeError(
        413,
        f"the picture has more than the {options.max_bytes} bytes that this server takes: "
        "send a smaller one, or have the server started with a larger --max-bytes",
    )


async def receive_file(receive: Receive, headers: Headers, path: Path, options: ServeOptions) -> Upload:
    """Streams the body to a file.

    Args:
        receive: of the request.
        headers: likewise.
        path: to write.
        options: limits.

    Raises:
        ServeError: too slow, too large, empty, or no form as the header says.
        ClientLeftError: the body broke off.
    """
    file = await asyncio.to_thread(path.open, "wb")
    try:
        taker = _Taker(file, headers, options)
        await _take_all(receive, taker, options)
        return taker.upload()
    finally:
        await asyncio.to_thread(file.close)


async def _take_all(receive: Receive, taker: _Taker, options: ServeOptions) -> None:
    ends = monotonic() + options.upload_seconds
    batch = bytearray()
    while True:
        message = await _next(receive, ends, options)
        batch += message.get("body", b"")
        last = not message.get("more_body", False)
        taker.check(len(batch))
        if batch and (last or len(batch) >= BATCH_BYTES):
            await asyncio.to_thread(taker.take, bytes(batch))
            batch.clear()
        if last:
            return


async def _next(receive: Receive, ends: float, options: ServeOptions) -> dict[str, Any]:
    patience = min(options.stall_seconds, ends - monotonic())
    try:
        message = await asyncio.wait_for(receive(), max(0.0, patience))
    except asyncio.TimeoutError:
        raise ServeError(
            408,
            f"the upload is too slow: expected all of it within {options.upload_seconds:g} s, and no pause longer than "
            f"{options.stall_seconds:g} s; send a smaller file, or from nearer",
            CLOSE,
        ) from None
    if message["type"] == "http.disconnect":
        raise ClientLeftError
    return dict(message)


class _Taker:
    """Where the bytes of a body go."""

    def __init__(self, file: BinaryIO, headers: Headers, options: ServeOptions) -> None:
        self._file, self._options, self._size = file, options, 0
        form = media_type(headers) == FORM
        self._form = FilePart(headers.get("content-type", ""), file) if form else None

    def check(self, more: int) -> None:
        """Raises ServeError where the body is too large with so many more bytes."""
        around = FORM_BYTES if self._form is not None else 0
        if self._size + more > self._options.max_bytes + around:
            raise too_large(self._options)

    def take(self, content: bytes) -> None:
        """Writes the next bytes."""
        self._size += len(content)
        if self._form is None:
            self._file.write(content)
            return
        self._form.feed(content)
        if self._form.size > self._options.max_bytes:
            raise too_large(self._options)

    def upload(self) -> Upload:
        """What came, now that all has come."""
        if self._form is not None and self._size:
            self._form.finish()
        size = self._size if self._form is None else self._form.size
        if not size:
            raise ServeError(400, "the body is empty: send the picture in it")
        return Upload(size=size, name="" if self._form is None else self._form.name)
