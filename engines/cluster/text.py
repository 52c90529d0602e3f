"""A cluster and its runs in lines for people."""

from __future__ import annotations

from engines.batch.summary import counts_text
from engines.cluster.summary import ClusterSummary
from engines.cluster.survey import Crew


def crew_line(crew: Crew, address: str | None) -> str:
    """Such as "cluster at 10.0.0.1:6379: 4 workers of 4 cores on 2 nodes".

    Args:
        crew: its workers.
        address: of its head; None where it was started here for this run.
    """
    size = "1 GPU" if crew.gpus else _counted(crew.cores, "core")
    where = "started here for this run" if address is None else f"at {address}"
    return f"cluster {where}: {_counted(crew.workers, 'worker')} of {size} on {_counted(len(crew.nodes), 'node')}"


def cluster_summary_line(summary: ClusterSummary) -> str:
    """The run in one line, such as "98 upscaled, 1 failed in 12.3 s (2 workers, their engines busy 71%)"."""
    engines = "its engine" if summary.workers == 1 else "their engines"
    busy = f" ({_counted(summary.workers, 'worker')}, {engines} busy {summary.busy_share:.0%})"
    return counts_text(summary) + (busy if summary.stages.infer_s > 0 else "")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
