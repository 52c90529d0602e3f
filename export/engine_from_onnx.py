"""An exported ONNX file in, a TensorRT engine out: for machines that have the GPU, but neither PyTorch nor onnx."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from efdn.errors import ArtefactError, ExportError, UsageError
from efdn.files import read_bytes, sha256_of_bytes
from efdn.shapes import ShapeRange
from efdn.sidecar import Sidecar, read_sidecar, staged_pair, write_sidecar
from export.build_progress import Progress, quiet
from export.built_engine import described_build, plan_facts, require_precision
from export.io_format import IOFormat
from export.plan import Plan
from export.plan_page import check_plan_target, write_plan
from export.precision import Precision
from export.trt_builders import BuildRequest, EngineBuilder


@dataclass(frozen=True, kw_only=True)
class EngineFromOnnx:
    """What came of it.

    Attributes:
        sidecar: as written; its `file` is the engine's name.
        plan: kernels of the engine.
    """

    sidecar: Sidecar
    plan: Plan


def build_from_onnx(
    model: Path,
    target: Path | None = None,
    *,
    builder: EngineBuilder,
    shapes: tuple[ShapeRange, ...] | None = None,
    batch: int = 1,
    plan: Path | None = None,
    progress: Progress = quiet,
) -> EngineFromOnnx:
    """Builds an engine from a file that `efdn-export onnx` wrote, and verified there.

    Precision, input and output are the file's. The engine is not run: compare it with
    `efdn-profile`, or build from weights where PyTorch is installed.

    Args:
        model: the ONNX file, with its sidecar.
        target: the file to write; by default the ONNX file's name with the runtime's in the working folder.
        builder: which TensorRT builds it, and for which GPUs.
        shapes: a profile each, for a file with dynamic shapes; that of a static file if None.
        batch: most pictures at once, for a file with dynamic shapes.
        plan: JSON file for the engine's kernels, with a page of that name beside it.
        progress: told how far the build is.

    Raises:
        ArtefactError: the sidecar is missing, broken, or of another file.
        UsageError: shapes that the file does not take, or none where it takes any.
        ExportError: the build failed, or gave no half precision although the file has it.
        OutputError: the target or the plan cannot be written.
    """
    started = time.perf_counter()
    content, described = _read(model)
    shapes = _shapes(model, described, shapes, batch)
    _check_opset(model, described, builder)
    target = target if target is not None else Path(f"{model.stem}_{builder.runtime}.engine")
    if plan is not None:
        check_plan_target(plan, target)
    precision = Precision(described.precision)
    with staged_pair(target) as (temporary, description):
        request = BuildRequest(
            graph=content, precision=precision, io=IOFormat(described.io), shapes=shapes, batch=batch
        )
        built = builder.build(request, progress)
        require_precision(built, precision)
        sidecar = replace(
            described,
            kind="engine",
            file=target.name,
            sha256=sha256_of_bytes(built.content),
            shapes=shapes,
            batch=batch,
            graph_sha256=described.sha256,
            seconds=round(time.perf_counter() - started, 3),
            build=described_build(builder, built, single=len(shapes) == 1 and batch == 1),
        )
        temporary.write_bytes(built.content)
        write_sidecar(description, sidecar)
        if plan is not None:
            assert sidecar.build is not None
            write_plan(plan, built.plan, f"Plan of {target.name}", plan_facts(sidecar, sidecar.build))
    return EngineFromOnnx(sidecar=sidecar, plan=built.plan)


def _read(model: Path) -> tuple[bytes, Sidecar]:
    content, sidecar = read_bytes(model), read_sidecar(model)
    if sidecar.kind != "onnx" or sha256_of_bytes(content) != sidecar.sha256:
        raise ArtefactError(f"the sidecar of {model} does not describe this file: export it anew with efdn-export onnx")
    return content, sidecar


def _shapes(model: Path, sidecar: Sidecar, asked: tuple[ShapeRange, ...] | None, batch: int) -> tuple[ShapeRange, ...]:
    own = sidecar.shapes
    if own[0].static:
        if asked not in (None, own) or batch != 1:
            raise UsageError(f"{model.name} takes one picture of {own[0]} and nothing else: leave the shape out")
        return own
    if asked is None:
        raise UsageError(f"{model.name} takes {own[0]}: give --shape, or --min, --opt and --max")
    if small := next((shape for shape in asked if not own[0].takes(shape.min)), None):
        raise UsageError(f"{model.name} takes {own[0]}, got {small.min[0]}x{small.min[1]}: ask for larger shapes")
    return asked


def _check_opset(model: Path, sidecar: Sidecar, builder: EngineBuilder) -> None:
    if builder.opset_limit is not None and sidecar.opset > builder.opset_limit:
        raise ExportError(
            f"the installed {builder.runtime} reads ONNX up to opset {builder.opset_limit}, {model.name} has "
            f"{sidecar.opset}: export it with --opset {builder.opset_limit}"
        )
