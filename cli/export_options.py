"""Options that the commands of `efdn-export` share."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from efdn.errors import MissingExtraError, OutputError, UsageError

if TYPE_CHECKING:
    from export.precision import Precision

Weights = Annotated[
    Optional[Path],
    typer.Option(
        "--weights", "-w", help="Weights of EFDN or RFDN, .safetensors or a published .pth; packaged x4 if not given."
    ),
]
Output = Annotated[
    Optional[Path], typer.Option("--output", "-o", help="File to write; a telling name here if not given.")
]
Bf16 = Annotated[bool, typer.Option("--bf16", help="bfloat16 inside: as wide a range as FP32, eight bits exact.")]
Passes = Annotated[
    str,
    typer.Option(
        "--passes",
        metavar="LIST",
        help="EFDN's pipeline or passes; -NAME leaves one out, +NAME adds one. Without a LIST: shows them all.",
    ),
]
KeepFp32 = Annotated[
    Optional[str],
    typer.Option("--keep-fp32", metavar="PATTERNS", help="Parts to keep in FP32, such as 'body.0/*,tail'."),
]
Report = Annotated[
    Optional[Path], typer.Option("--report", metavar="DIR", help="Verify every stage, and write a report there.")
]


class IOName(str, Enum):
    """What goes in and comes out."""

    float32 = "float32"
    uint8 = "uint8"


def precision_of(fp16: bool | None, bf16: bool, default: str) -> Precision:
    """The one precision that `--fp16`, `--fp32` and `--bf16` name, or the default.

    Raises:
        UsageError: two are named.
    """
    from export.precision import Precision

    if bf16 and fp16 is not None:
        raise UsageError(f"--bf16 does not go with {'--fp16' if fp16 else '--fp32'}: give one")
    if bf16:
        return Precision.BF16
    return Precision(default if fp16 is None else "fp16" if fp16 else "fp32")


def list_passes_when_bare(arguments: list[str]) -> list[str]:
    """Puts a value behind a `--passes` that has none, which asks for the list of passes."""
    result = []
    for index, argument in enumerate(arguments):
        result.append(argument)
        following = arguments[index + 1] if index + 1 < len(arguments) else None
        if argument == "--passes" and (following is None or following.startswith("--") or following in ("-o", "-w")):
            result.append(LIST_PASSES)
    return result


LIST_PASSES = "list"


def require_export_extra() -> None:
    """Names the extra before any work starts, rather than at the first import that fails."""
    from importlib.util import find_spec

    for package, extra in (("torch", "export"), ("onnx", "export"), ("safetensors", "export"), ("onnxruntime", "cpu")):
        if find_spec(package) is None:
            raise MissingExtraError(package, extra, "Exporting")


def check_name(output: Path | None, *endings: str) -> None:
    """Artefacts replace what stands at their name; the ending keeps that from being somebody's photo."""
    if output is not None and output.suffix.lower() not in endings:
        raise OutputError(f"cannot write {output}: expected a name ending in {' or '.join(endings)}")


def page_of_report(report: Path | None) -> Path | None:
    """The page of a report in that folder."""
    return None if report is None else report / "index.html"
