"""What `efdn-eval` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from textwrap import wrap
from typing import TYPE_CHECKING

import typer

from cli.layout import line_length

if TYPE_CHECKING:
    from engines.evaluation.conventions import Convention, Score
    from engines.evaluation.factsheet import Factsheet, Row
    from engines.evaluation.published import Counts, Published
    from engines.evaluation.record import Evaluation
    from engines.evaluation.result import SetScores

LINE_LENGTH = 100
INDENT = "  "
LONGEST_NAME = 34
LOAD_SHARE = 0.5
"""Of the cores; above it, others were at work and times are too long."""

UNKNOWN = "-"
FIGURES = ("RGB PSNR", "SSIM", "Y PSNR", "SSIM", "over bicubic")
"""The last is the headline's PSNR."""
COLUMNS = ("params", "FLOPs", "activ.", "convs", "memory", "runtime")


def show_evaluation(done: Evaluation, *, per_image: bool) -> None:
    """How it was measured, a table for each set, and the factsheet where there is one."""
    convention = done.settings.convention
    typer.echo("\n".join(_head(done)))
    for entry in done.sets:
        typer.echo("\n" + "\n".join(_table(_title(entry), FIGURES, _means(entry, convention))))
        if per_image:
            typer.echo("\n" + "\n".join(_pictures(entry, convention)))
    if done.factsheet is not None:
        typer.echo("\n" + "\n".join(_factsheet(done.factsheet, done.settings.border)))
    typer.echo("")


def _head(done: Evaluation) -> Iterator[str]:
    settings = done.settings
    y = "Y rounded to 8 bits" if settings.convention.rounds_y else "Y not rounded"
    padding = f", pictures mirrored outwards by {settings.pad}" if settings.pad else ""
    yield f"x{done.scale}, {settings.convention.name} convention: border {settings.border}, {y}{padding}; PSNR in dB"
    for method in done.methods:
        yield from _wrapped(f"{method.name}: {method.model}, {method.detail}", indent="")
        if method.passed_over:
            yield from _wrapped(f"passed over {', '.join(method.passed_over)}")


def _title(entry: SetScores) -> str:
    measured = len(entry.pictures)
    count = f"{measured}" if measured == entry.found else f"{measured} of {entry.found}"
    return f"{entry.name}, {count} {'picture' if entry.found == 1 else 'pictures'}" + (", LR made" * entry.lr_made)


def _means(entry: SetScores, convention: Convention) -> list[tuple[str, list[str]]]:
    means = {method: entry.mean(method) for method in entry.methods}
    return [(method, _score(method, means, convention)) for method in means]


def _score(method: str, scores: Mapping[str, Score], convention: Convention) -> list[str]:
    """A method's figures, and how much better than bicubic it is."""
    score, (bicubic, *others) = scores[method], scores
    gain = score.headline(convention)[0] - scores[bicubic].headline(convention)[0]
    return [
        f"{score.rgb_psnr_db:.2f}",
        f"{score.rgb_ssim:.4f}",
        f"{score.y_psnr_db:.2f}",
        f"{score.y_ssim:.4f}",
        f"{gain:+.2f}" if method in others and isfinite(gain) else UNKNOWN,
    ]


def _pictures(entry: SetScores, convention: Convention) -> Iterator[str]:
    """Every picture by every method, a block for each method."""
    for method in entry.methods:
        rows = [
            (picture.name, ["{}x{}".format(*picture.lr_shape), *_score(method, picture.scores, convention)])
            for picture in entry.pictures
        ]
        yield from _table(f"{entry.name}, {method}", ("LR", *FIGURES), rows)
        if method != entry.methods[-1]:
            yield ""


