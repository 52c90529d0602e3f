"""`efdn-infer --ray`: the same on a cluster."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager

from cli.infer_text import show_engine, show_summary, tell, voice
from cli.progress import notify
from engines.batch.work import Report
from engines.cluster.options import ClusterOptions
from engines.cluster.summary import ClusterSummary
from engines.cluster.text import cluster_summary_line, crew_line
from engines.cluster.upscaling import Ready, Request, Show, upscale_on_cluster
from engines.select import Choice


class Words(Show):
    """Says on a terminal what happens on a cluster.

    Args:
        json_lines: whether results are JSON, one object a line.
        quiet: whether only results that failed are told.
        verbose: whether stages are told too.
    """

    def __init__(self, *, json_lines: bool, quiet: bool, verbose: bool) -> None:
        self._json, self._quiet, self._verbose = json_lines, quiet, verbose

    def ready(self, ready: Ready) -> None:
        if self._quiet:
            return
        show_engine(Choice(engine=ready.engine, passed_over=ready.survey.facts.passed_over))
        print(crew_line(ready.crew, own=ready.own), file=sys.stderr, flush=True)
        for warning in ready.survey.warnings:
            tell(f"warning: {warning}")

    def events(self, count: int) -> AbstractContextManager[Report]:
        return voice(count, json_lines=self._json, quiet=self._quiet, verbose=self._verbose)

    def summary(self, summary: ClusterSummary) -> None:
        show_summary(summary, json_lines=self._json, quiet=self._quiet, counts=cluster_summary_line(summary))


def infer_on_cluster(
    request: Request, options: ClusterOptions, *, json_lines: bool, quiet: bool, verbose: bool
) -> None:
    """Upscales on a cluster and says what became of it; raises SystemExit where not all went well."""
    if not quiet:
        notify(f"looking for a cluster ({options.address})")
    words = Words(json_lines=json_lines, quiet=quiet, verbose=verbose)
    summary = upscale_on_cluster(request, options, words)
    if summary.exit_code:
        raise SystemExit(summary.exit_code)  # All has been said.
