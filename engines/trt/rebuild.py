"""The command that builds an engine again."""

from __future__ import annotations

from efdn.assets import DEFAULT_WEIGHTS
from efdn.sidecar import Sidecar


def rebuild_command(sidecar: Sidecar, *, gpu: str | None = None) -> str:
    """The command that builds such an engine again, but for passes that are not the default.

    Args:
        sidecar: of the engine.
        gpu: architecture to build for instead, such as "sm89".
    """
    assert sidecar.build is not None
    if all(shape.static for shape in sidecar.shapes):
        shapes = " ".join(f"--shape {shape}" for shape in sidecar.shapes)
    else:
        shape = sidecar.shapes[0]
        largest = shape.max or shape.opt
        shapes = " ".join(
            f"--{name} {side[0]}x{side[1]}" for name, side in (("min", shape.min), ("opt", shape.opt), ("max", largest))
        )
    shapes += f" --batch {sidecar.batch}" if sidecar.batch not in (None, 1) else ""
    target = f" --gpu-arch {gpu}" if gpu is not None and sidecar.build.runtime == "rtx" else ""
    return (
        f"build it anew with: efdn-export trt --runtime {sidecar.build.runtime} --{sidecar.precision} "
        f"--io {sidecar.io} {shapes}{target}{_own_options(sidecar)}"
    )


def _own_options(sidecar: Sidecar) -> str:
    """Options for weights that are not the packaged ones, and for parts kept in FP32."""
    weights = "" if sidecar.weights == DEFAULT_WEIGHTS.name else f" --weights {sidecar.weights}"
    kept = f" --keep-fp32 '{','.join(sidecar.keep_fp32)}'" if sidecar.keep_fp32 else ""
    return weights + kept
