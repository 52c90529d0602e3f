"""All that was found, as plain values: what the table and the charts are drawn from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.gpu_check.record import thinned, without_paths
from benchmarks.peers.figures import against_rfdn, figures_of
from benchmarks.peers.files import builder_name
from benchmarks.peers.rows import COMPILED, Row, Source
from engines.nvidia_smi import query_gpus
from engines.profiling.comparison import Difference
from engines.profiling.machine import commit, load_average, machine
from engines.profiling.result import Lane, ShapeProfile

SCHEMA = 2
NOT_COMPILED = "not asked for: it compiles for minutes; --compile measures it"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One shape.

    Attributes:
        rows: that were run.
        profile: their raw samples.
        lanes: of the rows, by key.
        differences: of their outputs, by key.
        models: files that they ran, by key.
        failed: rows whose model could not be made, and why.
        scaling: whether only rows that are drawn over pixels were run.
        left_out: rows that there was no time or memory for, and why.
    """

    rows: tuple[Row, ...]
    profile: ShapeProfile
    lanes: dict[str, Lane]
    differences: dict[str, Difference]
    models: dict[str, Path | None]
    failed: dict[str, str]
    scaling: bool = False
    left_out: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Figures by key of the row, and the raw samples; must be called while the models are there."""
        figures = {
            key: figures_of(self.profile, lane, self.differences.get(key), self.models[key]).as_json()
            for key, lane in self.lanes.items()
        }
        return {
            "title": self.profile.title,
            "shape": list(self.profile.shape),
            "scaling": self.scaling,
            "figures": {**figures, **{key: {"error": reason} for key, reason in self.failed.items()}},
            "efdn_over_rfdn": against_rfdn(self.rows, self.lanes),
            "left_out": self.left_out,
            "raw": thinned(self.profile.as_json()),
        }


@dataclass(kw_only=True)
class Findings:
    """What was found so far.

    Attributes:
        rows: that were asked for.
        absent: rows that cannot run here, and why.
        left_out: rows that shapes were not measured with at all, and why, by shape.
        shapes: figures and raw samples; see `Measured`.
        compiled: `torch.compile` beside the baseline; None where it was not asked for, or failed.
        different: what ended the comparison, where a row's output is another picture.
        setup_seconds: what models took to make.
        minutes: everything but `torch.compile`.
        load: load average before the start.
    """

    rows: tuple[Row, ...]
    absent: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, dict[str, str]] = field(default_factory=dict)
    shapes: list[dict[str, Any]] = field(default_factory=list)
    compiled: dict[str, Any] | None = None
    different: str | None = None
    setup_seconds: dict[str, float] = field(default_factory=dict)
    minutes: float = 0.0
    load: float | None = field(default_factory=load_average)

    def add(self, measured: Measured) -> None:
        """Takes in a shape, while the models it ran are there."""
        self.shapes.append(measured.as_json())

    def as_json(self, command: str) -> dict[str, Any]:
        """Plain values, without anybody's paths.

        Args:
            command: the command line.
        """
        content = {
            "schema": SCHEMA,
            "command": command,
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "commit": commit(),
            "machine": machine(),
            "gpus": [gpu.as_json() for gpu in query_gpus()],
            "load_average_before": self.load,
            "minutes": self.minutes,
            "setup_seconds": self.setup_seconds,
            "rows": [_row(row) for row in (*self.rows, COMPILED)],
            "absent": ({COMPILED.key: NOT_COMPILED} if self.compiled is None else {}) | self.absent,
            "left_out": self.left_out,
            "shapes": self.shapes,
            "compiled": self.compiled,
            "different": self.different,
        }
        result: dict[str, Any] = without_paths(content)
        return result


def _row(row: Row) -> dict[str, Any]:
    note = f"{row.note}, built by {builder_name()}" if row.source is Source.ENGINE else row.note
    return {**asdict(row), "source": row.source.value, "note": note}
