"""Animations, and files of several pages, written frame by frame, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from efdn.errors import OutputError
from efdn.files import reason_of, staged
from efdn.pictures.formats import FORMATS, Format, check_fits, format_of
from efdn.pictures.picture import NOTHING, Layout, Metadata, Pixels
from efdn.pictures.rows import DEFAULT_SAVING, RowWriter, SaveOptions
from efdn.pictures.writing import CheckedWriter, sound_metadata


class FrameEncoder(Protocol):
    """Turns frames into a file of one format."""

    @abstractmethod
    def add(self, pixels: Pixels, duration_ms: float) -> None:
        """Adds a frame whose shape is right."""

    @abstractmethod
    def finish(self) -> None:
        """Writes what is left; all frames are there."""


class AnimationWriter:
    """Passes on frames that fit.

    Args:
        path: for messages.
        layout: of all frames.
        encoder: to pass them to.
    """

    def __init__(self, path: Path, layout: Layout, encoder: FrameEncoder) -> None:
        self._path, self._layout, self._encoder = path, layout, encoder
        self._frames = 0

    def add(self, pixels: Pixels, duration_ms: float) -> None:
        """Adds a whole frame after those before.

        Args:
            pixels: (height, width, channels), alpha last where there is one, of the layout's dtype.
            duration_ms: how long it is shown.

        Raises:
            OutputError: it does not fit, or cannot be written.
        """
        expected = (*self._layout.side, self._layout.channels)
        if pixels.shape != expected or pixels.dtype != self._layout.dtype or duration_ms < 0:
            raise OutputError(
                f"cannot write {self._path}: expected a frame of {expected} {self._layout.dtype} for 0 ms or more, "
                f"got {pixels.shape} {pixels.dtype} for {duration_ms} ms; mend the caller"
            )
        try:
            self._encoder.add(pixels, duration_ms)
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {reason_of(error)}") from error
        self._frames += 1

    def finish(self) -> None:
        """Ends the animation.

        Raises:
            OutputError: it has no frame.
        """
        if not self._frames:
            raise OutputError(f"cannot write {self._path}: expected frames, got none; nothing was written")
        self._encoder.finish()


@contextmanager
def open_animation(
    path: Path,
    layout: Layout,
    metadata: Metadata = NOTHING,
    options: SaveOptions = DEFAULT_SAVING,
    *,
    loop: int = 0,
) -> Iterator[AnimationWriter]:
    """Yields a writer of an animation, which is at `path` once the context is left.

    What stood at `path` stays untouched until then, and for good on any error. PNG is written in constant memory.

    Args:
        path: to write, in the format its ending says.
        layout: size and kind of every frame.
        metadata: to carry, as far as the format holds it.
        options: see `SaveOptions`.
        loop: how often it is shown, 0 for ever; formats without `loops` show it for ever.

    Raises:
        OutputError: the format cannot hold such an animation, there is no frame, or the file cannot be written.
    """
    chosen = check_animation(path, layout, options)
    metadata = sound_metadata(path, metadata)
    with staged(path) as temporary, temporary.open("wb") as file, _spool(path, chosen) as spool:
        writer = AnimationWriter(path, layout, _encoder(chosen, file, spool, layout, metadata, options, loop))
        yield writer
        writer.finish()


def check_animation(path: Path, layout: Layout, options: SaveOptions = DEFAULT_SAVING) -> Format:
    """The format that `path` asks for, once it is known to hold such an animation.

    Raises:
        OutputError: it does not.
    """
    chosen = check_fits(path, layout, options)
    if not chosen.animations:
        others = ", ".join(known.endings[0] for known in FORMATS if known.animations)
        raise OutputError(
            f"cannot write {path}: {chosen.name} holds no animation; choose one of {others}, or only the first frame"
        )
    return chosen


def check_pages(path: Path, layout: Layout, options: SaveOptions = DEFAULT_SAVING) -> Format:
    """TIFF, once it is known that `path` asks for it and that it holds such pages.

    Raises:
        OutputError: it does not.
    """
    chosen = format_of(path)
    if chosen.name != "TIFF":
        raise OutputError(f"cannot write {path}: {chosen.name} holds no pages; choose .tif, or only the first page")
    return check_fits(path, layout, options)


class PageWriter:
    """Writes the pages of a TIFF, one after another, row by row.

    Args:
        path: for messages.
        file: to write to.
        options: see `SaveOptions`.
        big: whether as BigTIFF.
    """

    def __init__(self, path: Path, file: BinaryIO, options: SaveOptions, *, big: bool) -> None:
        from efdn.pictures.tiff.writer import TiffEncoder

        self._path, self._options = path, options
        self._encoder = TiffEncoder(file, options, big=big)
        self._page: CheckedWriter | None = None

    def page(self, layout: Layout, metadata: Metadata = NOTHING) -> RowWriter:
        """Begins a page; all rows of the one before must be there.

        Raises:
            OutputError: TIFF cannot hold it, or rows of the page before are missing.
        """
        check_fits(self._path, layout, self._options)
        if self._page is not None:
            self._page.finish()
        self._encoder.begin(layout, sound_metadata(self._path, metadata))
        self._page = CheckedWriter(self._path, layout, self._encoder)
        return self._page

    def finish(self) -> None:
        """Ends the file.

        Raises:
            OutputError: there is no page, or rows are missing.
        """
        if self._page is None:
            raise OutputError(f"cannot write {self._path}: expected pages, got none; nothing was written")
        self._page.finish()


@contextmanager
def open_pages(path: Path, options: SaveOptions = DEFAULT_SAVING, *, raw_bytes: int = 0) -> Iterator[PageWriter]:
    """Yields a writer of a TIFF of several pages, which is at `path` once the context is left.

    Args:
        path: to write, with the ending .tif or .tiff.
        options: see `SaveOptions`.
        raw_bytes: of the samples of all pages together, if known: beyond 4 GB, BigTIFF is written.

    Raises:
        OutputError: it is no TIFF, a page is missing or unfinished, or the file cannot be written.
    """
    from efdn.pictures.tiff.writer import LARGEST_CLASSIC

    chosen = format_of(path)
    if chosen.name != "TIFF":
        raise OutputError(f"cannot write {path}: {chosen.name} holds no pages; choose .tif, or only the first page")
    with staged(path) as temporary, temporary.open("wb") as file:
        writer = PageWriter(path, file, options, big=raw_bytes > LARGEST_CLASSIC)
        yield writer
        writer.finish()


@contextmanager
def _spool(path: Path, chosen: Format) -> Iterator[BinaryIO | None]:
    """A nameless file beside the target, for frames that Pillow takes all at once."""
    if chosen.streams:
        yield None
        return
    with tempfile.TemporaryFile(dir=Path(os.path.realpath(path)).parent, prefix=".efdn-") as file:
        yield file


def _encoder(
    chosen: Format,
    file: BinaryIO,
    spool: BinaryIO | None,
    layout: Layout,
    metadata: Metadata,
    options: SaveOptions,
    loop: int,
) -> FrameEncoder:
    if spool is None:
        from efdn.pictures.png.animation import ApngEncoder

        return ApngEncoder(file, layout, metadata, options, loop)
    from efdn.pictures.pillow_writer import PillowFrames

    return PillowFrames(file, spool, layout, metadata, options, chosen, loop)
