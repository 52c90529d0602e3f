"""How far engines are from PyTorch in FP32 before rounding to 8 bits, which hides most of it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efdn.errors import EfdnError
from efdn.shapes import Side
from engines.profiling.plan import Planned
from engines.worker.client import Worker
from engines.worker.subject import Job


@dataclass(frozen=True, kw_only=True)
class Exactness:
    """How an engine's floats compare with the reference's.

    Attributes:
        name: of the engine.
        psnr_db: of the range 0..255; None where equal, or not measured.
        max_error: largest difference, of the range, 0..1.
        finite: whether all values are finite.
        error: why it was not measured.
    """

    name: str
    psnr_db: float | None = None
    max_error: float | None = None
    finite: bool = True
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def measure_exactness(planned: Sequence[Planned], shape: Side) -> tuple[Exactness, ...]:
    """Runs the baseline and every ONNX and TensorRT engine that gives floats once; the baseline is the reference."""
    found: list[Exactness] = []
    reference: NDArray[np.float64] | None = None
    for entry in _worth_it(planned):
        try:
            output = _floats(entry, shape)
        except EfdnError as error:
            found.append(Exactness(name=entry.name, error=str(error)))
            continue
        if output is None:
            continue
        if reference is None:
            reference = output
        found.append(_compared(entry.name, output, reference))
    return tuple(found)


def _worth_it(planned: Sequence[Planned]) -> list[Planned]:
    """The baseline, and what is neither another form of it nor gives bytes."""
    others = [
        entry for entry in planned if not entry.subject.engine.startswith("pytorch") and "uint8" not in entry.name
    ]
    return [*[entry for entry in planned if entry.baseline], *others]


def _floats(entry: Planned, shape: Side) -> NDArray[np.float64] | None:
    """Output in 0..255; None of engines that give bytes."""
    with tempfile.TemporaryDirectory(prefix="efdn-") as folder, Worker(python=entry.python) as worker:
        if worker.open(entry.subject).io != "float32":
            return None
        worker.prepare(Job(shape=shape))
        path = Path(folder, "floats.npy")
        worker.write_floats(path)
        return np.load(path).astype(np.float64)  # type: ignore[no-any-return]


def _compared(name: str, output: NDArray[np.float64], reference: NDArray[np.float64]) -> Exactness:
    if not np.isfinite(output).all():
        return Exactness(name=name, finite=False)
    error = np.abs(output - reference)
    mean_square = float(np.mean(error**2))
    psnr = 10 * np.log10(255.0**2 / mean_square) if mean_square else None
    return Exactness(
        name=name, psnr_db=None if psnr is None else round(float(psnr), 2), max_error=float(error.max() / 255)
    )
