"""Pictures written from top to bottom, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Protocol

from efdn.errors import OutputError
from efdn.files import reason_of, staged
from efdn.pictures.formats import Format, check_fits
from efdn.pictures.picture import NOTHING, Layout, Metadata, Picture, Pixels
from efdn.pictures.rows import DEFAULT_SAVING, RowWriter, SaveOptions


class Encoder(Protocol):
    """Turns rows into a file of one format."""

    def write(self, rows: Pixels) -> None:
        """Adds rows, whose shape and number are right."""

    def finish(self) -> None:
        """Writes what is left; all rows are there."""


@contextmanager
def open_writer(
    path: Path, layout: Layout, metadata: Metadata = NOTHING, options: SaveOptions = DEFAULT_SAVING
) -> Iterator[RowWriter]:
    """Yields a writer of one picture, which is at `path` once the context is left with all rows written.

    What stood at `path` stays untouched until then, and for good on any error.

    Args:
        path: to write, in the format its ending says.
        layout: size and kind of the picture.
        metadata: to carry, as far as the format holds it; `formats.unheld` tells what it does not.
        options: see `SaveOptions`.

    Raises:
        OutputError: the format cannot hold such a picture, rows are missing in the end, or the file cannot be written.
    """
    chosen = check_fits(path, layout, options)
    metadata = sound_metadata(path, metadata)
    with staged(path) as temporary, temporary.open("wb") as file:
        writer = CheckedWriter(path, layout, new_encoder(chosen, file, layout, metadata, options))
        yield writer
        writer.finish()


def write_picture(path: Path, picture: Picture, options: SaveOptions = DEFAULT_SAVING) -> None:
    """Writes a picture with its metadata.

    Raises:
        OutputError: see `open_writer`.
    """
    with open_writer(path, picture.layout, picture.metadata, options) as writer:
        for rows in rows_of(picture):
            writer.write(rows)


def rows_of(picture: Picture) -> Iterator[Pixels]:
    """The rows of a picture in blocks, with alpha as the last channel."""
    import numpy as np

    step = max(1, (1 << 20) // max(1, picture.pixels[0].nbytes))
    for top in range(0, len(picture.pixels), step):
        rows = picture.pixels[top : top + step]
        if picture.alpha is not None:
            rows = np.concatenate([rows, picture.alpha[top : top + step, :, None]], axis=2)
        yield rows


def new_encoder(chosen: Format, file: BinaryIO, layout: Layout, metadata: Metadata, options: SaveOptions) -> Encoder:
    """What writes this format."""
    if chosen.name == "PNG":
        from efdn.pictures.png.writer import PngEncoder

        return PngEncoder(file, layout, metadata, options)
    if chosen.name == "TIFF":
        from efdn.pictures.tiff.writer import TiffEncoder, is_big

        encoder = TiffEncoder(file, options, big=is_big(layout))
        encoder.begin(layout, metadata)
        return encoder
    from efdn.pictures.pillow_writer import PillowEncoder

    return PillowEncoder(file, layout, metadata, options, chosen)


def sound_metadata(path: Path, metadata: Metadata) -> Metadata:
    """Metadata with EXIF as it must be.

    Raises:
        OutputError: it is no EXIF, or the resolution no number above 0.
    """
    if metadata.dpi is not None and not all(0 < number < 1e9 for number in metadata.dpi):
        raise OutputError(f"cannot write {path}: expected a resolution above 0 dots an inch, got {metadata.dpi}")
    if metadata.exif is None:
        return metadata
    from efdn.pictures.exif import without_prefix

    exif = without_prefix(metadata.exif)
    if exif is None:
        raise OutputError(f"cannot write {path}: expected EXIF as a TIFF structure, this is broken; leave it out")
    return replace(metadata, exif=exif)


class CheckedWriter:
    """Passes on rows that fit, and counts them.

    Args:
        path: for messages.
        layout: of the picture.
        encoder: to pass them to.
    """

    def __init__(self, path: Path, layout: Layout, encoder: Encoder) -> None:
        self._path, self._layout, self._encoder = path, layout, encoder
        self._written = 0

    def write(self, rows: Pixels) -> None:
        """Adds rows, see `RowWriter`."""
        layout = self._layout
        fits = rows.ndim == 3 and rows.shape[1:] == (layout.width, layout.channels) and rows.dtype == layout.dtype
        if not fits or not 1 <= len(rows) <= layout.height - self._written:
            raise OutputError(
                f"cannot write {self._path}: expected at most {layout.height - self._written} more rows of "
                f"{layout.width}x{layout.channels} {layout.dtype}, got {rows.shape} {rows.dtype}; mend the caller"
            )
        try:
            self._encoder.write(rows)
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {reason_of(error)}") from error
        self._written += len(rows)

    def finish(self) -> None:
        """Ends the picture.

        Raises:
            OutputError: rows are missing.
        """
        if self._written < self._layout.height:
            raise OutputError(
                f"cannot write {self._path}: expected {self._layout.height} rows, got {self._written}; "
                "nothing was written"
            )
        self._encoder.finish()
