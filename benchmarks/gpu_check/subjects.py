"""Which engines take part, each in a Python that has its packages."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.gpu_check.builds import Build
from benchmarks.gpu_check.interpreters import Interpreter
from efdn.shapes import ShapeRange, Side
from engines.options import RunOptions
from engines.profiling.plan import Planned
from engines.worker.subject import Subject

PYTORCH = ("pytorch-published", "pytorch-published-fp16", "pytorch-compiled", "pytorch")
"""The baseline first."""


def subjects(
    interpreters: Sequence[Interpreter], builds: Sequence[Build], shape: Side, *, rehearsal: bool
) -> tuple[tuple[Planned, ...], tuple[str, ...]]:
    """What runs at a shape, the baseline first, and what does not, with the reason."""
    found: list[Planned] = []
    absent: list[str] = []
    torch = _first(interpreters, lambda python: python.has("torch") and (python.torch_cuda or rehearsal))
    if torch is None:
        absent.append("PyTorch with CUDA: no Python here has it, so there is no baseline")
    else:
        names = PYTORCH if not rehearsal else ("pytorch-published", "pytorch")
        found += [_planned(name, torch, baseline=index == 0) for index, name in enumerate(names)]
    onnxruntime = _first(interpreters, lambda python: "CUDAExecutionProvider" in python.providers)
    if onnxruntime is not None:
        found.append(_planned("onnxruntime-cuda", onnxruntime))
    elif rehearsal:
        cpu = _first(interpreters, lambda python: python.has("onnxruntime"))
        found += [] if cpu is None else [_planned("onnxruntime-cpu", cpu)]
    else:
        absent.append("ONNX Runtime with CUDA: no Python here has it")
    engines = [build for build in builds if build.graph.shape == shape]
    for build in engines:
        if build.engine is None:
            absent.append(f"{build.runtime} engine, {build.graph.io}: {build.error}")
        else:
            found += _of_engine(build)
    if not engines:
        absent.append("TensorRT: no Python here has it together with cuda-bindings")
    return tuple(found), tuple(absent)


def _of_engine(build: Build) -> list[Planned]:
    """An engine with CUDA graphs, and the one for pictures without them too."""
    name = f"tensorrt {build.runtime} {build.graph.io}"
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


def _planned(name: str, python: Interpreter, *, baseline: bool = False) -> Planned:
    return Planned(name=name, subject=Subject(engine=name), baseline=baseline, python=python.command)


def _first(interpreters: Sequence[Interpreter], fits: object) -> Interpreter | None:
    assert callable(fits)
    return next((python for python in interpreters if fits(python)), None)
