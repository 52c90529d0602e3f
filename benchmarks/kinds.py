"""One picture of every kind, and what comes of each: `python -m benchmarks.kinds [FOLDER]`.

Makes a small picture of every kind that is read, and of some that are not, upscales all of them as `efdn-infer` does,
once with the usual names and once with `--ext same`, and prints as a Markdown table what independent readers find in
the results. FOLDER keeps the pictures; without it they are thrown away.
"""

from __future__ import annotations

import struct
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.independent_readers import durations_of, found_in, look
from efdn.pictures.picture import Header
from engines.batch.outcome import Outcome, Status
from engines.batch.sources import find_sources
from engines.batch.work import Concurrency
from engines.inference.run import Naming, plan_files, run_files
from engines.inference.wanted import MAX_PIXELS, SAME, Wanted
from engines.protocol import Engine

HEADINGS = ("kind", "read as", "result", "with `--ext same`", "said")
FRAME_HEADINGS = ("kind", "with `--frames all`", "milliseconds", "said")

Makers = Mapping[str, Callable[[Path], Path]]


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What came of all kinds, as Markdown.

    Attributes:
        kinds: a row for each kind.
        frames: a row for each kind with several frames or pages.
    """

    kinds: str
    frames: str


def main(folder: Path | None) -> None:
    """Prints both tables."""
    from engines.select import choose_engine

    with ExitStack() as stack:
        where = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        where.mkdir(parents=True, exist_ok=True)
        tables = tables_of(stack.enter_context(choose_engine().engine), where)
    print(tables.kinds)
    print()
    print(tables.frames)


def tables_of(engine: Engine, folder: Path) -> Tables:
    """Makes pictures of every kind in a folder, upscales them and looks at the results.

    Args:
        engine: an open engine; what it makes of the pixels does not matter here.
        folder: for the pictures and, in folders of their own, the results.
    """
    sources = make_sources(folder / "sources")
    usual = upscaled(engine, sources, folder / "usual", Wanted())
    same = upscaled(engine, sources, folder / "same", Wanted(ending=SAME))
    moving = {name: path for name, path in sources.items() if frames_of(path) > 1}
    frames = upscaled(engine, moving, folder / "frames", Wanted(all_frames=True))
    rows = [
        (name, read_as(path), result(usual[name]), _result_if_other(usual[name], same[name]), said(usual[name]))
        for name, path in sources.items()
    ]
    frame_rows = [(name, result(frames[name]), durations(frames[name]), said(frames[name])) for name in moving]
    return Tables(kinds=markdown(HEADINGS, rows), frames=markdown(FRAME_HEADINGS, frame_rows))


def make_sources(folder: Path) -> dict[str, Path]:
    """A picture of every kind, by the kind's name."""
    from tests.picture_samples import KINDS

    folder.mkdir(parents=True, exist_ok=True)
    return {name: make(folder) for name, make in {**KINDS, **refused_kinds()}.items()}


def refused_kinds() -> Makers:
    """Kinds that are not read, as far as they can be made here."""

    def tiff(name: str, dtype: str, channels: int = 1, **options: Any) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            import tifffile

            from tests.picture_parts import gradient

            path = folder / f"{name}.tif"
            pixels = gradient(channels, "uint8" if dtype == "uint8" else "uint16").astype(dtype)
            tifffile.imwrite(path, pixels[..., 0] if channels == 1 else pixels, metadata=None, **options)
            return path

        return make

    def begins(name: str, ending: str, head: bytes) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            path = folder / f"{name}{ending}"
            path.write_bytes(head + bytes(64))
            return path

        return make

    return {
        "tiff-float32": tiff("tiff-float32", "float32"),
        "tiff-32bit": tiff("tiff-32bit", "uint32"),
        "tiff-signed16": tiff("tiff-signed16", "int16"),
        "tiff-lab": tiff("tiff-lab", "uint8", 3, photometric="cielab"),
        "heic": begins("heic", ".heic", struct.pack(">I", 32) + b"ftypheic"),
        "jpeg-xl": begins("jpeg-xl", ".jxl", b"\xff\x0a"),
        "jpeg-2000": begins("jpeg-2000", ".jp2", b"\xff\x4f\xff\x51"),
        "photoshop": begins("photoshop", ".psd", b"8BPS"),
        "openexr": begins("openexr", ".exr", b"v/1\x01"),
    }


def upscaled(engine: Engine, sources: Mapping[str, Path], output: Path, wanted: Wanted) -> dict[str, Outcome]:
    """The outcome for each kind, of one run as the command makes it."""
    output.mkdir(parents=True, exist_ok=True)
    found = find_sources([str(path) for path in sources.values()])
    plan = plan_files(found, engine, wanted, Naming(output=output, suffix="_x4"))
    summary = run_files(plan, engine, wanted, Concurrency(), lambda event: None)
    by_source = {outcome.source: outcome for outcome in summary.outcomes}
    return {name: by_source[path] for name, path in sources.items()}


def header_of(path: Path) -> Header | None:
    """What the toolkit's own reader says; None if it refuses the file."""
    from efdn.errors import ImageError
    from efdn.pictures.header import read_header

    try:
        return read_header(path, max_pixels=MAX_PIXELS)
    except ImageError:
        return None


def frames_of(path: Path) -> int:
    """How many pictures a file has; 0 where it is refused."""
    header = header_of(path)
    return 0 if header is None else header.frames


def read_as(path: Path) -> str:
    """A kind as the toolkit reads it."""
    header = header_of(path)
    if header is None:
        return "refused"
    layout = header.layout
    words = [look(layout.color.value, layout.alpha, layout.bits)]
    if header.frames > 1:
        words.append(f"{header.frames} {'frames' if header.moving else 'pages'}")
    return ", ".join(words)


def said(outcome: Outcome) -> str:
    """Warnings, or why there is no result, with the file's name left out."""
    lines = outcome.warnings if outcome.status is Status.DONE else (outcome.reason or "",)
    short = [_without_names(line, outcome) for line in lines]
    return "; ".join(short)


def result(outcome: Outcome) -> str:
    """What independent readers find in a result."""
    if outcome.status is not Status.DONE or outcome.target is None:
        return "-"
    return ", ".join(found_in(outcome.target))


def durations(outcome: Outcome) -> str:
    """How many milliseconds each frame of a result is shown."""
    if outcome.status is not Status.DONE or outcome.target is None:
        return ""
    return ", ".join(f"{time:g}" for time in durations_of(outcome.target))


def markdown(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table."""
    lines = [headings, ("---",) * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def _result_if_other(usual: Outcome, same: Outcome) -> str:
    """The second result, where it differs from the first, or why there is none."""
    if same.status is not Status.DONE:
        return said(same) if usual.status is Status.DONE else "-"
    return "the same" if result(same) == result(usual) else result(same)


def _without_names(line: str, outcome: Outcome) -> str:
    line = line.removeprefix(f"{outcome.source}: ").removeprefix(f"{outcome.source} ")
    return line.replace(f"cannot write {outcome.target}: ", "")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
