"""`efdn-export onnx`: an ONNX file from weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from cli.export_options import (
    LIST_PASSES,
    Bf16,
    IOName,
    KeepFp32,
    Output,
    Passes,
    Report,
    Weights,
    check_name,
    page_of_report,
    precision_of,
    require_export_extra,
)
from cli.export_text import show_artefact, show_files, show_passes
from cli.options import parse_patterns, parse_shape
from cli.progress import notify


def onnx(
    weights: Weights = None,
    output: Output = None,
    fp16: Annotated[Optional[bool], typer.Option("--fp16/--fp32", help="Type inside; FP32 if not given.")] = None,
    bf16: Bf16 = False,
    opset: Annotated[
        Optional[int], typer.Option("--opset", help="ONNX operator set, 17 to 23; 20 if not given, 22 for bf16.")
    ] = None,
    shape: Annotated[
        Optional[str], typer.Option("--shape", metavar="HxW", help="Fix the input's height and width.")
    ] = None,
    io: Annotated[
        IOName, typer.Option("--io", help="float32: NCHW, 0..255. uint8: NHWC pictures, rounding inside.")
    ] = IOName.float32,
    passes: Passes = "",
    keep_fp32: KeepFp32 = None,
    report: Report = None,
) -> None:
    """Write an ONNX file, run it, and hold it to PyTorch on a photo."""
    size = None if shape is None else parse_shape(shape)
    check_name(output, ".onnx")
    require_export_extra()
    from efdn.passes.pipeline import DEFAULT_PIPELINE, find_passes

    if passes == LIST_PASSES:
        show_passes(DEFAULT_PIPELINE)
        return
    from efdn.assets import DEFAULT_WEIGHTS
    from export.io_format import IOFormat
    from export.onnx_export import export_onnx
    from export.options import BEST_PASSES, OnnxOptions, default_opset

    precision = precision_of(fp16, bf16, "fp32")
    options = OnnxOptions(
        precision=precision,
        opset=default_opset(precision) if opset is None else opset,
        shape=size,
        io=IOFormat(io.value),
        passes=find_passes(passes, pictures=io is IOName.uint8) if passes else BEST_PASSES,
        keep_fp32=parse_patterns(keep_fp32),
    )
    sidecar = export_onnx(weights or DEFAULT_WEIGHTS, output, options=options, report=report, notify=notify)
    path = output if output is not None else Path(sidecar.file)
    show_artefact(path, sidecar)
    show_files(path, sidecar, report=page_of_report(report))
    if not bf16:
        photo = "photo.png" if size is None else "PHOTO_OF_{1}x{0}.png".format(*size)
        typer.echo(f"next: efdn-infer {photo} --model {path}")
