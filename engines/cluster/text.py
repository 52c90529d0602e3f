"""A cluster and its runs in lines for people."""

from __future__ import annotations

from engines.batch.summary import counts_text
from engines.cluster.summary import ClusterSummary
from engines.cluster.survey import Crew


def crew_line(crew: Crew, *, own: bool) -> str:
    """Such as "cluster: 4 workers of 4 cores on 2 nodes"."""
    size = "1 GPU" if crew.gpus else _counted(crew.cores, "core")
    nodes = "this machine, started for this run" if own else _counted(len(crew.nodes), "node")
    return f"cluster: {_counted(crew.workers, 'worker')} of {size} on {nodes}"


def cluster_summary_line(summary: ClusterSummary) -> str:
    """The run in one line, such as "98 upscaled, 1 failed in 12.3 s (2 workers, their engines busy 71%)"."""
    busy = f" ({_counted(summary.workers, 'worker')}, their engines busy {summary.busy_share:.0%})"
    return counts_text(summary) + (busy if summary.stages.infer_s > 0 else "")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
