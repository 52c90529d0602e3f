"""Engines of all graphs, built by every TensorRT that is there."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu_check.files import GraphFile
from benchmarks.gpu_check.interpreters import Interpreter
from efdn.errors import ArtefactError
from efdn.files import sha256_of_file
from efdn.sidecar import read_sidecar
from engines.trt.flavours import FLAVOURS
from engines.worker.client import source_environment


@dataclass(frozen=True, kw_only=True)
class Build:
    """An engine, or why there is none.

    Attributes:
        graph: what it was built from.
        runtime: "rtx" or "tensorrt".
        python: which interpreter built it and will run it.
        engine: the file; None if there is none.
        seconds: time the whole build took; None where the engine was there already.
        error: why there is none.
    """

    graph: GraphFile
    runtime: str
    python: Interpreter
    engine: Path | None
    seconds: float | None = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values, with what the engine's sidecar says of kernels and versions."""
        sidecar = None if self.engine is None else json.loads(Path(f"{self.engine}.json").read_text(encoding="utf-8"))
        return {
            "graph": asdict(self.graph),
            "runtime": self.runtime,
            "seconds": self.seconds,
            "error": self.error,
            "bytes": None if self.engine is None else self.engine.stat().st_size,
            "graph_sha256": None if sidecar is None else sidecar["graph_sha256"],
            "build": None if sidecar is None else sidecar["build"],
        }


def build_engines(
    interpreters: Sequence[Interpreter],
    graphs: Sequence[GraphFile],
    folder: Path,
    architecture: str | None,
    deadline: float,
) -> tuple[Build, ...]:
    """Builds what is not there yet, until the time is up.

    Args:
        interpreters: those with a TensorRT build.
        graphs: in the order of their importance.
        folder: where the graphs are and the engines go.
        architecture: of the GPU, such as "sm86"; RTX engines are built for it alone.
        deadline: by `time.monotonic`.
    """
    builds = []
    for graph in graphs:
        for python in interpreters:
            for runtime, (module, _) in FLAVOURS.items():
                if python.has(module, "cuda.bindings.runtime") or python.has(module, "pycuda"):
                    builds.append(_build(python, runtime, graph, folder, architecture, deadline))
                    last = builds[-1]
                    print(f"engine {graph.name} by {runtime}: {last.error or 'ready'}", flush=True)
    return tuple(builds)


def _is_of(engine: Path, graph: Path) -> bool:
    """Whether an engine is there and was built from this very graph."""
    try:
        return engine.exists() and read_sidecar(engine).graph_sha256 == sha256_of_file(graph)
    except ArtefactError:
        return False


def _build(
    python: Interpreter, runtime: str, graph: GraphFile, folder: Path, architecture: str | None, deadline: float
) -> Build:
    version = python.packages[FLAVOURS[runtime][0]]
    engine = folder / f"{Path(graph.name).stem}_{runtime}_{version}_{architecture}.engine"
    if _is_of(engine, folder / graph.name):
        return Build(graph=graph, runtime=runtime, python=python, engine=engine)
    left = deadline - time.monotonic()
    if left < 5:
        return Build(graph=graph, runtime=runtime, python=python, engine=None, error="no time was left")
    target = ["--gpu-arch", architecture] if runtime == "rtx" and architecture is not None else []
    command = [str(python.command), "-m", "cli.export", "trt", "--runtime", runtime, *target]
    started = time.monotonic()
    error = None
    try:
        done = subprocess.run(
            [*command, "--onnx", str(folder / graph.name), "-o", str(engine)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=left,
            env=source_environment(),
            check=False,
        )
        if done.returncode != 0:
            error = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    except subprocess.TimeoutExpired:
        error = f"not done within {left:.0f} s"
    seconds = round(time.monotonic() - started, 1)
    return Build(
        graph=graph, runtime=runtime, python=python, engine=None if error else engine, seconds=seconds, error=error
    )
