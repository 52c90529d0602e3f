"""Pictures through an engine, in three stages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from efdn.pictures.formats import format_of, unheld
from efdn.pictures.picture import Layout, Metadata, Picture, Pixels
from efdn.pictures.reading import read_picture
from efdn.pictures.writing import open_writer
from engines.batch.task import Task
from engines.batch.work import Result, Work
from engines.inference.comparing import Comparison
from engines.inference.wanted import Wanted
from engines.pictures.enlarge import enlarge
from engines.protocol import Engine


@dataclass(kw_only=True)
class PictureResult(Result):
    """An upscaled picture in the making.

    Attributes:
        layout: its size and kind.
        metadata: what it carries.
        picture: what it is made of, where a comparison is wanted.
    """

    layout: Layout
    metadata: Metadata = field(repr=False)
    picture: Picture | None = field(default=None, repr=False)


class PictureWork(Work[Picture, PictureResult]):
    """Reads, upscales and writes single pictures.

    Args:
        engine: an open engine.
        wanted: of the results.
    """

    def __init__(self, engine: Engine, wanted: Wanted) -> None:
        self._engine, self._wanted = engine, wanted

    def read(self, task: Task) -> Picture:
        return read_picture(task.source.path, max_pixels=self._wanted.max_pixels)

    def infer(self, loaded: Picture) -> PictureResult:
        made = enlarge(self._engine, loaded, self._wanted.enlarging)
        return PictureResult(
            width=made.layout.width,
            height=made.layout.height,
            rows=made.rows,
            layout=made.layout,
            metadata=made.metadata,
            warnings=list(made.warnings),
            picture=loaded if self._wanted.compare else None,
        )

    def write(self, task: Task, result: PictureResult, rows: Iterator[Pixels]) -> None:
        result.warnings += unheld_warnings(task.target, result.metadata)
        comparison = None if result.picture is None else Comparison(result.picture, result.layout)
        with open_writer(task.target, result.layout, result.metadata, self._wanted.saving) as writer:
            for block in rows:
                writer.write(block)
                if comparison is not None:
                    comparison.add(block)
        if comparison is not None:
            result.extra["compared_in"] = str(comparison.write_beside(task.target))


def unheld_warnings(target: Path, metadata: Metadata) -> list[str]:
    """Says what a format cannot carry."""
    chosen = format_of(target)
    lost = unheld(chosen, metadata)
    return [f"{target} cannot hold everything: {', '.join(lost)} left out by {chosen.name}"] if lost else []


def one_array(rows: Iterator[Pixels]) -> Pixels:
    """All rows in one."""
    blocks = list(rows)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
