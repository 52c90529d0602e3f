"""The plan that TensorRT makes of the graph stays as good as it was measured, kernel for kernel."""

import importlib.metadata
import json
from typing import Any

import pytest

from benchmarks.passes import COMBINATIONS, RESULTS, build, figures_of

COMMITTED: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
SQUARE = (((256, 256),) * 3,)

pytestmark = pytest.mark.tensorrt


def test_the_default_engine_keeps_its_budget() -> None:
    plan = COMMITTED["combinations"]["or: that, skip in terms (`tensorrt`)"]["plan"]
    folded = COMMITTED["combinations"]["norms folded"]["plan"]
    assert plan["kernels"] <= 127
    assert plan["copies_inside_blocks"] == 0
    assert plan["bytes_moved"] <= 0.65 * folded["bytes_moved"]


@pytest.mark.parametrize("name", COMBINATIONS)
def test_committed_figures_are_what_the_builder_makes_today(name: str) -> None:
    """Where this fails after a change, run `python -m benchmarks.passes` and look at what became of it."""
    installed = importlib.metadata.version("tensorrt-rtx")
    if installed != COMMITTED["tensorrt_rtx"]:
        pytest.skip(f"measured with TensorRT for RTX {COMMITTED['tensorrt_rtx']}, here is {installed}")
    row = COMMITTED["combinations"][name]
    assert row["passes"] == COMBINATIONS[name]
    assert figures_of(build(row["passes"], SQUARE)).__dict__ == row["plan"]