def _factsheet(sheet: Factsheet, border: int) -> Iterator[str]:
    """What was measured here and what was published, in blocks of their own, for times and memory do not compare."""
    from engines.evaluation.published import PUBLISHED, SOURCE

    header = ("RGB PSNR", *COLUMNS)
    here = [row for measured in sheet.rows for row in _measured_rows(measured)]
    log = [row for published in PUBLISHED for row in _published_rows(published)]
    yield from _wrapped(f"factsheet, measured here: {sheet.device}, {sheet.cores} cores, border {border}", indent="")
    yield from _table("", header, here, like=log)
    yield ""
    yield from _wrapped(f"factsheet, published: {SOURCE}, border 4", indent="")
    yield from _table("", header, log, like=here)
    yield ""
    for text in _remarks(sheet):
        yield from _wrapped(text)


def _measured_rows(row: Row) -> list[tuple[str, list[str]]]:
    return [
        (
            f"{row.name}, {name}",
            [
                f"{row.psnr_db[name]:.2f}",
                *_counts(row.counts),
                UNKNOWN if cost.memory_bytes is None else f"{cost.memory_bytes / 1e6:.0f} MB",
                f"{cost.mean_ms:.2f} ms",
            ],
        )
        for name, cost in row.costs.items()
    ]


def _published_rows(row: Published) -> list[tuple[str, list[str]]]:
    """The first set has all columns; further ones were measured for PSNR alone."""
    (first, decibels), *others = row.psnr_db.items()
    whole = [f"{decibels:.2f}", *_counts(row.counts), f"{row.memory_mb:.0f} MB", f"{row.runtime_ms:.2f} ms"]
    further = [(f"{row.name}, {name}", [f"{value:.2f}", *[UNKNOWN] * len(COLUMNS)]) for name, value in others]
    return [(f"{row.name}, {first}", whole), *further]


def _counts(counts: Counts | None) -> list[str]:
    if counts is None:
        return [UNKNOWN] * 4
    return [
        f"{counts.parameters / 1e6:.4f} M",
        f"{counts.flops / 1e9:.2f} G",
        f"{counts.activations / 1e6:.2f} M",
        str(counts.convolutions),
    ]


def _remarks(sheet: Factsheet) -> Iterator[str]:
    yield (
        "Parameters, FLOPs, activations and convolutions are of the network as trained, for a 3x256x256 LR picture. "
        "Runtime is the mean of one forward per whole picture of the set, each size having run once before."
    )
    staged = any(cost.staged for row in sheet.rows for cost in row.costs.values())
    host = any(not cost.staged for row in sheet.rows for cost in row.costs.values())
    if host:
        yield (
            "Memory on the CPU is the growth of the engine's process from before its first run to its peak on the "
            "set's largest picture, in megabytes of 10^6 bytes."
        )
    if staged:
        yield "Memory on the GPU is what all processes on it together had in use after a run."
    yield (
        "The two tables are of different machines and different pictures: runtime and memory compare within a table "
        "only, PSNR only on the same set."
    )
    for row in sheet.rows:
        if row.unknown is not None:
            yield f"{row.name}: parameters, FLOPs, activations and convolutions are {row.unknown}."
    if sheet.load is not None and sheet.load > LOAD_SHARE * sheet.cores:
        yield (
            f"Others were at work on this machine (load average {sheet.load:.1f} on {sheet.cores} cores): "
            "an idle one is faster."
        )


def _table(
    title: str,
    header: Sequence[str],
    rows: Sequence[tuple[str, list[str]]],
    *,
    like: Sequence[tuple[str, list[str]]] = (),
) -> Iterator[str]:
    """Names on the left, figures on the right; columns as wide as those of another table too."""
    everything = [*rows, *like]
    first = max([len(title), *(min(len(name), LONGEST_NAME) for name, _ in everything)])
    widths = [max(map(len, column)) for column in zip(header, *(cells for _, cells in everything), strict=True)]

    def line(name: str, cells: Sequence[str]) -> str:
        figures = (f"{INDENT}{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        return f"{INDENT}{name:<{first}}" + "".join(figures)

    yield line(title, header)
    for name, cells in rows:
        if len(name) > first:
            yield f"{INDENT}{name}"
        yield line("" if len(name) > first else name, cells)


def _wrapped(text: str, indent: str = INDENT) -> list[str]:
    return wrap(
        text,
        line_length(LINE_LENGTH),
        initial_indent=indent,
        subsequent_indent=indent + INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
