"""The work on a file of pictures, whatever it holds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, cast

from efdn.pictures.header import read_header
from efdn.pictures.picture import Picture, Pixels
from engines.batch.task import Task
from engines.batch.work import Result, Work
from engines.inference.picture_work import PictureResult, PictureWork
from engines.inference.wanted import Wanted
from engines.protocol import Engine

if TYPE_CHECKING:
    from engines.inference.frame_work import FramesResult, FrameWork, Reel


class FileWork(Work["Picture | Reel", Result]):
    """Hands single pictures to one kind of work and files of several to another.

    Args:
        engine: an open engine.
        wanted: of the results.
    """

    def __init__(self, engine: Engine, wanted: Wanted) -> None:
        self._engine, self._wanted = engine, wanted
        self._pictures = PictureWork(engine, wanted)

    @cached_property
    def _frames(self) -> FrameWork:
        # Imported once a file of several pictures comes: most are of one, and commands are to start quickly.
        from engines.inference.frame_work import FrameWork

        return FrameWork(self._engine, self._wanted)

    def read(self, task: Task) -> Picture | Reel:
        if self._wanted.all_frames and read_header(task.source.path, max_pixels=self._wanted.max_pixels).frames > 1:
            return self._frames.read(task)
        return self._pictures.read(task)

    def infer(self, loaded: Picture | Reel) -> Result:
        return self._pictures.infer(loaded) if isinstance(loaded, Picture) else self._frames.infer(loaded)

    def write(self, task: Task, result: Result, rows: Iterator[Pixels]) -> None:
        if isinstance(result, PictureResult):
            self._pictures.write(task, result, rows)
        else:
            self._frames.write(task, cast("FramesResult", result), rows)
