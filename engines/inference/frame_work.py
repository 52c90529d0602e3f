"""Animations, and files of several pages, through an engine in three stages."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from efdn.errors import ImageError
from efdn.pictures.animation_writer import open_animation, open_pages
from efdn.pictures.formats import format_of
from efdn.pictures.frames import Frame, read_frames
from efdn.pictures.header import read_header
from efdn.pictures.picture import Header, Layout, Metadata, Pixels
from engines.batch.task import Task
from engines.batch.work import Result, Work
from engines.inference.picture_work import one_array, unheld_warnings
from engines.inference.wanted import Wanted
from engines.pictures.enlarge import Enlarged, enlarge
from engines.protocol import Engine


@dataclass(frozen=True, kw_only=True)
class Reel:
    """A file of several pictures, open at the first.

    Attributes:
        path: the file.
        header: what it announces.
        frames: the pictures, read as they are asked for.
    """

    path: Path
    header: Header
    frames: Generator[Frame, None, None]


@dataclass(frozen=True, kw_only=True)
class MadeFrame:
    """What the writer must know of a frame before its rows come."""

    layout: Layout
    metadata: Metadata
    duration_ms: float


@dataclass(kw_only=True)
class FramesResult(Result):
    """Upscaled frames in the making; their rows follow each other.

    Attributes:
        header: of the source.
        made: frames whose rows are made or about to be, in order; the writer takes them out.
    """

    header: Header
    made: deque[MadeFrame] = field(default_factory=deque, repr=False)

    @property
    def row_count(self) -> int:
        """Of all frames, which are of one size: pages of several are refused as they are read."""
        return self.height * self.header.frames


class FrameWork(Work[Reel, FramesResult]):
    """Reads, upscales and writes files of several pictures.

    Args:
        engine: an open engine.
        wanted: of the results.
    """

    def __init__(self, engine: Engine, wanted: Wanted) -> None:
        self._engine, self._wanted = engine, wanted

    def read(self, task: Task) -> Reel:
        path, most = task.source.path, self._wanted.max_pixels
        header = read_header(path, max_pixels=most)
        return Reel(path=path, header=header, frames=read_frames(path, max_pixels=most))

    def infer(self, loaded: Reel) -> FramesResult:
        first = next(loaded.frames, None)
        if first is None:
            raise ImageError(f"{loaded.path} has no frame that can be read: get a whole copy")
        try:
            made = enlarge(self._engine, first.picture, self._wanted.enlarging)
        except BaseException:
            loaded.frames.close()
            raise
        result = FramesResult(
            width=made.layout.width,
            height=made.layout.height,
            rows=iter(()),
            header=loaded.header,
            warnings=list(made.warnings),
        )
        result.rows = self._all_rows(loaded, first, made, result)
        return result

    def _all_rows(self, reel: Reel, frame: Frame | None, made: Enlarged, result: FramesResult) -> Iterator[Pixels]:
        # Given up early, the file must not stay open: it could not be replaced or deleted on Windows.
        with closing(reel.frames):
            while frame is not None:
                # Before its rows: the writer looks here when it has seen the first of them.
                result.made.append(MadeFrame(layout=made.layout, metadata=made.metadata, duration_ms=frame.duration_ms))
                yield from made.rows
                frame = next(reel.frames, None)
                if frame is not None:
                    made = enlarge(self._engine, frame.picture, self._wanted.enlarging)

    def write(self, task: Task, result: FramesResult, rows: Iterator[Pixels]) -> None:
        if result.header.moving:
            self._write_animation(task.target, result, rows)
        else:
            self._write_pages(task.target, result, rows)

    def _write_animation(self, target: Path, result: FramesResult, rows: Iterator[Pixels]) -> None:
        block = next(rows, None)
        frame = result.made.popleft()
        result.warnings += unheld_warnings(target, frame.metadata)
        if result.header.loops and not format_of(target).loops:
            times = result.header.loops
            result.warnings.append(f"{target} is played for ever, its source {times} times: choose .png or .webp")
        saving = self._wanted.saving
        with open_animation(target, frame.layout, frame.metadata, saving, loop=result.header.loops) as writer:
            while True:
                pixels = one_array(_of_one(block, rows, frame.layout.height))
                writer.add(pixels, frame.duration_ms)
                block = next(rows, None)
                if block is None:
                    return
                frame = result.made.popleft()

    def _write_pages(self, target: Path, result: FramesResult, rows: Iterator[Pixels]) -> None:
        block = next(rows, None)
        raw_bytes = result.header.frames * _raw_bytes(result.made[0]) if block is not None else 0
        with open_pages(target, self._wanted.saving, raw_bytes=raw_bytes) as pages:
            while block is not None:
                frame = result.made.popleft()
                writer = pages.page(frame.layout, frame.metadata)
                for part in _of_one(block, rows, frame.layout.height):
                    writer.write(part)
                block = next(rows, None)


def _raw_bytes(frame: MadeFrame) -> int:
    """Of a page as it is stored if nothing shrinks, with what it carries."""
    layout, carried = frame.layout, (frame.metadata.icc_profile, frame.metadata.exif, frame.metadata.xmp)
    row_bytes = (layout.width * layout.channels * layout.bits + 7) // 8
    return layout.height * row_bytes + sum(len(content) for content in carried if content is not None)


def _of_one(block: Pixels | None, rest: Iterator[Pixels], height: int) -> Iterator[Pixels]:
    """The rows of one frame, of which the first block has been taken already."""
    seen = 0
    while block is not None:
        yield block
        seen += len(block)
        if seen >= height:
            return
        block = next(rest, None)
