"""From a model file to what Triton is told of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from efdn.errors import ArtefactError, ExportError
from efdn.shapes import Side
from efdn.sidecar import Sidecar
from engines.protocol import INPUT, OUTPUT
from export.triton.model_config import FREE, Kind, ModelConfig, Tensor, WarmUp

if TYPE_CHECKING:
    import onnx

ONNX_FILE, PLAN_FILE = "model.onnx", "model.plan"
"""The names that Triton's backends look for by themselves."""

PICTURE = "TYPE_UINT8"


def onnx_model(
    model: Path,
    name: str,
    *,
    max_batch: int,
    kind: Kind = Kind.AUTO,
    instances: int = 1,
    warm_ups: tuple[Side, ...] = (),
    threads: int | None = None,
) -> ModelConfig:
    """A model that ONNX Runtime runs. Names, types and shapes are read from the file itself.

    Args:
        model: the ONNX file, 8-bit pictures in and out.
        name: to serve it under.
        max_batch: most pictures in a batch, 1 or more.
        kind: where it runs.
        instances: how many.
        warm_ups: (height, width) of pictures to run beforehand, one and, where batches are larger, a whole batch.
        threads: of an instance on the CPU.

    Raises:
        ExportError: the file does not take batches, or any of these pictures.
    """
    inputs, outputs = (tuple(_batched(tensor) for tensor in ends) for ends in onnx_tensors(model))
    return ModelConfig(
        name=name,
        backend="onnxruntime",
        file=ONNX_FILE,
        max_batch=max_batch,
        inputs=inputs,
        outputs=outputs,
        kind=kind,
        instances=instances,
        warm_ups=_warm_ups(inputs[0], warm_ups, max_batch),
        threads=threads,
    )


def engine_model(sidecar: Sidecar, name: str, *, instances: int = 1, warm_up: bool = True) -> ModelConfig:
    """A model that TensorRT runs, with every profile of its engine.

    Its input has the sides that all profiles share, and is free in the others. An engine built for one
    picture of one shape has no free batch, so that Triton is told of none: the 1 is part of its shape.

    Args:
        sidecar: of the engine, 8-bit pictures in and out.
        name: to serve it under.
        instances: how many, on each GPU.
        warm_up: whether the shapes that it is fastest at are run beforehand, as many pictures as it takes.

    Raises:
        ArtefactError: the sidecar does not tell the batch.
    """
    if sidecar.batch is None:
        raise ArtefactError(f"the sidecar of {sidecar.file} does not say how many pictures it takes: build it anew")
    fixed = len(sidecar.shapes) == 1 and sidecar.shapes[0].static and sidecar.batch == 1
    max_batch, front = (0, (1,)) if fixed else (sidecar.batch, ())
    ends = [side or (FREE, FREE) for shape in sidecar.shapes for side in (shape.min, shape.max)]
    sides = [_common({side[axis] for side in ends}) for axis in (0, 1)]
    upscaled = [side if side == FREE else sidecar.scale * side for side in sides]
    source = Tensor(name=INPUT, data_type=PICTURE, dims=(*front, *sides, 3))
    result = Tensor(name=OUTPUT, data_type=PICTURE, dims=(*front, *upscaled, 3))
    usual = [shape.opt for shape in sidecar.shapes] if warm_up else []
    return ModelConfig(
        name=name,
        backend="tensorrt",
        file=PLAN_FILE,
        max_batch=max_batch,
        inputs=(source,),
        outputs=(result,),
        kind=Kind.GPU,
        instances=instances,
        profiles=tuple(range(len(sidecar.shapes))) if len(sidecar.shapes) > 1 else (),
        warm_ups=tuple(WarmUp(batch=max(1, max_batch), dims=(*front, *side, 3)) for side in usual),
    )


def onnx_tensors(model: Path) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs and outputs of an ONNX file, batch included.

    Raises:
        ExportError: a tensor of a type that is not known here.
    """
    import onnx

    graph = onnx.load(model).graph
    return [_tensor(value) for value in graph.input], [_tensor(value) for value in graph.output]


def _tensor(value: onnx.ValueInfoProto) -> Tensor:
    import onnx

    names: dict[int, str] = {onnx.TensorProto.UINT8: PICTURE, onnx.TensorProto.FLOAT: "TYPE_FP32"}
    kind = value.type.tensor_type
    if kind.elem_type not in names:
        raise ExportError(f"{value.name} is of ONNX's type {kind.elem_type}: expected 8-bit integers or floats")
    dims = [dim.dim_value if dim.HasField("dim_value") else FREE for dim in kind.shape.dim]
    return Tensor(name=value.name, data_type=names[kind.elem_type], dims=tuple(dims))


def _batched(tensor: Tensor) -> Tensor:
    """The same without its first dimension, which Triton counts pictures by."""
    if not tensor.dims or tensor.dims[0] != FREE:
        raise ExportError(f"{tensor.name} has shape {list(tensor.dims)}: Triton batches only where the first is free")
    return replace(tensor, dims=tensor.dims[1:])


def _warm_ups(tensor: Tensor, sides: Iterable[Side], max_batch: int) -> tuple[WarmUp, ...]:
    if sides and tensor.dims != (FREE, FREE, 3):
        raise ExportError(f"{tensor.name} has shape {list(tensor.dims)}: expected pictures of any size")
    counts = sorted({1, max_batch})
    return tuple(WarmUp(batch=batch, dims=(*side, 3)) for side in sides for batch in counts)


def _common(sizes: set[int]) -> int:
    """The one size there is, or `FREE`."""
    return sizes.pop() if len(sizes) == 1 else FREE
