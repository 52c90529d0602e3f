"""Models that rows of the comparison run: by what they are made, and what is said where they cannot be."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.peers import files as peer_files
from benchmarks.peers.files import Files
from benchmarks.peers.record import Findings
from benchmarks.peers.rows import ROWS, Source, chosen_rows


def test_an_export_that_cannot_be_made_is_absent_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(target: Path) -> None:
        raise ModuleNotFoundError("No module named 'onnxscript'")

    monkeypatch.setattr(peer_files, "_export_plain", fails)
    files = peer_files.prepare(tmp_path, chosen_rows(["openvino-plain", "tensorrt"]), lambda text: None)
    assert files.absent[Source.PLAIN_SLICES] == "No module named 'onnxscript': pip install it"


def test_an_exporter_that_fails_is_absent_and_says_its_first_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")

    def fails(*arguments: object, **options: object) -> None:
        raise RuntimeError("no such operator\nand much more")

    monkeypatch.setattr(torch.onnx, "export", fails)
    monkeypatch.setitem(sys.modules, "onnxscript", ModuleType("onnxscript"))
    files = peer_files.prepare(tmp_path, chosen_rows(["onnxruntime-plain"]), lambda text: None)
    said = f"PyTorch {torch.__version__} does not export this network: no such operator"
    assert files.absent[Source.PLAIN] == said


@pytest.mark.parametrize(("installed", "runtime"), [(True, "tensorrt"), (False, "rtx")])
def test_engines_are_built_by_the_tensorrt_that_is_installed(
    installed: bool, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def build(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    spec = ModuleSpec("tensorrt", None) if installed else None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(subprocess, "run", build)
    files = Files(folder=tmp_path)
    files.model(Source.ENGINE, (16, 20))
    (line,) = asked
    assert line[line.index("--runtime") + 1] == runtime
    assert list(files.seconds) == ["TensorRT engine at 16x20"]
    note = next(row["note"] for row in Findings(rows=ROWS).as_json("")["rows"] if row["key"] == "tensorrt")
    assert note.endswith("built by TensorRT" if installed else "built by TensorRT for RTX")
