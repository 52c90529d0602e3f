"""What engines that read ONNX files share: what a graph is, what it takes, on how many threads, how it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from efdn.config import MIN_SIDE
from efdn.errors import ModelFileError
from engines.cores import usable_cores
from engines.options import RunOptions
from engines.protocol import FLOAT_SIDES, PICTURE_DTYPE, PICTURE_SIDES, Dim, ModelInfo, TensorSpec

if TYPE_CHECKING:
    from efdn.inspection.onnx_file import OnnxDetails


def onnx_details(content: bytes, model_name: str) -> OnnxDetails:
    """What an ONNX file holds.

    Args:
        content: the file.
        model_name: for people.

    Raises:
        ModelFileError: not a readable ONNX file.
    """
    from efdn.inspection.details import MalformedError
    from efdn.inspection.onnx_file import read_onnx

    try:
        return read_onnx(content)
    except MalformedError as error:
        raise ModelFileError(f"{model_name} is not a readable ONNX file: {error}; export it anew") from error


def model_info(metadata: Mapping[str, str], model_name: str) -> ModelInfo:
    """What a graph is, by its own metadata.

    Raises:
        ModelFileError: it does not say, being another tool's.
    """
    try:
        return ModelInfo(
            name=model_name,
            scale=int(metadata["scale"]),
            data_range=float(metadata["data_range"]),
            smallest_side=int(metadata.get("smallest_side", MIN_SIDE)),
        )
    except (KeyError, ValueError) as error:
        raise ModelFileError(
            f"{model_name} does not say its scale and data range (metadata_props): "
            "expected an ONNX file written by efdn-export"
        ) from error


def tensor_spec(name: str, dtype: str, sizes: Sequence[int | str | None], smallest_side: int) -> TensorSpec:
    """An input or output of a graph.

    Args:
        name: in the graph.
        dtype: NumPy name of the type.
        sizes: per dimension, or a name or None where any is taken: batches start at one.
        smallest_side: where such sides start: at the network's smallest, at outputs as many times that as its scale.
    """
    sides = PICTURE_SIDES if dtype == PICTURE_DTYPE else FLOAT_SIDES
    dims = []
    for axis, size in enumerate(sizes):
        if isinstance(size, int):
            dims.append(Dim(size, size))
        else:
            dims.append(Dim(smallest_side if axis in sides else 1, None))
    return TensorSpec(name=name, dtype=dtype, dims=tuple(dims))


def threads_of(options: RunOptions) -> int:
    """As many threads as asked for, or as there are cores that this process may use.

    Libraries' own defaults ignore limits set on the process.
    """
    return usable_cores() if options.threads is None else options.threads


def threads_text(threads: int) -> str:
    """As an engine's detail says it."""
    return f"{threads} thread{'' if threads == 1 else 's'}"


def first_line(error: Exception) -> str:
    """What an error of a library says first."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
