"""Files of several pictures through an engine: their sizes, their progress, and what is left open."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import GEN_CLOSED, getgeneratorstate
from pathlib import Path

import numpy as np
import pytest
import tifffile

from efdn.errors import EngineError
from efdn.pictures.frames import read_frames
from efdn.pictures.header import read_header
from efdn.pictures.picture import Pixels
from engines.batch.sources import Source
from engines.batch.task import Task
from engines.inference.frame_work import FramesResult, FrameWork, Reel
from engines.inference.wanted import Wanted
from engines.pictures.options import EnlargeOptions
from tests.inference_samples import FakeEngine, random_pixels, repeated

HEIGHT, WIDTH, PAGES = 20, 31, 3


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """A TIFF of three pages at 100 dpi, to be written beside it."""
    source = tmp_path / "pages.tif"
    with tifffile.TiffWriter(source) as file:
        for pixels in pages():
            file.write(pixels, photometric="rgb", resolution=(100, 100), resolutionunit=2, metadata=None)
    return Task(source=Source(path=source, relative=Path(source.name)), target=tmp_path / "result.tif")


def pages() -> list[Pixels]:
    return [random_pixels(HEIGHT, WIDTH, 3, seed=number) for number in range(PAGES)]


def begun(task: Task, engine: FakeEngine, wanted: Wanted | None = None) -> tuple[FrameWork, Reel, FramesResult]:
    """A file read, and its result prepared."""
    work = FrameWork(engine, wanted or Wanted(all_frames=True))
    reel = work.read(task)
    return work, reel, work.infer(reel)


def done(task: Task, wanted: Wanted | None = None) -> Path:
    """The result, written."""
    work, _, result = begun(task, FakeEngine(), wanted)
    work.write(task, result, result.rows)
    return task.target


def test_rows_of_all_pages_are_counted(task: Task) -> None:
    work, _, result = begun(task, FakeEngine())
    given = 0

    def counted() -> Iterator[Pixels]:
        nonlocal given
        for rows in result.rows:
            given += len(rows)
            yield rows

    work.write(task, result, counted())
    assert result.row_count == given == 2 * HEIGHT * PAGES
    for page, pixels in zip(read_frames(task.target, max_pixels=1 << 20), pages(), strict=True):
        np.testing.assert_array_equal(page.picture.pixels, repeated(pixels))


def test_pages_beyond_4_gb_together_become_a_bigtiff(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    page_bytes = 2 * HEIGHT * 2 * WIDTH * 3
    for limit, big in ((PAGES * page_bytes + 10_000, False), (PAGES * page_bytes - 1, True)):
        monkeypatch.setattr("efdn.pictures.tiff.writer.LARGEST_CLASSIC", limit)
        with tifffile.TiffFile(done(task)) as file:
            assert (file.is_bigtiff, len(file.pages)) == (big, PAGES)


def test_a_size_of_other_proportions_has_a_resolution_for_each_axis(task: Task) -> None:
    size = f"{4 * WIDTH}x{2 * HEIGHT}"
    target = done(task, Wanted(all_frames=True, enlarging=EnlargeOptions(size=size)))
    assert read_header(target, max_pixels=1 << 20).layout.side == (2 * HEIGHT, 4 * WIDTH)
    for page in read_frames(target, max_pixels=1 << 20):
        assert page.picture.metadata.dpi == (400, 200)


def test_rows_given_up_early_close_the_file(task: Task) -> None:
    _, reel, result = begun(task, FakeEngine())
    assert getgeneratorstate(reel.frames) != GEN_CLOSED
    next(result.rows)
    result.rows.close()  # type: ignore[attr-defined]
    assert getgeneratorstate(reel.frames) == GEN_CLOSED


def test_an_engine_that_fails_closes_the_file(task: Task) -> None:
    work = FrameWork(
        FakeEngine(gives="uint8", takes="uint8"), Wanted(all_frames=True, enlarging=EnlargeOptions(bits=16))
    )
    reel = work.read(task)
    with pytest.raises(EngineError):
        work.infer(reel)
    assert getgeneratorstate(reel.frames) == GEN_CLOSED


def test_a_file_is_opened_for_its_header_and_its_frames_only(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    plain = Path.open

    def counting(self: Path, *arguments: object, **options: object) -> object:
        opened.append(self)
        return plain(self, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", counting)
    _, _, result = begun(task, FakeEngine())
    assert sum(len(rows) for rows in result.rows) == result.row_count
    assert opened.count(task.source.path) == 2
