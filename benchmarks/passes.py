"""What each combination of passes comes to, in kernels and bytes: `python -m benchmarks.passes`.

They are read from the plans of FP16 engines for SM86, 8-bit pictures in and out, which
TensorRT for RTX builds without a GPU; they repeat exactly, and `tests/test_kernel_budget.py`
holds them. Writes `benchmarks/results/passes.json` and the tables of `docs/passes.md`.
What passes buy on CPUs is measured by `python -m benchmarks.cpu_path`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks.marked_text import check_place, write_between
from efdn.assets import DEFAULT_WEIGHTS
from efdn.files import write_json
from efdn.network import EFDN
from efdn.passes.pipeline import deploy_network, find_passes
from efdn.shapes import ShapeRange
from efdn.weights import load_network
from export.build_progress import quiet
from export.io_format import IOFormat
from export.onnx_graph import write_onnx
from export.precision import Precision
from export.trt_builders import BuildRequest, BuiltEngine, RtxBuilder

RESULTS = Path(__file__).parent / "results" / "passes.json"
PAGE = Path(__file__).parent.parent / "docs" / "passes.md"
COMMAND = "python -m benchmarks.passes"

BASE = "sum_head_repeats,merge_narrow_bsconvs,carry_scaled_trunk,group_channels"
"""What every pipeline has: fewer channels read, fewer small kernels, no gathers."""

COMBINATIONS = {
    "norms folded": "none",
    "head, narrow convolutions, trunk, groups": BASE,
    "+ dense refinement": f"{BASE},merge_refine_bsconv",
    "+ channels padded": f"{BASE},merge_refine_bsconv,pad_channels",
    "+ branches joined": f"{BASE},merge_refine_bsconv,pad_channels,join_branches",
    "+ attention reads branches": f"{BASE},merge_refine_bsconv,pad_channels,join_branches,read_branches",
    "+ skip in the tail": f"{BASE},merge_refine_bsconv,pad_channels,join_branches,read_branches,join_skip",
    "or: tail before the resize": "tensorrt,-skip_terms",
    "or: that, skip in terms (`tensorrt`)": "tensorrt",
    "`tensorrt`, one wrap": "tensorrt,wrap_once",
    "`tensorrt-dynamic` pipeline": "tensorrt-dynamic",
}
"""Rows of the first table: what to call it, and its passes."""

SHAPES: dict[str, tuple[str, tuple[tuple[tuple[int, int], ...], ...]]] = {
    "256x256": ("tensorrt", (((256, 256),) * 3,)),
    "720x1280": ("tensorrt", (((720, 1280),) * 3,)),
    "256x256 and 720x1280": ("tensorrt", (((256, 256),) * 3, ((720, 1280),) * 3)),
    "64x64 to 512x512, slices": ("tensorrt", (((64, 64), (256, 256), (512, 512)),)),
    "64x64 to 512x512": ("tensorrt-dynamic", (((64, 64), (256, 256), (512, 512)),)),
}
"""Rows of the second table: passes, and (min, opt, max) of each profile."""


@dataclass(frozen=True, kw_only=True)
class PlanFigures:
    """What a plan comes to; these repeat exactly.

    Attributes:
        kernels: number of kernels.
        copies: kernels that only copy.
        copies_inside_blocks: those of them inside a block.
        bytes_moved: activations read and written in one run; None for dynamic shapes.
    """

    kernels: int
    copies: int
    copies_inside_blocks: int
    bytes_moved: int | None


def main() -> None:
    """Measures, writes the results and the tables."""
    check_place(PAGE, COMMAND)  # Before the work, not after it.
    combinations = {name: measure(passes, (((256, 256),) * 3,)) for name, passes in COMBINATIONS.items()}
    shapes = {name: measure(*row) for name, row in SHAPES.items()}
    content = {
        "command": COMMAND,
        "tensorrt_rtx": importlib.metadata.version("tensorrt-rtx"),
        "combinations": combinations,
        "shapes": shapes,
    }
    write_json(RESULTS, content)
    text = tables(content)
    print(text)
    write_between(PAGE, COMMAND, text)


def measure(passes: str, profiles: tuple[tuple[tuple[int, int], ...], ...]) -> dict[str, Any]:
    """Builds one engine; what can be repeated stands under "plan"."""
    built = build(passes, profiles)
    figures = figures_of(built)
    row = {
        "passes": passes,
        "plan": figures.__dict__,
        "half_share": round(built.plan.half_share, 4),
        "engine_bytes": len(built.content),
        "build_seconds": round(built.seconds, 1),
    }
    print(f"{passes}: {row}", flush=True)
    return row


def build(passes: str, profiles: tuple[tuple[tuple[int, int], ...], ...]) -> BuiltEngine:
    """An FP16 engine for SM86, 8-bit pictures in and out, of the packaged weights."""
    shapes = tuple(ShapeRange(min=low, opt=opt, max=high) for low, opt, high in profiles)
    static = shapes[0].opt if len(shapes) == 1 and shapes[0].static else None
    network = deploy_network(packaged_network(), find_passes(passes, pictures=True))
    model = write_onnx(network, precision=Precision.FP16, opset=20, shape=static, io=IOFormat.UINT8)
    request = BuildRequest(graph=model.SerializeToString(), precision=Precision.FP16, io=IOFormat.UINT8, shapes=shapes)
    return RtxBuilder(("sm86",)).build(request, quiet)


def figures_of(built: BuiltEngine) -> PlanFigures:
    """The exact figures of an engine's plan."""
    plan = built.plan
    return PlanFigures(
        kernels=len(plan.kernels),
        copies=len(plan.copies),
        copies_inside_blocks=len(plan.copies_inside_blocks),
        bytes_moved=plan.bytes_moved,
    )


@lru_cache(maxsize=1)
def packaged_network() -> EFDN:
    """The packaged weights, loaded once."""
    return load_network(DEFAULT_WEIGHTS, EFDN)


def tables(content: dict[str, Any]) -> str:
    """Both tables in Markdown."""
    return f"{combination_table(content)}\n\n{shape_table(content['shapes'])}"


def combination_table(content: dict[str, Any]) -> str:
    """Passes against kernels and bytes."""
    rows = content["combinations"]
    base = rows["norms folded"]["plan"]["bytes_moved"]
    lines = [
        "| passes | kernels | copies (in blocks) | kB per pixel | of folded | engine |",
        "|---|---|---|---|---|---|",
    ]
    lines += [f"| {name} {plan_columns(row, base)}|" for name, row in rows.items()]
    return "\n".join(lines)


def plan_columns(row: dict[str, Any], folded_bytes: int) -> str:
    """Cells of what was read from the plan."""
    plan = row["plan"]
    return (
        f"| {plan['kernels']} | {plan['copies']} ({plan['copies_inside_blocks']}) "
        f"| {plan['bytes_moved'] / 65536e3:.1f} | {plan['bytes_moved'] / folded_bytes:.0%} "
        f"| {row['engine_bytes'] / 1e6:.1f} MB "
    )


def shape_table(rows: dict[str, Any]) -> str:
    """Shapes against kernels and size."""
    lines = ["| shapes | pipeline | kernels | engine | build |", "|---|---|---|---|---|"]
    for name, row in rows.items():
        lines.append(
            f"| {name.split(',')[0]} | `{row['passes']}` | {row['plan']['kernels']} "
            f"| {row['engine_bytes'] / 1e6:.1f} MB | {row['build_seconds']:.0f} s |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
