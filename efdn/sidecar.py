"""The JSON file beside an artefact that says what it is.

Artefacts stay pure (an ONNX file is an ONNX file, an engine is what TensorRT
wrote); everything else about them is here, readable without any of their tools.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from efdn.errors import ArtefactError
from efdn.files import reason_of, staged, write_json
from efdn.shapes import ShapeRange

SCHEMA = 3

INT_LIMIT = 1 << 64
"""No count in a sidecar is as large."""


@dataclass(frozen=True, kw_only=True)
class EngineBuild:
    """What belongs to a TensorRT engine alone.

    Attributes:
        runtime: "rtx" (TensorRT for RTX) or "tensorrt".
        tensorrt_version: of the builder; the run time must match it.
        gpu_targets: such as "sm86"; the engine runs on no other.
        kernels: number of kernels in the plan, of all profiles together.
        half_share: share of layers that compute in half precision, 0..1.
        bytes_moved: activations that the kernels read and write in one run; None where the plan does not tell.
        build_seconds: time the builder took.
    """

    runtime: str
    tensorrt_version: str
    gpu_targets: tuple[str, ...]
    kernels: int
    half_share: float
    bytes_moved: int | None
    build_seconds: float


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """Contents of `<artefact>.json`.

    Attributes:
        kind: "onnx" or "engine".
        file: name of the artefact.
        sha256: of the artefact.
        architecture: of the network, such as "EFDN"; the one there was before schema 3.
        scale: magnification.
        data_range: value of white at input and output.
        io: "float32" for (N, 3, H, W) in 0..data_range, "uint8" for (N, H, W, 3) pictures.
        precision: "fp32", "fp16" or "bf16", inside.
        keep_fp32: patterns of the parts that stayed in FP32.
        passes: that made the graph, in order; empty in sidecars of schema 1, which did not say.
        shapes: what it takes; of an engine the profiles.
        batch: pictures it takes at once, from one up; None if unbounded.
        opset: of the ONNX graph.
        graph_sha256: of the ONNX graph; that of the file itself, or of the graph an engine was built from.
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
    architecture: str
    scale: int
    data_range: float
    io: str
    precision: str
    keep_fp32: tuple[str, ...]
    passes: tuple[str, ...]
    shapes: tuple[ShapeRange, ...]
    batch: int | None
    opset: int
    graph_sha256: str
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
        ArtefactError: missing, unreadable, of a newer schema, or lacking or misstating a field.
    """
    path = sidecar_path(artefact)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not artefact.exists():
            raise ArtefactError(f"no file {artefact}: expected one that efdn-export has written") from None
        raise ArtefactError(
            f"no {path.name} beside {artefact}: it says what the file was built for; "
            "copy it along, or build anew with efdn-export"
        ) from None
    except OSError as error:
        raise ArtefactError(f"cannot read {path}: {reason_of(error)}") from error
    except (ValueError, RecursionError) as error:
        raise ArtefactError(f"{path} is not JSON: build {artefact.name} anew with efdn-export") from error
    return _parse(content, path)


def _parse(content: Any, path: Path) -> Sidecar:
    try:
        if content["schema"] > SCHEMA:
            raise ArtefactError(
                f"{path} has schema {content['schema']}, this version reads up to {SCHEMA}: update efdn"
            )
        if content["schema"] == 1:
            content = _from_first_schema(content)
        if content["schema"] == 2:
            content = {**content, "schema": SCHEMA, "architecture": "EFDN"}
        sidecar: Sidecar = _made(Sidecar, content, "")
        return sidecar
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtefactError(f"{path} lacks or misstates {error}: build the artefact anew with efdn-export") from error


def _from_first_schema(content: dict[str, Any]) -> dict[str, Any]:
    """What a sidecar of schema 1 says, in the layout of schema 2."""
    result = {**content, "schema": 2, "io": "float32", "keep_fp32": [], "passes": [], "batch": 1}
    result["shapes"] = [result.pop("shape")]
    if result["shapes"][0]["max"] is None:
        result["batch"] = None
    result["graph_sha256"] = content["sha256"]
    if content["build"] is not None:
        build = dict(content["build"])
        result["graph_sha256"] = build.pop("onnx_sha256")
        result["build"] = {**build, "bytes_moved": None}
    return result


def _made(hint: Any, value: Any, name: str) -> Any:
    """What JSON holds, as the type it is to be; `name` says where it stands."""
    options = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    if any(_fits(value, option) for option in options):
        return value
    kind, parts = options[0], get_args(options[0])
    if kind in (Sidecar, ShapeRange, EngineBuild) and isinstance(value, dict):
        return kind(**{key: _made(part, value[key], f"{name}{key}.") for key, part in get_type_hints(kind).items()})
    if get_origin(kind) is dict and isinstance(value, dict):
        return {key: _made(parts[1], entry, f"{name}{key}.") for key, entry in value.items()}
    if get_origin(kind) is tuple and isinstance(value, list):
        sides = parts[:1] * len(value) if parts[-1] is Ellipsis else parts
        if len(sides) == len(value):
            return tuple(_made(*pair, f"{name}{index}.") for index, pair in enumerate(zip(sides, value, strict=True)))
    raise TypeError(repr(name.removesuffix(".")))


def _fits(value: Any, kind: Any) -> bool:
    """Whether a plain value is of that kind: an int will do for a float, a bool not for an int."""
    if kind is int or (kind is float and isinstance(value, int)):
        return type(value) is int and abs(value) < INT_LIMIT
    return kind in (float, str, bool, NoneType) and isinstance(value, kind)
