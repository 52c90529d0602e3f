"""Which engines take part, each in a Python that has its packages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.gpu_check.builds import Build
from benchmarks.gpu_check.interpreters import Interpreter
from benchmarks.gpu_check.targets import BASELINE
from efdn.shapes import ShapeRange, Side
from engines.options import RunOptions
from engines.profiling.plan import Planned
from engines.trt.flavours import FLAVOURS
from engines.worker.subject import Subject

PYTORCH = (BASELINE, "pytorch-published-tf32", "pytorch-published-fp16", "pytorch")
COMPILED, COMPILED_SHAPE = "pytorch-compiled", (339, 510)
"""It compiles for the better part of a minute at every shape."""

LARGE_PIXELS, LARGE_MEMORY = 512 * 512, 40 << 30
"""Pictures at which PyTorch and ONNX Runtime take gigabytes each, and memory enough for all of them at once."""


def subjects(
    interpreters: Sequence[Interpreter],
    builds: Sequence[Build],
    shape: Side,
    *,
    memory_bytes: int | None,
    rehearsal: bool,
) -> tuple[tuple[Planned, ...], tuple[str, ...]]:
    """What runs at a shape, PyTorch last, since it takes what memory there is; and what does not, with reasons."""
    engines, absent = _engines([build for build in builds if build.graph.shape == shape])
    if rehearsal:
        absent = ["TensorRT: left out of a rehearsal"]
    roomy = shape[0] * shape[1] <= LARGE_PIXELS or (memory_bytes or 0) >= LARGE_MEMORY
    if not roomy:
        absent.append("{}x{}: only the baseline and TensorRT, for the GPU's memory".format(*shape))
    found = list(engines)
    onnxruntime = _first(interpreters, lambda python: "CUDAExecutionProvider" in python.providers)
    cpu = _first(interpreters, lambda python: rehearsal and python.has("onnxruntime"))
    if onnxruntime is not None and roomy:
        found.append(_planned("onnxruntime-cuda", onnxruntime))
    elif onnxruntime is None and cpu is not None:
        found.append(_planned("onnxruntime-cpu", cpu))
    elif onnxruntime is None:
        absent.append("ONNX Runtime with CUDA: no Python here has it")
    torch = _first(interpreters, lambda python: python.has("torch") and (python.torch_cuda or rehearsal))
    if torch is None:
        absent.append("PyTorch with CUDA: no Python here has it, so there is no baseline")
    else:
        found += [_planned(name, torch) for name in _pytorch(shape, roomy=roomy, rehearsal=rehearsal)]
    return tuple(found), tuple(absent)


def _engines(builds: Sequence[Build]) -> tuple[list[Planned], list[str]]:
    if not builds:
        return [], ["TensorRT: no Python here has it together with CUDA's bindings, or there is no ONNX file"]
    planned = [entry for build in builds if build.engine is not None for entry in _of_engine(build)]
    failed = [build for build in builds if build.engine is None]
    return planned, [f"engine of {build.graph.name} by {build.runtime}: {build.error}" for build in failed]


def _pytorch(shape: Side, *, roomy: bool, rehearsal: bool) -> list[str]:
    if rehearsal:
        return [BASELINE, "pytorch"]
    if not roomy:
        return [BASELINE]
    return [*PYTORCH, *([COMPILED] if shape == COMPILED_SHAPE else [])]


def _of_engine(build: Build) -> list[Planned]:
    """An engine with CUDA graphs, and the one for pictures without them too."""
    version = build.python.packages[FLAVOURS[build.runtime][0]]
    name = f"tensorrt {build.runtime} {version} {build.graph.io}"
    side = build.graph.shape
    shapes = (ShapeRange(min=side, opt=side, max=side),)
    graphs = (True, False) if build.graph.io == "uint8" else (True,)
    return [
        Planned(
            name=name if graph else f"{name}, no graph",
            subject=Subject(engine="tensorrt", model=build.engine, options=RunOptions(cuda_graph=graph)),
            shapes=shapes,
            python=build.python.command,
        )
        for graph in graphs
    ]


def _planned(name: str, python: Interpreter) -> Planned:
    return Planned(name=name, subject=Subject(engine=name), baseline=name == BASELINE, python=python.command)


def _first(interpreters: Sequence[Interpreter], fits: Callable[[Interpreter], bool]) -> Interpreter | None:
    return next((python for python in interpreters if fits(python)), None)
