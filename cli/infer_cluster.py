"""`efdn-infer --ray`: the same on a cluster."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from functools import partial

from cli.infer_options import InferOptions, suffix_of
from cli.infer_text import show_engine, show_summary, tell, voice
from cli.progress import notify
from engines.batch.sources import Sources
from engines.batch.targets import Existing
from engines.batch.work import Report
from engines.cluster.options import AUTOMATIC, ClusterOptions
from engines.cluster.summary import ClusterSummary
from engines.cluster.text import cluster_summary_line, crew_line
from engines.cluster.upscaling import Ready, Request, Show, upscale_on_cluster
from engines.inference.wanted import Wanted
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
        print(crew_line(ready.crew, ready.address), file=sys.stderr, flush=True)
        for warning in ready.survey.warnings:
            tell(f"warning: {warning}")

    def events(self, count: int) -> AbstractContextManager[Report]:
        return voice(count, json_lines=self._json, quiet=self._quiet, verbose=self._verbose)

    def summary(self, summary: ClusterSummary) -> None:
        show_summary(summary, json_lines=self._json, quiet=self._quiet, counts=cluster_summary_line(summary))


def infer_on_cluster(options: InferOptions, sources: Sources, wanted: Wanted, existing: Existing) -> None:
    """Upscales on a cluster and says what became of it; raises SystemExit where not all went well."""
    cluster = ClusterOptions(
        address=options.ray or AUTOMATIC,
        cores=options.ray_cores,
        jobs=options.jobs,
        model=options.model,
        engine=options.engine,
    )
    request = Request(
        sources=sources,
        wanted=wanted,
        output=options.output,
        suffix=partial(suffix_of, options),
        existing=existing,
    )
    if sources.found and not options.quiet:
        notify(f"looking for a cluster ({cluster.address})")
    words = Words(json_lines=options.json_lines, quiet=options.quiet, verbose=options.verbose)
    summary = upscale_on_cluster(request, cluster, words)
    if summary.exit_code:
        raise SystemExit(summary.exit_code)  # All has been said.
