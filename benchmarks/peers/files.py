"""The model files that the rows run, made anew in each run."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.rows import ROWS, Row, Source
from efdn.assets import DEFAULT_ONNX, DEFAULT_WEIGHTS
from efdn.errors import EfdnError
from efdn.shapes import Side
from engines.nvidia_smi import query_gpus
from engines.worker.client import source_environment

PER_SHAPE = (Source.PLAIN, Source.PLAIN_SLICES, Source.ENGINE)
"""Models that are fixed to a shape."""

SEED = 0
"""Of RFDN's random weights."""

BUILD_LIMIT_S = 120

Say = Callable[[str], None]


@dataclass(kw_only=True)
class Files:
    """Models at hand.

    Attributes:
        folder: where they are written.
        absent: sources that there are no models of, and why.
        seconds: what each took to make.
    """

    folder: Path
    absent: dict[Source, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def model(self, source: Source, shape: Side) -> Path | None:
        """The file that a row runs at a shape; None for what needs none.

        Raises:
            EfdnError: an engine could not be built for the shape.
        """
        fixed = {
            Source.WEIGHTS: DEFAULT_WEIGHTS,
            Source.GRAPH: DEFAULT_ONNX,
            Source.RFDN_WEIGHTS: self.rfdn_weights,
            Source.RFDN_GRAPH: self.rfdn_graph,
            Source.NONE: None,
        }
        if source in fixed:
            return fixed[source]
        name = {Source.PLAIN: "plain", Source.PLAIN_SLICES: "plain_slices", Source.ENGINE: "efdn"}[source]
        ending = ".engine" if source is Source.ENGINE else ".onnx"
        path = self.folder / "{}_{}x{}{}".format(name, *shape, ending)
        if not path.exists():
            self._write(source, path, shape)
        return path

    @property
    def trace(self) -> Path:
        """PyTorch's own export, of which the plain files are made."""
        return self.folder / "trace.onnx"

    @property
    def rfdn_weights(self) -> Path:
        """RFDN's weights, of no shape."""
        return self.folder / "rfdn.safetensors"

    @property
    def rfdn_graph(self) -> Path:
        """RFDN's ONNX file, of any shape."""
        return self.folder / "rfdn.onnx"

    def _write(self, source: Source, path: Path, shape: Side) -> None:
        if source is Source.ENGINE:
            started = time.perf_counter()
            build_engine(path, shape)
            self.seconds["TensorRT engine at {}x{}".format(*shape)] = round(time.perf_counter() - started, 2)
            return
        import onnx

        from benchmarks.peers.graphs import describe, fixed_to, pads_as_slices
        from efdn.weights import load_network

        network = load_network(DEFAULT_WEIGHTS)
        model = fixed_to(onnx.load(self.trace), shape, network.config.upscale)
        if source is Source.PLAIN_SLICES:
            model = pads_as_slices(model)
        describe(model, network)
        onnx.save(model, path)


def prepare(folder: Path, rows: Sequence[Row] = ROWS, say: Say = print) -> Files:
    """Makes what the rows need and what is not of one shape.

    Args:
        folder: an empty one.
        rows: to be run.
        say: told what is being done.
    """
    files = Files(folder=folder)
    wanted = {row.source for row in rows}
    if wanted & {Source.PLAIN, Source.PLAIN_SLICES}:
        say("exporting the published form by torch.onnx.export, which takes about half a minute ...")
        _timed(files, "plain export", (Source.PLAIN, Source.PLAIN_SLICES), lambda: _export_plain(files.trace))
    if wanted & {Source.RFDN_WEIGHTS, Source.RFDN_GRAPH}:
        say("exporting RFDN ...")
        sources = (Source.RFDN_WEIGHTS, Source.RFDN_GRAPH)
        _timed(files, "RFDN's export", sources, lambda: _export_rfdn(files))
    if Source.ENGINE in wanted and not query_gpus():
        files.absent[Source.ENGINE] = "no NVIDIA GPU here"
    return files


def builder() -> str:
    """The TensorRT to build by, as the export's `--runtime` names it: the standard one where it is installed."""
    return "tensorrt" if importlib.util.find_spec("tensorrt") is not None else "rtx"


def builder_name() -> str:
    """The same for people."""
    return {"tensorrt": "TensorRT", "rtx": "TensorRT for RTX"}[builder()]


def build_engine(target: Path, shape: Side) -> None:
    """Builds an FP16 engine of the packaged weights by the TensorRT that is installed.

    Raises:
        EfdnError: that failed; the message is the builder's.
    """
    command = [sys.executable, "-m", "cli.export", "trt", "--fp16", "--shape", "{}x{}".format(*shape)]
    command += ["--runtime", builder()]
    try:
        done = subprocess.run(
            [*command, "-o", str(target)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=BUILD_LIMIT_S,
            env=source_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise EfdnError(f"no engine within {BUILD_LIMIT_S} s") from None
    if done.returncode != 0:
        raise EfdnError((done.stderr.strip().splitlines() or ["the build failed without a word"])[-1])


def _export_plain(target: Path) -> None:
    from benchmarks.peers.graphs import export_plain
    from efdn.weights import load_network

    export_plain(load_network(DEFAULT_WEIGHTS), target)


def _export_rfdn(files: Files) -> None:
    """RFDN in the challenge's configuration; its weights are random, and times do not depend on them."""
    import torch

    from efdn.rfdn.config import RFDNConfig
    from efdn.rfdn.network import RFDN
    from efdn.weights import save_network
    from export.onnx_export import export_onnx
    from export.options import OnnxOptions

    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        network = RFDN.from_config(RFDNConfig())
    save_network(network, files.rfdn_weights)
    export_onnx(files.rfdn_weights, files.rfdn_graph, options=OnnxOptions())


def _timed(files: Files, name: str, sources: Collection[Source], make: Callable[[], None]) -> None:
    """Makes models and notes the time, or why there are none."""
    started = time.perf_counter()
    try:
        make()
    except (EfdnError, ImportError) as error:
        remedy = "" if isinstance(error, EfdnError) else ": pip install it"
        files.absent |= dict.fromkeys(sources, f"{error}{remedy}".splitlines()[0])
    files.seconds[name] = round(time.perf_counter() - started, 2)
