"""The ONNX files that engines are built from, exported where PyTorch is and carried to where the GPU is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from efdn.assets import DEFAULT_WEIGHTS
from efdn.shapes import Side
from efdn.sidecar import sidecar_path

OPSET = 17
"""What TensorRT 8.6 reads."""

SHAPES: tuple[Side, ...] = ((256, 256), (339, 510), (720, 1280))
"""A tile, the challenge's usual picture, and a frame."""

REHEARSAL: tuple[Side, ...] = ((16, 16),)


@dataclass(frozen=True, kw_only=True)
class GraphFile:
    """A graph of one shape, FP16.

    Attributes:
        shape: height and width.
        io: "uint8" or "float32".
    """

    shape: Side
    io: str

    @property
    def name(self) -> str:
        """Of the file."""
        return f"efdn_x4_{self.shape[0]}x{self.shape[1]}_fp16_{self.io}_op{OPSET}.onnx"


def graphs(shapes: tuple[Side, ...] = SHAPES) -> tuple[GraphFile, ...]:
    """All graphs, those that matter most first: the challenge's shape, which the targets speak of."""
    order = sorted(shapes, key=lambda side: side != (339, 510))
    first, *others = [GraphFile(shape=shape, io="uint8") for shape in order]
    return (first, GraphFile(shape=order[0], io="float32"), *others)


def prepare(folder: Path, shapes: tuple[Side, ...] = SHAPES, *, only_missing: bool = False) -> None:
    """Exports and verifies all graphs, or those that are not there. Needs PyTorch and onnx, no GPU.

    Raises:
        EfdnError: an export failed.
    """
    from efdn.passes.pipeline import find_passes
    from export.io_format import IOFormat
    from export.onnx_export import export_onnx
    from export.options import OnnxOptions
    from export.precision import Precision

    folder.mkdir(parents=True, exist_ok=True)
    for graph in graphs(shapes):
        target = folder / graph.name
        if only_missing and target.exists() and sidecar_path(target).exists():
            continue
        print(f"exporting {graph.name} ...", flush=True)
        io = IOFormat(graph.io)
        options = OnnxOptions(
            precision=Precision.FP16,
            opset=OPSET,
            shape=graph.shape,
            io=io,
            passes=find_passes(default="tensorrt", pictures=io is IOFormat.UINT8),
        )
        export_onnx(DEFAULT_WEIGHTS, target, options=options)
