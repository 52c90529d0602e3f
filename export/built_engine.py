"""What is proved and said of an engine that has just been built, whatever it was built from."""

from __future__ import annotations

from efdn.errors import ExportError
from efdn.sidecar import EngineBuild, Sidecar
from export.precision import Precision
from export.trt_builders import BuiltEngine, EngineBuilder


def require_precision(built: BuiltEngine, precision: Precision) -> None:
    """Raises ExportError where half precision was asked for and no kernel of the engine has it."""
    if not precision.half:
        return
    if not built.plan.kernels:
        raise ExportError("the builder listed no kernels, so that half precision cannot be proved: nothing is written")
    if built.plan.half_share == 0:
        raise ExportError(
            f"--{precision.value} was asked for, but none of the engine's {len(built.plan.kernels)} kernels "
            "is in half precision"
        )


def described_build(builder: EngineBuilder, built: BuiltEngine, *, single: bool) -> EngineBuild:
    """What the sidecar says of a build; where there are several profiles, their kernels do not make one run."""
    return EngineBuild(
        runtime=builder.runtime,
        tensorrt_version=built.version,
        gpu_targets=built.gpu_targets,
        kernels=len(built.plan.kernels),
        half_share=round(built.plan.half_share, 4),
        bytes_moved=built.plan.bytes_moved if single else None,
        build_seconds=round(built.seconds, 3),
    )


def plan_facts(sidecar: Sidecar, build: EngineBuild) -> list[tuple[str, str]]:
    """What the page of a plan says of its engine."""
    return [
        ("engine", sidecar.file),
        ("built by", f"{build.runtime} {build.tensorrt_version}"),
        ("for", ", ".join(build.gpu_targets)),
        ("shapes", ", ".join(map(str, sidecar.shapes))),
        ("precision", sidecar.precision),
        ("input and output", sidecar.io),
        ("passes", ", ".join(sidecar.passes) or "none"),
    ]
