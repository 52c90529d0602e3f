"""Sidecars are read back as they were written, and what is wrong with one is said."""

import json
from pathlib import Path
from typing import Any

import pytest

from efdn.errors import ArtefactError
from efdn.sidecar import EngineBuild, ShapeRange, Sidecar, read_sidecar, sidecar_path, write_sidecar

ARTEFACT = Path("model.engine")


def make_sidecar(**changes: Any) -> Sidecar:
    values: dict[str, Any] = {
        "kind": "engine",
        "file": ARTEFACT.name,
        "sha256": "0" * 64,
        "scale": 4,
        "data_range": 255.0,
        "precision": "fp16",
        "shape": ShapeRange(min=(13, 13), opt=(64, 64), max=(128, 256)),
        "opset": 20,
        "weights": "w.safetensors",
        "weights_sha256": "1" * 64,
        "parity": {"fold": {"max_error": 1e-7, "psnr_db": None, "finite": True}},
        "tools": {"efdn": "0"},
        "seconds": 1.5,
        "build": EngineBuild(
            runtime="rtx",
            tensorrt_version="1.7.1.116",
            gpu_targets=("sm86", "sm89"),
            onnx_sha256="2" * 64,
            kernels=347,
            half_share=0.99,
            build_seconds=6.0,
        ),
    }
    return Sidecar(**{**values, **changes})


@pytest.mark.parametrize(
    "changes", [{}, {"kind": "onnx", "build": None, "shape": ShapeRange(min=(13, 13), opt=(256, 256), max=None)}]
)
def test_round_trip(changes: dict[str, Any]) -> None:
    written = make_sidecar(**changes)
    write_sidecar(sidecar_path(ARTEFACT), written)
    assert read_sidecar(ARTEFACT) == written
    assert next(iter(json.loads(sidecar_path(ARTEFACT).read_text()))) == "schema"


def test_a_missing_sidecar_is_explained() -> None:
    with pytest.raises(ArtefactError, match=r"no model\.engine\.json beside"):
        read_sidecar(ARTEFACT)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json", "is not JSON"),
        ("[]", "misstates"),
        ("{}", "lacks or misstates 'schema'"),
        ('{"schema": 99}', "schema 99, this version reads up to 1: update efdn"),
        ('{"schema": 1, "kind": "engine"}', "lacks or misstates 'file'"),
    ],
)
def test_a_broken_sidecar_is_explained(content: str, said: str) -> None:
    sidecar_path(ARTEFACT).write_text(content)
    with pytest.raises(ArtefactError, match=said):
        read_sidecar(ARTEFACT)


@pytest.mark.parametrize(("field", "value"), [("shape", {"min": [1], "opt": [1, 2], "max": None}), ("build", {"a": 1})])
def test_a_broken_part_is_explained(field: str, value: Any) -> None:
    write_sidecar(sidecar_path(ARTEFACT), make_sidecar())
    content = json.loads(sidecar_path(ARTEFACT).read_text())
    sidecar_path(ARTEFACT).write_text(json.dumps({**content, field: value}))
    with pytest.raises(ArtefactError, match="lacks or misstates"):
        read_sidecar(ARTEFACT)
