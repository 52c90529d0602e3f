"""What the commands of `efdn-export` print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from efdn.sidecar import Sidecar
    from export.plan import Plan

LABEL = 20


def show_line(label: str, text: str) -> None:
    """One indented line."""
    typer.echo(f"  {label:<{LABEL}} {text}")


def show_artefact(path: Path, sidecar: Sidecar) -> None:
    """What was written, and how its output compares with PyTorch's."""
    shapes = ", ".join(map(str, sidecar.shapes))
    io = "8-bit pictures" if sidecar.io == "uint8" else "floats"
    typer.echo(
        f"{path}  {path.stat().st_size / 1e6:.2f} MB, {sidecar.precision.upper()}, {shapes}, {io} in and out, "
        f"opset {sidecar.opset}"
    )
    for name, figures in sidecar.parity.items():
        psnr = "equal" if figures["psnr_db"] is None else f"PSNR {figures['psnr_db']:.1f} dB"
        level = "level" if figures["grey_levels"] == 1 else "levels"
        show_line(
            name,
            f"max error {figures['max_error']:.1e} of range, {psnr}, "
            f"8 bits: at most {figures['grey_levels']} {level}, {figures['differing_share']:.3%} of values differ",
        )


def show_files(path: Path, sidecar: Sidecar, **others: Path | None) -> None:
    """Where the rest is, and how long it took."""
    show_line("described in", f"{path.name}.json")
    for label, other in others.items():
        if other is not None:
            show_line(label, str(other))
    show_line("done in", f"{sidecar.seconds:.1f} s")


def show_plan(plan: Plan, sidecar: Sidecar, runtime: str) -> None:
    """The engine's kernels in a few lines."""
    build = sidecar.build
    assert build is not None
    show_line("built", f"in {build.build_seconds:.1f} s by {runtime} {build.tensorrt_version} for {_targets(sidecar)}")
    profiles = f" of {len(sidecar.shapes)} shapes" if len(sidecar.shapes) > 1 else ""
    inside = len(plan.copies_inside_blocks)
    show_line(
        "plan",
        f"{build.kernels} kernels{profiles}, {build.half_share:.1%} in half precision, "
        f"{len(plan.copies)} that only copy ({inside} inside blocks)",
    )
    if build.bytes_moved is not None and plan.input_pixels:
        per_pixel = build.bytes_moved / plan.input_pixels / 1e3
        show_line("memory traffic", f"{build.bytes_moved / 1e6:.0f} MB a run, {per_pixel:.1f} kB per input pixel")


def show_passes(default: str) -> None:
    """The passes, in their order, and which pipelines have them."""
    from efdn.passes.pipeline import PASSES, PIPELINES

    typer.echo("passes, in the order in which they run (fold_batch_norms comes before them, always):")
    for item in PASSES:
        typer.echo(f"  {item.name:<22} {item.summary}")
        if item.requires:
            typer.echo(f"  {'':<22} needs {', '.join(item.requires)}")
        if item.excludes:
            typer.echo(f"  {'':<22} not with {', '.join(item.excludes)}")
    typer.echo("\npipelines (fold_scale is added with --io uint8):")
    for name, passes in PIPELINES.items():
        mark = " (default)" if name == default else ""
        typer.echo(f"  {name + mark:<26} {', '.join(passes) or 'no pass'}")
    typer.echo("\nexamples: --passes tensorrt   --passes -pad_channels   --passes tensorrt,-skip_terms")


def _targets(sidecar: Sidecar) -> str:
    return ", ".join(sidecar.build.gpu_targets) if sidecar.build is not None else ""
