"""The JSON file beside an artefact that says what it is.

Artefacts stay pure (an ONNX file is an ONNX file, an engine is what TensorRT
wrote); everything else about them is here, readable without any of their tools.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from efdn.errors import ArtefactError
from efdn.files import reason_of, staged, write_json

SCHEMA = 1

Side = tuple[int, int]
"""Height and width, in pixels."""


@dataclass(frozen=True, kw_only=True)
class ShapeRange:
    """Smallest, usual and largest (height, width) an artefact takes; a maximum of None is unbounded."""

    min: Side
    opt: Side
    max: Side | None

    @property
    def static(self) -> bool:
        """Whether only one shape is taken."""
        return self.min == self.max


@dataclass(frozen=True, kw_only=True)
class EngineBuild:
    """What belongs to a TensorRT engine alone.

    Attributes:
        runtime: "rtx" (TensorRT for RTX) or "tensorrt".
        tensorrt_version: of the builder; the run time must match it.
        gpu_targets: such as "sm86"; the engine runs on no other.
        onnx_sha256: of the graph it was built from.
        kernels: number of kernels in the plan, where the builder tells.
        half_share: share of layers that compute in half precision, 0..1.
        build_seconds: time the builder took.
    """

    runtime: str
    tensorrt_version: str
    gpu_targets: tuple[str, ...]
    onnx_sha256: str
    kernels: int
    half_share: float
    build_seconds: float


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """Contents of `<artefact>.json`.

    Attributes:
        kind: "onnx" or "engine".
        file: name of the artefact.
        sha256: of the artefact.
        scale: magnification.
        data_range: value of white at input and output.
        precision: "fp32" or "fp16".
        shape: what it takes.
        opset: of the ONNX graph.
        weights: file name of the weights.
        weights_sha256: of the weights.
        parity: checks by name, each with its figures.
        tools: versions by package.
        seconds: time the export took.
        build: for engines.
        schema: version of this layout.
    """

    kind: str
    file: str
    sha256: str
    scale: int
    data_range: float
    precision: str
    shape: ShapeRange
    opset: int
    weights: str
    weights_sha256: str
    parity: dict[str, dict[str, float | bool | None]]
    tools: dict[str, str]
    seconds: float
    build: EngineBuild | None = None
    schema: int = field(default=SCHEMA)


def sidecar_path(artefact: Path) -> Path:
    """Where the sidecar of an artefact stands."""
    return artefact.with_name(artefact.name + ".json")


@contextmanager
def staged_pair(artefact: Path) -> Iterator[tuple[Path, Path]]:
    """Temporary paths for an artefact and its sidecar, which take their places together at the end.

    Raises:
        OutputError: either cannot be written.
    """
    with staged(sidecar_path(artefact)) as description, staged(artefact) as content:
        yield content, description


def write_sidecar(path: Path, sidecar: Sidecar) -> None:
    """Writes a sidecar to `sidecar_path`, or to the path that stands for it in a `staged_pair`."""
    write_json(path, {"schema": sidecar.schema, **asdict(sidecar)})


def read_sidecar(artefact: Path) -> Sidecar:
    """Reads the sidecar of an artefact.

    Raises:
        ArtefactError: missing, unreadable, of a newer schema, or lacking a field.
    """
    path = sidecar_path(artefact)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtefactError(
            f"no {path.name} beside {artefact}: it says what the file was built for; "
            "copy it along, or build anew with efdn-export"
        ) from None
    except OSError as error:
        raise ArtefactError(f"cannot read {path}: {reason_of(error)}") from error
    except ValueError as error:
        raise ArtefactError(f"{path} is not JSON: build {artefact.name} anew with efdn-export") from error
    return _parse(content, path)


def _parse(content: Any, path: Path) -> Sidecar:
    try:
        if content["schema"] > SCHEMA:
            raise ArtefactError(
                f"{path} has schema {content['schema']}, this version reads up to {SCHEMA}: update efdn"
            )
        known = {f.name: content[f.name] for f in fields(Sidecar) if f.name not in ("shape", "build")}
        low, opt, high = (content["shape"][key] for key in ("min", "opt", "max"))
        shape = ShapeRange(min=_side(low), opt=_side(opt), max=None if high is None else _side(high))
        build = content["build"]
        if build is not None:
            build = EngineBuild(**{**build, "gpu_targets": tuple(build["gpu_targets"])})
        return Sidecar(**known, shape=shape, build=build)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtefactError(f"{path} lacks or misstates {error}: build the artefact anew with efdn-export") from error


def _side(values: Any) -> Side:
    height, width = values
    return int(height), int(width)
