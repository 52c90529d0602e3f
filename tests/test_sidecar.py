"""Sidecars are read back as they were written, and what is wrong with one is said."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from efdn.errors import ArtefactError
from efdn.shapes import ShapeRange
from efdn.sidecar import EngineBuild, Sidecar, read_sidecar, sidecar_path, write_sidecar

ARTEFACT = Path("model.engine")


def make_sidecar(**changes: Any) -> Sidecar:
    values: dict[str, Any] = {
        "kind": "engine",
        "file": ARTEFACT.name,
        "sha256": "0" * 64,
        "architecture": "RFDN",
        "scale": 4,
        "data_range": 255.0,
        "io": "float32",
        "precision": "fp16",
        "keep_fp32": ("tail",),
        "passes": ("sum_head_repeats", "group_channels"),
        "shapes": (ShapeRange(min=(13, 13), opt=(64, 64), max=(128, 256)),),
        "batch": 1,
        "opset": 20,
        "graph_sha256": "2" * 64,
        "weights": "w.safetensors",
        "weights_sha256": "1" * 64,
        "parity": {"fold": {"max_error": 1e-7, "psnr_db": None, "finite": True}},
        "tools": {"efdn": "0"},
        "seconds": 1.5,
        "build": EngineBuild(
            runtime="rtx",
            tensorrt_version="1.7.1.116",
            gpu_targets=("sm86", "sm89"),
            kernels=347,
            half_share=0.99,
            bytes_moved=1_800_000_000,
            build_seconds=6.0,
        ),
    }
    return Sidecar(**{**values, **changes})


@pytest.mark.parametrize(
    "changes", [{}, {"kind": "onnx", "build": None, "shapes": (ShapeRange(min=(13, 13), opt=(256, 256), max=None),)}]
)
def test_round_trip(changes: dict[str, Any]) -> None:
    written = make_sidecar(**changes)
    write_sidecar(sidecar_path(ARTEFACT), written)
    assert read_sidecar(ARTEFACT) == written
    assert next(iter(json.loads(sidecar_path(ARTEFACT).read_text()))) == "schema"


def test_a_missing_sidecar_is_explained() -> None:
    with pytest.raises(ArtefactError, match=r"no file model\.engine: expected one that efdn-export has written"):
        read_sidecar(Path("model.engine"))
    Path("model.engine").touch()
    with pytest.raises(ArtefactError, match=r"no model\.engine\.json beside"):
        read_sidecar(ARTEFACT)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json", "is not JSON"),
        ("[]", "misstates"),
        ("{}", "lacks or misstates 'schema'"),
        ('{"schema": 99}', "schema 99, this version reads up to 3: update efdn"),
        ("[" * 100_000, "is not JSON"),
        ('{"schema": 3, "kind": "engine"}', "lacks or misstates 'file'"),
        ('{"schema": 2, "kind": "engine"}', "lacks or misstates 'file'"),
        ('{"schema": 1, "kind": "engine"}', "lacks or misstates 'shape'"),
    ],
)
def test_a_broken_sidecar_is_explained(content: str, said: str) -> None:
    sidecar_path(ARTEFACT).write_text(content)
    with pytest.raises(ArtefactError, match=said):
        read_sidecar(ARTEFACT)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("shapes", [{"min": [1], "opt": [1, 2], "max": None}], "shapes.0.min"),
        ("shapes", [{"min": [1, 2], "opt": [1, float("inf")], "max": None}], "shapes.0.opt.1"),
        ("shapes", [{"min": [1, 2], "opt": [1, 2]}], "max"),
        ("shapes", {}, "shapes"),
        ("build", {"a": 1}, "runtime"),
        ("build", 3, "build"),
        ("scale", "4", "scale"),
        ("scale", True, "scale"),
        ("scale", 4.0, "scale"),
        ("scale", 1 << 64, "scale"),
        ("data_range", 10**400, "data_range"),
        ("seconds", True, "seconds"),
        ("file", None, "file"),
        ("keep_fp32", "tail", "keep_fp32"),
        ("keep_fp32", [1], "keep_fp32.0"),
        ("passes", [None], "passes.0"),
        ("parity", {"fold": {"psnr_db": "high"}}, "parity.fold.psnr_db"),
        ("tools", {"efdn": 0}, "tools.efdn"),
    ],
)
def test_a_broken_part_is_explained(field: str, value: Any, said: str) -> None:
    write_sidecar(sidecar_path(ARTEFACT), make_sidecar())
    content = json.loads(sidecar_path(ARTEFACT).read_text())
    sidecar_path(ARTEFACT).write_text(json.dumps({**content, field: value}))
    with pytest.raises(ArtefactError, match=f"lacks or misstates '{said}': build"):
        read_sidecar(ARTEFACT)


def test_whole_numbers_do_where_others_are_expected() -> None:
    written = make_sidecar(data_range=255, seconds=1, parity={"fold": {"grey_levels": 1, "finite": False}})
    write_sidecar(sidecar_path(ARTEFACT), written)
    assert read_sidecar(ARTEFACT) == written


def first_schema(sidecar: Sidecar) -> dict[str, Any]:
    """What version 0.1.0 would have written."""
    write_sidecar(sidecar_path(ARTEFACT), sidecar)
    content: dict[str, Any] = json.loads(sidecar_path(ARTEFACT).read_text())
    for name in ("architecture", "io", "keep_fp32", "passes", "graph_sha256"):
        del content[name]
    (content["shape"],) = content.pop("shapes")
    del content["build"]["bytes_moved"]
    content["build"]["onnx_sha256"] = "2" * 64
    return {**content, "schema": 1}


def test_sidecars_before_there_was_a_second_architecture_are_of_the_first() -> None:
    today = make_sidecar(architecture="EFDN")
    write_sidecar(sidecar_path(ARTEFACT), today)
    content = json.loads(sidecar_path(ARTEFACT).read_text())
    del content["architecture"]
    sidecar_path(ARTEFACT).write_text(json.dumps({**content, "schema": 2}))
    assert read_sidecar(ARTEFACT) == today


def test_sidecars_of_the_first_schema_are_read() -> None:
    today = make_sidecar(architecture="EFDN", passes=(), keep_fp32=())
    assert today.build is not None
    sidecar_path(ARTEFACT).write_text(json.dumps(first_schema(today)))
    assert read_sidecar(ARTEFACT) == replace(today, build=replace(today.build, bytes_moved=None))


def test_a_range_says_what_it_takes() -> None:
    shape = ShapeRange(min=(16, 16), opt=(32, 32), max=(64, 48))
    assert shape.takes((16, 48))
    assert not shape.takes((15, 48))
    assert not shape.takes((64, 49))
    assert ShapeRange(min=(13, 13), opt=(32, 32), max=None).takes((9999, 13))
    assert str(shape) == "16x16 to 64x48"
