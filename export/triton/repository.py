"""Weights, and an engine where there is one, in; a model repository of Triton Inference Server out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from efdn.assets import DEFAULT_WEIGHTS
from efdn.errors import ArtefactError, ConfigError, ExportError
from efdn.files import sha256_of_file
from efdn.shapes import Side
from efdn.sidecar import Sidecar, sidecar_path, write_sidecar
from efdn.upscaler import Upscaler
from efdn.weights import load_network
from engines.trt.preflight import read_described
from export.io_format import IOFormat
from export.onnx_export import export_onnx
from export.options import LARGEST_BATCH, OnnxOptions, check_side, check_taken
from export.precision import Precision
from export.triton.folder import check_folder, staged_folder
from export.triton.model_config import Kind, ModelConfig, check_name
from export.triton.models import ONNX_FILE, PLAN_FILE, engine_model, onnx_model
from export.verified_graph import Notify, silent

VERSION = "1"
"""Of each model, which is a folder's name."""

LARGEST_COUNT = 1024
"""Of instances and of threads."""


@dataclass(frozen=True, kw_only=True)
class RepositoryOptions:
    """How models are to be served.

    Attributes:
        name: of the ONNX model, and with `_trt` behind it of the engine; such as efdn_x4 if None.
        precision: of the ONNX model.
        max_batch: most pictures in a batch of the ONNX model; an engine has its own.
        kind: where the ONNX model runs; an engine runs on the GPU.
        instances: how many of each model run at once, on each GPU.
        threads: of an instance of the ONNX model on the CPU; all cores if None.
        warm_ups: (height, width) of pictures the ONNX model is warmed up with, an engine with those it is built for;
            none at all where this is empty.
    """

    name: str | None = None
    precision: Precision = Precision.FP32
    max_batch: int = 4
    kind: Kind = Kind.AUTO
    instances: int = 1
    threads: int | None = None
    warm_ups: tuple[Side, ...] = ((256, 256),)

    def __post_init__(self) -> None:
        if self.name is not None:
            check_name(self.name)
        if self.precision is Precision.BF16:
            raise ConfigError("a model repository holds fp32 or fp16: ONNX Runtime runs no bf16 on the CPU")
        if not 1 <= self.max_batch <= LARGEST_BATCH:
            raise ConfigError(f"the largest batch must be 1 to {LARGEST_BATCH} pictures, got {self.max_batch}")
        for name, count in (("instances", self.instances), ("threads", self.threads)):
            if count is not None and not 1 <= count <= LARGEST_COUNT:
                raise ConfigError(f"{name} must be 1 to {LARGEST_COUNT}, got {count}")
        for side in self.warm_ups:
            check_side(side)


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A model as it was written.

    Attributes:
        path: of the model file.
        config: as in its `config.pbtxt`.
        sidecar: that stands beside the model file.
    """

    path: Path
    config: ModelConfig
    sidecar: Sidecar


def export_repository(
    target: Path,
    weights: Path = DEFAULT_WEIGHTS,
    *,
    options: RepositoryOptions,
    engine: Path | None = None,
    overwrite: bool = False,
    notify: Notify = silent,
) -> tuple[ServedModel, ...]:
    """Writes a model repository, whole or not at all.

    Args:
        target: the folder to write.
        weights: any weights file.
        options: how models are to be served.
        engine: a TensorRT engine of the same weights, 8-bit pictures in and out, with its sidecar.
        overwrite: whether a repository that this function has written is replaced.
        notify: told what is being done.

    Returns:
        The ONNX model, and the engine where there is one.

    Raises:
        WeightsError: the weights cannot be read.
        ConfigError: a warm-up that the network does not take.
        ArtefactError: the engine is not what its sidecar says, or of other weights.
        ModelFileError: the engine cannot be read.
        ExportError: Triton could not serve the engine.
        ParityError: the ONNX model's output is not PyTorch's.
        OutputError: the folder cannot be written, or holds something else.
    """
    check_folder(target, overwrite=overwrite)
    if engine is not None and options.name is not None:
        check_name(engine_name(options.name))
    network = load_network(weights)
    for side in options.warm_ups:
        check_taken(side, network.config)
    name = options.name or usual_name(network)
    read = None if engine is None else _read_engine(engine, weights)
    with staged_folder(target, overwrite=overwrite) as folder:
        models = [_onnx_model(folder, name, weights, options, notify)]
        if read is not None:
            models.append(_engine_model(folder, engine_name(name), *read, options))
    return tuple(replace(model, path=target / model.path.relative_to(folder)) for model in models)


def usual_name(network: Upscaler) -> str:
    """What a model of that network is called unless asked otherwise."""
    return f"{network.config.architecture.lower()}_x{network.config.upscale}"


def engine_name(name: str) -> str:
    """What the engine beside a model of that name is called."""
    return f"{name}_trt"


def _onnx_model(folder: Path, name: str, weights: Path, options: RepositoryOptions, notify: Notify) -> ServedModel:
    path = _place_for(folder, name, ONNX_FILE)
    graph = OnnxOptions(precision=options.precision, io=IOFormat.UINT8)
    sidecar = export_onnx(weights, path, options=graph, notify=notify)
    config = onnx_model(
        path,
        name,
        max_batch=options.max_batch,
        kind=options.kind,
        instances=options.instances,
        warm_ups=options.warm_ups,
        threads=options.threads,
    )
    return _written(path, config, sidecar)


def _engine_model(
    folder: Path, name: str, content: bytes, described: Sidecar, options: RepositoryOptions
) -> ServedModel:
    path = _place_for(folder, name, PLAN_FILE)
    path.write_bytes(content)
    sidecar = replace(described, file=path.name)
    write_sidecar(sidecar_path(path), sidecar)
    config = engine_model(sidecar, name, instances=options.instances, warm_up=bool(options.warm_ups))
    return _written(path, config, sidecar)


def _read_engine(engine: Path, weights: Path) -> tuple[bytes, Sidecar]:
    """An engine that Triton can serve beside the ONNX model, before any other work."""
    content, sidecar = read_described(engine)
    if sidecar.build is None or sidecar.build.runtime != "tensorrt":
        raise ExportError(
            f"{engine} is of TensorRT for RTX, which Triton does not run: "
            "build it with efdn-export trt --runtime tensorrt on a machine with the GPU"
        )
    if sidecar.io != IOFormat.UINT8.value:
        raise ExportError(f"{engine} takes {sidecar.io}, expected 8-bit pictures: build it with --io uint8")
    if sidecar.weights_sha256 != sha256_of_file(weights):
        raise ArtefactError(f"{engine} was built from other weights ({sidecar.weights}): give them with --weights")
    return content, sidecar


def _place_for(folder: Path, name: str, file: str) -> Path:
    version = folder / name / VERSION
    version.mkdir(parents=True)
    return version / file


def _written(path: Path, config: ModelConfig, sidecar: Sidecar) -> ServedModel:
    (path.parent.parent / "config.pbtxt").write_text(str(config), encoding="utf-8", newline="\n")
    return ServedModel(path=path, config=config, sidecar=sidecar)
