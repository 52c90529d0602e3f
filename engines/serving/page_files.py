"""The page's files, which lie in a package."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files

from starlette.responses import Response

from engines.serving.errors import ServeError

PACKAGE = "engines.serving.page"
INDEX = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def page_file(name: str, known_tag: str | None = None) -> Response:
    """A file of the page. Browsers ask each time whether theirs is still the same.

    Args:
        name: of the file, without folders.
        known_tag: of what the browser has, as If-None-Match gives it.

    Raises:
        ServeError: there is none of that name.
    """
    kind = TYPES.get(name[name.rfind(".") :]) if "." in name else None
    # Compared with what is there rather than put together to a path, so that no name leads elsewhere.
    found = [entry for entry in files(PACKAGE).iterdir() if kind and entry.name == name and entry.is_file()]
    if not found or kind is None:
        raise ServeError(404, "the page has no such file: begin at /")
    content = found[0].read_bytes()
    tag = f'"{sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if known_tag is not None and tag in known_tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)
