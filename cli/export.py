"""`efdn-export`: ONNX graphs and TensorRT engines from weights."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, Optional

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
    list_passes_when_bare,
    precision_of,
)
from cli.export_text import show_artefact, show_files, show_line, show_passes, show_plan
from cli.options import parse_patterns, parse_shape, parse_shapes, parse_targets
from cli.progress import notify, progress_bar
from cli.runner import new_app, run, show_version
from efdn.errors import MissingExtraError, OutputError, UsageError

if TYPE_CHECKING:
    from efdn.shapes import ShapeRange
    from export.trt_builders import EngineBuilder

PROGRAM = "efdn-export"

app = new_app("Export EFDN weights to verified ONNX graphs and TensorRT engines.", invoke_without_command=True)


class Runtime(str, Enum):
    """Which TensorRT builds the engine, and will run it."""

    rtx = "rtx"
    tensorrt = "tensorrt"


@app.callback()
def main(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Export EFDN weights to verified ONNX graphs and TensorRT engines."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(UsageError.exit_code)


@app.command()
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
    _check_name(output, ".onnx")
    _require_export_extra()
    from efdn.passes.pipeline import DEFAULT_PIPELINE, find_passes

    if passes == LIST_PASSES:
        show_passes(DEFAULT_PIPELINE)
        return
    from efdn.assets import DEFAULT_WEIGHTS
    from export.onnx_export import export_onnx
    from export.onnx_graph import IOFormat
    from export.options import OnnxOptions, default_opset

    precision = precision_of(fp16, bf16, "fp32")
    options = OnnxOptions(
        precision=precision,
        opset=default_opset(precision) if opset is None else opset,
        shape=size,
        io=IOFormat(io.value),
        passes=find_passes(passes, pictures=io is IOName.uint8),
        keep_fp32=parse_patterns(keep_fp32),
    )
    sidecar = export_onnx(weights or DEFAULT_WEIGHTS, output, options=options, report=report, notify=notify)
    path = output if output is not None else Path(sidecar.file)
    show_artefact(path, sidecar)
    show_files(path, sidecar, report=_page(report))
    if not bf16:
        typer.echo(f"next: efdn-infer photo.png --model {path}")


@app.command()
def trt(
    weights: Weights = None,
    output: Output = None,
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
    shapes = _shapes(shape or [], {"--min": smallest, "--opt": usual, "--max": largest})
    targets = None if gpu_arch is None else parse_targets(gpu_arch)
    _check_name(output, ".engine", ".plan", ".trt")
    if runtime is Runtime.tensorrt and targets is not None:
        raise UsageError("--gpu-arch goes with --runtime rtx: standard TensorRT builds for the GPU of this machine")
    _require_export_extra()
    from efdn.passes.pipeline import find_passes
    from export.options import EngineOptions, engine_pipeline

    pipeline = engine_pipeline(shapes)
    if passes == LIST_PASSES:
        show_passes(pipeline)
        return
    from efdn.assets import DEFAULT_WEIGHTS
    from export.onnx_graph import IOFormat
    from export.trt_export import export_engine

    options = EngineOptions(
        precision=precision_of(fp16, bf16, "fp16"),
        shapes=shapes,
        opset=opset,
        io=IOFormat(io.value),
        passes=find_passes(passes, default=pipeline, pictures=io is IOName.uint8),
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
    path = output if output is not None else Path(done.sidecar.file)
    show_artefact(path, done.sidecar)
    if done.not_run is not None:
        show_line("engine", f"not run here: {done.not_run}")
    show_plan(done.plan, done.sidecar, "TensorRT for RTX" if runtime is Runtime.rtx else "TensorRT")
    show_files(path, done.sidecar, kernels=_page_of_plan(plan), report=_page(report))
    takes = "x".join(map(str, reversed(shapes[0].opt)))
    typer.echo(f"next, on a machine with such a GPU: efdn-infer PHOTO_OF_{takes}.png --model {path}")


def _shapes(static: list[str], given: dict[str, str | None]) -> tuple[ShapeRange, ...]:
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


def _require_export_extra() -> None:
    """Names the extra before any work starts, rather than at the first import that fails."""
    from importlib.util import find_spec

    for package, extra in (("torch", "export"), ("onnx", "export"), ("safetensors", "export"), ("onnxruntime", "cpu")):
        if find_spec(package) is None:
            raise MissingExtraError(package, extra, "Exporting")


def _check_name(output: Path | None, *endings: str) -> None:
    """Artefacts replace what stands at their name; the ending keeps that from being somebody's photo."""
    if output is not None and output.suffix.lower() not in endings:
        raise OutputError(f"cannot write {output}: expected a name ending in {' or '.join(endings)}")


def _page(report: Path | None) -> Path | None:
    return None if report is None else report / "index.html"


def _page_of_plan(plan: Path | None) -> Path | None:
    return None if plan is None else plan.with_suffix(".html")


def entry() -> NoReturn:
    """Entry point of the command."""
    sys.argv[1:] = list_passes_when_bare(sys.argv[1:])
    run(app, PROGRAM)


if __name__ == "__main__":
    entry()
