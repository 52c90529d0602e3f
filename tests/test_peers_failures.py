"""Rows that fail, or give another picture: what is said of them, and that nothing found before is lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.peers import __main__ as command
from benchmarks.peers.table import full_tables, short_table
from efdn.errors import EngineError, ParityError
from engines.worker.client import Worker
from tests.peers_samples import behaviours, compared, recorded
from tests.profiling_fakes import Behaviour, Workers


def test_a_different_output_ends_the_run() -> None:
    workers = Workers(behaviours(openvino=Behaviour(level=102)))
    found = compared(workers, "onnxruntime", "openvino", shapes=((16, 20), (32, 32)), compiled=True)
    assert found.different is not None
    assert "OpenVINO, efdn at 16x20" in found.different
    assert [shape["title"] for shape in found.shapes] == ["16x20"]
    assert found.shapes[0]["figures"]["openvino"]["grey_levels"] == 2
    assert found.compiled is None
    assert workers.living == 0


def test_a_different_network_may_give_another_picture() -> None:
    # In the fakes both networks give the same; RFDN's is held to RFDN, of which this is the only one that differs.
    workers = Workers(behaviours(openvino=Behaviour(level=102)))
    assert "RFDN, OpenVINO, efdn" in str(compared(workers, "rfdn-published", "rfdn-openvino").different)
    assert compared(workers, "rfdn-openvino").shapes[0]["figures"]["rfdn-openvino"]["grey_levels"] is None


def test_a_row_that_fails_is_said_and_the_others_go_on() -> None:
    workers = Workers(behaviours(openvino=Behaviour(fails="open")))
    content = recorded(compared(workers, "onnxruntime", "openvino"))
    assert "; OpenVINO, efdn at 16x20 (it broke)." in short_table(content)
    assert "| ONNX Runtime, efdn | 11 ms, **3.73x**" in short_table(content)
    with pytest.raises(EngineError, match="the baseline did not run at 16x20: it broke"):
        compared(Workers(behaviours(pytorch_published=Behaviour(fails="open"))), "onnxruntime")
    with pytest.raises(EngineError, match="nothing ran beside the baseline at 16x20: ONNX Runtime, efdn: it broke"):
        compared(Workers(behaviours(onnxruntime_cpu=Behaviour(fails="open"))), "onnxruntime")


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        ("onnxruntime_cpu", "nothing ran beside the baseline at 32x32: ONNX Runtime, efdn: it broke"),
        ("pytorch_published", "the baseline did not run at 32x32: it broke"),
    ],
)
def test_what_was_found_before_a_failure_is_kept(engine: str, reason: str) -> None:
    class FailsLater(Workers):
        def __call__(self, python: Path | None, environment: Mapping[str, str]) -> Worker:
            if len(self.environments) == 4:  # Two engines, each started twice at the first shape.
                self.behaviours = behaviours(**{engine: Behaviour(fails="prepare")})
            return super().__call__(python, environment)

    workers = FailsLater(behaviours())
    found = compared(workers, "onnxruntime", shapes=((16, 20), (32, 32), (48, 48)))
    assert found.shapes[0]["title"] == "16x20"
    assert found.left_out["32x32"] == dict.fromkeys(("published", "onnxruntime"), reason)
    assert f"- ONNX Runtime, efdn at 32x32: {reason}" in full_tables(recorded(found))
    # What broke is not tried again: the baseline goes on alone, and nothing does without it.
    last = found.left_out["48x48"] if engine == "pytorch_published" else found.shapes[1]["left_out"]
    assert "failed at 32x32: it broke" in last["onnxruntime"]
    assert workers.living == 0


def test_what_does_not_compile_is_absent_and_says_why() -> None:
    workers = Workers(behaviours(pytorch_compiled=Behaviour(fails="prepare")))
    content = recorded(compared(workers, "onnxruntime", compiled=True))
    reason = "nothing ran beside the baseline at 64x64: PyTorch, torch.compile: it broke"
    assert content["absent"] == {"compiled": reason}
    assert f"PyTorch, torch.compile ({reason})" in short_table(content)


def test_a_difference_is_in_the_record_and_on_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compared(Workers(behaviours(openvino=Behaviour(level=102))), "openvino")
    monkeypatch.setattr(command, "compare_peers", lambda plan, say: found)
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    before = command.PAGE.read_bytes()
    assert command.main([]) == ParityError.exit_code
    assert "OpenVINO, efdn at 16x20" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["peers.json"]
    content = json.loads((tmp_path / "peers.json").read_text(encoding="utf-8"))
    assert "OpenVINO, efdn at 16x20" in content["different"]
    assert command.PAGE.read_bytes() == before
    # Nor is it drawn later.
    assert command.main(["--redraw", str(tmp_path / "peers.json"), "--out", str(tmp_path / "drawn")]) == 1
