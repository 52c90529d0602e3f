"""`efdn-export`: ONNX graphs and TensorRT engines from weights."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, Optional

import typer

from cli.options import parse_shape, parse_targets
from cli.progress import notify, progress_bar
from cli.runner import new_app, run, show_version
from efdn.errors import MissingExtraError, OutputError, UsageError

if TYPE_CHECKING:
    from efdn.sidecar import ShapeRange, Sidecar
    from export.trt_builders import EngineBuilder

PROGRAM = "efdn-export"

app = new_app("Export EFDN weights to verified ONNX graphs and TensorRT engines.", invoke_without_command=True)

Weights = Annotated[
    Optional[Path],
    typer.Option("--weights", "-w", help="Weights, .safetensors or a published .pth; packaged x4 if not given."),
]
Output = Annotated[
    Optional[Path], typer.Option("--output", "-o", help="File to write; a telling name here if not given.")
]
Opset = Annotated[int, typer.Option("--opset", help="ONNX operator set, 17 to 23.")]


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
    fp16: Annotated[bool, typer.Option("--fp16/--fp32", help="Type of weights and activations.")] = False,
    opset: Opset = 20,
    shape: Annotated[
        Optional[str], typer.Option("--shape", metavar="HxW", help="Fix the input's height and width.")
    ] = None,
) -> None:
    """Write an ONNX file, run it, and hold it to PyTorch on a photo."""
    size = None if shape is None else parse_shape(shape)
    _check_name(output, ".onnx")
    _require_export_extra()
    from efdn.assets import DEFAULT_WEIGHTS
    from export.onnx_export import export_onnx
    from export.precision import Precision
    from export.verified_graph import OnnxOptions

    precision = Precision.FP16 if fp16 else Precision.FP32
    options = OnnxOptions(precision=precision, opset=opset, shape=size)
    sidecar = export_onnx(weights or DEFAULT_WEIGHTS, output, options=options, notify=notify)
    path = _written(output, sidecar)
    _show(path, sidecar, f"opset {sidecar.opset}, {sidecar.precision.upper()}, {_shape_text(sidecar.shape)}")
    typer.echo(f"next: efdn-infer photo.png --model {path}")


@app.command()
def trt(
    weights: Weights = None,
    output: Output = None,
    fp16: Annotated[bool, typer.Option("--fp16/--fp32", help="Type of weights and activations.")] = True,
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
        Optional[str], typer.Option("--shape", metavar="HxW", help="The one shape to take; 256x256 if none is given.")
    ] = None,
    smallest: Annotated[
        Optional[str], typer.Option("--min", metavar="HxW", help="Smallest shape, with --opt and --max.")
    ] = None,
    usual: Annotated[Optional[str], typer.Option("--opt", metavar="HxW", help="Shape to be fastest at.")] = None,
    largest: Annotated[Optional[str], typer.Option("--max", metavar="HxW", help="Largest shape.")] = None,
) -> None:
    """Build a TensorRT engine, by way of a verified ONNX graph."""
    given = {"--min": smallest, "--opt": usual, "--max": largest}
    if shape is not None and any(given.values()):
        raise UsageError("--shape does not go with --min, --opt and --max: give one or the other")
    if any(given.values()) and not all(given.values()):
        missing = ", ".join(name for name, text in given.items() if text is None)
        raise UsageError(f"--min, --opt and --max go together, {missing} is missing")
    sides = [parse_shape(text, name) for name, text in given.items() if text is not None]
    size = parse_shape(shape or "256x256")
    targets = None if gpu_arch is None else parse_targets(gpu_arch)
    _check_name(output, ".engine", ".plan", ".trt")
    if runtime is Runtime.tensorrt and targets is not None:
        raise UsageError("--gpu-arch goes with --runtime rtx: standard TensorRT builds for the GPU of this machine")
    _require_export_extra()
    builder = _open_builder(runtime, targets)
    from efdn.assets import DEFAULT_WEIGHTS
    from efdn.sidecar import ShapeRange
    from export.precision import Precision
    from export.trt_export import EngineOptions, export_engine

    shapes = ShapeRange(min=sides[0], opt=sides[1], max=sides[2]) if sides else ShapeRange(min=size, opt=size, max=size)
    options = EngineOptions(precision=Precision.FP16 if fp16 else Precision.FP32, shape=shapes, opset=opset)
    with progress_bar("building") as progress:
        sidecar = export_engine(
            weights or DEFAULT_WEIGHTS, output, builder=builder, options=options, notify=notify, progress=progress
        )
    path, build = _written(output, sidecar), sidecar.build
    assert build is not None
    _show(path, sidecar, f"{sidecar.precision.upper()}, {_shape_text(sidecar.shape)}, {', '.join(build.gpu_targets)}")
    typer.echo(
        f"  plan             {build.kernels} kernels, {build.half_share:.1%} in half precision, "
        f"built in {build.build_seconds:.1f} s by {'TensorRT for RTX' if runtime is Runtime.rtx else 'TensorRT'} "
        f"{build.tensorrt_version}"
    )
    takes = "x".join(map(str, reversed(sidecar.shape.opt)))
    typer.echo(f"next, on a machine with such a GPU: efdn-infer PHOTO_OF_{takes}.png --model {path}")


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


def _written(output: Path | None, sidecar: Sidecar) -> Path:
    return output if output is not None else Path(sidecar.file)


def _shape_text(shape: ShapeRange) -> str:
    if shape.max is None:
        return "any shape from {}x{}".format(*shape.min)
    if shape.static:
        return "{}x{}".format(*shape.opt)
    return "{}x{} to {}x{}".format(*shape.min, *shape.max)


def _show(path: Path, sidecar: Sidecar, summary: str) -> None:
    typer.echo(f"{path}  {path.stat().st_size / 1e6:.2f} MB, {summary}")
    for name, figures in sidecar.parity.items():
        psnr = "equal" if figures["psnr_db"] is None else f"PSNR {figures['psnr_db']:.1f} dB"
        typer.echo(
            f"  {name:<16} max error {figures['max_error']:.1e} of range, {psnr}, "
            f"8 bits: at most {figures['grey_levels']} level, {figures['differing_share']:.3%} of values differ"
        )
    typer.echo(f"  figures in       {path.name}.json")
    typer.echo(f"  done in          {sidecar.seconds:.1f} s")


def entry() -> NoReturn:
    """Entry point of the command."""
    run(app, PROGRAM)


if __name__ == "__main__":
    entry()
