"""`efdn-export trt`: a TensorRT engine from weights, or from an ONNX file exported elsewhere."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

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
from cli.export_text import show_artefact, show_files, show_line, show_passes, show_plan
from cli.options import parse_patterns, parse_shape, parse_shapes, parse_targets
from cli.progress import notify, progress_bar
from efdn.errors import UsageError

if TYPE_CHECKING:
    from efdn.shapes import ShapeRange
    from efdn.sidecar import Sidecar
    from export.plan import Plan
    from export.trt_builders import EngineBuilder


class Runtime(str, Enum):
    """Which TensorRT builds the engine, and will run it."""

    rtx = "rtx"
    tensorrt = "tensorrt"


def trt(
    weights: Weights = None,
    output: Output = None,
    onnx: Annotated[
        Optional[Path],
        typer.Option("--onnx", metavar="FILE", help="Build from this ONNX file of efdn-export; needs no PyTorch."),
    ] = None,
    fp16: Annotated[Optional[bool], typer.Option("--fp16/--fp32", help="Type inside; FP16 if not given.")] = None,
    bf16: Bf16 = False,
    runtime: Annotated[
        Runtime,
        typer.Option("--runtime", help="rtx: TensorRT for RTX, needs no GPU to build. tensorrt: needs the GPU."),
    ] = Runtime.rtx,
    gpu_arch: Annotated[
        Optional[str],
        typer.Option("--gpu-arch", metavar="LIST", help="GPU generations for rtx: sm86,sm89,sm120 if not given."),
    ] = None,
    opset: Annotated[
        Optional[int],
        typer.Option("--opset", help="ONNX operator set; the best for the runtime if not given."),
    ] = None,
    shape: Annotated[
        Optional[list[str]],
        typer.Option("--shape", metavar="HxW", help="A shape to take; 256x256 if none is given. May be repeated."),
    ] = None,
    smallest: Annotated[
        Optional[str], typer.Option("--min", metavar="HxW", help="Smallest shape, with --opt and --max.")
    ] = None,
    usual: Annotated[Optional[str], typer.Option("--opt", metavar="HxW", help="Shape to be fastest at.")] = None,
    largest: Annotated[Optional[str], typer.Option("--max", metavar="HxW", help="Largest shape.")] = None,
    batch: Annotated[int, typer.Option("--batch", metavar="N", help="Most pictures to take at once.")] = 1,
    io: Annotated[
        IOName, typer.Option("--io", help="uint8: NHWC pictures, rounding inside. float32: NCHW, 0..255.")
    ] = IOName.uint8,
    passes: Passes = "",
    keep_fp32: KeepFp32 = None,
    plan: Annotated[
        Optional[Path],
        typer.Option("--plan", metavar="FILE.json", help="Write the engine's kernels there, and a page beside it."),
    ] = None,
    report: Report = None,
) -> None:
    """Build a TensorRT engine, by way of a verified ONNX graph."""
    given = {"--min": smallest, "--opt": usual, "--max": largest}
    shapes = parse_shape_options(shape or [], given)
    targets = None if gpu_arch is None else parse_targets(gpu_arch)
    check_name(output, ".engine", ".plan", ".trt")
    if runtime is Runtime.tensorrt and targets is not None:
        raise UsageError("--gpu-arch goes with --runtime rtx: standard TensorRT builds for the GPU of this machine")
    if onnx is not None:
        own = {"--weights": weights, "--fp16": fp16, "--bf16": bf16, "--opset": opset, "--passes": passes}
        _refuse({**own, "--keep-fp32": keep_fp32, "--report": report})
        asked = shapes if shape or any(given.values()) else None
        _from_onnx(onnx, output, _open_builder(runtime, targets), asked, batch, plan)
        return
    require_export_extra()
    from efdn.passes.pipeline import find_passes
    from export.options import EngineOptions, engine_pipeline

    pipeline = engine_pipeline(shapes)
    if passes == LIST_PASSES:
        show_passes(pipeline)
        return
    from efdn.assets import DEFAULT_WEIGHTS
    from export.io_format import IOFormat
    from export.trt_export import export_engine

    options = EngineOptions(
        precision=precision_of(fp16, bf16, "fp16"),
        shapes=shapes,
        batch=batch,
        opset=opset,
        io=IOFormat(io.value),
        passes=find_passes(passes, default=pipeline, pictures=io is IOName.uint8) if passes else None,
        keep_fp32=parse_patterns(keep_fp32),
    )
    builder = _open_builder(runtime, targets)
    with progress_bar("building") as progress:
        done = export_engine(
            weights or DEFAULT_WEIGHTS,
            output,
            builder=builder,
            options=options,
            plan=plan,
            report=report,
            notify=notify,
            progress=progress,
        )
    _show(output, done.sidecar, done.plan, plan, page_of_report(report), done.not_run)


def _from_onnx(
    model: Path,
    output: Path | None,
    builder: EngineBuilder,
    shapes: tuple[ShapeRange, ...] | None,
    batch: int,
    plan: Path | None,
) -> None:
    from export.engine_from_onnx import build_from_onnx

    notify("building the engine")
    with progress_bar("building") as progress:
        done = build_from_onnx(model, output, builder=builder, shapes=shapes, batch=batch, plan=plan, progress=progress)
    path = output if output is not None else Path(done.sidecar.file)
    _show(output, done.sidecar, done.plan, plan, None, f"on the machine with the GPU, efdn-doctor {path} does it")


def _refuse(options: dict[str, object]) -> None:
    """Raises UsageError for options that are settled in an ONNX file."""
    for name, value in options.items():
        if value:
            raise UsageError(f"{name} does not go with --onnx: the file has it settled; export the file with it")


def _show(
    output: Path | None,
    sidecar: Sidecar,
    built: Plan,
    plan: Path | None,
    report: Path | None,
    not_run: str | None,
) -> None:
    path = output if output is not None else Path(sidecar.file)
    show_artefact(path, sidecar)
    if not_run is not None:
        show_line("engine", f"not run here: {not_run}")
    assert sidecar.build is not None
    show_plan(built, sidecar, "TensorRT for RTX" if sidecar.build.runtime == "rtx" else "TensorRT")
    show_files(path, sidecar, kernels=_page_of_plan(plan), report=report)
    takes = "x".join(map(str, reversed(sidecar.shapes[0].opt)))
    typer.echo(f"next, on a machine with such a GPU: efdn-infer PHOTO_OF_{takes}.png --model {path}")


def parse_shape_options(static: list[str], given: dict[str, str | None]) -> tuple[ShapeRange, ...]:
    """The shapes that an engine is to take.

    Raises:
        UsageError: shapes that do not go together, or that cannot be read.
    """
    from efdn.shapes import ShapeRange

    if static and any(given.values()):
        raise UsageError("--shape does not go with --min, --opt and --max: give one or the other")
    if any(given.values()) and not all(given.values()):
        missing = ", ".join(name for name, text in given.items() if text is None)
        raise UsageError(f"--min, --opt and --max go together, {missing} is missing")
    sides = [parse_shape(text, name) for name, text in given.items() if text is not None]
    if sides:
        return (ShapeRange(min=sides[0], opt=sides[1], max=sides[2]),)
    return tuple(ShapeRange(min=side, opt=side, max=side) for side in parse_shapes(static or ["256x256"]))


def _open_builder(runtime: Runtime, targets: tuple[str, ...] | None) -> EngineBuilder:
    from export.trt_builders import DEFAULT_RTX_TARGETS, RtxBuilder, StandardBuilder

    return StandardBuilder() if runtime is Runtime.tensorrt else RtxBuilder(targets or DEFAULT_RTX_TARGETS)


def _page_of_plan(plan: Path | None) -> Path | None:
    return None if plan is None else plan.with_suffix(".html")
