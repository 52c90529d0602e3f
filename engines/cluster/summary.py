"""What became of a run on a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engines.batch.summary import Summary

OF_ONE_ENGINE = ("waited_read_s", "waited_queue_s", "waited_end_s", "idle_share", "overhead_share")
"""What is told of a run with one engine and makes no sense of several."""


@dataclass(frozen=True, kw_only=True)
class ClusterSummary(Summary):
    """What became of a run.

    Attributes:
        workers: that there were at the beginning.
        nodes: that they were on.
        rounds: in which chunks were given out; more than needed for their number where workers died.
    """

    workers: int
    nodes: int
    rounds: int

    @property
    def busy_share(self) -> float:
        """Share of all workers' time in which their networks ran, starting and waiting counted, 0..1."""
        total = self.seconds * self.workers
        return min(1.0, self.stages.infer_s / total) if total > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        usual = {key: value for key, value in super().to_json().items() if key not in OF_ONE_ENGINE}
        shared = {"workers": self.workers, "nodes": self.nodes, "rounds": self.rounds}
        return {**usual, **shared, "busy_share": round(self.busy_share, 6)}
