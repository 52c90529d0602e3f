"""One picture from a file to a file, in a worker's thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from efdn.errors import UsageError
from efdn.pictures.formats import Format, format_of
from efdn.pictures.header import read_header
from efdn.pictures.picture import Header, Layout, Pixels
from engines.batch.outcome import Stages
from engines.batch.sources import Source
from engines.batch.task import Task
from engines.batch.work import Result
from engines.inference.checks import Checks
from engines.inference.wanted import Wanted
from engines.inference.work import FileWork
from engines.pictures.target import enlarged_layout
from engines.protocol import Engine
from engines.serving.errors import ServeError
from engines.serving.reckoning import expected_pixels
from engines.serving.watch import Watch

VIDEOS = ((4, b"ftyp"), (0, b"\x1aE\xdf\xa3"), (8, b"AVI "), (0, b"\0\0\x01\xba"), (0, b"FLV\x01"), (0, b"OggS"))
"""Where, and what, containers of videos begin with."""

STILL_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"crx ")
"""Brands of files that begin as MP4 does and are pictures."""


@dataclass(frozen=True, kw_only=True)
class Upscaled:
    """A result.

    Attributes:
        target: its file.
        width: in pixels.
        height: likewise.
        source: the picture's own header.
        warnings: what was left out, one sentence each.
        stages: seconds that each took.
    """

    target: Path
    width: int
    height: int
    source: Header
    warnings: tuple[str, ...]
    stages: Stages


def look(path: Path, wanted: Wanted, engine: Engine, most_whole: int) -> Header:
    """Looks at a picture before it waits for its turn: what cannot be done is said at once.

    Args:
        path: the upload.
        wanted: of the result.
        engine: any of the server's: all have one scale.
        most_whole: pixels of results that are not written row by row.

    Raises:
        ServeError: a video, or more pixels than the server takes or gives.
        ImageError: no picture that can be read.
        OutputError: a format that cannot be written.
        UsageError: options that contradict each other for it.
    """
    with path.open("rb") as file:
        head = file.read(32)
    if any(head.startswith(mark, at) for at, mark in VIDEOS) and head[8:12] not in STILL_BRANDS:
        raise ServeError(415, "this is a video: only pictures are served; efdn-infer upscales videos")
    header = read_header(path, max_pixels=wanted.max_pixels)
    frames = header.frames if wanted.all_frames else 1
    pixels = header.layout.width * header.layout.height
    if frames * pixels > wanted.max_pixels:
        raise ServeError(
            413,
            f"{frames} frames of {header.layout.width}x{header.layout.height} pixels are more than the "
            f"{wanted.max_pixels} pixels that this server takes: ask for frames=first, or use efdn-infer",
        )
    scale = engine.model.scale
    result = enlarged_layout(header.layout, scale, wanted.enlarging)
    _check_result(result, frames, wanted.max_pixels * scale**2, ": ask for a smaller size or scale")
    ending = Checks(engine, wanted).ending(Source(path=path, relative=Path(path.name)))
    _check_whole(format_of(path.with_name(f"result{ending}")), result, frames, moving=header.moving, most=most_whole)
    return header


def _check_whole(chosen: Format, layout: Layout, frames: int, *, moving: bool, most: int) -> None:
    """Raises ServeError where more would be encoded at once than may be: that takes memory, and cannot be stopped."""
    advice = (
        f" in one {chosen.name}, which is not written row by row: ask for format=png or tif, a smaller size or scale, "
        "or have the server started with a larger --max-whole-pixels"
    )
    if not chosen.streams:
        _check_result(layout, frames, most, advice)
    elif moving and frames > 1:
        _check_result(layout, 1, most, " in a frame: ask for a smaller size or scale, or frames=first")


def _check_result(layout: Layout, frames: int, most: int, advice: str) -> None:
    if frames * layout.width * layout.height > most:
        each = f" in each of {frames} frames" if frames > 1 else ""
        size = f"{layout.width}x{layout.height} pixels{each}"
        raise ServeError(413, f"the result would have {size}, more than the {most} that this server gives{advice}")


def upscale_file(source: Path, header: Header, engine: Engine, wanted: Wanted, watch: Watch) -> Upscaled:
    """Upscales a picture, with everything as `efdn-infer` does it.

    Args:
        source: the upload; the result is written beside it.
        header: of it.
        engine: open.
        wanted: of the result.
        watch: told how far the work is; asked whether it is to end.

    Raises:
        EfdnError: whatever goes wrong, and what the watch was stopped with. No result is left then.
    """
    began = perf_counter()
    watch.check()
    named = Source(path=source, relative=Path(source.name))
    checks = Checks(engine, wanted)
    task = Task(source=named, target=source.with_name(f"result{checks.ending(named)}"))
    if task.source.video:
        raise UsageError("only pictures are served: use efdn-infer for videos")
    checks.check(task)
    work = FileWork(engine, wanted)
    loaded = work.read(task)
    read_s = perf_counter() - began
    watch.expected_pixels = expected_pixels(engine, loaded, wanted)
    watch.phase = "upscaling"
    rows = _Rows(watch)
    began = perf_counter()
    result = work.infer(loaded)
    rows.infer_s = perf_counter() - began
    try:
        work.write(task, result, rows.of(result))
    finally:
        close: Any = getattr(result.rows, "close", None)
        with suppress(Exception):
            if close is not None:
                close()
    watch.check()
    seconds = perf_counter() - began
    return Upscaled(
        target=task.target,
        width=result.width,
        height=result.height,
        source=header,
        warnings=tuple(result.warnings),
        stages=Stages(read_s=read_s, infer_s=rows.infer_s, write_s=max(0.0, seconds - rows.infer_s)),
    )


class _Rows:
    """Rows on their way to the writer, in the writer's own thread: one band at a time is in memory."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self.infer_s = 0.0

    def of(self, result: Result) -> Iterator[Pixels]:
        made = 0
        while True:
            self._watch.check()
            began = perf_counter()
            block = next(result.rows, None)
            self.infer_s += perf_counter() - began
            if block is None:
                break
            made += len(block)
            self._watch.made(made / result.row_count)
            yield block
        self._watch.phase = "writing"
