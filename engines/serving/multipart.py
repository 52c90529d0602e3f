"""The one file of a multipart/form-data body, taken out as it comes."""

from __future__ import annotations

from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from engines.serving.errors import ServeError

MOST_HEADER_BYTES = 8 << 10
"""Of one part."""


class FilePart:
    """Writes the part that is a file; anything else is refused.

    Args:
        content_type: of the request.
        file: to write to.

    Attributes:
        name: that the client gave the file, in its last form; "" without.
        size: in bytes, so far.

    Raises:
        ServeError: the body cannot be taken apart.
    """

    def __init__(self, content_type: str, file: BinaryIO) -> None:
        _, parameters = parse_options_header(content_type)
        boundary = parameters.get(b"boundary", b"")
        if not 1 <= len(boundary) <= 200:
            raise ServeError(
                400, "multipart/form-data needs a boundary of 1 to 200 characters: leave the header to the client"
            )
        self.name, self.size = "", 0
        self._file, self._files, self._ended = file, 0, False
        self._field, self._value, self._header_bytes = bytearray(), bytearray(), 0
        self._disposition = ""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._add_field,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._write,
                "on_end": self._end,
            },
        )

    def feed(self, content: bytes) -> None:
        """Takes the next bytes of the body.

        Raises:
            ServeError: they are no multipart/form-data, or more than one file.
        """
        try:
            self._parser.write(content)
        except FormParserError as error:
            raise ServeError(400, f"expected multipart/form-data, got something else ({_line(error)})") from error

    def finish(self) -> None:
        """Says that the body is at its end.

        Raises:
            ServeError: there was no file, or its end is missing.
        """
        if not self._files:
            raise ServeError(400, "the form has no file: send the picture as the part named file")
        if not self._ended:
            raise ServeError(400, "the form ends before its last boundary: send it again, whole")

    def _begin(self) -> None:
        self._header_bytes, self._disposition = 0, ""

    def _add_field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._field += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._value += data[start:end]

    def _count(self, more: int) -> None:
        self._header_bytes += more
        if self._header_bytes > MOST_HEADER_BYTES:
            raise ServeError(400, f"a part of the form has a header of more than {MOST_HEADER_BYTES} bytes: shorten it")

    def _end_header(self) -> None:
        if bytes(self._field).lower() == b"content-disposition":
            self._disposition = self._value.decode("latin-1")
        self._field.clear()
        self._value.clear()

    def _end_headers(self) -> None:
        _, parameters = parse_options_header(self._disposition)
        if b"filename" not in parameters:
            raise ServeError(
                400, "the form has a part that is no file: send one part named file, and options in the address"
            )
        self._files += 1
        if self._files > 1:
            raise ServeError(400, "the form has more than one file: send one picture in each request")
        # Browsers escape what would end the name.
        name = parameters[b"filename"].decode("utf-8", "replace")
        self.name = name.replace("%22", '"').replace("%0D", "").replace("%0A", "")

    def _write(self, data: bytes, start: int, end: int) -> None:
        self.size += end - start
        self._file.write(data[start:end])

    def _end(self) -> None:
        self._ended = True


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:100]
