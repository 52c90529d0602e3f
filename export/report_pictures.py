"""The pictures of a report: what went in, what came out, and where it is not what it should be."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from efdn.html import section
from export.report import PictureResult, Report

Pixels = NDArray[np.uint8]

LEAST_FACTOR = 100
"""Of amplification: with less, a single value that is one level off could hardly be seen."""

LOOKS_ALIKE = 8
"""Levels of difference up to which it would tell nothing to show the reference too."""


def difference(picture: PictureResult) -> Pixels:
    """Absolute difference between result and reference in levels, of the shape of both."""
    levels: Pixels = np.abs(picture.result.astype(np.int16) - picture.reference).astype(np.uint8)
    return levels


def amplification(pictures: Sequence[PictureResult]) -> int:
    """A factor for all difference maps, so that they can be compared: the largest difference is white, if it can be."""
    largest = max((int(difference(picture).max(initial=0)) for picture in pictures), default=0)
    return max(LEAST_FACTOR, 255 // max(largest, 1))


def difference_map(picture: PictureResult, factor: int) -> Pixels:
    """(H, W) gray: the largest difference of a pixel's three values, amplified; black is none, white is 255 or more."""
    levels = difference(picture).max(axis=2).astype(np.int32)
    gray: Pixels = np.minimum(levels * factor, 255).astype(np.uint8)
    return gray


def pictures_section(report: Report) -> list[str]:
    """Every picture as it went in, as it came out, and where that is not what it should be, as HTML.

    What PyTorch gives is shown too where one of the results looks different.
    """
    if not report.pictures or not report.checks:
        return []
    factor, stage = amplification(report.pictures), report.checks[-1].stage
    largest = max(int(difference(picture).max(initial=0)) for picture in report.pictures)
    rows = [_row(picture, stage, factor, reference=largest > LOOKS_ALIKE) for picture in report.pictures]
    return [section("Pictures", _introduction(stage, factor)), *rows]


def _introduction(stage: str, factor: int) -> str:
    brightness = (
        "white" if factor >= 255 else f"gray ({factor} of 255), and white is {-(-255 // factor)} levels or more"
    )
    return (
        f"What went in, what the last stage ({stage}) gave, and where this is not what PyTorch gave in FP32: the "
        f"largest difference of a pixel's three 8-bit values, times {factor}. Black is none, one level is {brightness}."
    )


def _row(picture: PictureResult, stage: str, factor: int, *, reference: bool) -> str:
    name, (rows, columns), (height, width) = picture.name, picture.source.shape[:2], picture.result.shape[:2]
    text = difference_text(picture)
    # Enlarged by the browser: a nearest neighbour in CSS keeps the page small.
    shown = [
        (picture.source, f"Input, {columns}x{rows} pixels, enlarged", f"Input {name}, enlarged"),
        (picture.result, f"Result, {width}x{height}", f"Result of {stage} on {name}"),
        (picture.reference, "PyTorch, FP32", f"Result of PyTorch in FP32 on {name}"),
        (difference_map(picture, factor), text, f"Difference map of {name}. {text}"),
    ]
    if not reference:
        del shown[2]
    drawn = "\n".join(_figure(pixels, caption, alt, (width, height)) for pixels, caption, alt in shown)
    return f'<h3>{escape(name)}</h3>\n<div class="pictures">\n{drawn}\n</div>'


def difference_text(picture: PictureResult) -> str:
    """How many values differ, and by how much."""
    levels = difference(picture)
    count, largest = int((levels > 0).sum()), int(levels.max(initial=0))
    if not count:
        return f"Difference: none of {levels.size:,} values"
    by = "one level" if largest == 1 else f"at most {largest} levels"
    return f"Difference: {count:,} of {levels.size:,} values, by {by}"


def _figure(pixels: Pixels, caption: str, alt: str, size: tuple[int, int]) -> str:
    width, height = size
    return (
        f'<figure><img src="{_data_uri(pixels)}" alt="{escape(alt, quote=True)}" width="{width}" height="{height}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _data_uri(pixels: Pixels) -> str:
    file = BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", optimize=True)
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode('ascii')}"
