"""What became of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from engines.batch.names import printable, shown
from engines.batch.outcome import Outcome, Stages, Status

INTERRUPTED = 130
"""Exit code that shells know for a program ended by Ctrl-C."""


BEGINS_ANEW = "a further run begins anew"
"""What a reason ends in where part of the work is done and nothing goes on from it."""


@dataclass(frozen=True, kw_only=True)
class Waits:
    """Seconds in which the calling thread, and with it the engine, stood still.

    Attributes:
        read_s: for a picture to be read.
        queue_s: for room in front of the writers.
        end_s: for the last pictures to be written.
    """

    read_s: float = 0.0
    queue_s: float = 0.0
    end_s: float = 0.0

    @property
    def seconds(self) -> float:
        """All of them."""
        return self.read_s + self.queue_s + self.end_s

    def __add__(self, other: Waits) -> Waits:
        return Waits(
            read_s=self.read_s + other.read_s, queue_s=self.queue_s + other.queue_s, end_s=self.end_s + other.end_s
        )


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What became of a run.

    Attributes:
        outcomes: of every picture that was found; first those that no work was due for, then in the order of tasks.
        seconds: from beginning to end.
        interrupted: whether somebody asked for the end.
        waits: when the engine stood still.
    """

    outcomes: tuple[Outcome, ...]
    seconds: float
    interrupted: bool = False
    waits: Waits = field(default_factory=Waits)

    @property
    def stages(self) -> Stages:
        """Work on all pictures."""
        return sum((outcome.stages for outcome in self.outcomes), Stages())

    @property
    def idle_share(self) -> float:
        """Share of the time in which the engine waited for reading or writing, 0..1."""
        return min(1.0, self.waits.seconds / self.seconds) if self.seconds > 0 else 0.0

    @property
    def overhead_share(self) -> float | None:
        """By how much the run took longer than the engine alone: 0.1 is a tenth; None where the engine did nothing."""
        infer_s = self.stages.infer_s
        return self.seconds / infer_s - 1 if infer_s > 0 else None

    @property
    def exit_code(self) -> int:
        """0: all done or skipped. 1: some failed, or were not done. 130: interrupted."""
        if self.interrupted:
            return INTERRUPTED
        return 1 if self.count(Status.FAILED) or self.count(Status.CANCELLED) else 0

    def count(self, status: Status) -> int:
        """Pictures that ended so."""
        return sum(outcome.status is status for outcome in self.outcomes)

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the outcomes, which have a JSON of their own."""
        return {
            **{status.value: self.count(status) for status in Status},
            "seconds": round(self.seconds, 6),
            "interrupted": self.interrupted,
            **self.stages.to_json(),
            **{f"waited_{name}": round(value, 6) for name, value in vars(self.waits).items()},
            "idle_share": round(self.idle_share, 6),
            "overhead_share": None if self.overhead_share is None else round(self.overhead_share, 6),
        }


def summary_line(summary: Summary) -> str:
    """The run in one line, such as "98 upscaled, 1 skipped, 1 failed in 12.3 s (engine idle 4%)"."""
    idle = f" (engine idle {summary.idle_share:.0%})" if summary.stages.infer_s > 0 else ""
    return f"{counts_text(summary)}{idle}"


def counts_text(summary: Summary) -> str:
    """What became of the pictures, such as "interrupted: 98 upscaled, 1 failed in 12.3 s"."""
    labels = {Status.SKIPPED: "skipped", Status.FAILED: "failed", Status.CANCELLED: "not done"}
    counts = [f"{summary.count(Status.DONE)} upscaled"]
    counts += [f"{summary.count(status)} {label}" for status, label in labels.items() if summary.count(status)]
    return f"{'interrupted: ' if summary.interrupted else ''}{', '.join(counts)} in {summary.seconds:.1f} s"


def failure_lines(summary: Summary) -> tuple[str, ...]:
    """Every failure on a line of its own; pictures that were not begun are only counted, by reason.

    Errors that nobody foresaw come first: they are for this toolkit's makers to look at.
    """
    failed = [outcome for outcome in summary.outcomes if outcome.status is Status.FAILED]
    lines = [failure_line(outcome) for outcome in sorted(failed, key=lambda outcome: outcome.traceback is None)]
    left = Counter(outcome.reason or "" for outcome in summary.outcomes if outcome.status is Status.CANCELLED)
    lines += [f"{count} not done: {_with_advice(printable(reason))}" for reason, count in left.items()]
    return tuple(lines)


def failure_line(outcome: Outcome) -> str:
    """One failure; its source is named once."""
    reason = printable(outcome.reason or "failed")
    return reason if shown(outcome.source) in reason else f"{shown(outcome.source)}: {reason}"


def _with_advice(reason: str) -> str:
    return reason if reason.endswith(BEGINS_ANEW) else f"{reason}; --skip-existing goes on from here"
