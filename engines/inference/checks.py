"""What can be known of a file's result before any work."""

from __future__ import annotations

from pathlib import Path

from efdn.errors import OutputError
from efdn.pictures.formats import FORMATS, check_fits, default_ending, memory_bytes
from efdn.pictures.header import read_header
from efdn.pictures.picture import Color, Header, Layout
from engines.batch.sources import Source
from engines.batch.task import Task
from engines.inference.comparing import check_comparable
from engines.inference.wanted import SAME, Wanted
from engines.pictures.options import EnlargeOptions
from engines.pictures.target import enlarged_layout
from engines.protocol import Engine
from engines.tiling.memory import free_bytes
from engines.tiling.samples import check_depth
from engines.video.containers import CONTAINERS

ANY_STREAM = ".mkv"
"""What holds nearly everything that others do."""

SCANNED = {"GIF": ".webp"}
"""Formats that are read only, and what their results are written as where the same is wanted."""


class Checks:
    """Looks at sources, and at what their results will be.

    Args:
        engine: an open engine.
        wanted: of the results.
        mixed: whether there are pictures and videos: an ending of the one kind is then not for the other.
    """

    def __init__(self, engine: Engine, wanted: Wanted, *, mixed: bool = False) -> None:
        self._engine, self._wanted, self._mixed = engine, wanted, mixed
        self._headers: dict[Path, Header] = {}

    def ending(self, source: Source) -> str:
        """Ending of the result's name.

        Raises:
            ImageError: the picture cannot be read.
            UsageError: options that contradict each other for such a picture.
        """
        wanted = self._wanted.ending
        if self._mixed and wanted is not None and source.video != (wanted in CONTAINERS):
            wanted = None
        if source.video:
            own = source.path.suffix.lower()
            return (own if own in CONTAINERS else ANY_STREAM) if wanted in (None, SAME) else str(wanted)
        header = self._header(source.path)
        if wanted == SAME:
            return _ending_of(header)
        if wanted is not None:
            return wanted
        moving = self._wanted.all_frames and header.frames > 1
        return _ending_of(header) if moving else default_ending(self._layout(header))

    def check(self, task: Task) -> None:
        """Holds a result to its format before any work.

        Raises:
            OutputError: the format cannot hold it, or not in the memory that is free.
            EngineError: the engine does not keep the depth.
            ImageError, UsageError: see `ending`.
        """
        if task.source.video:
            self._check_video(task)
            return
        header = self._header(task.source.path)
        layout = self._layout(header)
        check_depth(self._engine, layout.dtype)
        if self._wanted.all_frames and header.frames > 1:
            from efdn.pictures.animation_writer import check_animation, check_pages

            chosen = (check_animation if header.moving else check_pages)(task.target, layout, self._wanted.saving)
        else:
            chosen = check_fits(task.target, layout, self._wanted.saving)
        if self._wanted.compare:
            check_comparable(layout)
        _check_memory(task.target, memory_bytes(chosen, layout))

    def _check_video(self, task: Task) -> None:
        from engines.video.facts import probe_video
        from engines.video.target import check_size, check_video_target

        facts = probe_video(task.source.path, self._wanted.max_pixels)
        plan = check_video_target(facts, task.target, self._wanted.video)
        frame = Layout(width=facts.width, height=facts.height, color=Color.RGB, bits=16 if facts.bits > 8 else 8)
        check_depth(self._engine, frame.dtype)
        result = enlarged_layout(frame, self._engine.model.scale, EnlargeOptions(size=self._wanted.enlarging.size))
        check_size(plan, result.width, result.height)

    def _header(self, path: Path) -> Header:
        if path not in self._headers:
            self._headers[path] = read_header(path, max_pixels=self._wanted.max_pixels)
        return self._headers[path]

    def _layout(self, header: Header) -> Layout:
        return enlarged_layout(header.layout, self._engine.model.scale, self._wanted.enlarging)


def _ending_of(header: Header) -> str:
    """The usual ending of a picture's own format."""
    if header.format in SCANNED:
        return SCANNED[header.format]
    name = {"MPO": "JPEG", "DIB": "BMP"}.get(header.format, header.format)
    return next((known.endings[0] for known in FORMATS if known.name == name), ".png")


def _check_memory(target: Path, needed: int) -> None:
    """Raises OutputError where a format that is not written row by row would take more than is free."""
    free = free_bytes()
    if free is not None and needed > free:
        raise OutputError(
            f"cannot write {target}: this format takes {needed / 1e9:.1f} GB of memory for a picture of that size, "
            f"{free / 1e9:.1f} GB are free; choose .png or .tif, which are written row by row"
        )
