"""What `efdn-infer` says: results on stdout, all else on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cli.infer_options import PROGRAM
from cli.progress import progress_bar
from engines.batch.names import printable, shown
from engines.batch.outcome import Outcome, Status
from engines.batch.summary import Summary, failure_line, failure_lines, summary_line
from engines.batch.work import Event, Finished, Progress, Started

if TYPE_CHECKING:
    from engines.batch.work import Report
    from engines.select import Choice


class Voice:
    """Says what happens to files as it happens.

    Args:
        count: of files in all.
        json_lines: whether results are JSON, one object a line.
        quiet: whether only results that failed are told.
        verbose: whether stages are told too.
        update: shows progress: share of all work done, and what is at work.
    """

    def __init__(
        self, count: int, *, json_lines: bool, quiet: bool, verbose: bool, update: Callable[[float, str], None]
    ) -> None:
        self._count, self._json, self._quiet, self._verbose = count, json_lines, quiet, verbose
        self._update = update
        self._over = 0

    def __call__(self, event: Event) -> None:
        """Takes an event."""
        if isinstance(event, Finished):
            self._over += 1
            self._finished(event.outcome)
        elif isinstance(event, Started):
            self._update(self._share(0), shown(event.task.source.path))
        elif isinstance(event, Progress):
            name = shown(event.task.source.path)
            self._update(self._share(event.share), f"{name}  {event.detail}" if event.detail else name)

    def _share(self, of_one: float) -> float:
        return min(1.0, (self._over + of_one) / max(1, self._count))

    def _finished(self, outcome: Outcome) -> None:
        if self._json:
            show_json(outcome.to_json())
        elif outcome.status is Status.DONE and not self._quiet:
            print(done_line(outcome), flush=True)
            if sheet := outcome.extra.get("compared_in"):
                print(printable(str(sheet)), flush=True)
        if not self._quiet:
            for warning in map(printable, outcome.warnings):
                name = shown(outcome.source)
                tell(f"warning: {warning}" if name in warning else f"warning: {name}: {warning}")
        if self._verbose:
            stages = outcome.stages
            tell(
                f"{shown(outcome.source)}: {outcome.status.value}, read {stages.read_s:.2f} s, "
                f"upscaled {stages.infer_s:.2f} s, written {stages.write_s:.2f} s"
                + (f": {outcome.reason}" if outcome.reason else "")
            )
        if outcome.status is Status.FAILED and self._count > 1 and not self._quiet:
            tell(f"failed: {failure_line(outcome)}")


def done_line(outcome: Outcome) -> str:
    """A result in one line."""
    size = f"  {outcome.width}x{outcome.height}" if outcome.width else ""
    target = "" if outcome.target is None else shown(outcome.target)
    return f"{target}{size}  {outcome.seconds:.2f} s"


def show_engine(choice: Choice) -> None:
    """Says what runs, and why nothing better does."""
    engine = choice.engine
    passed_over = f"; passed over {', '.join(choice.passed_over)}" if choice.passed_over else ""
    print(
        f"engine: {engine.name} ({engine.detail}), model {engine.model.name}{passed_over}", file=sys.stderr, flush=True
    )


def show_summary(summary: Summary, *, json_lines: bool, quiet: bool, counts: str | None = None) -> None:
    """The end of a run: the list of failures, and counts, in the line given or as of one engine."""
    several = len(summary.outcomes) > 1
    if json_lines:
        show_json({"summary": summary.to_json()})
    lines = failure_lines(summary)
    failed = summary.count(Status.FAILED)
    if several and failed and not quiet:
        tell(f"{failed} failed:")
    for line in lines:
        tell(f"  {line}" if several else line)
    if (several or summary.interrupted) and not quiet:
        tell(summary_line(summary) if counts is None else counts)


@contextmanager
def voice(count: int, *, json_lines: bool, quiet: bool, verbose: bool) -> Iterator[Report]:
    """Yields what takes events; on a terminal with a bar below the results."""
    if quiet:
        yield Voice(count, json_lines=json_lines, quiet=True, verbose=False, update=lambda share, phase: None)
        return
    with progress_bar("upscaling") as update:
        yield Voice(count, json_lines=json_lines, quiet=False, verbose=verbose, update=update)


def show_json(content: dict[str, Any]) -> None:
    """A line on stdout. Where that is no UTF-8, all that is not ASCII is escaped, as JSON has it."""
    import json

    whole = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(content, ensure_ascii=not whole), flush=True)


def tell(line: str) -> None:
    """A line on stderr."""
    print(f"{PROGRAM}: {line}", file=sys.stderr, flush=True)
