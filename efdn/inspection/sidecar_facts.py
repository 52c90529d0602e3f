"""A sidecar in words, and whether it belongs to its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from efdn.errors import ArtefactError
from efdn.inspection.details import Fact, bytes_text, printable
from efdn.inspection.engine_file import FLAVOURS
from efdn.sidecar import EngineBuild, Sidecar, read_sidecar, sidecar_path

FIGURES = {
    "max_error": "max error {:.1e} of range",
    "mean_error": "mean {:.1e}",
    "psnr_db": "PSNR {:.1f} dB",
    "grey_levels": "8-bit difference at most {:g}",
    "differing_share": "{:.3%} of values differ",
}
"""How each figure of a parity check is said."""


@dataclass(frozen=True, kw_only=True)
class SidecarFinding:
    """What stands beside a file.

    Attributes:
        path: where a sidecar is looked for.
        sidecar: None where there is none, or none that can be read.
        error: why it cannot be read, else None.
    """

    path: Path
    sidecar: Sidecar | None = None
    error: str | None = None


def find_sidecar(artefact: Path) -> SidecarFinding:
    """Looks for the sidecar of a file and reads it. What is wrong with it is part of the finding, not raised."""
    path = sidecar_path(artefact)
    try:
        if not path.exists():
            return SidecarFinding(path=path)
        sidecar = read_sidecar(artefact)
    except OSError:  # A name that only without .json is short enough.
        return SidecarFinding(path=path)
    except ArtefactError as error:
        return SidecarFinding(path=path, error=str(error))
    return SidecarFinding(path=path, sidecar=sidecar)


def sidecar_facts(sidecar: Sidecar, sha256: str) -> list[Fact]:
    """Everything in a sidecar, to be read; `sha256` is that of the file beside it."""
    own = sidecar.sha256 == sha256
    graph = "this file" if sidecar.graph_sha256 == sha256 else f"SHA-256 {sidecar.graph_sha256}"
    rows = [
        ("belongs here", "yes, the SHA-256 is the same" if own else f"NO: made for a file of SHA-256 {sidecar.sha256}"),
        ("describes", f"{sidecar.kind} {sidecar.file}"),
        ("network", f"{sidecar.architecture} x{sidecar.scale}"),
        ("data range", f"0..{sidecar.data_range:g}"),
        ("input, output", sidecar.io),
        ("precision", sidecar.precision),
        ("kept in FP32", ", ".join(sidecar.keep_fp32) or "nothing"),
        ("passes", ", ".join(sidecar.passes) or "none named"),
        ("shapes", "; ".join(map(str, sidecar.shapes))),
        ("pictures at once", "any number" if sidecar.batch is None else str(sidecar.batch)),
        ("graph", f"opset {sidecar.opset}, {graph}"),
        ("weights", f"{sidecar.weights}, SHA-256 {sidecar.weights_sha256}"),
    ]
    rows += [(f"parity {printable(name)}", _figures_text(figures)) for name, figures in sidecar.parity.items()]
    rows += [] if sidecar.build is None else _build_facts(sidecar.build)
    rows.append(("made with", ", ".join(f"{name} {version}" for name, version in sidecar.tools.items())))
    rows.append(("export took", f"{sidecar.seconds:.1f} s"))
    return [(name, printable(text)) for name, text in rows]


def _build_facts(build: EngineBuild) -> list[Fact]:
    moved = "" if build.bytes_moved is None else f", {bytes_text(build.bytes_moved)} moved in one run"
    return [
        ("built by", f"{FLAVOURS.get(build.runtime, build.runtime)} {build.tensorrt_version}"),
        ("runs on", ", ".join(build.gpu_targets)),
        ("plan", f"{build.kernels} kernels, {build.half_share:.1%} in half precision{moved}"),
        ("build took", f"{build.build_seconds:.1f} s"),
    ]


def _figures_text(figures: Mapping[str, float | bool | None]) -> str:
    texts = []
    for name, value in figures.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and name in FIGURES:
            texts.append(FIGURES[name].format(value))
        elif name == "psnr_db" and value is None:
            texts.append("equal")
        elif name != "finite" or value is not True:
            texts.append(f"{name} {value}")
    return ", ".join(texts)
