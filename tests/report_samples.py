"""Verification reports made by hand, to look at."""

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
from PIL import Image

from export.interpreter import TensorRange
from export.io_format import IOFormat
from export.options import OnnxOptions
from export.precision import Precision
from export.report import PictureResult, Report, StageCheck
from export.stage_tables import tolerances_of
from export.verification import Parity

INF, NAN = float("inf"), float("nan")
OPTIONS = OnnxOptions(precision=Precision.FP16, io=IOFormat.UINT8, passes=("sum_head_repeats", "fold_scale"))
EQUAL = Parity(max_error=0.0, mean_error=0.0, psnr_db=INF, grey_levels=0, differing_share=0.0, finite=True)
CLOSE = Parity(max_error=3e-7, mean_error=1e-8, psnr_db=141.0, grey_levels=0, differing_share=0.0, finite=True)
ROUNDED = Parity(max_error=2e-3, mean_error=1e-4, psnr_db=70.0, grey_levels=1, differing_share=0.04, finite=True)
FAR = Parity(max_error=0.25, mean_error=1e-2, psnr_db=31.0, grey_levels=64, differing_share=0.5, finite=True)
LOST = Parity(max_error=NAN, mean_error=NAN, psnr_db=NAN, grey_levels=255, differing_share=1.0, finite=False)


def check(stage: str, picture: str, before: Parity, reference: Parity, *, overflow: str | None = None) -> StageCheck:
    """One that breaks what such a comparison breaks."""
    limits = tolerances_of(stage, OPTIONS)
    broken = [*limits[0].broken_by(before), *limits[1].broken_by(reference)]
    return StageCheck(
        stage=stage,
        picture=picture,
        before=before,
        reference=reference,
        broken=tuple(dict.fromkeys(broken)),
        overflow=overflow,
    )


def picture(name: str, differences: dict[tuple[int, int, int], int] | None = None) -> PictureResult:
    """A gray one, with differences in levels by row, column and channel."""
    reference = np.full((8, 12, 3), 100, np.uint8)
    result = reference.copy()
    for place, levels in (differences or {}).items():
        result[place] = 100 + levels
    return PictureResult(name=name, source=np.zeros((2, 3, 3), np.uint8), reference=reference, result=result)


def tensor(name: str, largest: float, dtype: str = "float16") -> TensorRange:
    return TensorRange(name=name, op_type="Conv", dtype=dtype, largest=largest, share=largest / 65504)


def make_report() -> Report:
    """Three stages that hold on two pictures."""
    names = ("photo", "a <black> & b")
    checks = [
        result
        for name in names
        for result in (
            check("fold", name, EQUAL, CLOSE),
            check("onnx fp32", name, CLOSE, CLOSE),
            check("onnx fp16, uint8", name, ROUNDED, ROUNDED),
        )
    ]
    return Report(
        options=OPTIONS,
        data_range=255.0,
        checks=tuple(checks),
        pictures=(picture(names[0], {(0, 0, 0): 1, (0, 0, 2): 1, (7, 11, 1): -1}), picture(names[1])),
        tightest=(tensor("tail/Conv", 655.04), tensor("DepthToSpace", 655.04), tensor("body.0/Add", 12.0)),
        divergence=(("head/Conv", 1e-4), ("body.0/Add", 4e-3), ("tail/Conv", 2e-3)),
        not_run=(("TensorRT", "no <GPU> here"),),
    )


def failing(report: Report, *checks: StageCheck) -> Report:
    """The same where these stand for others of their stage and picture."""
    found = {(entry.stage, entry.picture): entry for entry in (*report.checks, *checks)}
    return replace(report, checks=tuple(found.values()))


class Reader(HTMLParser):
    """Collects elements, requires them to be closed in order, and knows which have text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.elements if name == tag)


def images_of(content: str) -> list[tuple[str, np.ndarray]]:
    """(alt text, pixels) of all images in a page."""
    found = []
    for image in Reader(content).all("img"):
        kind, _, data = (image["src"] or "").partition(",")
        assert kind == "data:image/png;base64"
        with Image.open(BytesIO(base64.b64decode(data, validate=True))) as opened:
            found.append((image["alt"] or "", np.array(opened)))
    return found


def row(content: str, stage: str, table: int = 0) -> list[str]:
    """Cells of a stage's row, with their classes and tooltips."""
    rows: list[str] = re.findall(rf"<tr><td>{re.escape(stage)}</td>.*?</tr>", content)
    cells: list[str] = re.findall(r"<td.*?</td>", rows[table])
    return cells
